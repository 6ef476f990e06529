"""Closed days whose sales figures changed after they were shown: when, and what changed.

What belongs here: the meaning of `restatements`, comparing the figures before and after a refresh, and marking
`sales_daily`. A day is closed 72 hours after its end: later news (late sales, edits, refunds dated back) are counted on
their day all the same, and the day is marked. Days before the first and after the last one that was shown of a
connection are not marked: they are history that is still being pulled. Marks are facts of their own
(`hub.restatements`), so a rebuild gives the same rows.
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

CLOSED_AFTER_HOURS = 72
"""Hours from the end of a business day until its figures count as closed."""

RESTATEMENTS = ReportDefinition(
    name="restatements",
    title="Closed days whose sales changed, with when and why",
    comment=(
        f"One row per merchant, connection, business day, currency and change of its figures later than "
        f"{CLOSED_AFTER_HOURS} hours after the end of the day. Kept for good. Computed when read."
    ),
    day_column="business_date",
    currency_column="currency",
    columns=(
        MERCHANT,
        CONNECTION,
        BUSINESS_DATE,
        KEY_CURRENCY,
        instant("restated_at", "When the refresh found the change", key=True),
        CHANNEL,
        words("cause", "What changed, in words"),
        whole("orders_before", "sales_daily.orders as it was shown"),
        whole("orders_after", "sales_daily.orders as it became"),
        amount("net_sales_before", "sales_daily.net_sales as it was shown, in currency"),
        amount("net_sales_after", "sales_daily.net_sales as it became, in currency"),
        amount("total_sales_before", "sales_daily.total_sales as it was shown, in currency"),
        amount("total_sales_after", "sales_daily.total_sales as it became, in currency"),
    ),
    view_sql="""
SELECT m.name AS merchant, c.name AS connection, r.business_date, r.currency, r.restated_at, c.channel, r.cause,
       r.orders_before, r.orders_after, r.net_sales_before, r.net_sales_after, r.total_sales_before,
       r.total_sales_after
FROM hub.restatements r
JOIN hub.connections c ON c.connection_id = r.connection_id
JOIN hub.merchants m ON m.merchant_id = r.merchant_id
""",
)

_SCOPE = """
    SELECT DISTINCT m.name AS merchant, c.name AS connection, d.business_date
    FROM report_days d JOIN hub.connections c USING (connection_id)
    JOIN hub.merchants m ON m.merchant_id = d.merchant_id
"""

KEEP_SHOWN_DAYS = f"""
CREATE TEMP TABLE report_shown ON COMMIT DROP AS
SELECT r.* FROM reports.sales_daily r JOIN ({_SCOPE}) d USING (merchant, connection, business_date)
"""
KEEP_SHOWN = """
CREATE TEMP TABLE report_shown ON COMMIT DROP AS
SELECT * FROM reports.sales_daily WHERE CAST(:merchant AS text) IS NULL OR merchant = :merchant
"""
KEEP_RANGE_SHOWN = """
CREATE TEMP TABLE report_range_shown ON COMMIT DROP AS
SELECT merchant, connection, min(business_date) AS first_date, max(business_date) AS last_date
FROM reports.sales_daily GROUP BY 1, 2
"""

_FIGURES = (
    "orders", "units", "gross_sales", "discounts", "returns", "net_sales", "shipping", "tax", "fees", "total_sales",
    "refunds_paid", "cancelled_orders",
)  # fmt: skip
_BEFORE = ", ".join(f"coalesce(b.{name}, 0) AS {name}_before" for name in _FIGURES)
_AFTER = ", ".join(f"coalesce(a.{name}, 0) AS {name}_after" for name in _FIGURES)
_DIFFERS = " OR ".join(f"{name}_before <> {name}_after" for name in _FIGURES)

LOG_RESTATEMENTS = f"""
WITH made AS (SELECT r.* FROM reports.sales_daily r {{in_scope}}),
compared AS (
    SELECT merchant, connection, business_date, currency, {_BEFORE}, {_AFTER}
    FROM report_shown b FULL JOIN made a USING (merchant, connection, business_date, currency)
)
INSERT INTO hub.restatements (merchant_id, connection_id, business_date, currency, restated_at, cause, orders_before,
    orders_after, net_sales_before, net_sales_after, total_sales_before, total_sales_after)
SELECT m.merchant_id, c.connection_id, d.business_date, d.currency, now(),
       coalesce(nullif(concat_ws('; ',
           CASE WHEN orders_after > orders_before THEN format('%s late order(s)', orders_after - orders_before) END,
           CASE WHEN orders_after < orders_before
                THEN format('%s order(s) count no longer', orders_before - orders_after) END,
           CASE WHEN cancelled_orders_after <> cancelled_orders_before
                THEN format('cancelled orders %s instead of %s', cancelled_orders_after, cancelled_orders_before) END,
           CASE WHEN returns_after <> returns_before OR refunds_paid_after <> refunds_paid_before
                THEN format('returns %s instead of %s', trim_scale(returns_after), trim_scale(returns_before)) END
       ), ''), 'amounts of orders changed'),
       orders_before, orders_after, net_sales_before, net_sales_after, total_sales_before, total_sales_after
FROM compared d
JOIN report_range_shown s ON s.merchant = d.merchant AND s.connection = d.connection
    AND d.business_date BETWEEN s.first_date AND s.last_date
JOIN hub.connections c ON c.name = d.connection JOIN hub.merchants m ON m.merchant_id = c.merchant_id
WHERE ({_DIFFERS})
  AND ((d.business_date + 1)::timestamp AT TIME ZONE m.time_zone) + interval '{CLOSED_AFTER_HOURS} hours' <= now()
ORDER BY m.merchant_id, c.connection_id, d.business_date, d.currency
"""
IN_DAYS = f"JOIN ({_SCOPE}) scope USING (merchant, connection, business_date)"
IN_MERCHANT = "WHERE CAST(:merchant AS text) IS NULL OR r.merchant = :merchant"

MARK_RESTATED = """
UPDATE reports.sales_daily r SET restated_at = n.restated_at, restated_because = n.cause
FROM (
    SELECT DISTINCT ON (connection_id, business_date, currency) connection_id, business_date, currency, restated_at,
           cause
    FROM hub.restatements ORDER BY connection_id, business_date, currency, restatement_id DESC
) n JOIN hub.connections c USING (connection_id)
WHERE r.connection = c.name AND r.business_date = n.business_date AND r.currency = n.currency AND r.restated_at IS NULL
"""
"""Rows that were just made bear no mark; whatever else bears one keeps it."""
