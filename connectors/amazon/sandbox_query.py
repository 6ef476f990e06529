"""Reading requests to the practice account: parameters as published, tokens of pages, refusals.

What belongs here: what every operation has in common. Not here: the operations (`sandbox_routes`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from oms_hub.domain.pull_windows import from_text

Query: TypeAlias = Mapping[str, str]


class ApiError(Exception):
    """A refusal, as Amazon writes it."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = {"errors": [{"code": code, "message": message, "details": details}]}


def invalid(details: str) -> ApiError:
    """Return the refusal of a parameter."""
    return ApiError(400, "InvalidInput", "Invalid Input", details)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of an operation."""

    payload: Any
    status: int = 200


@dataclass(slots=True)
class Request:
    """A request to one operation."""

    place: Mapping[str, str]
    query: Query
    payload: Any = None
    allowed: Sequence[str] = field(default_factory=tuple)

    def check(self, allowed: Sequence[str], required: Sequence[str] = ()) -> None:
        """Refuse parameters that the operation does not know, and missing ones."""
        for name in self.query:
            if name not in allowed:
                raise invalid(f"{name} is not a parameter")
        for name in required:
            if not self.query.get(name):
                raise invalid(f"{name} is missing")

    def listed(self, name: str, *, most: int | None = None) -> list[str]:
        """Return a comma-separated list."""
        found = [part for part in self.query.get(name, "").split(",") if part]
        if most is not None and len(found) > most:
            raise invalid(f"{name} holds more than {most} values")
        return found

    def instant(self, name: str) -> datetime | None:
        """Return an instant, None where it is not given."""
        text = self.query.get(name)
        try:
            return None if text is None else from_text(text)
        except ValueError:
            raise invalid(f"{name} is not an instant") from None

    def number(self, name: str, *, default: int, most: int) -> int:
        """Return a number from 1 on."""
        text = self.query.get(name, str(default))
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise invalid(f"{name} is not a number from 1 to {most}")
        return int(text)


def pack(state: Mapping[str, Any]) -> str:
    """Return the token of a page."""
    return base64.urlsafe_b64encode(orjson.dumps(state)).decode()


def unpack(token: str) -> dict[str, Any]:
    """Return what a page's token says; refuses one that nobody gave."""
    try:
        state = orjson.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        raise invalid("the token is not one of ours") from None
    if not isinstance(state, dict):
        raise invalid("the token is not one of ours")
    return state
