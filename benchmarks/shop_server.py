"""A WooCommerce-shaped shop on loopback whose answers cost next to nothing: bytes from a template, one process.

It ignores `_fields`, so that every client receives the same bytes. `POST /_control` changes orders
(`{"changed": 500}`) or sets the latency of every answer (`{"latency_ms": 200}`).

    python benchmarks/shop_server.py --orders 50000 [--port 0]     prints its port
"""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
FILLER = "x" * 2300


def _template() -> bytes:
    line = {
        "id": "@LINE@", "name": "Ceramic mug, 350 ml, hand painted", "product_id": 4711, "variation_id": 0,
        "quantity": 2, "tax_class": "", "subtotal": "200.00", "subtotal_tax": "32.00", "total": "190.00",
        "total_tax": "30.40", "taxes": [{"id": 1, "total": "30.40", "subtotal": "32.00"}], "meta_data": [],
        "sku": "MUG-@SKU@", "price": 95.0, "image": {"id": 0, "src": ""}, "parent_name": None,
    }  # fmt: skip
    order = {
        "id": "@ID@", "parent_id": 0, "number": "@IDS@", "status": "completed", "currency": "MXN", "version": "11.0.1",
        "prices_include_tax": False, "date_created": "@CREATED@", "date_modified": "@MODIFIED@",
        "date_created_gmt": "@CREATED@", "date_modified_gmt": "@MODIFIED@", "discount_total": "30.00",
        "discount_tax": "4.80", "shipping_total": "99.00", "shipping_tax": "15.84", "cart_tax": "91.20",
        "total": "776.04", "total_tax": "107.04", "customer_id": 17,
        "billing": {"country": "MX", "state": "CMX", "city": "Ciudad"}, "shipping": {"country": "MX"},
        "payment_method": "card", "payment_method_title": "Card", "transaction_id": "t@IDS@",
        "date_paid": "@CREATED@", "date_paid_gmt": "@CREATED@", "date_completed": "@CREATED@",
        "date_completed_gmt": "@CREATED@", "cart_hash": "", "customer_note": FILLER,
        "meta_data": [{"id": n, "key": f"_field_{n}", "value": "some value"} for n in range(8)],
        "line_items": [{**line, "id": f"@LINE{n}@"} for n in range(3)],
        "tax_lines": [{"id": 1, "rate_code": "MX-IVA", "rate_id": 1, "label": "IVA", "compound": False,
                       "tax_total": "91.20", "shipping_tax_total": "15.84", "rate_percent": 16.0, "meta_data": []}],
        "shipping_lines": [{"id": 1, "method_title": "Parcel", "method_id": "flat_rate", "instance_id": "1",
                            "total": "99.00", "total_tax": "15.84",
                            "taxes": [{"id": 1, "total": "15.84", "subtotal": ""}], "meta_data": []}],
        "fee_lines": [],
        "coupon_lines": [{"id": 1, "code": "spring", "discount": "30.00", "discount_tax": "4.80", "meta_data": []}],
        "refunds": [],
    }  # fmt: skip
    text = json.dumps(order, separators=(",", ":")).replace("%", "%%")
    for name in ("ID", "LINE0", "LINE1", "LINE2"):
        text = text.replace(f'"@{name}@"', f"%({name})d")
    for name in ("IDS", "CREATED", "MODIFIED", "SKU"):
        text = text.replace(f"@{name}@", f"%({name})b")
    return text.encode()


class Shop:
    """The orders, by id 1..n, and which of them changed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.latency_seconds = 0.0
        self.requests = 0
        self._template = _template()
        self._changed: dict[int, bytes] = {}
        self._changed_at = FIRST_DAY + timedelta(seconds=60 * count + 86400)

    def change(self, count: int) -> None:
        step = max(1, self.count // max(count, 1))
        self._changed_at += timedelta(hours=1)
        for number in range(count):
            at = self._changed_at + timedelta(seconds=number // 20)
            self._changed.pop(1 + (number * step) % self.count, None)
            self._changed[1 + (number * step) % self.count] = at.strftime("%Y-%m-%dT%H:%M:%S").encode()

    def order(self, order_id: int) -> bytes:
        created = (FIRST_DAY + timedelta(seconds=20 * order_id)).strftime("%Y-%m-%dT%H:%M:%S").encode()
        return self._template % {
            b"ID": order_id, b"IDS": str(order_id).encode(), b"CREATED": created,
            b"MODIFIED": self._changed.get(order_id, created), b"SKU": b"%03d" % (order_id % 500),
            b"LINE0": order_id * 3, b"LINE1": order_id * 3 + 1, b"LINE2": order_id * 3 + 2,
        }  # fmt: skip

    def newest_changed(self) -> list[int]:
        return list(self._changed)

    def modified(self, order_id: int) -> str:
        if order_id in self._changed:
            return self._changed[order_id].decode()
        return (FIRST_DAY + timedelta(seconds=20 * order_id)).strftime("%Y-%m-%dT%H:%M:%S")

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[bytes, int]:
        """Return (body, X-WP-Total)."""
        if path.endswith("/wc/v3") or path.endswith("/wc/v3/"):
            return b'{"namespace":"wc/v3","routes":{"/wc/v3/orders":{},"/wc/v3/refunds":{}}}', 0
        if not path.endswith("/orders"):
            return b"[]", 0
        size = int(query.get("per_page", ["10"])[0])
        offset = int(query.get("offset", ["0"])[0]) + size * (int(query.get("page", ["1"])[0]) - 1)
        if "include" in query:
            ids = [int(value) for value in query["include"][0].split(",")]
            return self._rows(ids[offset : offset + size]), len(ids)
        if query.get("orderby", [""])[0] == "modified":
            low = query.get("modified_after", [""])[0]
            first = self._first_after(low)
            unchanged = [order_id for order_id in range(first, self.count + 1) if order_id not in self._changed]
            ids = [*unchanged, *(order_id for order_id in self._changed if self.modified(order_id) > low)]
            if query.get("order", ["asc"])[0] == "desc":
                ids.reverse()
            return self._rows(ids[offset : offset + size]), len(ids)
        return self._rows(range(offset + 1, min(offset + size, self.count) + 1)), self.count

    def _first_after(self, low: str) -> int:
        if not low:
            return 1
        seconds = (datetime.fromisoformat(low).replace(tzinfo=UTC) - FIRST_DAY).total_seconds()
        return max(1, min(self.count + 1, int(seconds // 20) + 1))

    def _rows(self, ids) -> bytes:
        return b"[" + b",".join(self.order(order_id) for order_id in ids) + b"]"


class Session(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.buffer = b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            self._respond(head.split(b"\r\n", 1)[0].decode(), rest[:length])

    def _respond(self, request: str, body: bytes) -> None:
        method, target, _ = request.split(" ", 2)
        parts = urlsplit(target)
        if parts.path == "/_control":
            wanted = json.loads(body) if method == "POST" else {}
            if "changed" in wanted:
                self.shop.change(wanted["changed"])
            if "latency_ms" in wanted:
                self.shop.latency_seconds = wanted["latency_ms"] / 1000
            self._write(json.dumps({"requests": self.shop.requests}).encode(), 0)
            return
        self.shop.requests += 1
        answer = self.shop.answer(parts.path, parse_qs(parts.query))
        if self.shop.latency_seconds:
            asyncio.get_running_loop().call_later(self.shop.latency_seconds, self._write, *answer)
        else:
            self._write(*answer)

    def _write(self, body: bytes, total: int) -> None:
        size = 100
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\n"
            f"X-WP-Total: {total}\r\nX-WP-TotalPages: {-(-total // size)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)


async def serve(count: int, port: int) -> None:
    shop = Shop(count)
    server = await asyncio.get_running_loop().create_server(lambda: Session(shop), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=50_000)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    try:
        asyncio.run(serve(given.orders, given.port))
    except KeyboardInterrupt:
        pass
