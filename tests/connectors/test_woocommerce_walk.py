"""Walks over lists that change: nothing that stays is missed, whatever enters, leaves or changes meanwhile."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.woocommerce.api import Page
from connectors.woocommerce.changes import ChangeWalk, FilterIgnored, Watermark
from connectors.woocommerce.walk import IdWalk, Place
from oms_hub.errors import RetryLater

START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


class MovingList:
    """A list sorted by id from which rows leave, and which rows enter, at each request."""

    def __init__(self, ids: Sequence[int], chance: random.Random, *, leave: int = 0, enter: int = 0) -> None:
        self.ids = sorted(ids)
        self.stayed = set(ids)
        self.requests = 0
        self._chance = chance
        self._leave = leave
        self._enter = enter

    def fetch(self, offset: int, size: int) -> list[Page]:
        self.requests += 1
        rows = [{"id": number} for number in self.ids[offset : offset + size]]
        page = Page(rows, b"", offset, size, len(self.ids) if rows else 0)
        for _ in range(self._chance.randint(0, self._leave)):
            if self.ids:
                gone = self.ids.pop(self._chance.randrange(len(self.ids)))
                self.stayed.discard(gone)
        for _ in range(self._chance.randint(0, self._enter)):
            self.ids.append(max(self.ids, default=0) + 1)
        return [page]


def seen_by(walk: IdWalk, start: Place | None = None) -> list[int]:
    return [number for step in walk.run(start or Place()) for number in step.page.ids]


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(0, 120),
    size=st.integers(2, 12),
    workers=st.integers(1, 4),
    leave=st.integers(0, 5),
    enter=st.integers(0, 2),
    seed=st.integers(0, 10_000),
)
def test_rows_that_stay_are_seen_while_others_leave_and_enter(
    count: int, size: int, workers: int, leave: int, enter: int, seed: int
) -> None:
    chance = random.Random(seed)
    rows = MovingList(chance.sample(range(1, 2000), count), chance, leave=leave, enter=min(enter, max(0, size - 2)))
    seen = set(seen_by(IdWalk(rows.fetch, size=size, workers=workers)))
    assert rows.stayed - seen == set()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 60), st.integers(2, 7), st.integers(0, 8), st.integers(0, 1000))
def test_a_walk_that_goes_on_after_a_crash_misses_nothing(count: int, size: int, pages: int, seed: int) -> None:
    chance = random.Random(seed)
    rows = MovingList(range(1, count + 1), chance, leave=3)
    place, seen = Place(), set()
    for number, step in enumerate(IdWalk(rows.fetch, size=size).run(place)):
        if number == pages:
            break
        seen.update(step.page.ids)
        place = step.after
    for _ in range(5):
        rows.fetch(0, 1)
    seen.update(seen_by(IdWalk(rows.fetch, size=size), place))
    assert rows.stayed - seen == set()


def test_a_still_list_costs_one_request_per_window() -> None:
    rows = MovingList(range(1, 1001), random.Random(1))
    seen = seen_by(IdWalk(rows.fetch, size=100, workers=4))
    assert (sorted(set(seen)), len(seen), rows.requests) == (list(range(1, 1001)), 1010, 11)


def test_rows_hidden_from_pages_do_not_end_the_walk() -> None:
    def fetch(offset: int, size: int) -> list[Page]:
        rows = [{"id": number + 1} for number in range(offset, min(50, offset + size)) if number % 3]
        return [Page(rows, b"", offset, size, 50)]

    assert set(seen_by(IdWalk(fetch, size=10))) == {number + 1 for number in range(50) if number % 3}


def test_rows_without_id_neither_end_nor_stop_the_walk() -> None:
    rows = [{"id": number} if number % 9 else {"broken": True} for number in range(1, 60)]
    walk = IdWalk(lambda offset, size: [Page(rows[offset : offset + size], b"", offset, size, 59)], size=10)
    pages = [step.page for step in walk.run(Place())]
    assert {number for page in pages for number in page.ids} == {number for number in range(1, 60) if number % 9}


def test_a_shop_that_ignores_offsets_is_noticed() -> None:
    walk = IdWalk(lambda offset, size: [Page([{"id": 1}, {"id": 2}], b"", offset, 2, 100)], size=2)
    with pytest.raises(RetryLater, match="does not move on"):
        seen_by(walk)


def test_an_unsorted_answer_is_refused() -> None:
    with pytest.raises(RetryLater, match="not sorted by id"):
        seen_by(IdWalk(lambda offset, size: [Page([{"id": 2}, {"id": 1}], b"", offset, 5, 2)], size=5))


def test_a_list_that_cannot_be_joined_is_given_up() -> None:
    def fetch(offset: int, size: int) -> list[Page]:
        first = 1 if offset == 0 else 1000 + offset
        return [Page([{"id": first + number} for number in range(size)], b"", offset, size, 10**15)]

    rows = IdWalk(fetch, size=4).run(Place(offset=10**14, last_id=5))
    with pytest.raises(RetryLater, match="faster than it can be read"):
        for _ in rows:
            pass


# ---------------------------------------------------------------------------------------------- changes by time


class BusyShop:
    """Answers the questions of a change walk from memory; between two requests, orders change."""

    def __init__(self, seed: int, orders: int, *, spread_seconds: int, edits: int) -> None:
        self.chance = random.Random(seed)
        self.now = START + timedelta(seconds=spread_seconds + 1)
        self.modified = {
            number: START + timedelta(seconds=self.chance.randint(0, spread_seconds)) for number in range(1, orders + 1)
        }
        self.version = dict.fromkeys(self.modified, 0)
        self.edits = edits
        self.requests = 0

    def page(self, path: str, query: Mapping[str, str], *, offset: int = 0, size: int = 100) -> Page:
        assert path == "orders"
        self.requests += 1
        if "include" in query:
            wanted = int(query["include"])
            found = [wanted] if wanted in self.modified else []
        else:
            low, high = _bound(query, "modified_after"), _bound(query, "modified_before")
            found = [
                number
                for number, moment in self.modified.items()
                if (low is None or moment > low) and (high is None or moment < high)
            ]
        by_time = query.get("orderby") == "modified"
        found.sort(key=lambda number: (self.modified[number], number) if by_time else number)
        part = found[offset : offset + size]
        rows: list[Any] = [
            {
                "id": number,
                "version": self.version[number],
                "date_modified_gmt": self.modified[number].strftime("%Y-%m-%dT%H:%M:%S"),
            }
            for number in part
        ]
        page = Page(rows, b"", offset, size, len(found) if part else 0, self.now)
        self._disturb()
        return page

    def pages_of_window(self, path: str, query: Mapping[str, str], offset: int, size: int) -> list[Page]:
        return [self.page(path, query, offset=offset, size=size)]

    def _disturb(self) -> None:
        for _ in range(min(self.edits, self.chance.randint(0, 2))):
            self.edits -= 1
            self.now += timedelta(seconds=self.chance.randint(0, 2))
            number = self.chance.choice(list(self.modified))
            self.modified[number] = self.now
            self.version[number] += 1


def _bound(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    orders=st.integers(1, 80),
    size=st.integers(2, 15),
    spread=st.sampled_from([0, 1, 5, 600]),
    edits=st.integers(0, 60),
)
def test_every_change_is_seen_at_its_last_version(seed: int, orders: int, size: int, spread: int, edits: int) -> None:
    shop = BusyShop(seed, orders, spread_seconds=spread, edits=edits)
    known: dict[int, int] = {}
    mark = Watermark(START - timedelta(days=1))
    for _ in range(2):  # the second pull finds what changed while the first ended
        for changed in ChangeWalk(shop, {}, size=size).run(mark):  # type: ignore[arg-type]
            assert changed.after.seen_at >= mark.seen_at
            mark = changed.after
            known.update((row["id"], row["version"]) for row in changed.page.rows)
        shop.edits = 0
    assert known == shop.version
    assert shop.requests <= 60 + 20 * orders


def test_a_pull_ends_although_the_shop_changes_faster_than_it_is_read() -> None:
    shop = BusyShop(11, 30, spread_seconds=60, edits=10**9)
    pages = list(ChangeWalk(shop, {}, size=5).run(Watermark(START - timedelta(days=1))))  # type: ignore[arg-type]
    assert len(pages) < 60
    shop.edits = 0
    known = {row["id"]: row["version"] for changed in pages for row in changed.page.rows}
    for changed in ChangeWalk(shop, {}, size=5).run(pages[-1].after):  # type: ignore[arg-type]
        known.update((row["id"], row["version"]) for row in changed.page.rows)
    assert known == shop.version


def test_more_orders_in_one_second_than_a_page_holds() -> None:
    shop = BusyShop(3, 250, spread_seconds=0, edits=0)
    seen = [row["id"] for changed in ChangeWalk(shop, {}).run(Watermark(START)) for row in changed.page.rows]  # type: ignore[arg-type]
    assert sorted(set(seen)) == list(range(1, 251))
    assert shop.requests == 6


def test_rows_dated_in_the_future_do_not_carry_the_watermark_away() -> None:
    shop = BusyShop(4, 3, spread_seconds=0, edits=0)
    shop.modified[2] = START + timedelta(days=400)
    last = list(ChangeWalk(shop, {}).run(Watermark(START)))[-1]  # type: ignore[arg-type]
    assert (last.after, last.page.ids) == (Watermark(START + timedelta(seconds=1), 3), (1, 3, 2))


def test_a_row_out_of_range_means_that_the_filter_is_ignored() -> None:
    shop = BusyShop(5, 3, spread_seconds=0, edits=0)
    page = Page([{"id": 1, "date_modified_gmt": "2020-01-01T00:00:00"}], b"", 0, 100, 1)
    shop.page = lambda *_args, **_more: page  # type: ignore[method-assign]
    with pytest.raises(FilterIgnored):
        list(ChangeWalk(shop, {}).run(Watermark(START)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("is_there", "is_noticed"), [(True, True), (False, False)])
def test_the_order_at_the_watermark_must_come_again_unless_it_is_gone(is_there: bool, is_noticed: bool) -> None:
    shop = BusyShop(6, 1, spread_seconds=0, edits=0)
    honest = shop.page

    def hides(path: str, query: Mapping[str, str], *, offset: int = 0, size: int = 100) -> Page:
        return honest(path, query, offset=offset, size=size) if "include" in query else Page([], b"", 0, size, 0)

    shop.page = hides  # type: ignore[method-assign]
    walk = ChangeWalk(shop, {}).run(Watermark(START, 1 if is_there else 99))  # type: ignore[arg-type]
    if is_noticed:
        with pytest.raises(FilterIgnored):
            list(walk)
    else:
        assert list(walk) == []


def test_rows_without_time_are_passed_on_and_end_the_walk() -> None:
    shop = BusyShop(7, 1, spread_seconds=0, edits=0)
    page = Page([{"id": 1}, {"id": "odd"}], b"", 0, 2, 2)
    shop.page = lambda *_args, **_more: page  # type: ignore[method-assign]
    mark = Watermark(START)
    assert [changed.after for changed in ChangeWalk(shop, {}, size=2).run(mark)] == [mark]  # type: ignore[arg-type]


def test_a_weak_shop_is_asked_for_half_a_page() -> None:
    shop = BusyShop(8, 120, spread_seconds=600, edits=0)
    honest, sizes = shop.page, []

    def weak(path: str, query: Mapping[str, str], *, offset: int = 0, size: int = 100) -> Page:
        sizes.append(size)
        if size > 50:
            raise RetryLater("504")
        return honest(path, query, offset=offset, size=size)

    shop.page = weak  # type: ignore[method-assign]
    seen = {row["id"] for changed in ChangeWalk(shop, {}).run(Watermark(START)) for row in changed.page.rows}  # type: ignore[arg-type]
    assert (seen, sizes[:2]) == (set(range(1, 121)), [100, 50])


@pytest.mark.parametrize("error", [RetryLater("504"), RetryLater("429", after_seconds=9)])
def test_a_shop_that_is_down_is_given_up(error: RetryLater) -> None:
    shop = BusyShop(9, 1, spread_seconds=0, edits=0)

    def down(*_args: Any, **_more: Any) -> Page:
        raise error

    shop.page = down  # type: ignore[method-assign]
    with pytest.raises(RetryLater):
        list(ChangeWalk(shop, {}).run(Watermark(START)))  # type: ignore[arg-type]
