"""Mercado Libre's API over the hub's HTTP client: one seller, paced, with its refusals in words an owner understands.

What belongs here: opening a client, one page of the order search and the proof that it answers the question.
Not here: in which order pages are read (`walk`), what belongs to an order (`parts`).

No rate is published: control is by application and endpoint, a 429 tells. So requests start one at a time, and one
more is let through while answers are good. Source: developers.mercadolibre, rate limit FAQ, 2026-05-05.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.mercadolibre.auth import TokenAuth, Tokens
from connectors.mercadolibre.fields import moment_or_none, updated_at
from connectors.mercadolibre.settings import base_url, seller_id
from connectors.mercadolibre.slices import HOUR, Slice
from oms_hub.channel.answers import answered_at
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import ChannelHttp, ChannelRules, HttpAnswer, HttpRefused, Refusal, open_client
from oms_hub.channel.rate_limit import AdaptiveConcurrency, ConcurrencyRule
from oms_hub.errors import HubError, NeedsReconnect, RetryLater

WORKERS = 6
NEW_FORMAT = {"x-format-new": "true"}
"""The header that shipments want. Source: developers.mercadolibre, shipments (mandatory since 2025-10-12)."""
MISSING_VERSION = "missing_x_version"
_NOT_THERE = frozenset({403, 404})


@dataclass(frozen=True, slots=True)
class SearchPage:
    """Rows of one answer of the order search.

    Attributes:
        rows: orders as parsed, in the answer's order.
        total: how many orders the search found, as the channel counts.
        is_partial: the answer says that fields are missing (206).
    """

    rows: Sequence[Mapping[str, Any]]
    total: int
    is_partial: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of the rows."""
        return tuple(str(row["id"]) for row in self.rows)


class MeliApi:
    """Reads and writes one seller's account; may be used from several threads."""

    def __init__(self, http: ChannelHttp, seller: str, session: ChannelSession) -> None:
        self.http = http
        self.seller = seller
        self._session = session
        self._told_at: datetime | None = None

    def now(self) -> datetime:
        """Return the channel's present as its last answer told it; ours only before the first answer."""
        return self._told_at or self._session.clock()

    def get(
        self, path: str, query: Mapping[str, str] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Return the answer to a GET; see `ChannelHttp.request` for what it raises."""
        answer = self.http.request("GET", path, query=query, headers=headers, needs="Ventas y envios, read")
        self._told_at = answered_at(answer.headers) or self._told_at
        return answer

    def part(
        self, path: str, query: Mapping[str, str] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Return the JSON of something that may be absent: None where it is not there, not yet, or another seller's."""
        try:
            return self.get(path, query, headers=headers).parsed
        except HttpRefused as error:
            if error.status not in _NOT_THERE:
                raise
            return None

    def search_orders(self, wanted: Slice, *, offset: int, limit: int) -> SearchPage:
        """Return one page of the orders of a slice, oldest first.

        Raises:
            NeedsReconnect: the account may not read orders.
            RetryLater: the answer is not to this question: another page, or a filter that was ignored.
        """
        query = {
            "seller": self.seller,
            "sort": "date_asc",
            "offset": str(offset),
            "limit": str(limit),
            **wanted.query(),
        }
        try:
            answer = self.get("orders/search", query)
        except HttpRefused as error:
            if error.status != 403:
                raise
            raise NeedsReconnect(
                f"{error.message}: the account {self.seller} is not the one that gave consent",
                remedy="Set seller_id to the account that gave consent, and connect again",
            ) from None
        page = _read_page(answer, offset)
        _check_filters(answer.parsed, page, wanted)
        return page


def _read_page(answer: HttpAnswer, offset: int) -> SearchPage:
    parsed = answer.parsed
    results = parsed.get("results") if isinstance(parsed, dict) else None
    paging = parsed.get("paging") if isinstance(parsed, dict) else None
    if not isinstance(results, list) or not isinstance(paging, dict) or not isinstance(paging.get("total"), int):
        raise RetryLater("GET orders/search: the answer is not a page of orders")
    if paging.get("offset", offset) != offset:
        raise RetryLater("GET orders/search: the answer is another page than the one asked for")
    rows = [row for row in results if isinstance(row, dict) and row.get("id")]
    return SearchPage(rows, paging["total"], "x-content-missing" in answer.headers)


def _check_filters(parsed: Mapping[str, Any], page: SearchPage, wanted: Slice) -> None:
    """Make sure that the search filtered as asked: an unknown filter is ignored silently and gives everything.

    Filters are precise to the hour only, so rows may lie an hour outside. A time of change only grows, so a row that
    changed after the index was read may lie beyond the end; its creation may not.
    """
    echoed = _echoed(parsed.get("filters"))
    missing = [name for name in wanted.query() if echoed and not _is_echoed(name, echoed)]
    if missing or not all(_is_within(row, wanted) for row in page.rows):
        raise RetryLater(
            "GET orders/search: the answer holds orders outside the dates asked for: the filter was ignored",
            remedy="If this stays, Mercado Libre changed its filters: install a newer oms-hub release",
        )


def _echoed(filters: Any) -> set[str]:
    if not isinstance(filters, list):
        return set()
    return {str(each.get("id")) for each in filters if isinstance(each, dict)}


def _is_echoed(name: str, echoed: set[str]) -> bool:
    bare = name.removeprefix("order.")
    return bool({name, bare, name.rpartition(".")[0], bare.rpartition(".")[0]} & echoed)


def _is_within(row: Mapping[str, Any], wanted: Slice) -> bool:
    changed, created = updated_at(row), moment_or_none(row.get("date_created"))
    if wanted.updated is not None and changed is not None and changed < wanted.updated.start - HOUR:
        return False
    if wanted.created is None or created is None:
        return True
    end = wanted.created.end
    return wanted.created.start - HOUR <= created and (end is None or created <= end + 2 * HOUR)


def explain(refusal: Refusal) -> HubError | None:
    """Return the error for a refusal, None for the usual reading.

    A 403 is about one thing (somebody else's pack), unless it says that the application lacks a permission. A write of
    stock without a version is told only by the words of its 400.
    """
    if not isinstance(refusal.parsed, dict):
        return None
    if refusal.status == 400 and "x-version" in str(refusal.parsed.get("message")).lower():
        return HttpRefused("Mercado Libre answered 400: the version is missing", status=400, code=MISSING_VERSION)
    if refusal.status != 403:
        return None
    if refusal.code.startswith("PA_UNAUTHORIZED"):
        return NeedsReconnect(
            f"Mercado Libre refuses with 403 ({refusal.code}): the application lacks a functional permission",
            remedy="Under Your applications give it read and write for sales and shipping and for publishing, "
            "let the owner give consent again, and connect again",
        )
    return HttpRefused(f"Mercado Libre answered 403 ({refusal.code})", status=403, code=refusal.code)


def api_time(moment: datetime) -> str:
    """Return an instant as the post-purchase searches read it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


@contextmanager
def open_api(session: ChannelSession) -> Iterator[MeliApi]:
    """Open the account of a session; raises Misconfigured for settings that cannot work."""
    settings = session.connection.settings
    gate = AdaptiveConcurrency(ConcurrencyRule(fewest=1, most=WORKERS, step_after=1))
    with open_client(
        session,
        base_url(settings),
        auth=TokenAuth(Tokens(session)),
        rules=ChannelRules(explain=explain),
        gate=gate,
    ) as http:
        yield MeliApi(http, seller_id(settings), session)
