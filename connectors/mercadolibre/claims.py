"""Which orders have claims: found by the claims search, by time of change.

What belongs here: the search. Not here: the claims of one order (`parts`), what they mean (`parse_after_sale`).

A claim is the only sign of a sale that was cancelled after it was delivered: the order search hides it then. Both roles
are searched: sellers complain, too (`cancel_sale`). The list is not sorted (which fields can be sorted is not
documented), so a page border could hide a claim: its rows are counted against the total, and if they are too few the
list is read again, three times at most (a total may count what is never shown).
Source: developers.mercadolibre, claims, 2026-05-06: role and user together, `range`, limit 100, offset below 10,000.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from connectors.mercadolibre.api import MeliApi, api_time
from connectors.mercadolibre.parts import CLAIMS_SEARCH, claim_rows
from connectors.mercadolibre.slices import HOUR

PAGE = 100
_MOST_OFFSET = 9_000
_READINGS = 3
_ROLES = ("respondent", "complainant")


def claimed_orders(api: MeliApi, start: datetime, end: datetime) -> list[str]:
    """Return the ids of orders with a claim that changed in [start, end), each once."""
    found: dict[str, None] = {}
    for role in _ROLES:
        for claim in _changed(api, role, start, end):
            for order_id in _orders_of(api, claim):
                found[order_id] = None
    return list(found)


def _changed(api: MeliApi, role: str, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    found: dict[int, Mapping[str, Any]] = {}
    for _ in range(_READINGS):
        rows, total = _pages(api, role, start, end)
        if total > _MOST_OFFSET and end - start > 2 * HOUR:
            middle = start + (end - start) / 2
            yield from _changed(api, role, start, middle)
            yield from _changed(api, role, middle, end)
            return
        found.update(rows)
        if len(found) >= total:
            break
    yield from found.values()


def _pages(api: MeliApi, role: str, start: datetime, end: datetime) -> tuple[dict[int, Mapping[str, Any]], int]:
    """Return the claims by id and how many there are; of a list that is too long only the first page."""
    rows: dict[int, Mapping[str, Any]] = {}
    offset, total = 0, 0
    query = {
        "players.user_id": api.seller,
        "players.role": role,
        "range": f"last_updated:after:{api_time(start)},before:{api_time(end)}",
        "limit": str(PAGE),
    }
    while True:
        told = api.get(CLAIMS_SEARCH, {**query, "offset": str(offset)}).parsed
        page = list(claim_rows(told))
        rows.update((claim["id"], claim) for claim in page)
        paging = told.get("paging") if isinstance(told, dict) else None
        total = paging["total"] if isinstance(paging, dict) and isinstance(paging.get("total"), int) else len(rows)
        offset += PAGE
        if not page or offset >= total or total > _MOST_OFFSET:
            return rows, total


def _orders_of(api: MeliApi, claim: Mapping[str, Any]) -> list[str]:
    """Return the orders that a claim is about; a claim about a shipment is about all orders in it."""
    resource, resource_id = claim.get("resource"), claim.get("resource_id")
    if resource == "order" and resource_id:
        return [str(resource_id)]
    if resource == "shipment" and resource_id:
        return shipped_orders(api, str(resource_id))
    return []


def shipped_orders(api: MeliApi, shipment_id: str) -> list[str]:
    """Return the ids of the orders in a shipment."""
    rows = api.part(f"shipments/{shipment_id}/items", headers={"x-format-new": "true"})
    if not isinstance(rows, list):
        return []
    found = {str(row["order_id"]): None for row in rows if isinstance(row, dict) and row.get("order_id")}
    return list(found)
