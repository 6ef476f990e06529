"""Receipts out of Loyverse: what changed, named ones, and which exist.

What belongs here: the questions and the cursor. Not here: what a receipt means (`parse`).

The list comes newest first, so its cursor may be followed: what arrives meanwhile shifts rows to the back, and a row
read twice does no harm. For the same reason the watermark moves only when a walk has reached its end; until then the
stored cursor holds the page, and a walk that was killed goes on there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson

from connectors.loyverse.api import cursor_of, open_api, pages, rows_of
from connectors.loyverse.parse import made_at, records_of, updated_at
from connectors.loyverse.settings import orders_from, page_size
from oms_hub.channel.answers import answered_at
from oms_hub.channel.contract import ChannelSession, Cursor, PullRequest, RawPage
from oms_hub.channel.http import ChannelHttp, HttpAnswer, HttpRefused
from oms_hub.domain.pull_windows import OverlapRule, advance, from_text, to_text, window_from
from oms_hub.errors import Misconfigured

PATH = "/receipts"
NEEDS = "RECEIPTS_READ"
OVERLAP = OverlapRule(overlap=timedelta(minutes=10), resolution=timedelta(milliseconds=1))
"""How late a receipt may show up in the list; not documented, chosen generously."""
OFFLINE = timedelta(days=7)
"""How much later than it was made a receipt of an offline till is believed to arrive."""


def order_source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
    """Yield pages of receipts that changed since the cursor, newest first.

    Raises:
        NeedsReconnect: the token is refused.
        RetryLater: Loyverse does not answer; the next pull goes on at the page.
        Misconfigured: the plan does not show receipts of that age, or the cursor is not one of this connector.
    """
    cursor: Cursor = {} if request.is_full else request.cursor
    seen, walk = _read(cursor)
    query = dict(walk.get("query") or _question(session, request, seen))
    newest, began_at = _moment(walk, "newest"), _moment(walk, "began_at")
    with open_api(session) as http:
        for answer in _pages(http, query, str(walk.get("next") or "")):
            rows = rows_of(answer.parsed, "receipts")
            stamps = [stamp for row in rows if (stamp := updated_at(row)) is not None]
            newest = max([*stamps, *([newest] if newest else [])], default=None)
            began_at = began_at or answered_at(answer.headers)
            following = cursor_of(answer.parsed)
            if following:
                at = {"query": query, "next": following, **_texts(newest=newest, began_at=began_at)}
                after: dict[str, Any] = {**_texts(seen=seen), "walk": at}
            else:
                after = _texts(seen=advance(seen, newest, server_now=began_at))
            yield RawPage("orders", answer.body, after, records=records_of(rows))


def _pages(http: ChannelHttp, query: Mapping[str, str], cursor: str) -> Iterator[HttpAnswer]:
    """Yield the pages from a stored cursor on; one that Loyverse knows no more means the walk begins again."""
    try:
        yield from pages(http, PATH, query, "receipts", needs=NEEDS, cursor=cursor)
    except HttpRefused as error:
        if not cursor or error.status != 400:
            raise
        yield from pages(http, PATH, query, "receipts", needs=NEEDS)


def _question(session: ChannelSession, request: PullRequest, seen: datetime | None) -> dict[str, str]:
    settings = session.connection.settings
    query = {"limit": str(page_size(settings))}
    start = window_from(seen, rule=OVERLAP)
    if start is not None:
        query["updated_at_min"] = to_text(start)
    first = request.placed_from or orders_from(settings)
    if first is not None:
        query["created_at_min"] = to_text(first)
    return query


def _read(cursor: Cursor) -> tuple[datetime | None, Mapping[str, Any]]:
    walk = cursor.get("walk", {})
    try:
        if not isinstance(walk, Mapping) or not isinstance(walk.get("query", {}), Mapping):
            raise TypeError("no walk")
        return _moment(cursor, "seen"), walk
    except (TypeError, ValueError):
        raise Misconfigured(
            "the stored cursor is not one of a Loyverse connection", remedy="Run: oms-hub sync NAME --full"
        ) from None


def _moment(row: Mapping[str, Any], name: str) -> datetime | None:
    return from_text(row[name]) if name in row else None


def _texts(**instants: datetime | None) -> dict[str, Any]:
    return {name: to_text(value) for name, value in instants.items() if value is not None}


def order_lookup(session: ChannelSession, order_ids: Sequence[str]) -> Iterator[RawPage]:
    """Yield the named receipts; one that Loyverse does not know comes as a tombstone. Raises as `order_source`."""
    gone = []
    with open_api(session) as http:
        for order_id in order_ids:
            try:
                answer = http.get_json(f"{PATH}/{quote(order_id, safe='')}", needs=NEEDS)
            except HttpRefused as error:
                if error.status != 404:
                    raise
                gone.append({"receipt_number": order_id})
                continue
            yield RawPage("orders", b'{"receipts":[%s]}' % answer.body, {})
    if gone:
        yield RawPage("order_tombstones", orjson.dumps({"receipts": gone}), {})


def order_ids(session: ChannelSession, placed_from: datetime, placed_to: datetime) -> Iterator[str]:
    """Yield the numbers of all receipts made in [placed_from, placed_to), those that arrived days later too."""
    query = {
        "limit": str(page_size(session.connection.settings)),
        "created_at_min": to_text(placed_from),
        "created_at_max": to_text(placed_to + OFFLINE),
    }
    with open_api(session) as http:
        for answer in pages(http, PATH, query, "receipts", needs=NEEDS):
            for row in rows_of(answer.parsed, "receipts"):
                moment = made_at(row)
                if moment is None or placed_from <= moment < placed_to:
                    yield from (record.record_id for record in records_of([row]))
