"""What the fake shop knows, and what it answers to each route.

What belongs here: state and pure answers. Not here: serving them over HTTP (`fake_shop`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from oms_hub.channel.contract import StockWriteMode
from oms_hub.domain.pull_windows import from_text, to_text

PAGE_SIZE = 10


@dataclass(slots=True)
class Goods:
    """One listing of the shop."""

    key: str
    sku: str
    title: str
    price: Decimal
    level: int | None
    version: int = 1


@dataclass(slots=True)
class ShopOrder:
    """One order of the shop; `record` is what the API serves."""

    order_id: str
    placed_at: datetime
    updated_at: datetime
    record: dict[str, Any]
    is_broken: bool = False

    def served(self) -> dict[str, Any]:
        """Return the record as the API gives it."""
        stamps = {"placed_at": to_text(self.placed_at), "updated_at": to_text(self.updated_at)}
        return {**self.record, **stamps, **({"lines": "none"} if self.is_broken else {})}


@dataclass(slots=True)
class ShopState:
    """All that the shop knows, guarded by one lock."""

    now: datetime
    write_mode: StockWriteMode
    orders: dict[str, ShopOrder] = field(default_factory=dict)
    goods: dict[str, Goods] = field(default_factory=dict)
    done_writes: dict[str, dict[str, Any]] = field(default_factory=dict)
    next_number: int = 1001
    lock: threading.RLock = field(default_factory=threading.RLock)


def answer_orders(shop: ShopState, query: Mapping[str, str]) -> Any:
    """Return a page of orders, or the named ones."""
    found: Sequence[ShopOrder]
    if "ids" in query:
        named = query["ids"].split(",")
        found = [shop.orders[order_id] for order_id in named if order_id in shop.orders]
        return {"orders": [order.served() for order in found], "now": to_text(shop.now)}
    updated_from = from_text(query["updated_from"]) if "updated_from" in query else datetime.min.replace(tzinfo=UTC)
    placed_from = from_text(query["placed_from"]) if "placed_from" in query else datetime.min.replace(tzinfo=UTC)
    after = (from_text(query["after_at"]), query["after_id"]) if "after_id" in query else None
    keyed = sorted(
        ((order.updated_at, order.order_id), order)
        for order in shop.orders.values()
        if order.updated_at >= updated_from and order.placed_at >= placed_from
    )
    later = [order for key, order in keyed if after is None or key > after]
    page = later[: int(query.get("limit", PAGE_SIZE))]
    return {"orders": [o.served() for o in page], "has_more": len(later) > len(page), "now": to_text(shop.now)}


def answer_order_ids(shop: ShopState, query: Mapping[str, str]) -> Any:
    """Return the ids of the orders placed in a stretch."""
    start, end = from_text(query["placed_from"]), from_text(query["placed_to"])
    return {"ids": [order.order_id for order in shop.orders.values() if start <= order.placed_at < end]}


def answer_listings(shop: ShopState) -> Any:
    """Return all listings."""
    return {
        "listings": [
            {"key": goods.key, "sku": goods.sku, "title": goods.title, "is_tracked": goods.level is not None}
            for goods in shop.goods.values()
        ]
    }


def answer_levels(shop: ShopState, keys: Sequence[str]) -> Any:
    """Return the levels of the named listings."""
    known = [shop.goods[key] for key in keys if key in shop.goods]
    return {"levels": [{"key": goods.key, "level": goods.level, "version": goods.version} for goods in known]}


def answer_write_levels(shop: ShopState, payload: Any) -> Any:
    """Write levels, each row by itself."""
    return {"results": [_write_level(shop, row) for row in payload["writes"]]}


def _write_level(shop: ShopState, row: Mapping[str, Any]) -> dict[str, Any]:
    goods = shop.goods.get(row["key"])
    if row["idempotency_key"] in shop.done_writes:
        return shop.done_writes[row["idempotency_key"]]
    if goods is None or goods.level is None:
        return {"key": row["key"], "error": "no_such_level"}
    if shop.write_mode is StockWriteMode.COMPARE_AND_SWAP and goods.level != row["expected"]:
        return {"key": row["key"], "error": "stale", "level": goods.level}
    is_delta = shop.write_mode is StockWriteMode.DELTA
    goods.level = goods.level + row["quantity"] - row["expected"] if is_delta else row["quantity"]
    goods.version += 1
    result = {"key": goods.key, "level": goods.level}
    shop.done_writes[row["idempotency_key"]] = result
    return result
