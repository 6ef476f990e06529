"""Orders out of Mercado Libre: the pull, single orders by id, and the ids of a period.

What belongs here: how a pull is put together. Not here: what it remembers (`cursor`), the walk over slices (`walk`),
the requests that make an order whole (`parts`), reading orders (`parse`).

A pull asks, in this order:

1. claims that changed: orders that a claim names are read by id, the search may hide them
2. first and full pulls: all orders by creation, 12 months back
3. orders that changed, from two hours before the newest known change on
4. by their ids: claimed orders, orders that missed notifications point to, and open orders whose turn it is (`watch`)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from connectors.mercadolibre.api import MeliApi, SearchPage, open_api
from connectors.mercadolibre.claims import claimed_orders
from connectors.mercadolibre.cursor import OVERLAP, state_of
from connectors.mercadolibre.feeds import missed_orders
from connectors.mercadolibre.fields import moment_or_none, updated_at
from connectors.mercadolibre.parse import KIND_ORDERS, KIND_TOMBSTONES, records_of
from connectors.mercadolibre.parts import PartReader, WholeOrder
from connectors.mercadolibre.settings import orders_from, page_size, recheck_minutes, slice_size
from connectors.mercadolibre.slices import HISTORY, HOUR, Slice, changed_since, created_between
from connectors.mercadolibre.walk import Place, SliceWalk
from connectors.mercadolibre.watch import minute_of
from oms_hub.channel.contract import ChannelSession, Cursor, Notice, PullRequest, RawPage
from oms_hub.domain.pull_windows import advance
from oms_hub.errors import Misconfigured, RetryLater

_KEPT = timedelta(days=365)


def order_source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
    """Yield raw pages of orders from the request's cursor on; see the module's text."""
    with open_api(session) as api:
        yield from _Pull(api, session, request).pages()


def order_lookup(session: ChannelSession, order_ids: Sequence[str]) -> Iterator[RawPage]:
    """Yield the named orders, cancelled ones too; what is gone comes as a tombstone.

    Raises:
        RetryLater: one of them cannot be read whole now.
    """
    with open_api(session) as api:
        reader = PartReader(api, has_claims=lambda _order_id: True)
        size = page_size(session.connection.settings)
        for start in range(0, len(order_ids), size):
            found = reader.named(order_ids[start : start + size])
            if troubles := [each.trouble for each in found if each.trouble]:
                raise RetryLater(troubles[0])
            if payloads := [each.payload for each in found if each.payload is not None]:
                yield _page(payloads, {})
            if gone := [each.order_id for each in found if each.payload is None]:
                yield _tombstones(gone, {})


def order_ids(session: ChannelSession, placed_from: datetime, placed_to: datetime) -> Iterator[str]:
    """Yield the ids of all orders placed in [placed_from, placed_to) that the search shows; cancelled ones it hides.

    Raises:
        Misconfigured: the window begins before what Mercado Libre keeps: absent orders would be taken for deleted.
    """
    with open_api(session) as api:
        api.get("users/me")
        if placed_from < api.now() - _KEPT:
            raise Misconfigured(
                "Mercado Libre keeps orders for 12 months; an older window would take them for deleted",
                remedy="Choose a window within the last 12 months",
            )
        seen: set[str] = set()
        for step in _walk(api, session).run(Place((created_between(placed_from, placed_to),))):
            for row in step.page.rows:
                placed_at, order_id = moment_or_none(row.get("date_created")), str(row["id"])
                if placed_at is not None and placed_from <= placed_at < placed_to and order_id not in seen:
                    seen.add(order_id)
                    yield order_id


def _walk(api: MeliApi, session: ChannelSession) -> SliceWalk:
    settings = session.connection.settings
    size = page_size(settings)

    def fetch(wanted: Slice, offset: int) -> SearchPage:
        return api.search_orders(wanted, offset=offset, limit=size)

    return SliceWalk(fetch, size=size, most=slice_size(settings), now=api.now)


def _page(payloads: Sequence[Mapping[str, Any]], cursor: Cursor, notices: tuple[Notice, ...] = ()) -> RawPage:
    body = orjson.dumps({"orders": payloads})
    return RawPage(KIND_ORDERS, body, cursor, notices=notices, records=records_of(payloads))


def _tombstones(order_ids: Sequence[str], cursor: Cursor) -> RawPage:
    return RawPage(KIND_TOMBSTONES, orjson.dumps([{"id": order_id} for order_id in order_ids]), cursor)


class _Pull:
    """One pull of one account."""

    def __init__(self, api: MeliApi, session: ChannelSession, request: PullRequest) -> None:
        self._api = api
        self._session = session
        self._request = request
        self._settings = session.connection.settings
        self._state = state_of(request.cursor)
        if request.is_full:
            self._state.start_over()
        self._reader = PartReader(api, has_claims=lambda order_id: order_id in self._state.claimed)
        self._read: set[str] = set()

    def pages(self) -> Iterator[RawPage]:
        """Yield the raw pages of the pull."""
        self._api.get("users/me")  # tells the channel's present
        state, now = self._state, self._api.now()
        claimed = claimed_orders(self._api, (state.claims_seen or now - HISTORY) - OVERLAP, now + HOUR)
        state.note_claims(claimed)
        if state.phase == "history":
            yield from self._history(now)
        yield from self._changes(now)
        missed = self._missed(now)
        due = state.watch.due(now=now, every_minutes=recheck_minutes(self._settings))
        yield from self._named([*claimed, *missed, *due])
        state.claims_seen = now
        yield from self._last_page()

    def _last_page(self) -> Iterator[RawPage]:
        cursor = self._state.as_cursor()
        if cursor != self._request.cursor:
            yield _page([], cursor)

    def _history(self, now: datetime) -> Iterator[RawPage]:
        """Yield all orders by creation, going on where an earlier pull stopped."""
        state = self._state
        if state.walk is None:
            start = self._request.placed_from or orders_from(self._settings) or now - HISTORY
            state.walk, state.seen = Place((created_between(start),)), now
        yield from self._walked(state.walk)
        state.phase, state.walk = "changes", None

    def _changes(self, now: datetime) -> Iterator[RawPage]:
        """Yield orders that changed, going on where an earlier pull stopped."""
        state = self._state
        if state.walk is None:
            state.walk, state.newest = Place((changed_since((state.seen or now) - OVERLAP),)), None
        yield from self._walked(state.walk)
        state.seen = advance(state.seen, state.newest, server_now=now)
        state.walk = None
        state.forget_old()

    def _walked(self, place: Place) -> Iterator[RawPage]:
        for step in _walk(self._api, self._session).run(place):
            self._state.walk = step.after
            rows = [row for row in step.page.rows if not self._state.is_known(str(row["id"]), updated_at(row))]
            if not rows:
                continue
            again = [str(row["id"]) for row in rows] if step.page.is_partial else []
            yield from self._landed(self._reader.complete(rows, again=again))

    def _named(self, order_ids: Sequence[str]) -> Iterator[RawPage]:
        """Yield orders by their ids, without those that this pull read already."""
        wanted = [each for each in dict.fromkeys(order_ids) if each not in self._read]
        size = page_size(self._settings)
        for start in range(0, len(wanted), size):
            yield from self._landed(self._reader.named(wanted[start : start + size]))

    def _landed(self, found: Sequence[WholeOrder]) -> Iterator[RawPage]:
        """Yield what was read: whole orders as a page, open ones that are gone as tombstones.

        An old order that is gone has left the channel's 12 months and lives on here. One that could not be read whole
        is no record: half an order would take the place of a whole one.
        """
        state, now = self._state, self._api.now()
        payloads: list[Mapping[str, Any]] = []
        gone: list[str] = []
        notices: list[Notice] = []
        for each in found:
            self._read.add(each.order_id)
            if each.trouble:
                if each.order_id in state.watch:
                    notices.append(_unreadable(each))
                state.watch.read_soon(each.order_id)
                continue
            if each.payload is None and each.order_id in state.watch:
                gone.append(each.order_id)
            state.watch.note(each.order_id, each.payload, now=now)
            if each.payload is not None:
                payloads.append(each.payload)
                state.note_change(each.order_id, updated_at(each.payload["order"]))
        if gone:
            yield _tombstones(gone, state.as_cursor())
        if payloads or notices:
            yield _page(payloads, state.as_cursor(), tuple(notices))

    def _missed(self, now: datetime) -> Sequence[str]:
        """Return the orders that missed notifications point to, asked for as often as open orders are."""
        state = self._state
        if minute_of(now) - state.feeds_minute < recheck_minutes(self._settings):
            return ()
        client_id = self._session.secrets.get("client_id") or ""
        missed = missed_orders(self._api, client_id, newest=state.feeds_newest)
        state.feeds_minute, state.feeds_newest = minute_of(now), missed.newest
        return missed.order_ids


def _unreadable(order: WholeOrder) -> Notice:
    return Notice(
        "source_changed",
        f"order {order.order_id}",
        f"order {order.order_id} cannot be read whole ({order.trouble}); it is tried again in every sync",
    )
