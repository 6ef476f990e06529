"""What belongs to an order and is told elsewhere: shipment, its history, discounts, pack, claims, returns.

What belongs here: which parts an order needs and the requests for them. Not here: what they mean (`parse`).

Which parts are asked for follows from the order itself (and from which orders are known to have claims), so that the
same order always makes the same record:

- the shipment, where the order names one; its history, once it may have left
- the discounts, where the order says that it has some
- the pack, where the buyer paid for shipping, which stands once for all orders of the pack
- how the item is stored, where there is no shipment yet: goods in Mercado Libre's own warehouses must not hold ours
- claims and their returns, where the claims search told of some
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.mercadolibre.api import NEW_FORMAT, WORKERS, MeliApi
from connectors.mercadolibre.privacy import without_people
from connectors.mercadolibre.states import NEVER_LEFT
from oms_hub.channel.http import HttpRefused
from oms_hub.channel.prefetch import ordered_parallel
from oms_hub.errors import BadPayload, RetryLater

CLAIM = "post-purchase/v1/claims/{}"
RETURNS = "post-purchase/v2/claims/{}/returns"
CLAIMS_SEARCH = "post-purchase/v1/claims/search"
MOST_FAILURES = 3
"""Where the parts of more orders of a page cannot be read, the trouble is the channel's, not the orders'."""


@dataclass(frozen=True, slots=True)
class WholeOrder:
    """An order with its parts.

    Attributes:
        order_id: of the channel.
        payload: the record; None where the order is gone.
        trouble: why it could not be read whole; then there is no record, and it is to be read again.
    """

    order_id: str
    payload: Mapping[str, Any] | None = None
    trouble: str = ""


class PartReader:
    """Reads whole orders of one account.

    Args:
        api: the account.
        has_claims: whether an order is known to have claims.
    """

    def __init__(self, api: MeliApi, has_claims: Callable[[str], bool]) -> None:
        self._api = api
        self._has_claims = has_claims

    def complete(self, rows: Sequence[Mapping[str, Any]], *, again: Collection[str] = ()) -> list[WholeOrder]:
        """Return the orders of some rows with their parts, in the order of the rows.

        Args:
            rows: orders as the search told them.
            again: ids of rows that are not complete and are read by their id first.

        Raises:
            RetryLater: the channel cannot be read now (several orders failed).
        """
        tasks = [
            self._task(str(row["id"]), None if str(row["id"]) in again else row)
            for row in rows
        ]  # fmt: skip
        return _checked(ordered_parallel(tasks, workers=WORKERS))

    def named(self, order_ids: Sequence[str]) -> list[WholeOrder]:
        """Return orders by their ids; those that are gone have no payload. Raises as `complete`."""
        return _checked(ordered_parallel([self._task(each, None) for each in order_ids], workers=WORKERS))

    def _task(self, order_id: str, row: Mapping[str, Any] | None) -> Callable[[], WholeOrder]:
        return lambda: self._whole(order_id, row)

    def _whole(self, order_id: str, row: Mapping[str, Any] | None) -> WholeOrder:
        try:
            order = self._order(order_id) if row is None else row
            if order is None:
                return WholeOrder(order_id)
            return WholeOrder(order_id, {"order": without_people(order), **self._parts(order_id, order)})
        except (RetryLater, BadPayload) as error:
            return WholeOrder(order_id, trouble=error.message)

    def _order(self, order_id: str) -> Mapping[str, Any] | None:
        """Return one order, None where it is gone for good."""
        if not (order_id.isascii() and order_id.isdigit()):
            return None
        try:
            answer = self._api.get(f"orders/{order_id}")
        except HttpRefused as error:
            if error.status != 404 or error.code not in {"not_found", "order_not_found"}:
                raise  # somebody else's 404 says nothing about the order
            return None
        if not isinstance(answer.parsed, dict) or str(answer.parsed.get("id")) != order_id:
            raise RetryLater(f"GET orders/{order_id}: the answer is not that order")
        if "x-content-missing" in answer.headers:
            raise RetryLater(f"GET orders/{order_id}: the answer lacks parts of the order (206)")
        return answer.parsed

    def _parts(self, order_id: str, order: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        shipment = self._shipment(order, found)
        if "order_has_discount" in _list(order.get("tags")):
            found["discounts"] = self._api.part(f"orders/{order_id}/discounts")
        if shipment is None:
            found["items"] = self._items(order)
        elif order.get("pack_id") and _dict(shipment.get("lead_time")).get("cost"):
            found["pack"] = without_people(self._api.part(f"packs/{order['pack_id']}"))
        if self._has_claims(order_id):
            found.update(self._claims(order_id))
        return {name: part for name, part in found.items() if part}

    def _shipment(self, order: Mapping[str, Any], found: dict[str, Any]) -> Mapping[str, Any] | None:
        shipment_id = _dict(order.get("shipping")).get("id")
        if not shipment_id:
            return None
        shipment = self._api.part(f"shipments/{shipment_id}", headers=NEW_FORMAT)
        if not isinstance(shipment, dict):
            return None
        found["shipment"] = without_people(shipment)
        if shipment.get("status") not in NEVER_LEFT:
            found["history"] = self._api.part(f"shipments/{shipment_id}/history", headers=NEW_FORMAT)
        return shipment

    def _items(self, order: Mapping[str, Any]) -> list[Any]:
        """Return how the order's items are stored and sent, as the listings say now."""
        ids = {_dict(_dict(line).get("item")).get("id") for line in _list(order.get("order_items"))}
        wanted = ",".join(sorted(str(each) for each in ids if each))
        if not wanted:
            return []
        told = self._api.part("items", {"ids": wanted, "attributes": "id,shipping"})
        bodies = [_dict(_dict(each).get("body")) for each in _list(told)]
        return [
            {"id": body["id"], "logistic_type": _dict(body.get("shipping")).get("logistic_type")}
            for body in bodies
            if "id" in body
        ]

    def _claims(self, order_id: str) -> dict[str, Any]:
        told = self._api.part(CLAIMS_SEARCH, {"order_id": order_id, "limit": "100"})
        claims: list[Any] = []
        returns: list[Any] = []
        for claim_id in sorted({each["id"] for each in claim_rows(told)}):
            claim = self._api.part(CLAIM.format(claim_id))
            if not isinstance(claim, dict):
                continue
            claims.append(without_people(claim))
            if "return" in _list(claim.get("related_entities")):
                returned = self._api.part(RETURNS.format(claim_id))
                if isinstance(returned, dict):
                    returns.append(without_people(returned))
        return {"claims": claims, "returns": returns}


def claim_rows(told: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the claims of a search's answer (`data`; some pages of the documentation call it `results`)."""
    rows = _dict(told).get("data") or _dict(told).get("results")
    for each in _list(rows):
        if isinstance(each, dict) and isinstance(each.get("id"), int):
            yield each


def _checked(orders: Iterator[WholeOrder]) -> list[WholeOrder]:
    found = list(orders)
    troubles = [each.trouble for each in found if each.trouble]
    if len(troubles) > MOST_FAILURES:
        raise RetryLater(troubles[0])
    return found


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
