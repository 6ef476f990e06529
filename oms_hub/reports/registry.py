"""All reports by name. A new report is one module with a `REPORT`, and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from oms_hub.errors import Misconfigured
from oms_hub.reports import (
    channel_levels,
    exceptions,
    reconciliation_daily,
    sales_by_sku_daily,
    sales_daily,
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
            reconciliation_daily,
            stock_levels,
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
