"""The practice shop's state: all its goods, places and orders, and its clock.

What belongs here: what the shop remembers, and what buyers and staff do to it. Not here: how it began
(`sandbox_seed`), how it answers (`sandbox_graphql`, `sandbox`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from connectors.shopify.sandbox_things import MAIN_LOCATION, STORE_LOCATION, Line, ShopOrder, Variant

CURRENCY = "MXN"
TIME_ZONE = "America/Mexico_City"
OPENED_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
"""Where the shop's clock stands when it is started."""


class Shop:
    """All of a practice shop; every change is made while holding `lock`."""

    def __init__(self, domain: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.domain = domain
        self.lock = threading.RLock()
        self.variants: dict[int, Variant] = {}
        self.orders: dict[int, ShopOrder] = {}
        self.broken: set[int] = set()
        self.locations = {MAIN_LOCATION: "Bodega Centro", STORE_LOCATION: "Tienda Coyoacán"}
        self._monotonic = monotonic
        self._started_at = monotonic()
        self._skipped = 0.0
        self._numbers = 100_000

    def seconds(self) -> float:
        """Return seconds since the shop was opened, skipped ones included."""
        return self._monotonic() - self._started_at + self._skipped

    def now(self) -> datetime:
        """Return the shop's time, to the second."""
        return (OPENED_AT + timedelta(seconds=self.seconds())).replace(microsecond=0)

    def skip(self, seconds: float) -> None:
        """Move the clock forward."""
        with self.lock:
            self._skipped += seconds

    def new_number(self) -> int:
        """Return a number that was never given out."""
        self._numbers += 1
        return self._numbers

    def by_sku(self, sku: str) -> Variant:
        """Return the first variant with a SKU.

        Raises:
            KeyError: there is none.
        """
        for variant in self.variants.values():
            if variant.sku == sku:
                return variant
        raise KeyError(sku)

    def line_of(self, sku: str, quantity: int) -> Line:
        """Return a new line at today's price."""
        variant = self.by_sku(sku)
        needs_sending = not variant.is_gift_card
        return Line(
            self.new_number(), variant, sku, variant.title, quantity, variant.price, requires_shipping=needs_sending
        )

    def add_order(self, order: ShopOrder) -> ShopOrder:
        """Take an order in, and commit its open units."""
        self.orders[order.number] = order
        for line in order.lines:
            self.commit(order, line, order.open_units(line))
        return order

    def commit(self, order: ShopOrder, line: Line, units: int) -> None:
        """Bind units to an order: available goes down, on hand stays."""
        if line.variant is not None and line.variant.is_tracked and order.location in line.variant.levels:
            line.variant.levels[order.location].committed += units

    def place_order(self, lines: Mapping[str, int]) -> ShopOrder:
        """Sell as a buyer does, at once, paid and not yet sent."""
        with self.lock:
            now = self.now()
            return self.add_order(
                ShopOrder(
                    self.new_number(),
                    now,
                    now,
                    [self.line_of(sku, quantity) for sku, quantity in lines.items()],
                    shipping=Decimal("99.00"),
                    customer=7001,
                )
            )

    def edit_order(self, number: int) -> ShopOrder:
        """Add a unit of something to an order, as an order edit does."""
        with self.lock:
            order = self.orders[number]
            line = self.line_of("HUB-020", 1)
            order.lines.append(line)
            self.commit(order, line, order.open_units(line))
            order.is_edited = True
            order.updated_at = self.now()
            self.broken.discard(number)
            return order

    def delete_order(self, number: int) -> None:
        """Remove an order for good; what it held is free again."""
        with self.lock:
            order = self.orders.pop(number)
            for line in order.lines:
                self.commit(order, line, -order.open_units(line))

    def break_order(self, number: int) -> None:
        """Serve this order malformed from now on."""
        with self.lock:
            self.broken.add(number)
            self.orders[number].updated_at = self.now()
