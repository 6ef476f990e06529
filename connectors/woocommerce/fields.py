"""Reading single fields of WooCommerce's JSON: amounts, instants, quantities. Pure.

What belongs here: one value in, one exact value out, BadPayload with the place where it is not what it should be.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from oms_hub.domain.orders import ZERO
from oms_hub.errors import BadPayload

_DIGITS_LIMIT = 40
_PLAIN_INSTANT = len("2026-11-01T10:00:00")


@lru_cache(maxsize=16384)
def _exact(text: str) -> Decimal | None:
    """Return a decimal string exactly, None where it is none. Amounts repeat, so most are read from memory.

    With `dp=6` every amount has six decimals; where the last four say nothing they are left out.
    """
    if text[-7:-6] == "." and text.endswith("0000"):
        text = text[:-4]
    if len(text) > _DIGITS_LIMIT:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def amount(text: Any, where: str) -> Decimal:
    """Read an amount. The channel writes decimal strings; "" and null mean nothing was charged."""
    if type(text) is str:
        value = _exact(text) if text else ZERO
    elif text is None:
        return ZERO
    elif type(text) in (int, float):
        value = _exact(repr(text))
    else:
        raise BadPayload("an amount is not a number", where=where)
    if value is None:
        raise BadPayload("an amount is not a finite number", where=where)
    return value


def instant(text: Any, where: str) -> datetime:
    """Read a `_gmt` instant (`YYYY-MM-DDTHH:MM:SS`, UTC without a zone)."""
    try:
        if len(text) == _PLAIN_INSTANT:
            return datetime.fromisoformat(text + "Z")  # half the time of adding the zone afterwards
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise BadPayload("an instant is not a date and time", where=where) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def instant_or_none(text: Any, where: str) -> datetime | None:
    """Read an instant that may be absent (null or "")."""
    return instant(text, where) if text else None


def whole_units(value: Any, where: str) -> int:
    """Read a quantity. Raises BadPayload for a fraction (plugins that sell by weight): the ledger counts units."""
    if type(value) is int:
        return value
    try:
        units = Decimal(str(value))
    except InvalidOperation as error:
        raise BadPayload("a quantity is not a number", where=where) from error
    if isinstance(value, bool) or not units.is_finite() or units != units.to_integral_value():
        raise BadPayload("a quantity is not a whole number of units", where=where)
    return int(units)


def plain_text(value: Any) -> str:
    """Read a text, null as "". What no database can keep (half of a surrogate pair, NUL) becomes a question mark."""
    if not value:
        return ""
    text = value if type(value) is str else str(value)
    if "\0" in text:
        text = text.replace("\0", "?")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
