"""The practice seller refuses what Square refuses, so that a connector that works here has met it all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from connectors.square.sandbox import SquareSandbox, start_sandbox
from connectors.square.sandbox_sales import quick_sale, sell, take_back
from connectors.square.sandbox_seed import MAIN
from connectors.square.sandbox_shop import Line

SORTED = {"sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"}}


@pytest.fixture(scope="module")
def seller() -> Iterator[SquareSandbox]:
    running = start_sandbox(orders=24, seed=2)
    yield running
    running.close()


class Caller:
    def __init__(self, seller: SquareSandbox, token: str | None = None) -> None:
        token = seller.server.access.personal_token if token is None else token
        self._client = httpx.Client(base_url=seller.base_url, headers={"authorization": f"Bearer {token}"})

    def __call__(self, path: str, body: Any = None, method: str = "POST") -> tuple[int, Any]:
        with self._client as client:
            content = {"content": body} if isinstance(body, bytes) else {"json": body}
            answer = client.request(method, path, **content)  # type: ignore[arg-type]
        return answer.status_code, answer.json()


def codes(answer: tuple[int, Any]) -> tuple[int, list[tuple[str, str]]]:
    return answer[0], [(row["code"], row.get("field", "")) for row in answer[1]["errors"]]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("MISSING_REQUIRED_PARAMETER", "location_ids")),
        ({"location_ids": ["L"] * 11}, ("ARRAY_LENGTH_TOO_LONG", "location_ids")),
        ({"location_ids": [MAIN], "limit": 1001}, ("INVALID_VALUE", "limit")),
        (
            {"location_ids": [MAIN], "query": {"filter": {"date_time_filter": {"created_at": {}}}, **SORTED}},
            ("INVALID_VALUE", "query.sort.sort_field"),
        ),
        (
            {"location_ids": [MAIN], "query": {"sort": {"sort_field": "TOTAL"}}},
            ("INVALID_ENUM_VALUE", "query.sort.sort_field"),
        ),
        (
            {
                "location_ids": [MAIN],
                "query": {"filter": {"date_time_filter": {"updated_at": {"start_at": "noon"}}}, **SORTED},
            },
            ("INVALID_TIME", "start_at"),
        ),
        (
            {
                "location_ids": [MAIN],
                "query": {"filter": {"date_time_filter": {"updated_at": {"end_at": "2026-11-01T00:00:00"}}}, **SORTED},
            },
            ("INVALID_TIME", "end_at"),
        ),
        ({"location_ids": [MAIN], "cursor": "???"}, ("INVALID_CURSOR", "cursor")),
    ],
)
def test_searches_that_square_refuses(seller: SquareSandbox, body: Any, expected: tuple[str, str]) -> None:
    assert codes(Caller(seller)("/v2/orders/search", body)) == (400, [expected])


def test_a_cursor_belongs_to_its_query_and_lives_five_minutes(seller: SquareSandbox) -> None:
    question = {"location_ids": [MAIN], "limit": 5, "query": SORTED}
    _, first = Caller(seller)("/v2/orders/search", question)
    _, second = Caller(seller)("/v2/orders/search", {**question, "cursor": first["cursor"]})
    assert [row["updated_at"] for row in (*first["orders"], *second["orders"])] == sorted(
        row["updated_at"] for row in (*first["orders"], *second["orders"])
    )
    other = {**question, "location_ids": ["LOLD03"], "cursor": first["cursor"]}
    assert codes(Caller(seller)("/v2/orders/search", other))[1] == [("INVALID_CURSOR", "cursor")]
    seller.advance_clock(301)
    old = {**question, "cursor": first["cursor"]}
    assert codes(Caller(seller)("/v2/orders/search", old))[1] == [("INVALID_CURSOR", "cursor")]


def test_the_newest_order_comes_first_unless_asked_otherwise(seller: SquareSandbox) -> None:
    question = {"location_ids": [MAIN], "limit": 6}
    _, first = Caller(seller)("/v2/orders/search", question)
    _, second = Caller(seller)("/v2/orders/search", {**question, "cursor": first["cursor"]})
    stamps = [row["created_at"] for row in (*first["orders"], *second["orders"])]
    assert stamps == sorted(stamps, reverse=True)
    _, entries = Caller(seller)("/v2/orders/search", {**question, "limit": 24, "return_entries": True})
    assert {tuple(sorted(row)) for row in entries["order_entries"]} == {
        ("location_id", "order_id"),
        ("location_id", "order_id", "version"),
    }
    closed = {"location_ids": [MAIN], "query": {"sort": {"sort_field": "CLOSED_AT"}}}
    assert all("closed_at" in row for row in Caller(seller)("/v2/orders/search", closed)[1]["orders"])
    assert Caller(seller)("/v2/orders/search", {"location_ids": ["LNOWHERE"]}) == (200, {})


def test_named_orders_have_their_limits(seller: SquareSandbox) -> None:
    path = "/v2/orders/batch-retrieve"
    assert codes(Caller(seller)(path, {"order_ids": []})) == (400, [("ARRAY_EMPTY", "order_ids")])
    assert codes(Caller(seller)(path, {"order_ids": ["x"] * 101})) == (400, [("ARRAY_LENGTH_TOO_LONG", "order_ids")])
    assert Caller(seller)(path, {"order_ids": ["x"]}) == (200, {})


def test_the_catalogue_comes_in_pages_and_an_odd_limit_is_ignored(seller: SquareSandbox) -> None:
    _, first = Caller(seller)("/v2/catalog/search", {"limit": 20})
    _, rest = Caller(seller)("/v2/catalog/search", {"limit": 20, "cursor": first["cursor"]})
    assert (len(first["objects"]), "cursor" in rest) == (20, False)
    _, whole = Caller(seller)("/v2/catalog/search", {"limit": 5000, "include_deleted_objects": True})
    assert len(whole["objects"]) == len(first["objects"]) + len(rest["objects"]) + 1
    assert "objects" not in Caller(seller)("/v2/catalog/search", {"object_types": ["TAX"]})[1]


def a_count(seller: SquareSandbox, **changes: Any) -> dict[str, Any]:
    row = {"catalog_object_id": seller.shop.by_sku("HUB-001")[1].variation_id, "location_id": MAIN, "state": "IN_STOCK"}
    row |= {"quantity": "5", "occurred_at": seller.shop.now().isoformat(), **changes}
    return {"type": "PHYSICAL_COUNT", "physical_count": row}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "WASTE"}, ("INVALID_ENUM_VALUE", "state")),
        ({"quantity": "-1"}, ("VALUE_TOO_LOW", "quantity")),
        ({"quantity": "some"}, ("EXPECTED_STRING", "quantity")),
        ({"quantity": None}, ("EXPECTED_STRING", "quantity")),
        ({"occurred_at": None}, ("INVALID_TIME", "occurred_at")),
        ({"occurred_at": "2026-11-01T00:00:00Z"}, ("INVALID_TIME", "occurred_at")),
        ({"occurred_at": "2027-11-01T00:00:00Z"}, ("INVALID_TIME", "occurred_at")),
        ({"location_id": "LNOWHERE"}, ("INVALID_LOCATION", "location_id")),
        ({"catalog_object_id": "VAR404"}, ("NOT_FOUND", "catalog_object_id")),
    ],
)
def test_counts_that_square_refuses(seller: SquareSandbox, changes: Any, expected: tuple[str, str]) -> None:
    body = {"idempotency_key": f"k {changes}"[:128], "changes": [a_count(seller, **changes)]}
    code, field = expected
    answer = codes(Caller(seller)("/v2/inventory/changes/batch-create", body))
    assert answer == (400, [(code, f"changes[0].physical_count.{field}")])


def test_stock_writes_have_keys_and_limits_and_pass_over_unchanged_counts(seller: SquareSandbox) -> None:
    path, row = "/v2/inventory/changes/batch-create", a_count(seller)
    assert codes(Caller(seller)(path, {"changes": [row]}))[1] == [("MISSING_REQUIRED_PARAMETER", "idempotency_key")]
    assert codes(Caller(seller)(path, {"idempotency_key": "e"}))[1] == [("ARRAY_EMPTY", "changes")]
    many = {"idempotency_key": "m", "changes": [row] * 101}
    assert codes(Caller(seller)(path, many))[1] == [("ARRAY_LENGTH_TOO_LONG", "changes")]
    transfer = {"idempotency_key": "t", "changes": [{"type": "TRANSFER"}]}
    assert codes(Caller(seller)(path, transfer))[1] == [("INVALID_VALUE", "changes[0].type")]
    assert Caller(seller)(path, {"idempotency_key": "a", "changes": [row]})[1]["counts"][0]["quantity"] == "5"
    seller.advance_clock(2)
    seller.place_order({"HUB-001": 2})
    seller.advance_clock(2)
    again = {"idempotency_key": "b", "changes": [a_count(seller)]}
    assert Caller(seller)(path, again)[1]["counts"][0]["quantity"] == "3", "the last count said 5 already"
    assert codes(Caller(seller)(path, {**again, "ignore_unchanged_counts": False}))[1] == [
        ("IDEMPOTENCY_KEY_REUSED", "idempotency_key")
    ]


def test_counts_and_changes_are_told_by_filter(seller: SquareSandbox) -> None:
    path, key = "/v2/inventory/counts/batch-retrieve", seller.shop.by_sku("HUB-009")[1].variation_id
    asked = {"catalog_object_ids": [key], "location_ids": [MAIN]}
    assert len(Caller(seller)(path, asked)[1]["counts"]) == 1
    assert Caller(seller)(path, {**asked, "states": ["WASTE"]})[1] == {}
    assert Caller(seller)(path, {**asked, "updated_after": seller.shop.now().isoformat()})[1] == {}
    assert "cursor" in Caller(seller)(path, {"limit": 3})[1]
    log = "/v2/inventory/changes/batch-retrieve"
    seller.place_order({"HUB-009": 1})
    _, changes = Caller(seller)(log, {**asked, "states": ["SOLD"]})
    assert {row["type"] for row in changes["changes"]} == {"ADJUSTMENT"}
    assert changes["changes"][-1]["adjustment"]["total_price_money"] == {"amount": 0, "currency": "CAD"}
    _, counts = Caller(seller)(log, {**asked, "types": ["PHYSICAL_COUNT"]})
    assert counts["changes"][0]["physical_count"]["state"] == "IN_STOCK"


def test_who_may_not_is_told_so(seller: SquareSandbox) -> None:
    assert codes(Caller(seller, "wrong")("/v2/locations", method="GET")) == (401, [("UNAUTHORIZED", "")])
    assert codes(Caller(seller)("/v2/payments", method="GET")) == (404, [("NOT_FOUND", "")])
    assert codes(Caller(seller)("/v2/orders/search", b"[]")) == (400, [("EXPECTED_JSON_BODY", "")])
    assert codes(Caller(seller)("/v2/orders/search", b"{")) == (400, [("EXPECTED_JSON_BODY", "")])
    assert codes(Caller(seller)("/oauth2/token", {"grant_type": "authorization_code"})) == (401, [("UNAUTHORIZED", "")])


def test_the_knobs_turn_what_the_api_tells(seller: SquareSandbox) -> None:
    exchange = next(key for key in seller.order_ids() if key.endswith(":returns"))
    assert seller.edit_order(exchange) == seller.totals()[exchange.removesuffix(":returns")]
    note = next(key for key, sold in seller.shop.orders.items() if key.startswith("RET"))
    assert f"{note}:returns" not in seller.totals()
    assert seller.edit_order(note) == seller.totals()[note] == 1
    assert f"{note}:returns" in seller.totals()
    seller.break_order(note)
    assert Caller(seller)("/v2/orders/batch-retrieve", {"order_ids": [note]})[1]["orders"][0]["line_items"] == "none"
    seller.delete_order(exchange)
    assert exchange not in seller.totals()
    seller.set_level("HUB-010", 3)
    variation = seller.shop.by_sku("HUB-011")[1]
    seller.shop.log.pop((variation.variation_id, MAIN))
    assert [seller.level(sku) for sku in ("HUB-010", "HUB-011", "SERVICE-1")] == [3, 0, None]
    with pytest.raises(KeyError):
        seller.place_order({"HUB-999": 1})
    sale = seller.place_order({"SERVICE-1": 1, "HUB-010": 1})
    assert seller.level("HUB-010") == 2
    seller.refund_order(sale, {"HUB-010": 1}, is_restocked=True)
    assert seller.level("HUB-010") == 3


def test_a_custom_amount_paid_otherwise_comes_back_without_stock(seller: SquareSandbox) -> None:
    draft = quick_sale(seller.shop, {"HUB-012": 1})
    draft.lines.append(Line("c", "Engraving", "1", 500, item_type="CUSTOM_AMOUNT"))
    sale = sell(seller.shop, draft, at=seller.shop.now(), kind="OTHER")
    assert "card_details" not in sale.record["tenders"][0]
    before = seller.level("HUB-012")
    note = take_back(seller.shop, sale, {"c": 1}, at=seller.shop.now(), is_restocked=True)
    assert note.record["returns"][0]["return_amounts"]["total_money"]["amount"] == 525
    assert seller.level("HUB-012") == before
