"""Alerts: what crossed a line. One open row per kind and reference: fired once, cleared on recovery, then fired again.

What belongs here: settling them, listing them, which are still to be told. Not here: what is compared with what
(`allocation_news`, `alerts_of_connections`), telling people (`oms_hub.sync.alerts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from oms_hub.store.engine import Transaction

KINDS = ("low_stock", "oversold", "backordered", "drift", "push_rejected", "stale_pull")


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert as the store keeps it. `units` counts what it is about: units, pushes, listings or seconds."""

    alert_id: int
    kind: str
    merchant: str
    connection: str | None
    reference: str
    units: int
    message: str
    state: str
    fired_at: datetime
    cleared_at: datetime | None
    told_at: datetime | None


_SETTLE = """
WITH {found},
cleared AS (
    UPDATE hub.alerts a SET state = 'cleared', cleared_at = :now
    WHERE a.merchant_id = :merchant_id AND a.state = 'open' AND {scope} AND NOT EXISTS (
        SELECT FROM found f WHERE f.kind = a.kind AND f.reference = a.reference
           AND f.connection_id IS NOT DISTINCT FROM a.connection_id)
    RETURNING 1
),
fired AS (
    INSERT INTO hub.alerts AS a (merchant_id, connection_id, kind, reference, sku_id, units, message, fired_at)
    SELECT :merchant_id, connection_id, kind, reference, sku_id, units, message, :now FROM found
    ORDER BY kind, connection_id, reference
    ON CONFLICT (merchant_id, (coalesce(connection_id, 0)), kind, reference) WHERE state = 'open' DO UPDATE
    SET units = excluded.units, message = excluded.message
    WHERE (a.units, a.message) IS DISTINCT FROM (excluded.units, excluded.message)
    RETURNING a.xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM fired WHERE is_new), (SELECT count(*) FROM cleared)
"""

_ALERTS = """
SELECT a.alert_id, a.kind, m.name, c.name, a.reference, a.units, a.message, a.state, a.fired_at, a.cleared_at, a.told_at
FROM hub.alerts a JOIN hub.merchants m USING (merchant_id) LEFT JOIN hub.connections c USING (connection_id)
"""


def settle_alerts(
    tx: Transaction, merchant_id: int, *, found: str, scope: str, values: Mapping[str, Any], now: datetime
) -> tuple[int, int]:
    """Fire the alerts that are found, and clear the open ones within a scope that are not.

    Args:
        tx: the transaction.
        merchant_id: whose they are.
        found: common table expressions of our own, the last of them `found` with the columns `kind, connection_id,
            reference, sku_id, units, message`.
        scope: a condition on `hub.alerts a`: which open alerts were looked at.
        values: parameters of both.
        now: the instant of firing and clearing, aware.

    Returns:
        How many were fired, and how many cleared.
    """
    statement = text(_SETTLE.format(found=found, scope=scope))
    fired, cleared = tx.execute(statement, {**values, "merchant_id": merchant_id, "now": now}).one()
    return int(fired), int(cleared)


def list_alerts(
    tx: Transaction, *, merchant: str | None = None, state: str | None = "open", kind: str | None = None, limit: int
) -> Sequence[StoredAlert]:
    """Return alerts, the newest first; `state` None means in whatever state."""
    query = f"""
        {_ALERTS}
        WHERE m.name = coalesce(CAST(:merchant AS text), m.name) AND a.state = coalesce(CAST(:state AS text), a.state)
          AND a.kind = coalesce(CAST(:kind AS text), a.kind)
        ORDER BY a.alert_id DESC LIMIT :limit
    """
    rows = tx.execute(text(query), {"merchant": merchant, "state": state, "kind": kind, "limit": limit})
    return [StoredAlert(*row) for row in rows]


def untold_alerts(tx: Transaction, *, limit: int) -> Sequence[StoredAlert]:
    """Return open alerts that nobody was told of yet, the oldest first."""
    query = f"{_ALERTS} WHERE a.state = 'open' AND a.told_at IS NULL ORDER BY a.alert_id LIMIT :limit"
    return [StoredAlert(*row) for row in tx.execute(text(query), {"limit": limit})]


def has_untold_alerts(tx: Transaction) -> bool:
    """Return whether anybody is still to be told of an open alert."""
    query = "SELECT EXISTS (SELECT FROM hub.alerts WHERE state = 'open' AND told_at IS NULL)"
    return bool(tx.execute(text(query)).scalar_one())


def mark_told(tx: Transaction, alert_ids: Sequence[int], *, at: datetime) -> None:
    """Write down that the notifier took these alerts."""
    statement = "UPDATE hub.alerts SET told_at = :at WHERE alert_id = ANY(CAST(:ids AS bigint[]))"
    tx.execute(text(statement), {"ids": list(alert_ids), "at": at})
