"""What Mercado Libre's words mean to the hub: statuses of orders, shipments and payments.

What belongs here: the tables, and the states that follow from them. Not here: amounts and lines (`parse_lines`).

Source: developers.mercadolibre, orders, 2026-09-21 (order statuses), shipments, 2026-06 (statuses and substatuses;
"picked up", "authorised by carrier" and "in hub" are on their way although the status still says ready to ship).
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from oms_hub.domain.orders import ZERO, OrderState, PaymentState

CANCELLED = frozenset({"cancelled", "invalid"})
SALES = frozenset({"paid", "partially_refunded", "pending_cancel"})
"""What the seller's own sales report counts: paid orders."""
ORDER_STATUSES: dict[str, OrderState] = {
    "confirmed": OrderState.OPEN,
    "payment_required": OrderState.OPEN,
    "payment_in_process": OrderState.OPEN,
    "partially_paid": OrderState.OPEN,
    "paid": OrderState.OPEN,
    "partially_refunded": OrderState.OPEN,
    "pending_cancel": OrderState.ON_HOLD,
    "cancelled": OrderState.CANCELLED,
    "invalid": OrderState.CANCELLED,
}
DO_NOT_SHIP = "fraud_risk_detected"

NEVER_LEFT = frozenset({"to_be_agreed", "pending", "handling", "cancelled"})
"""Statuses of shipments that certainly have not left."""
_GONE = frozenset({"shipped", "delivered", "not_delivered"})
_HANDED_OVER = frozenset({"picked_up", "authorized_by_carrier", "in_hub", "dropped_off", "in_transit"})
_KNOWN_SHIPMENTS = NEVER_LEFT | _GONE | {"ready_to_ship", "active", "not_specified"}

_MONEY_CAME = frozenset({"approved", "in_mediation", "refunded", "charged_back", "partially_refunded"})
_MONEY_WENT_BACK = frozenset({"refunded", "charged_back"})
_NO_MONEY = frozenset({"rejected", "cancelled"})
_NOT_YET = frozenset({"pending", "in_process"})
AUTHORISED = "authorized"


def has_left(status: object, substatus: object) -> bool:
    """Return whether a shipment is on its way or further."""
    return status in _GONE or (status == "ready_to_ship" and substatus in _HANDED_OVER)


def is_known_shipment(status: object) -> bool:
    """Return whether a shipment's status is one of the documented ones."""
    return status in _KNOWN_SHIPMENTS


def money_came(status: object) -> bool:
    """Return whether a payment reached the seller once, whatever became of it."""
    return status in _MONEY_CAME


def money_went_back(status: object) -> bool:
    """Return whether a whole payment went back to the buyer."""
    return status in _MONEY_WENT_BACK


def is_attempt(status: object) -> bool:
    """Return whether a payment failed."""
    return status in _NO_MONEY


def is_known_payment(status: object) -> bool:
    """Return whether a payment's status is one of the documented ones."""
    return status in _MONEY_CAME | _NO_MONEY | _NOT_YET or status == AUTHORISED


def order_state(status: str, tags: Collection[str], *, is_delivered: bool) -> OrderState:
    """Return what becomes of the agreement: delivered orders are closed, suspected fraud is held."""
    state = ORDER_STATUSES.get(status, OrderState.OPEN)
    if state is not OrderState.OPEN:
        return state
    if is_delivered:
        return OrderState.CLOSED
    return OrderState.ON_HOLD if DO_NOT_SHIP in tags else OrderState.OPEN


def payment_state(status: str, *, paid: Decimal, refunded: Decimal, is_authorised: bool) -> PaymentState:
    """Return what was paid.

    Args:
        status: the order's.
        paid: what came in, whatever became of it.
        refunded: what went back.
        is_authorised: a payment was authorised and not captured.
    """
    if paid > ZERO and refunded >= paid:
        return PaymentState.REFUNDED
    if refunded > ZERO or status == "partially_refunded":
        return PaymentState.PARTIALLY_REFUNDED
    if status in CANCELLED:
        return PaymentState.VOIDED
    if status in SALES:
        return PaymentState.PAID
    if status == "partially_paid":
        return PaymentState.PARTIALLY_PAID
    return PaymentState.AUTHORISED if is_authorised else PaymentState.UNPAID
