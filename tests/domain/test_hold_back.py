"""The last units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain.hold_back import Seller, holds, is_scarce, raises, split, targets

SELLERS = st.lists(
    st.builds(
        Seller,
        rate=st.floats(1e-6, 0.5),
        news_seconds=st.floats(1, 600),
        shown=st.integers(0, 30),
        limit=st.none() | st.integers(0, 30),
        pack_size=st.integers(1, 4),
        can_be_stopped=st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


def alike(count: int, *, rate: float = 0.01, news_seconds: float = 100.0, **more: int) -> list[Seller]:
    return [Seller(rate, news_seconds, **more) for _ in range(count)]


def test_what_the_others_are_expected_to_sell_is_held_back_with_three_deviations() -> None:
    # The others sell 2 units in the news delay: 2 + 3 * sqrt(2) = 6.24.
    assert holds(100, alike(3)) == (7, 7, 7)
    assert holds(100, alike(3), risk=0) == (2, 2, 2)
    assert holds(100, alike(1)) == (0,)


def test_never_more_is_held_back_than_the_others_can_sell() -> None:
    assert holds(100, [Seller(0.01, 100), Seller(0.01, 100, limit=1), Seller(0.01, 100, limit=0, shown=2)]) == (3, 7, 7)


def test_a_large_pool_shows_all_but_the_hold_everywhere() -> None:
    assert targets(100, alike(3)) == (93, 93, 93)
    assert targets(100, alike(1)) == (100,)


def test_a_scarce_pool_is_split_to_the_last_unit() -> None:
    assert [is_scarce(pool, 7) for pool in (15, 16)] == [True, False]
    assert targets(5, alike(3)) == (2, 2, 1)
    assert targets(1, alike(3)) == (1, 0, 0)
    assert targets(0, alike(3)) == targets(-2, alike(3)) == (0, 0, 0)
    assert targets(5, []) == ()


def test_the_liveliest_gets_the_last_unit_unless_it_is_already_shown_where_it_is_nearly_as_good() -> None:
    assert targets(1, [Seller(0.01, 100), Seller(0.02, 100)]) == (0, 1)
    assert targets(1, [Seller(0.01, 100, shown=1), Seller(0.011, 100)]) == (1, 0)


def test_nobody_is_given_more_than_its_policy_allows_and_others_take_the_rest() -> None:
    assert targets(6, [Seller(0.02, 100, limit=1), Seller(0.02, 100)]) == (1, 5)


def test_packs_are_shown_whole() -> None:
    assert targets(7, [Seller(0.02, 100, pack_size=3), Seller(0.01, 100)]) == (3, 4)
    assert split(2, [Seller(0.02, 100, pack_size=3), Seller(0.0001, 100)]) == (0, 2)


def test_what_a_till_may_sell_is_left_for_it() -> None:
    till = Seller(0.01, 100, can_be_stopped=False)  # 1 + 3 * sqrt(1) = 4 units
    assert split(5, [Seller(0.01, 100), till]) == (1, 0)
    assert targets(4, [Seller(0.01, 100), till])[0] == 0
    assert raises(5, [Seller(0.01, 100), till], (3, 5))[0] == 1


def test_while_scarce_a_listing_is_raised_only_into_what_the_others_do_not_show() -> None:
    sellers = [Seller(0.01, 100, shown=4), Seller(0.01, 100), Seller(0.01, 100)]
    assert raises(6, sellers, (2, 2, 2)) == (4, 2, 0)
    assert raises(4, sellers, (2, 1, 1)) == (4, 0, 0)
    assert raises(100, sellers, (93, 93, 93)) == (93, 93, 93)


def test_a_rush_of_thousands_is_split_by_rate() -> None:
    assert split(3000, [Seller(20.0, 60), Seller(10.0, 60)]) == (2000, 1000)
    assert targets(1000, [Seller(20.0, 60), Seller(10.0, 60)]) == (667, 333)


def test_a_listing_that_never_sells_may_still_get_what_nobody_else_takes() -> None:
    assert split(3, [Seller(0.0, 100), Seller(0.01, 100, limit=1)]) == (2, 1)


@given(pool=st.integers(-5, 60), sellers=SELLERS)
def test_parts_never_add_up_to_more_than_the_pool(pool, sellers) -> None:
    assert sum(split(pool, sellers)) <= max(0, pool)


@given(pool=st.integers(-5, 400), sellers=SELLERS)
def test_no_listing_shows_more_than_the_pool_or_its_limit_or_a_broken_pack(pool, sellers) -> None:
    for units, seller in zip(targets(pool, sellers), sellers, strict=True):
        assert 0 <= units <= max(0, pool)
        assert seller.limit is None or units <= seller.limit
        assert units % seller.pack_size == 0


@given(pool=st.integers(0, 8), count=st.integers(2, 5))
def test_while_all_are_scarce_reductions_then_raises_never_show_more_than_the_pool(pool, count) -> None:
    sellers = alike(count, shown=pool)
    wanted = targets(pool, sellers)
    lowered = [Seller(0.01, 100, shown=min(seller.shown, goal)) for seller, goal in zip(sellers, wanted, strict=True)]
    assert sum(raises(pool, lowered, wanted)) <= pool


@given(
    pool=st.integers(1, 40), rates=st.lists(st.floats(0.001, 0.1), min_size=2, max_size=5, unique=True), data=st.data()
)
def test_the_order_of_listings_does_not_matter_where_they_differ(pool, rates, data) -> None:
    shuffled = data.draw(st.permutations(rates))
    given_first = dict(zip(rates, targets(pool, [Seller(rate, 60) for rate in rates]), strict=True))
    given_then = dict(zip(shuffled, targets(pool, [Seller(rate, 60) for rate in shuffled]), strict=True))
    assert sum(given_first.values()) == sum(given_then.values())


@pytest.mark.parametrize("pool", range(1, 9))
def test_a_second_plan_without_news_changes_nothing(pool: int) -> None:
    first = targets(pool, alike(3))
    assert targets(pool, [Seller(0.01, 100, shown=units) for units in first]) == first
