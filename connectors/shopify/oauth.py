"""Connecting by approval: the owner installs the app on the shop, the hub exchanges the code for expiring tokens.

What belongs here: the flow and the guide that the console shows. Not here: signatures (`auth`), renewing tokens.

Source: shopify.dev, authorization code grant and expiring offline access tokens (`expiring=1`), uninstalling an app by
API request, seen 2026-11-22.
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode, urlsplit

from connectors.shopify.auth import TOKEN_PATH, TokenAuth, Tokens, is_genuine_callback, permission_url
from connectors.shopify.settings import base_url, shop_domain
from oms_hub.channel.connecting import ConnectGuide, GuideText, OAuthFlow, OAuthGrant, OAuthReturn, OAuthStart
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import ChannelRules, Refusal, open_client
from oms_hub.domain.pull_windows import to_text
from oms_hub.errors import BadPayload, HubError, NeedsReconnect, Refused

SCOPES = (
    "read_orders", "read_all_orders", "read_products", "read_inventory", "write_inventory", "read_locations",
    "read_returns", "read_merchant_managed_fulfillment_orders",
)  # fmt: skip
_REVOKE_PATH = "/admin/api_permissions/current.json"


def authorize_url(start: OAuthStart) -> str:
    """Return where the shop's owner approves the app."""
    url = permission_url(
        start.settings, client_id=start.secrets["client_id"], scopes=SCOPES, redirect_uri=start.redirect_url,
        state=start.state,
    )  # fmt: skip
    parts = urlsplit(url)
    return f"{base_url(start.settings)}{parts.path}?{parts.query}"


def exchange(session: ChannelSession, returned: OAuthReturn) -> OAuthGrant:
    """Return the tokens for the code that came back.

    Raises:
        Refused: the owner did not approve. BadPayload: the callback was not signed by Shopify for this shop.
        NeedsReconnect: the shop refuses the app's credentials or the code.
    """
    given, secrets = returned.parameters, session.secrets
    if given.get("error"):
        raise Refused("The shop's owner did not approve the app", remedy="Begin again, and approve it")
    client_id, client_secret = secrets.get("client_id") or "", secrets.get("client_secret") or ""
    if not is_genuine_callback(given, client_secret=client_secret):
        raise BadPayload("What came back was not signed with this app's secret", remedy="Check client_secret")
    shop = shop_domain(session.connection.settings)
    if given.get("shop", "").lower() != shop.lower():
        raise BadPayload(f"What came back is of another shop than {shop}", remedy="Begin again at the right shop")
    form = {"client_id": client_id, "client_secret": client_secret, "code": given.get("code", ""), "expiring": "1"}
    asked_at = session.clock()
    with open_client(session, base_url(session.connection.settings), rules=ChannelRules(explain=_explain)) as client:
        granted = client.request(
            "POST", TOKEN_PATH, payload=urlencode(form).encode(),
            headers={"content-type": "application/x-www-form-urlencoded"}, is_write=False,
        ).parsed  # fmt: skip
    if not isinstance(granted, dict) or not isinstance(granted.get("access_token"), str):
        raise BadPayload("the answer to a token request holds no access_token", where=TOKEN_PATH)
    found = {"access_token": granted["access_token"]}
    if isinstance(granted.get("refresh_token"), str):
        found["refresh_token"] = granted["refresh_token"]
    if isinstance(granted.get("expires_in"), int):
        found["access_token_expires_at"] = to_text(asked_at + timedelta(seconds=granted["expires_in"]))
    return OAuthGrant(found)


def _explain(refusal: Refusal) -> HubError | None:
    if refusal.status not in {400, 401, 403}:
        return None
    said = f" ({refusal.code})" if refusal.code else ""
    return NeedsReconnect(
        f"the shop refuses the app's credentials or the code{said}", remedy="Check client_id and client_secret"
    )


def revoke(session: ChannelSession) -> None:
    """Uninstall the app from the shop, which ends its tokens; raises as any request does."""
    tokens = Tokens(session)
    with open_client(session, base_url(session.connection.settings), auth=TokenAuth(tokens)) as client:
        client.request("DELETE", _REVOKE_PATH, is_json=False, is_idempotent=True)


FLOW = OAuthFlow(needs=("shop", "client_id", "client_secret"), authorize_url=authorize_url, exchange=exchange)

GUIDE = ConnectGuide(
    first=("shop", "client_id", "client_secret", "access_token"),
    texts={
        "en": GuideText(
            needs="The shop's myshopify.com address, and the client id and secret of an app of your own "
            "(or the access token of a custom app).",
            where=(
                "Open the Shopify Dev Dashboard and create an app, or open the one you have.",
                "Under its settings, copy the client id and the client secret.",
                "Add this console's address, followed by /connect/shopify/return, to the allowed redirection URLs.",
                "Type the shop's address and both values here, then choose Approve at Shopify.",
            ),
            use=(
                "It reads orders, returns, products, locations and stock levels.",
                "It writes stock levels, and only once you make pushing live.",
                "It never reads names, addresses or card data of buyers.",
            ),
            labels={
                "shop": "Shop address", "client_id": "Client id", "client_secret": "Client secret",
                "access_token": "Access token (only for a custom app)",
            },
        ),
        "es": GuideText(
            needs="La dirección myshopify.com de la tienda, y el ID y el secreto de cliente de una app propia "
            "(o el token de acceso de una app personalizada).",
            where=(
                "Abre el Dev Dashboard de Shopify y crea una app, o abre la que ya tienes.",
                "En su configuración, copia el ID de cliente y el secreto de cliente.",
                "Añade la dirección de esta consola, seguida de /connect/shopify/return, a las URL de redirección.",
                "Escribe aquí la dirección de la tienda y ambos valores, y elige Aprobar en Shopify.",
            ),
            use=(
                "Lee pedidos, devoluciones, productos, ubicaciones y existencias.",
                "Escribe existencias, y solo cuando tú activas el envío.",
                "Nunca lee nombres, direcciones ni datos de tarjetas de los compradores.",
            ),
            labels={
                "shop": "Dirección de la tienda", "client_id": "ID de cliente", "client_secret": "Secreto de cliente",
                "access_token": "Token de acceso (solo para una app personalizada)",
            },
        ),
    },
)  # fmt: skip
