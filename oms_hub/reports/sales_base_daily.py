"""`sales_base_daily`: sales in the merchant's base currency. SQL and definitions: `store.report_rates`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, known_together
from oms_hub.store.report_rates import SALES_BASE_DAILY

REPORT = Report(
    SALES_BASE_DAILY,
    (
        Rule(
            "rate is missing exactly where it says so", lambda frame: frame["rate"].isna() == frame["is_rate_missing"]
        ),
        known_together("rate", "rate_date", "net_sales", "total_sales"),
    ),
)
