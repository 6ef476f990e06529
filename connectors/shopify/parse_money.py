"""Lines, charges and discounts of an order, so that they add up to what Shopify charged.

What belongs here: money and units of what was sold. Not here: money that went back (`parse_events`).

Source: field descriptions of the published schema 2026-10, read 2026-11-22; where it leaves open whether an amount is
part of the total (tips, duties, fees, rounding), the arithmetic of the order at hand decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations

from connectors.shopify.fields import Node, Reading
from connectors.shopify.parse_events import Events
from oms_hub.domain.money import allocate, exact_decimal, without_tax
from oms_hub.domain.orders import Charge, ChargeKind, Discount, OrderLine, Tax
from oms_hub.errors import BadPayload

ZERO = Decimal(0)


def read_lines(reading: Reading, head: Node, events: Events) -> tuple[OrderLine, ...]:
    """Return the lines as placed: quantities before refunds and removals, discounts by their reach, taxes."""
    return tuple(_line(reading, node, events) for node in head.nodes("lineItems"))


def _line(reading: Reading, node: Node, events: Events) -> OrderLine:
    quantity, unit_price = node.whole("quantity"), reading.money(node, "originalUnitPriceSet")
    own, shared = _discounts(reading, node)
    taxes = read_taxes(reading, node)
    gross = unit_price * quantity
    if reading.taxes_included:
        tax = sum((each.amount for each in taxes), ZERO)
        gross, discount = without_tax(gross - own - shared, tax, own + shared, reading.currency)
        if discount:
            own, shared = allocate(discount, (own, shared), reading.currency)
    variant = node.maybe_child("variant")
    item = None if variant is None else variant.maybe_child("inventoryItem")
    line_id, sku = node.text("id"), node.maybe_text("sku")
    return OrderLine(
        line_id=line_id,
        title=node.maybe_text("name") or "",
        quantity=quantity,
        unit_price=unit_price,
        gross_amount=gross,
        listing_key=None if item is None else item.text("id"),
        sku=sku,
        discount_amount=own,
        order_discount_amount=shared,
        taxes=taxes,
        cancelled_quantity=_cancelled(node, events),
        needs_stock=_needs_stock(node, item, sku),
        channel_location_id=events.places.get(line_id),
    )


def _needs_stock(node: Node, item: Node | None, sku: str | None) -> bool:
    """Return whether goods leave a shelf: no gift cards, no typed-in items without SKU, no services."""
    if node.flag("isGiftCard") or (item is None and sku is None):
        return False
    return node.flag("requiresShipping") or (item is not None and item.value.get("tracked") is True)


def _cancelled(node: Node, events: Events) -> int:
    """Return the units that came off the line before they left.

    `currentQuantity` excludes refunded and removed units alike. Of these, units that came back (RETURN) had left;
    units taken off unshipped (CANCEL) and removed by an edit without any refund row had not. A refund without
    restocking (NO_RESTOCK, and the old LEGACY_RESTOCK) may be either: what open fulfilment orders still want is open,
    else such units count as cancelled as far as they cannot have been shipped.
    """
    line_id, quantity = node.text("id"), node.whole("quantity")
    gone = quantity - node.whole("currentQuantity")
    rows = events.refunded_units.get(line_id, {})
    refunded = sum(rows.values())
    removed = max(0, gone - refunded)
    certain = min(rows.get("CANCEL", 0) + removed, quantity)
    open_to_doubt = refunded - rows.get("CANCEL", 0) - rows.get("RETURN", 0)
    never_shipped = max(0, quantity - certain - events.shipped.get(line_id, 0))
    if line_id in events.still_wanted:
        never_shipped = max(0, never_shipped - events.still_wanted[line_id])
    return certain + max(0, min(open_to_doubt, never_shipped))


def _discounts(reading: Reading, node: Node) -> tuple[Decimal, Decimal]:
    """Return the discounts that name this line, and its part of those on the whole order."""
    own, shared = ZERO, ZERO
    for allocation in node.rows("discountAllocations"):
        amount = reading.money(allocation, "allocatedAmountSet")
        application = allocation.child("discountApplication")
        is_shared = application.text("allocationMethod") == "ACROSS" and application.text("targetSelection") == "ALL"
        own, shared = (own, shared + amount) if is_shared else (own + amount, shared)
    return own, shared


def read_taxes(reading: Reading, owner: Node) -> tuple[Tax, ...]:
    """Return the taxes on a line or charge, those of zero included."""
    return tuple(
        Tax(
            row.maybe_text("title") or "",
            reading.money(row, "priceSet"),
            _rate(row),
            is_channel_liable=row.value.get("channelLiable") is True,
        )
        for row in owner.rows("taxLines")
    )


def _rate(row: Node) -> Decimal | None:
    if not row.has("rate"):
        return None
    try:
        return exact_decimal(row.raw("rate"))
    except ValueError:
        raise BadPayload("not a rate", where=f"{row.where}.rate") from None


def read_charges(reading: Reading, head: Node, lines: Sequence[OrderLine], total: Decimal) -> tuple[Charge, ...]:
    """Return shipping, and those other charges that the order's total contains.

    Whether a total contains the tip (which may be a line as well), duties, fees or cash rounding differs by order;
    of all combinations the one that leaves the smallest gap to the total is taken, and of equals the smallest.
    """
    shipping = tuple(
        _charge(reading, node, ChargeKind.SHIPPING, "discountedPriceSet", f"shipping:{index}")
        for index, node in enumerate(head.nodes("shippingLines"))
    )
    stated = sum((line.net_amount + line.tax_amount for line in lines), ZERO)
    stated += sum((charge.amount + charge.tax_amount for charge in shipping), ZERO)
    groups = [group for group in _optional_charges(reading, head) if _value(group) != 0]
    choices = [choice for size in range(len(groups) + 1) for choice in combinations(groups, size)]
    best = min(choices, key=lambda choice: abs(total - stated - sum((_value(group) for group in choice), ZERO)))
    return (*shipping, *(charge for group in best for charge in group))


def _value(group: Sequence[Charge]) -> Decimal:
    return sum((charge.amount + charge.tax_amount for charge in group), ZERO)


def _optional_charges(reading: Reading, head: Node) -> list[tuple[Charge, ...]]:
    fees = tuple(
        _charge(reading, node, ChargeKind.FEE, "price", f"fee:{index}")
        for index, node in enumerate(head.rows("additionalFees"))
    )
    duties = reading.maybe_money(head, "originalTotalDutiesSet")
    tip = reading.maybe_money(head, "totalTipReceivedSet")
    rounding = head.maybe_child("totalCashRoundingAdjustment")
    rounded = ZERO if rounding is None else reading.maybe_money(rounding, "paymentSet")
    return [
        (Charge("tip", ChargeKind.TIP, "Tip", tip),),
        (Charge("duties", ChargeKind.DUTY, "Duties", duties),),
        fees,
        (Charge("rounding", ChargeKind.ROUNDING, "Cash rounding", rounded),),
    ]


def _charge(reading: Reading, node: Node, kind: ChargeKind, price: str, fallback_id: str) -> Charge:
    taxes = read_taxes(reading, node)
    amount = reading.money(node, price)
    if reading.taxes_included:
        amount -= sum((tax.amount for tax in taxes), ZERO)
    return Charge(
        node.maybe_text("id") or fallback_id,
        kind,
        node.maybe_text("title") or node.maybe_text("name") or kind.value,
        amount,
        code=node.maybe_text("code"),
        taxes=taxes,
    )


def read_discounts(reading: Reading, head: Node) -> tuple[Discount, ...]:
    """Return the discounts by name, each with all that it took off, as Shopify states it (with tax where included)."""
    found: dict[int, Discount] = {}
    owners = [*head.nodes("lineItems"), *head.nodes("shippingLines")]
    for allocation in (row for owner in owners for row in owner.rows("discountAllocations")):
        application = allocation.child("discountApplication")
        index, code = application.whole("index"), application.maybe_text("code")
        title = application.maybe_text("title") or code or application.maybe_text("__typename") or ""
        taken = found[index].amount if index in found else ZERO
        found[index] = Discount(title, taken + reading.money(allocation, "allocatedAmountSet"), code)
    return tuple(found[index] for index in sorted(found))
