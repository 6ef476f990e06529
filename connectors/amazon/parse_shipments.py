"""What left of an order, and when. Pure.

What belongs here: packages, and units that Amazon says left in no package told. Not here: the order itself (`parse`).

Amazon tells packages of orders that the merchant ships; of its own shipping only how many units left. The earlier
versions of an order tell when: it was shipped (or cancelled) when it was first seen so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.amazon.fields import instant, instant_or_none, mapping, rows, units, words
from oms_hub.domain.orders import OrderLine, Shipment, ShipmentLine


def first_seen_at(versions: Sequence[Mapping[str, Any]], status: str) -> datetime:
    """Return the change at which the order was first seen in a status."""
    return min(
        instant(version.get("lastUpdatedTime"), "lastUpdatedTime")
        for version in versions
        if isinstance(version.get("fulfillment"), dict) and version["fulfillment"].get("fulfillmentStatus") == status
    )


def shipments(
    version: Mapping[str, Any],
    versions: Sequence[Mapping[str, Any]],
    lines: Sequence[OrderLine],
    items: Sequence[Mapping[str, Any]],
) -> tuple[Shipment, ...]:
    """Return packages that left, and one shipment of the units that Amazon says left in no package told."""
    left_over: dict[str, int] = {}
    for place, item in enumerate(items):
        told = mapping(item.get("fulfillment"), f"orderItems[{place}].fulfillment")
        left_over[words(item.get("orderItemId"))] = units(told.get("quantityFulfilled"), "quantityFulfilled")
    found = []
    for package in rows(version.get("packages"), "packages"):
        shipment = _package(package, left_over)
        if shipment is not None:
            found.append(shipment)
    rest = tuple(
        ShipmentLine(line.line_id, left_over[line.line_id]) for line in lines if left_over.get(line.line_id, 0) > 0
    )
    if rest:
        found.append(Shipment(f"sent:{version['orderId']}", _first_sent_at(versions), rest, "SHIPPED"))
    return tuple(found)


def _package(package: Mapping[str, Any], left_over: dict[str, int]) -> Shipment | None:
    """Return the shipment of a package, its units taken off `left_over`; None where it did not leave."""
    status = words(mapping(package.get("packageStatus"), "packageStatus").get("status"))
    shipped_at = instant_or_none(package.get("shipTime"), "shipTime")
    if status in {"CANCELLED", "PENDING"} or shipped_at is None:
        return None
    sent = []
    for row in rows(package.get("packageItems"), "packageItems"):
        line_id = words(row.get("orderItemId"))
        quantity = min(units(row.get("quantity"), "packageItems.quantity"), left_over.get(line_id, 0))
        if quantity > 0:
            left_over[line_id] -= quantity
            sent.append(ShipmentLine(line_id, quantity))
    if not sent:
        return None
    return Shipment(
        shipment_id=words(package.get("packageReferenceId")),
        shipped_at=shipped_at,
        lines=tuple(sent),
        status=status,
        carrier=words(package.get("carrier")) or None,
        tracking_number=words(package.get("trackingNumber")) or None,
    )


def _first_sent_at(versions: Sequence[Mapping[str, Any]]) -> datetime:
    """Return the change at which units were first seen to have left."""
    return min(
        instant(version["lastUpdatedTime"], "lastUpdatedTime")
        for version in versions
        if isinstance(version.get("orderItems"), list) and any(_has_left(item) for item in version["orderItems"])
    )


def _has_left(item: Any) -> bool:
    told = item.get("fulfillment") if isinstance(item, dict) else None
    return isinstance(told, dict) and bool(told.get("quantityFulfilled"))
