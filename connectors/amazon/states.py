"""What Amazon's words mean to the hub: order statuses, of the API and of flat files.

What belongs here: the tables. Not here: amounts and lines (`parse_money`).

A status says order and fulfilment at once. PENDING means that the payment is not authorised yet: no prices are there,
the units are off Amazon's shelf all the same. UNSHIPPED means authorised; Amazon takes the money when goods leave.
Source: amzn/selling-partner-api-models orders_2026-01-01 and ordersV0 (meaning of each status), 2026-08-05; words of
the flat file: the report's own values.
"""

from __future__ import annotations

from dataclasses import dataclass

from oms_hub.domain.orders import FulfilmentState, OrderState, PaymentState


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one status says. `is_priced` is False where Amazon tells no prices yet."""

    state: OrderState
    payment: PaymentState
    fulfilment: FulfilmentState
    is_priced: bool = True


_PENDING = Meaning(OrderState.OPEN, PaymentState.UNPAID, FulfilmentState.UNFULFILLED, is_priced=False)
UNSHIPPED = Meaning(OrderState.OPEN, PaymentState.AUTHORISED, FulfilmentState.UNFULFILLED)
_PARTLY = Meaning(OrderState.OPEN, PaymentState.PARTIALLY_PAID, FulfilmentState.PARTIAL)
_SHIPPED = Meaning(OrderState.CLOSED, PaymentState.PAID, FulfilmentState.FULFILLED)
_CANCELLED = Meaning(OrderState.CANCELLED, PaymentState.VOIDED, FulfilmentState.UNFULFILLED)
_UNFULFILLABLE = Meaning(OrderState.ON_HOLD, PaymentState.AUTHORISED, FulfilmentState.UNFULFILLED)

STATUSES: dict[str, Meaning] = {
    "PENDING_AVAILABILITY": _PENDING,
    "PENDING": _PENDING,
    "UNSHIPPED": UNSHIPPED,
    "PARTIALLY_SHIPPED": _PARTLY,
    "SHIPPED": _SHIPPED,
    "CANCELLED": _CANCELLED,
    "UNFULFILLABLE": _UNFULFILLABLE,
}

_REPORT_WORDS = (
    ("pending", "PENDING"),
    ("unshipped", "UNSHIPPED"),
    ("partially", "PARTIALLY_SHIPPED"),
    ("shipped", "SHIPPED"),
    ("shipping", "SHIPPED"),
    ("complete", "SHIPPED"),
    ("cancel", "CANCELLED"),
    ("unfulfillable", "UNFULFILLABLE"),
)
"""How words of flat files begin (`Shipped - Delivered to Buyer`, `Cancelled`, ...)."""


def status_of_report(word: str) -> str:
    """Return the API's word for one of a flat file, the word itself where there is none."""
    lower = word.strip().lower()
    return next((status for start, status in _REPORT_WORDS if lower.startswith(start)), word)


IS_PENDING = frozenset({"PENDING", "PENDING_AVAILABILITY"})
PROGRAMS_PICKUP, PROGRAMS_PREORDER = "IN_STORE_PICK_UP", "PREORDER"
REPLACEMENT = "REPLACEMENT_ORIGINAL_ID"
