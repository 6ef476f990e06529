"""Amounts in the merchant's base currency: the rate of a day, and sales turned by it.

What belongs here: which rate holds, and `sales_base_daily`. The rate of a day is the newest of that day or of the six
days before it (rates are not published at weekends); without one the amounts are null and the row says so.
"""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import (
    BUSINESS_DATE,
    CHANNEL,
    CONNECTION,
    KEY_CURRENCY,
    MERCHANT,
    ReportColumn,
    ReportDefinition,
    amount,
    day,
    flag,
    whole,
    words,
)
from oms_hub.store.report_sales import COUNTS

RATE_HOLDS_DAYS = 7
"""Days for which a rate may stand in, its own included."""

SALE_CURRENCY = replace(KEY_CURRENCY, comment="ISO 4217 code of the currency that was sold in")
BASE_CURRENCY = words("base_currency", "ISO 4217 code of every amount in the row: the merchant's base currency")
RATE_COLUMNS: tuple[ReportColumn, ...] = (
    BASE_CURRENCY,
    replace(
        amount("rate", "Base currency for one unit of currency: 1 for the same; null where there is no rate"),
        has_gaps=True,
    ),
    day(
        "rate_date",
        f"Day of that rate: business_date or up to {RATE_HOLDS_DAYS - 1} days before; null where there is none",
        gaps=True,
    ),
)


def rate_of(currency: str, on_day: str) -> str:
    """Return SQL for a lateral row (rate, rate_date) of a day, into the currency of the merchant `m`."""
    return f"""LATERAL (
    SELECT 1::numeric AS rate, {on_day} AS rate_date WHERE {currency} = m.currency
    UNION ALL
    (SELECT e.rate, e.rate_date FROM hub.exchange_rates e
     WHERE e.base_currency = m.currency AND e.currency = {currency} AND e.rate_date <= {on_day}
       AND e.rate_date > {on_day} - {RATE_HOLDS_DAYS}
     ORDER BY e.rate_date DESC LIMIT 1)
)"""


_TURNED = ("gross_sales", "discounts", "returns", "net_sales", "shipping", "tax", "fees", "total_sales")

SALES_BASE_DAILY = ReportDefinition(
    name="sales_base_daily",
    title="Sales per connection and day in the merchant's base currency",
    comment=(
        "The rows of sales_daily, each turned into the merchant's base currency by the rate of its day, so that rows "
        "may be added. A row without a rate has no amounts and says so. " + COUNTS.split(";")[0] + "."
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
        flag("is_rate_missing", "Whether there is no rate: then the amounts are null"),
        whole("orders", "As in sales_daily"),
        whole("units", "As in sales_daily"),
        *(amount(name, f"sales_daily.{name} x rate; null where the rate is missing", gaps=True) for name in _TURNED),
    ),
    view_sql=f"""
SELECT s.merchant, s.connection, s.business_date, s.currency, s.channel, m.currency AS base_currency, x.rate,
       x.rate_date, x.rate IS NULL AS is_rate_missing, s.orders, s.units,
       {", ".join(f"s.{name} * x.rate AS {name}" for name in _TURNED)}
FROM reports.sales_daily s
JOIN hub.merchants m ON m.name = s.merchant
LEFT JOIN {rate_of("s.currency", "s.business_date")} x ON true
""",
)
