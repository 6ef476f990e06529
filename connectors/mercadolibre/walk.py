"""Walking the order search slice by slice, with the proof that no page border hides an order.

What belongs here: the order in which pages are read, and where a walk stands. Not here: requests (`api`), what is done
with the rows (`orders`).

Pages are offsets over a list that changes: an order that is cancelled, or changes out of the slice, shifts all later
ones to the left, and a plain walk skips as many at the next border. Here neighbouring pages share one row:

- If the last row of a page is found in the next one, nothing that stayed can lie between the two.
- If it is not, the slice is walked again from its start (a few times at most; what was read twice does no harm).
- At the end the rows of the slice are counted against the channel's own total; too few means once more.

Rows that enter shift others to the right: they are read twice. What changes during the walk bears a later time of
change, and the slices that follow bring it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from connectors.mercadolibre.slices import Slice, slice_of
from oms_hub.errors import BadPayload, RetryLater

_MOST_RESTARTS = 5


class Rows(Protocol):
    """One page of a list: its ids in order, and how many the whole list has."""

    @property
    def ids(self) -> Sequence[str]:
        """Return the ids of the rows."""

    @property
    def total(self) -> int:
        """Return the length of the list as the channel counts it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk stands: the slices that are left, and within the first of them the next offset and the last row."""

    todo: tuple[Slice, ...] = ()
    offset: int = 0
    last_id: str | None = None

    def as_cursor(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"todo": [each.as_cursor() for each in self.todo], "offset": self.offset, "last": self.last_id}


def place_of(stored: Mapping[str, Any]) -> Place:
    """Return the place that a cursor holds; raises BadPayload where it cannot be read."""
    try:
        return Place(tuple(slice_of(each) for each in stored["todo"]), int(stored["offset"]), stored["last"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadPayload("the stored cursor cannot be read", where="walk", remedy="Run: oms-hub sync --full") from error


@dataclass(frozen=True, slots=True)
class Step:
    """A page of a walk, and the place to go on from after it."""

    page: Any
    after: Place


class SliceWalk:
    """One walk.

    Args:
        fetch: (slice, offset) -> the page there.
        size: rows of a page.
        most: a slice with more rows is cut in halves where that is possible.
        now: the channel's present.
    """

    def __init__(
        self, fetch: Callable[[Slice, int], Rows], *, size: int, most: int, now: Callable[[], datetime]
    ) -> None:
        self._fetch = fetch
        self._size = size
        self._most = most
        self._now = now

    def run(self, place: Place) -> Iterator[Step]:
        """Yield every page from a place to the end.

        Raises:
            RetryLater: the list moves so fast that its pages never join.
        """
        while place.todo:
            place = yield from self._slice(place)

    def _slice(self, place: Place) -> Generator[Step, None, Place]:
        """Walk the first slice, and return the place after it."""
        rest = place.todo[1:]
        seen: set[str] | None = set() if place.offset == 0 else None
        restarts = 0
        while True:
            page = self._fetch(place.todo[0], place.offset)
            if place.offset == 0 and page.total > self._most and (cut := place.todo[0].halves(self._now())):
                return Place((*cut, *rest))
            if place.last_id is not None and place.last_id not in page.ids:
                restarts = self._count(restarts)
                place, seen = Place(place.todo), set()
                continue
            if seen is not None:
                seen.update(page.ids)
            following = self._after(place, page)
            if following is not None:
                yield Step(page, following)
                place = following
                continue
            yield Step(page, Place(rest))
            if seen is None or len(seen) >= page.total or restarts:
                return Place(rest)
            restarts = self._count(restarts)
            place, seen = Place(place.todo), set()

    def _after(self, place: Place, page: Rows) -> Place | None:
        """Return the place of the next page, None after the last."""
        count = len(page.ids)
        if count == 0 or place.offset + self._size >= page.total:
            return None
        if count == 1:
            return replace(place, offset=place.offset + 1, last_id=None)
        return replace(place, offset=place.offset + count - 1, last_id=page.ids[-1])

    @staticmethod
    def _count(restarts: int) -> int:
        if restarts == _MOST_RESTARTS:
            raise RetryLater("the list of orders changes faster than it can be read")
        return restarts + 1
