"""Which policy holds."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain.availability import OfferPolicy
from oms_hub.domain.policies import PolicyLayer, Scope, resolve

MERCHANT = PolicyLayer(Scope.MERCHANT, "merchant acme", threshold=5, safety_stock=2, cap=50)
SHOP = PolicyLayer(Scope.CONNECTION, "connection shop", cap=10, share=Decimal("0.5"))
MUG = PolicyLayer(Scope.SKU, "sku MUG", cap=3, is_paused=True, places=frozenset({"main"}))


def test_without_a_word_the_whole_pool_is_offered_and_the_last_units_are_held_back() -> None:
    policy = resolve([])
    assert policy.offer == OfferPolicy()
    assert (policy.scarce, policy.risk, policy.news_seconds, policy.is_paused) == ("hold_back", 3.0, None, False)
    assert (policy.places, policy.origins) == (None, {})


def test_the_nearest_word_wins_field_by_field() -> None:
    policy = resolve([MUG, MERCHANT, SHOP])
    assert policy.offer == OfferPolicy(threshold=5, safety_stock=2, cap=3, share=Decimal("0.5"))
    assert (policy.is_paused, policy.places) == (True, frozenset({"main"}))
    assert policy.origins == {
        "threshold": "merchant acme",
        "safety_stock": "merchant acme",
        "share": "connection shop",
        "cap": "sku MUG",
        "is_paused": "sku MUG",
        "places": "sku MUG",
    }


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"floor": 11}, "cap 10 (connection shop) is below floor 11 (sku X): raise the cap or lower the floor"),
        ({"end_when": -1}, "end_when -1 (sku X) must not be negative"),
        ({"share": Decimal(2)}, "share 2 (sku X) must be between 0 and 1"),
        ({"places": frozenset()}, "no place feeds the connection (sku X): name at least one, or pause it"),
    ],
)
def test_contradictions_are_found_across_layers_and_named(said: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        resolve([SHOP, PolicyLayer(Scope.SKU, "sku X", **said)])
    assert str(raised.value) == message


def test_all_contradictions_are_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"^threshold -1 .* must not be negative; cap 1 .* is below floor 2"):
        resolve([PolicyLayer(Scope.SKU, "sku X", threshold=-1, cap=1, floor=2)])


def test_two_layers_of_one_scope_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^sku MUG and sku CUP both speak for the same scope$"):
        resolve([MUG, PolicyLayer(Scope.SKU, "sku CUP")])


@given(layers=st.permutations([MERCHANT, SHOP, MUG]))
def test_the_order_in_which_layers_are_given_does_not_matter(layers) -> None:
    assert resolve(layers) == resolve([MERCHANT, SHOP, MUG])
