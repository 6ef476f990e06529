"""Whether the report tables tie with each other and with the orders and the ledger they come from.

What belongs here: one SQL statement per tie, each over one snapshot, comparing figures that were made in different
ways. Days that are touched and wait to be made again are left out on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class TieCount:
    """What a tie found: figures compared, figures that differ, and the first of these in words ('' if none)."""

    compared: int
    differing: int
    first: str


_READY = """NOT EXISTS (
        SELECT FROM hub.touched_days t JOIN hub.connections tc USING (connection_id)
        WHERE tc.name = r.connection AND t.business_date = r.business_date)
    AND (CAST(:merchant AS text) IS NULL OR r.merchant = :merchant)"""

_COMPARE = """
WITH figures (place, ours, theirs) AS ({figures}),
compared AS (SELECT place, sum(ours) AS ours, sum(theirs) AS theirs FROM figures GROUP BY place)
SELECT count(*) AS compared, count(*) FILTER (WHERE ours <> theirs) AS differing,
       coalesce(min(format('%s: %s against %s', place, trim_scale(ours), trim_scale(theirs)))
                FILTER (WHERE ours <> theirs), '') AS first
FROM compared
"""

_SKUS_AND_DAYS = f"""
    SELECT format('%s %s %s %s', r.connection, r.business_date, r.currency, v.figure), v.amount, 0::numeric
    FROM reports.sales_by_sku_rows r, LATERAL (VALUES ('units', r.units::numeric), ('gross_sales', r.gross_sales),
        ('discounts', r.discounts), ('returns', r.returns), ('net_sales', r.net_sales)) v (figure, amount)
    WHERE {_READY}
    UNION ALL
    SELECT format('%s %s %s %s', r.connection, r.business_date, r.currency, v.figure), 0, v.amount
    FROM reports.sales_daily r, LATERAL (VALUES ('units', r.units::numeric), ('gross_sales', r.gross_sales),
        ('discounts', r.discounts), ('returns', r.returns), ('net_sales', r.net_sales)) v (figure, amount)
    WHERE {_READY}"""

_COUNTED = "NOT o.is_test AND NOT o.is_draft AND o.vanished_at IS NULL"

_TOTALS_AND_ORDERS = f"""
    SELECT format('%s %s %s', r.connection, r.business_date, r.currency), r.total_sales, 0::numeric
    FROM reports.sales_daily r WHERE {_READY}
    UNION ALL
    SELECT format('%s %s %s', r.connection, r.business_date, r.currency), 0, r.amount
    FROM (
        SELECT m.name AS merchant, c.name AS connection, (o.placed_at AT TIME ZONE m.time_zone)::date AS business_date,
               o.currency, sum(o.total) AS amount
        FROM hub.orders o JOIN hub.connections c USING (connection_id)
        JOIN hub.merchants m ON m.merchant_id = o.merchant_id
        WHERE {_COUNTED} AND o.is_sale AND o.kind <> 'credit_note' GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT m.name, c.name, (f.refunded_at AT TIME ZONE m.time_zone)::date, o.currency,
               -sum(f.shipping_amount + f.shipping_tax_amount + f.other_amount
                    + coalesce((SELECT sum(b.amount + b.tax_amount) FROM hub.refund_lines b
                                WHERE b.connection_id = f.connection_id AND b.channel_order_id = f.channel_order_id
                                  AND b.refund_id = f.refund_id), 0))
        FROM hub.refunds f JOIN hub.orders o USING (connection_id, channel_order_id)
        JOIN hub.connections c ON c.connection_id = o.connection_id
        JOIN hub.merchants m ON m.merchant_id = o.merchant_id
        WHERE {_COUNTED} AND (o.is_sale OR o.kind = 'credit_note') GROUP BY 1, 2, 3, 4
    ) r
    WHERE {_READY}"""

_ORDERS_AND_RECONCILIATION = f"""
    SELECT format('%s %s %s', r.connection, r.business_date, r.currency), r.orders, 0::numeric
    FROM reports.sales_daily r WHERE {_READY}
    UNION ALL
    SELECT format('%s %s %s', r.connection, r.business_date, r.currency), 0, r.orders
    FROM reports.reconciliation_daily r WHERE r.currency <> '' AND {_READY}"""

_LEVELS_AND_LEDGER = """
    SELECT format('%s %s %s', l.merchant, l.sku, l.location), l.on_hand::numeric, coalesce((
        SELECT sum(v.quantity) FROM hub.movements v
        WHERE v.sku_id = k.sku_id AND v.location_id = p.location_id), 0)::numeric
    FROM reports.stock_levels l
    JOIN hub.merchants m ON m.name = l.merchant
    JOIN hub.skus k ON k.merchant_id = m.merchant_id AND k.sku = l.sku
    JOIN hub.locations p ON p.merchant_id = m.merchant_id AND p.code = l.location
    WHERE CAST(:merchant AS text) IS NULL OR l.merchant = :merchant"""

TIES: Mapping[str, str] = MappingProxyType(
    {
        "skus_add_up_to_days": _SKUS_AND_DAYS,
        "total_sales_are_orders_minus_refunds": _TOTALS_AND_ORDERS,
        "reconciliation_has_the_same_orders": _ORDERS_AND_RECONCILIATION,
        "stock_levels_are_the_ledger": _LEVELS_AND_LEDGER,
    }
)
"""Every tie by its name, with the SQL of the figures that it compares."""


def count_tie(transaction: Connection, name: str, *, merchant: str | None) -> TieCount:
    """Compare the figures of one tie; `merchant` None means all merchants."""
    row = transaction.execute(text(_COMPARE.format(figures=TIES[name])), {"merchant": merchant}).one()
    return TieCount(row.compared, row.differing, row.first)
