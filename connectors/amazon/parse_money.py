"""What an order's items cost: lines and charges out of Amazon's proceeds. Pure.

What belongs here: the arithmetic of `proceeds.breakdowns`. Not here: states and shipments (`parse`).

An item's proceeds name parts (ITEM, SHIPPING, GIFT_WRAP, COD_FEE, OTHER), and across them TAX and DISCOUNT, each with
details by part where Amazon gives them. Two things the contract leaves open are found out by the item's own total:
whether a discount is written with a minus, and whether the parts include the tax.
Source: amzn/selling-partner-api-models orders_2026-01-01, 2026-08-05.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connectors.amazon.fields import mapping, money, rows, units, words
from oms_hub.domain.orders import ZERO, Charge, ChargeKind, OrderLine, Tax

GOODS = "ITEM"
_CHARGES = {
    "SHIPPING": (ChargeKind.SHIPPING, "Shipping"),
    "GIFT_WRAP": (ChargeKind.FEE, "Gift wrap"),
    "COD_FEE": (ChargeKind.FEE, "Cash on delivery"),
    "OTHER": (ChargeKind.FEE, "Other"),
}
_SIX_DECIMALS = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Proceeds:
    """What one item brings, by part: amounts as written, taxes, discounts (positive); `total` None where untold."""

    parts: Mapping[str, Decimal] = field(default_factory=dict)
    taxes: Mapping[str, Decimal] = field(default_factory=dict)
    discounts: Mapping[str, Decimal] = field(default_factory=dict)
    total: Decimal | None = None
    unknown: tuple[str, ...] = ()

    @property
    def is_told(self) -> bool:
        """Return whether there is a price at all."""
        return bool(self.parts) or self.total is not None

    @property
    def includes_tax(self) -> bool:
        """Return whether the parts are with tax, as the item's own total tells."""
        if self.total is None or not any(self.taxes.values()):
            return False
        without = sum(self.parts.values(), ZERO) - sum(self.discounts.values(), ZERO)
        return without == self.total


def read_proceeds(item: Mapping[str, Any], where: str) -> Proceeds:
    """Return the proceeds of an item."""
    told = mapping(item.get("proceeds"), f"{where}.proceeds")
    parts: dict[str, Decimal] = {}
    taxes: dict[str, Decimal] = {}
    discounts: dict[str, Decimal] = {}
    unknown: list[str] = []
    for row in rows(told.get("breakdowns"), f"{where}.proceeds.breakdowns"):
        kind, place = words(row.get("type")), f"{where}.proceeds.{row.get('type')}"
        amount = money(row.get("subtotal"), place)
        if kind == "TAX":
            _spread(taxes, amount, row, place)
        elif kind == "DISCOUNT":
            _spread(discounts, amount, row, place)
        else:
            if kind != GOODS and kind not in _CHARGES:
                unknown.append(kind)
                kind = "OTHER"
            parts[kind] = parts.get(kind, ZERO) + amount
    written = sum(discounts.values(), ZERO)
    if written < 0:
        discounts = {part: -amount for part, amount in discounts.items()}
    total = told.get("proceedsTotal")
    return Proceeds(
        parts, taxes, discounts, None if total is None else money(total, f"{where}.proceedsTotal"), tuple(unknown)
    )


def _spread(target: dict[str, Decimal], amount: Decimal, row: Mapping[str, Any], where: str) -> None:
    """Put an amount to the parts that its details name; what they leave belongs to the goods."""
    left = amount
    for detail in rows(row.get("detailedBreakdowns"), where):
        part = words(detail.get("subtype"))
        value = money(detail.get("value"), where)
        if part in _CHARGES:
            target[part] = target.get(part, ZERO) + value
            left -= value
    target[GOODS] = target.get(GOODS, ZERO) + left


def order_line(item: Mapping[str, Any], proceeds: Proceeds, *, where: str, needs_stock: bool) -> OrderLine:
    """Return the line of an item."""
    product = mapping(item.get("product"), f"{where}.product")
    quantity = units(item.get("quantityOrdered"), f"{where}.quantityOrdered")
    tax = proceeds.taxes.get(GOODS, ZERO)
    stated = proceeds.parts.get(GOODS, ZERO)
    gross = stated - tax if proceeds.includes_tax else stated
    price = mapping(product.get("price"), f"{where}.price").get("unitPrice")
    unit_price = money(price, f"{where}.unitPrice") if price is not None else per_unit(stated, quantity)
    sku = words(product.get("sellerSku")) or None
    return OrderLine(
        line_id=words(item.get("orderItemId")),
        title=words(product.get("title")),
        quantity=quantity,
        unit_price=unit_price if proceeds.is_told else ZERO,
        gross_amount=gross,
        listing_key=None if sku is None else f"sku:{sku}",
        sku=sku,
        discount_amount=proceeds.discounts.get(GOODS, ZERO),
        taxes=_taxes(tax, item),
        cancelled_quantity=_cancelled(item, quantity, where),
        needs_stock=needs_stock,
    )


def per_unit(amount: Decimal, quantity: int) -> Decimal:
    """Return the price of one unit of so many that cost an amount together; six decimals where it does not divide."""
    if quantity < 2:
        return amount
    each = amount / quantity
    return each if each * quantity == amount else each.quantize(_SIX_DECIMALS)


def _cancelled(item: Mapping[str, Any], quantity: int, where: str) -> int:
    """Return units that were taken off before they left: ordered, but neither sent nor to be sent."""
    told = mapping(item.get("fulfillment"), f"{where}.fulfillment")
    if "quantityFulfilled" not in told or "quantityUnfulfilled" not in told:
        return 0
    sent, open_units = (units(told[name], f"{where}.{name}") for name in ("quantityFulfilled", "quantityUnfulfilled"))
    was_cancelled = bool(mapping(item.get("cancellation"), where).get("cancellationExecution"))
    return max(0, quantity - sent - open_units) if was_cancelled or sent + open_units > 0 else 0


def _taxes(amount: Decimal, item: Mapping[str, Any]) -> tuple[Tax, ...]:
    if not amount:
        return ()
    return (Tax("Tax", amount, is_channel_liable=is_channel_liable(item)),)


def is_channel_liable(item: Mapping[str, Any]) -> bool:
    """Return whether Amazon itself remits the item's tax (marketplace facilitator)."""
    collections = rows(mapping(item.get("tax"), "tax").get("taxCollections"), "taxCollections")
    return any(row.get("model") == "MARKETPLACE_FACILITATOR" for row in collections)


def item_charges(item: Mapping[str, Any], proceeds: Proceeds) -> list[Charge]:
    """Return what the buyer paid with an item besides the goods, discounts already taken off."""
    found = []
    for part, (kind, title) in _CHARGES.items():
        tax, discount = proceeds.taxes.get(part, ZERO), proceeds.discounts.get(part, ZERO)
        if part not in proceeds.parts and not tax and not discount:
            continue
        amount = proceeds.parts.get(part, ZERO) - discount
        if proceeds.includes_tax:
            amount -= tax
        found.append(Charge(f"{item.get('orderItemId')}:{part.lower()}", kind, title, amount, part, _taxes(tax, item)))
    return found


def delivery_tip(breakdowns: Sequence[Mapping[str, Any]], *, gap: Decimal) -> Charge | None:
    """Return the courier's tip where it is part of the order's total: it is charged apart, later."""
    for row in breakdowns:
        if row.get("type") == "DELIVERY_TIP":
            amount = money(row.get("subtotal"), "proceeds.DELIVERY_TIP")
            if amount and amount == gap:
                return Charge("delivery_tip", ChargeKind.TIP, "Delivery tip", amount, "DELIVERY_TIP")
    return None
