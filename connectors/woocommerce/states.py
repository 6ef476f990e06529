"""What WooCommerce's order statuses mean to the hub.

What belongs here: the table of statuses and the states that follow from status, payment date and refunds.
Not here: amounts and lines (`parse`), refunds (`parse_refunds`).

A status is one word that says order, payment and fulfilment at once, and plugins register more of them.
Source: WooCommerce order status flow, REST documentation and a real shop (11.0.1), 2026-11.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from oms_hub.domain.orders import ZERO, FulfilmentState, OrderState, PaymentState


@dataclass(frozen=True, slots=True)
class StatusMeaning:
    """What one status word says.

    Attributes:
        is_sale: whether WooCommerce's own sales report counts it.
        is_released: the shop let the order go on to be sent: unpaid then means "paid on delivery", not "waiting".
        is_shipped: the goods left, if the order has a completion date.
    """

    state: OrderState
    is_sale: bool = True
    is_draft: bool = False
    is_released: bool = False
    is_shipped: bool = False


_CANCELLED = StatusMeaning(OrderState.CANCELLED, is_sale=False)
_DRAFT = StatusMeaning(OrderState.OPEN, is_sale=False, is_draft=True)

STATUSES: dict[str, StatusMeaning] = {
    "pending": StatusMeaning(OrderState.OPEN, is_sale=False),
    "on-hold": StatusMeaning(OrderState.ON_HOLD),
    "processing": StatusMeaning(OrderState.OPEN, is_released=True),
    "completed": StatusMeaning(OrderState.CLOSED, is_released=True, is_shipped=True),
    "refunded": StatusMeaning(OrderState.CLOSED, is_released=True, is_shipped=True),
    "cancelled": _CANCELLED,
    "failed": _CANCELLED,
    "trash": _CANCELLED,
    "auto-draft": _DRAFT,
    "checkout-draft": _DRAFT,
}
"""Statuses of WooCommerce itself. A failed payment frees the stock at the shop, so it is cancelled here; an order that
the buyer pays after all comes back as processing."""

UNKNOWN = StatusMeaning(OrderState.OPEN)
"""A plugin's status: kept, flagged, counted as a sale as the shop's own report does, and still to be sent."""


def payment_state(
    status: str, meaning: StatusMeaning, is_paid: bool, total: Decimal, refunded: Decimal
) -> PaymentState:
    """Return what was paid.

    Args:
        status: the channel's word.
        meaning: what that word says.
        is_paid: the order has a payment date.
        total: the order's total.
        refunded: what went back so far, positive.
    """
    if status == "refunded" or (refunded > 0 and refunded >= total):
        return PaymentState.REFUNDED
    if refunded > 0:
        return PaymentState.PARTIALLY_REFUNDED
    if is_paid:
        return PaymentState.PAID
    if meaning.state is OrderState.CANCELLED:
        return PaymentState.VOIDED
    if total == ZERO and meaning.is_released:
        return PaymentState.PAID
    return PaymentState.AUTHORISED if meaning.is_released else PaymentState.UNPAID


def fulfilment_state(has_left: bool, quantity: int, returned: int) -> FulfilmentState:
    """Return what left the house, from the units shipped and the units that came back."""
    if not has_left:
        return FulfilmentState.UNFULFILLED
    if 0 < quantity <= returned:
        return FulfilmentState.RETURNED
    return FulfilmentState.FULFILLED
