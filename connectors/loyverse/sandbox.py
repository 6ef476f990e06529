"""A practice Loyverse merchant on 127.0.0.1: real HTTP, a seeded past, refunds, receipts that arrive late.

What belongs here: the server and the knobs that people and tests turn. Its state stands in `sandbox_till`.

Example:
    till = start_sandbox(orders=300)
    till.place_order({"HUB-001": 2})
    till.close()
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from connectors.loyverse.sandbox_till import HISTORY_ENDS_AT, MAIN, SECOND, Till, seed_till, stamp
from oms_hub.channel.contract import SandboxAccount
from oms_hub.clock import Clock, monotonic_seconds

_VISIBLE = timedelta(days=31)


class LoyverseSandbox:
    """A running practice merchant."""

    def __init__(self, till: Till, port: int) -> None:
        self.till = till
        handler = type("Handler", (_Handler,), {"till": till})
        self._server = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        """Return the address it serves at."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1.0"

    @property
    def account(self) -> SandboxAccount:
        """Return settings and secrets that connect to it."""
        return SandboxAccount({"base_url": self.base_url}, {"access_token": self.till.token})

    def place_order(self, lines: Mapping[str, int]) -> str:
        """Sell at the till of the main store; the stock falls at once."""
        with self.till.lock:
            return self.till.sell(lines, made_at=self.till.now())

    def level(self, sku: str) -> int | None:
        """Return the level at the main store, None where none is kept."""
        with self.till.lock:
            found = self.till.levels.get((self.till.variant(sku)[1]["variant_id"], MAIN))
            return None if found is None else int(found)

    def set_level(self, sku: str, quantity: int) -> None:
        """Set the level at the main store."""
        with self.till.lock:
            self.till.levels[self.till.variant(sku)[1]["variant_id"], MAIN] = quantity

    def order_ids(self) -> list[str]:
        """Return the numbers of all receipts."""
        with self.till.lock:
            return list(self.till.receipts)

    def totals(self) -> dict[str, Decimal]:
        """Return what each receipt sold for: a refund sells nothing."""
        with self.till.lock:
            return {
                number: Decimal(0 if row["receipt_type"] == "REFUND" else str(row["total_money"]))
                for number, row in self.till.receipts.items()
            }

    def edit_order(self, order_id: str) -> Decimal:
        """Add a tip of one to a receipt, stamp it as changed, mend it, and return its new total."""
        with self.till.lock:
            row = self.till.receipts[order_id]
            row |= {"tip": row["tip"] + 1, "total_money": round(row["total_money"] + 1, 2)}
            self._touch(order_id)
            self.till.broken.discard(order_id)
        return self.totals()[order_id]

    def cancel_order(self, order_id: str) -> None:
        """Cancel a receipt."""
        with self.till.lock:
            self.till.receipts[order_id]["cancelled_at"] = stamp(self.till.now())
            self._touch(order_id)

    def delete_order(self, order_id: str) -> None:
        """Remove a receipt without a trace."""
        with self.till.lock:
            del self.till.receipts[order_id]

    def break_order(self, order_id: str) -> None:
        """Serve a receipt as a malformed record until it is edited."""
        with self.till.lock:
            self.till.broken.add(order_id)
            self._touch(order_id)

    def advance_clock(self, seconds: float) -> None:
        """Move the merchant's clock forward."""
        with self.till.lock:
            self.till.ahead += timedelta(seconds=seconds)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _touch(self, order_id: str) -> None:
        row = self.till.receipts[order_id]
        row["updated_at"] = max(row["updated_at"], stamp(self.till.now()))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that go away in the middle."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    till: Till

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer a GET; the API has nothing else for those who only read."""
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        with self.till.lock:
            status, answer = self._answer(unquote(parts.path).removeprefix("/v1.0"), query)
            now = self.till.now()
        body = orjson.dumps(answer)
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string(now.timestamp()))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        till = self.till
        if self.headers.get("authorization") != f"Bearer {till.token}":
            return 401, {"errors": [{"code": "UNAUTHORIZED", "details": "Invalid access token"}]}
        if path == "/receipts":
            return self._receipts(query)
        if path.removeprefix("/receipts/") in till.receipts:
            return 200, till.shown(path.removeprefix("/receipts/"))
        if path == "/items":
            return _page(list(till.items.values()), "items", query)
        if path == "/stores":
            names = ((SECOND, "Mercado", "2026-02-01"), (MAIN, "Centro", "2026-01-01"))
            stamps = [{"id": key, "name": name, "created_at": f"{day}T00:00:00.000Z"} for key, name, day in names]
            return _page([{**row, "deleted_at": None} for row in stamps], "stores", query)
        if path == "/inventory":
            wanted = query["variant_ids"].split(",") if "variant_ids" in query else None
            rows = [
                {"variant_id": key, "store_id": store, "in_stock": level, "updated_at": stamp(HISTORY_ENDS_AT)}
                for (key, store), level in till.levels.items()
                if (wanted is None or key in wanted) and query.get("store_id", store) == store
            ]
            return _page(rows, "inventory_levels", query)
        return 404, {"errors": [{"code": "NOT_FOUND", "details": "Not found"}]}

    def _receipts(self, query: Mapping[str, str]) -> tuple[int, Any]:
        first, last = (_moment(query, name) for name in ("created_at_min", "created_at_max"))
        changed = _moment(query, "updated_at_min")
        if self.till.is_free_plan and (first is None or first < self.till.now() - _VISIBLE):
            return 402, {"errors": [{"code": "PAYMENT_REQUIRED", "details": "Subscription required"}]}
        rows = [
            self.till.shown(number)
            for number, row in self.till.receipts.items()
            if (changed is None or changed <= datetime.fromisoformat(row["updated_at"]))
            and (first is None or first <= datetime.fromisoformat(row["created_at"]))
            and (last is None or last >= datetime.fromisoformat(row["created_at"]))
        ]
        rows.sort(key=lambda row: (row["created_at"], row["receipt_number"]), reverse=True)
        return _page(rows, "receipts", query)


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    return datetime.fromisoformat(query[name]) if name in query else None


def _page(rows: list[dict[str, Any]], name: str, query: Mapping[str, str]) -> tuple[int, Any]:
    limit, start = int(query.get("limit", "50")), query.get("cursor", "0")
    if not 1 <= limit <= 250 or not start.isdigit():
        return 400, {"errors": [{"code": "BAD_REQUEST", "details": "Bad limit or cursor"}]}
    end = int(start) + limit
    return 200, {name: rows[int(start) : end], **({"cursor": str(end)} if end < len(rows) else {})}


def start_sandbox(
    *, port: int = 0, orders: int = 60, seed: int = 1, clock: Clock | None = None, is_free_plan: bool = False
) -> LoyverseSandbox:
    """Start a practice merchant in the background.

    Args:
        port: 0 takes a free one.
        orders: how many past receipts it has.
        seed: the same seed gives the same merchant.
        clock: the merchant's own; by default one that starts right after the past receipts.
        is_free_plan: receipts older than 31 days are refused with 402.
    """
    began = monotonic_seconds()
    start = HISTORY_ENDS_AT + timedelta(minutes=5)
    till = Till(clock or (lambda: start + timedelta(seconds=monotonic_seconds() - began)), f"loyverse-practice-{seed}")
    till.is_free_plan = is_free_plan
    seed_till(till, orders, seed)
    return LoyverseSandbox(till, port)
