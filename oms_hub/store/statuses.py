"""What `oms-hub status`, schedules and checks ask about connections; read-only.

Not here: recording health (`health`), the report table `sync_health` (`report_health`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from oms_hub.store.engine import Transaction

FAILED_KINDS = ("bad_payload", "needs_reconnect", "orders_missing", "push_rejected", "sync_failed")
"""Kinds of exceptions that say that something failed; the others ask for a decision."""


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """One connection as an operator wants to see it.

    `backordered` are units of its open orders that are not there; `oversold` those of all of its merchant's goods;
    `in_flight` were sold there and no order tells yet; `drifted` are listings that drifted within a day.
    """

    name: str
    channel: str
    merchant: str
    state: str
    is_push_enabled: bool
    last_good_pull_at: datetime | None
    last_good_push_at: datetime | None
    consecutive_failures: int
    last_failure: str
    open_exceptions: int
    open_pushes: int
    dead_pushes: int
    backordered: int
    oversold: int
    in_flight: int
    drifted: int


_STATUSES = text("""
SELECT c.name, c.channel, m.name AS merchant, c.state, c.is_push_enabled, h.last_good_pull_at, h.last_good_push_at,
       coalesce(h.consecutive_failures, 0) AS consecutive_failures, coalesce(h.last_failure, '') AS last_failure,
       (SELECT count(*) FROM hub.exceptions e
        WHERE e.connection_id = c.connection_id AND e.state = 'open') AS open_exceptions,
       (SELECT count(*) FROM hub.outbox o
        WHERE o.connection_id = c.connection_id AND o.state = 'open') AS open_pushes,
       (SELECT count(*) FROM hub.outbox o
        WHERE o.connection_id = c.connection_id AND o.state = 'dead') AS dead_pushes,
       (SELECT coalesce(sum(b.units), 0)::bigint FROM hub.backorders b
        WHERE b.connection_id = c.connection_id) AS backordered,
       (SELECT coalesce(sum(a.units), 0)::bigint FROM hub.alerts a
        WHERE a.merchant_id = c.merchant_id AND a.kind = 'oversold' AND a.state = 'open') AS oversold,
       (SELECT coalesce(sum(v.in_flight), 0)::bigint FROM hub.listing_levels v
        WHERE v.merchant_id = c.merchant_id AND v.in_flight > 0 AND v.connection_id = c.connection_id) AS in_flight,
       (SELECT count(DISTINCT d.listing_key) FROM hub.drifts d
        WHERE d.merchant_id = c.merchant_id AND d.connection_id = c.connection_id
          AND d.recorded_at > now() - interval '1 day') AS drifted
FROM hub.connections c
JOIN hub.merchants m USING (merchant_id)
LEFT JOIN hub.connection_health h USING (connection_id)
WHERE c.state <> 'removed'
ORDER BY m.name, c.name
""")


def connection_statuses(tx: Transaction) -> Sequence[ConnectionStatus]:
    """Return the status of every connection that was not removed, by merchant and name."""
    return [ConnectionStatus(**row._mapping) for row in tx.execute(_STATUSES)]


@dataclass(frozen=True, slots=True)
class WaitingFailure:
    """Open exceptions of one kind that say that something failed; `connection` None: of the merchant as a whole."""

    merchant: str
    connection: str | None
    kind: str
    count: int
    example: str


def waiting_failures(tx: Transaction) -> Sequence[WaitingFailure]:
    """Return what failed and waits for a person, by merchant, connection and kind; the example is the newest."""
    query = """
        SELECT m.name, c.name, e.kind, count(*), (array_agg(e.message ORDER BY e.exception_id DESC))[1]
        FROM hub.exceptions e JOIN hub.merchants m USING (merchant_id) LEFT JOIN hub.connections c USING (connection_id)
        WHERE e.state = 'open' AND e.kind = ANY(CAST(:kinds AS text[])) AND coalesce(c.state, '') <> 'removed'
        GROUP BY 1, 2, 3 ORDER BY 1, 2 NULLS FIRST, 3
    """
    return [WaitingFailure(*row) for row in tx.execute(text(query), {"kinds": list(FAILED_KINDS)})]


def stale_connections(tx: Transaction, *, now: datetime, older_than_seconds: float) -> Sequence[str]:
    """Return names of active connections whose last good pull is older than the limit, or never was."""
    limit = now - timedelta(seconds=older_than_seconds)
    return [
        status.name
        for status in connection_statuses(tx)
        if status.state == "active" and (status.last_good_pull_at is None or status.last_good_pull_at < limit)
    ]


def listings_read_at(tx: Transaction, connection_id: int) -> datetime | None:
    """Return when a connection's listings were last read to the end, None if never."""
    found: datetime | None = tx.execute(
        text(
            "SELECT max(finished_at) FROM hub.sync_runs WHERE connection_id = :connection_id"
            " AND step = 'pull_listings' AND state = 'succeeded'"
        ),
        {"connection_id": connection_id},
    ).scalar_one()
    return found


def orders_compared_ago(tx: Transaction, connection_id: int) -> timedelta | None:
    """Return how long ago a connection's orders were compared with the channel's list, or else first pulled.

    By the database's clock alone, so that the machines of several workers agree. None before the first pull.
    """
    found: timedelta | None = tx.execute(
        text(
            "SELECT now() - coalesce(max(finished_at) FILTER (WHERE step = 'reconcile_orders'),"
            " min(finished_at) FILTER (WHERE step = 'pull_orders')) FROM hub.sync_runs"
            " WHERE connection_id = :connection_id AND step IN ('reconcile_orders', 'pull_orders')"
            " AND state = 'succeeded'"
        ),
        {"connection_id": connection_id},
    ).scalar_one()
    return found
