"""Pulling: windows and watermarks of searchOrders, transactions, flat files, single orders; in good weather and bad."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import httpx
import orjson
import pytest

from connectors.amazon import CHANNEL, finances
from connectors.amazon.cursor import MoneyPlace, Position, ReportPlace, SearchPlace
from connectors.amazon.operations import SEARCH_ORDERS
from connectors.amazon.report_file import choose_encoding, read_orders
from connectors.amazon.reports import Fetched
from connectors.amazon.sandbox import AmazonSandbox, start_sandbox
from connectors.amazon.sandbox_server import Exchange
from oms_hub.channel.contract import ChannelSession, PullRequest, RawPage
from oms_hub.channel.rate_limit import ProcessBuckets
from oms_hub.domain.pull_windows import from_text, to_text
from oms_hub.errors import BadPayload, HubError, RetryLater
from oms_hub.testing.factories import a_session

GENEROUS = 20_000.0
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def sandbox() -> Iterator[AmazonSandbox]:
    account = start_sandbox(orders=12, rate_factor=GENEROUS, clock=lambda: NOW)
    yield account
    account.close()


def session_of(account: AmazonSandbox, **settings: str) -> ChannelSession:
    given = {"history": "search", "page_size": "5", **settings}
    return a_session({**account.account.settings, **given}, account.account.secrets, clock=account.seller.now)


def pull(session: ChannelSession, cursor: Mapping[str, Any] | None = None, **more: Any) -> list[RawPage]:
    return list(CHANNEL.order_source(session, PullRequest(cursor or {}, **more)))  # type: ignore[misc]


def pull_into(pages: list[RawPage], session: ChannelSession, cursor: Mapping[str, Any] | None = None) -> None:
    """Pull, keeping what landed before a failure."""
    pages.extend(CHANNEL.order_source(session, PullRequest(cursor or {})))  # type: ignore[misc]


def records(pages: Sequence[RawPage]) -> list[str]:
    return [record.record_id for page in pages for record in CHANNEL.split_page(page.kind, page.body)]


def versions(pages: Sequence[RawPage]) -> set[str]:
    return {
        record.record_id
        for page in pages
        for record in CHANNEL.split_page(page.kind, page.body)
        if "orderItems" in record.payload
    }


def asked(account: AmazonSandbox, operation: str = "searchOrders") -> list[Exchange]:
    return [each for each in account.server.traffic if each.operation == operation]


# ------------------------------------------------------------------------------------------------------- searching


def test_the_servers_own_bound_is_the_watermark_and_nothing_of_the_buyer_is_asked_for(sandbox: AmazonSandbox) -> None:
    pages = pull(session_of(sandbox))
    assert versions(pages) == set(sandbox.order_ids())
    assert pages[-1].cursor["watermark"] == "2026-11-22T11:58:00Z"
    requests = asked(sandbox)
    assert [dict(each.query).get("paginationToken") is None for each in requests] == [True, False, False]
    assert {dict(each.query)["lastUpdatedAfter"] for each in requests} == {"2026-08-24T12:00:00Z"}
    assert {dict(each.query)["includedData"] for each in requests} == {
        "PROCEEDS,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX"
    }
    assert all("lastUpdatedBefore" not in dict(each.query) for each in requests)


def test_news_shows_after_two_minutes_and_is_not_lost_in_between(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    cursor = pull(session)[-1].cursor
    order_id = sandbox.seller.place_order({"HUB-001": 1}).order_id
    sandbox.advance_clock(119)
    pages = pull(session, cursor)
    assert order_id not in versions(pages)
    assert pages[-1].cursor["watermark"] == "2026-11-22T11:59:59Z"
    sandbox.advance_clock(1)
    assert order_id in versions(pull(session, pages[-1].cursor))
    assert [dict(each.query)["lastUpdatedAfter"] for each in asked(sandbox)[-2:]] == [
        "2026-11-22T11:48:00Z", "2026-11-22T11:49:59Z",
    ]  # fmt: skip


def test_a_walk_goes_on_at_its_page_and_begins_again_where_its_token_is_dead(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    first = next(iter(CHANNEL.order_source(session, PullRequest({}))))  # type: ignore[misc]
    before = len(asked(sandbox))
    assert len(versions(pull(session, first.cursor))) == 7
    assert len(asked(sandbox)) - before == 2
    bad = {**first.cursor, "search": {**first.cursor["search"], "token": "rubbish"}}
    assert len(versions(pull(session, bad))) == 12
    sandbox.advance_clock(3600 * 23 + 1)
    old = pull(session, first.cursor)
    assert len(versions(old)) == 12
    assert from_text(old[-1].cursor["watermark"]) == NOW + timedelta(hours=23, seconds=1, minutes=-2)


def test_a_refusal_without_a_token_is_no_reason_to_begin_again(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    future = {"search": {"after": "2027-01-01T00:00:00Z"}}
    with pytest.raises(HubError, match="answered 400"):
        pull(session, future)
    assert len(asked(sandbox)) == 1


def test_a_full_pull_walks_the_history_again_and_keeps_to_its_bound(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    cursor = pull(session)[-1].cursor
    assert versions(pull(session, cursor, is_full=True)) == set(sandbox.order_ids())
    recent = pull(session, cursor, is_full=True, placed_from=NOW - timedelta(days=5))
    with sandbox.seller.lock:
        wanted = {
            each.order_id for each in sandbox.seller.orders.values() if each.updated_at >= NOW - timedelta(days=5)
        }
    assert versions(recent) == wanted
    from_setting = session_of(sandbox, orders_from="2026-11-17")
    assert {dict(each.query)["lastUpdatedAfter"] for each in asked(sandbox)[-1:]} != {"2026-11-17T00:00:00Z"}
    pull(from_setting)
    assert dict(asked(sandbox)[-1].query)["lastUpdatedAfter"] == "2026-11-17T00:00:00Z"


@pytest.mark.parametrize(
    "cursor",
    [{"watermark": "soon"}, {"search": {"after": "2026-01-01"}}, {"report": {"next_from": 5}}, {"money": {"odd": "1"}}],
)
def test_a_cursor_that_cannot_be_read_says_so(sandbox: AmazonSandbox, cursor: Mapping[str, Any]) -> None:
    with pytest.raises(BadPayload, match="the stored cursor cannot be read"):
        pull(session_of(sandbox), cursor)


def test_a_cursor_survives_its_way_through_json() -> None:
    position = Position(
        watermark="2026-11-22T11:58:00Z",
        report=ReportPlace("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "R1", "order"),
        search=SearchPlace("2026-11-01T00:00:00Z", "token", "2026-11-02T00:00:00Z", "2026-11-02T00:00:00Z"),
        money=MoneyPlace("2026-11-01T00:00:00Z", None, "2026-11-01T00:00:00Z", "next", "2026-11-02T00:00:00Z"),
    )
    assert Position.from_cursor(orjson.loads(orjson.dumps(position.to_cursor()))) == position
    assert Position().to_cursor() == {}
    assert Position.from_cursor({}) == Position()


# --------------------------------------------------------------------------------------- answers that are not right


class Answers(httpx.BaseTransport):
    """Gives prepared answers to searchOrders and listTransactions in turn; tokens as usual."""

    def __init__(self, *answers: Any) -> None:
        self.left = list(answers)
        self.queries: list[dict[str, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/o2/token":
            return httpx.Response(200, json={"access_token": "A", "expires_in": 3600})
        self.queries.append(dict(request.url.params))
        answer = self.left.pop(0)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


def given(*answers: Any, **settings: str) -> ChannelSession:
    own = {"region": "na", "marketplace_ids": "ATVPDKIKX0DER", "seller_id": "A2PRACTICE0SELLER", "history": "search"}
    secrets = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}
    return a_session({**own, **settings}, secrets, transport=Answers(*answers), clock=lambda: NOW)


def found(*ids: str, token: str | None = None, until: str = "2026-11-22T11:58:00Z") -> dict[str, Any]:
    page: dict[str, Any] = {"orders": [{"orderId": each} for each in ids], "lastUpdatedBefore": until}
    return page if token is None else {**page, "pagination": {"nextToken": token}}


NO_MONEY = {"payload": {"transactions": None}}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([{"orders": []}], "does not tell up to when"),
        ([{"errors": []}], "without a list of orders"),
        ([[]], "without a list of orders"),
        ([found("1", token="t"), found("2", token="t")], "was there before"),
        ([found("1", token="t"), found("2", token="u"), found("3", token="t")], "was there before"),
    ],
)
def test_half_answers_and_pages_that_come_again_end_the_run(answers: list[Any], said: str) -> None:
    with pytest.raises(RetryLater, match=said):
        pull(given(*answers))


def test_duplicated_and_reordered_pages_do_no_harm_and_the_earliest_bound_counts() -> None:
    session = given(
        found("2", "1", token="t"), found("1", token="u", until="2026-11-22T11:50:00Z"), found("3"), NO_MONEY
    )  # fmt: skip
    pages = pull(session)
    assert records(pages) == ["2", "1", "1", "3"]
    assert pages[-1].cursor["watermark"] == "2026-11-22T11:50:00Z"


def test_an_older_bound_never_moves_the_watermark_back() -> None:
    cursor = {"watermark": "2026-11-22T11:55:00Z", "money": {"asked_at": to_text(NOW)}}
    pages = pull(given(found(until="2026-11-22T09:00:00Z")), cursor)
    assert [page.cursor["watermark"] for page in pages] == ["2026-11-22T11:55:00Z"]


# ----------------------------------------------------------------------------------------------------------- money


def money_of(pages: Sequence[RawPage]) -> list[str]:
    return [
        record.payload["transactionId"]
        for page in pages
        for record in CHANNEL.split_page(page.kind, page.body)
        if "transactionId" in record.payload
    ]


def test_transactions_come_once_an_hour_two_days_back(sandbox: AmazonSandbox) -> None:
    sandbox.server.routes.transactions_per_page = 4
    session = session_of(sandbox)
    pages = pull(session)
    posted = [
        each["transactionId"]
        for each in sandbox.seller.transactions
        if each["relatedIdentifiers"][0]["relatedIdentifierName"] == "ORDER_ID"
    ]
    assert money_of(pages) == posted
    assert len(asked(sandbox, "listTransactions")) == 3
    assert pages[-1].cursor["money"] == {"until": "2026-11-22T11:57:00Z", "asked_at": "2026-11-22T12:00:00Z"}
    order_id = next(each.order_id for each in sandbox.seller.orders.values() if each.status == "SHIPPED")
    refunded = sandbox.seller.refund(order_id)["transactionId"]
    sandbox.advance_clock(3599)
    again = pull(session, pages[-1].cursor)
    assert money_of(again) == []
    sandbox.advance_clock(1)
    assert refunded in money_of(pull(session, again[-1].cursor))
    assert dict(asked(sandbox, "listTransactions")[-1].query)["postedAfter"] == "2026-11-20T11:57:00Z"


def test_a_walk_over_transactions_goes_on_at_its_page(sandbox: AmazonSandbox) -> None:
    sandbox.server.routes.transactions_per_page = 4
    session = session_of(sandbox)
    whole = pull(session)
    middle = next(page for page in whole if "token" in page.cursor.get("money", {}))
    before = len(asked(sandbox, "listTransactions"))
    rest = pull(session, middle.cursor)
    assert money_of(rest) == money_of(whole)[4:]
    assert len(asked(sandbox, "listTransactions")) - before == 2
    bad = {**middle.cursor, "money": {**middle.cursor["money"], "token": "rubbish"}}
    assert money_of(pull(session, bad)) == money_of(whole)


def test_a_long_history_is_asked_for_in_windows_of_less_than_180_days() -> None:
    session = given(found(), NO_MONEY, NO_MONEY, NO_MONEY, orders_from="2025-10-01")
    pages = pull(session)
    queries = session.transport.queries[1:]  # type: ignore[union-attr]
    assert queries == [
        {"postedAfter": "2025-10-01T00:00:00Z", "postedBefore": "2026-03-29T00:00:00Z"},
        {"postedAfter": "2026-03-29T00:00:00Z", "postedBefore": "2026-09-24T00:00:00Z"},
        {"postedAfter": "2026-09-24T00:00:00Z"},
    ]
    assert pages[-1].cursor["money"] == {"until": "2026-11-22T11:57:00Z", "asked_at": "2026-11-22T12:00:00Z"}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([{}], "without its payload"),
        ([[]], "without its payload"),
        ([{"payload": {"nextToken": "t"}}, {"payload": {"nextToken": "t"}}], "was there before"),
        ([httpx.Response(400, json={"errors": [{"code": "InvalidInput"}]})], "answered 400"),
    ],
)
def test_half_answers_about_money_end_the_run_with_the_orders_landed(answers: list[Any], said: str) -> None:
    landed: list[RawPage] = []
    with pytest.raises(HubError, match=said):
        pull_into(landed, given(found("1"), *answers))
    assert landed[0].cursor["watermark"] == "2026-11-22T11:58:00Z"


def test_without_the_finance_role_orders_come_without_refunds_and_the_sync_says_so(sandbox: AmazonSandbox) -> None:
    sandbox.server.access.missing_roles.add("Finance and Accounting")
    session = session_of(sandbox)
    pages = pull(session)
    assert versions(pages) == set(sandbox.order_ids())
    notices = [notice for page in pages for notice in page.notices]
    assert [(notice.kind, notice.reference) for notice in notices] == [("source_changed", "refunds and fees")]
    assert pull(session, pages[-1].cursor)[-1].notices == ()
    assert finances.is_due(Position.from_cursor(pages[-1].cursor).money, NOW + timedelta(hours=1))


# ------------------------------------------------------------------------------------------------------ flat files


def test_history_comes_from_flat_files_and_the_last_week_from_the_api(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox, history="report")
    pages = pull(session)
    totals = {}
    by_id: dict[str, list[Any]] = {}
    for page in pages:
        for record in CHANNEL.split_page(page.kind, page.body):
            by_id.setdefault(record.record_id, []).append(record.payload)
    for order_id, payloads in by_id.items():
        totals[order_id] = CHANNEL.parse_order(payloads, session.connection).total
    assert totals == sandbox.totals()
    with sandbox.seller.lock:
        recent = {
            each.order_id
            for each in sandbox.seller.orders.values()
            if each.updated_at >= NOW - timedelta(days=7, minutes=10)
        }
    assert versions(pages) == recent
    windows = [orjson.loads(each.body) for each in asked(sandbox, "createReport")]
    assert [(each["dataStartTime"], each["dataEndTime"]) for each in windows] == [
        ("2026-08-24T12:00:00Z", "2026-09-23T12:00:00Z"),
        ("2026-09-23T12:00:00Z", "2026-10-23T12:00:00Z"),
        ("2026-10-23T12:00:00Z", "2026-11-15T12:00:00Z"),
    ]
    assert {each["reportType"] for each in windows} == {"GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"}
    files = [each for each in sandbox.server.traffic if each.path.startswith("/files/")]
    assert [(each.method, "x-amz-access-token" in each.headers) for each in files] == [("GET", False)] * 2
    body = b"".join(page.body for page in pages)
    assert b"A CITY" not in body
    assert b"01000" not in body


def test_a_short_history_needs_no_flat_file(sandbox: AmazonSandbox) -> None:
    pull(session_of(sandbox, history="report", orders_from="2026-11-16"))
    assert asked(sandbox, "createReport") == []


def test_a_report_that_is_still_being_made_is_waited_for_by_the_next_run(sandbox: AmazonSandbox) -> None:
    sandbox.seller.job_polls = 100
    session = session_of(sandbox, history="report", orders_from="2026-10-25")
    pages: list[RawPage] = []
    with pytest.raises(RetryLater, match="still making the report"):
        pull_into(pages, session)
    assert len(asked(sandbox, "createReport")) == 1
    for job in sandbox.seller.jobs.values():
        job.polls_left = 0
    rest = pull(session, pages[-1].cursor)
    assert len(asked(sandbox, "createReport")) == 1
    assert set(records(rest)) >= {
        each.order_id for each in sandbox.seller.orders.values() if each.updated_at > NOW - timedelta(days=25)
    }


def test_a_history_that_was_interrupted_goes_on_within_its_file(
    sandbox: AmazonSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.amazon.report_pages.ORDERS_PER_PAGE", 2)
    session = session_of(sandbox, history="report", orders_from="2026-10-25")
    whole = [page for page in pull(session) if b'"report"' in page.body]
    rest = [page for page in pull(session, whole[0].cursor) if b'"report"' in page.body]
    assert [records([page]) for page in rest] == [records([page]) for page in whole[1:]]
    assert len(asked(sandbox, "createReport")) == 1


def test_a_report_that_failed_or_vanished_is_asked_for_again(sandbox: AmazonSandbox) -> None:
    sandbox.seller.job_end = "FATAL"
    session = session_of(sandbox, history="report", orders_from="2026-10-25")
    pages: list[RawPage] = []
    with pytest.raises(RetryLater, match="failed to make a report"):
        pull_into(pages, session)
    sandbox.seller.job_end = "DONE"
    assert set(records(pull(session, pages[-1].cursor))) >= set(sandbox.order_ids()[-4:])
    vanished = {**pages[-1].cursor, "report": {**pages[-1].cursor["report"], "report_id": "gone"}}
    with pytest.raises(RetryLater, match="failed to make a report"):
        pull(session, vanished)


def test_odd_answers_about_reports_end_the_run() -> None:
    for answers, said in (
        ([{}], "holds no reportId"),
        ([{"reportId": "R"}, {"processingStatus": "DONE", "reportDocumentId": "D"}, {}], "holds no url"),
    ):
        with pytest.raises(BadPayload, match=said):
            pull(given(*answers, history="report"))


def test_the_address_of_a_file_is_asked_for_again_where_it_lapsed(
    sandbox: AmazonSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(sandbox, history="report", orders_from="2026-10-25")
    real = sandbox.server.documents.file_at
    refusals = iter([True])

    def lapses_once(path: str) -> Any:
        if next(refusals, False):
            sandbox.advance_clock(301)
        return real(path)

    monkeypatch.setattr(sandbox.server.documents, "file_at", lapses_once)
    pull(session)
    assert [each.status for each in sandbox.server.traffic if each.path.startswith("/files/")] == [403, 200]
    monkeypatch.setattr(sandbox.server.documents, "file_at", lambda _path: (sandbox.advance_clock(301), real(_path))[1])
    with pytest.raises(HubError, match="the address of a document is refused with 403"):
        pull(session)


ROWS = "purchase-date\tamazon-order-id\torder-status\tproduct-name\tship-city\r\n"


def read(
    body: bytes, content_type: str = "", *, is_gzip: bool = False, fallback: str = "cp1252", chunk: int = 2
) -> Any:
    source = BytesIO(gzip.compress(body) if is_gzip else body)
    return list(read_orders(source, Fetched(is_gzip, content_type), fallback=fallback, chunk=chunk))


@pytest.mark.parametrize(
    ("encoding", "content_type", "fallback", "title"),
    [
        ("utf-8", "", "cp1252", "Café 杯子"),
        ("utf-8-sig", "text/plain; charset=UTF-8", "cp1252", "Café 杯子"),
        ("cp1252", "", "cp1252", "Café"),
        ("iso-8859-1", "text/plain;charset=ISO-8859-1", "cp932", "Café"),
        ("cp932", "", "cp932", "湯のみ茶碗"),
        ("cp932", "text/plain;charset=Shift_JIS", "cp1252", "湯のみ茶碗"),
        ("cp1252", "text/plain;charset=never-heard-of", "cp1252", "Café"),
        ("cp1252", "text/plain;charset=UTF-8", "cp1252", "Café"),
    ],
)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_flat_files_are_read_in_the_encoding_that_fits(
    encoding: str, content_type: str, fallback: str, title: str, is_gzip: bool
) -> None:
    body = (ROWS + f"2026-01-01\tB-1\tShipped\t{title}\tX\r\n").encode(encoding)
    (order,) = read(body, content_type, is_gzip=is_gzip, fallback=fallback)
    assert order == {
        "id": "B-1", "rows": [{"purchase-date": "2026-01-01", "order-status": "Shipped", "product-name": title}],
    }  # fmt: skip


def test_rows_of_one_order_are_put_together_in_their_order_whatever_the_size() -> None:
    lines = [f"{number}\tORDER-{number % 7}\tShipped\tP{number}\t" for number in range(50)]
    orders = read((ROWS + "\r\n".join([*lines, "", "\t\t\t"]) + "\r\n").encode(), chunk=4)
    assert [order["id"] for order in orders] == [f"ORDER-{number}" for number in range(7)]
    assert [row["product-name"] for row in orders[3]["rows"]] == [f"P{number}" for number in range(3, 50, 7)]
    assert read(ROWS.encode()) == []
    assert choose_encoding(BytesIO(b""), Fetched(False, ""), "cp932") == "utf-8-sig"


def test_damaged_files_and_other_files_are_told_apart() -> None:
    packed = gzip.compress((ROWS + "1\tA\tShipped\tP\t\r\n" * 500).encode())
    for body in (packed[: len(packed) // 2], packed[:40] + b"\0\0\0\0" + packed[44:], b"not packed at all"):
        with pytest.raises(RetryLater, match="damaged"):
            list(read_orders(BytesIO(body), Fetched(True, ""), fallback="cp1252"))
    with pytest.raises(BadPayload, match="no column of order ids"):
        read(b"<html>\r\nsorry\r\n")


# --------------------------------------------------------------------------------------------- single orders, ids


def test_single_orders_are_fetched_and_what_is_not_there_is_a_tombstone(sandbox: AmazonSandbox) -> None:
    ids = [*sandbox.order_ids()[:2], "702-0000000-0000000"]
    pages = list(CHANNEL.order_lookup(session_of(sandbox), ids))  # type: ignore[misc]
    only_gone = list(CHANNEL.order_lookup(session_of(sandbox), ids[2:]))  # type: ignore[misc]
    assert [page.kind for page in only_gone] == ["order_tombstones"]
    assert [(page.kind, records([page])) for page in pages] == [("orders", ids[:2]), ("order_tombstones", ids[2:])]
    for answer, error in (
        (httpx.Response(404, json={}), "answered 404"),
        ({"order": {"orderId": "other"}}, "another order"),
        ({"order": None}, "another order"),
    ):
        with pytest.raises(HubError, match=error):
            list(CHANNEL.order_lookup(given(answer), ["1"]))  # type: ignore[misc]


@pytest.mark.parametrize("history", ["search", "report"])
def test_the_ids_of_a_period_are_those_placed_in_it(sandbox: AmazonSandbox, history: str) -> None:
    session = session_of(sandbox, history=history)
    with sandbox.seller.lock:
        placed = {each.order_id: each.placed_at for each in sandbox.seller.orders.values()}
    for start, end in (
        (NOW - timedelta(days=40), NOW - timedelta(days=2)), (NOW - timedelta(days=40), NOW + timedelta(days=1)),
        (min(placed.values()), max(placed.values())),
    ):  # fmt: skip
        ids = list(CHANNEL.order_ids(session, start, end))  # type: ignore[misc]
        assert sorted(ids) == sorted(order_id for order_id, at in placed.items() if start <= at < end)


def test_an_order_of_another_day_in_a_report_is_left_out() -> None:
    file = "amazon-order-id\tpurchase-date\nIN\t2026-11-20T12:00:00+00:00\nOUT\t2026-11-21T12:00:00+00:00\n"
    done = {"processingStatus": "DONE", "reportDocumentId": "D"}
    address = {"reportDocumentId": "D", "url": "https://files.example/d"}
    session = given({"reportId": "R"}, done, address, httpx.Response(200, content=file.encode()), history="report")
    ids = CHANNEL.order_ids(session, NOW - timedelta(days=3), NOW - timedelta(days=1))  # type: ignore[misc]
    assert list(ids) == ["IN"]


def test_ids_that_cannot_be_listed_end_the_comparison(sandbox: AmazonSandbox) -> None:
    start, end = NOW - timedelta(days=2), NOW - timedelta(days=1)
    odd = given({"orders": [{"orderId": "1"}]})
    with pytest.raises(BadPayload, match="no time of creation"):
        list(CHANNEL.order_ids(odd, start, end))  # type: ignore[misc]
    again = {"orders": [], "pagination": {"nextToken": "t"}}
    with pytest.raises(RetryLater, match="was there before"):
        list(CHANNEL.order_ids(given(again, again), start, end))  # type: ignore[misc]
    sandbox.seller.job_end = "FATAL"
    with pytest.raises(RetryLater, match="failed to make a report"):
        list(CHANNEL.order_ids(session_of(sandbox, history="report"), start, end))  # type: ignore[misc]


# ----------------------------------------------------------------------------------------------------- rate limits


class Steps:
    """A clock that only moves when somebody sleeps; moves the practice account with it."""

    def __init__(self, account: AmazonSandbox) -> None:
        self.account, self.seconds, self.waits = account, 0.0, list[float]()

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds
        self.account.advance_clock(seconds)


def paced(account: AmazonSandbox, **settings: str) -> tuple[ChannelSession, Steps]:
    steps = Steps(account)
    session = replace(session_of(account, **settings), sleep=steps.sleep, buckets=ProcessBuckets(monotonic=steps))
    return session, steps


def test_a_walk_spends_the_burst_and_then_takes_a_page_in_three_minutes_without_one_refusal() -> None:
    account = start_sandbox(orders=25, clock=lambda: NOW)
    try:
        session, steps = paced(account, page_size="1")
        assert versions(pull(session)) == set(account.order_ids())
        assert [each.status for each in asked(account)] == [200] * 25
        assert [round(wait) for wait in steps.waits if wait > 1] == [179] * 5
    finally:
        account.close()


def test_a_turn_that_is_too_far_off_ends_the_run_and_takes_nothing(sandbox: AmazonSandbox) -> None:
    session, _ = paced(sandbox)
    for _ in range(22):
        session.buckets.take("amazon na A2PRACTICE0SELLER searchOrders", SEARCH_ORDERS.limit, patience_seconds=1e9)
    with pytest.raises(RetryLater, match="the rate limit of searchOrders is used up") as caught:
        pull(session)
    assert round(caught.value.after_seconds) == round(3 / 0.0056)
    assert asked(sandbox) == []


def test_a_429_empties_the_bucket_and_the_told_rate_paces_what_follows() -> None:
    account = start_sandbox(orders=3, rate_factor=2.0, clock=lambda: NOW)
    try:
        session, steps = paced(account)
        account.server._buckets["searchOrders"] = (0.0, NOW)  # another app of the seller was there before
        assert versions(pull(session)) == set(account.order_ids())
        statuses = [each.status for each in asked(account)]
        assert statuses[-1] == 200
        assert set(statuses[:-1]) == {429}
        assert len(statuses) <= 3
        assert sum(steps.waits) >= 1 / (0.0056 * 2) - 1
        bucket = session.buckets._buckets["amazon na A2PRACTICE0SELLER searchOrders"]  # type: ignore[attr-defined]
        assert bucket.per_second == pytest.approx(0.0112)
    finally:
        account.close()


@pytest.mark.parametrize("status", [429, 503])
def test_a_storm_of_refusals_ends_in_a_later_try_with_the_pages_landed(status: int) -> None:
    body = {"errors": [{"code": "QuotaExceeded" if status == 429 else "ServiceUnavailable", "message": "no"}]}
    storm = [httpx.Response(status, json=body) for _ in range(6)]
    session = given(found("1", token="t"), *storm)
    landed: list[RawPage] = []
    said = "rate limit of searchOrders is used up" if status == 429 else "answered 503"
    with pytest.raises(RetryLater, match=said):
        pull_into(landed, session)
    assert records(landed) == ["1"]
    short: list[Any] = [httpx.Response(status, json=body) for _ in range(1 if status == 429 else 3)]
    assert records(pull(given(*short, found("1"), NO_MONEY))) == ["1"]


def test_a_rate_that_is_no_number_is_passed_over() -> None:
    headers: Callable[[str], httpx.Response] = lambda rate: httpx.Response(  # noqa: E731
        200, json=found("1"), headers={"x-amzn-RateLimit-Limit": rate}
    )
    for rate in ("many", "0", "-1"):
        session = given(headers(rate), NO_MONEY)
        pull(session)
        bucket = session.buckets._buckets["amazon na A2PRACTICE0SELLER searchOrders"]  # type: ignore[attr-defined]
        assert bucket.per_second == 0.0056
