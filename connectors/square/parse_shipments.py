"""Which goods of a Square order left, which are still to leave, and when. Pure.

What belongs here: fulfilments and sales over the counter. Not here: money (`parse_lines`), returns (`parse_returns`).

An order without fulfilments was sold over the counter: its goods left when it was completed, and before that nothing is
held. With fulfilments, the goods leave as each of them is completed; until then the order holds them like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from connectors.square.fields import Reading, Row, instant, maybe_instant, quantity, rows, text
from oms_hub.domain.orders import OrderKind, OrderLine, Shipment, ShipmentLine

_WAITING = frozenset({"PROPOSED", "RESERVED", "PREPARED"})
_WORDS = (*sorted(_WAITING), "COMPLETED", "CANCELED", "FAILED")
_TYPES = ("PICKUP", "SHIPMENT", "DELIVERY")
_LEFT_AT = {"PICKUP": "picked_up_at", "SHIPMENT": "shipped_at", "DELIVERY": "delivered_at"}
_DUE_AT = {"PICKUP": "pickup_at", "SHIPMENT": "expected_shipped_at", "DELIVERY": "deliver_at"}


@dataclass(frozen=True, slots=True)
class Goods:
    """What became of an order's goods.

    Attributes:
        lines: the order's lines, with the units that will never leave.
        is_sold: completed over the counter.
        is_waiting: some goods are still to leave.
        words: Square's own words for the fulfilments.
        due_at: when the first of them is to leave, where Square says so.
    """

    kind: OrderKind
    lines: tuple[OrderLine, ...]
    shipments: tuple[Shipment, ...]
    is_sold: bool
    is_waiting: bool
    words: str
    due_at: datetime | None = None

    def shipped(self) -> Mapping[str, int]:
        """Return the units that left, by line."""
        found: dict[str, int] = {}
        for shipment in self.shipments:
            for row in shipment.lines:
                found[row.line_id] = found.get(row.line_id, 0) + row.quantity
        return found


def read_goods(reading: Reading, order: Row, lines: tuple[OrderLine, ...]) -> Goods:
    """Return what became of the goods.

    Raises:
        BadPayload: a quantity or an instant is none.
    """
    fulfilments = rows(order, "fulfillments")
    word = text(order, "state")
    goods = _over_the_counter(order, lines, word) if not fulfilments else _fulfilled(reading, order, lines, fulfilments)
    if word != "CANCELED":
        return goods
    shipped = goods.shipped()
    lines = tuple(
        replace(line, cancelled_quantity=max(0, line.quantity - shipped.get(line.line_id, 0))) for line in lines
    )
    return replace(goods, lines=lines, is_waiting=False)


def _over_the_counter(order: Row, lines: tuple[OrderLine, ...], word: str) -> Goods:
    taken = tuple(ShipmentLine(line.line_id, line.quantity) for line in lines if line.needs_stock and line.quantity)
    is_sold = word == "COMPLETED"
    shipments: tuple[Shipment, ...] = ()
    if is_sold and taken:
        sold_at = maybe_instant(order, "closed_at", "order") or instant(order, "created_at", "order")
        place = text(order, "location_id") or None
        shipments = (Shipment("sale", sold_at, taken, "COMPLETED", channel_location_id=place),)
    return Goods(OrderKind.POS, lines, shipments, is_sold, False, "")


def _fulfilled(reading: Reading, order: Row, lines: tuple[OrderLine, ...], fulfilments: Sequence[Row]) -> Goods:
    left = {line.line_id: line.quantity for line in lines if line.needs_stock}
    shipments: list[Shipment] = []
    words, dues, is_waiting = [], [], False
    for index, row in enumerate(fulfilments):
        where = f"fulfillments[{index}]"
        word, kind = text(row, "state") or "PROPOSED", text(row, "type")
        reading.knows("fulfilment state", word, _WORDS)
        reading.knows("fulfilment type", kind, _TYPES)
        words.append(word)
        details = row.get(f"{kind.lower()}_details") or {}
        if word in _WAITING:
            is_waiting = True
            due_at = maybe_instant(details, _DUE_AT.get(kind, ""), where)
            dues.extend([due_at] if due_at else [])
        elif word == "COMPLETED":
            shipment = _shipment(order, row, details, left, where)
            shipments.extend([shipment] if shipment.lines else [])
    is_pickup = all(text(row, "type") == "PICKUP" for row in fulfilments)
    return Goods(
        OrderKind.PICKUP if is_pickup else OrderKind.STANDARD,
        lines,
        tuple(shipments),
        False,
        is_waiting,
        ", ".join(words),
        min(dues) if dues else None,
    )


def _shipment(order: Row, row: Row, details: Row, left: dict[str, int], where: str) -> Shipment:
    """Return what a completed fulfilment took out of the house; without entries it took all that was left."""
    entries = rows(row, "entries", where)
    wanted = {text(entry, "line_item_uid"): int(quantity(entry, where)) for entry in entries} if entries else dict(left)
    taken = []
    for line_id, units in wanted.items():
        went = min(units, left.get(line_id, 0))
        if went > 0:
            left[line_id] -= went
            taken.append(ShipmentLine(line_id, went))
    left_at = (
        maybe_instant(details, _LEFT_AT.get(text(row, "type"), ""), where)
        or maybe_instant(order, "closed_at", "order")
        or instant(order, "updated_at", "order")
    )
    return Shipment(
        shipment_id=text(row, "uid") or where,
        shipped_at=left_at,
        lines=tuple(taken),
        status="COMPLETED",
        carrier=text(details, "carrier") or None,
        tracking_number=text(details, "tracking_number") or None,
        tracking_url=text(details, "tracking_url") or None,
        channel_location_id=text(order, "location_id") or None,
    )
