"""The reports: one module per report table, and what is done with them.

What belongs here: what a report promises (`registry`, one module each), reading it as a frame (`reading`), keeping it
up to date (`refreshing`), checking a frame (`contract`), writing it to files (`export`), and the data dictionary
(`dictionary`). Not here: SQL, which stands in `oms_hub.store.report_*`, beside the definition of each column.
"""

from oms_hub.reports.contract import problems
from oms_hub.reports.explaining import Explained, explain_day
from oms_hub.reports.reading import frame
from oms_hub.reports.refreshing import TieResult, rebuild, refresh_touched, ties
from oms_hub.reports.registry import REPORTS, known_report
from oms_hub.reports.report import Report, Rule

__all__ = [
    "REPORTS", "Explained", "Report", "Rule", "TieResult", "explain_day", "frame", "known_report", "problems",
    "rebuild", "refresh_touched", "ties",
]  # fmt: skip
