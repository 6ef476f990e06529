"""From Amazon's records to orders of the hub. Pure: no request, no clock.

What belongs here: which record stands, states, the order as a whole. Not here: money of items (`parse_money`), what
left (`parse_shipments`), refunds (`parse_refunds`), fees (`parse_fees`), flat files (`parse_report`), shapes of pages
(`pages`).

Of the API's versions the one with the latest `lastUpdatedTime` stands; a flat file only where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.amazon.fields import instant, instant_or_none, mapping, money, rows, words
from connectors.amazon.marketplaces import currency_of
from connectors.amazon.parse_fees import read_fees
from connectors.amazon.parse_money import Proceeds, delivery_tip, item_charges, order_line, read_proceeds
from connectors.amazon.parse_refunds import read_refunds
from connectors.amazon.parse_report import order_of_report
from connectors.amazon.parse_shipments import first_seen_at, shipments
from connectors.amazon.states import (
    PROGRAMS_PICKUP,
    PROGRAMS_PREORDER,
    REPLACEMENT,
    STATUSES,
    UNSHIPPED,
    Meaning,
)
from oms_hub.channel.contract import Connection, Payload
from oms_hub.domain.orders import (
    ZERO,
    Charge,
    Discount,
    FulfilmentState,
    Order,
    OrderKind,
    OrderLine,
    OrderState,
    PaymentState,
    stated_total,
)
from oms_hub.errors import BadPayload

UNSEEN = "UNSEEN"
"""The state of an order of which only money that moved is known: older than the history that was read."""


def parse_order(payloads: Sequence[Payload], connection: Connection) -> Order:
    """Return the order that its records describe, in landing order.

    Raises:
        BadPayload: a field that matters is missing or is not what the contract says.
    """
    records = [mapping(payload, "record") for payload in payloads]
    transactions = [record for record in records if "relatedIdentifiers" in record]
    reports = [record for record in records if "rows" in record]
    versions = [record for record in records if "relatedIdentifiers" not in record and "rows" not in record]
    try:
        if versions:
            order = _order(_newest(versions), versions, connection)
        elif reports:
            order = max(
                (order_of_report(record, currency=_main_currency(connection)) for record in reports),
                key=lambda found: found.updated_at,
            )
        else:
            order = _unseen(transactions, connection)
    except KeyError as error:
        raise BadPayload(f"the field {error.args[0]} is missing", where="order") from error
    fees = read_fees(transactions, currency=order.currency)
    return _with_refunds(replace(order, channel_fees=fees), transactions)


def _newest(versions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the version with the latest time of change; of equal ones the last that landed."""
    last = versions[-1]
    times = []
    for place, version in enumerate(versions):
        try:
            times.append((instant(version.get("lastUpdatedTime"), "lastUpdatedTime"), place))
        except BadPayload:
            if version is last:
                raise
    return versions[max(times)[1]]


def _order(version: Mapping[str, Any], versions: Sequence[Mapping[str, Any]], connection: Connection) -> Order:
    fulfilment = mapping(version.get("fulfillment"), "fulfillment")
    status = words(fulfilment.get("fulfillmentStatus"))
    meaning = STATUSES.get(status, UNSHIPPED)
    sales = mapping(version.get("salesChannel"), "salesChannel")
    kind = _kind(version, status, fulfilment)
    items = rows(version["orderItems"], "orderItems")
    told = [read_proceeds(item, f"orderItems[{place}]") for place, item in enumerate(items)]
    lines = _lines(items, told, needs_stock=kind is not OrderKind.MARKETPLACE_FULFILLED)
    is_priced = meaning.is_priced and _has_price(version, told)
    updated_at = instant(version["lastUpdatedTime"], "lastUpdatedTime")
    order = Order(
        channel_order_id=version["orderId"],
        label=version["orderId"],
        placed_at=instant(version["createdTime"], "createdTime"),
        updated_at=updated_at,
        state=meaning.state,
        payment_state=meaning.payment,
        fulfilment_state=meaning.fulfilment,
        currency=_currency(version, sales, connection),
        total=ZERO,
        kind=kind,
        channel_state=status,
        channel_fulfilment_state=words(fulfilment.get("fulfilledBy")),
        unknown_words=_unknown_words(status, told),
        is_sale=is_priced and _counts(version, sales, meaning),
        taxes_included=any(proceeds.includes_tax for proceeds in told),
        cancelled_at=first_seen_at(versions, "CANCELLED") if meaning.state is OrderState.CANCELLED else None,
        closed_at=first_seen_at(versions, "SHIPPED") if meaning.state is OrderState.CLOSED else None,
        ship_by_at=_latest(fulfilment, "shipByWindow"),
        deliver_by_at=_latest(fulfilment, "deliverByWindow"),
        lines=lines,
        charges=tuple(
            charge for item, proceeds in zip(items, told, strict=True) for charge in item_charges(item, proceeds)
        ),
        discounts=_discounts(items, told),
        shipments=shipments(version, versions, lines, items),
    )
    return _with_total(order, version) if is_priced else _unpriced(order)


def _lines(items: Sequence[Mapping[str, Any]], told: Sequence[Proceeds], *, needs_stock: bool) -> tuple[OrderLine, ...]:
    return tuple(
        order_line(item, proceeds, where=f"orderItems[{place}]", needs_stock=needs_stock)
        for place, (item, proceeds) in enumerate(zip(items, told, strict=True))
    )


def _kind(version: Mapping[str, Any], status: str, fulfilment: Mapping[str, Any]) -> OrderKind:
    if fulfilment.get("fulfilledBy") == "AMAZON":
        return OrderKind.MARKETPLACE_FULFILLED
    programs = version.get("programs") or ()
    if PROGRAMS_PICKUP in programs:
        return OrderKind.PICKUP
    return (
        OrderKind.PREORDER if PROGRAMS_PREORDER in programs or status == "PENDING_AVAILABILITY" else OrderKind.STANDARD
    )


def _has_price(version: Mapping[str, Any], told: Sequence[Proceeds]) -> bool:
    return mapping(version.get("proceeds"), "proceeds").get("grandTotal") is not None or any(
        proceeds.is_told for proceeds in told
    )


def _counts(version: Mapping[str, Any], sales: Mapping[str, Any], meaning: Meaning) -> bool:
    """Return whether Amazon counts the order as a sale: not cancelled, not a free replacement, and sold on Amazon.

    An order that Amazon only fulfils (NON_AMAZON) was sold elsewhere and is counted there.
    """
    associations = rows(version.get("associatedOrders"), "associatedOrders")
    is_replacement = any(row.get("associationType") == REPLACEMENT for row in associations)
    is_sold_here = sales.get("channelName") != "NON_AMAZON"
    return is_sold_here and not is_replacement and meaning.state is not OrderState.CANCELLED


def _currency(version: Mapping[str, Any], sales: Mapping[str, Any], connection: Connection) -> str:
    """Return the currency that some amount of the order bears, else that of its marketplace."""
    amounts = [mapping(version.get("proceeds"), "proceeds").get("grandTotal")]
    for item in rows(version.get("orderItems"), "orderItems"):
        amounts.append(mapping(item.get("proceeds"), "proceeds").get("proceedsTotal"))
        amounts.append(mapping(mapping(item.get("product"), "product").get("price"), "price").get("unitPrice"))
    stated = next((words(amount.get("currencyCode")) for amount in amounts if isinstance(amount, dict)), "")
    return stated or currency_of(words(sales.get("marketplaceId"))) or _main_currency(connection)


def _main_currency(connection: Connection) -> str:
    main = connection.settings.get("marketplace_ids", "").partition(",")[0].strip()
    return currency_of(main) or connection.currency


def _unknown_words(status: str, told: Sequence[Proceeds]) -> tuple[str, ...]:
    unknown = () if status in STATUSES else (status or "no fulfillmentStatus",)
    return (*unknown, *dict.fromkeys(word for proceeds in told for word in proceeds.unknown))


def _latest(fulfilment: Mapping[str, Any], window: str) -> datetime | None:
    return instant_or_none(mapping(fulfilment.get(window), window).get("latestDateTime"), window)


def _discounts(items: Sequence[Mapping[str, Any]], told: Sequence[Proceeds]) -> tuple[Discount, ...]:
    """Return promotions by their name; which of several took how much, Amazon does not tell."""
    found = []
    for item, proceeds in zip(items, told, strict=True):
        amount = sum(proceeds.discounts.values(), ZERO)
        names = rows(mapping(item.get("promotion"), "promotion").get("breakdowns"), "promotion.breakdowns")
        titles = ", ".join(words(row.get("promotionId")) for row in names)
        if amount and titles:
            found.append(Discount(titles, amount))
    return tuple(found)


def _with_total(order: Order, version: Mapping[str, Any]) -> Order:
    """Return the order with Amazon's own total, or the sum of its parts where Amazon states none."""
    proceeds = mapping(version.get("proceeds"), "proceeds")
    if proceeds.get("grandTotal") is None:
        return replace(order, total=stated_total(order))
    total = money(proceeds["grandTotal"], "proceeds.grandTotal")
    tip = delivery_tip(rows(proceeds.get("breakdowns"), "proceeds.breakdowns"), gap=total - stated_total(order))
    charges = order.charges if tip is None else (*order.charges, tip)
    return replace(order, total=total, charges=charges)


def _unpriced(order: Order) -> Order:
    """Return the order without any money: its units are sold, what they bring is told later."""
    lines = tuple(
        replace(line, unit_price=ZERO, gross_amount=ZERO, discount_amount=ZERO, taxes=()) for line in order.lines
    )
    charges: tuple[Charge, ...] = ()
    return replace(order, lines=lines, charges=charges, discounts=(), total=ZERO)


def _with_refunds(order: Order, transactions: Sequence[Mapping[str, Any]]) -> Order:
    refunds = read_refunds(transactions, order.lines)
    refunded: Decimal = sum((refund.paid_amount for refund in refunds), ZERO)
    if not refunds:
        return order
    is_whole = refunded >= order.total > 0
    state = PaymentState.REFUNDED if is_whole else PaymentState.PARTIALLY_REFUNDED
    payment = state if order.state is not OrderState.CANCELLED and refunded > 0 else order.payment_state
    return replace(order, refunds=refunds, payment_state=payment)


def _unseen(transactions: Sequence[Mapping[str, Any]], connection: Connection) -> Order:
    """Return a document that only gives money back, for an order that was never read: it counts as no order."""
    posted = [instant(transaction.get("postedDate"), "transactions.postedDate") for transaction in transactions]
    amount = mapping(transactions[-1].get("totalAmount"), "transactions.totalAmount")
    order_id = next(
        words(row.get("relatedIdentifierValue"))
        for row in rows(transactions[-1].get("relatedIdentifiers"), "relatedIdentifiers")
        if row.get("relatedIdentifierName") == "ORDER_ID"
    )
    return Order(
        channel_order_id=order_id,
        label=order_id,
        placed_at=min(posted),
        updated_at=max(posted),
        state=OrderState.CLOSED,
        payment_state=PaymentState.PAID,
        fulfilment_state=FulfilmentState.FULFILLED,
        currency=words(amount.get("currencyCode")) or _main_currency(connection),
        total=ZERO,
        kind=OrderKind.CREDIT_NOTE,
        channel_state=UNSEEN,
        is_sale=False,
        closed_at=max(posted),
    )
