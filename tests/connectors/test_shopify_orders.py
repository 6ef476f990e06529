"""Pulling orders from the practice shop: walks, nested pages, changes under way, limits, exports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest

from connectors.shopify import bulk, orders
from connectors.shopify.api import ShopifyApi
from connectors.shopify.bulk import LineSorter
from connectors.shopify.cursor import read_cursor
from connectors.shopify.orders import order_ids, order_lookup, order_source
from connectors.shopify.parse import parse_order, split_page
from connectors.shopify.records import Granted, RecordMaker
from connectors.shopify.sandbox import RunningShop, start_sandbox
from connectors.shopify.sandbox_graphql import ALL_SCOPES, Rules
from oms_hub.channel.contract import ChannelSession, PullRequest, RawPage
from oms_hub.domain.orders import OrderKind, stated_total
from oms_hub.errors import BadPayload, Misconfigured, NeedsReconnect, Refused, RetryLater
from oms_hub.testing.factories import a_session


class Tap(httpx.BaseTransport):
    """Lets requests through; may act before one and change its answer."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.names: list[str] = []
        self.variables: list[dict[str, Any]] = []
        self.before: Callable[[str], object] = lambda _name: None
        self.change: Callable[[str, dict[str, Any]], object] = lambda _name, _answer: None
        self.headers: dict[str, str] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("graphql.json"):
            return self._inner.handle_request(request)
        asked = json.loads(request.content)
        name = asked["operationName"]
        self.before(name)
        self.names.append(name)
        self.variables.append(asked["variables"])
        response = self._inner.handle_request(request)
        response.read()
        answer = response.json()
        self.change(name, answer)
        headers = {key: value for key, value in response.headers.items() if key.lower() != "content-length"}
        return httpx.Response(response.status_code, headers={**headers, **self.headers}, json=answer)

    def close(self) -> None:
        """Stay open: one tap serves several clients."""

    def end(self) -> None:
        self._inner.close()


@pytest.fixture
def start() -> Iterator[Callable[..., RunningShop]]:
    running: list[RunningShop] = []

    def begin(**options: Any) -> RunningShop:
        running.append(start_sandbox(**options))
        return running[-1]

    yield begin
    for shop in running:
        shop.close()


@pytest.fixture
def tap() -> Iterator[Tap]:
    tapped = Tap()
    yield tapped
    tapped.end()


def session_of(shop: RunningShop, **changes: Any) -> ChannelSession:
    return a_session(shop.account.settings, shop.account.secrets, **changes)


def pull(session: ChannelSession, cursor: Any = None, **request: Any) -> list[RawPage]:
    return list(order_source(session, PullRequest(cursor or {}, **request)))


def records(pages: Sequence[RawPage]) -> dict[str, Any]:
    return {
        row.record_id: row.payload for page in pages if page.kind == "orders" for row in split_page("orders", page.body)
    }


def tombstones(pages: Sequence[RawPage]) -> list[str]:
    return [row.record_id for page in pages if page.kind != "orders" for row in split_page(page.kind, page.body)]


# ------------------------------------------------------------------------------------------------------------ walks


def test_every_order_comes_whole_with_totals_that_tie(start: Callable[..., RunningShop], tap: Tap) -> None:
    shop = start(orders=40, is_multi_currency=True)
    session = session_of(shop, transport=tap)
    found = records(pull(session))
    read = {key: parse_order([payload], session.connection) for key, payload in found.items()}
    assert {key: order.total for key, order in read.items()} == shop.totals()
    assert {key: stated_total(order) for key, order in read.items()} == shop.totals()
    assert {order.kind for order in read.values()} == {OrderKind.STANDARD, OrderKind.POS, OrderKind.PICKUP}
    assert {order.presentment_currency for order in read.values()} == {"MXN", "USD"}
    assert [order.unknown_words for order in read.values() if order.unknown_words] == []
    assert max(len(order.lines) for order in read.values()) == 60
    assert max(len(shipment.lines) for order in read.values() for shipment in order.shipments) == 60
    assert tap.names[0] == "Scopes"
    assert tap.names.count("OrderLineItemsRest") == 2


def test_refunds_pay_back_what_their_parts_say(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=40)
    session = session_of(shop)
    refunds = [
        refund
        for payload in records(pull(session)).values()
        for refund in parse_order([payload], session.connection).refunds
    ]
    assert len(refunds) == 9
    for refund in refunds:
        value = sum((row.amount + row.tax_amount for row in refund.lines), Decimal(0))
        value += refund.shipping_amount + refund.shipping_tax_amount + refund.other_amount
        assert value == refund.paid_amount


def test_the_watermark_is_the_newest_change_and_the_next_walk_looks_back(
    start: Callable[..., RunningShop], tap: Tap
) -> None:
    shop = start(orders=8)
    session = session_of(shop, transport=tap)
    pages = pull(session)
    newest = max(payload["head"]["updatedAt"] for payload in records(pages).values())
    assert pages[-1].cursor == {"watermark": newest}
    assert tap.variables[1]["query"] is None
    tap.variables.clear()
    assert {page.kind for page in pull(session, pages[-1].cursor)} <= {"orders"}
    back = datetime.fromisoformat(newest) - timedelta(minutes=10)
    assert tap.variables[1]["query"] == f"updated_at:>='{back.strftime('%Y-%m-%dT%H:%M:%SZ')}'"


def test_a_first_walk_can_begin_at_a_day(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=8)
    session = session_of(shop)
    day = datetime(2026, 11, 19, tzinfo=UTC)
    found = records(pull(session, placed_from=day))
    assert 0 < len(found) < 8
    assert all(payload["head"]["processedAt"] >= "2026-11-19" for payload in found.values())


def test_an_empty_shop_gives_no_pages(start: Callable[..., RunningShop]) -> None:
    assert pull(session_of(start(orders=0))) == []


def test_an_unchanged_order_gives_the_same_record_whatever_the_page_sizes(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=16)
    session = session_of(shop)
    walked = records(pull(session))
    exported = records(pull(session, is_full=True))
    looked_up = records(list(order_lookup(session, list(walked))))
    assert walked == exported
    assert walked == looked_up


def test_a_walk_that_was_killed_goes_on_at_its_page(start: Callable[..., RunningShop], tap: Tap) -> None:
    shop = start(orders=24)
    session = session_of(shop, transport=tap)
    pages = order_source(session, PullRequest({}))
    first, second = next(pages), next(pages)
    pages.close()  # type: ignore[attr-defined]
    assert second.cursor["walk"]["count"] == len(records([first, second]))
    tap.variables.clear()
    rest = pull(session, second.cursor)
    assert tap.variables[1]["after"] == second.cursor["walk"]["after"]
    assert records([first, second]).keys() & records(rest).keys() == set()
    assert records([first, second, *rest]).keys() == shop.totals().keys()


def test_a_long_walk_starts_anew_further_on(
    start: Callable[..., RunningShop], tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "WALK_MAX", 10)
    shop = start(orders=30)
    pages = pull(session_of(shop, transport=tap))
    queries = list(dict.fromkeys(variables["query"] for variables in tap.variables if "query" in variables))
    assert len(queries) == 3
    assert queries[1].startswith("updated_at:>='2026-11-")
    assert records(pages).keys() == shop.totals().keys()


def test_an_order_that_changes_between_its_page_and_its_parts_is_read_again(
    start: Callable[..., RunningShop], tap: Tap
) -> None:
    shop = start(orders=4)
    session = session_of(shop, transport=tap)
    sent = next(iter(shop.order_ids()))
    edits: list[Decimal] = []

    def edit_once(name: str) -> None:
        if name == "FulfillmentPieces" and not edits:
            shop.advance_clock(10)
            edits.append(shop.edit_order(sent))

    tap.before = edit_once
    pages = pull(session)
    assert "OrdersById" in tap.names
    first_page = records(pages[:1])
    assert parse_order([first_page[sent]], session.connection).total == edits[0]


def test_an_order_that_never_rests_is_taken_and_seen_again(start: Callable[..., RunningShop], tap: Tap) -> None:
    shop = start(orders=4)
    session = session_of(shop, transport=tap)
    sent = next(iter(shop.order_ids()))

    def edit(name: str) -> None:
        if name == "FulfillmentPieces" and tap.names.count(name) < 3:
            shop.advance_clock(1)
            shop.edit_order(sent)

    tap.before = edit
    pages = pull(session)
    stale = parse_order([records(pages)[sent]], session.connection)
    assert stale.total != shop.totals()[sent]
    again = records(pull(session, pages[-1].cursor))[sent]
    assert parse_order([again], session.connection).total == shop.totals()[sent]


def test_an_order_that_goes_while_it_is_read_leaves_a_tombstone(start: Callable[..., RunningShop], tap: Tap) -> None:
    shop = start(orders=4)
    sent = shop.order_ids()[0]

    def delete(name: str) -> None:
        if name == "FulfillmentPieces" and sent in shop.order_ids():
            shop.delete_order(sent)

    tap.before = delete
    pages = pull(session_of(shop, transport=tap))
    assert tombstones(pages) == [sent]
    assert records(pages).keys() == shop.totals().keys()


def test_a_page_of_lines_that_is_gone_makes_the_order_be_read_again(
    start: Callable[..., RunningShop], tap: Tap
) -> None:
    shop = start(orders=3)

    def lose(name: str, answer: dict[str, Any]) -> None:
        if name == "OrderLineItemsRest" and tap.names.count(name) == 1:
            answer["data"]["node"] = None

    tap.change = lose
    pages = pull(session_of(shop, transport=tap))
    assert records(pages).keys() == shop.totals().keys()
    assert max(len(payload["head"]["lineItems"]["nodes"]) for payload in records(pages).values()) == 60


def test_an_order_whose_lines_never_come_to_an_end_is_refused_alone(
    start: Callable[..., RunningShop], tap: Tap
) -> None:
    shop = start(orders=3)
    session = session_of(shop, transport=tap)

    def lose(name: str, answer: dict[str, Any]) -> None:
        if name == "OrderLineItemsRest" and "data" in answer:
            answer["data"]["node"] = None

    tap.change = lose
    found = records(pull(session))
    assert found.keys() == shop.totals().keys()
    with pytest.raises(BadPayload, match="further pages are missing"):
        parse_order([found[shop.order_ids()[2]]], session.connection)


def test_a_malformed_order_is_landed_and_refused_alone(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=6)
    session = session_of(shop)
    broken = shop.order_ids()[3]
    shop.break_order(broken)
    found = records(pull(session))
    assert found.keys() == shop.totals().keys()
    with pytest.raises(BadPayload):
        parse_order([found[broken]], session.connection)


def test_parts_of_the_wrong_shape_do_not_stop_the_page(start: Callable[..., RunningShop], tap: Tap) -> None:
    shop = start(orders=4)
    odd = {"refunds": "none", "fulfillments": ["x"], "returns": {"nodes": 3}, "updatedAt": None}
    odd |= {"lineItems": {"pageInfo": {"hasNextPage": True, "endCursor": None}, "nodes": []}, "shippingLines": 7}

    def spoil(name: str, answer: dict[str, Any]) -> None:
        if name == "OrdersPage" and answer["data"]["orders"]["nodes"]:
            answer["data"]["orders"]["nodes"][0] |= odd

    tap.change = spoil
    assert records(pull(session_of(shop, transport=tap))).keys() == shop.totals().keys()


@pytest.mark.parametrize(
    "answer",
    [{"nodes": [{"id": "gid://shopify/Order/5"}]}, {"nodes": []}],
)
def test_an_answer_to_another_question_is_not_believed(
    start: Callable[..., RunningShop], tap: Tap, answer: dict[str, Any]
) -> None:
    tap.change = lambda name, told: told.update({"data": answer}) if name == "OrdersById" else None
    shop = start(orders=2)
    with pytest.raises(RetryLater, match="answered another question"):
        list(order_lookup(session_of(shop, transport=tap), shop.order_ids()[:1]))


def test_a_shop_that_says_more_and_not_where_is_refused(start: Callable[..., RunningShop], tap: Tap) -> None:
    def lose(name: str, answer: dict[str, Any]) -> None:
        if name == "OrdersPage":
            answer["data"]["orders"]["pageInfo"] = {"hasNextPage": True, "endCursor": None}

    tap.change = lose
    with pytest.raises(Refused, match="does not say where"):
        pull(session_of(start(orders=4), transport=tap))


# ----------------------------------------------------------------------------------------------------- scopes, costs


def without(*scopes: str) -> Rules:
    return Rules(scopes=tuple(scope for scope in ALL_SCOPES if scope not in scopes))


def test_what_the_token_may_not_read_is_not_asked_for(start: Callable[..., RunningShop]) -> None:
    rules = without("read_returns", "read_customers", "read_merchant_managed_fulfillment_orders")
    shop = start(orders=24, rules=rules)
    session = session_of(shop)
    pages = pull(session)
    assert [page.notices for page in pages if page.notices] == []
    found = records(pages)
    assert all("returns" not in payload["head"] for payload in found.values())
    assert all("fulfillmentOrders" not in payload["head"] for payload in found.values())
    read = [parse_order([payload], session.connection) for payload in found.values()]
    assert {order.customer for order in read} == {None}
    assert records(pull(session, is_full=True)) == found


def test_a_field_denied_beside_the_rest_is_reported_and_the_order_kept(
    start: Callable[..., RunningShop], tap: Tap
) -> None:
    shop = start(orders=2)

    def deny(name: str, answer: dict[str, Any]) -> None:
        if name == "OrdersPage":
            for index, node in enumerate(answer["data"]["orders"]["nodes"]):
                node["customer"] = None
                path = ["orders", "nodes", index, "customer"]
                answer.setdefault("errors", []).append({"path": path, "extensions": {"code": "ACCESS_DENIED"}})

    tap.change = deny
    pages = pull(session_of(shop, transport=tap))
    assert records(pages).keys() == shop.totals().keys()
    assert [(notice.kind, notice.message) for notice in pages[0].notices] == [
        (
            "source_changed",
            "practice-shop.myshopify.com withheld orders.nodes.customer for lack of a scope; the orders are kept "
            "without it",
        )
    ]


def test_another_version_than_the_pinned_one_is_reported(start: Callable[..., RunningShop], tap: Tap) -> None:
    shop = start(orders=2)
    settings = {**shop.account.settings, "api_version": "2024-10"}
    pages = pull(a_session(settings, shop.account.secrets, transport=tap))
    assert [notice.reference for notice in pages[0].notices] == ["practice-shop.myshopify.com api version"]
    assert "answered with API version 2026-01 instead of 2024-10" in pages[0].notices[0].message


def test_orders_without_the_scope_need_the_owner(start: Callable[..., RunningShop]) -> None:
    with pytest.raises(NeedsReconnect, match="missing: read_orders"):
        pull(session_of(start(orders=2, rules=without("read_orders"))))


def test_a_small_bucket_is_waited_for_and_everything_comes(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=12, rules=Rules(capacity=1000, per_second=50))
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        shop.advance_clock(seconds)

    pages = pull(session_of(shop, sleep=sleep))
    assert records(pages).keys() == shop.totals().keys()
    assert sum(waits) > 10
    assert max(waits) <= 1000 / 50 + 1


def test_a_throttled_query_waits_for_what_is_missing(start: Callable[..., RunningShop], tap: Tap) -> None:
    shop = start(orders=2, rules=Rules(capacity=1000, per_second=50))
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        shop.advance_clock(seconds)

    def drain(name: str) -> None:
        if name == "OrdersPage" and tap.names.count(name) == 0:
            shop.graph.bucket.pay(shop.graph.bucket.left())

    tap.before = drain
    pages = pull(session_of(shop, transport=tap, sleep=sleep))
    assert records(pages).keys() == shop.totals().keys()
    assert 1 < waits[0] <= 1000 / 50


def test_a_query_that_costs_too_much_is_asked_for_in_smaller_pages(
    start: Callable[..., RunningShop], tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.shopify.sandbox_graphql.QUERY_MAX", 120)
    shop = start(orders=4)
    pages = pull(session_of(shop, transport=tap))
    assert records(pages).keys() == shop.totals().keys()
    asked = [
        (told["first"], told["nested"])
        for name, told in zip(tap.names, tap.variables, strict=True)
        if name == "OrdersPage"
    ]
    assert asked[0] == (4, 8)
    assert asked[-1][0] == 1
    assert asked[-1][1] < 8


def test_a_query_that_is_never_cheap_enough_is_refused(
    start: Callable[..., RunningShop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.shopify.sandbox_graphql.QUERY_MAX", 20)
    with pytest.raises(Refused, match="costs too much"):
        pull(session_of(start(orders=4)))


# ------------------------------------------------------------------------------------------------- ids and look-ups


WINDOW = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def test_ids_of_a_window_come_cheaply(start: Callable[..., RunningShop], tap: Tap) -> None:
    shop = start(orders=30)
    assert sorted(order_ids(session_of(shop, transport=tap), *WINDOW)) == sorted(shop.order_ids())
    assert tap.names == ["Scopes", "OrderIds"]


def test_ids_beyond_what_a_query_pages_through_come_each_once(
    start: Callable[..., RunningShop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "WALK_MAX", 5)
    monkeypatch.setattr("connectors.shopify.sandbox_graphql.QUERY_MAX", 7)
    shop = start(orders=30)
    found = list(order_ids(session_of(shop), *WINDOW))
    assert sorted(found) == sorted(shop.order_ids())


def test_a_window_that_the_token_cannot_see_is_refused(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=2, rules=without("read_all_orders"))
    session = session_of(shop)
    assert len(list(order_ids(session, *WINDOW))) == 2
    with pytest.raises(Misconfigured, match="only the orders of the last 60 days"):
        list(order_ids(session, datetime(2026, 1, 1, tzinfo=UTC), WINDOW[1]))


def test_a_named_order_that_is_gone_leaves_a_tombstone(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=3)
    here, gone = shop.order_ids()[0], shop.order_ids()[1]
    shop.delete_order(gone)
    pages = list(order_lookup(session_of(shop), [here, gone]))
    assert list(records(pages)) == [here]
    assert tombstones(pages) == [gone]


def test_without_read_all_orders_an_absent_old_order_is_not_taken_for_gone(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=3, rules=without("read_all_orders"))
    gone = shop.order_ids()[2]
    shop.delete_order(gone)
    pages = list(order_lookup(session_of(shop), ["gid://shopify/Order/5", gone, "odd"]))
    assert tombstones(pages) == [gone]
    for order_id in shop.order_ids():
        shop.delete_order(order_id)
    assert list(order_lookup(session_of(shop), [gone])) == []


def test_a_look_up_that_is_denied_buries_nobody(start: Callable[..., RunningShop], tap: Tap) -> None:
    def deny(name: str, answer: dict[str, Any]) -> None:
        if name == "OrdersById":
            answer["data"]["nodes"] = [None]
            answer["errors"] = [{"path": ["nodes", 0], "extensions": {"code": "ACCESS_DENIED"}}, {"message": "odd"}]
            answer["errors"].pop()

    tap.change = deny
    shop = start(orders=1)
    pages = list(order_lookup(session_of(shop, transport=tap), shop.order_ids()))
    assert tombstones(pages) == []
    assert [notice.reference for notice in pages[0].notices] == ["practice-shop.myshopify.com nodes"]


# -------------------------------------------------------------------------------------------------------- backfill


def test_a_backfill_brings_all_and_goes_on_with_changes(
    start: Callable[..., RunningShop], monkeypatch: pytest.MonkeyPatch, tap: Tap
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 10)
    shop = start(orders=35)
    session = session_of(shop, transport=tap)
    new: list[str] = []

    def sell(name: str) -> None:
        if name == "BulkStatus" and not new:
            shop.advance_clock(5)
            new.append(shop.place_order({"HUB-001": 1}))

    tap.before = sell
    pages = pull(session, is_full=True)
    assert pages[0].cursor["bulk"]["done_to"] == 0
    assert [len(records([page])) for page in pages[1:5]] == [10, 10, 10, 5]
    numbers = [page.cursor["bulk"]["done_to"] for page in pages[1:5]]
    assert numbers == sorted(numbers)
    assert pages[5].cursor.keys() == {"watermark"}
    assert records(pages[6:]).keys() >= set(new)
    assert records(pages).keys() == shop.totals().keys()


def test_a_backfill_can_begin_at_a_day(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=10)
    day = datetime(2026, 11, 19, tzinfo=UTC)
    pages = pull(session_of(shop), is_full=True, placed_from=day)
    assert 0 < len(records(pages)) < 10


def test_an_export_without_rows_ends_at_once(start: Callable[..., RunningShop]) -> None:
    pages = pull(session_of(start(orders=0)), is_full=True)
    assert [len(records([page])) for page in pages] == [0, 0]
    assert pages[-1].cursor.keys() == {"watermark"}


def test_a_backfill_that_was_killed_goes_on_with_its_export(
    start: Callable[..., RunningShop], monkeypatch: pytest.MonkeyPatch, tap: Tap
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 10)
    shop = start(orders=25)
    session = session_of(shop, transport=tap)
    source = order_source(session, PullRequest({}, is_full=True))
    before = [next(source), next(source)]
    source.close()  # type: ignore[attr-defined]
    tap.names.clear()
    rest = pull(session, json.loads(json.dumps(before[-1].cursor)))
    assert "BulkStart" not in tap.names
    assert len(records(before)) == 10
    assert len(records(rest[:2])) == 15
    assert records([*before, *rest]).keys() == shop.totals().keys()


def test_an_export_that_takes_too_long_is_found_again(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=5)
    shop.graph.bulk.looks = 10_000
    waits: list[float] = []
    session = session_of(shop, sleep=waits.append)
    source = order_source(session, PullRequest({}, is_full=True))
    started = next(source)
    with pytest.raises(RetryLater, match="still runs"):
        next(source)
    assert waits[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert sum(waits) < 1000
    shop.graph.bulk._exports[int(started.cursor["bulk"]["bulk_id"].rpartition("/")[2])].looks_left = 0
    assert len(records(pull(session, started.cursor))) == 5


@pytest.mark.parametrize("outcome", ["FAILED", "CANCELED", "EXPIRED"])
def test_an_export_that_failed_is_not_taken_for_complete(start: Callable[..., RunningShop], outcome: str) -> None:
    shop = start(orders=5)
    shop.graph.bulk.outcome = outcome
    session = session_of(shop)
    source = order_source(session, PullRequest({"watermark": "2026-11-20T10:00:00Z"}, is_full=True))
    pages = [next(source), next(source)]
    with pytest.raises(RetryLater, match=f"ended as {outcome}"):
        next(source)
    assert records(pages) == {}
    assert pages[-1].cursor == {"watermark": "2026-11-20T10:00:00Z"}


def test_an_export_that_is_denied_needs_the_owner(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=5)
    shop.graph.bulk.outcome, shop.graph.bulk.error_code = "FAILED", "ACCESS_DENIED"
    with pytest.raises(NeedsReconnect, match="read_orders"):
        pull(session_of(shop), is_full=True)


def test_an_export_that_nobody_knows_any_more_is_begun_again(start: Callable[..., RunningShop]) -> None:
    cursor = {"bulk": {"bulk_id": "gid://shopify/BulkOperation/1", "began_at": "2026-11-20T10:00:00Z", "done_to": 0}}
    with pytest.raises(RetryLater, match="ended as EXPIRED"):
        pull(session_of(start(orders=1)), cursor)


def test_too_many_exports_at_once_are_waited_for(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=1)
    shop.graph.bulk.looks = 5
    for _ in range(5):
        shop.graph.bulk.start("{ orders { edges { node { id } } } }")
    with pytest.raises(RetryLater, match="too many exports"):
        pull(session_of(shop), is_full=True)


def test_an_export_that_is_not_understood_is_refused(
    start: Callable[..., RunningShop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "bulk_orders", lambda **_: "{ nonsense }")
    with pytest.raises(Refused, match="INVALID"):
        pull(session_of(start(orders=1)), is_full=True)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{"], "not JSON"),
        (["[]"], "not an object"),
        (['{"id": "gid://shopify/LineItem/1", "__parentId": "gid://shopify/Order/9"}'], "without the order"),
    ],
)
def test_an_export_that_is_not_whole_is_refused(start: Callable[..., RunningShop], lines: list[str], said: str) -> None:
    shop = start(orders=1)
    source = order_source(session_of(shop), PullRequest({}, is_full=True))
    number = int(next(source).cursor["bulk"]["bulk_id"].rpartition("/")[2])
    shop.graph.bulk._exports[number].lines[:] = ["", *lines]
    with pytest.raises(BadPayload, match=said):
        next(source)


def test_an_order_that_is_gone_when_the_export_is_read_leaves_a_tombstone(start: Callable[..., RunningShop]) -> None:
    shop = start(orders=1)
    source = order_source(session_of(shop), PullRequest({}, is_full=True))
    next(source)
    gone = shop.order_ids()[0]
    shop.delete_order(gone)
    pages = list(source)
    assert tombstones(pages) == [gone]
    assert records(pages) == {}


def test_lines_are_sorted_on_disk_and_keep_their_order() -> None:
    rows = [(number % 7, position, b"line %d" % position) for position, number in enumerate(range(100))]
    with LineSorter(chunk=9) as sorter:
        for number, position, line in rows:
            sorter.add(number, position, line + b"\n")
        assert list(sorter.lines()) == [(number, line) for number, _, line in sorted(rows)]


# ---------------------------------------------------------------------------------------------------------- cursors


@pytest.mark.parametrize(
    "cursor",
    [{"walk": 5}, {"walk": {}}, {"bulk": {"bulk_id": "x"}}, {"watermark": 7}, {"walk": {"query": "", "count": "x"}}],
)
def test_a_cursor_of_something_else_is_refused(cursor: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match="not one of a Shopify connection"):
        read_cursor(cursor)


def test_a_cursor_comes_back_as_it_was_stored() -> None:
    walk = {"query": "q", "after": "a", "count": 3, "newest": "2026-11-20T10:00:00Z", "began_at": None}
    export = {"bulk_id": "b", "began_at": "2026-11-20T10:00:00Z", "done_to": 4}
    stored = {"watermark": "2026-11-20T10:00:00Z", "walk": walk, "bulk": export}
    assert read_cursor(orjson.loads(orjson.dumps(stored))).to_cursor() == stored


def test_a_batch_of_nothing_asks_nothing(start: Callable[..., RunningShop], tap: Tap) -> None:
    with ShopifyApi(session_of(start(orders=0), transport=tap)) as api:
        maker = RecordMaker(api, Granted(frozenset()))
        assert maker.complete([]).records == []
        assert list(maker.look_up([])) == []
    assert tap.names == []
