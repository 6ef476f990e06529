"""What handing out units leaves to tell: lines that wait for goods, SKUs that are oversold or low.

What belongs here: the exceptions and alerts of SKUs and orders that were just looked at. Not here: handing out
(`allocation`), the alerts of connections (`alerts_of_connections`), telling people (`oms_hub.sync.alerts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from oms_hub.store.alerts import settle_alerts
from oms_hub.store.allocation_lines import HELD_LINES, LINE_SKUS
from oms_hub.store.copy_text import text_array
from oms_hub.store.engine import Transaction
from oms_hub.store.movements import OrderKey

_GOODS_NAMED = 5

_WAITING = f"""
touched AS (
    SELECT * FROM unnest(CAST(:connections AS integer[]), CAST(:orders AS text[]))
        AS t (connection_id, channel_order_id)
),
found AS MATERIALIZED (
    SELECT 'backordered' AS kind, b.connection_id, b.channel_order_id AS reference, CAST(NULL AS bigint) AS sku_id,
           sum(b.units)::integer AS units,
           'Order ' || min(o.label) || ' waits for '
               || array_to_string((array_agg(b.units || ' of ' || s.sku ORDER BY s.sku))[1:{_GOODS_NAMED}], ', ')
               || CASE WHEN count(*) > {_GOODS_NAMED} THEN ' and more' ELSE '' END AS message
    FROM (
        SELECT connection_id, channel_order_id, sku_id, sum(units) AS units
        FROM touched JOIN hub.backorders USING (connection_id, channel_order_id) GROUP BY 1, 2, 3
    ) AS b
    JOIN hub.skus s USING (sku_id) JOIN hub.orders o USING (connection_id, channel_order_id)
    GROUP BY b.connection_id, b.channel_order_id
)"""

_QUEUE = f"""
WITH {_WAITING},
settled AS (
    UPDATE hub.exceptions e SET state = 'resolved', closed_at = :now, closed_reason = 'nothing of it is missing now'
    FROM touched t
    WHERE e.merchant_id = :merchant_id AND e.kind = 'out_of_stock' AND e.state = 'open'
      AND e.connection_id = t.connection_id AND e.reference = t.channel_order_id
      AND NOT EXISTS (SELECT FROM found f WHERE (f.connection_id, f.reference) = (t.connection_id, t.channel_order_id))
)
INSERT INTO hub.exceptions AS e (merchant_id, connection_id, kind, reference, message, remedy)
SELECT :merchant_id, connection_id, 'out_of_stock', reference, message,
       'Bring in the goods and count them, or cancel the line on the channel'
FROM found ORDER BY connection_id, reference
ON CONFLICT (merchant_id, (coalesce(connection_id, 0)), kind, reference) WHERE state = 'open' DO UPDATE
SET message = excluded.message, last_seen_at = :now WHERE e.message <> excluded.message
"""

_ORDERS_LOOKED_AT = """
a.kind = 'backordered' AND EXISTS (SELECT FROM touched t
                                   WHERE (t.connection_id, t.channel_order_id) = (a.connection_id, a.reference))"""

_LEVELS = f"""
{LINE_SKUS},
{HELD_LINES},
promised AS (SELECT sku_id, sum(allocated + reserved) AS units FROM held GROUP BY 1),
levels AS (
    SELECT s.sku_id, s.sku, b.units AS there, coalesce(p.units, 0) AS promised,
           b.units - coalesce(p.units, 0) AS available,
           (SELECT h.low_stock FROM hub.alert_thresholds h
            WHERE h.merchant_id = s.merchant_id AND coalesce(h.sku_id, s.sku_id) = s.sku_id
            ORDER BY h.sku_id IS NULL LIMIT 1) AS low_stock
    FROM touched
    JOIN hub.skus s USING (sku_id)
    JOIN (
        SELECT sku_id, sum(on_hand - unavailable) AS units FROM hub.balances
        WHERE sku_id = ANY(CAST(:sku_ids AS bigint[])) AND counted_at IS NOT NULL GROUP BY 1
    ) AS b USING (sku_id)
    LEFT JOIN promised p USING (sku_id)
),
found AS MATERIALIZED (
    SELECT 'oversold' AS kind, CAST(NULL AS integer) AS connection_id, sku AS reference, sku_id,
           (-available)::integer AS units,
           sku || ' is oversold by ' || -available || ': ' || promised || ' are promised and ' || there || ' are there'
               AS message
    FROM levels WHERE available < 0
    UNION ALL
    SELECT 'low_stock', NULL, sku, sku_id, available::integer,
           sku || ' is low: ' || available || ' available, the line is at ' || low_stock
    FROM levels WHERE available <= low_stock
)"""

_SKUS_LOOKED_AT = "a.kind IN ('oversold', 'low_stock') AND a.sku_id = ANY(CAST(:sku_ids AS bigint[]))"


def tell_of_backorders(
    tx: Transaction, merchant_id: int, orders: Sequence[OrderKey], *, now: datetime
) -> tuple[int, int]:
    """Bring exceptions and alerts in step with what some orders wait for; return how many alerts fired and cleared.

    Args:
        tx: the transaction that changed what they wait for.
        merchant_id: whose orders.
        orders: connection id and order id of each.
        now: the instant, aware.
    """
    if not orders:
        return 0, 0
    values: dict[str, Any] = {
        "connections": [connection_id for connection_id, _ in orders],
        "orders": text_array(order_id for _, order_id in orders),
    }
    tx.execute(text(_QUEUE), {**values, "merchant_id": merchant_id, "now": now})
    return settle_alerts(tx, merchant_id, found=_WAITING, scope=_ORDERS_LOOKED_AT, values=values, now=now)


def tell_of_levels(tx: Transaction, merchant_id: int, sku_ids: Sequence[int], *, now: datetime) -> tuple[int, int]:
    """Fire and clear `oversold` and `low_stock` of the SKUs that were looked at; return how many of each."""
    values = {"sku_ids": list(sku_ids)}
    return settle_alerts(tx, merchant_id, found=_LEVELS, scope=_SKUS_LOOKED_AT, values=values, now=now)
