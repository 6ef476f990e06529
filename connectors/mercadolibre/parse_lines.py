"""Lines and charges of an order. Pure.

What belongs here: what was sold, at what price, and what shipping cost the buyer. Not here: payments
(`parse_payments`).

- Prices contain VAT, and Mercado Libre does not tell how much: amounts stay with it, and the order says so.
- `unit_price` is what the unit was sold for. `gross_price` (of all units), else `full_unit_price` (of one), is what it
  would have cost without the listing's discount; the difference is the line's discount.
- A coupon lowers neither price nor `total_amount`. The seller's part of it (`/orders/{id}/discounts`) is a discount on
  the order; the part that Mercado Libre pays is no business of the seller's sales.
- Taxes that come on top of the prices (`taxes.amount`) are spread over the lines; the marketplace remits them.
- Shipping is not in `total_amount`: what the buyer pays for it is the shipment's `lead_time.cost`. A pack has one
  shipment for all its orders; its cost stands on the first of them.
Source: developers.mercadolibre, orders 2026-09-21, packs 2025-12-29, shipments 2026-06.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectors.mercadolibre.fields import amount, plain_text, whole_units
from connectors.mercadolibre.keys import listing_key
from oms_hub.domain.money import allocate
from oms_hub.domain.orders import ZERO, Charge, ChargeKind, OrderLine, Tax
from oms_hub.errors import BadPayload


def order_lines(
    order: Mapping[str, Any], parts: Mapping[str, Any], *, never_left: bool, needs_stock: bool
) -> tuple[OrderLine, ...]:
    """Return the order's lines.

    Args:
        order: the raw order.
        parts: its parts; the seller's coupons are among them.
        never_left: the order was cancelled before its goods left: all units are taken off it.
        needs_stock: False where Mercado Libre sends from its own warehouse.
    """
    currency = order["currency_id"]
    rows = order["order_items"]
    if not isinstance(rows, list) or not rows:
        raise BadPayload("an order has no lines", where="order_items")
    sold = [_sold_for(row) for row in rows]
    coupons = allocate(seller_coupons(parts), sold, currency)
    taxes = allocate(amount((order.get("taxes") or {}).get("amount"), "taxes.amount"), sold, currency)
    found: list[OrderLine] = []
    for row, net, coupon, tax in zip(rows, sold, coupons, taxes, strict=True):
        item, quantity = row["item"], whole_units(row["quantity"], "order_items.quantity")
        gross = max(net, _full_price(row, quantity))
        found.append(
            OrderLine(
                line_id=_line_id(item, {line.line_id for line in found}),
                title=plain_text(item.get("title")),
                quantity=quantity,
                unit_price=gross / quantity if quantity and gross != net else amount(row["unit_price"], "unit_price"),
                gross_amount=gross,
                listing_key=listing_key(item["id"], item.get("variation_id"), item.get("user_product_id")),
                sku=plain_text(item.get("seller_sku") or item.get("seller_custom_field")) or None,
                discount_amount=gross - net,
                order_discount_amount=coupon,
                taxes=(Tax("taxes", tax, is_channel_liable=True),) if tax else (),
                cancelled_quantity=quantity if never_left else 0,
                needs_stock=needs_stock,
            )
        )
    return tuple(found)


def _sold_for(row: Mapping[str, Any]) -> Decimal:
    units = whole_units(row["quantity"], "order_items.quantity")
    return amount(row["unit_price"], "order_items.unit_price") * units


def line_name(item_id: Any, variation_id: Any) -> str:
    """Return what an item, or a variation of one, is called among an order's lines and returns."""
    return f"{plain_text(item_id)}:{plain_text(variation_id)}" if variation_id else plain_text(item_id)


def _line_id(item: Mapping[str, Any], taken: set[str]) -> str:
    name = line_name(item["id"], item.get("variation_id"))
    count = 1
    while (f"{name}#{count}" if count > 1 else name) in taken:
        count += 1
    return f"{name}#{count}" if count > 1 else name


def _full_price(row: Mapping[str, Any], quantity: int) -> Decimal:
    if row.get("gross_price") is not None:
        return amount(row["gross_price"], "order_items.gross_price")
    return amount(row.get("full_unit_price"), "order_items.full_unit_price") * quantity


def seller_coupons(parts: Mapping[str, Any]) -> Decimal:
    """Return what the seller pays of the order's coupons."""
    total = ZERO
    for detail in (parts.get("discounts") or {}).get("details") or ():
        if detail.get("type") != "coupon":
            continue  # campaigns are in the unit price already
        for item in detail.get("items") or ():
            total += amount((item.get("amounts") or {}).get("seller"), "discounts.amounts.seller")
    return total


def shipping_charges(order: Mapping[str, Any], parts: Mapping[str, Any]) -> tuple[Charge, ...]:
    """Return what the buyer pays for shipping, on the first order of a pack only."""
    shipment = parts.get("shipment") or {}
    cost = amount((shipment.get("lead_time") or {}).get("cost"), "shipment.lead_time.cost")
    if cost == ZERO or not _is_first_of_pack(order, parts):
        return ()
    method = ((shipment.get("lead_time") or {}).get("shipping_method") or {}).get("name")
    return (Charge(f"shipping:{shipment['id']}", ChargeKind.SHIPPING, plain_text(method) or "Shipping", cost),)


def _is_first_of_pack(order: Mapping[str, Any], parts: Mapping[str, Any]) -> bool:
    ids = [int(each["id"]) for each in (parts.get("pack") or {}).get("orders") or ()]
    return int(order["id"]) <= min(ids, default=int(order["id"]))
