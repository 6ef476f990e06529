"""`stock_ageing`: how old the stock is, per SKU and place. SQL and definitions: `store.report_classes`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, known_together
from oms_hub.store.report_classes import STOCK_AGEING

REPORT = Report(
    STOCK_AGEING,
    (
        Rule(
            "the groups of units add up to on_hand",
            lambda frame: (
                frame[[name for name in frame.columns if name.startswith("units_")]].sum(axis=1) == frame["on_hand"]
            ),
        ),
        known_together("unit_cost", "value"),
        known_together("value", "dead_value"),
    ),
)
