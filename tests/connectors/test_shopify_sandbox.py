"""The practice shop keeps Shopify's rules, also those that no schema shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from connectors.shopify.documents import ACTIVATE, LEVELS, SET_QUANTITIES
from connectors.shopify.sandbox import FIRST_TOKEN, RunningShop, start_sandbox
from connectors.shopify.sandbox_graphql import Rules
from connectors.shopify.sandbox_seed import HUB_SKUS

ITEM, PLACE = "gid://shopify/InventoryItem/50000", "gid://shopify/Location/9001"


@pytest.fixture
def shop() -> Iterator[RunningShop]:
    running = start_sandbox(orders=14)
    yield running
    running.close()


def ask(shop: RunningShop, text: str, **variables: Any) -> dict[str, Any]:
    answer = shop.graph.answer({"query": text, "variables": variables})
    return json.loads(json.dumps(answer))  # type: ignore[no-any-return]


def code_of(answer: dict[str, Any]) -> str:
    return str(answer["errors"][0]["extensions"]["code"])


def set_level(shop: RunningShop, key: str, **row: Any) -> dict[str, Any]:
    quantities = [{"inventoryItemId": ITEM, "locationId": PLACE, **row}]
    content = {"name": "available", "reason": "correction", "quantities": quantities}
    return ask(shop, SET_QUANTITIES.text, input=content, key=key)


def codes_of(answer: dict[str, Any]) -> list[str | None]:
    return [error["code"] for error in answer["data"]["inventorySetQuantities"]["userErrors"]]


def test_the_same_seed_gives_the_same_shop() -> None:
    shops = [start_sandbox(orders=20, seed=seed) for seed in (4, 4, 5)]
    totals = [shop.totals() for shop in shops]
    for shop in shops:
        shop.close()
    assert totals[0] == totals[1]
    assert totals[0] != totals[2]


def test_every_shared_sku_is_sold_and_kept(shop: RunningShop) -> None:
    assert HUB_SKUS[0] == "HUB-001"
    assert len(HUB_SKUS) == 20
    assert all(shop.level(sku) is not None for sku in HUB_SKUS)
    assert (shop.level("SHP-TALLER"), shop.level("SHP-TIENDA")) == (None, None)


def test_a_buyer_takes_from_what_can_be_sold_at_once(shop: RunningShop) -> None:
    shop.set_level("HUB-001", 10)
    order_id = shop.place_order({"HUB-001": 3, "SHP-TALLER": 1})
    assert shop.level("HUB-001") == 7
    assert order_id in shop.order_ids()
    shop.delete_order(order_id)
    assert shop.level("HUB-001") == 10


def test_an_edit_changes_the_total_and_mends_a_broken_order(shop: RunningShop) -> None:
    order_id = shop.order_ids()[0]
    before = shop.totals()[order_id]
    shop.break_order(order_id)
    assert shop.edit_order(order_id) == shop.totals()[order_id] != before


def test_time_passes_when_told(shop: RunningShop) -> None:
    before = shop.date()
    shop.advance_clock(3600)
    assert before.endswith("18:00:00 GMT")
    assert shop.date() > before


# ---------------------------------------------------------------------------------------------------- writing levels


def test_a_write_needs_an_idempotency_key(shop: RunningShop) -> None:
    plain = SET_QUANTITIES.text.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    content = {"name": "available", "reason": "correction", "quantities": []}
    assert code_of(ask(shop, plain, input=content)) == "BAD_REQUEST"
    bare = ACTIVATE.text.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    assert code_of(ask(shop, bare, item=ITEM, location=PLACE, available=1)) == "BAD_REQUEST"


def test_a_write_has_to_say_what_it_replaces(shop: RunningShop) -> None:
    assert code_of(set_level(shop, "k", quantity=1)) == "INVALID_FIELD_ARGUMENTS"
    assert codes_of(set_level(shop, "k", quantity=1, changeFromQuantity=None)) == []
    assert shop.level("HUB-001") == 1


def test_a_write_takes_250_rows(shop: RunningShop) -> None:
    row = {"inventoryItemId": ITEM, "locationId": PLACE, "quantity": 1, "changeFromQuantity": None}
    content = {"name": "available", "reason": "correction", "quantities": [row] * 251}
    assert code_of(ask(shop, SET_QUANTITIES.text, input=content, key="k")) == "MAX_INPUT_SIZE_EXCEEDED"


def test_the_same_key_gives_the_first_result_again(shop: RunningShop) -> None:
    first = set_level(shop, "k", quantity=5, changeFromQuantity=None)
    shop.set_level("HUB-001", 9)
    again = set_level(shop, "k", quantity=5, changeFromQuantity=None)
    assert again["data"] == first["data"]
    assert shop.level("HUB-001") == 9
    assert codes_of(set_level(shop, "k", quantity=6, changeFromQuantity=None)) == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]


def test_the_key_of_a_failed_write_is_used_up(shop: RunningShop) -> None:
    assert codes_of(set_level(shop, "k", quantity=5, changeFromQuantity=-1)) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert codes_of(set_level(shop, "k", quantity=5, changeFromQuantity=-1)) == ["IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"inventoryItemId": "gid://shopify/InventoryItem/x"}, "INVALID_INVENTORY_ITEM"),
        ({"locationId": "gid://shopify/Location/1"}, "INVALID_LOCATION"),
        ({"inventoryItemId": "gid://shopify/InventoryItem/50105"}, "NON_MUTABLE_INVENTORY_ITEM"),
        ({"quantity": 1_000_000_001}, "INVALID_QUANTITY_TOO_HIGH"),
        ({"inventoryItemId": "gid://shopify/InventoryItem/50107"}, None),
    ],
)
def test_a_wrong_row_says_what_is_wrong(shop: RunningShop, row: dict[str, Any], code: str | None) -> None:
    assert codes_of(set_level(shop, "k", **{"quantity": 1, "changeFromQuantity": None, **row})) == [code]


def test_one_wrong_row_keeps_all_from_being_written(shop: RunningShop) -> None:
    before = shop.level("HUB-002")
    rows = [
        {"inventoryItemId": ITEM, "locationId": PLACE, "quantity": 1, "changeFromQuantity": -5},
        {
            "inventoryItemId": ITEM.replace("50000", "50001"),
            "locationId": PLACE,
            "quantity": 1,
            "changeFromQuantity": None,
        },
        {"inventoryItemId": ITEM, "locationId": PLACE, "quantity": 1, "changeFromQuantity": None},
    ]
    content = {"name": "available", "reason": "correction", "quantities": rows}
    answer = ask(shop, SET_QUANTITIES.text, input=content, key="k")
    assert codes_of(answer) == ["CHANGE_FROM_QUANTITY_STALE", "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"]
    assert shop.level("HUB-002") == before


def test_on_hand_can_be_set_too_and_no_other_name(shop: RunningShop) -> None:
    row = {"inventoryItemId": ITEM, "locationId": PLACE, "quantity": 50, "changeFromQuantity": None}
    content = {"name": "on_hand", "reason": "correction", "quantities": [row]}
    assert codes_of(ask(shop, SET_QUANTITIES.text, input=content, key="k")) == []
    told = ask(shop, LEVELS.text, ids=[ITEM], location=PLACE)["data"]["nodes"][0]["inventoryLevel"]["quantities"]
    assert told[1] == {"name": "on_hand", "quantity": 50}
    wrong = {**content, "name": "reserved"}
    assert codes_of(ask(shop, SET_QUANTITIES.text, input=wrong, key="l")) == ["INVALID_NAME"]


def test_an_item_is_stocked_at_a_place_once(shop: RunningShop) -> None:
    def activate(item: str, key: str) -> list[dict[str, Any]]:
        answer = ask(shop, ACTIVATE.text, item=item, location=PLACE, available=4, key=key)
        return list(answer["data"]["inventoryActivate"]["userErrors"])

    new = "gid://shopify/InventoryItem/50107"
    assert activate(new, "a") == []
    assert shop.level("SHP-TIENDA") == 4
    assert [error["field"] for error in activate(new, "b")] == [["available"]]
    assert [error["field"] for error in activate("gid://shopify/InventoryItem/1", "c")] == [["inventoryItemId"]]


# ------------------------------------------------------------------------------------------------------ the protocol


def test_a_query_has_its_price(shop: RunningShop) -> None:
    text = "{ orders(first: 10) { nodes { id lineItems(first: 2) { nodes { id } pageInfo { hasNextPage } } } } }"
    cost = ask(shop, text)["extensions"]["cost"]
    assert cost["requestedQueryCost"] == 2 + 10 * (1 + 2 + 2 * 1)
    assert cost["actualQueryCost"] == 2 + 10 * (1 + 2 + 2 * 1)
    assert ask(shop, "{ shop { id } }")["extensions"]["cost"]["requestedQueryCost"] == 1
    assert ask(shop, '{ nodes(ids: ["a", "b"]) { id } }')["extensions"]["cost"]["actualQueryCost"] == 0
    assert ask(shop, "{ locations { pageInfo { hasNextPage } } }")["extensions"]["cost"]["requestedQueryCost"] == 2
    assert ask(shop, "{ orders { nodes { id } } }")["extensions"]["cost"]["requestedQueryCost"] == 2


def test_a_query_that_is_too_dear_is_refused(shop: RunningShop) -> None:
    answer = ask(shop, "{ orders(first: 250) { nodes { id lineItems(first: 250) { nodes { id } } } } }")
    assert code_of(answer) == "MAX_COST_EXCEEDED"
    assert answer["errors"][0]["extensions"]["maxCost"] == 1000


def test_an_empty_bucket_throttles_until_it_is_filled() -> None:
    shop = start_sandbox(orders=0, rules=Rules(capacity=10, per_second=1))
    try:
        shop.graph.bucket.pay(10)
        answer = ask(shop, "{ orders(first: 5) { nodes { id } } }")
        assert code_of(answer) == "THROTTLED"
        assert answer["extensions"]["cost"]["requestedQueryCost"] == 7
        shop.advance_clock(8)
        assert ask(shop, "{ orders(first: 5) { nodes { id } } }")["data"] == {"orders": {"nodes": []}}
    finally:
        shop.close()


@pytest.mark.parametrize(
    "text", ["{ locations(first: 251) { nodes { id } } }", "{ orders(first: 0) { nodes { id } } }"]
)
def test_a_page_holds_250_nodes(shop: RunningShop, text: str) -> None:
    assert code_of(ask(shop, text)) == "BAD_REQUEST"


@pytest.mark.parametrize(("text", "code"), [("{", "parse_error"), ("{ unicorns }", "undefinedField")])
def test_a_document_that_is_wrong_is_refused(shop: RunningShop, text: str, code: str) -> None:
    assert code_of(ask(shop, text)) == code


def test_a_search_by_time_takes_all_comparisons(shop: RunningShop) -> None:
    def found(query: str) -> int:
        text = "query Q($query: String) { orders(first: 250, query: $query, sortKey: UPDATED_AT) { nodes { id } } }"
        return len(ask(shop, text, query=query)["data"]["orders"]["nodes"])

    newest = max(order.updated_at for order in shop.graph.shop.orders.values()).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found("") == 14
    assert found(f"updated_at:>'{newest}'") == found(f"updated_at:>='{newest}'") >= 1
    assert found(f"updated_at:<='{newest}'") == 14
    assert found(f"updated_at:<'{newest}'") == 14 - found(f"updated_at:>='{newest}'")


def test_nodes_of_all_kinds_are_found_by_id_and_others_are_null(shop: RunningShop) -> None:
    ids = [
        "gid://shopify/Refund/1",
        "gid://shopify/Order/1",
        "gid://shopify/Order/odd",
        "gid://shopify/InventoryItem/1",
    ]
    assert ask(shop, "query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)["data"]["nodes"] == [None] * 4


def test_the_server_answers_only_what_it_knows(shop: RunningShop) -> None:
    headers = {"X-Shopify-Access-Token": FIRST_TOKEN}
    with httpx.Client(base_url=shop.base_url) as client:
        path = "/admin/api/2026-10/graphql.json"
        assert client.post(path, json={"query": "{ shop { id } }"}).status_code == 401
        assert client.post(path, content=b"{", headers=headers).status_code == 400
        good = client.post(path, json={"query": "{ shop { id } }"}, headers=headers)
        assert good.headers["x-shopify-api-version"] == "2026-10"
        assert good.json()["data"] == {"shop": {"id": "gid://shopify/Shop/1"}}
        old = client.post(path.replace("2026-10", "2020-01"), json={"query": "{ shop { id } }"}, headers=headers)
        assert old.headers["x-shopify-api-version"] == "2026-01"
        assert client.post("/admin/orders.json", headers=headers).status_code == 404
        assert client.get("/bulk/1.jsonl").status_code == 404
        assert client.get("/bulk/x.jsonl").status_code == 404
        odd = client.post("/admin/oauth/access_token", data={"client_id": "practice-client"})
        assert odd.status_code == 401
        secrets = {"client_id": "practice-client", "client_secret": "practice-client-secret"}
        assert client.post("/admin/oauth/access_token", data=secrets).json() == {"error": "unsupported_grant_type"}


def test_a_token_ends_when_its_time_is_over(shop: RunningShop) -> None:
    secrets = {"client_id": "practice-client", "client_secret": "practice-client-secret"}
    _, granted = shop.grant({**secrets, "grant_type": "client_credentials"})
    assert shop.opens(granted["access_token"]) is True
    shop.advance_clock(86_400)
    assert shop.opens(granted["access_token"]) is False
    assert shop.opens("never seen") is False


def test_a_field_without_scope_is_null_beside_the_rest() -> None:
    shop = start_sandbox(orders=1, rules=Rules(scopes=("read_orders",)))
    try:
        answer = ask(shop, "{ orders(first: 1) { nodes { name customer { id } } } }")
    finally:
        shop.close()
    assert answer["data"]["orders"]["nodes"][0]["customer"] is None
    assert [(error["path"][-1], error["extensions"]["code"]) for error in answer["errors"]] == [
        ("customer", "ACCESS_DENIED")
    ]
