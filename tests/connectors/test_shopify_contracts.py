"""Documents and sandbox against the published schema: what is sent is valid, and so is what the sandbox answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    get_directive_values,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    parse,
    specified_directives,
    validate,
)

from connectors.shopify import CHANNEL, documents
from connectors.shopify.documents import ALL_DOCUMENTS, Document, bulk_orders
from connectors.shopify.sandbox import RunningShop, start_sandbox
from connectors.shopify.sandbox_graphql import shop_schema
from oms_hub.channel.contract import ChannelSession, ListingRef, PullRequest, StockWrite
from oms_hub.testing.factories import a_session

pytestmark = pytest.mark.contracts
_INCLUDE = next(directive for directive in specified_directives if directive.name == "include")
_SCALARS = {
    "ID": lambda value: isinstance(value, str) and value.startswith("gid://"),
    "String": lambda value: isinstance(value, str),
    "Int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "Float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "Boolean": lambda value: isinstance(value, bool),
    "DateTime": lambda value: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) is not None,
    "Decimal": lambda value: re.fullmatch(r"-?\d+\.\d+", value) is not None,
    "UnsignedInt64": lambda value: re.fullmatch(r"\d+", value) is not None,
    "URL": lambda value: value.startswith("http"),
}

Untraced = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def published(contracts_dir: Path, untraced: Untraced) -> GraphQLSchema:
    """Give the published schema of the pinned version."""
    text = (contracts_dir / "shopify" / f"admin_{documents.API_VERSION}.graphql").read_text(encoding="utf-8")
    with untraced():
        return build_schema(text, assume_valid=True)


@pytest.fixture(scope="session")
def a_year_ago(contracts_dir: Path, untraced: Untraced) -> GraphQLSchema:
    """Give the schema that was published a year before the pinned one."""
    text = (contracts_dir / "shopify" / "admin_2025-10.graphql").read_text(encoding="utf-8")
    with untraced():
        return build_schema(text, assume_valid=True)


def problems(schema: GraphQLSchema, text: str) -> list[str]:
    return [error.message for error in validate(schema, parse(text))]


@pytest.mark.parametrize("document", ALL_DOCUMENTS, ids=lambda document: document.name)
def test_every_document_is_valid_for_the_pinned_version(published: GraphQLSchema, document: Document) -> None:
    assert problems(published, document.text) == []


@pytest.mark.parametrize("is_there", [True, False])
def test_the_bulk_query_is_valid_and_keeps_to_its_limits(published: GraphQLSchema, is_there: bool) -> None:
    text = bulk_orders(
        query="processed_at:>='2026-01-01T00:00:00Z'",
        with_customer=is_there,
        with_returns=is_there,
        with_tasks=is_there,
    )
    assert problems(published, text) == []
    assert text.count("edges {") == (5 if is_there else 3)


def test_a_year_ago_stock_could_not_have_been_written_this_way(a_year_ago: GraphQLSchema) -> None:
    refused = {
        document.name: [message.partition(" Did you mean")[0] for message in found]
        for document in ALL_DOCUMENTS
        if (found := problems(a_year_ago, document.text))
    }
    no_reason = ["Cannot query field 'returnReasonDefinition' on type 'ReturnLineItemType'."]
    assert refused == {
        "SetQuantities": ["Unknown directive '@idempotent'."],
        "Activate": ["Unknown directive '@idempotent'."],
        "BulkStatus": ["Cannot query field 'bulkOperation' on type 'QueryRoot'."],
        "Levels": [
            "Unknown argument 'includeInactive' on field 'InventoryItem.inventoryLevel'.",
            "Cannot query field 'isActive' on type 'InventoryLevel'.",
        ],
        "RefundPieces": ["Cannot query field 'processedAt' on type 'Refund'."],
        "ReturnPieces": no_reason,
        "ReturnReturnLineItemsRest": no_reason,
    }


def test_the_compared_quantity_has_the_name_that_is_sent(published: GraphQLSchema, a_year_ago: GraphQLSchema) -> None:
    name = "InventoryQuantityInput"
    assert "changeFromQuantity" in published.type_map[name].fields  # type: ignore[attr-defined]
    assert "changeFromQuantity" not in a_year_ago.type_map[name].fields  # type: ignore[attr-defined]


def test_the_sandbox_knows_nothing_that_the_published_schema_does_not(published: GraphQLSchema) -> None:
    for name, own in shop_schema().type_map.items():
        if name.startswith("__"):
            continue
        real = published.type_map[name]
        if isinstance(own, GraphQLEnumType):
            assert own.values.keys() - real.values.keys() == set(), name  # type: ignore[attr-defined]
        for field, declared in getattr(own, "fields", {}).items():
            assert str(declared.type) == str(real.fields[field].type), f"{name}.{field}"  # type: ignore[attr-defined]


# --------------------------------------------------------------------- every answer, walked by the published schema


class Walk:
    """Walks an answer by the operation and the published schema."""

    def __init__(self, schema: GraphQLSchema, variables: Mapping[str, Any]) -> None:
        self.schema, self.variables = schema, variables
        self.leaves = 0

    def operation(self, text: str, data: Any) -> None:
        node = next(each for each in parse(text).definitions if isinstance(each, OperationDefinitionNode))
        root = self.schema.mutation_type if node.operation.value == "mutation" else self.schema.query_type
        self.selection(root, node.selection_set, data, "")

    def selection(self, kind: Any, selection: SelectionSetNode, data: dict[str, Any], where: str) -> None:
        expected = set(self.fields(kind, selection, data, where))
        assert set(data) == expected, where

    def fields(self, kind: Any, selection: SelectionSetNode, data: dict[str, Any], where: str) -> Iterator[str]:
        for node in selection.selections:
            if isinstance(node, FieldNode):
                included = get_directive_values(_INCLUDE, node, dict(self.variables))
                if included is not None and not included["if"]:
                    continue
                name = (node.alias or node.name).value
                yield name
                if node.name.value != "__typename":
                    declared = kind.fields[node.name.value].type
                    self.value(declared, node, data[name], f"{where}.{name}")
            elif isinstance(node, InlineFragmentNode):
                assert node.type_condition is not None
                if node.type_condition.name.value == self.concrete(kind, data):
                    concrete = self.schema.type_map[node.type_condition.name.value]
                    yield from self.fields(concrete, node.selection_set, data, where)

    @staticmethod
    def concrete(kind: Any, data: dict[str, Any]) -> str:
        if not is_abstract_type(kind):
            return str(kind.name)
        return str(data.get("__typename") or data["id"].removeprefix("gid://shopify/").partition("/")[0])

    def value(self, declared: Any, node: FieldNode, value: Any, where: str) -> None:
        if is_non_null_type(declared):
            assert value is not None, where
            declared = declared.of_type
        if value is None:
            return
        if is_list_type(declared):
            assert isinstance(value, list), where
            for index, each in enumerate(value):
                self.value(declared.of_type, node, each, f"{where}[{index}]")
        elif is_leaf_type(declared):
            self.leaves += 1
            named = get_named_type(declared)
            is_good = value in named.values if isinstance(named, GraphQLEnumType) else _SCALARS[named.name](value)
            assert is_good, f"{where}: {value!r} is no {named.name}"
        else:
            assert node.selection_set is not None
            self.selection(declared, node.selection_set, value, where)


class Tap(httpx.BaseTransport):
    """Lets requests through and keeps what was asked and answered."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.seen: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        response.read()
        if request.url.path.endswith("graphql.json"):
            self.seen.append((json.loads(request.content), response.json()))
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    def close(self) -> None:
        self._inner.close()


@pytest.fixture
def shop() -> Iterator[RunningShop]:
    running = start_sandbox(orders=40, seed=3, is_multi_currency=True)
    yield running
    running.close()


def use_everything(session: ChannelSession) -> None:
    """Call every function of the channel."""
    assert CHANNEL.order_source
    assert CHANNEL.order_lookup
    assert CHANNEL.order_ids
    assert CHANNEL.listing_source
    assert CHANNEL.stock_source
    assert CHANNEL.stock_sink
    for request in (PullRequest({}), PullRequest({}, is_full=True)):
        assert sum(1 for _ in CHANNEL.order_source(session, request)) >= 4
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    ids = list(CHANNEL.order_ids(session, start, end))
    assert len(ids) == 40
    assert len(list(CHANNEL.order_lookup(session, [*ids[:5], "gid://shopify/Order/1"]))) == 2
    listings = [row for batch in CHANNEL.listing_source(session) for row in batch]
    levels = list(CHANNEL.stock_source(session, [ListingRef(row.listing_key) for row in listings]))
    assert all(result.is_ok for result in CHANNEL.check(session))
    keys = [ListingRef(level.listing_key) for level in levels if level.available is not None][:3]
    stale = [StockWrite(key, 5, -7, f"stale {key.listing_key}") for key in keys]
    unstocked = [level for level in levels if level.note == "not stocked at this location"]
    written = [StockWrite(ListingRef(level.listing_key), 3, None, "new") for level in unstocked]
    assert {row.result for row in CHANNEL.stock_sink(session, stale)} == {"stale"}
    assert {row.result for row in CHANNEL.stock_sink(session, written)} == {"applied"}
    forced = [StockWrite(key, 5, None, f"forced {key.listing_key}") for key in keys]
    assert {row.result for row in CHANNEL.stock_sink(session, forced)} == {"applied"}


def test_every_answer_of_the_sandbox_is_one_that_shopify_could_give(
    published: GraphQLSchema, shop: RunningShop
) -> None:
    tap = Tap()
    use_everything(a_session(shop.account.settings, shop.account.secrets, transport=tap))
    sent = {request["operationName"] for request, _ in tap.seen}
    rests = {name for name in sent if name.endswith("Rest")}
    assert {document.name for document in ALL_DOCUMENTS} - sent <= {
        document.name for document in documents.REST.values()
    }
    assert rests >= {"OrderLineItemsRest", "FulfillmentFulfillmentLineItemsRest"}
    leaves = 0
    for request, answer in tap.seen:
        assert "errors" not in answer or answer["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
        if "data" in answer:
            walk = Walk(published, request["variables"])
            walk.operation(request["query"], answer["data"])
            leaves += walk.leaves
            status = answer["extensions"]["cost"]["throttleStatus"]
            assert status.keys() == {"maximumAvailable", "currentlyAvailable", "restoreRate"}
    assert leaves > 10_000


def test_every_line_of_an_export_is_one_that_shopify_could_give(published: GraphQLSchema, shop: RunningShop) -> None:
    text = bulk_orders(query="", with_customer=True, with_returns=True, with_tasks=True)
    started = shop.graph.bulk.start(text)
    number = int(started["bulkOperation"]["id"].rpartition("/")[2])
    rows = [json.loads(line) for line in (shop.graph.bulk.file(number) or b"").splitlines()]
    assert {row["__typename"] for row in rows} == {"Order", "LineItem", "ShippingLine", "Return", "FulfillmentOrder"}
    orders = {row["id"] for row in rows if row["__typename"] == "Order"}
    assert len(orders) == 40
    assert {row["__parentId"] for row in rows if "__parentId" in row} <= orders
    selections = _node_selections(text)
    for row in rows:
        kind = published.type_map[row["__typename"]]
        plain = {name: value for name, value in row.items() if name != "__parentId"}
        Walk(published, {}).selection(kind, selections[row["__typename"]], plain, row["id"])


def _node_selections(text: str) -> dict[str, SelectionSetNode]:
    """Return what is selected of each type, without the connections."""

    def of_node(field: FieldNode) -> SelectionSetNode:
        assert field.selection_set is not None
        edges = field.selection_set.selections[0]
        assert isinstance(edges, FieldNode)
        assert edges.selection_set is not None
        node = edges.selection_set.selections[0]
        assert isinstance(node, FieldNode)
        assert node.selection_set is not None
        return node.selection_set

    operation = parse(text).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    root = operation.selection_set.selections[0]
    assert isinstance(root, FieldNode)
    fields = [node for node in of_node(root).selections if isinstance(node, FieldNode)]
    names = {
        "lineItems": "LineItem",
        "shippingLines": "ShippingLine",
        "returns": "Return",
        "fulfillmentOrders": "FulfillmentOrder",
    }
    found = {names[field.name.value]: of_node(field) for field in fields if field.name.value in names}
    plain = tuple(field for field in fields if field.name.value not in names)
    return {**found, "Order": SelectionSetNode(selections=plain)}
