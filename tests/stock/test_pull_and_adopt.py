"""Listings and levels come in as the channel tells them, and levels become first counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oms_hub.channel.contract import Capabilities, ChannelLocation, ListingRecord, ListingRef, ObservedLevel
from oms_hub.errors import Misconfigured, RetryLater
from oms_hub.sync.adopt_stock import AdoptReport, SkippedSku, adopt_stock
from oms_hub.sync.pull_listings import ListingsReport, pull_listings
from oms_hub.sync.pull_stock import LevelsReport, pull_stock


def test_listings_are_pulled_linked_and_their_gone_ones_deactivated(world):
    _, shop = world.connect("shop")
    shop.listings = [
        ListingRecord("1", "A", "Red", attributes={"item": "9"}),
        ListingRecord("2", "B", "Blue"),
        ListingRecord("3", None, "None"),
    ]
    assert pull_listings(world.hub, "shop") == ListingsReport(seen=3, linked=2, unmapped=1, duplicates=0)

    world.clock.advance(60)
    del shop.listings[1]

    assert pull_listings(world.hub, "shop") == ListingsReport(seen=2, linked=1, unmapped=1, duplicates=0)
    assert world.rows("SELECT listing_key, is_active, attributes FROM hub.listings ORDER BY 1") == [
        ("1", True, {"item": "9"}),
        ("2", False, {}),
        ("3", True, {}),
    ]


def test_a_pull_that_breaks_off_deactivates_nothing(world):
    _, shop = world.connect("shop")
    shop.listings = [ListingRecord("1", "A", ""), ListingRecord("2", "B", ""), ListingRecord("3", "C", "")]
    pull_listings(world.hub, "shop")
    world.clock.advance(60)

    def broken(_session):
        yield [ListingRecord("1", "A", "")]
        raise RetryLater("the channel is away")

    world.channels["shop"] = replace(world.channels["shop"], listing_source=broken)
    with pytest.raises(RetryLater):
        pull_listings(world.hub, "shop")

    assert world.rows("SELECT count(*) FROM hub.listings WHERE is_active") == [(3,)]
    assert world.rows("SELECT state FROM hub.sync_runs WHERE step = 'pull_listings' ORDER BY sync_run_id") == [
        ("succeeded",),
        ("failed",),
    ]


def test_a_channel_without_listings_and_levels_gives_zeros(world):
    world.connect("till", listing_source=None, stock_source=None, stock_sink=None)

    assert pull_listings(world.hub, "till") == ListingsReport(0, 0, 0, 0)
    assert pull_stock(world.hub, "till") == LevelsReport(0, 0)


def test_odd_levels_are_kept_as_seen_with_a_note(world):
    stored, shop = world.connect("shop")
    for key, level in (("ok", 5), ("below", -2), ("none", None), ("silent", 1)):
        world.listing(stored, key, key.upper(), level=level)
    del shop.levels["silent"]

    assert pull_stock(world.hub, "shop") == LevelsReport(read=2, untracked=2)

    seen = {
        key: (world.level(key)["observed"], world.level(key)["observed_note"])
        for key in ("ok", "below", "none", "silent")
    }
    assert seen == {
        "ok": (5, ""),
        "below": (-2, "sold below zero on the channel"),
        "none": (None, "the channel keeps no level for it"),
        "silent": (None, "the channel told no level for it"),
    }
    assert world.level("ok")["observed_at"] == world.clock()


def test_levels_are_read_at_the_connections_place_only(world):
    capabilities = Capabilities(has_locations=True)
    _, shop = world.connect("shop", capabilities=capabilities, settings={"location": "South"})
    shop.places = [ChannelLocation("1", "North", is_default=True), ChannelLocation("2", "South")]
    shop.listings = [ListingRecord("k", "A", "", attributes={"item": "9"})]

    def everywhere(_session, references):
        shop.reads.extend(references)
        for place, level in (("1", 10), ("2", 3)):
            yield ObservedLevel("k", level, channel_location_id=place)
        yield ObservedLevel("never asked for", 7)

    world.channels["shop"] = replace(world.channels["shop"], stock_source=everywhere, locations=shop.locations)
    pull_listings(world.hub, "shop")
    pull_stock(world.hub, "shop")

    assert shop.reads == [ListingRef("k", "2", {"item": "9"})]
    assert world.level("k")["observed"] == 3


def test_a_location_that_the_channel_does_not_have_stops_the_pull(world):
    stored, _ = world.connect("shop", capabilities=Capabilities(has_locations=True), settings={"location": "West"})
    world.listing(stored, "k", "A", level=1)

    with pytest.raises(Misconfigured, match="no location West"):
        pull_stock(world.hub, "shop")


def test_more_listings_than_fit_one_read_are_read_in_turn(world, monkeypatch):
    monkeypatch.setattr("oms_hub.sync.pull_stock._LISTINGS_AT_ONCE", 2)
    stored, shop = world.connect("shop")
    for key in ("a", "B", "c", "D", "é"):
        world.listing(stored, key, key, level=1)

    assert pull_stock(world.hub, "shop") == LevelsReport(read=5, untracked=0)
    assert [each.listing_key for each in shop.reads] == ["B", "D", "a", "c", "é"]


def observe(world, stored, shop, **levels):
    for key, level in levels.items():
        world.listing(stored, key, key.upper(), level=level)
    pull_stock(world.hub, stored.name)


def test_sellable_levels_become_counts_with_the_units_of_open_orders(world, kit):
    stored, shop = world.connect("shop")
    other, _ = world.connect("other")
    world.skus("A")
    world.order(stored, "before", kit.Line("A", 5, shipped=[(2, kit.at(-5))]), placed_at=kit.at(-30))
    world.order(stored, "unpaid", kit.Line("A", 1, reserved=1), placed_at=kit.at(-30))
    world.order(stored, "shipped", kit.Line("A", 9, shipped=[(9, kit.at(-5))]), placed_at=kit.at(-30))
    world.order(other, "elsewhere", kit.Line("A", 50), placed_at=kit.at(-30))
    observe(world, stored, shop, a=10)
    world.order(stored, "after", kit.Line("A", 7), placed_at=kit.at(1))

    assert adopt_stock(world.hub, "shop") == AdoptReport(adopted=1, already_counted=0, skipped=())

    assert world.on_hand("A") == 14
    assert world.ledger("A") == [("count", 14, 0, 14)]
    assert world.dirty() == {"A"}


def test_what_shipped_after_the_level_was_read_was_still_there_and_leaves_now(world, kit):
    stored, shop = world.connect("shop")
    world.skus("A")
    observe(world, stored, shop, a=10)
    world.order(stored, "o1", kit.Line("A", 4, shipped=[(3, kit.at(1))]), placed_at=kit.at(-30))

    adopt_stock(world.hub, "shop")

    assert world.ledger("A") == [("count", 14, 0, 14), ("sale", -3, 14, 11)]


def test_a_channel_that_tells_on_hand_is_taken_at_its_word(world, kit):
    stored, shop = world.connect("shop", capabilities=Capabilities(tells_on_hand=True))
    world.skus("A")
    world.order(stored, "o1", kit.Line("A", 5), placed_at=kit.at(-30))
    shop.on_hand = {"a": 12}
    observe(world, stored, shop, a=-1, b=3)

    report = adopt_stock(world.hub, "shop")

    assert world.on_hand("A") == 12
    assert report == AdoptReport(1, 0, (SkippedSku("B", "the channel keeps no quantity for it"),))


def test_adoption_says_what_it_leaves_out_and_why(world, kit):
    stored, shop = world.connect("shop")
    observe(world, stored, shop, good=4, minus=-2, none=None)
    world.listing(stored, "late", "LATE", level=1)
    world.listing(stored, "t1", "TWICE", level=1)
    world.listing(stored, "t2", "TWICE", level=1)
    world.count("GOOD", 99, kit.at(-5))

    report = adopt_stock(world.hub, "shop")

    assert report == AdoptReport(
        adopted=0,
        already_counted=1,
        skipped=(
            SkippedSku("MINUS", "the channel shows less than nothing: count it and import the count"),
            SkippedSku("NONE", "the channel keeps no quantity for it (the channel keeps no level for it)"),
            SkippedSku("LATE", "its level was never read: sync the connection first"),
            SkippedSku("TWICE", "several listings show it: count it and import the count"),
        ),
    )
    assert world.on_hand("GOOD") == 99


def test_packs_are_adopted_in_units(world, kit):
    stored, _ = world.connect("shop")
    world.listing(stored, "six", "A", level=3, pack_size=6)
    world.order(stored, "o1", kit.Line("A", 2, listing_key="six"), placed_at=kit.at(-5))
    pull_stock(world.hub, "shop")

    adopt_stock(world.hub, "shop")

    assert world.on_hand("A") == 30


def test_adopting_twice_adopts_once(world):
    stored, shop = world.connect("shop")
    observe(world, stored, shop, a=10)
    adopt_stock(world.hub, "shop")

    assert adopt_stock(world.hub, "shop") == AdoptReport(0, 1, ())
    assert world.ledger("A") == [("count", 10, 0, 10)]
