"""Tables on pages and as CSV: what an address asks for, and the addresses that sort and page.

What belongs here: between query strings and `oms_hub.store.web_tables`. Not here: which tables there are, their HTML.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from oms_hub.store.web_tables import TableColumn, TableDefinition, TablePage, TableQuery, read_all, read_page
from oms_hub.web.identity import Visitor
from oms_hub.web.pages import address

MOST_EXPORTED = 100_000
_OPENS_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_RESERVED = frozenset({"q", "sort", "order", "after", "said"})

Links = Mapping[str, Callable[[Mapping[str, Any]], str]]


@dataclass(frozen=True, slots=True)
class ShownTable:
    """One page of a table, ready for the template."""

    table: TableDefinition
    query: TableQuery
    page: TablePage
    path: str
    export_path: str
    choices: Mapping[str, Sequence[str]]
    fixed: Mapping[str, str]
    links: Links = field(default_factory=dict)

    @property
    def columns(self) -> Sequence[TableColumn]:
        """Return the columns that are shown."""
        return [column for column in self.table.columns if not column.is_hidden]

    @property
    def sorted_by(self) -> str:
        """Return the column that the table is sorted by."""
        return self.query.sort or self.table.sort

    @property
    def is_descending(self) -> bool:
        """Return whether it is sorted from the top."""
        return self.table.is_descending if self.query.is_descending is None else self.query.is_descending

    def link(self, column: str, row: Mapping[str, Any]) -> str:
        """Return where a cell leads, empty for nowhere."""
        made = self.links.get(column)
        return made(row) if made else ""

    def sort_address(self, column: TableColumn) -> str:
        """Return the address of the table sorted by a column, the other way round where it is so already."""
        is_descending = not self.is_descending if column.name == self.sorted_by else column.kind != "text"
        order = "desc" if is_descending else "asc"
        return address(self.path, **{**self._asked(), "sort": column.name, "order": order, "after": ""})

    @property
    def next_address(self) -> str:
        """Return the address of the next page."""
        return address(self.path, **{**self._asked(), "after": self.page.next_mark})

    @property
    def first_address(self) -> str:
        """Return the address of the first page."""
        return address(self.path, **{**self._asked(), "after": ""})

    @property
    def export(self) -> str:
        """Return the address of the same rows as CSV."""
        return address(self.export_path, **{**self._asked(), "after": ""})

    def _asked(self) -> dict[str, str]:
        order = "desc" if self.is_descending else "asc"
        return {
            **self.fixed, **self.query.filters, "q": self.query.search, "sort": self.sorted_by, "order": order,
        }  # fmt: skip


def query_of(request: Request, table: TableDefinition, **filters: str) -> TableQuery:
    """Return what an address asks of a table; `filters` hold unless the address says otherwise."""
    given = request.query_params
    order = given.get("order", "")
    asked = {name: given[name] for name in table.filters if name in given}
    return TableQuery(
        sort=given.get("sort", ""),
        is_descending=None if order not in {"asc", "desc"} else order == "desc",
        search=given.get("q", ""),
        filters={**filters, **asked},
        after=given.get("after", ""),
    )


def shown_table(
    request: Request,
    visitor: Visitor,
    table: TableDefinition,
    *,
    choices: Mapping[str, Sequence[str]] | None = None,
    links: Links | None = None,
    **filters: str,
) -> ShownTable:
    """Return the page of a table that an address asks for, behind the merchant's wall."""
    query = query_of(request, table, **filters)
    with visitor.hub.store.read() as tx:
        page = read_page(tx, table, visitor.merchant_id, query)
    open_choices = {name: known for name, (_, known) in table.filters.items() if known}
    offered = {**open_choices, **(choices or {})}
    path = request.url.path
    fixed = {name: value for name, value in request.query_params.items() if name not in {*_RESERVED, *table.filters}}
    return ShownTable(table, query, page, path, f"/export/{table.name}.csv", offered, fixed, links or {})


def csv_of(request: Request, visitor: Visitor, table: TableDefinition) -> Response:
    """Return the rows that an address asks for as CSV, with plain values: ISO times in UTC, exact amounts."""
    query = replace(query_of(request, table), after="")
    columns = [column.name for column in table.columns if column.kind != "flag"]

    def lines() -> Iterator[str]:
        yield _csv_line(columns)
        with visitor.hub.store.read() as tx:
            for row in read_all(tx, table, visitor.merchant_id, query, most=MOST_EXPORTED):
                yield _csv_line([_plain(row[name]) for name in columns])

    table.column(query.sort or table.sort)
    headers = {"content-disposition": f'attachment; filename="{table.name}.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _csv_line(cells: Sequence[str]) -> str:
    target = io.StringIO()
    csv.writer(target).writerow(cells)
    return target.getvalue()


def _plain(value: object) -> str:
    """Return a cell; text that a spreadsheet would run as a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_OPENS_FORMULA) else text
