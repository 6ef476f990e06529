"""HTTP of the practice account: a threaded server on 127.0.0.1, tokens that end, refresh tokens that work once.

What belongs here: transport, who may ask, how often. Not here: what routes answer (`sandbox_routes`).
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from connectors.mercadolibre.sandbox_account import Account
from connectors.mercadolibre.sandbox_routes import Answer, Request, Routes
from connectors.mercadolibre.sandbox_search import ApiError

_GRANT = "Error validating grant. Your authorization code or refresh token may be expired or it was already used"


class Grants:
    """The application's grant on the account: one refresh token that works once, access tokens that end."""

    def __init__(self, account: Account, *, client_id: str, client_secret: str, seed: int) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.renewals = 0
        self.lacks_permission = False
        self._account = account
        self._seed = seed
        self._lock = threading.Lock()
        self._ends_at: dict[str, datetime] = {}
        self._count = 0
        self.refresh_token = self._new("TG")

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-practice-{self._seed}-{self._count:04d}-{self._account.seller_id}"

    def redeem(self, form: dict[str, str]) -> dict[str, Any]:
        """Return new tokens for a refresh token, which is used up by that."""
        with self._lock:
            if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.client_secret):
                raise ApiError(400, "invalid_client", "invalid client_id or client_secret")
            if form.get("grant_type") not in {"refresh_token", "authorization_code"}:
                raise ApiError(400, "unsupported_grant_type", "unsupported grant type")
            given = form.get("refresh_token") or form.get("code")
            if not self.refresh_token or given != self.refresh_token:
                raise ApiError(400, "invalid_grant", _GRANT)
            self.renewals += 1
            self.refresh_token = self._new("TG")
            token, seconds = self._new("APP_USR"), self._account.traits.token_seconds
            self._ends_at[token] = self._account.now() + timedelta(seconds=seconds)
            return {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": seconds,
                "scope": "offline_access read write",
                "user_id": self._account.seller_id,
                "refresh_token": self.refresh_token,
            }

    def check(self, authorization: str) -> None:
        """Refuse a request without a living access token."""
        with self._lock:
            ends_at = self._ends_at.get(authorization.removeprefix("Bearer "))
        if ends_at is None or self._account.now() >= ends_at:
            raise ApiError(401, "unauthorized", "invalid access token")
        if self.lacks_permission:
            raise ApiError(
                403,
                "forbidden",
                "At least one policy returned UNAUTHORIZED.",
                code="PA_UNAUTHORIZED_RESULT_FROM_POLICIES",
                blocked_by="PolicyAgent",
            )

    def expire(self) -> None:
        """Let all access tokens end now."""
        with self._lock:
            self._ends_at.clear()

    def revoke(self) -> None:
        """Take the consent back: nothing works any more."""
        with self._lock:
            self._ends_at.clear()
            self.refresh_token = ""


class SandboxServer(ThreadingHTTPServer):
    """The server; `seen` holds the requests for tests."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, port: int, routes: Routes, grants: Grants) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.routes = routes
        self.grants = grants
        self.seen: list[tuple[Request, int, Any]] = []
        self._minute: tuple[datetime, int] | None = None
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="mercadolibre-sandbox", daemon=True
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

    def count(self) -> None:
        """Refuse a request above the limit of its minute."""
        most, account = self.routes.account.traits.requests_per_minute, self.routes.account
        if most is None:
            return
        with account.lock:
            now = account.now()
            begins_at, sent = self._minute or (now, 0)
            if now - begins_at >= timedelta(minutes=1):
                begins_at, sent = now, 0
            self._minute = (begins_at, sent + 1)
        if sent >= most:
            raise ApiError(429, "local_rate_limited", "too many requests")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SandboxServer

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve()

    def do_PUT(self) -> None:
        """Answer a PUT."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(self.command, parts.path, query, headers)
        try:
            self.server.count()
            answer = self._token(body) if parts.path == "/oauth/token" else self._answer(request, body)
        except ApiError as error:
            answer = Answer(error.shown, status=error.status)
        self.server.seen.append((request, answer.status, answer.parsed))
        self._send(answer)

    def _token(self, body: bytes) -> Answer:
        if self.command != "POST":
            raise ApiError(405, "method_not_allowed", "only POST")
        return Answer(self.server.grants.redeem(dict(parse_qsl(body.decode("ascii", "replace")))))

    def _answer(self, request: Request, body: bytes) -> Answer:
        self.server.grants.check(request.headers.get("authorization", ""))
        try:
            payload = orjson.loads(body) if body else None
        except orjson.JSONDecodeError:
            raise ApiError(400, "bad_request", "invalid JSON") from None
        return self.server.routes.answer(Request(request.method, request.path, request.query, request.headers, payload))

    def _send(self, answer: Answer) -> None:
        body = b"" if answer.parsed is None else orjson.dumps(answer.parsed)
        self.send_response_only(204 if answer.parsed is None else answer.status)
        self.send_header("Date", self.date_time_string(self.server.routes.account.now().timestamp()))
        self.send_header("Content-Type", "application/json; charset=utf-8")
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
