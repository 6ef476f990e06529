"""What a materialisation tells about itself: counts, small tables, column schemas. No rules, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import dagster as dg

MAX_TABLE_ROWS = 20


def counts_of(report: object) -> dict[str, Any]:
    """Return the whole numbers and instants of a step's report as metadata, by field name."""
    if not is_dataclass(report):
        return {}
    found: dict[str, Any] = {}
    for field in fields(report):
        value = getattr(report, field.name)
        if isinstance(value, bool | int):
            found[field.name] = value
        elif isinstance(value, datetime):
            found[field.name] = value.isoformat()
    return found


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """Return at most twenty rows as a table that Dagster's UI shows; says how many were left out."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows[:MAX_TABLE_ROWS]]
    if len(rows) > MAX_TABLE_ROWS:
        lines.append(f"\n… and {len(rows) - MAX_TABLE_ROWS} more rows")
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def column_schema(columns: Sequence[Mapping[str, str]]) -> dg.TableSchema:
    """Return Dagster's column schema from `{"name", "type", "description"}` mappings."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=column["name"], type=column["type"], description=column["description"] or None)
            for column in columns
        ]
    )
