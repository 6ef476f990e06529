"""Pulling orders from a practice shop over real HTTP: walks, changes, refunds, deletions, odd shops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.woocommerce import CHANNEL
from connectors.woocommerce.sandbox import WooSandbox, start_sandbox
from connectors.woocommerce.sandbox_routes import ShopTraits
from oms_hub.channel.contract import ChannelSession, Connection, PullRequest, RawPage, SandboxAccount
from oms_hub.channel.http import HttpRefused
from oms_hub.domain.orders import Order, OrderState, close_gap
from oms_hub.errors import BadPayload, NeedsReconnect, RetryLater
from oms_hub.testing.faults import FOREVER, Fault, FaultKind, FaultProxy, SeenRequest

StartsShop = Callable[..., WooSandbox]


class PlainSecrets:
    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def replace(self, values: Mapping[str, str]) -> None:
        self.values.update(values)

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()


def session_of(shop: WooSandbox, account: SandboxAccount | None = None, **settings: str) -> ChannelSession:
    account = account or shop.account
    connection = Connection(
        1, "shop", "woocommerce", "merchant", "MXN", "America/Mexico_City", {**account.settings, **settings}
    )
    return ChannelSession(connection, PlainSecrets(account.secrets), shop.shop.now, lambda _seconds: None)


@pytest.fixture
def start() -> Iterator[StartsShop]:
    shops: list[WooSandbox] = []

    def starts(**more: Any) -> WooSandbox:
        shops.append(start_sandbox(**more))
        return shops[-1]

    yield starts
    for shop in shops:
        shop.close()


class Store:
    """Keeps the newest version of each order, as the hub does, and the cursor."""

    def __init__(self, session: ChannelSession) -> None:
        self.session = session
        self.cursor: Mapping[str, Any] = {}
        self.orders: dict[str, Order] = {}
        self.notices: list[str] = []
        self.bodies: list[bytes] = []

    def pull(self, **request: Any) -> int:
        assert CHANNEL.order_source is not None
        records = 0
        for page in CHANNEL.order_source(self.session, PullRequest(self.cursor, **request)):
            records += self.take(page)
            self.cursor = page.cursor
        return records

    def take(self, page: RawPage) -> int:
        self.notices += [notice.reference for notice in page.notices]
        self.bodies.append(page.body)
        records = CHANNEL.split_page(page.kind, page.body)
        for record in records:
            if page.kind == "order_tombstones":
                self.orders.pop(record.record_id, None)
                continue
            order = CHANNEL.parse_order((record.payload,), self.session.connection)
            known = self.orders.get(record.record_id)
            if known is None or order.updated_at >= known.updated_at:
                self.orders[record.record_id] = order
        return len(records)

    @property
    def totals(self) -> dict[str, Decimal]:
        return {key: order.total for key, order in self.orders.items()}


def paths(shop: WooSandbox) -> list[str]:
    return [path for _, path, _ in shop.server.traffic.requests]


def test_the_first_pull_brings_every_order_with_its_exact_total(start: StartsShop) -> None:
    shop = start(orders=230)
    store = Store(session_of(shop))
    store.pull()
    assert store.totals == shop.totals()
    assert [key for key, order in store.orders.items() if close_gap(order)[1] != 0] == []
    assert store.cursor["phase"] == "changes"


def test_a_pull_without_news_asks_twice_and_brings_only_the_overlap(start: StartsShop) -> None:
    shop = start(orders=230)
    store = Store(session_of(shop))
    store.pull()
    shop.server.traffic.requests.clear()
    assert store.pull() == 2
    assert [path for path in paths(shop) if path == "/orders"] == ["/orders"]
    assert len(paths(shop)) <= 3


def test_pages_without_refunds_are_the_answer_byte_for_byte(start: StartsShop) -> None:
    shop = start(orders=3)
    store = Store(session_of(shop))
    store.pull()
    assert store.bodies[0].startswith(b'[{"id":')


def test_no_customer_data_leaves_the_shop(start: StartsShop) -> None:
    shop = start(orders=40)
    store = Store(session_of(shop))
    store.pull()
    text = b"".join(store.bodies)
    for word in (b"shop.invalid", b"Street", b"Buyer", b"192.0.2.1", b"phone", b"first_name", b'practice"'):
        assert word not in text
    assert {order.customer.country for order in store.orders.values() if order.customer} <= {"MX", "US", "GT"}


def test_new_and_changed_orders_come_with_the_next_pull(start: StartsShop) -> None:
    shop = start(orders=30)
    store = Store(session_of(shop))
    store.pull()
    shop.place_order({"HUB-001": 2, "HUB-017": 1})
    shop.edit_order(shop.order_ids()[4])
    shop.shop.set_status(int(shop.order_ids()[2]), "completed")
    store.pull()
    assert store.totals == shop.totals()
    assert store.orders[shop.order_ids()[2]].state is OrderState.CLOSED


def test_edits_within_the_second_of_the_watermark_are_found(start: StartsShop) -> None:
    moment = [datetime(2026, 12, 1, 9, 0, tzinfo=UTC)]
    shop = start(orders=12, clock=lambda: moment[0])
    store = Store(session_of(shop))
    store.pull()
    for order_id in shop.order_ids()[:3]:
        shop.edit_order(order_id)
        store.pull()
        shop.edit_order(order_id)
        store.pull()
    assert store.totals == shop.totals()


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Madrid", "America/Mexico_City", "Asia/Kolkata", "Pacific/Auckland", "America/St_Johns"]
)
def test_any_time_zone_of_the_site_finds_the_same_changes(start: StartsShop, zone: str) -> None:
    shop = start(orders=20, time_zone=zone)
    store = Store(session_of(shop))
    store.pull()
    shop.advance_clock(3600)
    changed = shop.order_ids()[3]
    shop.edit_order(changed)
    shop.server.traffic.requests.clear()
    assert store.pull() == 2
    assert store.totals == shop.totals()
    sent = [query["modified_after"] for _, _, query in shop.server.traffic.requests if "modified_after" in query]
    assert all("Z" not in text and "+" not in text for text in sent)


def test_a_bulk_edit_of_more_orders_than_a_page_in_one_second(start: StartsShop) -> None:
    moment = [datetime(2026, 12, 1, 9, 0, tzinfo=UTC)]
    shop = start(orders=60, clock=lambda: moment[0])
    store = Store(session_of(shop, page_size="10"))
    store.pull()
    for order_id in shop.order_ids():
        shop.edit_order(order_id)
    store.pull()
    assert store.totals == shop.totals()


def test_two_writers_change_orders_during_the_walk_and_none_is_missed(start: StartsShop) -> None:
    shop = start(orders=240)
    store = Store(session_of(shop, page_size="20"))
    shop.server.traffic.delay_seconds = 0.01
    stop = threading.Event()

    def writer(first: int) -> None:
        ids = shop.order_ids()[first::2]
        number = 0
        while not stop.is_set():
            order_id = int(ids[(number * 37) % len(ids)])
            if number % 11 == 10:
                shop.place_order({"HUB-002": 1})
            elif number % 7 == 6:
                shop.shop.set_status(order_id, ("processing", "completed", "on-hold")[number % 3])
            else:
                shop.edit_order(str(order_id))
            number += 1
            time.sleep(0.002)

    writers = [threading.Thread(target=writer, args=(first,)) for first in (0, 1)]
    for thread in writers:
        thread.start()
    try:
        store.pull()
        store.pull()
    finally:
        stop.set()
        for thread in writers:
            thread.join()
    store.pull()
    shown = shop.totals()
    assert sorted(shown.keys() - store.totals.keys()) == []
    assert {key: (store.totals[key], total) for key, total in shown.items() if store.totals[key] != total} == {}


def test_orders_deleted_during_the_walk_hide_no_others(start: StartsShop) -> None:
    shop = start(orders=120)
    store = Store(session_of(shop, page_size="10", concurrency="2"))
    assert CHANNEL.order_source is not None
    for number, page in enumerate(CHANNEL.order_source(store.session, PullRequest({}))):
        store.take(page)
        if number < 8:
            shop.delete_order(shop.order_ids()[0])
            shop.shop.set_status(int(shop.order_ids()[1]), "trash")
    assert sorted(shop.totals().keys() - store.totals.keys()) == []


def test_a_killed_walk_goes_on_at_its_page(start: StartsShop) -> None:
    shop = start(orders=100)
    store = Store(session_of(shop, page_size="10", concurrency="1"))
    assert CHANNEL.order_source is not None
    pages = CHANNEL.order_source(store.session, PullRequest({}, placed_from=datetime(2026, 10, 10, tzinfo=UTC)))
    for _ in range(4):
        page = next(pages)
        store.take(page)
        store.cursor = page.cursor
    pages.close()  # type: ignore[attr-defined]
    assert (store.cursor["phase"], store.cursor["offset"]) == ("walk", 36)
    shop.delete_order(next(iter(store.orders)))
    shop.server.traffic.requests.clear()
    store.pull()
    walked = [query.get("offset") for _, path, query in shop.server.traffic.requests if "after" in query]
    assert walked[0] == "36"
    bound = datetime(2026, 10, 10, tzinfo=UTC)
    wanted = {key for key in shop.totals() if shop.shop.orders[int(key)].created_at >= bound}
    assert wanted - store.totals.keys() == set()


def test_a_full_pull_starts_over_whatever_the_cursor_says(start: StartsShop) -> None:
    shop = start(orders=25)
    store = Store(session_of(shop))
    store.pull()
    assert store.pull(is_full=True) >= 25


def test_orders_from_bounds_the_history_and_the_day_itself_is_in(start: StartsShop) -> None:
    shop = start(orders=90)
    store = Store(session_of(shop, orders_from="2026-10-20"))
    store.pull()
    bound = datetime(2026, 10, 20, tzinfo=UTC)
    wanted = {key for key in shop.totals() if shop.shop.orders[int(key)].created_at >= bound}
    assert wanted - store.totals.keys() == set()
    assert len(store.totals) < 90


def test_an_empty_shop_gives_nothing_and_its_first_order_comes(start: StartsShop) -> None:
    shop = start(orders=0)
    store = Store(session_of(shop))
    assert store.pull() == 0
    shop.place_order({"HUB-003": 1})
    store.pull()
    assert store.totals == shop.totals()


def test_a_stored_cursor_that_cannot_be_read_is_named(start: StartsShop) -> None:
    store = Store(session_of(start(orders=1)))
    store.cursor = {"phase": "changes", "seen": "soon"}
    with pytest.raises(BadPayload, match="cursor"):
        store.pull()


def test_missing_secrets_need_their_owner(start: StartsShop) -> None:
    shop = start(orders=1)
    session = session_of(shop, SandboxAccount(shop.account.settings, {"consumer_key": "ck"}))
    with pytest.raises(NeedsReconnect, match="missing"):
        Store(session).pull()


# ---------------------------------------------------------------------------------------------------- refunds


@pytest.mark.parametrize("has_list", [True, False])
def test_refunds_come_with_their_lines(start: StartsShop, has_list: bool) -> None:
    shop = start(orders=60, traits=ShopTraits(has_refund_list=has_list))
    store = Store(session_of(shop))
    store.pull()
    for record in shop.shop.orders.values():
        refunds = store.orders[str(record.order_id)].refunds
        assert [refund.paid_amount for refund in refunds] == [refund.amount for refund in record.refunds]
        assert [len(refund.lines) for refund in refunds] == [len(refund.lines) for refund in record.refunds]
    assert [path for path in paths(shop) if path == "/refunds"] != []
    assert any(path.endswith("/refunds") and path != "/refunds" for path in paths(shop)) is not has_list


def test_restocked_units_are_told_and_others_are_not(start: StartsShop) -> None:
    shop = start(orders=0)
    ids = [int(shop.place_order({"HUB-004": 3})) for _ in range(2)]
    for order_id, is_restocked in zip(ids, (True, False), strict=True):
        shop.shop.set_status(order_id, "completed")
        line_id = shop.shop.orders[order_id].lines[0].line_id
        shop.advance_clock(60)
        shop.shop.refund(order_id, {line_id: 2}, is_restocked=is_restocked)
    store = Store(session_of(shop))
    store.pull()
    told = [store.orders[str(order_id)].refunds[0].lines[0] for order_id in ids]
    assert [(line.quantity, line.is_restocked) for line in told] == [(2, True), (2, False)]


def test_a_refund_that_does_not_stamp_its_order_is_seen(start: StartsShop) -> None:
    shop = start(orders=20)
    store = Store(session_of(shop))
    store.pull()
    order_id = next(key for key, order in store.orders.items() if not order.refunds and order.total > 20)
    record = shop.shop.orders[int(order_id)]
    shop.advance_clock(3600)
    stamped = record.modified_at
    shop.shop.refund(int(order_id), {}, amount=Decimal("5.00"))
    record.modified_at = stamped
    shop.shop.revise(record)
    store.pull()
    assert store.orders[order_id].refunds[0].paid_amount == Decimal("5.00")


def test_orders_that_hide_their_refunds_are_asked_one_by_one(start: StartsShop) -> None:
    shop = start(orders=30, traits=ShopTraits(lists_refunds=False))
    store = Store(session_of(shop))
    store.pull()
    refunded = [record for record in shop.shop.orders.values() if record.status == "refunded"]
    assert [len(store.orders[str(record.order_id)].refunds) for record in refunded] == [1] * len(refunded)


# ------------------------------------------------------------------------------------- lookups and reconciliation


def test_ids_of_a_period_are_exact_to_the_second(start: StartsShop) -> None:
    shop = start(orders=120)
    records = sorted(shop.shop.orders.values(), key=lambda record: record.order_id)
    first, last = records[10].created_at, records[50].created_at
    assert CHANNEL.order_ids is not None
    found = list(CHANNEL.order_ids(session_of(shop, page_size="7"), first, last))
    assert found == [str(record.order_id) for record in records[10:50]]


def test_named_orders_come_trashed_ones_too_and_gone_ones_as_tombstones(start: StartsShop) -> None:
    shop = start(orders=20)
    ids = shop.order_ids()
    shop.shop.set_status(int(ids[1]), "trash")
    shop.delete_order(ids[2])
    store = Store(session_of(shop))
    assert CHANNEL.order_lookup is not None
    kinds = []
    for page in CHANNEL.order_lookup(store.session, [ids[0], ids[1], ids[2], "never-there"]):
        kinds.append((page.kind, [record.record_id for record in CHANNEL.split_page(page.kind, page.body)]))
        store.take(page)
    assert kinds == [("orders", [ids[0]]), ("orders", [ids[1]]), ("order_tombstones", [ids[2], "never-there"])]
    assert (store.orders[ids[1]].state, store.orders[ids[1]].channel_state) == (OrderState.CANCELLED, "trash")


def test_somebody_elses_404_is_no_tombstone(start: StartsShop) -> None:
    shop = start(orders=3)
    assert CHANNEL.order_lookup is not None
    for path, body in (("/orders/77", b"<html>not found</html>"), ("/orders", b'{"code":"rest_no_route"}')):
        with FaultProxy(shop.base_url) as proxy:
            fault = Fault(FaultKind.STATUS, status=404, body=body)
            proxy.inject(fault, matches=lambda request, path=path: request.path.endswith(path))
            with pytest.raises(HttpRefused):
                list(CHANNEL.order_lookup(session_of(shop, base_url=proxy.base_url), ["77"]))


def test_a_list_of_refunds_that_fails_ends_the_pull(start: StartsShop) -> None:
    shop = start(orders=3)
    with FaultProxy(shop.base_url) as proxy:
        fault = Fault(FaultKind.STATUS, status=418, body=b"{}")
        proxy.inject(fault, matches=lambda request: request.path.endswith("/refunds"))
        with pytest.raises(HttpRefused):
            Store(session_of(shop, base_url=proxy.base_url)).pull()


@pytest.mark.parametrize(("status", "is_walked"), [(400, True), (418, False)])
def test_a_shop_that_cannot_sort_by_time_is_still_read(start: StartsShop, status: int, is_walked: bool) -> None:
    shop = start(orders=30, traits=ShopTraits(has_time_filter=False))
    with FaultProxy(shop.base_url) as proxy:
        fault = Fault(FaultKind.STATUS, status=status, body=b'{"code":"rest_invalid_param"}')
        proxy.inject(fault, matches=lambda request: orders_only(request) and "order=desc" in request.query)
        store = Store(session_of(shop, base_url=proxy.base_url))
        if not is_walked:
            with pytest.raises(HttpRefused):
                store.pull()
            return
        store.pull()
    assert (store.totals, store.notices) == (shop.totals(), [])


@pytest.mark.parametrize("body", [b'{"orders": 3}', b'[{"id": 1}]'])
def test_an_answer_of_another_shape_ends_the_pull(start: StartsShop, body: bytes) -> None:
    shop = start(orders=3)
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(Fault(FaultKind.STATUS, status=200, body=body), matches=orders_only, times=FOREVER)
        with pytest.raises((BadPayload, RetryLater)):
            Store(session_of(shop, base_url=proxy.base_url)).pull()


def test_more_refunds_than_a_page_holds_are_each_read_once(start: StartsShop) -> None:
    shop = start(orders=1)
    order_id = shop.order_ids()[0]
    for _ in range(210):
        shop.shop.refund(int(order_id), {}, amount=Decimal("0.01"))
    for has_list in (True, False):
        shop.server.routes.traits = ShopTraits(has_refund_list=has_list)
        store = Store(session_of(shop))
        store.pull()
        refunds = store.orders[order_id].refunds
        assert (len(refunds), len({refund.refund_id for refund in refunds})) == (210, 210)


# --------------------------------------------------------------------------------------------------- odd shops


def test_a_shop_without_time_filter_is_walked_whole_and_said_so(start: StartsShop) -> None:
    shop = start(orders=50, traits=ShopTraits(has_time_filter=False))
    store = Store(session_of(shop, page_size="10"))
    for _ in range(3):
        store.pull()
        shop.edit_order(shop.order_ids()[3])
    store.pull()
    assert store.totals == shop.totals()
    assert set(store.notices) == {"modified_after"}


@pytest.mark.parametrize("zone", ["America/Mexico_City", "Pacific/Auckland"])
def test_a_shop_that_misreads_utc_is_noticed(start: StartsShop, zone: str) -> None:
    shop = start(orders=30, time_zone=zone, traits=ShopTraits(honours_gmt=False))
    store = Store(session_of(shop, page_size="10"))
    store.pull()
    shop.advance_clock(60)
    shop.edit_order(shop.order_ids()[3])
    store.pull()
    store.pull()
    assert store.totals == shop.totals()


def orders_only(request: SeenRequest) -> bool:
    return request.path.endswith("/orders")


def test_a_shop_that_cannot_build_whole_pages_gives_halves(start: StartsShop) -> None:
    shop = start(orders=130)
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(
            Fault(FaultKind.STATUS, status=504),
            matches=lambda request: orders_only(request) and "per_page=100" in request.query,
            times=FOREVER,
        )
        store = Store(session_of(shop, base_url=proxy.base_url))
        store.pull()
        sizes = {request.query.rpartition("per_page=")[2].partition("&")[0] for request in proxy.requests(orders_only)}
    assert store.totals == shop.totals()
    assert sizes == {"1", "100", "51", "50"}


def test_a_shop_that_is_down_ends_the_pull_for_later(start: StartsShop) -> None:
    shop = start(orders=130)
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(Fault(FaultKind.STATUS, status=500), matches=orders_only, times=FOREVER)
        with pytest.raises(RetryLater):
            Store(session_of(shop, base_url=proxy.base_url)).pull()


def test_an_answer_to_another_question_is_asked_again(start: StartsShop) -> None:
    shop = start(orders=60)
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(Fault(FaultKind.PREVIOUS_ANSWER), matches=orders_only, nth=2)
        store = Store(session_of(shop, base_url=proxy.base_url))
        store.pull()
    assert store.totals == shop.totals()


def test_a_broken_order_costs_only_itself(start: StartsShop) -> None:
    shop = start(orders=20)
    broken = shop.order_ids()[5]
    shop.break_order(broken)
    session = session_of(shop)
    assert CHANNEL.order_source is not None
    good, bad = set(), set()
    for page in CHANNEL.order_source(session, PullRequest({})):
        for record in CHANNEL.split_page(page.kind, page.body):
            try:
                CHANNEL.parse_order((record.payload,), session.connection)
                good.add(record.record_id)
            except BadPayload:
                bad.add(record.record_id)
    assert (bad, len(good)) == ({broken}, 19)


def test_more_requests_at_once_make_a_slow_shop_faster(start: StartsShop) -> None:
    shop = start(orders=120)
    shop.server.traffic.delay_seconds = 0.25
    seconds = {}
    for workers in ("1", "6"):
        store = Store(session_of(shop, page_size="10", concurrency=workers))
        began = time.monotonic()
        assert CHANNEL.order_source is not None
        for page in CHANNEL.order_source(store.session, PullRequest({})):
            store.bodies.append(page.body)
        seconds[workers] = time.monotonic() - began
    assert seconds["1"] / seconds["6"] > 2.5


def test_settings_of_a_session_may_point_elsewhere(start: StartsShop) -> None:
    shop = start(orders=5)
    session = session_of(shop)
    connection = replace(
        session.connection, settings={"url": "https://shop.invalid", "base_url": f"{shop.base_url}/wp-json/wc/v3/"}
    )
    store = Store(replace(session, connection=connection))
    store.pull()
    assert store.totals == shop.totals()


def test_the_clock_of_the_shop_may_be_set_back(start: StartsShop) -> None:
    shop = start(orders=10)
    store = Store(session_of(shop))
    store.pull()
    shop.advance_clock(120)
    shop.edit_order(shop.order_ids()[0])
    store.pull()
    shop.advance_clock(-timedelta(seconds=100).total_seconds())
    shop.edit_order(shop.order_ids()[1])
    store.pull()
    assert store.totals == shop.totals()
