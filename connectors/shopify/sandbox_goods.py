"""The practice shop's goods, places and pages as GraphQL sees them.

What belongs here: shapes of variants, levels and locations, and how lists are paged. Not here: orders
(`sandbox_nodes`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from connectors.shopify.sandbox_state import Shop
from connectors.shopify.sandbox_things import MAIN_LOCATION, STORE_LOCATION, Level, Variant, gid

NodeDict: TypeAlias = dict[str, Any]
Page: TypeAlias = Callable[..., NodeDict]
PAGE_MAX = 250


class TooMany(Exception):
    """More nodes asked for than a page may hold."""


def stamp(at: datetime | None) -> str | None:
    """Return an instant as Shopify writes it."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def paged(rows: Sequence[Any], as_node: Callable[[Any], NodeDict]) -> Page:
    """Return a connection over a list; its cursors are positions."""

    def page(_info: Any, first: int | None = None, after: str | None = None) -> NodeDict:
        start = int(base64.b64decode(after)) if after else 0
        count = len(rows) if first is None else first
        if first is not None and not 0 < first <= PAGE_MAX:
            raise TooMany
        chosen = rows[start : start + count]
        cursors = [base64.b64encode(str(start + index + 1).encode()).decode() for index in range(len(chosen))]
        return connection([as_node(row) for row in chosen], cursors, has_more=start + count < len(rows))

    return page


def connection(nodes: Sequence[NodeDict], cursors: Sequence[str], *, has_more: bool) -> NodeDict:
    """Return a connection's page."""
    return {
        "nodes": list(nodes),
        "edges": [{"node": node, "cursor": cursor} for node, cursor in zip(nodes, cursors, strict=True)],
        "pageInfo": {
            "hasNextPage": has_more,
            "hasPreviousPage": False,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def listed(rows: Sequence[NodeDict]) -> Callable[..., list[NodeDict]]:
    """Return a plain list that can be truncated by `first`."""
    return lambda _info, first=None: list(rows[:first])


class GoodsNodes:
    """Makes the dicts of one shop's goods and places."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def variant(self, variant: Variant) -> NodeDict:
        """Return a variant."""
        return {
            "__typename": "ProductVariant",
            "id": gid("ProductVariant", variant.number),
            "sku": variant.sku,
            "barcode": None,
            "displayName": variant.title,
            "requiresComponents": variant.is_bundle,
            "product": {"id": gid("Product", variant.number + 5_000), "status": "ACTIVE"},
            "inventoryItem": lambda _info: self.item(variant),
        }

    def item(self, variant: Variant) -> NodeDict:
        """Return a variant's inventory item."""
        twins = [other for other in self._shop.variants.values() if variant.sku and other.sku == variant.sku]

        def level_at(_info: Any, locationId: str, includeInactive: bool = False) -> NodeDict | None:
            place = int(locationId.rpartition("/")[2])
            level = variant.levels.get(place)
            is_shown = level is not None and (level.is_active or includeInactive)
            return self.level(variant, place, level) if is_shown and level is not None else None

        return {
            "__typename": "InventoryItem",
            "id": gid("InventoryItem", variant.number + 10_000),
            "sku": variant.sku,
            "tracked": variant.is_tracked,
            "duplicateSkuCount": max(0, len(twins) - 1),
            "inventoryLevel": level_at,
        }

    def level(self, variant: Variant, place: int, level: Level) -> NodeDict:
        """Return a level."""
        told = {"available": level.available, "on_hand": level.on_hand, "committed": level.committed}

        def quantities(_info: Any, names: Sequence[str]) -> list[NodeDict]:
            return [
                {"id": f"{gid('InventoryQuantity', variant.number)}?name={name}", "name": name, "quantity": told[name]}
                for name in names
            ]

        identifier = f"{gid('InventoryLevel', place)}?inventory_item_id={variant.number + 10_000}"
        return {"id": identifier, "isActive": level.is_active, "quantities": quantities}

    def location(self, number: int) -> NodeDict:
        """Return a location."""
        return {
            "__typename": "Location",
            "id": gid("Location", number),
            "name": self._shop.locations[number],
            "isActive": True,
            "isFulfillmentService": False,
            "fulfillsOnlineOrders": number == MAIN_LOCATION,
        }

    def all_locations(self) -> list[NodeDict]:
        """Return both locations, the store first: the default is not simply the first one."""
        return [self.location(STORE_LOCATION), self.location(MAIN_LOCATION)]
