"""What the seller offers: items, variations and user products, each as a listing of the hub.

What belongs here: reading the catalogue, and how each listing takes a level. Not here: levels
(`levels`), writing (`stock`).

- All ids come first, by a scan (an offset ends at 1,000; a scan must not be paused), then the items, 20 at a time.
- The listing is the user product where there is one (`keys`); several items of it make one listing.
- How a level is written (`mode`): `item` (item or variation, by one figure), `warehouse` (the seller's depots, for
  accounts with the tag `warehouse_management`), `address` (own stock beside Full, in Argentina and Chile), `full`
  (Mercado Libre's own warehouse: read, never written), `none` (classified adverts keep no quantity).
Source: developers.mercadolibre, items and searches 2025-04-07, stock by location 2026-05-15, distributed stock
2026-04-20.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.mercadolibre.api import WORKERS, MeliApi, open_api
from connectors.mercadolibre.keys import listing_key
from connectors.mercadolibre.settings import site
from oms_hub.channel.contract import ChannelSession, ListingRecord
from oms_hub.channel.http import HttpRefused
from oms_hub.channel.prefetch import ordered_parallel
from oms_hub.errors import BadPayload, RetryLater

ITEM, WAREHOUSE, ADDRESS, FULL, NONE = "item", "warehouse", "address", "full", "none"
SELLER_WAREHOUSE, SELLING_ADDRESS = "seller_warehouse", "selling_address"
MULTIGET = 20
"""The most ids of one request for items."""
FIELDS = (
    "id,title,status,buying_mode,seller_custom_field,attributes,variations,available_quantity,shipping,user_product_id"
)
_SCAN_PAGE = 100
_BATCH = 500
MANAGES_DEPOTS = "warehouse_management"
_SITES_WITH_OWN_BESIDE_FULL = frozenset({"MLA", "MLC"})


def listing_source(session: ChannelSession) -> Iterator[Sequence[ListingRecord]]:
    """Yield all listings in batches, each once."""
    with open_api(session) as api:
        account = _Account(api, session)
        offers: dict[str, _Offer] = {}
        for items in _items(api):
            for offer in (offer for item in items for offer in _offers_of(item)):
                known = offers.get(offer.key)
                offers[offer.key] = offer if known is None else known.beside(offer)
        found = list(offers.values())
        for start in range(0, len(found), _BATCH):
            tasks = [account.task(offer) for offer in found[start : start + _BATCH]]
            yield list(ordered_parallel(tasks, workers=WORKERS))


@dataclass(frozen=True, slots=True)
class _Offer:
    """An item or variation, or the best of several that share a user product."""

    key: str
    item_id: str
    variation_id: str
    user_product_id: str
    sku: str
    title: str
    barcode: str
    is_active: bool
    is_full: bool
    is_classified: bool

    def beside(self, other: _Offer) -> _Offer:
        """Return the one of two that speaks for both: on sale first, then the seller's own stock, then the older."""
        first, second = sorted((self, other), key=lambda each: (not each.is_active, each.is_full, each.item_id))
        return replace(first, sku=first.sku or second.sku)


class _Account:
    """What the account is allowed to do with its stock."""

    def __init__(self, api: MeliApi, session: ChannelSession) -> None:
        tags = api.get("users/me").parsed.get("tags") or ()
        self._api = api
        self._has_depots = MANAGES_DEPOTS in tags
        self._has_own_beside_full = site(session.connection.settings) in _SITES_WITH_OWN_BESIDE_FULL

    def task(self, offer: _Offer) -> Any:
        """Return what makes the listing of an offer, to be run by a worker."""
        return lambda: _record(offer, self._mode(offer))

    def _mode(self, offer: _Offer) -> str:
        if offer.is_classified:
            return NONE
        if not offer.user_product_id:
            return FULL if offer.is_full else ITEM
        if not offer.is_full:
            return WAREHOUSE if self._has_depots else ITEM
        wanted = SELLER_WAREHOUSE if self._has_depots else SELLING_ADDRESS
        if not self._has_depots and not self._has_own_beside_full:
            return FULL
        told = self._api.part(f"user-products/{offer.user_product_id}/stock")
        types = {place["type"] for place in places_of(told)}
        if wanted not in types:
            return FULL
        return WAREHOUSE if self._has_depots else ADDRESS


def _record(offer: _Offer, mode: str) -> ListingRecord:
    attributes = {
        "mode": mode,
        "item_id": offer.item_id,
        "variation_id": offer.variation_id,
        "user_product_id": offer.user_product_id,
    }
    return ListingRecord(
        listing_key=offer.key,
        sku=offer.sku or None,
        title=offer.title,
        is_tracked=mode != NONE,
        is_writable=mode not in (FULL, NONE),
        barcode=offer.barcode or None,
        parent_key=f"item:{offer.item_id}" if offer.variation_id else None,
        is_active=offer.is_active,
        attributes={name: value for name, value in attributes.items() if value},
    )


def places_of(told: Any) -> list[Mapping[str, Any]]:
    """Return the stock locations that an answer about a user product tells."""
    rows = told.get("locations") if isinstance(told, dict) else None
    return [row for row in rows or () if isinstance(row, dict) and isinstance(row.get("quantity"), int)]


def _items(api: MeliApi) -> Iterator[list[Mapping[str, Any]]]:
    ids = _scan(api)
    tasks = (_items_task(api, ids[start : start + MULTIGET]) for start in range(0, len(ids), MULTIGET))
    yield from ordered_parallel(tasks, workers=WORKERS)


def _items_task(api: MeliApi, ids: Sequence[str]) -> Any:
    return lambda: list(read_items(api, ids, FIELDS).values())


def _scan(api: MeliApi) -> list[str]:
    """Return the ids of all items, without a pause: a scan ends five minutes after its last page."""
    path = f"users/{api.seller}/items/search"
    found: dict[str, None] = {}
    query = {"search_type": "scan", "limit": str(_SCAN_PAGE)}
    while True:
        told = api.get(path, query).parsed
        if not isinstance(told, dict) or not isinstance(told.get("results") or [], list):
            raise RetryLater(f"GET {path}: the answer is not a list of items")
        ids = [str(each) for each in told.get("results") or ()]
        scroll_id = told.get("scroll_id")
        if not ids or not scroll_id or all(each in found for each in ids):
            return [*dict.fromkeys([*found, *ids])]
        found.update(dict.fromkeys(ids))
        query = {"search_type": "scan", "scroll_id": str(scroll_id)}


def read_items(api: MeliApi, ids: Sequence[str], fields: str) -> dict[str, Mapping[str, Any]]:
    """Return items by id; what the answer does not give (each item has a code of its own) is not among them.

    Raises:
        RetryLater: one of them could not be given now.
    """
    query = {"ids": ",".join(ids), "attributes": fields, "include_attributes": "all"}
    try:
        told = api.get("items", query).parsed
    except HttpRefused as error:
        if error.status != 404:
            raise
        return {}
    if not isinstance(told, list):
        raise BadPayload("the answer is not a list of items", where="GET items")
    found: dict[str, Mapping[str, Any]] = {}
    for each in told:
        code = each.get("code") if isinstance(each, dict) else None
        body = each.get("body") if isinstance(each, dict) else None
        if code == 200 and isinstance(body, dict) and body.get("id"):
            found[str(body["id"])] = body
        elif not isinstance(code, int) or code == 429 or code >= 500:
            raise RetryLater("GET items: not all items could be read")
    return found


def _offers_of(item: Mapping[str, Any]) -> Iterator[_Offer]:
    own = _Offer(
        key=listing_key(item["id"], None, item.get("user_product_id")),
        item_id=item["id"],
        variation_id="",
        user_product_id=item.get("user_product_id") or "",
        sku=_attribute(item, "SELLER_SKU") or item.get("seller_custom_field") or "",
        title=item.get("title") or "",
        barcode=_attribute(item, "GTIN"),
        is_active=item.get("status") in {"active", "paused"},
        is_full=(item.get("shipping") or {}).get("logistic_type") == "fulfillment",
        is_classified=item.get("buying_mode") == "classified",
    )
    variations = item.get("variations") or ()
    if not variations:
        yield own
    for row in variations:
        product = row.get("user_product_id") or ""
        words = [each.get("value_name") for each in row.get("attribute_combinations") or ()]
        yield replace(
            own,
            key=listing_key(item["id"], row["id"], product),
            variation_id=str(row["id"]),
            user_product_id=product,
            sku=_attribute(row, "SELLER_SKU") or row.get("seller_custom_field") or "",
            title=" ".join([own.title, *(word for word in words if word)]),
            barcode=_attribute(row, "GTIN"),
        )


def _attribute(row: Mapping[str, Any], name: str) -> str:
    for each in row.get("attributes") or ():
        if each.get("id") == name:
            return each.get("value_name") or ""
    return ""
