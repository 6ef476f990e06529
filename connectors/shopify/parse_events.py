"""What happened to an order after it was placed: payments, refunds, returns, shipments, open work.

What belongs here: facts with an instant. Not here: what was sold (`parse_money`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from connectors.shopify.fields import Node, Reading
from oms_hub.domain.orders import (
    Payment,
    PaymentKind,
    Refund,
    RefundLine,
    Return,
    ReturnLine,
    Shipment,
    ShipmentLine,
)

ZERO = Decimal(0)

_PAYMENT_KINDS = {
    "SALE": PaymentKind.SALE,
    "AUTHORIZATION": PaymentKind.AUTHORISATION,
    "EMV_AUTHORIZATION": PaymentKind.AUTHORISATION,
    "CAPTURE": PaymentKind.CAPTURE,
    "REFUND": PaymentKind.REFUND,
    "CHANGE": PaymentKind.REFUND,  # cash handed back at the till
    "VOID": PaymentKind.VOID,
}
_NO_PAYMENT = ("SUGGESTED_REFUND",)
_PAYMENT_WORDS = ("SUCCESS", "PENDING", "FAILURE", "ERROR", "AWAITING_RESPONSE", "UNKNOWN")
_NOT_SENT = ("CANCELLED", "ERROR", "FAILURE", "OPEN", "PENDING")
_RESTOCK_WORDS = ("RETURN", "CANCEL", "NO_RESTOCK", "LEGACY_RESTOCK")
_CAME_BACK = frozenset({"RETURN", "LEGACY_RESTOCK"})


@dataclass(frozen=True, slots=True)
class Events:
    """What happened to an order, and what the lines need to know of it.

    Attributes:
        shipped: units that left, by line.
        refunded_units: refunded units by line and Shopify's restock type.
        still_wanted: units that open fulfilment orders still want, by line; empty where the token may not see them.
        places: the one place that a line's open units are assigned to, by line.
    """

    payments: tuple[Payment, ...]
    refunds: tuple[Refund, ...]
    returns: tuple[Return, ...]
    shipments: tuple[Shipment, ...]
    shipped: Mapping[str, int]
    refunded_units: Mapping[str, Mapping[str, int]]
    still_wanted: Mapping[str, int]
    places: Mapping[str, str]
    ship_by_at: datetime | None
    is_pickup: bool


def read_events(reading: Reading, head: Node) -> Events:
    """Return everything that happened to the order of a record."""
    shipments = _shipments(reading, head)
    shipped: dict[str, int] = {}
    for row in (row for shipment in shipments for row in shipment.lines):
        shipped[row.line_id] = shipped.get(row.line_id, 0) + row.quantity
    refund_nodes = reading.pieces("Refund", [row.text("id") for row in head.rows("refunds")])
    tasks = head.nodes("fulfillmentOrders") if head.has("fulfillmentOrders") else []
    still_wanted, places = _open_work(reading)
    return Events(
        payments=_payments(reading, head),
        refunds=tuple(_refund(reading, node) for node in refund_nodes),
        returns=_returns(reading, head),
        shipments=shipments,
        shipped=shipped,
        refunded_units=_refunded_units(reading, refund_nodes),
        still_wanted=still_wanted,
        places=places,
        ship_by_at=min((at for task in tasks if (at := task.maybe_instant("fulfillBy"))), default=None),
        is_pickup=any(_method(task) == "PICK_UP" for task in tasks),
    )


def _method(task: Node) -> str | None:
    method = task.maybe_child("deliveryMethod")
    return None if method is None else method.maybe_text("methodType")


def _open_work(reading: Reading) -> tuple[dict[str, int], dict[str, str]]:
    wanted: dict[str, int] = {}
    places: dict[str, set[str]] = {}
    for (kind, _), task in reading.parts.items():
        if kind != "FulfillmentOrder":
            continue
        assigned = task.child("assignedLocation").maybe_child("location")
        for row in task.nodes("lineItems"):
            line_id, left = row.child("lineItem").text("id"), row.whole("remainingQuantity")
            wanted[line_id] = wanted.get(line_id, 0) + left
            if assigned is not None and left > 0:
                places.setdefault(line_id, set()).add(assigned.text("id"))
    return wanted, {line_id: next(iter(found)) for line_id, found in places.items() if len(found) == 1}


def _payments(reading: Reading, head: Node) -> tuple[Payment, ...]:
    found: list[Payment] = []
    for row in head.rows("transactions"):
        kind, status = row.text("kind"), row.text("status")
        reading.knows("payment transaction status", status, _PAYMENT_WORDS)
        if kind in _NO_PAYMENT or not reading.knows("payment kind", kind, tuple(_PAYMENT_KINDS)):
            continue
        found.append(
            Payment(
                row.text("id"),
                _PAYMENT_KINDS[kind],
                abs(reading.money(row, "amountSet")),
                reading.currency,
                row.maybe_instant("processedAt") or row.instant("createdAt"),
                gateway=row.maybe_text("gateway") or "",
                is_successful=status == "SUCCESS",
            )
        )
    return tuple(found)


# --------------------------------------------------------------------------------------------------- money back


def _refund(reading: Reading, node: Node) -> Refund:
    lines = tuple(_refund_line(reading, row) for row in node.nodes("refundLineItems"))
    shipping, shipping_tax = ZERO, ZERO
    for row in node.nodes("refundShippingLines"):
        tax = reading.money(row, "taxAmountSet")
        shipping_tax += tax
        shipping += reading.money(row, "subtotalAmountSet") - (tax if reading.taxes_included else ZERO)
    duties = sum((reading.money(row, "amountSet") for row in node.rows("duties")), ZERO)
    paid = sum(
        (
            reading.money(row, "amountSet")
            for row in node.nodes("transactions")
            if row.text("kind") == "REFUND" and row.text("status") == "SUCCESS"
        ),
        ZERO,
    )
    adjustments = node.nodes("orderAdjustments")
    counted = sum((line.amount + line.tax_amount for line in lines), shipping + shipping_tax + duties)
    return Refund(
        node.text("id"),
        node.maybe_instant("createdAt") or node.instant("processedAt"),
        paid,
        lines=lines,
        shipping_amount=shipping,
        shipping_tax_amount=shipping_tax,
        other_amount=duties + _adjustment(reading, adjustments, paid - counted),
        reason=", ".join(dict.fromkeys(row.maybe_text("reason") or "" for row in adjustments)),
    )


def _adjustment(reading: Reading, rows: Sequence[Node], gap: Decimal) -> Decimal:
    """Return what the adjustments add to a refund.

    They state the difference between what was calculated and what was paid back, in the merchant's favour where
    positive, so they count against the refund. Whether their tax is inside depends on the order; the reading that
    closes the gap to the money really paid is taken.
    """
    amount = sum((reading.money(row, "amountSet") for row in rows), ZERO)
    tax = sum((reading.money(row, "taxAmountSet") for row in rows), ZERO)
    usual = -amount if reading.taxes_included else -(amount + tax)
    readings = (usual, -amount, -(amount + tax), amount, amount + tax)
    return gap if rows and gap in readings else usual


def _refund_line(reading: Reading, row: Node) -> RefundLine:
    tax = reading.money(row, "totalTaxSet")
    kind = row.text("restockType")
    reading.knows("restock type", kind, _RESTOCK_WORDS)
    place = row.maybe_child("location")
    return RefundLine(
        row.child("lineItem").text("id"),
        row.whole("quantity"),
        reading.money(row, "subtotalSet") - (tax if reading.taxes_included else ZERO),
        tax,
        # units cancelled before they left never were off the shelf: only what came back is put back
        is_restocked=row.flag("restocked") and kind in _CAME_BACK,
        channel_location_id=None if place is None else place.text("id"),
    )


def _refunded_units(reading: Reading, refunds: Sequence[Node]) -> dict[str, dict[str, int]]:
    units: dict[str, dict[str, int]] = {}
    for row in (row for node in refunds for row in node.nodes("refundLineItems")):
        by_kind = units.setdefault(row.child("lineItem").text("id"), {})
        kind = row.text("restockType")
        by_kind[kind] = by_kind.get(kind, 0) + row.whole("quantity")
    return units


# ------------------------------------------------------------------------------------------------- goods moving


def _returns(reading: Reading, head: Node) -> tuple[Return, ...]:
    if not head.has("returns"):
        return ()
    ids = [row.text("id") for row in head.nodes("returns")]
    found = []
    for node in reading.pieces("Return", ids):
        lines = []
        for row in node.nodes("returnLineItems"):
            sent = row.maybe_child("fulfillmentLineItem")
            reason = row.maybe_child("returnReasonDefinition")
            if sent is not None:  # an unverified return names no line
                why = "" if reason is None else reason.maybe_text("name") or ""
                lines.append(ReturnLine(sent.child("lineItem").text("id"), row.whole("quantity"), why))
        found.append(
            Return(
                node.text("id"),
                node.text("status"),
                node.instant("createdAt"),
                closed_at=node.maybe_instant("closedAt"),
                lines=tuple(lines),
            )
        )
    return tuple(found)


def _shipments(reading: Reading, head: Node) -> tuple[Shipment, ...]:
    found = []
    for node in reading.pieces("Fulfillment", [row.text("id") for row in head.rows("fulfillments")]):
        status = node.text("status")
        reading.knows("fulfilment word", status, ("SUCCESS", *_NOT_SENT))
        if status in _NOT_SENT:
            continue
        tracking = next(iter(node.rows("trackingInfo")), None)
        place = node.maybe_child("location")
        rows = node.nodes("fulfillmentLineItems")
        found.append(
            Shipment(
                node.text("id"),
                node.instant("createdAt"),
                tuple(
                    ShipmentLine(row.child("lineItem").text("id"), row.whole("quantity"))
                    for row in rows
                    if row.has("quantity")
                ),
                status=node.maybe_text("displayStatus") or status,
                delivered_at=node.maybe_instant("deliveredAt"),
                carrier=None if tracking is None else tracking.maybe_text("company"),
                tracking_number=None if tracking is None else tracking.maybe_text("number"),
                tracking_url=None if tracking is None else tracking.maybe_text("url"),
                channel_location_id=None if place is None else place.text("id"),
            )
        )
    return tuple(found)
