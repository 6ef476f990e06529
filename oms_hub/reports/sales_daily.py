"""`sales_daily`: sales per connection and business day. Its SQL and definitions stand in `store.report_sales`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, not_negative
from oms_hub.store.report_sales import SALES_DAILY

REPORT = Report(
    SALES_DAILY,
    (
        *not_negative("orders", "cancelled_orders"),
        Rule(
            "net_sales = gross_sales - discounts - returns",
            lambda frame: frame["net_sales"] == frame["gross_sales"] - frame["discounts"] - frame["returns"],
        ),
        Rule(
            "total_sales = net_sales + shipping + tax + fees",
            lambda frame: frame["total_sales"] == frame["net_sales"] + frame["shipping"] + frame["tax"] + frame["fees"],
        ),
    ),
)
