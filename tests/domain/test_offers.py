"""From places, policies, units in flight and demand to the level of every listing that shares them."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain.availability import OfferPolicy, bundles_left
from oms_hub.domain.hold_back import Seller, raises, settle, targets
from oms_hub.domain.in_flight import InFlight, Shift, pull_units
from oms_hub.domain.offers import ListingPolicy, Offer, OfferedListing, Stock, Till, offer_group

SHARED = ListingPolicy(is_shared=True)


def listing(recipe, **more):
    return OfferedListing(recipe, 1 / 3600, 300.0, **more)


def levels(stock, listings, tills=()):
    return [offer.level for offer in offer_group(stock, listings, tills)]


def test_one_listing_is_offered_what_is_sellable_at_the_places_that_feed_it():
    policy = ListingPolicy(
        OfferPolicy(safety_stock=2, threshold=1), feeds=frozenset({"main", "store"}), safety={("A", "store"): 0}
    )
    stock = {"A": Stock({"main": 10, "store": 4, "depot": 50}, unplaced=2, in_flight=1)}

    assert offer_group(stock, [listing({"A": 1}, policy=policy)]) == (Offer(8, 8, 8, 0, "pool"),)


def test_what_decided_an_offer_is_told():
    def decided(units, **said):
        (offer,) = offer_group({"A": Stock({"main": units})}, [listing({"A": 1}, policy=ListingPolicy(**said))])
        return offer.level, offer.decided

    assert decided(0) == (0, "empty")
    assert decided(9, is_paused=True, offer=OfferPolicy(floor=3)) == (0, "paused")
    assert decided(9, offer=OfferPolicy(share=Decimal("0.5"))) == (4, "share")
    assert decided(9, offer=OfferPolicy(cap=3)) == (3, "cap")
    assert decided(9, offer=OfferPolicy(end_when=9)) == (0, "end_when")
    assert decided(1, offer=OfferPolicy(floor=3)) == (3, "floor")


def test_several_listings_keep_back_what_the_others_may_sell_unless_they_are_shared():
    stock = {"A": Stock({"main": 20})}

    assert levels(stock, [listing({"A": 1}), listing({"A": 1})]) == [19, 19]
    assert levels(stock, [listing({"A": 1}, policy=SHARED), listing({"A": 1})]) == [20, 19]
    assert offer_group(stock, [listing({"A": 1}), listing({"A": 1})])[0] == Offer(19, 19, 20, 1, "hold_back")


def test_the_last_units_are_split_and_a_raise_waits_for_the_reduction():
    stock = {"A": Stock({"main": 2})}

    both = offer_group(stock, [listing({"A": 1}), listing({"A": 1}, shown=2)])

    assert [(offer.level, offer.allowed) for offer in both] == [(1, 0), (1, 1)]


def test_packs_and_bundles_share_units_with_the_single_pieces():
    stock = {"CUP": Stock({"main": 10}), "POT": Stock({"main": 3})}
    kit = listing({"CUP": 2, "POT": 1}, is_bundle=True, policy=SHARED)
    two_kits = listing({"CUP": 4, "POT": 2}, is_bundle=True, pack_size=2, policy=SHARED)
    six = listing({"CUP": 6}, pack_size=6, policy=SHARED)

    assert levels(stock, [kit, two_kits, six]) == [3, 1, 1]
    held = offer_group({"CUP": Stock({"main": 2}), "POT": Stock({"main": 3})}, [
        listing({"CUP": 1}), listing({"CUP": 2, "POT": 1}, is_bundle=True),
    ])  # fmt: skip
    assert held[0].level + 2 * held[1].level <= 2


def test_a_bundle_without_a_common_place_cannot_be_made():
    stock = {"CUP": Stock({"main": 10}), "POT": Stock({"store": 3})}

    assert levels(stock, [listing({"CUP": 2, "POT": 1}, is_bundle=True)]) == [0]


def test_promised_bundles_take_all_their_components_at_once():
    assert bundles_left(3, 1, [(2, 10, 2), (1, 3, 1)]) == 2
    assert bundles_left(3, 0, [(2, 10, 7), (1, 3, 0)]) == 1
    assert bundles_left(1, 3, []) == -2


def test_a_till_and_a_listing_that_is_off_are_left_what_they_may_sell():
    stock = {"A": Stock({"main": 3})}

    assert levels(stock, [listing({"A": 1})], [Till("A", 1 / 3600, 300.0)]) == [2]
    assert levels(stock, [listing({"A": 1}), listing({"A": 1}, is_on=False)])[0] == 2
    assert sum(levels(stock, [listing({"A": 1}, is_on=False), listing({"A": 1}, is_on=False)])) == 3


def test_a_late_order_explains_what_fell_and_nothing_that_will():
    fallen = InFlight(level=7, falls=(Shift(3, 0),))

    assert pull_units(fallen, 0, late_units=5) == InFlight(level=7)
    assert pull_units(fallen, 1, late_units=3) == InFlight(level=7, early_units=1)


@given(
    st.integers(0, 40),
    st.lists(
        st.builds(
            Seller,
            rate=st.floats(1e-5, 0.2),
            news_seconds=st.floats(1, 900),
            shown=st.integers(0, 20),
            limit=st.none() | st.integers(0, 30),
            pack_size=st.integers(1, 3),
            can_be_stopped=st.booleans(),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_once_reductions_are_confirmed_nothing_waits_any_more(pool, sellers):
    settled = settle(pool, sellers)
    wanted = targets(pool, sellers)
    reachable = raises(pool, sellers, wanted)

    for seller, goal, may, (level, now) in zip(sellers, wanted, reachable, settled, strict=True):
        if goal <= seller.shown or not seller.can_be_stopped:
            assert (level, now) == (goal, goal)
        else:
            assert (now, now <= level <= goal) == (may, True)
