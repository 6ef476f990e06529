"""Listings and levels at Square: what is read, what is written, and that no sale in between is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from connectors.square import CHANNEL
from connectors.square.listings import is_tracked_at, listing_source
from connectors.square.push import stock_sink
from connectors.square.sandbox import SquareSandbox, start_sandbox
from connectors.square.sandbox_seed import CLOSED, MAIN, SECOND
from connectors.square.sandbox_shop import Change
from connectors.square.stock import stock_source
from oms_hub.channel.contract import ChannelSession, ListingRef, ObservedLevel, PushResult, StockWrite
from oms_hub.errors import BadPayload, Misconfigured, NeedsReconnect, RetryLater
from oms_hub.testing.factories import a_session


@pytest.fixture
def seller() -> Iterator[SquareSandbox]:
    running = start_sandbox(orders=4, seed=2)
    yield running
    running.close()


def session_of(seller: SquareSandbox, **settings: str) -> ChannelSession:
    account = seller.personal_account
    return a_session({**account.settings, **settings}, account.secrets)


def a_listing(seller: SquareSandbox, sku: str, place: str | None = None) -> ListingRef:
    listings = {row.sku: row for batch in listing_source(session_of(seller)) for row in batch}
    return ListingRef(listings[sku].listing_key, place, listings[sku].attributes)


def read(seller: SquareSandbox, listing: ListingRef) -> ObservedLevel:
    (level,) = stock_source(session_of(seller), [listing])
    return level


def a_write(level: ObservedLevel, quantity: int, key: str = "k") -> StockWrite:
    listing = ListingRef(level.listing_key, level.channel_location_id)
    return StockWrite(listing, quantity, level.available, key, level.version)


# ------------------------------------------------------------------------------------------------------ listings


def test_listings_are_the_variations_with_what_the_hub_must_know(seller: SquareSandbox) -> None:
    rows = [row for batch in listing_source(session_of(seller)) for row in batch]
    by_sku = {row.sku: row for row in rows}
    assert by_sku["TEE-L"].title == "Shirt (Large)"
    assert by_sku["TEE-L"].parent_key == by_sku["TEE-S"].parent_key
    assert [row.title for row in rows if row.sku == "DUP-1"] == ["Twin one", "Twin two"]
    assert [row.title for row in rows if row.sku is None] == ["Without code"]
    found = {sku: (row.is_tracked, row.is_writable, row.is_active) for sku, row in by_sku.items()}
    assert found["HUB-001"] == (True, True, True)
    assert found["SERVICE-1"] == (False, False, True)
    assert found["COFFEE-KG"] == (True, False, True)
    assert found["OLD-1"] == (True, True, False)
    assert "GONE-1" not in found
    assert by_sku["MAIN-1"].attributes == {"tracked_at": f"{MAIN},{CLOSED}"}


def test_what_changes_while_the_catalogue_is_walked_comes_again(seller: SquareSandbox) -> None:
    batches = listing_source(session_of(seller))
    assert len(next(batches)) > 20
    item, variation = seller.shop.by_sku("HUB-001")
    item.is_deleted, item.changed_at = True, seller.shop.now()
    (again,) = [row for batch in batches for row in batch]
    assert (again.listing_key, again.is_active) == (variation.variation_id, False)


def test_a_listing_that_is_nowhere_among_the_chosen_locations_is_not_active(seller: SquareSandbox) -> None:
    item, _ = seller.shop.by_sku("HUB-001")
    item.absent_at = (SECOND,)
    rows = {row.sku: row for batch in listing_source(session_of(seller, location_ids=SECOND)) for row in batch}
    assert (rows["HUB-001"].is_active, rows["HUB-001"].is_tracked) == (False, False)
    assert rows["HUB-002"].attributes == {"tracked_at": "*"}
    assert (rows["MAIN-1"].is_active, rows["MAIN-1"].is_tracked) == (True, False)


def test_a_place_may_differ_from_the_rest_in_tracking() -> None:
    overrides = [{"location_id": "L1", "track_inventory": True}, {"location_id": "L2"}]
    assert is_tracked_at({"location_overrides": overrides}, "L1")
    assert not is_tracked_at({"location_overrides": overrides}, "L2")


def answering(answer: Callable[[httpx.Request], Any], *, dated: bool = True) -> ChannelSession:
    """Give a session whose Square answers as told."""

    def handle(request: httpx.Request) -> httpx.Response:
        told = answer(request)
        headers = {"date": "Sun, 22 Nov 2026 12:00:00 GMT"} if dated else {}
        return told if isinstance(told, httpx.Response) else httpx.Response(200, json=told, headers=headers)

    settings = {"base_url": "http://127.0.0.1:9", "location_ids": "L1"}
    return a_session(settings, {"access_token": "t"}, transport=httpx.MockTransport(handle))


def test_an_item_of_another_shape_is_refused() -> None:
    with pytest.raises(BadPayload, match="an item is not what the description says"):
        list(listing_source(answering(lambda _: {"objects": [{"item_data": {"variations": [{}]}}]})))
    with pytest.raises(BadPayload):
        list(listing_source(answering(lambda _: {"objects": ["item"]})))


def test_a_square_without_clock_is_walked_once_and_items_may_be_at_some_places_only() -> None:
    def item(places: list[str]) -> dict[str, Any]:
        presence = {"present_at_all_locations": False, "present_at_location_ids": places}
        data = {"track_inventory": True, "name": "Mug"}
        variation = {"id": "V", "type": "ITEM_VARIATION", **presence, "item_variation_data": data}
        return {"id": "I", "type": "ITEM", **presence, "item_data": {"name": "Mug", "variations": [variation]}}

    here = list(listing_source(answering(lambda _: {"objects": [item(["L1"])]}, dated=False)))
    assert [(row.title, row.is_active, row.sku) for batch in here for row in batch] == [("Mug", True, None)]
    elsewhere = list(listing_source(answering(lambda _: {"objects": [item(["L2"])]}, dated=False)))
    assert [(row.is_active, row.is_tracked) for batch in elsewhere for row in batch] == [(False, False)]


# ------------------------------------------------------------------------------------------------------- reading


def test_levels_are_read_at_the_default_location_or_where_a_listing_says(seller: SquareSandbox) -> None:
    assert [(place.channel_location_id, place.is_active, place.is_default) for place in _places(seller)] == [
        (MAIN, True, True),
        (SECOND, True, False),
        (CLOSED, False, False),
    ]
    main, second = (read(seller, a_listing(seller, "HUB-001", place)) for place in (None, SECOND))
    assert (main.available, main.channel_location_id) == (45, MAIN)
    assert (second.available, second.channel_location_id) == (4, SECOND)
    (chosen,) = stock_source(session_of(seller, location_ids=f"{CLOSED},{SECOND}"), [a_listing(seller, "HUB-001")])
    assert chosen.channel_location_id == SECOND
    with pytest.raises(Misconfigured, match="None of the locations is active"):
        list(stock_source(session_of(seller, location_ids=CLOSED), [a_listing(seller, "HUB-001")]))


def _places(seller: SquareSandbox) -> Any:
    assert CHANNEL.locations
    return CHANNEL.locations(session_of(seller))


def test_odd_levels_say_why(seller: SquareSandbox) -> None:
    variation = seller.shop.by_sku("HUB-004")[1].variation_id
    seller.shop.log.pop((variation, MAIN))
    seller.shop.count(seller.shop.by_sku("HUB-005")[1].variation_id, MAIN, Decimal("2.5"))
    seller.place_order({"HUB-006": 100})
    found = {sku: read(seller, a_listing(seller, sku)) for sku in ("SERVICE-1", "HUB-004", "HUB-005", "HUB-006")}
    assert {sku: (level.available, level.note) for sku, level in found.items()} == {
        "SERVICE-1": (None, "Square keeps no quantity for it at this location"),
        "HUB-004": (0, "never counted at Square, which shows it as 0"),
        "HUB-005": (2, "Square shows 2.5"),
        "HUB-006": (-30, ""),
    }
    away = read(seller, a_listing(seller, "MAIN-1", SECOND))
    assert (away.available, away.channel_location_id) == (None, SECOND)


def test_a_level_is_true_as_of_squares_own_clock(seller: SquareSandbox) -> None:
    seller.advance_clock(60)
    level = read(seller, a_listing(seller, "HUB-001"))
    assert level.version is not None
    behind = seller.shop.now() - datetime.fromisoformat(level.version)
    assert timedelta(0) <= behind < timedelta(seconds=2)
    sold = seller.place_order({"HUB-001": 1})
    level = read(seller, a_listing(seller, "HUB-001"))
    assert level.version is not None
    assert datetime.fromisoformat(level.version) >= seller.shop.orders[sold].created_at


def test_without_any_clock_a_level_has_no_version() -> None:
    session = answering(lambda _: {}, dated=False)
    (level,) = stock_source(session, [ListingRef("V", "L1")])
    assert (level.available, level.version) == (0, None)
    count = {"catalog_object_id": "V", "quantity": "3", "state": "IN_STOCK"}
    (level,) = stock_source(answering(lambda _: {"counts": [count]}, dated=False), [ListingRef("V", "L1")])
    assert (level.available, level.version) == (3, None)
    with pytest.raises(BadPayload, match="a quantity is not a number"):
        list(stock_source(answering(lambda _: {"counts": [{**count, "quantity": "three"}]}), [ListingRef("V", "L1")]))


# ------------------------------------------------------------------------------------------------------- writing


def test_a_sale_between_read_and_write_is_not_lost(seller: SquareSandbox) -> None:
    level = read(seller, a_listing(seller, "HUB-001"))
    seller.advance_clock(3)
    seller.place_order({"HUB-001": 4})
    seller.advance_clock(3)
    (outcome,) = stock_sink(session_of(seller), [a_write(level, 20)])
    assert (outcome.result, outcome.observed, seller.level("HUB-001")) == (PushResult.APPLIED, 16, 16)


def test_a_sale_that_the_read_saw_is_not_taken_twice(seller: SquareSandbox) -> None:
    seller.advance_clock(0.35)
    seller.place_order({"HUB-001": 4})
    level = read(seller, a_listing(seller, "HUB-001"))
    (outcome,) = stock_sink(session_of(seller), [a_write(level, 20)])
    assert (level.available, outcome.observed, seller.level("HUB-001")) == (41, 20, 20)


def test_a_late_offline_sale_falls_before_the_count_and_leaves_it_to_the_next_sync(seller: SquareSandbox) -> None:
    stock_sink(session_of(seller), [a_write(read(seller, a_listing(seller, "HUB-001")), 20)])
    seller.place_late_order({"HUB-001": 1}, hours_ago=30)
    assert seller.level("HUB-001") == 20


def test_the_number_of_the_last_count_is_written_again_when_sales_have_changed_the_level(seller: SquareSandbox) -> None:
    listing = a_listing(seller, "HUB-001")
    stock_sink(session_of(seller), [a_write(read(seller, listing), 20, "first")])
    seller.advance_clock(2)
    seller.place_order({"HUB-001": 4})
    seller.advance_clock(2)
    (outcome,) = stock_sink(session_of(seller), [a_write(read(seller, listing), 20, "again")])
    assert (outcome.result, seller.level("HUB-001")) == (PushResult.APPLIED, 20)


def test_the_same_delivery_twice_is_carried_out_once(seller: SquareSandbox) -> None:
    write = a_write(read(seller, a_listing(seller, "HUB-001")), 20)
    stock_sink(session_of(seller), [write])
    seller.place_order({"HUB-001": 4})
    (again,) = stock_sink(session_of(seller), [write])
    assert (again.result, again.observed) == (PushResult.APPLIED, 20), "Square gives its first answer again"
    counts = [entry for entry in seller.shop.log[write.listing.listing_key, MAIN] if entry.reference_id == "k"]
    assert len(counts) == 1
    (other,) = stock_sink(session_of(seller), [replace(write, quantity=21)])
    assert other.result is PushResult.APPLIED, "another content has another key"


def test_levels_of_two_locations_are_two_levels(seller: SquareSandbox) -> None:
    main, second = (read(seller, a_listing(seller, "HUB-001", place)) for place in (MAIN, SECOND))
    outcomes = stock_sink(session_of(seller), [a_write(main, 31, "m"), a_write(second, 7, "s")])
    assert [row.observed for row in outcomes] == [31, 7]
    key = main.listing_key
    assert (seller.shop.level(key, MAIN), seller.shop.level(key, SECOND)) == (
        (Decimal(31), seller.shop.log[key, MAIN][-1].created_at),
        (Decimal(7), seller.shop.log[key, SECOND][-1].created_at),
    )


def test_a_row_named_twice_is_written_once(seller: SquareSandbox) -> None:
    level = read(seller, a_listing(seller, "HUB-001"))
    outcomes = stock_sink(session_of(seller), [a_write(level, 9, "a"), a_write(level, 8, "b")])
    assert {(row.result, row.reason) for row in outcomes} == {
        (PushResult.REJECTED, "named twice in one delivery"),
        (PushResult.APPLIED, ""),
    }
    assert seller.level("HUB-001") == 9


def test_a_write_without_the_moment_of_its_read_asks_for_one(seller: SquareSandbox) -> None:
    write = replace(a_write(read(seller, a_listing(seller, "HUB-001")), 9), version=None)
    assert [row.result for row in stock_sink(session_of(seller), [write])] == [PushResult.APPLIED]
    assert seller.level("HUB-001") == 9


@pytest.mark.parametrize("has_partial_batches", [False, True], ids=["refused as a whole", "errors beside counts"])
def test_wrong_rows_do_not_keep_the_others_back(has_partial_batches: bool) -> None:
    seller = start_sandbox(orders=0, has_partial_batches=has_partial_batches)
    level = read(seller, a_listing(seller, "HUB-001"))
    stale = replace(a_write(read(seller, a_listing(seller, "HUB-002")), 5, "old"), version="2026-11-01T00:00:00Z")
    gone = StockWrite(ListingRef("VAR404404", MAIN), 5, 4, "gone", level.version)
    untracked = StockWrite(a_listing(seller, "SERVICE-1", MAIN), 5, 4, "service", level.version)
    outcomes = stock_sink(session_of(seller), [gone, a_write(level, 9), stale, untracked])
    assert sorted((row.result, row.reason) for row in outcomes) == [
        (PushResult.APPLIED, ""),
        (PushResult.REJECTED, "Square refuses it (INVALID_TIME)"),
        (PushResult.REJECTED, "Square refuses it (INVALID_VALUE)"),
        (PushResult.REJECTED, "Square refuses it (NOT_FOUND)"),
    ]
    assert (seller.level("HUB-001"), seller.level("HUB-002")) == (9, 50)
    seller.close()


def writes(count: int) -> list[StockWrite]:
    return [StockWrite(ListingRef(f"V{n}", "L1"), n, 0, f"k{n}", "2026-11-22T12:00:00Z") for n in range(count)]


def counted(request: httpx.Request) -> Mapping[str, Any]:
    rows = [change["physical_count"] for change in json.loads(request.content)["changes"]]
    return {
        "counts": [{key: row[key] for key in ("catalog_object_id", "location_id", "state", "quantity")} for row in rows]
    }


def refusal(status: int, category: str, code: str, **more: str) -> httpx.Response:
    return httpx.Response(status, json={"errors": [{"category": category, "code": code, **more}]})


def test_where_square_does_not_say_which_row_is_wrong_halves_are_tried() -> None:
    sizes: list[int] = []

    def answer(request: httpx.Request) -> Any:
        rows = json.loads(request.content)["changes"]
        sizes.append(len(rows))
        is_wrong = any(row["physical_count"]["catalog_object_id"] == "V5" for row in rows)
        return refusal(400, "INVALID_REQUEST_ERROR", "BAD_REQUEST") if is_wrong else counted(request)

    outcomes = {row.listing_key: row for row in stock_sink(answering(answer), writes(8))}
    assert {key for key, row in outcomes.items() if row.result is not PushResult.APPLIED} == {"V5"}
    assert (outcomes["V5"].result, outcomes["V5"].reason) == (PushResult.REJECTED, "Square refuses it (BAD_REQUEST)")
    assert sizes == [8, 4, 4, 2, 1, 1, 2]


def test_a_passing_trouble_of_one_row_is_tried_again_later() -> None:
    def answer(request: httpx.Request) -> Any:
        error = {"category": "API_ERROR", "code": "INTERNAL_SERVER_ERROR", "field": "changes[1].physical_count"}
        found = counted(request)
        return {"counts": found["counts"][:1], "errors": [error, {**error, "field": "changes[99]"}]}

    outcomes = stock_sink(answering(answer), writes(3))
    assert [(row.result, row.reason) for row in outcomes] == [
        (PushResult.APPLIED, ""),
        (PushResult.RETRY, "Square refuses it (INTERNAL_SERVER_ERROR)"),
        (PushResult.UNKNOWN, "Square's answer does not name it (INTERNAL_SERVER_ERROR)"),
    ]


def test_half_answers_are_unknown_row_by_row() -> None:
    odd = [{}, "count", {"state": "IN_STOCK"}, {"state": "WASTE"}]
    odd.append({"state": "IN_STOCK", "catalog_object_id": "V1", "location_id": "L1", "quantity": "x"})

    def answer(request: httpx.Request) -> Any:
        return {"counts": [*odd, *counted(request)["counts"][:1]]}

    assert [row.result for row in stock_sink(answering(answer), writes(2))] == [PushResult.APPLIED, PushResult.UNKNOWN]
    for told in ([], {"counts": "none"}, {}):
        (outcome,) = stock_sink(answering(lambda _, told=told: told), writes(1))
        assert (outcome.result, outcome.reason) == (PushResult.UNKNOWN, "Square's answer does not name it")


def test_trouble_after_the_first_part_is_the_outcome_of_the_rest() -> None:
    def storm(status: int) -> list[tuple[PushResult, float]]:
        def answer(request: httpx.Request) -> Any:
            names = [row["physical_count"]["catalog_object_id"] for row in json.loads(request.content)["changes"]]
            if len(names) == 2:
                return refusal(400, "INVALID_REQUEST_ERROR", "BAD_REQUEST")
            if names == ["V0"]:
                return counted(request)
            return httpx.Response(status, headers={"retry-after": "7"}, json={})

        return [(row.result, row.after_seconds) for row in stock_sink(answering(answer), writes(2))]

    assert storm(429) == [(PushResult.APPLIED, 0.0), (PushResult.RETRY, 7.0)]
    assert storm(503) == [(PushResult.APPLIED, 0.0), (PushResult.UNKNOWN, 0.0)]
    assert storm(403) == [(PushResult.APPLIED, 0.0), (PushResult.RETRY, 0.0)]


def test_what_was_surely_not_written_is_an_error() -> None:
    with pytest.raises(RetryLater):
        stock_sink(answering(lambda _: refusal(429, "RATE_LIMIT_ERROR", "RATE_LIMITED")), writes(2))
    with pytest.raises(NeedsReconnect, match="missing: INVENTORY_WRITE"):
        stock_sink(answering(lambda _: refusal(403, "AUTHENTICATION_ERROR", "INSUFFICIENT_SCOPES")), writes(2))
    assert stock_sink(answering(lambda _: {}), []) == []


def test_the_sandbox_replays_its_log_by_when_things_happened(seller: SquareSandbox) -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def change(minute: int, quantity: int, states: tuple[str, str], arrived: int) -> Change:
        at, arrival = now + timedelta(minutes=minute), now + timedelta(minutes=arrived)
        return Change("c", "V", MAIN, Decimal(quantity), at, arrival, *states)

    count, sale = ("", "IN_STOCK"), ("IN_STOCK", "SOLD")
    for entry in (
        change(5, 3, sale, 5),
        change(1, 2, sale, 9),
        change(3, 10, count, 8),
        change(6, 1, ("SOLD", "IN_STOCK"), 6),
    ):
        seller.shop.book(entry)
    assert seller.shop.level("V", MAIN) == (Decimal(8), now + timedelta(minutes=9))
