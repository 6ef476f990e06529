"""The routes of the practice shop's API: what each answers, without HTTP.

What belongs here: reading and writing through the API with the quirks of a real shop (11.0.1, 2026-11).
Not here: credentials and transport (`sandbox_server`), rules of the shop (`sandbox_shop`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from connectors.woocommerce.sandbox_query import (
    ApiError,
    Query,
    bound,
    choose_fields,
    id_list,
    page_of,
    sort_rows,
    window,
    within,
)
from connectors.woocommerce.sandbox_records import OrderRecord, Product, RefundRecord
from connectors.woocommerce.sandbox_shop import HIDDEN_STATUSES, Shop
from connectors.woocommerce.sandbox_stock import batch, put_product

_ID = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class ShopTraits:
    """How this shop differs from a present one.

    Attributes:
        has_time_filter: False for shops before 5.8, which ignore the filter by time of change.
        has_refund_list: False for shops before 9.0.
        has_variation_list: False for shops without the flat list of variations.
        honours_gmt: False for a shop in which a plugin breaks `dates_are_gmt`.
        lists_refunds: False for shops whose orders come with an empty `refunds`.
    """

    has_time_filter: bool = True
    has_refund_list: bool = True
    has_variation_list: bool = True
    honours_gmt: bool = True
    lists_refunds: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer."""

    body: bytes
    total: int | None = None
    status: int = 200


@dataclass(slots=True)
class Routes:
    """Answers requests below `/wp-json/wc/v3`."""

    shop: Shop
    traits: ShopTraits = field(default_factory=ShopTraits)
    _bytes: dict[tuple[int, int, str], bytes] = field(default_factory=dict)

    def answer(self, method: str, path: str, query: Query, payload: Any) -> Answer:
        """Return the answer of one route.

        Raises:
            ApiError: any answer with an error status.
        """
        parts = tuple("{id}" if _ID.fullmatch(part) else part for part in path.strip("/").split("/"))
        ids = [int(part) for part in path.strip("/").split("/") if _ID.fullmatch(part)]
        route: Callable[..., Answer] | None = getattr(self, _ROUTES.get((method, "/".join(parts)), ""), None)
        missing = {"refunds": self.traits.has_refund_list, "variations": self.traits.has_variation_list}
        if route is None or not missing.get("/".join(parts), True):
            raise ApiError(404, "rest_no_route", "No route was found matching the URL and request method.")
        with self.shop.lock:
            return route(query, payload, *ids)

    # ------------------------------------------------------------------------------------------------ orders

    def _orders(self, query: Query, _payload: Any) -> Answer:
        zone = self.shop.zone
        time_query = query if self.traits.honours_gmt else {**query, "dates_are_gmt": "false"}
        after, before = bound(time_query, "after", zone), bound(time_query, "before", zone)
        since, until = bound(time_query, "modified_after", zone), bound(time_query, "modified_before", zone)
        if not self.traits.has_time_filter:
            since = until = None
        included, statuses = id_list(query, "include"), query.get("status", "any").split(",")
        found = [
            order
            for order in self.shop.orders.values()
            if (included is None or order.order_id in included)
            and (order.status in statuses or ("any" in statuses and order.status not in HIDDEN_STATUSES))
            and within(order.created_at, after, before)
            and within(order.modified_at, since, until)
        ]
        keys: dict[str, Callable[[OrderRecord], Any]] = {
            "id": lambda order: order.order_id,
            "date": lambda order: order.created_at,
            "modified": lambda order: order.modified_at,
            "include": lambda order: order.order_id,
        }
        rows, total = page_of(sort_rows(found, query, keys), window(query))
        return Answer(b"[%s]" % b",".join(self._order_bytes(order, query) for order in rows), total)

    def _order_bytes(self, order: OrderRecord, query: Query) -> bytes:
        form = f"{query.get('dp', '2')}|{query.get('_fields', '')}"
        key = (order.order_id, order.revision, form)
        found = self._bytes.get(key)
        if found is None:
            shown = self.shop.shown.order(order, int(query.get("dp", "2")))
            if not self.traits.lists_refunds:
                shown["refunds"] = []
            found = self._bytes[key] = orjson.dumps(choose_fields(shown, query.get("_fields")))
        return found

    def _order(self, query: Query, _payload: Any, order_id: int) -> Answer:
        return Answer(self._order_bytes(self._known(order_id), query))

    def _known(self, order_id: int) -> OrderRecord:
        order = self.shop.orders.get(order_id)
        if order is None:
            raise ApiError(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
        return order

    def _put_order(self, query: Query, payload: Any, order_id: int) -> Answer:
        order = self._known(order_id)
        if isinstance(payload, dict) and payload.get("status"):
            self.shop.set_status(order_id, str(payload["status"]))
        else:
            self.shop.touch(order)
        return Answer(self._order_bytes(order, query))

    def _delete_order(self, query: Query, _payload: Any, order_id: int) -> Answer:
        order = self._known(order_id)
        if query.get("force") == "true":
            body = self._order_bytes(order, query)
            self.shop.delete(order_id)
            return Answer(body)
        self.shop.set_status(order_id, "trash")
        return Answer(self._order_bytes(order, query))

    # ----------------------------------------------------------------------------------------------- refunds

    def _refunds(self, query: Query, _payload: Any) -> Answer:
        pairs = [(refund, order.order_id) for order in self.shop.orders.values() for refund in order.refunds]
        return self._refund_page(query, pairs, has_parent=True)

    def _order_refunds(self, query: Query, _payload: Any, order_id: int) -> Answer:
        pairs = [(refund, order_id) for refund in self._known(order_id).refunds]
        return self._refund_page(query, pairs, has_parent=False)

    def _refund_page(self, query: Query, pairs: Iterable[tuple[RefundRecord, int]], *, has_parent: bool) -> Answer:
        since = bound(query, "modified_after", self.shop.zone)
        included = id_list(query, "include")
        found = [
            pair
            for pair in pairs
            if (included is None or pair[0].refund_id in included) and within(pair[0].modified_at, since, None)
        ]
        keys: dict[str, Callable[[tuple[RefundRecord, int]], Any]] = {
            "id": lambda pair: pair[0].refund_id,
            "date": lambda pair: pair[0].created_at,
        }
        rows, total = page_of(sort_rows(found, query, keys), window(query))
        decimals = int(query.get("dp", "2"))
        shown = (self.shop.shown.refund(refund, decimals, parent if has_parent else None) for refund, parent in rows)
        return Answer(orjson.dumps([choose_fields(refund, query.get("_fields")) for refund in shown]), total)

    def _post_refund(self, _query: Query, payload: Any, order_id: int) -> Answer:
        self._known(order_id)
        lines = {int(item["id"]): int(item["quantity"]) for item in payload.get("line_items", ())}
        amount = Decimal(str(payload["amount"])) if payload.get("amount") else None
        restocks = bool(payload.get("api_restock", True)) and bool(lines)
        refund = self.shop.refund(order_id, lines, amount=amount, is_restocked=restocks)
        return Answer(orjson.dumps(self.shop.shown.refund(refund, 2)), status=201)

    def _delete_refund(self, _query: Query, _payload: Any, order_id: int, refund_id: int) -> Answer:
        self._known(order_id)
        self.shop.delete_refund(order_id, refund_id)
        return Answer(orjson.dumps({"id": refund_id}))

    # ------------------------------------------------------------------------------------------------- goods

    def _products(self, query: Query, _payload: Any) -> Answer:
        skus = query.get("sku")
        products = [product for product in self.shop.products.values() if not product.parent_id or skus]
        return self._product_page(query, products)

    def _variations(self, query: Query, _payload: Any) -> Answer:
        return self._product_page(query, [product for product in self.shop.products.values() if product.parent_id])

    def _product_variations(self, query: Query, _payload: Any, product_id: int) -> Answer:
        if product_id not in self.shop.products:
            raise ApiError(404, "woocommerce_rest_product_invalid_id", "Invalid ID.")
        mine = [product for product in self.shop.products.values() if product.parent_id == product_id]
        return self._product_page(query, mine)

    def _product_page(self, query: Query, products: Iterable[Product]) -> Answer:
        included, skus, status = id_list(query, "include"), query.get("sku"), query.get("status", "any")
        since = bound(query, "modified_after", self.shop.zone)
        found = [
            product
            for product in products
            if (included is None or product.product_id in included)
            and (not skus or product.sku in skus.split(","))
            and (status == "any" or product.status == status)
            and within(product.modified_at, since, None)
        ]
        keys: dict[str, Callable[[Product], Any]] = {
            "id": lambda product: product.product_id,
            "date": lambda product: product.product_id,
        }
        rows, total = page_of(sort_rows(found, query, keys), window(query))
        shown = [choose_fields(self.shop.shown.product(product), query.get("_fields")) for product in rows]
        return Answer(orjson.dumps(shown), total)

    def _product(self, query: Query, _payload: Any, *ids: int) -> Answer:
        product = self.shop.products.get(ids[-1])
        if product is None or (len(ids) == 2) != bool(product.parent_id):
            raise ApiError(404, "woocommerce_rest_product_invalid_id", "Invalid ID.")
        return Answer(orjson.dumps(choose_fields(self.shop.shown.product(product), query.get("_fields"))))

    def _put_product(self, query: Query, payload: Any, *ids: int) -> Answer:
        put_product(self.shop, ids[-1], payload, parent_id=ids[0] if len(ids) == 2 else 0)
        return self._product(query, payload, *ids)

    def _batch(self, query: Query, payload: Any, *ids: int) -> Answer:
        shown = batch(self.shop, payload, parent_id=ids[0] if ids else 0)
        return Answer(orjson.dumps({} if "_fields" in query else shown))  # `_fields` breaks this answer

    def _webhooks(self, query: Query, _payload: Any) -> Answer:
        hooks = [
            {"id": 1, "name": "Orders", "status": "active", "topic": "order.updated", "resource": "order"},
            {"id": 2, "name": "Old door", "status": "disabled", "topic": "order.created", "resource": "order"},
        ]
        rows, total = page_of(hooks, window(query))
        return Answer(orjson.dumps(list(rows)), total)


_ROUTES: Mapping[tuple[str, str], str] = {
    ("GET", "orders"): "_orders",
    ("GET", "orders/{id}"): "_order",
    ("PUT", "orders/{id}"): "_put_order",
    ("DELETE", "orders/{id}"): "_delete_order",
    ("GET", "orders/{id}/refunds"): "_order_refunds",
    ("POST", "orders/{id}/refunds"): "_post_refund",
    ("DELETE", "orders/{id}/refunds/{id}"): "_delete_refund",
    ("GET", "refunds"): "_refunds",
    ("GET", "products"): "_products",
    ("GET", "products/{id}"): "_product",
    ("PUT", "products/{id}"): "_put_product",
    ("GET", "products/{id}/variations"): "_product_variations",
    ("GET", "products/{id}/variations/{id}"): "_product",
    ("PUT", "products/{id}/variations/{id}"): "_put_product",
    ("GET", "variations"): "_variations",
    ("POST", "products/batch"): "_batch",
    ("POST", "products/{id}/variations/batch"): "_batch",
    ("GET", "webhooks"): "_webhooks",
}
