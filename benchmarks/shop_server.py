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
PREPARED_AT_MOST = 60_000
TOWNS = ("Guadalajara", "Puebla", "Monterrey", "Tijuana", "Toluca", "Morelia", "Oaxaca")


def _line(number: int) -> dict[str, object]:
    return {
        "id": f"@LINE{number}@", "name": "Ceramic mug, 350 ml - Blue, Large", "product_id": 4711 + number,
        "variation_id": 4790 + number, "quantity": 2, "tax_class": "", "subtotal": "200.00", "subtotal_tax": "32.00",
        "total": "190.00", "total_tax": "30.40", "taxes": [{"id": 1, "total": "30.4", "subtotal": "32"}],
        "meta_data": [
            {"id": f"@META{number}@", "key": key, "value": value, "display_key": shown, "display_value": value}
            for key, shown, value in (("pa_colour", "Colour", "Blue"), ("pa_size", "Size", "Large"))
        ],
        "sku": f"MUG-{number}@SKU@", "global_unique_id": "", "price": 95,
        "image": {"id": 812 + number, "src": f"https://shop.example/wp-content/uploads/2026/01/mug-{number}.jpg"},
        "parent_name": "Ceramic mug, 350 ml",
    }  # fmt: skip


def _address() -> dict[str, str]:
    return {
        "first_name": "Ana @IDS@", "last_name": "Prueba", "company": "", "address_1": "Calle @SKU@ no. @IDS@",
        "address_2": "", "city": "@TOWN@", "state": "MX-JAL", "postcode": "44@SKU@", "country": "MX",
    }  # fmt: skip


def _template() -> bytes:
    """Return one order with the fields of WooCommerce 10's answer, its order attribution and links, about 5 KB.

    Source: the REST API reference of WooCommerce, and the answer of an untouched WooCommerce 10 shop.
    """
    attribution = {
        "device_type": "Mobile", "referrer": "https://www.example.net/", "session_count": "2",
        "session_entry": "https://shop.example/product/mug/", "session_pages": "5",
        "session_start_time": "@CREATED@", "source_type": "organic", "utm_medium": "organic", "utm_source": "example",
        "user_agent": "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
    }  # fmt: skip
    link = "https://shop.example/wp-json/wc/v3/"
    order = {
        "id": "@ID@", "parent_id": 0, "status": "completed", "currency": "MXN", "version": "10.3.4",
        "prices_include_tax": False, "date_created": "@CREATED@", "date_modified": "@MODIFIED@",
        "discount_total": "30.00", "discount_tax": "4.80", "shipping_total": "99.00", "shipping_tax": "15.84",
        "cart_tax": "91.20", "total": "776.04", "total_tax": "107.04", "customer_id": "@CUSTOMER@",
        "order_key": "wc_order_k@IDS@",
        "billing": {**_address(), "email": "buyer@IDS@@mail.example", "phone": "+52 55 @IDS@"},
        "shipping": {**_address(), "phone": ""},
        "payment_method": "stripe", "payment_method_title": "Card", "transaction_id": "ch_@IDS@",
        "customer_ip_address": "198.51.100.7", "customer_user_agent": attribution["user_agent"],
        "created_via": "checkout", "customer_note": "", "date_completed": "@CREATED@", "date_paid": "@CREATED@",
        "cart_hash": "5f1d7c9b0a@IDS@", "number": "@IDS@",
        "meta_data": [
            {"id": f"@ATTR{n}@", "key": f"_wc_order_attribution_{key}", "value": value}
            for n, (key, value) in enumerate(attribution.items())
        ],
        "line_items": [_line(number) for number in range(3)],
        "tax_lines": [{"id": "@LINE3@", "rate_code": "MX-IVA-1", "rate_id": 1, "label": "IVA", "compound": False,
                       "tax_total": "91.20", "shipping_tax_total": "15.84", "rate_percent": 16, "meta_data": []}],
        "shipping_lines": [{"id": "@LINE4@", "method_title": "Parcel", "method_id": "flat_rate", "instance_id": "1",
                            "total": "99.00", "total_tax": "15.84", "tax_status": "taxable",
                            "taxes": [{"id": 1, "total": "15.84", "subtotal": ""}],
                            "meta_data": [{"id": "@META3@", "key": "Items", "value": "3 mugs",
                                           "display_key": "Items", "display_value": "3 mugs"}]}],
        "fee_lines": [],
        "coupon_lines": [{"id": "@LINE5@", "code": "spring", "discount": "30", "discount_tax": "4.8",
                          "meta_data": [{"id": "@META4@", "key": "coupon_info", "value": "[77,\"spring\",\"percent\",5]",
                                         "display_key": "coupon_info", "display_value": "spring"}],
                          "discount_type": "percent", "nominal_amount": 5, "free_shipping": False}],
        "refunds": [], "payment_url": "https://shop.example/checkout/order-pay/@IDS@/?key=wc_order_k@IDS@",
        "is_editable": False, "needs_payment": False, "needs_processing": False,
        "date_created_gmt": "@CREATED@", "date_modified_gmt": "@MODIFIED@", "date_completed_gmt": "@CREATED@",
        "date_paid_gmt": "@CREATED@", "currency_symbol": "$",
        "_links": {"self": [{"href": f"{link}orders/@IDS@", "targetHints": {"allow": ["GET", "POST", "DELETE"]}}],
                   "collection": [{"href": f"{link}orders"}], "customer": [{"href": f"{link}customers/@CUSTOMERS@"}]},
    }  # fmt: skip
    text = json.dumps(order, separators=(",", ":")).replace("%", "%%")
    whole = ["ID", "CUSTOMER", *(f"LINE{n}" for n in range(6)), *(f"META{n}" for n in range(5)),
             *(f"ATTR{n}" for n in range(len(attribution)))]  # fmt: skip
    for name in whole:
        text = text.replace(f'"@{name}@"', f"%({name})d")
    for name in ("IDS", "CREATED", "MODIFIED", "SKU", "TOWN", "CUSTOMERS"):
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
        self._prepared = [self._made(number) for number in range(1, count + 1)] if count <= PREPARED_AT_MOST else []
        self._changed_at = FIRST_DAY + timedelta(seconds=60 * count + 86400)

    def change(self, count: int) -> None:
        step = max(1, self.count // max(count, 1))
        self._changed_at += timedelta(hours=1)
        for number in range(count):
            at = self._changed_at + timedelta(seconds=number // 20)
            self._changed.pop(1 + (number * step) % self.count, None)
            self._changed[1 + (number * step) % self.count] = at.strftime("%Y-%m-%dT%H:%M:%S").encode()

    def order(self, order_id: int) -> bytes:
        """Return an order's bytes: prepared ones where it never changed and the shop is not too large to hold."""
        if self._prepared and order_id not in self._changed:
            return self._prepared[order_id - 1]
        return self._made(order_id)

    def _made(self, order_id: int) -> bytes:
        created = (FIRST_DAY + timedelta(seconds=20 * order_id)).strftime("%Y-%m-%dT%H:%M:%S").encode()
        customer = order_id % 20_011
        return self._template % {
            b"ID": order_id, b"IDS": str(order_id).encode(), b"CREATED": created,
            b"MODIFIED": self._changed.get(order_id, created), b"SKU": b"%03d" % (order_id % 500),
            b"TOWN": TOWNS[order_id % len(TOWNS)].encode(), b"CUSTOMER": customer, b"CUSTOMERS": b"%d" % customer,
            **{b"LINE%d" % n: order_id * 6 + n for n in range(6)},
            **{b"META%d" % n: order_id * 20 + n for n in range(5)},
            **{b"ATTR%d" % n: order_id * 20 + 5 + n for n in range(10)},
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
