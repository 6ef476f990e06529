"""Rows of a file as they stand: cells of csv, lines of jsonl; each knows its receipt and its bytes.

What belongs here: the form of the file and its header. Not here: what the cells mean (`parse`).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from connectors.pos_feed.lines import Line, LineReader
from connectors.pos_feed.settings import REQUIRED_FIELDS, FeedSettings
from oms_hub.errors import BadPayload

RawRow: TypeAlias = list[Any]
"""`[line, [cell, ...]]` (csv), `[line, "text"]` (jsonl) or `[line, "text", "why"]` (a row that cannot be read)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row and the bytes it stands in.

    Attributes:
        order_id: its receipt; None for rows that say nothing (empty, a header that is repeated).
        last_line: the number of its last physical line.
        is_cut: nothing ends its last line: it may still be written.
    """

    order_id: str | None
    last_line: int
    raw: bytes
    content: RawRow | None
    is_cut: bool


def read_header(reader: LineReader, settings: FeedSettings, name: str) -> tuple[list[str], bytes, int] | None:
    """Read the header row of a csv file and see that it can be used.

    Returns:
        (column names as they stand, the header's bytes, its last line); None for a file without a whole line yet.

    Raises:
        BadPayload: a column is missing or named twice; says which, and which ones there are.
    """
    lines = _LineFeed(reader)
    try:
        cells = next(csv.reader(lines, delimiter=settings.delimiter, strict=True), None)
    except csv.Error as error:
        raise BadPayload(f"{name} has no readable header ({error})", remedy="Check delimiter and quotes") from error
    if cells is None or lines.taken[-1].is_cut:
        return None
    header = [cell.strip() for cell in cells]
    _check_header(header, settings, name)
    return header, b"".join(line.raw for line in lines.taken), lines.taken[-1].number


def _check_header(header: Sequence[str], settings: FeedSettings, name: str) -> None:
    used = [column for column in settings.columns.values() if column in header]
    doubled = sorted({column for column in used if header.count(column) > 1})
    if doubled:
        raise BadPayload(
            f"{name} has more than one column named {', '.join(doubled)}",
            remedy="Give every column a name of its own in the export",
        )
    missing = [f"{settings.columns[field]} ({field})" for field in REQUIRED_FIELDS
               if settings.columns[field] not in header]  # fmt: skip
    if missing:
        raise BadPayload(
            f"{name} lacks the column {', '.join(missing)}; it has: {', '.join(header)[:300]}",
            remedy="Set columns (and delimiter, encoding) to what the file has",
        )


def read_rows(reader: LineReader, settings: FeedSettings, header: Sequence[str], name: str) -> Iterator[Row]:
    """Yield the rows from where the reader stands.

    A row that cannot be read (a quote that never closes, no JSON) is a row of its own, under the receipt
    `name:line`: it goes to quarantine, and the lines behind it are read as if it were not there.

    Raises:
        BadPayload: the text itself cannot be read; what was yielded before stands.
    """
    if settings.format == "jsonl":
        yield from _json_rows(reader, settings.columns["order_id"], name)
    else:
        yield from _csv_rows(reader, settings, header, name)


class _LineFeed:
    """Gives the csv reader its lines and remembers which ones it took."""

    def __init__(self, reader: LineReader) -> None:
        self._reader = reader
        self.taken: list[Line] = []

    def __iter__(self) -> _LineFeed:
        return self

    def __next__(self) -> str:
        line = self._reader.next_line()
        if line is None:
            raise StopIteration
        self.taken.append(line)
        return line.text


def _csv_rows(reader: LineReader, settings: FeedSettings, header: Sequence[str], name: str) -> Iterator[Row]:
    feed = _LineFeed(reader)
    cells_reader = csv.reader(feed, delimiter=settings.delimiter, strict=True)
    position = header.index(settings.columns["order_id"])
    head = list(header)
    while True:
        feed.taken = []
        try:
            cells = next(cells_reader, None)
        except csv.Error as error:
            first, *others = feed.taken
            reader.give_back(others)
            is_cut = first.is_cut or "end of data" in str(error)
            yield _unreadable(first, str(error), name, is_cut=is_cut)
            continue
        if cells is None:
            return
        taken = feed.taken
        first_line, last = taken[0], taken[-1]
        order_id = cells[position].strip() if len(cells) > position else ""
        content: RawRow | None = [first_line.number, cells]
        if not any(cells) or (order_id == head[position] and [cell.strip() for cell in cells] == head):
            content = None
        raw = first_line.raw if len(taken) == 1 else b"".join(line.raw for line in taken)
        named = None if content is None else order_id or f"{name}:{first_line.number}"
        yield Row(named, last.number, raw, content, last.is_cut)


def _json_rows(reader: LineReader, order_id_key: str, name: str) -> Iterator[Row]:
    while (line := reader.next_line()) is not None:
        text = line.text.strip()
        if not text:
            yield Row(None, line.number, line.raw, None, line.is_cut)
            continue
        try:
            record = read_json(text)
        except ValueError:
            yield _unreadable(line, "not a JSON object", name, is_cut=line.is_cut)
            continue
        value = record.get(order_id_key)
        order_id = "" if value is None else str(value).strip()
        yield Row(order_id or f"{name}:{line.number}", line.number, line.raw, [line.number, text], line.is_cut)


def read_json(text: str) -> Mapping[str, Any]:
    """Return one line of jsonl as its keys and values; numbers stay as they were written.

    Raises:
        ValueError: it is no JSON object.
    """
    record = json.loads(text, parse_float=JsonNumber, parse_int=JsonNumber)
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    return record


class JsonNumber(str):
    """A number as it stands in JSON text: its decimal mark is always a point."""

    __slots__ = ()


def _unreadable(line: Line, why: str, name: str, *, is_cut: bool) -> Row:
    text = line.text.rstrip("\r\n")
    return Row(f"{name}:{line.number}", line.number, line.raw, [line.number, text, why], is_cut)
