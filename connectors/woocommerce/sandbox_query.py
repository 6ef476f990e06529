"""How the practice shop answers questions: filters, sorting, pages and chosen fields.

What belongs here: pure reading of query parameters and rows, with the quirks of a real shop (11.0.1, 2026-11).
Not here: records (`sandbox_records`), HTTP (`sandbox_server`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
MOST_PER_PAGE = 100
T = TypeVar("T")
Query = Mapping[str, str]


class ApiError(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def shown(self) -> dict[str, Any]:
        """Return the JSON of the error."""
        return {"code": self.code, "message": self.message, "data": {"status": self.status}}


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of a list are wanted."""

    offset: int
    size: int


def invalid(name: str) -> ApiError:
    """Return the answer to a parameter that cannot be read."""
    return ApiError(400, "rest_invalid_param", f"Invalid parameter(s): {name}")


def bound(query: Query, name: str, zone: ZoneInfo) -> datetime | None:
    """Return the instant that the shop takes a time parameter for.

    Naive text is the site's own time unless `dates_are_gmt=true`; with `Z` alone it is right; with `Z` AND
    `dates_are_gmt=true` the shop turns it into site time and then calls that UTC: shifted by the site's offset.
    """
    text = query.get(name)
    if text is None or text == "":
        return None
    if not _INSTANT.fullmatch(text):
        raise invalid(name)
    moment = datetime.fromisoformat(text)
    is_gmt = query.get("dates_are_gmt", "false") in {"true", "1"}
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC if is_gmt else zone).astimezone(UTC)
    if is_gmt:
        return moment.astimezone(zone).replace(tzinfo=UTC)
    return moment.astimezone(UTC)


def window(query: Query) -> Window:
    """Return which rows are wanted; more than 100 a page is refused."""
    size, page, offset = _number(query, "per_page", 10), _number(query, "page", 1), _number(query, "offset", -1)
    if not 1 <= size <= MOST_PER_PAGE:
        raise invalid("per_page")
    if page < 1:
        raise invalid("page")
    return Window(offset if offset >= 0 else (page - 1) * size, size)


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise invalid(name)
    return int(text)


def id_list(query: Query, name: str) -> frozenset[int] | None:
    """Return the ids of a comma list, None where the parameter is absent."""
    text = query.get(name)
    if not text:
        return None
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise invalid(name)
    return frozenset(int(part) for part in text.split(","))


def sort_rows(rows: Iterable[T], query: Query, keys: Mapping[str, Callable[[T], Any]]) -> list[T]:
    """Return rows in the wanted order; ids break ties. The default is the newest first."""
    wanted = query.get("orderby", "date")
    direction = query.get("order", "desc")
    if wanted not in keys or direction not in {"asc", "desc"}:
        raise invalid("orderby" if wanted not in keys else "order")
    by, identity = keys[wanted], keys["id"]
    return sorted(rows, key=lambda row: (by(row), identity(row)), reverse=direction == "desc")


def within(moment: datetime | None, after: datetime | None, before: datetime | None) -> bool:
    """Return whether an instant lies strictly between two bounds."""
    if after is None and before is None:
        return True
    if moment is None:
        return False
    return (after is None or moment > after) and (before is None or moment < before)


def choose_fields(shown: Mapping[str, Any], fields: str | None) -> dict[str, Any]:
    """Return only the wanted fields (`a,b.c`); `id` is always kept."""
    if not fields:
        return dict(shown)
    chosen: dict[str, Any] = {"id": shown["id"]} if "id" in shown else {}
    for name in fields.split(","):
        top, _, inner = name.strip().partition(".")
        if top not in shown:
            continue
        if inner and isinstance(shown[top], dict):
            part = chosen.setdefault(top, {})
            if inner in shown[top]:
                part[inner] = shown[top][inner]
        else:
            chosen[top] = shown[top]
    return chosen


def page_of(rows: Sequence[T], wanted: Window) -> tuple[Sequence[T], int]:
    """Return the rows of a page and the total to state: past the end nothing, and a total of 0."""
    part = rows[wanted.offset : wanted.offset + wanted.size]
    return part, len(rows) if part else 0
