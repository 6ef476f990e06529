"""What the practice seller has: a clock, locations, goods, orders, and a log of inventory changes.

What belongs here: state and its rules. Not here: how orders are worked out (`sandbox_orders`), the API
(`sandbox_routes`), invented data (`sandbox_seed`).

Counts follow from the log as Square describes it: changes are applied in the order of their own time stamps, so a sale
after the stamp of a count is applied on top of it, even where the count arrives later.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from oms_hub.clock import Clock

CURRENCY = "CAD"
MERCHANT_ID = "MLHUBPRACTICE"
IN_STOCK = "IN_STOCK"


@dataclass(slots=True)
class Place:
    """A location."""

    place_id: str
    name: str
    zone: str
    created_at: datetime
    is_active: bool = True


@dataclass(slots=True)
class Variation:
    """What carries the quantity. Price in cents."""

    variation_id: str
    name: str
    sku: str
    price: int
    is_tracked: bool = True
    untracked_at: frozenset[str] = frozenset()
    is_measured: bool = False


@dataclass(slots=True)
class Item:
    """A thing with its variations."""

    item_id: str
    name: str
    variations: list[Variation]
    changed_at: datetime
    is_deleted: bool = False
    is_archived: bool = False
    absent_at: tuple[str, ...] = ()


@dataclass(slots=True)
class Change:
    """One entry of the inventory log: a count (`from_state` empty) or an adjustment."""

    change_id: str
    variation_id: str
    place_id: str
    quantity: Decimal
    occurred_at: datetime
    created_at: datetime
    from_state: str = ""
    to_state: str = IN_STOCK
    refund_id: str = ""
    transaction_id: str = ""
    reference_id: str = ""

    @property
    def is_count(self) -> bool:
        """Return whether it states a level."""
        return not self.from_state

    @property
    def effect(self) -> Decimal:
        """Return what an adjustment does to the goods in stock."""
        return self.quantity * ((self.to_state == IN_STOCK) - (self.from_state == IN_STOCK))


@dataclass(slots=True)
class Line:
    """One line before it is worked out."""

    uid: str
    name: str
    quantity: str
    price: int
    variation: str = ""
    variation_name: str = ""
    item_type: str = "ITEM"
    added: int = 0
    """A modifier's price for each unit."""
    is_included: bool = False
    """The price contains the tax."""
    is_taxed: bool = True


@dataclass(slots=True)
class Draft:
    """An order before it is worked out. Percentages as text, amounts in cents."""

    order_id: str
    place_id: str
    lines: list[Line] = field(default_factory=list)
    discount: str = ""
    line_discount: int = 0
    service_charge: str = ""
    is_apportioned: bool = False
    tip: int = 0
    rounding: int = 0


@dataclass(slots=True)
class Sold:
    """An order as the API tells it. `visible_at`: when the search begins to show it."""

    draft: Draft
    record: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    visible_at: datetime | None = None
    is_broken: bool = False

    def shown(self) -> dict[str, Any]:
        """Return the order as Square gives it."""
        stamps = {"created_at": stamp(self.created_at), "updated_at": stamp(self.updated_at)}
        if self.closed_at is not None:
            stamps["closed_at"] = stamp(self.closed_at)
        return {**self.record, **stamps, **({"line_items": "none"} if self.is_broken else {})}


def stamp(moment: datetime) -> str:
    """Return an instant as Square writes it: UTC, milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@dataclass(slots=True)
class Shop:
    """The seller. Everything happens under `lock`."""

    clock: Clock
    places: dict[str, Place] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    orders: dict[str, Sold] = field(default_factory=dict)
    log: defaultdict[tuple[str, str], list[Change]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.RLock = field(default_factory=threading.RLock)
    ahead: timedelta = timedelta(0)
    numbers: int = 0

    def now(self) -> datetime:
        """Return the present of the seller's Square account, to the millisecond."""
        moment = self.clock() + self.ahead
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def take_id(self, prefix: str) -> str:
        """Return a new id."""
        self.numbers += 1
        return f"{prefix}{self.numbers:06d}"

    def variations(self) -> Iterator[tuple[Item, Variation]]:
        """Yield all variations that were not deleted."""
        for item in self.items.values():
            if not item.is_deleted:
                for variation in item.variations:
                    yield item, variation

    def by_sku(self, sku: str) -> tuple[Item, Variation]:
        """Return the first variation with a SKU; KeyError where there is none."""
        for item, variation in self.variations():
            if variation.sku == sku:
                return item, variation
        raise KeyError(sku)

    def is_tracked(self, variation_id: str, place_id: str) -> bool | None:
        """Return whether a quantity is kept; None for an unknown variation."""
        for _, variation in self.variations():
            if variation.variation_id == variation_id:
                return variation.is_tracked and place_id not in variation.untracked_at
        return None

    def main_place(self) -> str:
        """Return the oldest active location."""
        return min((p for p in self.places.values() if p.is_active), key=lambda p: (p.created_at, p.place_id)).place_id

    def book(self, change: Change) -> None:
        """Enter a change into the log."""
        self.log[change.variation_id, change.place_id].append(change)

    def adjust(
        self, variation_id: str, place_id: str, units: int, *, at: datetime, states: tuple[str, str], cause: str
    ) -> None:
        """Move units from one state to another, caused by an order or (`refund:ID`) a refund."""
        refund_id = cause.removeprefix("refund:") if cause.startswith("refund:") else ""
        self.book(
            Change(
                self.take_id("ADJ"), variation_id, place_id, Decimal(units), at, self.now(), *states,
                refund_id=refund_id, transaction_id="" if refund_id else cause,
            )
        )  # fmt: skip

    def count(self, variation_id: str, place_id: str, units: Decimal | int) -> None:
        """Count as a person does: now."""
        now = self.now()
        self.book(Change(self.take_id("CNT"), variation_id, place_id, Decimal(units), now, now))

    def level(self, variation_id: str, place_id: str) -> tuple[Decimal, datetime] | None:
        """Return the goods in stock and when the last change to them arrived; None where nothing ever did."""
        changes = self.log.get((variation_id, place_id))
        if not changes:
            return None
        return replayed(changes), max(change.created_at for change in changes)


def replayed(changes: Sequence[Change]) -> Decimal:
    """Return the level that follows from a log in which every change acts at its own time stamp."""
    level = Decimal(0)
    for change in sorted(changes, key=lambda each: (each.occurred_at, each.created_at)):
        level = change.quantity if change.is_count else level + change.effect
    return level
