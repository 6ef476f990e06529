"""Orders out of a shop: what changed since the last pull, named orders, and which ids exist.

What belongs here: which orders are asked for, and the cursor. Not here: making whole orders (`records`), the backfill
(`bulk`), their meaning (`parse`).

Changes are walked in ascending order of `updatedAt`, from the watermark minus an overlap: the search index of Shopify
lags behind the writes. An order that changes during the walk moves to its end, so nothing is lost between pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from connectors.shopify.api import Answer, ShopifyApi
from connectors.shopify.bulk import export_pages
from connectors.shopify.cursor import Position, Walk, read_cursor
from connectors.shopify.documents import ORDER_IDS, ORDERS_PAGE
from connectors.shopify.records import Fetched, RecordMaker, body_of, granted
from connectors.shopify.sizes import PageSize, run_sized
from oms_hub.channel.contract import ChannelSession, PullRequest, RawPage
from oms_hub.domain.pull_windows import OverlapRule, advance, from_text, to_text, window_from
from oms_hub.errors import Misconfigured, Refused

OVERLAP = OverlapRule(overlap=timedelta(minutes=10))
"""How late a change may show up in the search. Not documented by Shopify; chosen generously, 2026-11-22."""

WALK_MAX = 20_000
"""Orders per query before it starts anew further on: Shopify pages through 25,000 objects of one query at most.
Source: shopify.dev api/usage/limits, seen 2026-11-22."""

VISIBLE_DAYS = 60
"""Without `read_all_orders`, older orders are simply absent, without an error. Source: Order object, 2026-11-22."""


def order_source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
    """Yield pages of orders from the cursor on; with `is_full`, a bulk export first.

    Raises:
        NeedsReconnect: the token is refused or lacks `read_orders`.
        RetryLater: the shop does not answer, or an export is still running; the next pull goes on from there.
    """
    with ShopifyApi(session) as api:
        maker = RecordMaker(api, granted(api))
        position = read_cursor(request.cursor)
        if request.is_full or position.bulk is not None:
            bulk_start = position if position.bulk is not None else replace(position, walk=None)
            for page, reached in export_pages(session, maker, bulk_start, placed_from=request.placed_from):
                position = reached
                yield page
        yield from _walk_changes(maker, position, request.placed_from)


def _first_walk(position: Position, placed_from: datetime | None, server_now: datetime | None) -> Walk:
    start = window_from(_instant(position.watermark), rule=OVERLAP, server_now=server_now)
    if start is not None:
        query = _since(start)
    else:
        query = f"processed_at:>='{to_text(placed_from)}'" if placed_from is not None else ""
    return Walk(query, began_at=None if server_now is None else to_text(server_now))


def _since(instant: datetime) -> str:
    return f"updated_at:>='{to_text(instant)}'"


def _instant(text: str | None) -> datetime | None:
    return None if text is None else from_text(text)


def _walk_changes(maker: RecordMaker, position: Position, placed_from: datetime | None) -> Iterator[RawPage]:
    size = PageSize(4)
    walk = position.walk or _first_walk(position, placed_from, maker.api.last_answered_at)
    is_over = False
    while not is_over:
        answer = _page(maker, size, walk)
        orders = answer.data["orders"]
        nodes = orders["nodes"]
        fetched = maker.complete(nodes)
        before = position.to_cursor()
        walk, is_over = _step(walk, orders["pageInfo"], nodes)
        position = _after(position, walk, is_over=is_over)
        if fetched.gone:
            yield RawPage("order_tombstones", body_of([{"id": gone} for gone in fetched.gone]), before)
        notices = maker.api.notices([*answer.withheld, *fetched.withheld])
        if fetched.records or notices or position.to_cursor() != before:
            yield RawPage("orders", body_of(fetched.records), position.to_cursor(), notices=notices)


def _page(maker: RecordMaker, size: PageSize, walk: Walk) -> Answer:
    return run_sized(
        maker.api,
        ORDERS_PAGE,
        (size, maker.nested),
        lambda: {
            "first": size.value,
            "after": walk.after,
            "query": walk.query or None,
            "nested": maker.nested.value,
            **maker.rights.switches(),
        },
        needs="read_orders",
    )


def _step(walk: Walk, page: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> tuple[Walk, bool]:
    """Return the walk after a page, and whether it is over."""
    stamps = [stamp for node in nodes if (stamp := _stamp(node)) is not None]
    newest = max([*stamps, *([from_text(walk.newest)] if walk.newest else [])], default=None)
    walk = replace(
        walk,
        after=page["endCursor"] or walk.after,
        count=walk.count + len(nodes),
        newest=None if newest is None else to_text(newest),
    )
    if not page["hasNextPage"]:
        return walk, True
    if not page["endCursor"]:
        raise Refused("the shop says that there are more orders and does not say where")
    if walk.count >= WALK_MAX and newest is not None and _since(newest) != walk.query:
        walk = replace(walk, query=_since(newest), after=None, count=0)
    return walk, False


def _stamp(node: Mapping[str, Any]) -> datetime | None:
    try:
        return from_text(str(node.get("updatedAt")))
    except ValueError:
        return None  # a malformed record: it is landed as it is, and quarantined by its own


def _after(position: Position, walk: Walk, *, is_over: bool) -> Position:
    if not is_over:
        return replace(position, walk=walk)
    watermark = advance(_instant(position.watermark), _instant(walk.newest), server_now=_instant(walk.began_at))
    return replace(position, walk=None, watermark=None if watermark is None else to_text(watermark))


def order_lookup(session: ChannelSession, ids: Sequence[str]) -> Iterator[RawPage]:
    """Yield pages of the named orders, and tombstones of those that no longer exist.

    Without `read_all_orders`, an order that is absent may only be too old to be seen: then nothing is said of it.

    Raises:
        NeedsReconnect: the token is refused or lacks `read_orders`.
        RetryLater: the shop does not answer.
    """
    with ShopifyApi(session) as api:
        rights = granted(api)
        maker = RecordMaker(api, rights)
        oldest = 0 if rights.has("read_all_orders") else None
        for fetched in maker.look_up(list(ids)):
            notices = api.notices(fetched.withheld)
            if fetched.records or notices:
                yield RawPage("orders", body_of(fetched.records), {}, notices=notices)
            if fetched.gone and oldest is None:
                oldest = _oldest_visible(api)
            gone = _surely_gone(fetched, oldest or 0)
            if gone:
                yield RawPage("order_tombstones", body_of([{"id": identifier} for identifier in gone]), {})


def _surely_gone(fetched: Fetched, oldest: int) -> list[str]:
    if any(path == "nodes" for path in fetched.withheld):
        return []
    return [identifier for identifier in fetched.gone if order_number(identifier) >= oldest]


def order_number(identifier: str) -> int:
    """Return the number at the end of an order's gid, 0 where there is none; newer orders have larger ones."""
    tail = identifier.rpartition("/")[2]
    return int(tail) if tail.isdigit() else 0


_NEVER = 2**63


def _oldest_visible(api: ShopifyApi) -> int:
    answer = api.run(ORDER_IDS, {"first": 1, "after": None, "query": ""}, needs="read_orders")
    nodes = answer.data["orders"]["nodes"]
    return order_number(nodes[0]["id"]) if nodes else _NEVER


def order_ids(session: ChannelSession, placed_from: datetime, placed_to: datetime) -> Iterator[str]:
    """Yield the ids of all orders that were placed in `[placed_from, placed_to)`.

    Raises:
        Misconfigured: the token lacks `read_all_orders` and the window begins before what it can see.
        NeedsReconnect: the token is refused or lacks `read_orders`.
        RetryLater: the shop does not answer.
    """
    with ShopifyApi(session) as api:
        rights = granted(api)
        now = api.last_answered_at or session.clock()
        if not rights.has("read_all_orders") and placed_from < now - timedelta(days=VISIBLE_DAYS):
            raise Misconfigured(
                f"without the scope read_all_orders {api.shop} tells only the orders of the last {VISIBLE_DAYS} days",
                remedy="Grant read_all_orders, or choose a later day to begin with",
            )
        yield from _ids_between(api, placed_from, placed_to)


def _ids_between(api: ShopifyApi, placed_from: datetime, placed_to: datetime) -> Iterator[str]:
    size = PageSize(250)
    start, after, count = placed_from, None, 0
    seen_at_start: set[str] = set()
    while True:
        query = f"processed_at:>='{to_text(start)}' processed_at:<'{to_text(placed_to)}'"
        answer = run_sized(
            api,
            ORDER_IDS,
            (size,),
            lambda after=after, query=query: {"first": size.value, "after": after, "query": query},  # type: ignore[misc]
            needs="read_orders",
        )
        orders = answer.data["orders"]
        for node in orders["nodes"]:
            if node["id"] not in seen_at_start:
                yield node["id"]
        if not orders["pageInfo"]["hasNextPage"]:
            return
        after = orders["pageInfo"]["endCursor"]
        count += len(orders["nodes"])
        newest = from_text(orders["nodes"][-1]["processedAt"])
        if count >= WALK_MAX and newest > start:
            seen_at_start = {node["id"] for node in orders["nodes"] if from_text(node["processedAt"]) == newest}
            start, after, count = newest, None, 0
