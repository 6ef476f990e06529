"""What the practice seller's parts share: refusals as Square words them, and reading instants of a request.

What belongs here: the error and its JSON. Not here: when something is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


class ApiError(Exception):
    """A refusal: status and one error or several."""

    def __init__(self, status: int, category: str, code: str, detail: str, *, field: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.errors: Sequence[Mapping[str, str]] = [error(category, code, detail, field=field)]


def error(category: str, code: str, detail: str, *, field: str = "") -> dict[str, str]:
    """Return one error as Square lists it."""
    return {"category": category, "code": code, "detail": detail, **({"field": field} if field else {})}


def invalid(field: str, code: str) -> ApiError:
    """Return the refusal of a request whose field is wrong."""
    return ApiError(400, "INVALID_REQUEST_ERROR", code, f"The field `{field}` is not valid.", field=field)


def instant(row: Mapping[str, Any], name: str) -> datetime | None:
    """Return an instant of a request, None where it is left out.

    Raises:
        ApiError: not RFC 3339 with a zone.
    """
    if row.get(name) is None:
        return None
    try:
        found = datetime.fromisoformat(row[name])
    except (TypeError, ValueError):
        raise invalid(name, "INVALID_TIME") from None
    if found.tzinfo is None:
        raise invalid(name, "INVALID_TIME")
    return found
