"""A SKU's levels, place by place, as the plan sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oms_hub.errors import Misconfigured
from oms_hub.store.goods import default_location, find_sku, list_locations
from oms_hub.store.merchants import get_merchant
from oms_hub.store.plan import read_holds, read_places
from oms_hub.sync.hub import Hub


@dataclass(frozen=True, slots=True)
class PlaceLevel:
    """One place's units of a SKU. `on_hand` and `available` are None where it was never counted there.

    `available` = on_hand − allocated − reserved − unavailable; negative means oversold, and is shown.
    """

    location: str
    on_hand: int | None
    allocated: int
    reserved: int
    unavailable: int
    available: int | None


def show_stock(hub: Hub, merchant: str, sku: str) -> Sequence[PlaceLevel]:
    """Return a SKU's levels at every place that was counted or holds orders, by place.

    Raises:
        Misconfigured: the merchant or the SKU is unknown.
    """
    with hub.store.read() as tx:
        merchant_id = get_merchant(tx, merchant).merchant_id
        sku_id = find_sku(tx, merchant_id, sku)
        if sku_id is None:
            raise Misconfigured(f"{merchant} has no SKU {sku}", remedy="See: oms-hub listings list")
        codes = {place.location_id: place.code for place in list_locations(tx, merchant_id)}
        main = default_location(tx, merchant_id).location_id
        counted = {row[1]: (row[2], row[3]) for row in read_places(tx, [sku_id])}
        holds: dict[int, tuple[int, int]] = {}
        for _, location_id, allocated, reserved in read_holds(tx, [sku_id]):
            place = main if location_id is None else location_id
            before = holds.get(place, (0, 0))
            holds[place] = (before[0] + int(allocated), before[1] + int(reserved))
    levels = []
    for place in sorted({*counted, *holds}, key=lambda found: codes[found]):
        allocated, reserved = holds.get(place, (0, 0))
        on_hand, unavailable = counted.get(place, (None, 0))
        available = None if on_hand is None else on_hand - allocated - reserved - unavailable
        levels.append(PlaceLevel(codes[place], on_hand, allocated, reserved, unavailable, available))
    return levels
