"""Reading single fields of Mercado Libre's JSON: amounts, instants, quantities. Pure.

What belongs here: one value in, one exact value out, BadPayload with the place where it is not what it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from oms_hub.domain.money import exact_decimal
from oms_hub.domain.orders import ZERO
from oms_hub.errors import BadPayload


def amount(value: Any, where: str) -> Decimal:
    """Read an amount (a JSON number); null means that nothing was charged."""
    if value is None:
        return ZERO
    try:
        return exact_decimal(value)
    except ValueError as error:
        raise BadPayload("an amount is not a number", where=where) from error


def moment(text: Any, where: str) -> datetime:
    """Read an instant with its offset (`2024-11-01T09:35:43.000-04:00`, also `-0400`)."""
    found = moment_or_none(text)
    if found is None:
        raise BadPayload("an instant is not a date and time with its zone", where=where)
    return found


def moment_or_none(text: Any) -> datetime | None:
    """Read an instant that may be absent; what cannot be read counts as absent."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is None else found.astimezone(UTC)


def updated_at(order: Mapping[str, Any]) -> datetime | None:
    """Return when an order last changed; older answers call the field `date_last_updated`."""
    return moment_or_none(order.get("last_updated") or order.get("date_last_updated"))


def whole_units(value: Any, where: str) -> int:
    """Read a quantity: a number, or a text such as "1.0" as returns write it."""
    try:
        units = Decimal(str(value))
    except InvalidOperation as error:
        raise BadPayload("a quantity is not a number", where=where) from error
    if isinstance(value, bool) or not units.is_finite() or units != units.to_integral_value():
        raise BadPayload("a quantity is not a whole number of units", where=where)
    return int(units)


def plain_text(value: Any) -> str:
    """Read a text, null as "". What no database can keep (half of a surrogate pair, NUL) becomes a question mark."""
    text = "" if value is None else str(value)
    return text.replace("\0", "?").encode("utf-8", "replace").decode("utf-8")
