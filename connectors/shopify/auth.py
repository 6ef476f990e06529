"""Getting in: access tokens, their renewal, and the OAuth pieces that a console needs to install the app.

What belongs here: which token a request carries. Not here: what is asked with it (`api`), webhook signatures
(`webhooks`).

Three kinds of credentials work: a fixed `access_token`; `client_id` + `client_secret` (client-credentials grant, a
token for 24 hours, asked for again); the same with a `refresh_token` (an expiring offline token of an hour; each
renewal replaces the refresh token). Renewed tokens are stored before their first use, and one renewal serves all
workers: it happens under the connection's lock, after reading the stored token again.

Source: shopify.dev, client-credentials grant and offline access tokens, seen 2026-11-22.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from connectors.shopify.settings import base_url, shop_domain
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import ChannelRules, Refusal, open_client
from oms_hub.domain.pull_windows import from_text, to_text
from oms_hub.errors import BadPayload, HubError, NeedsReconnect

TOKEN_HEADER = "X-Shopify-Access-Token"  # noqa: S105 (a header's name)
TOKEN_PATH = "/admin/oauth/access_token"  # noqa: S105 (a path)
EARLY = timedelta(seconds=60)
"""A token is renewed this long before it expires, so that it does not expire under way."""

_EXPIRY = "access_token_expires_at"


class Tokens:
    """The access token of one connection, renewed when it has to be."""

    def __init__(self, session: ChannelSession) -> None:
        self._session = session

    def current(self) -> str:
        """Return a token to send with the next request, renewing one that is missing or about to expire.

        Raises:
            NeedsReconnect: no credentials, or the shop refuses them.
            RetryLater: the shop cannot be reached now.
        """
        token = self._session.secrets.get("access_token")
        if token and not self._is_expired():
            return token
        if not self.can_renew():
            if token:
                return token
            raise NeedsReconnect(
                f"{self._session.connection.name} has neither access_token nor client_id and client_secret",
                remedy="Add the connection again with --secret access_token=... or client_id and client_secret",
            )
        return self.renew(stale=token)

    def can_renew(self) -> bool:
        """Return whether a new token can be asked for."""
        return bool(self._session.secrets.get("client_id") and self._session.secrets.get("client_secret"))

    def renew(self, *, stale: str | None) -> str:
        """Return a token other than `stale`: the one that another worker just stored, or a new one.

        Raises:
            NeedsReconnect: the shop refuses the credentials for good.
            RetryLater: the shop cannot be reached now.
        """
        secrets = self._session.secrets
        with secrets.lock():
            stored = secrets.get("access_token")
            if stored and stored != stale and not self._is_expired():
                return stored
            asked_at = self._session.clock()
            granted = self._ask()
            values = {"access_token": granted["access_token"]}
            seconds = granted.get("expires_in")
            if isinstance(seconds, int | float) and not isinstance(seconds, bool):
                values[_EXPIRY] = to_text(asked_at + timedelta(seconds=seconds))
            refresh_token = granted.get("refresh_token")
            if isinstance(refresh_token, str) and refresh_token:
                values["refresh_token"] = refresh_token
            secrets.replace(values)
        return str(values["access_token"])

    def _is_expired(self) -> bool:
        text = self._session.secrets.get(_EXPIRY)
        return bool(text) and self._session.clock() >= from_text(str(text)) - EARLY

    def _ask(self) -> Mapping[str, Any]:
        secrets = self._session.secrets
        form = {"client_id": secrets.get("client_id") or "", "client_secret": secrets.get("client_secret") or ""}
        refresh_token = secrets.get("refresh_token")
        form["grant_type"] = "refresh_token" if refresh_token else "client_credentials"
        if refresh_token:
            form["refresh_token"] = refresh_token
        rules = ChannelRules(explain=self._explain)
        with open_client(self._session, base_url(self._session.connection.settings), rules=rules) as client:
            # the old refresh token lives until the new one is first used, so asking twice does no harm
            answer = client.request(
                "POST",
                TOKEN_PATH,
                payload=urlencode(form).encode(),
                headers={"content-type": "application/x-www-form-urlencoded"},
                is_idempotent=True,
            )
        granted = answer.parsed
        if not isinstance(granted, dict) or not isinstance(granted.get("access_token"), str):
            raise BadPayload("the answer to a token request holds no access_token", where=TOKEN_PATH)
        return granted

    def _explain(self, refusal: Refusal) -> HubError | None:
        if refusal.status not in {400, 401, 403}:
            return None
        said = f" ({refusal.code})" if refusal.code else ""
        return NeedsReconnect(
            f"{shop_domain(self._session.connection.settings)} refuses the app's credentials{said}",
            remedy="Check client_id and client_secret in the Dev Dashboard, that the app is installed on this shop, "
            "and connect again",
        )


class TokenAuth(httpx.Auth):
    """Puts the token on each request; a 401 renews it once where that is possible."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request with a token, and once more with a new one after a 401."""
        token = self._tokens.current()
        request.headers[TOKEN_HEADER] = token
        response = yield request
        if response.status_code == 401 and self._tokens.can_renew():
            request.headers[TOKEN_HEADER] = self._tokens.renew(stale=token)
            yield request


def permission_url(
    settings: Mapping[str, str], *, client_id: str, scopes: Sequence[str], redirect_uri: str, state: str
) -> str:
    """Return the address where the shop's owner approves the app.

    Args:
        settings: of the connection; names the shop.
        client_id: of the app.
        scopes: what the app asks for.
        redirect_uri: where Shopify sends the owner back to.
        state: a one-time secret that comes back unchanged; compare it.
    """
    session = _session_class()(shop_domain(settings), "unstable")
    session.api_key = client_id
    return str(session.create_permission_url(list(scopes), redirect_uri, state))


def is_genuine_callback(parameters: Mapping[str, str], *, client_secret: str) -> bool:
    """Return whether an OAuth callback was signed by Shopify with the app's secret, and is less than a day old."""
    session_class: Any = type("CallbackSession", (_session_class(),), {"secret": client_secret})
    timestamp = parameters.get("timestamp", "")
    return timestamp.isdigit() and bool(session_class.validate_params(dict(parameters)))


def _session_class() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from shopify.session import Session  # noqa: PLC0415 (slow to import, and only needed to install an app)
    return Session
