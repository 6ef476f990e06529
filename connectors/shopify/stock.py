"""Levels of a shop: reading them, and writing `available` by compare-and-swap.

What belongs here: levels. Not here: which listings there are (`listings`).

A write names the level that it replaces (`changeFromQuantity`, always present, null only where the level is unknown)
and an idempotency key made of the rows' keys and contents. One call is applied as a whole or not at all: where one
row is stale, the others are told to be sent again.

Source: published schema 2026-10 and shopify.dev changelog on idempotency, seen 2026-11-22; that one wrong row keeps
all others from being applied is not documented, so rows beside a wrong one are always read back before they are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid5

from connectors.shopify.api import ShopifyApi
from connectors.shopify.documents import ACTIVATE, LEVELS, SET_QUANTITIES
from connectors.shopify.listings import default_location
from connectors.shopify.records import nodes_by_id
from connectors.shopify.sizes import PageSize
from oms_hub.channel.contract import (
    ChannelSession,
    ListingRef,
    ObservedLevel,
    PushOutcome,
    PushResult,
    StockWrite,
)
from oms_hub.errors import HubError, OutcomeUnknown, RetryLater

_NAMESPACE = UUID("5f0a7c2e-3f1d-5b44-9d63-6d2b1f6c8a10")
_GENERATIONS = 3
_CONCURRENT_SECONDS = 2.0
_STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})
_NEVER = frozenset(
    {
        "INVALID_INVENTORY_ITEM",
        "INVALID_LOCATION",
        "INVALID_NAME",
        "INVALID_QUANTITY_NEGATIVE",
        "INVALID_QUANTITY_TOO_HIGH",
        "INVALID_QUANTITY_TOO_LOW",
        "INVALID_REASON",
        "INVALID_REFERENCE_DOCUMENT",
        "NON_MUTABLE_INVENTORY_ITEM",
        "IDEMPOTENCY_KEY_PARAMETER_MISMATCH",
    }
)


def stock_source(session: ChannelSession, listings: Sequence[ListingRef]) -> Iterator[ObservedLevel]:
    """Yield the level of each named listing at its location, else at the connection's.

    Raises:
        NeedsReconnect: the token is refused or lacks `read_inventory`.
        RetryLater: the shop does not answer.
    """
    with ShopifyApi(session) as api:
        default = _Default(api, session)
        by_place: dict[str, list[str]] = {}
        for listing in listings:
            by_place.setdefault(default.place_of(listing), []).append(listing.listing_key)
        for place, keys in by_place.items():
            yield from _levels(api, place, keys)


class _Default:
    """The connection's location, looked up once and only where a listing names none."""

    def __init__(self, api: ShopifyApi, session: ChannelSession) -> None:
        self._api, self._settings = api, session.connection.settings
        self._found: str | None = None

    def place_of(self, listing: ListingRef) -> str:
        if listing.channel_location_id:
            return listing.channel_location_id
        if self._found is None:
            self._found = default_location(self._api, self._settings)
        return self._found


def _levels(api: ShopifyApi, place: str, keys: Sequence[str]) -> Iterator[ObservedLevel]:
    sizes = (PageSize(100),)
    for _, pairs in nodes_by_id(api, LEVELS, keys, sizes, lambda: {"location": place}, needs="read_inventory"):
        for key, node in pairs:
            yield _observed(key, place, node)


def _observed(key: str, place: str, item: Mapping[str, Any] | None) -> ObservedLevel:
    note, available, on_hand = "", None, None
    if not item:
        note = "the shop has no such inventory item"
    elif not item["tracked"]:
        note = "the shop keeps no quantity for it"
    elif item["inventoryLevel"] is None or not item["inventoryLevel"]["isActive"]:
        note = "not stocked at this location"
    else:
        told = {row["name"]: row["quantity"] for row in item["inventoryLevel"]["quantities"]}
        available, on_hand = told.get("available"), told.get("on_hand")
    return ObservedLevel(key, available, on_hand, channel_location_id=place, note=note)


# ------------------------------------------------------------------------------------------------------- writing


def stock_sink(session: ChannelSession, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
    """Write `available` of at most 250 listings and return one outcome for each.

    Raises:
        NeedsReconnect: nothing was written: the token is refused or lacks `write_inventory`.
        RetryLater: nothing was written: the shop does not answer, or throttles.
    """
    with ShopifyApi(session) as api:
        return _Delivery(api, _Default(api, session)).deliver(writes)


class _Delivery:
    """One call's worth of writes."""

    def __init__(self, api: ShopifyApi, default: _Default) -> None:
        self._api = api
        self._default = default
        self._outcomes: list[PushOutcome] = []
        self._told: set[int] = set()

    def deliver(self, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
        rows: dict[tuple[str, str], StockWrite] = {}
        for write in writes:
            pair = (write.listing.listing_key, self._default.place_of(write.listing))
            if pair in rows:
                self._say(write, PushResult.REJECTED, "named twice in one delivery")
            else:
                rows[pair] = write
        for pair in self._not_stocked(rows):
            write = rows.pop(pair)
            self._guarded([write], partial(self._activate, pair, write))
        if rows:
            self._guarded(list(rows.values()), partial(self._set, rows))
        return self._outcomes

    def _not_stocked(self, rows: Mapping[tuple[str, str], StockWrite]) -> list[tuple[str, str]]:
        """Return the rows whose level is unknown because there is none yet at the place."""
        found = []
        by_place: dict[str, list[str]] = {}
        for (key, place), write in rows.items():
            if write.expected is None:
                by_place.setdefault(place, []).append(key)
        for place, keys in by_place.items():
            for level in _levels(self._api, place, keys):
                if level.note == "not stocked at this location":
                    found.append((level.listing_key, place))
        return found

    def _guarded(self, writes: Sequence[StockWrite], call: Callable[[], None]) -> None:
        """Run one call; once a row has its outcome, an error is the outcome of the others and no error."""
        try:
            call()
        except OutcomeUnknown as error:
            self._say_rest(writes, PushResult.UNKNOWN, error)
        except HubError as error:
            if not self._outcomes:
                raise
            self._say_rest(writes, PushResult.RETRY, error)

    def _say_rest(self, writes: Sequence[StockWrite], result: PushResult, error: HubError) -> None:
        after_seconds = error.after_seconds if isinstance(error, RetryLater) else 0.0
        for write in writes:
            if id(write) not in self._told:
                self._say(write, result, error.message, after_seconds=after_seconds)

    def _activate(self, pair: tuple[str, str], write: StockWrite) -> None:
        answer = self._api.run(
            ACTIVATE,
            {"item": pair[0], "location": pair[1], "available": write.quantity, "key": _key([write], "activate")},
            needs="write_inventory",
        )
        done = answer.data["inventoryActivate"]
        if done is None or done["userErrors"]:
            said = done["userErrors"][0]["message"] if done else "no answer"
            self._say(write, PushResult.REJECTED, f"cannot be stocked at its location: {said}")
        else:
            self._say(write, PushResult.APPLIED, "stocked at its location", observed=write.quantity)

    def _set(self, rows: Mapping[tuple[str, str], StockWrite]) -> None:
        """Write rows; what is refused for good is taken out, and the rest sent again, as nothing was applied."""
        left = dict(rows)
        while left:
            done = self._sent(left)
            if not done["userErrors"]:
                self._applied(left, done["inventoryAdjustmentGroup"])
                return
            left = self._refused(left, done["userErrors"])

    def _sent(self, rows: Mapping[tuple[str, str], StockWrite]) -> dict[str, Any]:
        quantities = [
            {
                "inventoryItemId": item,
                "locationId": place,
                "quantity": write.quantity,
                "changeFromQuantity": write.expected,  # null forces, but must be there
            }
            for (item, place), write in rows.items()
        ]
        content = {"name": "available", "reason": "correction", "quantities": quantities}
        generation = 1
        while True:
            variables = {"input": content, "key": _key(list(rows.values()), f"set {generation}")}
            done = self._api.run(SET_QUANTITIES, variables, needs="write_inventory").data["inventorySetQuantities"]
            if done is None:
                raise OutcomeUnknown(f"{self._api.shop} gave no answer to a stock write")
            codes = {error["code"] for error in done["userErrors"]}
            if generation == _GENERATIONS or "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED" not in codes:
                return dict(done)
            generation += 1  # an earlier call with these very rows failed: a new key is wanted

    def _applied(self, rows: Mapping[tuple[str, str], StockWrite], group: Mapping[str, Any] | None) -> None:
        after: dict[tuple[str, str], int] = {}
        for change in (group or {}).get("changes") or ():
            if change["name"] == "available" and change["quantityAfterChange"] is not None:
                after[change["item"]["id"], change["location"]["id"]] = change["quantityAfterChange"]
        for pair, write in rows.items():
            self._say(write, PushResult.APPLIED, observed=after.get(pair, write.quantity))

    def _refused(
        self, rows: Mapping[tuple[str, str], StockWrite], errors: Sequence[Mapping[str, Any]]
    ) -> dict[tuple[str, str], StockWrite]:
        """Give the refused rows their outcomes; return the rows to be sent again at once."""
        pairs = list(rows)
        codes: dict[int, str] = {}
        for error in errors:
            index, code = _row_index(error["field"]), error["code"] or "refused without a code"
            for wrong in range(len(pairs)) if index is None or index >= len(pairs) else (index,):
                codes.setdefault(wrong, code)
        is_final = all(code in _NEVER for code in codes.values())
        left: dict[tuple[str, str], StockWrite] = {}
        for index, pair in enumerate(pairs):
            code = codes.get(index)
            if code is None and is_final:
                left[pair] = rows[pair]
            elif code is None:
                self._say(rows[pair], PushResult.RETRY, "another row of the same call was refused; nothing was written")
            elif code in _STALE:
                self._say(rows[pair], PushResult.STALE, "the level had changed since it was read")
            elif code in _NEVER:
                self._say(rows[pair], PushResult.REJECTED, code)
            else:
                self._say(rows[pair], PushResult.RETRY, code, after_seconds=_CONCURRENT_SECONDS)
        return left

    def _say(
        self,
        write: StockWrite,
        result: PushResult,
        reason: str = "",
        *,
        observed: int | None = None,
        after_seconds: float = 0.0,
    ) -> None:
        self._told.add(id(write))
        self._outcomes.append(
            PushOutcome(
                write.listing.listing_key, result, observed=observed, reason=reason, after_seconds=after_seconds
            )
        )


def _row_index(path: Sequence[str] | None) -> int | None:
    return next((int(step) for step in path or () if step.isdigit()), None)


def _key(writes: Sequence[StockWrite], purpose: str) -> str:
    """Return the idempotency key of a call: the same rows give the same key, other contents another one."""
    rows = sorted(
        f"{write.idempotency_key} {write.listing.listing_key} {write.listing.channel_location_id} "
        f"{write.quantity} {write.expected}"
        for write in writes
    )
    return str(uuid5(_NAMESPACE, "\n".join([purpose, *rows])))
