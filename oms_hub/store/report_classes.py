"""Which goods bring the sales, and how old the stock is: `abc` and `stock_ageing`."""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import CURRENCY, MERCHANT, TODAY, ReportDefinition, amount, day, ratio, whole, words
from oms_hub.store.report_costs import stock_cost_then
from oms_hub.store.report_cover import AS_OF_DATE
from oms_hub.store.report_rates import rate_of

CLASS_DAYS = 365
"""Full business days before today that classes are made from."""

_BASE = replace(CURRENCY, comment="ISO 4217 code of the amounts: the merchant's base currency")

ABC = ReportDefinition(
    name="abc",
    title="Which SKUs bring the sales: classes A, B and C",
    comment=(
        f"One row per merchant and SKU sold in the {CLASS_DAYS} full business days before as_of_date, by net sales in "
        "base currency, all connections together: A until 80 percent of the sales are reached, then B until 95, then "
        "C. Sales without a SKU are left out; days without an exchange rate too, and counted. Computed when read."
    ),
    currency_column="currency",
    has_as_of=True,
    columns=(
        MERCHANT,
        words("sku", "The merchant's SKU; where lines are not linked to one, the channel's SKU text", key=True),
        AS_OF_DATE,
        whole("rank", "1 for the SKU with the highest net sales; equal ones by their code"),
        words("class", "A, B or C; C wherever net sales are not positive"),
        whole("units", "Units sold, as the channels count them"),
        amount("net_sales", "Net sales in currency, by the rate of each day"),
        ratio("share", "net_sales / positive net sales of all SKUs; 0 where net sales are not positive"),
        ratio("cumulative_share", "Sum of share down to this row, it included"),
        whole("rows_without_rate", "Rows of sales_by_sku_daily left out because their day has no exchange rate"),
        _BASE,
    ),
    view_sql=f"""
WITH merchants AS (SELECT m.*, {TODAY} AS today FROM hub.merchants m),
sold AS (
    SELECT m.merchant_id, c.connection_id, r.business_date, r.currency, r.sku, sum(r.units) AS units,
           sum(r.gross_sales - r.discounts - r.returns) AS net_sales
    FROM merchants m
    JOIN hub.connections c ON c.merchant_id = m.merchant_id
    JOIN reports.sales_by_sku_rows r ON r.connection_id = c.connection_id
        AND r.business_date >= m.today - {CLASS_DAYS} AND r.business_date < m.today
    WHERE r.sku <> ''
    GROUP BY 1, 2, 3, 4, 5
),
rates AS (
    SELECT d.merchant_id, d.business_date, d.currency, x.rate
    FROM (SELECT DISTINCT merchant_id, business_date, currency FROM sold) d
    JOIN merchants m ON m.merchant_id = d.merchant_id
    LEFT JOIN {rate_of("d.currency", "d.business_date")} x ON true
),
goods AS (
    SELECT s.merchant_id, s.sku, coalesce(sum(s.units) FILTER (WHERE x.rate IS NOT NULL), 0) AS units,
           coalesce(sum(s.net_sales * x.rate), 0) AS net_sales, count(*) FILTER (WHERE x.rate IS NULL) AS without_rate
    FROM sold s JOIN rates x USING (merchant_id, business_date, currency)
    GROUP BY 1, 2
),
shares AS (
    SELECT g.*, row_number() OVER (PARTITION BY merchant_id ORDER BY net_sales DESC, sku) AS rank,
           greatest(net_sales, 0) / nullif(sum(greatest(net_sales, 0)) OVER (PARTITION BY merchant_id), 0) AS share,
           sum(greatest(net_sales, 0)) OVER (PARTITION BY merchant_id ORDER BY net_sales DESC, sku)
               / nullif(sum(greatest(net_sales, 0)) OVER (PARTITION BY merchant_id), 0) AS reached
    FROM goods g
)
SELECT m.name AS merchant, s.sku, m.today AS as_of_date, s.rank,
       CASE WHEN s.net_sales <= 0 OR s.reached - s.share >= 0.95 THEN 'C' WHEN s.reached - s.share >= 0.8 THEN 'B'
            ELSE 'A' END AS class,
       s.units::bigint AS units, s.net_sales, coalesce(s.share, 0)::numeric(18,6) AS share,
       coalesce(s.reached, 0)::numeric(18,6) AS cumulative_share, s.without_rate AS rows_without_rate, m.currency
FROM shares s JOIN merchants m ON m.merchant_id = s.merchant_id
""",
)

_BUCKETS = (("0_30", 0, 30), ("31_60", 31, 60), ("61_90", 61, 90), ("91_180", 91, 180), ("over_180", 181, 1_000_000))
"""Name, first and last day of age of each column of units."""

STOCK_AGEING = ReportDefinition(
    name="stock_ageing",
    title="How old the stock is, per SKU and place",
    comment=(
        "One row per merchant, SKU and place that had stock at the end of as_of_date, as inventory_daily says. What "
        "came first is taken to have left first; units age from the day they came to the place: received, returned, "
        "counted in or transferred. The five groups of units add up to on_hand. Computed when read."
    ),
    currency_column="currency",
    has_as_of=True,
    columns=(
        MERCHANT,
        words("sku", "The merchant's code of the goods", key=True),
        words("location", "The merchant's code of the place", key=True),
        AS_OF_DATE,
        whole("on_hand", "Units there at the end of as_of_date"),
        *(
            whole(f"units_{name}", f"Units that came {first} to {last} days before" if last < 1_000_000
                  else f"Units that came more than {first - 1} days before")
            for name, first, last in _BUCKETS
        ),
        day("oldest_on", "Day on which the oldest of them came"),
        day("last_sold_on", "Last day on which any left for an order; null where none did", gaps=True),
        amount("unit_cost", "Cost of one unit of the stock on that day, in currency; null where unknown", gaps=True),
        amount("value", "on_hand x unit_cost, in currency; null where the cost is unknown", gaps=True),
        amount(
            "dead_value",
            "value, where no unit left for an order in the 180 days before as_of_date and all came before those; else "
            "0; null where the cost is unknown",
            gaps=True,
        ),
        _BASE,
    ),
    view_sql=f"""
WITH merchants AS (SELECT m.*, {TODAY} AS today FROM hub.merchants m),
stock AS (
    SELECT b.sku_id, b.location_id, m.name AS merchant, m.today, m.currency, i.closing
    FROM merchants m JOIN hub.balances b ON b.merchant_id = m.merchant_id
    CROSS JOIN LATERAL (
        SELECT i.closing FROM reports.inventory_rows i
        WHERE i.sku_id = b.sku_id AND i.location_id = b.location_id AND i.business_date <= m.today
        ORDER BY i.business_date DESC LIMIT 1) i
    WHERE i.closing > 0
),
came AS (
    SELECT s.*, i.business_date, i.units, sum(i.units) OVER newest AS reached
    FROM stock s CROSS JOIN LATERAL (
        SELECT i.business_date, greatest(i.received, 0) + greatest(i.returned, 0) + greatest(i.adjusted, 0)
               + greatest(i.transferred, 0) + greatest(-i.sold, 0) AS units
        FROM reports.inventory_rows i
        WHERE i.sku_id = s.sku_id AND i.location_id = s.location_id AND i.business_date <= s.today
    ) i
    WHERE i.units > 0
    WINDOW newest AS (PARTITION BY s.sku_id, s.location_id ORDER BY i.business_date DESC)
),
layers AS (
    SELECT c.*, least(c.units, c.closing - (c.reached - c.units)) AS left_units, c.today - c.business_date AS age
    FROM came c WHERE c.reached - c.units < c.closing
),
aged AS (
    SELECT sku_id, location_id, min(business_date) AS oldest_on, max(business_date) AS newest_on,
           {", ".join(f"coalesce(sum(left_units) FILTER (WHERE age BETWEEN {first} AND {last}), 0)::bigint "
                      f"AS units_{name}" for name, first, last in _BUCKETS)}
    FROM layers GROUP BY 1, 2
)
SELECT v.merchant, v.sku, v.location, v.as_of_date, v.on_hand, {", ".join(f"v.units_{n}" for n, _, _ in _BUCKETS)},
       v.oldest_on, v.last_sold_on, v.unit_cost, v.on_hand * v.unit_cost AS value,
       CASE WHEN v.newest_on < v.as_of_date - 180 AND coalesce(v.last_sold_on < v.as_of_date - 180, true)
            THEN v.on_hand * v.unit_cost ELSE 0 * v.unit_cost END AS dead_value, v.currency
FROM (
    SELECT s.merchant, k.sku, p.code AS location, s.today AS as_of_date, s.closing AS on_hand, a.*,
           l.last_sold_on, {stock_cost_then("s.sku_id", "s.today")} AS unit_cost, s.currency
    FROM stock s
    JOIN aged a USING (sku_id, location_id)
    JOIN hub.skus k ON k.sku_id = s.sku_id
    JOIN hub.locations p ON p.location_id = s.location_id
    LEFT JOIN LATERAL (
        SELECT i.business_date AS last_sold_on FROM reports.inventory_rows i
        WHERE i.sku_id = s.sku_id AND i.location_id = s.location_id AND i.business_date <= s.today AND i.sold > 0
        ORDER BY i.business_date DESC LIMIT 1) l ON true
) v
""",
)  # fmt: skip
