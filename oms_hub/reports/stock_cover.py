"""`stock_cover`: how long the stock of each SKU lasts. SQL and definitions: `store.report_cover`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, known_together, not_negative
from oms_hub.store.report_cover import STOCK_COVER

REPORT = Report(
    STOCK_COVER,
    (
        *not_negative("incoming", "on_order", "units_sold", "stockout_days"),
        Rule(
            "state is one of the known words",
            lambda frame: frame["state"].isin(("out", "low", "ok", "excess", "idle")),
        ),
        known_together("days_of_cover", "runs_out_on"),
    ),
)
