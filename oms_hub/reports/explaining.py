"""Following a report's figures to the orders, refunds, payments or movements that they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from oms_hub.errors import Misconfigured
from oms_hub.reports.registry import known_report
from oms_hub.store.engine import Store
from oms_hub.store.report_explain import TRAILS, read_trail
from oms_hub.store.report_refresh import known_connection, known_merchants, missing_explained


@dataclass(frozen=True, slots=True)
class Explained:
    """What stands behind one day of a report.

    Attributes:
        rows: one per order, refund, payment or movement.
        totals: the sums of the rows per currency ('' where units alone are counted), as the report shows them.
    """

    rows: Sequence[Mapping[str, Any]]
    totals: Mapping[str, Mapping[str, Decimal]]


def explain_day(
    store: Store,
    name: str,
    day: date,
    *,
    merchant: str | None = None,
    connection: str | None = None,
    sku: str | None = None,
) -> Explained:
    """Return what one business day of a report is made of.

    Args:
        store: where the orders are.
        name: the report.
        day: the business day, in each merchant's own zone.
        merchant: only this merchant's; None for all.
        connection: only this connection's; None for all.
        sku: only this SKU's, for reports that have SKUs; None for all.

    Raises:
        Misconfigured: the report, the merchant or the connection is unknown, or the report cannot be followed so.
    """
    known_report(name)
    if name not in TRAILS:
        followed = ", ".join(TRAILS)
        raise Misconfigured(
            f"{name} has no days that can be followed",
            remedy=f"Use oms-hub explain stock SKU, or one of: {followed}",
        )
    trail = TRAILS[name]
    if sku is not None and not trail.has_sku:
        raise Misconfigured(f"{name} has no SKUs", remedy="Leave out --sku")
    if connection is not None and not trail.has_connection:
        raise Misconfigured(f"{name} has no connections", remedy="Leave out --connection")
    with store.read() as tx, missing_explained():
        known_merchants(tx, merchant)
        known_connection(tx, connection)
        rows = read_trail(tx, name, day=day, merchant=merchant, connection=connection, sku=sku)
    totals: dict[str, dict[str, Decimal]] = {}
    for row in rows:
        sums = totals.setdefault(row.get("currency", ""), dict.fromkeys(trail.figures, Decimal(0)))
        for figure in trail.figures:
            sums[figure] += row[figure]
    return Explained(rows, totals)
