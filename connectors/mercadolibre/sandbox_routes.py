"""Routes of the practice account: which request gets which answer.

What belongs here: paths, methods, the rules of stock writes. Not here: HTTP and tokens (`sandbox_server`), searches
(`sandbox_search`), shapes (`sandbox_shown`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.mercadolibre.sandbox_account import Account
from connectors.mercadolibre.sandbox_records import ClaimRecord, Item, Offer, OrderRecord, Shelf, ShipmentRecord
from connectors.mercadolibre.sandbox_search import Query, Scans, missed_feeds, refuse, search_claims, search_orders
from connectors.mercadolibre.sandbox_shown import (
    shown_claim,
    shown_discounts,
    shown_history,
    shown_item,
    shown_order,
    shown_return,
    shown_shipment,
    stamp,
)

DEPOT = {"store_id": "9876543", "network_node_id": "MXP123451"}
_MOST_IDS = 20


@dataclass(frozen=True, slots=True)
class Request:
    """A request below the API's address; header names in lower case."""

    method: str
    path: str
    query: Query
    headers: Mapping[str, str] = field(default_factory=dict)
    payload: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; `parsed` None has no content."""

    parsed: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Routes:
    """The routes of one account."""

    def __init__(self, account: Account, client_id: str) -> None:
        self.account = account
        self._client_id = client_id
        self._scans = Scans()
        seller = account.seller_id
        table: list[tuple[str, str, Callable[..., Answer]]] = [
            ("GET", rf"/users/(?:me|{seller})", self._user),
            ("GET", rf"/users/{seller}/items/search", self._items_search),
            ("GET", rf"/users/{seller}/stores/search", self._stores),
            ("GET", r"/items", self._multiget),
            ("GET", r"/items/(\w+)", self._item),
            ("PUT", r"/items/(\w+)", self._put_item),
            ("GET", r"/user-products/(\w+)/stock", self._stock),
            ("PUT", r"/user-products/(\w+)/stock/type/(\w+)", self._put_stock),
            ("GET", r"/orders/search", self._orders_search),
            ("GET", r"/orders/(\d+)", self._order),
            ("GET", r"/orders/(\d+)/discounts", self._discounts),
            ("GET", r"/shipments/(\d+)", self._shipment),
            ("GET", r"/shipments/(\d+)/history", self._history),
            ("GET", r"/shipments/(\d+)/items", self._shipment_items),
            ("GET", r"/packs/(\d+)", self._pack),
            ("GET", r"/post-purchase/v1/claims/search", self._claims_search),
            ("GET", r"/post-purchase/v1/claims/(\d+)", self._claim),
            ("GET", r"/post-purchase/v2/claims/(\d+)/returns", self._returns),
            ("GET", r"/missed_feeds", self._missed),
        ]
        self._table = [(method, re.compile(path), route) for method, path, route in table]

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request; raises ApiError for refusals."""
        for method, path, route in self._table:
            match = path.fullmatch(request.path)
            if match is not None and method == request.method:
                with self.account.lock:
                    return route(request, *match.groups())
        refuse(404, "resource not found", f"Si quieres conocer los recursos de la API: {request.path}")

    # ------------------------------------------------------------------------------------------------- account

    def _user(self, _request: Request) -> Answer:
        tags = ["normal", "user_product_seller", *(["warehouse_management"] if self.account.traits.has_depots else [])]
        return Answer({"id": self.account.seller_id, "site_id": self.account.site, "country_id": "MX", "tags": tags})

    def _stores(self, _request: Request) -> Answer:
        store = {"id": DEPOT["store_id"], "description": "Bodega", "status": "active", "tags": ["stock_location"]}
        found = [{**store, "network_node_id": DEPOT["network_node_id"]}] if self.account.traits.has_depots else []
        return Answer({"paging": {"limit": 50, "total": len(found)}, "results": found})

    def _missed(self, request: Request) -> Answer:
        return Answer(missed_feeds(self.account, self._client_id, request.query))

    # --------------------------------------------------------------------------------------------------- goods

    def _items_search(self, request: Request) -> Answer:
        return Answer(self._scans.search(self.account, request.query))

    def _multiget(self, request: Request) -> Answer:
        ids = request.query.get("ids", "").split(",")
        if len(ids) > _MOST_IDS:
            refuse(400, "bad_request", "the maximum number of ids is 20")
        wanted = request.query.get("attributes", "").split(",")
        rows = []
        for item_id in ids:
            item = self.account.items.get(item_id)
            if item is None:
                gone = {"message": f"Item with id {item_id} not found", "error": "not_found", "status": 404}
                rows.append({"code": 404, "body": {"id": item_id, **gone}})
                continue
            shown = shown_item(item)
            if "include_attributes" not in request.query:
                for variation in shown["variations"]:
                    variation.pop("attributes")
            rows.append({"code": 200, "body": {name: shown[name] for name in wanted if name in shown} or shown})
        return Answer(rows)

    def _the_item(self, item_id: str) -> Item:
        item = self.account.items.get(item_id)
        if item is None:
            refuse(404, "not_found", f"Item with id {item_id} not found")
        return item

    def _item(self, _request: Request, item_id: str) -> Answer:
        return Answer(shown_item(self._the_item(item_id)))

    def _put_item(self, request: Request, item_id: str) -> Answer:
        """Change quantities; a variation that the list does not name is deleted."""
        item = self._the_item(item_id)
        if self.account.traits.has_depots:
            refuse(400, "validation_error", "the fields [available_quantity] are invalid for requested call")
        if item.logistic_type == "fulfillment":
            refuse(400, "validation_error", "item.available_quantity is not modifiable for fulfillment")
        payload = request.payload if isinstance(request.payload, dict) else {}
        if "variations" in payload:
            self._put_variations(item, payload["variations"])
        elif item.offers[0].variation_id is not None:
            refuse(400, "validation_error", "the item has variations: send available_quantity inside them")
        else:
            self._write(item, item.offers[0], payload.get("available_quantity"))
        return Answer(shown_item(item))

    def _put_variations(self, item: Item, rows: Any) -> None:
        told = {row.get("id"): row for row in rows}
        unknown = sorted(set(told) - {offer.variation_id for offer in item.offers})
        if unknown:
            refuse(400, "validation_error", f"variations not found: {unknown}")
        item.offers = [offer for offer in item.offers if offer.variation_id in told]
        for offer in item.offers:
            if "available_quantity" in told[offer.variation_id]:
                self._write(item, offer, told[offer.variation_id]["available_quantity"])

    def _write(self, item: Item, offer: Offer, quantity: Any) -> None:
        if isinstance(quantity, bool) or not isinstance(quantity, int) or not 0 <= quantity <= 99_999:
            refuse(400, "validation_error", "item.available_quantity.invalid")
        self.account.write_level(item, offer, quantity)

    def _shelf(self, product_id: str) -> tuple[Item, Offer]:
        for item, offer in self.account.offers():
            if offer.shelf.user_product_id == product_id:
                return item, offer
        refuse(404, "not_found", f"user product {product_id} not found")

    def _stock(self, _request: Request, product_id: str) -> Answer:
        item, offer = self._shelf(product_id)
        return self._shown_stock(item, offer.shelf)

    def _shown_stock(self, item: Item, shelf: Shelf) -> Answer:
        places: list[dict[str, Any]] = []
        if shelf.full_quantity is not None:
            places.append({"type": "meli_facility", "quantity": shelf.full_quantity})
        if self.account.traits.has_depots and item.logistic_type != "fulfillment":
            places.append({"type": "seller_warehouse", **DEPOT, "quantity": shelf.quantity})
        elif shelf.full_quantity is None or self.account.site in {"MLA", "MLC"}:
            places.append({"type": "selling_address", "quantity": shelf.quantity})
        told = {"id": shelf.user_product_id, "user_id": self.account.seller_id, "locations": places}
        return Answer(told, headers={"x-version": str(shelf.version)})

    def _put_stock(self, request: Request, product_id: str, kind: str) -> Answer:
        item, offer = self._shelf(product_id)
        shelf = offer.shelf
        version = request.headers.get("x-version")
        if version is None:
            refuse(400, "bad_request", "Missing X-Version header")
        if version != str(shelf.version):
            refuse(409, "conflict", "Version mismatch")
        if kind == "meli_facility" or not any(
            place["type"] == kind for place in self._shown_stock(item, shelf).parsed["locations"]
        ):
            refuse(400, "bad_request", f"stock of type {kind} cannot be edited")
        rows = request.payload.get("locations", [request.payload]) if isinstance(request.payload, dict) else []
        if kind == "seller_warehouse" and [row.get("store_id") for row in rows] != [DEPOT["store_id"]]:
            refuse(400, "bad_request", "store does not belong to seller")
        self._write(item, offer, rows[0].get("quantity"))
        return self._shown_stock(item, shelf)

    # -------------------------------------------------------------------------------------------------- orders

    def _orders_search(self, request: Request) -> Answer:
        return Answer(search_orders(self.account, request.query))

    def _the_order(self, number: str) -> OrderRecord:
        order = self.account.orders.get(int(number))
        if order is None:
            refuse(404, "order_not_found", "Order do not exists")
        return order

    def _order(self, _request: Request, number: str) -> Answer:
        return Answer(shown_order(self.account, self._the_order(number)))

    def _discounts(self, _request: Request, number: str) -> Answer:
        return Answer(shown_discounts(self._the_order(number)))

    def _the_shipment(self, request: Request, number: str) -> ShipmentRecord:
        shipment = self.account.shipments.get(int(number))
        if shipment is None:
            refuse(404, "not_found", f"Not found shipment with id {number}")
        if request.headers.get("x-format-new") != "true":
            refuse(400, "bad_request", "the header x-format-new is mandatory")
        return shipment

    def _shipment(self, request: Request, number: str) -> Answer:
        return Answer(shown_shipment(self.account, self._the_shipment(request, number)))

    def _history(self, request: Request, number: str) -> Answer:
        return Answer(shown_history(self._the_shipment(request, number)))

    def _shipment_items(self, request: Request, number: str) -> Answer:
        orders = [self.account.orders[each] for each in self._the_shipment(request, number).order_ids]
        rows = [
            {
                "item_id": line.item.item_id,
                "variation_id": line.offer.variation_id,
                "description": line.item.title,
                "quantity": line.quantity,
                "order_id": order.order_id,
                "sender_id": self.account.seller_id,
            }
            for order in orders
            for line in order.lines
        ]
        return Answer(rows)

    def _pack(self, _request: Request, number: str) -> Answer:
        orders = [order for order in self.account.orders.values() if order.pack_id == int(number)]
        if not orders:
            refuse(404, "not_found", "Order do not exists")
        shipment = orders[0].shipment
        return Answer(
            {
                "id": int(number),
                "status": "released",
                "status_detail": None,
                "orders": [{"id": order.order_id} for order in orders],
                "shipment": None if shipment is None else {"id": shipment.shipment_id},
                "buyer": {"id": orders[0].buyer_id},
                "family_pack_id": None,
                "date_created": stamp(orders[0].created_at),
                "last_updated": stamp(orders[0].created_at),
            }
        )

    # -------------------------------------------------------------------------------------------------- claims

    def _claims_search(self, request: Request) -> Answer:
        return Answer(search_claims(self.account, request.query))

    def _the_claim(self, number: str) -> ClaimRecord:
        claim = self.account.claims.get(int(number))
        if claim is None:
            refuse(404, "not_found", f"claim {number} not found")
        return claim

    def _claim(self, _request: Request, number: str) -> Answer:
        return Answer(shown_claim(self.account, self._the_claim(number), is_detail=True))

    def _returns(self, _request: Request, number: str) -> Answer:
        claim = self._the_claim(number)
        if not claim.return_status:
            refuse(404, "not_found", f"claim {number} has no return")
        return Answer(shown_return(self.account, claim))
