"""Returns of a Square order: what was given back, and what of it is on the shelf again. Pure.

What belongs here: the refund that a return is, and the inventory changes that tell of restocking. Not here: fetching
these changes (`restocks`).

A return says which goods came back and what was paid, not whether they were put back on the shelf: that is a change of
inventory into `IN_STOCK` which names the refund (`refund_id`) or the return (`transaction_id`). Without such a change
nothing is restocked. Source: published description 2025-08-20, OrderReturn and InventoryAdjustment; that the ids match
as described was not tried on a live account.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from connectors.square.fields import Reading, Row, instant, quantity, rows, text
from connectors.square.parse_lines import LineMoney, line_title
from oms_hub.domain.money import allocate
from oms_hub.domain.orders import ZERO, OrderLine, Refund, RefundLine

CAME_BACK = frozenset({"SOLD", "SOLD_ONLINE", "RETURNED_BY_CUSTOMER", "UNLINKED_RETURN"})
"""States of inventory from which returned goods reach the shelf."""


def restocks_of(order: Row, changes: Sequence[Row]) -> list[Row]:
    """Return the adjustments among `changes` that put goods of this return back on the shelf, by id.

    Square writes the id of a refund whole or as its last part, after an underscore.
    """
    refunds = {_tail(row.get("id")) for row in order.get("refunds") or () if isinstance(row, dict)} - {""}
    found: dict[str, Row] = {}
    for change in changes:
        row = change.get("adjustment")
        if not isinstance(row, dict) or row.get("to_state") != "IN_STOCK" or row.get("from_state") not in CAME_BACK:
            continue
        if _tail(row.get("refund_id")) in refunds or row.get("transaction_id") == order.get("id"):
            found[str(row.get("id"))] = row
    return [found[key] for key in sorted(found)]


def _tail(value: Any) -> str:
    return value.rpartition("_")[2] if isinstance(value, str) else ""


def read_refund(reading: Reading, order: Row, restocks: Sequence[Row]) -> tuple[tuple[OrderLine, ...], Refund, str]:
    """Return the lines that name the goods (quantity 0: nothing was sold), the refund, and the sale it belongs to.

    Raises:
        BadPayload: a field is not what the description says.
    """
    shelf = _restocked_units(restocks)
    lines: list[OrderLine] = []
    given: list[RefundLine] = []
    value = ZERO
    for number, part in enumerate(rows(order, "returns")):
        value += _value(reading, part, f"returns[{number}]")
        for index, item in enumerate(rows(part, "return_line_items")):
            where = f"returns[{number}].return_line_items[{index}]"
            line, back = _line(reading, order, item, where, shelf)
            lines.append(line)
            given.extend(back)
    at = instant(order, "created_at", "order")
    stated = sum((row.amount + row.tax_amount for row in given), ZERO)
    refund = Refund(
        refund_id="return",
        refunded_at=at,
        paid_amount=_paid(reading, order, value),
        lines=tuple(given),
        other_amount=value - stated,  # tips, service charges, rounding of cash
        reason=_reason(order),
    )
    sources = dict.fromkeys(text(part, "source_order_id") for part in rows(order, "returns"))
    return tuple(lines), refund, ", ".join(source for source in sources if source)


def _value(reading: Reading, part: Row, where: str) -> Decimal:
    """Return what a return is worth to the buyer; where Square does not sum it up, its parts do."""
    told = reading.maybe_money(part.get("return_amounts") or {}, "total_money", f"{where}.return_amounts")
    if told is not None:
        return told
    names = (
        ("return_line_items", "total_money"),
        ("return_service_charges", "total_money"),
        ("return_tips", "applied_money"),
    )
    return sum((reading.money(row, name, where) for list_name, name in names for row in rows(part, list_name)), ZERO)


def _paid(reading: Reading, order: Row, value: Decimal) -> Decimal:
    """Return what was paid back; in an exchange without refunds the new goods took it up."""
    refunds = rows(order, "refunds")
    if not refunds:
        return ZERO if order.get("line_items") else value
    return sum(
        (
            reading.money(row, "amount_money", f"refunds[{index}]")
            for index, row in enumerate(refunds)
            if row.get("status") in {"APPROVED", "PENDING"}
        ),
        ZERO,
    )


def _reason(order: Row) -> str:
    return next((reason for row in rows(order, "refunds") if (reason := text(row, "reason"))), "")


def _restocked_units(restocks: Sequence[Row]) -> dict[str, int]:
    shelf: dict[str, int] = {}
    for index, row in enumerate(restocks):
        units = quantity(row, f"restocks[{index}]")
        key = text(row, "catalog_object_id")
        shelf[key] = shelf.get(key, 0) + int(units)
    return shelf


def _line(
    reading: Reading, order: Row, item: Row, where: str, shelf: dict[str, int]
) -> tuple[OrderLine, list[RefundLine]]:
    amounts = LineMoney.of(reading, item, where, gross_name="gross_return_money")
    units, variation = quantity(item, where), text(item, "catalog_object_id")
    is_whole = units == units.to_integral_value()
    line_id = text(item, "uid") or where
    item_type = text(item, "item_type") or "ITEM"
    needs_stock = is_whole and item_type == "ITEM" and bool(variation)
    place = text(order, "location_id") or None
    line = OrderLine(
        line_id=line_id,
        title=line_title(item) if is_whole else f"{line_title(item)}, {units.normalize():f}",
        quantity=0,
        unit_price=reading.money(item, "base_price_money", where),
        gross_amount=ZERO,
        listing_key=variation or None,
        needs_stock=needs_stock,
        channel_location_id=place,
    )
    whole = int(units) if is_whole else 1
    back = min(whole, shelf.get(variation, 0)) if needs_stock else 0
    shelf[variation] = shelf.get(variation, 0) - back
    parts = [(count, is_back) for count, is_back in ((back, True), (whole - back, False)) if count] or [(0, False)]
    weights = [Decimal(count) for count, _ in parts]
    nets = allocate(amounts.net, weights, reading.currency)
    taxes = allocate(amounts.tax, weights, reading.currency)
    return line, [
        RefundLine(line_id, count, net, tax, is_restocked=is_back, channel_location_id=place)
        for (count, is_back), net, tax in zip(parts, nets, taxes, strict=True)
    ]
