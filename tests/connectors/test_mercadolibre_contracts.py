"""Requests and answers beside what is published: fact sheet, a real item, and the documented shapes.

Mercado Libre publishes no machine-readable description of its API. What can be checked is checked: every request that the
connector sends is one of the documented operations with documented parameters, the endpoints of the fact sheet are those
that are used, the real item is read as what it is, and every answer of the practice account has the documented shape.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from connectors.mercadolibre import CHANNEL
from connectors.mercadolibre.sandbox import SELLER_ID, MeliSandbox, start_sandbox
from connectors.mercadolibre.sandbox_account import AccountTraits
from connectors.mercadolibre.sandbox_seed import FULL_SKU
from connectors.mercadolibre.sandbox_shown import shown_item
from oms_hub.channel.contract import ChannelSession, ListingRef, PullRequest, StockWrite
from oms_hub.testing.factories import a_session

CONTRACTS = Path(__file__).resolve().parents[2].parent / "shared" / "contracts"
FACTS = CONTRACTS / "mercadolibre.md"
SAMPLE = CONTRACTS / "mercadolibre" / "sample-item-MLM-with-variations.json"

pytestmark = [
    pytest.mark.contracts,
    pytest.mark.skipif(not FACTS.exists(), reason="the published contracts are not here (../shared/contracts)"),
]

_DATE = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}-00:00$"}
_NUMBER = {"type": "string", "pattern": r"^\d+$"}
_TEXT = {"type": "string", "minLength": 1}


def operation(method: str, path: str, named: str, *, query: Any = None, required: Any = (), headers: Any = ()) -> Any:
    """Return one documented operation; `named` is how the fact sheet or the documentation writes its path."""
    return method, re.compile(path), named, {
        "type": "object", "properties": query or {}, "required": list(required), "additionalProperties": False,
    }, tuple(headers)  # fmt: skip


OPERATIONS = [
    operation("POST", r"/oauth/token", "/oauth/token"),
    operation("GET", r"/users/me", "/users/me"),
    operation(
        "GET", r"/orders/search", "/orders/search",
        query={
            "seller": _NUMBER, "sort": {"enum": ["date_asc", "date_desc"]}, "offset": _NUMBER,
            "limit": {"type": "string", "pattern": r"^([1-9]|[1-4]\d|50)$"},
            **{f"order.{name}.{side}": _DATE for name in ("date_last_updated", "date_created") for side in ("from", "to")},
        },
        required=("seller", "offset", "limit"),
    ),
    operation("GET", r"/orders/\d+", "/orders/{id}"),
    operation("GET", r"/orders/\d+/discounts", "/orders/{id}/discounts"),
    operation("GET", r"/packs/\d+", "/packs/{id}"),
    operation("GET", r"/shipments/\d+", "/shipments/{id}", headers=("x-format-new",)),
    operation("GET", r"/shipments/\d+/history", "/shipments/{id}/history", headers=("x-format-new",)),
    operation("GET", r"/shipments/\d+/items", "/shipments/{id}/items", headers=("x-format-new",)),
    operation(
        "GET", r"/post-purchase/v1/claims/search", "/post-purchase/v1/claims/search",
        query={
            "players.user_id": _NUMBER, "players.role": {"enum": ["complainant", "respondent"]},
            "range": {"type": "string", "pattern": r"^last_updated:after:\S+\.\d{3}\+0000,before:\S+\.\d{3}\+0000$"},
            "order_id": _NUMBER, "offset": _NUMBER, "limit": {"type": "string", "pattern": r"^(\d{1,2}|100)$"},
        },
    ),
    operation("GET", r"/post-purchase/v1/claims/\d+", "/post-purchase/v1/claims/{id}"),
    operation("GET", r"/post-purchase/v2/claims/\d+/returns", "/post-purchase/v2/claims/{id}/returns"),
    operation(
        "GET", rf"/users/{SELLER_ID}/items/search", "/users/{id}/items/search",
        query={"search_type": {"const": "scan"}, "scroll_id": _TEXT, "limit": {"type": "string", "pattern": r"^(\d{1,2}|100)$"}},
    ),
    operation(
        "GET", r"/items", "/items",
        query={
            "ids": {"type": "string", "pattern": r"^[A-Z]{3}\d+(,[A-Z]{3}\d+){0,19}$"}, "attributes": _TEXT,
            "include_attributes": {"const": "all"},
        },
        required=("ids",),
    ),
    operation("PUT", r"/items/[A-Z]{3}\d+", "/items/{id}"),
    operation("GET", r"/user-products/[A-Z]{3}U\d+/stock", "/user-products/{up}/stock"),
    operation(
        "PUT", r"/user-products/[A-Z]{3}U\d+/stock/type/(seller_warehouse|selling_address)",
        "/user-products/{up}/stock/type/seller_warehouse", headers=("x-version",),
    ),
    operation("GET", rf"/users/{SELLER_ID}/stores/search", "/users/{id}/stores/search", query={"tags": {"const": "stock_location"}}),
    operation(
        "GET", r"/missed_feeds", "/missed_feeds",
        query={"app_id": _NUMBER, "topic": {"enum": ["orders_v2", "shipments", "post_purchase"]}, "offset": _NUMBER, "limit": _NUMBER},
        required=("app_id", "topic"),
    ),
]  # fmt: skip

BEYOND_THE_SHEET = {"/users/me", "/shipments/{id}/history", "/shipments/{id}/items", "/post-purchase/v1/claims/search"}
"""Documented on developers.mercadolibre (users 2026, shipments 2026-06, claims 2026-05-06), not named by the sheet."""

_QUANTITY = {"type": "integer", "minimum": 0, "maximum": 99_999}
BODIES = {
    "/items/{id}": {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {
            "available_quantity": _QUANTITY,
            "variations": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["id"],
                    "additionalProperties": False,
                    "properties": {"id": {"type": "integer"}, "available_quantity": _QUANTITY},
                },
            },
        },
    },
    "/user-products/{up}/stock/type/seller_warehouse": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "quantity": _QUANTITY,
            "locations": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["store_id", "network_node_id", "quantity"],
                    "additionalProperties": False,
                    "properties": {"store_id": _TEXT, "network_node_id": _TEXT, "quantity": _QUANTITY},
                },
            },
        },
    },
}

_ID = {"type": "integer", "minimum": 1}
_MONEY = {"type": ["number", "null"]}
_STAMP = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[-+]\d\d:?\d\d$"}
_STAMP_OR_NULL = {"anyOf": [_STAMP, {"type": "null"}]}
_PAGING = {
    "type": "object",
    "required": ["total", "offset", "limit"],
    "properties": {name: {"type": "integer", "minimum": 0} for name in ("total", "offset", "limit")},
}


def an_object(required: str, **properties: Any) -> dict[str, Any]:
    """Return a schema of an object with these fields at least."""
    return {"type": "object", "required": required.split(), "properties": properties}


def a_list(of: Any) -> dict[str, Any]:
    """Return a schema of a list."""
    return {"type": "array", "items": of}


LINE = an_object(
    "item quantity unit_price currency_id sale_fee",
    item=an_object("id title variation_id seller_sku", id={"type": "string", "pattern": r"^[A-Z]{3}\d+$"}),
    quantity={"type": "integer", "minimum": 1},
    unit_price={"type": "number"},
    full_unit_price=_MONEY,
    gross_price=_MONEY,
    sale_fee=_MONEY,
)
PAYMENT = an_object(
    "id status currency_id transaction_amount transaction_amount_refunded date_created date_last_modified",
    id=_ID,
    status={"enum": ["approved", "refunded", "rejected", "pending", "in_process", "authorized", "charged_back"]},
    transaction_amount={"type": "number"},
    transaction_amount_refunded={"type": "number"},
    date_approved=_STAMP_OR_NULL,
    date_created=_STAMP,
    date_last_modified=_STAMP,
)
ORDER = an_object(
    "id status date_created last_updated order_items total_amount currency_id payments shipping tags buyer seller context",
    id=_ID,
    status={
        "enum": [
            "confirmed", "payment_required", "payment_in_process", "partially_paid", "paid", "partially_refunded",
            "pending_cancel", "cancelled",
        ]
    },
    date_created=_STAMP,
    date_closed=_STAMP_OR_NULL,
    last_updated=_STAMP,
    pack_id={"type": ["integer", "null"]},
    order_items=a_list(LINE),
    total_amount={"type": "number"},
    paid_amount={"type": "number"},
    payments=a_list(PAYMENT),
    shipping=an_object("id", id={"type": ["integer", "null"]}),
    tags=a_list({"type": "string"}),
    buyer=an_object("id"),
    taxes=an_object("amount", amount=_MONEY),
)  # fmt: skip
SHIPMENT = an_object(
    "id status substatus date_created last_updated logistic lead_time tracking_number tracking_method origin destination",
    id=_ID,
    status={
        "enum": [
            "to_be_agreed",
            "pending",
            "handling",
            "ready_to_ship",
            "shipped",
            "delivered",
            "not_delivered",
            "cancelled",
        ]
    },
    last_updated=_STAMP,
    logistic=an_object("mode type direction", direction={"const": "forward"}),
    lead_time=an_object(
        "cost cost_type currency_id", cost={"type": "number"}, cost_type={"enum": ["free", "charged", "partially_free"]}
    ),
)
CLAIM = an_object(
    "id resource_id status type stage resource reason_id players site_id date_created last_updated",
    id=_ID,
    status={"enum": ["opened", "closed"]},
    type={
        "enum": [
            "mediations",
            "return",
            "fulfillment",
            "ml_case",
            "cancel_sale",
            "cancel_purchase",
            "change",
            "service",
        ]
    },
    resource={"enum": ["payment", "order", "shipment", "purchase"]},
    date_created=_STAMP,
    last_updated=_STAMP,
)
RETURN = an_object(
    "id status status_money claim_id date_created date_closed orders shipments resource_id",
    status={
        "enum": [
            "pending_cancel", "pending", "failed", "shipped", "pending_delivered", "return_to_buyer", "scheduled",
            "pending_expiration", "pending_failure", "label_generated", "cancelled", "not_delivered", "expired", "delivered",
        ]
    },
    orders=a_list(
        an_object(
            "order_id item_id variation_id context_type total_quantity return_quantity",
            total_quantity={"type": "string"},
            return_quantity={"type": "string"},
            context_type={"enum": ["total", "partial", "incomplete"]},
        )
    ),
)  # fmt: skip
ITEM = an_object(
    "id",
    id={"type": "string", "pattern": r"^[A-Z]{3}\d+$"},
    available_quantity={"type": "integer"},
    status={"enum": ["active", "paused", "under_review", "closed", "payment_required", "inactive"]},
    shipping=an_object("logistic_type"),
    variations=a_list(an_object("id available_quantity", id=_ID, available_quantity={"type": ["integer", "null"]})),
)
PLACE = an_object("type quantity", type={"enum": ["seller_warehouse", "selling_address", "meli_facility"]})
STOCK = an_object("id user_id locations", locations=a_list(PLACE))
ANSWERS = {
    "/oauth/token": an_object(
        "access_token token_type expires_in scope user_id refresh_token",
        scope={"const": "offline_access read write"}, expires_in={"type": "integer"}, user_id=_ID,
    ),
    "/users/me": an_object("id site_id country_id tags", tags=a_list({"type": "string"})),
    "/orders/search": an_object("query results sort filters paging display", results=a_list(ORDER), paging=_PAGING),
    "/orders/{id}": ORDER,
    "/orders/{id}/discounts": an_object(
        "details",
        details=a_list(an_object("type supplier items", items=a_list(an_object("quantity amounts", amounts=an_object("total seller"))))),
    ),
    "/packs/{id}": an_object("id status orders shipment buyer date_created last_updated", orders=a_list(an_object("id", id=_ID))),
    "/shipments/{id}": SHIPMENT,
    "/shipments/{id}/history": a_list(an_object("status substatus date", date=_STAMP)),
    "/shipments/{id}/items": a_list(an_object("item_id quantity variation_id order_id sender_id description")),
    "/post-purchase/v1/claims/search": an_object("paging data", paging=_PAGING, data=a_list(CLAIM)),
    "/post-purchase/v1/claims/{id}": {**CLAIM, "required": [*CLAIM["required"], "related_entities"]},
    "/post-purchase/v2/claims/{id}/returns": RETURN,
    "/users/{id}/items/search": an_object(
        "seller_id query paging results orders", results={"anyOf": [a_list({"type": "string"}), {"type": "null"}]}
    ),
    "/items": a_list(an_object("code body", code={"enum": [200, 404]}, body=ITEM)),
    "/items/{id}": ITEM,
    "/user-products/{up}/stock": STOCK,
    "/user-products/{up}/stock/type/seller_warehouse": STOCK,
    "/users/{id}/stores/search": an_object(
        "paging results", results=a_list(an_object("id description status tags network_node_id"))
    ),
    "/missed_feeds": an_object(
        "messages",
        messages=a_list(an_object("_id resource user_id topic application_id attempts sent received request response")),
    ),
}  # fmt: skip
ERROR = an_object("message error status cause", status={"type": "integer"}, cause={"type": "array"})


def run_everything(shop: MeliSandbox, session: ChannelSession) -> ChannelSession:
    """Do all that the connector can do, so that every request is sent at least once where it applies."""
    assert CHANNEL.order_source is not None
    assert CHANNEL.order_lookup is not None
    assert CHANNEL.order_ids is not None
    assert CHANNEL.listing_source is not None
    assert CHANNEL.stock_source is not None
    assert CHANNEL.stock_sink is not None
    CHANNEL.check(session)
    shop.state.notify("shipments", f"/shipments/{next(iter(shop.state.shipments))}")
    shop.advance_clock(4000)
    cursor: Mapping[str, Any] = {}
    for _ in range(2):
        for page in CHANNEL.order_source(session, PullRequest(cursor)):
            cursor = page.cursor
    known = list(shop.totals())
    list(CHANNEL.order_lookup(session, [*known[:3], "404"]))
    list(CHANNEL.order_ids(session, shop.state.now() - timedelta(days=20), shop.state.now()))
    rows = [row for batch in CHANNEL.listing_source(session) for row in batch]
    levels = {level.listing_key: level for level in CHANNEL.stock_source(session, [
        ListingRef(row.listing_key, None, row.attributes) for row in rows
    ])}  # fmt: skip
    writable = [row for row in rows if row.is_tracked and row.is_writable and row.attributes.get("user_product_id")]
    writes = [
        StockWrite(
            ListingRef(row.listing_key, None, row.attributes), 5, levels[row.listing_key].available, row.listing_key,
            levels[row.listing_key].version,
        )
        for row in writable
    ]  # fmt: skip
    for start in range(0, len(writes), 20):
        CHANNEL.stock_sink(session, writes[start : start + 20])
    return session


@pytest.fixture(scope="module")
def traffic() -> list[tuple[Any, int, Any]]:
    """Give every request and answer of a plain account, one with depots and one in Argentina."""
    found: list[tuple[Any, int, Any]] = []
    for site, traits in (("MLM", AccountTraits()), ("MLM", AccountTraits(has_depots=True)), ("MLA", AccountTraits())):
        shop = start_sandbox(orders=24, seed=5, site=site, traits=traits)
        account = shop.account
        session = a_session({**account.settings, "page_size": "9", "slice_size": "10"}, account.secrets)
        run_everything(shop, session)
        found += shop.server.seen
        shop.close()
    return found


def operation_of(request: Any) -> Any:
    for each in OPERATIONS:
        if each[0] == request.method and each[1].fullmatch(request.path):
            return each
    raise AssertionError(f"not a documented operation: {request.method} {request.path}")


def test_every_request_is_a_documented_operation_with_documented_parameters(
    traffic: list[tuple[Any, int, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[str] = Counter()
    for request, _, _ in traffic:
        method, _, named, query, headers = operation_of(request)
        Draft202012Validator(query).validate(dict(request.query))
        assert [name for name in headers if name not in request.headers] == []
        if named != "/oauth/token":
            assert re.fullmatch(r"Bearer \S+", request.headers["authorization"])
        counts[f"{method} {named}"] += 1
    assert {f"{each[0]} {each[2]}" for each in OPERATIONS} == set(counts), "every operation was sent"
    with capsys.disabled():
        print(f"\nmercadolibre: {sum(counts.values())} requests of {len(counts)} operations checked")


def test_the_operations_are_those_of_the_fact_sheet() -> None:
    told = re.sub(r"\{\w+\}", "{}", FACTS.read_text(encoding="utf-8"))
    named = {each[2] for each in OPERATIONS} - BEYOND_THE_SHEET
    assert [path for path in sorted(named) if re.sub(r"\{\w+\}", "{}", path) not in told] == []


def test_every_body_that_is_written_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[tuple[str, Any]] = []

    class Watching(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method != "GET":
                sent.append((request.url.path, request.read()))
            return super().handle_request(request)

    for traits in (AccountTraits(), AccountTraits(has_depots=True)):
        shop = start_sandbox(orders=1, traits=traits)
        run_everything(shop, a_session(shop.account.settings, shop.account.secrets, transport=Watching()))
        shop.close()
    for path, body in sent:
        named = next(each[2] for each in OPERATIONS if each[0] != "GET" and each[1].fullmatch(path))
        if named == "/oauth/token":
            assert re.fullmatch(rb"grant_type=refresh_token&refresh_token=\S+&client_id=\d+&client_secret=\S+", body)
        else:
            Draft202012Validator(BODIES[named]).validate(json.loads(body))
    with capsys.disabled():
        print(f"\nmercadolibre: {len(sent)} written bodies checked")


def test_every_answer_of_the_practice_account_has_the_documented_shape(
    traffic: list[tuple[Any, int, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    validators = {named: Draft202012Validator(schema) for named, schema in ANSWERS.items()}
    refusals = Draft202012Validator(ERROR)
    counts: Counter[str] = Counter()
    for request, status, parsed in traffic:
        named = operation_of(request)[2]
        (validators[named] if status == 200 else refusals).validate(parsed)
        counts[named if status == 200 else "refusals"] += 1
    assert set(ANSWERS) <= set(counts), "every shape was answered"
    with capsys.disabled():
        print(f"\nmercadolibre: {sum(counts.values())} answers of {len(counts)} shapes checked")


def test_a_real_item_in_full_is_read_as_three_listings_that_are_never_written() -> None:
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    Draft202012Validator(ITEM).validate(sample)

    def respond(request: httpx.Request) -> httpx.Response:
        answers: dict[str, Any] = {
            "/oauth/token": {"access_token": "a", "refresh_token": "r"},
            "/users/me": {"id": SELLER_ID, "tags": ["user_product_seller"]},
            f"/users/{SELLER_ID}/items/search": {"results": [sample["id"]], "scroll_id": None},
            "/items": [{"code": 200, "body": sample}],
        }
        return httpx.Response(200, json=answers[request.url.path])

    settings = {"site": "MLM", "seller_id": str(SELLER_ID)}
    session = a_session(settings, {"refresh_token": "r"}, transport=httpx.MockTransport(respond))
    assert CHANNEL.listing_source is not None
    assert CHANNEL.stock_source is not None
    rows = [row for batch in CHANNEL.listing_source(session) for row in batch]
    assert [row.listing_key for row in rows] == [f"up:{each['user_product_id']}" for each in sample["variations"]]
    assert {(row.is_tracked, row.is_writable, row.is_active) for row in rows} == {(True, False, True)}
    refs = [ListingRef(row.listing_key, None, row.attributes) for row in rows]
    assert [level.available for level in CHANNEL.stock_source(session, refs)] == [
        each["available_quantity"] for each in sample["variations"]
    ]


def test_the_practice_items_have_the_fields_and_types_of_the_real_one() -> None:
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    shop = start_sandbox(orders=1)
    items = [item for item in shop.state.items.values() if item.offers[0].sku in {FULL_SKU, "HUB-017"}]
    shop.close()
    assert len(items) == 2
    for shown in map(shown_item, items):
        shared = shown.keys() & sample.keys()
        assert {"id", "price", "currency_id", "status", "buying_mode", "available_quantity", "variations"} <= shared
        kinds = {name: (kind_of(shown[name]), kind_of(sample[name])) for name in shared}
        assert {name: kinds[name] for name in kinds if len(set(kinds[name])) > 1} == {}


def kind_of(value: Any) -> str:
    return "number" if isinstance(value, int | float) else type(value).__name__
