"""From raw pages to orders of the hub. Pure: no request, no clock.

What belongs here: splitting a page into records and putting one order together. Not here: lines and money
(`parse_lines`, `parse_payments`), shipments, claims and returns (`parse_after_sale`), the words' meaning (`states`).

A raw page is `{"orders": [{"order": <answer>, "shipment": <answer>, ...}, ...]}`: each record is the order with its
parts as `parts` read them, without what tells who the buyer is.

A Mercado Libre order is an order here, also where a cart made several of them at once (a pack): each is paid,
cancelled, claimed and returned on its own (docs/adr/0011). The pack is its label, and the cart's shipping stands on
the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.mercadolibre.fields import amount, moment, moment_or_none, plain_text, updated_at
from connectors.mercadolibre.parse_after_sale import returns, shipments
from connectors.mercadolibre.parse_fees import channel_fees
from connectors.mercadolibre.parse_lines import order_lines, seller_coupons, shipping_charges
from connectors.mercadolibre.parse_payments import payments, refunds
from connectors.mercadolibre.settings import SITES
from connectors.mercadolibre.states import (
    AUTHORISED,
    CANCELLED,
    ORDER_STATUSES,
    SALES,
    has_left,
    is_known_payment,
    is_known_shipment,
    order_state,
    payment_state,
)
from oms_hub.channel.answers import read_json
from oms_hub.channel.contract import Connection, Payload, RawRecord
from oms_hub.domain.orders import (
    ZERO,
    Charge,
    Customer,
    FulfilmentState,
    Order,
    OrderKind,
    OrderLine,
    Payment,
    PaymentKind,
    PaymentState,
    Refund,
    Return,
    Shipment,
)
from oms_hub.errors import BadPayload

KIND_ORDERS = "orders"
KIND_TOMBSTONES = "order_tombstones"
_FULL = "fulfillment"


def split_page(kind: str, body: bytes) -> Sequence[RawRecord]:
    """Return the records of a raw page in order.

    Raises:
        BadPayload: the page is not JSON of the expected shape.
    """
    page = read_json(body).parsed
    if kind == KIND_TOMBSTONES:
        return [RawRecord(str(row["id"]), row) for row in page if isinstance(row, dict)]
    rows = page.get("orders") if isinstance(page, dict) else None
    if not isinstance(rows, list):
        raise BadPayload("a page holds no list of orders", where=kind)
    return records_of(rows)


def records_of(payloads: Sequence[Any]) -> list[RawRecord]:
    """Return the records of a page's payloads."""
    found = []
    for index, payload in enumerate(payloads):
        order = payload.get("order") if isinstance(payload, dict) else None
        identity = order.get("id") if isinstance(order, dict) else None
        changed_at = updated_at(order) if isinstance(order, dict) else None
        found.append(RawRecord(str(identity) if identity else f"position:{index}", payload, changed_at))
    return found


def parse_order(payloads: Sequence[Payload], connection: Connection) -> Order:
    """Return the order that a raw payload describes; the last payload is the newest snapshot.

    Raises:
        BadPayload: a field that matters is missing or is not what the channel's contract says.
    """
    payload = payloads[-1]
    if not isinstance(payload, dict) or not isinstance(payload.get("order"), dict):
        raise BadPayload("an order is not an object")
    try:
        return _parse(payload["order"], payload, connection)
    except KeyError as error:
        raise BadPayload(f"the field {error.args[0]} is missing", where="order") from error
    except (TypeError, AttributeError) as error:
        raise BadPayload("a field has another type than the contract says", where="order") from error


def _parse(order: Mapping[str, Any], parts: Mapping[str, Any], connection: Connection) -> Order:
    status, tags = plain_text(order["status"]), order.get("tags") or ()
    changed_at = updated_at(order)
    if changed_at is None:
        raise BadPayload("an order has no time of change", where="last_updated")
    placed_at = moment(order["date_created"], "date_created")
    shipment = parts.get("shipment") or {}
    left = has_left(shipment.get("status"), shipment.get("substatus"))
    is_cancelled = status in CANCELLED
    is_full = _is_full(shipment, parts)
    lines = order_lines(order, parts, never_left=is_cancelled and not left, needs_stock=not is_full)
    charges = shipping_charges(order, parts)
    total = _total(order, parts, charges)
    sent = shipments(shipment, parts.get("history") or (), lines, changed_at)
    paid = payments(order, placed_at)
    went_back = refunds(order, lines, charges, total, placed_at)
    came_back = returns(order, parts, lines)
    is_sale = status in SALES or status not in ORDER_STATUSES
    delivered_at = next((each.delivered_at for each in sent if each.delivered_at), None)
    return Order(
        channel_order_id=str(order["id"]),
        label=plain_text(order.get("pack_id") or order["id"]),
        placed_at=placed_at,
        updated_at=changed_at,
        state=order_state(status, tags, is_delivered=shipment.get("status") == "delivered"),
        payment_state=_payment_state(status, order, paid, went_back),
        fulfilment_state=_fulfilment_state(sent, lines, came_back),
        currency=order["currency_id"],
        total=total,
        kind=OrderKind.MARKETPLACE_FULFILLED if is_full else OrderKind.STANDARD,
        channel_state=status,
        channel_payment_state=_payment_words(order),
        channel_fulfilment_state=_fulfilment_words(shipment),
        unknown_words=_unknown_words(status, order, shipment),
        is_sale=is_sale,
        is_test="test_order" in tags,
        taxes_included=True,
        cancelled_at=_cancelled_at(order, changed_at) if is_cancelled else None,
        closed_at=None if is_cancelled else delivered_at,
        ship_by_at=_deadline(shipment, "estimated_schedule_limit"),
        deliver_by_at=_deadline(shipment, "estimated_delivery_time"),
        lines=lines,
        charges=charges,
        payments=paid,
        refunds=went_back,
        returns=came_back,
        shipments=sent,
        channel_fees=channel_fees(order, lines, paid, placed_at) if is_sale else (),
        customer=_customer(order, shipment, connection),
    )


def _total(order: Mapping[str, Any], parts: Mapping[str, Any], charges: Sequence[Charge]) -> Decimal:
    """Return what the order is worth: goods, less the seller's coupons, with taxes on top and shipping."""
    total = amount(order["total_amount"], "total_amount") - seller_coupons(parts)
    total += amount((order.get("taxes") or {}).get("amount"), "taxes.amount")
    return sum((charge.amount for charge in charges), total)


def _payment_state(
    status: str, order: Mapping[str, Any], paid: Sequence[Payment], went_back: Sequence[Refund]
) -> PaymentState:
    came = (each.amount for each in paid if each.kind is PaymentKind.SALE and each.is_successful)
    return payment_state(
        status,
        paid=sum(came, ZERO),
        refunded=sum((each.paid_amount for each in went_back), ZERO),
        is_authorised=any(row.get("status") == AUTHORISED for row in order.get("payments") or ()),
    )


def _payment_words(order: Mapping[str, Any]) -> str:
    return " ".join(sorted({plain_text(row.get("status")) for row in order.get("payments") or ()}))


def _is_full(shipment: Mapping[str, Any], parts: Mapping[str, Any]) -> bool:
    """Return whether Mercado Libre sends the goods from its own warehouse (Full): these never touch own stock.

    The shipment decides; right after the sale there is none yet, and then how the item is stored does.
    """
    if shipment:
        told = (shipment.get("logistic") or {}).get("type") or shipment.get("logistic_type")
        return bool(told == _FULL)
    stored = [each.get("logistic_type") for each in parts.get("items") or ()]
    return bool(stored) and all(each == _FULL for each in stored)


def _fulfilment_state(
    sent: Sequence[Shipment], lines: Sequence[OrderLine], came_back: Sequence[Return]
) -> FulfilmentState:
    if not sent:
        return FulfilmentState.UNFULFILLED
    units = sum(row.quantity for each in came_back if each.status in {"delivered", "returned"} for row in each.lines)
    return FulfilmentState.RETURNED if 0 < sum(line.quantity for line in lines) <= units else FulfilmentState.FULFILLED


def _fulfilment_words(shipment: Mapping[str, Any]) -> str:
    words = (shipment.get("status"), shipment.get("substatus"))
    return " ".join(plain_text(word) for word in words if word)


def _unknown_words(status: str, order: Mapping[str, Any], shipment: Mapping[str, Any]) -> tuple[str, ...]:
    found = [] if status in ORDER_STATUSES else [status]
    if shipment and not is_known_shipment(shipment.get("status")):
        found.append(plain_text(shipment.get("status")))
    for row in order.get("payments") or ():
        if not is_known_payment(row.get("status")):
            found.append(plain_text(row.get("status")))
    return tuple(dict.fromkeys(found))


def _cancelled_at(order: Mapping[str, Any], changed_at: datetime) -> datetime:
    detail = order.get("cancel_detail")
    told = detail.get("date") if isinstance(detail, dict) else None
    return moment_or_none(told) or changed_at


def _deadline(shipment: Mapping[str, Any], name: str) -> datetime | None:
    return moment_or_none(((shipment.get("lead_time") or {}).get(name) or {}).get("date"))


def _customer(order: Mapping[str, Any], shipment: Mapping[str, Any], connection: Connection) -> Customer | None:
    buyer = order.get("buyer") or {}
    if not buyer.get("id"):
        return None
    address = (shipment.get("destination") or {}).get("shipping_address") or {}
    country = (address.get("country") or {}).get("id")
    if not country:
        country = SITES.get(connection.settings.get("site", "").upper(), (None,))[0]
    return Customer(str(buyer["id"]), country)
