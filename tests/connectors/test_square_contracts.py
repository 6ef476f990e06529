"""Connector and sandbox against the published description: what is sent is valid, and so is what the sandbox answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from connectors.square import CHANNEL
from connectors.square.listings import _batch
from connectors.square.parse import records_of
from connectors.square.sandbox import SquareSandbox, start_sandbox
from connectors.square.settings import API_VERSION
from oms_hub.channel.contract import ChannelSession, ListingRef, PullRequest, PushResult, StockWrite
from oms_hub.channel.http import HttpAnswer
from oms_hub.domain.orders import OrderKind, stated_total
from oms_hub.testing.factories import a_connection, a_session

pytestmark = pytest.mark.contracts
LENIENT = {"metadata", "custom_attribute_values"}


class Description:
    """The published description, with every object closed: what it does not name is wrong."""

    def __init__(self, folder: Path) -> None:
        text = (folder / "square" / "square-oms-subset-trimmed.json").read_text(encoding="utf-8")
        self.document = json.loads(text)
        self._definitions = {name: strict(row) for name, row in self.document["components"]["schemas"].items()}
        self._validators: dict[str, Draft202012Validator] = {}

    def problems(self, reference: str, value: Any) -> list[str]:
        if reference not in self._validators:
            schema = {"$ref": f"#/$defs/{reference.rpartition('/')[2]}", "$defs": self._definitions}
            self._validators[reference] = Draft202012Validator(schema)
        found = self._validators[reference].iter_errors(value)
        return [f"{'.'.join(map(str, each.absolute_path))}: {each.message[:200]}" for each in found]

    def operation(self, method: str, path: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["paths"][path][method.lower()]
        return found

    def examples(self) -> Iterator[tuple[str, Any]]:
        for name, row in self.document["components"]["schemas"].items():
            if "example" in row:
                yield name, row["example"]


def strict(schema: Any) -> Any:
    """Give a schema of OpenAPI 3.0 as JSON Schema, closed and with null where it is allowed."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        plain: dict[str, Any] = {"$ref": schema["$ref"].replace("#/components/schemas/", "#/$defs/")}
    else:
        plain = {
            key: schema[key]
            for key in (
                "type",
                "enum",
                "required",
                "maxLength",
                "minLength",
                "maximum",
                "minimum",
                "maxItems",
                "minItems",
            )
            if key in schema
        }
        if "items" in schema:
            plain["items"] = strict(schema["items"])
        if "properties" in schema:
            plain["properties"] = {
                name: {} if name in LENIENT else strict(row) for name, row in schema["properties"].items()
            }
            plain["additionalProperties"] = False
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") else plain


@pytest.fixture(scope="session")
def published(contracts_dir: Path) -> Description:
    return Description(contracts_dir)


class Tap(httpx.BaseTransport):
    """Lets requests through and keeps what was asked and answered."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.seen: list[tuple[httpx.Request, int, Any]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        response.read()
        self.seen.append((request, response.status_code, response.json()))
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    def close(self) -> None:
        self._inner.close()


@pytest.fixture
def seller() -> Iterator[SquareSandbox]:
    running = start_sandbox(orders=60, seed=3)
    yield running
    running.close()


def use_everything(seller: SquareSandbox, session: ChannelSession) -> None:
    """Call every function of the channel, good rows and bad ones."""
    assert CHANNEL.order_source
    assert CHANNEL.order_lookup
    assert CHANNEL.order_ids
    assert CHANNEL.listing_source
    assert CHANNEL.stock_source
    assert CHANNEL.stock_sink
    assert CHANNEL.locations
    assert len(list(CHANNEL.order_source(session, PullRequest({})))) >= 4
    assert len(CHANNEL.locations(session)) == 3
    ids = list(CHANNEL.order_ids(session, datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)))
    assert len(ids) == 65
    assert [page.kind for page in CHANNEL.order_lookup(session, [*ids[:9], "nothing"])] == [
        "orders",
        "order_tombstones",
    ]
    listings = [row for batch in CHANNEL.listing_source(session) for row in batch if row.is_writable]
    refs = [ListingRef(row.listing_key, None, row.attributes) for row in listings]
    levels = list(CHANNEL.stock_source(session, refs))
    writes = [
        StockWrite(ListingRef(level.listing_key, level.channel_location_id), 7, level.available, f"k{n}", level.version)
        for n, level in enumerate(levels[:5])
    ]
    wrong = StockWrite(ListingRef("VAR404404"), 7, None, "wrong", levels[0].version)
    results = Counter(row.result for row in CHANNEL.stock_sink(session, [wrong, *writes]))
    assert results == {PushResult.APPLIED: 5, PushResult.REJECTED: 1}
    assert all(step.is_ok for step in CHANNEL.check(session))


def test_every_request_and_every_answer_is_one_that_square_describes(
    published: Description, seller: SquareSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    tap = Tap()
    session = a_session({**seller.account.settings, "page_size": "16"}, seller.account.secrets, transport=tap)
    use_everything(seller, session)
    seller.throttle(429)
    use_everything(seller, session)
    operations: Counter[str] = Counter()
    for request, status, answer in tap.seen:
        operation = published.operation(request.method, request.url.path)
        operations[operation["operationId"]] += 1
        where = operation["operationId"]
        assert request.url.query == b"", where
        assert request.headers["square-version"] == API_VERSION
        if where != "ObtainToken":
            assert request.headers["authorization"].startswith("Bearer EAAA"), where
        if "requestBody" in operation:
            asked = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            assert published.problems(asked, json.loads(request.content)) == [], where
        else:
            assert request.content == b"", where
        told = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        assert published.problems(told, answer) == [], (where, status)
    assert operations.keys() == {
        "ObtainToken",
        "RetrieveTokenStatus",
        "ListLocations",
        "SearchOrders",
        "BatchRetrieveOrders",
        "SearchCatalogObjects",
        "BatchRetrieveInventoryCounts",
        "BatchRetrieveInventoryChanges",
        "BatchChangeInventory",
    }
    with capsys.disabled():
        print(f"\nsquare: {len(operations)} operations, {len(tap.seen)} requests and answers valid ", end="")


def test_the_pinned_version_is_the_described_one(published: Description) -> None:
    schemes = published.document["components"]["securitySchemes"]
    assert schemes["oauth2"]["x-additional-headers"][0]["schema"]["default"] == API_VERSION


def test_the_description_still_says_what_the_connector_relies_on(published: Description) -> None:
    schemas = published.document["components"]["schemas"]

    def said(name: str, field: str) -> str:
        return str(schemas[name]["properties"][field]["description"])

    assert "up to 72 hours" in published.operation("POST", "/v2/orders/search")["description"]
    assert "Max: 10" in said("SearchOrdersRequest", "location_ids")
    assert "Max: `1000`" in said("SearchOrdersRequest", "limit")
    assert "A maximum of 100 orders" in said("BatchRetrieveOrdersRequest", "order_ids")
    assert "timestamp is exclusive" in said("SearchCatalogObjectsRequest", "begin_time")
    assert "older than 24 hours or in the future" in said("InventoryPhysicalCount", "occurred_at")
    assert "unchanged since the last physical count. Default: `true`" in said(
        "BatchChangeInventoryRequest", "ignore_unchanged_counts"
    )
    assert "client-supplied timestamp" in said("BatchChangeInventoryRequest", "changes")
    assert "tax remains as part of the gross sale" in said("OrderLineItem", "gross_sales_money")
    assert "returns the same refresh token" in published.operation("POST", "/oauth2/token")["description"].lower() or (
        "same refresh token provided" in published.operation("POST", "/oauth2/token")["description"]
    )


def test_the_published_examples_are_understood(published: Description, capsys: pytest.CaptureFixture[str]) -> None:
    """Orders of the examples are read; where Square's own sums tie, so do ours."""
    orders = []
    for name, example in published.examples():
        if name.endswith("Response") and isinstance(example, dict):
            found = [example["order"]] if "order" in example else example.get("orders", [])
            orders.extend((name, order) for order in found if {"id", "created_at"} <= order.keys())
    gaps = {}
    for name, order in orders:
        for record in records_of([order], []):
            parsed = CHANNEL.parse_order([record.payload], a_connection(currency="USD"))
            assert parsed.kind is not OrderKind.CREDIT_NOTE
            gaps[name] = gaps.get(name, 0) + abs(parsed.total - stated_total(parsed))
    items = dict(published.examples())["SearchCatalogObjectsResponse"]
    listings = _batch(HttpAnswer(items, httpx.Headers(), b""), ["L1"])
    assert [row.title for row in listings] == ["Tea - Black", "Tea - Black (Large)", "Tea - Green"]
    with capsys.disabled():
        print(f"\nsquare: {len(orders)} orders of the published examples read, gaps {gaps} ", end="")
    assert len(orders) >= 4


def test_the_stamp_of_a_count_is_within_what_square_takes(seller: SquareSandbox) -> None:
    assert CHANNEL.stock_source
    assert CHANNEL.stock_sink
    session = a_session(seller.account.settings, seller.account.secrets)
    key = seller.shop.by_sku("HUB-001")[1].variation_id
    (level,) = CHANNEL.stock_source(session, [ListingRef(key)])
    assert level.version is not None
    now = seller.shop.now()
    assert now - timedelta(seconds=5) <= datetime.fromisoformat(level.version) <= now
