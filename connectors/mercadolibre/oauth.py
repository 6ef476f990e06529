"""Connecting by consent: the account's owner consents, the hub turns the code into tokens (PKCE, S256).

What belongs here: the flow and the guide that the console shows. Not here: addresses and tokens (`auth`).
"""

from __future__ import annotations

from urllib.parse import urlencode

from connectors.mercadolibre.auth import consent_url, redeem_code
from connectors.mercadolibre.settings import base_url
from oms_hub.channel.connecting import ConnectGuide, GuideText, OAuthFlow, OAuthGrant, OAuthReturn, OAuthStart
from oms_hub.channel.contract import ChannelSession
from oms_hub.errors import Refused

_GRANTED = ("access_token", "refresh_token", "access_token_expires_at")


def authorize_url(start: OAuthStart) -> str:
    """Return where the account's owner gives consent."""
    base_url(start.settings)
    url = consent_url(
        start.settings, client_id=start.secrets["client_id"], redirect_uri=start.redirect_url, state=start.state
    )
    return f"{url}&{urlencode({'code_challenge': start.challenge, 'code_challenge_method': 'S256'})}"


def exchange(session: ChannelSession, returned: OAuthReturn) -> OAuthGrant:
    """Return the tokens for the code that came back; raises Refused without consent, else as `ask_for_tokens`."""
    code = returned.parameters.get("code", "")
    if returned.parameters.get("error") or not code:
        raise Refused("The account's owner did not consent", remedy="Begin again, and consent")
    redeem_code(session, code=code, redirect_uri=returned.redirect_url, verifier=returned.verifier)
    return OAuthGrant({name: session.secrets.get(name) or "" for name in _GRANTED})


FLOW = OAuthFlow(
    needs=("site", "seller_id", "client_id", "client_secret"), authorize_url=authorize_url, exchange=exchange
)

GUIDE = ConnectGuide(
    first=("site", "seller_id", "client_id", "client_secret"),
    texts={
        "en": GuideText(
            needs="The number of the seller's account, and the id and secret key of an application of your own.",
            where=(
                "Open the developers' page of your country's Mercado Libre, then Your applications; create one.",
                "Give it the scopes read, write and offline_access, and the permissions for orders and publications.",
                "Add this console's address, followed by /connect/mercadolibre/return, as the redirect URL.",
                "Type the App ID and the secret key here, then let the account's owner (no collaborator) consent.",
            ),
            use=(
                "It reads orders, payments, claims, publications and stock.",
                "It writes stock, and only once you make pushing live.",
            ),
            labels={
                "site": "Country's site", "seller_id": "Number of the account", "client_id": "App ID",
                "client_secret": "Secret key", "refresh_token": "Refresh token (only by hand)",
            },
        ),
        "es": GuideText(
            needs="El número de la cuenta que vende, y el id y la clave secreta de una aplicación propia.",
            where=(
                "Abre la página de desarrolladores de Mercado Libre de tu país, y allí Tus aplicaciones; crea una.",
                "Dale los permisos read, write y offline_access, y los de pedidos y publicaciones.",
                "Añade la dirección de esta consola, seguida de /connect/mercadolibre/return, como URL de redirección.",
                "Escribe aquí el App ID y la clave secreta, y que el dueño de la cuenta (no un colaborador) consienta.",
            ),
            use=(
                "Lee pedidos, pagos, reclamos, publicaciones y existencias.",
                "Escribe existencias, y solo cuando tú activas el envío.",
            ),
            labels={
                "site": "Sitio del país", "seller_id": "Número de la cuenta", "client_id": "App ID",
                "client_secret": "Clave secreta", "refresh_token": "Refresh token (solo a mano)",
            },
        ),
    },
)  # fmt: skip
