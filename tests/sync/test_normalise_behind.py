"""A large pull is normalised by a second process while it goes on; whatever that leaves undone, the next step does."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from oms_hub.channel.registry import load_channels
from oms_hub.channel.secrets import SecretBox
from oms_hub.errors import HubError, Misconfigured
from oms_hub.store.engine import open_store_at
from oms_hub.store.merchants import add_merchant
from oms_hub.sync import behind_process, normalise_behind
from oms_hub.sync.connect import NewConnection, store_new
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import normalise_orders
from oms_hub.sync.pull_orders import pull_orders
from oms_hub.sync.steps import running_step

ORDERS = 60
Order = Callable[..., dict[str, Any]]


@pytest.fixture
def shop(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Give a hub with a practice shop of sixty orders, and a second process that starts after ten."""
    monkeypatch.setattr(normalise_behind, "STARTS_AT_RECORDS", 10)
    channels = load_channels()
    sandbox_of = channels["woocommerce"].sandbox
    assert sandbox_of is not None
    sandbox = sandbox_of(orders=ORDERS, seed=3)
    hub = Hub(open_store_at(database_url), channels, SecretBox([bytes(32)]))
    with hub.store.begin() as tx:
        merchant = add_merchant(tx, "shop", currency="MXN", time_zone="America/Mexico_City")
    account = sandbox.account
    settings = {**account.settings, "page_size": "20"}
    store_new(hub, NewConnection("woocommerce", "shop", merchant, settings, account.secrets))
    yield hub
    hub.close()
    sandbox.close()


def orders_stored(hub: Hub) -> int:
    with hub.store.read() as tx:
        return int(tx.scalar(text("SELECT count(*) FROM hub.orders")) or 0)


def last_run(hub: Hub, step: str) -> dict[str, Any]:
    with hub.store.read() as tx:
        found = tx.scalar(
            text("SELECT counts FROM hub.sync_runs WHERE step = :step ORDER BY started_at DESC LIMIT 1"), {"step": step}
        )
    return dict(found or {})


def test_what_landed_is_normalised_when_the_pull_has_ended(shop: Hub) -> None:
    assert pull_orders(shop, "shop").records_new == ORDERS
    assert orders_stored(shop) == ORDERS


def test_the_step_after_the_pull_reports_and_checks_what_was_done_beside_it_once(shop: Hub) -> None:
    pull_orders(shop, "shop")
    report = normalise_orders(shop, "shop")
    assert (report.records, report.written, report.quarantined) == (ORDERS, ORDERS, 0)
    assert (last_run(shop, "normalise_orders")["written"], last_run(shop, "normalise_orders")["after_page_id"]) == (
        ORDERS,
        0,
    )
    again = normalise_orders(shop, "shop")
    assert (again.records, again.written) == (0, 0)
    assert last_run(shop, "normalise_orders")["after_page_id"] > 0


def test_a_replay_counts_anew(shop: Hub) -> None:
    pull_orders(shop, "shop")
    replayed = normalise_orders(shop, "shop", is_replay=True)
    assert (replayed.records, replayed.written) == (ORDERS, ORDERS)
    assert normalise_orders(shop, "shop").records == 0


def test_a_pull_that_fails_ends_the_process_and_the_next_step_does_the_rest(
    shop: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = shop.channels["woocommerce"]
    whole = channel.order_source
    assert whole is not None
    started: list[normalise_behind.NormaliserBehind] = []
    plain_start = normalise_behind.NormaliserBehind._start

    def remembered(behind: normalise_behind.NormaliserBehind) -> None:
        plain_start(behind)
        started.append(behind)

    def cut_off(session: Any, request: Any) -> Iterator[Any]:
        for number, page in enumerate(whole(session, request)):
            if number == 2:
                raise HubError("the line is dead")
            yield page

    monkeypatch.setattr(normalise_behind.NormaliserBehind, "_start", remembered)
    monkeypatch.setattr(normalise_behind, "_is_installed", lambda _channel: True)
    with pytest.raises(HubError, match="the line is dead"):
        pull_orders(replace(shop, channels={"woocommerce": replace(channel, order_source=cut_off)}), "shop")
    (behind,) = started
    assert behind._process is not None
    assert behind._process.returncode is not None
    normalise_orders(shop, "shop")
    pull_orders(shop, "shop")
    normalise_orders(shop, "shop")
    assert orders_stored(shop) == ORDERS


def test_a_process_that_cannot_work_is_told_of_and_costs_nothing(
    shop: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(normalise_behind, "_MODULE", "oms_hub.sync.no_such_module")
    with caplog.at_level(logging.WARNING):
        pull_orders(shop, "shop")
    assert "shop: normalising beside the pull ended early (exit code 1)" in caplog.text
    assert orders_stored(shop) == 0
    assert normalise_orders(shop, "shop").written == ORDERS


def test_a_process_that_does_not_end_is_ended(shop: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalise_behind, "_MODULE", "http.server")
    monkeypatch.setattr(normalise_behind, "_PATIENCE_SECONDS", 0.2)
    pull_orders(shop, "shop")
    assert normalise_orders(shop, "shop").written == ORDERS


# ------------------------------------------------------------------------------- the process itself, called directly


@pytest.fixture
def messages(hub: Hub, memory: Any, make_order: Order, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Give what the pull would say about three orders that landed in three pages."""
    monkeypatch.setattr(behind_process, "load_channels", lambda: hub.channels)
    for number in range(3):
        memory.page(make_order(str(number)))
    pull_orders(hub, "shop-1")

    def said(fence: int, *more: dict[str, Any], database_url: str = hub.store.database_url) -> list[str]:
        lease = {"name": f"connection:{hub.connection('shop-1').connection_id}", "holder": "a test", "fence": fence}
        first = {"database_url": database_url, "connection": "shop-1", "lease": lease, "landed": 3}
        return [json.dumps(message) for message in (first, *more)]

    return said


@pytest.fixture
def fence(hub: Hub) -> Iterator[int]:
    """Give the fence of a lease that is held."""
    with running_step(hub, hub.connection("shop-1"), "pull_orders") as run:
        yield run.lease.fence


def test_it_normalises_all_and_ends_when_told(hub: Hub, messages: Callable[..., list[str]], fence: int) -> None:
    assert behind_process.main(messages(fence, {"landed": 3}, {"end": True})) == 0
    assert orders_stored(hub) == 3


def test_it_gives_up_when_the_pull_is_gone(hub: Hub, messages: Callable[..., list[str]], fence: int) -> None:
    assert behind_process.main(messages(fence, {"landed": 3})) == 1


def test_it_stops_between_batches_when_the_pull_is_gone(
    hub: Hub, messages: Callable[..., list[str]], fence: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behind_process, "RECORDS_PER_BATCH", 1)
    told, stored = messages(fence), behind_process.NormaliseStep.store
    read, write = os.pipe()
    os.write(write, f"{told[0]}\n".encode())

    def then_cut(step: Any, batch: Any, *, cursor: int) -> Any:
        report = stored(step, batch, cursor=cursor)
        os.close(write)
        while not landed[0].abandoned.wait(0.01):
            pass
        return report

    landed: list[Any] = []
    made = behind_process._Landed
    monkeypatch.setattr(behind_process, "_Landed", lambda records: landed.append(made(records)) or landed[0])
    monkeypatch.setattr(behind_process.NormaliseStep, "store", then_cut)
    with os.fdopen(read) as lines:
        assert behind_process.main(lines) == 1
    assert orders_stored(hub) == 1


def test_it_writes_nothing_once_somebody_else_holds_the_lease(
    hub: Hub, messages: Callable[..., list[str]], fence: int
) -> None:
    assert behind_process.main(messages(fence - 1, {"end": True})) == 1
    assert orders_stored(hub) == 0


@pytest.mark.parametrize("lines", [[], ["no json"]])
def test_it_is_not_for_people(lines: list[str]) -> None:
    assert behind_process.main(lines) == 2


@pytest.mark.parametrize("ask", ["encrypt", "decrypt"])
def test_it_has_no_secrets(ask: str) -> None:
    with pytest.raises(Misconfigured, match="has no secrets"):
        getattr(behind_process._NoSecrets(), ask)(b"", b"")
