"""Slices of time and the walk over them, on made-up lists: nothing that stays is missed, whatever moves meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.mercadolibre.cursor import PullState, state_of
from connectors.mercadolibre.slices import HISTORY, HOUR, Slice, Span, changed_since, created_between, slice_of
from connectors.mercadolibre.walk import Place, SliceWalk, place_of
from connectors.mercadolibre.watch import MOST_AT_ONCE, Watch, minute_of
from oms_hub.errors import BadPayload, RetryLater

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
ALL = changed_since(NOW - timedelta(days=1))


@dataclass(frozen=True)
class Page:
    ids: Sequence[str]
    total: int


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}+00:00")


# --------------------------------------------------------------------------------------------------------- slices


def test_a_slice_asks_by_whole_hours_and_reaches_an_hour_further() -> None:
    assert changed_since(at("22T11:59:59")).query() == {"order.date_last_updated.from": "2026-11-22T11:00:00.000-00:00"}
    assert created_between(at("20T10:20:00"), at("21T10:20:00")).query() == {
        "order.date_created.from": "2026-11-20T10:00:00.000-00:00",
        "order.date_created.to": "2026-11-21T12:00:00.000-00:00",
    }


def test_halves_cover_the_whole_and_end_where_it_ends() -> None:
    open_end = Slice(updated=Span(at("22T02:00:00")))
    assert open_end.halves(NOW) == (
        Slice(updated=Span(at("22T02:00:00"), at("22T07:00:00"))),
        Slice(updated=Span(at("22T07:00:00"))),
    )
    closed = Slice(created=Span(at("20T00:00:00"), at("20T03:00:00")))
    assert closed.halves(NOW) == (
        Slice(created=Span(at("20T00:00:00"), at("20T01:00:00"))),
        Slice(created=Span(at("20T01:00:00"), at("20T03:00:00"))),
    )


def test_an_hour_of_changes_is_cut_by_creation_and_an_hour_of_creation_not_at_all() -> None:
    hour = Span(at("22T02:00:00"), at("22T03:00:00"))
    first, second = Slice(updated=hour).halves(NOW) or (None, None)
    assert first is not None
    assert second is not None
    assert (first.updated, second.updated) == (hour, hour)
    assert first.created is not None
    assert second.created is not None
    assert first.created.start <= NOW - HISTORY
    assert (first.created.end, second.created.end) == (second.created.start, None)
    assert Slice(created=hour).halves(NOW) is None


@pytest.mark.parametrize("each", [ALL, created_between(at("20T00:00:00"), at("21T00:00:00")), Slice()])
def test_a_slice_survives_the_cursor(each: Slice) -> None:
    assert slice_of(each.as_cursor()) == each


@pytest.mark.parametrize("stored", [None, ["x", None, None, None], [None]])
def test_a_slice_that_cannot_be_read_says_so(stored: Any) -> None:
    with pytest.raises(BadPayload, match="cursor cannot be read"):
        slice_of(stored)


@given(hours=st.integers(2, 9000))
def test_a_cut_leaves_no_gap_and_both_parts_are_shorter(hours: int) -> None:
    whole = Span(at("01T00:00:00"), at("01T00:00:00") + timedelta(hours=hours))
    first, second = whole.halves(NOW) or (None, None)
    assert first is not None
    assert second is not None
    assert (first.start, first.end, second.end) == (whole.start, second.start, whole.end)
    assert whole.start < second.start < whole.start + timedelta(hours=hours)


# ------------------------------------------------------------------------------------------------------- the walk


def walked(
    rows: Callable[[Slice], Sequence[str]], *, size: int = 5, most: int = 1000, start: Place | None = None
) -> tuple[list[str], list[Place]]:
    """Walk a list that may change with each request; return what was seen and where the walk stood."""

    def fetch(wanted: Slice, offset: int) -> Page:
        found = list(rows(wanted))
        return Page(found[offset : offset + size], len(found))

    steps = list(SliceWalk(fetch, size=size, most=most, now=lambda: NOW).run(start or Place((ALL,))))
    return [each for step in steps for each in step.page.ids], [step.after for step in steps]


def test_pages_share_a_row_and_end_with_the_list() -> None:
    seen, places = walked(lambda _: list("abcdefghijk"))
    assert "".join(seen) == "abcde" + "efghi" + "ijk"
    assert [(place.offset, place.last_id) for place in places] == [(4, "e"), (8, "i"), (0, None)]
    assert places[-1].todo == ()


def test_an_empty_list_is_one_page() -> None:
    assert walked(lambda _: []) == ([], [Place()])


def test_an_order_that_leaves_between_two_pages_hides_no_other() -> None:
    lists = iter([list("abcdefghijk"), *[list("acdefghijk")] * 9])
    seen, _ = walked(lambda _: next(lists))
    assert set("acdefghijk") <= set(seen)


def test_where_the_shared_row_itself_leaves_the_slice_is_walked_again() -> None:
    lists = iter([list("abcdefghijk"), *[list("abcdfghijk")] * 9])
    seen, _ = walked(lambda _: next(lists))
    assert set("abcdfghijk") <= set(seen)
    assert seen[:5] == list("abcde")
    assert seen[5:10] == list("abcdf")


def test_a_count_that_falls_short_is_walked_once_more_and_then_taken_as_it_is() -> None:
    asked: list[int] = []

    def fetch(_: Slice, offset: int) -> Page:
        asked.append(offset)
        return Page(list("abcdefg")[offset : offset + 5], 9)  # the channel counts two that it never shows

    list(SliceWalk(fetch, size=5, most=1000, now=lambda: NOW).run(Place((ALL,))))
    assert asked == [0, 4, 0, 4]


def test_a_list_that_never_holds_still_ends_the_run() -> None:
    numbers = iter(range(10_000))
    with pytest.raises(RetryLater, match="changes faster"):
        walked(lambda _: [str(next(numbers)) for _ in range(20)])


def test_a_page_of_one_row_moves_on() -> None:
    seen, _ = walked(lambda _: list("abc"), size=1)
    assert seen == list("abc")


def test_a_long_slice_is_cut_until_it_fits() -> None:
    moments = {f"{number:03d}": NOW - timedelta(hours=number) for number in range(24)}

    def rows(wanted: Slice) -> list[str]:
        assert wanted.updated is not None
        end = wanted.updated.end
        return [
            name
            for name, moment in sorted(moments.items(), reverse=True)
            if moment >= wanted.updated.start and (end is None or moment <= end + HOUR)
        ]

    seen, places = walked(rows, most=6)
    assert set(seen) == set(moments)
    assert len(places) > 4


def test_a_walk_goes_on_from_any_place() -> None:
    whole, places = walked(lambda _: list("abcdefghijklmnopqrstuvwxyz"))
    for place in places:
        stored = place_of(place.as_cursor())
        assert stored == place
        rest, _ = walked(lambda _: list("abcdefghijklmnopqrstuvwxyz"), start=stored)
        assert set(whole) == set(whole[: len(whole) - len(rest)]) | set(rest)


def test_a_place_that_cannot_be_read_says_so() -> None:
    with pytest.raises(BadPayload, match="cursor cannot be read"):
        place_of({"todo": []})


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(2, 7))
def test_nothing_that_stays_is_missed_while_others_come_and_go(seed: int, size: int) -> None:
    chance = random.Random(seed)
    rows = [f"{number:03d}" for number in range(chance.randint(0, 30))]
    stays = {row for row in rows if chance.random() < 0.7}
    moves = [row for row in rows if row not in stays]

    def changing(_: Slice) -> list[str]:
        if moves and chance.random() < 0.3:
            rows.remove(moves.pop(chance.randrange(len(moves))))
        if chance.random() < 0.2:
            rows.insert(chance.randint(0, len(rows)), f"new{chance.random()}")
        return rows

    try:
        seen, _ = walked(changing, size=size)
    except RetryLater:
        return  # it may give up, never pass over
    assert stays <= set(seen)


# ------------------------------------------------------------------------------------------------------ the memory


def an_open_order(**changes: Any) -> dict[str, Any]:
    return {"order": {"status": "paid", "date_created": NOW.isoformat(), **changes}}


def test_open_orders_are_watched_and_come_up_the_longest_unread_first() -> None:
    watch = Watch()
    watch.note("1", an_open_order(), now=NOW)
    watch.note("2", an_open_order(), now=NOW - HOUR)
    watch.note("3", an_open_order(), now=NOW - 2 * HOUR)
    watch.read_soon("4")
    assert watch.due(now=NOW, every_minutes=30) == ["4", "3", "2"]
    assert Watch(watch.as_cursor()).due(now=NOW, every_minutes=0) == ["4", "3", "2", "1"]
    assert len(watch) == 4


@pytest.mark.parametrize(
    "payload",
    [
        None,
        an_open_order(status="cancelled"),
        an_open_order(date_created=(NOW - timedelta(days=61)).isoformat()),
        {**an_open_order(), "shipment": {"status": "delivered"}},
    ],
)
def test_an_order_at_its_end_is_watched_no_longer(payload: Any) -> None:
    watch = Watch({"1": minute_of(NOW)})
    watch.note("1", payload, now=NOW)
    assert "1" not in watch


def test_one_pull_reads_a_bounded_number_again() -> None:
    watch = Watch({str(number): 0 for number in range(MOST_AT_ONCE + 5)})
    assert len(watch.due(now=NOW, every_minutes=1)) == MOST_AT_ONCE


def test_the_state_survives_the_cursor() -> None:
    state = PullState("changes", NOW, NOW, Place((ALL,), 3, "9"), feeds_minute=7, feeds_newest=NOW, claims_seen=NOW)
    state.note_change("5", NOW)
    state.note_claims(["1", "2", "1"])
    state.watch.read_soon("8")
    again = state_of(state.as_cursor())
    assert again.as_cursor() == state.as_cursor()
    assert list(again.claimed) == ["2", "1"]
    assert again.is_known("5", NOW)
    assert not again.is_known("5", NOW + HOUR)
    assert not again.is_known("5", None)
    state.start_over()
    assert (state.phase, state.walk, state.recent) == ("history", None, {})
    assert list(state.claimed) == ["2", "1"]


def test_what_the_overlap_does_not_reach_is_forgotten() -> None:
    state = PullState("changes", NOW)
    state.note_change("new", NOW)
    state.note_change("old", NOW - timedelta(hours=4))
    state.note_change("undated", None)
    assert list(state.recent) == ["new"]
    state.seen = NOW + timedelta(hours=4)
    state.forget_old()
    assert state.recent == {}
    PullState().forget_old()


def test_only_the_newest_claimed_orders_are_remembered() -> None:
    state = PullState()
    state.note_claims(str(number) for number in range(5_003))
    assert (len(state.claimed), next(iter(state.claimed))) == (5_000, "3")


@pytest.mark.parametrize("cursor", [{"phase": "changes"}, {**PullState().as_cursor(), "seen": "yesterday"}])
def test_a_cursor_of_another_shape_says_what_to_do(cursor: Any) -> None:
    with pytest.raises(BadPayload) as caught:
        state_of(cursor)
    assert caught.value.remedy == "Run: oms-hub sync --full"
