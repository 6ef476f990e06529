"""What stands behind a figure of a report: the orders, refunds, payments or movements of a day, one row each.

What belongs here: one SQL statement per report that has days, with the rules of that report, so that its rows add up to
the report's figures. Not here: explaining one order or one SKU (`oms_hub.sync.explain`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

from sqlalchemy import text

from oms_hub.store.engine import Transaction

_COUNTS = "NOT o.is_test AND NOT o.is_draft AND o.vanished_at IS NULL"
_OWNERS = """
    JOIN hub.connections c ON c.connection_id = o.connection_id
    JOIN hub.merchants m ON m.merchant_id = o.merchant_id"""
_ON_DAY = """
      AND {instant} >= CAST(:day AS timestamp) AT TIME ZONE m.time_zone - interval '3 hours'
      AND {instant} < CAST(CAST(:day AS date) + 1 AS timestamp) AT TIME ZONE m.time_zone + interval '3 hours'
      AND ({instant} AT TIME ZONE m.time_zone)::date = :day
      AND (CAST(:merchant AS text) IS NULL OR m.name = :merchant)
      AND (CAST(:connection AS text) IS NULL OR c.name = :connection)"""
_SKU = "(CAST(:sku AS text) IS NULL OR coalesce(k.sku, l.channel_sku, '') = :sku)"

_PLACED = f"""
    SELECT m.name AS merchant, c.name AS connection, o.channel_order_id AS "order", o.label,
           CASE WHEN NOT o.is_sale THEN 'cancelled, no sale' WHEN o.state = 'cancelled' THEN 'cancelled sale'
                ELSE 'sale' END AS what, o.placed_at AS at, o.currency,
           CASE WHEN o.is_sale THEN coalesce(g.units, 0) ELSE 0 END::bigint AS units,
           CASE WHEN o.is_sale THEN coalesce(g.net, 0) ELSE 0 END AS net_sales,
           CASE WHEN o.is_sale THEN o.total ELSE 0 END AS total_sales
    FROM hub.orders o {_OWNERS}
    LEFT JOIN LATERAL (
        SELECT sum(l.quantity) AS units, sum(l.gross_amount - l.discount_amount - l.order_discount_amount) AS net
        FROM hub.order_lines l
        WHERE l.connection_id = o.connection_id AND l.channel_order_id = o.channel_order_id) g ON true
    WHERE {_COUNTS} AND o.kind <> 'credit_note' AND (o.is_sale OR o.state = 'cancelled')
    {_ON_DAY.format(instant="o.placed_at")}"""

_REFUNDED = f"""
    SELECT m.name AS merchant, c.name AS connection, o.channel_order_id AS "order", o.label,
           'refund ' || f.refund_id AS what, f.refunded_at AS at, o.currency, 0::bigint AS units,
           -(coalesce(g.amount, 0) + f.other_amount) AS net_sales,
           -(coalesce(g.amount + g.tax, 0) + f.other_amount + f.shipping_amount + f.shipping_tax_amount) AS total_sales
    FROM hub.refunds f
    JOIN hub.orders o ON o.connection_id = f.connection_id AND o.channel_order_id = f.channel_order_id {_OWNERS}
    LEFT JOIN LATERAL (
        SELECT sum(b.amount) AS amount, sum(b.tax_amount) AS tax FROM hub.refund_lines b
        WHERE b.connection_id = f.connection_id AND b.channel_order_id = f.channel_order_id
          AND b.refund_id = f.refund_id) g ON true
    WHERE {_COUNTS} AND (o.is_sale OR o.kind = 'credit_note') {_ON_DAY.format(instant="f.refunded_at")}"""

_SKU_SALES = f"""
    SELECT m.name AS merchant, c.name AS connection, o.channel_order_id AS "order", o.label, 'sale' AS what,
           o.placed_at AS at, o.currency, coalesce(k.sku, l.channel_sku, '') AS sku, l.quantity::bigint AS units,
           l.gross_amount - l.discount_amount - l.order_discount_amount AS net_sales
    FROM hub.orders o {_OWNERS}
    JOIN hub.order_lines l ON l.connection_id = o.connection_id AND l.channel_order_id = o.channel_order_id
    LEFT JOIN hub.skus k ON k.sku_id = l.sku_id
    WHERE {_COUNTS} AND o.kind <> 'credit_note' AND o.is_sale AND {_SKU} {_ON_DAY.format(instant="o.placed_at")}
    UNION ALL
    SELECT m.name, c.name, o.channel_order_id, o.label, 'refund ' || f.refund_id, f.refunded_at, o.currency,
           coalesce(k.sku, l.channel_sku, ''), 0, -b.amount
    FROM hub.refunds f
    JOIN hub.orders o ON o.connection_id = f.connection_id AND o.channel_order_id = f.channel_order_id {_OWNERS}
    JOIN LATERAL (
        SELECT b.line_id, b.amount FROM hub.refund_lines b
        WHERE b.connection_id = f.connection_id AND b.channel_order_id = f.channel_order_id
          AND b.refund_id = f.refund_id
        UNION ALL SELECT NULL, f.other_amount WHERE f.other_amount <> 0) b ON true
    LEFT JOIN hub.order_lines l ON l.connection_id = o.connection_id AND l.channel_order_id = o.channel_order_id
        AND l.line_id = b.line_id
    LEFT JOIN hub.skus k ON k.sku_id = l.sku_id
    WHERE {_COUNTS} AND (o.is_sale OR o.kind = 'credit_note') AND {_SKU} {_ON_DAY.format(instant="f.refunded_at")}"""

_PAID = f"""
    SELECT m.name AS merchant, c.name AS connection, o.channel_order_id AS "order", o.label,
           p.kind || CASE WHEN p.is_successful THEN '' ELSE ', failed' END AS what, p.processed_at AS at, p.currency,
           p.gateway, CASE WHEN NOT p.is_successful THEN 0 WHEN p.kind IN ('sale', 'capture') THEN p.amount
                           WHEN p.kind = 'refund' THEN -p.amount ELSE 0 END AS net
    FROM hub.payments p
    JOIN hub.orders o ON o.connection_id = p.connection_id AND o.channel_order_id = p.channel_order_id {_OWNERS}
    WHERE {_COUNTS} {_ON_DAY.format(instant="p.processed_at")}"""

_MOVED = """
    SELECT m.name AS merchant, k.sku, p.code AS location, v.kind AS what, v.occurred_at AS at,
           v.quantity::bigint AS units, v.source, v.cause
    FROM hub.movements v
    JOIN hub.skus k ON k.sku_id = v.sku_id
    JOIN hub.locations p ON p.location_id = v.location_id
    JOIN hub.merchants m ON m.merchant_id = v.merchant_id
    WHERE (v.occurred_at AT TIME ZONE m.time_zone)::date = :day
      AND (CAST(:merchant AS text) IS NULL OR m.name = :merchant) AND (CAST(:sku AS text) IS NULL OR k.sku = :sku)"""


@dataclass(frozen=True, slots=True)
class Trail:
    """How a report's day is followed: the rows' SQL, their order, and the figures that add up to the report's."""

    rows: str
    order: str
    figures: tuple[str, ...]
    has_sku: bool = False
    has_connection: bool = True


_SALES = Trail(f"{_PLACED} UNION ALL {_REFUNDED}", 'merchant, connection, at, "order", what',
               ("units", "net_sales", "total_sales"))  # fmt: skip
_ORDERS = Trail(_PLACED, 'merchant, connection, at, "order"', ("units", "total_sales"))

TRAILS: Mapping[str, Trail] = MappingProxyType(
    {
        "sales_daily": _SALES,
        "sales_base_daily": _SALES,
        "channel_profit_daily": _SALES,
        "restatements": _SALES,
        "sales_by_sku_daily": Trail(
            _SKU_SALES, 'merchant, connection, at, "order", sku, what', ("units", "net_sales"), has_sku=True
        ),
        "returns_daily": Trail(_REFUNDED, 'merchant, connection, at, "order", what', ("net_sales", "total_sales")),
        "payments_daily": Trail(_PAID, 'merchant, connection, at, "order", what', ("net",)),
        "fulfilment_daily": _ORDERS,
        "reconciliation_daily": _ORDERS,
        "demand_hourly": _ORDERS,
        "inventory_daily": Trail(_MOVED, "merchant, sku, location, at, source, units", ("units",), has_sku=True,
                                 has_connection=False),
    }
)  # fmt: skip
"""How each report that has days is followed to what it is made of."""


def read_trail(
    tx: Transaction, name: str, *, day: date, merchant: str | None, connection: str | None, sku: str | None
) -> Sequence[dict[str, Any]]:
    """Return the rows behind one day of a report, in order; None for merchant, connection or SKU means all."""
    trail = TRAILS[name]
    statement = text(f"SELECT * FROM ({trail.rows}) r ORDER BY {trail.order}")
    given = {"day": day, "merchant": merchant, "connection": connection, "sku": sku}
    used = {key: value for key, value in given.items() if f":{key}" in trail.rows}
    return [dict(row) for row in tx.execute(statement, used).mappings()]
