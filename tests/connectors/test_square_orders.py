"""Pulling from Square: which orders are asked for, where a pull goes on, what bad weather does to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest

from connectors.square import CHANNEL
from connectors.square.orders import order_ids, order_lookup, order_source
from connectors.square.sandbox import SquareSandbox, start_sandbox
from connectors.square.sandbox_seed import SECOND
from connectors.square.walk import PATH, Position, Walk, read_cursor
from oms_hub.channel.contract import ChannelSession, Cursor, PullRequest, RawPage
from oms_hub.domain.pull_windows import from_text
from oms_hub.errors import BadPayload, HubError, Misconfigured, RetryLater
from oms_hub.testing.factories import a_session

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def seller() -> Iterator[SquareSandbox]:
    running = start_sandbox(orders=36, seed=2)
    yield running
    running.close()


def session_of(seller: SquareSandbox, **settings: str) -> ChannelSession:
    account = seller.personal_account
    return a_session({**account.settings, **settings}, account.secrets, clock=seller.shop.now)


def pull(session: ChannelSession, cursor: Cursor | None = None, **request: Any) -> tuple[list[str], Cursor]:
    pages = list(order_source(session, PullRequest(cursor or {}, **request)))
    return ids_of(pages), pages[-1].cursor


def ids_of(pages: Sequence[RawPage]) -> list[str]:
    return [row.record_id for page in pages for row in CHANNEL.split_page(page.kind, page.body)]


# ----------------------------------------------------------------------------------------- the walk, on the sandbox


def test_pages_share_a_row_and_hold_every_order(seller: SquareSandbox) -> None:
    pages = list(order_source(session_of(seller, page_size="7"), PullRequest({})))
    assert set(ids_of(pages)) == set(seller.order_ids())
    for earlier, later in pairwise(pages):
        assert ids_of([earlier])[-1].partition(":")[0] == ids_of([later])[0].partition(":")[0]
    assert pages[0].cursor["walk"]["is_sweep"] is True
    assert pages[-1].cursor == {"seen": "2026-11-20T17:00:00Z", "swept": pages[0].cursor["walk"]["began_at"]}


def test_a_pull_without_news_asks_once_for_the_last_ten_minutes(seller: SquareSandbox) -> None:
    session = session_of(seller, location_ids="LMAIN01,LHARBOUR02,LOLD03")
    _, cursor = pull(session)
    seller.server.traffic.clear()
    found, again = pull(session, cursor)
    assert seller.server.traffic == [("POST", PATH)]
    assert len(found) <= 2
    assert again == cursor


def test_a_sale_made_offline_is_found_when_it_arrives_days_late(seller: SquareSandbox) -> None:
    session = session_of(seller)
    _, cursor = pull(session)
    late = seller.place_late_order({"HUB-001": 1}, hours_ago=70)
    found, cursor = pull(session, cursor)
    assert late not in found, "a pull reaches back for such sales every few hours only"
    seller.advance_clock(6 * 3600)
    found, cursor = pull(session, cursor)
    assert late in found
    found, _ = pull(session, cursor)
    assert late not in found


def test_a_change_that_shows_up_late_in_the_search_is_within_the_overlap(seller: SquareSandbox) -> None:
    session = session_of(seller)
    _, cursor = pull(session)
    hidden = seller.place_order({"HUB-001": 1})
    seller.shop.orders[hidden].visible_at = seller.shop.now() + timedelta(minutes=4)
    seller.advance_clock(60)
    shown = seller.place_order({"HUB-002": 1})
    found, cursor = pull(session, cursor)
    assert (hidden in found, shown in found) == (False, True)
    seller.advance_clock(300)
    found, _ = pull(session, cursor)
    assert hidden in found


def test_only_the_chosen_locations_are_asked_for(seller: SquareSandbox) -> None:
    found, _ = pull(session_of(seller, location_ids=SECOND))
    places = {key: sold.record["location_id"] for key, sold in seller.shop.orders.items()}
    assert {places[key.partition(":")[0]] for key in found} == {SECOND}
    with pytest.raises(Misconfigured, match=r"no location LNONE; there are: Harbour \(LHARBOUR02\)"):
        CHANNEL.locations(session_of(seller, location_ids=f"{SECOND},LNONE"))  # type: ignore[misc]


def test_more_than_ten_locations_are_walked_ten_by_ten(seller: SquareSandbox) -> None:
    places = ",".join([*(f"LEMPTY{n:02d}" for n in range(10)), "LMAIN01", "LHARBOUR02"])
    session = session_of(seller, location_ids=places, page_size="9")
    pages = list(order_source(session, PullRequest({})))
    everything = {
        key for key in seller.order_ids() if seller.shop.orders[key.partition(":")[0]].record["location_id"] != "LOLD03"
    }
    assert set(ids_of(pages)) == everything
    assert [page.cursor.get("walk", {}).get("group") for page in pages][:2] == [0, 1]
    stopped = pages[2].cursor
    rest, end = pull(session, stopped)
    assert set(ids_of(pages[:3])) | set(rest) == everything
    assert len(rest) < len(everything)
    assert end["seen"] == pages[-1].cursor["seen"]


def test_a_backfill_can_begin_later(seller: SquareSandbox) -> None:
    start = datetime(2026, 11, 10, tzinfo=UTC)
    found, _ = pull(session_of(seller), is_full=True, placed_from=start)
    placed = {key for key, sold in seller.shop.orders.items() if sold.created_at >= start}
    assert placed <= {key.partition(":")[0] for key in found}
    assert len(found) < len(seller.order_ids())


def test_named_orders_come_whole_and_the_unknown_as_tombstones(seller: SquareSandbox) -> None:
    exchange = next(key for key in seller.order_ids() if key.endswith(":returns"))
    plain = next(key for key, sold in seller.shop.orders.items() if "returns" not in sold.record)
    pages = list(order_lookup(session_of(seller), [exchange, plain, "nothing", f"{plain}:returns"]))
    assert [page.kind for page in pages] == ["orders", "order_tombstones"]
    assert set(ids_of(pages[:1])) == {exchange.partition(":")[0], exchange, plain}
    assert ids_of(pages[1:]) == ["nothing", f"{plain}:returns"]


def test_named_orders_of_other_locations_are_nobodys(seller: SquareSandbox) -> None:
    main = next(key for key, sold in seller.shop.orders.items() if sold.record["location_id"] == "LMAIN01")
    other = next(key for key, sold in seller.shop.orders.items() if sold.record["location_id"] == SECOND)
    session = session_of(seller, location_ids="LMAIN01")
    assert ids_of(list(order_lookup(session, [main, other])))[0] == main
    assert list(order_lookup(session, [other])) == []


def test_the_ids_of_a_stretch_are_those_placed_in_it(seller: SquareSandbox) -> None:
    seller.shop.orders[seller.place_order({"HUB-001": 1})].created_at = datetime(2026, 11, 12, tzinfo=UTC)
    start, end = datetime(2026, 11, 5, tzinfo=UTC), datetime(2026, 11, 12, tzinfo=UTC)
    inside = {key for key, sold in seller.shop.orders.items() if start <= sold.created_at < end}
    assert {key.partition(":")[0] for key in order_ids(session_of(seller), start, end)} == inside


def test_goods_put_back_a_moment_after_their_return_are_found_by_the_next_pull(seller: SquareSandbox) -> None:
    session = session_of(seller)
    sale = seller.place_order({"HUB-003": 2})
    note = seller.refund_order(sale, {"HUB-003": 2}, is_restocked=False)
    first, cursor = pull(session)
    variation = seller.shop.by_sku("HUB-003")[1].variation_id
    refund_id = seller.shop.orders[note].record["refunds"][0]["id"]
    states = ("RETURNED_BY_CUSTOMER", "IN_STOCK")
    seller.shop.adjust(variation, "LMAIN01", 2, at=seller.shop.now(), states=states, cause=f"refund:{refund_id}")
    pages = list(order_source(session, PullRequest(cursor)))
    assert note in first
    (record,) = [r for page in pages for r in CHANNEL.split_page(page.kind, page.body) if r.record_id == note]
    order = CHANNEL.parse_order([record.payload], session.connection)
    assert [row.is_restocked for row in order.refunds[0].lines] == [True]


# ------------------------------------------------------------------------------------------------- the weather


def test_a_storm_of_429_and_503_costs_time_only(seller: SquareSandbox) -> None:
    sleeps: list[float] = []
    account = seller.personal_account
    session = a_session({**account.settings, "page_size": "9"}, account.secrets, sleep=sleeps.append)
    seller.throttle(429, 503, 429, 503, 429)
    found, _ = pull(session)
    assert set(found) == set(seller.order_ids())
    assert len(sleeps) == 5
    assert sorted(sleeps) == sleeps, "without Retry-After each wait is longer than the one before"


Answer = Callable[[Mapping[str, Any]], Any]


def a_square(answer: Answer, *, dated: bool = True) -> tuple[ChannelSession, list[Mapping[str, Any]]]:
    """Give a session whose search answers as told, and what it was asked."""
    asked: list[Mapping[str, Any]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        asked.append(body)
        told = answer(body)
        status = 400 if isinstance(told, dict) and "refuse" in told else 200
        content = {"errors": [{"category": "INVALID_REQUEST_ERROR", "code": told["refuse"]}]} if status == 400 else told
        headers = {"date": "Sun, 22 Nov 2026 12:00:00 GMT"} if dated else {}
        return httpx.Response(status, json=content, headers=headers)

    settings = {"location_ids": "L1", "page_size": "2", "base_url": "http://127.0.0.1:9"}
    return a_session(settings, {"access_token": "t"}, transport=httpx.MockTransport(handle)), asked


def an_order(number: int, minute: int) -> dict[str, Any]:
    moment = f"2026-11-22T11:{minute:02d}:00Z"
    return {"id": f"O{number}", "location_id": "L1", "created_at": moment, "updated_at": moment}


def start_of(body: Mapping[str, Any]) -> str:
    return str(
        ((body["query"].get("filter") or {}).get("date_time_filter") or {}).get("updated_at", {}).get("start_at", "")
    )


def test_where_a_whole_page_has_one_time_of_change_squares_cursor_is_followed() -> None:
    same = [an_order(number, 5) for number in range(5)]
    pages = {"": (same[:2], "c1"), "c1": (same[2:4], "c2"), "c2": (same[4:], "")}

    def answer(body: Mapping[str, Any]) -> Any:
        if start_of(body) == "":
            return {"orders": same[:2], "cursor": "c0"}
        rows, cursor = pages[body.get("cursor", "")]
        return {"orders": rows, **({"cursor": cursor} if cursor else {})}

    session, asked = a_square(answer)
    found, cursor = pull(session)
    assert set(found) == {"O0", "O1", "O2", "O3", "O4"}
    assert [body.get("cursor") for body in asked] == [None, None, "c1", "c2"]
    assert len({json.dumps(body["query"]) for body in asked[1:]}) == 1, "a cursor belongs to its very query"
    assert cursor["seen"] == "2026-11-22T11:05:00Z"


def test_an_expired_cursor_ends_the_run_and_the_next_goes_on_from_the_last_page() -> None:
    same = [an_order(number, 5) for number in range(3)]

    def answer(body: Mapping[str, Any]) -> Any:
        return {"refuse": "INVALID_CURSOR"} if "cursor" in body else {"orders": same[:2], "cursor": "c"}

    session, _ = a_square(answer)
    pages = order_source(session, PullRequest({}))
    first, second = next(pages), next(pages)
    assert first.cursor["walk"]["reached"] == second.cursor["walk"]["reached"] == "2026-11-22T11:05:00Z"
    with pytest.raises(RetryLater, match="cursor has expired"):
        next(pages)


def test_another_refusal_of_a_cursor_is_not_mistaken_for_its_age() -> None:
    same = [an_order(number, 5) for number in range(3)]
    session, _ = a_square(lambda b: {"refuse": "BAD_REQUEST"} if "cursor" in b else {"orders": same[:2], "cursor": "c"})
    with pytest.raises(HubError, match="BAD_REQUEST"):
        pull(session)


def test_reordered_and_foreign_answers_are_not_believed() -> None:
    session, _ = a_square(lambda _: {"orders": [an_order(1, 9), an_order(2, 8)]})
    with pytest.raises(RetryLater, match="not sorted"):
        pull(session)
    session, _ = a_square(lambda _: {"orders": [an_order(1, 8)]})
    with pytest.raises(RetryLater, match="another question"):
        pull(session, {"seen": "2026-11-22T11:30:00Z", "swept": "2026-11-22T11:59:00Z"})


def test_duplicated_rows_and_pages_do_no_harm() -> None:
    rows = [an_order(1, 1), an_order(1, 1), an_order(2, 2)]

    def answer(body: Mapping[str, Any]) -> Any:
        return {"orders": rows, "cursor": "c"} if start_of(body) < "2026-11-22T11:02" else {"orders": rows[2:]}

    session, asked = a_square(answer)
    assert pull(session)[0] == ["O1", "O1", "O2", "O2"]
    assert len(asked) == 2


def test_a_list_that_never_moves_on_is_given_up() -> None:
    session, asked = a_square(lambda _: {"cursor": "c"})
    with pytest.raises(RetryLater, match="does not move on"):
        pull(session)
    assert len(asked) == 201


def test_half_an_answer_is_no_answer() -> None:
    session, _ = a_square(lambda _: {"orders": "none"})
    with pytest.raises(BadPayload, match="orders is not a list"):
        pull(session)
    session, _ = a_square(lambda _: [])
    with pytest.raises(BadPayload, match="not an object"):
        pull(session)
    session, _ = a_square(lambda _: {"orders": [], "errors": [{"category": "API_ERROR", "code": "TEMPORARY_ERROR"}]})
    with pytest.raises(RetryLater, match="TEMPORARY_ERROR"):
        pull(session)
    session, asked = a_square(lambda _: {"errors": [{"category": "RATE_LIMIT_ERROR", "code": "RATE_LIMITED"}]})
    with pytest.raises(RetryLater, match="busy"):
        pull(session)
    assert len(asked) == 6


def test_pages_of_ids_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.square.api._MOST_PAGES", 3)
    session, asked = a_square(lambda _: {"orders": [], "cursor": "c"})
    with pytest.raises(RetryLater, match="do not end"):
        list(order_ids(session, NOON, NOON + timedelta(days=1)))
    assert len(asked) == 3


def test_an_unreadable_order_stops_neither_the_page_nor_the_walk() -> None:
    rows = [an_order(1, 1), {"id": "O2", "location_id": "L1", "returns": [7, {"return_line_items": 7}]}, "nothing"]
    session, asked = a_square(lambda body: {"orders": rows} if "query" in body else {})
    assert pull(session)[0] == ["O1", "O2", "position:2"]
    assert len(asked) == 1, "a return whose goods cannot be told asks for no changes"


def test_returns_without_readable_times_ask_for_no_changes() -> None:
    rows = [{"id": "O2", "returns": [{"return_line_items": [{"catalog_object_id": "V"}, {}]}], "created_at": 7}]
    session, asked = a_square(lambda _: {"orders": rows})
    assert pull(session)[0] == ["O2"]
    assert len(asked) == 1


# ------------------------------------------------------------------------------------------------- the watermark


def test_changes_stamped_in_the_future_move_no_watermark() -> None:
    session, _ = a_square(lambda _: {"orders": [{**an_order(1, 1), "updated_at": "2027-01-01T00:00:00Z"}]})
    assert pull(session)[1] == {"seen": "2026-11-22T12:00:00Z", "swept": "2026-11-22T12:00:00Z"}


def test_without_the_servers_time_only_the_first_locations_move_the_watermark() -> None:
    def answer(body: Mapping[str, Any]) -> Any:
        return {"orders": [an_order(1, 1)]} if body["location_ids"] != ["L10"] else {"orders": [an_order(2, 30)]}

    session, _ = a_square(answer, dated=False)
    wide = {**session.connection.settings, "location_ids": ",".join(f"L{number}" for number in range(11))}
    session = a_session(wide, {"access_token": "t"}, transport=session.transport)
    found, cursor = pull(session)
    assert found == ["O1", "O2"]
    assert cursor == {"seen": "2026-11-22T11:01:00Z", "swept": "2026-11-22T11:01:00Z"}


def test_a_seller_without_orders_starts_at_the_beginning_each_time() -> None:
    session, asked = a_square(lambda _: {})
    assert pull(session) == ([], {"swept": "2026-11-22T12:00:00Z"})
    assert "filter" not in asked[0]["query"]


def test_a_position_survives_being_stored() -> None:
    walk = Walk(2, NOON, NOON, NOON, is_sweep=True)
    position = Position(NOON, NOON, NOON, walk)
    assert read_cursor(json.loads(json.dumps(position.to_cursor()))) == position
    assert read_cursor({}) == Position()


@pytest.mark.parametrize(
    "cursor", [{"seen": 7}, {"seen": "noon"}, {"walk": {}}, {"walk": 7}, {"seen": "2026-11-22T12:00:00"}]
)
def test_a_foreign_cursor_is_refused_and_never_taken_for_an_empty_one(cursor: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match="not one of a Square connection"):
        read_cursor(cursor)


def test_a_sweep_reaches_back_beyond_the_seventy_two_hours() -> None:
    session, asked = a_square(lambda _: {})
    pull(session, {"seen": "2026-11-22T11:00:00Z", "swept": "2026-11-22T04:00:00Z"})
    assert from_text(start_of(asked[0])) == datetime(2026, 11, 19, 9, 50, tzinfo=UTC)
    pull(session, {"seen": "2026-11-22T11:00:00Z"})
    assert from_text(start_of(asked[1])) == datetime(2026, 11, 19, 9, 50, tzinfo=UTC)
