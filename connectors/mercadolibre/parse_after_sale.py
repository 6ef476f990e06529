"""What follows a sale: the shipment, returns, parcels that came back. Pure.

What belongs here: when goods left and arrived, and what is on its way back. Not here: money (`parse_payments`).

A return that was delivered is in the seller's hands, not on the shelf: nothing is restocked here, a person or a count
does that. A parcel that could not be delivered comes back without any claim; it is a return, too.
Source: developers.mercadolibre, returns 2025-12-22, shipments 2026-06.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.mercadolibre.fields import moment, moment_or_none, plain_text, whole_units
from connectors.mercadolibre.parse_lines import line_name
from connectors.mercadolibre.states import has_left
from oms_hub.domain.orders import OrderLine, Return, ReturnLine, Shipment, ShipmentLine


def shipments(
    shipment: Mapping[str, Any], history: Sequence[Any], lines: Sequence[OrderLine], changed_at: datetime
) -> tuple[Shipment, ...]:
    """Return the order's shipment once its goods have left; the carrier takes all of an order at once.

    Args:
        shipment: raw, empty where there is none.
        history: raw events of it.
        lines: of the order.
        changed_at: the instant where the channel tells none.
    """
    status, substatus = shipment.get("status"), shipment.get("substatus")
    if not has_left(status, substatus):
        return ()
    dates = shipment.get("status_history") or {}
    left_at = min(_events(history), default=None) or moment_or_none(dates.get("date_shipped"))
    arrived_at = None
    if status == "delivered":
        arrived = (moment_or_none(row.get("date")) for row in history if row.get("status") == "delivered")
        arrived_at = min((at for at in arrived if at is not None), default=None)
        arrived_at = arrived_at or moment_or_none(dates.get("date_delivered")) or _changed(shipment, changed_at)
    return (
        Shipment(
            shipment_id=str(shipment["id"]),
            shipped_at=left_at or arrived_at or _changed(shipment, changed_at),
            lines=tuple(ShipmentLine(line.line_id, line.quantity) for line in lines),
            status=plain_text(status),
            delivered_at=arrived_at,
            carrier=plain_text(shipment.get("tracking_method")) or None,
            tracking_number=plain_text(shipment.get("tracking_number")) or None,
        ),
    )


def _events(history: Sequence[Any]) -> Iterator[datetime]:
    for row in history:
        at = moment_or_none(row.get("date"))
        if at is not None and has_left(row.get("status"), row.get("substatus")):
            yield at


def _changed(shipment: Mapping[str, Any], changed_at: datetime) -> datetime:
    return moment_or_none(shipment.get("last_updated")) or changed_at


def returns(order: Mapping[str, Any], parts: Mapping[str, Any], lines: Sequence[OrderLine]) -> tuple[Return, ...]:
    """Return the returns of an order: those of its claims, and a parcel that could not be delivered."""
    known = {line.line_id for line in lines}
    reasons = {each["id"]: plain_text(each.get("reason_id")) for each in parts.get("claims") or ()}
    found = []
    for row in parts.get("returns") or ():
        reason = reasons.get(row.get("claim_id"), "")
        returned = tuple(
            ReturnLine(name, whole_units(unit["return_quantity"], "returns.return_quantity"), reason)
            for unit in row.get("orders") or ()
            if str(unit.get("order_id")) == str(order["id"])
            and (name := line_name(unit.get("item_id"), unit.get("variation_id"))) in known
        )
        if returned:
            opened_at = moment(row["date_created"], "returns.date_created")
            closed_at = moment_or_none(row.get("date_closed"))
            found.append(Return(str(row["id"]), plain_text(row.get("status")), opened_at, closed_at, returned))
    return (*found, *_undelivered(parts, lines))


def _undelivered(parts: Mapping[str, Any], lines: Sequence[OrderLine]) -> Iterator[Return]:
    shipment = parts.get("shipment") or {}
    if shipment.get("status") != "not_delivered":
        return
    events = (
        moment_or_none(row.get("date")) for row in parts.get("history") or () if row.get("status") == "not_delivered"
    )
    opened_at = min((at for at in events if at is not None), default=None)
    if opened_at is None:
        opened_at = moment(shipment.get("last_updated"), "shipment.last_updated")
    units = tuple(ReturnLine(line.line_id, line.quantity, "not_delivered") for line in lines)
    yield Return(f"undelivered:{shipment['id']}", plain_text(shipment.get("substatus")), opened_at, lines=units)
