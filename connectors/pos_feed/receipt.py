"""Which rows a receipt has, out of all that ever landed of it.

What belongs here: uniting pages, growth, changes and repeated files. Not here: what rows mean (`parse`).
The rules stand, with their reasons, in docs/reference/channels/pos_feed.md ("Which rows count").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.pos_feed.cells import RowCells, row_cells

_MAY_DIFFER = ("customer", "country", "description", "payment", "reference")


@dataclass(frozen=True, slots=True)
class Receipt:
    """The rows that count, in the order of the file; all rows that ever landed; what a person should know."""

    rows: tuple[RowCells, ...]
    ever: tuple[RowCells, ...]
    remarks: tuple[str, ...]


@dataclass(slots=True)
class _FileRows:
    """What one file says of the receipt now: rows by line, each with the walk that read it."""

    rows: dict[int, tuple[int, RowCells]] = field(default_factory=dict)
    dropped: list[tuple[int, RowCells]] = field(default_factory=list)

    def take(self, walk: tuple[int, int, int], rows: Sequence[RowCells]) -> None:
        number, from_line, to_line = walk
        for line in list(self.rows):
            is_replaced = line >= from_line and (to_line == 0 or line <= to_line)
            if is_replaced and self.rows[line][0] < number:
                self.dropped.append(self.rows.pop(line))
        for row in rows:
            self.rows[row.line] = (number, row)

    def now(self) -> tuple[RowCells, ...]:
        return tuple(self.rows[line][1] for line in sorted(self.rows))


def unite(payloads: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> Receipt:
    """Return the rows that count.

    Within a file a row is its line; a later walk over changed lines replaces what stood there. A file that repeats the
    receipt (a row of it word for word, or all its SKUs) replaces what earlier files said; one that has other rows of it
    goes on with it. With a `line_id` column the line id alone decides, and the row that landed last counts.

    Args:
        payloads: everything that landed of one receipt, in landing order.
        columns: our field -> the file's column.

    Raises:
        BadPayload: a row that counts is not one.
    """
    files: dict[str, _FileRows] = {}
    ever: list[RowCells] = []
    for payload in payloads:
        rows = [row_cells(payload, row, columns) for row in payload["rows"]]
        ever.extend(row for row in rows if row.problem is None)
        number, from_line, to_line = payload["walk"]
        known = files.pop(payload["file_id"], _FileRows())
        known.take((number, from_line, to_line), rows)
        files[payload["file_id"]] = known
    remarks = [remark for known in files.values() for remark in _changes(known)]
    if all("line_id" in row.cells for known in files.values() for row in known.now()):
        rows_now, more = _by_line_id(list(files.values()))
    else:
        rows_now, more = _by_file([known.now() for known in files.values()])
    problem = next((row.problem for row in rows_now if row.problem is not None), None)
    if problem is not None:
        raise problem
    return Receipt(rows_now, tuple(ever), tuple(dict.fromkeys([*remarks, *more])))


def _changes(known: _FileRows) -> list[str]:
    """Say what a later walk over the same file changed, by line and field, never by value."""
    if not known.dropped:
        return []
    now = {row.line: row for _, row in known.rows.values()}
    first_walk = min(number for number, _ in known.dropped)
    left = Counter(row.content() for number, row in known.rows.values() if number > first_walk)
    remarks = []
    for _, old in known.dropped:
        if old.problem is None and left[old.content()] > 0:
            left[old.content()] -= 1
            continue
        new = now.get(old.line)
        if new is None or new.cells.get("sku") != old.cells.get("sku"):
            remarks.append(f"a row that stood at {old.where()} was removed or replaced after it was taken")
            continue
        remarks.append(f"{old.where()} was changed after it was taken ({_differing(old, new)})")
    return remarks


def _differing(old: RowCells, new: RowCells) -> str:
    names = [name for name in {**old.cells, **new.cells} if old.cells.get(name) != new.cells.get(name)]
    return ", ".join(names)


def _by_line_id(files: Sequence[_FileRows]) -> tuple[tuple[RowCells, ...], list[str]]:
    by_id: dict[str, RowCells] = {}
    remarks = []
    for known in files:
        for row in known.now():
            old = by_id.get(row.cells["line_id"])
            if old is not None and old.content() != row.content():
                remarks.append(f"{row.where()} replaces {old.where()} ({_differing(old, row)})")
            by_id[row.cells["line_id"]] = row
    return tuple(by_id.values()), remarks


def _by_file(files: Sequence[tuple[RowCells, ...]]) -> tuple[tuple[RowCells, ...], list[str]]:
    rows: tuple[RowCells, ...] = ()
    remarks: list[str] = []
    for later in files:
        if not rows or not later:
            rows = rows or later
            continue
        if _repeats(rows, later):
            if Counter(map(_weight, rows)) != Counter(map(_weight, later)):
                remarks.append(f"{later[0].where()} tells this receipt anew, with other rows than {rows[0].where()}")
            rows = later
            continue
        rows = (*rows, *later)
    return rows, remarks


def _weight(row: RowCells) -> tuple[tuple[str, str], ...]:
    """Return what a row says about goods and money: what must be the same for two rows to be the same sale."""
    return tuple(sorted((name, text) for name, text in row.cells.items() if name not in _MAY_DIFFER))


def _repeats(earlier: Sequence[RowCells], later: Sequence[RowCells]) -> bool:
    before, after = ([row for row in rows if row.problem is None] for rows in (earlier, later))
    if {_weight(row) for row in before} & {_weight(row) for row in after}:
        return True
    return {row.cells.get("sku") for row in before} <= {row.cells.get("sku") for row in after}
