"""Webhooks of Square: is it really Square, and what is it about.

What belongs here: pure reading of one delivery. Not here: the door that receives it.

The address of the subscription is part of what is signed, so the door must use the address as it was entered at Square,
not the one that a proxy in front of it made of it. Events of orders carry only id, version and state: a delivery is a
pointer to something that is then pulled. Deliveries come more than once, and late.

Source: developer.squareup.com, webhooks step 3 (validate), seen 2026-11-22; published description, event types.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from oms_hub.errors import BadPayload, Refused

SIGNATURE_HEADER = "x-square-hmacsha256-signature"
EVENT_TYPES = (
    "order.created",
    "order.updated",
    "order.fulfillment.updated",
    "refund.created",
    "refund.updated",
    "inventory.count.updated",
    "catalog.version.updated",
    "oauth.authorization.revoked",
)
"""What a subscription asks for."""
REVOKED = "oauth.authorization.revoked"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery.

    Attributes:
        kind: the event's type (`order.updated`).
        merchant_id: the seller, in Square's id.
        reference: id of the order or refund it is about, as the event names it; empty where it names none.
        event_id: the same for every repetition: what duplicates are told by.
    """

    kind: str
    merchant_id: str
    reference: str
    event_id: str


def signature(url: str, body: bytes, key: str) -> str:
    """Return what Square writes into the header for a body sent to this very address."""
    return base64.b64encode(hmac.new(key.encode(), url.encode() + body, hashlib.sha256).digest()).decode()


def is_signed(url: str, body: bytes, given: str, key: str) -> bool:
    """Return whether the signature is right, in constant time; without a key nothing is.

    Args:
        url: of the subscription, exactly as entered at Square.
        body: the raw bytes, before anything read or re-encoded them.
        given: the header's value.
        key: the subscription's signature key.
    """
    return bool(key) and hmac.compare_digest(signature(url, body, key).encode(), given.encode())


def read_delivery(url: str, headers: Mapping[str, str], body: bytes, key: str) -> Delivery:
    """Return what a delivery is about.

    Raises:
        Refused: not signed by Square for this address.
        BadPayload: signed, but not an event.
    """
    found = {name.lower(): value for name, value in headers.items()}
    if not is_signed(url, body, found.get(SIGNATURE_HEADER, ""), key):
        raise Refused(
            "a webhook is not signed for this address with this subscription's key",
            remedy="Enter the subscription's signature key, and the hub's address exactly as at Square",
        )
    try:
        event = orjson.loads(body)
        kind, event_id = event["type"], event["event_id"]
        data = event.get("data") or {}
        reference = data.get("id") or ""
        delivery = Delivery(str(kind), str(event.get("merchant_id") or ""), str(reference), str(event_id))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise BadPayload("a webhook is signed, but it is no event") from None
    return delivery
