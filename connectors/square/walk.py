"""Walking the orders that changed, oldest change first, without missing one that changes meanwhile.

What belongs here: the order in which pages are read, and the cursor that is stored. Not here: what is in an order
(`parse`), named orders (`orders`).

A page goes on from the time of change of the last order before it (inclusive, so neighbours share a row), not from
Square's cursor: that is good for a few minutes only, belongs to the process that asked, and nothing says what it does
when an order leaves the window between two pages. Only where a whole page carries a single time of change is Square's
cursor followed. A search takes ten locations; where there are more, they are walked ten by ten, and the watermark moves
to no later than the moment at which the first of them was asked.

A till that was offline sends its sales up to 72 hours late, under the time of the sale (published description,
SearchOrders). Where those carry an old time of change, no watermark finds them: every few hours a pull reaches back for
three days and a bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from connectors.square.api import SquareApi, SquareRefused, cursor_of, rows_of
from connectors.square.parse import changed_at
from oms_hub.channel.answers import answered_at
from oms_hub.channel.contract import Cursor, PullRequest
from oms_hub.channel.http import HttpAnswer
from oms_hub.domain.pull_windows import OverlapRule, advance, from_text, to_text, window_from
from oms_hub.errors import Misconfigured, RetryLater

PATH = "/v2/orders/search"
NEEDS = "ORDERS_READ"
LOCATIONS_AT_ONCE = 10
OVERLAP = OverlapRule(overlap=timedelta(minutes=10), resolution=timedelta(milliseconds=1))
"""How late a change may show up in the search, which is eventually consistent; Square does not say how late."""
OFFLINE = timedelta(hours=73)
SWEEP_EVERY = timedelta(hours=6)
_MOST_IDLE_PAGES = 200


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk under way. `group`: which ten locations; `reached`: where its next page begins."""

    group: int = 0
    reached: datetime | None = None
    began_at: datetime | None = None
    newest: datetime | None = None
    is_sweep: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Where a pull stands.

    Attributes:
        seen: newest change that pulls so far are sure of.
        swept: when a pull last reached back for late sales.
        start: where the walk under way began in each group of locations.
        walk: the walk under way.
    """

    seen: datetime | None = None
    swept: datetime | None = None
    start: datetime | None = None
    walk: Walk | None = None

    def to_cursor(self) -> dict[str, Any]:
        """Return plain JSON, without what is not there."""
        cursor = _texts({"seen": self.seen, "swept": self.swept, "start": self.start})
        if self.walk is None:
            return cursor
        walk = {"reached": self.walk.reached, "began_at": self.walk.began_at, "newest": self.walk.newest}
        return {**cursor, "walk": {"group": self.walk.group, "is_sweep": self.walk.is_sweep, **_texts(walk)}}


def _texts(instants: Mapping[str, datetime | None]) -> dict[str, Any]:
    return {name: to_text(value) for name, value in instants.items() if value is not None}


def read_cursor(cursor: Cursor) -> Position:
    """Return the position that a stored cursor names; an empty cursor is the beginning.

    Raises:
        Misconfigured: not a cursor of this connector. It is never taken for an empty one: that would read everything.
    """

    def moment(row: Mapping[str, Any], name: str) -> datetime | None:
        return from_text(row[name]) if name in row else None

    try:
        walk = cursor.get("walk")
        under_way = None
        if walk is not None:
            under_way = Walk(
                int(walk["group"]),
                moment(walk, "reached"),
                moment(walk, "began_at"),
                moment(walk, "newest"),
                bool(walk["is_sweep"]),
            )
        return Position(moment(cursor, "seen"), moment(cursor, "swept"), moment(cursor, "start"), under_way)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Misconfigured(
            "the stored cursor is not one of a Square connection", remedy="Run: oms-hub sync NAME --full"
        ) from None


def begin(request: PullRequest, *, now: datetime) -> Position:
    """Return where a pull starts: at its cursor, or at the beginning of a new walk.

    Args:
        request: how far the pull goes.
        now: our own time. It only makes a quiet seller's pull reach back, too, and moves no watermark.
    """
    stored = Position() if request.is_full else read_cursor(request.cursor)
    if stored.walk is not None:
        return stored
    if stored.seen is None:
        return replace(stored, start=request.placed_from, walk=Walk(reached=request.placed_from, is_sweep=True))
    is_sweep = stored.swept is None or max(stored.seen, now) - stored.swept >= SWEEP_EVERY
    start = window_from(stored.seen - OFFLINE if is_sweep else stored.seen, rule=OVERLAP)
    return replace(stored, start=start, walk=Walk(reached=start, is_sweep=is_sweep))


@dataclass(frozen=True, slots=True)
class Step:
    """A page of a walk, and the position to go on from after it."""

    answer: HttpAnswer
    after: Position


class OrderWalk:
    """One walk through the changed orders of some locations."""

    def __init__(self, api: SquareApi, places: Sequence[str], *, size: int) -> None:
        self._api = api
        self._size = size
        self._groups = [places[at : at + LOCATIONS_AT_ONCE] for at in range(0, len(places), LOCATIONS_AT_ONCE)]

    def run(self, position: Position) -> Iterator[Step]:
        """Yield every page from `position` to the present.

        Raises:
            RetryLater: the answers are not to what was asked, or do not move on.
        """
        walk = position.walk or Walk()
        for number in range(walk.group, len(self._groups)):
            if number > walk.group:
                walk = replace(walk, group=number, reached=position.start)
            for answer, reached, has_more in self._group(self._groups[number], walk.reached):
                walk = _after(walk, answer, reached)
                is_last = not has_more and number == len(self._groups) - 1
                yield Step(answer, _ended(position, walk) if is_last else replace(position, walk=walk))

    def _group(
        self, places: Sequence[str], reached: datetime | None
    ) -> Iterator[tuple[HttpAnswer, datetime | None, bool]]:
        """Yield pages, each with where the next one begins and whether there is one."""
        cursor = ""
        idle = 0
        while True:
            answer = self._page(places, reached, cursor)
            stamps = [stamp for row in rows_of(answer.parsed, "orders") if (stamp := changed_at(row)) is not None]
            _check_sorted(stamps, reached)
            following = cursor_of(answer.parsed)
            moved = stamps[-1] if stamps else reached
            cursor = following if moved == reached else ""
            idle = idle + 1 if moved == reached else 0
            reached = moved
            yield answer, reached, bool(following)
            if not following:
                return
            if idle > _MOST_IDLE_PAGES:
                raise RetryLater("Square's list of orders does not move on")

    def _page(self, places: Sequence[str], reached: datetime | None, cursor: str) -> HttpAnswer:
        query: dict[str, Any] = {"sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"}}
        if reached is not None:
            query["filter"] = {"date_time_filter": {"updated_at": {"start_at": to_text(reached)}}}
        question = {"location_ids": list(places), "limit": self._size, "query": query}
        if cursor:
            try:
                return self._api.ask(PATH, {**question, "cursor": cursor}, needs=NEEDS)
            except SquareRefused as error:
                if error.code != "INVALID_CURSOR":
                    raise
                raise RetryLater("Square's cursor has expired; the walk goes on from the last page") from None
        return self._api.ask(PATH, question, needs=NEEDS)


def _check_sorted(stamps: Sequence[datetime], reached: datetime | None) -> None:
    """Refuse an answer to another question: one that is not sorted, or begins before what was asked for."""
    if any(later < earlier for earlier, later in pairwise(stamps)):
        raise RetryLater("Square's orders are not sorted by time of change as asked")
    if reached is not None and stamps and stamps[0] < reached:
        raise RetryLater("Square's answer is to another question (a cache in between)")


def _after(walk: Walk, answer: HttpAnswer, reached: datetime | None) -> Walk:
    stamps = [stamp for row in rows_of(answer.parsed, "orders") if (stamp := changed_at(row)) is not None]
    newest = walk.newest
    # where answers carry no time, only the first locations tell how far the walk is sure to have come
    if stamps and (walk.group == 0 or walk.began_at is not None):
        newest = stamps[-1] if newest is None else max(newest, stamps[-1])
    began_at = walk.began_at
    if began_at is None and walk.group == 0:
        began_at = answered_at(answer.headers)
    return replace(walk, reached=reached, newest=newest, began_at=began_at)


def _ended(position: Position, walk: Walk) -> Position:
    seen = advance(position.seen, walk.newest, server_now=walk.began_at)
    return Position(seen, (walk.began_at or seen) if walk.is_sweep else position.swept)
