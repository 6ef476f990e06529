"""Raw pages of Amazon: what lands, and the records in it. Pure.

What belongs here: the shapes of pages. Not here: fetching them (`search`, `finances`, `reports`), what a record means
(`parse`).

An order is made of several records, all under its Amazon order id:
- a version of the order, out of `{"orders": [...]}` (a page of searchOrders, or several answers of getOrder);
- a transaction, out of `{"transactions": [...]}` (a page of listTransactions): money that moved for the order;
- its rows in a flat file, out of `{"report": [{"id": .., "rows": [..]}, ...]}`.

Pages are kept as they came but for what the hub must not hold: buyer, recipient, payment cards, the buyer's tax
registrations, gift messages and customisations are cut out before a page lands, and of a flat file only the columns
that are read (no city, no postal code) are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from oms_hub.channel.answers import read_json
from oms_hub.channel.contract import RawRecord
from oms_hub.domain.pull_windows import from_text
from oms_hub.errors import BadPayload

ORDERS = "orders"
TOMBSTONES = "order_tombstones"
_PERSONAL = ("buyer", "recipient", "payment", "tax")
"""`tax` of an order holds the buyer's registrations; what is taxed stands on the items."""


def orders_body(orders: Sequence[Any]) -> bytes:
    """Return the body of a page of orders, without personal data."""
    return orjson.dumps({"orders": [without_people(order) for order in orders]})


def transactions_body(transactions: Sequence[Any]) -> bytes:
    """Return the body of a page of transactions."""
    return orjson.dumps({"transactions": list(transactions)})


def report_body(orders: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the body of a page of a flat file: rows by order."""
    return orjson.dumps({"report": list(orders)})


def tombstones_body(order_ids: Iterable[str]) -> bytes:
    """Return the body of a page that says which orders Amazon does not have."""
    return orjson.dumps([{"id": order_id} for order_id in order_ids])


def without_people(order: Any) -> Any:
    """Return an order without what belongs to the buyer; a malformed one as far as it can be cleaned."""
    if not isinstance(order, dict):
        return order
    kept = {key: value for key, value in order.items() if key not in _PERSONAL}
    items = kept.get("orderItems")
    if isinstance(items, list):
        kept["orderItems"] = [_without_message(item) for item in items]
    return kept


def _without_message(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    kept = dict(item)
    product, fulfilment = kept.get("product"), kept.get("fulfillment")
    if isinstance(product, dict) and "customization" in product:
        kept["product"] = {key: value for key, value in product.items() if key != "customization"}
    if isinstance(fulfilment, dict) and "packing" in fulfilment:
        kept["fulfillment"] = {key: value for key, value in fulfilment.items() if key != "packing"}
    return kept


def split_page(kind: str, body: bytes) -> Sequence[RawRecord]:
    """Return the records of a page.

    Raises:
        BadPayload: the page is none of the shapes above.
    """
    page = read_json(body).parsed
    if kind == TOMBSTONES and isinstance(page, list):
        return [RawRecord(str(row["id"]), row) for row in page]
    if isinstance(page, dict):
        if isinstance(page.get("orders"), list):
            return [_order_record(order, place) for place, order in enumerate(page["orders"])]
        if isinstance(page.get("transactions"), list):
            return [
                RawRecord(order_id, transaction)
                for transaction in page["transactions"]
                if (order_id := order_id_of(transaction)) is not None
            ]
        if isinstance(page.get("report"), list):
            return [RawRecord(order["id"], order) for order in page["report"]]
    raise BadPayload("a page holds neither orders nor transactions nor rows of a report", where=kind)


def _order_record(order: Any, place: int) -> RawRecord:
    order_id = order.get("orderId") if isinstance(order, dict) else None
    if not isinstance(order_id, str) or not order_id:
        return RawRecord(f"position:{place}", order)
    try:
        updated_at = from_text(order.get("lastUpdatedTime"))
    except (TypeError, ValueError):
        updated_at = None
    return RawRecord(order_id, order, updated_at)


def order_id_of(transaction: Any) -> str | None:
    """Return the order that a transaction belongs to, None for those of the whole account (fees, transfers)."""
    return related(transaction, "ORDER_ID")


def related(transaction: Any, name: str) -> str | None:
    """Return a related identifier of a transaction, None where it has none of that name."""
    identifiers = transaction.get("relatedIdentifiers") if isinstance(transaction, dict) else None
    for row in identifiers if isinstance(identifiers, list) else ():
        if isinstance(row, dict) and row.get("relatedIdentifierName") == name:
            value = row.get("relatedIdentifierValue")
            return value if isinstance(value, str) and value else None
    return None
