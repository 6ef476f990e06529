"""The practice seller's API: what each operation checks and answers, as the published description has it.

What belongs here: requests and answers of orders, catalogue and locations. Not here: inventory (`sandbox_inventory`),
HTTP and tokens (`sandbox_server`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from connectors.square.sandbox_inventory import Inventory
from connectors.square.sandbox_shop import CURRENCY, MERCHANT_ID, Item, Shop, Sold, Variation, stamp
from connectors.square.sandbox_words import ApiError, instant, invalid
from oms_hub.clock import Clock

_CURSOR_LIVES = timedelta(minutes=5)
_FIELDS: Mapping[str, Callable[[Sold], datetime | None]] = {
    "created_at": lambda sold: sold.created_at,
    "updated_at": lambda sold: sold.updated_at,
    "closed_at": lambda sold: sold.closed_at,
}


@dataclass(slots=True)
class Routes:
    """Answers requests; called under the seller's lock. `has_partial_batches`: see `Inventory`."""

    shop: Shop
    has_partial_batches: bool = False
    inventory: Inventory = field(init=False)

    def __post_init__(self) -> None:
        """Make the part that keeps idempotency keys."""
        self.inventory = Inventory(self.shop, self.has_partial_batches)

    def answer(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an authorised request.

        Raises:
            ApiError: what Square would refuse.
        """
        known: Mapping[tuple[str, str], Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            ("GET", "/v2/locations"): self._locations,
            ("POST", "/v2/orders/search"): self._search,
            ("POST", "/v2/orders/batch-retrieve"): self._retrieve,
            ("POST", "/v2/catalog/search"): self._catalog,
            ("POST", "/v2/inventory/counts/batch-retrieve"): self.inventory.counts,
            ("POST", "/v2/inventory/changes/batch-retrieve"): self.inventory.changes,
            ("POST", "/v2/inventory/changes/batch-create"): self.inventory.create,
        }
        route = known.get((method, path))
        if route is None:
            raise ApiError(404, "INVALID_REQUEST_ERROR", "NOT_FOUND", "No such operation.")
        return route(body)

    def _locations(self, _: Mapping[str, Any]) -> dict[str, Any]:
        rows = [
            {
                "id": place.place_id, "name": place.name, "timezone": place.zone, "merchant_id": MERCHANT_ID,
                "status": "ACTIVE" if place.is_active else "INACTIVE", "created_at": stamp(place.created_at)[:19] + "Z",
                "country": "CA", "currency": CURRENCY, "language_code": "en-CA", "type": "PHYSICAL",
                "business_name": "Practice seller", "capabilities": ["CREDIT_CARD_PROCESSING"],
            }
            for place in sorted(self.shop.places.values(), key=lambda place: place.name)
        ]  # fmt: skip
        return {"locations": rows}

    # ---------------------------------------------------------------------------------------------------- orders

    def _search(self, body: Mapping[str, Any]) -> dict[str, Any]:
        places = body.get("location_ids") or []
        if not 1 <= len(places) <= 10:
            raise invalid("location_ids", "ARRAY_LENGTH_TOO_LONG" if places else "MISSING_REQUIRED_PARAMETER")
        limit = body.get("limit", 500)
        if not isinstance(limit, int) or not 1 <= limit <= 1000:
            raise invalid("limit", "INVALID_VALUE")
        name, ascending, first, last = _range(body.get("query") or {})
        asked = hashlib.sha256(orjson.dumps([places, body.get("query")], option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
        after: tuple[str, str] | None = None
        now = self.shop.now()
        last = last or now
        if body.get("cursor"):
            last, after = _opened(str(body["cursor"]), asked, now)
        key = _FIELDS[name]
        found = sorted(
            ((moment, sold.record["id"]), sold)
            for sold in self.shop.orders.values()
            if sold.record["location_id"] in places
            and (sold.visible_at is None or sold.visible_at <= now)
            and (moment := key(sold)) is not None
            and (first is None or moment >= first)
            and moment <= last
        )
        found.sort(key=lambda pair: pair[0], reverse=not ascending)
        later = [
            pair
            for pair in found
            if after is None
            or ((stamp(pair[0][0]), pair[0][1]) > after if ascending else (stamp(pair[0][0]), pair[0][1]) < after)
        ]
        page = later[:limit]
        answer: dict[str, Any] = {}
        if page and body.get("return_entries"):
            answer["order_entries"] = [_entry(sold) for _, sold in page]
        elif page:
            answer["orders"] = [sold.shown() for _, sold in page]
        if len(later) > len(page):
            answer["cursor"] = _sealed(asked, last, (stamp(page[-1][0][0]), page[-1][0][1]), now)
        return answer

    def _retrieve(self, body: Mapping[str, Any]) -> dict[str, Any]:
        ids = body.get("order_ids") or []
        if not 1 <= len(ids) <= 100:
            raise invalid("order_ids", "ARRAY_LENGTH_TOO_LONG" if ids else "ARRAY_EMPTY")
        found = [self.shop.orders[order_id].shown() for order_id in ids if order_id in self.shop.orders]
        return {"orders": found} if found else {}

    # ------------------------------------------------------------------------------------------------- catalogue

    def _catalog(self, body: Mapping[str, Any]) -> dict[str, Any]:
        after = instant(body, "begin_time")
        limit = body.get("limit") if 1 <= (body.get("limit") or 0) <= 1000 else 100
        found = [
            item
            for item in self.shop.items.values()
            if (after is None or item.changed_at > after)
            and (body.get("include_deleted_objects") or not item.is_deleted)
            and "ITEM" in body.get("object_types", ["ITEM"])
        ]
        start = int(body["cursor"]) if str(body.get("cursor") or "").isdigit() else 0
        page = found[start : start + int(limit or 100)]
        newest = max((item.changed_at for item in self.shop.items.values()), default=self.shop.now())
        answer: dict[str, Any] = {"latest_time": stamp(newest)}
        if page:
            answer["objects"] = [_catalog_object(item) for item in page]
        if start + len(page) < len(found):
            answer["cursor"] = str(start + len(page))
        return answer


def _range(query: Mapping[str, Any]) -> tuple[str, bool, datetime | None, datetime | None]:
    """Return field, direction and bounds of a search.

    Raises:
        ApiError: sorted by another field than filtered.
    """
    sort = query.get("sort") or {"sort_field": "CREATED_AT"}
    name = str(sort["sort_field"]).lower()
    times = ((query.get("filter") or {}).get("date_time_filter")) or {}
    if len(times) > 1 or any(key != name for key in times):
        raise invalid("query.sort.sort_field", "INVALID_VALUE")
    if name not in _FIELDS:
        raise invalid("query.sort.sort_field", "INVALID_ENUM_VALUE")
    bounds = times.get(name) or {}
    return name, sort.get("sort_order", "DESC") == "ASC", instant(bounds, "start_at"), instant(bounds, "end_at")


def _sealed(asked: str, last: datetime, after: tuple[str, str], now: datetime) -> str:
    content = {"asked": asked, "last": stamp(last), "after": after, "until": stamp(now + _CURSOR_LIVES)}
    return base64.urlsafe_b64encode(orjson.dumps(content)).decode()


def _opened(cursor: str, asked: str, now: datetime) -> tuple[datetime, tuple[str, str]]:
    try:
        content = orjson.loads(base64.urlsafe_b64decode(cursor))
        is_good = content["asked"] == asked and content["until"] >= stamp(now)
        last, after = datetime.fromisoformat(content["last"]), (str(content["after"][0]), str(content["after"][1]))
    except (ValueError, KeyError, TypeError, IndexError):
        is_good, last, after = False, now, ("", "")
    if not is_good:
        raise invalid("cursor", "INVALID_CURSOR")
    return last, after


def _entry(sold: Sold) -> dict[str, Any]:
    entry = {"order_id": sold.record["id"], "location_id": sold.record["location_id"]}
    return {**entry, "version": sold.record["version"]} if "version" in sold.record else entry


def _catalog_object(item: Item) -> dict[str, Any]:
    version = int(item.changed_at.timestamp() * 1000)
    head = {"updated_at": stamp(item.changed_at), "version": version, "is_deleted": item.is_deleted}
    presence: dict[str, Any] = {"present_at_all_locations": True}
    if item.absent_at:
        presence["absent_at_location_ids"] = list(item.absent_at)
    return {
        "type": "ITEM", "id": item.item_id, **head, **presence,
        "item_data": {
            "name": item.name, "product_type": "REGULAR", "is_archived": item.is_archived,
            "variations": [_variation(item, variation, {**head, **presence}) for variation in item.variations],
        },
    }  # fmt: skip


def _variation(item: Item, variation: Variation, head: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "item_id": item.item_id, "name": variation.name, "pricing_type": "FIXED_PRICING",
        "price_money": {"amount": variation.price, "currency": CURRENCY}, "track_inventory": variation.is_tracked,
        "sellable": True, "stockable": True,
    }  # fmt: skip
    if variation.sku:
        data["sku"] = variation.sku
    if variation.is_measured:
        data["measurement_unit_id"] = "MEASUREKG"
    if variation.untracked_at:
        data["location_overrides"] = [
            {"location_id": place, "track_inventory": False} for place in sorted(variation.untracked_at)
        ]
    return {"type": "ITEM_VARIATION", "id": variation.variation_id, **head, "item_variation_data": data}


def practice_clock(start: datetime, monotonic: Callable[[], float]) -> Clock:
    """Return a clock that starts at an instant and goes on from there."""
    began = monotonic()
    return lambda: start + timedelta(seconds=monotonic() - began)
