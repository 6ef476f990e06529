"""The fake channel's shop: a real HTTP server on 127.0.0.1 with orders, goods and levels.

What belongs here: the shop's state, its JSON over HTTP, and the knobs of `harness.PracticeShop`.
Not here: how the hub talks to it (`fake_channel`).
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from oms_hub.channel.contract import SandboxAccount, StockWriteMode
from oms_hub.testing.fake_shop_state import (
    Goods,
    ShopOrder,
    ShopState,
    answer_levels,
    answer_listings,
    answer_order_ids,
    answer_orders,
    answer_write_levels,
)

TOKEN = "practice-token"  # noqa: S105 (a practice shop's)
_TITLES = ("Cup", "Tasse „Über“", "Café crème ☕", "茶碗", "Plate 'n' \"bowl\"", "Niño <b>&</b> co")
_START = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)


class FakeShop:
    """A practice shop of the fake channel; see `harness.PracticeShop` for its knobs."""

    def __init__(
        self, *, port: int = 0, orders: int = 60, seed: int = 1, write_mode: StockWriteMode | None = None
    ) -> None:
        chance = random.Random(seed)
        self._state = ShopState(_START, write_mode or StockWriteMode.COMPARE_AND_SWAP)
        self._fill(chance, orders)
        handler = type("Handler", (_ShopHandler,), {"shop": self._state})
        self._server = _ShopServer(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _fill(self, chance: random.Random, orders: int) -> None:
        for number in range(12):
            level = None if number == 11 else chance.randint(20, 80)
            price = Decimal(chance.randint(99, 9999)) / 100
            title = _TITLES[number % len(_TITLES)]
            self._state.goods[f"L{number}"] = Goods(f"L{number}", f"CUP-{number:02}", title, price, level)
        for _ in range(orders):
            self._state.now += timedelta(seconds=chance.choice((0, 0, 40, 600)))
            sku = f"CUP-{chance.randrange(11):02}"
            self._add_order({sku: chance.randint(1, 3), "CUP-11": 1}, shipping=Decimal(chance.randint(0, 990)) / 100)

    def _add_order(self, lines: Mapping[str, int], *, shipping: Decimal = Decimal(0)) -> str:
        by_sku = {goods.sku: goods for goods in self._state.goods.values()}
        order_id = str(self._state.next_number)
        self._state.next_number += 1
        records = [
            {
                "id": f"{order_id}-{position}",
                "listing": by_sku[sku].key,
                "sku": sku,
                "title": by_sku[sku].title,
                "quantity": quantity,
                "unit_price": str(by_sku[sku].price),
            }
            for position, (sku, quantity) in enumerate(lines.items())
        ]
        total = sum((by_sku[sku].price * quantity for sku, quantity in lines.items()), shipping)
        record = {
            "id": order_id,
            "number": f"#{order_id}",
            "currency": "EUR",
            "status": "open",
            "total": str(total),
            "shipping": str(shipping),
            "lines": records,
        }
        now = self._state.now
        self._state.orders[order_id] = ShopOrder(order_id, now, now, record)
        return order_id

    @property
    def base_url(self) -> str:
        """Return the address it serves at."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def account(self) -> SandboxAccount:
        """Return settings and secrets that connect to it."""
        return SandboxAccount({"base_url": self.base_url}, {"token": TOKEN})

    def place_order(self, lines: Mapping[str, int]) -> str:
        """Sell as a buyer would; levels drop at once."""
        with self._state.lock:
            for goods in self._state.goods.values():
                if goods.sku in lines and goods.level is not None:
                    goods.level -= lines[goods.sku]
                    goods.version += 1
            return self._add_order(lines)

    def level(self, sku: str) -> int | None:
        """Return the level that buyers see."""
        with self._state.lock:
            return self._goods_of(sku).level

    def set_level(self, sku: str, quantity: int) -> None:
        """Set a level as a person would."""
        with self._state.lock:
            goods = self._goods_of(sku)
            goods.level = quantity
            goods.version += 1

    def order_ids(self) -> list[str]:
        """Return the ids of all orders that exist now."""
        with self._state.lock:
            return list(self._state.orders)

    def totals(self) -> dict[str, Decimal]:
        """Return each order's total."""
        with self._state.lock:
            return {key: Decimal(order.record["total"]) for key, order in self._state.orders.items()}

    def edit_order(self, order_id: str) -> Decimal:
        """Raise the shipping of an order by one, stamp it as changed now, and return its new total."""
        with self._state.lock:
            order = self._state.orders[order_id]
            order.is_broken = False
            order.updated_at = max(order.updated_at, self._state.now)
            for amount in ("total", "shipping"):
                order.record = {**order.record, amount: str(Decimal(order.record[amount]) + 1)}
            return Decimal(order.record["total"])

    def delete_order(self, order_id: str) -> None:
        """Remove an order without trace."""
        with self._state.lock:
            del self._state.orders[order_id]

    def break_order(self, order_id: str) -> None:
        """Serve an order as a malformed record until it is edited."""
        with self._state.lock:
            order = self._state.orders[order_id]
            order.is_broken = True
            order.updated_at = max(order.updated_at, self._state.now)

    def advance_clock(self, seconds: float) -> None:
        """Move the shop's clock forward."""
        with self._state.lock:
            self._state.now += timedelta(seconds=seconds)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _goods_of(self, sku: str) -> Goods:
        return next(goods for goods in self._state.goods.values() if goods.sku == sku)


class _ShopServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: clients may leave at any time."""


class _ShopHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shop: ShopState

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        routes: dict[tuple[str, str], Callable[[], Any]] = {
            ("GET", "/orders"): lambda: answer_orders(self.shop, query),
            ("GET", "/order-ids"): lambda: answer_order_ids(self.shop, query),
            ("GET", "/listings"): lambda: answer_listings(self.shop),
            ("GET", "/levels"): lambda: answer_levels(self.shop, query["keys"].split(",")),
            ("POST", "/levels"): lambda: answer_write_levels(self.shop, json.loads(body)),
        }
        route = routes.get((self.command, parts.path))
        if self.headers.get("x-token") != TOKEN:
            self._answer(401, {"code": "bad_token"})
        elif route is None:
            self._answer(404, {"code": "no_route"})
        else:
            with self.shop.lock:
                answer = route()
            self._answer(200, answer)

    def _answer(self, status: int, value: Any) -> None:
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
