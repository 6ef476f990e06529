"""Reading a report as a frame."""

from __future__ import annotations

from datetime import date

import pandas as pd

from oms_hub.errors import Misconfigured
from oms_hub.reports.amounts import shown
from oms_hub.reports.registry import known_report
from oms_hub.store.engine import Store
from oms_hub.store.frames import read_report
from oms_hub.store.report_columns import ColumnKind, ReportDefinition
from oms_hub.store.report_refresh import known_merchants, missing_explained


def frame(
    store: Store,
    name: str,
    *,
    merchant: str | None = None,
    day_from: date | None = None,
    day_to: date | None = None,
) -> pd.DataFrame:
    """Return a report's rows, in the order of its key.

    Args:
        store: where the report tables are.
        name: the report.
        merchant: only this merchant's rows; None for all.
        day_from: first business day, inclusive; None for no limit.
        day_to: last business day, inclusive; None for no limit.

    Returns:
        The report's columns in their order; amounts are `Decimal` with the decimals of their currency, days are
        `date`. A report without rows has its columns all the same.

    Raises:
        Misconfigured: the report or the merchant is unknown, the days are reversed or the report has no days, or its
            table is missing.
    """
    definition = known_report(name).definition
    if (day_from or day_to) and not definition.day_column:
        raise Misconfigured(f"{name} shows the present and has no days", remedy="Leave out --from and --to")
    if day_from and day_to and day_from > day_to:
        raise Misconfigured(f"The days are reversed: {day_from} is after {day_to}", remedy="Swap --from and --to")
    with store.read() as transaction, missing_explained():
        known_merchants(transaction, merchant)
        found = read_report(transaction, definition, merchant=merchant, day_from=day_from, day_to=day_to)
    return _with_shown_amounts(found, definition)


def _with_shown_amounts(found: pd.DataFrame, definition: ReportDefinition) -> pd.DataFrame:
    changed = {}
    for column in definition.columns:
        if column.kind is ColumnKind.AMOUNT:
            pairs = zip(found[column.name], found[definition.currency_column], strict=True)
            amounts = [shown(amount, currency) for amount, currency in pairs]
            changed[column.name] = pd.Series(amounts, index=found.index, dtype="object")
    return found.assign(**changed)
