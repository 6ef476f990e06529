"""An order out of its rows in a flat file. Pure.

What belongs here: the columns of the All Orders reports. Not here: reading the file (`report_file`).

A row is an item without an id of its own: lines are numbered per SKU. A flat file tells less than the API: no parts of
taxes, no packages, no instant of shipping (the last change stands for it). So it only stands where the API's own
version of the order is not known.

Columns: amazon-order-id, purchase-date, last-updated-date, order-status, fulfillment-channel, sales-channel,
product-name, sku, asin, item-status, quantity, currency, item-price, item-tax, shipping-price, shipping-tax,
gift-wrap-price, gift-wrap-tax, item-promotion-discount, ship-promotion-discount, promotion-ids (files as published by
users, seen 2026-11-22). Prices are of all units of the row, discounts positive. In the United States and Canada taxes
come on top of prices; elsewhere prices hold them (assumed from how these marketplaces show prices: a file has no totals
to tell it by).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.amazon.fields import decimal, instant, units, words
from connectors.amazon.parse_money import per_unit
from connectors.amazon.states import IS_PENDING, STATUSES, UNSHIPPED, Meaning, status_of_report
from oms_hub.domain.orders import (
    ZERO,
    Charge,
    ChargeKind,
    FulfilmentState,
    Order,
    OrderKind,
    OrderLine,
    OrderState,
    Shipment,
    ShipmentLine,
    Tax,
    stated_total,
)
from oms_hub.errors import BadPayload

COLUMNS = (
    "purchase-date", "last-updated-date", "order-status", "fulfillment-channel", "sales-channel", "product-name", "sku",
    "item-status", "quantity", "currency", "item-price", "item-tax", "shipping-price", "shipping-tax",
    "gift-wrap-price", "gift-wrap-tax", "item-promotion-discount", "ship-promotion-discount",
)  # fmt: skip
"""What is kept of a row, besides its order's id."""

CHANGED = "last-updated-date"
_TAX_ON_TOP = frozenset({"amazon.com", "amazon.ca"})


def order_of_report(record: Mapping[str, Any], *, currency: str) -> Order:
    """Return the order that a record of a flat file describes.

    Args:
        record: `{"id": .., "rows": [{column: text}, ..]}`.
        currency: of rows that name none (pending and cancelled ones).
    """
    found = record["rows"]
    if not found:
        raise BadPayload("an order of a report has no rows", where="rows")
    first, word = found[0], words(found[0].get("order-status"))
    status = status_of_report(word)
    meaning = STATUSES.get(status, UNSHIPPED)
    is_amazons = words(first.get("fulfillment-channel")).lower().startswith("amazon")
    is_priced = any(row.get("item-price") for row in found)
    has_tax_inside = words(first.get("sales-channel")).lower() not in _TAX_ON_TOP
    lines = _lines(found, has_tax_inside=has_tax_inside, needs_stock=not is_amazons)
    updated_at = max(instant(row.get(CHANGED), CHANGED) for row in found)
    order = Order(
        channel_order_id=record["id"],
        label=record["id"],
        placed_at=instant(first.get("purchase-date"), "purchase-date"),
        updated_at=updated_at,
        state=meaning.state,
        payment_state=meaning.payment,
        fulfilment_state=meaning.fulfilment,
        currency=_currency(found) or currency,
        total=ZERO,
        kind=OrderKind.MARKETPLACE_FULFILLED if is_amazons else OrderKind.STANDARD,
        channel_state=status,
        unknown_words=() if status in STATUSES else (word,),
        is_sale=is_priced and _is_sale(first, status),
        cancelled_at=updated_at if meaning.state is OrderState.CANCELLED else None,
        closed_at=updated_at if meaning.state is OrderState.CLOSED else None,
        taxes_included=has_tax_inside,
        lines=lines,
        charges=_charges(found, has_tax_inside=has_tax_inside),
        shipments=_shipments(record["id"], lines, updated_at, meaning),
    )
    return replace(order, total=stated_total(order))


def _currency(found: Sequence[Mapping[str, Any]]) -> str:
    return next((words(row["currency"]) for row in found if row.get("currency")), "")


def _is_sale(row: Mapping[str, Any], status: str) -> bool:
    """Return whether Amazon counts the order: sold on Amazon, authorised, not cancelled."""
    is_sold_here = not words(row.get("sales-channel")).lower().startswith("non-amazon")
    return is_sold_here and status not in IS_PENDING and status != "CANCELLED"


def _lines(found: Sequence[Mapping[str, Any]], *, has_tax_inside: bool, needs_stock: bool) -> tuple[OrderLine, ...]:
    seen: Counter[str] = Counter()
    lines = []
    for row in found:
        sku = words(row.get("sku"))
        seen[sku] += 1
        quantity = units(row.get("quantity"), "quantity")
        price, tax = _amount(row, "item-price"), _amount(row, "item-tax")
        is_cancelled = words(row.get("item-status")).lower().startswith("cancel")
        lines.append(
            OrderLine(
                line_id=f"report:{sku}:{seen[sku]}",
                title=words(row.get("product-name")),
                quantity=quantity,
                unit_price=per_unit(price, quantity),
                gross_amount=price - tax if has_tax_inside else price,
                listing_key=f"sku:{sku}" if sku else None,
                sku=sku or None,
                discount_amount=abs(_amount(row, "item-promotion-discount")),
                taxes=(Tax("Tax", tax),) if tax else (),
                cancelled_quantity=quantity if is_cancelled else 0,
                needs_stock=needs_stock,
            )
        )
    return tuple(lines)


def _charges(found: Sequence[Mapping[str, Any]], *, has_tax_inside: bool) -> tuple[Charge, ...]:
    shipping = sum((_amount(row, "shipping-price") for row in found), ZERO)
    shipping -= sum((abs(_amount(row, "ship-promotion-discount")) for row in found), ZERO)
    wrap = sum((_amount(row, "gift-wrap-price") for row in found), ZERO)
    charges = []
    for charge_id, kind, title, amount, column in (
        ("shipping", ChargeKind.SHIPPING, "Shipping", shipping, "shipping-tax"),
        ("gift_wrap", ChargeKind.FEE, "Gift wrap", wrap, "gift-wrap-tax"),
    ):
        tax = sum((_amount(row, column) for row in found), ZERO)
        if amount or tax:
            net = amount - tax if has_tax_inside else amount
            charges.append(Charge(charge_id, kind, title, net, taxes=(Tax("Tax", tax),) if tax else ()))
    return tuple(charges)


def _amount(row: Mapping[str, Any], column: str) -> Decimal:
    return decimal(row.get(column), column)


def _shipments(
    order_id: str, lines: Sequence[OrderLine], shipped_at: datetime, meaning: Meaning
) -> tuple[Shipment, ...]:
    if meaning.fulfilment is not FulfilmentState.FULFILLED:
        return ()
    sent = tuple(
        ShipmentLine(line.line_id, line.quantity - line.cancelled_quantity)
        for line in lines
        if line.quantity > line.cancelled_quantity
    )
    return (Shipment(f"report:{order_id}", shipped_at, sent, "SHIPPED"),) if sent else ()
