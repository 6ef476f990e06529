"""Reading one record: fields with their place named, connections put together, words that are new.

What belongs here: how values are read. Not here: what they mean (`parse` and its parts). Errors name places, never
values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from oms_hub.domain.money import exact_decimal
from oms_hub.errors import BadPayload


@dataclass(frozen=True, slots=True)
class Node:
    """One object of a record and its place, for errors."""

    value: Mapping[str, Any]
    where: str

    def has(self, name: str) -> bool:
        """Return whether a field is there and not null."""
        return self.value.get(name) is not None

    def raw(self, name: str) -> Any:
        """Return a field that must be there; null is a value."""
        if name not in self.value:
            raise BadPayload("a field is missing", where=f"{self.where}.{name}")
        return self.value[name]

    def text(self, name: str) -> str:
        """Return a text that must be there."""
        value = self.raw(name)
        if not isinstance(value, str) or not value:
            raise BadPayload("a text is missing", where=f"{self.where}.{name}")
        return value

    def maybe_text(self, name: str) -> str | None:
        """Return a text, None where it is null, empty or was not asked for."""
        value = self.value.get(name)
        return value if isinstance(value, str) and value else None

    def flag(self, name: str) -> bool:
        """Return a boolean that must be there."""
        value = self.raw(name)
        if not isinstance(value, bool):
            raise BadPayload("neither true nor false", where=f"{self.where}.{name}")
        return value

    def whole(self, name: str) -> int:
        """Return a whole number that must be there."""
        value = self.raw(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadPayload("not a whole number", where=f"{self.where}.{name}")
        return value

    def maybe_instant(self, name: str) -> datetime | None:
        """Return an instant in UTC, None where it is null or was not asked for."""
        value = self.value.get(name)
        if value is None:
            return None
        try:
            instant = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise BadPayload("not an instant", where=f"{self.where}.{name}") from None
        if instant.tzinfo is None:
            raise BadPayload("an instant without zone", where=f"{self.where}.{name}")
        return instant.astimezone(UTC)

    def instant(self, name: str) -> datetime:
        """Return an instant in UTC that must be there."""
        found = self.maybe_instant(name)
        if found is None:
            raise BadPayload("an instant is missing", where=f"{self.where}.{name}")
        return found

    def child(self, name: str) -> Node:
        """Return an object that must be there."""
        value = self.raw(name)
        if not isinstance(value, dict):
            raise BadPayload("not an object", where=f"{self.where}.{name}")
        return Node(value, f"{self.where}.{name}")

    def maybe_child(self, name: str) -> Node | None:
        """Return an object, None where it is null or was not asked for."""
        return self.child(name) if self.has(name) else None

    def rows(self, name: str) -> list[Node]:
        """Return the objects of a list, none where the list is null or was not asked for."""
        value = self.value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise BadPayload("not a list", where=f"{self.where}.{name}")
        for index, row in enumerate(value):
            if not isinstance(row, dict):
                raise BadPayload("not an object", where=f"{self.where}.{name}[{index}]")
        return [Node(row, f"{self.where}.{name}[{index}]") for index, row in enumerate(value)]

    def nodes(self, name: str) -> list[Node]:
        """Return the nodes of a connection that must be there; its pages were joined when the record was made.

        Raises:
            BadPayload: it says that there are more: the record is not whole.
        """
        connection = self.child(name)
        page = connection.value.get("pageInfo")
        if isinstance(page, dict) and page.get("hasNextPage") is True:
            raise BadPayload("further pages are missing", where=connection.where)
        return connection.rows("nodes")

    def decimal(self, name: str) -> Decimal:
        """Return an exact number that must be there."""
        try:
            return exact_decimal(self.raw(name))
        except ValueError:
            raise BadPayload("not an amount", where=f"{self.where}.{name}") from None


@dataclass(slots=True)
class Reading:
    """One record being read: its currency, its parts, and the words that nobody knows.

    Attributes:
        currency: the shop currency of the order; amounts in another one are refused.
        taxes_included: whether prices hold their tax.
        parts: refunds, fulfilments, returns and open fulfilment orders, by (type, id).
        unknown_words: grows while reading.
    """

    currency: str
    taxes_included: bool
    parts: Mapping[tuple[str, str], Node]
    unknown_words: list[str] = field(default_factory=list)

    def money(self, owner: Node, name: str) -> Decimal:
        """Return the shop amount of a money bag that must be there.

        Raises:
            BadPayload: it is missing, is no amount, or is in another currency than the order.
        """
        money = owner.child(name).child("shopMoney")
        if money.text("currencyCode") != self.currency:
            raise BadPayload("an amount in another currency than the order's", where=money.where)
        return money.decimal("amount")

    def maybe_money(self, owner: Node, name: str) -> Decimal:
        """Return the shop amount of a money bag, zero where there is none."""
        return self.money(owner, name) if owner.has(name) else Decimal(0)

    def pieces(self, kind: str, ids: Sequence[str]) -> list[Node]:
        """Return the named pieces.

        Raises:
            BadPayload: one was never fetched: the record is not whole.
        """
        for identifier in ids:
            if (kind, identifier) not in self.parts:
                raise BadPayload(f"a {kind} is named and not there", where="parts")
        return [self.parts[kind, identifier] for identifier in ids]

    def knows(self, what: str, word: str, known: Sequence[str]) -> bool:
        """Return whether a word is known; one that is not is kept for the order's flags."""
        if word in known:
            return True
        flagged = f"{what}: {word}"
        if flagged not in self.unknown_words:
            self.unknown_words.append(flagged)
        return False
