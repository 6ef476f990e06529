"""Unpaid holds whose time is up: they free what they held.

What belongs here: finding and ending them. Not here: how long a hold lasts (`allocation_rules`), handing out what
became free (`allocation`).

A line whose hold has ended has `reserved_quantity` 0, so that it holds nothing anywhere. When its order is stored anew
and is still unpaid, the line holds again until the next allocation ends it; once it is paid it is allocated as any
other, at the place in the queue that its age gives it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.stock import mark_dirty

_LINES_AT_ONCE = 5_000

_OVERDUE = """
FROM hub.order_lines line
JOIN hub.orders o USING (connection_id, channel_order_id)
JOIN hub.connections c ON c.connection_id = line.connection_id
CROSS JOIN LATERAL (
    SELECT s.hold_minutes FROM hub.allocation_settings s
    WHERE s.merchant_id = line.merchant_id AND s.hold_minutes IS NOT NULL
      AND coalesce(s.connection_id, line.connection_id) = line.connection_id
      AND coalesce(s.channel, c.channel) = c.channel
    ORDER BY s.connection_id IS NULL, s.channel IS NULL LIMIT 1
) AS held
WHERE line.reserved_quantity > 0
  AND EXISTS (SELECT FROM hub.allocation_settings s
              WHERE s.merchant_id = line.merchant_id AND s.hold_minutes IS NOT NULL)
  AND o.placed_at + make_interval(mins => held.hold_minutes) <= :now"""

_EXPIRE = f"""
WITH overdue AS (
    SELECT line.connection_id, line.channel_order_id, line.line_id, line.merchant_id, line.sku_id,
           line.reserved_quantity AS units
    {_OVERDUE} AND line.merchant_id = :merchant_id
    LIMIT {_LINES_AT_ONCE} FOR UPDATE OF line SKIP LOCKED
),
ended AS (
    UPDATE hub.order_lines line SET reserved_quantity = 0 FROM overdue d
    WHERE (line.connection_id, line.channel_order_id, line.line_id)
        = (d.connection_id, d.channel_order_id, d.line_id)
),
kept AS (
    INSERT INTO hub.expired_holds (connection_id, channel_order_id, line_id, merchant_id, units, expired_at)
    SELECT connection_id, channel_order_id, line_id, merchant_id, units, :now FROM overdue
    ORDER BY connection_id, channel_order_id, line_id
    ON CONFLICT (connection_id, channel_order_id, line_id) DO UPDATE SET units = excluded.units
)
SELECT count(*), array_agg(DISTINCT sku_id) FILTER (WHERE sku_id IS NOT NULL) FROM overdue
"""


def merchants_with_overdue_holds(tx: Transaction, *, now: datetime) -> tuple[str, ...]:
    """Return names of merchants that have unpaid lines whose time is up, in order."""
    query = f"""
        SELECT name FROM hub.merchants m
        WHERE EXISTS (SELECT 1 {_OVERDUE} AND line.merchant_id = m.merchant_id) ORDER BY name
    """
    return tuple(tx.execute(text(query), {"now": now}).scalars())


def expire_holds(tx: Transaction, merchant_id: int, *, now: datetime) -> int:
    """End some thousands of holds whose time is up and mark their SKUs; return how many lines, 0 when none is left.

    Lines that another transaction is writing are left to the next time.
    """
    count, sku_ids = tx.execute(text(_EXPIRE), {"merchant_id": merchant_id, "now": now}).one()
    mark_dirty(tx, merchant_id, sku_ids or ())
    return int(count)
