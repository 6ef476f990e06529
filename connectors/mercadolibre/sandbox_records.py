"""What the practice account keeps: goods, orders, shipments and claims as plain mutable records.

What belongs here: the records and what follows from one of them alone. Not here: how the API shows them
(`sandbox_shown`), what happens to them (`sandbox_account`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

CENT = Decimal("0.01")


@dataclass(slots=True)
class Shelf:
    """One quantity with its version; shared by all offers of a user product. None: no quantity is kept."""

    quantity: int | None
    version: int = 1
    user_product_id: str = ""
    full_quantity: int | None = None
    """Units in Mercado Libre's own warehouse, where the goods are there."""


@dataclass(slots=True)
class Offer:
    """An item without variations, or one variation of an item."""

    sku: str
    shelf: Shelf
    variation_id: int | None = None
    words: str = ""
    barcode: str = ""


@dataclass(slots=True)
class Item:
    """An advert."""

    item_id: str
    title: str
    price: Decimal
    offers: list[Offer]
    status: str = "active"
    buying_mode: str = "buy_it_now"
    logistic_type: str = "cross_docking"


@dataclass(slots=True)
class SoldLine:
    """Units of an offer in an order."""

    item: Item
    offer: Offer
    quantity: int
    unit_price: Decimal
    full_unit_price: Decimal


@dataclass(slots=True)
class ShipmentRecord:
    """A parcel; `history` holds (instant, status, substatus)."""

    shipment_id: int
    logistic_type: str
    cost: Decimal
    history: list[tuple[datetime, str, str]]
    order_ids: list[int] = field(default_factory=list)

    @property
    def status(self) -> str:
        """Return the present status."""
        return self.history[-1][1]

    @property
    def substatus(self) -> str:
        """Return the present substatus."""
        return self.history[-1][2]

    @property
    def updated_at(self) -> datetime:
        """Return when it last changed."""
        return self.history[-1][0]


@dataclass(slots=True)
class ClaimRecord:
    """A claim about an order; `return_status` where goods come back."""

    claim_id: int
    order_id: int
    kind: str
    role: str
    created_at: datetime
    updated_at: datetime
    status: str = "opened"
    return_status: str = ""
    return_units: int = 0


@dataclass(slots=True)
class OrderRecord:
    """An order; `coupon` is (whole, the seller's part of it)."""

    order_id: int
    status: str
    created_at: datetime
    updated_at: datetime
    buyer_id: int
    lines: list[SoldLine]
    pack_id: int | None = None
    taxes: Decimal = Decimal(0)
    coupon: tuple[Decimal, Decimal] = (Decimal(0), Decimal(0))
    refunded: Decimal = Decimal(0)
    refunded_at: datetime | None = None
    cancelled_at: datetime | None = None
    shipment: ShipmentRecord | None = None
    tags: list[str] = field(default_factory=list)
    is_broken: bool = False

    @property
    def goods(self) -> Decimal:
        """Return the price of the goods."""
        return sum((line.unit_price * line.quantity for line in self.lines), Decimal(0))

    @property
    def shipping(self) -> Decimal:
        """Return what the buyer paid for shipping on this order: the first of its parcel bears it."""
        if self.shipment is None or self.order_id != min(self.shipment.order_ids):
            return Decimal(0)
        return self.shipment.cost

    @property
    def total(self) -> Decimal:
        """Return what the order is worth to the seller's books."""
        return self.goods - self.coupon[1] + self.taxes + self.shipping

    @property
    def is_hidden(self) -> bool:
        """Return whether the search leaves it out."""
        return self.status in {"cancelled", "invalid"}
