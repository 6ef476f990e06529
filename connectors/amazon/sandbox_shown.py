"""How the practice account shows what it holds: JSON of orders, listings and transactions, rows of flat files. Pure.

What belongs here: the shapes of the published models. Not here: which of it is shown when (`sandbox_routes`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.amazon.sandbox_records import (
    CENT,
    CURRENCY,
    MARKETPLACE_ID,
    MARKETPLACE_NAME,
    Good,
    Item,
    OrderRecord,
    Package,
    tax_in,
)
from oms_hub.domain.pull_windows import to_text

REPORT_COLUMNS = (
    "amazon-order-id", "merchant-order-id", "purchase-date", "last-updated-date", "order-status", "fulfillment-channel",
    "sales-channel", "order-channel", "ship-service-level", "product-name", "sku", "asin", "item-status", "quantity",
    "currency", "item-price", "item-tax", "shipping-price", "shipping-tax", "gift-wrap-price", "gift-wrap-tax",
    "item-promotion-discount", "ship-promotion-discount", "ship-city", "ship-state", "ship-postal-code", "ship-country",
    "promotion-ids",
)  # fmt: skip
_REPORT_STATUS = {
    "PENDING": "Pending", "PENDING_AVAILABILITY": "Pending", "UNSHIPPED": "Unshipped", "SHIPPED": "Shipped",
    "PARTIALLY_SHIPPED": "Partially Shipped", "CANCELLED": "Cancelled",
}  # fmt: skip


def money(amount: Decimal) -> dict[str, str]:
    """Return an amount of an order."""
    return {"amount": str(amount.quantize(CENT)), "currencyCode": CURRENCY}


def order_shown(order: OrderRecord, included: Collection[str]) -> dict[str, Any]:
    """Return an order with the data sets that were asked for."""
    shown: dict[str, Any] = {
        "orderId": order.order_id,
        "createdTime": to_text(order.placed_at),
        "lastUpdatedTime": to_text(order.updated_at),
        "programs": list(order.programs),
        "salesChannel": {
            "channelName": "AMAZON", "marketplaceId": MARKETPLACE_ID, "marketplaceName": MARKETPLACE_NAME,
        },
        "orderItems": [_item(item, order, included) for item in order.items],
    }  # fmt: skip
    if order.replaces:
        shown["associatedOrders"] = [{"orderId": order.replaces, "associationType": "REPLACEMENT_ORIGINAL_ID"}]
    if "BUYER" in included:
        shown["buyer"] = {"buyerName": "A Buyer", "buyerEmail": "buyer@marketplace.example"}
    if "PROCEEDS" in included and order.is_priced:
        shown["proceeds"] = {"grandTotal": money(order.total)}
    if "FULFILLMENT" in included:
        latest = order.placed_at + timedelta(days=2)
        shown["fulfillment"] = {
            "fulfillmentStatus": order.status,
            "fulfilledBy": order.fulfilled_by,
            "fulfillmentServiceLevel": "STANDARD",
            "shipByWindow": {"earliestDateTime": to_text(order.placed_at), "latestDateTime": to_text(latest)},
        }
    if "PACKAGES" in included and order.packages:
        shown["packages"] = [_package(package) for package in order.packages]
    if order.is_broken:
        shown["orderItems"] = "not a list"
    return shown


def _item(item: Item, order: OrderRecord, included: Collection[str]) -> dict[str, Any]:
    product: dict[str, Any] = {"asin": asin_of(item.sku), "title": item.title, "sellerSku": item.sku}
    shown: dict[str, Any] = {"orderItemId": item.item_id, "quantityOrdered": item.quantity, "product": product}
    if order.is_priced and "PROCEEDS" in included:
        product["price"] = {"unitPrice": money(item.unit_price)}
        shown["proceeds"] = {"proceedsTotal": money(item.total), "breakdowns": _breakdowns(item)}
    if item.discount and "PROMOTION" in included:
        shown["promotion"] = {"breakdowns": [{"promotionId": "PRACTICE-10"}]}
    if "FULFILLMENT" in included:
        open_units = item.quantity - item.fulfilled - item.cancelled
        shown["fulfillment"] = {"quantityFulfilled": item.fulfilled, "quantityUnfulfilled": open_units}
        if item.gift_wrap:
            shown["fulfillment"]["packing"] = {"giftOption": {"giftMessage": "For you", "giftWrapLevel": "STANDARD"}}
    if item.cancelled and "CANCELLATION" in included:
        shown["cancellation"] = {"cancellationExecution": {"cancelledBy": "BUYER", "cancelReason": "NO_LONGER_NEEDED"}}
    if item.is_facilitated and "TAX" in included:
        party = {"model": "MARKETPLACE_FACILITATOR", "responsibleParty": "Amazon"}
        shown["tax"] = {"taxCollections": [party]}
    return shown


def _breakdowns(item: Item) -> list[dict[str, Any]]:
    taxes = {
        "ITEM": tax_in(item.goods - item.discount),
        "SHIPPING": tax_in(item.shipping),
        "GIFT_WRAP": tax_in(item.gift_wrap),
    }
    rows: list[dict[str, Any]] = [{"type": "ITEM", "subtotal": money(item.goods)}]
    for kind, amount in (("SHIPPING", item.shipping), ("GIFT_WRAP", item.gift_wrap)):
        if amount:
            rows.append({"type": kind, "subtotal": money(amount)})
    if item.discount:
        detail = [{"subtype": "ITEM", "value": money(-item.discount)}]
        rows.append({"type": "DISCOUNT", "subtotal": money(-item.discount), "detailedBreakdowns": detail})
    details = [{"subtype": part, "value": money(amount)} for part, amount in taxes.items() if amount]
    rows.append({"type": "TAX", "subtotal": money(sum(taxes.values(), Decimal(0))), "detailedBreakdowns": details})
    return rows


def _package(package: Package) -> dict[str, Any]:
    return {
        "packageReferenceId": package.reference,
        "createdTime": to_text(package.shipped_at),
        "packageStatus": {"status": package.status},
        "carrier": "Practice Parcel",
        "shipTime": to_text(package.shipped_at),
        "trackingNumber": f"TRACK-{package.reference}",
        "packageItems": [
            {"orderItemId": item_id, "quantity": count} for item_id, count in package.units.items() if count
        ],
    }


def asin_of(sku: str) -> str:
    """Return a made-up catalogue number."""
    return f"B0{sum(ord(sign) * (place + 1) for place, sign in enumerate(sku)) % 10**8:08d}"


def listing_shown(good: Good, included: Collection[str]) -> dict[str, Any]:
    """Return a listing with the data sets that were asked for."""
    shown: dict[str, Any] = {"sku": good.sku}
    created = to_text(good.created_at) if good.created_at else ""
    if "summaries" in included:
        status = ["BUYABLE", "DISCOVERABLE"] if good.quantity else ["DISCOVERABLE"]
        shown["summaries"] = [
            {
                "marketplaceId": MARKETPLACE_ID, "asin": asin_of(good.sku), "productType": good.product_type,
                "conditionType": "new_new", "status": status,
                "itemName": good.title, "createdDate": created, "lastUpdatedDate": created,
            }
        ]  # fmt: skip
    if "productTypes" in included:
        shown["productTypes"] = [{"marketplaceId": MARKETPLACE_ID, "productType": good.product_type}]
    if "fulfillmentAvailability" in included and good.code is not None:
        row: dict[str, Any] = {"fulfillmentChannelCode": good.code}
        if good.code == "DEFAULT" and good.quantity is not None:
            row["quantity"] = good.quantity
        shown["fulfillmentAvailability"] = [row]
    return shown


def fba_shown(good: Good) -> dict[str, Any]:
    """Return the FBA summary of a SKU."""
    return {
        "asin": asin_of(good.sku), "fnSku": f"X{asin_of(good.sku)[1:]}", "sellerSku": good.sku, "condition": "NewItem",
        "inventoryDetails": {"fulfillableQuantity": good.quantity or 0, "inboundShippedQuantity": 4},
        "productName": good.title, "totalQuantity": (good.quantity or 0) + 4,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------- money


def _amount(amount: Decimal) -> dict[str, Any]:
    return {"currencyAmount": float(amount.quantize(CENT)), "currencyCode": CURRENCY}


def _broken_down(name: str, *parts: tuple[str, Decimal]) -> dict[str, Any]:
    below = [{"breakdownType": part, "breakdownAmount": _amount(amount), "breakdowns": []} for part, amount in parts]
    total = sum((amount for _, amount in parts), Decimal(0))
    return {"breakdownType": name, "breakdownAmount": _amount(total), "breakdowns": below}


def _transaction(
    order: OrderRecord, kind: str, items: list[dict[str, Any]], *, posted_at: datetime, number: int, status: str
) -> dict[str, Any]:
    total = sum((Decimal(str(item["totalAmount"]["currencyAmount"])) for item in items), Decimal(0))
    return {
        "sellingPartnerMetadata": {"accountType": "Standard Orders", "marketplaceId": MARKETPLACE_ID},
        "relatedIdentifiers": [
            {"relatedIdentifierName": "ORDER_ID", "relatedIdentifierValue": order.order_id},
            {"relatedIdentifierName": "FINANCIAL_EVENT_GROUP_ID", "relatedIdentifierValue": "GROUP-1"},
        ],
        "transactionType": kind,
        "transactionId": f"TX-{number}",
        "transactionStatus": status,
        "description": "Order Payment" if kind == "Shipment" else "Refund Order",
        "postedDate": to_text(posted_at),
        "totalAmount": _amount(total),
        "marketplaceDetails": {"marketplaceId": MARKETPLACE_ID, "marketplaceName": MARKETPLACE_NAME},
        "items": items,
    }


def _transaction_item(item: Item, quantity: int, *breakdowns: dict[str, Any]) -> dict[str, Any]:
    total = sum((Decimal(str(row["breakdownAmount"]["currencyAmount"])) for row in breakdowns), Decimal(0))
    context = {"contextType": "ProductContext", "asin": asin_of(item.sku), "sku": item.sku, "quantityShipped": quantity}
    return {
        "description": item.title,
        "totalAmount": _amount(total),
        "relatedIdentifiers": [
            {"itemRelatedIdentifierName": "ORDER_ADJUSTMENT_ITEM_ID", "itemRelatedIdentifierValue": item.item_id}
        ],
        "breakdowns": list(breakdowns),
        "contexts": [context],
    }


def shipment_transaction(order: OrderRecord, *, posted_at: datetime, number: int) -> dict[str, Any]:
    """Return what Amazon posts when an order was sent: the buyer's money less its fees."""
    items = []
    for item in order.items:
        tax = tax_in(item.goods - item.discount)
        fee = (item.goods * Decimal("0.15")).quantize(CENT)
        items.append(
            _transaction_item(
                item, item.fulfilled,
                _broken_down("ProductCharges", ("OurPricePrincipal", item.goods - item.discount - tax)),
                _broken_down("Tax", ("OurPriceTax", tax)),
                _broken_down("AmazonFees", ("Commission", -fee)),
            )
        )  # fmt: skip
    return _transaction(order, "Shipment", items, posted_at=posted_at, number=number, status="RELEASED")


def refund_transaction(
    order: OrderRecord, *, quantity: int, posted_at: datetime, number: int, status: str
) -> dict[str, Any]:
    """Return what Amazon posts when units of the first item were refunded."""
    item = order.items[0]
    gross = item.unit_price * quantity
    tax = tax_in(gross)
    fee = (gross * Decimal("0.15")).quantize(CENT)
    shown = _transaction_item(
        item, quantity,
        _broken_down("ProductCharges", ("OurPricePrincipal", tax - gross)),
        _broken_down("Tax", ("OurPriceTax", -tax)),
        _broken_down("AmazonFees", ("Commission", fee), ("RefundCommission", -(fee / 5).quantize(CENT))),
    )  # fmt: skip
    return _transaction(order, "Refund", [shown], posted_at=posted_at, number=number, status=status)


# -------------------------------------------------------------------------------------------------- flat files


def report_rows(order: OrderRecord) -> list[dict[str, str]]:
    """Return the rows of an order in a flat file."""
    rows = []
    for item in order.items:
        row = {
            "amazon-order-id": order.order_id, "merchant-order-id": order.order_id,
            "purchase-date": order.placed_at.isoformat(), "last-updated-date": order.updated_at.isoformat(),
            "order-status": _REPORT_STATUS[order.status],
            "fulfillment-channel": "Amazon" if order.fulfilled_by == "AMAZON" else "Merchant",
            "sales-channel": MARKETPLACE_NAME, "order-channel": "WebsiteOrderChannel", "ship-service-level": "Standard",
            "product-name": item.title, "sku": item.sku, "asin": asin_of(item.sku),
            "item-status": _REPORT_STATUS[order.status], "quantity": str(item.quantity),
            "ship-city": "A CITY", "ship-state": "A STATE", "ship-postal-code": "01000", "ship-country": "MX",
        }  # fmt: skip
        if order.is_priced:
            row |= {
                "currency": CURRENCY,
                "item-price": str(item.goods), "item-tax": str(tax_in(item.goods - item.discount)),
                "shipping-price": str(item.shipping) if item.shipping else "",
                "shipping-tax": str(tax_in(item.shipping)) if item.shipping else "",
                "gift-wrap-price": str(item.gift_wrap) if item.gift_wrap else "",
                "gift-wrap-tax": str(tax_in(item.gift_wrap)) if item.gift_wrap else "",
                "item-promotion-discount": str(item.discount) if item.discount else "",
                "promotion-ids": "PRACTICE-10" if item.discount else "",
            }  # fmt: skip
        rows.append(row)
    return rows


def flat_file(orders: list[OrderRecord], encoding: str) -> bytes:
    """Return the flat file of some orders, rows of one order apart from each other."""
    rows = [row for order in orders for row in report_rows(order)]
    rows = [*rows[::2], *rows[1::2]]
    lines = ["\t".join(REPORT_COLUMNS)]
    lines += ["\t".join(row.get(column, "") for column in REPORT_COLUMNS) for row in rows]
    return "\r\n".join([*lines, ""]).encode(encoding, "replace")
