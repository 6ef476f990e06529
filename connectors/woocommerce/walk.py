"""Walking a list that is sorted by id while the list changes, without missing a row that stays.

What belongs here: the order in which windows of a list are read and the proof that no gap opens. Not here: requests
(`api`), what is done with the rows (`orders`).

The shop's pages are offsets, so a row that leaves the list (deleted, trashed, changed out of a filter) shifts all later
rows to the left, and a plain walk skips as many rows at the next page border. Here neighbouring windows share one row:

- A window covers all ids between its first and its last that existed when it was read.
- If the next window begins at or before the last id covered, nothing that stayed can lie between the two. This holds
  whatever the order in which the two were read, so windows may be read ahead and in parallel.
- If it begins later, the walk steps back from there until a window joins, and goes on from that window.

Rows that enter shift others to the right: they are read twice, which does no harm. Rows that enter behind the walk were
changed after it began, and the catch-up by time of change, which follows every walk, brings them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from connectors.woocommerce.api import PAGE_SIZE, Page
from oms_hub.channel.prefetch import ordered_parallel
from oms_hub.errors import RetryLater

Fetch = Callable[[int, int], Sequence[Page]]
"""(offset, size) -> the pages of that window: one, or several that share a row."""

_MOST_STEPS_BACK = 40
_MOST_IDLE_PAGES = 30


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk stands: the offset of the next window and the last id covered so far."""

    offset: int = 0
    last_id: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A page of a walk, and the place to go on from after it."""

    page: Page
    after: Place


class IdWalk:
    """One walk over a list sorted by id, ascending."""

    def __init__(self, fetch: Fetch, *, size: int = PAGE_SIZE, workers: int = 1) -> None:
        self._fetch = fetch
        self._size = size
        self._workers = workers
        self._last_id = 0
        self._next_offset = 0
        self._bridges = 0
        self._idle_pages = 0

    def run(self, start: Place) -> Iterator[Step]:
        """Yield every page from `start` to the end of the list.

        Raises:
            RetryLater: the list moves so fast, or ignores offsets, that no joining window can be found.
        """
        self._last_id, self._next_offset = start.last_id, start.offset
        total: int | None = None
        while True:
            for pages in self._windows(self._next_offset, total):
                bridges = self._bridges
                yield from self._join(pages)
                if pages[-1].is_last:
                    return
                total = pages[-1].total
                if self._bridges > bridges:
                    break  # the windows planned ahead lie behind a gap, too: plan anew from here

    def _windows(self, offset: int, total: int | None) -> Iterator[Sequence[Page]]:
        """Yield the windows from an offset on: all that are left, in parallel, or only the next one."""
        if total is None or self._workers == 1 or offset + self._size >= total:
            yield self._fetch(offset, self._size)
            return
        tasks = (self._task(at) for at in range(offset, total, self._size - 1))
        yield from ordered_parallel(tasks, workers=self._workers)

    def _task(self, offset: int) -> Callable[[], Sequence[Page]]:
        return lambda: self._fetch(offset, self._size)

    def _join(self, pages: Sequence[Page]) -> Iterator[Step]:
        """Yield pages, with what is missing before them first."""
        for page in pages:
            ids = page.ids
            if page.offset > 0 and (not ids or ids[0] > self._last_id):
                yield from self._bridge(page)
            if page.rows:
                yield self._step(page)

    def _step(self, page: Page) -> Step:
        ids = page.ids
        if any(later < earlier for earlier, later in pairwise(ids)):
            raise RetryLater("the shop's answer is not sorted by id as asked: a cache or a plugin changed it")
        before = self._last_id
        self._last_id = max(before, ids[-1] if ids else before)
        self._idle_pages = self._idle_pages + 1 if self._last_id == before else 0
        if self._idle_pages > _MOST_IDLE_PAGES:
            raise RetryLater("the shop's list does not move on: it ignores `offset`, or rows keep entering")
        rows = len(page.rows) if page.is_last else page.size
        self._next_offset = page.offset + rows - 1
        return Step(page, Place(self._next_offset, self._last_id))

    def _bridge(self, page: Page) -> Iterator[Step]:
        """Yield the windows between the last id covered and `page`, which begins after a gap."""
        self._bridges += 1
        target = page.ids[0] if page.ids else None
        offset, step = page.offset, self._size // 2
        for _ in range(_MOST_STEPS_BACK):
            offset = max(0, offset - step)
            found = self._fetch(offset, self._size)
            ids = found[0].ids
            if offset == 0 or (ids and ids[0] <= self._last_id):
                yield from self._forward(found, target)
                return
            step *= 2
        raise RetryLater("the shop's list changes faster than it can be read")

    def _forward(self, found: Sequence[Page], target: int | None) -> Iterator[Step]:
        offset = found[0].offset
        while True:
            yield from self._join(found)
            if found[-1].is_last or (target is not None and self._last_id >= target):
                return
            offset += self._size - 1
            found = self._fetch(offset, self._size)
