"""Finding all orders that changed since a watermark, while more of them change.

What belongs here: the keyset walk over the time of change and the checks that the shop really filters by it.
Not here: requests (`api`), the walk by id (`walk`), raw pages (`orders`).

The list is asked sorted by time of change, always its first page, with the lower bound moved up after each page. An
order that changes while this goes on moves to the end, ahead of the bound, so it is met again there; offsets are not
used, so nothing can be skipped at a page border (a plain walk over the same list missed 34 of 492 orders on a real shop
with two writers, 2026-11). The bound is exclusive and has whole seconds: each next page begins one second before the
last row. Where more orders than a page holds share one second, that second is frozen (`modified_before`) and walked by
id. A row that was committed late is found again by the overlap of the next pull.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.woocommerce.api import PAGE_SIZE, SMALLEST_PAGE, Page, WooApi, shop_time
from connectors.woocommerce.walk import IdWalk, Place
from oms_hub.errors import RetryLater

OVERLAP = timedelta(minutes=5)
"""How far behind the watermark each pull begins: a shop's request may take minutes from stamping to committing."""
SECOND = timedelta(seconds=1)


class FilterIgnored(Exception):
    """The shop does not filter by time of change: its answer holds rows out of range, or lacks one that is in range."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far changes were seen: everything changed up to `seen_at`, and the order that stood there."""

    seen_at: datetime
    order_id: int | None = None

    def as_cursor(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"phase": "changes", "seen": shop_time(self.seen_at), "order_id": self.order_id}


@dataclass(frozen=True, slots=True)
class ChangedPage:
    """A page of changed orders and the watermark after it."""

    page: Page
    after: Watermark


def modified_at(row: Any) -> datetime | None:
    """Return when a raw order last changed, None where it does not say."""
    try:
        return datetime.fromisoformat(row["date_modified_gmt"]).replace(tzinfo=UTC)
    except (KeyError, TypeError, ValueError):
        return None


class ChangeWalk:
    """One walk over the orders that changed."""

    def __init__(self, api: WooApi, query: Mapping[str, str], *, size: int = PAGE_SIZE, workers: int = 1) -> None:
        self._api = api
        self._query = query
        self._workers = workers
        self._size = size
        self._seen_ids: set[int] = set()
        self._covered_until: datetime | None = None

    def run(self, start: Watermark) -> Iterator[ChangedPage]:
        """Yield pages of orders changed after `start` minus the overlap.

        Raises:
            FilterIgnored: the shop's answer does not fit the bound; nothing of that answer was yielded.
            RetryLater: the shop cannot be read now.
        """
        low = start.seen_at - OVERLAP
        mark = start
        horizon: datetime | None = None
        while True:
            page = self._first_page(low)
            horizon = horizon or page.answered_at
            self._covered_until = page.answered_at
            if not page.rows:
                break
            last = self._check_range(page, low)
            mark = self._moved(mark, page, last)
            self._seen_ids.update(page.ids)
            yield ChangedPage(page, mark)
            if page.is_last or last is None:
                break
            if horizon is not None and last > horizon:
                self._covered_until = last  # what changed since this pull began is left to the next one
                break
            if last - SECOND > low:
                low = last - SECOND
                continue
            for second_page in self._frozen_second(last):
                self._seen_ids.update(second_page.ids)
                yield ChangedPage(second_page, mark)
            low = last
        self._check_nothing_hidden(start)

    def _first_page(self, low: datetime) -> Page:
        """Return the earliest changes after `low`, as many as the shop can build at once."""
        query = {**self._query, "modified_after": shop_time(low), "orderby": "modified", "order": "asc"}
        while True:
            try:
                return self._api.page("orders", query, size=self._size)
            except RetryLater as error:
                if self._size // 2 < SMALLEST_PAGE or error.after_seconds:
                    raise
                self._size //= 2

    def _frozen_second(self, second: datetime) -> Iterator[Page]:
        """Yield all orders that changed within one second and still bear it, by id."""
        query = {
            **self._query,
            "modified_after": shop_time(second - SECOND),
            "modified_before": shop_time(second + SECOND),
            "orderby": "id",
            "order": "asc",
        }
        walk = IdWalk(
            lambda offset, size: self._api.pages_of_window("orders", query, offset, size),
            size=self._size,
            workers=self._workers,
        )
        for step in walk.run(Place()):
            yield step.page

    def _check_range(self, page: Page, low: datetime) -> datetime | None:
        """Return the time of the last row that has one, after making sure that all rows are in range."""
        times = [moment for moment in map(modified_at, page.rows) if moment is not None]
        if any(moment <= low for moment in times) or times != sorted(times):
            raise FilterIgnored
        return times[-1] if times else None

    def _moved(self, mark: Watermark, page: Page, last: datetime | None) -> Watermark:
        """Return the watermark after a page. Rows dated in the future never move it past the shop's present."""
        if last is None:
            return mark
        reached = last if page.is_last else last - SECOND
        if page.answered_at is not None:
            reached = min(reached, page.answered_at)
        if reached < mark.seen_at:
            return mark
        at_mark = [row for row in page.rows if (moment := modified_at(row)) is not None and moment <= reached]
        order_id = at_mark[-1].get("id") if at_mark else mark.order_id
        return Watermark(reached, order_id if isinstance(order_id, int) else None)

    def _check_nothing_hidden(self, start: Watermark) -> None:
        """Make sure that the order at the watermark came again: the overlap holds it unless it went or changed since.

        A shop that reads the bound in its own time zone would silently leave out hours of changes.
        """
        until = self._covered_until
        if start.order_id is None or start.order_id in self._seen_ids:
            return
        query = {**self._query, "include": str(start.order_id), "_fields": "id,date_modified_gmt"}
        for row in self._api.page("orders", query, size=1).rows:
            moment = modified_at(row)
            if moment is None or row.get("id") != start.order_id:
                continue
            if moment > start.seen_at - OVERLAP and (until is None or moment < until):
                raise FilterIgnored
