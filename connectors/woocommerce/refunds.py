"""Fetching the refunds that belong to a page of orders, and binding them into one raw body.

What belongs here: which orders need their refunds, the cheapest way to get them, the envelope of verbatim parts.
Not here: what refunds mean (`parse_refunds`).

`/orders` only names an order's refunds. The list of all refunds (`/refunds`, since WooCommerce 9.0) gives those of a
whole page of orders in one request by their ids; shops without it are asked order by order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.woocommerce.api import NO_ROUTE, PAGE_SIZE, Page, WooApi, shop_time
from connectors.woocommerce.walk import IdWalk, Place
from oms_hub.channel.http import HttpRefused

REFUND_FIELDS = (
    "id,parent_id,date_created_gmt,amount,reason,refunded_payment,line_items,shipping_lines,fee_lines,tax_lines"
)
_AMOUNTS = {"dp": "6"}


class RefundReader:
    """Reads refunds of one shop; remembers whether the shop has the list of all refunds."""

    def __init__(self, api: WooApi) -> None:
        self._api = api
        self._has_list = True

    def body_with_refunds(self, page: Page, known: Collection[int] = ()) -> bytes:
        """Return the page's body, inside an envelope with the refunds of its orders where there are any.

        Args:
            page: orders.
            known: ids of orders that are known to have refunds, whatever the order itself says.
        """
        wanted = {order_id: ids for order_id, ids in _refund_ids(page.rows, known)}
        if not wanted:
            return page.body
        listed, bodies = self._listed([refund_id for ids in wanted.values() for refund_id in ids])
        single = {
            order_id: [answer.body for answer in self._of_order(order_id)]
            for order_id, ids in wanted.items()
            if not ids or not listed.issuperset(ids)
        }
        parts = b",".join(b'"%d":[%s]' % (order_id, b",".join(answers)) for order_id, answers in single.items())
        return b'{"orders":%s,"refunds":[%s],"order_refunds":{%s}}' % (page.body, b",".join(bodies), parts)

    def parents_changed_since(self, moment: datetime) -> list[int]:
        """Return the ids of orders with a refund that changed since; empty where the shop cannot tell."""
        query = {
            "modified_after": shop_time(moment),
            "dates_are_gmt": "true",
            "orderby": "id",
            "order": "asc",
            "_fields": "id,parent_id",
        }
        parents: dict[int, None] = {}
        for page in self._all_refunds(query):
            parents.update((row["parent_id"], None) for row in page.rows if isinstance(row.get("parent_id"), int))
        return list(parents)

    def _all_refunds(self, query: Mapping[str, str]) -> Iterator[Page]:
        if not self._has_list:
            return
        try:
            yield from self._walk("refunds", query)
        except HttpRefused as error:
            if error.code != NO_ROUTE:
                raise
            self._has_list = False

    def _listed(self, refund_ids: Sequence[int]) -> tuple[set[int], list[bytes]]:
        found: set[int] = set()
        bodies: list[bytes] = []
        for start in range(0, len(refund_ids), PAGE_SIZE):
            some = refund_ids[start : start + PAGE_SIZE]
            query = {
                **_AMOUNTS,
                "include": ",".join(map(str, some)),
                "orderby": "id",
                "order": "asc",
                "_fields": REFUND_FIELDS,
            }
            for page in self._all_refunds(query):
                if all(isinstance(row, dict) and isinstance(row.get("parent_id"), int) for row in page.rows):
                    found.update(page.ids)
                    bodies.append(page.body)
        return found, bodies

    def _of_order(self, order_id: int) -> Iterator[Page]:
        query = {**_AMOUNTS, "orderby": "id", "order": "asc", "_fields": REFUND_FIELDS}
        return self._walk(f"orders/{order_id}/refunds", query)

    def _walk(self, path: str, query: Mapping[str, str]) -> Iterator[Page]:
        walk = IdWalk(lambda offset, size: self._api.pages_of_window(path, query, offset, size))
        return (step.page for step in walk.run(Place()))


def _refund_ids(rows: Sequence[Any], known: Collection[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield (order id, ids of its refunds) of orders that have some, or must have some by their status."""
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("id"), int):
            continue
        refunds = row.get("refunds")
        named = refunds if isinstance(refunds, list) else []
        ids = [entry["id"] for entry in named if isinstance(entry, dict) and isinstance(entry.get("id"), int)]
        if ids or row.get("status") == "refunded" or row["id"] in known:
            yield row["id"], ids
