"""Levels at Mercado Libre: reading them, and writing them one request at a time.

What belongs here: the stock functions of the channel. Not here: the reading itself (`levels`).

There is no batch and no key against sending twice, so nothing is sent again blindly:

- An item takes an absolute quantity. For an item with variations the request names all of them, those that stay
  without a quantity: Mercado Libre deletes a variation that is missing from the list. Writes to several variations of
  one item go together.
- A user product of an account with depots takes a quantity per place, with the version that was read: another version,
  or none, means that somebody was faster, and the row is STALE.
- What Mercado Libre stores itself (Full) is never written.
- The answer shows the level after the write; another one than was sent, or no answer, leaves the row UNKNOWN.
Source: developers.mercadolibre, sync of listings 2026-03-24, stock by location 2026-05-15; that missing variations are
deleted: integrators' tools, 2026, and the documentation of variations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from connectors.mercadolibre.api import MISSING_VERSION, MeliApi, open_api
from connectors.mercadolibre.levels import GONE, Target, quantity_of, read_depot, read_levels, target_of
from connectors.mercadolibre.listings import (
    ADDRESS,
    FULL,
    NONE,
    SELLER_WAREHOUSE,
    SELLING_ADDRESS,
    WAREHOUSE,
    places_of,
    read_items,
)
from oms_hub.channel.contract import ChannelSession, ListingRef, ObservedLevel, PushOutcome, PushResult, StockWrite
from oms_hub.channel.http import HttpRefused
from oms_hub.errors import BadPayload, HubError, NeedsReconnect, OutcomeUnknown, RetryLater

BATCH_SIZE = 20
_NEEDS = "Publicacion y sincronizacion, write"
_VERSION_HEADER = "x-version"
_FULL_REASON = "Mercado Libre keeps this stock in its own warehouse (Full); it is never written"


def stock_source(session: ChannelSession, listings: Sequence[ListingRef]) -> Iterator[ObservedLevel]:
    """Yield the present level of each listing."""
    store_id = session.connection.settings.get("store_id")
    with open_api(session) as api:
        yield from read_levels(api, [target_of(listing) for listing in listings], store_id=store_id)


def stock_sink(session: ChannelSession, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
    """Write levels and return one outcome for each.

    Raises:
        RetryLater, NeedsReconnect: only where no row can have been applied.
    """
    with open_api(session) as api:
        return _Delivery(api, session.connection.settings.get("store_id")).run(writes)


class _Delivery:
    """One call of the sink."""

    def __init__(self, api: MeliApi, store_id: str | None) -> None:
        self._api = api
        self._store_id = store_id
        self._outcomes: list[PushOutcome] = []

    def run(self, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
        """Send everything, item by item, and return the outcomes."""
        groups: dict[str, list[tuple[StockWrite, Target]]] = {}
        for write in writes:
            target = target_of(write.listing)
            if target.mode in (FULL, NONE):
                self._conclude([(write, target)], PushResult.REJECTED, _FULL_REASON)
                continue
            name = target.user_product_id if target.mode in (WAREHOUSE, ADDRESS) else f"item {target.item_id}"
            groups.setdefault(name, []).append((write, target))
        for rows in groups.values():
            self._send(rows)
        return self._outcomes

    def _send(self, rows: Sequence[tuple[StockWrite, Target]]) -> None:
        try:
            if rows[0][1].mode in (WAREHOUSE, ADDRESS):
                self._to_place(*rows[0])
            else:
                self._to_item(rows)
        except HttpRefused as error:
            result = PushResult.STALE if _is_stale(error) else PushResult.REJECTED
            self._conclude(rows, result, error.message)
        except OutcomeUnknown as error:
            self._conclude(rows, PushResult.UNKNOWN, error.message)
        except (RetryLater, NeedsReconnect, BadPayload) as error:
            if not self._outcomes and not isinstance(error, BadPayload):
                raise
            self._retry(rows, error)

    def _retry(self, rows: Sequence[tuple[StockWrite, Target]], error: HubError) -> None:
        after_seconds = error.after_seconds if isinstance(error, RetryLater) else 0.0
        for write, _ in rows:
            self._outcomes.append(
                PushOutcome(write.listing.listing_key, PushResult.RETRY, None, error.message, after_seconds)
            )

    def _to_item(self, rows: Sequence[tuple[StockWrite, Target]]) -> None:
        item_id = rows[0][1].item_id
        if not rows[0][1].variation_id:
            write, target = rows[0]
            self._put_item(item_id, {"available_quantity": write.quantity}, [(write, target)])
            return
        item = read_items(self._api, [item_id], "id,variations").get(item_id)
        known = [str(row["id"]) for row in (item or {}).get("variations") or ()]
        there = [(write, target) for write, target in rows if target.variation_id in known]
        self._conclude([row for row in rows if row not in there], PushResult.REJECTED, GONE)
        if not there:
            return
        levels = {target.variation_id: write.quantity for write, target in there}
        variations = [
            {"id": int(each), "available_quantity": levels[each]} if each in levels else {"id": int(each)}
            for each in known
        ]
        self._put_item(item_id, {"variations": variations}, there)

    def _put_item(self, item_id: str, payload: Any, rows: Sequence[tuple[StockWrite, Target]]) -> None:
        told = self._put(f"items/{item_id}", payload, {})
        for write, target in rows:
            self._take(write, quantity_of(told, target.variation_id) if isinstance(told, dict) else None)

    def _to_place(self, write: StockWrite, target: Target) -> None:
        """Write to the one place of a user product, naming the version that the level was read with."""
        depot = read_depot(self._api, target, store_id=self._store_id)
        rows = [(write, target)]
        if depot.quantity is None:
            self._conclude(rows, PushResult.REJECTED, depot.note)
            return
        if write.version is not None and write.version != depot.version:
            self._conclude(rows, PushResult.STALE, "the level changed since it was read")
            return
        headers = {} if depot.version is None else {_VERSION_HEADER: depot.version}
        kind = SELLING_ADDRESS if target.mode == ADDRESS else SELLER_WAREHOUSE
        place = {"store_id": depot.store_id, "network_node_id": depot.network_node_id, "quantity": write.quantity}
        payload: Any = {"quantity": write.quantity} if target.mode == ADDRESS else {"locations": [place]}
        told = self._put(f"user-products/{target.user_product_id}/stock/type/{kind}", payload, headers)
        shown = [
            row["quantity"]
            for row in places_of(told)
            if row.get("type") == kind and str(row.get("store_id") or "") == depot.store_id
        ]
        self._take(write, shown[0] if shown else None)

    def _put(self, path: str, payload: Any, headers: dict[str, str]) -> Any:
        return self._api.http.request("PUT", path, payload=payload, headers=headers, needs=_NEEDS).parsed

    def _take(self, write: StockWrite, shown: int | None) -> None:
        """Take the answer's word for a row."""
        key = write.listing.listing_key
        if shown == write.quantity:
            self._outcomes.append(PushOutcome(key, PushResult.APPLIED, shown))
            return
        reason = "the answer does not show the level" if shown is None else "the answer shows another level"
        self._outcomes.append(PushOutcome(key, PushResult.UNKNOWN, shown, reason))

    def _conclude(self, rows: Sequence[tuple[StockWrite, Target]], result: PushResult, reason: str) -> None:
        self._outcomes.extend(PushOutcome(write.listing.listing_key, result, reason=reason) for write, _ in rows)


def _is_stale(error: HttpRefused) -> bool:
    """Return whether somebody else wrote first: another version (409), or no version where one is wanted (400)."""
    return error.status == 409 or (error.status == 400 and error.code == MISSING_VERSION)
