"""What the practice account holds: goods, orders, money, documents. Data only.

What belongs here: the records. Not here: what happens to them (`sandbox_account`), how they look (`sandbox_shown`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

CENT = Decimal("0.01")
TAX_RATE = Decimal("0.16")
MARKETPLACE_ID, MARKETPLACE_NAME, CURRENCY = "A1AM78C64UM0Y8", "Amazon.com.mx", "MXN"


@dataclass(slots=True)
class Good:
    """A SKU. `code` is by whom it is shipped, None for a parent of variations; `quantity` None was never set."""

    sku: str
    title: str
    price: Decimal
    code: str | None = "DEFAULT"
    quantity: int | None = 0
    product_type: str = "MUG"
    created_at: datetime | None = None
    lead_time_days: int = 2
    coming: tuple[datetime, int] | None = None
    """(when, quantity) of a level that was accepted and is not live yet."""


@dataclass(slots=True)
class Item:
    """An item of an order; amounts with tax and for all its units."""

    item_id: str
    sku: str
    title: str
    quantity: int
    unit_price: Decimal
    discount: Decimal = Decimal(0)
    shipping: Decimal = Decimal(0)
    gift_wrap: Decimal = Decimal(0)
    is_facilitated: bool = False
    fulfilled: int = 0
    cancelled: int = 0

    @property
    def goods(self) -> Decimal:
        """Return what the units cost, with tax."""
        return self.unit_price * self.quantity

    @property
    def total(self) -> Decimal:
        """Return what the buyer pays for it, with tax."""
        return self.goods + self.shipping + self.gift_wrap - self.discount


def tax_in(amount: Decimal) -> Decimal:
    """Return the tax inside an amount."""
    return (amount * TAX_RATE / (1 + TAX_RATE)).quantize(CENT)


@dataclass(slots=True)
class Package:
    """A package that the merchant sent."""

    reference: str
    shipped_at: datetime
    units: dict[str, int]
    status: str = "IN_TRANSIT"


@dataclass(slots=True)
class OrderRecord:
    """An order."""

    order_id: str
    placed_at: datetime
    updated_at: datetime
    status: str
    items: list[Item]
    fulfilled_by: str = "MERCHANT"
    programs: tuple[str, ...] = ()
    packages: list[Package] = field(default_factory=list)
    replaces: str | None = None
    is_broken: bool = False

    @property
    def is_priced(self) -> bool:
        """Return whether Amazon tells prices: not before the payment is authorised."""
        return not self.status.startswith("PENDING")

    @property
    def total(self) -> Decimal:
        """Return the total as Amazon states it now."""
        return sum((item.total for item in self.items), Decimal(0)) if self.is_priced else Decimal(0)


@dataclass(slots=True)
class Document:
    """A file behind an address that lapses."""

    document_id: str
    content_type: str
    body: bytes = b""
    is_gzip: bool = False


@dataclass(slots=True)
class Job:
    """A report or a feed: asked for, then done. `polls_left` is how often it is still said to be under way."""

    job_id: str
    kind: str
    payload: dict[str, Any]
    created_at: datetime
    polls_left: int
    status: str = "DONE"
    document_id: str | None = None
