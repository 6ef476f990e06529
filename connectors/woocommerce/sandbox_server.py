"""HTTP of the practice shop: a threaded server on 127.0.0.1, credentials, headers.

What belongs here: transport and who may do what. Not here: what routes answer (`sandbox_routes`).
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from connectors.woocommerce.sandbox_auth import approval_page, deliver
from connectors.woocommerce.sandbox_query import ApiError, Query
from connectors.woocommerce.sandbox_routes import Answer, Routes
from connectors.woocommerce.settings import API_PATH


@dataclass(slots=True)
class Keys:
    """A key pair and what it may do."""

    consumer_key: str
    consumer_secret: str
    may_write: bool = True


@dataclass(slots=True)
class Traffic:
    """What was asked, for tests: (method, path below the API, query)."""

    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    delay_seconds: float = 0.0


class SandboxServer(ThreadingHTTPServer):
    """The server; `routes`, `keys` and `traffic` are what it serves with."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, port: int, routes: Routes, keys: list[Keys]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.routes = routes
        self.keys = keys
        self.traffic = Traffic()
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="woocommerce-sandbox", daemon=True
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

    def do_PUT(self) -> None:
        """Answer a PUT."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    def do_DELETE(self) -> None:
        """Answer a DELETE."""
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.path.startswith("/wc-auth/v1/"):
            self._approve(parts.path, query)
            return
        traffic = self.server.traffic
        traffic.requests.append((self.command, parts.path.removeprefix(API_PATH), query))
        if traffic.delay_seconds:
            time.sleep(traffic.delay_seconds)
        try:
            answer = self._answer(parts.path, query, body)
        except ApiError as error:
            answer = Answer(orjson.dumps(error.shown()), status=error.status)
        self._send(answer)

    def _approve(self, path: str, query: Query) -> None:
        """Ask the shop's owner, or carry out the yes."""
        keys = self.server.keys[0]
        is_asked = path.endswith("/authorize")
        self.send_response_only(200 if is_asked else 302)
        if not is_asked:
            self.send_header("Location", deliver(query, keys.consumer_key, keys.consumer_secret))
        body = approval_page(query).encode() if is_asked else b""
        self.send_header("Content-Type", "text/html; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, path: str, query: Query, body: bytes) -> Answer:
        if self.command == "GET" and path.rstrip("/") in {"/wp-json", API_PATH}:
            return Answer(orjson.dumps(self._index()))
        if not path.startswith(f"{API_PATH}/"):
            raise ApiError(404, "rest_no_route", "No route was found matching the URL and request method.")
        self._check_key()
        return self.server.routes.answer(self.command, path.removeprefix(API_PATH), query, _payload(body))

    def _index(self) -> dict[str, Any]:
        traits = self.server.routes.traits
        orders: dict[str, Any] = {"page": {}, "per_page": {}, "status": {}, "after": {}, "before": {}, "dp": {}}
        if traits.has_time_filter:
            orders.update(modified_after={}, modified_before={}, dates_are_gmt={})
        routes = {
            f"{API_PATH.removeprefix('/wp-json')}/{name}": {"endpoints": [{"methods": ["GET"], "args": arguments}]}
            for name, arguments, is_there in (
                ("orders", orders, True),
                ("products", {}, True),
                ("refunds", {}, traits.has_refund_list),
                ("variations", {}, traits.has_variation_list),
            )
            if is_there
        }
        return {
            "name": "Practice shop",
            "timezone_string": str(self.server.routes.shop.zone),
            "namespaces": ["wp/v2", "wc/v3"],
            "namespace": "wc/v3",
            "routes": routes,
        }

    def _check_key(self) -> None:
        given = _basic_credentials(self.headers.get("authorization", ""))
        known = next((keys for keys in self.server.keys if given and keys.consumer_key == given[0]), None)
        if known is None or given is None:
            raise ApiError(401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
        if known.consumer_secret != given[1]:
            raise ApiError(401, "woocommerce_rest_authentication_error", "Consumer secret is invalid.")
        if self.command != "GET" and not known.may_write:
            raise ApiError(
                401, "woocommerce_rest_authentication_error", "The API key provided does not have write permissions."
            )

    def _send(self, answer: Answer) -> None:
        now = self.server.routes.shop.now()
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string(now.timestamp()))
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        if answer.total is not None:
            self.send_header("X-WP-Total", str(answer.total))
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)


def _basic_credentials(header: str) -> tuple[str, str] | None:
    kind, _, token = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        key, _, secret = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return key, secret


def _payload(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ApiError(400, "rest_invalid_json", "Invalid JSON body passed.") from None
