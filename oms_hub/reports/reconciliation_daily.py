"""`reconciliation_daily`: our totals beside the channel's. SQL and definitions: `store.report_reconciliation`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, not_negative
from oms_hub.store.report_reconciliation import RECONCILIATION_DAILY

REPORT = Report(
    RECONCILIATION_DAILY,
    (
        *not_negative("orders", "gaps", "orders_with_gap", "quarantined"),
        Rule(
            "difference = channel_total - our_total",
            lambda frame: frame["difference"] == frame["channel_total"] - frame["our_total"],
        ),
        Rule(
            "cause is given exactly where an order has a gap or a record is in quarantine",
            lambda frame: (frame["cause"] != "") == (frame["orders_with_gap"] + frame["quarantined"] > 0),
        ),
    ),
)
