"""`exceptions`: what waits for a person. Its view and definitions stand in `store.report_health`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule
from oms_hub.store.report_health import EXCEPTIONS

REPORT = Report(
    EXCEPTIONS,
    (
        Rule("occurrences is at least 1", lambda frame: frame["occurrences"] >= 1),
        Rule("last_seen_at is not before opened_at", lambda frame: frame["last_seen_at"] >= frame["opened_at"]),
    ),
)
