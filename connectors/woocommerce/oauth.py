"""Connecting by approval: the shop's own page makes a key pair and posts it to the hub; or by hand.

What belongs here: the flow and the guide that the console shows. Not here: requests with the keys (`api`).

Source: developer.woocommerce.com, REST API authentication, "application authentication endpoint", seen 2026-11-22: the
keys are posted as JSON to `callback_url` (https), the owner comes back to `return_url` with `success` and `user_id`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from connectors.woocommerce.settings import shop_address
from oms_hub.channel.connecting import ConnectGuide, GuideText, OAuthFlow, OAuthGrant, OAuthReturn, OAuthStart
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.hosts import is_loopback
from oms_hub.errors import BadPayload, Misconfigured, Refused

AUTHORIZE_PATH = "/wc-auth/v1/authorize"


def authorize_url(start: OAuthStart) -> str:
    """Return where the shop's owner approves a key pair; raises Misconfigured where the shop could not post it."""
    address = shop_address(start.settings)
    is_near = is_loopback(urlsplit(address).hostname or "")
    if not start.delivery_url.startswith("https://") and not is_near:
        raise Misconfigured(
            "the shop posts its keys to https addresses only, and this console is on http",
            remedy="Give a key by hand, or serve the console on https",
        )
    query = {
        "app_name": "oms-hub", "scope": "read_write", "user_id": start.state, "return_url": start.redirect_url,
        "callback_url": start.delivery_url,
    }  # fmt: skip
    return f"{address}{AUTHORIZE_PATH}?{urlencode(query)}"


def read_delivery(body: bytes) -> tuple[str, Mapping[str, str]]:
    """Return (state, keys) of what the shop posted; raises BadPayload."""
    try:
        found = json.loads(body)
        state = str(found["user_id"])
        keys = {name: str(found[name]) for name in ("consumer_key", "consumer_secret")}
    except (ValueError, TypeError, KeyError):
        raise BadPayload("the shop's keys cannot be read") from None
    return state, keys


def exchange(session: ChannelSession, returned: OAuthReturn) -> OAuthGrant:
    """Return the keys that the shop posted.

    Raises:
        Refused: the owner did not approve, or the shop could not post them.
    """
    if returned.parameters.get("success") != "1":
        raise Refused("The shop's owner did not approve", remedy="Begin again and approve, or give a key by hand")
    if returned.delivered is None:
        raise Refused(
            f"{session.connection.name}: the shop could not post its keys to this console",
            remedy="See that the shop's server reaches the console by https, or give a key by hand",
        )
    return OAuthGrant(dict(returned.delivered))


FLOW = OAuthFlow(
    needs=("url",), authorize_url=authorize_url, exchange=exchange, state_parameter="user_id",
    read_delivery=read_delivery,
)  # fmt: skip

GUIDE = ConnectGuide(
    first=("url", "consumer_key", "consumer_secret"),
    texts={
        "en": GuideText(
            needs="The shop's https address. The shop makes the key itself when you approve; or give one by hand.",
            where=(
                "Type the shop's address, such as https://shop.example, and choose Approve at WooCommerce.",
                "By hand: in the shop's admin open WooCommerce, Settings, Advanced, REST API, and choose Add key.",
                "Choose a user who may manage the shop, and Read/Write, then Generate API key.",
                "Copy both values here: the shop shows the secret only once.",
            ),
            use=(
                "It reads orders, refunds and products.",
                "It writes stock quantities, and only once you make pushing live.",
                "It never reads names, addresses, e-mails or phone numbers of buyers.",
            ),
            labels={
                "url": "Shop address", "consumer_key": "Consumer key (ck_…)",
                "consumer_secret": "Consumer secret (cs_…)", "orders_from": "Leave out orders before",
            },
        ),
        "es": GuideText(
            needs="La dirección https de la tienda. La tienda crea la clave cuando apruebas; o dala a mano.",
            where=(
                "Escribe la dirección, como https://tienda.example, y elige Aprobar en WooCommerce.",
                "A mano: en la administración abre WooCommerce, Ajustes, Avanzado, API REST, y elige Añadir clave.",
                "Elige un usuario que pueda gestionar la tienda, y Lectura/Escritura, y genera la clave.",
                "Copia aquí ambos valores: la tienda muestra el secreto una sola vez.",
            ),
            use=(
                "Lee pedidos, reembolsos y productos.",
                "Escribe existencias, y solo cuando tú activas el envío.",
                "Nunca lee nombres, direcciones, correos ni teléfonos de los compradores.",
            ),
            labels={
                "url": "Dirección de la tienda", "consumer_key": "Clave de cliente (ck_…)",
                "consumer_secret": "Secreto de cliente (cs_…)", "orders_from": "Dejar fuera pedidos anteriores al",
            },
        ),
    },
)  # fmt: skip
