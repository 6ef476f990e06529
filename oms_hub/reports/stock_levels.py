"""`stock_levels`: stock now, per SKU and place. Its view and definitions stand in `store.report_stock`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, not_negative
from oms_hub.store.report_stock import STOCK_LEVELS

REPORT = Report(
    STOCK_LEVELS,
    (
        *not_negative("allocated", "reserved", "safety_stock"),
        Rule(
            "available = on_hand - allocated - reserved - unavailable",
            lambda frame: (
                frame["available"] == frame["on_hand"] - frame["allocated"] - frame["reserved"] - frame["unavailable"]
            ),
        ),
        Rule(
            "value is known exactly where unit_cost is",
            lambda frame: frame["value"].isna() == frame["unit_cost"].isna(),
        ),
    ),
)
