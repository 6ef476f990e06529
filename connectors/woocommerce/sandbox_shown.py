"""How the practice shop's API shows its records as JSON.

What belongs here: the full form of each record, with the odd types of a real shop (11.0.1, 2026-11): numbers among the
strings, "" where nothing is, dates in the site's zone beside those in UTC. Not here: choosing fields (`sandbox_query`).
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from connectors.woocommerce.sandbox_records import Line, OrderRecord, Product, RefundRecord


def money(value: Decimal, decimals: int = 2) -> str:
    """Return an amount as the API writes it."""
    return str(value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP))


RATE_ID = 3
_RATE_PERCENT = 16.0


class Shown:
    """Shows records as the API does, in one site's time zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def order(self, order: OrderRecord, decimals: int) -> dict[str, Any]:
        """Return an order in full."""
        tax = sum((line.tax for line in order.lines), Decimal(0))
        discount = sum((line.subtotal - line.total for line in order.lines), Decimal(0))
        shown: dict[str, Any] = {
            "id": order.order_id,
            "parent_id": 0,
            "status": order.status,
            "currency": order.currency,
            "version": "11.0.1",
            "prices_include_tax": order.has_prices_with_tax,
            **self._dates("created", order.created_at),
            **self._dates("modified", order.modified_at),
            "discount_total": money(discount, decimals),
            "discount_tax": money(Decimal(0), decimals),
            "shipping_total": money(order.shipping or Decimal(0), decimals),
            "shipping_tax": money(order.shipping_tax, decimals),
            "cart_tax": money(tax, decimals),
            "total": money(order.total, decimals),
            "total_tax": money(tax + order.shipping_tax, decimals),
            "customer_id": order.customer_id,
            "order_key": f"wc_order_{order.order_id}",
            **_buyer(order),
            "payment_method": "bacs" if order.status == "on-hold" else "card",
            "payment_method_title": "Card",
            "transaction_id": f"tx-{order.order_id}" if order.paid_at else "",
            "created_via": "checkout",
            "customer_note": "",
            **self._dates("completed", order.completed_at),
            **self._dates("paid", order.paid_at),
            "cart_hash": "",
            "number": str(order.order_id),
            "meta_data": [{"id": order.order_id * 10, "key": "is_vat_exempt", "value": "no"}],
            "line_items": [_line(line, decimals) for line in order.lines],
            "tax_lines": _tax_lines(order, tax, decimals),
            "shipping_lines": _shipping_lines(order, decimals),
            "fee_lines": [_fee(fee, decimals) for fee in order.fees],
            "coupon_lines": [_coupon(coupon) for coupon in order.coupons],
            "refunds": [
                {"id": refund.refund_id, "reason": refund.reason, "total": "-" + money(refund.amount, decimals)}
                for refund in order.refunds
            ],
            "payment_url": "",
            "is_editable": order.status in {"pending", "on-hold"},
            "needs_payment": order.status in {"pending", "failed"},
            "needs_processing": True,
            "currency_symbol": "$",
        }
        if order.is_broken:
            shown.update(total="a broken record", line_items=None)
        return shown

    def refund(self, refund: RefundRecord, decimals: int, parent_id: int | None = None) -> dict[str, Any]:
        """Return a refund; with `parent_id` as the list of all refunds shows it."""
        shown: dict[str, Any] = {"id": refund.refund_id}
        if parent_id is not None:
            shown["parent_id"] = parent_id
        return {
            **shown,
            **self._dates("created", refund.created_at),
            "amount": money(refund.amount, decimals),
            "reason": refund.reason,
            "refunded_by": 1,
            "refunded_payment": False,
            "meta_data": [],
            "line_items": [_refund_line(refund.refund_id, part, decimals) for part in refund.lines],
            "shipping_lines": [],
            "tax_lines": [],
            "fee_lines": [],
        }

    def product(self, product: Product) -> dict[str, Any]:
        """Return a product or a variation."""
        tracked = product.manage_stock is not False
        shown: dict[str, Any] = {
            "id": product.product_id,
            "name": product.name,
            **self._dates("created", product.modified_at),
            **self._dates("modified", product.modified_at),
            "type": product.kind,
            "status": product.status,
            "sku": product.sku,
            "price": money(product.price),
            "regular_price": money(product.price),
            "sale_price": "",
            "manage_stock": product.manage_stock,
            "stock_quantity": product.stock if tracked else None,
            "stock_status": "outofstock" if tracked and (product.stock or 0) <= 0 else "instock",
            "backorders": "no",
            "backorders_allowed": False,
            "backordered": False,
            "parent_id": product.parent_id,
            "meta_data": [],
            "global_unique_id": product.barcode,
        }
        if not product.parent_id:
            shown["variations"] = list(product.variation_ids)
        return shown

    def _dates(self, name: str, moment: datetime | None) -> dict[str, str | None]:
        if moment is None:
            return {f"date_{name}": None, f"date_{name}_gmt": None}
        local = moment.astimezone(self._zone)
        shape = "%Y-%m-%dT%H:%M:%S"
        return {f"date_{name}": local.strftime(shape), f"date_{name}_gmt": moment.strftime(shape)}


def _buyer(order: OrderRecord) -> dict[str, Any]:
    """Return invented buyer data, which a connector has no business asking for."""
    country = ("MX", "MX", "US", "GT")[order.order_id % 4]
    address = {
        "first_name": "Buyer",
        "last_name": str(order.order_id),
        "company": "",
        "address_1": "Street 1",
        "address_2": "",
        "city": "Town",
        "state": "",
        "postcode": "01000",
        "country": country,
    }
    return {
        "billing": {**address, "email": f"buyer{order.order_id}@shop.invalid", "phone": "000"},
        "shipping": address,
        "customer_ip_address": "192.0.2.1",
        "customer_user_agent": "practice",
    }


def _taxes(amount: Decimal) -> list[dict[str, Any]]:
    return [{"id": RATE_ID, "total": str(amount.normalize() + 0), "subtotal": ""}] if amount else []


def _line(line: Line, decimals: int) -> dict[str, Any]:
    meta = []
    if line.reduced:
        meta.append(_meta(line.line_id * 10, "_reduced_stock", str(line.reduced)))
    if line.restocked:
        meta.append(_meta(line.line_id * 10 + 1, "_restock_refunded_items", str(line.restocked)))
    return {
        "id": line.line_id,
        "name": line.name,
        "product_id": line.product_id,
        "variation_id": line.variation_id,
        "quantity": line.quantity,
        "tax_class": "",
        "subtotal": money(line.subtotal, decimals),
        "subtotal_tax": money(line.tax, decimals),
        "total": money(line.total, decimals),
        "total_tax": money(line.tax, decimals),
        "taxes": _taxes(line.tax),
        "meta_data": meta,
        "sku": line.sku,
        "global_unique_id": None,
        "price": float(line.total / line.quantity) if line.quantity else 0,
        "image": {"id": "", "src": ""},
        "parent_name": None,
    }


def _meta(meta_id: int, key: str, value: str) -> dict[str, Any]:
    return {"id": meta_id, "key": key, "value": value, "display_key": key, "display_value": value}


def _refund_line(refund_id: int, part: tuple[Line, int, Decimal, Decimal], decimals: int) -> dict[str, Any]:
    line, units, amount, tax = part
    shown = _line(line, decimals)
    shown.update(
        id=refund_id * 100 + line.line_id % 100,
        quantity=-units,
        subtotal=money(-amount, decimals),
        subtotal_tax=money(-tax, decimals),
        total=money(-amount, decimals),
        total_tax=money(-tax, decimals),
        taxes=_taxes(-tax),
        meta_data=[_meta(refund_id * 100, "_refunded_item_id", str(line.line_id))],
    )
    return shown


def _tax_lines(order: OrderRecord, tax: Decimal, decimals: int) -> list[dict[str, Any]]:
    if not tax and not order.shipping_tax:
        return []
    return [
        {
            "id": order.order_id * 100 + 90,
            "rate_code": "MX-IVA-1",
            "rate_id": RATE_ID,
            "label": "IVA",
            "compound": False,
            "tax_total": money(tax, decimals),
            "shipping_tax_total": money(order.shipping_tax, decimals),
            "rate_percent": _RATE_PERCENT,
            "meta_data": [],
        }
    ]


def _shipping_lines(order: OrderRecord, decimals: int) -> list[dict[str, Any]]:
    if order.shipping is None:
        return []
    return [
        {
            "id": order.order_id * 100 + 91,
            "method_title": "Flat rate",
            "method_id": "flat_rate",
            "instance_id": "1",
            "total": money(order.shipping, decimals),
            "total_tax": money(order.shipping_tax, decimals),
            "taxes": _taxes(order.shipping_tax),
            "meta_data": [],
        }
    ]


def _fee(fee: tuple[int, str, Decimal], decimals: int) -> dict[str, Any]:
    return {
        "id": fee[0],
        "name": fee[1],
        "tax_class": "",
        "tax_status": "none",
        "amount": "",
        "total": money(fee[2], decimals),
        "total_tax": money(Decimal(0), decimals),
        "taxes": [{"id": RATE_ID, "total": "", "subtotal": ""}],
        "meta_data": [],
    }


def _coupon(coupon: tuple[int, str, Decimal]) -> dict[str, Any]:
    return {
        "id": coupon[0],
        "code": coupon[1],
        "discount": str(coupon[2].normalize() + 0),
        "discount_tax": "0",
        "meta_data": [],
        "discount_type": "percent",
        "nominal_amount": 10.0,
        "free_shipping": False,
    }
