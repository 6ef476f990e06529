"""Notifications: what a delivery is about. Pure.

What belongs here: reading one notification into a pointer. Not here: the door that receives it, the list of missed
ones (`feeds`).

A notification is a pointer, never the truth: it names a resource that is then asked for with our own token. It bears no
signature (the `x-signature` of Mercado Pago is another product's), so it is believed only as far as a wrong one costs a
needless request: application and account must be the connection's, and the resource must look like one. The door keeps
a secret in its path. Answer 200 within 500 ms. Source: developers.mercadolibre, notifications, 2026-08-21.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from oms_hub.errors import BadPayload, Refused

ORDER, SHIPMENT, CLAIM, LISTING, STOCK, OTHER = "order", "shipment", "claim", "listing", "stock", "other"

_RESOURCES = (
    (ORDER, re.compile(r"(?:/marketplace)?/orders/(\d{1,20})")),
    (SHIPMENT, re.compile(r"(?:/marketplace)?/shipments/(\d{1,20})")),
    (CLAIM, re.compile(r"(?:/post-purchase)?/v\d/claims/(\d{1,20})")),
    (LISTING, re.compile(r"/items/([A-Z]{3}\d{1,20})")),
    (STOCK, re.compile(r"/user-products/([A-Z]{3}U\d{1,20})(?:/stock)?")),
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a notification names.

    Attributes:
        kind: order, shipment, claim, listing, stock; `other` for topics that the hub does not follow: answer 200.
        resource_id: its id, empty for `other`.
        topic: as Mercado Libre wrote it.
        dedupe_key: equal for notifications about the same thing; several may be read by one request.
    """

    kind: str
    resource_id: str
    topic: str
    dedupe_key: str


def read_notification(body: bytes, *, seller_id: str, client_id: str) -> Pointer:
    """Return what a delivery is about.

    Args:
        body: as received.
        seller_id: the account of the connection.
        client_id: its application.

    Raises:
        Refused: it is for another account or application.
        BadPayload: not a notification.
    """
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadPayload("a notification is not JSON") from error
    if not isinstance(payload, dict):
        raise BadPayload("a notification is not an object")
    for name, wanted in (("user_id", seller_id), ("application_id", client_id)):
        if str(payload.get(name)) != wanted:
            raise Refused(f"a notification is for another {name}", remedy="Check the callback URL of the application")
    return pointer_of(payload)


def pointer_of(payload: Mapping[str, Any]) -> Pointer:
    """Return what a notification points to; raises BadPayload where it names no resource."""
    topic, resource = payload.get("topic"), payload.get("resource")
    if not isinstance(topic, str) or not isinstance(resource, str) or not resource:
        raise BadPayload("a notification names no resource", where="resource")
    for kind, pattern in _RESOURCES:
        match = pattern.fullmatch(resource)
        if match is not None:
            return Pointer(kind, match[1], topic, f"{topic}:{kind}:{match[1]}")
    return Pointer(OTHER, "", topic, f"{topic}:{resource[:200]}")
