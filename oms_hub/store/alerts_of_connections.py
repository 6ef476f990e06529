"""Alerts about connections: pulls that are too old, pushes that were rejected, levels that drifted.

What belongs here: what is compared with what. Not here: the alerts of SKUs and orders (`allocation_news`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text

from oms_hub.store.alerts import settle_alerts
from oms_hub.store.engine import Transaction

_KINDS = "('stale_pull', 'push_rejected', 'drift')"

_FOUND = """
found AS MATERIALIZED (
    SELECT 'stale_pull' AS kind, c.connection_id, c.name AS reference, CAST(NULL AS bigint) AS sku_id,
           0 AS units, 'The last good pull of ' || c.name || ' is too old: '
               || to_char(h.last_good_pull_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24\\:MI"Z"') AS message
    FROM hub.connections c JOIN hub.connection_health h USING (connection_id)
    WHERE c.merchant_id = :merchant_id AND c.state IN ('active', 'needs_reconnect')
      AND h.last_good_pull_at < :stale_before
    UNION ALL
    SELECT 'push_rejected', c.connection_id, c.name, NULL, count(*)::integer,
           c.name || ' refuses the levels of ' || min(e.reference)
               || CASE WHEN count(*) > 1 THEN ' and ' || count(*) - 1 || ' more' ELSE '' END
    FROM hub.exceptions e JOIN hub.connections c USING (connection_id)
    WHERE e.merchant_id = :merchant_id AND e.kind = 'push_rejected' AND e.state = 'open' AND c.state <> 'removed'
    GROUP BY c.connection_id, c.name
    UNION ALL
    SELECT 'drift', c.connection_id, c.name, NULL, count(DISTINCT d.listing_key)::integer,
           'Levels on ' || c.name || ' were not what they should be: ' || min(d.listing_key)
               || CASE WHEN count(DISTINCT d.listing_key) > 1
                       THEN ' and ' || count(DISTINCT d.listing_key) - 1 || ' more' ELSE '' END
    FROM hub.drifts d JOIN hub.connections c USING (connection_id)
    WHERE d.merchant_id = :merchant_id AND d.recorded_at > :drifted_after AND c.state <> 'removed'
    GROUP BY c.connection_id, c.name
)"""

_DIFFERS = f"""
WITH {_FOUND}
SELECT EXISTS (
    SELECT FROM found f FULL JOIN (
        SELECT * FROM hub.alerts WHERE merchant_id = :merchant_id AND state = 'open' AND kind IN {_KINDS}
    ) AS a ON a.kind = f.kind AND a.reference = f.reference AND a.connection_id = f.connection_id
    WHERE f.kind IS NULL OR a.kind IS NULL)
"""


def alert_on_connections(
    tx: Transaction, merchant_id: int, *, now: datetime, stale_after: timedelta, drift_for: timedelta
) -> tuple[int, int]:
    """Fire and clear the alerts of a merchant's connections; return how many of each.

    Args:
        tx: the transaction.
        merchant_id: whose connections.
        now: the instant, aware.
        stale_after: how old the last good pull may be. One that was never pulled well is not stale but new.
        drift_for: how long a drift stays worth an alert after it was found.
    """
    values = _values(now, stale_after, drift_for)
    return settle_alerts(tx, merchant_id, found=_FOUND, scope=f"a.kind IN {_KINDS}", values=values, now=now)


def connections_differ(
    tx: Transaction, merchant_id: int, *, now: datetime, stale_after: timedelta, drift_for: timedelta
) -> bool:
    """Return whether `alert_on_connections` would fire or clear anything."""
    values = {**_values(now, stale_after, drift_for), "merchant_id": merchant_id}
    return bool(tx.execute(text(_DIFFERS), values).scalar_one())


def _values(now: datetime, stale_after: timedelta, drift_for: timedelta) -> dict[str, datetime]:
    return {"stale_before": now - stale_after, "drifted_after": now - drift_for}
