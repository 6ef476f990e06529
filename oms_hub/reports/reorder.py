"""`reorder`: what to order, and why. SQL and definitions: `store.report_cover`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, known_together, not_negative
from oms_hub.store.report_cover import REORDER

REPORT = Report(
    REORDER,
    (
        *not_negative("incoming", "on_order", "units_sold"),
        Rule(
            "position = available + incoming + on_order",
            lambda frame: frame["position"] == frame["available"] + frame["incoming"] + frame["on_order"],
        ),
        Rule(
            "quantity is positive exactly where state is order",
            lambda frame: (frame["quantity"] > 0).fillna(False) == (frame["state"] == "order"),
        ),
        known_together("reorder_point", "quantity"),
        Rule(
            "arithmetic is given exactly where terms are known",
            lambda frame: (frame["arithmetic"] != "") == (frame["state"] != "no_terms"),
        ),
    ),
)
