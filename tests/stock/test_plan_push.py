"""What a plan puts into the outbox, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oms_hub.channel.contract import Capabilities
from oms_hub.errors import Misconfigured
from oms_hub.store.goods import ChannelPlace, add_location, link_location, store_channel_places
from oms_hub.store.listing_links import ignore_listing
from oms_hub.sync.plan_push import PlannedChange, PlanReport, plan_push
from oms_hub.sync.pull_stock import pull_stock


def plan(world):
    return plan_push(world.hub, "acme")


def figures(report: PlanReport):
    return {
        name: getattr(report, name)
        for name in ("skus", "listings", "raised", "lowered", "unchanged", "held_back")
        if getattr(report, name)
    }


def acknowledge(world, key, level):
    world.run(
        "INSERT INTO hub.listing_levels (connection_id, listing_key, merchant_id, acknowledged) "
        "SELECT connection_id, listing_key, merchant_id, :level FROM hub.listings WHERE listing_key = :key "
        "ON CONFLICT (connection_id, listing_key) DO UPDATE SET acknowledged = excluded.acknowledged",
        key=key,
        level=level,
    )


def test_every_listing_is_offered_the_pool_and_told_what_changes(world, kit):
    world.share_everything()
    one, _ = world.connect("one")
    two, _ = world.connect("two")
    world.listing(one, "a", "A")
    world.listing(two, "b", "A")
    acknowledge(world, "b", 9)
    world.count("A", 10, kit.at(-60))
    world.order(one, "o1", kit.Line("A", 2))
    world.order(one, "o2", kit.Line("A", 1, reserved=1))

    report = plan(world)

    assert figures(report) == {"skus": 1, "listings": 2, "raised": 1, "lowered": 1}
    assert report.rows == (
        PlannedChange("one", "a", None, 7, "first"),
        PlannedChange("two", "b", 9, 7, "lowered"),
    )
    assert world.outbox() == [("a", None, 7), ("b", 9, 7)]
    assert (world.level("a")["desired"], world.level("b")["desired"]) == (7, 7)
    assert world.dirty() == set()


def test_a_second_plan_without_news_writes_nothing(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    world.count("A", 10, kit.at(-60))
    plan(world)
    before = world.rows("SELECT * FROM hub.outbox"), world.rows("SELECT * FROM hub.listing_levels")

    assert figures(plan(world)) == {}
    world.count("A", 10, kit.at(-50))
    assert figures(plan(world)) == {"skus": 1, "listings": 1, "unchanged": 1}

    assert (world.rows("SELECT * FROM hub.outbox"), world.rows("SELECT * FROM hub.listing_levels")) == before


def test_a_sku_without_a_count_is_never_planned(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    world.order(one, "o1", kit.Line("A", 2))

    assert figures(plan(world)) == {"skus": 1}
    assert world.outbox() == []
    assert world.level("a") == {}


@pytest.mark.parametrize("flaw", ["is_tracked", "is_writable", "is_active"])
def test_a_listing_that_may_not_be_written_is_never_planned(world, kit, flaw):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    world.run(f"UPDATE hub.listings SET {flaw} = false")
    world.count("A", 10, kit.at(-60))

    assert figures(plan(world)) == {"skus": 1}


def test_an_unlinked_listing_loses_its_open_push(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    world.count("A", 10, kit.at(-60))
    plan(world)

    with world.store.begin() as tx:
        ignore_listing(tx, world.merchant_id, one.connection_id, "a")

    assert world.outbox() == []
    assert world.outbox("superseded") == [("a", None, 10)]
    assert world.level("a")["desired"] is None


def test_a_channel_that_takes_no_levels_is_never_planned(world, kit):
    one, _ = world.connect("one", stock_sink=None)
    world.listing(one, "a", "A")
    world.count("A", 10, kit.at(-60))

    assert figures(plan(world)) == {"skus": 1}


def test_oversell_is_pushed_as_zero(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    world.count("A", 2, kit.at(-60))
    world.order(one, "o1", kit.Line("A", 5))

    plan(world)

    assert world.outbox() == [("a", None, 0)]


def test_a_six_pack_is_offered_in_whole_packs_and_its_orders_hold_units(world, kit):
    world.share_everything()
    one, _ = world.connect("one")
    world.listing(one, "six", "A", pack_size=6)
    world.listing(one, "single", "A")
    world.count("A", 30, kit.at(-60))
    world.order(one, "o1", kit.Line("A", 2, listing_key="six"))

    plan(world)

    assert sorted(world.outbox()) == [("single", None, 18), ("six", None, 3)]


def test_units_that_are_unavailable_or_held_elsewhere_come_off(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    with world.store.begin() as tx:
        store = add_location(tx, world.merchant_id, "store").location_id
        uncounted = add_location(tx, world.merchant_id, "uncounted").location_id
        store_channel_places(tx, one.connection_id, [ChannelPlace("s", "Store"), ChannelPlace("u", "Uncounted")])
        link_location(tx, one.connection_id, "s", store)
        link_location(tx, one.connection_id, "u", uncounted)
    world.count("A", 10, kit.at(-60))
    world.count("A", 5, kit.at(-60), location_id=store)
    world.run("UPDATE hub.balances SET unavailable = 1 WHERE location_id = :store", store=store)
    world.order(one, "at the store", kit.Line("A", 2, place="s"))
    world.order(one, "at an uncounted place", kit.Line("A", 3, place="u"))
    world.order(one, "nowhere yet", kit.Line("A", 1))

    plan(world)

    # store: 5 - 2 - 1 = 2, main: 10, without a counted place: 3 + 1
    assert world.outbox() == [("a", None, 8)]


def test_a_place_that_owes_more_than_it_has_takes_nothing_from_the_others(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    with world.store.begin() as tx:
        store = add_location(tx, world.merchant_id, "store").location_id
        store_channel_places(tx, one.connection_id, [ChannelPlace("s", "Store")])
        link_location(tx, one.connection_id, "s", store)
    world.count("A", 10, kit.at(-60))
    world.count("A", 0, kit.at(-60), location_id=store)
    world.order(one, "o1", kit.Line("A", 3, place="s"))

    plan(world)

    assert world.outbox() == [("a", None, 10)]


def test_a_level_never_pushed_is_compared_with_what_was_seen(world, kit):
    world.share_everything()
    one, _ = world.connect("one")
    world.listing(one, "same", "A", level=10)
    world.listing(one, "other", "A", level=4)
    pull_stock(world.hub, "one")
    world.count("A", 10, kit.at(-60))

    report = plan(world)

    assert report.rows == (PlannedChange("one", "other", 4, 10, "raised"),)
    assert world.level("same")["desired"] == 10


def test_the_newest_plan_wins_and_the_older_row_is_kept_as_superseded(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    acknowledge(world, "a", 10)
    world.count("A", 8, kit.at(-60))
    plan(world)
    world.count("A", 7, kit.at(-50))
    plan(world)

    assert world.outbox() == [("a", 10, 7)]
    assert world.outbox("superseded") == [("a", 10, 8)]

    world.count("A", 10, kit.at(-40))
    assert figures(plan(world)) == {"skus": 1, "listings": 1, "unchanged": 1}

    assert world.outbox() == []
    assert world.outbox("superseded") == [("a", 10, 8), ("a", 10, 7)]
    assert world.rows("SELECT count(idempotency_key) FROM hub.outbox") == [(0,)]


def test_a_push_without_an_answer_is_followed_by_a_new_one_even_to_the_old_level(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    acknowledge(world, "a", 10)
    world.count("A", 8, kit.at(-60))
    plan(world)
    world.run("UPDATE hub.outbox SET sent_at = now(), attempts = 1")
    world.count("A", 10, kit.at(-50))

    plan(world)

    assert world.outbox() == [("a", 10, 10)]


def test_after_a_failed_pull_the_skus_of_that_connection_only_go_down(world, kit):
    world.share_everything()
    good, _ = world.connect("good")
    bad, _ = world.connect("bad")
    for key, sku in (("a", "A"), ("b", "B"), ("c", "C")):
        world.listing(good, key, sku)
        acknowledge(world, key, 5)
    world.listing(bad, "a2", "A")
    world.listing(bad, "b2", "B")
    acknowledge(world, "a2", 0)
    acknowledge(world, "b2", 5)
    for sku, quantity in (("A", 9), ("B", 3), ("C", 9)):
        world.count(sku, quantity, kit.at(-60))
    world.pulled(bad, error="the channel is away")

    report = plan(world)

    assert figures(report) == {"skus": 3, "listings": 5, "raised": 1, "lowered": 2, "held_back": 2}
    assert sorted(world.outbox()) == [("b", 5, 3), ("b2", 5, 3), ("c", 5, 9)]
    assert world.dirty() == {"A"}
    assert world.level("a")["desired"] == 9

    world.pulled(bad)

    assert figures(plan(world)) == {"skus": 1, "listings": 2, "raised": 2}
    assert sorted(world.outbox())[:2] == [("a", 5, 9), ("a2", 0, 9)]


def test_a_raise_that_may_no_longer_happen_is_withdrawn(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    acknowledge(world, "a", 5)
    world.count("A", 9, kit.at(-60))
    plan(world)
    assert world.outbox() == [("a", 5, 9)]
    world.pulled(one, error="away")
    world.count("A", 8, kit.at(-50))

    assert figures(plan(world)) == {"skus": 1, "listings": 1, "held_back": 1}

    assert world.outbox() == []


def test_without_any_good_pull_nothing_goes_up_and_zero_may_be_pushed(world, kit):
    new, _ = world.connect("new", has_pulled=False)
    world.listing(new, "a", "A")
    world.listing(new, "b", "B")
    world.count("A", 9, kit.at(-60))
    world.count("B", 0, kit.at(-60))

    assert figures(plan(world)) == {"skus": 2, "listings": 2, "lowered": 1, "held_back": 1}
    assert world.outbox() == [("b", None, 0)]


def test_a_till_that_cannot_be_pulled_keeps_every_sku_from_going_up(world, kit):
    shop, _ = world.connect("shop")
    till, _ = world.connect("till", listing_source=None, stock_sink=None)
    world.listing(shop, "a", "A")
    world.count("A", 9, kit.at(-60))
    world.pulled(till, error="the file is gone")

    assert figures(plan(world)) == {"skus": 1, "listings": 1, "held_back": 1}


def test_a_till_that_was_never_pulled_holds_nobody_back(world, kit):
    shop, _ = world.connect("shop")
    world.connect("till", listing_source=None, stock_sink=None, has_pulled=False)
    world.listing(shop, "a", "A")
    world.count("A", 9, kit.at(-60))

    assert figures(plan(world)) == {"skus": 1, "listings": 1, "raised": 1}


@pytest.mark.parametrize("state", ["paused", "removed"])
def test_a_connection_out_of_service_holds_nobody_back(world, kit, state):
    world.share_everything()
    good, _ = world.connect("good")
    other, _ = world.connect("other", has_pulled=False)
    world.listing(good, "a", "A")
    world.listing(other, "a2", "A")
    world.count("A", 9, kit.at(-60))
    world.run("UPDATE hub.connections SET state = :state WHERE name = 'other'", state=state)

    plan(world)

    assert ("a", None, 9) in world.outbox()


def test_a_connection_that_waits_for_its_owner_holds_its_skus_back(world, kit):
    good, _ = world.connect("good")
    other, _ = world.connect("other")
    world.listing(good, "a", "A")
    world.listing(other, "a2", "A")
    world.count("A", 9, kit.at(-60))
    world.run("UPDATE hub.connections SET state = 'needs_reconnect' WHERE name = 'other'")

    assert figures(plan(world)) == {"skus": 1, "listings": 2, "held_back": 2}


def test_a_channel_that_has_no_orders_or_is_not_installed_holds_nobody_back(world, kit):
    good, _ = world.connect("good")
    for name in ("catalogue", "gone"):
        stored, _ = world.connect(name, has_pulled=False)
        world.listing(stored, name, "A")
    world.channels["catalogue"] = replace(world.channels["catalogue"], order_source=None)
    del world.channels["gone"]
    world.listing(good, "a", "A")
    world.count("A", 9, kit.at(-60))

    assert figures(plan(world)) == {"skus": 1, "listings": 2, "raised": 2}


def test_many_dirty_skus_are_planned_in_chunks_side_by_side(world, kit, monkeypatch):
    monkeypatch.setattr("oms_hub.sync.plan_push._SKUS_AT_ONCE", 7)
    monkeypatch.setattr("oms_hub.sync.plan_push._ROWS_TOLD", 20)
    one, _ = world.connect("one", capabilities=Capabilities(stock_batch_size=50))
    codes = [f"S{nth:03}" for nth in range(45)]
    for code in codes:
        world.listing(one, code, code)
    world.run(
        "INSERT INTO hub.balances (sku_id, location_id, merchant_id, on_hand, counted_at) "
        "SELECT sku_id, :main, merchant_id, 3, now() FROM hub.skus",
        main=world.main,
    )
    world.run("INSERT INTO hub.stock_dirty (sku_id, merchant_id) SELECT sku_id, merchant_id FROM hub.skus")

    report = plan(world)

    assert figures(report) == {"skus": 45, "listings": 45, "raised": 45}
    assert len(report.rows) == 20
    assert sorted(world.outbox()) == [(code, None, 3) for code in codes]
    assert world.dirty() == set()


def test_a_sku_that_is_being_changed_is_left_for_the_next_plan(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    world.count("A", 3, kit.at(-60))
    with world.store.begin() as tx:
        from oms_hub.store.stock import mark_dirty

        mark_dirty(tx, world.merchant_id, [world.sku_id("A")])
        assert figures(plan(world)) == {}

    assert figures(plan(world)) == {"skus": 1, "listings": 1, "raised": 1}


def test_an_unknown_merchant_is_refused(world):
    with pytest.raises(Misconfigured, match="no merchant 'nobody'"):
        plan_push(world.hub, "nobody")
