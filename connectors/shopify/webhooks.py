"""Webhooks of a shop: are they genuine, what are they about, were they seen before.

What belongs here: reading a delivery's headers and the one id in its body. Not here: receiving HTTP, or acting on it:
a webhook is a pointer to an order or item that is then pulled.

Source: shopify.dev apps/build/webhooks/verify-deliveries and ignore-duplicates, seen 2026-11-22.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from oms_hub.errors import BadPayload

TOPICS = (
    "ORDERS_CREATE",
    "ORDERS_UPDATED",
    "ORDERS_EDITED",
    "ORDERS_CANCELLED",
    "ORDERS_DELETE",
    "REFUNDS_CREATE",
    "INVENTORY_LEVELS_UPDATE",
    "APP_UNINSTALLED",
    "BULK_OPERATIONS_FINISH",
)
"""What a subscription asks for, as the published schema names it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook.

    Attributes:
        topic: lower case, as the header has it (`orders/updated`).
        shop: the shop's domain.
        webhook_id: the same for every retry of one delivery: what duplicates are told by.
        event_id: the same for every subscription to one event.
        reference: gid of the order or item it is about, None where the body names none.
    """

    topic: str
    shop: str
    webhook_id: str
    event_id: str
    reference: str | None


def is_genuine(body: bytes, signature: str, *, client_secret: str) -> bool:
    """Return whether Shopify signed this body with the app's secret; takes the same time whatever differs.

    Args:
        body: the raw bytes, before anything read or re-encoded them.
        signature: the header `X-Shopify-Hmac-SHA256`, base64.
        client_secret: of the app.
    """
    expected = base64.b64encode(hmac.new(client_secret.encode(), body, hashlib.sha256).digest())
    return hmac.compare_digest(expected, signature.encode())


def read_delivery(headers: Mapping[str, str], body: bytes) -> Delivery:
    """Return what a delivery is about. Check `is_genuine` first.

    Args:
        headers: looked up without regard to case.
        body: the raw bytes.

    Raises:
        BadPayload: a header is missing, or the body is no JSON object.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        topic, shop = found["x-shopify-topic"], found["x-shopify-shop-domain"]
        webhook_id = found["x-shopify-webhook-id"]
        parsed = orjson.loads(body)
        return Delivery(topic.lower(), shop, webhook_id, found.get("x-shopify-event-id", ""), _reference(topic, parsed))
    except (KeyError, AttributeError, orjson.JSONDecodeError):
        raise BadPayload("the webhook lacks a header, or its body is no JSON object") from None


def _reference(topic: str, parsed: Mapping[str, object]) -> str | None:
    """Return the gid; webhook bodies are shaped like the old REST API, with numbers for ids."""
    gid = parsed.get("admin_graphql_api_id")
    for kind, field in (("Order", "order_id"), ("InventoryItem", "inventory_item_id")):
        if isinstance(parsed.get(field), int):
            return f"gid://shopify/{kind}/{parsed[field]}"
    if isinstance(gid, str) and gid:
        return gid
    identifier = parsed.get("id")
    is_order = topic.lower().startswith("orders/") and isinstance(identifier, int)
    return f"gid://shopify/Order/{identifier}" if is_order else None
