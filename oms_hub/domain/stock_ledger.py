"""What an order does to stock: what it took off the shelf, what it put back, what it still holds.

What belongs here: pure functions from one `Order` to its stock events and holds. Not here: the ledger's rows and
their natural keys (`oms_hub.store`), what a channel is offered (`availability`).

Events are cumulative, so that replaying an order adds nothing: the store books only the difference between an event
and what its ledger already holds for the same order, line, kind and place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from oms_hub.domain.orders import Order, OrderKind, OrderLine, OrderState, PaymentState

EventKind: TypeAlias = Literal["sale", "return"]

_OTHERS_SHELVES = frozenset({OrderKind.MARKETPLACE_FULFILLED, OrderKind.DROPSHIP})
"""Kinds of orders whose goods never touch own shelves."""

_HOLDS_NOTHING = _OTHERS_SHELVES | {OrderKind.POS, OrderKind.CREDIT_NOTE}
"""Kinds of orders that leave nothing open: the goods are elsewhere, or are gone or back already."""

_STILL_OPEN = frozenset({OrderState.OPEN, OrderState.ON_HOLD})
_NOT_PAID = frozenset({PaymentState.UNPAID, PaymentState.VOIDED})


@dataclass(frozen=True, slots=True)
class StockEvent:
    """What an order line did so far to the stock of one place.

    Attributes:
        kind: `sale` for units that left, `return` for units that came back to the shelf.
        channel_location_id: the place in the channel's own id, empty where the channel names none.
        cumulative_quantity: all such units so far, positive.
        occurred_at: when the last of them moved, aware UTC.
    """

    line_id: str
    kind: EventKind
    channel_location_id: str
    cumulative_quantity: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """Units of an order line that are promised and have not left: bound (`allocated`) or waiting for money."""

    line_id: str
    allocated: int
    reserved: int


def stock_events(order: Order) -> tuple[StockEvent, ...]:
    """Return what an order did to own stock so far: one event per line, kind and place.

    Shipments are sales; refund lines that say `is_restocked` are returns at their stated place. Tests, drafts, orders
    that others fulfil and lines that need no stock do nothing. No more units come back than left: restocked units of
    a refund from before the line's first shipment are taken for the line's cancelled ones, which never left.
    (What was sold elsewhere has no shipments here: what a credit note restocks, or a line of no units, such as goods
    handed back at a till, is taken as told.)

    Returns:
        Events sorted by line, kind and place, each with a positive quantity.
    """
    if order.is_test or order.is_draft or order.kind in _OTHERS_SHELVES or not (order.shipments or order.refunds):
        return ()
    lines = {line.line_id: line for line in order.lines if line.needs_stock}
    sums: dict[tuple[str, EventKind, str], tuple[int, datetime]] = {}
    for line_id, place, quantity, occurred_at in _shipped(order, lines):
        _add(sums, (line_id, "sale", place), quantity, occurred_at)
    if order.refunds:
        for line_id, place, quantity, occurred_at in _came_back(order, lines):
            _add(sums, (line_id, "return", place), quantity, occurred_at)
    return tuple(StockEvent(*key, quantity, occurred_at) for key, (quantity, occurred_at) in sorted(sums.items()))


def holds(order: Order) -> tuple[Hold, ...]:
    """Return what an order still holds, line by line, without lines that hold nothing.

    A line's open units are quantity − cancelled − shipped while the order is open or on hold. They are `reserved`
    while nothing was paid (unpaid, voided), else `allocated`. Tests, drafts, tills, credit notes and orders that
    others fulfil hold nothing.
    """
    if order.state not in _STILL_OPEN or order.kind in _HOLDS_NOTHING or order.is_test or order.is_draft:
        return ()
    shipped: dict[str, int] = {}
    for shipment in order.shipments:
        for row in shipment.lines:
            shipped[row.line_id] = shipped.get(row.line_id, 0) + row.quantity
    is_paid = order.payment_state not in _NOT_PAID
    found: list[Hold] = []
    for line in order.lines:
        units = line.quantity - line.cancelled_quantity - shipped.get(line.line_id, 0)
        if units > 0 and line.needs_stock:
            found.append(Hold(line.line_id, units, 0) if is_paid else Hold(line.line_id, 0, units))
    return tuple(found)


def _add(
    sums: dict[tuple[str, EventKind, str], tuple[int, datetime]],
    key: tuple[str, EventKind, str],
    quantity: int,
    occurred_at: datetime,
) -> None:
    before, last_at = sums.get(key, (0, occurred_at))
    sums[key] = (before + quantity, max(last_at, occurred_at))


def _shipped(order: Order, lines: dict[str, OrderLine]) -> Iterator[tuple[str, str, int, datetime]]:
    for shipment in order.shipments:
        place = shipment.channel_location_id or ""
        for row in shipment.lines:
            if row.line_id in lines and row.quantity > 0:
                yield row.line_id, place, row.quantity, shipment.shipped_at


def _came_back(order: Order, lines: dict[str, OrderLine]) -> Iterator[tuple[str, str, int, datetime]]:
    is_note = order.kind is OrderKind.CREDIT_NOTE
    away: dict[str, int] = {}
    first_left_at: dict[str, datetime] = {}
    for line_id, _, quantity, shipped_at in _shipped(order, lines):
        away[line_id] = away.get(line_id, 0) + quantity
        first_left_at[line_id] = min(shipped_at, first_left_at.get(line_id, shipped_at))
    never_left = {line_id: line.cancelled_quantity for line_id, line in lines.items()}
    for refund in sorted(order.refunds, key=lambda refund: (refund.refunded_at, refund.refund_id)):
        for row in refund.lines:
            if not row.is_restocked or row.line_id not in lines:
                continue
            quantity = row.quantity
            if not is_note and lines[row.line_id].quantity > 0:
                if refund.refunded_at < first_left_at.get(row.line_id, refund.refunded_at):
                    explained = min(quantity, never_left[row.line_id])
                    never_left[row.line_id] -= explained
                    quantity -= explained
                quantity = min(quantity, away.get(row.line_id, 0))
                away[row.line_id] = away.get(row.line_id, 0) - quantity
            if quantity > 0:
                yield row.line_id, row.channel_location_id or "", quantity, refund.refunded_at
