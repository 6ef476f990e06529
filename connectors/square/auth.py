"""Getting in: which access token a request carries, and how it is renewed.

What belongs here: tokens. Not here: what is asked with them (`api`), webhook signatures (`webhooks`).

Two kinds of credentials work: an `access_token` alone (a personal one does not expire), or `client_id`, `client_secret`
and `refresh_token` of an application, for which access tokens of 30 days are asked for. A renewed token is stored
before its first use, and one renewal serves all workers: it happens under the connection's lock, after reading the
stored token again. In the code flow the refresh token stays the same and is not used up, so asking twice does no harm.

Source: published description 2025-08-20, ObtainToken; developer.squareup.com asks for a renewal every 7 days or sooner.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

from connectors.square.settings import api_version, base_url
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import ChannelRules, Refusal, open_client
from oms_hub.domain.pull_windows import from_text, to_text
from oms_hub.errors import BadPayload, HubError, NeedsReconnect, RetryLater

TOKEN_PATH = "/oauth2/token"  # noqa: S105 (a path)
RENEW_AFTER = timedelta(days=7)
"""How old a token becomes before it is renewed; a short-lived one at half of its life."""

_EXPIRY = "access_token_expires_at"
_RENEWAL = "access_token_renew_at"


class Tokens:
    """The access token of one connection, renewed when it has to be; may be used from several threads."""

    def __init__(self, session: ChannelSession) -> None:
        self._session = session
        self._refused: NeedsReconnect | None = None
        self._here = threading.Lock()

    def current(self) -> str:
        """Return a token to send with the next request, renewing one that is missing or due.

        A renewal that is merely due and cannot be had now is put off as long as the token lives.

        Raises:
            NeedsReconnect: no credentials, or Square refuses them.
            RetryLater: Square cannot be reached now.
        """
        token = self._session.secrets.get("access_token")
        if token and (not self.can_renew() or not self._has_come(_RENEWAL)):
            return token
        if not self.can_renew():
            raise NeedsReconnect(
                f"{self._session.connection.name} has neither access_token nor client_id, client_secret and "
                "refresh_token",
                remedy="Add the connection again with --secret access_token=... or with the three",
            )
        try:
            return self.renew(stale=token)
        except RetryLater:
            if token and not self._has_come(_EXPIRY):
                return token
            raise

    def can_renew(self) -> bool:
        """Return whether a new token can be asked for."""
        secrets = self._session.secrets
        return all(secrets.get(name) for name in ("client_id", "client_secret", "refresh_token"))

    def renew(self, *, stale: str | None) -> str:
        """Return a token other than `stale`: the one that another worker just stored, or a new one.

        Raises:
            NeedsReconnect: the seller revoked the consent, or the application's secret is wrong. Asked once only.
            RetryLater: Square cannot be reached now.
        """
        secrets = self._session.secrets
        with self._here, secrets.lock():
            if self._refused is not None:
                raise self._refused
            stored = secrets.get("access_token")
            if stored and stored != stale:
                return stored
            try:
                granted = self._ask()
            except NeedsReconnect as error:
                self._refused = error
                raise
            values = self._values(granted, self._session.clock())
            secrets.replace(values)
        return values["access_token"]

    def _has_come(self, name: str) -> bool:
        text = self._session.secrets.get(name)
        return bool(text) and self._session.clock() >= from_text(str(text))

    @staticmethod
    def _values(granted: Mapping[str, Any], now: datetime) -> dict[str, str]:
        values = {"access_token": str(granted["access_token"])}
        expires_at = granted.get("expires_at")
        if isinstance(expires_at, str) and expires_at:
            try:
                until = from_text(expires_at)
            except ValueError:
                raise BadPayload("expires_at of a token is no instant", where=TOKEN_PATH) from None
            values[_EXPIRY] = to_text(until)
            values[_RENEWAL] = to_text(now + min(RENEW_AFTER, max(timedelta(0), until - now) / 2))
        refresh_token = granted.get("refresh_token")
        if isinstance(refresh_token, str) and refresh_token:
            values["refresh_token"] = refresh_token
        return values

    def _ask(self) -> Mapping[str, Any]:
        secrets, settings = self._session.secrets, self._session.connection.settings
        form = {name: secrets.get(name) or "" for name in ("client_id", "client_secret", "refresh_token")}
        with open_client(
            self._session,
            base_url(settings),
            headers={"square-version": api_version(settings)},
            rules=ChannelRules(explain=_refused),
        ) as client:
            granted = client.post_json(
                TOKEN_PATH, {**form, "grant_type": "refresh_token"}, is_idempotent=True, is_write=False
            ).parsed
        if not isinstance(granted, dict) or not isinstance(granted.get("access_token"), str):
            raise BadPayload("the answer to a token request holds no access_token", where=TOKEN_PATH)
        return granted


def _refused(refusal: Refusal) -> HubError | None:
    if refusal.status not in {400, 401, 403}:
        return None
    said = f" ({refusal.code})" if refusal.code else ""
    return NeedsReconnect(
        f"Square refuses to renew the access token{said}: "
        "the consent was revoked, or the application's secret is wrong",
        remedy="Check the application's credentials, have the seller approve it again, and connect again",
    )


class TokenAuth(httpx.Auth):
    """Puts the token on each request; a 401 renews it once where that is possible."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request with a token, and once more with a new one after a 401."""
        token = self._tokens.current()
        request.headers["authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401 and self._tokens.can_renew():
            request.headers["authorization"] = f"Bearer {self._tokens.renew(stale=token)}"
            yield request
