"""What each connection earned per day: sales less cost of goods, the channel's fees and shipping, in base currency."""

from __future__ import annotations

from oms_hub.store.report_columns import (
    BUSINESS_DATE,
    CHANNEL,
    CONNECTION,
    MERCHANT,
    ReportDefinition,
    amount,
    ratio,
    whole,
    words,
)
from oms_hub.store.report_costs import cost_then
from oms_hub.store.report_rates import RATE_COLUMNS, SALE_CURRENCY, rate_of

_DAYS = """
        SELECT p.connection_id, p.business_date, p.currency, sum(p.orders)::bigint AS orders,
               sum(p.net_sales) AS net_sales, sum(p.shipping) AS shipping, sum(p.total_sales) AS total_sales,
               sum(p.fees) AS fees
        FROM (
            SELECT c.connection_id, s.business_date, s.currency, s.orders, s.net_sales, s.shipping, s.total_sales,
                   0 AS fees
            FROM reports.sales_daily s JOIN hub.connections c ON c.name = s.connection
            UNION ALL
            SELECT h.connection_id, (h.charged_at AT TIME ZONE m.time_zone)::date, h.currency COLLATE "C", 0, 0, 0, 0,
                   h.amount
            FROM hub.order_channel_fees h
            JOIN hub.orders o ON o.connection_id = h.connection_id AND o.channel_order_id = h.channel_order_id
            JOIN hub.merchants m ON m.merchant_id = h.merchant_id
            WHERE NOT o.is_test AND NOT o.is_draft AND o.vanished_at IS NULL
        ) p GROUP BY p.connection_id, p.business_date, p.currency""".strip("\n")
"""What was sold, and what was charged for it, per connection, day and currency."""

CHANNEL_PROFIT_DAILY = ReportDefinition(
    name="channel_profit_daily",
    title="Margin per connection and day, in the merchant's base currency",
    comment=(
        "The rows of sales_daily in the merchant's base currency, with what the goods cost on the day they were sold "
        "and what the channel took; a day on which only fees were charged has a row, too. Every amount is in "
        "base_currency, so rows may be added; a figure that cannot be known (no rate, goods without cost) is null. "
        "What is not given (channel fees, cost of shipping) is not taken off, and its column is null."
    ),
    day_column="business_date",
    currency_column="base_currency",
    columns=(
        MERCHANT,
        CONNECTION,
        BUSINESS_DATE,
        SALE_CURRENCY,
        CHANNEL,
        *RATE_COLUMNS,
        whole("orders", "As in sales_daily"),
        amount("net_sales", "sales_daily.net_sales x rate; null where the rate is missing", gaps=True),
        amount("shipping_charged", "sales_daily.shipping x rate; null where the rate is missing", gaps=True),
        words("cost_method", "How cost is found: weighted_average or fifo"),
        amount(
            "cost",
            "What the goods sold cost on that day, less what restocked ones cost; units without a known cost add "
            "nothing and are counted beside it",
        ),
        whole("units_without_cost", "Units sold or restocked that day whose cost is not known"),
        amount(
            "channel_fees",
            "Where the connection's orders come with fees: what was charged on that day less what was given back; "
            "elsewhere commission (percent of sales_daily.total_sales) and fee per order as imported; x rate; null "
            "where neither is given or the rate is missing",
            gaps=True,
        ),
        amount(
            "shipping_cost",
            "What sending the orders cost as imported, x rate; null where it is not given or the rate is missing",
            gaps=True,
        ),
        amount(
            "margin",
            "net_sales + shipping_charged - cost - channel_fees - shipping_cost, as far as the last two are given; "
            "null where the rate is missing or units_without_cost is not 0",
            gaps=True,
        ),
        ratio("margin_rate", "margin / net_sales; null where either is missing or net_sales is 0", gaps=True),
    ),
    view_sql=f"""
SELECT d.merchant, d.connection, d.business_date, d.currency, d.channel, d.base_currency, d.rate, d.rate_date, d.orders,
       d.net_sales, d.shipping_charged, d.cost_method, d.cost, d.units_without_cost, d.channel_fees, d.shipping_cost,
       d.margin, (d.margin / nullif(d.net_sales, 0))::numeric(18,6) AS margin_rate
FROM (
    SELECT m.name COLLATE "C" AS merchant, c.name COLLATE "C" AS connection, s.business_date, s.currency,
           c.channel COLLATE "C" AS channel, m.currency AS base_currency, x.rate,
           x.rate_date, s.orders, s.net_sales * x.rate AS net_sales, s.shipping * x.rate AS shipping_charged,
           m.cost_method, coalesce(g.cost, 0) AS cost, coalesce(g.units_without_cost, 0)::bigint AS units_without_cost,
           t.fees * x.rate AS channel_fees, s.orders * f.shipping_per_order * x.rate AS shipping_cost,
           CASE WHEN coalesce(g.units_without_cost, 0) = 0 THEN (s.net_sales + s.shipping
               - coalesce(t.fees, 0) - coalesce(s.orders * f.shipping_per_order, 0)
               ) * x.rate - coalesce(g.cost, 0) END AS margin
    FROM (
{_DAYS}
    ) s
    JOIN hub.connections c ON c.connection_id = s.connection_id
    JOIN hub.merchants m ON m.merchant_id = c.merchant_id
    LEFT JOIN LATERAL (
        SELECT sum(g.units * g.cost) AS cost, sum(g.moved) FILTER (WHERE g.cost IS NULL) AS units_without_cost
        FROM (
            SELECT sum((r.units - r.restocked_units) * coalesce(l.pack_size, 1)) AS units,
                   sum((r.units + r.restocked_units) * coalesce(l.pack_size, 1)) AS moved,
                   {cost_then("k.sku_id", "s.business_date")} AS cost
            FROM reports.sales_by_sku_rows r
            LEFT JOIN hub.skus k ON k.merchant_id = c.merchant_id AND k.sku = r.sku
            LEFT JOIN hub.listings l
                ON l.connection_id = r.connection_id AND l.listing_key = r.listing AND l.sku_id = k.sku_id
            WHERE r.connection_id = c.connection_id AND r.business_date = s.business_date AND r.currency = s.currency
            GROUP BY k.sku_id
        ) g
    ) g ON true
    LEFT JOIN {rate_of("s.currency", "s.business_date")} x ON true
    LEFT JOIN LATERAL (
        SELECT f.fee_percent, f.fee_per_order, f.shipping_per_order FROM hub.channel_costs f
        WHERE f.connection_id = c.connection_id AND f.currency = s.currency AND f.valid_from <= s.business_date
        ORDER BY f.valid_from DESC LIMIT 1) f ON true
    CROSS JOIN LATERAL (
        SELECT CASE WHEN EXISTS (SELECT FROM hub.order_channel_fees h WHERE h.connection_id = c.connection_id)
                    THEN s.fees ELSE s.total_sales * f.fee_percent / 100 + s.orders * f.fee_per_order END AS fees) t
) d
""",
)
