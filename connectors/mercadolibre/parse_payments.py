"""Payments and refunds of an order. Pure.

What belongs here: what the order's own `payments` tell. Not here: fees and release dates, which Mercado Pago tells to
its own credentials.

A payment counts what the buyer paid for goods, taxes and shipping; a coupon that Mercado Libre pays is part of it.
What went back is told per payment (`transaction_amount_refunded`), as one growing sum; so there is one refund per
payment. Where it is all that the order cost, it is spread over the lines; a part of it belongs to no line, because
Mercado Libre does not say to which. Nothing here says that goods are back on a shelf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.mercadolibre.fields import amount, moment_or_none, plain_text
from connectors.mercadolibre.states import AUTHORISED, is_attempt, money_came, money_went_back
from oms_hub.domain.orders import ZERO, Charge, OrderLine, Payment, PaymentKind, Refund, RefundLine


def payments(order: Mapping[str, Any], placed_at: datetime) -> tuple[Payment, ...]:
    """Return the payments that came in, failed or are authorised, and what went back; pending ones are left out."""
    found: list[Payment] = []
    for row in order.get("payments") or ():
        status, currency = row.get("status"), row.get("currency_id") or order["currency_id"]
        gateway = plain_text(row.get("payment_method_id") or row.get("payment_type"))
        at = _at(row, ("date_approved", "date_created", "date_last_modified"), placed_at)
        if money_came(status) or is_attempt(status) or status == AUTHORISED:
            kind = PaymentKind.AUTHORISATION if status == AUTHORISED else PaymentKind.SALE
            found.append(
                Payment(str(row["id"]), kind, _value(row), currency, at, gateway, is_successful=not is_attempt(status))
            )
        if back := _refunded(row):
            back_at = _at(row, ("date_last_modified",), at)
            found.append(Payment(f"{row['id']}:refund", PaymentKind.REFUND, back, currency, back_at, gateway))
    return tuple(found)


def refunds(
    order: Mapping[str, Any],
    lines: Sequence[OrderLine],
    charges: Sequence[Charge],
    total: Decimal,
    placed_at: datetime,
) -> tuple[Refund, ...]:
    """Return what went back to the buyer, one refund per payment."""
    rows = [(row, _refunded(row)) for row in order.get("payments") or ()]
    rows = [(row, back) for row, back in rows if back]
    is_whole = len(rows) == 1 and rows[0][1] >= total > ZERO
    found = []
    for row, back in rows:
        at = _at(row, ("date_last_modified", "date_approved"), placed_at)
        reason = plain_text(row.get("status_detail"))
        if not is_whole:
            found.append(Refund(f"{row['id']}", at, back, other_amount=back, reason=reason))
            continue
        returned = tuple(RefundLine(line.line_id, line.quantity, line.net_amount, line.tax_amount) for line in lines)
        shipping = sum((charge.amount for charge in charges), ZERO)
        found.append(Refund(f"{row['id']}", at, back, returned, shipping, other_amount=back - total, reason=reason))
    return tuple(found)


def _value(row: Mapping[str, Any]) -> Decimal:
    parts = ("transaction_amount", "shipping_cost", "taxes_amount")
    return sum((amount(row.get(name), f"payments.{name}") for name in parts), ZERO)


def _refunded(row: Mapping[str, Any]) -> Decimal:
    told = amount(row.get("transaction_amount_refunded"), "payments.transaction_amount_refunded")
    if told == ZERO and money_went_back(row.get("status")):
        return _value(row)
    return told


def _at(row: Mapping[str, Any], names: Sequence[str], otherwise: datetime) -> datetime:
    return next((found for name in names if (found := moment_or_none(row.get(name))) is not None), otherwise)
