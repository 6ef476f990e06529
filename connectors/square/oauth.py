"""Connecting by approval: the seller approves the application, the hub exchanges the code for tokens.

What belongs here: the flow and the guide that the console shows. Not here: renewing tokens (`auth`).

Source: published description 2025-08-20, ObtainToken and RevokeToken; the page of approval is /oauth2/authorize.
"""

from __future__ import annotations

from urllib.parse import urlencode

from connectors.square.auth import TOKEN_PATH, Tokens
from connectors.square.settings import api_version, base_url
from oms_hub.channel.connecting import ConnectGuide, GuideText, OAuthFlow, OAuthGrant, OAuthReturn, OAuthStart
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import ChannelHttp, ChannelRules, Refusal, open_client
from oms_hub.errors import BadPayload, HubError, NeedsReconnect, Refused

SCOPES = ("MERCHANT_PROFILE_READ", "ORDERS_READ", "ITEMS_READ", "INVENTORY_READ", "INVENTORY_WRITE")
_REVOKE_PATH = "/oauth2/revoke"


def authorize_url(start: OAuthStart) -> str:
    """Return where the seller approves the application."""
    query = {
        "client_id": start.secrets["client_id"], "scope": " ".join(SCOPES), "session": "false", "state": start.state,
        "redirect_uri": start.redirect_url,
    }  # fmt: skip
    return f"{base_url(start.settings)}/oauth2/authorize?{urlencode(query)}"


def exchange(session: ChannelSession, returned: OAuthReturn) -> OAuthGrant:
    """Return the tokens for the code that came back.

    Raises:
        Refused: the seller did not approve. NeedsReconnect: Square refuses the application or the code.
    """
    code = returned.parameters.get("code", "")
    if returned.parameters.get("error") or not code:
        raise Refused("The seller did not approve the application", remedy="Begin again, and approve it")
    form = {
        **{name: session.secrets.get(name) or "" for name in ("client_id", "client_secret")},
        "grant_type": "authorization_code", "code": code, "redirect_uri": returned.redirect_url,
    }  # fmt: skip
    with _client(session) as client:
        granted = client.post_json(TOKEN_PATH, form, is_write=False).parsed
    if not isinstance(granted, dict) or not isinstance(granted.get("access_token"), str):
        raise BadPayload("the answer to a token request holds no access_token", where=TOKEN_PATH)
    return OAuthGrant(Tokens._values(granted, session.clock()))


def revoke(session: ChannelSession) -> None:
    """Take all tokens of the seller for this application back; raises as any request does."""
    secrets = session.secrets
    payload = {"client_id": secrets.get("client_id") or "", "access_token": secrets.get("access_token") or ""}
    if not all(payload.values()) or not secrets.get("client_secret"):
        raise Refused("A personal access token can only be taken back at Square")
    with _client(session, authorization=f"Client {secrets.get('client_secret')}") as client:
        client.post_json(_REVOKE_PATH, payload, is_idempotent=True)


def _client(session: ChannelSession, **headers: str) -> ChannelHttp:
    settings = session.connection.settings
    version = {"square-version": api_version(settings)}
    return open_client(
        session, base_url(settings), headers={**version, **headers}, rules=ChannelRules(explain=_explain)
    )


def _explain(refusal: Refusal) -> HubError | None:
    if refusal.status not in {400, 401, 403, 404}:
        return None
    said = f" ({refusal.code})" if refusal.code else ""
    return NeedsReconnect(
        f"Square refuses the application or the code{said}", remedy="Check client_id and client_secret"
    )


FLOW = OAuthFlow(needs=("client_id", "client_secret"), authorize_url=authorize_url, exchange=exchange)

GUIDE = ConnectGuide(
    first=("client_id", "client_secret", "access_token"),
    texts={
        "en": GuideText(
            needs="The id and the secret of an application of your own at Square (or a personal access token).",
            where=(
                "Open the Square Developer Console and create an application, or open the one you have.",
                "Under OAuth, copy the application id and the application secret.",
                "Add this console's address, followed by /connect/square/return, as the redirect URL.",
                "Type both values here, then choose Approve at Square.",
            ),
            use=(
                "It reads orders, items, locations and stock levels.",
                "It writes stock levels, and only once you make pushing live.",
            ),
            labels={
                "client_id": "Application id", "client_secret": "Application secret",
                "access_token": "Personal access token (instead of both)",
            },
        ),
        "es": GuideText(
            needs="El id y el secreto de una aplicación propia en Square (o un token de acceso personal).",
            where=(
                "Abre la consola de desarrollo de Square y crea una aplicación, o abre la que ya tienes.",
                "En OAuth, copia el id y el secreto de la aplicación.",
                "Añade la dirección de esta consola, seguida de /connect/square/return, como URL de redirección.",
                "Escribe aquí ambos valores, y elige Aprobar en Square.",
            ),
            use=(
                "Lee pedidos, artículos, ubicaciones y existencias.",
                "Escribe existencias, y solo cuando tú activas el envío.",
            ),
            labels={
                "client_id": "Id de la aplicación", "client_secret": "Secreto de la aplicación",
                "access_token": "Token de acceso personal (en lugar de ambos)",
            },
        ),
    },
)  # fmt: skip
