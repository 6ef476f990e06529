"""How the command line shows things: tables for people, JSON for programs, one line per failure on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from rich.console import Console
from rich.table import Table

MAX_WIDTH_WITHOUT_TERMINAL = 200


def console() -> Console:
    """Return a console on standard output: colours only on a terminal, wide lines elsewhere."""
    if sys.stdout.isatty():
        return Console()
    return Console(width=MAX_WIDTH_WITHOUT_TERMINAL, color_system=None)


def show_rows(rows: Sequence[Mapping[str, object]], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """Print rows as a table or as a JSON array.

    Args:
        rows: one mapping per row.
        columns: which keys to show, in order; all of them appear in JSON too.
        as_json: print JSON whatever the terminal.
        empty: what to say when there is nothing (never printed as JSON, where `[]` says it).
    """
    if as_json:
        show_json([{column: row.get(column) for column in columns} for row in rows])
        return
    if not rows:
        print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = all(isinstance(row.get(column), int | Decimal | None) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    console().print(table)


def show_json(value: object) -> None:
    """Print a value as JSON; decimals become strings, so that no cent is lost."""
    print(json.dumps(value, default=_json_value, ensure_ascii=False, indent=2))


def say(text: str) -> None:
    """Print one line for people."""
    print(text)


def complain(line: str) -> None:
    """Print one line on standard error."""
    print(line, file=sys.stderr)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    return str(value)


def _json_value(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"cannot show {type(value).__name__}")
