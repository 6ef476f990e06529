"""The contract of each report's frame, made from its description with pandera.

What belongs here: columns and their order, dtypes, no gaps where none may be, one row per key, exact amounts, and the
report's own rules. Whether reports tie with each other is asked of the database (`refreshing.ties`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType

import pandas as pd
import pandera.pandas as pa

from oms_hub.reports import reading
from oms_hub.reports.registry import known_report
from oms_hub.reports.report import Report
from oms_hub.store.engine import Store
from oms_hub.store.frames import column_dtype
from oms_hub.store.report_columns import ColumnKind, ReportColumn

_PLAIN_TYPES: Mapping[ColumnKind, type] = MappingProxyType(
    {ColumnKind.AMOUNT: Decimal, ColumnKind.RATIO: Decimal, ColumnKind.DAY: date}
)
_MOST_ROWS = 10_000
_KEY_CHECK = "multiple_fields_uniqueness"


def check(name: str, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return what is wrong with a report's frame, one sentence each; empty where it keeps its contract.

    Args:
        name: the report; Misconfigured is raised where it is unknown.
        frame: as `reading.frame` gives it.
    """
    report = known_report(name)
    expected = [column.name for column in report.definition.columns]
    if list(frame.columns) != expected:
        return (f"the columns are {', '.join(map(str, frame.columns))}; expected are {', '.join(expected)}",)
    try:
        _schema(report).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        return _sentences(report, error.failure_cases)
    return ()


def problems(store: Store, name: str, *, since: date | None = None) -> tuple[str, ...]:
    """Return what is wrong with a report's rows, as `check` does.

    Args:
        store: where the report tables are.
        name: the report; Misconfigured is raised where it is unknown.
        since: only rows of this day and later ones, where the report has days; at most 10,000 rows are looked at.
    """
    has_days = bool(known_report(name).definition.day_column)
    return check(name, reading.frame(store, name, day_from=since if has_days else None, most_rows=_MOST_ROWS))


def _schema(report: Report) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(
        {column.name: _column(column) for column in report.definition.columns},
        checks=[pa.Check(rule.holds, error=rule.sentence) for rule in report.rules],
        unique=list(report.definition.key),
        strict=True,
    )


def _column(column: ReportColumn) -> pa.Column:
    checks = []
    plain = _PLAIN_TYPES.get(column.kind)
    if plain is not None:
        checks.append(
            pa.Check(
                lambda value: isinstance(value, plain), element_wise=True, error=f"every value is a {plain.__name__}"
            )
        )
    if column.kind is ColumnKind.WHOLE and not column.has_sign and not column.has_gaps:
        checks.append(pa.Check.ge(0, error="not negative"))
    return pa.Column(column_dtype(column), checks, nullable=column.has_gaps)


def _sentences(report: Report, cases: pd.DataFrame) -> tuple[str, ...]:
    rules = {rule.sentence for rule in report.rules}
    firsts = cases.drop_duplicates(subset=["column", "check"])
    found = []
    for column, broken, index in zip(firsts["column"], firsts["check"], firsts["index"], strict=True):
        place = "" if pd.isna(index) else f" (row {index})"
        if broken in rules:
            found.append(f"not so: {broken}{place}")
        elif broken == _KEY_CHECK:
            found.append(f"two rows have the same {', '.join(report.definition.key)}{place}")
        else:
            found.append(f"{column}: not so: {broken}{place}")
    return tuple(dict.fromkeys(found))
