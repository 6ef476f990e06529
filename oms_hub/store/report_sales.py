"""Sales per day: what the figures mean and the SQL that makes them.

What counts, said once for all tables of sales:

- Never counted: test orders, drafts, and orders that vanished from their channel.
- An order is a sale where the channel's own sales report counts it (`is_sale`), cancelled or not: a channel that
  counts cancelled orders reverses them by refunds, one that does not says so by `is_sale`.
- Sales stand on the day the order was placed; refunds on the day they were made, if their order is a sale.
- A credit note gives refunds only: its lines are never sales and it is never an order.

Not here: which orders and refunds are taken (`report_scope` fills the temporary tables that the SQL reads), and marking
days that were restated (`report_restatements`).
"""

from __future__ import annotations

from oms_hub.store.report_columns import (
    BUSINESS_DATE,
    CHANNEL,
    CONNECTION,
    KEY_CURRENCY,
    MERCHANT,
    ReportDefinition,
    amount,
    instant,
    whole,
    words,
)

COUNTS = "Test orders, drafts and orders that vanished from the channel never count; currencies are never added."

SALES_DAILY = ReportDefinition(
    name="sales_daily",
    title="Sales per connection and day",
    comment=(
        "One row per merchant, connection, business day and currency with any sale, refund or cancelled order. "
        "Sales stand on the day the order was placed, refunds on the day they were made. An order is a sale where "
        f"the channel's own sales report counts it. {COUNTS}"
    ),
    day_column="business_date",
    currency_column="currency",
    columns=(
        MERCHANT,
        CONNECTION,
        BUSINESS_DATE,
        KEY_CURRENCY,
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
        instant(
            "restated_at",
            "When the figures last changed after the day was closed, 72 hours after its end; null where they never did",
            gaps=True,
        ),
        words("restated_because", "What changed then, in words; '' where nothing did; all of it: `restatements`"),
    ),
)

INSERT_SALES_DAILY = """
INSERT INTO reports.sales_daily (merchant, connection, business_date, currency, channel, orders, units,
    gross_sales, discounts, returns, net_sales, shipping, tax, fees, total_sales, refunds_paid, cancelled_orders,
    restated_because)
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
       refunds_paid, cancelled_orders, ''
FROM days d JOIN hub.connections c USING (connection_id) JOIN hub.merchants m USING (merchant_id)
"""
