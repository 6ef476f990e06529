"""Listings and levels: items, variations, user products, depots with versions, and what is never written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.mercadolibre import CHANNEL
from connectors.mercadolibre.levels import GONE
from connectors.mercadolibre.sandbox import SELLER_ID, MeliSandbox, start_sandbox
from connectors.mercadolibre.sandbox_account import AccountTraits
from connectors.mercadolibre.sandbox_seed import FULL_SKU, SHARED_SKUS
from connectors.mercadolibre.stock import BATCH_SIZE, stock_sink, stock_source
from oms_hub.channel.contract import (
    ChannelSession,
    ListingRecord,
    ListingRef,
    ObservedLevel,
    PushOutcome,
    PushResult,
    StockWrite,
)
from oms_hub.errors import BadPayload, NeedsReconnect, Refused, RetryLater
from oms_hub.testing.bench import Bench, on_the_bench
from oms_hub.testing.factories import a_session
from oms_hub.testing.faults import FOREVER, Fault, FaultKind, FaultProxy, SeenRequest
from oms_hub.testing.harness import Harness

GOOD = {"site": "MLM", "seller_id": str(SELLER_ID)}


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


class Seller:
    """A running account and a session on it."""

    def __init__(self, shop: MeliSandbox, **settings: str) -> None:
        account = shop.account
        self.shop = shop
        session = a_session({**account.settings, **settings})
        self.session: ChannelSession = replace(session, secrets=SharedSecrets(account.secrets))

    def listings(self) -> dict[str, ListingRecord]:
        assert CHANNEL.listing_source is not None
        return {row.listing_key: row for batch in CHANNEL.listing_source(self.session) for row in batch}

    def of(self, sku: str) -> ListingRecord:
        return next(row for row in self.listings().values() if row.sku == sku)

    def levels(self, *rows: ListingRecord) -> list[ObservedLevel]:
        found = {level.listing_key: level for level in stock_source(self.session, [ref(row) for row in rows])}
        return [found[row.listing_key] for row in rows]

    def write(self, *writes: StockWrite) -> dict[str, PushOutcome]:
        return {row.listing_key: row for row in stock_sink(self.session, writes)}

    def puts(self) -> list[tuple[str, Any, int]]:
        return [
            (request.path, request.headers.get("x-version"), status)
            for request, status, _ in self.shop.server.seen
            if request.method == "PUT"
        ]


def ref(row: ListingRecord) -> ListingRef:
    return ListingRef(row.listing_key, None, row.attributes)


def a_write(row: ListingRecord, quantity: int, *, version: str | None = None) -> StockWrite:
    return StockWrite(ref(row), quantity, None, f"{row.listing_key}:{quantity}", version)


@pytest.fixture
def seller() -> Iterator[Seller]:
    shop = start_sandbox(orders=1)
    yield Seller(shop)
    shop.close()


@pytest.fixture
def depots() -> Iterator[Seller]:
    shop = start_sandbox(orders=1, traits=AccountTraits(has_depots=True))
    yield Seller(shop)
    shop.close()


# ------------------------------------------------------------------------------------------------------- listings


def test_a_listing_is_the_user_product_however_many_items_offer_it(seller: Seller) -> None:
    listings = seller.listings()
    assert len(listings) == len(SHARED_SKUS) + 6
    twice = seller.of("HUB-002")
    items = [item for item in seller.shop.state.items.values() if item.offers[0].sku == "HUB-002"]
    assert len(items) == 2
    assert twice.attributes["item_id"] == items[0].item_id
    assert twice.title == "Artículo 2"
    before = seller.shop.level("HUB-001")
    assert seller.levels(twice)[0].available == 50
    assert seller.write(a_write(twice, 8))[twice.listing_key].result is PushResult.APPLIED
    assert [item.offers[0].shelf.quantity for item in items] == [8, 8]
    assert len(seller.puts()) == 1
    assert seller.shop.level("HUB-001") == before


def test_variations_and_things_of_old_are_listings_of_their_own(seller: Seller) -> None:
    mug, shirt = seller.of("HUB-019"), seller.of("TEE-M")
    assert mug.listing_key.startswith("up:MLMU")
    assert mug.title == "Taza en tres colores 杯子"
    assert shirt.listing_key == f"variation:{shirt.attributes['item_id']}:{shirt.attributes['variation_id']}"
    assert (mug.parent_key, shirt.parent_key) == (
        f"item:{mug.attributes['item_id']}", f"item:{shirt.attributes['item_id']}",
    )  # fmt: skip
    assert seller.of("HUB-001").barcode == "7500000000001"


def test_full_is_read_and_never_written(seller: Seller) -> None:
    full = seller.of(FULL_SKU)
    assert (full.is_tracked, full.is_writable) == (True, False)
    assert seller.levels(full)[0].available == 25
    outcome = seller.write(a_write(full, 3))[full.listing_key]
    assert outcome.result is PushResult.REJECTED
    assert "never written" in outcome.reason
    assert (seller.shop.level(FULL_SKU), seller.puts()) == (25, [])


def test_a_classified_advert_keeps_no_level(seller: Seller) -> None:
    advert = seller.of("SERVICE-1")
    assert (advert.is_tracked, advert.is_writable) == (False, False)
    level = seller.levels(advert)[0]
    assert (level.available, level.note) == (None, "Mercado Libre keeps no quantity for it (a classified advert)")
    assert seller.write(a_write(advert, 3))[advert.listing_key].result is PushResult.REJECTED


def test_a_closed_item_is_no_longer_on_sale_and_gives_way_to_another(seller: Seller) -> None:
    items = [item for item in seller.shop.state.items.values() if item.offers[0].sku == "HUB-002"]
    items[0].status = "closed"
    found = seller.of("HUB-002")
    assert (found.is_active, found.attributes["item_id"]) == (True, items[1].item_id)
    items[1].status = "closed"
    assert not seller.of("HUB-002").is_active


@pytest.mark.parametrize(("site", "is_writable"), [("MLM", False), ("MLA", True)])
def test_own_stock_beside_full_is_written_where_the_site_has_it(site: str, is_writable: bool) -> None:
    shop = start_sandbox(orders=1, site=site)
    seller = Seller(shop)
    full = seller.of(FULL_SKU)
    assert full.is_writable is is_writable
    if is_writable:
        level = seller.levels(full)[0]
        assert (level.available, level.version) == (0, "1")
        assert seller.write(a_write(full, 6, version="1"))[full.listing_key].result is PushResult.APPLIED
        (_, offer) = shop.state.sellable(FULL_SKU)
        assert (offer.shelf.quantity, offer.shelf.full_quantity) == (6, 25)
        assert [path.rpartition("/")[2] for path, _, _ in seller.puts()] == ["selling_address"]
    shop.close()


def test_an_account_with_depots_writes_no_full_either(depots: Seller) -> None:
    assert not depots.of(FULL_SKU).is_writable
    assert depots.of("HUB-001").attributes["mode"] == "warehouse"


# --------------------------------------------------------------------------------------------------- plain writing


def test_writing_one_variation_leaves_the_others_where_they_are(seller: Seller) -> None:
    """A request that names only one variation would delete its sisters."""
    shirt, other = seller.of("TEE-M"), seller.of("TEE-S")
    assert seller.write(a_write(shirt, 4))[shirt.listing_key] == PushOutcome(shirt.listing_key, PushResult.APPLIED, 4)
    assert [level.available for level in seller.levels(shirt, other)] == [4, 9]


def test_writes_to_several_variations_of_an_item_go_together(seller: Seller) -> None:
    rows = [seller.of(sku) for sku in ("HUB-017", "HUB-018", "HUB-019")]
    seller.shop.server.seen.clear()
    outcomes = seller.write(*(a_write(row, 60 + number) for number, row in enumerate(rows)))
    assert {outcome.result for outcome in outcomes.values()} == {PushResult.APPLIED}
    assert [level.available for level in seller.levels(*rows)] == [60, 61, 62]
    assert len(seller.puts()) == 1


def test_a_variation_that_is_gone_is_rejected_and_its_sister_written(seller: Seller) -> None:
    shirt = seller.of("TEE-M")
    attributes = {**shirt.attributes, "variation_id": "77"}
    gone = replace(shirt, listing_key=f"variation:{shirt.attributes['item_id']}:77", attributes=attributes)
    outcomes = seller.write(a_write(gone, 4), a_write(shirt, 5))
    assert (outcomes[gone.listing_key].result, outcomes[gone.listing_key].reason) == (PushResult.REJECTED, GONE)
    assert outcomes[shirt.listing_key].result is PushResult.APPLIED
    assert seller.write(a_write(gone, 4))[gone.listing_key].result is PushResult.REJECTED


def test_nothing_left_pauses_the_item_and_more_brings_it_back(seller: Seller) -> None:
    cup = seller.of("HUB-003")
    seller.write(a_write(cup, 0))
    assert seller.shop.state.items[cup.attributes["item_id"]].status == "paused"
    assert seller.levels(cup)[0].available == 0
    seller.write(a_write(cup, 2))
    assert seller.shop.state.items[cup.attributes["item_id"]].status == "active"


def test_a_quantity_out_of_range_is_rejected_with_the_channels_code(seller: Seller) -> None:
    cup = seller.of("HUB-003")
    outcome = seller.write(a_write(cup, 100_000))[cup.listing_key]
    assert (outcome.result, "validation_error" in outcome.reason) == (PushResult.REJECTED, True)


def test_levels_of_what_is_gone_say_so(seller: Seller) -> None:
    item_id = seller.of("TEE-M").attributes["item_id"]
    keys = ("item:MLM404404", "variation:MLM404404:1", f"variation:{item_id}:1")
    levels = list(stock_source(seller.session, [ListingRef(key) for key in keys]))
    assert [(level.available, level.note) for level in levels] == [(None, GONE)] * 3


def test_more_items_than_one_request_takes_are_read_in_several(seller: Seller) -> None:
    listings = [row for row in seller.listings().values() if row.is_tracked]
    assert len(listings) > BATCH_SIZE
    assert all(level.available is not None for level in seller.levels(*listings))


# --------------------------------------------------------------------------------------------- depots and versions


def test_a_depots_level_bears_its_version_and_a_write_names_it(depots: Seller) -> None:
    cup = depots.of("HUB-001")
    (level,) = depots.levels(cup)
    assert (level.available, level.version) == (45, "1")
    outcome = depots.write(a_write(cup, 7, version=level.version))[cup.listing_key]
    assert outcome == PushOutcome(cup.listing_key, PushResult.APPLIED, 7)
    assert depots.puts() == [
        (f"/user-products/{cup.attributes['user_product_id']}/stock/type/seller_warehouse", "1", 200)
    ]
    assert (depots.shop.level("HUB-001"), depots.levels(cup)[0].version) == (7, "2")


def test_a_level_that_changed_since_it_was_read_is_stale_and_stays(depots: Seller) -> None:
    cup = depots.of("HUB-001")
    (level,) = depots.levels(cup)
    depots.shop.place_order({"HUB-001": 1})
    outcome = depots.write(a_write(cup, 7, version=level.version))[cup.listing_key]
    assert (outcome.result, depots.shop.level("HUB-001"), depots.puts()) == (PushResult.STALE, 44, [])


def test_a_sale_between_reading_the_version_and_writing_is_stale(depots: Seller) -> None:
    cup = depots.of("HUB-001")
    with FaultProxy(depots.shop.base_url) as proxy:
        through = Seller(depots.shop, base_url=proxy.base_url)
        through.session = replace(through.session, secrets=depots.session.secrets)
        (level,) = through.levels(cup)
        proxy.before(lambda: depots.shop.place_order({"HUB-001": 1}), matches=is_put)
        outcome = through.write(a_write(cup, 7, version=level.version))[cup.listing_key]
    assert (outcome.result, depots.shop.level("HUB-001")) == (PushResult.STALE, 44)
    assert [status for _, _, status in depots.puts()] == [409]


def test_an_account_with_several_depots_has_to_name_one(depots: Seller) -> None:
    cup = depots.of("HUB-001")
    stranger = Seller(depots.shop, store_id="5")
    stranger.session = replace(stranger.session, secrets=depots.session.secrets)
    assert stranger.levels(cup)[0].note == "it is not stocked at the seller's own place"
    outcome = stranger.write(a_write(cup, 7))[cup.listing_key]
    assert (outcome.result, outcome.reason) == (PushResult.REJECTED, "it is not stocked at the seller's own place")


def is_put(request: SeenRequest) -> bool:
    return request.method == "PUT"


class Answers:
    """A made-up API: answers by method and path."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.sent: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "a", "refresh_token": "r"})
        self.sent.append(f"{request.method} {request.url.path}")
        given = self.answers[self.sent[-1]]
        return given if isinstance(given, httpx.Response) else httpx.Response(200, json=given)


def sent_to(answers: Mapping[str, Any], writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
    return stock_sink(a_session(GOOD, {"refresh_token": "r"}, transport=httpx.MockTransport(Answers(answers))), writes)


PLACES = {"locations": [{"type": "seller_warehouse", "store_id": "1", "network_node_id": "n", "quantity": 5}]}
IN_DEPOT = StockWrite(ListingRef("up:MLMU1", None, {"mode": "warehouse", "user_product_id": "MLMU1"}), 3, 5, "k")
_STOCK, _PUT = "GET /user-products/MLMU1/stock", "PUT /user-products/MLMU1/stock/type/seller_warehouse"
SHOWN_3 = {"locations": [{**PLACES["locations"][0], "quantity": 3}]}


@pytest.mark.parametrize(
    ("stock", "put", "result"),
    [
        (httpx.Response(200, json=PLACES), {}, PushResult.UNKNOWN),
        (httpx.Response(200, json=PLACES), {"locations": [{"type": "odd"}]}, PushResult.UNKNOWN),
        (httpx.Response(200, json=PLACES), PLACES, PushResult.UNKNOWN),
        (httpx.Response(200, json=PLACES), SHOWN_3, PushResult.APPLIED),
        (
            httpx.Response(200, json=PLACES),
            httpx.Response(400, json={"message": "Missing X-Version header", "error": "bad_request"}),
            PushResult.STALE,
        ),
        (
            httpx.Response(200, json=PLACES),
            httpx.Response(400, json={"message": "store not found: 1", "error": "bad_request"}),
            PushResult.REJECTED,
        ),
        (httpx.Response(200, json=PLACES), httpx.Response(409, json={"error": "conflict"}), PushResult.STALE),
        (httpx.Response(200, json=PLACES), httpx.Response(500), PushResult.UNKNOWN),
        (httpx.Response(404, json={"error": "not_found"}), {}, PushResult.REJECTED),
        (httpx.Response(200, json={"locations": PLACES["locations"] * 2}), {}, PushResult.REJECTED),
        (httpx.Response(400, json={"error": "bad_request"}), {}, PushResult.REJECTED),
    ],
)
def test_every_answer_to_a_write_with_a_version_has_its_outcome(
    stock: httpx.Response, put: Any, result: PushResult
) -> None:
    (outcome,) = sent_to({_STOCK: stock, _PUT: put}, [IN_DEPOT])
    assert outcome.result is result
    assert (outcome.reason == "") is (result is PushResult.APPLIED)


def test_a_version_of_an_answer_without_one_is_not_invented() -> None:
    answers = Answers({_STOCK: PLACES, _PUT: SHOWN_3})
    headers: list[Mapping[str, str]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers)
        return answers(request)

    session = a_session(GOOD, {"refresh_token": "r"}, transport=httpx.MockTransport(respond))
    stock_sink(session, [IN_DEPOT])
    assert "x-version" not in headers[-1]


# --------------------------------------------------------------------------------------------------------- weather

ITEM = StockWrite(ListingRef("item:MLM1"), 3, 5, "k1")
OTHER = StockWrite(ListingRef("item:MLM2"), 4, 5, "k2")
OF_VARIATION = StockWrite(ListingRef("variation:MLM3:9"), 4, 5, "k3")
DONE = {"id": "MLM1", "available_quantity": 3}


def test_a_trouble_before_anything_was_sent_is_raised() -> None:
    with pytest.raises(RetryLater):
        sent_to({"PUT /items/MLM1": httpx.Response(429)}, [ITEM, OTHER])
    forbidden = httpx.Response(403, json={"code": "PA_UNAUTHORIZED_RESULT_FROM_POLICIES", "status": 403})
    with pytest.raises(NeedsReconnect, match="functional permission"):
        sent_to({"PUT /items/MLM1": forbidden}, [ITEM])


@pytest.mark.parametrize("answer", [httpx.Response(429), httpx.Response(401)])
def test_a_trouble_after_the_first_row_is_told_of_its_own_row_only(answer: httpx.Response) -> None:
    outcomes = sent_to({"PUT /items/MLM1": DONE, "PUT /items/MLM2": answer}, [ITEM, OTHER])
    assert [outcome.result for outcome in outcomes] == [PushResult.APPLIED, PushResult.RETRY]


def test_half_an_answer_about_the_variations_sends_nothing() -> None:
    answers = Answers({"GET /items": {"odd": 1}})
    session = a_session(GOOD, {"refresh_token": "r"}, transport=httpx.MockTransport(answers))
    assert [outcome.result for outcome in stock_sink(session, [OF_VARIATION])] == [PushResult.RETRY]
    assert answers.sent == ["GET /items"]


def test_an_answer_that_is_no_item_leaves_the_row_unknown() -> None:
    (outcome,) = sent_to({"PUT /items/MLM1": ["odd"]}, [ITEM])
    assert (outcome.result, outcome.reason) == (PushResult.UNKNOWN, "the answer does not show the level")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ([{"code": 500, "body": {}}], RetryLater),
        ([{"code": 429}], RetryLater),
        ([7], RetryLater),
        ({}, BadPayload),
        (httpx.Response(400, json={"error": "bad_request"}), Refused),
    ],
)
def test_an_item_that_cannot_be_given_now_is_not_taken_for_gone(answer: Any, error: type[Exception]) -> None:
    transport = httpx.MockTransport(Answers({"GET /items": answer}))
    session = a_session(GOOD, {"refresh_token": "r"}, transport=transport)
    with pytest.raises(error):
        list(stock_source(session, [ListingRef("item:MLM1")]))


@pytest.mark.parametrize(
    ("body", "level"),
    [
        ({"id": "MLM1", "available_quantity": 4}, 4),
        ({"id": "MLM1", "available_quantity": None}, None),
        ({"id": "MLM1", "variations": [{"id": 8, "available_quantity": 2}]}, None),
    ],
)
def test_only_a_number_is_a_level(body: dict[str, Any], level: int | None) -> None:
    transport = httpx.MockTransport(Answers({"GET /items": [{"code": 200, "body": body}, {"code": 404}]}))
    session = a_session(GOOD, {"refresh_token": "r"}, transport=transport)
    assert [each.available for each in stock_source(session, [ListingRef("item:MLM1")])] == [level]


def test_items_that_are_gone_all_at_once_read_as_gone() -> None:
    transport = httpx.MockTransport(Answers({"GET /items": httpx.Response(404, json={"error": "not_found"})}))
    session = a_session(GOOD, {"refresh_token": "r"}, transport=transport)
    assert [each.note for each in stock_source(session, [ListingRef("item:MLM1")])] == [GONE]


def test_a_user_product_without_places_and_one_that_is_gone_have_no_level() -> None:
    depot = ListingRef("up:MLMU1", None, {"mode": "warehouse", "user_product_id": "MLMU1"})
    for stock, note in (({}, "it is not stocked"), (httpx.Response(404, json={"error": "not_found"}), GONE)):
        transport = httpx.MockTransport(Answers({_STOCK: stock}))
        session = a_session(GOOD, {"refresh_token": "r"}, transport=transport)
        (level,) = stock_source(session, [depot])
        assert level.available is None
        assert level.note.startswith(note)


def test_a_place_that_cannot_be_read_now_is_an_error_not_a_level() -> None:
    depot = ListingRef("up:MLMU1", None, {"mode": "warehouse", "user_product_id": "MLMU1"})
    transport = httpx.MockTransport(Answers({_STOCK: httpx.Response(400, json={"error": "bad_request"})}))
    with pytest.raises(Refused):
        list(stock_source(a_session(GOOD, {"refresh_token": "r"}, transport=transport), [depot]))


# ------------------------------------------------------------------------------------------------------- the scan

SEARCH = f"/users/{SELLER_ID}/items/search"


def scanned(pages: Callable[[Mapping[str, str]], Any]) -> list[str]:
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "a", "refresh_token": "r"})
        if request.url.path == "/users/me":
            return httpx.Response(200, json={"id": SELLER_ID})
        if request.url.path == SEARCH:
            return httpx.Response(200, json=pages(dict(request.url.params)))
        asked.extend(request.url.params["ids"].split(","))
        return httpx.Response(200, json=[])

    session = a_session(GOOD, {"refresh_token": "r"}, transport=httpx.MockTransport(respond))
    assert CHANNEL.listing_source is not None
    list(CHANNEL.listing_source(session))
    return asked


def test_a_scan_ends_with_an_empty_page_a_missing_scroll_or_a_page_that_came_before() -> None:
    first = {"results": ["MLM1", "MLM2"], "scroll_id": "s"}
    ends: list[dict[str, Any]] = [
        {"results": None, "scroll_id": None},
        {"results": ["MLM3"], "scroll_id": None},
        {"results": ["MLM2", "MLM1"], "scroll_id": "s"},
    ]
    for end in ends:
        found = scanned(lambda query, end=end: end if "scroll_id" in query else first)
        assert found == ["MLM1", "MLM2", *(["MLM3"] if end["results"] == ["MLM3"] else [])]


def test_a_scan_never_mixes_its_scroll_with_a_page() -> None:
    queries: list[Mapping[str, str]] = []

    def pages(query: Mapping[str, str]) -> Any:
        queries.append(query)
        return {"results": ["MLM1"] if len(queries) == 1 else [], "scroll_id": "s"}

    scanned(pages)
    assert queries == [{"search_type": "scan", "limit": "100"}, {"search_type": "scan", "scroll_id": "s"}]


@pytest.mark.parametrize("answer", [[], {"results": "MLM1"}])
def test_an_answer_that_is_no_list_of_items_is_not_an_empty_shop(answer: Any) -> None:
    with pytest.raises(RetryLater, match="not a list of items"):
        scanned(lambda _: answer)


# --------------------------------------------------------------------------------------- with the hub's own delivery

DEPOT_HARNESS = Harness(
    channel=CHANNEL,
    start=lambda *, port=0, orders=4, seed=1: start_sandbox(
        port=port, orders=orders, seed=seed, traits=AccountTraits(has_depots=True)
    ),
    orders=4,
    is_stock_write=lambda request: request.method == "PUT",
)


def test_a_sale_between_reading_and_writing_is_computed_again_never_overwritten(
    database_url: str, tmp_path: Path
) -> None:
    with on_the_bench(DEPOT_HARNESS, database_url) as bench:
        bench.adopt()
        bench.push()
        before = level_of(bench)
        bench.count({"HUB-001": before + 10}, tmp_path)
        assert bench.proxy is not None
        bench.proxy.before(lambda: bench.shop.place_order({"HUB-001": 1}), matches=is_put)
        bench.push()
        written = [status for _, _, status in puts_of(bench)]
        assert written[0] == 409, "the version was another one by then"
        assert level_of(bench) <= before + 9, "the unit that was sold meanwhile is not offered again"
        assert level_of(bench) >= before - 1


def level_of(bench: Bench) -> int:
    level = bench.shop.level("HUB-001")
    assert level is not None
    return level


def puts_of(bench: Bench) -> list[tuple[str, Any, int]]:
    assert isinstance(bench.shop, MeliSandbox)
    return [
        (request.path, request.payload, status)
        for request, status, _ in bench.shop.server.seen
        if request.method == "PUT"
    ]


def test_a_lost_answer_to_a_version_write_is_read_back(depots: Seller) -> None:
    cup = depots.of("HUB-001")
    with FaultProxy(depots.shop.base_url) as proxy:
        through = Seller(depots.shop, base_url=proxy.base_url)
        through.session = replace(through.session, secrets=depots.session.secrets)
        proxy.inject(Fault(FaultKind.LOST_ANSWER), matches=is_put, times=FOREVER)
        assert through.write(a_write(cup, 7))[cup.listing_key].result is PushResult.UNKNOWN
    assert depots.levels(cup)[0].available == 7
