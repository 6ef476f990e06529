"""The practice shop's things: goods and orders, with the sums over one of them.

What belongs here: what an order or a variant is. Not here: all of them together (`sandbox_state`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

TAX_RATE = Decimal("0.16")
MAIN_LOCATION, STORE_LOCATION = 9001, 9002


def gid(kind: str, number: int) -> str:
    """Return a global id."""
    return f"gid://shopify/{kind}/{number}"


@dataclass(slots=True)
class Level:
    """Units of a variant at a location; what buyers see is on hand less committed."""

    on_hand: int
    committed: int = 0
    is_active: bool = True

    @property
    def available(self) -> int:
        """Return what can be sold."""
        return self.on_hand - self.committed


@dataclass(slots=True)
class Variant:
    """A thing on offer."""

    number: int
    sku: str | None
    title: str
    price: Decimal
    is_tracked: bool = True
    is_bundle: bool = False
    is_gift_card: bool = False
    levels: dict[int, Level] = field(default_factory=dict)


@dataclass(slots=True)
class Line:
    """A line of an order. Prices as the order has them: with tax where the order includes it."""

    number: int
    variant: Variant | None
    sku: str | None
    title: str
    quantity: int
    price: Decimal
    own_discount: Decimal = Decimal(0)
    shared_discount: Decimal = Decimal(0)
    removed: int = 0
    requires_shipping: bool = True

    def paid(self) -> Decimal:
        """Return what the line costs after discounts."""
        return self.price * self.quantity - self.own_discount - self.shared_discount


@dataclass(slots=True)
class RefundRow:
    """Units of a line that money was given back for."""

    number: int
    line: Line
    quantity: int
    restock: str


@dataclass(slots=True)
class Refund:
    """Money given back."""

    number: int
    created_at: datetime
    rows: list[RefundRow]
    shipping: Decimal = Decimal(0)
    extra: Decimal = Decimal(0)
    """Beyond what was calculated, in the buyer's favour."""


@dataclass(slots=True)
class Shipment:
    """Units that left."""

    number: int
    created_at: datetime
    rows: list[tuple[int, Line, int]]
    status: str = "SUCCESS"
    delivered_at: datetime | None = None


@dataclass(slots=True)
class ReturnCase:
    """Goods on their way back."""

    number: int
    created_at: datetime
    shipment: Shipment
    rows: list[tuple[int, int, int]]
    """(own number, position in the shipment, units)"""
    status: str = "OPEN"


@dataclass(slots=True)
class ShopOrder:
    """One order."""

    number: int
    created_at: datetime
    updated_at: datetime
    lines: list[Line]
    shipping: Decimal = Decimal(0)
    taxes_included: bool = True
    location: int = MAIN_LOCATION
    source: str = "web"
    discount_code: str | None = None
    discount_title: str | None = None
    is_test: bool = False
    is_edited: bool = False
    is_paid: bool = True
    is_authorised: bool = False
    is_pickup: bool = False
    presentment_rate: Decimal | None = None
    tip: Decimal = Decimal(0)
    cancelled_at: datetime | None = None
    closed_at: datetime | None = None
    customer: int | None = None
    refunds: list[Refund] = field(default_factory=list)
    shipments: list[Shipment] = field(default_factory=list)
    returns: list[ReturnCase] = field(default_factory=list)

    def shipped(self, line: Line) -> int:
        """Return units of a line that left."""
        return sum(units for shipment in self.shipments for _, row, units in shipment.rows if row is line)

    def refunded(self, line: Line) -> int:
        """Return units of a line that were refunded."""
        return sum(row.quantity for refund in self.refunds for row in refund.rows if row.line is line)

    def open_units(self, line: Line) -> int:
        """Return units of a line that are still to be sent."""
        if self.cancelled_at is not None:
            return 0
        returned = sum(
            row.quantity
            for refund in self.refunds
            for row in refund.rows
            if row.line is line and row.restock != "CANCEL" and self.shipped(line) > 0
        )
        return max(0, line.quantity - line.removed - self.shipped(line) - (self.refunded(line) - returned))

    def tax_of(self, amount: Decimal) -> Decimal:
        """Return the tax in, or on, an amount."""
        rate = TAX_RATE / (1 + TAX_RATE) if self.taxes_included else TAX_RATE
        return (amount * rate).quantize(Decimal("0.01"))

    def line_tax(self, line: Line) -> Decimal:
        """Return the tax of a line; gift cards have none."""
        is_free = line.variant is not None and line.variant.is_gift_card
        return Decimal(0) if is_free else self.tax_of(line.paid())

    def tax(self) -> Decimal:
        """Return the order's tax."""
        return sum((self.line_tax(line) for line in self.lines), self.tax_of(self.shipping))

    def total(self) -> Decimal:
        """Return the order's total before returns."""
        goods = sum((line.paid() for line in self.lines), self.shipping + self.tip)
        return goods if self.taxes_included else goods + self.tax()

    def refund_row_money(self, row: RefundRow) -> tuple[Decimal, Decimal]:
        """Return a refund row's subtotal (with tax where included) and tax."""
        share = Decimal(row.quantity) / Decimal(row.line.quantity)
        cent = Decimal("0.01")
        return (row.line.paid() * share).quantize(cent), (self.line_tax(row.line) * share).quantize(cent)

    def refund_paid(self, refund: Refund) -> Decimal:
        """Return the money that a refund paid back."""
        money = refund.shipping + refund.extra
        if not self.taxes_included:
            money += self.tax_of(refund.shipping)
        for row in refund.rows:
            subtotal, tax = self.refund_row_money(row)
            money += subtotal if self.taxes_included else subtotal + tax
        return money
