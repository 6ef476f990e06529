"""Writing a report: as a table for people, as CSV or JSON for scripts, as Parquet or XLSX for tools.

What belongs here: formats and files. A file appears whole or not at all: it is written beside its place under another
name and then renamed. Amounts stay exact: decimal text in CSV, strings in JSON, decimal128 in
Parquet. Spreadsheets know only binary floats of about 15 digits; use another format where cents of billions count.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

import pandas as pd

from oms_hub.errors import Misconfigured
from oms_hub.reports.binary_files import write_parquet, write_xlsx
from oms_hub.reports.registry import known_report
from oms_hub.reports.text_table import write_table
from oms_hub.store.frames import plain_rows
from oms_hub.store.report_columns import ReportDefinition


class ExportFormat(StrEnum):
    """The formats that a report can be written in."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    XLSX = "xlsx"


def write(name: str, frame: pd.DataFrame, export_format: str, output: Path | None = None, *, stream: TextIO) -> None:
    """Write a report's frame.

    Args:
        name: the report that the frame is of.
        frame: as `reading.frame` gives it, with all columns or some.
        export_format: one of `ExportFormat`.
        output: the file; it is replaced whole if it is there. None writes text to `stream`.
        stream: where text goes if there is no file.

    Raises:
        Misconfigured: the format is unknown or needs a file, or the file cannot be written; a file that was there
            before is then left as it was.
    """
    definition = _narrowed(known_report(name).definition, frame)
    if export_format not in tuple(ExportFormat):
        raise Misconfigured(f"There is no format {export_format!r}", remedy=f"Known formats: {', '.join(ExportFormat)}")
    wanted = ExportFormat(export_format)
    if wanted in _TEXT_WRITERS:
        if output is None:
            _TEXT_WRITERS[wanted](definition, frame, stream)
            return
        with _replacing(output) as path, path.open("w", encoding="utf-8", newline="") as file:
            _TEXT_WRITERS[wanted](definition, frame, file)
        return
    if output is None:
        raise Misconfigured(f"{wanted} is not text", remedy="Say where to write it: --output FILE")
    with _replacing(output) as path:
        _BINARY_WRITERS[wanted](definition, frame, path)


def _narrowed(definition: ReportDefinition, frame: pd.DataFrame) -> ReportDefinition:
    by_name = {column.name: column for column in definition.columns}
    return replace(definition, columns=tuple(by_name[name] for name in frame.columns))


def _write_csv(_definition: ReportDefinition, frame: pd.DataFrame, stream: TextIO) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows([_csv_value(value) for value in row] for row in plain_rows(frame))


def _csv_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _plain_text(value)


def _write_json(_definition: ReportDefinition, frame: pd.DataFrame, stream: TextIO) -> None:
    separator = "[\n  "
    for row in plain_rows(frame):
        fields = dict(zip(frame.columns, row, strict=True))
        stream.write(separator + json.dumps(fields, ensure_ascii=False, default=_plain_text))
        separator = ",\n  "
    stream.write("[]\n" if separator.startswith("[") else "\n]\n")


def _plain_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


@contextlib.contextmanager
def _replacing(output: Path) -> Iterator[Path]:
    """Give a path to write to; what was written takes the output's place in one step, or nothing changes."""
    temporary = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{output.name}.", suffix=".part", dir=output.parent)
        temporary = Path(name)
        os.close(handle)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(output)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Misconfigured(f"Cannot write {output}: {reason}", remedy="Give another --output FILE") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_TEXT_WRITERS: Mapping[ExportFormat, Callable[[ReportDefinition, pd.DataFrame, TextIO], None]] = MappingProxyType(
    {ExportFormat.TABLE: write_table, ExportFormat.CSV: _write_csv, ExportFormat.JSON: _write_json}
)
_BINARY_WRITERS: Mapping[ExportFormat, Callable[[ReportDefinition, pd.DataFrame, Path], None]] = MappingProxyType(
    {ExportFormat.PARQUET: write_parquet, ExportFormat.XLSX: write_xlsx}
)
