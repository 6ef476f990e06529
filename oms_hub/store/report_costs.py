"""What a unit of each SKU cost, from which day on: the moving weighted average, or first in first out.

What belongs here: the meaning of `sku_costs` and the SQL that makes it from `inventory_rows` and the receipts. One day
is one step: its receipts come first, then what was sold (less what came back), then what a count took away. Costs are
those of the merchant's goods as a whole, whatever the place; transfers between places change none.

- A SKU without receipts has no rows: its cost is the unit cost that counts brought (`skus.unit_cost`), on every day.
- Units that came without a receipt (counts) cost what the newest receipt up to that day cost, before the first receipt
  what `skus.unit_cost` says, or else the first receipt.
- Weighted average: (units there x cost so far + value of the receipts) / (units there + units received), rounded to
  six decimals. Where nothing was there, or less than nothing, it is what the receipts cost.
- First in first out: units leave in the order in which they came. Units sold before they came cost what comes next;
  once something came, that is what it cost: a late receipt restates the days that sold ahead of it.
"""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import CURRENCY, MERCHANT, MERCHANT_ID, ReportDefinition, amount, day, whole, words

BEGINNING = "0001-01-01"
"""The day of the first row of each SKU: what units cost before its first receipt."""

_COSTS = (
    amount("unit_cost", "Cost of the units that left that day, or else of the next to leave, in currency"),
    amount("stock_unit_cost", "Cost of the units there at the end of that day, per unit, in currency"),
)

SKU_COST_ROWS = ReportDefinition(
    name="sku_cost_rows",
    title="The stored part of sku_costs",
    comment="What sku_costs is made of, without names; read that instead",
    day_column="from_date",
    columns=(
        whole("sku_id", "The hub's number of the SKU", key=True),
        day("from_date", "First business day that it holds for", key=True),
        MERCHANT_ID,
        *_COSTS,
    ),
)

SKU_COSTS = ReportDefinition(
    name="sku_costs",
    title="What a unit of each SKU cost, from which day on",
    comment=(
        "One row per merchant, SKU with receipts and day on which its cost changed; a row holds until the next one. By "
        "the merchant's cost method: weighted_average (moving, by the day) or fifo (first in first out). SKUs "
        "without receipts have no row: their cost is the unit cost that counts brought."
    ),
    day_column="from_date",
    currency_column="currency",
    columns=(
        MERCHANT,
        words("sku", "The merchant's code of the goods", key=True),
        day("from_date", f"First business day that it holds for; {BEGINNING} for before the first receipt", key=True),
        words("method", "weighted_average or fifo"),
        *_COSTS,
        replace(CURRENCY, comment="ISO 4217 code of the costs: the merchant's base currency"),
    ),
    view_sql="""
SELECT m.name AS merchant, k.sku, r.from_date, m.cost_method AS method, r.unit_cost, r.stock_unit_cost, m.currency
FROM reports.sku_cost_rows r
JOIN hub.skus k ON k.sku_id = r.sku_id
JOIN hub.merchants m ON m.merchant_id = k.merchant_id
""",
)


def _then(column: str, sku_id: str, on_day: str) -> str:
    return f"""coalesce((
        SELECT x.{column} FROM reports.sku_cost_rows x WHERE x.sku_id = {sku_id} AND x.from_date <= {on_day}
        ORDER BY x.from_date DESC LIMIT 1), (SELECT x.unit_cost FROM hub.skus x WHERE x.sku_id = {sku_id}))"""


def cost_then(sku_id: str, on_day: str) -> str:
    """Return SQL for what a unit that left on a day cost; a bundle costs what its components cost; null if unknown."""
    return f"""coalesce((
        SELECT CASE WHEN bool_and(p.cost IS NOT NULL) THEN sum(p.units * p.cost) END
        FROM (SELECT b.units, {_then("unit_cost", "b.component_sku_id", on_day)} AS cost
              FROM hub.bundle_components b WHERE b.bundle_sku_id = {sku_id}) p),
        {_then("unit_cost", sku_id, on_day)})"""


def stock_cost_then(sku_id: str, on_day: str) -> str:
    """Return SQL for what a unit that was there at the end of a day cost; null if unknown."""
    return _then("stock_unit_cost", sku_id, on_day)


_RECEIPTS = """
CREATE TEMP TABLE cost_receipts ON COMMIT DROP AS
SELECT r.sku_id, r.business_date, r.units, r.value,
       row_number() OVER (PARTITION BY sku_id ORDER BY business_date) AS nth
FROM (
    SELECT r.sku_id, (r.received_at AT TIME ZONE s.time_zone)::date AS business_date, sum(r.quantity) AS units,
           sum(r.quantity * r.unit_cost) AS value
    FROM report_skus s JOIN hub.receipts r USING (sku_id) WHERE r.unit_cost IS NOT NULL GROUP BY 1, 2
) r
"""
_INDEX_RECEIPTS = "CREATE INDEX ON cost_receipts (sku_id, business_date)"

_BASES = """
CREATE TEMP TABLE cost_bases ON COMMIT DROP AS
SELECT s.sku_id, s.cost_method, coalesce(k.unit_cost, round(r.value / r.units, 6)) AS unit_cost
FROM report_skus s JOIN cost_receipts r ON r.sku_id = s.sku_id AND r.nth = 1 JOIN hub.skus k ON k.sku_id = s.sku_id
"""

_WEIGHTED_AVERAGE = f"""
INSERT INTO reports.sku_cost_rows (sku_id, from_date, merchant_id, unit_cost, stock_unit_cost)
WITH RECURSIVE receipts AS MATERIALIZED (
    SELECT r.sku_id, r.nth, r.business_date, r.units, r.value, coalesce((
               SELECT sum(i.closing) FROM hub.balances p CROSS JOIN LATERAL (
                   SELECT i.closing FROM reports.inventory_rows i
                   WHERE i.sku_id = r.sku_id AND i.location_id = p.location_id AND i.business_date < r.business_date
                   ORDER BY i.business_date DESC LIMIT 1) i
               WHERE p.sku_id = r.sku_id), 0)
           - coalesce((
               SELECT sum(i.transferred) FROM reports.inventory_rows i
               WHERE i.sku_id = r.sku_id AND i.business_date < r.business_date AND i.transferred <> 0), 0) AS there
    FROM cost_receipts r JOIN cost_bases b USING (sku_id) WHERE b.cost_method = 'weighted_average'
),
steps (sku_id, nth, from_date, unit_cost) AS (
    SELECT sku_id, 0::bigint, date '{BEGINNING}', unit_cost FROM cost_bases WHERE cost_method = 'weighted_average'
    UNION ALL
    SELECT r.sku_id, r.nth, r.business_date,
           round((greatest(r.there, 0) * s.unit_cost + r.value) / (greatest(r.there, 0) + r.units), 6)
    FROM steps s JOIN receipts r ON r.sku_id = s.sku_id AND r.nth = s.nth + 1
)
SELECT c.sku_id, c.from_date, s.merchant_id, c.unit_cost, c.unit_cost
FROM steps c JOIN report_skus s USING (sku_id)
"""

_FIFO_DAYS = """
CREATE TEMP TABLE fifo_days ON COMMIT DROP AS
SELECT d.*, sum(came) OVER upto AS came_upto, sum(came * came_cost) OVER upto AS value_upto,
       sum(sold + lost) OVER upto - sold - lost AS left_before, sum(sold + lost) OVER upto AS left_upto
FROM (
    SELECT d.sku_id, d.business_date, sum(d.received) + greatest(sum(d.adjusted), 0) AS came, sum(d.sold) AS sold,
           greatest(-sum(d.adjusted), 0) AS lost, coalesce((
               SELECT round(r.value / r.units, 6) FROM cost_receipts r
               WHERE r.sku_id = d.sku_id AND r.business_date <= d.business_date
               ORDER BY r.business_date DESC LIMIT 1), min(d.base_cost)) AS came_cost
    FROM (
        SELECT b.sku_id, i.business_date, i.received, i.adjusted, i.sold - i.returned AS sold, b.unit_cost AS base_cost
        FROM cost_bases b JOIN reports.inventory_rows i USING (sku_id) WHERE b.cost_method = 'fifo'
        UNION ALL
        SELECT b.sku_id, r.business_date, 0, 0, 0, b.unit_cost
        FROM cost_bases b JOIN cost_receipts r USING (sku_id) WHERE b.cost_method = 'fifo'
    ) d
    GROUP BY d.sku_id, d.business_date
) d
WINDOW upto AS (PARTITION BY sku_id ORDER BY business_date)
"""

_FIFO_LAYERS = """
CREATE TEMP TABLE fifo_layers ON COMMIT DROP AS
SELECT sku_id, came_upto - came AS from_unit, came_upto AS to_unit, came_cost AS unit_cost,
       value_upto - came * came_cost AS value_before, lead(sku_id) OVER (PARTITION BY sku_id ORDER BY came_upto) IS NULL
       AS is_last
FROM fifo_days WHERE came > 0
"""
_INDEX_LAYERS = "CREATE INDEX ON fifo_layers (sku_id, to_unit)"


def _layer(units: str, comparison: str) -> str:
    """Return SQL for the layer of the unit up to which `units` left, beyond the last one the last."""
    return f"""LATERAL (
        SELECT l.unit_cost, l.value_before + ({units} - l.from_unit) * l.unit_cost AS value FROM fifo_layers l
        WHERE l.sku_id = d.sku_id AND (l.to_unit {comparison} {units} OR l.is_last) ORDER BY l.to_unit LIMIT 1)"""


_FIFO = f"""
INSERT INTO reports.sku_cost_rows (sku_id, from_date, merchant_id, unit_cost, stock_unit_cost)
WITH costs AS (
    SELECT d.sku_id, d.business_date AS from_date,
           CASE WHEN d.sold > 0 AND began.value IS NOT NULL THEN round((sold.value - began.value) / d.sold, 6)
                ELSE coalesce(next.unit_cost, d.came_cost) END AS unit_cost,
           CASE WHEN d.came_upto > d.left_upto AND ended.value IS NOT NULL
                THEN round((d.value_upto - ended.value) / (d.came_upto - d.left_upto), 6)
                ELSE coalesce(next.unit_cost, d.came_cost) END AS stock_unit_cost
    FROM fifo_days d
    LEFT JOIN {_layer("d.left_before", ">=")} began ON true
    LEFT JOIN {_layer("d.left_before + d.sold", ">=")} sold ON true
    LEFT JOIN {_layer("d.left_upto", ">=")} ended ON true
    LEFT JOIN {_layer("d.left_upto", ">")} next ON true
    UNION ALL
    SELECT sku_id, date '{BEGINNING}', unit_cost, unit_cost FROM cost_bases WHERE cost_method = 'fifo'
),
compared AS (
    SELECT c.*, lag(unit_cost) OVER one AS unit_cost_before, lag(stock_unit_cost) OVER one AS stock_unit_cost_before
    FROM costs c WINDOW one AS (PARTITION BY sku_id ORDER BY from_date)
)
SELECT c.sku_id, c.from_date, s.merchant_id, c.unit_cost, c.stock_unit_cost
FROM compared c JOIN report_skus s USING (sku_id)
WHERE unit_cost IS DISTINCT FROM unit_cost_before OR stock_unit_cost IS DISTINCT FROM stock_unit_cost_before
"""

MAKE_SKU_COST_ROWS = (
    "DELETE FROM reports.sku_cost_rows r USING report_skus s WHERE s.sku_id = r.sku_id",
    _RECEIPTS,
    _INDEX_RECEIPTS,
    _BASES,
    "ANALYZE cost_receipts, cost_bases",
    _WEIGHTED_AVERAGE,
    _FIFO_DAYS,
    _FIFO_LAYERS,
    _INDEX_LAYERS,
    "ANALYZE fifo_days, fifo_layers",
    _FIFO,
)
"""The statements that make the cost rows of the SKUs in scope, in order; `inventory_rows` must stand before."""
