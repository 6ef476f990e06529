"""HTTP of the practice seller: a threaded server on 127.0.0.1, tokens, permissions, throttling.

What belongs here: transport and who may do what. Not here: what operations answer (`sandbox_routes`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import orjson

from connectors.square.sandbox_routes import Routes
from connectors.square.sandbox_shop import MERCHANT_ID, stamp
from connectors.square.sandbox_words import ApiError, error

_NEEDED = {
    "/v2/locations": "MERCHANT_PROFILE_READ",
    "/v2/orders/search": "ORDERS_READ",
    "/v2/orders/batch-retrieve": "ORDERS_READ",
    "/v2/catalog/search": "ITEMS_READ",
    "/v2/inventory/counts/batch-retrieve": "INVENTORY_READ",
    "/v2/inventory/changes/batch-retrieve": "INVENTORY_READ",
    "/v2/inventory/changes/batch-create": "INVENTORY_WRITE",
}
SCOPES = tuple(dict.fromkeys(_NEEDED.values()))
_TOKEN_LIVES = timedelta(days=30)


@dataclass(slots=True)
class Access:
    """The application's credentials and the tokens that were given out.

    Attributes:
        personal_token: never expires.
        tokens: access token -> when it expires.
        scopes: what the seller allowed.
        is_revoked: the seller took the consent back.
        renewals: how often a token was asked for.
        rotates: each renewal gives another refresh token, as in the PKCE flow; the old one is good no more.
    """

    client_id: str
    client_secret: str
    refresh_token: str
    personal_token: str
    tokens: dict[str, datetime] = field(default_factory=dict)
    scopes: tuple[str, ...] = SCOPES
    is_revoked: bool = False
    renewals: int = 0
    rotates: bool = False

    def grant(self, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Return a new access token.

        Raises:
            ApiError: wrong credentials, or a consent that was taken back.
        """
        self.renewals += 1
        given = (body.get("client_id"), body.get("client_secret"), body.get("refresh_token"))
        is_right = given == (self.client_id, self.client_secret, self.refresh_token)
        if body.get("grant_type") != "refresh_token" or not is_right or self.is_revoked:
            raise ApiError(401, "AUTHENTICATION_ERROR", "UNAUTHORIZED", "The credentials are not valid.")
        token = f"EAAApractice{self.renewals:04d}"
        self.tokens[token] = now + _TOKEN_LIVES
        if self.rotates:
            self.refresh_token = f"EQAApractice{self.renewals:04d}"
        return {
            "access_token": token, "token_type": "bearer", "expires_at": stamp(now + _TOKEN_LIVES)[:19] + "Z",
            "merchant_id": MERCHANT_ID, "refresh_token": self.refresh_token, "short_lived": False,
        }  # fmt: skip

    def check(self, header: str, now: datetime) -> datetime | None:
        """Return when the token of a request expires, None for one that never does.

        Raises:
            ApiError: unknown, expired or revoked.
        """
        token = header.removeprefix("Bearer ")
        if self.is_revoked and (token in self.tokens or token == self.personal_token):
            raise ApiError(401, "AUTHENTICATION_ERROR", "ACCESS_TOKEN_REVOKED", "The access token was revoked.")
        if token == self.personal_token:
            return None
        if token not in self.tokens:
            raise ApiError(401, "AUTHENTICATION_ERROR", "UNAUTHORIZED", "This request could not be authorized.")
        if self.tokens[token] <= now:
            raise ApiError(401, "AUTHENTICATION_ERROR", "ACCESS_TOKEN_EXPIRED", "The access token has expired.")
        return self.tokens[token]


@dataclass(slots=True)
class Weather:
    """What goes wrong on purpose: the next answers have these statuses, without Retry-After."""

    statuses: list[int] = field(default_factory=list)

    def blow(self) -> None:
        """Raise the next trouble, if any is left."""
        if not self.statuses:
            return
        status = self.statuses.pop(0)
        if status == 429:
            raise ApiError(429, "RATE_LIMIT_ERROR", "RATE_LIMITED", "Too many requests.")
        raise ApiError(status, "API_ERROR", "SERVICE_UNAVAILABLE", "An internal error has occurred.")


class SandboxServer(ThreadingHTTPServer):
    """The server; `routes`, `access` and `weather` are what it serves with, `traffic` is what was asked."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, port: int, routes: Routes, access: Access) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.routes = routes
        self.access = access
        self.weather = Weather()
        self.traffic: list[tuple[str, str]] = []
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="square-sandbox", daemon=True
        )

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and free the port."""
        self.shutdown()
        self.server_close()
        self._thread.join(5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away in the middle."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SandboxServer

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = urlsplit(self.path).path
        shop = self.server.routes.shop
        with shop.lock:
            self.server.traffic.append((self.command, path))
            try:
                status, answer = 200, self._answer(path, _payload(body), shop.now())
            except ApiError as refusal:
                status, answer = refusal.status, {"errors": list(refusal.errors)}
            now = shop.now()
        content = orjson.dumps(answer)
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string(now.timestamp()))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, path: str, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        access = self.server.access
        self.server.weather.blow()
        if path == "/oauth2/token":
            return access.grant(body, now)
        expires_at = access.check(self.headers.get("authorization", ""), now)
        if path == "/oauth2/token/status":
            until = {} if expires_at is None else {"expires_at": stamp(expires_at)}
            return {"scopes": list(access.scopes), "client_id": access.client_id, "merchant_id": MERCHANT_ID, **until}
        if path in _NEEDED and _NEEDED[path] not in access.scopes:
            raise ApiError(403, "AUTHENTICATION_ERROR", "INSUFFICIENT_SCOPES", f"Requires {_NEEDED[path]}.")
        return self.server.routes.answer(self.command, path, body)


def _payload(body: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        refusal = ApiError(400, "INVALID_REQUEST_ERROR", "EXPECTED_JSON_BODY", "")
        refusal.errors = [error("INVALID_REQUEST_ERROR", "EXPECTED_JSON_BODY", "The body is not JSON.")]
        raise refusal
    return found
