"""Pulling orders from the practice account: what the search hides, what never shows as a change, and bad weather."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.mercadolibre import CHANNEL
from connectors.mercadolibre.api import MeliApi, open_api
from connectors.mercadolibre.claims import claimed_orders
from connectors.mercadolibre.feeds import missed_orders
from connectors.mercadolibre.orders import order_ids, order_lookup, order_source
from connectors.mercadolibre.parts import PartReader
from connectors.mercadolibre.sandbox import SELLER_ID, MeliSandbox, start_sandbox
from connectors.mercadolibre.sandbox_account import AccountTraits
from connectors.mercadolibre.sandbox_seed import OPENED_AT
from connectors.mercadolibre.slices import changed_since
from oms_hub.channel.contract import ChannelSession, PullRequest, RawPage
from oms_hub.domain.orders import Order, OrderKind, OrderState, PaymentState
from oms_hub.domain.stock_ledger import holds, stock_events
from oms_hub.errors import Misconfigured, NeedsReconnect, Refused, RetryLater
from oms_hub.testing.factories import a_session
from oms_hub.testing.faults import FOREVER, Fault, FaultKind, FaultProxy, SeenRequest

GOOD = {"site": "MLM", "seller_id": str(SELLER_ID)}
IDLE = ["/users/me", "/post-purchase/v1/claims/search", "/post-purchase/v1/claims/search", "/orders/search"]
"""What a pull without news asks."""


class SharedSecrets:
    """Secrets that several sessions share."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self._lock = threading.Lock()

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def replace(self, values: Mapping[str, str]) -> None:
        self.values.update(values)

    def lock(self) -> Any:
        return self._lock


class Puller:
    """One connection: pulls, keeps the cursor and the newest of each order, as the hub does."""

    def __init__(self, shop: MeliSandbox, base_url: str, **settings: str) -> None:
        account = shop.account
        given = {**account.settings, "base_url": base_url, "page_size": "10", **settings}
        self.sleeps: list[float] = []
        session = replace(a_session(given), secrets=SharedSecrets(account.secrets), sleep=self.sleeps.append)
        self.session: ChannelSession = session
        self.shop = shop
        self.cursor: Mapping[str, Any] = {}
        self.orders: dict[str, Order] = {}
        self.gone: set[str] = set()
        self.notices: list[str] = []

    def pull(self, *, is_full: bool = False) -> list[RawPage]:
        pages = []
        for page in order_source(self.session, PullRequest(self.cursor, is_full=is_full)):
            pages.append(page)
            self.take(page)
            self.cursor = page.cursor
        return pages

    def take(self, page: RawPage) -> None:
        self.notices += [notice.reference for notice in page.notices]
        for record in CHANNEL.split_page(page.kind, page.body):
            if page.kind == "order_tombstones":
                self.gone.add(record.record_id)
            else:
                self.orders[record.record_id] = CHANNEL.parse_order([record.payload], self.session.connection)

    def asked(self) -> list[str]:
        """Return the paths asked for since the last call."""
        paths = [request.path for request, _, _ in self.shop.server.seen]
        self.shop.server.seen.clear()
        return paths


@pytest.fixture
def shop() -> Iterator[MeliSandbox]:
    running = start_sandbox(orders=16, seed=3)
    yield running
    running.close()


@pytest.fixture
def puller(shop: MeliSandbox) -> Puller:
    return Puller(shop, shop.base_url)


@pytest.fixture
def proxy(shop: MeliSandbox) -> Iterator[FaultProxy]:
    with FaultProxy(shop.base_url) as running:
        yield running


def totals(puller: Puller) -> dict[str, Decimal]:
    return {key: order.total for key, order in puller.orders.items() if key in puller.shop.totals()}


def an_open_one(puller: Puller) -> int:
    """Return an order that is paid and still here."""
    return next(int(key) for key, order in puller.orders.items() if holds(order) and order.state is OrderState.OPEN)


# ----------------------------------------------------------------------------------------------------- what is hidden


def test_a_pull_without_news_costs_four_requests_and_stores_nothing(puller: Puller) -> None:
    puller.pull()
    assert totals(puller) == puller.shop.totals()
    puller.asked()
    pages = puller.pull()
    assert puller.asked() == IDLE
    assert [page for page in pages if page.records] == []


def test_a_cancelled_order_is_found_although_the_search_hides_it(puller: Puller) -> None:
    puller.pull()
    number = an_open_one(puller)
    puller.shop.state.cancel(number)
    puller.pull()
    assert puller.orders[str(number)].state is OrderState.OPEN, "the search cannot tell, and its turn has not come"
    puller.shop.advance_clock(31 * 60)
    puller.pull()
    order = puller.orders[str(number)]
    assert (order.state, order.payment_state, holds(order)) == (OrderState.CANCELLED, PaymentState.REFUNDED, ())
    puller.shop.state.notifications.clear()
    puller.shop.advance_clock(31 * 60)
    puller.asked()
    puller.pull()
    assert f"/orders/{number}" not in puller.asked(), "a cancelled order is at its end"


def test_a_shipment_that_moves_alone_is_found(puller: Puller) -> None:
    puller.pull()
    number = an_open_one(puller)
    changed_at = puller.orders[str(number)].updated_at
    puller.shop.state.move_shipment(number, "shipped")
    puller.shop.advance_clock(31 * 60)
    puller.pull()
    order = puller.orders[str(number)]
    assert order.updated_at == changed_at, "the order itself says nothing of it"
    assert [event.kind for event in stock_events(order)] == ["sale"]


def test_a_sale_cancelled_after_delivery_is_found_by_its_claim(puller: Puller) -> None:
    puller.pull()
    number = next(int(key) for key, order in puller.orders.items() if order.state is OrderState.CLOSED)
    claim = puller.shop.state.open_claim(number, units=1)
    puller.shop.state.cancel(number)
    puller.pull()
    order = puller.orders[str(number)]
    assert (order.state, [each.status for each in order.returns]) == (OrderState.CANCELLED, ["label_generated"])
    puller.shop.state.move_return(claim.claim_id, "delivered")
    puller.pull()
    assert [each.status for each in puller.orders[str(number)].returns] == ["delivered"]
    assert [event.kind for event in stock_events(puller.orders[str(number)])] == ["sale"]


def test_an_order_with_a_claim_stays_the_same_record_however_it_is_read(puller: Puller) -> None:
    puller.pull()
    number = next(iter(puller.cursor["claimed"]))
    (looked_up,) = order_lookup(puller.session, [number])
    record = CHANNEL.split_page(looked_up.kind, looked_up.body)[0]
    pages = puller.pull(is_full=True)
    walked = [each for page in pages for each in page.records or () if each.record_id == number]
    assert [each.payload for each in walked[:1]] == [record.payload]
    assert record.payload["returns"][0]["status"] == "delivered"


def test_a_claim_of_the_sellers_own_finds_the_order_too(puller: Puller) -> None:
    puller.pull()
    number = an_open_one(puller)
    puller.shop.state.cancel(number)
    puller.shop.state.open_claim(number, kind="cancel_sale").role = "complainant"
    puller.pull()
    assert puller.orders[str(number)].state is OrderState.CANCELLED


@pytest.mark.parametrize("topic", ["orders_v2", "shipments", "post_purchase"])
def test_missed_notifications_bring_what_they_point_to(puller: Puller, topic: str) -> None:
    puller.pull()
    state = puller.shop.state
    number = next(int(key) for key, order in puller.orders.items() if order.state is OrderState.CLOSED)
    state.notifications.clear()
    if topic == "orders_v2":
        state.cancel(number)
    elif topic == "shipments":
        state.move_shipment(number, "not_delivered", "returned")
    else:
        state.cancel(number)
        state.open_claim(number)
    state.notifications[:] = [each for each in state.notifications if each.topic == topic]
    puller.shop.advance_clock(3700)
    puller.pull()
    order = puller.orders[str(number)]
    if topic == "shipments":
        assert [each.status for each in order.returns] == ["returned"]
    else:
        assert order.state is OrderState.CANCELLED


def test_missed_notifications_are_read_as_often_as_open_orders_and_each_for_a_few_hours(puller: Puller) -> None:
    puller.pull()
    state = puller.shop.state
    number = next(int(key) for key, order in puller.orders.items() if order.state is OrderState.CLOSED)
    state.notify("orders_v2", f"/orders/{number}")
    puller.shop.advance_clock(3700)
    puller.asked()
    puller.pull()
    assert f"/orders/{number}" in puller.asked()
    puller.pull()
    assert "/missed_feeds" not in puller.asked(), "asked a moment ago"
    puller.shop.advance_clock(4 * 3600)
    state.notify("orders_v2", f"/orders/{an_open_one(puller)}")
    puller.shop.advance_clock(2 * 3600)
    puller.pull()
    puller.shop.advance_clock(3600)
    puller.asked()
    puller.pull()
    asked = puller.asked()
    assert "/missed_feeds" in asked
    assert f"/orders/{number}" not in asked, "sent hours before the newest one that is known"


def test_an_open_order_that_is_gone_becomes_a_tombstone(puller: Puller) -> None:
    puller.pull()
    number = an_open_one(puller)
    puller.shop.delete_order(str(number))
    puller.shop.advance_clock(31 * 60)
    puller.pull()
    assert puller.gone == {str(number)}


def test_an_old_order_that_left_the_twelve_months_is_no_tombstone(puller: Puller) -> None:
    puller.pull()
    number = next(int(key) for key, order in puller.orders.items() if order.state is OrderState.CLOSED)
    puller.shop.state.open_claim(number)
    puller.shop.delete_order(str(number))
    puller.pull()
    assert puller.gone == set()


# ---------------------------------------------------------------------------------------------------- walks and parts


def test_every_kind_of_order_is_read_as_what_it_is(puller: Puller) -> None:
    puller.pull()
    orders = list(puller.orders.values())
    assert {order.kind for order in orders} == {OrderKind.STANDARD, OrderKind.MARKETPLACE_FULFILLED}
    full = [order for order in orders if order.kind is OrderKind.MARKETPLACE_FULFILLED]
    assert [stock_events(order) for order in full] == [()] * len(full)
    packs = [order.label for order in orders]
    assert len(packs) > len(set(packs)), "a cart makes several orders with one label"
    assert sum(bool(order.discounts or order.lines[0].order_discount_amount) for order in orders) == 1


def test_a_cart_is_several_orders_with_one_parcel(puller: Puller) -> None:
    puller.pull()
    first = puller.shop.place_order({"HUB-001": 1, "HUB-002": 2})
    puller.pull()
    label = puller.orders[first].label
    pack = [order for order in puller.orders.values() if order.label == label]
    assert [order.lines[0].sku for order in pack] == ["HUB-001", "HUB-002"]
    assert len({order.channel_order_id for order in pack}) == 2


def test_the_history_is_cut_by_time_where_it_is_long(shop: MeliSandbox) -> None:
    puller = Puller(shop, shop.base_url, slice_size="5")
    puller.pull()
    assert totals(puller) == shop.totals()
    searches = [request for request, _, _ in shop.server.seen if request.path == "/orders/search"]
    assert any("order.date_created.to" in request.query for request in searches)


def test_an_offset_beyond_the_ceiling_is_never_asked_for() -> None:
    shop = start_sandbox(orders=40, traits=AccountTraits(offset_ceiling=14))
    puller = Puller(shop, shop.base_url, slice_size="8", page_size="5")
    puller.pull()
    assert totals(puller) == shop.totals()
    assert {status for request, status, _ in shop.server.seen if request.path == "/orders/search"} == {200}
    shop.close()


def test_orders_from_a_day_on_only(shop: MeliSandbox) -> None:
    puller = Puller(shop, shop.base_url, orders_from="2026-11-01")
    puller.pull()
    bound = datetime(2026, 11, 1, tzinfo=UTC)
    with shop.state.lock:
        recent = {str(each.order_id) for each in shop.state.orders.values() if each.created_at >= bound}
    assert recent & shop.totals().keys() <= puller.orders.keys()
    assert len(puller.orders) < len(shop.totals())


def test_a_filter_that_is_ignored_ends_the_run_and_stores_nothing() -> None:
    shop = start_sandbox(orders=10, traits=AccountTraits(ignores_filters=True))
    puller = Puller(shop, shop.base_url, orders_from="2026-11-15")
    with pytest.raises(RetryLater, match="the filter was ignored"):
        puller.pull()
    assert puller.orders == {}
    shop.close()


def a_search(**changes: Any) -> dict[str, Any]:
    row = {"id": 1, "date_created": "2026-11-22T11:00:00Z", "last_updated": "2026-11-22T11:30:00Z"}
    return {"results": [row], "paging": {"total": 1, "offset": 0, "limit": 50}, "filters": [], **changes}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], "is not a page of orders"),
        (a_search(results=None), "is not a page of orders"),
        (a_search(paging={"total": "many"}), "is not a page of orders"),
        (a_search(paging={"total": 99, "offset": 50}), "another page"),
        (a_search(filters=[{"id": "seller"}]), "the filter was ignored"),
        (a_search(results=[{"id": 1, "last_updated": "2026-11-22T08:59:59Z"}]), "the filter was ignored"),
    ],
)
def test_an_answer_to_another_question_is_not_taken(answer: Any, said: str) -> None:
    with pytest.raises(RetryLater, match=said), an_api(answer) as api:
        api.search_orders(changed_since(datetime(2026, 11, 22, 10, 30, tzinfo=UTC)), offset=0, limit=50)


@pytest.mark.parametrize(
    "filters", [None, [], [{"id": "date_last_updated"}], [{"id": "order.date_last_updated.from"}, "odd"]]
)
def test_an_answer_that_fits_is_taken_with_or_without_an_echo(filters: Any) -> None:
    with an_api(a_search(filters=filters)) as api:
        page = api.search_orders(changed_since(datetime(2026, 11, 22, 10, 30, tzinfo=UTC)), offset=0, limit=50)
    assert (page.ids, page.total, page.is_partial) == (("1",), 1, False)


def test_another_account_than_the_one_that_gave_consent_is_named() -> None:
    with pytest.raises(NeedsReconnect, match="is not the one that gave consent"), an_api({}, status=403) as api:
        api.search_orders(changed_since(OPENED_AT), offset=0, limit=50)


def test_a_search_that_is_refused_otherwise_says_so() -> None:
    with pytest.raises(Refused, match="answered 400"), an_api({"error": "bad_request"}, status=400) as api:
        api.search_orders(changed_since(OPENED_AT), offset=0, limit=50)


@contextmanager
def an_api(answer: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Iterator[MeliApi]:
    """Give an account whose every answer is the same, or what a function makes of the path."""

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "a", "refresh_token": "r"})
        given = answer(request.url.path) if callable(answer) else answer
        return given if isinstance(given, httpx.Response) else httpx.Response(status, json=given, headers=headers)

    session = a_session(GOOD, {"refresh_token": "r"}, transport=httpx.MockTransport(respond))
    with open_api(session) as api:
        yield api


def test_a_partial_answer_is_completed_order_by_order() -> None:
    """206 with X-Content-Missing: the rows lack fields, so each order is read by its id."""
    row = {"id": 1, "date_created": "2026-11-22T11:00:00Z", "last_updated": "2026-11-22T11:30:00Z", "status": "paid"}
    whole = {**row, "shipping": {"id": None}, "order_items": []}
    answers = {"/orders/search": a_search(results=[row]), "/orders/1": whole}
    with an_api(lambda path: answers.get(path, [])) as api:
        assert PartReader(api, lambda _: False).complete([row], again=["1"])[0].payload == {"order": whole}
    with an_api(a_search(), headers={"x-content-missing": "shipping"}, status=206) as api:
        assert api.search_orders(changed_since(OPENED_AT), offset=0, limit=50).is_partial
    with an_api(whole, headers={"x-content-missing": "shipping"}, status=206) as api:
        (order,) = PartReader(api, lambda _: False).named(["1"])
        assert (order.payload, order.trouble) == (None, "GET orders/1: the answer lacks parts of the order (206)")


@pytest.mark.parametrize(
    ("answer", "status", "is_gone"),
    [
        ({"error": "order_not_found"}, 404, True),
        ({"id": 2}, 200, False),
        ([], 200, False),
    ],
)
def test_only_the_channels_own_word_says_that_an_order_is_gone(answer: Any, status: int, is_gone: bool) -> None:
    with an_api(answer, status=status) as api:
        (order,) = PartReader(api, lambda _: False).named(["1"])
    assert (order.payload, bool(order.trouble)) == (None, not is_gone)


def test_somebody_elses_404_says_nothing_about_an_order() -> None:
    with pytest.raises(Refused), an_api({"error": "no_route"}, status=404) as api:
        PartReader(api, lambda _: False).named(["1"])


def test_parts_that_are_absent_leave_the_order_as_it_is() -> None:
    order = {
        "id": 1, "status": "paid", "shipping": {"id": 7}, "tags": ["order_has_discount"], "order_items": "broken",
    }  # fmt: skip
    forbidden = httpx.Response(403, json={"error": "forbidden"})
    with an_api(lambda path: httpx.Response(204) if "shipments" in path else forbidden) as api:
        (whole,) = PartReader(api, lambda _: True).complete([order])
    assert whole.payload == {"order": order}


def test_claims_and_returns_that_are_absent_are_left_out() -> None:
    """The claim is another's, or its return is not there yet."""
    order = {"id": 1, "status": "paid", "shipping": {"id": 7}}
    claim = {"id": 5, "related_entities": ["return"]}
    answers: dict[str, Any] = {
        "/shipments/7": {"id": 7, "status": "pending"},
        "/post-purchase/v1/claims/search": {"data": [{"id": 5}, {"id": 6}]},
        "/post-purchase/v1/claims/5": claim,
    }
    gone = httpx.Response(404, json={"error": "not_found"})
    with an_api(lambda path: answers.get(path, gone)) as api:
        (whole,) = PartReader(api, lambda _: True).complete([order])
    assert whole.payload == {"order": order, "shipment": answers["/shipments/7"], "claims": [claim]}


def test_a_part_that_is_refused_for_another_reason_is_an_error() -> None:
    with pytest.raises(Refused, match="answered 400"), an_api({"error": "bad_request"}, status=400) as api:
        api.part("packs/1")


def test_a_walk_over_changes_that_was_killed_goes_on_at_its_page(shop: MeliSandbox) -> None:
    puller = Puller(shop, shop.base_url, page_size="4")
    puller.pull()
    for order_id in shop.totals():
        shop.edit_order(order_id)
    pages = order_source(puller.session, PullRequest(puller.cursor))
    for _ in range(2):
        page = next(pages)
        puller.take(page)
    assert isinstance(pages, Generator)
    pages.close()
    assert (page.cursor["phase"], page.cursor["walk"]["offset"]) == ("changes", 6)
    puller.cursor = page.cursor
    shop.server.seen.clear()
    puller.pull()
    searches = [request.query for request, _, _ in shop.server.seen if request.path == "/orders/search"]
    assert searches[0]["offset"] == "6"
    assert totals(puller) == shop.totals()


# -------------------------------------------------------------------------------------------------------- the weather


def is_shipment(request: SeenRequest) -> bool:
    return request.path.startswith("/shipments/") and request.path.count("/") == 2


def test_one_order_whose_parcel_cannot_be_read_waits_and_the_rest_goes_on(shop: MeliSandbox, proxy: FaultProxy) -> None:
    puller = Puller(shop, proxy.base_url)
    number = next(each.order_id for each in shop.state.orders.values() if each.shipment and not each.is_hidden)
    shipment = shop.state.orders[number].shipment
    assert shipment is not None
    together = {str(each) for each in shipment.order_ids}
    fault = Fault(FaultKind.STATUS, status=500)
    proxy.inject(fault, matches=lambda request: request.path == f"/shipments/{shipment.shipment_id}", times=FOREVER)
    puller.pull()
    assert puller.orders.keys() == shop.totals().keys() - together
    assert puller.notices == [], "it may pass by the next pull"
    puller.pull()
    assert puller.orders.keys() == shop.totals().keys() - together
    assert set(puller.notices) == {f"order {each}" for each in together}
    proxy.clear()
    puller.pull()
    assert totals(puller) == shop.totals()


def test_a_storm_over_all_parcels_ends_the_run_and_half_orders_never_land(shop: MeliSandbox, proxy: FaultProxy) -> None:
    puller = Puller(shop, proxy.base_url)
    proxy.inject(Fault(FaultKind.STATUS, status=503), matches=is_shipment, times=FOREVER)
    with pytest.raises(RetryLater, match="answered 503"):
        puller.pull()
    assert puller.orders == {}
    proxy.clear()
    puller.pull()
    assert totals(puller) == shop.totals()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.STATUS, status=429),
        Fault(FaultKind.STATUS, status=503, retry_after="2"),
        Fault(FaultKind.CUT_JSON),
        Fault(FaultKind.CUT_BODY),
        Fault(FaultKind.TWICE),
    ],
    ids=lambda fault: f"{fault.kind}_{fault.status}",
)
def test_passing_weather_on_any_request_costs_nothing_but_time(
    shop: MeliSandbox, proxy: FaultProxy, fault: Fault
) -> None:
    puller = Puller(shop, proxy.base_url)
    for nth in (1, 4, 7, 12, 20, 31):
        proxy.inject(fault, matches=lambda request: request.path != "/oauth/token", nth=nth)
    puller.pull()
    assert totals(puller) == shop.totals()


def test_tokens_that_end_in_the_middle_of_a_walk_are_renewed_once(shop: MeliSandbox, proxy: FaultProxy) -> None:
    puller = Puller(shop, proxy.base_url)
    proxy.before(shop.grants.expire, matches=is_shipment, nth=3)
    puller.pull()
    assert totals(puller) == shop.totals()
    assert shop.grants.renewals == 2


def test_consent_taken_back_in_the_middle_ends_the_walk_and_asks_once_for_tokens(
    shop: MeliSandbox, proxy: FaultProxy
) -> None:
    puller = Puller(shop, proxy.base_url)
    proxy.before(shop.grants.revoke, matches=is_shipment, nth=3)
    with pytest.raises(NeedsReconnect, match="invalid_grant"):
        puller.pull()
    assert puller.orders == {}


def test_a_limit_per_minute_is_waited_out() -> None:
    moments: list[float] = []
    limited = start_sandbox(orders=12, traits=AccountTraits(requests_per_minute=20))

    def wait(seconds: float) -> None:
        moments.append(seconds)
        limited.advance_clock(30)

    puller = Puller(limited, limited.base_url)
    puller.session = replace(puller.session, sleep=wait)
    puller.pull()
    assert totals(puller) == limited.totals()
    assert moments
    limited.close()


def test_pages_that_come_twice_or_late_change_nothing(shop: MeliSandbox) -> None:
    puller = Puller(shop, shop.base_url)
    pages = puller.pull()
    whole = dict(puller.orders)
    for page in (*reversed(pages), *pages):
        puller.take(page)
    assert puller.orders == whole


# ----------------------------------------------------------------------------------------------- lookups, ids, helpers


def test_named_orders_are_looked_up_cancelled_ones_too(puller: Puller) -> None:
    puller.pull()
    number = an_open_one(puller)
    puller.shop.state.cancel(number)
    pages = list(order_lookup(puller.session, [str(number), "9999", "no-number"]))
    assert [page.kind for page in pages] == ["orders", "order_tombstones"]
    (record,) = CHANNEL.split_page(pages[0].kind, pages[0].body)
    assert (record.record_id, record.payload["order"]["status"]) == (str(number), "cancelled")
    gone = CHANNEL.split_page(pages[1].kind, pages[1].body)
    assert [each.record_id for each in gone] == ["9999", "no-number"]
    assert [page.kind for page in order_lookup(puller.session, ["9999"])] == ["order_tombstones"]


def test_a_lookup_that_cannot_be_whole_fails(shop: MeliSandbox, proxy: FaultProxy) -> None:
    puller = Puller(shop, proxy.base_url)
    proxy.inject(Fault(FaultKind.STATUS, status=500), matches=is_shipment, times=FOREVER)
    with pytest.raises(RetryLater, match="answered 500"):
        list(order_lookup(puller.session, [next(iter(shop.totals()))]))


def test_ids_of_a_period_are_those_placed_in_it(puller: Puller) -> None:
    state = puller.shop.state
    moments = sorted(each.created_at for each in state.orders.values() if not each.is_hidden)
    start, end = moments[3], moments[9]
    found = list(order_ids(puller.session, start, end))
    expected = {str(each.order_id) for each in state.orders.values() if start <= each.created_at < end}
    assert set(found) == expected & puller.shop.totals().keys()
    assert len(found) == len(set(found))


def test_a_period_older_than_what_is_kept_is_refused(puller: Puller) -> None:
    with pytest.raises(Misconfigured, match="12 months"):
        list(order_ids(puller.session, OPENED_AT - timedelta(days=400), OPENED_AT))


def a_claim(number: int, **changes: Any) -> dict[str, Any]:
    return {"id": number, "resource": "order", "resource_id": number, **changes}


def test_claims_are_cut_by_time_where_there_are_too_many() -> None:
    spans: list[tuple[str, int]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "a", "refresh_token": "r"})
        span = request.url.params["range"]
        spans.append((span, int(request.url.params["offset"])))
        is_whole = "2026-11-01" in span and "2026-11-21" in span
        rows = [a_claim(1 if "after:2026-11-01" in span else 2)]
        return httpx.Response(200, json={"paging": {"total": 9_500 if is_whole else 1}, "data": rows})

    session = a_session(GOOD, {"refresh_token": "r"}, transport=httpx.MockTransport(answer))
    with open_api(session) as api:
        found = claimed_orders(api, datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
    assert found == ["1", "2"]
    assert len(spans) == 6


def test_claims_are_read_page_by_page() -> None:
    shop = start_sandbox(orders=1)
    (order,) = shop.state.orders.values()
    for _ in range(101):
        shop.state.open_claim(order.order_id)
    puller = Puller(shop, shop.base_url)
    with open_api(puller.session) as api:
        found = claimed_orders(api, OPENED_AT - timedelta(hours=1), OPENED_AT + timedelta(hours=1))
    offsets = [request.query.get("offset") for request, _, _ in shop.server.seen if "claims" in request.path]
    assert (found, offsets) == ([str(order.order_id)], ["0", "100", "0"])
    shop.close()


def test_claims_that_do_not_add_up_are_read_again_and_none_of_them_is_lost() -> None:
    pages = iter([1, 2, 2, 1, 1, 3])
    with an_api(lambda _: {"paging": {"total": 3}, "data": [a_claim(next(pages))]}) as api:
        found = claimed_orders(api, OPENED_AT, OPENED_AT + timedelta(hours=1))
    assert found == ["1", "2", "3"]


def test_a_claim_about_a_parcel_is_about_its_orders_and_others_about_none() -> None:
    rows = [
        a_claim(1, resource="shipment", resource_id=7),
        a_claim(2, resource="payment"),
        a_claim(3, resource="shipment", resource_id=8),
        "odd",
    ]
    answers: dict[str, Any] = {
        "/post-purchase/v1/claims/search": {"results": rows},
        "/shipments/7/items": [{"order_id": 71}, {"order_id": 71}, {}],
        "/shipments/8/items": {},
    }
    with an_api(answers.__getitem__) as api:
        assert claimed_orders(api, OPENED_AT, OPENED_AT + timedelta(hours=1)) == ["71"]


def test_missed_notifications_of_other_accounts_and_odd_ones_are_passed_over() -> None:
    def a_missed(resource: Any, **changes: Any) -> dict[str, Any]:
        return {"user_id": SELLER_ID, "topic": "orders_v2", "resource": resource, **changes}

    rows = [
        a_missed("/orders/1", sent="2026-11-22T10:00:00Z"),
        a_missed("/orders/1", received="2026-11-22T11:00:00Z"),
        a_missed("/orders/2", user_id=42),
        a_missed(None),
        a_missed("/questions/3"),
        a_missed("/post-purchase/v1/claims/9"),
        a_missed("/post-purchase/v1/claims/8"),
        "odd",
    ]
    answers: dict[str, Any] = {
        "/post-purchase/v1/claims/9": a_claim(9, resource="payment"),
        "/post-purchase/v1/claims/8": a_claim(8, resource_id=88),
    }
    served = iter([{"messages": rows}, {"messages": []}, [], {}])
    with an_api(lambda path: answers[path] if path in answers else next(served)) as api:
        missed = missed_orders(api, "41", newest=None)
    assert (missed.order_ids, missed.newest) == (("1", "88"), datetime(2026, 11, 22, 11, tzinfo=UTC))


def test_a_list_of_missed_notifications_that_ignores_its_offset_ends() -> None:
    row = {"_id": "n", "user_id": SELLER_ID, "topic": "orders_v2", "resource": "/orders/1"}
    with an_api({"messages": [row]}) as api:
        assert missed_orders(api, "41", newest=None).order_ids == ("1",)


def test_the_channels_present_is_its_own() -> None:
    with an_api({}, headers={"date": "Sun, 22 Nov 2026 09:00:00 GMT"}) as api:
        assert api.now() == datetime(2026, 11, 22, 12, tzinfo=UTC), "before the first answer there is only ours"
        api.get("users/me")
        assert api.now() == datetime(2026, 11, 22, 9, tzinfo=UTC)
