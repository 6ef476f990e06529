"""Listings and levels of a practice shop: what is offered, what is read, what is written and what is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from connectors.woocommerce import CHANNEL
from connectors.woocommerce.levels import Level, Target, level_of, target_of
from connectors.woocommerce.sandbox import WooSandbox, start_sandbox
from connectors.woocommerce.sandbox_records import Product
from connectors.woocommerce.sandbox_routes import ShopTraits
from oms_hub.channel.contract import (
    ChannelSession,
    Connection,
    ListingRecord,
    ListingRef,
    ObservedLevel,
    PushOutcome,
    PushResult,
    SandboxAccount,
    StockWrite,
)
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
    connection = Connection(1, "shop", "woocommerce", "m", "MXN", "UTC", {**account.settings, **settings})
    return ChannelSession(connection, PlainSecrets(account.secrets), shop.shop.now, lambda _seconds: None)


@pytest.fixture
def start() -> Iterator[StartsShop]:
    shops: list[WooSandbox] = []

    def starts(**more: Any) -> WooSandbox:
        shops.append(start_sandbox(orders=0, **more))
        return shops[-1]

    yield starts
    for shop in shops:
        shop.close()


@pytest.fixture
def shop(start: StartsShop) -> WooSandbox:
    return start()


def listings_of(shop: WooSandbox) -> dict[str, ListingRecord]:
    assert CHANNEL.listing_source is not None
    return {row.listing_key: row for batch in CHANNEL.listing_source(session_of(shop)) for row in batch}


def by_sku(shop: WooSandbox, sku: str) -> ListingRecord:
    return next(row for row in listings_of(shop).values() if row.sku == sku)


def levels_of(shop: WooSandbox, keys: Sequence[str]) -> dict[str, ObservedLevel]:
    assert CHANNEL.stock_source is not None
    return {row.listing_key: row for row in CHANNEL.stock_source(session_of(shop), [ListingRef(key) for key in keys])}


def write(
    session: ChannelSession, levels: Mapping[str, int], expected: Mapping[str, int] | None = None
) -> dict[str, PushOutcome]:
    assert CHANNEL.stock_sink is not None
    writes = [StockWrite(ListingRef(key), number, (expected or {}).get(key), "k") for key, number in levels.items()]
    outcomes = CHANNEL.stock_sink(session, writes)
    assert sorted(outcome.listing_key for outcome in outcomes) == sorted(levels)
    return {outcome.listing_key: outcome for outcome in outcomes}


def is_batch(request: SeenRequest) -> bool:
    return request.path.endswith("/batch")


# --------------------------------------------------------------------------------------------------- listings


@pytest.mark.parametrize("has_list", [True, False])
def test_all_goods_are_listed_with_what_may_be_written(start: StartsShop, has_list: bool) -> None:
    shop = start(traits=ShopTraits(has_variation_list=has_list))
    found = listings_of(shop)
    assert {row.sku for row in found.values() if row.is_writable} == {
        *(f"HUB-{number:03d}" for number in range(1, 21)),
        "CAFÉ /&+ 01",
        None,
        "DUP-1",
        "ROPE-1",
        "DRAFT-1",
        "TEE",
    }
    assert {row.sku for row in found.values() if not row.is_tracked} == {"SERVICE-1", "EXT-1"}
    assert [row.sku for row in found.values()].count("DUP-1") == 2
    assert {row.sku for row in found.values() if not row.is_active} == {"DRAFT-1"}
    tee_s = by_sku(shop, "TEE-S")
    assert (tee_s.is_tracked, tee_s.is_writable, tee_s.attributes["managed_by"]) == (True, False, tee_s.parent_key)
    mug = by_sku(shop, "HUB-017")
    assert mug.listing_key == f"variation:{mug.attributes['product_id']}:{mug.attributes['variation_id']}"
    assert (mug.title, mug.parent_key) == ("Taza 1 杯子", f"product:{mug.attributes['product_id']}")
    assert by_sku(shop, "HUB-001").barcode == "7500000000001"


def test_a_parent_that_keeps_no_stock_and_a_group_are_no_listings(shop: WooSandbox) -> None:
    shop.shop.products[9001] = Product(9001, "Set", "SET", shop.shop.products[1002].price, None, kind="grouped")
    keys = listings_of(shop)
    assert "product:9001" not in keys
    assert "product:1001" not in keys


def test_a_shop_of_simple_goods_is_not_asked_for_variations(shop: WooSandbox) -> None:
    shop.shop.products = {key: row for key, row in shop.shop.products.items() if row.kind == "simple"}
    assert len(listings_of(shop)) == 24
    assert [path for _, path, _ in shop.server.traffic.requests if "variations" in path] == []


def test_an_unexpected_refusal_while_listing_is_not_swallowed(shop: WooSandbox) -> None:
    assert CHANNEL.listing_source is not None
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(
            Fault(FaultKind.STATUS, status=418), matches=lambda request: "variations" in request.path, times=FOREVER
        )
        session = session_of(shop, base_url=proxy.base_url)
        with pytest.raises(Exception, match="418"):
            list(CHANNEL.listing_source(session))
        assert CHANNEL.stock_source is not None
        with pytest.raises(Exception, match="418"):
            list(CHANNEL.stock_source(session, [ListingRef("variation:1001:1018")]))


# ----------------------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize("has_list", [True, False])
def test_levels_are_read_as_buyers_see_them(start: StartsShop, has_list: bool) -> None:
    shop = start(traits=ShopTraits(has_variation_list=has_list))
    found = listings_of(shop)
    levels = levels_of(shop, list(found))
    assert {key: row.available for key, row in levels.items() if found[key].sku} == {
        key: shop.level(row.sku) for key, row in found.items() if row.sku
    }
    rope = by_sku(shop, "ROPE-1").listing_key
    assert (levels[rope].available, levels[rope].note) == (2, "the shop keeps 2.5, of which whole units are counted")
    service = by_sku(shop, "SERVICE-1").listing_key
    assert (levels[service].available, "off" in levels[service].note) == (None, True)


def test_goods_that_are_gone_read_as_none_with_the_reason(shop: WooSandbox) -> None:
    levels = levels_of(shop, ["product:77", "variation:77:78", "variation:1001:79"])
    assert [(row.available, row.note) for row in levels.values()] == [(None, "the shop does not have it any more")] * 3


def test_levels_of_many_listings_are_read_in_hundreds(shop: WooSandbox) -> None:
    levels_of(shop, [f"product:{number}" for number in range(2000, 2250)])
    sizes = [len(query["include"].split(",")) for _, _, query in shop.server.traffic.requests]
    assert sizes == [100, 100, 50]


@pytest.mark.parametrize("key", ["product:x", "variation:1", "product:1:2", "thing:1", ""])
def test_a_foreign_listing_key_is_refused(key: str) -> None:
    with pytest.raises(BadPayload, match="listing key"):
        target_of(key)


def test_rows_without_a_number_have_no_level() -> None:
    assert level_of({"manage_stock": True, "stock_quantity": None}) == Level(None, "the shop tells no quantity")
    assert level_of({"manage_stock": "parent", "stock_quantity": -3}) == Level(-3, "", is_of_parent=True)
    assert target_of("variation:4:5") == Target(4, 5)


# ----------------------------------------------------------------------------------------------------- writes


def test_writes_go_out_grouped_and_are_read_back(shop: WooSandbox) -> None:
    levels = {by_sku(shop, sku).listing_key: number for number, sku in enumerate(("HUB-001", "HUB-017", "HUB-018"))}
    shop.server.traffic.requests.clear()
    outcomes = write(session_of(shop), levels)
    assert [(row.result, row.observed) for row in outcomes.values()] == [
        (PushResult.APPLIED, 0),
        (PushResult.APPLIED, 1),
        (PushResult.APPLIED, 2),
    ]
    assert [shop.level(sku) for sku in ("HUB-001", "HUB-017", "HUB-018")] == [0, 1, 2]
    assert [(method, path) for method, path, _ in shop.server.traffic.requests] == [
        ("POST", "/products/batch"),
        ("POST", "/products/1001/variations/batch"),
        ("GET", "/products"),
        ("GET", "/variations"),
    ]


def test_what_the_shop_ignores_or_refuses_is_rejected_and_hides_nothing(shop: WooSandbox) -> None:
    good = by_sku(shop, "HUB-005").listing_key
    untracked, of_parent = by_sku(shop, "SERVICE-1").listing_key, by_sku(shop, "TEE-S").listing_key
    variation_as_product = f"product:{by_sku(shop, 'HUB-019').attributes['variation_id']}"
    outcomes = write(
        session_of(shop), {good: 9, untracked: 9, of_parent: 9, variation_as_product: 9, "product:404404": 9}
    )
    assert {key: row.result for key, row in outcomes.items()} == {
        good: PushResult.APPLIED,
        untracked: PushResult.REJECTED,
        of_parent: PushResult.REJECTED,
        variation_as_product: PushResult.REJECTED,
        "product:404404": PushResult.REJECTED,
    }
    assert (shop.level("HUB-005"), shop.level("SERVICE-1"), shop.level("TEE"), shop.level("HUB-019")) == (
        9,
        None,
        33,
        135,
    )
    assert "woocommerce_rest_product_invalid_id" in outcomes["product:404404"].reason
    assert "parent product" in outcomes[of_parent].reason


def test_stock_management_is_never_switched_on(shop: WooSandbox) -> None:
    key = by_sku(shop, "SERVICE-1").listing_key
    write(session_of(shop), {key: 5})
    assert shop.shop.sellable("SERVICE-1").manage_stock is False


def test_a_level_that_still_shows_the_old_number_is_unknown(shop: WooSandbox) -> None:
    key = by_sku(shop, "HUB-001").listing_key
    with FaultProxy(shop.base_url) as proxy:
        proxy.before(lambda: shop.set_level("HUB-001", 45), matches=lambda request: request.method == "GET")
        outcomes = write(session_of(shop, base_url=proxy.base_url), {key: 7}, {key: 45})
    assert (outcomes[key].result, outcomes[key].observed) == (PushResult.UNKNOWN, 45)


def test_a_sale_between_write_and_reading_back_shows_in_what_was_observed(shop: WooSandbox) -> None:
    key = by_sku(shop, "HUB-001").listing_key
    with FaultProxy(shop.base_url) as proxy:
        proxy.before(lambda: shop.place_order({"HUB-001": 2}), matches=lambda request: request.method == "GET")
        outcomes = write(session_of(shop, base_url=proxy.base_url), {key: 7}, {key: 45})
    assert (outcomes[key].result, outcomes[key].observed) == (PushResult.APPLIED, 5)


@pytest.mark.parametrize("kind", [FaultKind.LOST_ANSWER, FaultKind.CUT_BODY, FaultKind.HTML, FaultKind.NO_ANSWER])
def test_a_write_without_answer_is_unknown_and_never_sent_again(shop: WooSandbox, kind: FaultKind) -> None:
    key = by_sku(shop, "HUB-001").listing_key
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(Fault(kind), matches=is_batch, times=FOREVER)
        outcomes = write(session_of(shop, base_url=proxy.base_url), {key: 7}, {key: 45})
        assert len(proxy.requests(is_batch)) == 1
    arrived = kind in {FaultKind.LOST_ANSWER, FaultKind.CUT_BODY}
    assert (outcomes[key].result, outcomes[key].observed) == (PushResult.UNKNOWN, 7 if arrived else 45)


def test_after_a_batch_without_answer_the_next_ones_are_smaller(shop: WooSandbox) -> None:
    keys = [f"product:{number}" for number in range(1002, 1012)]
    mugs = [by_sku(shop, f"HUB-0{number}").listing_key for number in (17, 18, 19)]
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(Fault(FaultKind.LOST_ANSWER), matches=is_batch)
        session = session_of(shop, base_url=proxy.base_url)
        outcomes = write(session, {**dict.fromkeys(mugs[:2], 3), **dict.fromkeys(keys[:3], 4)})
        assert len(proxy.requests(is_batch)) == 4
    assert [outcomes[key].result for key in mugs[:2]] == [PushResult.UNKNOWN] * 2
    assert [outcomes[key].result for key in keys[:3]] == [PushResult.APPLIED] * 3


def test_a_batch_that_is_too_large_is_halved(shop: WooSandbox) -> None:
    keys = [f"product:{number}" for number in range(1002, 1006)]
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(Fault(FaultKind.STATUS, status=413), matches=is_batch)
        outcomes = write(session_of(shop, base_url=proxy.base_url), dict.fromkeys(keys, 4))
        assert len(proxy.requests(is_batch)) == 3
    assert {row.result for row in outcomes.values()} == {PushResult.APPLIED}


def test_a_single_row_that_is_too_large_is_rejected(shop: WooSandbox) -> None:
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(Fault(FaultKind.STATUS, status=413), matches=is_batch, times=FOREVER)
        outcomes = write(session_of(shop, base_url=proxy.base_url), {"product:1002": 4})
    assert outcomes["product:1002"].result is PushResult.REJECTED


def test_a_throttled_first_batch_is_raised_and_a_later_one_waits(shop: WooSandbox) -> None:
    mug = by_sku(shop, "HUB-017").listing_key
    throttled = Fault(FaultKind.STATUS, status=429, retry_after="7")
    with FaultProxy(shop.base_url) as proxy:
        session = session_of(shop, base_url=proxy.base_url)
        proxy.inject(throttled, matches=is_batch, times=FOREVER)
        with pytest.raises(RetryLater):
            write(session, {"product:1002": 4, mug: 4})
        assert shop.level("HUB-001") == 45
        proxy.clear()
        proxy.inject(throttled, matches=lambda request: "variations/batch" in request.path, times=FOREVER)
        outcomes = write(session, {"product:1002": 4, mug: 4})
    assert outcomes["product:1002"].result is PushResult.APPLIED
    assert (outcomes[mug].result, outcomes[mug].after_seconds) == (PushResult.RETRY, 7.0)


def test_a_key_that_may_only_read_needs_its_owner(shop: WooSandbox) -> None:
    with pytest.raises(NeedsReconnect, match="may only read"):
        write(session_of(shop, shop.read_only_account), {"product:1002": 4})
    assert shop.level("HUB-001") == 45


def test_rows_the_answer_does_not_name_are_unknown(shop: WooSandbox) -> None:
    fault = Fault(FaultKind.STATUS, status=200, body=b'{"update": [{"id": 1003, "error": "odd"}, 5]}')
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(fault, matches=is_batch)
        outcomes = write(session_of(shop, base_url=proxy.base_url), {"product:1002": 4, "product:1003": 4})
    assert (outcomes["product:1002"].result, outcomes["product:1002"].observed) == (PushResult.UNKNOWN, 45)
    assert (outcomes["product:1003"].result, outcomes["product:1003"].reason) == (
        PushResult.REJECTED,
        "the shop refuses the row",
    )


def test_goods_deleted_while_writing_are_rejected(shop: WooSandbox) -> None:
    with FaultProxy(shop.base_url) as proxy:
        proxy.before(lambda: shop.shop.delete_product(1002), matches=lambda request: request.method == "GET")
        outcomes = write(session_of(shop, base_url=proxy.base_url), {"product:1002": 4})
    assert (outcomes["product:1002"].result, outcomes["product:1002"].observed) == (PushResult.REJECTED, None)


def test_what_cannot_be_read_back_is_unknown(shop: WooSandbox) -> None:
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(
            Fault(FaultKind.STATUS, status=500), matches=lambda request: request.method == "GET", times=FOREVER
        )
        outcomes = write(session_of(shop, base_url=proxy.base_url), {"product:1002": 4})
    assert (outcomes["product:1002"].result, shop.level("HUB-001")) == (PushResult.UNKNOWN, 4)
    assert "could not be read back" in outcomes["product:1002"].reason


def test_writing_nothing_asks_nothing(shop: WooSandbox) -> None:
    assert write(session_of(shop), {}) == {}
    assert shop.server.traffic.requests == []
