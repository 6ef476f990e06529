"""What a step leaves behind: its run, its cursor, its connection's freshness."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import text

from oms_hub.store.connections import StoredConnection
from oms_hub.store.cursors import forget_cursor, read_cursor, write_cursor
from oms_hub.store.engine import Store
from oms_hub.store.health import ConnectionHealth, list_health, record_failure, record_good
from oms_hub.store.sync_runs import finish_run, latest_runs, start_run

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_cursor_moves_and_a_standing_one_touches_nothing(store: Store, connection: StoredConnection) -> None:
    own = {"connection_id": connection.connection_id, "merchant_id": connection.merchant_id}
    with store.begin() as tx:
        assert read_cursor(tx, connection.connection_id, "orders") == {}
        write_cursor(tx, **own, stream="orders", position={"page": 1, "seen": "ñ"})
    with store.begin() as tx:
        before = tx.execute(text("SELECT xmin::text, updated_at FROM hub.cursors")).one()
        write_cursor(tx, **own, stream="orders", position={"seen": "ñ", "page": 1})
        assert tx.execute(text("SELECT xmin::text, updated_at FROM hub.cursors")).one() == before
        write_cursor(tx, **own, stream="orders", position={"page": 2})
        write_cursor(tx, **own, stream="other", position={"page": 9})
        assert read_cursor(tx, connection.connection_id, "orders") == {"page": 2}
        forget_cursor(tx, connection.connection_id, "orders")
        assert read_cursor(tx, connection.connection_id, "orders") == {}
        assert read_cursor(tx, connection.connection_id, "other") == {"page": 9}


def test_a_run_ends_well_or_with_its_error(store: Store, connection: StoredConnection) -> None:
    own = {"connection_id": connection.connection_id, "merchant_id": connection.merchant_id}
    with store.begin() as tx:
        good = start_run(tx, **own, step="pull_orders")
        finish_run(tx, good, counts={"pages": 3})
        bad = start_run(tx, **own, step="pull_orders")
        finish_run(tx, bad, counts={"pages": 1}, error="the shop does not answer")
        runs = latest_runs(tx, connection_id=connection.connection_id)
    assert [(run.state, run.counts, run.error) for run in runs] == [
        ("failed", {"pages": 1}, "the shop does not answer"),
        ("succeeded", {"pages": 3}, ""),
    ]
    assert all(run.finished_at is not None for run in runs)


def test_a_run_that_nobody_ended_is_failed_by_the_next_one_of_its_connection(
    store: Store, connection: StoredConnection
) -> None:
    own = {"connection_id": connection.connection_id, "merchant_id": connection.merchant_id}
    with store.begin() as tx:
        start_run(tx, **own, step="pull_orders")
        start_run(tx, merchant_id=connection.merchant_id, connection_id=None, step="plan")
        start_run(tx, **own, step="normalise_orders")
        assert [(run.step, run.state) for run in latest_runs(tx)] == [
            ("normalise_orders", "running"),
            ("plan", "running"),
            ("pull_orders", "failed"),
        ]
        start_run(tx, merchant_id=connection.merchant_id, connection_id=None, step="plan")
        assert [(run.step, run.state, run.error) for run in latest_runs(tx, limit=3)] == [
            ("plan", "running", ""),
            ("normalise_orders", "running", ""),
            ("plan", "failed", "The process ended without a word"),
        ]


def test_failures_in_a_row_are_counted_until_the_next_good_pull(store: Store, connection: StoredConnection) -> None:
    own = {"connection_id": connection.connection_id, "merchant_id": connection.merchant_id}
    with store.begin() as tx:
        for message in ("first", "second"):
            record_failure(tx, **own, message=message, at=NOON)
        assert list_health(tx) == [
            ConnectionHealth(connection.connection_id, connection.merchant_id, None, None, NOON, "second", 2)
        ]
        record_good(tx, **own, what="pull", at=NOON)
        record_good(tx, **own, what="push", at=NOON)
        assert list_health(tx) == [
            ConnectionHealth(connection.connection_id, connection.merchant_id, NOON, NOON, NOON, "second", 0)
        ]


def test_health_is_kept_even_where_the_first_row_was_lost(store: Store, connection: StoredConnection) -> None:
    own = {"connection_id": connection.connection_id, "merchant_id": connection.merchant_id}
    with store.begin() as tx:
        tx.execute(text("DELETE FROM hub.connection_health"))
        record_failure(tx, **own, message="m", at=NOON)
        assert [each.consecutive_failures for each in list_health(tx)] == [1]
        tx.execute(text("DELETE FROM hub.connection_health"))
        record_good(tx, **own, what="pull", at=NOON)
        assert [each.last_good_pull_at for each in list_health(tx)] == [NOON]
