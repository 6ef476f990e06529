"""`returns_daily`: refunds and returned goods per day and reason. SQL and definitions: `store.report_returns`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, not_negative
from oms_hub.store.report_returns import RETURNS_DAILY

REPORT = Report(
    RETURNS_DAILY,
    (
        *not_negative("refunds", "orders", "appeasements"),
        Rule(
            "no more orders and appeasements than refunds",
            lambda frame: (frame["orders"] <= frame["refunds"]) & (frame["appeasements"] <= frame["refunds"]),
        ),
        Rule(
            "restocked_units is at most returned_units",
            lambda frame: frame["restocked_units"] <= frame["returned_units"],
        ),
        Rule(
            "total = returns + shipping + tax",
            lambda frame: frame["total"] == frame["returns"] + frame["shipping"] + frame["tax"],
        ),
    ),
)
