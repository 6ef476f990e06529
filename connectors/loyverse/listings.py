"""What a Loyverse merchant offers, and the stores. A listing is a variant: it carries the quantity and the SKU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.loyverse.api import open_api, pages, rows_of
from oms_hub.channel.contract import ChannelLocation, ChannelSession, ListingRecord
from oms_hub.channel.http import ChannelHttp
from oms_hub.errors import BadPayload

_LIMIT = "250"


def listing_source(session: ChannelSession) -> Iterator[Sequence[ListingRecord]]:
    """Yield all variants, page by page; none can be written, because this connector only reads.

    Raises:
        NeedsReconnect, RetryLater: see `oms_hub.channel.http`.
        BadPayload: an item is not what the reference says.
    """
    with open_api(session) as http:
        for answer in pages(http, "/items", {"limit": _LIMIT}, "items", needs="ITEMS_READ"):
            try:
                yield [
                    _listing(item, variant)
                    for item in rows_of(answer.parsed, "items")
                    for variant in item.get("variants") or ()
                ]
            except (KeyError, TypeError, AttributeError):
                raise BadPayload("an item is not what the reference says", where="items") from None


def _listing(item: Mapping[str, Any], variant: Mapping[str, Any]) -> ListingRecord:
    options = [variant.get(f"option{number}_value") for number in (1, 2, 3)]
    return ListingRecord(
        listing_key=variant["variant_id"],
        sku=variant.get("sku") or None,
        title=" ".join([item.get("item_name") or "", *(option for option in options if option)]),
        is_tracked=bool(item.get("track_stock")),
        is_writable=False,
        barcode=variant.get("barcode") or None,
        parent_key=item["id"],
        is_active=not item.get("deleted_at"),
    )


def locations(session: ChannelSession) -> Sequence[ChannelLocation]:
    """Return the stores; the oldest that is not closed is the default. Raises as `listing_source`."""
    with open_api(session) as http:
        return read_stores(http)


def read_stores(http: ChannelHttp) -> Sequence[ChannelLocation]:
    """Return the stores; see `locations`."""
    rows = [
        row
        for answer in pages(http, "/stores", {"limit": _LIMIT}, "stores", needs="STORES_READ")
        for row in rows_of(answer.parsed, "stores")
    ]
    open_ones = sorted((str(row.get("created_at")), row["id"]) for row in rows if not row.get("deleted_at"))
    default = open_ones[0][1] if open_ones else None
    return [
        ChannelLocation(row["id"], row.get("name") or row["id"], not row.get("deleted_at"), row["id"] == default)
        for row in rows
    ]
