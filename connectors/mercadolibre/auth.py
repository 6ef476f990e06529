"""Getting in: access tokens, the renewal of refresh tokens that work once, and an owner's consent.

What belongs here: which token a request carries. Not here: what is asked with it (`api`).

A refresh token works once: the answer to a renewal holds the next one and kills the one that was sent. So a renewal
happens under the connection's lock, over all processes, after reading the stored tokens again (another worker may have
been faster), and the new tokens are stored before the first of them is used. Before it is sent, a fingerprint of the
refresh token is stored beside it. Where the answer is lost (a time-out, a kill), the next attempt sends the same token
once more, because the first may never have arrived; if it did arrive, nobody has the next token any more, and only
the owner can give a new one: then the error says so.

Source: developers.mercadolibre, authentication and authorisation, 2026-08-21: form-encoded, `expires_in` 21600,
single use, six months; errors `invalid_grant`, `invalid_client`, `invalid_operator_user_id`, 429 `local_rate_limited`.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Generator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from connectors.mercadolibre.settings import SITES, base_url, seller_id, site
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import ChannelRules, Refusal, open_client
from oms_hub.domain.pull_windows import from_text, to_text
from oms_hub.errors import BadPayload, HubError, NeedsReconnect, OutcomeUnknown, RetryLater

TOKEN_PATH = "oauth/token"  # noqa: S105 (a path)
EARLY = timedelta(minutes=5)
"""A token is renewed this long before it ends; where that fails, the old one still serves for so long."""

_EXPIRY = "access_token_expires_at"
_ASKED_WITH = "refresh_token_sent"
"""Fingerprint of the refresh token that was sent last, empty once its answer is stored."""
_SENDINGS = 2
_CONSENT = "Let the account's owner (not a collaborator) give consent again, then connect with the new refresh token"


class Tokens:
    """The access token of one connection, renewed when it has to be; may be used from several threads."""

    def __init__(self, session: ChannelSession) -> None:
        self._session = session
        self._busy = threading.Lock()
        self._token: str | None = None
        self._ends_at: datetime | None = None
        self._is_early_renewal_off = False

    def current(self) -> str:
        """Return a token to send with the next request, renewing one that is missing or about to end.

        Raises:
            NeedsReconnect: no refresh token, or Mercado Libre refuses it.
            RetryLater: Mercado Libre cannot be reached now.
        """
        with self._busy:
            if self._token is None:
                self._read()
            if self._token is None or self._ends_within(timedelta(0)):
                return self._renew(self._token)
            if self._is_early_renewal_off or not self._ends_within(EARLY):
                return self._token
            try:
                return self._renew(self._token)
            except RetryLater:
                self._is_early_renewal_off = True
                return self._token

    def renew(self, *, stale: str) -> str:
        """Return a token other than `stale`: the one that another worker stored, or a new one; see `current`."""
        with self._busy:
            if self._token is not None and self._token != stale:
                return self._token
            return self._renew(stale)

    def _read(self) -> None:
        secrets = self._session.secrets
        self._token = secrets.get("access_token") or None
        text = secrets.get(_EXPIRY)
        self._ends_at = from_text(text) if text else None

    def _ends_within(self, margin: timedelta) -> bool:
        return self._ends_at is not None and self._session.clock() >= self._ends_at - margin

    def _renew(self, stale: str | None) -> str:
        with self._session.secrets.lock():
            self._read()
            if self._token is not None and self._token != stale and not self._ends_within(timedelta(0)):
                return self._token
            asked_at = self._session.clock()
            granted = self._redeem_refresh_token()
            self._session.secrets.replace(stored_values(granted, asked_at=asked_at))
            self._read()
        self._is_early_renewal_off = False
        return str(self._token)

    def _redeem_refresh_token(self) -> Mapping[str, Any]:
        secrets = self._session.secrets
        refresh_token = secrets.get("refresh_token")
        if not refresh_token:
            raise NeedsReconnect(f"{self._session.connection.name} has no refresh token", remedy=_CONSENT)
        mark = hashlib.sha256(refresh_token.encode()).hexdigest()[:16]
        was_sent_before = secrets.get(_ASKED_WITH) == mark
        secrets.replace({_ASKED_WITH: mark})
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        for sending in range(_SENDINGS):
            try:
                return ask_for_tokens(self._session, form)
            except OutcomeUnknown as error:
                was_sent_before = True
                if sending + 1 == _SENDINGS:
                    raise RetryLater(f"{error.message}; the same refresh token is sent again next time") from None
            except NeedsReconnect as error:
                if not was_sent_before:
                    raise
                raise NeedsReconnect(
                    f"{error.message}; an earlier answer to this renewal was lost on the way, "
                    "and with it the next refresh token",
                    remedy=_CONSENT,
                ) from None
        raise AssertionError("unreachable")  # pragma: no cover (the loop returns or raises)


def ask_for_tokens(session: ChannelSession, form: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the answer to a token request, checked: an access token, a refresh token, the right account.

    Raises:
        NeedsReconnect: the grant or the application is refused, or belongs to another account.
        OutcomeUnknown: no answer came; the grant may be used up.
        RetryLater: Mercado Libre surely did nothing; try later.
    """
    secrets = session.secrets
    values = {**form, "client_id": secrets.get("client_id") or "", "client_secret": secrets.get("client_secret") or ""}
    with open_client(session, base_url(session.connection.settings), rules=ChannelRules(explain=_explain)) as client:
        answer = client.request(
            "POST",
            TOKEN_PATH,
            payload=urlencode(values).encode(),
            headers={"content-type": "application/x-www-form-urlencoded"},
            is_idempotent=False,
        )
    granted = answer.parsed
    if not isinstance(granted, dict) or not all(
        isinstance(granted.get(name), str) and granted[name] for name in ("access_token", "refresh_token")
    ):
        raise BadPayload(
            "the answer to a token request lacks a token",
            where=TOKEN_PATH,
            remedy="Give the application the scope offline_access, let the owner give consent again, and connect again",
        )
    wanted = seller_id(session.connection.settings)
    if "user_id" in granted and str(granted["user_id"]) != wanted:
        raise NeedsReconnect(
            f"the tokens belong to the account {granted['user_id']}, not to seller_id {wanted}",
            remedy="Set seller_id to the account that gave consent, or let the right owner give consent",
        )
    return granted


def stored_values(granted: Mapping[str, Any], *, asked_at: datetime) -> dict[str, str]:
    """Return the secrets that follow from an answer to a token request."""
    values = {
        "access_token": granted["access_token"],
        "refresh_token": granted["refresh_token"],
        _EXPIRY: "",
        _ASKED_WITH: "",
    }
    seconds = granted.get("expires_in")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        values[_EXPIRY] = to_text(asked_at + timedelta(seconds=seconds))
    return values


def _explain(refusal: Refusal) -> HubError | None:
    if refusal.status not in {400, 401, 403}:
        return None
    said = f"Mercado Libre refuses the credentials with {refusal.status}" + (
        f" ({refusal.code})" if refusal.code else ""
    )
    if refusal.code in {"invalid_client", "unauthorized_client", "unauthorized_application"}:
        return NeedsReconnect(said, remedy="Check client_id and client_secret under Your applications, connect again")
    if refusal.code == "invalid_grant":
        return NeedsReconnect(
            f"{said}: the refresh token was used, has ended, or the owner took the consent back", remedy=_CONSENT
        )
    return NeedsReconnect(said, remedy=_CONSENT)


class TokenAuth(httpx.Auth):
    """Puts the token on each request; a 401 renews it once."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request with a token, and once more with a new one after a 401."""
        token = self._tokens.current()
        request.headers["authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            request.headers["authorization"] = f"Bearer {self._tokens.renew(stale=token)}"
            yield request


def challenge_of(verifier: str) -> str:
    """Return the PKCE challenge (S256) of a verifier.

    Example:
        >>> challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def consent_url(
    settings: Mapping[str, str], *, client_id: str, redirect_uri: str, state: str, verifier: str | None = None
) -> str:
    """Return the address where the account's owner gives consent.

    Args:
        settings: of the connection; the site decides the host.
        client_id: of the application.
        redirect_uri: exactly as it stands in the application.
        state: a one-time secret that comes back unchanged; compare it.
        verifier: a random text for PKCE, needed where the application has it switched on; kept for `redeem_code`.
    """
    query = {"response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "state": state}
    if verifier is not None:
        query.update(code_challenge=challenge_of(verifier), code_challenge_method="S256")
    return f"https://{SITES[site(settings)][1]}/authorization?{urlencode(query)}"


def redeem_code(session: ChannelSession, *, code: str, redirect_uri: str, verifier: str | None = None) -> None:
    """Turn the code that came back from consent into stored tokens; raises as `ask_for_tokens`."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    if verifier is not None:
        form["code_verifier"] = verifier
    asked_at = session.clock()
    session.secrets.replace(stored_values(ask_for_tokens(session, form), asked_at=asked_at))
