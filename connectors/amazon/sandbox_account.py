"""The practice account: what buyers, the merchant and Amazon do, and what follows from it.

What belongs here: rules of orders, levels and money, thread-safe, on a clock of its own. Not here: made-up data
(`sandbox_seed`), JSON (`sandbox_shown`), HTTP (`sandbox_server`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.amazon.sandbox_records import Document, Good, Item, Job, OrderRecord, Package
from connectors.amazon.sandbox_shown import refund_transaction, shipment_transaction
from oms_hub.clock import Clock

NEWS_DELAY = timedelta(minutes=2)
"""What is newer than this, searchOrders does not show yet."""


class Account:
    """State of one seller account. Every public method is safe to call from any thread."""

    def __init__(self, *, clock: Clock, seller_id: str) -> None:
        self.lock = threading.RLock()
        self.seller_id = seller_id
        self.goods: dict[str, Good] = {}
        self.orders: dict[str, OrderRecord] = {}
        self.transactions: list[dict[str, Any]] = []
        self.documents: dict[str, Document] = {}
        self.jobs: dict[str, Job] = {}
        self.processing = timedelta(0)
        """How long a level that was accepted takes to be live."""
        self.job_polls = 1
        """How often a report or feed is said to be under way."""
        self.refused_skus: dict[str, str] = {}
        """SKU -> why a feed's message for it is refused."""
        self.job_end = "DONE"
        """How reports and feeds end from now on: DONE, FATAL, CANCELLED."""
        self._clock = clock
        self._ahead = timedelta(0)
        self._next_number = 0

    def now(self) -> datetime:
        """Return the account's present, whole seconds."""
        return self.exact_now().replace(microsecond=0)

    def exact_now(self) -> datetime:
        """Return the account's present to the microsecond, for its limits."""
        return self._clock() + self._ahead

    def advance_clock(self, seconds: float) -> None:
        """Move the account's clock forward."""
        with self.lock:
            self._ahead += timedelta(seconds=seconds)

    def next_number(self) -> int:
        """Return a number that was not given out before."""
        with self.lock:
            self._next_number += 1
            return self._next_number

    # ------------------------------------------------------------------------------------------------ levels

    def level(self, sku: str) -> int | None:
        """Return what buyers see, None where no level is kept."""
        with self.lock:
            good = self.goods[sku]
            self._settle(good)
            return None if good.code is None else good.quantity or 0

    def set_level(self, sku: str, quantity: int) -> None:
        """Set a level as a person in Seller Central does."""
        with self.lock:
            self.goods[sku].quantity = quantity
            self.goods[sku].coming = None

    def accept_level(self, sku: str, quantity: int) -> None:
        """Take a level for processing; it is live after a while."""
        with self.lock:
            good = self.goods[sku]
            good.coming = (self.now() + self.processing, quantity)
            self._settle(good)

    def _settle(self, good: Good) -> None:
        if good.coming is not None and good.coming[0] <= self.now():
            good.quantity, good.coming = good.coming[1], None

    # ------------------------------------------------------------------------------------------------ orders

    def new_item(self, sku: str, quantity: int) -> Item:
        """Return an item of an order, not sold yet."""
        good = self.goods[sku]
        number = self.next_number()
        return Item(f"{40000000000000 + number}", sku, good.title, quantity, good.price)

    def new_order_id(self) -> str:
        """Return an order id as Amazon writes them."""
        number = self.next_number()
        return f"702-{1000000 + number:07d}-{(number * 7919) % 10000000:07d}"

    def place_order(self, lines: Mapping[str, int], *, status: str = "UNSHIPPED") -> OrderRecord:
        """Sell `sku -> quantity` at once; the level falls."""
        with self.lock:
            now = self.now()
            items = [self.new_item(sku, quantity) for sku, quantity in lines.items()]
            is_amazons = all((self.goods[sku].code or "").startswith("AMAZON_") for sku in lines)
            order = OrderRecord(
                self.new_order_id(), now, now, status, items, fulfilled_by="AMAZON" if is_amazons else "MERCHANT"
            )
            self.orders[order.order_id] = order
            for item in items:
                self._take(item)
            return order

    def _take(self, item: Item) -> None:
        good = self.goods[item.sku]
        self._settle(good)
        good.quantity = max(0, (good.quantity or 0) - item.quantity)

    def edit(self, order_id: str) -> Decimal:
        """Change what an order costs (a pending one gets its prices), stamp it, return its new total; mends it."""
        with self.lock:
            order = self.orders[order_id]
            order.is_broken = False
            if not order.is_priced:
                order.status = "UNSHIPPED"
            else:
                order.items[0].shipping += Decimal("10.00")
            self.touch(order)
            return order.total

    def touch(self, order: OrderRecord) -> None:
        """Stamp an order as changed now."""
        order.updated_at = max(self.now(), order.updated_at)

    def ship(self, order_id: str, units: Mapping[str, int] | None = None) -> None:
        """Send an order's open units, or so many of some items, in one package; Amazon posts the money."""
        with self.lock:
            order, now = self.orders[order_id], self.now()
            sent = units or {item.item_id: item.quantity - item.cancelled - item.fulfilled for item in order.items}
            for item in order.items:
                item.fulfilled += sent.get(item.item_id, 0)
            is_whole = all(item.fulfilled + item.cancelled >= item.quantity for item in order.items)
            order.status = "SHIPPED" if is_whole else "PARTIALLY_SHIPPED"
            if order.fulfilled_by == "MERCHANT":
                order.packages.append(Package(f"PKG-{self.next_number()}", now, dict(sent)))
            self.touch(order)
            self.transactions.append(shipment_transaction(order, posted_at=now, number=self.next_number()))

    def cancel(self, order_id: str) -> None:
        """Cancel an order that was not sent; its units are for sale again."""
        with self.lock:
            order = self.orders[order_id]
            order.status = "CANCELLED"
            for item in order.items:
                item.cancelled = item.quantity
                self.goods[item.sku].quantity = (self.goods[item.sku].quantity or 0) + item.quantity
            self.touch(order)

    def refund(self, order_id: str, *, quantity: int = 1, status: str = "RELEASED") -> dict[str, Any]:
        """Give money back for units of an order's first item; Amazon posts it now. Return the transaction."""
        with self.lock:
            order = self.orders[order_id]
            posted = refund_transaction(
                order, quantity=quantity, posted_at=self.now(), number=self.next_number(), status=status
            )
            self.transactions.append(posted)
            return posted

    def release(self, transaction: dict[str, Any]) -> None:
        """Release deferred money: the first transaction changes its status, a second one names it."""
        with self.lock:
            transaction["transactionStatus"] = "DEFERRED_RELEASED"
            again = {
                **transaction,
                "transactionId": f"RELEASE-{self.next_number()}",
                "transactionStatus": "RELEASED",
                "relatedIdentifiers": [
                    *transaction["relatedIdentifiers"],
                    {
                        "relatedIdentifierName": "DEFERRED_TRANSACTION_ID",
                        "relatedIdentifierValue": transaction["transactionId"],
                    },
                ],
            }
            self.transactions.append(again)

    def delete(self, order_id: str) -> None:
        """Remove an order and its money for good, without a trace."""
        with self.lock:
            del self.orders[order_id]
            self.transactions[:] = [
                posted
                for posted in self.transactions
                if all(row["relatedIdentifierValue"] != order_id for row in posted["relatedIdentifiers"])
            ]
