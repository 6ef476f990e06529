"""Cells to values: numbers in any notation, dates in any zone; each error names file, line and column.

What belongs here: reading one row by the settings. Not here: what rows make a receipt (`receipt`)
or an order (`parse`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from connectors.pos_feed.rows import JsonNumber, read_json
from connectors.pos_feed.settings import ISO_8601, FeedSettings
from oms_hub.domain.orders import ZERO
from oms_hub.errors import BadPayload

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
_ISO_CURRENCY = re.compile("[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class RowCells:
    """The mapped cells of one row, as texts without outer blanks, and where it stands.

    `problem` says why there are none; it matters only if the row counts in the end.
    """

    file: str
    line: int
    cells: Mapping[str, str]
    problem: BadPayload | None = None

    def where(self) -> str:
        """Return file and line."""
        return f"{self.file}:{self.line}"

    def content(self) -> tuple[tuple[str, str], ...]:
        """Return what the row says, for comparing it with others."""
        return tuple(self.cells.items())


@dataclass(frozen=True, slots=True)
class RowValues:
    """One row, read. `tax` is None where the row tells none."""

    where: str
    line_id: str
    sold_at: datetime
    sku: str
    description: str
    quantity: int
    unit_price: Decimal
    discount: Decimal
    tax: Decimal | None
    currency: str
    location: str
    customer: str
    country: str
    payment: str
    reference: str


def row_cells(payload: Mapping[str, Any], row: Sequence[Any], columns: Mapping[str, str]) -> RowCells:
    """Return the mapped cells of one raw row, or its problem: it is no row, or has not as many cells as the header."""
    try:
        return _row_cells(payload, row, columns)
    except BadPayload as problem:
        return RowCells(str(payload["file"]), int(row[0]), {}, problem)


def _row_cells(payload: Mapping[str, Any], row: Sequence[Any], columns: Mapping[str, str]) -> RowCells:
    file, line, content = str(payload["file"]), int(row[0]), row[1]
    where = f"{file}:{line}"
    if len(row) > 2:
        raise BadPayload(f"{where} is no row: {row[2]}", remedy="Mend the row in the file, then sync again")
    if isinstance(content, str):
        record = read_json(content)
        texts = {field: _json_text(record.get(column), where, column) for field, column in columns.items()}
        return RowCells(file, line, {field: text for field, text in texts.items() if text})
    header = payload["header"]
    cells = _as_many_as(header, content, where)
    found = {field: header.index(column) for field, column in columns.items() if column in header}
    return RowCells(file, line, {field: text for field, at in found.items() if (text := cells[at].strip())})


def _as_many_as(header: Sequence[str], cells: Sequence[str], where: str) -> Sequence[str]:
    if len(cells) == len(header):
        return cells
    if len(cells) > len(header) and not any(cells[len(header) :]):
        return cells[: len(header)]
    raise BadPayload(
        f"{where} has {len(cells)} cells, the header has {len(header)}",
        remedy="Mend the row in the file (a delimiter inside a cell needs quotes), then sync again",
    )


def _json_text(value: object, where: str, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, JsonNumber):
        return value
    if isinstance(value, str):
        return value.strip()
    raise BadPayload(f"{where} has no text or number in {column}", remedy="Map a column of plain values")


def read_row(row: RowCells, settings: FeedSettings, zone: ZoneInfo, currency: str) -> RowValues:
    """Return the values of one row.

    Args:
        row: its cells.
        settings: how numbers and dates are written.
        zone: of dates that name none.
        currency: of rows that name none.

    Raises:
        BadPayload: a needed cell is empty, a number or date cannot be read, a quantity is not whole.
    """
    return RowValues(
        where=row.where(),
        line_id=row.cells.get("line_id", ""),
        sold_at=sold_at(row, settings, zone),
        sku=_needed(row, "sku", settings),
        description=row.cells.get("description", ""),
        quantity=_whole(row, settings),
        unit_price=_number(row, "unit_price", settings, _needed(row, "unit_price", settings)),
        discount=_number(row, "discount", settings, row.cells.get("discount", "")),
        tax=_number(row, "tax", settings, row.cells["tax"]) if "tax" in row.cells else None,
        currency=_currency(row, settings, currency),
        location=row.cells.get("location", ""),
        customer=row.cells.get("customer", ""),
        country=row.cells.get("country", ""),
        payment=row.cells.get("payment", ""),
        reference=row.cells.get("reference", ""),
    )


def sold_at(row: RowCells, settings: FeedSettings, zone: ZoneInfo) -> datetime:
    """Return when a row was sold, in UTC.

    A time that the zone skips (clocks put forward) is read with the offset before the change; one that it has
    twice (clocks put back) is the first of the two.

    Raises:
        BadPayload: it is empty, or no date in the set format.
    """
    text = _needed(row, "sold_at", settings)
    try:
        return _instant(text, settings.datetime_format, zone)
    except (ValueError, OverflowError) as error:
        raise _bad(row, "sold_at", settings, f"is no date like {settings.datetime_format}") from error


@lru_cache(maxsize=4096)
def _instant(text: str, datetime_format: str, zone: ZoneInfo) -> datetime:
    is_iso = datetime_format == ISO_8601
    read = datetime.fromisoformat(text) if is_iso else datetime.strptime(text, datetime_format)  # noqa: DTZ007
    return (read if read.tzinfo is not None else read.replace(tzinfo=zone)).astimezone(UTC)


def _bad(row: RowCells, field: str, settings: FeedSettings, what: str) -> BadPayload:
    return BadPayload(
        f"{row.where()}: column {settings.columns[field]} {what}",
        remedy="Mend the file or the setting, then sync again",
    )


def _needed(row: RowCells, field: str, settings: FeedSettings) -> str:
    text = row.cells.get(field, "")
    if not text:
        raise _bad(row, field, settings, "is empty")
    return text


def _number(row: RowCells, field: str, settings: FeedSettings, text: str) -> Decimal:
    if not text:
        return ZERO
    plain: str = text
    if not isinstance(text, JsonNumber):
        if settings.thousands:
            plain = _without_thousands(plain, settings)
        if settings.decimal != ".":
            plain = "?" if "." in plain else plain.replace(settings.decimal, ".")
    if not _NUMBER.fullmatch(plain):
        raise _bad(row, field, settings, f"is no number with the decimal mark {settings.decimal}")
    return Decimal(plain)


def _without_thousands(text: str, settings: FeedSettings) -> str:
    whole, mark, rest = text.partition(settings.decimal)
    signs = {settings.thousands} if settings.thousands != " " else {" ", "\u00a0", "\u202f"}
    for sign in signs:
        groups = whole.split(sign)
        if len(groups) > 1 and all(len(group) == 3 for group in groups[1:]):
            whole = "".join(groups)
    return whole + mark + rest


def _whole(row: RowCells, settings: FeedSettings) -> int:
    quantity = _number(row, "quantity", settings, _needed(row, "quantity", settings))
    if quantity != quantity.to_integral_value():
        raise _bad(row, "quantity", settings, "is not a whole number")
    if abs(quantity) >= 2**31:
        raise _bad(row, "quantity", settings, "is too large")
    return int(quantity)


def _currency(row: RowCells, settings: FeedSettings, currency: str) -> str:
    given = row.cells.get("currency", "").upper() or currency
    if not _ISO_CURRENCY.fullmatch(given):
        raise _bad(row, "currency", settings, "is no three-letter currency code")
    return given
