"""Present levels: what buyers can order of a SKU now.

What belongs here: from listings to quantities, read only. Not here: writing them (`stock`, `feed`).

A SKU of the merchant's own is read from its listing; one that Amazon ships from the FBA summaries, since listings do
not tell how much of it there is. SKUs are asked for twenty (fifty) at once, in a comma-separated list, so that one with
a comma in it is asked for alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.amazon.api import AmazonApi, open_api
from connectors.amazon.fields import mapping, rows, units, words
from connectors.amazon.listings import AMAZONS, OWN_STOCK, channel_code, items_of
from connectors.amazon.operations import FBA_SUMMARIES, GET_LISTING, SEARCH_LISTINGS
from oms_hub.channel.contract import ChannelSession, ListingRef, ObservedLevel
from oms_hub.channel.http import HttpRefused
from oms_hub.errors import BadPayload, RetryLater

LISTINGS_AT_ONCE = 20
_FBA_AT_ONCE = 50
GONE = "Amazon does not list this SKU any more"
UNTRACKED = "Amazon keeps no level for it"
UNSET = "no quantity was ever set for it at Amazon"


@dataclass(frozen=True, slots=True)
class Level:
    """A level as Amazon tells it; `quantity` None means that there is none, `note` says why."""

    quantity: int | None
    note: str = ""


def sku_of(listing: ListingRef) -> str:
    """Return the SKU that a listing names; raises BadPayload where it is no listing of this channel."""
    kind, _, sku = listing.listing_key.partition(":")
    if kind != "sku" or not sku:
        raise BadPayload("a listing key is not of this channel", where="listing_key")
    return sku


def stock_source(session: ChannelSession, listings: Sequence[ListingRef]) -> Iterator[ObservedLevel]:
    """Yield the present level of each listing."""
    fba = [sku_of(each) for each in listings if each.attributes.get("fulfilment", "").startswith(AMAZONS)]
    own = [sku_of(each) for each in listings if not each.attributes.get("fulfilment", "").startswith(AMAZONS)]
    with open_api(session) as api:
        levels = read_levels(api, own) | _fba_levels(api, fba)
    for listing in listings:
        level = levels.get(sku_of(listing), Level(None, GONE))
        yield ObservedLevel(listing.listing_key, level.quantity, note=level.note)


def read_levels(api: AmazonApi, skus: Iterable[str]) -> dict[str, Level]:
    """Return the level of each SKU that Amazon lists, by its listing."""
    wanted = list(dict.fromkeys(skus))
    levels: dict[str, Level] = {}
    for some in _slices([sku for sku in wanted if "," not in sku], LISTINGS_AT_ONCE):
        query = {
            "marketplaceIds": ",".join(api.marketplace_ids),
            "includedData": "fulfillmentAvailability",
            "identifiers": ",".join(some),
            "identifiersType": "SKU",
            "pageSize": str(LISTINGS_AT_ONCE),
        }
        page = api.call(SEARCH_LISTINGS, place={"sellerId": api.seller_id}, query=query).parsed
        found = {words(item.get("sku")): item for item in items_of(page)}
        if not found.keys() <= set(some):
            raise RetryLater("searchListingsItems answered for other SKUs than it was asked for")
        levels |= {sku: level_of(item) for sku, item in found.items()}
    for sku in wanted:
        if "," in sku:
            item = _one(api, sku)
            if item is not None:
                levels[sku] = level_of(item)
    return levels


def _one(api: AmazonApi, sku: str) -> Mapping[str, Any] | None:
    query = {"marketplaceIds": ",".join(api.marketplace_ids), "includedData": "fulfillmentAvailability"}
    try:
        item = api.call(GET_LISTING, place={"sellerId": api.seller_id, "sku": sku}, query=query).parsed
    except HttpRefused as error:
        if error.status != 404:
            raise
        return None
    return mapping(item, "item")


def level_of(item: Mapping[str, Any]) -> Level:
    """Return the level in an item's availability."""
    code = channel_code(item)
    if code is None:
        return Level(None, UNTRACKED)
    if code.startswith(AMAZONS):
        return Level(None, "Amazon ships it from its own warehouses")
    told = [row for row in rows(item.get("fulfillmentAvailability"), "availability") if row.get("quantity") is not None]
    if not told:
        return Level(0, UNSET)
    own = [row for row in told if row.get("fulfillmentChannelCode") == OWN_STOCK] or told
    return Level(sum(units(row["quantity"], "quantity") for row in own))


def _fba_levels(api: AmazonApi, skus: Iterable[str]) -> dict[str, Level]:
    """Return what Amazon can ship of each SKU, at the first of our marketplaces."""
    wanted = list(dict.fromkeys(skus))
    levels = dict.fromkeys(wanted, Level(0, "Amazon has none of it in its warehouses"))
    for some in _slices([sku for sku in wanted if "," not in sku], _FBA_AT_ONCE):
        levels |= _fba_page(api, {"sellerSkus": ",".join(some)})
    for sku in wanted:
        if "," in sku:
            levels |= _fba_page(api, {"sellerSku": sku})
    return {sku: levels[sku] for sku in wanted}


def _fba_page(api: AmazonApi, which: Mapping[str, str]) -> dict[str, Level]:
    main = api.marketplace_ids[0]
    query = {
        "details": "true",
        "granularityType": "Marketplace",
        "granularityId": main,
        "marketplaceIds": main,
        **which,
    }
    page = mapping(api.call(FBA_SUMMARIES, query=query).parsed, "answer")
    payload = page.get("payload")
    if not isinstance(payload, dict):
        raise RetryLater("getInventorySummaries answered without its payload")
    found: dict[str, Level] = {}
    for row in rows(payload.get("inventorySummaries"), "inventorySummaries"):
        details = mapping(row.get("inventoryDetails"), "inventoryDetails")
        found[words(row.get("sellerSku"))] = Level(units(details.get("fulfillableQuantity"), "fulfillableQuantity"))
    return found


def _slices(skus: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(skus), size):
        yield skus[start : start + size]
