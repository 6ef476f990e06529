"""`payments_daily`: money in and out per day and gateway. SQL and definitions: `store.report_payments`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, not_negative
from oms_hub.store.report_payments import PAYMENTS_DAILY

REPORT = Report(
    PAYMENTS_DAILY,
    (
        *not_negative("payments", "refunds", "failed"),
        Rule("net = received - refunded", lambda frame: frame["net"] == frame["received"] - frame["refunded"]),
    ),
)
