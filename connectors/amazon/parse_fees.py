"""What Amazon charges the seller for an order, out of its transactions. Pure.

What belongs here: fees by kind. Not here: what went back to the buyer, and which transactions count (`parse_refunds`).

Amazon writes a fee with a minus and what it gives back with a plus. Fees stand on the items; a transaction without
items (a service fee) breaks itself down. Taxes that Amazon withholds are no fees.
Source: amzn/selling-partner-api-models finances_2024-06-19, 2026-08-05.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.amazon.fields import decimal, instant, mapping, rows, words
from connectors.amazon.parse_refunds import counted, is_fee, is_withheld
from oms_hub.domain.orders import ZERO, ChannelFee


def read_fees(transactions: Sequence[Mapping[str, Any]], *, currency: str) -> tuple[ChannelFee, ...]:
    """Return the fees, oldest first: one per transaction and kind.

    Args:
        transactions: of one order, in landing order; a later version of one replaces the earlier.
        currency: of the order, for a transaction that names none.
    """
    fees = [
        ChannelFee(
            fee_id=f"{identity}:{kind}",
            kind=kind,
            amount=amount,
            currency=_currency(transaction) or currency,
            charged_at=instant(transaction.get("postedDate"), "transactions.postedDate"),
        )
        for identity, transaction in counted(transactions).items()
        for kind, amount in _by_kind(transaction).items()
        if amount
    ]
    return tuple(sorted(fees, key=lambda fee: (fee.charged_at, fee.fee_id)))


def _currency(transaction: Mapping[str, Any]) -> str:
    return words(mapping(transaction.get("totalAmount"), "transactions.totalAmount").get("currencyCode"))


def _by_kind(transaction: Mapping[str, Any]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    items = rows(transaction.get("items"), "transactions.items") or (transaction,)
    for item in items:
        for kind, amount in _charged(rows(item.get("breakdowns"), "transactions.breakdowns"), inside=False):
            found[kind] = found.get(kind, ZERO) - amount
    return found


def _charged(breakdowns: Sequence[Mapping[str, Any]], *, inside: bool) -> Iterator[tuple[str, Decimal]]:
    """Yield (kind, amount) of the finest breakdowns that are fees, or stand inside one."""
    for row in breakdowns:
        name = words(row.get("breakdownType"))
        if is_withheld(name):
            continue
        is_ours = inside or is_fee(name)
        below = rows(row.get("breakdowns"), "transactions.breakdowns")
        if below:
            yield from _charged(below, inside=is_ours)
        elif is_ours:
            amount = mapping(row.get("breakdownAmount"), "transactions.breakdownAmount")
            yield name, decimal(amount.get("currencyAmount"), f"transactions.{name}")
