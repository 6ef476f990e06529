"""The practice account: what buyers, the carrier and the seller do, and what follows from it.

What belongs here: rules of stock, status, parcels, claims, notifications, thread-safe, on a clock of its own. Not here:
how the first goods and orders are made up (`sandbox_seed`), HTTP (`sandbox_server`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.mercadolibre.sandbox_records import (
    ClaimRecord,
    Item,
    Offer,
    OrderRecord,
    ShipmentRecord,
    SoldLine,
)
from oms_hub.clock import Clock

_MILLISECOND = timedelta(milliseconds=1)
_PAID = frozenset({"paid", "partially_refunded", "pending_cancel"})


@dataclass(frozen=True, slots=True)
class AccountTraits:
    """How the practice account differs from a plain one.

    Attributes:
        has_depots: the seller keeps stock by depot (`warehouse_management`); levels are written with a version.
        offset_ceiling: the order search refuses what lies beyond.
        token_seconds: how long an access token lives.
        requests_per_minute: more answer 429; None for no limit, as Mercado Libre publishes none.
        ignores_filters: the order search ignores its date filters, as it does with names that it does not know.
    """

    has_depots: bool = False
    offset_ceiling: int = 10_000
    token_seconds: int = 21_600
    requests_per_minute: int | None = None
    ignores_filters: bool = False


@dataclass(frozen=True, slots=True)
class NotificationRecord:
    """A pointer that was sent and that nobody took."""

    number: int
    topic: str
    resource: str
    sent_at: datetime


class Account:
    """State of one seller's account. Every public method is safe to call from any thread."""

    def __init__(self, *, clock: Clock, site: str, seller_id: int, traits: AccountTraits) -> None:
        self.lock = threading.RLock()
        self.site = site
        self.seller_id = seller_id
        self.traits = traits
        self.items: dict[str, Item] = {}
        self.orders: dict[int, OrderRecord] = {}
        self.shipments: dict[int, ShipmentRecord] = {}
        self.claims: dict[int, ClaimRecord] = {}
        self.notifications: list[NotificationRecord] = []
        self._clock = clock
        self._ahead = timedelta(0)
        self._next = 1

    def now(self) -> datetime:
        """Return the account's present, whole milliseconds."""
        moment = self._clock() + self._ahead
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def advance_clock(self, seconds: float) -> None:
        """Move the account's clock forward."""
        with self.lock:
            self._ahead += timedelta(seconds=seconds)

    def take_number(self) -> int:
        """Return the next number; ids of all kinds are made of them."""
        with self.lock:
            self._next += 1
            return self._next

    # ------------------------------------------------------------------------------------------------- goods

    def offers(self) -> Iterator[tuple[Item, Offer]]:
        """Yield every offer with its item."""
        for item in list(self.items.values()):
            for offer in item.offers:
                yield item, offer

    def sellable(self, sku: str) -> tuple[Item, Offer]:
        """Return the first offer of a SKU; raises KeyError where there is none."""
        for item, offer in self.offers():
            if offer.sku == sku and item.status != "closed":
                return item, offer
        raise KeyError(sku)

    def level(self, sku: str) -> int | None:
        """Return what buyers see, None where no quantity is kept."""
        with self.lock:
            return shown_quantity(*self.sellable(sku))

    def set_level(self, sku: str, quantity: int) -> None:
        """Set a level as the seller does on Mercado Libre's own pages."""
        with self.lock:
            item, offer = self.sellable(sku)
            self.write_level(item, offer, quantity)

    def write_level(self, item: Item, offer: Offer, quantity: int) -> None:
        """Set the quantity of an offer, and so of all that share its shelf; nothing left pauses the item."""
        shelf = offer.shelf
        shelf.quantity = quantity
        shelf.version += 1
        for other, each in self.offers():
            if each.shelf is shelf and other.buying_mode == "buy_it_now":
                has_some = any(shown_quantity(other, one) for one in other.offers)
                if other.status == "active" and not has_some:
                    other.status = "paused"
                elif other.status == "paused" and has_some:
                    other.status = "active"

    # ------------------------------------------------------------------------------------------------ orders

    def place_order(self, lines: Mapping[str, int]) -> list[OrderRecord]:
        """Sell `sku -> quantity` as a buyer does with one cart: an order per SKU, one parcel, paid at once."""
        with self.lock:
            now = self.now()
            pack_id = 2_000_000_900_000_000 + self.take_number()
            orders = [self.new_order(sku, quantity, now, pack_id) for sku, quantity in lines.items()]
            for order in orders:
                line = order.lines[0]
                self._take_off(line)
            self.new_shipment(orders, now, cost=Decimal(0))
            for order in orders:
                self.touch(order)
            return orders

    def new_order(self, sku: str, quantity: int, at: datetime, pack_id: int | None) -> OrderRecord:
        """Keep a new paid order; its units stay on the shelf."""
        item, offer = self.sellable(sku)
        line = SoldLine(item, offer, quantity, item.price, item.price)
        order = OrderRecord(2_000_000_000_000_000 + self.take_number(), "paid", at, at, 7, [line], pack_id)
        order.tags = ["paid", "not_delivered", *(["pack_order"] if pack_id else [])]
        self.orders[order.order_id] = order
        return order

    def new_shipment(self, orders: list[OrderRecord], at: datetime, *, cost: Decimal) -> ShipmentRecord:
        """Keep a parcel for some orders, ready to be sent."""
        history = [(at, "handling", ""), (at + _MILLISECOND, "ready_to_ship", "ready_to_print")]
        kind = orders[0].lines[0].item.logistic_type
        ids = [order.order_id for order in orders]
        shipment = ShipmentRecord(40_000_000_000 + self.take_number(), kind, cost, history, ids)
        for order in orders:
            order.shipment = shipment
        self.shipments[shipment.shipment_id] = shipment
        return shipment

    def _take_off(self, line: SoldLine) -> None:
        shelf = line.offer.shelf
        if line.item.logistic_type == "fulfillment" and shelf.full_quantity is not None:
            shelf.full_quantity -= line.quantity
        elif shelf.quantity is not None:
            self.write_level(line.item, line.offer, shelf.quantity - line.quantity)

    def touch(self, order: OrderRecord) -> None:
        """Stamp an order as changed now, later than ever before, and send a notification."""
        order.updated_at = max(self.now(), order.updated_at + _MILLISECOND)
        self.notify("orders_v2", f"/orders/{order.order_id}")

    def notify(self, topic: str, resource: str) -> None:
        """Send a notification that nobody takes."""
        self.notifications.append(NotificationRecord(self.take_number(), topic, resource, self.now()))

    def move_shipment(self, order_id: int, status: str, substatus: str = "") -> None:
        """Let a parcel move; its orders are not stamped as changed."""
        with self.lock:
            shipment = self.orders[order_id].shipment
            if shipment is None:
                raise KeyError(order_id)
            shipment.history.append((max(self.now(), shipment.updated_at + _MILLISECOND), status, substatus))
            self.notify("shipments", f"/shipments/{shipment.shipment_id}")

    def cancel(self, order_id: int) -> None:
        """Cancel an order: its money goes back, units that never left go back on offer, the search hides it."""
        with self.lock:
            order = self.orders[order_id]
            was_paid, left = order.status in _PAID, order.shipment is not None and _has_left(order.shipment)
            order.status = "cancelled"
            order.cancelled_at = self.now()
            if was_paid:
                order.refunded, order.refunded_at = order.total, self.now()
                for line in order.lines:
                    if not left and line.offer.shelf.quantity is not None:
                        self.write_level(line.item, line.offer, line.offer.shelf.quantity + line.quantity)
            self.touch(order)

    def refund(self, order_id: int, amount: Decimal) -> None:
        """Give a part of the money back."""
        with self.lock:
            order = self.orders[order_id]
            order.status, order.refunded, order.refunded_at = "partially_refunded", order.refunded + amount, self.now()
            self.touch(order)

    def open_claim(self, order_id: int, *, units: int = 0, kind: str = "mediations") -> ClaimRecord:
        """Let the buyer complain; with units they are to come back."""
        with self.lock:
            now = self.now()
            claim = ClaimRecord(5_000_000_000 + self.take_number(), order_id, kind, "respondent", now, now)
            if units:
                claim.return_status, claim.return_units = "label_generated", units
            self.claims[claim.claim_id] = claim
            self.notify("post_purchase", f"/post-purchase/v1/claims/{claim.claim_id}")
            return claim

    def move_return(self, claim_id: int, status: str) -> None:
        """Let a return move."""
        with self.lock:
            claim = self.claims[claim_id]
            claim.return_status = status
            claim.updated_at = max(self.now(), claim.updated_at + _MILLISECOND)
            self.notify("post_purchase", f"/post-purchase/v1/claims/{claim.claim_id}")

    def edit(self, order_id: int) -> Decimal:
        """Add a tax of 1.00, as a correction does, and return the new total; mends a broken order."""
        with self.lock:
            order = self.orders[order_id]
            order.is_broken = False
            order.taxes += 1
            self.touch(order)
            return order.total

    def break_order(self, order_id: int) -> None:
        """Show an order as a malformed record until it is edited."""
        with self.lock:
            self.orders[order_id].is_broken = True
            self.touch(self.orders[order_id])

    def delete(self, order_id: int) -> None:
        """Remove an order for good."""
        with self.lock:
            order = self.orders.pop(order_id)
            if order.shipment is not None:
                order.shipment.order_ids.remove(order_id)


def shown_quantity(item: Item, offer: Offer) -> int | None:
    """Return what buyers see of an offer."""
    if item.buying_mode == "classified":
        return None
    shelf = offer.shelf
    return shelf.full_quantity if item.logistic_type == "fulfillment" else shelf.quantity


def _has_left(shipment: ShipmentRecord) -> bool:
    return shipment.status in {"shipped", "delivered", "not_delivered"}
