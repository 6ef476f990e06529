"""A report as a Parquet or XLSX file.

What belongs here: how the kinds of columns become these files' types. In a spreadsheet, text stays text: a cell that
begins like a formula (= + - @) is marked as text, so that opening a file never runs what a buyer or a channel wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pyarrow as arrow
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from pyarrow import parquet

from oms_hub.errors import Misconfigured
from oms_hub.reports.amounts import decimals
from oms_hub.store.frames import plain_rows
from oms_hub.store.report_columns import ColumnKind, ReportColumn, ReportDefinition

_USUAL_DECIMALS = 6
_MOST_DIGITS = 38
_MOST_SHEET_ROWS = 1_048_576
_MOST_CELL_CHARACTERS = 32_767

_ARROW_TYPES: Mapping[ColumnKind, arrow.DataType] = MappingProxyType(
    {
        ColumnKind.WORDS: arrow.string(),
        ColumnKind.DAY: arrow.date32(),
        ColumnKind.INSTANT: arrow.timestamp("us", tz="UTC"),
        ColumnKind.WHOLE: arrow.int64(),
        ColumnKind.RATIO: arrow.decimal128(18, 6),
        ColumnKind.SECONDS: arrow.float64(),
        ColumnKind.FLAG: arrow.bool_(),
    }
)
_CELL_FORMATS: Mapping[ColumnKind, str] = MappingProxyType(
    {
        ColumnKind.DAY: "yyyy-mm-dd",
        ColumnKind.INSTANT: 'yyyy-mm-dd hh:mm:ss "UTC"',
        ColumnKind.WHOLE: "0",
        ColumnKind.RATIO: "0.0000",
        ColumnKind.SECONDS: "0.0",
    }
)


def write_parquet(definition: ReportDefinition, frame: pd.DataFrame, path: Path) -> None:
    """Write a Parquet file (zstd): amounts are decimal128 with 6 decimals, or as many as they need to stay exact."""
    rows = list(plain_rows(frame))
    arrays, fields = [], []
    for position, column in enumerate(definition.columns):
        values = [row[position] for row in rows]
        kind = _amount_type(values) if column.kind is ColumnKind.AMOUNT else _ARROW_TYPES[column.kind]
        arrays.append(arrow.array(values, type=kind))
        fields.append(arrow.field(column.name, kind, column.has_gaps, metadata={"comment": column.comment}))
    about = {"oms_hub.report": definition.name, "comment": definition.comment}
    parquet.write_table(arrow.table(arrays, schema=arrow.schema(fields, metadata=about)), path, compression="zstd")


def write_xlsx(definition: ReportDefinition, frame: pd.DataFrame, path: Path) -> None:
    """Write a workbook with one sheet: numbers as numbers, instants in UTC, text never as a formula.

    Raises:
        Misconfigured: there are more rows than a sheet can hold.
    """
    if len(frame) + 1 > _MOST_SHEET_ROWS:
        raise Misconfigured(
            f"{definition.name} has {len(frame)} rows, more than a sheet holds",
            remedy="Choose fewer days with --from and --to, or --format parquet",
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet(definition.name[:31])
    sheet.freeze_panes = "A2"
    for position, column in enumerate(definition.columns, start=1):
        sheet.column_dimensions[get_column_letter(position)].width = max(12, len(column.name) + 2)
    sheet.append([_header(sheet, column) for column in definition.columns])
    for row in plain_rows(frame):
        sheet.append([_cell(sheet, column, value) for column, value in zip(definition.columns, row, strict=True)])
    book.save(path)


def _amount_type(values: list[Any]) -> arrow.DataType:
    needed = decimals(value for value in values if value is not None)
    return arrow.decimal128(_MOST_DIGITS, max(_USUAL_DECIMALS, needed))


def _header(sheet: Any, column: ReportColumn) -> Any:
    cell = WriteOnlyCell(sheet, column.name)
    cell.font = Font(bold=True)
    return cell


def _cell(sheet: Any, column: ReportColumn, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str):
        return _text_cell(sheet, value)
    if isinstance(value, datetime):
        value = value.astimezone(UTC).replace(tzinfo=None)
    cell = WriteOnlyCell(sheet, value)
    if column.kind is ColumnKind.AMOUNT:
        places = decimals((value,))
        cell.number_format = f"0.{'0' * max(2, places)}"
    else:
        cell.number_format = _CELL_FORMATS.get(column.kind, "General")
    return cell


def _text_cell(sheet: Any, words: str) -> Any:
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", words)[:_MOST_CELL_CHARACTERS])
    cell.data_type = "s"
    cell.number_format = "@"
    cell.quotePrefix = True
    return cell
