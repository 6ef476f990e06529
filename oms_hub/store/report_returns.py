"""Refunds and what came back, per day and reason: what the figures mean and the SQL that makes them."""

from __future__ import annotations

from oms_hub.store.report_columns import (
    BUSINESS_DATE,
    CHANNEL,
    CONNECTION,
    KEY_CURRENCY,
    MERCHANT,
    ReportDefinition,
    amount,
    whole,
    words,
)
from oms_hub.store.report_sales import COUNTS

RETURNS_DAILY = ReportDefinition(
    name="returns_daily",
    title="Refunds and returned goods per connection, day and reason",
    comment=(
        "One row per merchant, connection, business day, currency and reason with any refund, on the day that it was "
        "made, whenever the order was placed; the rows of a day add up to its returns and refunds_paid in "
        f"sales_daily. A refund may have no returned goods (an appeasement). {COUNTS}"
    ),
    day_column="business_date",
    currency_column="currency",
    columns=(
        MERCHANT,
        CONNECTION,
        BUSINESS_DATE,
        KEY_CURRENCY,
        words("reason", "Why, as the channel tells it; '' where it does not", key=True),
        CHANNEL,
        whole("refunds", "Refunds made that day"),
        whole("orders", "Orders that these refunds belong to"),
        whole("appeasements", "Refunds of these that name no units"),
        whole("returned_units", "Units refunded, as the channel counts them"),
        whole("restocked_units", "Units of these that went back to the shelf"),
        amount("returns", "Goods value refunded plus amounts that name no line and no shipping, in currency, no tax"),
        amount("shipping", "Shipping refunded, in currency, without tax"),
        amount("tax", "Tax refunded, on goods and shipping, in currency"),
        amount("total", "returns + shipping + tax, in currency: what the refunds are worth"),
        amount("refunds_paid", "Money really paid back, in currency; store credit may make it differ from total"),
    ),
)

INSERT_RETURNS_DAILY = """
INSERT INTO reports.returns_daily (merchant, connection, business_date, currency, reason, channel, refunds, orders,
    appeasements, returned_units, restocked_units, returns, shipping, tax, total, refunds_paid)
WITH given AS (
    SELECT f.connection_id, f.channel_order_id, f.business_date, f.currency, f.reason, f.paid_amount,
           f.shipping_amount AS shipping, coalesce(b.units, 0) AS units, coalesce(b.restocked, 0) AS restocked,
           coalesce(b.amount, 0) + f.other_amount AS goods,
           coalesce(b.tax, 0) + f.shipping_tax_amount AS tax
    FROM report_refunded f
    LEFT JOIN (
        SELECT connection_id, channel_order_id, refund_id, sum(quantity) AS units,
               sum(quantity) FILTER (WHERE is_restocked) AS restocked, sum(b.amount) AS amount, sum(tax_amount) AS tax
        FROM report_refunded JOIN hub.refund_lines b USING (connection_id, channel_order_id, refund_id)
        GROUP BY 1, 2, 3
    ) b USING (connection_id, channel_order_id, refund_id)
)
SELECT m.name, c.name, g.business_date, g.currency, g.reason, c.channel, count(*), count(DISTINCT g.channel_order_id),
       count(*) FILTER (WHERE units = 0), sum(units), sum(restocked), sum(goods), sum(shipping), sum(tax),
       sum(goods + shipping + tax), sum(paid_amount)
FROM given g JOIN hub.connections c USING (connection_id) JOIN hub.merchants m USING (merchant_id)
GROUP BY m.name, c.name, g.business_date, g.currency, g.reason, c.channel
"""
