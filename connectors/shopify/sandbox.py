"""The practice shop: a real HTTP server on 127.0.0.1 that behaves as a Shopify shop does.

What belongs here: HTTP, tokens, and the handle that users and tests hold. Not here: GraphQL (`sandbox_graphql`), the
shop's memory (`sandbox_state`) and its beginnings (`sandbox_seed`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from decimal import Decimal
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from connectors.shopify.documents import API_VERSION
from connectors.shopify.sandbox_graphql import Graph, Rules
from connectors.shopify.sandbox_oauth import Approvals
from connectors.shopify.sandbox_seed import open_shop
from connectors.shopify.sandbox_things import MAIN_LOCATION, gid
from oms_hub.channel.contract import SandboxAccount

DOMAIN = "practice-shop.myshopify.com"
CLIENT_ID, CLIENT_SECRET = "practice-client", "practice-client-secret"
FIRST_TOKEN, FIRST_REFRESH = "shpat_practice", "shprt_practice_1"
SUPPORTED = ("2026-01", "2026-04", "2026-07", API_VERSION)
TOKEN_SECONDS = {"client_credentials": 86_399, "refresh_token": 3_600, "authorization_code": 3_600}


class RunningShop:
    """A practice shop that is being served; see `oms_hub.testing.harness.PracticeShop` for the knobs.

    Attributes:
        graph: the shop's inside, for tests that turn its limits.
        approvals: codes that its owner approved.
        tokens: tokens that open it, with the shop's second at which each ends (None: never).
        refresh_tokens: refresh tokens that still work.
        token_requests: how often a token was asked for.
    """

    def __init__(self, *, port: int, orders: int, seed: int, is_multi_currency: bool, rules: Rules) -> None:
        self._shop = open_shop(DOMAIN, orders=orders, seed=seed, is_multi_currency=is_multi_currency)
        self.graph = Graph(self._shop, rules, file_url=lambda number: f"{self.base_url}/bulk/{number}.jsonl")
        self.tokens: dict[str, float | None] = {FIRST_TOKEN: None}
        self.refresh_tokens = {FIRST_REFRESH}
        self.token_requests = 0
        self.approvals = Approvals(DOMAIN, CLIENT_ID, CLIENT_SECRET)
        handler = type("Handler", (_Handler,), {"running": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        """Return the address it serves at."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def account(self) -> SandboxAccount:
        """Return settings and secrets that connect to it."""
        return SandboxAccount({"shop": DOMAIN, "base_url": self.base_url}, {"access_token": FIRST_TOKEN})

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    # ------------------------------------------------------------------------------------------------- the knobs

    def place_order(self, lines: Mapping[str, int]) -> str:
        """Sell as a buyer would, at once; return the order's id."""
        return gid("Order", self._shop.place_order(lines).number)

    def level(self, sku: str) -> int | None:
        """Return what buyers can buy of a SKU, None where no quantity is kept at the main location."""
        with self._shop.lock:
            variant = self._shop.by_sku(sku)
            level = variant.levels.get(MAIN_LOCATION)
            return level.available if variant.is_tracked and level is not None else None

    def set_level(self, sku: str, quantity: int) -> None:
        """Set what buyers can buy of a SKU at the main location."""
        with self._shop.lock:
            level = self._shop.by_sku(sku).levels[MAIN_LOCATION]
            level.on_hand = quantity + level.committed

    def order_ids(self) -> list[str]:
        """Return the ids of all orders, the oldest first."""
        with self._shop.lock:
            return [gid("Order", number) for number in self._shop.orders]

    def totals(self) -> dict[str, Decimal]:
        """Return each order's total."""
        with self._shop.lock:
            return {gid("Order", number): order.total() for number, order in self._shop.orders.items()}

    def edit_order(self, order_id: str) -> Decimal:
        """Add something to an order and return its new total."""
        return self._shop.edit_order(_number(order_id)).total()

    def delete_order(self, order_id: str) -> None:
        """Remove an order for good."""
        self._shop.delete_order(_number(order_id))

    def break_order(self, order_id: str) -> None:
        """Serve an order malformed until it is edited."""
        self._shop.break_order(_number(order_id))

    def advance_clock(self, seconds: float) -> None:
        """Move the shop's clock forward."""
        self._shop.skip(seconds)

    # ---------------------------------------------------------------------------------------------------- tokens

    def opens(self, token: str) -> bool:
        """Return whether a token is good now."""
        ends_at = self.tokens.get(token, 0.0)
        return ends_at is None or ends_at > self._shop.seconds()

    def grant(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer a token request: status and body."""
        with self._shop.lock:
            self.token_requests += 1
            if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
                return 401, {"error": "invalid_client", "error_description": "unknown client"}
            kind = form.get("grant_type", "authorization_code" if "code" in form else "")
            if kind not in TOKEN_SECONDS:
                return 400, {"error": "unsupported_grant_type"}
            token = f"shpat_practice_{self._shop.new_number()}"
            granted: dict[str, Any] = {"access_token": token, "scope": ",".join(self.graph.rules.scopes)}
            granted["expires_in"] = TOKEN_SECONDS[kind]
            if kind == "refresh_token" and form.get("refresh_token") not in self.refresh_tokens:
                return 400, {"error": "invalid_grant"}
            if kind == "authorization_code" and not self.approvals.take(form["code"]):
                return 400, {"error": "invalid_request"}
            if kind != "client_credentials":
                granted["refresh_token"] = f"shprt_practice_{self._shop.new_number()}"
                self.refresh_tokens = {granted["refresh_token"]}
            self.tokens[token] = self._shop.seconds() + TOKEN_SECONDS[kind]
            return 200, granted

    def date(self) -> str:
        """Return the shop's time as an HTTP header."""
        return formatdate(self._shop.now().timestamp(), usegmt=True)


def _number(order_id: str) -> int:
    return int(order_id.rpartition("/")[2])


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about clients that hung up."""


class _Handler(BaseHTTPRequestHandler):
    running: RunningShop
    protocol_version = "HTTP/1.1"
    server_version = "practice-shop"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the shop is quiet."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the shop's own time for the `Date` header."""
        return self.running.date()

    def do_GET(self) -> None:
        """Serve the file of an export, or the page of approval."""
        path, _, query = self.path.partition("?")
        if path == "/admin/oauth/authorize":
            asked = {name: values[0] for name, values in parse_qs(query).items()}
            self._send_bytes(200, self.running.approvals.page(asked).encode(), "text/html; charset=utf-8")
            return
        name = self.path.partition("?")[0].removeprefix("/bulk/").removesuffix(".jsonl")
        found = self.running.graph.bulk.file(int(name)) if name.isdigit() else None
        if found is None:
            self._send(404, {"errors": "Not Found"})
        else:
            self._send_bytes(200, found, "application/jsonl")

    def do_DELETE(self) -> None:
        """Uninstall the app: its token opens nothing any more."""
        token = self.headers.get("X-Shopify-Access-Token") or ""
        if self.path != "/admin/api_permissions/current.json" or not self.running.opens(token):
            self._send(401, {"errors": "unrecognized access token"})
            return
        del self.running.tokens[token]
        self._send(200, {})

    def do_POST(self) -> None:
        """Answer a token request or a document."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/admin/oauth/access_token":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self._send(*self.running.grant(form))
            return
        steps = self.path.split("/")
        if len(steps) != 5 or (steps[1], steps[2], steps[4]) != ("admin", "api", "graphql.json"):
            self._send(404, {"errors": "Not Found"})
        elif not self.running.opens(self.headers.get("X-Shopify-Access-Token") or ""):
            self._send(401, {"errors": "unrecognized access token"})
        else:
            self._answer(steps[3], body)

    def _answer(self, version: str, body: bytes) -> None:
        try:
            request = json.loads(body)
        except ValueError:
            self._send(400, {"errors": "not JSON"})
            return
        served = version if version in SUPPORTED else SUPPORTED[0]
        self._send(200, self.running.graph.answer(request), {"X-Shopify-API-Version": served})

    def _send(self, status: int, answer: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(answer).encode(), "application/json; charset=utf-8", headers)

    def _send_bytes(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def start_sandbox(
    *,
    port: int = 0,
    orders: int = 60,
    seed: int = 1,
    is_multi_currency: bool = False,
    rules: Rules | None = None,
) -> RunningShop:
    """Start a practice shop in the background and return its handle.

    Args:
        port: 0 takes a free one.
        orders: how many orders it begins with.
        seed: the same seed gives the same shop.
        is_multi_currency: every third buyer pays in USD.
        rules: scopes and points; default all scopes and a large shop's points.
    """
    return RunningShop(port=port, orders=orders, seed=seed, is_multi_currency=is_multi_currency, rules=rules or Rules())
