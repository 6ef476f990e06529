"""Reading a small table from a CSV file: a header of known columns, then rows, comma-separated, UTF-8.

What belongs here: what a file says, or why it cannot be read, for all imports that give columns and how to read them.
Not here: counts, which are streamed (`stock_file`), and whether codes exist (the store).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from oms_hub.errors import Misconfigured
from oms_hub.sync.stock_file import FAULTS_TOLD

_AS_CSV = "Save it as comma-separated text (CSV) in UTF-8"
_MOST_UNITS = 2_147_483_647
_MOST_BYTES = 200_000_000


class FieldFault(Exception):
    """One field of one row cannot be read; its text says why."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column: how its text is read, and what stands for a missing one (only where it is not required)."""

    name: str
    read: Callable[[str], Any]
    is_required: bool = True
    default: Any = None


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of the file: its line, and its values by column."""

    line: int
    values: Mapping[str, Any]


def read_table(path: Path, fields: Sequence[Field], *, key: Sequence[str]) -> list[TableRow]:
    """Return the rows of a file, all of them or none.

    Args:
        path: the file; a byte order mark at its start and blank lines are fine.
        fields: its columns, in any order in the file; those that are not required may be left out or empty.
        key: columns that together must not stand in the file twice.

    Raises:
        Misconfigured: the file cannot be read, its header is wrong, it has no rows, or rows are wrong; the message
            names up to twenty lines.
    """
    header = ",".join(field.name if field.is_required else f"[{field.name}]" for field in fields)
    reader = csv.reader(io.StringIO(_text(path, header), newline=""), strict=True, skipinitialspace=True)
    rows: list[TableRow] = []
    faults: list[tuple[int, str]] = []
    try:
        present = _columns(path, next(reader), fields, header)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                _take(TableRow(reader.line_num, {}), cells, present, rows, faults)
    except csv.Error as error:
        raise Misconfigured(f"{path.name} is no readable CSV: {error}", remedy=_AS_CSV) from None
    faults += _repeated(rows, key)
    refuse(path, faults)
    if not rows:
        raise Misconfigured(f"{path.name} has a header and no rows", remedy=f"Add rows below {header}")
    missing = {field.name: field.default for field in fields if field not in present}
    return [TableRow(row.line, {**missing, **row.values}) for row in rows]


def refuse(path: Path, faults: Sequence[tuple[int, str]], *, remedy: str = "") -> None:
    """Raise Misconfigured naming the first faults by line; do nothing where there are none."""
    if not faults:
        return
    listed = "; ".join(f"line {line}: {words}" for line, words in sorted(faults)[:FAULTS_TOLD])
    more = f"; and {len(faults) - FAULTS_TOLD} more" if len(faults) > FAULTS_TOLD else ""
    noun = "row is" if len(faults) == 1 else "rows are"
    advice = "Nothing was applied: correct the file and import it again" + (f"; {remedy}" if remedy else "")
    raise Misconfigured(f"{path.name}: {len(faults)} {noun} wrong: {listed}{more}", remedy=advice)


def _text(path: Path, header: str) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise Misconfigured(f"{path.name} is larger than {_MOST_BYTES:,} bytes", remedy="Split it into several")
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path.name} cannot be read: {error.strerror}", remedy="Correct the path") from None
    if not content.removeprefix(b"\xef\xbb\xbf").strip():
        raise Misconfigured(f"{path.name} is empty", remedy=f"Its first line must be {header}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Misconfigured(f"{path.name} is not UTF-8", remedy=_AS_CSV) from None
    if "\0" in text:
        raise Misconfigured(f"{path.name} is a binary file", remedy=_AS_CSV)
    return text


def _columns(path: Path, names: Sequence[str], fields: Sequence[Field], header: str) -> list[Field]:
    found = [name.strip().lower() for name in names]
    known = {field.name: field for field in fields}
    missing = [field.name for field in fields if field.is_required and field.name not in found]
    unknown = [name for name in found if name not in known]
    if missing or unknown or len(set(found)) < len(found):
        trouble = f"lacks {', '.join(missing)}" if missing else f"has the column {', '.join(unknown) or 'names twice'}"
        raise Misconfigured(
            f"The header of {path.name} {trouble}",
            remedy=f"Its first line must be {header} (those in brackets may be left out), separated by commas",
        )
    return [known[name] for name in found]


def _take(
    row: TableRow, cells: Sequence[str], fields: Sequence[Field], rows: list[TableRow], faults: list[tuple[int, str]]
) -> None:
    if len(cells) != len(fields):
        faults.append((row.line, f"{len(cells)} fields instead of {len(fields)}"))
        return
    values: dict[str, Any] = {}
    for field, cell in zip(fields, cells, strict=True):
        given = cell.strip()
        if not given and not field.is_required:
            values[field.name] = field.default
            continue
        try:
            values[field.name] = field.read(given)
        except FieldFault as fault:
            faults.append((row.line, f"{field.name} {fault}"))
            return
    rows.append(TableRow(row.line, values))


def _repeated(rows: Sequence[TableRow], key: Sequence[str]) -> list[tuple[int, str]]:
    first: dict[tuple[Any, ...], int] = {}
    faults = []
    for row in rows:
        own = tuple(row.values.get(name) for name in key)
        if own in first:
            named = ", ".join(str(value) for value in own if value not in (None, ""))
            faults.append((row.line, f"{named} stands in line {first[own]} already"))
        first.setdefault(own, row.line)
    return faults


# ------------------------------------------------------------------------------------------------ how cells are read


def words(given: str) -> str:
    """Return a code or name.

    Raises:
        FieldFault: it is missing or cannot be printed.
    """
    if not given:
        raise FieldFault("is missing")
    if not given.isprintable():
        raise FieldFault("has characters that cannot be printed")
    return given


def whole(given: str, *, least: int = 0) -> int:
    """Return whole units.

    Raises:
        FieldFault: it is no whole number, below `least`, or too large.
    """
    if not re.fullmatch(r"-?[0-9]{1,12}", given):
        raise FieldFault(f"{given[:40]!r} is not a whole number" if given else "is missing")
    if int(given) < least:
        raise FieldFault(f"{given} is below {least}")
    if int(given) > _MOST_UNITS:
        raise FieldFault(f"{given} is too large")
    return int(given)


def number(given: str, *, least: Decimal = Decimal(0), most: Decimal | None = None) -> Decimal:
    """Return an exact number.

    Raises:
        FieldFault: it is none, or out of bounds.
    """
    try:
        found = Decimal(given)
    except InvalidOperation:
        raise FieldFault(f"{given[:40]!r} is not a number" if given else "is missing") from None
    if not found.is_finite():
        raise FieldFault(f"{given[:40]!r} is not a number")
    if found < least:
        raise FieldFault(f"{given[:40]} is below {least}")
    if most is not None and found > most:
        raise FieldFault(f"{given[:40]} is above {most}")
    return found


def positive(given: str) -> Decimal:
    """Return an exact number above zero; raises as `number` does."""
    found = number(given)
    if found == 0:
        raise FieldFault("0 is not above 0")
    return found


def a_day(given: str) -> date:
    """Return a day as `2026-11-22`.

    Raises:
        FieldFault: it is none.
    """
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise FieldFault(f"{given[:40]!r} is not a day like 2026-11-22" if given else "is missing") from None


def currency_code(given: str) -> str:
    """Return an ISO 4217 code.

    Raises:
        FieldFault: it is no such code.
    """
    if not re.fullmatch("[A-Z]{3}", given):
        raise FieldFault(f"{given[:40]!r} is not a currency code like EUR" if given else "is missing")
    return given


def an_instant(zone: tzinfo, now: datetime) -> Callable[[str], datetime]:
    """Return how an instant in the past is read; without a zone it is in `zone`, a day alone is its beginning."""

    def read(given: str) -> datetime:
        try:
            found = datetime.fromisoformat(given)
        except ValueError:
            raise FieldFault(f"{given[:40]!r} is not an ISO date or time") from None
        aware = found.replace(tzinfo=zone) if found.tzinfo is None else found
        if aware > now:
            raise FieldFault(f"{given} is in the future")
        return aware

    return read
