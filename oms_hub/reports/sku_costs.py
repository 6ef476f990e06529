"""`sku_costs`: what a unit of each SKU cost, from which day on. SQL and definitions: `store.report_costs`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, not_negative
from oms_hub.store.report_costs import SKU_COSTS

REPORT = Report(
    SKU_COSTS,
    (
        Rule("the method is known", lambda frame: frame["method"].isin(("weighted_average", "fifo"))),
        *not_negative("unit_cost", "stock_unit_cost"),
    ),
)
