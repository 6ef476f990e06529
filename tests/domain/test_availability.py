"""From places to the level that a policy allows: the vectors, exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain.availability import (
    BundleComponent,
    OfferPolicy,
    PlaceStock,
    bundle_pool,
    check_bundles,
    offer,
    offer_with_reason,
    packs,
    pool,
)

WHOLE = OfferPolicy()
HALF = OfferPolicy(share=Decimal("0.5"))
CAPPED = OfferPolicy(cap=3, end_when=2)


def test_on_hand_10_safety_2_allocated_3_is_a_pool_of_5() -> None:
    assert pool([PlaceStock(10, allocated=3, safety_stock=2)]) == 5


@pytest.mark.parametrize(
    ("policy", "of_five", "of_two"), [(WHOLE, 5, 2), (HALF, 2, 1), (CAPPED, 3, 0)], ids=["whole", "half", "capped"]
)
def test_a_pool_of_5_shows_5_2_3_and_a_pool_of_2_shows_2_1_0(policy: OfferPolicy, of_five: int, of_two: int) -> None:
    assert (offer(5, policy), offer(2, policy)) == (of_five, of_two)


def test_five_places_with_safety_4_and_threshold_10_show_20_where_a_place_of_50_is_left_out() -> None:
    on_hand = {"left out": 50, "a": 16, "b": 12, "c": 10, "d": 7, "e": 5}
    assert sum(on_hand.values()) == 100
    feeding = [PlaceStock(units, safety_stock=4) for code, units in on_hand.items() if code != "left out"]
    assert offer(pool(feeding, threshold=10), WHOLE) == 20


def test_ten_of_a_two_per_kit_and_three_of_b_one_per_kit_make_three_kits() -> None:
    parts = [
        BundleComponent("A", 2, {"main": PlaceStock(10)}),
        BundleComponent("B", 1, {"main": PlaceStock(3)}),
    ]
    assert bundle_pool(parts) == 3
    assert bundle_pool(parts, threshold=1, unplaced=1) == 1


def test_bundles_are_made_place_by_place_and_never_of_parts_from_two_places() -> None:
    parts = [
        BundleComponent("A", 1, {"north": PlaceStock(5), "south": PlaceStock(1)}),
        BundleComponent("B", 1, {"north": PlaceStock(1), "south": PlaceStock(5), "west": PlaceStock(9)}),
    ]
    assert bundle_pool(parts) == 2


def test_available_may_be_negative_and_adds_nothing_to_a_pool() -> None:
    oversold = PlaceStock(2, allocated=3, reserved=1, unavailable=1)
    assert (oversold.available(), oversold.sellable()) == (-3, 0)
    assert pool([oversold, PlaceStock(4)], threshold=5) == -1
    assert offer(-1, WHOLE) == 0


@pytest.mark.parametrize(
    ("units", "policy", "expected"),
    [
        (5, WHOLE, (5, "pool")),
        (0, WHOLE, (0, "empty")),
        (2, CAPPED, (0, "end_when")),
        (9, CAPPED, (3, "cap")),
        (5, HALF, (2, "share")),
        (0, OfferPolicy(floor=2), (2, "floor")),
        (7, OfferPolicy(floor=2), (7, "pool")),
        (10, OfferPolicy(share=Fraction(1, 3)), (3, "share")),
    ],
)
def test_an_offer_says_what_decided_it(units: int, policy: OfferPolicy, expected: tuple[int, str]) -> None:
    assert offer_with_reason(units, policy) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cap": 2, "floor": 3}, "cap 2 is below floor 3: raise the cap or lower the floor"),
        ({"share": Decimal("1.01")}, "share must be between 0 and 1, got 1.01"),
        ({"threshold": -1}, "threshold must not be negative, got -1"),
        ({"cap": -1}, "cap must not be negative, got -1"),
    ],
)
def test_a_policy_that_cannot_hold_is_refused_in_clear_words(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        OfferPolicy(**changes)


def test_only_a_floor_warns() -> None:
    assert WHOLE.warnings() == ()
    assert OfferPolicy(floor=2).warnings() == ("floor 2 offers units that may not be there: it oversells on purpose",)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "a bundle needs at least one component"),
        ([BundleComponent("A", 0, {"main": PlaceStock(1)})], "component A: units per bundle must be 1 or more, got 0"),
        ([BundleComponent("A", 1, {})], "component A has no stock record: import a count for it first"),
    ],
)
def test_a_bundle_that_cannot_be_counted_is_refused(parts: list[BundleComponent], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        bundle_pool(parts)


def test_bundles_of_bundles_are_refused() -> None:
    check_bundles({"KIT": {"A": 2, "B": 1}, "BOX": {"A": 1}})
    with pytest.raises(ValueError, match=r"^bundle KIT contains itself$"):
        check_bundles({"KIT": {"KIT": 1}})
    with pytest.raises(ValueError, match=r"^bundle BOX contains bundle KIT: list that one's components instead$"):
        check_bundles({"KIT": {"A": 1}, "BOX": {"A": 1, "KIT": 2}})


def test_a_listing_of_six_packs_shows_whole_packs() -> None:
    assert (packs(17, 6), packs(-3, 6), packs(5, 6)) == (2, 0, 0)
    with pytest.raises(ValueError, match=r"^pack size must be 1 or more, got 0$"):
        packs(5, 0)


@given(
    units=st.integers(-50, 500),
    share=st.fractions(0, 1),
    cap=st.none() | st.integers(0, 99),
    end_when=st.integers(0, 9),
)
def test_without_a_floor_an_offer_is_never_above_the_pool_nor_below_zero(units, share, cap, end_when) -> None:
    policy = OfferPolicy(share=share, cap=cap, end_when=end_when)
    assert 0 <= offer(units, policy) <= max(0, units)
    assert offer(units, policy) <= offer(units + 1, policy)
