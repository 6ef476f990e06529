"""One raw record to one `Order`: the entry point and the order's own states.

What belongs here: the order as a whole. Not here: lines, charges and discounts (`parse_money`), refunds, returns,
shipments and payments (`parse_events`).

The order is kept as placed: quantities and `totalPriceSet` before returns and removals, because sales are counted on
the order's day and what came off later is a fact of its own (a refund). Lines added by a later edit are part of both.
Documented in docs/reference/channels/shopify.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import orjson

from connectors.shopify.documents import ROWS_MAX
from connectors.shopify.fields import Node, Reading
from connectors.shopify.parse_events import Events, read_events
from connectors.shopify.parse_money import read_charges, read_discounts, read_lines
from oms_hub.channel.contract import Connection, Payload, RawRecord
from oms_hub.domain.orders import (
    Customer,
    FulfilmentState,
    Order,
    OrderKind,
    OrderLine,
    OrderState,
    PaymentKind,
    PaymentState,
)
from oms_hub.errors import BadPayload

_PAYMENT_STATES = {
    "PENDING": PaymentState.UNPAID,
    "AUTHORIZED": PaymentState.AUTHORISED,
    "PARTIALLY_PAID": PaymentState.PARTIALLY_PAID,
    "PAID": PaymentState.PAID,
    "PARTIALLY_REFUNDED": PaymentState.PARTIALLY_REFUNDED,
    "REFUNDED": PaymentState.REFUNDED,
    "VOIDED": PaymentState.VOIDED,
    "EXPIRED": PaymentState.VOIDED,
}
_FULFILMENT_STATES = {
    "FULFILLED": FulfilmentState.FULFILLED,
    "FULFILLMENT_NOT_REQUIRED": FulfilmentState.FULFILLED,
    "PARTIALLY_FULFILLED": FulfilmentState.PARTIAL,
    **dict.fromkeys(
        (
            "UNFULFILLED",
            "OPEN",
            "IN_PROGRESS",
            "ON_HOLD",
            "PENDING_FULFILLMENT",
            "REQUEST_DECLINED",
            "RESTOCKED",
            "SCHEDULED",
        ),
        FulfilmentState.UNFULFILLED,
    ),
}
_RETURN_WORDS = ("NO_RETURN", "RETURN_REQUESTED", "IN_PROGRESS", "INSPECTION_COMPLETE", "RETURNED", "RETURN_FAILED")


def split_page(kind: str, body: bytes) -> Sequence[RawRecord]:
    """Return the records of a raw page, in order.

    A record without an id gets one from its content, so that it can be quarantined on its own.

    Raises:
        BadPayload: the page is no envelope of records.
    """
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadPayload("the page is not JSON", where=kind) from None
    records = page.get("records") if isinstance(page, dict) else None
    if not isinstance(records, list):
        raise BadPayload("the page is no list of records", where=kind)
    return [_raw_record(record) for record in records]


def _raw_record(record: Any) -> RawRecord:
    identifier = record.get("id") if isinstance(record, dict) else None
    if not isinstance(identifier, str) or not identifier:
        digest = blake2b(orjson.dumps(record, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
        return RawRecord(f"unidentified:{digest}", record)
    head = record.get("head")
    updated_at = None
    if isinstance(head, dict):
        try:
            updated_at = Node(head, "head").maybe_instant("updatedAt")
        except BadPayload:
            updated_at = None  # parse_order says what is wrong, for this record alone
    return RawRecord(identifier, record, updated_at)


def parse_order(payloads: Sequence[Payload], _connection: Connection) -> Order:
    """Return the order of a record.

    Args:
        payloads: the newest record last; only that one counts, each is the whole order.
        _connection: not needed: a Shopify order names its currency and its instants.

    Raises:
        BadPayload: names the place that is not what the published schema says.
    """
    reading, head = _read_record(payloads[-1])
    events = read_events(reading, head)
    lines = read_lines(reading, head, events)
    total = reading.money(head, "totalPriceSet")
    presentment = head.child("totalPriceSet").maybe_child("presentmentMoney")
    charges = read_charges(reading, head, lines, total)
    words = _Words.of(head)
    return Order(
        channel_order_id=head.text("id"),
        label=head.text("name"),
        placed_at=head.instant("processedAt"),
        updated_at=head.instant("updatedAt"),
        state=_state(head, words),
        payment_state=_payment_state(reading, words.payment, events, total),
        fulfilment_state=_fulfilment_state(reading, words, events),
        currency=reading.currency,
        total=total,
        kind=_kind(head, lines, events),
        channel_state=words.order,
        channel_payment_state=words.payment,
        channel_fulfilment_state=words.fulfilment,
        is_test=head.flag("test"),
        taxes_included=reading.taxes_included,
        presentment_currency=None if presentment is None else presentment.text("currencyCode"),
        presentment_total=None if presentment is None else presentment.decimal("amount"),
        cancelled_at=head.maybe_instant("cancelledAt"),
        closed_at=head.maybe_instant("closedAt"),
        ship_by_at=events.ship_by_at,
        lines=lines,
        charges=charges,
        discounts=read_discounts(reading, head),
        payments=events.payments,
        refunds=events.refunds,
        returns=events.returns,
        shipments=events.shipments,
        customer=_customer(head),
        unknown_words=tuple(reading.unknown_words),
        remarks=_remarks(head),
    )


def _read_record(record: Any) -> tuple[Reading, Node]:
    if not isinstance(record, dict) or not isinstance(record.get("head"), dict):
        raise BadPayload("the record holds no order", where="head")
    head = Node(record["head"], "head")
    parts = {(part.text("__typename"), part.text("id")): part for part in Node(record, "record").rows("parts")}
    return Reading(head.text("currencyCode"), head.flag("taxesIncluded"), parts), head


class _Words:
    """The channel's own words for the three states."""

    def __init__(self, order: str, payment: str, fulfilment: str, returned: str) -> None:
        self.order, self.payment, self.fulfilment, self.returned = order, payment, fulfilment, returned

    @classmethod
    def of(cls, head: Node) -> _Words:
        if head.has("cancelledAt"):
            order = f"CANCELLED {head.maybe_text('cancelReason') or ''}".strip()
        else:
            order = "CLOSED" if head.has("closedAt") else "OPEN"
        return cls(
            order,
            head.maybe_text("displayFinancialStatus") or "",
            head.text("displayFulfillmentStatus"),
            head.maybe_text("returnStatus") or "",
        )


def _state(head: Node, words: _Words) -> OrderState:
    if head.has("cancelledAt"):
        return OrderState.CANCELLED
    if head.has("closedAt"):
        return OrderState.CLOSED
    return OrderState.ON_HOLD if words.fulfilment == "ON_HOLD" else OrderState.OPEN


def _payment_state(reading: Reading, word: str, events: Events, total: Decimal) -> PaymentState:
    if word and reading.knows("payment status", word, tuple(_PAYMENT_STATES)):
        return _PAYMENT_STATES[word]
    paid = sum(
        (
            payment.amount
            for payment in events.payments
            if payment.is_successful and payment.kind in {PaymentKind.SALE, PaymentKind.CAPTURE}
        ),
        Decimal(0),
    )
    if paid <= 0:
        return PaymentState.UNPAID
    return PaymentState.PAID if paid >= total else PaymentState.PARTIALLY_PAID


def _fulfilment_state(reading: Reading, words: _Words, events: Events) -> FulfilmentState:
    if words.returned:
        reading.knows("return status", words.returned, _RETURN_WORDS)
    is_known = reading.knows("fulfilment status", words.fulfilment, tuple(_FULFILMENT_STATES))
    state = _FULFILMENT_STATES[words.fulfilment] if is_known else FulfilmentState.UNFULFILLED
    if state is FulfilmentState.FULFILLED and words.returned == "RETURNED":
        return FulfilmentState.RETURNED
    if state is FulfilmentState.UNFULFILLED and events.shipments:
        return FulfilmentState.PARTIAL
    return state


def _kind(head: Node, lines: Sequence[OrderLine], events: Events) -> OrderKind:
    """Return how the goods reach the buyer.

    A till order is one whose goods left at once; one that a till took and that is still to be sent holds stock like
    any other. Fulfilment services (3PL) ship the merchant's own goods: standard.
    """
    if events.is_pickup:
        return OrderKind.PICKUP
    if head.maybe_text("sourceName") == "pos" and all(
        events.shipped.get(line.line_id, 0) + line.cancelled_quantity >= line.quantity
        for line in lines
        if line.needs_stock
    ):
        return OrderKind.POS
    return OrderKind.STANDARD


def _customer(head: Node) -> Customer | None:
    customer = head.maybe_child("customer")
    return None if customer is None else Customer(customer.text("id"))


def _remarks(head: Node) -> tuple[str, ...]:
    return tuple(
        f"Shopify lists at most {ROWS_MAX} {name} of an order, and this one has reached that"
        for name in ("refunds", "fulfillments", "transactions")
        if len(head.rows(name)) >= ROWS_MAX
    )
