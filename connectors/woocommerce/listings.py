"""What the shop sells: products and variations, each as a listing of the hub.

What belongs here: reading the catalogue, and which of its rows carry a quantity. Not here: levels (`stock`).

- A simple product is `product:ID`, a variation `variation:PARENT:ID`; grouped products have nothing of their own.
- A variable product is a listing only where it manages stock itself, for all its variations together. Its variations
  then say `manage_stock: "parent"`: their level can be read but is written at the parent. Such a variation without a
  code of its own shows the parent's; it is no listing, and its sales are found by that code.
- Without stock management there is no quantity (`stock_quantity` null): not tracked, never pushed, never zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.woocommerce.api import NO_ROUTE, WooApi, open_api
from connectors.woocommerce.settings import concurrency
from connectors.woocommerce.walk import IdWalk, Place
from oms_hub.channel.contract import ChannelSession, ListingRecord
from oms_hub.channel.http import HttpRefused

_FIELDS = "id,name,sku,type,status,manage_stock,parent_id,global_unique_id"
_QUERY = {"status": "any", "orderby": "id", "order": "asc", "_fields": _FIELDS}
_ON_SALE = frozenset({"publish", "private"})


def listing_source(session: ChannelSession) -> Iterator[Sequence[ListingRecord]]:
    """Yield all listings, page by page; products first, then variations."""
    with open_api(session) as api:
        parents: dict[int, Mapping[str, Any]] = {}
        workers = concurrency(session.connection.settings)
        for rows in _rows(api, "products", workers):
            parents.update((row["id"], row) for row in rows if row.get("type") == "variable")
            listings = [listing for row in rows if (listing := _product(row)) is not None]
            if listings:
                yield listings
        if not parents:
            return
        for rows in _variation_rows(api, parents, workers):
            listings = [listing for row in rows if (listing := _variation(row, parents)) is not None]
            if listings:
                yield listings


def _rows(api: WooApi, path: str, workers: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a list sorted by id, each once, although the list may change meanwhile."""
    walk = IdWalk(lambda offset, size: api.pages_of_window(path, _QUERY, offset, size), workers=workers)
    last_id = 0
    for step in walk.run(Place()):
        yield [row for row in step.page.rows if isinstance(row.get("id"), int) and row["id"] > last_id]
        last_id = step.after.last_id


def _variation_rows(
    api: WooApi, parents: Mapping[int, Mapping[str, Any]], workers: int
) -> Iterator[list[dict[str, Any]]]:
    """Yield variations from the list of all of them, or parent by parent where the shop has no such list."""
    try:
        yield from _rows(api, "variations", workers)
    except HttpRefused as error:
        if error.code != NO_ROUTE:
            raise
    else:
        return
    for parent_id in parents:
        for rows in _rows(api, f"products/{parent_id}/variations", 1):
            yield [{**row, "parent_id": parent_id} for row in rows]


def _product(row: Mapping[str, Any]) -> ListingRecord | None:
    kind, is_tracked = row.get("type"), row.get("manage_stock") is True
    if kind == "grouped" or (kind == "variable" and not is_tracked):
        return None
    return ListingRecord(
        listing_key=f"product:{row['id']}",
        sku=row.get("sku") or None,
        title=row.get("name") or "",
        is_tracked=is_tracked,
        is_writable=is_tracked,
        barcode=row.get("global_unique_id") or None,
        is_active=row.get("status") in _ON_SALE,
        attributes={"product_id": str(row["id"])},
    )


def _variation(row: Mapping[str, Any], parents: Mapping[int, Mapping[str, Any]]) -> ListingRecord | None:
    parent_id, managed = row.get("parent_id") or 0, row.get("manage_stock")
    parent = parents.get(parent_id, {})
    sku = row.get("sku") or None
    is_managed_by_parent = managed == "parent"
    if is_managed_by_parent and (sku is None or sku == parent.get("sku")):
        return None
    attributes = {"product_id": str(parent_id), "variation_id": str(row["id"])}
    if is_managed_by_parent:
        attributes["managed_by"] = f"product:{parent_id}"
    return ListingRecord(
        listing_key=f"variation:{parent_id}:{row['id']}",
        sku=sku,
        title=row.get("name") or parent.get("name") or "",
        is_tracked=managed is True or is_managed_by_parent,
        is_writable=managed is True,
        barcode=row.get("global_unique_id") or None,
        parent_key=f"product:{parent_id}",
        is_active=row.get("status") in _ON_SALE and parent.get("status", "publish") in _ON_SALE,
        attributes=attributes,
    )
