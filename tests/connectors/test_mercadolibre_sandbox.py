"""The practice account behaves as Mercado Libre does, its limits and its traps included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.mercadolibre.sandbox import CLIENT_ID, SELLER_ID, MeliSandbox, start_sandbox
from connectors.mercadolibre.sandbox_account import Account, AccountTraits
from connectors.mercadolibre.sandbox_records import OrderRecord
from connectors.mercadolibre.sandbox_routes import DEPOT, Answer, Request, Routes
from connectors.mercadolibre.sandbox_search import ApiError
from connectors.mercadolibre.sandbox_seed import FULL_SKU, OPENED_AT, seed_account

NEW = {"x-format-new": "true"}


class Api:
    """An account's routes without HTTP, on a clock that stands still."""

    def __init__(self, *, orders: int = 16, site: str = "MLM", **traits: Any) -> None:
        self.account = Account(clock=lambda: OPENED_AT, site=site, seller_id=SELLER_ID, traits=AccountTraits(**traits))
        seed_account(self.account, orders=orders, seed=3)
        self.routes = Routes(self.account, CLIENT_ID)

    def ask(
        self, path: str, *, method: str = "GET", payload: Any = None, headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Answer:  # fmt: skip
        return self.routes.answer(Request(method, path, query, headers or {}, payload))

    def get(self, path: str, **query: str) -> Any:
        return self.ask(path, headers=NEW, **query).parsed

    def search(self, **query: str) -> Any:
        return self.ask_query("/orders/search", {"seller": str(SELLER_ID), **query})

    def ask_query(self, path: str, query: Mapping[str, str]) -> Any:
        return self.routes.answer(Request("GET", path, query, NEW)).parsed

    def refusal(self, act: Callable[[], Any]) -> tuple[int, str]:
        with pytest.raises(ApiError) as caught:
            act()
        return caught.value.status, caught.value.shown["error"]

    def an_order(self, test: Callable[[OrderRecord], bool]) -> OrderRecord:
        return next(order for order in self.account.orders.values() if test(order))


@pytest.fixture
def api() -> Api:
    return Api()


def test_the_same_seed_gives_the_same_account() -> None:
    assert Api().search() == Api().search()


def test_cancelled_orders_are_hidden_from_the_search_and_told_by_id(api: Api) -> None:
    hidden = api.an_order(lambda order: order.is_hidden)
    rows = api.search()["results"]
    assert hidden.order_id not in [row["id"] for row in rows]
    assert len(rows) == len(api.account.orders) - 1
    assert api.get(f"/orders/{hidden.order_id}")["status"] == "cancelled"
    assert api.search(**{"order.status": "cancelled"})["paging"]["total"] == len(rows), "an unknown filter is ignored"


def test_date_filters_are_precise_to_the_hour_and_echoed(api: Api) -> None:
    order = api.an_order(lambda order: not order.is_hidden)
    hour = order.created_at.replace(minute=0, second=0, microsecond=0)
    bounds = {
        "order.date_created.from": (hour + timedelta(minutes=59)).isoformat(),
        "order.date_created.to": (hour + timedelta(hours=1)).isoformat(),
    }
    told = api.search(**bounds)
    assert [row["id"] for row in told["results"]] == [order.order_id]
    assert [each["id"] for each in told["filters"]] == list(bounds)
    misspelt = api.search(**{"order.last_updated.from": "2026-11-20T00:00:00Z"})
    assert (misspelt["filters"], misspelt["paging"]["total"]) == ([], 15)


def test_the_search_pages_sorts_and_ends_at_its_ceiling() -> None:
    api = Api(offset_ceiling=12)
    first = [row["id"] for row in api.search(sort="date_asc", limit="6")["results"]]
    second = [row["id"] for row in api.search(sort="date_asc", limit="6", offset="6")["results"]]
    newest = [row["id"] for row in api.search(sort="date_desc", limit="3")["results"]]
    assert (len(first), len(second), len(set(first + second))) == (6, 6, 12)
    assert newest[0] not in first + second
    assert api.refusal(lambda: api.search(offset="7", limit="6")) == (400, "bad_request")
    assert Api().search(limit="500", offset="odd")["paging"] == {"total": 15, "offset": 0, "limit": 50}
    assert api.refusal(lambda: api.search(seller="42")) == (403, "forbidden")
    assert api.refusal(lambda: api.search(**{"order.date_created.from": "soon"})) == (400, "bad_request")


def test_an_order_bears_the_numbers_of_its_parts(api: Api) -> None:
    order = api.an_order(lambda order: order.coupon[0] > 0)
    shown = api.get(f"/orders/{order.order_id}")
    discounts = api.get(f"/orders/{order.order_id}/discounts")
    assert shown["tags"][-1] == "order_has_discount"
    assert discounts["details"][0]["items"][0]["amounts"] == {"total": 12, "seller": 7.5}
    assert Decimal(str(shown["total_amount"])) == order.goods
    plain = api.an_order(lambda order: not order.coupon[0])
    assert api.get(f"/orders/{plain.order_id}/discounts")["details"] == []


def test_a_pack_names_its_orders_and_a_parcel_its_items(api: Api) -> None:
    order = api.an_order(lambda order: order.shipment is not None and len(order.shipment.order_ids) == 2)
    assert order.shipment is not None
    pack = api.get(f"/packs/{order.pack_id}")
    rows = api.get(f"/shipments/{order.shipment.shipment_id}/items")
    assert [each["id"] for each in pack["orders"]] == [row["order_id"] for row in rows] == order.shipment.order_ids
    lonely = api.an_order(lambda order: order.shipment is None)
    assert api.get(f"/packs/{lonely.pack_id}")["shipment"] is None
    assert api.refusal(lambda: api.get("/packs/1")) == (404, "not_found")


def test_a_parcel_wants_its_header_and_tells_its_history(api: Api) -> None:
    order = api.an_order(lambda order: order.shipment is not None and order.shipment.status == "delivered")
    assert order.shipment is not None
    path = f"/shipments/{order.shipment.shipment_id}"
    assert api.refusal(lambda: api.ask(path)) == (400, "bad_request")
    assert [row["status"] for row in api.get(f"{path}/history")] == [
        "delivered",
        "shipped",
        "ready_to_ship",
        "handling",
    ]
    assert api.refusal(lambda: api.get("/shipments/1")) == (404, "not_found")


def test_the_claims_search_wants_its_filters(api: Api) -> None:
    path, user = "/post-purchase/v1/claims/search", {"players.user_id": str(SELLER_ID), "players.role": "respondent"}
    assert api.refusal(lambda: api.get(path)) == (400, "invalid_query")
    assert api.refusal(lambda: api.ask_query(path, {"players.role": "respondent"})) == (400, "invalid_params")
    assert api.refusal(lambda: api.ask_query(path, {**user, "offset": "10000"})) == (400, "invalid_query")
    assert api.refusal(lambda: api.ask_query(path, {**user, "range": "date_created:after:x"})) == (400, "invalid_query")
    told = api.ask_query(path, user)
    assert told["paging"]["total"] == len(told["data"]) == 1
    assert "related_entities" not in told["data"][0]
    claim_id = told["data"][0]["id"]
    assert api.get(f"/post-purchase/v1/claims/{claim_id}")["related_entities"] == ["return"]
    assert api.get(f"/post-purchase/v2/claims/{claim_id}/returns")["orders"][0]["return_quantity"] == "1.0"
    plain = api.account.open_claim(told["data"][0]["resource_id"]).claim_id
    assert api.refusal(lambda: api.get(f"/post-purchase/v2/claims/{plain}/returns")) == (404, "not_found")
    assert api.refusal(lambda: api.get("/post-purchase/v1/claims/1")) == (404, "not_found")
    late = "last_updated:after:2027-01-01T00:00:00.000+0000,before:2027-02-01T00:00:00.000+0000"
    assert api.ask_query(path, {**user, "range": late})["data"] == []


def test_missed_notifications_are_an_hour_to_two_days_old(api: Api) -> None:
    api.account.notify("orders_v2", "/orders/1")
    query = {"app_id": CLIENT_ID, "topic": "orders_v2"}
    assert api.ask_query("/missed_feeds", query)["messages"] == []
    api.account.advance_clock(3600)
    (missed,) = api.ask_query("/missed_feeds", query)["messages"]
    assert (missed["resource"], missed["user_id"], missed["attempts"]) == ("/orders/1", SELLER_ID, 8)
    assert api.ask_query("/missed_feeds", {**query, "topic": "items"})["messages"] == []
    assert api.ask_query("/missed_feeds", {**query, "offset": "1"})["messages"] == []
    api.account.advance_clock(2 * 86_400)
    assert api.ask_query("/missed_feeds", query)["messages"] == []
    assert api.refusal(lambda: api.ask_query("/missed_feeds", {"app_id": "9"})) == (403, "forbidden")


def test_items_are_scanned_and_a_scan_ends(api: Api) -> None:
    path = f"/users/{SELLER_ID}/items/search"
    plain = api.get(path, limit="3", offset="2")
    assert len(plain["results"]) == 3
    assert api.refusal(lambda: api.get(path, offset="990", limit="20")) == (400, "bad_request")
    first = api.get(path, search_type="scan", limit="3")
    assert len(first["results"]) == 3
    rest = api.get(path, search_type="scan", scroll_id=first["scroll_id"])
    assert len(rest["results"]) == len(api.account.items) - 3
    end = api.get(path, search_type="scan", scroll_id=first["scroll_id"])
    assert (end["results"], end["scroll_id"]) == (None, None)
    mixed = {"search_type": "scan", "scroll_id": first["scroll_id"], "offset": "3"}
    assert api.refusal(lambda: api.ask_query(path, mixed)) == (400, "bad_request")
    api.account.advance_clock(301)
    assert api.refusal(lambda: api.get(path, search_type="scan", scroll_id=first["scroll_id"])) == (404, "not_found")


def test_items_are_given_twenty_at_a_time_and_without_attributes_of_variations(api: Api) -> None:
    item = next(item for item in api.account.items.values() if item.offers[0].sku == "HUB-017")
    told = api.get("/items", ids=f"{item.item_id},MLM404")
    assert [each["code"] for each in told] == [200, 404]
    assert "attributes" not in told[0]["body"]["variations"][0]
    whole = api.get("/items", ids=item.item_id, attributes="id,variations", include_attributes="all")
    assert set(whole[0]["body"]) == {"id", "variations"}
    assert whole[0]["body"]["variations"][0]["attributes"][0]["value_name"] == "HUB-017"
    assert api.refusal(lambda: api.get("/items", ids=",".join(["MLM1"] * 21))) == (400, "bad_request")
    assert api.get(f"/items/{item.item_id}")["id"] == item.item_id
    assert api.refusal(lambda: api.get("/items/MLM404")) == (404, "not_found")


def put(api: Api, path: str, payload: Any, **headers: str) -> Answer:
    return api.ask(path, method="PUT", payload=payload, headers=headers)


def path_of(api: Api, sku: str) -> str:
    item, offer = api.account.sellable(sku)
    return (
        f"/items/{item.item_id}" if not offer.shelf.user_product_id else f"/user-products/{offer.shelf.user_product_id}"
    )


def test_a_list_of_variations_deletes_those_that_it_does_not_name(api: Api) -> None:
    item, offer = api.account.sellable("TEE-M")
    rows = [{"id": offer.variation_id, "available_quantity": 3}]
    put(api, f"/items/{item.item_id}", {"variations": rows})
    assert [each.sku for each in item.offers] == ["TEE-M"]


def test_what_an_item_does_not_take_is_refused_and_nothing_changes(api: Api) -> None:
    mug, _ = api.account.sellable("HUB-017")
    cup, _ = api.account.sellable("HUB-001")
    full, _ = api.account.sellable(FULL_SKU)
    for item, payload in (
        (mug, {"available_quantity": 3}),
        (mug, {"variations": [{"id": 1, "available_quantity": 3}]}),
        (cup, {"available_quantity": -1}),
        (cup, {"available_quantity": "3"}),
        (cup, {"available_quantity": True}),
        (cup, None),
        (full, {"available_quantity": 3}),
    ):
        assert api.refusal(lambda item=item, payload=payload: put(api, f"/items/{item.item_id}", payload)) == (
            400, "validation_error",
        )  # fmt: skip
    assert [api.account.level(sku) for sku in ("HUB-001", "HUB-017", FULL_SKU)] == [45, 125, 25]
    depots = Api(has_depots=True)
    assert depots.refusal(lambda: put(depots, f"/items/{cup.item_id}", {"available_quantity": 3})) == (
        400, "validation_error",
    )  # fmt: skip


def test_stock_by_place_wants_the_version_of_the_last_reading() -> None:
    api = Api(has_depots=True)
    path = f"{path_of(api, 'HUB-001')}/stock"
    told = api.ask(path)
    assert told.headers == {"x-version": "1"}
    assert told.parsed["locations"] == [{"type": "seller_warehouse", **DEPOT, "quantity": 45}]
    body = {"locations": [{**DEPOT, "quantity": 3}]}
    where = f"{path}/type/seller_warehouse"
    assert api.refusal(lambda: put(api, where, body)) == (400, "bad_request")
    assert api.refusal(lambda: put(api, where, body, **{"x-version": "7"})) == (409, "conflict")
    stranger = {"locations": [{"store_id": "1", "quantity": 3}]}
    assert api.refusal(lambda: put(api, where, stranger, **{"x-version": "1"})) == (400, "bad_request")
    assert api.refusal(lambda: put(api, f"{path}/type/meli_facility", body, **{"x-version": "1"})) == (
        400, "bad_request",
    )  # fmt: skip
    assert put(api, where, body, **{"x-version": "1"}).headers == {"x-version": "2"}
    assert api.account.level("HUB-001") == 3
    assert api.refusal(lambda: api.ask("/user-products/MLMU1/stock")) == (404, "not_found")
    assert api.get(f"/users/{SELLER_ID}/stores/search")["results"][0]["id"] == DEPOT["store_id"]
    assert "warehouse_management" in api.get("/users/me")["tags"]


def test_a_route_that_is_not_there_says_so(api: Api) -> None:
    assert api.refusal(lambda: api.get("/nowhere")) == (404, "resource not found")


def test_a_sale_takes_units_off_where_they_are(api: Api) -> None:
    before = api.account.level("HUB-002")
    first, second = api.account.place_order({"HUB-002": 2, FULL_SKU: 1})
    assert (first.pack_id == second.pack_id, first.total, first.status) == (True, Decimal("238.00"), "paid")
    assert (api.account.level("HUB-002"), api.account.level(FULL_SKU)) == ((before or 0) - 2, 24)
    api.account.cancel(first.order_id)
    assert api.account.level("HUB-002") == before
    with pytest.raises(KeyError):
        api.account.place_order({"NO-SUCH": 1})


def test_a_cancellation_after_the_goods_left_or_without_money_puts_nothing_back(api: Api) -> None:
    (sold,) = api.account.place_order({"HUB-003": 1})
    level = api.account.level("HUB-003")
    api.account.move_shipment(sold.order_id, "shipped")
    api.account.cancel(sold.order_id)
    unpaid = api.an_order(lambda order: order.status == "payment_required")
    api.account.cancel(unpaid.order_id)
    assert (api.account.level("HUB-003"), unpaid.refunded) == (level, 0)
    with pytest.raises(KeyError):
        api.account.move_shipment(unpaid.order_id, "shipped")


def test_a_refund_of_a_part_and_a_return_that_moves(api: Api) -> None:
    (sold,) = api.account.place_order({"HUB-003": 1})
    api.account.refund(sold.order_id, Decimal(5))
    shown = api.get(f"/orders/{sold.order_id}")
    assert (shown["status"], shown["payments"][0]["transaction_amount_refunded"]) == ("partially_refunded", 5)
    claim = api.account.open_claim(sold.order_id, units=1)
    api.account.move_return(claim.claim_id, "delivered")
    assert api.get(f"/post-purchase/v2/claims/{claim.claim_id}/returns")["date_closed"] is not None
    assert api.get(f"/orders/{sold.order_id}")["mediations"] == [{"id": claim.claim_id}]


def test_an_order_without_parcel_can_be_removed(api: Api) -> None:
    lonely = api.an_order(lambda order: order.shipment is None)
    api.account.delete(lonely.order_id)
    assert api.refusal(lambda: api.get(f"/orders/{lonely.order_id}")) == (404, "order_not_found")
    api.account.set_level("HUB-001", 0)
    item, _ = api.account.sellable("HUB-001")
    assert item.status == "paused"


# --------------------------------------------------------------------------------------------------- tokens over HTTP


@pytest.fixture
def shop() -> Iterator[MeliSandbox]:
    running = start_sandbox(orders=2)
    yield running
    running.close()


def redeem(shop: MeliSandbox, **changes: str) -> httpx.Response:
    form = {"grant_type": "refresh_token", **shop.account.secrets, **changes}
    return httpx.post(f"{shop.base_url}/oauth/token", data=form)


def test_a_refresh_token_works_once_and_an_access_token_six_hours(shop: MeliSandbox) -> None:
    first = shop.grants.refresh_token
    granted = redeem(shop).json()
    assert (granted["expires_in"], granted["user_id"]) == (21_600, SELLER_ID)
    used = redeem(shop, refresh_token=first)
    assert (used.status_code, used.json()["error"]) == (400, "invalid_grant")
    headers = {"authorization": f"Bearer {granted['access_token']}"}
    assert httpx.get(f"{shop.base_url}/users/me", headers=headers).status_code == 200
    shop.advance_clock(21_601)
    assert httpx.get(f"{shop.base_url}/users/me", headers=headers).status_code == 401
    assert redeem(shop).status_code == 200, "the newest still works"


@pytest.mark.parametrize(
    ("changes", "error"), [({"client_secret": "x"}, "invalid_client"), ({"grant_type": "x"}, "unsupported_grant_type")]
)
def test_a_wrong_application_or_grant_is_refused(shop: MeliSandbox, changes: dict[str, str], error: str) -> None:
    assert redeem(shop, **changes).json()["error"] == error


def test_http_that_is_not_as_it_should_be_is_refused(shop: MeliSandbox) -> None:
    assert httpx.get(f"{shop.base_url}/oauth/token").status_code == 405
    headers = {"authorization": f"Bearer {redeem(shop).json()['access_token']}"}
    broken = httpx.put(f"{shop.base_url}/items/MLM1", content=b"{", headers=headers)
    assert (broken.status_code, broken.json()["error"]) == (400, "bad_request")
    answer = httpx.get(f"{shop.base_url}/users/me", headers=headers)
    assert answer.headers["date"].startswith("Fri, 20 Nov 2026 18:05")


def test_a_limit_counts_requests_of_one_minute() -> None:
    shop = start_sandbox(orders=0, traits=AccountTraits(requests_per_minute=2))
    codes = [redeem(shop).status_code for _ in range(3)]
    shop.advance_clock(60)
    assert [*codes, redeem(shop).status_code] == [200, 200, 429, 200]
    shop.close()


def test_consent_can_be_taken_back(shop: MeliSandbox) -> None:
    shop.grants.revoke()
    assert redeem(shop).json()["error"] == "invalid_grant"


def test_the_clock_of_a_sandbox_can_be_given() -> None:
    moment = datetime(2026, 12, 24, tzinfo=UTC)
    shop = start_sandbox(orders=0, clock=lambda: moment)
    assert shop.state.now() == moment
    assert shop.order_ids() == []
    shop.close()
