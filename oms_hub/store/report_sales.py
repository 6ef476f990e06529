"""Sales per day, and per SKU and day: what the figures mean and the SQL that makes them.

What counts, said once for both tables:

- Never counted: test orders, drafts, and orders that vanished from their channel.
- An order is a sale where the channel's own sales report counts it (`is_sale`), cancelled or not: a channel that
  counts cancelled orders reverses them by refunds, one that does not says so by `is_sale`.
- Sales stand on the day the order was placed; refunds on the day they were made, if their order is a sale.
- A credit note gives refunds only: its lines are never sales and it is never an order.

Not here: which orders and refunds are taken (`report_scope` fills the temporary tables that the SQL reads).
"""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import (
    BUSINESS_DATE,
    CHANNEL,
    CONNECTION,
    CURRENCY,
    MERCHANT,
    ReportDefinition,
    amount,
    whole,
    words,
)

_KEY_CURRENCY = replace(CURRENCY, is_key=True)
_COUNTS = "Test orders, drafts and orders that vanished from the channel never count; currencies are never added."

SALES_DAILY = ReportDefinition(
    name="sales_daily",
    title="Sales per connection and day",
    comment=(
        "One row per merchant, connection, business day and currency with any sale, refund or cancelled order. "
        "Sales stand on the day the order was placed, refunds on the day they were made. An order is a sale where "
        f"the channel's own sales report counts it. {_COUNTS}"
    ),
    day_column="business_date",
    currency_column="currency",
    columns=(
        MERCHANT,
        CONNECTION,
        BUSINESS_DATE,
        _KEY_CURRENCY,
        CHANNEL,
        whole("orders", "Orders placed that day that are sales; a credit note is no order"),
        whole("units", "Units on the lines of those orders as placed; returned units are not taken off"),
        amount(
            "gross_sales",
            "Unit price x quantity of those orders' lines, in currency; before discounts and returns, without tax "
            "and shipping",
        ),
        amount("discounts", "Discounts on lines and on whole orders, in currency, without tax; positive"),
        amount(
            "returns",
            "Goods value refunded that day plus refunded amounts that name no line and no shipping, in currency, "
            "without tax; positive lowers sales",
        ),
        amount("net_sales", "gross_sales - discounts - returns, in currency"),
        amount("shipping", "Shipping charged minus shipping refunded that day, in currency, without tax"),
        amount("tax", "Tax on lines and charges minus tax refunded that day, in currency, whoever remits it"),
        amount(
            "fees",
            "Other charges to the buyer, in currency, without tax: fees, duties, tips, cash rounding, and the "
            "adjustment where an order's parts do not add up to its total",
        ),
        amount(
            "total_sales",
            "net_sales + shipping + tax + fees, in currency: the channel's order totals minus the refunds' value",
        ),
        amount("refunds_paid", "Money really paid back that day, in currency; store credit may make it differ"),
        whole("cancelled_orders", "Orders placed that day that are cancelled now, whether sales or not"),
    ),
)

_SKU = words(
    "sku",
    "The merchant's SKU; where a line is not linked to one, the channel's SKU text; '' where there is none, and for "
    "refunded amounts that name no line",
    key=True,
)
_LISTING = words("listing", "The channel's key of the listing that was sold; '' where the line names none", key=True)
_SKU_FIGURES = (
    CHANNEL,
    whole("units", "Units on lines of sales placed that day, as placed and as the channel counts them"),
    whole("returned_units", "Units refunded that day, restocked or not"),
    amount("gross_sales", "Unit price x quantity, in currency; before discounts and returns, without tax"),
    amount("discounts", "The lines' own discounts and their part of order discounts, in currency; positive"),
    amount("returns", "Goods value refunded that day, in currency, without tax; positive lowers sales"),
    amount("net_sales", "gross_sales - discounts - returns, in currency"),
)

SALES_BY_SKU_ROWS = ReportDefinition(
    name="sales_by_sku_rows",
    title="The stored part of sales_by_sku_daily",
    comment="What sales_by_sku_daily is made of: per listing, without cost; read that instead",
    day_column="business_date",
    currency_column="currency",
    columns=(MERCHANT, CONNECTION, BUSINESS_DATE, _KEY_CURRENCY, _SKU, _LISTING, *_SKU_FIGURES),
)

SALES_BY_SKU_DAILY = ReportDefinition(
    name="sales_by_sku_daily",
    title="Sales per SKU, connection and day",
    comment=(
        "One row per merchant, connection, business day, currency and SKU with any sale or refund; the rows of a "
        f"day add up to its units, gross_sales, discounts, returns and net_sales in sales_daily. {_COUNTS}"
    ),
    day_column="business_date",
    currency_column="currency",
    columns=(
        MERCHANT,
        CONNECTION,
        BUSINESS_DATE,
        _KEY_CURRENCY,
        _SKU,
        *_SKU_FIGURES,
        whole("goods_units", "units in the SKU's own count: a listing that sells a pack of six counts six"),
        amount(
            "cost",
            "goods_units x the SKU's unit cost as known now, in currency; returned units are not taken off; null "
            "where no unit cost is known or the sale was in another currency than the merchant's",
            gaps=True,
        ),
        amount("margin", "net_sales - cost, in currency; null where cost is null", gaps=True),
    ),
    view_sql="""
SELECT merchant, connection, business_date, currency, sku, channel, units, returned_units, gross_sales, discounts,
       returns, net_sales, goods_units, goods_units * unit_cost AS cost, net_sales - goods_units * unit_cost AS margin
FROM (
    SELECT r.merchant, r.connection, r.business_date, r.currency, r.sku, r.channel,
           sum(r.units)::bigint AS units, sum(r.returned_units)::bigint AS returned_units,
           sum(r.gross_sales) AS gross_sales, sum(r.discounts) AS discounts, sum(r.returns) AS returns,
           sum(r.net_sales) AS net_sales, sum(r.units * coalesce(l.pack_size, 1))::bigint AS goods_units,
           max(k.unit_cost) FILTER (WHERE m.currency = r.currency) AS unit_cost
    FROM reports.sales_by_sku_rows r
    JOIN hub.connections c ON c.name = r.connection
    JOIN hub.merchants m ON m.merchant_id = c.merchant_id
    LEFT JOIN hub.skus k ON k.merchant_id = c.merchant_id AND k.sku = r.sku
    LEFT JOIN hub.listings l
        ON l.connection_id = c.connection_id AND l.listing_key = r.listing AND l.sku_id = k.sku_id
    GROUP BY r.merchant, r.connection, r.business_date, r.currency, r.sku, r.channel
) goods
""",
)

INSERT_SALES_DAILY = """
INSERT INTO reports.sales_daily (merchant, connection, business_date, currency, channel, orders, units,
    gross_sales, discounts, returns, net_sales, shipping, tax, fees, total_sales, refunds_paid, cancelled_orders)
WITH parts (connection_id, business_date, currency, orders, units, gross, discounts, returns, shipping, tax, fees,
            refunds_paid, cancelled_orders) AS (
    SELECT connection_id, business_date, currency, count(*) FILTER (WHERE is_sale), 0, 0, 0, 0, 0, 0, 0, 0,
           count(*) FILTER (WHERE is_cancelled)
    FROM report_placed GROUP BY 1, 2, 3
    UNION ALL
    SELECT p.connection_id, p.business_date, p.currency, 0, sum(l.quantity), sum(l.gross_amount),
           sum(l.discount_amount + l.order_discount_amount), 0, 0, sum(l.tax_amount), 0, 0, 0
    FROM report_placed p JOIN hub.order_lines l USING (connection_id, channel_order_id)
    WHERE p.is_sale GROUP BY 1, 2, 3
    UNION ALL
    SELECT p.connection_id, p.business_date, p.currency, 0, 0, 0, 0, 0,
           coalesce(sum(c.amount) FILTER (WHERE c.kind = 'shipping'), 0), sum(c.tax_amount),
           coalesce(sum(c.amount) FILTER (WHERE c.kind <> 'shipping'), 0), 0, 0
    FROM report_placed p JOIN hub.order_charges c USING (connection_id, channel_order_id)
    WHERE p.is_sale GROUP BY 1, 2, 3
    UNION ALL
    SELECT connection_id, business_date, currency, 0, 0, 0, 0, sum(other_amount),
           -sum(shipping_amount), -sum(shipping_tax_amount), 0, sum(paid_amount), 0
    FROM report_refunded GROUP BY 1, 2, 3
    UNION ALL
    SELECT f.connection_id, f.business_date, f.currency, 0, 0, 0, 0, sum(b.amount), 0, -sum(b.tax_amount), 0, 0, 0
    FROM report_refunded f JOIN hub.refund_lines b USING (connection_id, channel_order_id, refund_id)
    GROUP BY 1, 2, 3
),
days AS (
    SELECT connection_id, business_date, currency, sum(orders) AS orders, sum(units) AS units, sum(gross) AS gross,
           sum(discounts) AS discounts, sum(returns) AS returns, sum(shipping) AS shipping, sum(tax) AS tax,
           sum(fees) AS fees, sum(refunds_paid) AS refunds_paid, sum(cancelled_orders) AS cancelled_orders
    FROM parts GROUP BY 1, 2, 3
)
SELECT m.name, c.name, business_date, d.currency, c.channel, orders, units, gross, discounts, returns,
       gross - discounts - returns, shipping, tax, fees, gross - discounts - returns + shipping + tax + fees,
       refunds_paid, cancelled_orders
FROM days d JOIN hub.connections c USING (connection_id) JOIN hub.merchants m USING (merchant_id)
"""

INSERT_SALES_BY_SKU_ROWS = """
INSERT INTO reports.sales_by_sku_rows (merchant, connection, business_date, currency, sku, listing, channel, units,
    returned_units, gross_sales, discounts, returns, net_sales)
WITH parts (connection_id, business_date, currency, sku_id, channel_sku, listing, units, returned_units, gross,
            discounts, returns) AS (
    SELECT p.connection_id, p.business_date, p.currency, l.sku_id, l.channel_sku, l.listing_key, sum(l.quantity), 0,
           sum(l.gross_amount), sum(l.discount_amount + l.order_discount_amount), 0
    FROM report_placed p JOIN hub.order_lines l USING (connection_id, channel_order_id)
    WHERE p.is_sale GROUP BY 1, 2, 3, 4, 5, 6
    UNION ALL
    SELECT f.connection_id, f.business_date, f.currency, l.sku_id, l.channel_sku, l.listing_key, 0, sum(b.quantity),
           0, 0, sum(b.amount)
    FROM report_refunded f
    JOIN hub.refund_lines b USING (connection_id, channel_order_id, refund_id)
    LEFT JOIN hub.order_lines l ON l.connection_id = b.connection_id
        AND l.channel_order_id = b.channel_order_id AND l.line_id = b.line_id
    GROUP BY 1, 2, 3, 4, 5, 6
    UNION ALL
    SELECT connection_id, business_date, currency, NULL::bigint, NULL, NULL, 0, 0, 0, 0, sum(other_amount)
    FROM report_refunded GROUP BY 1, 2, 3 HAVING sum(other_amount) <> 0
),
goods AS (
    SELECT p.connection_id, p.business_date, p.currency, coalesce(k.sku, p.channel_sku, '') AS sku,
           coalesce(p.listing, '') AS listing, sum(p.units) AS units, sum(p.returned_units) AS returned_units,
           sum(p.gross) AS gross, sum(p.discounts) AS discounts, sum(p.returns) AS returns
    FROM parts p LEFT JOIN hub.skus k USING (sku_id)
    GROUP BY 1, 2, 3, 4, 5
)
SELECT m.name, c.name, business_date, g.currency, sku, listing, c.channel, units, returned_units, gross, discounts,
       returns, gross - discounts - returns
FROM goods g JOIN hub.connections c USING (connection_id) JOIN hub.merchants m USING (merchant_id)
"""
