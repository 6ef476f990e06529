"""Reading a file of counts: `sku,location,quantity[,unit_cost][,counted_at]`, comma-separated, UTF-8.

What belongs here: what a row of the file says, or why it cannot be read. Not here: whether its codes exist
(`oms_hub.store.count_import`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path

from oms_hub.errors import Misconfigured
from oms_hub.store.count_import import CountRow

FAULTS_TOLD = 20
_REQUIRED = ("sku", "location", "quantity")
_OPTIONAL = ("unit_cost", "counted_at")
_HEADER = "sku,location,quantity[,unit_cost][,counted_at]"
_MOST_UNITS = 2_147_483_647
_AS_CSV = "Save it as comma-separated text (CSV) in UTF-8"


@dataclass(slots=True)
class RowFaults:
    """Rows that cannot be read: the first few in words, and how many there are."""

    first: list[tuple[int, str]] = field(default_factory=list)
    total: int = 0

    def add(self, line: int, fault: str) -> None:
        """Note one more."""
        self.total += 1
        if len(self.first) < FAULTS_TOLD:
            self.first.append((line, fault))


class _Fault(Exception):
    """One field of one row cannot be read."""


def read_counts(path: Path, *, zone: tzinfo, now: datetime, faults: RowFaults) -> Iterator[CountRow]:
    """Yield the rows of a file of counts, one at a time; a row that cannot be read goes to `faults` instead.

    Args:
        path: the file; a byte order mark at its start is fine.
        zone: the zone of instants that name none.
        now: nothing can have been counted after it.
        faults: takes what is wrong.

    Raises:
        Misconfigured: the file as a whole cannot be read: missing, empty, binary, other encoding, wrong header.
    """
    _refuse_binary(path)
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True, skipinitialspace=True)
            columns = _columns(path, next(reader, []))
            for fields in reader:
                line = reader.line_num
                if not any(value.strip() for value in fields):
                    continue
                try:
                    yield _row(line, fields, columns, zone=zone, now=now)
                except _Fault as fault:
                    faults.add(line, str(fault))
    except UnicodeDecodeError:
        raise Misconfigured(f"{path.name} is not UTF-8 (after line {line})", remedy=_AS_CSV) from None
    except csv.Error as error:
        raise Misconfigured(f"{path.name} is no readable CSV after line {line}: {error}", remedy=_AS_CSV) from None


def _refuse_binary(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            head = stream.read(65_536)
    except OSError as error:
        raise Misconfigured(f"{path.name} cannot be read: {error.strerror}", remedy="Correct the path") from None
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise Misconfigured(f"{path.name} is empty", remedy=f"Its first line must be {_HEADER}")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Misconfigured(f"{path.name} is not UTF-8 but UTF-16", remedy=_AS_CSV)
    if b"\0" in head:
        raise Misconfigured(f"{path.name} is a binary file", remedy=_AS_CSV)


def _columns(path: Path, header: Sequence[str]) -> Mapping[str, int]:
    names = [name.strip().lower() for name in header]
    missing = [name for name in _REQUIRED if name not in names]
    unknown = [name for name in names if name not in (*_REQUIRED, *_OPTIONAL)]
    if missing or unknown or len(set(names)) < len(names):
        trouble = f"lacks {', '.join(missing)}" if missing else f"has the column {', '.join(unknown) or 'names twice'}"
        hint = " separated by commas" if any(mark in name for name in names for mark in ";\t|") else ""
        raise Misconfigured(f"The header of {path.name} {trouble}", remedy=f"Its first line must be {_HEADER}{hint}")
    return {name: position for position, name in enumerate(names)}


def _row(line: int, fields: Sequence[str], columns: Mapping[str, int], *, zone: tzinfo, now: datetime) -> CountRow:
    if len(fields) != len(columns):
        raise _Fault(f"{len(fields)} fields instead of {len(columns)}")
    values = {name: fields[position].strip() for name, position in columns.items()}
    sku = values["sku"]
    if not sku:
        raise _Fault("no SKU")
    if not sku.isprintable() or not values["location"].isprintable():
        raise _Fault("a code with characters that cannot be printed")
    return CountRow(
        line,
        sku,
        values["location"],
        _quantity(values["quantity"]),
        _cost(values.get("unit_cost", "")),
        _instant(values.get("counted_at", ""), zone=zone, now=now),
    )


def _quantity(value: str) -> int:
    if re.fullmatch(r"[0-9]{1,10}", value) and int(value) <= _MOST_UNITS:
        return int(value)
    if re.fullmatch(r"-[0-9]+([.,][0-9]+)?", value):
        raise _Fault(f"quantity {value} is negative")
    if re.fullmatch(r"[0-9]+[.,][0-9]+", value):
        raise _Fault(f"quantity {value} is not whole")
    if re.fullmatch(r"[0-9]+", value):
        raise _Fault(f"quantity {value[:20]} is too large")
    raise _Fault(f"quantity {value[:40]!r} is not a number" if value else "no quantity")


def _cost(value: str) -> Decimal | None:
    if not value:
        return None
    try:
        cost = Decimal(value)
    except InvalidOperation:
        raise _Fault(f"unit_cost {value[:40]!r} is not a number") from None
    if not cost.is_finite() or cost < 0:
        raise _Fault(f"unit_cost {value[:40]} is not an amount of 0 or more")
    return cost


def _instant(value: str, *, zone: tzinfo, now: datetime) -> datetime | None:
    if not value:
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        raise _Fault(f"counted_at {value[:40]!r} is not an ISO date or time") from None
    aware = instant.replace(tzinfo=zone) if instant.tzinfo is None else instant
    if aware > now:
        raise _Fault(f"counted_at {value} is in the future")
    return aware
