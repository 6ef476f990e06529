"""Reconciliation per day: the channel's own order totals beside what the hub makes of the orders' parts.

What belongs here: the meaning of `reconciliation_daily` and the SQL that makes it. Quarantined records are counted on
the day they were first seen: before a record can be read nobody knows its own day, and its currency is ''.
"""

from __future__ import annotations

from dataclasses import replace

from oms_hub.domain.orders import ADJUSTMENT_CHARGE_ID
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

RECONCILIATION_DAILY = ReportDefinition(
    name="reconciliation_daily",
    title="Our totals beside the channel's",
    comment=(
        "One row per merchant, connection, business day and currency with any sale: the same orders as "
        "sales_daily.orders, their totals as the channel states them and as their parts add up. Records in quarantine "
        "stand on the day they were first seen, with currency ''."
    ),
    day_column="business_date",
    currency_column="currency",
    columns=(
        MERCHANT,
        CONNECTION,
        BUSINESS_DATE,
        replace(
            CURRENCY,
            is_key=True,
            comment=f"{CURRENCY.comment}; '' for records in quarantine, whose currency is not known yet",
        ),
        CHANNEL,
        whole("orders", "Orders placed that day that are sales, as in sales_daily"),
        amount("channel_total", "Sum of the totals that the channel states for these orders, in currency, with tax"),
        amount(
            "our_total",
            "Sum of these orders' lines after discounts, charges and taxes, in currency, without the hub's adjustment",
        ),
        amount("difference", "channel_total - our_total, in currency; 0 where everything ties"),
        amount("gaps", "Sum of the orders' differences without their signs, in currency: opposite gaps do not cancel"),
        whole("orders_with_gap", "Orders whose parts do not add up to the channel's total"),
        whole("quarantined", "Records first seen that day that are still in quarantine and in no total"),
        words("cause", "Why there is a difference or something is missing, with the first order ids; '' if nothing is"),
    ),
)

INSERT_RECONCILIATION_DAILY = f"""
INSERT INTO reports.reconciliation_daily (merchant, connection, business_date, currency, channel, orders,
    channel_total, our_total, difference, gaps, orders_with_gap, quarantined, cause)
WITH parts AS (
    SELECT connection_id, channel_order_id, sum(amount) AS amount
    FROM (
        SELECT l.connection_id, l.channel_order_id,
               l.gross_amount - l.discount_amount - l.order_discount_amount + l.tax_amount AS amount
        FROM report_placed p JOIN hub.order_lines l USING (connection_id, channel_order_id)
        WHERE p.is_sale
        UNION ALL
        SELECT c.connection_id, c.channel_order_id, c.amount + c.tax_amount
        FROM report_placed p JOIN hub.order_charges c USING (connection_id, channel_order_id)
        WHERE p.is_sale AND c.charge_id <> '{ADJUSTMENT_CHARGE_ID}'
    ) part
    GROUP BY 1, 2
),
compared AS (
    SELECT p.connection_id, p.business_date, p.currency, p.channel_order_id, p.total,
           coalesce(a.amount, 0) AS ours, p.total - coalesce(a.amount, 0) AS gap
    FROM report_placed p LEFT JOIN parts a USING (connection_id, channel_order_id)
    WHERE p.is_sale
),
days AS (
    SELECT connection_id, business_date, currency, count(*) AS orders, sum(total) AS channel_total,
           sum(ours) AS our_total, sum(gap) AS difference, sum(abs(gap)) AS gaps,
           count(*) FILTER (WHERE gap <> 0) AS orders_with_gap,
           array_to_string((array_agg(channel_order_id ORDER BY channel_order_id COLLATE "C")
                            FILTER (WHERE gap <> 0))[1:5], ', ') AS first_ids
    FROM compared GROUP BY 1, 2, 3
),
kept_out AS (
    SELECT connection_id, business_date, sum(quarantined) AS quarantined FROM report_quarantined GROUP BY 1, 2
),
rows AS (
    SELECT connection_id, business_date, currency, orders, channel_total, our_total, difference, gaps,
           orders_with_gap, 0 AS quarantined,
           CASE WHEN orders_with_gap = 0 THEN ''
                ELSE format('%s order(s) whose parts do not add up to the channel''s total: %s%s', orders_with_gap,
                            first_ids, CASE WHEN orders_with_gap > 5 THEN ', ...' ELSE '' END) END AS cause
    FROM days
    UNION ALL
    SELECT connection_id, business_date, '', 0, 0, 0, 0, 0, 0, quarantined,
           format('%s record(s) in quarantine: see oms-hub exceptions list', quarantined)
    FROM kept_out
)
SELECT m.name, c.name, business_date, r.currency, c.channel, orders, channel_total, our_total, difference, gaps,
       orders_with_gap, quarantined, cause
FROM rows r JOIN hub.connections c USING (connection_id) JOIN hub.merchants m USING (merchant_id)
"""
