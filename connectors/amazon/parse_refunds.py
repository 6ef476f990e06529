"""Refunds of an order, out of its transactions. Pure.

What belongs here: which transactions count, and reading those of type Refund. Not here: fetching them (`finances`),
what Amazon takes (`parse_fees`).

A transaction names its items by SKU and breaks each down by names; what went back to the buyer has other names than
what Amazon charged or gave back to the seller. Fees of Amazon, and taxes that Amazon withholds itself (they stand once
with each sign), are not the buyer's. A refund may be told twice: deferred money is told when it is earned, with a
status that changes later, and once more when it is released; the second one names the first and is left out.

Sources: amzn/selling-partner-api-models finances_2024-06-19, 2026-08-05; names of breakdowns and their signs: payloads
published by users of the API, seen 2026-11-22; deferred releases: developer-docs.amazon.com changelog, 2025-04-30.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.amazon.fields import decimal, instant, mapping, rows, units, words
from connectors.amazon.pages import related
from oms_hub.domain.orders import ZERO, OrderLine, Refund, RefundLine

_FEE_GROUPS = frozenset({"AmazonFees", "FBAFees", "Expenses", "Refunded Expenses"})
_FEE_ENDINGS = ("Fee", "Fees", "Chargeback", "Commission")
_WITHHELD = ("MarketplaceFacilitator", "LowValueGoodsTax")
_GOODS = frozenset({"OurPricePrincipal", "OurPriceDiscount", "ProductCharges", "PromoRebates", "Promo"})
_GOODS_TAX = frozenset({"OurPriceTax", "Tax"})
_SHIPPING = frozenset({"ShippingPrincipal", "ShippingDiscount", "Shipping"})
_SHIPPING_TAX = frozenset({"ShippingTax", "ShippingTaxDiscount"})


def read_refunds(transactions: Sequence[Mapping[str, Any]], lines: Sequence[OrderLine]) -> tuple[Refund, ...]:
    """Return the refunds, oldest first.

    Args:
        transactions: of one order, in landing order; a later version of one replaces the earlier.
        lines: of the order, to find an item's line by its SKU.
    """
    refunds = [
        _refund(identity, transaction, lines)
        for identity, transaction in counted(transactions).items()
        if transaction.get("transactionType") == "Refund"
    ]
    return tuple(sorted(refunds, key=lambda refund: (refund.refunded_at, refund.refund_id)))


def counted(transactions: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the newest version of each transaction by its id, without releases of deferred ones."""
    return {
        _identity(transaction): transaction
        for transaction in transactions
        if related(transaction, "DEFERRED_TRANSACTION_ID") is None
    }


def is_fee(name: str) -> bool:
    """Return whether a breakdown is between Amazon and the seller."""
    return name in _FEE_GROUPS or name.endswith(_FEE_ENDINGS)


def is_withheld(name: str) -> bool:
    """Return whether a breakdown is a tax that Amazon withholds itself."""
    return name.startswith(_WITHHELD)


def _identity(transaction: Mapping[str, Any]) -> str:
    identity = words(transaction.get("transactionId")) or related(transaction, "REFUND_ID")
    kind = words(transaction.get("transactionType")).lower()
    return identity or f"{kind}:{transaction.get('postedDate')}"


def _refund(identity: str, transaction: Mapping[str, Any], lines: Sequence[OrderLine]) -> Refund:
    refund_lines: list[RefundLine] = []
    shipping = shipping_tax = other = ZERO
    for item in rows(transaction.get("items"), "transactions.items"):
        goods = tax = ZERO
        for name, amount in _buyers_part(item):
            if name in _GOODS:
                goods -= amount
            elif name in _GOODS_TAX:
                tax -= amount
            elif name in _SHIPPING:
                shipping -= amount
            elif name in _SHIPPING_TAX:
                shipping_tax -= amount
            else:
                other -= amount
        sku, quantity = _product(item)
        line_id = next((line.line_id for line in lines if line.sku == sku and sku), None)
        if line_id is None:
            other += goods + tax
        elif goods or tax:
            refund_lines.append(RefundLine(line_id, quantity if goods else 0, goods, tax))
    named = sum((line.amount + line.tax_amount for line in refund_lines), shipping + shipping_tax + other)
    return Refund(
        refund_id=identity,
        refunded_at=instant(transaction.get("postedDate"), "transactions.postedDate"),
        paid_amount=named,
        lines=tuple(refund_lines),
        shipping_amount=shipping,
        shipping_tax_amount=shipping_tax,
        other_amount=other,
        reason=words(transaction.get("description")),
    )


def _product(item: Mapping[str, Any]) -> tuple[str | None, int]:
    for context in rows(item.get("contexts"), "transactions.contexts"):
        if context.get("sku"):
            return words(context["sku"]), units(context.get("quantityShipped"), "transactions.quantityShipped")
    return None, 0


def _buyers_part(item: Mapping[str, Any]) -> Iterator[tuple[str, Decimal]]:
    """Yield (name, amount) of the finest breakdowns that are between the seller and the buyer."""
    yield from _leaves(rows(item.get("breakdowns"), "transactions.breakdowns"))


def _leaves(breakdowns: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Decimal]]:
    for row in breakdowns:
        name = words(row.get("breakdownType"))
        if is_fee(name) or is_withheld(name):
            continue
        below = rows(row.get("breakdowns"), "transactions.breakdowns")
        if below:
            yield from _leaves(below)
        else:
            amount = mapping(row.get("breakdownAmount"), "transactions.breakdownAmount")
            yield name, decimal(amount.get("currencyAmount"), f"transactions.{name}")
