"""Listings and levels: reading them, single patches, feeds; refusals row by row and weather in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest

from connectors.amazon import CHANNEL
from connectors.amazon.api import AmazonApi
from connectors.amazon.feed import OPEN_FEED
from connectors.amazon.levels import level_of, read_levels
from connectors.amazon.listings import channel_code, record_of
from connectors.amazon.sandbox import AmazonSandbox, start_sandbox
from connectors.amazon.sandbox_records import Good
from connectors.amazon.sandbox_server import Exchange
from connectors.amazon.writes import issues_in_words
from oms_hub.channel.contract import ChannelSession, ListingRecord, ListingRef, PushOutcome, PushResult, StockWrite
from oms_hub.errors import BadPayload, HubError, NeedsReconnect, Refused, RetryLater
from oms_hub.testing.factories import a_session

APPLIED, REJECTED, RETRY, UNKNOWN = PushResult.APPLIED, PushResult.REJECTED, PushResult.RETRY, PushResult.UNKNOWN


@pytest.fixture
def sandbox() -> Iterator[AmazonSandbox]:
    account = start_sandbox(orders=0, rate_factor=20_000.0)
    yield account
    account.close()


def session_of(account: AmazonSandbox, **changes: Any) -> ChannelSession:
    return a_session(account.account.settings, account.account.secrets, clock=account.seller.now, **changes)


def listed(session: ChannelSession) -> dict[str, ListingRecord]:
    return {row.sku or "": row for batch in CHANNEL.listing_source(session) for row in batch}  # type: ignore[misc]


def ref(sku: str, *, product_type: str = "MUG", fulfilment: str = "DEFAULT") -> ListingRef:
    return ListingRef(f"sku:{sku}", attributes={"product_type": product_type, "fulfilment": fulfilment})


def write(sku: str, quantity: int, expected: int | None = None, **more: str) -> StockWrite:
    return StockWrite(ref(sku, **more), quantity, expected, f"{sku}:{quantity}")


def push(session: ChannelSession, *writes: StockWrite) -> dict[str, PushOutcome]:
    outcomes = CHANNEL.stock_sink(session, writes)  # type: ignore[misc]
    assert len(outcomes) == len(writes)
    return {outcome.listing_key.removeprefix("sku:"): outcome for outcome in outcomes}


def results(outcomes: dict[str, PushOutcome]) -> dict[str, PushResult]:
    return {sku: outcome.result for sku, outcome in outcomes.items()}


def many(count: int, quantity: int = 50) -> list[StockWrite]:
    return [write(f"HUB-{number % 20 + 1:03d}", quantity) for number in range(count)]


def asked(account: AmazonSandbox, operation: str) -> list[Exchange]:
    return [each for each in account.server.traffic if each.operation == operation]


# -------------------------------------------------------------------------------------------------------- listings


def test_every_sku_is_a_listing_and_only_own_stock_takes_levels(sandbox: AmazonSandbox) -> None:
    found = listed(session_of(sandbox))
    assert set(found) == set(sandbox.seller.goods)
    assert {sku for sku, row in found.items() if not row.is_writable} == {"FBA-001", "FBA-002", "FBA-003", "PARENT-1"}
    assert {sku for sku, row in found.items() if not row.is_tracked} == {"PARENT-1"}
    assert found["CAFÉ /&+ 01"] == ListingRecord(
        "sku:CAFÉ /&+ 01", "CAFÉ /&+ 01", "Café con especias",
        attributes={"sku": "CAFÉ /&+ 01", "product_type": "COFFEE", "fulfilment": "DEFAULT"},
    )  # fmt: skip


def test_a_catalogue_beyond_a_thousand_is_walked_on_by_time_of_creation(
    sandbox: AmazonSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.amazon.listings.MOST_PAGED", 40)
    sandbox.server.routes.most_listed = 40
    start = sandbox.seller.now() - timedelta(days=20)
    for number in range(100):
        sandbox.seller.goods[f"MORE-{number:03d}"] = Good(
            f"MORE-{number:03d}", "More", 1, created_at=start + timedelta(minutes=number // 3)  # type: ignore[arg-type]
        )  # fmt: skip
    rows = [row.sku for batch in CHANNEL.listing_source(session_of(sandbox)) for row in batch]  # type: ignore[misc]
    assert sorted(rows) == sorted(sandbox.seller.goods)
    for good in sandbox.seller.goods.values():
        good.created_at = start
    with pytest.raises(Refused, match="in the same instant"):
        listed(session_of(sandbox))


def test_a_listing_is_read_from_what_amazon_tells_of_it() -> None:
    bare = record_of({"sku": "X"}, ["M1"])
    assert (bare.is_tracked, bare.title, bare.attributes["product_type"]) == (False, "", "PRODUCT")
    codes = [{"fulfillmentChannelCode": code} for code in ("STORE-7", "DEFAULT", "AMAZON_EU")]
    assert [channel_code({"fulfillmentAvailability": codes[:count]}) for count in (0, 1, 2, 3)] == [
        None, "STORE-7", "DEFAULT", "AMAZON_EU",
    ]  # fmt: skip
    source = {
        "fulfillmentAvailability": [
            {"fulfillmentChannelCode": "STORE-7", "quantity": 4},
            {"fulfillmentChannelCode": "STORE-8", "quantity": 5},
        ]
    }
    assert (level_of(source).quantity, record_of({"sku": "X", **source}, []).is_writable) == (9, False)
    both = {
        "fulfillmentAvailability": [
            {"fulfillmentChannelCode": "STORE-7", "quantity": 4},
            {"fulfillmentChannelCode": "DEFAULT", "quantity": 6},
        ]
    }
    assert level_of(both).quantity == 6


# ---------------------------------------------------------------------------------------------------------- levels


def test_levels_are_read_in_batches_and_fba_from_amazons_warehouses(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    sandbox.seller.goods["FBA,4"] = Good(
        "FBA,4", "By Amazon", 1, code="AMAZON_NA", quantity=8, created_at=sandbox.seller.now()
    )  # type: ignore[arg-type]
    refs = [ListingRef(row.listing_key, attributes=row.attributes) for row in listed(session).values()]
    levels = {row.listing_key: row for row in CHANNEL.stock_source(session, [*refs, ref("GONE"), ref("GONE,2")])}  # type: ignore[misc]
    assert {key.removeprefix("sku:"): row.available for key, row in levels.items()} == {
        **{sku: sandbox.level(sku) for sku in sandbox.seller.goods}, "GONE": None, "GONE,2": None,
    }  # fmt: skip
    assert levels["sku:GONE"].note == "Amazon does not list this SKU any more"
    assert levels["sku:UNSET-1"].note == "no quantity was ever set for it at Amazon"
    identifiers = [dict(each.query).get("identifiers", "") for each in asked(sandbox, "searchListingsItems")]
    assert [len(each.split(",")) for each in identifiers if each] == [20, 4]
    assert [each.path.rpartition("/")[2] for each in asked(sandbox, "getListingsItem")] == ["COMMA%2C1", "GONE%2C2"]
    assert len(asked(sandbox, "getInventorySummaries")) == 2
    lone = list(CHANNEL.stock_source(session, [ref("NEVER-THERE", fulfilment="AMAZON_NA"), ref("FBA-001")]))  # type: ignore[misc]
    assert [(row.available, row.note) for row in lone] == [
        (0, "Amazon has none of it in its warehouses"), (None, "Amazon ships it from its own warehouses"),
    ]  # fmt: skip


def test_a_key_of_another_channel_is_refused(sandbox: AmazonSandbox) -> None:
    for key in ("product:1", "sku:", "rubbish"):
        with pytest.raises(BadPayload, match="not of this channel"):
            list(CHANNEL.stock_source(session_of(sandbox), [ListingRef(key)]))  # type: ignore[misc]


def answering(*answers: Any) -> AmazonApi:
    rest = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/o2/token":
            return httpx.Response(200, json={"access_token": "A", "expires_in": 3600})
        answer = rest.pop(0)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    settings = {"region": "na", "marketplace_ids": "ATVPDKIKX0DER", "seller_id": "A2PRACTICE0SELLER"}
    secrets = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}
    return AmazonApi(a_session(settings, secrets, transport=httpx.MockTransport(handle)))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"numberOfResults": 0}, "without items"),
        ([], "without items"),
        ({"items": [{"sku": "OTHER"}]}, "for other SKUs"),
    ],
)
def test_half_answers_about_listings_end_the_reading(answer: Any, said: str) -> None:
    with pytest.raises(RetryLater, match=said):
        read_levels(answering(answer), ["A"])


def test_other_half_answers_about_listings() -> None:
    with pytest.raises(HubError, match="answered 400"):
        read_levels(answering(httpx.Response(400, json={"errors": [{"code": "BAD_REQUEST"}]})), ["A,B"])
    fba = ref("A", fulfilment="AMAZON_NA")
    with pytest.raises(RetryLater, match="without its payload"):
        list(CHANNEL.stock_source(answering({"errors": []}).session, [fba]))  # type: ignore[misc]
    page = {"items": [], "pagination": {"nextToken": "t"}}
    with pytest.raises(RetryLater, match="was there before"):
        listed(answering(page, page).session)
    with pytest.raises(BadPayload, match="no time of creation"):
        listed(answering({"items": [{"sku": "A", "summaries": [{}]}]}).session)


# --------------------------------------------------------------------------------------------------------- patches


def test_a_few_levels_go_by_patches_that_merge_and_leave_the_rest_alone(sandbox: AmazonSandbox) -> None:
    outcomes = push(
        session_of(sandbox),
        write("HUB-001", 7, 45),
        write("CAFÉ /&+ 01", 0, 30, product_type="COFFEE"),
        write("COMMA,1", 3),
    )
    assert {sku: (each.result, each.observed) for sku, each in outcomes.items()} == {
        "HUB-001": (APPLIED, 7), "CAFÉ /&+ 01": (APPLIED, 0), "COMMA,1": (APPLIED, 3),
    }  # fmt: skip
    first, second, _ = asked(sandbox, "patchListingsItem")
    assert orjson.loads(first.body) == {
        "productType": "MUG",
        "patches": [
            {"op": "merge", "path": "/attributes/fulfillment_availability",
             "value": [{"fulfillment_channel_code": "DEFAULT", "quantity": 7}]}
        ],
    }  # fmt: skip
    assert second.path.endswith("/CAF%C3%89%20%2F%26%2B%2001")
    assert sandbox.seller.goods["HUB-001"].lead_time_days == 2
    assert asked(sandbox, "createFeed") == []


def test_each_row_has_its_own_outcome(sandbox: AmazonSandbox) -> None:
    outcomes = push(
        session_of(sandbox), write("HUB-001", 7), write("NOT/THERE", 1), write("HUB-002", 8, product_type="WRONG"),
        write("FBA-001", 9), write("HUB-003", 9),
    )  # fmt: skip
    assert results(outcomes) == {
        "HUB-001": APPLIED, "NOT/THERE": REJECTED, "HUB-002": REJECTED, "FBA-001": REJECTED, "HUB-003": APPLIED,
    }  # fmt: skip
    assert outcomes["HUB-002"].reason == "Amazon refuses the level (90000900): The product type is not MUG."
    assert (sandbox.level("HUB-002"), sandbox.level("FBA-001")) == (50, 31)


def test_a_level_that_is_accepted_and_not_live_is_unknown_until_it_shows(sandbox: AmazonSandbox) -> None:
    sandbox.seller.processing = timedelta(seconds=5)
    waits: list[float] = []
    session = session_of(sandbox, sleep=waits.append)
    outcome = push(session, write("HUB-001", 7, 45))["HUB-001"]
    assert (outcome.result, outcome.observed, outcome.reason) == (
        UNKNOWN,
        45,
        "accepted, but the old level still shows",
    )
    assert waits == [1.0, 2.0, 4.0]
    quick = session_of(sandbox, sleep=sandbox.advance_clock)
    assert push(quick, write("HUB-002", 7, 50))["HUB-002"].result is APPLIED


def test_a_sale_right_after_the_write_is_told_as_it_is(sandbox: AmazonSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sandbox.seller.accept_level

    def sells_one(sku: str, quantity: int) -> None:
        real(sku, quantity - 1)

    monkeypatch.setattr(sandbox.seller, "accept_level", sells_one)
    outcome = push(session_of(sandbox), write("HUB-001", 7, 45))["HUB-001"]
    assert (outcome.result, outcome.observed) == (APPLIED, 6)


class Broken(httpx.HTTPTransport):
    """Breaks chosen requests: before they are sent, or after they were carried out."""

    def __init__(self, chosen: Any, *, lost: bool = False, status: int = 0) -> None:
        super().__init__()
        self.chosen, self.lost, self.status = chosen, lost, status

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not self.chosen(request):
            return super().handle_request(request)
        if self.lost:
            super().handle_request(request).close()
            raise httpx.ReadError("gone", request=request)
        return httpx.Response(self.status, json={"errors": [{"code": "ServiceUnavailable", "message": "no"}]})


def on(method: str, part: str) -> Any:
    return lambda request: request.method == method and part in request.url.path


def test_a_lost_answer_is_unknown_and_is_read_back(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox, transport=Broken(on("PATCH", "HUB-001"), lost=True))
    outcomes = push(session, write("HUB-001", 7, 45), write("HUB-002", 8, 50))
    assert results(outcomes) == {"HUB-001": UNKNOWN, "HUB-002": APPLIED}
    assert outcomes["HUB-001"].observed == 7
    assert len(asked(sandbox, "patchListingsItem")) == 2


def test_a_storm_in_the_middle_leaves_the_rest_for_later(sandbox: AmazonSandbox) -> None:
    storm = session_of(sandbox, transport=Broken(on("PATCH", "HUB-002"), status=429))
    outcomes = push(storm, write("HUB-001", 7), write("HUB-002", 8), write("HUB-003", 9))
    assert results(outcomes) == {"HUB-001": APPLIED, "HUB-002": RETRY, "HUB-003": RETRY}
    with pytest.raises(RetryLater):
        push(storm, write("HUB-002", 8), write("HUB-003", 9))
    refused = session_of(sandbox, transport=Broken(on("PATCH", "HUB-002"), status=403))
    assert results(push(refused, write("HUB-001", 7), write("HUB-002", 8))) == {"HUB-001": APPLIED, "HUB-002": RETRY}
    with pytest.raises(NeedsReconnect):
        push(refused, write("HUB-002", 8))
    assert (sandbox.level("HUB-002"), sandbox.level("HUB-003")) == (50, 55)


def test_levels_that_cannot_be_read_back_are_unknown(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox, transport=Broken(on("GET", "/listings/"), status=503))
    outcome = push(session, write("HUB-001", 7))["HUB-001"]
    assert (outcome.result, outcome.observed) == (UNKNOWN, None)
    assert outcome.reason.startswith("could not be read back:")


@pytest.mark.parametrize(
    ("patched", "read", "result"),
    [
        ({"status": "ACCEPTED"}, {"items": []}, REJECTED),
        ({"status": "ACCEPTED"}, {"items": [{"sku": "A"}]}, REJECTED),
        ({}, {"items": []}, UNKNOWN),
        ({"status": "INVALID"}, None, REJECTED),
    ],
)
def test_odd_answers_to_a_patch(patched: Any, read: Any, result: PushResult) -> None:
    (outcome,) = CHANNEL.stock_sink(answering(patched, read).session, [write("A", 1)])  # type: ignore[misc]
    assert (outcome.result, outcome.reason != "") == (result, True)


def test_reasons_are_short_and_name_codes() -> None:
    assert issues_in_words([]) == "Amazon refuses the level (no code):"
    warnings = [
        {"severity": "WARNING", "code": "1", "message": "w"},
        {"severity": "ERROR", "code": "2", "message": "e " * 400},
    ]
    assert issues_in_words(warnings).startswith("Amazon refuses the level (2): e e")
    assert len(issues_in_words(warnings)) == 300


# ----------------------------------------------------------------------------------------------------------- feeds


def test_many_levels_go_by_one_feed_whose_report_is_read_row_by_row(sandbox: AmazonSandbox) -> None:
    sandbox.seller.refused_skus["HUB-003"] = "'[batteries_required]' is required but not supplied."
    writes = [*many(20), *(write(f"NOT-{number}", 1) for number in range(21))]
    outcomes = push(session_of(sandbox), *writes)
    assert [sku for sku, each in outcomes.items() if each.result is APPLIED] == [
        f"HUB-{number:03d}" for number in range(1, 21) if number != 3
    ]
    assert (
        outcomes["HUB-003"].reason
        == "Amazon refuses the level (90220): '[batteries_required]' is required but not supplied."
    )
    assert {outcomes[f"NOT-{number}"].result for number in range(21)} == {REJECTED}
    assert (sandbox.level("HUB-003"), sandbox.level("HUB-004")) == (55, 50)
    assert [
        len(asked(sandbox, name))
        for name in ("createFeedDocument", "createFeed", "getFeedDocument", "patchListingsItem")
    ] == [1, 1, 1, 0]
    (upload,) = [each for each in sandbox.server.traffic if each.method == "PUT"]
    assert upload.headers["content-type"] == "application/json; charset=UTF-8"
    assert "x-amz-access-token" not in upload.headers


def test_forty_rows_are_patched_and_forty_one_are_fed(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    CHANNEL.stock_sink(session, many(40))  # type: ignore[misc]
    assert (len(asked(sandbox, "patchListingsItem")), len(asked(sandbox, "createFeed"))) == (40, 0)
    CHANNEL.stock_sink(session, many(41))  # type: ignore[misc]
    assert (len(asked(sandbox, "patchListingsItem")), len(asked(sandbox, "createFeed"))) == (40, 1)


def test_a_feed_that_is_not_done_stops_every_other_write_until_it_is(sandbox: AmazonSandbox) -> None:
    sandbox.seller.job_polls = 1_000
    session = session_of(sandbox)
    outcomes: Sequence[PushOutcome] = CHANNEL.stock_sink(session, many(41, 60))  # type: ignore[misc]
    assert {each.result for each in outcomes} == {UNKNOWN}
    assert all("is still being processed" in each.reason for each in outcomes)
    assert session.secrets.get(OPEN_FEED)
    for rows in (many(1), many(41)):
        with pytest.raises(RetryLater, match="is still being processed"):
            CHANNEL.stock_sink(session, rows)  # type: ignore[misc]
    assert asked(sandbox, "patchListingsItem") == []
    (feed,) = sandbox.seller.jobs.values()
    feed.polls_left = 0
    assert push(session, write("HUB-001", 7))["HUB-001"].result is APPLIED
    assert session.secrets.get(OPEN_FEED) == ""
    session.secrets.replace({OPEN_FEED: "forgotten"})
    assert push(session, write("HUB-001", 8))["HUB-001"].result is APPLIED


@pytest.mark.parametrize(("end", "result"), [("FATAL", UNKNOWN), ("CANCELLED", RETRY)])
def test_a_feed_that_failed_may_have_done_some_and_one_that_was_cancelled_nothing(
    sandbox: AmazonSandbox, end: str, result: PushResult
) -> None:
    sandbox.seller.job_end = end
    outcomes = CHANNEL.stock_sink(session_of(sandbox), many(60, 77))  # type: ignore[misc]
    assert {each.result for each in outcomes} == {result}
    assert {sandbox.level(f"HUB-{number:03d}") for number in range(1, 21)} == (
        {77} if end == "FATAL" else {40 + 5 * number for number in range(1, 21)}
    )


def test_what_fails_before_a_feed_is_made_leaves_nothing_behind(sandbox: AmazonSandbox) -> None:
    for chosen in (on("POST", "/documents"), on("PUT", "/files/")):
        session = session_of(sandbox, transport=Broken(chosen, status=503))
        with pytest.raises(RetryLater):
            CHANNEL.stock_sink(session, many(41, 99))  # type: ignore[misc]
    lost = session_of(sandbox, transport=Broken(on("POST", "/documents"), lost=True))
    with pytest.raises(RetryLater):
        CHANNEL.stock_sink(lost, many(41, 99))  # type: ignore[misc]
    assert (asked(sandbox, "createFeed"), sandbox.level("HUB-001")) == ([], 45)


@pytest.mark.parametrize("chosen", [on("POST", "-30/feeds"), on("GET", "-30/feeds/"), on("GET", "/files/")])
def test_a_feed_of_which_nothing_is_heard_leaves_its_rows_unknown(sandbox: AmazonSandbox, chosen: Any) -> None:
    session = session_of(sandbox, transport=Broken(chosen, lost=True))
    outcomes = CHANNEL.stock_sink(session, many(41, 99))  # type: ignore[misc]
    assert {(each.result, each.observed) for each in outcomes} == {(UNKNOWN, 99)}
    assert len(asked(sandbox, "createFeed")) == 1


def test_odd_answers_around_a_feed() -> None:
    rows = many(41)
    with pytest.raises(BadPayload, match="holds no document"):
        CHANNEL.stock_sink(answering({}).session, rows)  # type: ignore[misc]
    document = {"feedDocumentId": "D", "url": "https://files.example/d"}
    levels = [{"items": []}] * 3
    outcomes = CHANNEL.stock_sink(answering(document, {}, {}, *levels).session, rows)  # type: ignore[misc]
    assert {each.result for each in outcomes} == {UNKNOWN}
    ended = {"processingStatus": "DONE", "resultFeedDocumentId": "R"}
    reports = (
        b"not json",
        b'{"issues": [{"severity": "ERROR", "message": "all wrong"}, {"severity": "WARNING", "messageId": 1, "message": "w"}]}',
    )
    for report in reports:
        answers = [document, {}, {"feedId": "F"}, ended, {"feedDocumentId": "R", "url": "https://files.example/r"}]
        outcomes = CHANNEL.stock_sink(  # type: ignore[misc]
            answering(*answers, httpx.Response(200, content=report), *levels).session, rows
        )
        assert {each.result for each in outcomes} == {UNKNOWN}
    nothing = [document, {}, {"feedId": "F"}, {"processingStatus": "DONE"}, *levels]
    assert {each.result for each in CHANNEL.stock_sink(answering(*nothing).session, rows)} == {UNKNOWN}  # type: ignore[misc]
    without = [document, {}, {"feedId": "F"}, ended, {"feedDocumentId": "R"}, *levels]
    assert {each.result for each in CHANNEL.stock_sink(answering(*without).session, rows)} == {UNKNOWN}  # type: ignore[misc]


def test_feeds_keep_to_five_in_five_minutes(sandbox: AmazonSandbox) -> None:
    waits: list[float] = []
    session = session_of(sandbox, sleep=waits.append)
    for _ in range(6):
        CHANNEL.stock_sink(session, many(41))  # type: ignore[misc]
    (wait,) = [wait for wait in waits if wait > 50]
    assert 55 < wait <= 60
