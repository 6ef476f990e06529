"""Webhooks of the shop: is it really the shop, and what is it about.

What belongs here: pure reading of one delivery. Not here: the door that receives it.

A delivery is a hint, never the truth: its payload is built when it is sent, nobody sends a failed one again, and a
quiet shop sends late. The next pull brings the order itself. Source: core `class-wc-webhook.php` and a real shop,
2026-11.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from oms_hub.errors import BadPayload, Refused

_PING = re.compile(rb"webhook_id=\d+")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery.

    Attributes:
        topic: `order.updated`, ...; `ping` for the unsigned greeting of a new webhook: answer 200, believe nothing.
        resource_id: the order or product it is about; empty where the shop sent an error object in its place.
        dedupe_key: equal for deliveries that say the same; the shop's own delivery id is not unique per event.
    """

    topic: str
    resource_id: str
    dedupe_key: str


def signature(body: bytes, secret: str) -> str:
    """Return what the shop writes into `X-WC-Webhook-Signature`."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def is_signed(body: bytes, given: str, secret: str) -> bool:
    """Return whether the signature is right, in constant time; without a secret nothing is."""
    return bool(secret) and hmac.compare_digest(signature(body, secret).encode(), given.encode())


def read_delivery(headers: Mapping[str, str], body: bytes, secret: str) -> Delivery:
    """Return what a delivery is about.

    Args:
        headers: of the request, names in any case.
        body: the raw body, as received.
        secret: the webhook's own secret.

    Raises:
        Refused: not signed by the shop.
        BadPayload: signed, but not JSON.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    given = lower.get("x-wc-webhook-signature", "")
    if not given and _PING.fullmatch(body):
        return Delivery("ping", "", "ping")
    if not is_signed(body, given, secret):
        raise Refused("a webhook is not signed with this connection's secret", remedy="Check the webhook's secret")
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadPayload("a webhook is not JSON") from error
    topic = lower.get("x-wc-webhook-topic", "")
    identity = payload.get("id") if isinstance(payload, dict) else None
    if not isinstance(identity, int):  # of an order that is gone the shop sends a signed error object
        return Delivery(topic, "", f"{topic}:{hashlib.sha256(body).hexdigest()}")
    return Delivery(topic, str(identity), f"{topic}:{identity}:{payload.get('date_modified_gmt') or 'deleted'}")
