"""Orders out of WooCommerce: the pull, single orders by id, and the ids of a period.

What belongs here: how a pull is put together and what its cursor holds. Not here: the two walks (`walk` by id,
`changes` by time of change), refunds (`refunds`), reading orders (`parse`).

A first or full pull walks the whole list by id, several pages at once, and then catches up on what changed from before
the walk began. Later pulls only catch up. Shops that do not filter by time of change (before 5.8, or a plugin in
between) are noticed, reported and walked whole each time.

The cursor: `{"phase": "walk", "seen": .., "order_id": .., "offset": .., "last_id": .., "after": ..}` in the middle of a
walk (`seen` and `order_id`: where the catch-up will begin; `after`: bound of the history), else
`{"phase": "changes", "seen": .., "order_id": ..}`. Instants are UTC of the shop's own clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import orjson

from connectors.woocommerce.api import ORDER_FIELDS, PAGE_SIZE, Page, WooApi, open_api, shop_time
from connectors.woocommerce.changes import OVERLAP, SECOND, ChangeWalk, FilterIgnored, Watermark, modified_at
from connectors.woocommerce.parse import KIND_ORDERS, KIND_TOMBSTONES, records_of
from connectors.woocommerce.refunds import RefundReader
from connectors.woocommerce.settings import concurrency, orders_from, page_size
from connectors.woocommerce.walk import IdWalk, Place
from oms_hub.channel.contract import ChannelSession, Cursor, Notice, PullRequest, RawPage
from oms_hub.channel.http import HttpRefused
from oms_hub.errors import BadPayload

ORDERS = "orders"
_ALL = {"status": "any", "dates_are_gmt": "true"}
_FULL = {**_ALL, "dp": "6", "_fields": ORDER_FIELDS}
_NO_SUCH_ID = "_invalid_id"
"""How the codes end with which the shop says that an order is gone for good."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_NO_FILTER = Notice(
    "source_changed",
    "modified_after",
    "the shop does not filter orders by time of change, so every sync reads all of them; "
    "updating WooCommerce to 5.8 or later mends this",
)


def order_source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
    """Yield raw pages of orders from the request's cursor on; see the module's text."""
    with open_api(session) as api:
        yield from _Pull(api, session, request).pages()


def order_lookup(session: ChannelSession, order_ids: Sequence[str]) -> Iterator[RawPage]:
    """Yield the named orders, those in the trash too; what is gone for good comes as a tombstone."""
    with open_api(session) as api:
        refunds = RefundReader(api)
        for start in range(0, len(order_ids), PAGE_SIZE):
            some = order_ids[start : start + PAGE_SIZE]
            numbers = [order_id for order_id in some if _is_number(order_id)]
            found: set[str] = set()
            if numbers:
                page = api.page(ORDERS, {**_FULL, "include": ",".join(numbers), "orderby": "id", "order": "asc"})
                found = {str(order_id) for order_id in page.ids}
                if page.rows:
                    yield RawPage(KIND_ORDERS, refunds.body_with_refunds(page), {})
            yield from _one_by_one(api, refunds, [order_id for order_id in some if order_id not in found])


def order_ids(session: ChannelSession, placed_from: datetime, placed_to: datetime) -> Iterator[str]:
    """Yield the ids of all orders placed in [placed_from, placed_to); orders in the trash are not among them."""
    query = {
        **_ALL,
        "after": shop_time(placed_from - SECOND),
        "before": shop_time(placed_to),
        "orderby": "id",
        "order": "asc",
        "_fields": "id",
    }
    with open_api(session) as api:
        last_id = 0
        for step in _id_walk(api, query, session).run(Place()):
            for order_id in step.page.ids:
                if order_id > last_id:
                    yield str(order_id)
            last_id = max(last_id, step.after.last_id)


def _is_number(order_id: str) -> bool:
    return order_id.isascii() and order_id.isdigit()


def _id_walk(api: WooApi, query: dict[str, str], session: ChannelSession) -> IdWalk:
    return IdWalk(
        lambda offset, size: api.pages_of_window(ORDERS, query, offset, size),
        size=page_size(session.connection.settings),
        workers=concurrency(session.connection.settings),
    )


def _one_by_one(api: WooApi, refunds: RefundReader, order_ids: Sequence[str]) -> Iterator[RawPage]:
    """Yield orders that the list does not show: in the trash (kept with that word), or gone (tombstones)."""
    gone = []
    for order_id in order_ids:
        answer = None
        if _is_number(order_id):
            try:
                answer = api.one(f"orders/{order_id}", {"dp": "6", "_fields": ORDER_FIELDS})
            except HttpRefused as error:
                if error.status != 404 or not error.code.endswith(_NO_SUCH_ID):
                    raise  # a missing route or somebody else's 404 says nothing about the order
        if answer is None:
            gone.append({"id": order_id})
            continue
        page = Page((answer.parsed,), b"[%s]" % answer.body)
        yield RawPage(KIND_ORDERS, refunds.body_with_refunds(page), {})
    if gone:
        yield RawPage(KIND_TOMBSTONES, orjson.dumps(gone), {})


def _raw_page(page: Page, body: bytes, cursor: Cursor) -> RawPage:
    """Return a page of orders; parsed already, unless an envelope with refunds was put around it."""
    return RawPage(KIND_ORDERS, body, cursor, records=None if body.startswith(b"{") else records_of(page.rows))


class _Pull:
    """One pull of one shop."""

    def __init__(self, api: WooApi, session: ChannelSession, request: PullRequest) -> None:
        self._api = api
        self._request = request
        self._settings = session.connection.settings
        self._refunds = RefundReader(api)
        self._workers = concurrency(self._settings)
        self._size = page_size(self._settings)
        self._orders_seen: set[int] = set()

    def pages(self) -> Iterator[RawPage]:
        """Yield the raw pages of the pull."""
        cursor: Cursor = {} if self._request.is_full else self._request.cursor
        if cursor.get("phase") == "changes":
            yield from self._changes(_cursor_mark(cursor), may_walk=True)
        elif cursor.get("phase") == "walk":
            mark = _cursor_mark(cursor)
            place = Place(int(cursor["offset"]), int(cursor["last_id"]))
            yield from self._walk(mark, place, cursor.get("after"))
            yield from self._changes(mark, may_walk=False)
        else:
            mark = self._newest_change()
            yield from self._walk(mark, Place(), self._placed_after())
            yield from self._changes(mark, may_walk=False)

    def _changes(self, mark: Watermark, *, may_walk: bool) -> Iterator[RawPage]:
        """Catch up from a watermark; where the shop does not filter, walk everything instead (once per pull)."""
        started_from = mark
        try:
            for changed in ChangeWalk(self._api, _FULL, size=self._size, workers=self._workers).run(mark):
                self._orders_seen.update(changed.page.ids)
                mark = changed.after
                body = self._refunds.body_with_refunds(changed.page)
                yield _raw_page(changed.page, body, mark.as_cursor())
        except FilterIgnored:
            if may_walk:
                mark = self._newest_change()
                yield from self._walk(mark, Place(), None)
            yield RawPage(KIND_ORDERS, b"[]", mark.as_cursor(), notices=(_NO_FILTER,))
            return
        yield from self._refunded(started_from, mark)

    def _refunded(self, started_from: Watermark, mark: Watermark) -> Iterator[RawPage]:
        """Yield orders whose refunds changed although the order itself did not."""
        parents = self._refunds.parents_changed_since(started_from.seen_at - OVERLAP)
        missing = [order_id for order_id in parents if order_id not in self._orders_seen]
        for start in range(0, len(missing), self._size):
            some = missing[start : start + self._size]
            page = self._api.page(ORDERS, {**_FULL, "include": ",".join(map(str, some))}, size=self._size)
            if page.rows:
                yield RawPage(KIND_ORDERS, self._refunds.body_with_refunds(page, some), mark.as_cursor())

    def _walk(self, mark: Watermark, place: Place, after: str | None) -> Iterator[RawPage]:
        """Yield every order by id, pages and their refunds fetched ahead in parallel."""
        query = {**_FULL, "orderby": "id", "order": "asc"} | ({"after": after} if after else {})

        def fetch(offset: int, size: int) -> Sequence[Page]:
            pages = self._api.pages_of_window(ORDERS, query, offset, size)
            return [replace(page, body=self._refunds.body_with_refunds(page)) for page in pages]

        for step in IdWalk(fetch, size=self._size, workers=self._workers).run(place):
            at = {"phase": "walk", "offset": step.after.offset, "last_id": step.after.last_id, "after": after}
            yield _raw_page(step.page, step.page.body, {**mark.as_cursor(), **at})

    def _placed_after(self) -> str | None:
        """Return the lower bound of the history as the shop takes it (exclusive)."""
        bound = self._request.placed_from or orders_from(self._settings)
        return None if bound is None else shop_time(bound - SECOND)

    def _newest_change(self) -> Watermark:
        """Return a moment of the shop's own clock such that every later change bears a later or equal time.

        It is the newest time of change in the shop, or the shop's present where rows are dated in the future.
        """
        query = {**_ALL, "orderby": "modified", "order": "desc", "_fields": "id,date_modified_gmt"}
        try:
            page = self._api.page(ORDERS, query, size=1)
        except HttpRefused as error:
            if error.status != 400:
                raise
            return Watermark(_LONG_AGO)  # an old shop that cannot sort by time of change: noticed again in `_changes`
        newest = modified_at(page.rows[0]) if page.rows else None
        if newest is None:
            return Watermark(_LONG_AGO)
        present = newest if page.answered_at is None else min(newest, page.answered_at)
        return Watermark(present, page.ids[0] if page.ids else None)


def _cursor_mark(cursor: Cursor) -> Watermark:
    value, order_id = cursor.get("seen"), cursor.get("order_id")
    try:
        seen_at = datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
    except ValueError as error:
        raise BadPayload("the stored cursor cannot be read", where="seen", remedy="Run: oms-hub sync --full") from error
    return Watermark(seen_at, order_id if isinstance(order_id, int) else None)
