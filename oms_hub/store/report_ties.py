"""Whether the report tables tie with each other and with the orders and the ledger they come from.

What belongs here: one SQL statement per tie, each over one snapshot, comparing figures that were made in different
ways. Days and SKUs that are touched and wait to be made again are left out on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class TieCount:
    """What a tie found: figures compared, figures that differ, and the first of these in words ('' if none)."""

    compared: int
    differing: int
    first: str


_OURS = "(CAST(:merchant AS text) IS NULL OR r.merchant = :merchant)"
_SINCE = "(CAST(:since AS date) IS NULL OR r.business_date >= :since)"
_READY = f"""NOT EXISTS (
        SELECT FROM hub.touched_days t JOIN hub.connections tc USING (connection_id)
        WHERE tc.name = r.connection AND t.business_date = r.business_date)
    AND {_OURS} AND {_SINCE}"""
_LATELY = "(CAST(:since AS date) IS NULL OR {instant} >= CAST(:since AS date) - 2)"
_STOCK_READY = f"NOT EXISTS (SELECT FROM hub.touched_stock t WHERE t.sku_id = k.sku_id) AND {_OURS}"

_COMPARE = """
WITH figures (place, ours, theirs) AS ({figures}),
compared AS (SELECT place, sum(ours) AS ours, sum(theirs) AS theirs FROM figures GROUP BY place)
SELECT count(*) AS compared, count(*) FILTER (WHERE ours <> theirs) AS differing,
       coalesce(min(format('%s: %s against %s', place, trim_scale(ours), trim_scale(theirs)))
                FILTER (WHERE ours <> theirs), '') AS first
FROM compared
"""


def _same_sums(left: str, right: str, *figures: str, by_currency: bool = True) -> str:
    """Return SQL that compares the sums of the same figures of two tables, per connection and day."""
    values = ", ".join(f"('{figure}', r.{figure}::numeric)" for figure in figures)
    currency = "r.currency" if by_currency else "''"

    def side(table: str, ours: str, theirs: str) -> str:
        return f"""
    SELECT concat_ws(' ', r.connection, r.business_date, nullif({currency}, ''), v.figure), {ours}, {theirs}
    FROM reports.{table} r, LATERAL (VALUES {values}) v (figure, amount) WHERE {_READY}"""

    return f"{side(left, 'v.amount', '0::numeric')} UNION ALL {side(right, '0', 'v.amount')}"


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
        WHERE {_COUNTED} AND o.is_sale AND o.kind <> 'credit_note' AND {_LATELY.format(instant="o.placed_at")}
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT m.name, c.name, (f.refunded_at AT TIME ZONE m.time_zone)::date, o.currency,
               -sum(f.shipping_amount + f.shipping_tax_amount + f.other_amount
                    + coalesce((SELECT sum(b.amount + b.tax_amount) FROM hub.refund_lines b
                                WHERE b.connection_id = f.connection_id AND b.channel_order_id = f.channel_order_id
                                  AND b.refund_id = f.refund_id), 0))
        FROM hub.refunds f JOIN hub.orders o USING (connection_id, channel_order_id)
        JOIN hub.connections c ON c.connection_id = o.connection_id
        JOIN hub.merchants m ON m.merchant_id = o.merchant_id
        WHERE {_COUNTED} AND (o.is_sale OR o.kind = 'credit_note') AND {_LATELY.format(instant="f.refunded_at")}
        GROUP BY 1, 2, 3, 4
    ) r
    WHERE {_READY}"""

_PAYMENTS_AND_TRANSACTIONS = f"""
    SELECT format('%s %s %s', r.connection, r.business_date, r.currency), r.net, 0::numeric
    FROM reports.payments_daily r WHERE {_READY}
    UNION ALL
    SELECT format('%s %s %s', r.connection, r.business_date, r.currency), 0, r.amount
    FROM (
        SELECT m.name AS merchant, c.name AS connection,
               (p.processed_at AT TIME ZONE m.time_zone)::date AS business_date, p.currency,
               sum(CASE p.kind WHEN 'refund' THEN -p.amount ELSE p.amount END) AS amount
        FROM hub.payments p JOIN hub.orders o USING (connection_id, channel_order_id)
        JOIN hub.connections c ON c.connection_id = p.connection_id
        JOIN hub.merchants m ON m.merchant_id = p.merchant_id
        WHERE {_COUNTED} AND p.is_successful AND p.kind IN ('sale', 'capture', 'refund')
          AND {_LATELY.format(instant="p.processed_at")}
        GROUP BY 1, 2, 3, 4
    ) r
    WHERE {_READY}"""

_LEVELS_AND_LEDGER = f"""
    SELECT format('%s %s %s', r.merchant, r.sku, r.location), r.on_hand::numeric, coalesce((
        SELECT sum(v.quantity) FROM hub.movements v
        WHERE v.sku_id = k.sku_id AND v.location_id = p.location_id), 0)::numeric
    FROM reports.stock_levels r
    JOIN hub.merchants m ON m.name = r.merchant
    JOIN hub.skus k ON k.merchant_id = m.merchant_id AND k.sku = r.sku
    JOIN hub.locations p ON p.merchant_id = m.merchant_id AND p.code = r.location
    WHERE {_OURS}"""

_SNAPSHOTS_AND_LEVELS = f"""
    SELECT format('%s %s %s', r.merchant, k.sku, r.location), b.on_hand::numeric, coalesce((
        SELECT i.closing FROM reports.inventory_rows i
        WHERE i.sku_id = b.sku_id AND i.location_id = b.location_id
        ORDER BY i.business_date DESC LIMIT 1), 0)::numeric
    FROM hub.balances b
    JOIN hub.skus k ON k.sku_id = b.sku_id
    JOIN (SELECT p.location_id, p.code AS location, m.name AS merchant
          FROM hub.locations p JOIN hub.merchants m USING (merchant_id)) r ON r.location_id = b.location_id
    WHERE {_STOCK_READY}"""

_SNAPSHOTS_CHAIN = f"""
    SELECT format('%s %s %s %s', r.merchant, k.sku, r.location_id, r.business_date), r.opening::numeric, coalesce((
        SELECT i.closing FROM reports.inventory_rows i
        WHERE i.sku_id = r.sku_id AND i.location_id = r.location_id AND i.business_date < r.business_date
        ORDER BY i.business_date DESC LIMIT 1), 0)::numeric
    FROM (SELECT i.*, m.name AS merchant FROM reports.inventory_rows i JOIN hub.merchants m USING (merchant_id)) r
    JOIN hub.skus k ON k.sku_id = r.sku_id
    WHERE {_STOCK_READY} AND {_SINCE}"""

_VALUES_AND_RECEIPTS = f"""
    SELECT format('%s %s %s', r.merchant, k.sku, r.business_date), r.unit_cost, round(
               (greatest(r.there, 0) * r.cost_before + r.value) / (greatest(r.there, 0) + r.units), 6)
    FROM (
        SELECT g.*, x.unit_cost, (
                   SELECT y.unit_cost FROM reports.sku_cost_rows y
                   WHERE y.sku_id = g.sku_id AND y.from_date < g.business_date ORDER BY y.from_date DESC LIMIT 1)
                   AS cost_before,
               (SELECT coalesce(sum(v.quantity), 0) FROM hub.movements v
                WHERE v.sku_id = g.sku_id AND v.kind NOT IN ('transfer_in', 'transfer_out')
                  AND (v.occurred_at AT TIME ZONE g.time_zone)::date < g.business_date) AS there
        FROM (
            SELECT t.sku_id, m.name AS merchant, m.time_zone,
                   (t.received_at AT TIME ZONE m.time_zone)::date AS business_date, sum(t.quantity) AS units,
                   sum(t.quantity * t.unit_cost) AS value
            FROM hub.receipts t JOIN hub.merchants m USING (merchant_id)
            WHERE t.unit_cost IS NOT NULL AND m.cost_method = 'weighted_average'
              AND {_LATELY.format(instant="t.received_at")}
            GROUP BY 1, 2, 3, 4
        ) g LEFT JOIN reports.sku_cost_rows x ON x.sku_id = g.sku_id AND x.from_date = g.business_date
    ) r
    JOIN hub.skus k ON k.sku_id = r.sku_id
    WHERE {_STOCK_READY} AND {_SINCE}"""

TIES: Mapping[str, str] = MappingProxyType(
    {
        "skus_add_up_to_days": _same_sums(
            "sales_by_sku_daily", "sales_daily", "units", "gross_sales", "discounts", "returns", "net_sales"
        ),
        "total_sales_are_orders_minus_refunds": _TOTALS_AND_ORDERS,
        "returns_add_up_to_days": _same_sums("returns_daily", "sales_daily", "returns", "refunds_paid"),
        "payments_are_the_transactions": _PAYMENTS_AND_TRANSACTIONS,
        "reconciliation_has_the_same_orders": _same_sums("reconciliation_daily", "sales_daily", "orders"),
        "fulfilment_has_the_same_orders": _same_sums("fulfilment_daily", "sales_daily", "orders", by_currency=False),
        "stock_levels_are_the_ledger": _LEVELS_AND_LEDGER,
        "snapshots_close_at_the_levels": _SNAPSHOTS_AND_LEVELS,
        "snapshots_chain": _SNAPSHOTS_CHAIN,
        "average_costs_are_movements_at_cost": _VALUES_AND_RECEIPTS,
    }
)
"""Every tie by its name, with the SQL of the figures that it compares."""


def count_tie(transaction: Connection, name: str, *, merchant: str | None, since: date | None) -> TieCount:
    """Compare the figures of one tie; `merchant` None means all merchants, `since` None all days."""
    statement = text(_COMPARE.format(figures=TIES[name]))
    row = transaction.execute(statement, {"merchant": merchant, "since": since}).one()
    return TieCount(row.compared, row.differing, row.first)
