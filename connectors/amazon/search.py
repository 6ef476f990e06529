"""searchOrders: everything that changed since a watermark, page by page.

What belongs here: the walk and the checks of its answers. Not here: what is done with the orders (`orders`).

- No upper bound is sent: Amazon picks one (it must lie two minutes back) and tells it as `lastUpdatedBefore`. That
  bound, not our clock, is the next watermark; of several pages the earliest counts.
- Every page repeats the first one's filters beside its token, which is good for 24 hours; a walk whose token is refused
  or too old begins again at its lower bound.
- Each walk begins `OVERLAP` before the watermark: orders were seen to turn up late (selling-partner-api-models issues
  3945, 5048). What comes twice is no news.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from connectors.amazon.api import AmazonApi
from connectors.amazon.cursor import SearchPlace
from connectors.amazon.operations import SEARCH_ORDERS
from connectors.amazon.settings import page_size
from oms_hub.channel.http import HttpRefused
from oms_hub.domain.pull_windows import floor_to, from_text, to_text
from oms_hub.errors import RetryLater

OVERLAP = timedelta(minutes=10)
TOKEN_LIFE = timedelta(hours=23)
INCLUDED_DATA = "PROCEEDS,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX"
"""What is asked of an order. Never BUYER and RECIPIENT: no name and no address leaves Amazon."""

_REFUSED_TOKEN = frozenset({400, 404})


def search_from(watermark: datetime) -> SearchPlace:
    """Return the walk that begins at a watermark, with the overlap."""
    return SearchPlace(to_text(floor_to(watermark - OVERLAP, timedelta(seconds=1))))


def search_pages(api: AmazonApi, place: SearchPlace) -> Iterator[tuple[Sequence[Any], SearchPlace]]:
    """Yield the orders of each page with the place after it; its `token` is None after the last.

    Raises:
        RetryLater: Amazon does not answer, or answers another question; go on at the last place.
    """
    seen_tokens: set[str] = set()
    place = _with_good_token(api, place)
    while True:
        orders, told_until, token = _page(api, place)
        if token is not None and token in seen_tokens | {place.token}:
            raise RetryLater("searchOrders gave a page that was there before instead of the next one")
        seen_tokens.add(token or "")
        until = told_until if place.until is None else min(place.until, told_until, key=from_text)
        place = replace(place, token=token, until=until, got_at=to_text(api.session.clock()))
        yield orders, place
        if token is None:
            return


def _with_good_token(api: AmazonApi, place: SearchPlace) -> SearchPlace:
    if place.token is None or place.got_at is None:
        return SearchPlace(place.after)
    is_old = api.session.clock() - from_text(place.got_at) > TOKEN_LIFE
    return SearchPlace(place.after) if is_old else place


def _page(api: AmazonApi, place: SearchPlace) -> tuple[Sequence[Any], str, str | None]:
    query = {
        "lastUpdatedAfter": place.after,
        "marketplaceIds": ",".join(api.marketplace_ids),
        "maxResultsPerPage": str(page_size(api.settings)),
        "includedData": INCLUDED_DATA,
    }
    if place.token is not None:
        query["paginationToken"] = place.token
    try:
        page = api.call(SEARCH_ORDERS, query=query).parsed
    except HttpRefused as error:
        if place.token is None or error.status not in _REFUSED_TOKEN:
            raise
        return _page(api, SearchPlace(place.after))
    orders, until, token = orders_of(page), page.get("lastUpdatedBefore"), next_token(page)
    if not isinstance(until, str):
        raise RetryLater("searchOrders does not tell up to when it answers: an answer to another question")
    return orders, to_text(from_text(until)), token


def orders_of(page: Any) -> Sequence[Any]:
    """Return the orders of an answer; raises RetryLater where it is none of searchOrders."""
    orders = page.get("orders") if isinstance(page, dict) else None
    if not isinstance(orders, list):
        raise RetryLater("searchOrders answered without a list of orders")
    return orders


def next_token(page: Any) -> str | None:
    """Return the token of the next page, None on the last."""
    pagination = page.get("pagination")
    token = pagination.get("nextToken") if isinstance(pagination, dict) else None
    return token if isinstance(token, str) and token else None
