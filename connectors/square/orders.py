"""Orders out of Square: what changed, named orders, and which ids exist.

What belongs here: the questions. Not here: the walk (`walk`), restocking (`restocks`), what orders mean (`parse`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from connectors.square.api import open_api, rows_of
from connectors.square.locations import wanted_ids
from connectors.square.parse import KIND_ORDERS, KIND_TOMBSTONES, RETURNS, records_of
from connectors.square.restocks import with_restocks
from connectors.square.settings import MOST_PAGE_SIZE, location_ids, page_size
from connectors.square.walk import LOCATIONS_AT_ONCE, NEEDS, PATH, OrderWalk, begin
from oms_hub.channel.contract import ChannelSession, PullRequest, RawPage
from oms_hub.domain.pull_windows import to_text

BATCH_PATH = "/v2/orders/batch-retrieve"
_IDS_AT_ONCE = 100
_INSTANT = timedelta(milliseconds=1)


def order_source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
    """Yield pages of orders from the cursor on, in ascending order of change.

    Raises:
        NeedsReconnect: the token is refused or lacks a permission.
        RetryLater: Square does not answer, or not to what was asked; the next pull goes on from the last page.
    """
    position = begin(request, now=session.clock())
    with open_api(session) as api:
        walk = OrderWalk(api, wanted_ids(api, session), size=page_size(session.connection.settings))
        for step in walk.run(position):
            body, records = with_restocks(api, step.answer.parsed, step.answer.body)
            yield RawPage(KIND_ORDERS, body, step.after.to_cursor(), records=records)


def order_lookup(session: ChannelSession, order_ids: Sequence[str]) -> Iterator[RawPage]:
    """Yield the named orders; what Square does not know comes as a tombstone.

    Orders of locations that are not wanted are neither: they are somebody else's. Raises as `order_source`.
    """
    chosen = location_ids(session.connection.settings)
    with open_api(session) as api:
        for start in range(0, len(order_ids), _IDS_AT_ONCE):
            asked = order_ids[start : start + _IDS_AT_ONCE]
            plain = list(dict.fromkeys(order_id.removesuffix(RETURNS) for order_id in asked))
            answer = api.ask(BATCH_PATH, {"order_ids": plain}, needs=NEEDS)
            found, foreign = rows_of(answer.parsed, "orders"), set[str]()
            if chosen:
                foreign = {str(order.get("id")) for order in found if order.get("location_id") not in chosen}
            body = answer.body
            if foreign:
                found = [order for order in found if order.get("id") not in foreign]
                body = orjson.dumps({"orders": found})
            told: set[str] = set()
            if found:
                body, records = with_restocks(api, {"orders": found}, body)
                told = {record.record_id for record in records}
                yield RawPage(KIND_ORDERS, body, {}, records=records)
            gone = [{"id": key} for key in asked if key not in told and key.removesuffix(RETURNS) not in foreign]
            if gone:
                yield RawPage(KIND_TOMBSTONES, orjson.dumps({"orders": gone}), {})


def order_ids(session: ChannelSession, placed_from: datetime, placed_to: datetime) -> Iterator[str]:
    """Yield the ids of all orders placed in [placed_from, placed_to).

    Whole orders are asked for: only they tell an exchange, which is two orders here. Raises as `order_source`.
    """
    query: dict[str, Any] = {
        "filter": {
            # both ends are inclusive at Square
            "date_time_filter": {
                "created_at": {"start_at": to_text(placed_from), "end_at": to_text(placed_to - _INSTANT)}
            }
        },
        "sort": {"sort_field": "CREATED_AT", "sort_order": "ASC"},
    }
    with open_api(session) as api:
        places = wanted_ids(api, session)
        for start in range(0, len(places), LOCATIONS_AT_ONCE):
            question = {
                "location_ids": list(places[start : start + LOCATIONS_AT_ONCE]),
                "limit": MOST_PAGE_SIZE,
                "query": query,
            }
            for answer in api.rows(PATH, question, "orders", needs=NEEDS):
                yield from (record.record_id for record in records_of(rows_of(answer.parsed, "orders"), ()))
