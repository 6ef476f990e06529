"""Watermarks with overlap: no edit is ever missed, whatever the order of edits, pages and pulls."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain.pull_windows import (
    SET_BACK_MARGIN,
    OverlapRule,
    Slice,
    advance,
    floor_to,
    from_text,
    slices,
    to_text,
    window_from,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RULE = OverlapRule(overlap=timedelta(seconds=60))


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_the_first_window_is_the_whole_history():
    assert window_from(None, rule=RULE) is None
    assert window_from(None, rule=RULE, server_now=NOON) is None


def test_a_window_looks_back_by_the_overlap_from_the_start_of_the_second():
    assert window_from(at(0.9), rule=RULE) == at(-60)
    assert window_from(at(0.9), rule=RULE, server_now=at(5)) == at(-60)


def test_a_filter_that_means_after_is_asked_from_one_unit_earlier():
    assert window_from(at(0), rule=OverlapRule(timedelta(0), SECOND, is_exclusive=True)) == at(-1)
    assert window_from(at(0), rule=OverlapRule(timedelta(0))) == at(0)


def test_a_server_clock_that_was_set_back_widens_the_window():
    assert window_from(at(0), rule=RULE, server_now=at(-3600)) == at(-3660) - SET_BACK_MARGIN


@pytest.mark.parametrize(
    ("watermark", "newest", "server_now", "reached"),
    [
        (None, None, None, None),
        (None, at(5), None, at(5)),
        (at(9), None, at(99), at(9)),
        (at(3), at(5), at(99), at(5)),
        (at(9), at(5), at(99), at(9)),
        (at(3), at(5000), at(99), at(99)),
        (at(200), at(5000), at(99), at(200)),
    ],
)
def test_a_watermark_moves_only_forward_and_never_past_what_the_channel_said(watermark, newest, server_now, reached):
    assert advance(watermark, newest, server_now=server_now) == reached


def test_instants_are_floored_to_the_channels_unit_in_utc():
    madrid = timezone(timedelta(hours=1))
    assert floor_to(datetime(2026, 11, 22, 13, 0, 7, 999999, tzinfo=madrid), SECOND) == at(7)
    assert floor_to(at(59), timedelta(minutes=1)) == NOON
    assert floor_to(datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC), SECOND).second == 59


def test_cursor_texts_go_there_and_back():
    assert (to_text(at(7)), from_text("2026-11-22T13:00:07+01:00")) == ("2026-11-22T12:00:07Z", at(7))
    assert to_text(at(0.5)) == "2026-11-22T12:00:00.500000Z"
    with pytest.raises(ValueError, match="needs a zone"):
        from_text("2026-11-22T12:00:00")
    with pytest.raises(ValueError, match="Invalid isoformat"):
        from_text("yesterday")


def test_slices_are_half_open_and_the_last_may_be_short():
    assert list(slices(at(0), at(25), width=timedelta(seconds=10))) == [
        Slice(at(0), at(10)),
        Slice(at(10), at(20)),
        Slice(at(20), at(25)),
    ]
    assert list(slices(at(5), at(5), width=SECOND)) == []
    with pytest.raises(ValueError, match="width"):
        list(slices(at(0), at(1), width=timedelta(0)))


@given(
    start=st.integers(-(10**6), 10**6), length=st.integers(0, 10**5), width=st.integers(500, 10**5),
    moment=st.integers(0, 10**5),
)  # fmt: skip
def test_slices_cover_every_instant_once(start, length, width, moment):
    found = list(slices(at(start), at(start + length), width=timedelta(seconds=width)))
    holding = [each for each in found if each.start <= at(start + moment) < each.end]
    assert len(holding) == (1 if moment < length else 0)
    assert all(first.end == second.start for first, second in itertools.pairwise(found))


class Shop:
    """A channel with second resolution whose changes may become visible a little after their own stamp."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stamps = {order: (at(0), 0) for order in range(6)}
        self.late: list[tuple[float, int, datetime, int]] = []
        self.versions = 0

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for due, order, stamp, version in [each for each in self.late if each[0] <= self.now]:
            self.stamps[order] = max(self.stamps[order], (stamp, version))
            self.late.remove((due, order, stamp, version))

    def edit(self, order: int, delay: float) -> None:
        self.versions += 1
        self.late.append((self.now + delay, order, floor_to(at(self.now), SECOND), self.versions))
        self.pass_time(0)

    def page(self, start: datetime | None, after: tuple[datetime, int] | None, *, is_exclusive: bool):
        def is_in(stamp: datetime) -> bool:
            return start is None or (stamp > start if is_exclusive else stamp >= start)

        rows = sorted((stamp, order, version) for order, (stamp, version) in self.stamps.items() if is_in(stamp))
        return [row for row in rows if after is None or row[:2] > after][:2]


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), st.integers(0, 5), st.floats(0, 9)),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 0.5, 1.0, 7.0, 300.0]), st.just(0.0)),
        st.tuples(st.just("page"), st.just(0), st.just(0.0)),
    ),
    max_size=60,
)


@given(actions=ACTIONS, is_exclusive=st.booleans())
def test_no_edit_is_ever_missed(actions, is_exclusive):
    shop, ours = Shop(), {}
    rule = OverlapRule(timedelta(seconds=10), SECOND, is_exclusive)
    watermark, walk = None, None

    def turn_page() -> None:
        nonlocal watermark, walk
        if walk is None:
            walk = (window_from(watermark, rule=rule, server_now=at(shop.now)), None, at(shop.now))
        start, after, began_at = walk
        rows = shop.page(start, after, is_exclusive=is_exclusive)
        for _, order, version in rows:
            ours[order] = version
        before = watermark
        watermark = advance(watermark, rows[-1][0] if rows else None, server_now=began_at)
        assert before is None or watermark >= before
        walk = (start, rows[-1][:2], began_at) if rows else None

    for kind, value, delay in actions:
        if kind == "edit":
            shop.edit(value, delay)
        elif kind == "wait":
            shop.pass_time(value)
        else:
            turn_page()
    shop.pass_time(10)
    while walk is not None:
        turn_page()
    turn_page()
    while walk is not None:
        turn_page()
    assert ours == {order: version for order, (_, version) in shop.stamps.items()}
