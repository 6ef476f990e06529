"""An order as the hub understands it, whatever channel it came from.

What belongs here: the data types that connectors produce and the store keeps, and the sums over them.
Not here: how two versions of an order meet (`order_merge`), what an order does to stock (`stock_ledger`).

Amounts are exact decimals in the order's own `currency` and, unless a field says otherwise, WITHOUT tax.
They keep the sign that makes sums work: discounts are positive numbers that are subtracted,
refund amounts are positive numbers that went back to the buyer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)


class OrderState(StrEnum):
    """What becomes of the agreement with the buyer."""

    OPEN = "open"
    ON_HOLD = "on_hold"
    CANCELLED = "cancelled"
    CLOSED = "closed"


class PaymentState(StrEnum):
    """What was paid of it."""

    UNPAID = "unpaid"
    AUTHORISED = "authorised"
    PARTIALLY_PAID = "partially_paid"
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    VOIDED = "voided"


class FulfilmentState(StrEnum):
    """What left the house."""

    UNFULFILLED = "unfulfilled"
    PARTIAL = "partial"
    FULFILLED = "fulfilled"
    RETURNED = "returned"


class OrderKind(StrEnum):
    """How the goods reach the buyer; decides whether own stock is held open.

    `CREDIT_NOTE` is a till document that only gives money back: it carries refunds and is never counted as an order.
    """

    STANDARD = "standard"
    POS = "pos"
    PICKUP = "pickup"
    PREORDER = "preorder"
    BACKORDER = "backorder"
    DROPSHIP = "dropship"
    MARKETPLACE_FULFILLED = "marketplace_fulfilled"
    CREDIT_NOTE = "credit_note"


class ChargeKind(StrEnum):
    """What the buyer paid (or was spared) besides goods."""

    SHIPPING = "shipping"
    FEE = "fee"
    DUTY = "duty"
    TIP = "tip"
    ROUNDING = "rounding"
    ADJUSTMENT = "adjustment"


class PaymentKind(StrEnum):
    """What a payment transaction did."""

    SALE = "sale"
    AUTHORISATION = "authorisation"
    CAPTURE = "capture"
    REFUND = "refund"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax on a line or charge. `rate` is a fraction (0.16), None where the channel does not say."""

    title: str
    amount: Decimal
    rate: Decimal | None = None
    is_channel_liable: bool = False
    """True where the channel, not the merchant, remits this tax."""


@dataclass(frozen=True, slots=True)
class OrderLine:
    """Units of one thing in an order, as placed.

    `unit_price` is verbatim (with tax where the order's `taxes_included`); the three amounts are for the whole
    line and without tax: paid for the line = gross_amount − discount_amount − order_discount_amount + tax_amount.
    """

    line_id: str
    title: str
    quantity: int
    unit_price: Decimal
    gross_amount: Decimal
    listing_key: str | None = None
    """The channel's own key of the listing that was sold, equal to `ListingRecord.listing_key`."""
    sku: str | None = None
    """The SKU as the channel wrote it on the line; kept even when the product is gone."""
    discount_amount: Decimal = ZERO
    """Discount that names this line."""
    order_discount_amount: Decimal = ZERO
    """This line's part of discounts on the whole order."""
    taxes: tuple[Tax, ...] = ()
    cancelled_quantity: int = 0
    """Units that were taken off the order before they left."""
    needs_stock: bool = True
    """False for gift cards, services, and lines that others ship from their own stock."""
    channel_location_id: str | None = None
    """The place the channel assigned the line to, in the channel's own id."""

    @property
    def tax_amount(self) -> Decimal:
        """Return the sum of the line's taxes."""
        return sum((tax.amount for tax in self.taxes), ZERO)

    @property
    def net_amount(self) -> Decimal:
        """Return what the line costs after all discounts, without tax."""
        return self.gross_amount - self.discount_amount - self.order_discount_amount


@dataclass(frozen=True, slots=True)
class Charge:
    """Money on an order that is not for goods: shipping, a fee, a tip. `amount` is after discounts, without tax."""

    charge_id: str
    kind: ChargeKind
    title: str
    amount: Decimal
    code: str | None = None
    taxes: tuple[Tax, ...] = ()

    @property
    def tax_amount(self) -> Decimal:
        """Return the sum of the charge's taxes."""
        return sum((tax.amount for tax in self.taxes), ZERO)


@dataclass(frozen=True, slots=True)
class Discount:
    """A discount by its name, for information: its amounts already stand on the lines."""

    title: str
    amount: Decimal
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment transaction as the channel tells it; `amount` is positive and in `currency`."""

    payment_id: str
    kind: PaymentKind
    amount: Decimal
    currency: str
    processed_at: datetime
    gateway: str = ""
    is_successful: bool = True


@dataclass(frozen=True, slots=True)
class RefundLine:
    """What was given back for one order line. Amounts are positive; `amount` is without tax."""

    line_id: str
    quantity: int
    amount: Decimal
    tax_amount: Decimal = ZERO
    is_restocked: bool = False
    """True only where the channel or a person says that the goods are back on the shelf."""
    channel_location_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that went back to the buyer, a fact of its own: it may have no return behind it.

    value = Σ lines (amount + tax_amount) + shipping_amount + shipping_tax_amount + other_amount.
    `paid_amount` is the money really paid back; it can differ (store credit, pending).
    """

    refund_id: str
    refunded_at: datetime
    paid_amount: Decimal
    lines: tuple[RefundLine, ...] = ()
    shipping_amount: Decimal = ZERO
    shipping_tax_amount: Decimal = ZERO
    other_amount: Decimal = ZERO
    """What belongs to no line and no shipping: an appeasement, a discrepancy; may be negative."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReturnLine:
    """Units of an order line that come back."""

    line_id: str
    quantity: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Return:
    """Goods on their way back (RMA); says nothing about money."""

    return_id: str
    status: str
    opened_at: datetime
    closed_at: datetime | None = None
    lines: tuple[ReturnLine, ...] = ()


@dataclass(frozen=True, slots=True)
class ShipmentLine:
    """Units of an order line inside a shipment."""

    line_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Shipment:
    """Goods that left. Cancelled shipments are left out by the connector."""

    shipment_id: str
    shipped_at: datetime
    lines: tuple[ShipmentLine, ...]
    status: str = ""
    delivered_at: datetime | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    channel_location_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChannelFee:
    """What the channel charged the seller for the order, or gave back; never part of what the buyer pays."""

    fee_id: str
    kind: str
    """What it is for, as the channel words it."""
    amount: Decimal
    """Positive where it was charged to the seller, negative where it was given back."""
    currency: str
    charged_at: datetime


@dataclass(frozen=True, slots=True)
class Customer:
    """The buyer, as little as reports need: the channel's own id and the country. No name, no address."""

    channel_customer_id: str
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One order at one version.

    `total` is the channel's own total charged for the order as placed (with tax, before refunds);
    `is_sale` says whether the channel's own sales report counts it (see docs/reference/order-states.md);
    `updated_at`, then `version`, order the versions of one order; instants are aware UTC.
    """

    channel_order_id: str
    label: str
    placed_at: datetime
    updated_at: datetime
    state: OrderState
    payment_state: PaymentState
    fulfilment_state: FulfilmentState
    currency: str
    total: Decimal
    kind: OrderKind = OrderKind.STANDARD
    version: int = 0
    """The channel's own version number where it has one."""
    channel_state: str = ""
    channel_payment_state: str = ""
    channel_fulfilment_state: str = ""
    unknown_words: tuple[str, ...] = ()
    """Channel words (statuses, kinds) that the connector did not know; kept, flagged, never fatal."""
    is_sale: bool = True
    is_test: bool = False
    is_draft: bool = False
    taxes_included: bool = False
    presentment_currency: str | None = None
    presentment_total: Decimal | None = None
    cancelled_at: datetime | None = None
    closed_at: datetime | None = None
    ship_by_at: datetime | None = None
    deliver_by_at: datetime | None = None
    lines: tuple[OrderLine, ...] = ()
    charges: tuple[Charge, ...] = ()
    discounts: tuple[Discount, ...] = ()
    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    returns: tuple[Return, ...] = ()
    shipments: tuple[Shipment, ...] = ()
    channel_fees: tuple[ChannelFee, ...] = ()
    """What the channel took from the seller; not in `total`."""
    customer: Customer | None = None
    remarks: tuple[str, ...] = ()
    """Plain sentences that a person should see (a row that changed in a file); open `source_changed` exceptions."""


def stated_total(order: Order) -> Decimal:
    """Return what the parts of an order add up to: lines after discounts, charges, and all taxes."""
    total = ZERO
    for line in order.lines:
        total += line.gross_amount - line.discount_amount - line.order_discount_amount
        for tax in line.taxes:
            total += tax.amount
    for charge in order.charges:
        total += charge.amount
        for tax in charge.taxes:
            total += tax.amount
    return total


ADJUSTMENT_CHARGE_ID = "hub:adjustment"


def close_gap(order: Order) -> tuple[Order, Decimal]:
    """Make the parts of an order add up to the channel's own total, openly.

    Returns:
        The order, with one explicit `adjustment` charge where its parts do not add up, and the gap
        (`total − parts`; zero where they tie). A gap is reported as `total_mismatch`, never rounded away.
    """
    gap = order.total - stated_total(order)
    if gap == 0:
        return order, ZERO
    adjustment = Charge(ADJUSTMENT_CHARGE_ID, ChargeKind.ADJUSTMENT, "Difference to the channel's total", gap)
    return replace(order, charges=(*order.charges, adjustment)), gap
