"""How the practice account shows its things: the JSON of the API.

What belongs here: one function per shape. Not here: which of them are shown (`sandbox_search`, `sandbox_routes`).
Shapes: developers.mercadolibre (orders, packs, shipments, claims, returns, stock by location), captures of 2026.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from connectors.mercadolibre.sandbox_account import Account, shown_quantity
from connectors.mercadolibre.sandbox_records import ClaimRecord, Item, Offer, OrderRecord, ShipmentRecord, SoldLine

_ZONE = timezone(timedelta(hours=-4))


def stamp(moment: datetime | None) -> str | None:
    """Return an instant as the API writes it: milliseconds, four hours behind UTC."""
    return None if moment is None else moment.astimezone(_ZONE).isoformat(timespec="milliseconds")


def number(amount: Decimal) -> float | int:
    """Return an amount as JSON shows it."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def shown_order(account: Account, order: OrderRecord) -> dict[str, Any]:
    """Return an order."""
    lines: Any = [_line(line, index) for index, line in enumerate(order.lines, start=1)]
    return {
        "id": order.order_id,
        "status": order.status,
        "status_detail": None,
        "date_created": stamp(order.created_at),
        "date_closed": stamp(order.created_at),
        "last_updated": stamp(order.updated_at),
        "pack_id": order.pack_id,
        "fulfilled": None,
        "buying_mode": "buy_equals_pay",
        "shipping_cost": None,
        "mediations": [{"id": each.claim_id} for each in account.claims.values() if each.order_id == order.order_id],
        "total_amount": number(order.goods),
        "paid_amount": number(order.goods + order.taxes - order.coupon[0]),
        "order_items": "broken" if order.is_broken else lines,
        "currency_id": "MXN",
        "payments": _payments(account, order),
        "shipping": {"id": None if order.shipment is None else order.shipment.shipment_id},
        "tags": list(order.tags),
        "feedback": {"seller": None, "buyer": None},
        "context": {"channel": "marketplace", "site": account.site, "flows": []},
        "seller": {"id": account.seller_id},
        "buyer": {"id": order.buyer_id, "nickname": f"BUYER{order.buyer_id}", "first_name": "A", "last_name": "Buyer"},
        "taxes": {"amount": number(order.taxes) if order.taxes else None, "currency_id": None, "id": None},
        "coupon": {"id": None, "amount": number(order.coupon[0])},
        "cancel_detail": _cancel_detail(order),
        "order_request": {"change": None, "return": None},
    }


def _cancel_detail(order: OrderRecord) -> dict[str, Any] | None:
    if order.cancelled_at is None:
        return None
    return {
        "group": "buyer",
        "code": "buyer_cancel_express",
        "requested_by": "buyer",
        "date": stamp(order.cancelled_at),
    }


def _line(line: SoldLine, index: int) -> dict[str, Any]:
    return {
        "item": {
            "id": line.item.item_id,
            "title": line.item.title,
            "category_id": "MLM1",
            "variation_id": line.offer.variation_id,
            "seller_custom_field": None,
            "variation_attributes": [],
            "condition": "new",
            "seller_sku": line.offer.sku or None,
            "user_product_id": line.offer.shelf.user_product_id or None,
        },
        "quantity": line.quantity,
        "requested_quantity": {"measure": "unit", "value": line.quantity},
        "unit_price": number(line.unit_price),
        "full_unit_price": number(line.full_unit_price),
        "gross_price": number(line.full_unit_price * line.quantity),
        "currency_id": "MXN",
        "sale_fee": number(line.unit_price * Decimal("0.13")),
        "listing_type_id": "gold_special",
        "element_id": index,
    }


def _payments(account: Account, order: OrderRecord) -> list[dict[str, Any]]:
    if order.status == "payment_required":
        return []
    is_whole = order.refunded > 0 and order.refunded >= order.total
    return [
        {
            "id": 90_000_000_000 + order.order_id % 1_000_000_000,
            "order_id": order.order_id,
            "payer_id": order.buyer_id,
            "collector": {"id": account.seller_id},
            "site_id": account.site,
            "payment_method_id": "account_money",
            "payment_type": "account_money",
            "currency_id": "MXN",
            "status": "refunded" if is_whole else "approved",
            "status_detail": "bpp_refunded" if is_whole else "accredited",
            "transaction_amount": number(order.goods - order.coupon[1]),
            "transaction_amount_refunded": number(order.refunded),
            "taxes_amount": number(order.taxes),
            "shipping_cost": number(order.shipping),
            "coupon_amount": number(order.coupon[0]),
            "overpaid_amount": 0,
            "total_paid_amount": number(order.total),
            "date_approved": stamp(order.created_at),
            "date_created": stamp(order.created_at),
            "date_last_modified": stamp(order.refunded_at or order.created_at),
            "marketplace_fee": number(order.goods * Decimal("0.13")),
        }
    ]


def shown_discounts(order: OrderRecord) -> dict[str, Any]:
    """Return who pays which part of an order's coupon."""
    whole, own = order.coupon
    amounts = {"total": number(whole), "seller": number(own)}
    items = [{"id": order.lines[0].item.item_id, "quantity": order.lines[0].quantity, "amounts": amounts}]
    details = [{"type": "coupon", "coupon": {"id": 7001}, "supplier": {"campaign_id": None}, "items": items}]
    return {"order_id": order.order_id, "details": details if whole else []}


def shown_shipment(account: Account, shipment: ShipmentRecord) -> dict[str, Any]:
    """Return a parcel in the new format."""
    address = {"address_line": "Calle 1", "zip_code": "01000", "country": {"id": "MX", "name": "Mexico"}}
    return {
        "id": shipment.shipment_id,
        "status": shipment.status,
        "substatus": shipment.substatus or None,
        "date_created": stamp(shipment.history[0][0]),
        "last_updated": stamp(shipment.updated_at),
        "logistic": {"mode": "me2", "type": shipment.logistic_type, "direction": "forward"},
        "lead_time": {
            "cost": number(shipment.cost),
            "cost_type": "charged" if shipment.cost else "free",
            "currency_id": "MXN",
            "shipping_method": {"id": 501, "name": "Estándar", "type": "standard"},
            "estimated_schedule_limit": {"date": None},
            "estimated_delivery_time": {"date": stamp(shipment.history[0][0] + timedelta(days=4))},
        },
        "tracking_number": f"MEL{shipment.shipment_id}",
        "tracking_method": "MEL Distribution",
        "origin": {"sender_id": account.seller_id, "shipping_address": address},
        "destination": {"receiver_id": 7, "receiver_name": "A Buyer", "shipping_address": address},
        "source": {"site_id": account.site, "market_place": "MELI"},
        "tags": [],
        "sibling": {"reason": None, "sibling_id": None},
    }


def shown_history(shipment: ShipmentRecord) -> list[dict[str, Any]]:
    """Return what happened to a parcel, the newest first."""
    rows = [{"status": status, "substatus": sub or None, "date": stamp(at)} for at, status, sub in shipment.history]
    return rows[::-1]


def shown_claim(account: Account, claim: ClaimRecord, *, is_detail: bool) -> dict[str, Any]:
    """Return a claim; only the single one names its related entities."""
    shown = {
        "id": claim.claim_id,
        "resource_id": claim.order_id,
        "resource": "order",
        "status": claim.status,
        "type": claim.kind,
        "stage": "claim",
        "parent_id": None,
        "reason_id": "PDD9939",
        "fulfilled": True,
        "players": [
            {"role": "complainant", "type": "buyer", "user_id": 7, "available_actions": []},
            {"role": "respondent", "type": "seller", "user_id": account.seller_id, "available_actions": []},
        ],
        "resolution": None,
        "site_id": account.site,
        "date_created": stamp(claim.created_at),
        "last_updated": stamp(claim.updated_at),
    }
    return {**shown, "related_entities": ["return"] if claim.return_status else []} if is_detail else shown


def shown_return(account: Account, claim: ClaimRecord) -> dict[str, Any]:
    """Return the return of a claim; quantities are texts."""
    order = account.orders[claim.order_id]
    line = order.lines[0]
    units = {
        "order_id": order.order_id,
        "item_id": line.item.item_id,
        "variation_id": line.offer.variation_id,
        "context_type": "total" if claim.return_units == line.quantity else "partial",
        "total_quantity": f"{line.quantity}.0",
        "return_quantity": f"{claim.return_units}.0",
    }
    is_over = claim.return_status in {"delivered", "cancelled", "expired"}
    return {
        "id": 57_000_000 + claim.claim_id % 1_000_000,
        "claim_id": claim.claim_id,
        "status": claim.return_status,
        "status_money": "retained",
        "subtype": "return_total",
        "refund_at": "delivered",
        "date_created": stamp(claim.created_at),
        "date_closed": stamp(claim.updated_at) if is_over else None,
        "last_updated": stamp(claim.updated_at),
        "resource_type": "order",
        "resource_id": claim.order_id,
        "orders": [units],
        "shipments": [],
        "related_entities": [],
    }


def shown_item(item: Item) -> dict[str, Any]:
    """Return an advert."""
    is_varied = item.offers[0].variation_id is not None
    single = item.offers[0]
    quantities = [shown_quantity(item, offer) or 0 for offer in item.offers]
    return {
        "id": item.item_id,
        "title": item.title,
        "price": number(item.price),
        "currency_id": "MXN",
        "status": item.status,
        "buying_mode": item.buying_mode,
        "available_quantity": 1 if item.buying_mode == "classified" else sum(quantities),
        "seller_custom_field": None,
        "user_product_id": None if is_varied else single.shelf.user_product_id or None,
        "attributes": [] if is_varied else _attributes(single),
        "shipping": {"mode": "me2", "logistic_type": item.logistic_type},
        "variations": [_variation(item, offer) for offer in item.offers] if is_varied else [],
    }


def _variation(item: Item, offer: Offer) -> dict[str, Any]:
    return {
        "id": offer.variation_id,
        "price": number(item.price),
        "attribute_combinations": [{"id": "COLOR", "name": "Color", "value_name": offer.words}],
        "available_quantity": shown_quantity(item, offer),
        "user_product_id": offer.shelf.user_product_id or None,
        "attributes": _attributes(offer),
    }


def _attributes(offer: Offer) -> list[dict[str, Any]]:
    told = {"SELLER_SKU": offer.sku, "GTIN": offer.barcode}
    return [{"id": name, "name": name, "value_name": value} for name, value in told.items() if value]
