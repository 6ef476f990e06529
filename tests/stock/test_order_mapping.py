"""Lines find their SKU, at once or later, and everything that follows from it follows without a new pull."""

from __future__ import annotations

from datetime import date

import pytest

from oms_hub.errors import Misconfigured
from oms_hub.store.goods import add_skus
from oms_hub.store.listing_links import Link, LinkCounts, ignore_listing, link_by_hand, link_listings
from oms_hub.store.listings import ListingRow, deactivate_unseen, list_listings, readable_listings, upsert_listings
from oms_hub.store.stock import map_order_lines, mark_connection_dirty


def sku_of(world, order_id, line_id="1"):
    rows = world.rows(
        "SELECT s.sku FROM hub.order_lines l LEFT JOIN hub.skus s USING (sku_id) "
        "WHERE channel_order_id = :o AND line_id = :l",
        o=order_id,
        l=line_id,
    )
    return rows[0][0]


def store_listings(world, stored, *rows, seen_at=None):
    with world.store.begin() as tx:
        return upsert_listings(tx, stored.connection_id, rows, seen_at=seen_at or world.clock())


def link(world, stored):
    with world.store.begin() as tx:
        return link_listings(tx, world.merchant_id, stored.connection_id)


def by_hand(world, stored, *links, **options):
    with world.store.begin() as tx:
        return link_by_hand(tx, world.merchant_id, stored.connection_id, links, **options)


def states(world, stored):
    with world.store.read() as tx:
        rows = list_listings(tx, world.merchant_id, connection_id=stored.connection_id)
    return {row.listing_key: (row.link_state, row.sku) for row in rows}


def test_a_listings_link_comes_before_the_text_of_the_line(world, kit):
    shop, _ = world.connect("shop")
    world.listing(shop, "k1", "A")
    world.skus("B")

    world.order(shop, "o1", kit.Line("B", listing_key="k1"))
    world.order(shop, "o2", kit.Line("B"))
    world.order(shop, "o3", kit.Line("b"))

    assert [sku_of(world, order) for order in ("o1", "o2", "o3")] == ["A", "B", None]


def test_an_unknown_sku_keeps_its_order_and_opens_one_exception_per_text(world, kit):
    shop, _ = world.connect("shop")

    first = world.order(
        shop, "o1", kit.Line("X"), kit.Line("X", line_id="2"), kit.Line(None, line_id="3", listing_key="k9")
    )
    world.order(shop, "o2", kit.Line("X"), kit.Line(None, line_id="2"))
    world.order(shop, "o3", kit.Line("GIFT", needs_stock=False))

    assert (first.mapped_lines, first.unmapped_lines) == (0, 3)
    assert world.exceptions() == [("unmapped_sku", ""), ("unmapped_sku", "X"), ("unmapped_sku", "k9")]


def test_mapping_later_completes_stock_holds_and_report_days_and_closes_the_exception(world, kit):
    shop, _ = world.connect("shop")
    world.order(
        shop, "o1", kit.Line("A", 5, shipped=[(2, kit.at(-10))], returned=[(1, kit.at(600))]), placed_at=kit.at(-600)
    )
    world.run("DELETE FROM hub.touched_days")
    world.skus("A")
    world.count("A", 10, kit.at(-60))
    world.clean()

    with world.store.begin() as tx:
        mapped = map_order_lines(tx, world.merchant_id)

    assert (mapped.mapped_lines, mapped.movements) == (1, 2)
    assert world.on_hand("A") == 9
    assert world.dirty() == {"A"}
    assert world.exceptions() == []
    assert world.exceptions("resolved") == [("unmapped_sku", "A")]
    days = world.rows("SELECT business_date FROM hub.touched_days ORDER BY 1")
    assert [row[0] for row in days] == [date(2026, 11, 21), date(2026, 11, 22)]


def test_mapping_twice_adds_nothing(world, kit):
    shop, _ = world.connect("shop")
    world.order(shop, "o1", kit.Line("A", 1))
    world.skus("A")
    with world.store.begin() as tx:
        map_order_lines(tx, world.merchant_id)

    with world.store.begin() as tx:
        again = map_order_lines(tx, world.merchant_id)

    assert (again.mapped_lines, again.movements) == (0, 0)


def test_listings_with_a_code_are_linked_and_make_their_sku(world):
    shop, _ = world.connect("shop")
    store_listings(
        world,
        shop,
        ListingRow("1", "A", "Red shirt", barcode="750"),
        ListingRow("2", " ", "No code"),
        ListingRow("3", None, "None"),
    )

    counts = link(world, shop)

    assert counts == LinkCounts(linked=1, unmapped=2, duplicates=0)
    assert states(world, shop) == {"1": ("automatic", "A"), "2": ("unmapped", None), "3": ("unmapped", None)}
    assert world.rows("SELECT sku, title, barcode FROM hub.skus") == [("A", "Red shirt", "750")]


def test_two_pushable_listings_with_one_code_wait_for_a_person(world):
    shop, _ = world.connect("shop")
    store_listings(world, shop, ListingRow("1", "A", ""), ListingRow("2", "A", ""), ListingRow("3", "B", ""))

    assert link(world, shop) == LinkCounts(linked=1, unmapped=0, duplicates=2)
    assert link(world, shop) == LinkCounts(linked=1, unmapped=0, duplicates=2)
    assert world.exceptions() == [("duplicate_sku", "A")]
    assert world.rows("SELECT occurrences FROM hub.exceptions")[0][0] == 1

    by_hand(world, shop, Link("1", "A"), Link("2", "A", 6))

    assert states(world, shop) == {"1": ("manual", "A"), "2": ("manual", "A"), "3": ("automatic", "B")}
    assert world.exceptions() == []
    assert link(world, shop) == LinkCounts(linked=3, unmapped=0, duplicates=0)


def test_what_cannot_be_pushed_makes_no_duplicate(world):
    shop, _ = world.connect("shop")
    store_listings(
        world,
        shop,
        ListingRow("own", "A", ""),
        ListingRow("theirs", "A", "", is_writable=False),
        ListingRow("gone", "A", "", is_active=False),
        ListingRow("loose", "A", "", is_tracked=False),
    )

    link(world, shop)

    assert set(states(world, shop).values()) == {("automatic", "A")}


def test_a_listing_that_a_pull_no_longer_tells_turns_inactive_and_frees_its_twin(world, kit):
    shop, _ = world.connect("shop")
    store_listings(world, shop, ListingRow("1", "A", ""), ListingRow("2", "A", ""))
    link(world, shop)
    world.clock.advance(60)
    store_listings(world, shop, ListingRow("1", "A", ""))

    with world.store.begin() as tx:
        assert deactivate_unseen(tx, shop.connection_id, seen_at=world.clock()) == 1
        counts = link_listings(tx, world.merchant_id, shop.connection_id)

    assert counts == LinkCounts(linked=1, unmapped=0, duplicates=0)
    assert world.exceptions() == []
    with world.store.read() as tx:
        assert [row.listing_key for row in readable_listings(tx, shop.connection_id, after="", limit=9)] == ["1"]


def test_a_listing_whose_code_changes_is_linked_anew_and_its_orders_follow(world, kit):
    shop, _ = world.connect("shop")
    store_listings(world, shop, ListingRow("1", "A", ""))
    link(world, shop)
    world.skus("B")
    world.count("A", 10, kit.at(-60))
    world.count("B", 10, kit.at(-60))
    world.order(shop, "o1", kit.Line("A", 3, listing_key="1", shipped=[(2, kit.at(-10))]))

    store_listings(world, shop, ListingRow("1", "B", ""))
    link(world, shop)

    assert states(world, shop) == {"1": ("automatic", "B")}
    assert sku_of(world, "o1") == "B"
    assert (world.on_hand("A"), world.on_hand("B")) == (10, 8)
    assert world.dirty() == {"A", "B"}
    world.assert_ledger_balances()


def test_a_pack_size_set_by_hand_reaches_what_was_sold_before(world, kit):
    shop, _ = world.connect("shop")
    world.listing(shop, "six", "A")
    world.count("A", 30, kit.at(-60))
    world.order(shop, "o1", kit.Line("A", 2, listing_key="six", shipped=[(2, kit.at(-10))]))
    assert world.on_hand("A") == 28

    by_hand(world, shop, Link("six", "A", 6))

    assert world.on_hand("A") == 18
    assert link(world, shop) == LinkCounts(1, 0, 0)
    assert states(world, shop) == {"six": ("manual", "A")}


def test_a_hand_link_to_an_unknown_sku_or_listing_changes_nothing(world):
    shop, _ = world.connect("shop")
    world.listing(shop, "k", "A")

    with pytest.raises(Misconfigured, match="no SKU B"):
        by_hand(world, shop, Link("k", "B"))
    with pytest.raises(Misconfigured, match="no listing nope"):
        by_hand(world, shop, Link("nope", "A"))
    with pytest.raises(Misconfigured, match="pack size 0"):
        by_hand(world, shop, Link("k", "A", 0))

    assert states(world, shop) == {"k": ("automatic", "A")}
    by_hand(world, shop, Link("k", "B"), create_skus=True)
    assert states(world, shop) == {"k": ("manual", "B")}


def test_an_ignored_listing_takes_no_stock_and_asks_nobody(world, kit):
    shop, _ = world.connect("shop")
    store_listings(world, shop, ListingRow("k", "A", ""), ListingRow("twin", "A", ""))
    link(world, shop)
    world.count("A", 10, kit.at(-60))
    world.order(shop, "o1", kit.Line("A", 1, listing_key="k", shipped=[(1, kit.at(-10))]))
    world.order(shop, "o2", kit.Line("ZZ", 1, listing_key="k"))
    assert world.on_hand("A") == 9

    with world.store.begin() as tx:
        ignore_listing(tx, world.merchant_id, shop.connection_id, "k")

    assert states(world, shop) == {"k": ("ignored", None), "twin": ("automatic", "A")}
    assert world.on_hand("A") == 10
    assert world.exceptions() == []
    assert world.order(shop, "o3", kit.Line("A", 1, listing_key="k")).unmapped_lines == 0


def test_listings_that_become_unpushable_mark_their_sku(world):
    shop, _ = world.connect("shop")
    store_listings(world, shop, ListingRow("1", "A", ""), ListingRow("2", "B", ""))
    link(world, shop)
    world.clean()

    store_listings(world, shop, ListingRow("1", "A", "", is_tracked=False), ListingRow("2", "B", "new title"))

    assert world.dirty() == {"A"}


def test_all_linked_skus_of_a_connection_can_be_marked(world):
    shop, _ = world.connect("shop")
    other, _ = world.connect("other")
    world.listing(shop, "1", "A")
    world.listing(shop, "2", None)
    world.listing(other, "1", "B")
    world.clean()

    with world.store.begin() as tx:
        mark_connection_dirty(tx, shop.connection_id)

    assert world.dirty() == {"A"}


def test_listings_are_listed_by_connection_and_state(world):
    shop, _ = world.connect("shop")
    other, _ = world.connect("other")
    world.listing(shop, "1", "A")
    world.listing(other, "2", None)

    with world.store.read() as tx:
        assert [row.connection for row in list_listings(tx, world.merchant_id)] == ["other", "shop"]
        assert [row.listing_key for row in list_listings(tx, world.merchant_id, link_state="unmapped")] == ["2"]


def test_adding_skus_twice_adds_them_once(world):
    with world.store.begin() as tx:
        assert add_skus(tx, world.merchant_id, ["A", "B", "A"]) == 2
        assert add_skus(tx, world.merchant_id, ["B", "C"]) == 1
