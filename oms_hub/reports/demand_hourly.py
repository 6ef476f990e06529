"""`demand_hourly`: units asked for per SKU and hour. SQL and definitions: `store.report_demand`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, not_negative
from oms_hub.store.report_demand import DEMAND_HOURLY

REPORT = Report(
    DEMAND_HOURLY,
    (
        *not_negative("orders", "units", "units_not_sold"),
        Rule("units_not_sold is at most units", lambda frame: frame["units_not_sold"] <= frame["units"]),
    ),
)
