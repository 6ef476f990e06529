"""All reports by name. A new report is one module with a `REPORT`, and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from oms_hub.errors import Misconfigured
from oms_hub.reports import (
    abc,
    channel_levels,
    channel_profit_daily,
    customers_rfm,
    demand_hourly,
    exceptions,
    fulfilment_daily,
    inventory_daily,
    payments_daily,
    reconciliation_daily,
    reorder,
    restatements,
    returns_daily,
    sales_base_daily,
    sales_by_sku_daily,
    sales_daily,
    sku_costs,
    stock_ageing,
    stock_cover,
    stock_levels,
    sync_health,
)
from oms_hub.reports.report import Report

REPORTS: Mapping[str, Report] = MappingProxyType(
    {
        module.REPORT.name: module.REPORT
        for module in (
            sales_daily,
            sales_by_sku_daily,
            sales_base_daily,
            returns_daily,
            payments_daily,
            fulfilment_daily,
            reconciliation_daily,
            channel_profit_daily,
            restatements,
            demand_hourly,
            stock_levels,
            inventory_daily,
            sku_costs,
            stock_cover,
            reorder,
            stock_ageing,
            abc,
            customers_rfm,
            channel_levels,
            sync_health,
            exceptions,
        )
    }
)
"""Every report by its name, in the order in which they are listed."""


def known_report(name: str) -> Report:
    """Return the report of that name.

    Raises:
        Misconfigured: there is none; the remedy lists those that there are.
    """
    if name not in REPORTS:
        raise Misconfigured(f"There is no report {name!r}", remedy=f"Known reports: {', '.join(REPORTS)}")
    return REPORTS[name]
