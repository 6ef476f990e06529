"""Reading present levels.

What belongs here: from listings to quantities, with the version that a write has to name. Not here: writing (`stock`).

What an item or variation shows is what buyers can buy: units of open orders are off it already. A user product of an
account with depots tells each place apart, with a version (`x-version`) that the next write must name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.mercadolibre.api import WORKERS, MeliApi
from connectors.mercadolibre.keys import name_of
from connectors.mercadolibre.listings import (
    ADDRESS,
    ITEM,
    MULTIGET,
    NONE,
    SELLER_WAREHOUSE,
    SELLING_ADDRESS,
    WAREHOUSE,
    places_of,
    read_items,
)
from oms_hub.channel.contract import ListingRef, ObservedLevel
from oms_hub.channel.http import HttpRefused
from oms_hub.channel.prefetch import ordered_parallel

GONE = "Mercado Libre does not have it any more"
UNTRACKED = "Mercado Libre keeps no quantity for it (a classified advert)"
_LEVEL_FIELDS = "id,available_quantity,variations"


@dataclass(frozen=True, slots=True)
class Target:
    """What carries a level, and how it is written (`mode` of `listings`)."""

    key: str
    mode: str
    item_id: str = ""
    variation_id: str = ""
    user_product_id: str = ""


@dataclass(frozen=True, slots=True)
class Depot:
    """The place whose stock is read and written, as its user product tells it."""

    quantity: int | None
    version: str | None
    store_id: str = ""
    network_node_id: str = ""
    note: str = ""


def target_of(listing: ListingRef) -> Target:
    """Return what a listing names; raises BadPayload where it is none of this channel's."""
    name, told = name_of(listing.listing_key), listing.attributes
    return Target(
        key=listing.listing_key,
        mode=told.get("mode", ITEM),
        item_id=told.get("item_id", name.item_id),
        variation_id=told.get("variation_id", name.variation_id),
        user_product_id=told.get("user_product_id", name.user_product_id),
    )


def read_levels(api: MeliApi, targets: Sequence[Target], *, store_id: str | None) -> Iterator[ObservedLevel]:
    """Yield the present level of each target."""
    by_place = [target for target in targets if target.mode in (WAREHOUSE, ADDRESS)]
    by_item = [target for target in targets if target.mode not in (WAREHOUSE, ADDRESS, NONE)]
    for target in targets:
        if target.mode == NONE:
            yield ObservedLevel(target.key, None, note=UNTRACKED)
    ids = list(dict.fromkeys(target.item_id for target in by_item if target.item_id))
    items: dict[str, Mapping[str, Any]] = {}
    slices = (ids[start : start + MULTIGET] for start in range(0, len(ids), MULTIGET))
    for found in ordered_parallel((_items_task(api, some) for some in slices), workers=WORKERS):
        items.update(found)
    for target in by_item:
        yield _item_level(target, items.get(target.item_id))
    yield from ordered_parallel((_depot_task(api, target, store_id) for target in by_place), workers=WORKERS)


def _items_task(api: MeliApi, ids: Sequence[str]) -> Callable[[], dict[str, Mapping[str, Any]]]:
    return lambda: read_items(api, ids, _LEVEL_FIELDS)


def _depot_task(api: MeliApi, target: Target, store_id: str | None) -> Callable[[], ObservedLevel]:
    def read() -> ObservedLevel:
        depot = read_depot(api, target, store_id=store_id)
        return ObservedLevel(target.key, depot.quantity, version=depot.version, note=depot.note)

    return read


def _item_level(target: Target, item: Mapping[str, Any] | None) -> ObservedLevel:
    quantity = None if item is None else quantity_of(item, target.variation_id)
    return ObservedLevel(target.key, quantity, note=GONE if quantity is None else "")


def quantity_of(item: Mapping[str, Any], variation_id: str) -> int | None:
    """Return what an item, or a variation of it, shows; None where it shows nothing."""
    if not variation_id:
        told = item.get("available_quantity")
        return told if isinstance(told, int) else None
    for row in item.get("variations") or ():
        if str(row.get("id")) == variation_id:
            told = row.get("available_quantity")
            return told if isinstance(told, int) else None
    return None


def read_depot(api: MeliApi, target: Target, *, store_id: str | None) -> Depot:
    """Return the place of a user product that this connection reads and writes, with the present version."""
    try:
        answer = api.get(f"user-products/{target.user_product_id}/stock")
    except HttpRefused as error:
        if error.status != 404:
            raise
        return Depot(None, None, note=GONE)
    version = answer.headers.get("x-version")
    wanted = SELLING_ADDRESS if target.mode == ADDRESS else SELLER_WAREHOUSE
    places = [place for place in places_of(answer.parsed) if place.get("type") == wanted]
    if store_id is not None and target.mode == WAREHOUSE:
        places = [place for place in places if str(place.get("store_id")) == store_id]
    if not places:
        return Depot(None, version, note="it is not stocked at the seller's own place")
    if len(places) > 1:
        return Depot(None, version, note="it is stocked at several depots: set store_id to the one to use")
    place = places[0]
    return Depot(place["quantity"], version, str(place.get("store_id") or ""), str(place.get("network_node_id") or ""))
