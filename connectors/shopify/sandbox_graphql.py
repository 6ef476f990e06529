"""The practice shop's GraphQL: executes documents truly, and charges for them.

What belongs here: from a request's JSON to an answer's JSON. Not here: HTTP and tokens (`sandbox`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    get_directive_values,
    parse,
    validate,
)

from connectors.shopify.sandbox_bulk import BulkDesk
from connectors.shopify.sandbox_cost import QUERY_MAX, CostMeter, PointBucket
from connectors.shopify.sandbox_execution import FIELD_NEEDS, PracticeExecution
from connectors.shopify.sandbox_goods import TooMany, connection, paged, stamp
from connectors.shopify.sandbox_nodes import Nodes
from connectors.shopify.sandbox_sdl import SDL
from connectors.shopify.sandbox_state import CURRENCY, TIME_ZONE, Shop
from connectors.shopify.sandbox_stock import BadInput, StockDesk
from connectors.shopify.sandbox_things import ShopOrder, gid

ALL_SCOPES = (
    "read_orders", "read_all_orders", "read_products", "read_inventory", "write_inventory", "read_locations",
    "read_returns", "read_merchant_managed_fulfillment_orders", "read_customers",
)  # fmt: skip
_NEEDS = {
    "orders": "read_orders",
    "productVariants": "read_products",
    "locations": "read_locations",
    "inventorySetQuantities": "write_inventory",
    "inventoryActivate": "write_inventory",
    "bulkOperationRunQuery": "read_orders",
}
_FILTER = re.compile(r"(updated_at|processed_at|created_at):(>=|<=|>|<)'([^']+)'")


@cache
def shop_schema() -> GraphQLSchema:
    """Return the sandbox's schema, built once."""
    return build_schema(SDL)


@cache
def _document(text: str) -> tuple[DocumentNode, tuple[str, ...]]:
    document = parse(text)
    return document, tuple(error.message for error in validate(shop_schema(), document))


@dataclass(slots=True)
class Rules:
    """What the shop grants and limits; tests turn these.

    Attributes:
        scopes: of the token.
        capacity: points in the bucket.
        per_second: points restored.
    """

    scopes: tuple[str, ...] = ALL_SCOPES
    capacity: float = 20_000.0
    per_second: float = 1_000.0


class Graph:
    """Answers documents for one shop."""

    def __init__(self, shop: Shop, rules: Rules, *, file_url: Callable[[int], str]) -> None:
        self.shop = shop
        self.rules = rules
        self.nodes = Nodes(shop)
        self.stock = StockDesk(shop, self.nodes)
        self.bulk = BulkDesk(shop, self._export, file_url=file_url)
        self._owners = {
            (kind, number): order.number
            for order in shop.orders.values()
            for kind, number, _ in _pieces(self.nodes, order)
        }
        self.bucket = PointBucket(rules.capacity, rules.per_second, seconds=shop.seconds)

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to `{query, variables}`."""
        variables = request.get("variables") or {}
        try:
            document, problems = _document(str(request.get("query")))
        except GraphQLError as error:
            return _failed("parse_error", error.message)
        if problems:
            return _failed("undefinedField", problems[0])
        operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        with self.shop.lock:
            return self._paid(document, operation, variables)

    def _paid(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        meter = CostMeter(shop_schema(), variables)
        requested = meter.requested(operation)
        if requested > QUERY_MAX:
            failed = _failed("MAX_COST_EXCEEDED", "the query costs too much")
            failed["errors"][0]["extensions"] |= {"cost": requested, "maxCost": QUERY_MAX}
            return failed
        if self.bucket.left() < min(requested, self.bucket.capacity):
            return {**_failed("THROTTLED", "throttled"), "extensions": {"cost": self.bucket.told(requested, None)}}
        result = execute_sync(
            shop_schema(),
            document,
            root_value=self._root(),
            variable_values=dict(variables),
            field_resolver=self._resolve,
            execution_context_class=PracticeExecution,
        )
        actual = meter.actual(operation, result.data)
        self.bucket.pay(actual)
        answer: dict[str, Any] = {"data": result.data, "extensions": {"cost": self.bucket.told(requested, actual)}}
        if result.errors:
            answer["errors"] = [_shown(error) for error in result.errors]
        self._malform(answer["data"])
        return answer

    def _resolve(self, source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        scope = FIELD_NEEDS.get((info.parent_type.name, info.field_name))
        if info.parent_type.name in {"QueryRoot", "Mutation"}:
            scope = _NEEDS.get(info.field_name)
        if scope is not None and scope not in self.rules.scopes:
            raise GraphQLError("access denied", extensions={"code": "ACCESS_DENIED", "requiredAccess": scope})
        value = source.get(info.field_name)
        return value(info, **arguments) if callable(value) else value

    def _root(self) -> dict[str, Any]:
        shop = {"id": gid("Shop", 1), "name": "Tienda de práctica", "myshopifyDomain": self.shop.domain}
        shop |= {"currencyCode": CURRENCY, "ianaTimezone": TIME_ZONE}
        variants = list(self.shop.variants.values())
        places = self.nodes.all_locations()
        return {
            "shop": shop,
            "currentAppInstallation": {
                "id": gid("AppInstallation", 1),
                "accessScopes": [{"handle": scope} for scope in self.rules.scopes],
            },
            "orders": self._orders,
            "nodes": lambda _info, ids: [self._node(identifier) for identifier in ids],
            "node": lambda _info, id: self._node(id),
            "productVariants": lambda info, sortKey, **page: paged(variants, self.nodes.variant)(info, **page),
            "locations": lambda info, first=None, after=None, **_: paged(places, dict)(info, first, after),
            "bulkOperation": lambda _info, id: self.bulk.status(id),
            "bulkOperationRunQuery": lambda _info, query, groupObjects: self.bulk.start(query),
            "inventorySetQuantities": lambda info, input: self.stock.set_quantities(_key_of(info), input),
            "inventoryActivate": lambda info, inventoryItemId, locationId, available=0: self.stock.activate(
                _key_of(info), inventoryItemId, locationId, available
            ),
        }

    # ------------------------------------------------------------------------------------------------- looking up

    def _node(self, identifier: str) -> dict[str, Any] | None:
        kind, _, tail = identifier.removeprefix("gid://shopify/").partition("/")
        number = int(tail) if tail.isdigit() else 0
        if kind == "InventoryItem":
            variant = self.shop.variants.get(number - 10_000)
            return None if variant is None else self.nodes.item(variant)
        if kind in {"Order", "FulfillmentOrder"}:
            order = self.shop.orders.get(number)
            as_node = self.nodes.order if kind == "Order" else self.nodes.task
            return None if order is None else as_node(order)
        owner = self.shop.orders.get(self._owners.get((kind, number), 0))
        found = [] if owner is None else [make for *key, make in _pieces(self.nodes, owner) if key == [kind, number]]
        return found[0]() if found else None

    def _orders(
        self,
        _info: GraphQLResolveInfo,
        sortKey: str,
        first: int | None = None,
        after: str | None = None,
        query: str | None = None,
    ) -> dict[str, Any]:
        if first is not None and not 0 < first <= 250:
            raise TooMany

        def key_of(order: ShopOrder) -> tuple[datetime, int]:
            return (order.updated_at if sortKey == "UPDATED_AT" else order.created_at), order.number

        rows = sorted((order for order in self.shop.orders.values() if _matches(order, query)), key=key_of)
        if after is not None:
            last_at, _, last_number = base64.b64decode(after).decode().partition("|")
            last = datetime.fromisoformat(last_at), int(last_number)
            rows = [order for order in rows if key_of(order) > last]
        chosen = rows if first is None else rows[:first]
        keys = [key_of(order) for order in chosen]
        cursors = [base64.b64encode(f"{stamp(at)}|{number}".encode()).decode() for at, number in keys]
        return connection([self.nodes.order(order) for order in chosen], cursors, has_more=len(chosen) < len(rows))

    def _export(self, text: str) -> tuple[dict[str, Any] | None, str]:
        """Return the data of a bulk query, or why it is refused."""
        try:
            document, problems = _document(text)
        except GraphQLError as error:
            return None, error.message
        if problems:
            return None, problems[0]
        result = execute_sync(
            shop_schema(),
            document,
            root_value=self._root(),
            field_resolver=self._resolve,
            execution_context_class=PracticeExecution,
        )
        self._malform(result.data)
        return (None, result.errors[0].message) if result.errors else (result.data, "")

    def _malform(self, value: Any) -> None:
        """Break what the shop serves of broken orders; their ids stay readable."""
        broken = {gid("Order", number) for number in self.shop.broken}
        if not broken:
            return
        for order in _dicts(value):
            if order.get("id") in broken and "totalPriceSet" in order:
                order |= {"totalPriceSet": None, "taxesIncluded": "quizás"}


def _pieces(nodes: Nodes, order: ShopOrder) -> Iterator[tuple[str, int, Callable[[], dict[str, Any]]]]:
    for refund in order.refunds:
        yield "Refund", refund.number, lambda refund=refund: nodes.refund(order, refund)  # type: ignore[misc]
    for shipment in order.shipments:
        yield "Fulfillment", shipment.number, lambda shipment=shipment: nodes.shipment(order, shipment)  # type: ignore[misc]
    for case in order.returns:
        yield "Return", case.number, lambda case=case: nodes.return_case(order, case)  # type: ignore[misc]


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _dicts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _dicts(inner)


def _matches(order: ShopOrder, query: str | None) -> bool:
    """Return whether an order fits a search; `>` on times means `>=`, as it does at Shopify."""
    for name, sign, text in _FILTER.findall(query or ""):
        at = order.updated_at if name == "updated_at" else order.created_at
        bound = datetime.fromisoformat(text)
        if (sign.startswith(">") and at < bound) or (sign == "<" and at >= bound) or (sign == "<=" and at > bound):
            return False
    return True


def _key_of(info: GraphQLResolveInfo) -> str | None:
    directive = info.schema.get_directive("idempotent")
    found = None if directive is None else get_directive_values(directive, info.field_nodes[0], info.variable_values)
    return None if found is None else str(found["key"])


def _failed(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


def _shown(error: GraphQLError) -> dict[str, Any]:
    original = error.original_error
    if isinstance(original, BadInput):
        code = original.code
    elif isinstance(original, TooMany):
        code = "BAD_REQUEST"
    else:
        code = str((error.extensions or {}).get("code", "INTERNAL_SERVER_ERROR"))
    path: Sequence[Any] = error.path or ()
    return {"message": error.message, "path": list(path), "extensions": {"code": code}}
