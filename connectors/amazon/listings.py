"""What the account offers: one listing per seller SKU.

What belongs here: reading the catalogue, and which of its SKUs take a level. Not here: levels (`levels`).

- A SKU that the merchant ships (`DEFAULT`) takes a level. One that Amazon ships (`AMAZON_NA`, ...) shows Amazon's own
  level and is never written. Supply sources have other codes: read, not written. A SKU without any availability (a
  parent of variations) keeps no level.
- Whether a listing can be bought now says nothing: at zero it cannot, and must be raised again all the same.
- searchListingsItems pages through at most 1,000 SKUs, so a catalogue is walked in ascending order of creation, each
  further thousand from the last creation on.
Source: amzn/selling-partner-api-models listingsItems_2021-08-01, 2026-08-05.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.amazon.api import AmazonApi, open_api
from connectors.amazon.fields import mapping, rows, words
from connectors.amazon.operations import SEARCH_LISTINGS
from oms_hub.channel.contract import ChannelSession, ListingRecord
from oms_hub.domain.pull_windows import from_text, to_text
from oms_hub.errors import BadPayload, Refused, RetryLater

PAGE_SIZE = 20
MOST_PAGED = 1_000
OWN_STOCK = "DEFAULT"
AMAZONS = "AMAZON_"
_INCLUDED = "summaries,fulfillmentAvailability,productTypes"


def listing_source(session: ChannelSession) -> Iterator[Sequence[ListingRecord]]:
    """Yield all listings, a page at a time."""
    with open_api(session) as api:
        seen: set[str] = set()
        created_after: str | None = None
        while True:
            count, last_created = 0, created_after
            for items in _pages(api, created_after):
                count += len(items)
                new = [item for item in items if words(item.get("sku")) not in seen]
                seen.update(words(item.get("sku")) for item in new)
                last_created = max([last_created or "", *(_created(item) for item in items)])
                if new:
                    yield [record_of(item, api.marketplace_ids) for item in new]
            if count < MOST_PAGED:
                return
            if last_created == created_after:
                raise Refused(
                    f"more than {MOST_PAGED} SKUs were created in the same instant, which Amazon does not page through",
                    remedy="Split the account's SKUs over connections by marketplace_ids",
                )
            created_after = last_created


def _pages(api: AmazonApi, created_after: str | None) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield the items of each page of at most a thousand."""
    query = {
        "marketplaceIds": ",".join(api.marketplace_ids),
        "includedData": _INCLUDED,
        "sortBy": "createdDate",
        "sortOrder": "ASC",
        "pageSize": str(PAGE_SIZE),
    }
    if created_after:
        query["createdAfter"] = created_after
    token: str | None = None
    while True:
        asked = query | ({} if token is None else {"pageToken": token})
        page = api.call(SEARCH_LISTINGS, place={"sellerId": api.seller_id}, query=asked).parsed
        yield items_of(page)
        previous, token = token, words(mapping(page.get("pagination"), "pagination").get("nextToken")) or None
        if token is None:
            return
        if token == previous:
            raise RetryLater("searchListingsItems gave a page that was there before instead of the next one")


def items_of(page: Any) -> Sequence[Mapping[str, Any]]:
    """Return the items of an answer; raises RetryLater where it is none of searchListingsItems."""
    if not isinstance(page, dict) or "items" not in page:
        raise RetryLater("searchListingsItems answered without items")
    return rows(page["items"], "items")


def _created(item: Mapping[str, Any]) -> str:
    """Return when an item was created first, as text that sorts; empty where it does not say."""
    try:
        created = [from_text(summary["createdDate"]) for summary in rows(item.get("summaries"), "summaries")]
    except (KeyError, TypeError, ValueError) as error:
        raise BadPayload("a listing has no time of creation", where="summaries.createdDate") from error
    return to_text(min(created)) if created else ""


def record_of(item: Mapping[str, Any], marketplace_ids: Sequence[str]) -> ListingRecord:
    """Return the listing of an item."""
    sku = words(item.get("sku"))
    summary = _of_main(rows(item.get("summaries"), "summaries"), marketplace_ids)
    product_type = words(_of_main(rows(item.get("productTypes"), "productTypes"), marketplace_ids).get("productType"))
    code = channel_code(item)
    attributes = {
        "sku": sku,
        "product_type": product_type or words(summary.get("productType")) or "PRODUCT",
        "fulfilment": code or "",
    }
    return ListingRecord(
        listing_key=f"sku:{sku}",
        sku=sku,
        title=words(summary.get("itemName")),
        is_tracked=code is not None,
        is_writable=code == OWN_STOCK,
        attributes=attributes,
    )


def _of_main(found: Sequence[Mapping[str, Any]], marketplace_ids: Sequence[str]) -> Mapping[str, Any]:
    """Return the row of the first of our marketplaces that there is one for."""
    by_marketplace = {row.get("marketplaceId"): row for row in found}
    return next((by_marketplace[each] for each in marketplace_ids if each in by_marketplace), {})


def channel_code(item: Mapping[str, Any]) -> str | None:
    """Return by whom a SKU is shipped: Amazon's code where it is there, else the merchant's; None for nobody."""
    codes = [
        words(row.get("fulfillmentChannelCode")) for row in rows(item.get("fulfillmentAvailability"), "availability")
    ]
    amazons = next((code for code in codes if code.startswith(AMAZONS)), None)
    if amazons is not None:
        return amazons
    return OWN_STOCK if OWN_STOCK in codes else next(iter(codes), None)
