"""What the practice shop keeps: products, orders and refunds as plain mutable records.

What belongs here: the records. Not here: how the API shows them (`sandbox_shown`), what happens to them
(`sandbox_shop`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


@dataclass(slots=True)
class Product:
    """A product, or a variation of one (`parent_id` above 0)."""

    product_id: int
    name: str
    sku: str
    price: Decimal
    stock: float | int | None = None
    manage_stock: bool | str = True
    kind: str = "simple"
    status: str = "publish"
    parent_id: int = 0
    variation_ids: list[int] = field(default_factory=list)
    modified_at: datetime | None = None
    barcode: str = ""


@dataclass(slots=True)
class Line:
    """A line of an order; amounts for the whole line, without tax."""

    line_id: int
    product_id: int
    variation_id: int
    name: str
    sku: str | None
    quantity: int
    subtotal: Decimal
    total: Decimal
    tax: Decimal
    reduced: int = 0
    restocked: int = 0


@dataclass(slots=True)
class RefundRecord:
    """A refund; `lines` are (order line, units, amount, tax)."""

    refund_id: int
    created_at: datetime
    modified_at: datetime
    amount: Decimal
    reason: str
    lines: list[tuple[Line, int, Decimal, Decimal]] = field(default_factory=list)


@dataclass(slots=True)
class OrderRecord:
    """An order. `fees` and `coupons` are (name, amount); fees may be negative."""

    order_id: int
    status: str
    created_at: datetime
    modified_at: datetime
    customer_id: int
    lines: list[Line]
    currency: str = "MXN"
    paid_at: datetime | None = None
    completed_at: datetime | None = None
    shipping: Decimal | None = None
    shipping_tax: Decimal = Decimal(0)
    fees: list[tuple[int, str, Decimal]] = field(default_factory=list)
    coupons: list[tuple[int, str, Decimal]] = field(default_factory=list)
    refunds: list[RefundRecord] = field(default_factory=list)
    is_reduced: bool = False
    is_broken: bool = False
    has_prices_with_tax: bool = False
    revision: int = 0

    @property
    def total(self) -> Decimal:
        """Return the total: unrounded parts, rounded once."""
        parts = sum((line.total + line.tax for line in self.lines), Decimal(0))
        parts += (self.shipping or Decimal(0)) + self.shipping_tax + sum((fee[2] for fee in self.fees), Decimal(0))
        return parts.quantize(CENT, rounding=ROUND_HALF_UP)
