"""Reading single fields of Square's JSON: money, instants, quantities. Pure.

What belongs here: one value in, one exact value out, BadPayload with the place where it is not what it should be.

Square leaves out what is empty, and may write null for it. Money is a whole number of the currency's smallest unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from oms_hub.domain.money import exact_decimal, exponent
from oms_hub.domain.orders import ZERO
from oms_hub.domain.pull_windows import from_text
from oms_hub.errors import BadPayload

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """One order being read: its currency, and the words of Square that the hub did not know."""

    currency: str
    unknown_words: list[str] = field(default_factory=list)

    def money(self, row: Row, name: str, where: str) -> Decimal:
        """Return an amount, zero where it is left out.

        Raises:
            BadPayload: no whole number, or another currency than the order's.
        """
        return self.maybe_money(row, name, where) or ZERO

    def maybe_money(self, row: Row, name: str, where: str) -> Decimal | None:
        """Return an amount, None where it is left out; raises as `money`."""
        value = row.get(name)
        if value is None or (isinstance(value, dict) and value.get("amount") is None):
            return None
        place = f"{where}.{name}"
        if not isinstance(value, dict) or not isinstance(value["amount"], int) or isinstance(value["amount"], bool):
            raise BadPayload("an amount is not a whole number of the smallest unit", where=place)
        if value.get("currency") not in {self.currency, None}:
            raise BadPayload("an amount is in another currency than its order", where=place)
        return Decimal(value["amount"]).scaleb(-exponent(self.currency))

    def knows(self, what: str, word: str, known: Sequence[str]) -> bool:
        """Return whether a word is known; keeps and flags one that is not."""
        if word in known:
            return True
        self.unknown_words.append(f"{what} {word}")
        return False


def rows(row: Row, name: str, where: str = "") -> list[Row]:
    """Return a list of objects, empty where it is left out.

    Raises:
        BadPayload: not a list of objects.
    """
    found = row.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or any(not isinstance(each, dict) for each in found):
        raise BadPayload("not a list of objects", where=f"{where}.{name}" if where else name)
    return found


def text(row: Row, name: str) -> str:
    """Return a text, "" where it is left out. What no database can keep (NUL, half a pair) becomes a question mark."""
    value = row.get(name)
    if not isinstance(value, str):
        return ""
    plain = value.replace("\0", "?")
    return plain if plain.isascii() else plain.encode("utf-8", "replace").decode("utf-8")


def instant(row: Row, name: str, where: str) -> datetime:
    """Return an instant.

    Raises:
        BadPayload: left out, or no instant.
    """
    found = maybe_instant(row, name, where)
    if found is None:
        raise BadPayload("an instant is missing", where=f"{where}.{name}")
    return found


def maybe_instant(row: Row, name: str, where: str) -> datetime | None:
    """Return an instant, None where it is left out; raises BadPayload for what is no instant."""
    value = row.get(name)
    if not value:
        return None
    try:
        return from_text(value)
    except (TypeError, ValueError):
        raise BadPayload("an instant is not a date and time with a zone", where=f"{where}.{name}") from None


def quantity(row: Row, where: str) -> Decimal:
    """Return a quantity, which may have a fraction (sold by weight).

    Raises:
        BadPayload: no number, or a negative one.
    """
    try:
        found = exact_decimal(row.get("quantity"))
    except ValueError:
        raise BadPayload("a quantity is not a number", where=f"{where}.quantity") from None
    if found < 0:
        raise BadPayload("a quantity is negative", where=f"{where}.quantity")
    return found


def fraction(row: Row, where: str) -> Decimal | None:
    """Return a percentage as a fraction ("7.25" is 0.0725), None where it is left out; BadPayload for no number."""
    value = row.get("percentage")
    if value in (None, ""):
        return None
    try:
        return exact_decimal(value).scaleb(-2)
    except ValueError:
        raise BadPayload("a percentage is not a number", where=f"{where}.percentage") from None
