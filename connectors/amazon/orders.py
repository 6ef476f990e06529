"""Orders out of Amazon: the pull, single orders by id, and the ids of a period.

What belongs here: how a pull is put together. Not here: its walks (`search`, `finances`, `report_pages`), reading
orders (`parse`).

A first or full pull reads the history from flat files up to a week ago (unless the setting `history` says search), then
everything that changed since by searchOrders; later pulls go on from the watermark. After the orders come the
transactions, at most once an hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.amazon import finances
from connectors.amazon.api import AmazonApi, NotPermitted, open_api
from connectors.amazon.cursor import MoneyPlace, Position, ReportPlace, SearchPlace
from connectors.amazon.lapses import lapse_notices
from connectors.amazon.operations import GET_ORDER, SEARCH_ORDERS
from connectors.amazon.pages import ORDERS, TOMBSTONES, orders_body, tombstones_body, transactions_body
from connectors.amazon.report_pages import history_pages, ids_placed
from connectors.amazon.search import INCLUDED_DATA, next_token, orders_of, search_from, search_pages
from connectors.amazon.settings import HISTORY_DAYS, orders_from, uses_reports
from oms_hub.channel.contract import ChannelSession, Notice, PullRequest, RawPage
from oms_hub.channel.http import HttpRefused
from oms_hub.domain.pull_windows import floor_to, from_text, to_text
from oms_hub.errors import BadPayload, RetryLater

RECENT = timedelta(days=7)
"""What is newer comes from searchOrders, with all details, also in a first pull."""

_SECOND = timedelta(seconds=1)
_LOOKED_UP_PER_PAGE = 50
_SURELY_PAST = timedelta(minutes=10)
_NO_FINANCES = "refunds and fees"


def order_source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
    """Yield raw pages of orders and of what belongs to them, from the request's cursor on."""
    with open_api(session) as api:
        yield from _Pull(api, request).pages()


class _Pull:
    """One pull of one account."""

    def __init__(self, api: AmazonApi, request: PullRequest) -> None:
        self._api = api
        self._session = api.session
        self._history_from = (
            request.placed_from or orders_from(api.settings) or self._now() - timedelta(days=HISTORY_DAYS)
        )
        self._position = Position() if request.is_full else Position.from_cursor(request.cursor)

    def _now(self) -> datetime:
        return floor_to(self._session.clock(), _SECOND)

    def pages(self) -> Iterator[RawPage]:
        """Yield the raw pages of the pull."""
        self._position = self._started()
        yield from self._history()
        yield from self._search()
        yield from self._transactions()
        notices = lapse_notices(
            self._session.connection.settings, self._session.secrets, today=self._session.clock().date()
        )
        if notices:
            yield RawPage(ORDERS, orders_body(()), self._position.to_cursor(), notices=notices)

    def _started(self) -> Position:
        position = self._position
        if position.search is not None or position.report is not None:
            return position
        if position.watermark is not None:
            return replace(position, search=search_from(from_text(position.watermark)))
        recent_from = self._now() - RECENT
        if not uses_reports(self._api.settings) or self._history_from >= recent_from:
            return Position(search=SearchPlace(to_text(self._history_from)))
        report = ReportPlace(to_text(self._history_from), to_text(recent_from))
        return Position(report=report, search=search_from(recent_from))

    def _history(self) -> Iterator[RawPage]:
        if self._position.report is None:
            return
        for body, place in history_pages(self._api, self._position.report):
            self._position = replace(self._position, report=place)
            yield RawPage(ORDERS, body, self._position.to_cursor())

    def _search(self) -> Iterator[RawPage]:
        position = self._position
        for orders, place in search_pages(self._api, position.search or SearchPlace(to_text(self._history_from))):
            if place.token is None and place.until is not None:
                known = position.watermark or place.until
                position = replace(position, search=None, watermark=max(known, place.until, key=from_text))
            else:
                position = replace(position, search=place)
            self._position = position
            yield RawPage(ORDERS, orders_body(orders), position.to_cursor())

    def _transactions(self) -> Iterator[RawPage]:
        """Yield money that moved; where the app may not see it, say so and go on without."""
        if not finances.is_due(self._position.money, self._session.clock()):
            return
        started = finances.start(self._position.money, self._history_from)
        try:
            for transactions, place in finances.transaction_pages(self._api, started):
                self._position = replace(self._position, money=place)
                yield RawPage(ORDERS, transactions_body(transactions), self._position.to_cursor())
        except NotPermitted as error:
            money = MoneyPlace(self._position.money.until, to_text(self._session.clock()))
            self._position = replace(self._position, money=money)
            notice = Notice("source_changed", _NO_FINANCES, f"{error.message}; orders come without refunds")
            yield RawPage(ORDERS, orders_body(()), self._position.to_cursor(), notices=(notice,))


def order_lookup(session: ChannelSession, order_ids: Sequence[str]) -> Iterator[RawPage]:
    """Yield the named orders; what Amazon does not have comes as a tombstone."""
    with open_api(session) as api:
        for start in range(0, len(order_ids), _LOOKED_UP_PER_PAGE):
            found, gone = [], []
            for order_id in order_ids[start : start + _LOOKED_UP_PER_PAGE]:
                order = _one(api, order_id)
                if order is None:
                    gone.append(order_id)
                else:
                    found.append(order)
            if found:
                yield RawPage(ORDERS, orders_body(found), {})
            if gone:
                yield RawPage(TOMBSTONES, tombstones_body(gone), {})


def _one(api: AmazonApi, order_id: str) -> object | None:
    try:
        page = api.call(GET_ORDER, place={"orderId": order_id}, query={"includedData": INCLUDED_DATA}).parsed
    except HttpRefused as error:
        if error.status != 404 or not error.code:
            raise  # somebody else's 404 says nothing about the order
        return None
    order = page.get("order") if isinstance(page, dict) else None
    if not isinstance(order, dict) or order.get("orderId") != order_id:
        raise RetryLater("getOrder answered with another order")
    return order


def order_ids(session: ChannelSession, placed_from: datetime, placed_to: datetime) -> Iterator[str]:
    """Yield the ids of all orders placed in [placed_from, placed_to)."""
    with open_api(session) as api:
        if uses_reports(api.settings):
            yield from ids_placed(api, placed_from, min(placed_to, session.clock()))
        else:
            yield from _searched_ids(api, placed_from, placed_to)


def _searched_ids(api: AmazonApi, placed_from: datetime, placed_to: datetime) -> Iterator[str]:
    query = {
        "createdAfter": to_text(floor_to(placed_from, _SECOND)),
        "marketplaceIds": ",".join(api.marketplace_ids),
        "maxResultsPerPage": "100",
    }
    if placed_to < api.session.clock() - _SURELY_PAST:  # an upper bound within two minutes of now is refused
        query["createdBefore"] = to_text(placed_to)
    token: str | None = None
    while True:
        page = api.call(SEARCH_ORDERS, query=query | ({} if token is None else {"paginationToken": token})).parsed
        for order in orders_of(page):
            if placed_from <= _placed_at(order) < placed_to:
                yield order["orderId"]
        previous, token = token, next_token(page)
        if token is None:
            return
        if token == previous:
            raise RetryLater("searchOrders gave a page that was there before instead of the next one")


def _placed_at(order: object) -> datetime:
    try:
        return from_text(order["createdTime"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError) as error:
        raise BadPayload("an order has no time of creation", where="createdTime") from error
