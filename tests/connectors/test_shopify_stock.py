"""Listings, locations, levels and their writing, against the practice shop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from connectors.shopify import CHANNEL
from connectors.shopify.listings import listing_source, locations
from connectors.shopify.sandbox import RunningShop, start_sandbox
from connectors.shopify.sandbox_graphql import ALL_SCOPES, Rules
from connectors.shopify.stock import stock_sink, stock_source
from oms_hub.channel.contract import (
    ChannelLocation,
    ChannelSession,
    CheckResult,
    ListingRecord,
    ListingRef,
    PushOutcome,
    PushResult,
    StockWrite,
)
from oms_hub.errors import BadPayload, Misconfigured, NeedsReconnect, RetryLater
from oms_hub.testing.factories import a_session

MAIN, STORE = "gid://shopify/Location/9001", "gid://shopify/Location/9002"


class Tap(httpx.BaseTransport):
    """Lets requests through; may change an answer, or lose it."""

    def __init__(self) -> None:
        self._inner = httpx.HTTPTransport()
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.change: Callable[[str, dict[str, Any]], object] = lambda _name, _answer: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        self.sent.append((asked["operationName"], asked["variables"]))
        response = self._inner.handle_request(request)
        response.read()
        answer = response.json()
        self.change(asked["operationName"], answer)
        return httpx.Response(response.status_code, json=answer)

    def close(self) -> None:
        """Stay open: one tap serves several clients."""

    def end(self) -> None:
        self._inner.close()


@pytest.fixture
def tap() -> Iterator[Tap]:
    tapped = Tap()
    yield tapped
    tapped.end()


@pytest.fixture
def shop() -> Iterator[RunningShop]:
    running = start_sandbox(orders=6)
    yield running
    running.close()


def session_of(shop: RunningShop, **changes: Any) -> ChannelSession:
    return a_session(shop.account.settings, shop.account.secrets, **changes)


def listings_of(session: ChannelSession) -> dict[str, ListingRecord]:
    return {row.title: row for batch in listing_source(session) for row in batch}


def key_of(session: ChannelSession, sku: str) -> str:
    return next(row.listing_key for row in listings_of(session).values() if row.sku == sku)


def written(session: ChannelSession, *writes: StockWrite) -> dict[str, PushOutcome]:
    return {row.listing_key: row for row in stock_sink(session, writes)}


def a_write(shop: RunningShop, session: ChannelSession, sku: str, quantity: int, **changes: Any) -> StockWrite:
    key = key_of(session, sku)
    write = StockWrite(ListingRef(key), quantity, shop.level(sku), f"{sku} {quantity}")
    return replace(write, **changes)


# ---------------------------------------------------------------------------------------------- listings and places


def test_listings_are_variants_by_their_inventory_item(shop: RunningShop) -> None:
    found = listings_of(session_of(shop))
    assert len(found) == 28
    assert found["Pluma de ñandú"] == ListingRecord(
        "gid://shopify/InventoryItem/50100",
        "SHP-ÑANDÚ 01/á",
        "Pluma de ñandú",
        parent_key="gid://shopify/Product/45100",
        attributes={"variant": "gid://shopify/ProductVariant/40100", "duplicate_sku_count": "0"},
    )
    assert (found["Taller de cerámica"].is_tracked, found["Paquete de desayuno"].is_writable) == (False, False)
    assert found["Muestra sin código"].sku is None
    assert found["Imán (rojo)"].attributes["duplicate_sku_count"] == "1"
    assert {f"HUB-{number:03d}" for number in range(1, 21)} <= {row.sku for row in found.values()}


def test_a_variant_of_the_wrong_shape_is_refused(shop: RunningShop, tap: Tap) -> None:
    def spoil(_name: str, answer: dict[str, Any]) -> None:
        answer["data"]["productVariants"]["nodes"][0]["inventoryItem"] = None

    tap.change = spoil
    with pytest.raises(BadPayload, match="a variant"):
        list(listing_source(session_of(shop, transport=tap)))


def test_listings_come_page_by_page(shop: RunningShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.shopify.sandbox_graphql.QUERY_MAX", 40)
    session = session_of(shop)
    batches = [len(batch) for batch in listing_source(session)]
    assert sum(batches) == 28
    assert len(batches) > 2


def test_the_default_location_ships_online_orders(shop: RunningShop) -> None:
    assert list(locations(session_of(shop))) == [
        ChannelLocation(STORE, "Tienda Coyoacán"),
        ChannelLocation(MAIN, "Bodega Centro", is_default=True),
    ]


def with_location(shop: RunningShop, location: str) -> ChannelSession:
    return a_session({**shop.account.settings, "location": location}, shop.account.secrets)


@pytest.mark.parametrize("location", ["9002", STORE])
def test_a_chosen_location_is_the_default(shop: RunningShop, location: str) -> None:
    session = with_location(shop, location)
    assert [row.is_default for row in locations(session)] == [True, False]
    key = key_of(session, "SHP-TIENDA")
    assert [level.available for level in stock_source(session, [ListingRef(key)])] == [30]


def test_a_location_that_is_not_the_shops_is_refused_with_its_choices(shop: RunningShop) -> None:
    with pytest.raises(Misconfigured) as caught:
        locations(with_location(shop, "1"))
    assert caught.value.remedy == "Set location to one of: 9002 (Tienda Coyoacán), 9001 (Bodega Centro)"


def test_a_shop_without_a_place_of_its_own_says_so(shop: RunningShop, tap: Tap) -> None:
    def close_down(name: str, answer: dict[str, Any]) -> None:
        if name == "LocationsPage":
            for node in answer["data"]["locations"]["nodes"]:
                node["isActive"] = False

    tap.change = close_down
    session = session_of(shop, transport=tap)
    with pytest.raises(Misconfigured, match="no active location"):
        list(stock_source(session, [ListingRef("gid://shopify/InventoryItem/50000")]))
    assert "levels cannot be read" in {row.step: row.detail for row in CHANNEL.check(session)}["location"]


# ----------------------------------------------------------------------------------------------------------- levels


def test_levels_tell_what_can_be_sold_and_what_is_there(shop: RunningShop) -> None:
    session = session_of(shop)
    shop.set_level("HUB-001", 40)
    shop.place_order({"HUB-001": 3})
    level = next(iter(stock_source(session, [ListingRef(key_of(session, "HUB-001"))])))
    assert (level.available, level.channel_location_id, level.note) == (37, MAIN, "")
    assert level.on_hand is not None
    assert level.on_hand >= 40


def test_a_level_that_is_none_says_why(shop: RunningShop) -> None:
    session = session_of(shop)
    skus = ("SHP-TALLER", "SHP-TIENDA")
    refs = [*(ListingRef(key_of(session, sku)) for sku in skus), ListingRef("gid://shopify/InventoryItem/1")]
    assert [(level.available, level.note) for level in stock_source(session, refs)] == [
        (None, "the shop keeps no quantity for it"),
        (None, "not stocked at this location"),
        (None, "the shop has no such inventory item"),
    ]


def test_a_listing_may_name_its_own_place(shop: RunningShop, tap: Tap) -> None:
    session = session_of(shop, transport=tap)
    key = "gid://shopify/InventoryItem/50107"
    assert [level.available for level in stock_source(session, [ListingRef(key, STORE)])] == [30]
    assert [name for name, _ in tap.sent] == ["Levels"]


# ---------------------------------------------------------------------------------------------------------- writing


def test_levels_are_written_in_one_call_with_what_they_replace(shop: RunningShop, tap: Tap) -> None:
    session = session_of(shop, transport=tap)
    first, second = a_write(shop, session, "HUB-001", 5), a_write(shop, session, "HUB-002", 6)
    tap.sent.clear()
    outcomes = written(session, first, second)
    assert [(row.result, row.observed) for row in outcomes.values()] == [
        (PushResult.APPLIED, 5),
        (PushResult.APPLIED, 6),
    ]
    assert (shop.level("HUB-001"), shop.level("HUB-002")) == (5, 6)
    assert [name for name, _ in tap.sent] == ["LocationsPage", "SetQuantities"]
    rows = tap.sent[1][1]["input"]["quantities"]
    assert [row["changeFromQuantity"] for row in rows] == [first.expected, second.expected]


def test_committed_units_stay_out_of_what_is_written(shop: RunningShop) -> None:
    session = session_of(shop)
    shop.place_order({"HUB-003": 2})
    written(session, a_write(shop, session, "HUB-003", 9))
    level = next(iter(stock_source(session, [ListingRef(key_of(session, "HUB-003"))])))
    assert level.available == 9
    assert level.on_hand is not None
    assert level.on_hand >= 11


def test_a_stale_row_is_stale_and_its_neighbours_are_sent_again_later(shop: RunningShop) -> None:
    session = session_of(shop)
    stale = a_write(shop, session, "HUB-001", 5, expected=-4)
    fresh = a_write(shop, session, "HUB-002", 6)
    before = shop.level("HUB-002")
    outcomes = written(session, stale, fresh)
    assert outcomes[stale.listing.listing_key].result is PushResult.STALE
    assert outcomes[fresh.listing.listing_key].result is PushResult.RETRY
    assert shop.level("HUB-002") == before


def test_a_row_that_is_refused_for_good_does_not_hold_up_the_others(shop: RunningShop) -> None:
    session = session_of(shop)
    bundle = a_write(shop, session, "SHP-PAQUETE", 5)
    nowhere = StockWrite(ListingRef("gid://shopify/InventoryItem/50001", "gid://shopify/Location/1"), 1, 1, "n")
    good = a_write(shop, session, "HUB-001", 7)
    outcomes = written(session, bundle, nowhere, good)
    assert (outcomes[bundle.listing.listing_key].result, outcomes[bundle.listing.listing_key].reason) == (
        PushResult.REJECTED,
        "NON_MUTABLE_INVENTORY_ITEM",
    )
    assert outcomes[nowhere.listing.listing_key].reason == "INVALID_LOCATION"
    assert outcomes[good.listing.listing_key].result is PushResult.APPLIED
    assert shop.level("HUB-001") == 7


def test_a_listing_named_twice_is_written_once(shop: RunningShop) -> None:
    session = session_of(shop)
    write = a_write(shop, session, "HUB-001", 7)
    outcomes = stock_sink(session, [write, replace(write, quantity=8)])
    assert [(row.result, row.reason) for row in outcomes] == [
        (PushResult.REJECTED, "named twice in one delivery"),
        (PushResult.APPLIED, ""),
    ]
    assert shop.level("HUB-001") == 7


def test_an_unknown_level_is_forced_with_an_explicit_null(shop: RunningShop, tap: Tap) -> None:
    session = session_of(shop, transport=tap)
    write = a_write(shop, session, "HUB-001", 7, expected=None)
    tap.sent.clear()
    assert written(session, write)[write.listing.listing_key].result is PushResult.APPLIED
    assert [name for name, _ in tap.sent] == ["LocationsPage", "Levels", "SetQuantities"]
    assert tap.sent[2][1]["input"]["quantities"][0]["changeFromQuantity"] is None


def test_a_listing_without_a_level_is_stocked_first(shop: RunningShop) -> None:
    session = session_of(shop)
    write = StockWrite(ListingRef("gid://shopify/InventoryItem/50107"), 12, None, "new")
    other = a_write(shop, session, "HUB-001", 7)
    outcomes = written(session, write, other)
    assert outcomes[write.listing.listing_key].reason == "stocked at its location"
    assert {row.result for row in outcomes.values()} == {PushResult.APPLIED}
    assert (shop.level("SHP-TIENDA"), shop.level("HUB-001")) == (12, 7)


def test_a_listing_that_cannot_be_stocked_is_refused(shop: RunningShop, tap: Tap) -> None:
    def refuse(name: str, answer: dict[str, Any]) -> None:
        if name == "Activate":
            errors = [{"field": ["inventoryItemId"], "message": "not possible"}]
            answer["data"]["inventoryActivate"] = {"inventoryLevel": None, "userErrors": errors}

    tap.change = refuse
    session = session_of(shop, transport=tap)
    write = StockWrite(ListingRef("gid://shopify/InventoryItem/50107"), 12, None, "new")
    outcome = written(session, write)[write.listing.listing_key]
    assert (outcome.result, outcome.reason) == (PushResult.REJECTED, "cannot be stocked at its location: not possible")


def refusing(*errors: Mapping[str, Any]) -> Callable[[str, dict[str, Any]], object]:
    def change(name: str, answer: dict[str, Any]) -> None:
        if name == "SetQuantities":
            payload = {"inventoryAdjustmentGroup": None, "userErrors": list(errors)}
            answer["data"]["inventorySetQuantities"] = payload

    return change


@pytest.mark.parametrize(
    ("code", "path", "result"),
    [
        ("IDEMPOTENCY_CONCURRENT_REQUEST", None, PushResult.RETRY),
        ("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", None, PushResult.RETRY),
        ("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", None, PushResult.REJECTED),
        ("INVALID_REASON", ["input", "reason"], PushResult.REJECTED),
        ("CHANGE_FROM_QUANTITY_STALE", ["input", "quantities", "99"], PushResult.STALE),
        (None, ["input", "quantities", "0"], PushResult.RETRY),
    ],
)
def test_each_refusal_has_its_outcome(
    shop: RunningShop, tap: Tap, code: str | None, path: list[str] | None, result: PushResult
) -> None:
    session = session_of(shop, transport=tap)
    write = a_write(shop, session, "HUB-001", 7)
    tap.change = refusing({"code": code, "field": path, "message": "no"})
    outcome = written(session, write)[write.listing.listing_key]
    assert (outcome.result, outcome.reason) == (result, outcome.reason)
    assert outcome.reason != ""
    assert outcome.after_seconds == (2.0 if result is PushResult.RETRY else 0.0)


def test_the_same_rows_have_the_same_key_and_a_failed_one_is_renewed(shop: RunningShop, tap: Tap) -> None:
    session = session_of(shop, transport=tap)
    write = a_write(shop, session, "HUB-001", 7)
    level = shop.level("HUB-001")
    assert level is not None
    shop.set_level("HUB-001", 1)
    assert written(session, write)[write.listing.listing_key].result is PushResult.STALE
    shop.set_level("HUB-001", level)
    assert written(session, write)[write.listing.listing_key].result is PushResult.APPLIED
    keys = [variables["key"] for name, variables in tap.sent if name == "SetQuantities"]
    assert len(keys) == 3
    assert keys[0] == keys[1] != keys[2]


def test_an_answer_that_got_lost_leaves_the_outcome_unknown(shop: RunningShop, tap: Tap) -> None:
    def lose(name: str, _answer: dict[str, Any]) -> None:
        if name == "SetQuantities":
            raise httpx.ReadTimeout("lost")

    tap.change = lose
    session = session_of(shop, transport=tap)
    write = a_write(shop, session, "HUB-001", 7)
    assert written(session, write)[write.listing.listing_key].result is PushResult.UNKNOWN
    assert shop.level("HUB-001") == 7
    assert [name for name, _ in tap.sent].count("SetQuantities") == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"data": {"inventorySetQuantities": None}},
        {"data": None, "errors": [{"message": "x", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]},
    ],
)
def test_an_answer_that_says_nothing_leaves_the_outcome_unknown(
    shop: RunningShop, tap: Tap, answer: dict[str, Any]
) -> None:
    session = session_of(shop, transport=tap)
    write = a_write(shop, session, "HUB-001", 7)

    def blur(name: str, told: dict[str, Any]) -> None:
        if name == "SetQuantities":
            told.clear()
            told.update(answer)

    tap.change = blur
    assert written(session, write)[write.listing.listing_key].result is PushResult.UNKNOWN


def throttled(name: str, answer: dict[str, Any]) -> None:
    if name == "SetQuantities":
        answer.clear()
        answer["errors"] = [{"message": "x", "extensions": {"code": "THROTTLED"}}]


def test_a_throttled_write_raises_where_nothing_was_written(shop: RunningShop, tap: Tap) -> None:
    session = session_of(shop, transport=tap)
    write = a_write(shop, session, "HUB-001", 7)
    tap.change = throttled
    with pytest.raises(RetryLater, match="throttles"):
        written(session, write)


def test_a_throttled_write_is_an_outcome_where_something_was_written(shop: RunningShop, tap: Tap) -> None:
    session = session_of(shop, transport=tap)
    new = StockWrite(ListingRef("gid://shopify/InventoryItem/50107"), 12, None, "new")
    write = a_write(shop, session, "HUB-001", 7)
    tap.change = throttled
    outcomes = written(session, new, write)
    assert outcomes[new.listing.listing_key].result is PushResult.APPLIED
    assert outcomes[write.listing.listing_key].result is PushResult.RETRY
    assert outcomes[write.listing.listing_key].after_seconds > 0


def test_a_token_without_the_scope_needs_the_owner() -> None:
    rules = Rules(scopes=tuple(scope for scope in ALL_SCOPES if scope != "write_inventory"))
    shop = start_sandbox(orders=0, rules=rules)
    try:
        session = session_of(shop)
        with pytest.raises(NeedsReconnect, match="missing: write_inventory"):
            written(session, a_write(shop, session, "HUB-001", 7))
    finally:
        shop.close()


# ----------------------------------------------------------------------------------------------------------- checks


def test_the_check_names_each_step(shop: RunningShop) -> None:
    results = CHANNEL.check(session_of(shop))
    assert [row.step for row in results if not row.is_ok] == []
    assert [row.step for row in results] == [
        "reach and credentials",
        "API version",
        "currency",
        "scope read_orders",
        "scope read_products",
        "scope read_inventory",
        "scope read_locations",
        "scope write_inventory",
        "scope read_all_orders",
        "scope read_returns",
        "scope read_merchant_managed_fulfillment_orders",
        "scope read_customers",
        "sample order",
        "sample listing",
        "location",
    ]
    assert results[2].detail == "the shop sells in MXN, the merchant reports in EUR"


def test_the_check_says_which_scope_is_missing_and_what_to_do() -> None:
    shop = start_sandbox(orders=0, rules=Rules(scopes=("read_products", "read_locations")))
    try:
        results = {row.step: row for row in CHANNEL.check(session_of(shop))}
    finally:
        shop.close()
    failed = [step for step, row in results.items() if not row.is_ok]
    assert failed == ["scope read_orders", "scope read_inventory", "scope write_inventory", "sample order"]
    assert results["scope read_orders"] == CheckResult(
        "scope read_orders",
        is_ok=False,
        detail="missing: orders will not work",
        remedy="Add the scope to the app in the Dev Dashboard, release it, and approve it in the shop",
    )
    assert results["scope read_returns"].detail == "not granted: the hub works without returns"


def test_the_check_of_an_empty_shop_with_few_rights() -> None:
    shop = start_sandbox(orders=0, rules=Rules(scopes=("read_orders", "read_products", "read_locations")))
    try:
        results = {row.step: row for row in CHANNEL.check(session_of(shop))}
    finally:
        shop.close()
    assert results["sample order"].detail == "the shop has no order yet; only the last 60 days are visible"


def test_the_check_of_another_version_says_so(shop: RunningShop) -> None:
    session = a_session({**shop.account.settings, "api_version": "2023-01"}, shop.account.secrets)
    version = CHANNEL.check(session)[1]
    assert (version.is_ok, version.detail) == (False, "asked for 2023-01, answered with 2026-01")
    assert version.remedy != ""


def test_the_check_of_a_refused_token_is_a_result(shop: RunningShop) -> None:
    results = CHANNEL.check(a_session(shop.account.settings, {"access_token": "wrong"}))
    assert [(row.step, row.is_ok) for row in results] == [("reach and credentials", False)]
    assert "401" in results[0].detail
    assert results[0].remedy != ""


def test_the_check_of_a_shop_address_that_is_none_is_a_result() -> None:
    results = CHANNEL.check(a_session({"shop": "shop.example"}, {"access_token": "x"}))
    assert [row.detail for row in results] == ["the setting shop is not a myshopify.com address"]
