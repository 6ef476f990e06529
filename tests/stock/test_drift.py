"""What no order explains in time is drift: told, fetched again, let go; booked where the connection counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from oms_hub.errors import RetryLater
from oms_hub.store.drift import listings_drifted
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_stock import pull_stock
from oms_hub.sync.settle_drift import settle_drift


@pytest.fixture
def shop(world, kit):
    """Give a shop in step with 10 of A, of which 3 then fell (or, with `level`, another change) without an order."""
    stored, fake = world.connect("shop")
    world.channels["shop"] = replace(world.channels["shop"], order_ids=None, order_lookup=None)
    world.listing(stored, "a", "A", level=10)
    world.count("A", 10, kit.at(-60))
    pull_stock(world.hub, "shop")
    plan_push(world.hub, "acme")
    deliver_push(world.hub, "shop")
    world.clean()
    return stored, fake


def change_to(world, shop, level, *, hours=3):
    shop[1].levels["a"] = level
    pull_stock(world.hub, "shop")
    world.clock.advance(hours * 3600)


def drifts(world, shop):
    with world.store.read() as tx:
        return list(listings_drifted(tx, shop[0].connection_id))


def test_what_fell_by_hand_leaves_the_flight_after_two_hours_and_is_overwritten(world, shop):
    change_to(world, shop, 7, hours=1.9)
    assert settle_drift(world.hub, "shop") == 0
    plan_push(world.hub, "acme")
    assert world.level("a")["desired"] == 7
    world.clock.advance(600)

    assert settle_drift(world.hub, "shop") == 1

    assert drifts(world, shop) == [("a", "manual_edit", "overwritten", 3, 0)]
    assert (world.level("a")["in_flight"], world.rows("SELECT * FROM hub.level_shifts")) == (0, [])
    assert world.dirty() == {"A"}
    plan_push(world.hub, "acme")
    deliver_push(world.hub, "shop")
    assert shop[1].levels["a"] == 10
    assert world.rows("SELECT recorded_at, expected, observed FROM hub.drifts")[0][0] == world.clock()
    assert settle_drift(world.hub, "shop") == 0


def test_what_rose_by_hand_is_overwritten_at_once_and_told_later(world, shop):
    change_to(world, shop, 15)
    plan_push(world.hub, "acme")
    assert world.outbox() == [("a", 15, 10)]

    assert settle_drift(world.hub, "shop") == 1

    assert drifts(world, shop) == [("a", "manual_edit", "overwritten", 0, 5)]


def test_a_connection_that_counts_has_its_edits_adopted(world, shop):
    world.run("UPDATE hub.connections SET role = 'counts'")
    change_to(world, shop, 15)
    plan_push(world.hub, "acme")
    assert (world.level("a")["desired"], world.outbox(), world.on_hand("A")) == (15, [], 10)

    settle_drift(world.hub, "shop")

    assert world.on_hand("A") == 15
    assert world.ledger("A")[-1] == ("adjustment", 5, 10, 15)
    world.assert_ledger_balances()
    plan_push(world.hub, "acme")
    assert (world.level("a")["desired"], world.outbox()) == (15, [])
    change_to(world, shop, 11)
    settle_drift(world.hub, "shop")
    assert world.on_hand("A") == 11
    assert drifts(world, shop)[0] == ("a", "manual_edit", "adopted", 4, 0)


def test_drift_is_told_apart_by_what_is_known_of_the_listing(world, shop):
    change_to(world, shop, 9)
    world.run("UPDATE hub.listing_levels SET last_error = 'refused'")
    settle_drift(world.hub, "shop")
    world.run("UPDATE hub.listings SET sku_id = NULL, link_state = 'ignored'")
    change_to(world, shop, 8)
    settle_drift(world.hub, "shop")

    assert drifts(world, shop) == [("a", "unmapped", "alerted", 1, 0), ("a", "failed_push", "overwritten", 1, 0)]


def test_the_orders_of_that_time_are_fetched_before_anything_is_let_go(world, shop, monkeypatch, kit):
    change_to(world, shop, 8)
    world.channels["shop"] = replace(
        world.channels["shop"], order_ids=lambda *_: iter(()), order_lookup=lambda *_: iter(())
    )
    asked = []

    def fetched(hub, name, *, placed_from, placed_to):
        asked.append((name, placed_from, placed_to))
        world.order(shop[0], "late", kit.Line("A", 2), placed_at=kit.at(1))
        return SimpleNamespace()

    monkeypatch.setattr("oms_hub.sync.settle_drift.reconcile_orders", fetched)
    monkeypatch.setattr("oms_hub.sync.settle_drift.normalise_orders", lambda hub, name: None)

    assert settle_drift(world.hub, "shop") == 0

    assert asked == [("shop", kit.NOON - timedelta(hours=1), world.clock())]
    assert (drifts(world, shop), world.level("a")["in_flight"]) == ([], 0)


def test_nothing_is_let_go_where_the_orders_cannot_be_fetched(world, shop, monkeypatch):
    change_to(world, shop, 8)
    world.channels["shop"] = replace(
        world.channels["shop"], order_ids=lambda *_: iter(()), order_lookup=lambda *_: iter(())
    )

    def away(*_arguments, **_options):
        raise RetryLater("the channel is away")

    monkeypatch.setattr("oms_hub.sync.settle_drift.reconcile_orders", away)

    with pytest.raises(RetryLater):
        settle_drift(world.hub, "shop")

    assert (drifts(world, shop), world.level("a")["in_flight"]) == ([], 2)
