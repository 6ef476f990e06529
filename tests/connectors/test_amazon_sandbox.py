"""The practice account as a server: what it refuses, what its people do, the same shop for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.amazon import CHANNEL
from connectors.amazon.sandbox import AmazonSandbox, start_sandbox
from connectors.amazon.sandbox_query import pack
from oms_hub.domain.pull_windows import to_text

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MX = "A1AM78C64UM0Y8"
SEARCH = "/orders/2026-01-01/orders"
LISTINGS = "/listings/2021-08-01/items/A2PRACTICE0SELLER"


@pytest.fixture
def sandbox() -> Iterator[AmazonSandbox]:
    account = start_sandbox(orders=8, rate_factor=20_000.0, clock=lambda: NOW)
    yield account
    account.close()


@pytest.fixture
def client(sandbox: AmazonSandbox) -> Iterator[httpx.Client]:
    form = {"grant_type": "refresh_token", **sandbox.account.secrets}
    with httpx.Client(base_url=sandbox.base_url) as opened:
        opened.headers["x-amz-access-token"] = opened.post("/auth/o2/token", data=form).json()["access_token"]
        yield opened


def refused(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["errors"][0]
    return response.status_code, error["details"] or error["message"]


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        (SEARCH, {}, "exactly one of createdAfter and lastUpdatedAfter must be given"),
        (SEARCH, {"createdAfter": "2026-11-01T00:00:00Z", "lastUpdatedAfter": "2026-11-01T00:00:00Z"}, "exactly one of"),
        (SEARCH, {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "createdBefore": "2026-11-02T00:00:00Z"}, "exactly one of"),
        (SEARCH, {"lastUpdatedAfter": "yesterday"}, "lastUpdatedAfter is not an instant"),
        (SEARCH, {"lastUpdatedAfter": "2026-11-22T11:58:01Z"}, "two minutes before now"),
        (SEARCH, {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "lastUpdatedBefore": "2026-11-22T11:58:01Z"}, "two minutes"),
        (SEARCH, {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "marketplaceIds": "ATVPDKIKX0DER"}, "does not sell in"),
        (SEARCH, {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "marketplaceIds": ",".join([MX] * 51)}, "more than 50"),
        (SEARCH, {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "maxResultsPerPage": "101"}, "not a number from 1 to 100"),
        (SEARCH, {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "includedData": "SECRETS"}, "unknown data set"),
        (SEARCH, {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "paginationToken": "???"}, "not one of ours"),
        (SEARCH, {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "paginationToken": pack([1])}, "not one of ours"),  # type: ignore[arg-type]
        (SEARCH, {"lastUpdatedAfter": "2026-11-01T00:00:00Z", "colour": "red"}, "colour is not a parameter"),
        ("/finances/2024-06-19/transactions", {}, "postedAfter is missing"),
        ("/finances/2024-06-19/transactions", {"postedAfter": "2026-11-22T11:59:00Z"}, "two minutes before now"),
        (LISTINGS, {"marketplaceIds": MX, "identifiers": "A"}, "identifiers and identifiersType go together"),
        (LISTINGS, {"marketplaceIds": MX, "pageSize": "21"}, "not a number from 1 to 20"),
        (f"{LISTINGS}/HUB-001", {}, "marketplaceIds is missing"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused_as_amazon_does(
    client: httpx.Client, path: str, query: dict[str, str], said: str
) -> None:
    status, details = refused(client.get(path, params=query))
    assert (status, said in details) == (400, True)


def test_a_page_token_is_bound_to_its_filters_and_lives_a_day(sandbox: AmazonSandbox, client: httpx.Client) -> None:
    query = {"lastUpdatedAfter": "2026-01-01T00:00:00Z", "maxResultsPerPage": "3"}
    first = client.get(SEARCH, params=query).json()
    token = {"paginationToken": first["pagination"]["nextToken"]}
    second = client.get(SEARCH, params={**query, **token, "maxResultsPerPage": "100"}).json()
    assert (len(first["orders"]), len(second["orders"]), "pagination" in second) == (3, 5, False)
    assert first["lastUpdatedBefore"] == second["lastUpdatedBefore"] == "2026-11-22T11:58:00Z"
    other = {**query, **token, "lastUpdatedAfter": "2026-01-02T00:00:00Z"}
    assert "another request" in refused(client.get(SEARCH, params=other))[1]
    sandbox.advance_clock(86_401)
    sandbox.server.access.tokens[client.headers["x-amz-access-token"]] = sandbox.seller.now() + timedelta(hours=1)
    assert "too old" in refused(client.get(SEARCH, params={**query, **token}))[1]


def test_transactions_further_apart_than_180_days_come_back_empty(client: httpx.Client) -> None:
    page = client.get("/finances/2024-06-19/transactions", params={"postedAfter": "2026-05-01T00:00:00Z"}).json()
    assert page == {"payload": {"transactions": []}}


def test_who_may_not_ask_is_told_why(sandbox: AmazonSandbox, client: httpx.Client) -> None:
    bare = httpx.get(f"{sandbox.base_url}{SEARCH}")
    assert refused(bare) == (403, "Access token is missing in the request header.")
    assert refused(client.get(f"{LISTINGS.replace('PRACTICE', 'ANOTHER0')}", params={"marketplaceIds": MX}))[0] == 403
    assert refused(client.get("/orders/v0/orders")) == (404, "Resource not found")
    sandbox.expire_tokens()
    assert refused(client.get(SEARCH)) == (403, "The access token you provided has expired.")
    sandbox.withdraw_consent()
    assert refused(client.get(SEARCH)) == (403, "The access token you provided is revoked, malformed or invalid.")
    form = {"grant_type": "password", **sandbox.account.secrets}
    assert client.post("/auth/o2/token", data=form).json()["error"] == "unsupported_grant_type"


def test_documents_take_no_token_and_exactly_the_announced_content_type(
    sandbox: AmazonSandbox, client: httpx.Client
) -> None:
    made = client.post("/feeds/2021-06-30/documents", json={"contentType": "application/json"}).json()
    assert client.put(made["url"], content=b"{}").status_code == 400
    assert httpx.put(made["url"], content=b"{}", headers={"content-type": "text/plain"}).status_code == 403
    assert httpx.put(made["url"], content=b"{}", headers={"content-type": "application/json"}).status_code == 200
    assert httpx.get(made["url"]).content == b"{}"
    sandbox.advance_clock(301)
    assert httpx.get(made["url"]).status_code == 403
    assert httpx.get(f"{sandbox.base_url}/files/guessed").status_code == 403


@pytest.mark.parametrize(
    ("path", "payload", "said"),
    [
        ("/feeds/2021-06-30/feeds", {"feedType": "POST_PRODUCT_DATA", "inputFeedDocumentId": "X", "marketplaceIds": [MX]}, "feedType"),
        ("/reports/2021-06-30/reports", {"reportType": "SOMETHING", "marketplaceIds": [MX]}, "reportType"),
        (
            "/reports/2021-06-30/reports",
            {"reportType": "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_ORDER_DATE_GENERAL", "marketplaceIds": [MX],
             "dataStartTime": "2027-01-01T00:00:00Z", "dataEndTime": "2027-01-02T00:00:00Z"},
            "dataStartTime",
        ),
    ],
)  # fmt: skip
def test_jobs_that_cannot_be_are_refused(client: httpx.Client, path: str, payload: dict[str, Any], said: str) -> None:
    status, details = refused(client.post(path, json=payload))
    assert (status, said in details) == (400, True)
    for gone in ("/reports/2021-06-30/reports/1", "/feeds/2021-06-30/feeds/1", "/reports/2021-06-30/documents/1"):
        assert client.get(gone).status_code == 404


def test_replace_wipes_the_handling_time_and_merge_leaves_it(sandbox: AmazonSandbox, client: httpx.Client) -> None:
    def patch(op: str, quantity: int) -> str:
        value = [{"fulfillment_channel_code": "DEFAULT", "quantity": quantity}]
        patches = [{"op": op, "path": "/attributes/fulfillment_availability", "value": value}]
        answer = client.patch(
            f"{LISTINGS}/HUB-001", params={"marketplaceIds": MX}, json={"productType": "MUG", "patches": patches}
        )
        return str(answer.json().get("status"))

    good = sandbox.seller.goods["HUB-001"]
    assert (patch("merge", 5), good.quantity, good.lead_time_days) == ("ACCEPTED", 5, 2)
    assert (patch("merge", -1), good.quantity) == ("INVALID", 5)
    assert (patch("replace", 6), good.quantity, good.lead_time_days) == ("ACCEPTED", 6, 0)
    bare = client.patch(f"{LISTINGS}/HUB-001", params={"marketplaceIds": MX}, json={"productType": "MUG"})
    assert refused(bare) == (400, "productType and patches are needed")


def test_what_people_do_shows_in_orders_and_levels(sandbox: AmazonSandbox) -> None:
    seller = sandbox.seller
    order_id = sandbox.place_order({"HUB-001": 3, "HUB-002": 1})
    assert (sandbox.level("HUB-001"), sandbox.level("HUB-002")) == (42, 49)
    first, second = seller.orders[order_id].items
    seller.ship(order_id, {first.item_id: 2})
    assert (seller.orders[order_id].status, first.fulfilled) == ("PARTIALLY_SHIPPED", 2)
    seller.ship(order_id)
    assert (seller.orders[order_id].status, first.fulfilled, second.fulfilled) == ("SHIPPED", 3, 1)
    gone = sandbox.place_order({"HUB-001": 2})
    seller.cancel(gone)
    assert (seller.orders[gone].status, sandbox.level("HUB-001")) == ("CANCELLED", 42)
    amazons = sandbox.place_order({"FBA-001": 1})
    seller.ship(amazons)
    assert (seller.orders[amazons].fulfilled_by, seller.orders[amazons].packages) == ("AMAZON", [])
    sandbox.delete_order(gone)
    assert (gone in sandbox.order_ids(), len(seller.transactions) > 0) == (False, True)
    sandbox.set_level("HUB-009", 1)
    sandbox.place_order({"HUB-009": 4})
    assert sandbox.level("HUB-009") == 0
    pending = seller.place_order({"HUB-004": 1}, status="PENDING").order_id
    assert (sandbox.totals()[pending], sandbox.edit_order(pending)) == (Decimal(0), Decimal("139.00"))
    assert (sandbox.level("PARENT-1"), sandbox.level("NOT-THERE"), sandbox.level("UNSET-1")) == (None, None, 0)
    replaced = seller.place_order({"HUB-003": 1})
    replaced.replaces = order_id
    sandbox.advance_clock(200)
    assert sandbox.totals()[order_id] == Decimal("446.00")


def test_the_buyer_is_shown_to_who_asks_for_him_and_associations_to_all(
    sandbox: AmazonSandbox, client: httpx.Client
) -> None:
    order_id = sandbox.place_order({"HUB-003": 1})
    sandbox.seller.orders[order_id].replaces = "702-0000000-0000001"
    shown = client.get(f"{SEARCH}/{order_id}", params={"includedData": "BUYER"}).json()["order"]
    assert (shown["buyer"]["buyerName"], shown["associatedOrders"][0]["orderId"]) == ("A Buyer", "702-0000000-0000001")
    sandbox.break_order(order_id)
    assert client.get(f"{SEARCH}/{order_id}").json()["order"]["orderItems"] == "not a list"
    assert sandbox.edit_order(order_id) == Decimal("139.00")
    assert "buyer" not in client.get(f"{SEARCH}/{order_id}").json()["order"]


def test_the_same_seed_gives_the_same_account() -> None:
    shown = []
    for moment in (NOW, NOW + timedelta(days=100)):
        account = start_sandbox(orders=20, seed=3, clock=lambda moment=moment: moment)  # type: ignore[misc]
        shown.append([
            (each.order_id, moment - each.placed_at, each.status, each.total, [item.sku for item in each.items])
            for each in account.seller.orders.values()
        ])  # fmt: skip
        account.close()
    assert shown[0] == shown[1]
    assert {"SHIPPED", "UNSHIPPED", "PENDING", "PENDING_AVAILABILITY", "PARTIALLY_SHIPPED", "CANCELLED"} == {
        status for _, _, status, _, _ in shown[0]
    }


def test_a_port_can_be_chosen_and_the_channel_starts_it() -> None:
    assert CHANNEL.sandbox is not None
    first = CHANNEL.sandbox(orders=0)
    port = int(first.account.settings["base_url"].rpartition(":")[2])
    first.close()
    again = CHANNEL.sandbox(port=port, orders=0)
    assert again.account.settings["base_url"].endswith(f":{port}")
    assert to_text(NOW) == "2026-11-22T12:00:00Z"
    again.close()
