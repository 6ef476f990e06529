"""HTTP of the practice account: a threaded server on 127.0.0.1, tokens, rate limits, headers.

What belongs here: transport, who may ask, and how often. Not here: what operations answer (`sandbox_routes`).
"""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from connectors.amazon.auth import TOKEN_HEADER, TOKEN_PATH
from connectors.amazon.operations import OPERATIONS, Operation
from connectors.amazon.sandbox_account import Account
from connectors.amazon.sandbox_documents import FILES, Documents
from connectors.amazon.sandbox_query import ApiError, Reply, Request
from connectors.amazon.sandbox_routes import Routes

TOKEN_LIFE = timedelta(hours=1)
_PATTERNS = tuple(
    (operation, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation.path))) for operation in OPERATIONS
)


@dataclass(slots=True)
class Access:
    """Who may ask: the app's credentials, the tokens given out, the roles it has."""

    client_id: str
    client_secret: str
    refresh_token: str
    tokens: dict[str, Any] = field(default_factory=dict)
    grants: int = 0
    is_consent_withdrawn: bool = False
    missing_roles: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Exchange:
    """A request and its answer, for tests."""

    operation: str
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    status: int = 0
    answer: bytes = b""
    answer_headers: dict[str, str] = field(default_factory=dict)


class SandboxServer(ThreadingHTTPServer):
    """The server. `rate_factor` is how many times the published rates this seller has."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, port: int, account: Account, routes: Routes, access: Access, *, rate_factor: float) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.account = account
        self.routes = routes
        self.documents: Documents = routes.documents
        self.access = access
        self.rate_factor = rate_factor
        self.traffic: list[Exchange] = []
        self._buckets: dict[str, tuple[float, Any]] = {}
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="amazon-sandbox", daemon=True
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

    def rate_of(self, operation: Operation) -> float:
        """Return this seller's rate of an operation."""
        return operation.limit.per_second * self.rate_factor

    def take(self, operation: Operation) -> None:
        """Count a request; refuses one that is too many."""
        with self.account.lock:
            now = self.account.exact_now()
            most = operation.limit.capacity * max(1.0, self.rate_factor)
            left, read_at = self._buckets.get(operation.name, (most, now))
            left = min(most, left + (now - read_at).total_seconds() * self.rate_of(operation))
            if left < 1:
                raise ApiError(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
            self._buckets[operation.name] = (left - 1, now)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SandboxServer

    def do_GET(self) -> None:
        """Answer any method alike."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        query = parse_qsl(parts.query, keep_blank_values=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        exchange = Exchange("", self.command, parts.path, query, headers, body)
        self.server.traffic.append(exchange)
        try:
            if parts.path.startswith(FILES):
                self._file(exchange)
                return
            reply = self._token(exchange) if parts.path == TOKEN_PATH else self._operation(exchange)
        except ApiError as error:
            reply = Reply(error.body, error.status)
        self._send(exchange, reply.status, orjson.dumps(reply.payload))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _token(self, exchange: Exchange) -> Reply:
        """Answer Login with Amazon's token endpoint."""
        exchange.operation = "token"
        access, form = self.server.access, dict(parse_qsl(exchange.body.decode()))
        if (form.get("client_id"), form.get("client_secret")) != (access.client_id, access.client_secret):
            return Reply({"error": "invalid_client", "error_description": "Client authentication failed"}, 401)
        if form.get("grant_type") != "refresh_token":
            return Reply({"error": "unsupported_grant_type", "error_description": "The grant type is not known"}, 400)
        if form.get("refresh_token") != access.refresh_token or access.is_consent_withdrawn:
            return Reply({"error": "invalid_grant", "error_description": "The grant is invalid or revoked"}, 400)
        token = f"Atza|{secrets.token_hex(16)}"
        access.grants += 1
        access.tokens[token] = self.server.account.now() + TOKEN_LIFE
        seconds = int(TOKEN_LIFE.total_seconds())
        return Reply({
            "access_token": token, "token_type": "bearer", "expires_in": seconds, "refresh_token": access.refresh_token,
        })  # fmt: skip

    def _operation(self, exchange: Exchange) -> Reply:
        for operation, pattern in _PATTERNS:
            match = pattern.fullmatch(exchange.path)
            if match is not None and operation.method == exchange.method:
                break
        else:
            raise ApiError(404, "NotFound", "Resource not found")
        exchange.operation = operation.name
        self._check_access(operation)
        self.server.take(operation)
        place = {name: unquote(value) for name, value in match.groupdict().items()}
        request = Request(place, dict(exchange.query), orjson.loads(exchange.body) if exchange.body else None)
        return self.server.routes.answer(operation.name, request)

    def _check_access(self, operation: Operation) -> None:
        access, token = self.server.access, self.headers.get(TOKEN_HEADER, "")
        details = ""
        if not token:
            details = "Access token is missing in the request header."
        elif token not in access.tokens or access.is_consent_withdrawn:
            details = "The access token you provided is revoked, malformed or invalid."
        elif access.tokens[token] < self.server.account.now():
            details = "The access token you provided has expired."
        elif operation.role in access.missing_roles:
            details = "The application has no access to the requested resource."
        if details:
            raise ApiError(403, "Unauthorized", "Access to requested resource is denied.", details)

    def _file(self, exchange: Exchange) -> None:
        documents = self.server.documents
        try:
            if TOKEN_HEADER in exchange.headers:
                raise ApiError(400, "InvalidArgument", "A token has no business here")
            if exchange.method == "PUT":
                documents.put(exchange.path, exchange.headers.get("content-type", ""), exchange.body)
                self._send(exchange, 200, b"")
                return
            document = documents.file_at(exchange.path)
        except ApiError as error:
            self._send(exchange, error.status, b"<Error/>", content_type="application/xml")
            return
        self._send(exchange, 200, document.body, content_type=document.content_type)

    def _send(self, exchange: Exchange, status: int, body: bytes, *, content_type: str = "application/json") -> None:
        headers = {
            "Date": self.date_time_string(self.server.account.now().timestamp()),
            "Content-Type": content_type,
            "x-amzn-RequestId": secrets.token_hex(8),
            "Content-Length": str(len(body)),
        }
        operation = next((each for each in OPERATIONS if each.name == exchange.operation), None)
        if operation is not None and status in {200, 201, 202, 400, 404}:
            headers["x-amzn-RateLimit-Limit"] = f"{self.server.rate_of(operation):.10g}"
        exchange.status, exchange.answer, exchange.answer_headers = status, body, headers
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
