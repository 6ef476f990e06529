"""Reading a report as a frame."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from oms_hub.errors import Misconfigured
from oms_hub.reports.amounts import shown
from oms_hub.reports.registry import REPORTS, known_report
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
    as_of: date | None = None,
    most_rows: int | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return a report's rows, in the order of its key.

    Args:
        store: where the report tables are.
        name: the report.
        merchant: only this merchant's rows; None for all.
        day_from: first business day, inclusive; None for no limit.
        day_to: last business day, inclusive; None for no limit.
        as_of: what counts as today, for reports that look back from it; None for the real one.
        most_rows: no more rows than this, the first by the key; None for all.
        columns: only these columns, in this order; None for all.

    Returns:
        The report's columns in their order; amounts are `Decimal` with the decimals of their currency, days are
        `date`. A report without rows has its columns all the same.

    Raises:
        Misconfigured: the report, a column or the merchant is unknown, the days are reversed, the report has no days or
            does not look back from one, or its table is missing.
    """
    definition = known_report(name).definition
    if (day_from or day_to) and not definition.day_column:
        raise Misconfigured(f"{name} shows the present and has no days", remedy="Leave out --from and --to")
    if day_from and day_to and day_from > day_to:
        raise Misconfigured(f"The days are reversed: {day_from} is after {day_to}", remedy="Swap --from and --to")
    if columns is not None:
        _known_columns(definition, columns)
    if as_of and not definition.has_as_of:
        looking_back = ", ".join(found.name for found in REPORTS.values() if found.definition.has_as_of)
        raise Misconfigured(
            f"{name} does not look back from a day", remedy=f"Leave out --as-of; it is for {looking_back}"
        )
    with store.read() as transaction, missing_explained():
        known_merchants(transaction, merchant)
        found = read_report(
            transaction, definition, merchant=merchant, day_from=day_from, day_to=day_to, as_of=as_of,
            most_rows=most_rows,
        )  # fmt: skip
    shown_amounts = _with_shown_amounts(found, definition)
    return shown_amounts if columns is None else shown_amounts[list(columns)]


def _known_columns(definition: ReportDefinition, columns: Sequence[str]) -> None:
    known = [column.name for column in definition.columns]
    unknown = [repr(column) for column in columns if column not in known]
    if unknown or not columns or len(set(columns)) < len(columns):
        trouble = f"has no column {', '.join(unknown)}" if unknown else "needs each column once, and at least one"
        raise Misconfigured(f"{definition.name} {trouble}", remedy=f"Its columns: {', '.join(known)}")


def _with_shown_amounts(found: pd.DataFrame, definition: ReportDefinition) -> pd.DataFrame:
    changed = {}
    for column in definition.columns:
        if column.kind is ColumnKind.AMOUNT:
            pairs = zip(found[column.name], found[definition.currency_column], strict=True)
            amounts = [shown(amount, currency) for amount, currency in pairs]
            changed[column.name] = pd.Series(amounts, index=found.index, dtype="object")
    return found.assign(**changed)
