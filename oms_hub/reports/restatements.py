"""`restatements`: closed days whose sales changed. SQL and definitions: `store.report_restatements`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, not_negative
from oms_hub.store.report_restatements import RESTATEMENTS

REPORT = Report(
    RESTATEMENTS,
    (
        *not_negative("orders_before", "orders_after"),
        Rule("a cause is given", lambda frame: frame["cause"] != ""),
    ),
)
