"""Getting in: access tokens of Login with Amazon (LWA), and their renewal.

What belongs here: which token a request carries. Not here: what is asked with it (`api`), dates that lapse (`lapses`).

An access token lives for an hour. One renewal serves all workers: it happens under the connection's lock, after reading
the stored token again, and the new token is stored before its first use. A 401 or 403 renews the token once; a second
refusal means what it says.

Sources: developer-docs.amazon.com/sp-api, "Connect to the SP-API" (token request, one hour) and its error answers (an
expired or revoked token gives 403 `Unauthorized`), seen 2026-11-22; RFC 6749 section 5.2 for the token errors.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from connectors.amazon.lapses import noted_days
from connectors.amazon.settings import token_address
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import ChannelRules, Refusal, open_client
from oms_hub.domain.pull_windows import from_text, to_text
from oms_hub.errors import BadPayload, HubError, NeedsReconnect

TOKEN_HEADER = "x-amz-access-token"  # noqa: S105 (a header's name)
TOKEN_PATH = "/auth/o2/token"  # noqa: S105 (a path)
EARLY = timedelta(seconds=60)
"""A token is renewed this long before it expires, so that it does not expire under way."""

SECRET_NAMES = ("client_id", "client_secret", "refresh_token")
_TOKEN, _EXPIRY = "access_token", "access_token_expires_at"
_REMEDIES = {
    "invalid_grant": "The seller withdrew the consent or it lapsed: authorise the app again and connect with the new "
    "refresh token",
    "invalid_client": "Check client_id and client_secret; a client secret that was not rotated within 180 days is dead",
    "unauthorized_client": "Check that the refresh token belongs to this client_id",
}


class Tokens:
    """The access token of one connection, renewed when it has to be."""

    def __init__(self, session: ChannelSession) -> None:
        self._session = session

    def current(self) -> str:
        """Return a token to send with the next request, renewing one that is missing or about to expire.

        Raises:
            NeedsReconnect: no credentials, or Amazon refuses them.
            RetryLater: Amazon cannot be reached now.
        """
        token = self._session.secrets.get(_TOKEN)
        return token if token and not self._is_expired() else self.renew(stale=token)

    def renew(self, *, stale: str | None) -> str:
        """Return a token other than `stale`: the one that another worker just stored, or a new one.

        Raises:
            NeedsReconnect: Amazon refuses the credentials for good.
            RetryLater: Amazon cannot be reached now.
        """
        secrets = self._session.secrets
        with secrets.lock():
            stored = secrets.get(_TOKEN)
            if stored and stored != stale and not self._is_expired():
                return stored
            asked_at = self._session.clock()
            given = self._credentials()
            granted = self._ask(given)
            seconds = granted.get("expires_in")
            lifetime = seconds if isinstance(seconds, int) and not isinstance(seconds, bool) else 3600
            values = {_TOKEN: granted[_TOKEN], _EXPIRY: to_text(asked_at + timedelta(seconds=lifetime))}
            refresh_token = granted.get("refresh_token")
            if isinstance(refresh_token, str) and refresh_token and refresh_token != given["refresh_token"]:
                values["refresh_token"] = refresh_token
            values |= noted_days(secrets, {**given, **values}, today=asked_at.date())
            secrets.replace(values)
        return str(values[_TOKEN])

    def _credentials(self) -> dict[str, str]:
        given = {name: self._session.secrets.get(name) or "" for name in SECRET_NAMES}
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise NeedsReconnect(
                f"{self._session.connection.name} has no {' and no '.join(missing)}",
                remedy=f"Add the connection again with --secret {missing[0]}=env:VARIABLE",
            )
        return given

    def _is_expired(self) -> bool:
        text = self._session.secrets.get(_EXPIRY)
        return not text or self._session.clock() >= from_text(text) - EARLY

    def _ask(self, given: Mapping[str, str]) -> Mapping[str, Any]:
        form = {"grant_type": "refresh_token", **given}
        address = token_address(self._session.connection.settings)
        with open_client(self._session, address, rules=ChannelRules(explain=_explain)) as client:
            answer = client.request(
                "POST",
                TOKEN_PATH,
                payload=urlencode(form).encode(),
                headers={"content-type": "application/x-www-form-urlencoded;charset=UTF-8"},
                is_idempotent=True,  # an LWA refresh token may be used any number of times
            )
        granted = answer.parsed
        if not isinstance(granted, dict) or not isinstance(granted.get(_TOKEN), str):
            raise BadPayload("the answer to a token request holds no access_token", where=TOKEN_PATH)
        return granted


def _explain(refusal: Refusal) -> HubError | None:
    if refusal.status not in {400, 401, 403}:
        return None
    said = f" ({refusal.code})" if refusal.code else ""
    remedy = _REMEDIES.get(refusal.code, "Check client_id, client_secret and refresh_token and connect again")
    return NeedsReconnect(f"Login with Amazon refuses the credentials{said}", remedy=remedy)


class TokenAuth(httpx.Auth):
    """Puts the token on each request; a 401 or 403 renews it once.

    Args:
        tokens: of the connection.
        observe: hears every answer, before it is read.
    """

    def __init__(self, tokens: Tokens, observe: Callable[[httpx.Response], None]) -> None:
        self._tokens = tokens
        self._observe = observe

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request with a token, and once more with a new one where that was refused."""
        token = self._tokens.current()
        request.headers[TOKEN_HEADER] = token
        response = yield request
        self._observe(response)
        if response.status_code in {401, 403}:
            request.headers[TOKEN_HEADER] = self._tokens.renew(stale=token)
            self._observe((yield request))
