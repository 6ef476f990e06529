"""Reconciling: what the channel has beside what we have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.exceptions import list_exceptions
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import normalise_orders
from oms_hub.sync.pull_orders import pull_orders
from oms_hub.sync.reconcile_orders import ReconcileReport, reconcile_orders, reconciling_is_due
from oms_hub.sync.sync_connection import sync_connection

Order = Callable[..., dict[str, Any]]
FROM, TO = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)


def reconcile(hub: Hub) -> ReconcileReport:
    report = reconcile_orders(hub, "shop-1", placed_from=FROM, placed_to=TO)
    normalise_orders(hub, "shop-1")
    return report


def states(hub: Hub) -> dict[str, str]:
    with hub.store.read() as tx:
        return {row.channel_order_id: row.state for row in tx.execute(text("SELECT * FROM hub.orders"))}


def test_the_missing_are_fetched_and_the_gone_are_buried(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"), make_order("2"), make_order("3"), make_order("far", placed=100_000))
    pull_orders(hub, "shop-1")
    normalise_orders(hub, "shop-1")
    memory.listed = ["1", "4", "5"]
    memory.at_channel = {order_id: make_order(order_id, 1) for order_id in ("1", "3", "4", "5")}
    assert reconcile(hub) == ReconcileReport(channel_orders=3, missing=2, vanished=1)
    assert memory.asked_for == ["4", "5", "2", "3"]
    assert states(hub) == {"1": "open", "2": "cancelled", "3": "open", "4": "open", "5": "open", "far": "open"}
    with hub.store.read() as tx:
        cursor = tx.scalar(text("SELECT position FROM hub.cursors WHERE stream = 'orders'"))
    assert cursor == {"next": 1}


def test_what_agrees_asks_for_nothing(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"), make_order("far", placed=100_000))
    pull_orders(hub, "shop-1")
    normalise_orders(hub, "shop-1")
    memory.listed = ["1", "far"]
    assert reconcile(hub) == ReconcileReport(channel_orders=2, missing=0, vanished=0)
    assert memory.asked_for == []


def test_an_order_that_had_vanished_and_is_listed_again_is_fetched(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"))
    memory.gone("1")
    pull_orders(hub, "shop-1")
    normalise_orders(hub, "shop-1")
    memory.listed = ["1"]
    memory.at_channel = {"1": make_order("1")}
    assert reconcile(hub) == ReconcileReport(channel_orders=1, missing=1, vanished=0)
    assert states(hub) == {"1": "open"}


def test_a_listed_order_that_is_not_given_is_an_exception_until_it_is(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.listed = ["1"]
    silent = replace(hub, channels={"practice": replace(memory.channel, order_lookup=lambda _session, _ids: iter(()))})
    assert reconcile_orders(silent, "shop-1", placed_from=FROM, placed_to=TO).missing == 1
    with hub.store.read() as tx:
        (found,) = list_exceptions(tx)
    assert (found.kind, found.reference) == ("orders_missing", "1")
    assert found.message == "The channel lists order 1 and does not give it"
    memory.at_channel = {"1": make_order("1")}
    reconcile(hub)
    with hub.store.read() as tx:
        assert [each.kind for each in list_exceptions(tx)] == ["unmapped_sku"]


@pytest.mark.parametrize("lacks", ["order_ids", "order_lookup"])
def test_a_channel_that_cannot_list_its_orders_says_so(hub: Hub, memory: Any, lacks: str) -> None:
    poor = replace(hub, channels={"practice": replace(memory.channel, **{lacks: None})})
    with pytest.raises(Misconfigured, match="Channel practice cannot list its orders"):
        reconcile_orders(poor, "shop-1", placed_from=FROM, placed_to=TO)


def test_a_connections_sync_compares_once_a_day(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"))
    sync_connection(hub, "shop-1")
    memory.listed = ["1", "4"]
    memory.at_channel = {"4": make_order("4", 1)}
    sync_connection(hub, "shop-1")
    assert memory.asked_for == []
    with hub.store.begin() as tx:
        tx.execute(text("UPDATE hub.sync_runs SET finished_at = finished_at - interval '1 day'"))
    sync_connection(hub, "shop-1")
    assert (memory.asked_for, states(hub)) == (["4"], {"1": "open", "4": "open"})
    sync_connection(hub, "shop-1")
    assert memory.asked_for == ["4"]


def test_a_channel_that_cannot_list_its_orders_is_never_compared(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"))
    sync_connection(hub, "shop-1")
    with hub.store.begin() as tx:
        tx.execute(text("UPDATE hub.sync_runs SET finished_at = finished_at - interval '1 day'"))
    blind = replace(hub, channels={name: replace(each, order_ids=None) for name, each in hub.channels.items()})
    assert not reconciling_is_due(blind, blind.connection("shop-1"))
    assert reconciling_is_due(hub, hub.connection("shop-1"))
