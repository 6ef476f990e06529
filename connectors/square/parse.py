"""From Square's bytes to orders of the hub. Pure: no request, no clock.

What belongs here: splitting a page, the head of an order, what was paid. Not here: lines and charges (`parse_lines`),
goods that left (`parse_shipments`), what came back (`parse_returns`), how pages are fetched (`walk`).

At Square every return is an order of its own that names its sale; an exchange is one order with both a return and a new
sale. An order without a sale becomes a credit note; of an exchange the sale keeps the id, and the return is the credit
note `ID:returns`, so that the goods that came back and those that left never cancel each other.

A page is the answer verbatim, `{"orders": [...]}`; where goods came back, it is the envelope
`{"orders": <answer>, "changes": [<answer>, ...]}` with the inventory changes around these returns, because an order
does not say whether they went back to the shelf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.square.fields import Reading, Row, instant, maybe_instant, rows, text
from connectors.square.parse_lines import read_charges, read_discounts, read_lines, read_taxes, total_of
from connectors.square.parse_returns import read_refund, restocks_of
from connectors.square.parse_shipments import Goods, read_goods
from oms_hub.channel.answers import read_json
from oms_hub.channel.contract import Connection, Payload, RawRecord
from oms_hub.domain.orders import (
    ZERO,
    Customer,
    FulfilmentState,
    Order,
    OrderKind,
    OrderLine,
    OrderState,
    Payment,
    PaymentKind,
    PaymentState,
)
from oms_hub.domain.pull_windows import from_text
from oms_hub.errors import BadPayload

KIND_ORDERS = "orders"
KIND_TOMBSTONES = "order_tombstones"
RETURNS = ":returns"
"""Ends the id of the credit note of an exchange."""
_STATES = ("OPEN", "COMPLETED", "CANCELED", "DRAFT")
_TENDER_STATES = {"AUTHORIZED": PaymentKind.AUTHORISATION, "VOIDED": PaymentKind.VOID}


def split_page(kind: str, body: bytes) -> Sequence[RawRecord]:
    """Return the records of a raw page in order.

    Raises:
        BadPayload: the page is not what this connector stores.
    """
    page = read_json(body).parsed
    if not isinstance(page, dict):
        raise BadPayload("a page is not an object", where=kind)
    if kind == KIND_TOMBSTONES:
        return [RawRecord(str(row["id"]), row) for row in rows(page, "orders")]
    answer, changes = page, []
    if isinstance(page.get("orders"), dict):
        answer = page["orders"]
        for part in rows(page, "changes"):
            changes.extend(rows(part, "changes"))
    found = answer.get("orders")
    if found is not None and not isinstance(found, list):
        raise BadPayload("orders is not a list", where=kind)
    return records_of(found or (), changes)


def records_of(orders: Sequence[Any], changes: Sequence[Row]) -> list[RawRecord]:
    """Return the records of a page's orders; an exchange gives two."""
    records: list[RawRecord] = []
    for index, order in enumerate(orders):
        identity = order.get("id") if isinstance(order, dict) else None
        if not isinstance(identity, str) or not identity:
            records.append(RawRecord(f"position:{index}", order))
            continue
        stamp = changed_at(order)
        if not order.get("returns"):
            records.append(RawRecord(identity, order, stamp))
            continue
        returned = {"order": order, "part": "returns", "restocks": restocks_of(order, changes)}
        if order.get("line_items"):
            records.append(RawRecord(identity, {"order": order, "part": "sale"}, stamp))
            records.append(RawRecord(identity + RETURNS, returned, stamp))
        else:
            records.append(RawRecord(identity, returned, stamp))
    return records


def changed_at(order: Any) -> datetime | None:
    """Return when an order changed, None where that cannot be read (`parse_order` then says what is wrong)."""
    try:
        return from_text(order["updated_at"])
    except (KeyError, TypeError, ValueError):
        return None


def parse_order(payloads: Sequence[Payload], connection: Connection) -> Order:
    """Return the order that a raw payload describes; the last payload is the newest snapshot.

    Raises:
        BadPayload: names the place that is not what the published description says.
    """
    payload = payloads[-1]
    part = ""
    restocks: Sequence[Row] = ()
    if isinstance(payload, dict) and "part" in payload:
        part, restocks, payload = payload["part"], payload.get("restocks") or (), payload["order"]
    if not isinstance(payload, dict):
        raise BadPayload("an order is not an object", where="order")
    try:
        reading = Reading(_currency(payload, connection))
        return _credit_note(reading, payload, restocks) if part == "returns" else _sale(reading, payload)
    except KeyError as error:
        raise BadPayload(f"the field {error.args[0]} is missing", where="order") from error
    except (TypeError, AttributeError) as error:
        raise BadPayload("a field has another type than the description says", where="order") from error


def _currency(order: Row, connection: Connection) -> str:
    amounts = (order.get("total_money"), (order.get("return_amounts") or {}).get("total_money"))
    return next((found["currency"] for found in amounts if found and found.get("currency")), connection.currency)


def _sale(reading: Reading, order: Row) -> Order:
    taxes = read_taxes(order)
    lines = read_lines(reading, order, taxes)
    goods = read_goods(reading, order, lines)
    total = total_of(reading, order, lines)
    payments = _payments(reading, order)
    word = text(order, "state") or "OPEN"
    reading.knows("order state", word, _STATES)
    state = _state(word, goods)
    updated_at = instant(order, "updated_at", "order")
    return Order(
        channel_order_id=order["id"],
        label=_label(order),
        placed_at=instant(order, "created_at", "order"),
        updated_at=updated_at,
        state=state,
        payment_state=_payment_state(reading, order, word, payments, total),
        fulfilment_state=_fulfilment_state(goods, lines),
        currency=reading.currency,
        total=total,
        kind=goods.kind,
        version=_version(order),
        channel_state=word,
        channel_fulfilment_state=goods.words,
        unknown_words=tuple(dict.fromkeys(reading.unknown_words)),
        is_sale=word == "COMPLETED",
        is_draft=word == "DRAFT" or _is_open_ticket(word, goods, payments),
        taxes_included=any(tax.is_included for tax in taxes.values()),
        cancelled_at=(_closed_at(order) or updated_at) if state is OrderState.CANCELLED else None,
        closed_at=_closed_at(order) if state is OrderState.CLOSED else None,
        ship_by_at=goods.due_at,
        lines=goods.lines,
        charges=read_charges(reading, order, taxes),
        discounts=read_discounts(reading, order),
        payments=payments,
        shipments=goods.shipments,
        customer=_customer(order),
    )


def _credit_note(reading: Reading, order: Row, restocks: Sequence[Row]) -> Order:
    lines, refund, source = read_refund(reading, order, restocks)
    closed_at = _closed_at(order) or refund.refunded_at
    word = text(order, "state") or "OPEN"
    reading.knows("order state", word, _STATES)
    is_open = word in {"OPEN", "DRAFT"}
    is_kept = word != "CANCELED" and not is_open
    return Order(
        channel_order_id=order["id"] + (RETURNS if order.get("line_items") else ""),
        label=f"return of {source}" if source else "return without a sale",
        placed_at=instant(order, "created_at", "order"),
        updated_at=instant(order, "updated_at", "order"),
        state=OrderState.OPEN if is_open else OrderState.CLOSED if is_kept else OrderState.CANCELLED,
        payment_state=PaymentState.REFUNDED if is_kept else PaymentState.UNPAID,
        fulfilment_state=FulfilmentState.RETURNED if is_kept else FulfilmentState.UNFULFILLED,
        currency=reading.currency,
        total=ZERO,
        kind=OrderKind.CREDIT_NOTE,
        version=_version(order),
        channel_state=word,
        unknown_words=tuple(dict.fromkeys(reading.unknown_words)),
        is_sale=is_kept,
        is_draft=is_open,
        cancelled_at=closed_at if word == "CANCELED" else None,
        closed_at=closed_at if is_kept else None,
        lines=lines,
        refunds=(refund,) if is_kept else (),
        payments=_refunded(reading, order) if is_kept else (),
        customer=_customer(order),
    )


def _is_open_ticket(word: str, goods: Goods, payments: Sequence[Payment]) -> bool:
    """Return whether this is a table's or counter's bill that is still being written: nobody waits for its payment."""
    return word == "OPEN" and goods.kind is OrderKind.POS and not payments


def _label(order: Row) -> str:
    return text(order, "ticket_name") or text(order, "reference_id") or str(order["id"])


def _version(order: Row) -> int:
    found = order.get("version")
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def _closed_at(order: Row) -> datetime | None:
    return maybe_instant(order, "closed_at", "order")


def _customer(order: Row) -> Customer | None:
    found = text(order, "customer_id")
    return Customer(found) if found else None


def _state(word: str, goods: Goods) -> OrderState:
    """Return the state; an order that Square calls completed stays open while some of its goods are still to leave."""
    if word == "CANCELED":
        return OrderState.CANCELLED
    if word == "COMPLETED" and not goods.is_waiting:
        return OrderState.CLOSED
    return OrderState.OPEN


def _payments(reading: Reading, order: Row) -> tuple[Payment, ...]:
    """Return tenders, tips included, and refunds that were paid."""
    found = []
    for index, tender in enumerate(rows(order, "tenders")):
        where = f"tenders[{index}]"
        word = text(tender.get("card_details") or {}, "status")
        amount = reading.money(tender, "amount_money", where)
        if amount:
            found.append(
                Payment(
                    payment_id=text(tender, "payment_id") or text(tender, "id") or where,
                    kind=_TENDER_STATES.get(word, PaymentKind.SALE),
                    amount=amount,
                    currency=reading.currency,
                    processed_at=maybe_instant(tender, "created_at", where) or instant(order, "created_at", "order"),
                    gateway=text(tender, "type").lower(),
                    is_successful=word != "FAILED",
                )
            )
    # of an exchange, the credit note tells what was paid back
    return (*found, *(() if order.get("returns") else _refunded(reading, order)))


def _refunded(reading: Reading, order: Row) -> tuple[Payment, ...]:
    return tuple(
        Payment(
            payment_id=f"refund:{refund['id']}",
            kind=PaymentKind.REFUND,
            amount=reading.money(refund, "amount_money", f"refunds[{index}]"),
            currency=reading.currency,
            processed_at=maybe_instant(refund, "created_at", f"refunds[{index}]")
            or instant(order, "updated_at", "order"),
            is_successful=text(refund, "status") == "APPROVED",
        )
        for index, refund in enumerate(rows(order, "refunds"))
        if refund.get("status") != "PENDING"
    )


def _payment_state(
    reading: Reading, order: Row, word: str, payments: Sequence[Payment], total: Decimal
) -> PaymentState:
    sums: dict[PaymentKind, Decimal] = {}
    for payment in payments:
        if payment.is_successful:
            sums[payment.kind] = sums.get(payment.kind, ZERO) + payment.amount
    paid, refunded = sums.get(PaymentKind.SALE, ZERO), sums.get(PaymentKind.REFUND, ZERO)
    due = reading.maybe_money(order, "net_amount_due_money", "order")
    is_settled = word == "COMPLETED" or paid >= total or (due is not None and due <= 0 and paid > 0)
    if refunded > 0:
        return PaymentState.REFUNDED if refunded >= max(paid, total) else PaymentState.PARTIALLY_REFUNDED
    if is_settled and (paid > 0 or word == "COMPLETED"):
        return PaymentState.PAID
    if paid > 0:
        return PaymentState.PARTIALLY_PAID
    if PaymentKind.AUTHORISATION in sums:
        return PaymentState.AUTHORISED
    return PaymentState.VOIDED if word == "CANCELED" else PaymentState.UNPAID


def _fulfilment_state(goods: Goods, lines: Sequence[OrderLine]) -> FulfilmentState:
    if not goods.shipments:
        is_done = goods.kind is OrderKind.POS and goods.is_sold and not any(line.needs_stock for line in lines)
        return FulfilmentState.FULFILLED if is_done else FulfilmentState.UNFULFILLED
    shipped: Mapping[str, int] = goods.shipped()
    is_whole = all(shipped.get(line.line_id, 0) >= line.quantity for line in lines if line.needs_stock)
    return FulfilmentState.FULFILLED if is_whole else FulfilmentState.PARTIAL
