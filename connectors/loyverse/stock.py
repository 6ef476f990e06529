"""Levels of a Loyverse merchant at one store. Receipts have left the shelf at once, so a level lacks what was sold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from connectors.loyverse.api import open_api, pages, rows_of
from connectors.loyverse.listings import read_stores
from oms_hub.channel.contract import ChannelSession, ListingRef, ObservedLevel
from oms_hub.domain.money import exact_decimal
from oms_hub.errors import BadPayload, Misconfigured

_VARIANTS_AT_ONCE = 100
NO_LEVEL = "Loyverse keeps no quantity for it at this store"


def stock_source(session: ChannelSession, listings: Sequence[ListingRef]) -> Iterator[ObservedLevel]:
    """Yield the level of each named listing at its store, else at the default one.

    Raises:
        NeedsReconnect, RetryLater: see `oms_hub.channel.http`.
        Misconfigured: there is no open store.
        BadPayload: a level is no number.
    """
    with open_api(session) as http:
        default = ""
        by_store: dict[str, list[str]] = {}
        for listing in listings:
            if not listing.channel_location_id and not default:
                default = next((store.channel_location_id for store in read_stores(http) if store.is_default), "")
                if not default:
                    raise Misconfigured("Loyverse has no open store", remedy="Open one in the Back Office")
            by_store.setdefault(listing.channel_location_id or default, []).append(listing.listing_key)
        for store, keys in by_store.items():
            for start in range(0, len(keys), _VARIANTS_AT_ONCE):
                some = keys[start : start + _VARIANTS_AT_ONCE]
                query = {"store_id": store, "variant_ids": ",".join(some), "limit": "250"}
                levels: dict[str, Decimal] = {}
                for answer in pages(http, "/inventory", query, "inventory_levels", needs="INVENTORY_READ"):
                    try:
                        levels |= {
                            row["variant_id"]: exact_decimal(row["in_stock"])
                            for row in rows_of(answer.parsed, "inventory_levels")
                            if row.get("store_id") == store
                        }
                    except (KeyError, TypeError, AttributeError, ValueError):
                        raise BadPayload("a level is not what the reference says", where="inventory_levels") from None
                for key in some:
                    yield _observed(key, store, levels.get(key))


def _observed(key: str, store: str, level: Decimal | None) -> ObservedLevel:
    if level is None:
        return ObservedLevel(key, None, channel_location_id=store, note=NO_LEVEL)
    note = "" if level == level.to_integral_value() else f"Loyverse shows {level.normalize():f}"
    return ObservedLevel(key, int(level.to_integral_value("ROUND_FLOOR")), channel_location_id=store, note=note)
