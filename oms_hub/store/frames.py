"""Where pandas meets the database: report rows as frames, and frames as plain values again.

What belongs here: types on the way in and out. Amounts stay `Decimal`, days stay `date`, instants are aware UTC,
whole numbers are int64 (Int64 where they may be missing), words are pandas strings. pandas marks a missing string as
NaN, which PostgreSQL and files would take for the word 'NaN': `plain_rows` gives None instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from oms_hub.store.report_columns import AS_OF_SETTING, ColumnKind, ReportColumn, ReportDefinition
from oms_hub.store.report_schema import SCHEMA

_DTYPES: Mapping[ColumnKind, str] = MappingProxyType(
    {
        ColumnKind.WORDS: "str",
        ColumnKind.DAY: "object",
        ColumnKind.INSTANT: "datetime64[us, UTC]",
        ColumnKind.WHOLE: "int64",
        ColumnKind.AMOUNT: "object",
        ColumnKind.RATIO: "object",
        ColumnKind.SECONDS: "float64",
        ColumnKind.FLAG: "bool",
    }
)

_FOR_REPORTS = text(
    "SELECT set_config(:setting, :as_of, true), set_config('work_mem', '128MB', true), set_config('jit', 'off', true)"
)
"""Views look back from a day; they sort and group much at once, and compiling them takes longer than running them."""


def column_dtype(column: ReportColumn) -> str:
    """Return the pandas dtype that a report's column has in its frame."""
    if column.kind is ColumnKind.WHOLE and column.has_gaps:
        return "Int64"
    return _DTYPES[column.kind]


def read_report(
    transaction: Connection,
    definition: ReportDefinition,
    *,
    merchant: str | None = None,
    day_from: date | None = None,
    day_to: date | None = None,
    as_of: date | None = None,
    most_rows: int | None = None,
) -> pd.DataFrame:
    """Return a report's rows in the order of its key.

    Args:
        transaction: where to read.
        definition: which report.
        merchant: only this merchant; None for all.
        day_from: first business day, inclusive; ignored by reports that show the present.
        day_to: last business day, inclusive; ignored by reports that show the present.
        as_of: what counts as today for reports that look back from it, until the transaction ends; None: the real one.
        most_rows: no more rows than this; None for all.

    Returns:
        A frame with the definition's columns in its order, dtypes as `column_dtype` says; without rows it has
        its columns all the same.
    """
    wanted = ["CAST(:merchant AS text) IS NULL OR merchant = :merchant"]
    given: dict[str, Any] = {"merchant": merchant, "most_rows": most_rows}
    if definition.day_column:
        wanted.append(f"CAST(:day_from AS date) IS NULL OR {definition.day_column} >= :day_from")
        wanted.append(f"CAST(:day_to AS date) IS NULL OR {definition.day_column} <= :day_to")
        given |= {"day_from": day_from, "day_to": day_to}
    transaction.execute(_FOR_REPORTS, {"setting": AS_OF_SETTING, "as_of": "" if as_of is None else as_of.isoformat()})
    columns = ", ".join(column.name for column in definition.columns)
    statement = (
        f"SELECT {columns} FROM {SCHEMA}.{definition.name} "
        f"WHERE ({') AND ('.join(wanted)}) ORDER BY {_order(definition)} LIMIT CAST(:most_rows AS bigint)"
    )
    return frame_of(definition, transaction.execute(text(statement), given).all())


def frame_of(definition: ReportDefinition, rows: Any) -> pd.DataFrame:
    """Return rows (tuples in the definition's order of columns) as a frame with the report's dtypes."""
    by_column = list(zip(*rows, strict=True)) or [()] * len(definition.columns)
    series = {
        column.name: pd.Series(values, dtype=column_dtype(column))
        for column, values in zip(definition.columns, by_column, strict=True)
    }
    return pd.DataFrame(series)


def plain_rows(frame: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield a frame's rows as plain Python values; whatever pandas holds for "missing" comes out as None.

    Example:
        >>> list(plain_rows(pd.DataFrame({"sku": pd.Series(["A-1", None], dtype="str")})))
        [('A-1',), (None,)]
    """
    columns = []
    for name in frame.columns:
        values = frame[name].astype(object)
        columns.append(values.where(frame[name].notna(), None).tolist())
    yield from zip(*columns, strict=True)


def _order(definition: ReportDefinition) -> str:
    texts = {column.name for column in definition.columns if column.kind is ColumnKind.WORDS}
    return ", ".join(f'{name} COLLATE "C"' if name in texts else name for name in definition.key)
