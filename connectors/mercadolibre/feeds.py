"""Notifications that nobody took: read from the list of missed ones, so that nothing is lost while the door is closed.

What belongs here: reading that list and finding the orders it points to. Not here: the notifications (`webhooks`).

Mercado Libre tries a notification eight times within an hour; then it stands in the list of missed ones for two days.
The list holds what was sent for all accounts of the application, is not sorted, and reading takes nothing off it. So
what was seen is left out by the instant in which it was first sent, less three hours, because a notification joins the
list an hour or more after that. Source: developers.mercadolibre, notifications ("history"), 2026-08-21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.mercadolibre.api import MeliApi
from connectors.mercadolibre.claims import shipped_orders
from connectors.mercadolibre.fields import moment_or_none
from connectors.mercadolibre.parts import CLAIM
from connectors.mercadolibre.webhooks import CLAIM as A_CLAIM
from connectors.mercadolibre.webhooks import ORDER, SHIPMENT, Pointer, pointer_of
from oms_hub.errors import BadPayload

TOPICS = ("orders_v2", "shipments", "post_purchase")
KEPT = timedelta(days=2)
_LATE = timedelta(hours=3)
_PAGE = 50


@dataclass(frozen=True, slots=True)
class Missed:
    """What the list of missed notifications told.

    Attributes:
        order_ids: orders to read again, each once.
        newest: when the newest of the notifications was first sent, as the next reading wants it.
    """

    order_ids: tuple[str, ...]
    newest: datetime | None


def missed_orders(api: MeliApi, client_id: str, *, newest: datetime | None) -> Missed:
    """Return the orders that missed notifications point to.

    Args:
        api: the account.
        client_id: of the application.
        newest: what the last reading returned, None for the first.
    """
    pointers: dict[str, Pointer] = {}
    latest = newest
    for notification in _all(api, client_id):
        if str(notification.get("user_id")) != api.seller:
            continue
        sent_at = moment_or_none(notification.get("received")) or moment_or_none(notification.get("sent"))
        if sent_at is not None:
            if newest is not None and sent_at < newest - _LATE:
                continue
            latest = sent_at if latest is None else max(latest, sent_at)
        try:
            pointer = pointer_of(notification)
        except BadPayload:
            continue  # it names nothing that could be asked for
        pointers[f"{pointer.kind}:{pointer.resource_id}"] = pointer
    found: dict[str, None] = {}
    for pointer in pointers.values():
        found.update(dict.fromkeys(_orders_of(api, pointer)))
    return Missed(tuple(found), latest)


def _all(api: MeliApi, client_id: str) -> Iterator[Mapping[str, Any]]:
    """Yield the missed notifications of the topics that tell of orders; how many a page holds is the answer's word."""
    for topic in TOPICS:
        offset, seen = 0, set[str]()
        query = {"app_id": client_id, "topic": topic, "limit": str(_PAGE)}
        while rows := _rows(api.get("missed_feeds", {**query, "offset": str(offset)}).parsed):
            names = {str(row.get("_id") or row) for row in rows}
            if names <= seen:
                break  # the offset was ignored
            seen |= names
            yield from rows
            offset += len(rows)


def _rows(told: Any) -> list[Mapping[str, Any]]:
    rows = told.get("messages") if isinstance(told, dict) else told
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _orders_of(api: MeliApi, pointer: Pointer) -> list[str]:
    if pointer.kind == ORDER:
        return [pointer.resource_id]
    if pointer.kind == SHIPMENT:
        return shipped_orders(api, pointer.resource_id)
    if pointer.kind != A_CLAIM:
        return []
    claim = api.part(CLAIM.format(pointer.resource_id))
    is_about_order = isinstance(claim, dict) and claim.get("resource") == "order" and claim.get("resource_id")
    return [str(claim["resource_id"])] if is_about_order else []
