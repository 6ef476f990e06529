"""The fake channel beyond what the contract asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from oms_hub.channel.contract import ListingRef, PullRequest, PushResult, StockWriteMode
from oms_hub.domain.orders import ChargeKind, OrderState, close_gap
from oms_hub.errors import BadPayload, Misconfigured
from oms_hub.testing.factories import A_MOMENT, a_connection, a_line, a_session, a_write, an_order
from oms_hub.testing.fake_channel import fake_channel
from oms_hub.testing.fake_shop import FakeShop

CHANNEL = fake_channel()


@pytest.fixture
def shop() -> Iterator[FakeShop]:
    shop = FakeShop(orders=25, seed=3)
    yield shop
    shop.close()


@pytest.fixture
def session(shop):
    return a_session(shop.account.settings, shop.account.secrets)


def test_the_same_seed_gives_the_same_shop(shop):
    other = CHANNEL.sandbox(orders=25, seed=3)
    assert (other.totals(), other.level("CUP-03")) == (shop.totals(), shop.level("CUP-03"))
    other.close()


def test_orders_are_walked_in_pages_that_add_up(session, shop):
    pages = list(CHANNEL.order_source(session, PullRequest({})))
    orders = [
        CHANNEL.parse_order([record.payload], session.connection)
        for page in pages
        for record in CHANNEL.split_page(page.kind, page.body)
    ]
    assert [len(CHANNEL.split_page(page.kind, page.body)) for page in pages] == [10, 10, 5]
    assert {order.channel_order_id: order.total for order in orders} == shop.totals()
    assert [close_gap(order)[1] for order in orders] == [Decimal(0)] * 25


def test_a_backfill_has_a_lower_bound(session, shop):
    shop.advance_clock(10**6)
    order_id = shop.place_order({"CUP-01": 2})
    shop.advance_clock(1)
    lower = A_MOMENT - timedelta(days=12)
    pages = list(CHANNEL.order_source(session, PullRequest({"watermark": "x"}, is_full=True, placed_from=lower)))
    found = [record.record_id for page in pages for record in CHANNEL.split_page(page.kind, page.body)]
    assert found == [order_id]


def test_an_empty_shop_gives_one_page_and_no_watermark():
    shop = FakeShop(orders=0)
    session = a_session(shop.account.settings, shop.account.secrets)
    pages = list(CHANNEL.order_source(session, PullRequest({})))
    assert [(page.cursor, CHANNEL.split_page(page.kind, page.body)) for page in pages] == [({}, [])]
    shop.close()


def test_named_orders_come_with_tombstones_for_those_that_are_gone(session, shop):
    shop.delete_order("1002")
    pages = list(CHANNEL.order_lookup(session, ["1001", "1002"]))
    assert [(page.kind, [row.record_id for row in CHANNEL.split_page(page.kind, page.body)]) for page in pages] == [
        ("orders", ["1001"]),
        ("order_tombstones", ["1002"]),
    ]
    assert [page.kind for page in CHANNEL.order_lookup(session, ["1001"])] == ["orders"]


def test_ids_never_come_again(shop):
    shop.delete_order("1025")
    assert shop.place_order({"CUP-01": 1}) == "1026"


@pytest.mark.parametrize("body", [b"{}", b'{"orders": [{}]}', b'{"orders": [{"id": "1", "updated_at": "x"}]}', b"[]"])
def test_a_page_without_orders_is_a_bad_payload(body):
    with pytest.raises(BadPayload):
        CHANNEL.split_page("orders", body)


def test_a_check_says_what_is_wrong(session, shop):
    assert [result.is_ok for result in CHANNEL.check(session)] == [True]
    wrong = a_session(shop.account.settings, {"token": "wrong"})
    (result,) = CHANNEL.check(wrong)
    assert (result.is_ok, "401 (bad_token)" in result.detail) == (False, True)


def test_settings_are_checked_before_any_request():
    CHANNEL.check_settings({"base_url": "https://shop.example"})
    for settings, reason in (({}, "missing"), ({"base_url": "http://shop.example"}, "plain http")):
        with pytest.raises(Misconfigured, match=reason):
            CHANNEL.check_settings(settings)


def test_a_channel_may_be_without_stock():
    channel = fake_channel(name="orders_only", stock_write=None)
    assert (channel.name, channel.stock_source, channel.stock_sink) == ("orders_only", None, None)
    assert channel.capabilities.stock_write is None


def test_a_repeated_idempotency_key_changes_nothing(session, shop):
    write = a_write("L1", 5, expected=shop.level("CUP-01"))
    first = CHANNEL.stock_sink(session, [write])
    shop.set_level("CUP-01", 9)
    assert (CHANNEL.stock_sink(session, [write]), shop.level("CUP-01")) == (first, 9)
    assert [row.result for row in first] == [PushResult.APPLIED]


def test_a_delta_moves_the_level_by_the_difference():
    shop = FakeShop(orders=0, write_mode=StockWriteMode.DELTA)
    session = a_session(shop.account.settings, shop.account.secrets)
    shop.set_level("CUP-01", 10)
    write = a_write("L1", 7, expected=10)
    shop.place_order({"CUP-01": 4})
    fake_channel(stock_write=StockWriteMode.DELTA).stock_sink(session, [write])
    assert shop.level("CUP-01") == 3
    shop.close()


def test_a_level_of_an_unknown_listing_is_left_out(session):
    levels = list(CHANNEL.stock_source(session, [ListingRef("L1"), ListingRef("none")]))
    assert [level.listing_key for level in levels] == ["L1"]


def test_unknown_routes_are_refused(session, shop):
    from oms_hub.channel.http import HttpRefused, open_client

    with (
        open_client(session, shop.base_url, headers={"x-token": "practice-token"}) as client,
        pytest.raises(HttpRefused, match="no_route"),
    ):
        client.get_json("/nowhere")


def test_factories_make_orders_that_add_up():
    order = an_order("7", a_line(quantity=3, price="1.10"), a_line("2", sku="CUP-02"), state=OrderState.CLOSED)
    assert (order.total, order.state, close_gap(order)[1]) == (Decimal("13.30"), OrderState.CLOSED, Decimal(0))
    short = an_order(total=Decimal(9))
    assert [charge.kind for charge in close_gap(short)[0].charges] == [ChargeKind.ADJUSTMENT]
    assert replace(a_connection(), name="x") == a_connection(name="x")


def test_given_secrets_can_be_replaced():
    secrets = a_session(secrets={"a": "1"}).secrets
    with secrets.lock():
        secrets.replace({"b": "2"})
    assert (secrets.get("a"), secrets.get("b"), secrets.get("c")) == ("1", "2", None)
