"""`abc`: which SKUs bring the sales. SQL and definitions: `store.report_classes`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, share
from oms_hub.store.report_classes import ABC

REPORT = Report(
    ABC,
    (
        Rule("class is A, B or C", lambda frame: frame["class"].isin(("A", "B", "C"))),
        Rule("rank is at least 1", lambda frame: frame["rank"] >= 1),
        share("share"),
        share("cumulative_share"),
    ),
)
