"""`sync_health`: how fresh and how well each connection is. View and definitions stand in `store.report_health`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, not_negative
from oms_hub.store.report_health import SYNC_HEALTH

REPORT = Report(
    SYNC_HEALTH,
    (
        *not_negative("consecutive_failures", "open_exceptions", "pending_pushes", "dead_pushes"),
        Rule(
            "open_by_kind is given exactly where exceptions are open",
            lambda frame: (frame["open_by_kind"] != "") == (frame["open_exceptions"] > 0),
        ),
    ),
)
