"""Pulling: what lands, once, with its cursor, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
import pytest
from sqlalchemy import text

from oms_hub.channel.contract import Notice, RecordMode
from oms_hub.errors import BadPayload, Conflict, Misconfigured, NeedsReconnect, RetryLater, StoreUnavailable
from oms_hub.store.connections import StoredConnection, set_state
from oms_hub.store.engine import Store, parse_database_url
from oms_hub.store.exceptions import list_exceptions
from oms_hub.store.health import list_health
from oms_hub.store.leases import lease
from oms_hub.store.quarantine import list_quarantine
from oms_hub.store.raw_payloads import land_page, read_pages
from oms_hub.store.sync_runs import latest_runs
from oms_hub.sync.hub import Hub
from oms_hub.sync.pull_orders import PullReport, pull_orders

Order = Callable[..., dict[str, Any]]


def landed(store: Store) -> list[tuple[str, int]]:
    """Return (record id, page) of all raw records in landing order."""
    with store.read() as tx:
        rows = tx.execute(text("SELECT record_id, page_id FROM hub.raw_records ORDER BY page_id, position"))
        return [(row.record_id, row.page_id) for row in rows]


def raw_state(store: Store) -> list[Any]:
    """Return everything that a pull may write of raw data, transaction numbers included."""
    with store.read() as tx:
        return [
            tx.execute(text(f"SELECT xmin::text, * FROM hub.{table} ORDER BY 2, 3")).all()
            for table in ("raw_pages", "raw_records", "cursors")
        ]


def test_pages_land_as_they_came_with_their_records_and_cursor(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 5), make_order("2", 7))
    memory.page(make_order("3", 9))
    report = pull_orders(hub, "shop-1")
    size = sum(len(body) for _, body, _ in memory.feed)
    assert report == PullReport(
        pages=2, pages_stored=2, records=3, records_new=3, body_bytes=size, notices=0, cursor={"next": 2}
    )
    with hub.store.read() as tx:
        pages = read_pages(tx, [1, 2])
        assert [page.body for page in pages] == [body for _, body, _ in memory.feed]
        assert [(row.position, row.record_id) for page in pages for row in page.records] == [
            (0, "1"), (1, "2"), (0, "3"),
        ]  # fmt: skip
        assert pages[0].records[0].updated_at == datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
        assert [run.counts["records_new"] for run in latest_runs(tx)] == [3]
        (health,) = list_health(tx)
        assert health.last_good_pull_at == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_second_pull_goes_on_at_the_cursor(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"))
    pull_orders(hub, "shop-1")
    memory.page(make_order("2"))
    report = pull_orders(hub, "shop-1")
    assert (report.pages, report.records_new) == (1, 1)
    assert [request.cursor for request in memory.requests] == [{}, {"next": 1}]


def test_a_pull_without_news_writes_nothing(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"), make_order("2"))
    pull_orders(hub, "shop-1")
    before = raw_state(hub.store)
    assert pull_orders(hub, "shop-1") == PullReport(cursor={"next": 1})
    assert raw_state(hub.store) == before


def test_reading_the_same_again_stores_nothing_but_moves_the_cursor(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"), make_order("2"))
    pull_orders(hub, "shop-1")
    memory.feed.append((memory.feed[0][0], orjson.dumps([make_order("2"), make_order("1")]), ()))
    report = pull_orders(hub, "shop-1")
    assert (report.pages, report.pages_stored, report.records, report.records_new) == (1, 0, 2, 0)
    assert report.cursor == {"next": 2}
    assert landed(hub.store) == [("1", 1), ("2", 1)]


def test_of_a_page_that_overlaps_only_what_is_new_is_indexed(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"), make_order("2"))
    memory.page(make_order("2"), make_order("1", 5), make_order("3"))
    report = pull_orders(hub, "shop-1")
    assert report.records_new == 4
    assert landed(hub.store) == [("1", 1), ("2", 1), ("1", 2), ("3", 2)]


def test_a_record_that_goes_back_to_what_it_was_is_news(hub: Hub, memory: Any, make_order: Order) -> None:
    for state in ("open", "closed", "open"):
        memory.page(make_order("1", state=state))
    memory.page(make_order("1", state="closed"), make_order("1", state="closed"), make_order("1", state="open"))
    assert pull_orders(hub, "shop-1").records_new == 5


def test_a_tombstone_is_no_repeat_of_the_order(hub: Hub, memory: Any) -> None:
    memory.page({"id": "1"})
    memory.gone("1")
    memory.page({"id": "1"})
    assert pull_orders(hub, "shop-1").records_new == 3


def test_rows_that_add_up_are_all_news(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.record_mode = RecordMode.APPEND
    hub = replace(hub, channels={"practice": memory.channel})
    memory.page(make_order("1"), make_order("1"))
    memory.page(make_order("1"))
    assert pull_orders(hub, "shop-1").records_new == 3
    assert landed(hub.store) == [("1", 1), ("1", 1), ("1", 2)]


def test_a_joined_record_is_news_once_until_the_order_is_gone(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.record_mode = RecordMode.JOINED
    hub = replace(hub, channels={"practice": memory.channel})
    memory.page(make_order("1"), make_order("1", state="closed"), make_order("1"))
    memory.page(make_order("1", state="closed"), make_order("1"))
    memory.page()
    assert pull_orders(hub, "shop-1").records_new == 2
    memory.gone("1")
    memory.gone("1")
    memory.page(make_order("1"))
    memory.page(make_order("1"))
    assert pull_orders(hub, "shop-1").records_new == 2
    assert landed(hub.store) == [("1", 1), ("1", 1), ("1", 2), ("1", 3)]


def test_an_empty_page_with_notices_opens_them_and_stores_no_page(hub: Hub, memory: Any) -> None:
    memory.page(notices=(Notice("source_changed", "till.csv", "till.csv was replaced"),))
    report = pull_orders(hub, "shop-1")
    assert (report.pages, report.pages_stored, report.notices) == (1, 0, 1)
    with hub.store.read() as tx:
        assert [(each.kind, each.reference) for each in list_exceptions(tx)] == [("source_changed", "till.csv")]


def test_an_error_in_mid_walk_keeps_what_landed_and_the_next_pull_resumes_at_the_page(
    hub: Hub, memory: Any, make_order: Order
) -> None:
    for number in range(5):
        memory.page(make_order(str(number)))

    def fail_at_three(number: int) -> None:
        if number == 3:
            raise RetryLater("the shop does not answer")

    memory.before_page = fail_at_three
    with pytest.raises(RetryLater, match="does not answer"):
        pull_orders(hub, "shop-1")
    assert [record_id for record_id, _ in landed(hub.store)] == ["0", "1", "2"]
    with hub.store.read() as tx:
        (run,) = latest_runs(tx)
        assert (run.state, run.counts["pages"]) == ("failed", 3)
        assert run.error == "the shop does not answer. Nothing to do: the next sync tries again"
        assert [each.kind for each in list_exceptions(tx)] == ["sync_failed"]
        (health,) = list_health(tx)
        assert (health.last_good_pull_at, health.consecutive_failures) == (None, 1)
    memory.before_page = lambda _number: None
    assert pull_orders(hub, "shop-1").pages == 2
    assert memory.requests[-1].cursor == {"next": 3}
    assert [record_id for record_id, _ in landed(hub.store)] == ["0", "1", "2", "3", "4"]
    with hub.store.read() as tx:
        assert list_exceptions(tx) == []


@pytest.mark.parametrize("moment", ["page", "cursor", "commit"])
def test_a_page_and_its_cursor_land_together_or_not_at_all(
    hub: Hub, memory: Any, make_order: Order, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        memory.page(make_order(str(number)))
    calls = {"count": 0}

    def die_at_the_second(real: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*positional: Any, **named: Any) -> Any:
            calls["count"] += 1
            if calls["count"] == 2 and moment != "commit":
                raise KeyboardInterrupt
            result = real(*positional, **named)
            if calls["count"] == 2:
                raise KeyboardInterrupt
            return result

        return dying

    target = {"page": "land_page", "cursor": "write_cursor", "commit": "write_cursor"}[moment]
    original = getattr(__import__("oms_hub.sync.pull_orders", fromlist=["x"]), target)
    monkeypatch.setattr(f"oms_hub.sync.pull_orders.{target}", die_at_the_second(original))
    with pytest.raises(KeyboardInterrupt):
        pull_orders(hub, "shop-1")
    assert [record_id for record_id, _ in landed(hub.store)] == ["0"]
    monkeypatch.setattr(f"oms_hub.sync.pull_orders.{target}", original)
    assert pull_orders(hub, "shop-1").records_new == 2
    assert [record_id for record_id, _ in landed(hub.store)] == ["0", "1", "2"]


def test_a_page_that_cannot_be_read_is_kept_once_and_never_passed_over(
    hub: Hub, memory: Any, make_order: Order
) -> None:
    memory.page(make_order("1"))
    memory.feed.append(("orders", b'[{"id": "2", "chang', ()))
    memory.page(make_order("3"))
    for _ in range(2):
        with pytest.raises(BadPayload, match="a page is not JSON"):
            pull_orders(hub, "shop-1")
    with hub.store.read() as tx:
        assert tx.execute(text("SELECT kind, record_count FROM hub.raw_pages ORDER BY page_id")).all() == [
            ("orders", 1), ("unreadable_orders", 0),
        ]  # fmt: skip
        assert read_pages(tx, [2])[0].body == b'[{"id": "2", "chang'
        (kept,) = list_quarantine(tx, 1)
        assert (kept.record_id, kept.kind, kept.page_id, kept.attempts) == ("page", "unreadable_orders", 2, 2)
        assert {(each.kind, each.reference) for each in list_exceptions(tx)} == {
            ("bad_payload", "page"), ("sync_failed", "pull_orders"),
        }  # fmt: skip
    memory.feed[1] = ("orders", orjson.dumps([make_order("2")]), ())
    assert pull_orders(hub, "shop-1").records_new == 2
    with hub.store.read() as tx:
        assert list_quarantine(tx, 1) == []
        assert list_exceptions(tx) == []


@pytest.mark.parametrize("record_id", ["", "a\x00b", "a" * 601, "a\ud800"])
def test_a_record_whose_id_cannot_be_kept_is_known_by_its_place(
    hub: Hub, memory: Any, make_order: Order, record_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.page(make_order("1"), make_order("2"))
    split = memory.channel.split_page

    def odd(kind: str, body: bytes) -> list[Any]:
        records = list(split(kind, body))
        return [records[0], replace(records[1], record_id=record_id)]

    hub = replace(hub, channels={"practice": replace(memory.channel, split_page=odd)})
    assert pull_orders(hub, "shop-1").records_new == 2
    assert landed(hub.store) == [("1", 1), ("position:1", 1)]


def test_two_pulls_at_once_do_not_meet(hub: Hub, memory: Any, connection: StoredConnection) -> None:
    with (
        lease(hub.store, f"connection:{connection.connection_id}", holder="the other"),
        pytest.raises(Conflict, match="Another sync is working on connection shop-1"),
    ):
        pull_orders(hub, "shop-1")
    with hub.store.read() as tx:
        assert latest_runs(tx) == []
        assert list_exceptions(tx) == []


def test_a_pull_that_lost_its_lease_writes_nothing_more(hub: Hub, memory: Any, make_order: Order) -> None:
    for number in range(4):
        memory.page(make_order(str(number)))

    def lose_it(number: int) -> None:
        if number == 3:
            with hub.store.begin() as tx:
                tx.execute(text("UPDATE hub.leases SET fence = fence + 1"))

    memory.before_page = lose_it
    with pytest.raises(Conflict, match="was taken over"):
        pull_orders(hub, "shop-1")
    assert len(landed(hub.store)) < 4
    with hub.store.read() as tx:
        (run,) = latest_runs(tx)
        assert run.state == "failed"
        assert list_exceptions(tx) == []


def test_a_withdrawn_access_stops_the_connection_until_it_is_active_again(
    hub: Hub, memory: Any, make_order: Order, connection: StoredConnection
) -> None:
    memory.page(make_order("1"))

    def refuse(_number: int) -> None:
        raise NeedsReconnect("the shop refuses the key (401)")

    memory.before_page = refuse
    with pytest.raises(NeedsReconnect):
        pull_orders(hub, "shop-1")
    stored = hub.connection("shop-1")
    assert (stored.state, stored.state_reason) == ("needs_reconnect", "the shop refuses the key (401)")
    with hub.store.read() as tx:
        assert [(each.kind, each.reference) for each in list_exceptions(tx)] == [("needs_reconnect", "shop-1")]
    with pytest.raises(NeedsReconnect, match="waits for new credentials: the shop refuses the key"):
        pull_orders(hub, "shop-1")
    assert len(memory.requests) == 1
    memory.before_page = lambda _number: None
    with hub.store.begin() as tx:
        set_state(tx, connection.connection_id, "active")
    assert pull_orders(hub, "shop-1").records_new == 1


def test_a_paused_connection_is_not_pulled(hub: Hub, memory: Any, connection: StoredConnection) -> None:
    with hub.store.begin() as tx:
        set_state(tx, connection.connection_id, "paused")
    with pytest.raises(Misconfigured, match="Connection shop-1 is paused") as refused:
        pull_orders(hub, "shop-1")
    assert refused.value.remedy == "Resume it: oms-hub connections resume shop-1"
    assert memory.requests == []


def test_a_full_pull_walks_everything_again_and_stores_nothing_twice(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"))
    memory.page(make_order("2"))
    pull_orders(hub, "shop-1")
    since = datetime(2026, 1, 1, tzinfo=UTC)
    report = pull_orders(hub, "shop-1", is_full=True, placed_from=since)
    assert (report.pages, report.records_new) == (2, 0)
    assert (memory.requests[-1].is_full, memory.requests[-1].placed_from) == (True, since)


def test_an_unexpected_error_is_recorded_by_its_type_only(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"))

    def burst(_number: int) -> None:
        raise ZeroDivisionError("secret words")

    memory.before_page = burst
    with pytest.raises(ZeroDivisionError):
        pull_orders(hub, "shop-1")
    with hub.store.read() as tx:
        (run,) = latest_runs(tx)
        assert run.error == "Unexpected ZeroDivisionError in pull_orders"


def test_a_channel_without_orders_or_that_is_not_installed_is_said_so(hub: Hub, memory: Any) -> None:
    silent = replace(hub, channels={"practice": replace(memory.channel, order_source=None)})
    with pytest.raises(Misconfigured, match="Channel practice has no orders to pull"):
        pull_orders(silent, "shop-1")
    with pytest.raises(Misconfigured, match="is on channel 'practice', which is not installed") as refused:
        pull_orders(replace(hub, channels={}), "shop-1")
    assert refused.value.remedy == "Install its connector; installed: none"


def test_the_database_going_away_in_mid_walk_is_said_so_and_the_next_pull_goes_on(
    hub: Hub, memory: Any, make_order: Order, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        memory.page(make_order(str(number)))
    calls: list[int] = []

    def land_without_a_server(*positional: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            with psycopg.connect(server_url, autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    (parse_database_url(hub.store.database_url).database,),
                )
        return land_page(*positional, **named)

    monkeypatch.setattr("oms_hub.sync.pull_orders.land_page", land_without_a_server)
    with pytest.raises(StoreUnavailable, match="went away"):
        pull_orders(hub, "shop-1")
    assert [record_id for record_id, _ in landed(hub.store)] == ["0", "1"]
    assert pull_orders(hub, "shop-1").records_new == 2
    assert [record_id for record_id, _ in landed(hub.store)] == ["0", "1", "2", "3"]
