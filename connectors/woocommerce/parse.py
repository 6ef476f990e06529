"""From WooCommerce's bytes to orders of the hub. Pure: no request, no clock.

What belongs here: splitting a raw page into records and reading one order. Not here: refunds (`parse_refunds`), the
meaning of statuses (`states`), how pages are fetched (`orders`).

A raw page is the channel's answer verbatim (a JSON array of orders); where refunds were fetched for some of them it is
the envelope `{"orders": <answer>, "refunds": [<answer>, ...], "order_refunds": {"<order id>": [<answer>, ...]}}` of
verbatim parts. The payload of an order with refunds is then `{"order": ..., "refunds": [...]}`.

Written for speed: one pass, amounts read once, no intermediate objects (a 5 KB order with three lines: see
docs/reference/channels/woocommerce.md for the measured time).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.woocommerce import parse_refunds
from connectors.woocommerce.fields import amount, instant, instant_or_none, plain_text
from connectors.woocommerce.parse_lines import charges, order_lines, tax_titles
from connectors.woocommerce.states import STATUSES, UNKNOWN, fulfilment_state, payment_state
from oms_hub.channel.answers import read_json
from oms_hub.channel.contract import Connection, Payload, RawRecord
from oms_hub.domain.orders import (
    Charge,
    ChargeKind,
    Customer,
    Discount,
    Order,
    OrderLine,
    OrderState,
    Payment,
    PaymentKind,
    Refund,
    Shipment,
    ShipmentLine,
)
from oms_hub.errors import BadPayload

KIND_ORDERS = "orders"
KIND_TOMBSTONES = "order_tombstones"
_ROUNDING_LIMIT = Decimal("0.01")
"""WooCommerce keeps line amounts with six decimals and rounds the order's total once: a difference below a hundredth is
that rounding, and stands as an explicit rounding charge; anything else is a mismatch."""


def split_page(kind: str, body: bytes) -> Sequence[RawRecord]:
    """Return the records of a raw page in order.

    Raises:
        BadPayload: the page is not JSON of the expected shape.
    """
    page = read_json(body).parsed
    if kind == KIND_TOMBSTONES:
        return [RawRecord(_record_id(row, index), row) for index, row in enumerate(_rows(page, kind))]
    if isinstance(page, dict):
        try:
            return _split_envelope(page)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadPayload("an envelope of orders and refunds cannot be read", where=kind) from error
    return records_of(_rows(page, kind))


def records_of(orders: Sequence[Any]) -> list[RawRecord]:
    """Return the records of a page's orders, as parsed."""
    return [RawRecord(_record_id(order, index), order, _modified_at(order)) for index, order in enumerate(orders)]


def parse_order(payloads: Sequence[Payload], connection: Connection) -> Order:
    """Return the order that a raw payload describes; the last payload is the newest snapshot.

    Raises:
        BadPayload: a field that matters is missing or is not what the channel's contract says.
    """
    payload = payloads[-1]
    refunds: Sequence[Any] | None = None
    if isinstance(payload, dict) and "order" in payload:
        payload, refunds = payload["order"], payload.get("refunds")
    if not isinstance(payload, dict):
        raise BadPayload("an order is not an object")
    try:
        return _parse(payload, refunds)
    except KeyError as error:
        raise BadPayload(f"the field {error.args[0]} is missing", where="order") from error
    except (TypeError, AttributeError) as error:
        raise BadPayload("a field has another type than the contract says", where="order") from error


def _rows(page: Any, kind: str) -> list[Any]:
    if not isinstance(page, list):
        raise BadPayload("a page is not a list", where=kind)
    return page


def _record_id(row: Any, index: int) -> str:
    identity = row.get("id") if isinstance(row, dict) else None
    return str(identity) if isinstance(identity, int | str) and identity != "" else f"position:{index}"


def _modified_at(order: Any) -> datetime | None:
    try:
        return instant(order["date_modified_gmt"], "date_modified_gmt")
    except (KeyError, TypeError, BadPayload):
        return None


def _split_envelope(page: dict[str, Any]) -> list[RawRecord]:
    refunds: dict[int, dict[int, Any]] = {}  # by id: neighbouring answers share a row
    for answer in page.get("refunds") or ():
        for refund in answer:
            refunds.setdefault(refund["parent_id"], {})[refund["id"]] = refund
    for order_id, answers in (page.get("order_refunds") or {}).items():
        refunds[int(order_id)] = {refund["id"]: refund for answer in answers for refund in answer}
    records = []
    for index, order in enumerate(_rows(page.get("orders"), KIND_ORDERS)):
        mine = refunds.get(order["id"]) if isinstance(order, dict) and "id" in order else None
        payload = {"order": order, "refunds": list(mine.values())} if mine is not None else order
        records.append(RawRecord(_record_id(order, index), payload, _modified_at(order)))
    return records


def _parse(order: dict[str, Any], refund_rows: Sequence[Any] | None) -> Order:
    status = order["status"]
    meaning = STATUSES.get(status, UNKNOWN)
    total = amount(order["total"], "total")
    modified_at = instant(order["date_modified_gmt"], "date_modified_gmt")
    paid_at = instant_or_none(order.get("date_paid_gmt"), "date_paid_gmt")
    completed_at = instant_or_none(order.get("date_completed_gmt"), "date_completed_gmt")
    if meaning.is_shipped and completed_at is None and status == "completed":
        completed_at = modified_at
    shipped_at = completed_at if meaning.is_shipped else None
    titles = tax_titles(order.get("tax_lines"))
    has_coupons = bool(order.get("coupon_lines"))
    lines = order_lines(order["line_items"], titles, has_coupons)
    refunds: tuple[Refund, ...] = ()
    if refund_rows is not None or order.get("refunds"):
        refunds, cancelled = parse_refunds.read(order, refund_rows, lines, shipped_at, modified_at)
        lines = parse_refunds.with_cancelled(lines, cancelled)
    returned = sum(line.quantity for refund in refunds for line in refund.lines) if shipped_at else 0
    currency = order["currency"]
    is_cancelled = meaning.state is OrderState.CANCELLED
    return Order(
        channel_order_id=str(order["id"]),
        label=plain_text(order.get("number")) or str(order["id"]),
        placed_at=instant(order["date_created_gmt"], "date_created_gmt"),
        updated_at=modified_at,
        state=meaning.state,
        payment_state=payment_state(status, meaning, paid_at is not None, total, parse_refunds.refunded_total(refunds)),
        fulfilment_state=fulfilment_state(shipped_at is not None, sum(line.quantity for line in lines), returned),
        currency=currency,
        total=total,
        channel_state=status,
        unknown_words=() if status in STATUSES else (status,),
        is_sale=meaning.is_sale,
        is_draft=meaning.is_draft,
        cancelled_at=modified_at if is_cancelled else None,
        closed_at=(completed_at or modified_at) if meaning.state is OrderState.CLOSED else None,
        lines=lines,
        charges=_with_rounding(total, lines, charges(order, titles)),
        discounts=_discounts(order.get("coupon_lines") or ()),
        payments=_payments(order, total, paid_at),
        refunds=refunds,
        shipments=_shipments(order["id"], lines, shipped_at),
        customer=_customer(order),
    )


def _with_rounding(total: Decimal, lines: Sequence[OrderLine], others: tuple[Charge, ...]) -> tuple[Charge, ...]:
    """Return the charges, with the shop's own rounding of the total among them where it rounded."""
    gap = total
    for line in lines:
        gap -= line.gross_amount - line.discount_amount - line.order_discount_amount
        for tax in line.taxes:
            gap -= tax.amount
    for charge in others:
        gap -= charge.amount
        for tax in charge.taxes:
            gap -= tax.amount
    if gap == 0 or abs(gap) >= _ROUNDING_LIMIT:
        return others
    return (*others, Charge("rounding", ChargeKind.ROUNDING, "Rounding of the total", gap))


def _discounts(rows: Sequence[Mapping[str, Any]]) -> tuple[Discount, ...]:
    return tuple(
        Discount(
            plain_text(row.get("code")),
            amount(row.get("discount"), "coupon_lines.discount"),
            plain_text(row.get("code")) or None,
        )
        for row in rows
    )


def _payments(order: Mapping[str, Any], total: Decimal, paid_at: datetime | None) -> tuple[Payment, ...]:
    if paid_at is None or total <= 0:
        return ()
    payment_id = plain_text(order.get("transaction_id")) or "paid"
    gateway = plain_text(order.get("payment_method"))
    return (Payment(payment_id, PaymentKind.SALE, total, order["currency"], paid_at, gateway),)


def _shipments(order_id: Any, lines: Sequence[OrderLine], shipped_at: datetime | None) -> tuple[Shipment, ...]:
    if shipped_at is None:
        return ()
    shipped = tuple(
        ShipmentLine(line.line_id, line.quantity - line.cancelled_quantity)
        for line in lines
        if line.quantity > line.cancelled_quantity
    )
    return (Shipment(f"completed:{order_id}", shipped_at, shipped, "completed"),) if shipped else ()


def _customer(order: Mapping[str, Any]) -> Customer | None:
    customer_id = order.get("customer_id")
    if not customer_id:
        return None
    country = (order.get("shipping") or {}).get("country") or (order.get("billing") or {}).get("country") or None
    return Customer(str(customer_id), country)
