"""Buyers by recency, frequency and money spent, under pseudonyms.

A buyer is the channel's own id on one connection; nobody is matched across channels. What analysts see is a hash of it
with a secret salt of the merchant, which they cannot read: the same buyer keeps the same pseudonym, and nothing leads
back to the channel's id without the hub's own tables.
"""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import (
    CHANNEL,
    CONNECTION,
    CURRENCY,
    MERCHANT,
    TODAY,
    ReportDefinition,
    amount,
    day,
    whole,
    words,
)
from oms_hub.store.report_cover import AS_OF_DATE
from oms_hub.store.report_rates import rate_of

_SCORE = "1 to 5: fifths of the merchant's buyers, equal ones in the same"

CUSTOMERS_RFM = ReportDefinition(
    name="customers_rfm",
    title="Buyers by recency, frequency and money, under pseudonyms",
    comment=(
        "One row per merchant, connection and buyer with a sale before as_of_date. A buyer is the channel's id, shown "
        "as a hash that does not lead back to it; orders without a buyer are left out. Computed when read."
    ),
    currency_column="currency",
    has_as_of=True,
    columns=(
        MERCHANT,
        CONNECTION,
        words("customer", "Pseudonym of the buyer: 32 hexadecimal digits, the same on every day", key=True),
        CHANNEL,
        AS_OF_DATE,
        day("first_order_on", "Day of the first order"),
        day("last_order_on", "Day of the last order before as_of_date"),
        whole("recency_days", "as_of_date - last_order_on"),
        whole("orders", "Orders that are sales, as in sales_daily"),
        amount(
            "spent",
            "Totals of these orders less what was paid back on them and on credit notes, in currency, by the rate of "
            "each order's day",
        ),
        whole(
            "orders_without_rate", "Orders and credit notes left out of spent because their day has no exchange rate"
        ),
        whole("recency_score", f"{_SCORE}; 5 bought most recently"),
        whole("frequency_score", f"{_SCORE}; 5 bought most often"),
        whole("money_score", f"{_SCORE}; 5 spent most"),
        words(
            "segment",
            "champion (recency and frequency 4 or 5), loyal (frequency 4 or 5), new (one order, recency 4 or 5), "
            "at_risk (frequency 3, recency 1 or 2), lost (recency 1), regular (all others)",
        ),
        replace(CURRENCY, comment="ISO 4217 code of spent: the merchant's base currency"),
    ),
    view_sql=f"""
WITH merchants AS (SELECT m.*, {TODAY} AS today FROM hub.merchants m),
bought AS (
    SELECT o.merchant_id, o.connection_id, o.channel_customer_id COLLATE "C" AS channel_customer_id,
           o.currency COLLATE "C" AS currency,
           (o.placed_at AT TIME ZONE m.time_zone)::date AS business_date,
           o.total - coalesce(f.paid_amount, 0) AS spent, o.kind <> 'credit_note' AS is_order
    FROM merchants m
    JOIN hub.orders o ON o.merchant_id = m.merchant_id
    LEFT JOIN (
        SELECT connection_id, channel_order_id, sum(paid_amount) AS paid_amount FROM hub.refunds GROUP BY 1, 2
    ) f ON f.connection_id = o.connection_id AND f.channel_order_id = o.channel_order_id
    WHERE (o.is_sale OR o.kind = 'credit_note') AND NOT o.is_test AND NOT o.is_draft AND o.vanished_at IS NULL
      AND o.channel_customer_id IS NOT NULL AND (o.placed_at AT TIME ZONE m.time_zone)::date < m.today
),
rates AS (
    SELECT d.merchant_id, d.business_date, d.currency, x.rate
    FROM (SELECT DISTINCT merchant_id, business_date, currency FROM bought) d
    JOIN merchants m ON m.merchant_id = d.merchant_id
    LEFT JOIN {rate_of("d.currency", "d.business_date")} x ON true
),
buyers AS (
    SELECT b.merchant_id, b.connection_id, b.channel_customer_id,
           min(business_date) FILTER (WHERE is_order) AS first_on,
           max(business_date) FILTER (WHERE is_order) AS last_on, count(*) FILTER (WHERE is_order) AS orders,
           coalesce(sum(b.spent * x.rate), 0) AS spent, count(*) FILTER (WHERE x.rate IS NULL) AS without_rate
    FROM bought b JOIN rates x USING (merchant_id, business_date, currency)
    GROUP BY 1, 2, 3 HAVING bool_or(is_order)
),
scored AS (
    SELECT b.*, least(5, 1 + floor(5 * percent_rank() OVER (PARTITION BY merchant_id ORDER BY last_on)))::bigint AS r,
           least(5, 1 + floor(5 * percent_rank() OVER (PARTITION BY merchant_id ORDER BY orders)))::bigint AS f,
           least(5, 1 + floor(5 * percent_rank() OVER (PARTITION BY merchant_id ORDER BY spent)))::bigint AS s
    FROM buyers b
)
SELECT m.name AS merchant, c.name AS connection,
       left(encode(sha256(convert_to(concat_ws(':', m.pseudonym_salt, b.connection_id, b.channel_customer_id), 'UTF8')),
                   'hex'), 32) AS customer,
       c.channel, m.today AS as_of_date, b.first_on AS first_order_on, b.last_on AS last_order_on,
       (m.today - b.last_on)::bigint AS recency_days, b.orders, b.spent, b.without_rate AS orders_without_rate,
       b.r AS recency_score, b.f AS frequency_score, b.s AS money_score,
       CASE WHEN b.f >= 4 AND b.r >= 4 THEN 'champion' WHEN b.f >= 4 THEN 'loyal'
            WHEN b.orders = 1 AND b.r >= 4 THEN 'new' WHEN b.f = 3 AND b.r <= 2 THEN 'at_risk'
            WHEN b.r = 1 THEN 'lost' ELSE 'regular' END AS segment,
       m.currency
FROM scored b
JOIN merchants m ON m.merchant_id = b.merchant_id
JOIN hub.connections c ON c.connection_id = b.connection_id
""",
)
