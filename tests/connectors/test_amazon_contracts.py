"""Requests, answers, rates and examples against Amazon's published descriptions (OpenAPI 2, JSON schemas)."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from jsonschema import Draft4Validator, Draft7Validator

from connectors.amazon import CHANNEL, finances, operations
from connectors.amazon.api import AmazonApi
from connectors.amazon.check import check
from connectors.amazon.cursor import MoneyPlace
from connectors.amazon.feed import FeedDelivery, feed_of
from connectors.amazon.levels import level_of, read_levels
from connectors.amazon.listings import items_of, record_of
from connectors.amazon.operations import OPERATIONS, Operation
from connectors.amazon.pages import orders_body, transactions_body
from connectors.amazon.parse import parse_order
from connectors.amazon.reports import ReportGone, create_report, fetch_document, wait_for_report
from connectors.amazon.sandbox import AmazonSandbox, start_sandbox
from connectors.amazon.sandbox_query import ApiError
from connectors.amazon.sandbox_server import Exchange
from connectors.amazon.search import next_token, orders_of
from oms_hub.channel.contract import ChannelSession, ListingRef, PullRequest, PushResult, StockWrite
from oms_hub.channel.http import HttpRefused
from oms_hub.domain.orders import close_gap
from oms_hub.errors import HubError, RetryLater
from oms_hub.testing.factories import a_connection, a_session

pytestmark = pytest.mark.contracts
_USAGE_PLAN = re.compile(r"\|\s*([\d.]+)\s*\|\s*([\d.]+)\s*\|")
_DOCUMENT = b"what the document holds"


@dataclass(frozen=True, slots=True)
class Described:
    """One operation as published."""

    model: Mapping[str, Any]
    path: str
    method: str
    operation: Mapping[str, Any]

    def errors(self, schema: Mapping[str, Any], value: Any) -> list[str]:
        whole = {**schema, "definitions": self.model["definitions"]}
        return [f"{list(error.path)}: {error.message}" for error in Draft4Validator(whole).iter_errors(value)]

    def parameter(self, place: str, name: str) -> Mapping[str, Any] | None:
        found = (row for row in self.operation.get("parameters", ()) if (row["in"], row["name"]) == (place, name))
        return next(found, None)

    def examples(self) -> list[tuple[str, int, Any]]:
        """Return (status, number, answer) of each static example of Amazon's own sandbox."""
        return [
            (status, number, example["response"])
            for status, response in self.operation["responses"].items()
            for number, example in enumerate(response.get("x-amzn-api-sandbox", {}).get("static", ()))
        ]


@pytest.fixture(scope="module")
def published(contracts_dir: Path) -> dict[str, Described]:
    """Give the operations that the connector uses, as published, by their id."""
    files = ("orders_2026-01-01", "finances_2024-06-19", "reports_2021-06-30", "feeds_2021-06-30",
             "listingsItems_2021-08-01", "fbaInventory", "sellers")  # fmt: skip
    found: dict[str, Described] = {}
    for name in files:
        model = json.loads((contracts_dir / "amazon" / f"{name}.json").read_text(encoding="utf-8"))
        for path, methods in model["paths"].items():
            for method, operation in methods.items():
                if isinstance(operation, dict) and "operationId" in operation:
                    found[operation["operationId"]] = Described(model, path, method.upper(), operation)
    return {operation.name: found[operation.name] for operation in OPERATIONS}


@pytest.fixture
def sandbox() -> Iterator[AmazonSandbox]:
    account = start_sandbox(orders=14, rate_factor=20_000.0)
    yield account
    account.close()


def session_of(account: AmazonSandbox, **settings: str) -> ChannelSession:
    given = {**account.account.settings, **settings}
    return a_session(given, account.account.secrets, clock=account.seller.now)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_published_with_this_path_and_usage_plan(
    published: dict[str, Described], operation: Operation
) -> None:
    described = published[operation.name]
    assert (described.method, described.path) == (operation.method, operation.path)
    rate, burst = _USAGE_PLAN.findall(described.operation["description"])[0]
    assert (float(rate), float(burst)) == (operation.limit.per_second, operation.limit.capacity)


def test_the_sandbox_allows_exactly_the_published_rates(published: dict[str, Described]) -> None:
    account = start_sandbox(orders=1, clock=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
    try:
        for operation in OPERATIONS:
            rate, burst = _USAGE_PLAN.findall(published[operation.name].operation["description"])[0]
            for _ in range(int(float(burst))):
                account.server.take(operation)
            with pytest.raises(ApiError, match="exceeded your quota"):
                account.server.take(operation)
            account.advance_clock(1.5 / float(rate))
            account.server.take(operation)
            with pytest.raises(ApiError, match="exceeded your quota"):
                account.server.take(operation)
            assert account.server.rate_of(operation) == float(rate)
    finally:
        account.close()


# ------------------------------------------------------------------------------------------ what the connector sends


def everything_the_connector_does(account: AmazonSandbox) -> None:
    """Use every operation, with good and bad outcomes."""
    session = session_of(account)
    assert all(result.is_ok for result in check(session))
    account.seller.job_polls = 2
    cursor: Mapping[str, Any] = {}
    for page in CHANNEL.order_source(session, PullRequest({})):  # type: ignore[misc]
        cursor = page.cursor
    order_id = account.place_order({"HUB-001": 2, "CAFÉ /&+ 01": 1})
    account.seller.ship(order_id)
    account.advance_clock(7200)
    list(CHANNEL.order_source(session, PullRequest(cursor)))  # type: ignore[misc]
    searched = session_of(account, history="search", page_size="7")
    list(CHANNEL.order_source(searched, PullRequest({}, is_full=True)))  # type: ignore[misc]
    list(CHANNEL.order_lookup(session, [order_id, "702-0000000-0000000"]))  # type: ignore[misc]
    now = account.seller.now()
    for each in (session, searched):
        for until in (now, now - timedelta(days=2)):
            list(CHANNEL.order_ids(each, now - timedelta(days=40), until))  # type: ignore[misc]
    rows = [row for batch in CHANNEL.listing_source(session) for row in batch]  # type: ignore[misc]
    refs = [ListingRef(row.listing_key, attributes=row.attributes) for row in rows]
    levels = {row.listing_key: row.available for row in CHANNEL.stock_source(session, refs)}  # type: ignore[misc]
    own = [ref for ref in refs if ref.attributes["fulfilment"] == "DEFAULT"]
    writes = [StockWrite(ref, 50 + place, levels[ref.listing_key], "key") for place, ref in enumerate(own)]
    bad = replace(writes[0], listing=replace(own[0], attributes={"product_type": "WRONG"}))
    CHANNEL.stock_sink(session, [*writes[:12], bad])  # type: ignore[misc]
    account.seller.refused_skus["HUB-003"] = "'[batteries_required]' is required but not supplied."
    CHANNEL.stock_sink(session, [*writes, *writes])  # type: ignore[misc]
    bogus = StockWrite(ListingRef("sku:NOT/THERE"), 1, None, "key")
    CHANNEL.stock_sink(session, [bogus])  # type: ignore[misc]
    list(CHANNEL.stock_source(session, [ListingRef("sku:NOT,THERE"), bogus.listing]))  # type: ignore[misc]
    account.server.access.missing_roles.add("Product Listing")
    with pytest.raises(HubError):
        list(CHANNEL.listing_source(session))  # type: ignore[misc]
    account.server.rate_factor = 1e-9
    for operation in OPERATIONS:
        account.server._buckets[operation.name] = (0.0, account.seller.now())
    with pytest.raises(HubError):
        list(CHANNEL.order_source(session, PullRequest({})))  # type: ignore[misc]


def request_problems(described: Described, exchange: Exchange) -> list[str]:
    """Return what the published description objects to in a request."""
    problems = []
    names = [name for name, _ in exchange.query]
    problems += [f"{name} is given twice" for name, count in Counter(names).items() if count > 1]
    for row in described.operation.get("parameters", ()):
        if row["in"] == "query" and row.get("required") and row["name"] not in names:
            problems.append(f"{row['name']} is missing")
    for name, text in exchange.query:
        row = described.parameter("query", name)
        problems += [f"{name} is not a parameter"] if row is None else value_problems(row, text)
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", described.path))
    match = pattern.fullmatch(exchange.path)
    problems += ["the path is another"] if match is None else []
    for name, text in (match.groupdict() if match else {}).items():
        row = described.parameter("path", name)
        problems += [f"{name} is no part of the path"] if row is None else value_problems(row, unquote(text))
    body = next((row for row in described.operation.get("parameters", ()) if row["in"] == "body"), None)
    if body is None:
        problems += ["a body that nobody asked for"] if exchange.body else []
    else:
        problems += described.errors(body["schema"], json.loads(exchange.body))
        consumes = described.operation.get("consumes") or described.model.get("consumes") or ["application/json"]
        problems += [] if exchange.headers.get("content-type") in consumes else ["content-type"]
    problems += [] if exchange.headers.get("x-amz-access-token", "").startswith("Atza|") else ["no token"]
    problems += [] if exchange.headers.get("user-agent", "").startswith("oms-hub/") else ["no user-agent"]
    return problems


def value_problems(row: Mapping[str, Any], text: str) -> list[str]:
    """Return what is wrong with one value, given as text; lists are comma-separated, as is the default."""
    if row["type"] != "array":
        return scalar_problems(row, text)
    assert row.get("collectionFormat", "csv") == "csv"
    values = text.split(",")
    problems = [
        problem for value in values for problem in scalar_problems({**row["items"], "name": row["name"]}, value)
    ]
    return problems + ([f"{row['name']} has too many values"] if len(values) > row.get("maxItems", 10**6) else [])


def scalar_problems(row: Mapping[str, Any], text: str) -> list[str]:
    kinds: dict[str, Callable[[str], bool]] = {
        "string": lambda value: value != "",
        "integer": lambda value: value.isdigit() and row.get("minimum", 0) <= int(value) <= row.get("maximum", 10**9),
        "boolean": lambda value: value in {"true", "false"},
    }
    is_good = kinds[row["type"]](text) and ("enum" not in row or text in row["enum"])
    if is_good and row.get("format") == "date-time":
        is_good = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text) is not None
    return [] if is_good else [f"{row['name']}={text}"]


def test_every_request_is_valid_and_so_is_every_answer_of_the_sandbox(
    published: dict[str, Described], sandbox: AmazonSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    everything_the_connector_does(sandbox)
    asked: Counter[str] = Counter()
    answered: Counter[int] = Counter()
    for exchange in sandbox.server.traffic:
        if exchange.operation in {"", "token"}:
            continue
        described = published[exchange.operation]
        assert request_problems(described, exchange) == [], exchange
        response = described.operation["responses"][str(exchange.status)]
        assert described.errors(response["schema"], json.loads(exchange.answer)) == [], exchange
        assert set(response.get("headers", {})) <= {*exchange.answer_headers, *(
            () if exchange.status in {200, 201, 202, 400, 404} else ("x-amzn-RateLimit-Limit",)
        )}  # fmt: skip
        asked[exchange.operation] += 1
        answered[exchange.status] += 1
    assert set(asked) == {operation.name for operation in OPERATIONS}
    assert set(answered) == {200, 201, 202, 400, 403, 404, 429}
    with capsys.disabled():
        print(f"\n  amazon: {sum(asked.values())} requests and answers of {len(asked)} operations are as published")


def test_a_feed_and_its_report_are_as_their_schemas_say(contracts_dir: Path, sandbox: AmazonSandbox) -> None:
    schemas = contracts_dir / "amazon" / "schemas" / "feeds"
    feed_schema = json.loads((schemas / "listings-feed-schema-v2.json").read_text())
    report_schema = json.loads((schemas / "listings-feed-processing-report-schema-v2.json").read_text())
    writes = [
        StockWrite(ListingRef(f"sku:{sku}", attributes={"product_type": "MUG"}), 3, None, "key")
        for sku in ("HUB-001", "NOT-THERE", "HUB-002")
    ]
    feed = feed_of(sandbox.seller.seller_id, writes)
    assert [error.message for error in Draft7Validator(feed_schema).iter_errors(feed)] == []
    api = AmazonApi(session_of(sandbox))
    sent = FeedDelivery(api).run(writes)
    api.http.close()
    assert [outcome.listing_key for outcome in sent.outcomes] == ["sku:NOT-THERE"]
    import gzip

    (document,) = [each for each in sandbox.seller.documents.values() if each.is_gzip]
    report = json.loads(gzip.decompress(document.body))
    assert [error.message for error in Draft7Validator(report_schema).iter_errors(report)] == []
    example = json.loads((schemas / "listings-feed-processing-report-schema-v2.example.json").read_text())
    delivery = FeedDelivery(api)
    delivery._read_report([writes[0]] * 5, example)
    assert [outcome.reason for outcome in delivery._sent.outcomes] == [
        "Amazon refuses the level (90220): '[batteries_required]' is required but not supplied.",
        "Amazon refuses the level (99022): The field '\"prices\"' for the attribute 'purchasable_offer.our_price' does "
        "not have enough values. The required minimum is '1' value(s).",
    ]
    assert len(delivery._sent.accepted) == 3


# -------------------------------------------------------------------------------------- Amazon's own sandbox examples


class ExampleTransport(httpx.BaseTransport):
    """Answers every operation with one example, tokens and documents as usual."""

    def __init__(self, status: str, example: Any) -> None:
        self.status, self.example = int(status), example

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/o2/token":
            return httpx.Response(200, json={"access_token": "Atza|x", "expires_in": 3600, "token_type": "bearer"})
        if request.url.host.endswith("cloudfront.net"):
            return httpx.Response(200, content=_DOCUMENT)
        return httpx.Response(self.status, json=self.example)


def uses() -> dict[str, Callable[[AmazonApi], Any]]:
    """Return how the connector reads each operation's answer."""
    day = datetime(2024, 3, 10, tzinfo=UTC)
    write = StockWrite(ListingRef("sku:GM-ZDPI-9B4E", attributes={"product_type": "LUGGAGE"}), 3, None, "key")

    def document(operation: Operation, name: str) -> Callable[[AmazonApi], Any]:
        target = BytesIO()
        return lambda api: (fetch_document(api, operation, {name: "X"}, target), target.getvalue())

    return {
        "searchOrders": lambda api: api.call(operations.SEARCH_ORDERS).parsed,
        "getOrder": lambda api: api.call(operations.GET_ORDER, place={"orderId": "X"}).parsed,
        "listTransactions": lambda api: next(
            finances.transaction_pages(api, finances.start(MoneyPlace(), api.session.clock() - timedelta(days=2)))
        ),
        "createReport": lambda api: create_report(api, "GET_MERCHANT_LISTINGS_ALL_DATA", day, day),
        "getReport": lambda api: wait_for_report(api, "ID323"),
        "getReportDocument": document(operations.GET_REPORT_DOCUMENT, "reportDocumentId"),
        "searchListingsItems": lambda api: read_levels(api, ["GM-ZDPI-9B4E"]),
        "getListingsItem": lambda api: read_levels(api, ["A,B"]),
        "patchListingsItem": lambda api: CHANNEL.stock_sink(api.session, [write]),  # type: ignore[misc]
        "createFeedDocument": lambda api: FeedDelivery(api)._upload(b"{}"),
        "createFeed": lambda api: FeedDelivery(api)._create("X"),
        "getFeed": lambda api: FeedDelivery(api)._feed("X"),
        "getFeedDocument": document(operations.GET_FEED_DOCUMENT, "feedDocumentId"),
        "getMarketplaceParticipations": lambda api: check(api.session),
    }


def ask(operation: str, status: str, example: Any) -> Any:
    settings = {"region": "na", "marketplace_ids": "ATVPDKIKX0DER,A2EUQ1WTGCTBG2", "seller_id": "A2PRACTICE0SELLER"}
    secrets = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}
    session = a_session(settings, secrets, transport=ExampleTransport(status, example))
    api = AmazonApi(session)
    try:
        return uses()[operation](api)
    finally:
        api.http.close()


def test_every_static_example_is_understood(
    published: dict[str, Described], capsys: pytest.CaptureFixture[str]
) -> None:
    checked: Counter[str] = Counter()
    for name, described in published.items():
        for status, number, example in described.examples():
            if status == "400" and name == "patchListingsItem":
                (outcome,) = ask(name, status, example)  # a refused row is an outcome, not an error
                assert (outcome.result, "BAD_REQUEST" in outcome.reason) == (PushResult.REJECTED, True)
            elif status == "400" and name == "getReport":
                with pytest.raises(ReportGone):
                    ask(name, status, example)
            elif status == "400":
                with pytest.raises(HttpRefused) as caught:
                    ask(name, status, example)
                assert (caught.value.status, caught.value.code) == (400, _code(example)), (name, number)
            else:
                understood(name, number, example)
            checked[name] += 1
    assert set(uses()) == {name for name, described in published.items() if described.examples()}
    assert sum(checked.values()) == sum(len(described.examples()) for described in published.values()) == 33
    with capsys.disabled():
        print(f"\n  amazon: {sum(checked.values())} static examples of {len(checked)} operations are understood")


def _code(example: Mapping[str, Any]) -> str:
    code: str = example["errors"][0]["code"]
    return "" if code.isdigit() else code


def understood(name: str, number: int, example: Any) -> None:
    """Assert what the connector makes of a good example."""
    if name in {"searchOrders", "getOrder"}:
        answer = ask(name, "200", example)
        orders = orders_of(answer) if name == "searchOrders" else [answer["order"]]
        if name == "searchOrders":
            assert next_token(answer) == example.get("pagination", {}).get("nextToken")
        for record in CHANNEL.split_page("orders", orders_body(orders)):
            order, gap = close_gap(parse_order([record.payload], a_connection(settings={"marketplace_ids": ""})))
            (raw,) = [each for each in orders if each["orderId"] == record.record_id]
            grand_total = raw["proceeds"]["grandTotal"]
            assert (str(order.total), order.currency, gap) == (grand_total["amount"], grand_total["currencyCode"], 0)
            assert order.unknown_words == ()
            assert sum(row.quantity for shipment in order.shipments for row in shipment.lines) == sum(
                item["fulfillment"]["quantityFulfilled"] for item in raw["orderItems"]
            )
    elif name == "listTransactions":
        transactions, place = ask(name, "200", example)
        (record,) = CHANNEL.split_page("orders", transactions_body(transactions))
        assert (record.record_id, place.token) == ("8129762527551", "Next token value")
        assert parse_order([record.payload], a_connection(settings={"marketplace_ids": ""})).refunds == ()
    elif name in {"searchListingsItems", "getListingsItem"}:
        items = items_of(example) if name == "searchListingsItems" else [example]
        assert [level_of(item).quantity for item in items] == [100 for _ in items]
        records = [record_of(item, ["A2EUQ1WTGCTBG2", "ATVPDKIKX0DER"]) for item in items]
        assert {(record.is_writable, record.attributes["product_type"]) for record in records} == {(True, "LUGGAGE")}
        sku = "A,B" if name == "getListingsItem" else "GM-ZDPI-9B4E"
        with warnings.catch_warnings():
            assert ask(name, "200", example)[sku].quantity == 100
    else:
        others(name, number, example)


def others(name: str, number: int, example: Any) -> None:
    if name == "patchListingsItem":
        (outcome,) = ask(name, "200", example)
        assert outcome.result is (PushResult.REJECTED if example["status"] == "INVALID" else PushResult.UNKNOWN)
    elif name == "getReport":
        with pytest.raises(RetryLater, match="still making the report"):
            ask(name, "200", example)
    elif name in {"getReportDocument", "getFeedDocument"}:
        fetched, body = ask(name, "200", example)
        assert (fetched.is_gzip, body) == (False, _DOCUMENT)
    elif name == "getMarketplaceParticipations":
        results = {result.step: result for result in ask(name, "200", example)}
        assert "A2EUQ1WTGCTBG2" in results["marketplaces"].detail
    else:
        wanted = {
            "createReport": example.get("reportId"),
            "createFeedDocument": example.get("feedDocumentId"),
            "createFeed": example.get("feedId"),
            "getFeed": example,
        }
        assert ask(name, "200", example) == wanted[name], (name, number)
