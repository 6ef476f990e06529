"""Stock per SKU, place and day: opening, what moved, closing. What the figures mean and the SQL that makes them.

A row stands for a day on which something moved; on the days between two rows the level is the earlier row's closing.
So a snapshot of any day is the newest row up to it, and the rows of a SKU and place chain: each opens where the one
before closed (docs/adr/0017).
"""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import (
    BUSINESS_DATE,
    CURRENCY,
    MERCHANT,
    MERCHANT_ID,
    ReportDefinition,
    amount,
    whole,
    words,
)
from oms_hub.store.report_costs import stock_cost_then

_FIGURES = (
    whole("opening", "Units there when the day began: the closing of the row before, 0 before the first", signed=True),
    whole("received", "Units received from suppliers", signed=True),
    whole("sold", "Units that left for orders, less corrections of earlier days", signed=True),
    whole("returned", "Units that came back to the shelf", signed=True),
    whole("adjusted", "Units that counts and adjustments added (or took away, then negative)", signed=True),
    whole("transferred", "Units that came from other places, less those that went there", signed=True),
    whole("closing", "opening + received - sold + returned + adjusted + transferred, in units", signed=True),
)

INVENTORY_ROWS = ReportDefinition(
    name="inventory_rows",
    title="The stored part of inventory_daily",
    comment="What inventory_daily is made of, without names and cost; read that instead",
    day_column="business_date",
    columns=(
        whole("sku_id", "The hub's number of the SKU", key=True),
        whole("location_id", "The hub's number of the place", key=True),
        BUSINESS_DATE,
        MERCHANT_ID,
        *_FIGURES,
    ),
)

INVENTORY_DAILY = ReportDefinition(
    name="inventory_daily",
    title="Stock per SKU, place and day, with what moved",
    comment=(
        "One row per merchant, SKU, place and business day on which the ledger moved; between two rows the level is "
        "the earlier one's closing, so the level of any day is the newest row up to it. Rows chain: each opens where "
        "the one before closed. Levels are never clamped."
    ),
    day_column="business_date",
    currency_column="currency",
    columns=(
        MERCHANT,
        words("sku", "The merchant's code of the goods", key=True),
        words("location", "The merchant's code of the place", key=True),
        BUSINESS_DATE,
        *_FIGURES,
        amount(
            "unit_cost",
            "Cost of one unit of the stock at the end of the day, by the merchant's cost method (`sku_costs`), in "
            "currency; null where unknown",
            gaps=True,
        ),
        amount("value", "closing x unit_cost, in currency; null where the cost is unknown", gaps=True),
        replace(CURRENCY, comment="ISO 4217 code of unit_cost and value: the merchant's base currency"),
    ),
    view_sql=f"""
SELECT merchant, sku, location, business_date, opening, received, sold, returned, adjusted, transferred, closing,
       unit_cost, closing * unit_cost AS value, currency
FROM (
    SELECT m.name AS merchant, k.sku, p.code AS location, r.business_date, r.opening, r.received, r.sold, r.returned,
           r.adjusted, r.transferred, r.closing, {stock_cost_then("r.sku_id", "r.business_date")} AS unit_cost,
           m.currency
    FROM reports.inventory_rows r
    JOIN hub.skus k ON k.sku_id = r.sku_id
    JOIN hub.merchants m ON m.merchant_id = k.merchant_id
    JOIN hub.locations p ON p.location_id = r.location_id
) stock
""",
)

_MOVED = """
    SELECT v.sku_id, v.location_id, v.business_date,
           coalesce(sum(v.quantity) FILTER (WHERE v.kind = 'receipt'), 0) AS received,
           coalesce(-sum(v.quantity) FILTER (WHERE v.kind = 'sale'), 0) AS sold,
           coalesce(sum(v.quantity) FILTER (WHERE v.kind = 'return'), 0) AS returned,
           coalesce(sum(v.quantity) FILTER (WHERE v.kind IN ('count', 'adjustment')), 0) AS adjusted,
           coalesce(sum(v.quantity) FILTER (WHERE v.kind IN ('transfer_in', 'transfer_out')), 0) AS transferred,
           sum(v.quantity) AS change
    FROM ({movements}) v GROUP BY 1, 2, 3"""

_ALL_MOVEMENTS = """
        SELECT v.sku_id, v.location_id, v.kind, v.quantity,
               (v.occurred_at AT TIME ZONE s.time_zone)::date AS business_date
        FROM report_skus s JOIN hub.movements v USING (sku_id)"""

_LATE_MOVEMENTS = """
        SELECT s.sku_id, p.location_id, v.kind, v.quantity, v.business_date
        FROM report_skus s JOIN hub.balances p USING (sku_id)
        CROSS JOIN LATERAL (
            SELECT v.kind, v.quantity, (v.occurred_at AT TIME ZONE s.time_zone)::date AS business_date
            FROM hub.movements v
            WHERE v.sku_id = s.sku_id AND v.location_id = p.location_id
              AND v.occurred_at >= (s.from_date::timestamp AT TIME ZONE s.time_zone) - interval '3 hours' OFFSET 0) v
        WHERE v.business_date >= s.from_date"""

_INSERT = """
INSERT INTO reports.inventory_rows (sku_id, location_id, business_date, merchant_id, opening, received, sold, returned,
    adjusted, transferred, closing)
WITH moved AS ({moved}),
chained AS (
    SELECT d.*, {before} + sum(d.change) OVER (PARTITION BY d.sku_id, d.location_id ORDER BY d.business_date) AS closing
    FROM moved d
)
SELECT sku_id, location_id, business_date, s.merchant_id, closing - change, received, sold, returned, adjusted,
       transferred, closing
FROM chained JOIN report_skus s USING (sku_id) ORDER BY 1, 2, 3
"""

_BEFORE = """coalesce((
        SELECT i.closing FROM report_skus s JOIN reports.inventory_rows i USING (sku_id)
        WHERE i.sku_id = d.sku_id AND i.location_id = d.location_id AND i.business_date < s.from_date
        ORDER BY i.business_date DESC LIMIT 1), 0)"""

DELETE_INVENTORY_ROWS = """
DELETE FROM reports.inventory_rows r USING report_skus s WHERE s.sku_id = r.sku_id AND r.business_date >= s.from_date
"""

INSERT_INVENTORY_ROWS = _INSERT.format(moved=_MOVED.format(movements=_LATE_MOVEMENTS), before=_BEFORE)
"""Makes the rows of the SKUs in scope from each one's day on; the rows before it must stand."""

INSERT_ALL_INVENTORY_ROWS = _INSERT.format(moved=_MOVED.format(movements=_ALL_MOVEMENTS), before="0")
"""The same from the beginning, which reads the ledger once from end to end."""
