"""What a shop offers, and its locations.

What belongs here: reading variants and locations. Not here: their levels (`stock`).

A listing is a variant's inventory item: that is what carries the quantity. SKUs are optional and not unique at
Shopify (`duplicateSkuCount`); they are told as they are, never used as a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.shopify.api import ShopifyApi
from connectors.shopify.documents import LOCATIONS_PAGE, VARIANTS_PAGE, Document
from connectors.shopify.settings import location_id
from connectors.shopify.sizes import PageSize, run_sized
from oms_hub.channel.contract import ChannelLocation, ChannelSession, ListingRecord
from oms_hub.errors import BadPayload, Misconfigured


def listing_source(session: ChannelSession) -> Iterator[Sequence[ListingRecord]]:
    """Yield all variants in batches, in the order of their ids.

    Raises:
        NeedsReconnect: the token is refused or lacks `read_products` or `read_inventory`.
        RetryLater: the shop does not answer.
        BadPayload: a variant is not what the published schema says.
    """
    with ShopifyApi(session) as api:
        for nodes in _pages(api, VARIANTS_PAGE, "productVariants", PageSize(100), needs="read_products"):
            yield [_listing(node) for node in nodes]


def _listing(node: Mapping[str, Any]) -> ListingRecord:
    try:
        item, product = node["inventoryItem"], node["product"]
        return ListingRecord(
            listing_key=item["id"],
            sku=node["sku"] or item["sku"] or None,
            title=node["displayName"],
            is_tracked=item["tracked"],
            is_writable=not node["requiresComponents"],
            barcode=node["barcode"] or None,
            parent_key=product["id"],
            is_active=product["status"] == "ACTIVE",
            attributes={"variant": node["id"], "duplicate_sku_count": str(item["duplicateSkuCount"])},
        )
    except (KeyError, TypeError):
        raise BadPayload("a variant is not what the schema says", where="productVariants") from None


def locations(session: ChannelSession) -> Sequence[ChannelLocation]:
    """Return the shop's locations, the one that stock is read from and written to marked as default.

    Raises:
        NeedsReconnect: the token is refused or lacks `read_locations`.
        RetryLater: the shop does not answer.
        Misconfigured: the chosen location is not the shop's.
    """
    with ShopifyApi(session) as api:
        return read_locations(api, session.connection.settings)


def read_locations(api: ShopifyApi, settings: Mapping[str, str]) -> Sequence[ChannelLocation]:
    """Return the shop's locations with the default marked; see `locations`."""
    nodes: list[Mapping[str, Any]] = []
    for page in _pages(api, LOCATIONS_PAGE, "locations", PageSize(50), needs="read_locations"):
        nodes.extend(page)
    chosen = location_id(settings)
    if chosen is not None and all(node["id"] != chosen for node in nodes):
        raise Misconfigured(
            f"{api.shop} has no location {chosen.rpartition('/')[2]}",
            remedy="Set location to one of: "
            + ", ".join(f"{node['id'].rpartition('/')[2]} ({node['name']})" for node in nodes),
        )
    default = chosen or _default_of(nodes)
    return [
        ChannelLocation(node["id"], node["name"], is_active=node["isActive"], is_default=node["id"] == default)
        for node in nodes
    ]


def _default_of(nodes: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the first active own location that ships online orders, else the first active one of our own."""
    own = [node for node in nodes if node["isActive"] and not node["isFulfillmentService"]]
    shipping = [node for node in own if node["fulfillsOnlineOrders"]]
    return next((node["id"] for node in [*shipping, *own]), None)


def default_location(api: ShopifyApi, settings: Mapping[str, str]) -> str:
    """Return the gid of the location that stock is read from and written to.

    Raises:
        Misconfigured: the shop has no active location of its own, or not the chosen one.
    """
    chosen = location_id(settings)
    if chosen is not None:
        return chosen
    for location in read_locations(api, settings):
        if location.is_default:
            return location.channel_location_id
    raise Misconfigured(f"{api.shop} has no active location of its own", remedy="Activate one in the Shopify admin")


def _pages(
    api: ShopifyApi, document: Document, name: str, size: PageSize, *, needs: str
) -> Iterator[Sequence[Mapping[str, Any]]]:
    after: str | None = None
    while True:
        answer = run_sized(
            api,
            document,
            (size,),
            lambda after=after: {"first": size.value, "after": after},  # type: ignore[misc]
            needs=needs,
        )
        connection = answer.data[name]
        yield connection["nodes"]
        if not connection["pageInfo"]["hasNextPage"]:
            return
        after = connection["pageInfo"]["endCursor"]
