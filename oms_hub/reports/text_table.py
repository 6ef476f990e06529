"""A report as a table for people, drawn by Rich."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, TextIO

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from oms_hub.store.frames import plain_rows
from oms_hub.store.report_columns import ColumnKind, ReportDefinition

_NUMBERS = frozenset({ColumnKind.WHOLE, ColumnKind.AMOUNT, ColumnKind.RATIO, ColumnKind.SECONDS})
_NO_LIMIT = 10_000


def write_table(definition: ReportDefinition, frame: pd.DataFrame, stream: TextIO) -> None:
    """Write all rows and columns; nothing is cut, and what looks like markup in the data is shown as it is."""
    table = Table(title=Text(definition.title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in definition.columns:
        table.add_column(column.name, justify="right" if column.kind in _NUMBERS else "left", no_wrap=True)
    for row in plain_rows(frame):
        table.add_row(*(Text(_cell(value)) for value in row))
    console = Console(file=stream, highlight=False)
    console.width = _width(console, table)
    console.print(table)
    console.print(f"{len(frame)} row(s)")


def _width(console: Console, table: Table) -> int:
    options = console.options.update(width=_NO_LIMIT)
    return max(console.width, console.measure(table, options=options).maximum)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value)
