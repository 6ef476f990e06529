"""Tables that people page through: sorted, searched, filtered, by keyset; what each is stands in `web_table_rows`.

What belongs here: making one page of any table. Not here: which tables there are.

A page goes on after the last row's sort value and key, never by counting rows: it costs the same at any depth, and rows
that come in meanwhile shift nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import orjson
from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction

Kind: TypeAlias = Literal["text", "whole", "money", "instant", "state", "flag"]

_SORT_AS = {"text": "text", "state": "text", "whole": "bigint", "money": "numeric", "instant": "timestamptz"}
_LEAST = {"text": "''", "state": "''", "whole": "-9223372036854775808", "money": "-1e30", "instant": "'-infinity'"}
_LONGEST_SEARCH = 200
_EXPORT_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column: its name, its SQL, and how it is shown. Hidden ones serve links."""

    name: str
    sql: str
    kind: Kind = "text"
    title: str = ""
    is_hidden: bool = False

    @property
    def can_sort(self) -> bool:
        """Return whether the table can be sorted by it."""
        return not self.is_hidden and self.kind in _SORT_AS


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """A table of one merchant's rows.

    Attributes:
        source: what follows FROM, with a condition on `:merchant_id`.
        key: SQL of a text that no two rows share; the last word in sorting.
        sort: the column that it is sorted by at first. is_descending: ... from the top.
        searched: SQL of the texts that a search looks into.
        filters: name -> (SQL of a text that must be equal, the choices; none where they are open).
    """

    name: str
    columns: tuple[TableColumn, ...]
    source: str
    key: str
    sort: str
    is_descending: bool = False
    searched: tuple[str, ...] = ()
    filters: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def column(self, name: str) -> TableColumn:
        """Return a column by name; raises Misconfigured where the table cannot be sorted by it."""
        for each in self.columns:
            if each.name == name and each.can_sort:
                return each
        raise Misconfigured(f"The table cannot be sorted by {name[:40]}")


@dataclass(frozen=True, slots=True)
class TableQuery:
    """Which page is wanted. `after` is the mark that the page before ended with."""

    sort: str = ""
    is_descending: bool | None = None
    search: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)
    after: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class TablePage:
    """One page; `next_mark` goes on after it, empty at the end."""

    rows: Sequence[Mapping[str, Any]]
    next_mark: str


def read_page(tx: Transaction, table: TableDefinition, merchant_id: int, query: TableQuery) -> TablePage:
    """Return one page of a merchant's rows.

    Raises:
        Misconfigured: an unknown column or filter, or a mark that no page ended with.
    """
    column = table.column(query.sort or table.sort)
    is_descending = table.is_descending if query.is_descending is None else query.is_descending
    sorted_by = f"coalesce(CAST(t.{column.name} AS {_SORT_AS[column.kind]}), {_LEAST[column.kind]})"
    if _SORT_AS[column.kind] == "text":
        sorted_by = f'{sorted_by} COLLATE "C"'
    conditions, values = _conditions(table, query)
    order, sign = ("DESC", "<") if is_descending else ("ASC", ">")
    going_on = ""
    if query.after:
        values["mark_value"], values["mark_key"] = _read_mark(query.after, column.name)
        going_on = f"WHERE ({sorted_by}, t.row_key) {sign} (CAST(:mark_value AS {_SORT_AS[column.kind]}), :mark_key)"
    selected = ", ".join(f"{each.sql} AS {each.name}" for each in table.columns)
    statement = (
        f"SELECT t.*, CAST({sorted_by} AS text) AS sort_value FROM ("
        f'SELECT {selected}, ({table.key}) COLLATE "C" AS row_key FROM {table.source}{conditions}) AS t {going_on} '
        f"ORDER BY {sorted_by} {order}, t.row_key {order} LIMIT :row_limit"
    )
    found = tx.execute(text(statement), {**values, "merchant_id": merchant_id, "row_limit": query.limit + 1}).all()
    rows = [dict(row._mapping) for row in found[: query.limit]]
    next_mark = _mark(column.name, rows[-1]) if len(found) > query.limit else ""
    return TablePage([{each.name: row[each.name] for each in table.columns} for row in rows], next_mark)


def read_all(
    tx: Transaction, table: TableDefinition, merchant_id: int, query: TableQuery, *, most: int
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows from the first page on, at most so many."""
    given, after = 0, ""
    while given < most:
        page = read_page(tx, table, merchant_id, replace(query, after=after, limit=min(_EXPORT_AT_ONCE, most - given)))
        yield from page.rows
        given += len(page.rows)
        after = page.next_mark
        if not after:
            return


def _conditions(table: TableDefinition, query: TableQuery) -> tuple[str, dict[str, Any]]:
    parts: list[str] = []
    values: dict[str, Any] = {}
    for number, (name, wanted) in enumerate(query.filters.items()):
        if not wanted:
            continue
        if name not in table.filters:
            raise Misconfigured(f"The table has no filter {name[:40]}")
        parts.append(f"{table.filters[name][0]} = :filter_{number}")
        values[f"filter_{number}"] = wanted
    if query.search.strip() and table.searched:
        together = " OR ".join(f"{each} ILIKE :search" for each in table.searched)
        parts.append(f"({together})")
        plain = query.search.strip()[:_LONGEST_SEARCH]
        values["search"] = "%" + plain.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    return "".join(f" AND {each}" for each in parts), values


def _mark(column: str, row: Mapping[str, Any]) -> str:
    packed = orjson.dumps([column, str(row["sort_value"]), str(row["row_key"])])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read_mark(given: str, column: str) -> tuple[str, str]:
    try:
        found = orjson.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
        sorted_by, value, key = found
    except (binascii.Error, ValueError, TypeError):
        raise Misconfigured("The page's mark cannot be read", remedy="Begin at the first page") from None
    if sorted_by != column or not isinstance(value, str) or not isinstance(key, str) or "\0" in value + key:
        raise Misconfigured("The page's mark belongs to another sorting", remedy="Begin at the first page")
    return value, key
