"""Reading single fields of Amazon's JSON and flat files: amounts, instants, quantities. Pure.

What belongs here: one value in, one exact value out, BadPayload with the place where it is not what it should be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from oms_hub.domain.orders import ZERO
from oms_hub.errors import BadPayload

_DIGITS_LIMIT = 40


def decimal(value: Any, where: str) -> Decimal:
    """Read an amount: a decimal string (orders, flat files) or a JSON number (finances); "" and null are zero."""
    if value is None or value == "":
        return ZERO
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadPayload("an amount is not a number", where=where)
    text = value.strip() if isinstance(value, str) else repr(value)
    try:
        number = Decimal(text) if len(text) <= _DIGITS_LIMIT else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise BadPayload("an amount is not a finite number", where=where)
    return number


def money(value: Any, where: str) -> Decimal:
    """Read `{"amount": "19.99", "currencyCode": "USD"}`; nothing is zero."""
    return decimal(mapping(value, where).get("amount"), where)


def instant(value: Any, where: str) -> datetime:
    """Read an ISO 8601 instant; without a zone it is UTC."""
    if not isinstance(value, str):
        raise BadPayload("an instant is missing", where=where)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise BadPayload("an instant is not a date and time", where=where) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def instant_or_none(value: Any, where: str) -> datetime | None:
    """Read an instant that may be absent."""
    return instant(value, where) if value else None


def units(value: Any, where: str) -> int:
    """Read a quantity of whole units."""
    number = decimal(value, where)
    if number != number.to_integral_value() or number < 0:
        raise BadPayload("a quantity is not a whole number of units", where=where)
    return int(number)


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """Return an object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadPayload("a field is not an object", where=where)
    return value


def rows(value: Any, where: str) -> Sequence[Mapping[str, Any]]:
    """Return a list of objects; null is an empty one."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise BadPayload("a field is not a list of objects", where=where)
    return value


def words(value: Any) -> str:
    """Read a text, null as ""; what no database can keep becomes a question mark."""
    text = value if isinstance(value, str) else ""
    return text.replace("\0", "?").encode("utf-8", "replace").decode("utf-8")
