"""The practice shop: it behaves as a real one was seen to behave, and speaks as the published contract says."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator

from connectors.woocommerce import CHANNEL
from connectors.woocommerce.sandbox import WooSandbox, start_sandbox
from connectors.woocommerce.sandbox_routes import ShopTraits
from oms_hub.channel.contract import ChannelSession, Connection, ListingRef, PullRequest, StockWrite

API = "/wp-json/wc/v3"


@pytest.fixture
def shop() -> Iterator[WooSandbox]:
    running = start_sandbox(orders=45, time_zone="Europe/Madrid")
    yield running
    running.close()


@pytest.fixture
def client(shop: WooSandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shop.base_url + API, auth=auth_of(shop)) as opened:
        yield opened


def auth_of(shop: WooSandbox) -> tuple[str, str]:
    secrets = shop.account.secrets
    return secrets["consumer_key"], secrets["consumer_secret"]


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_the_same_seed_gives_the_same_shop() -> None:
    shops = [start_sandbox(orders=30, seed=seed) for seed in (4, 4, 5)]
    found = [httpx.get(f"{shop.base_url}{API}/orders?per_page=100", auth=auth_of(shop)).json() for shop in shops]
    for shop in shops:
        shop.close()
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_every_trap_is_there(shop: WooSandbox) -> None:
    orders = list(shop.shop.orders.values())
    assert {order.status for order in orders} == {
        "completed", "processing", "on-hold", "pending", "cancelled", "refunded", "failed", "awaiting-pickup",
    }  # fmt: skip
    assert any(order.customer_id == 0 for order in orders)
    assert any(order.coupons for order in orders)
    assert any(fee[2] < 0 for order in orders for fee in order.fees)
    assert any(line.sku is None for order in orders for line in order.lines)
    assert any(line.variation_id for order in orders for line in order.lines)
    assert any(refund.lines for order in orders for refund in order.refunds)
    assert any(not refund.lines for order in orders for refund in order.refunds)
    assert any(order.has_prices_with_tax for order in orders)


# --------------------------------------------------------------------------------------------- credentials


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "woocommerce_rest_cannot_view"),
        (("ck_unknown", "cs"), "woocommerce_rest_cannot_view"),
        (("ck_practice_1", "cs_wrong"), "woocommerce_rest_authentication_error"),
    ],
)
def test_each_kind_of_401(shop: WooSandbox, given: tuple[str, str] | None, expected: str) -> None:
    assert code(httpx.get(f"{shop.base_url}{API}/orders", auth=given)) == (401, expected)


@pytest.mark.parametrize("header", ["Bearer x", "Basic !!!", "Basic " + base64.b64encode(b"\xff\xfe").decode()])
def test_a_header_that_is_no_key_counts_as_none(shop: WooSandbox, header: str) -> None:
    answer = httpx.get(f"{shop.base_url}{API}/orders", headers={"authorization": header})
    assert code(answer) == (401, "woocommerce_rest_cannot_view")


def test_a_read_only_key_reads_and_does_not_write(shop: WooSandbox) -> None:
    secrets = shop.read_only_account.secrets
    auth = (secrets["consumer_key"], secrets["consumer_secret"])
    assert httpx.get(f"{shop.base_url}{API}/orders", auth=auth).status_code == 200
    answer = httpx.put(f"{shop.base_url}{API}/products/1002", json={"stock_quantity": 1}, auth=auth)
    assert code(answer) == (401, "woocommerce_rest_authentication_error")
    assert shop.level("HUB-001") == 45


def test_the_index_needs_no_key_and_other_paths_do_not_exist(shop: WooSandbox) -> None:
    index = httpx.get(f"{shop.base_url}{API}").json()
    assert "modified_after" in index["routes"]["/wc/v3/orders"]["endpoints"][0]["args"]
    assert httpx.get(f"{shop.base_url}/wp-json").json()["timezone_string"] == "Europe/Madrid"
    assert code(httpx.get(f"{shop.base_url}/blog")) == (404, "rest_no_route")


def test_unknown_routes_and_bodies_are_refused(client: httpx.Client) -> None:
    assert code(client.get("/nothing")) == (404, "rest_no_route")
    assert code(client.post("/products/batch", content=b"{")) == (400, "rest_invalid_json")


# ------------------------------------------------------------------------------------------ time filters


def times_found(client: httpx.Client, text: str, *, is_gmt: bool) -> int:
    query = {"modified_after": text, "per_page": "100"} | ({"dates_are_gmt": "true"} if is_gmt else {})
    return len(ids(client.get("/orders", params=query)))


def test_the_four_ways_to_write_a_time(shop: WooSandbox, client: httpx.Client) -> None:
    moment = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    for number, order in enumerate(list(shop.shop.orders.values())[:4]):
        order.modified_at = moment + timedelta(minutes=20 * number)
    assert times_found(client, "2026-11-25T12:00:00", is_gmt=True) == 3  # naive UTC, declared
    assert times_found(client, "2026-11-25T12:00:00Z", is_gmt=False) == 3  # Z alone
    assert times_found(client, "2026-11-25T13:00:00", is_gmt=False) == 3  # naive: the site's own time, UTC+1
    assert times_found(client, "2026-11-25T12:00:00", is_gmt=False) == 4  # ... an hour too early
    assert times_found(client, "2026-11-25T12:00:00Z", is_gmt=True) == 0  # both: shifted by the offset
    assert times_found(client, "2026-11-25T12:59:59", is_gmt=True) == 1  # exclusive, to the second
    assert times_found(client, "2026-11-25T13:00:00", is_gmt=True) == 0


@pytest.mark.parametrize("text", ["2026-11-25", "1764072000", "soon"])
def test_dates_and_epochs_are_refused(client: httpx.Client, text: str) -> None:
    assert code(client.get("/orders", params={"modified_after": text})) == (400, "rest_invalid_param")


def test_other_bounds_work_the_same_way(shop: WooSandbox, client: httpx.Client) -> None:
    records = sorted(shop.shop.orders.values(), key=lambda order: order.order_id)
    shape = "%Y-%m-%dT%H:%M:%S"
    query = {
        "after": records[3].created_at.strftime(shape),
        "before": records[9].created_at.strftime(shape),
        "dates_are_gmt": "true",
        "orderby": "id",
        "order": "asc",
    }
    assert ids(client.get("/orders", params=query)) == [record.order_id for record in records[4:9]]


# --------------------------------------------------------------------------------------------------- pages


def test_pages_shift_when_rows_leave(shop: WooSandbox, client: httpx.Client) -> None:
    query = {"orderby": "id", "order": "asc", "per_page": "10"}
    first = ids(client.get("/orders", params=query))
    expected = shop.order_ids()[10]
    shop.delete_order(str(first[0]))
    second = ids(client.get("/orders", params={**query, "page": "2"}))
    assert int(expected) not in first + second


def test_sizes_totals_and_the_end(client: httpx.Client) -> None:
    answer = client.get("/orders", params={"per_page": "100"})
    assert (len(answer.json()), answer.headers["x-wp-total"]) == (45, "45")
    assert len(client.get("/orders").json()) == 10
    past = client.get("/orders", params={"page": "99"})
    assert (past.status_code, past.json(), past.headers["x-wp-total"]) == (200, [], "0")
    assert len(client.get("/orders", params={"offset": "40"}).json()) == 5
    for bad in ({"per_page": "101"}, {"per_page": "x"}, {"page": "0"}, {"orderby": "luck"}, {"order": "up"}):
        assert code(client.get("/orders", params=bad)) == (400, "rest_invalid_param")
    assert code(client.get("/orders", params={"include": "1,x"})) == (400, "rest_invalid_param")


def test_fields_are_chosen_and_the_id_is_always_kept(client: httpx.Client) -> None:
    row = client.get("/orders", params={"_fields": "status,billing.country,billing.nothing,none,total.x"}).json()[0]
    assert set(row) == {"id", "status", "billing", "total"}
    assert set(row["billing"]) == {"country"}


# ----------------------------------------------------------------------------------------- orders and refunds


def test_trash_is_hidden_not_stamped_and_found_by_name(shop: WooSandbox, client: httpx.Client) -> None:
    order_id = int(shop.order_ids()[0])
    stamped = shop.shop.orders[order_id].modified_at
    assert client.delete(f"/orders/{order_id}").json()["status"] == "trash"
    assert order_id not in ids(client.get("/orders", params={"per_page": "100"}))
    assert ids(client.get("/orders", params={"status": "trash"})) == [order_id]
    assert shop.shop.orders[order_id].modified_at == stamped
    client.delete(f"/orders/{order_id}", params={"force": "true"})
    assert code(client.get(f"/orders/{order_id}")) == (404, "woocommerce_rest_shop_order_invalid_id")


def test_stock_falls_when_an_order_is_held_or_paid_and_comes_back_when_cancelled(
    shop: WooSandbox, client: httpx.Client
) -> None:
    order = shop.shop.place_order({"HUB-001": 3}, status="pending")
    levels = [shop.level("HUB-001")]
    for status in ("on-hold", "processing", "completed", "cancelled"):
        client.put(f"/orders/{order.order_id}", json={"status": status})
        levels.append(shop.level("HUB-001"))
    assert levels == [45, 42, 42, 42, 45]


def test_an_empty_put_stamps_an_order(shop: WooSandbox, client: httpx.Client) -> None:
    order_id = shop.order_ids()[0]
    before = client.get(f"/orders/{order_id}").json()["date_modified_gmt"]
    shop.advance_clock(60)
    assert client.put(f"/orders/{order_id}", json={}).json()["date_modified_gmt"] > before


def test_refunds_stamp_their_order_and_their_deletion_does_not(shop: WooSandbox, client: httpx.Client) -> None:
    order = shop.shop.place_order({"HUB-001": 3})
    shop.advance_clock(60)
    made = client.post(
        f"/orders/{order.order_id}/refunds", json={"line_items": [{"id": order.lines[0].line_id, "quantity": 2}]}
    )
    assert (made.status_code, made.json()["line_items"][0]["quantity"], shop.level("HUB-001")) == (201, -2, 44)
    amount = client.post(f"/orders/{order.order_id}/refunds", json={"amount": "5.00"}).json()
    assert (amount["amount"], amount["line_items"]) == ("5.00", [])
    stamped = shop.shop.orders[order.order_id].modified_at
    assert stamped > order.created_at
    shop.advance_clock(60)
    client.delete(f"/orders/{order.order_id}/refunds/{amount['id']}")
    assert shop.shop.orders[order.order_id].modified_at == stamped
    shown = client.get(f"/orders/{order.order_id}").json()
    assert [refund["id"] for refund in shown["refunds"]] == [made.json()["id"]]
    assert Decimal(shown["total"]) == order.total
    query = {"modified_after": stamped.strftime("%Y-%m-%dT%H:%M:%SZ")}
    assert ids(client.get("/refunds", params=query)) == []


def test_a_status_of_refunded_makes_a_refund_without_lines(shop: WooSandbox, client: httpx.Client) -> None:
    order = shop.shop.place_order({"HUB-001": 1})
    client.put(f"/orders/{order.order_id}", json={"status": "refunded"})
    client.put(f"/orders/{order.order_id}", json={"status": "refunded"})
    refunds = client.get(f"/orders/{order.order_id}/refunds").json()
    assert [(refund["amount"], refund["line_items"]) for refund in refunds] == [(str(order.total), [])]


def test_deleted_goods_leave_lines_without_product(shop: WooSandbox, client: httpx.Client) -> None:
    order = shop.shop.place_order({"HUB-001": 1, "HUB-017": 1})
    for line in order.lines:
        shop.shop.delete_product(line.variation_id or line.product_id)
    shown = client.get(f"/orders/{order.order_id}").json()["line_items"]
    assert [(line["product_id"], line["sku"]) for line in shown] == [(0, None), (0, None)]
    shop.shop.set_status(order.order_id, "cancelled")
    shop.shop.refund(order.order_id, {order.lines[0].line_id: 1}, is_restocked=True)


# --------------------------------------------------------------------------------------------------- stock


@pytest.mark.parametrize(("value", "level"), [("x", 0), ("", 0), (2.5, 2), (True, 1), (None, 45), (-4, -4), (7, 7)])
def test_the_batch_does_not_check_its_input(shop: WooSandbox, client: httpx.Client, value: Any, level: int) -> None:
    answer = client.post("/products/batch", json={"update": [{"id": 1002, "stock_quantity": value}]})
    assert (answer.status_code, shop.level("HUB-001")) == (200, level)


@pytest.mark.parametrize("value", ["x", "", 2.5, True])
def test_the_single_write_checks_its_input(shop: WooSandbox, client: httpx.Client, value: Any) -> None:
    answer = client.put("/products/1002", json={"stock_quantity": value})
    assert (code(answer), shop.level("HUB-001")) == ((400, "rest_invalid_param"), 45)


def test_single_writes_and_unknown_goods(shop: WooSandbox, client: httpx.Client) -> None:
    assert client.put("/products/1002", json={"stock_quantity": 8}).json()["stock_quantity"] == 8
    assert client.put("/products/1001/variations/1018", json={"stock_quantity": 9}).json()["stock_quantity"] == 9
    assert code(client.put("/products/1018", json={"stock_quantity": 9}))[0] == 400
    assert client.get("/products/1001/variations/1018").json()["stock_quantity"] == 9
    assert client.get("/products/1018").status_code == 404
    assert client.get("/products/1001/variations/1002").status_code == 404
    assert client.get("/products/4/variations").status_code == 404


def test_batches_answer_200_with_errors_inside(shop: WooSandbox, client: httpx.Client) -> None:
    rows = [{"id": 1002, "stock_quantity": 6}, {"id": 1018, "stock_quantity": 6}, {"id": 4, "stock_quantity": 6}]
    update = client.post("/products/batch", json={"update": rows}).json()["update"]
    assert update[0]["stock_quantity"] == 6
    assert [row["error"]["data"]["status"] for row in update[1:]] == [404, 404]
    many = [{"id": 1002, "stock_quantity": 1}] * 101
    assert code(client.post("/products/batch", json={"update": many})) == (
        413,
        "woocommerce_rest_request_entity_too_large",
    )
    assert client.post("/products/batch?_fields=id", json={"update": rows[:1]}).json() == {}
    assert shop.level("HUB-001") == 6


def test_untracked_goods_ignore_levels_until_management_is_switched_on(shop: WooSandbox, client: httpx.Client) -> None:
    product_id = shop.shop.sellable("SERVICE-1").product_id
    assert client.put(f"/products/{product_id}", json={"stock_quantity": 5}).json()["stock_quantity"] is None
    assert shop.level("SERVICE-1") is None
    client.put(f"/products/{product_id}", json={"manage_stock": True, "stock_quantity": 5})
    assert shop.level("SERVICE-1") == 5


def test_variations_share_the_level_of_a_parent_that_manages_it(shop: WooSandbox) -> None:
    shop.place_order({"TEE-S": 2})
    assert [shop.level(sku) for sku in ("TEE", "TEE-S")] == [31, 31]


def test_goods_are_found_by_sku_variations_too(client: httpx.Client) -> None:
    assert ids(client.get("/products", params={"sku": "HUB-017"})) == [1018]
    assert ids(client.get("/products", params={"sku": "CAFÉ /&+ 01"})) == [1022]
    listed = ids(client.get("/products", params={"per_page": "100", "orderby": "id"}))
    assert 1018 not in listed
    drafts = client.get("/products", params={"status": "draft"}).json()
    assert [row["sku"] for row in drafts] == ["DRAFT-1"]
    changed = client.get("/variations", params={"modified_after": "2026-11-25T00:00:00"})
    assert ids(changed) == []


def test_a_sku_that_is_not_sold_is_told(shop: WooSandbox) -> None:
    with pytest.raises(KeyError, match="NOT-SOLD"):
        shop.place_order({"NOT-SOLD": 1})


def test_webhooks_show_one_that_the_shop_switched_off(client: httpx.Client) -> None:
    assert [row["status"] for row in client.get("/webhooks").json()] == ["active", "disabled"]


def test_a_shop_of_another_age_lacks_routes() -> None:
    old = start_sandbox(orders=1, traits=ShopTraits(has_refund_list=False, has_variation_list=False))
    answers = [httpx.get(f"{old.base_url}{API}/{path}", auth=auth_of(old)) for path in ("refunds", "variations")]
    old.close()
    assert [code(answer) for answer in answers] == [(404, "rest_no_route")] * 2


# ------------------------------------------------------------------------------------- the published contract


def validator(contracts_dir: Path, name: str) -> Draft202012Validator:
    document = json.loads((contracts_dir / "woocommerce" / "wc-v3-subset.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator({**document, "$ref": f"#/$defs/{name}"})


@pytest.mark.contracts
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("order", "/orders?per_page=100"),
        ("order", "/orders?per_page=100&dp=6"),
        ("refund", "/refunds?per_page=100"),
        ("product", "/products?per_page=100"),
        ("variation", "/variations?per_page=100"),
        ("variation", "/products/1001/variations"),
        ("webhook", "/webhooks"),
    ],
)
def test_every_row_fits_the_published_schema(
    contracts_dir: Path, shop: WooSandbox, client: httpx.Client, name: str, path: str
) -> None:
    shop.shop.set_status(int(shop.order_ids()[0]), "refunded")
    rows = client.get(path).json()
    assert rows != []
    check = validator(contracts_dir, name)
    assert [(row["id"], error.json_path, error.message) for row in rows for error in check.iter_errors(row)] == []


@pytest.mark.contracts
def test_batch_answers_and_errors_fit_the_published_schema(contracts_dir: Path, client: httpx.Client) -> None:
    rows = [{"id": 1002, "stock_quantity": 6}, {"id": 4, "stock_quantity": 6}]
    validator(contracts_dir, "product_batch_response").validate(
        client.post("/products/batch", json={"update": rows}).json()
    )
    validator(contracts_dir, "variation_batch_response").validate(
        client.post("/products/1001/variations/batch", json={"update": [{"id": 1018, "stock_quantity": 1}]}).json()
    )
    validator(contracts_dir, "error").validate(client.get("/nothing").json())


class PlainSecrets:
    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def replace(self, values: Mapping[str, str]) -> None:
        self.values.update(values)

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()


NOT_IN_2021 = {"/refunds", "/variations"}
"""Routes that came after the published list; the connector asks for them only to fall back where they are missing."""


@pytest.mark.contracts
def test_all_requests_of_the_connector_are_in_the_published_routes(contracts_dir: Path, shop: WooSandbox) -> None:
    use_everything(shop)
    text = (contracts_dir / "woocommerce" / "woocommerce-openapi-wc-v3-2021.yaml").read_text(encoding="utf-8")
    published = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["paths"]
    unknown = set()
    for method, path, query in shop.server.traffic.requests:
        if path in NOT_IN_2021:
            continue
        template = "/".join("{}" if part.isdigit() else part for part in path.split("/")) or "/"
        shapes = {
            "/".join("{}" if part.startswith("{") else part for part in name.split("/")): name for name in published
        }
        route = published.get(shapes.get(template, ""), {}).get(method.lower())
        if route is None:
            unknown.add((method, path))
            continue
        known = {parameter["name"] for parameter in route.get("parameters", ())} | {"_fields", "dp"}
        unknown |= {(method, path, name) for name in query if name not in known}
    assert unknown == set()


@pytest.mark.contracts
def test_stock_batches_fit_the_published_schema(contracts_dir: Path, shop: WooSandbox) -> None:
    assert CHANNEL.stock_sink is not None
    seen: list[Any] = []
    routes = shop.server.routes
    original = type(routes)._batch
    type(routes)._batch = lambda self, query, payload, *more: (
        seen.append(payload),
        original(self, query, payload, *more),
    )[1]  # type: ignore[method-assign]
    try:
        CHANNEL.stock_sink(
            session_of(shop),
            [
                StockWrite(ListingRef("product:1002"), 4, None, "k"),
                StockWrite(ListingRef("variation:1001:1018"), 4, None, "k"),
            ],
        )
    finally:
        type(routes)._batch = original  # type: ignore[method-assign]
    check = validator(contracts_dir, "stock_batch_request")
    assert [error.message for payload in seen for error in check.iter_errors(payload)] == []
    assert seen == [{"update": [{"id": 1002, "stock_quantity": 4}]}, {"update": [{"id": 1018, "stock_quantity": 4}]}]


def session_of(shop: WooSandbox) -> ChannelSession:
    connection = Connection(1, "shop", "woocommerce", "m", "MXN", "UTC", {**shop.account.settings, "page_size": "10"})
    return ChannelSession(connection, PlainSecrets(shop.account.secrets), shop.shop.now, lambda _seconds: None)


def use_everything(shop: WooSandbox) -> None:
    session = session_of(shop)
    assert CHANNEL.order_source is not None
    assert CHANNEL.order_ids is not None
    assert CHANNEL.order_lookup is not None
    assert CHANNEL.listing_source is not None
    assert CHANNEL.stock_source is not None
    assert CHANNEL.stock_sink is not None
    CHANNEL.check(session)
    cursor: Mapping[str, Any] = {}
    for page in CHANNEL.order_source(session, PullRequest({})):
        cursor = page.cursor
    list(CHANNEL.order_source(session, PullRequest(cursor)))
    list(CHANNEL.order_ids(session, datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)))
    list(CHANNEL.order_lookup(session, [shop.order_ids()[0], "1"]))
    listings = [row for batch in CHANNEL.listing_source(session) for row in batch]
    list(CHANNEL.stock_source(session, [ListingRef(row.listing_key) for row in listings]))
    CHANNEL.stock_sink(session, [StockWrite(ListingRef(row.listing_key), 3, None, "k") for row in listings])
