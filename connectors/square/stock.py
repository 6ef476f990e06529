"""Levels of a Square seller, as the tills see them.

What belongs here: reading counts. Not here: writing them (`push`), which variations there are (`listings`).

Only goods `IN_STOCK` can be sold. A sale over the counter has left that state at once, so a level lacks what was sold.
What was read is true as of an instant of Square's own clock, which travels with the level as its version: the write
that follows is stamped with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.square.api import SquareApi, open_api, rows_of
from connectors.square.fields import maybe_instant, quantity, text
from connectors.square.listings import EVERYWHERE
from connectors.square.locations import default_id
from oms_hub.channel.answers import answered_at
from oms_hub.channel.contract import ChannelSession, ListingRef, ObservedLevel
from oms_hub.domain.pull_windows import to_text

PATH = "/v2/inventory/counts/batch-retrieve"
NEEDS = "INVENTORY_READ"
IN_STOCK = "IN_STOCK"
UNTRACKED = "Square keeps no quantity for it at this location"
NEVER_COUNTED = "never counted at Square, which shows it as 0"
_OBJECTS_AT_ONCE = 500
"""So that the counts of one location fit one page, and none can be missed because others change between two pages."""
_LIMIT = 1000


def stock_source(session: ChannelSession, listings: Sequence[ListingRef]) -> Iterator[ObservedLevel]:
    """Yield the level of each named listing at its location, else at the connection's.

    Raises:
        NeedsReconnect: the token is refused or lacks INVENTORY_READ.
        RetryLater: Square does not answer.
    """
    with open_api(session) as api:
        yield from read_levels(api, Places(api, session), listings)


class Places:
    """Where a listing's level stands; the connection's location is looked up only where a listing names none."""

    def __init__(self, api: SquareApi, session: ChannelSession) -> None:
        self._api, self._session = api, session
        self._default = ""

    def of(self, listing: ListingRef) -> str:
        """Return the location of a listing."""
        if listing.channel_location_id:
            return listing.channel_location_id
        self._default = self._default or default_id(self._api, self._session)
        return self._default


def read_levels(api: SquareApi, places: Places, listings: Sequence[ListingRef]) -> Iterator[ObservedLevel]:
    """Yield the level of each listing; see `stock_source`."""
    by_place: dict[str, list[ListingRef]] = {}
    for listing in listings:
        by_place.setdefault(places.of(listing), []).append(listing)
    for place, rows in by_place.items():
        for start in range(0, len(rows), _OBJECTS_AT_ONCE):
            some = rows[start : start + _OBJECTS_AT_ONCE]
            counts, read_at = _counts(api, place, [row.listing_key for row in some])
            for row in some:
                yield _level(row, place, counts.get(row.listing_key), read_at)


def _counts(api: SquareApi, place: str, keys: Sequence[str]) -> tuple[dict[str, Mapping[str, Any]], datetime | None]:
    question = {"catalog_object_ids": list(keys), "location_ids": [place], "states": [IN_STOCK], "limit": _LIMIT}
    counts: dict[str, Mapping[str, Any]] = {}
    read_at = None
    for answer in api.rows(PATH, question, "counts", needs=NEEDS):
        read_at = read_at or answered_at(answer.headers)
        for row in rows_of(answer.parsed, "counts"):
            counts.setdefault(str(row["catalog_object_id"]), row)  # newest first
    return counts, read_at


def _level(listing: ListingRef, place: str, count: Mapping[str, Any] | None, read_at: datetime | None) -> ObservedLevel:
    tracked_at = listing.attributes.get("tracked_at", EVERYWHERE)
    if tracked_at != EVERYWHERE and place not in tracked_at.split(","):
        return ObservedLevel(listing.listing_key, None, channel_location_id=place, note=UNTRACKED)
    version = true_at(count, read_at)
    told = "" if version is None else to_text(version)
    if count is None:
        return ObservedLevel(listing.listing_key, 0, None, place, told or None, NEVER_COUNTED)
    units = quantity_of(count)
    note = "" if units == units.to_integral_value() else f"Square shows {units.normalize():f}"
    return ObservedLevel(
        listing.listing_key, int(units.to_integral_value("ROUND_FLOOR")), None, place, told or None, note
    )


def quantity_of(count: Mapping[str, Any]) -> Decimal:
    """Return the quantity of a count, which may be negative (oversold).

    Raises:
        BadPayload: no number.
    """
    said = text(count, "quantity") or "0"
    sign = -1 if said.startswith("-") else 1
    return sign * quantity({"quantity": said.removeprefix("-")}, "counts")


def true_at(count: Mapping[str, Any] | None, read_at: datetime | None) -> datetime | None:
    """Return the latest instant of Square's clock for which a count that was read is sure to be true.

    The answer's own time knows whole seconds only, and is rounded down: a sale within that second would otherwise be
    lost. The last change that the count contains is certainly part of it.
    """
    changed_at = None if count is None else maybe_instant(count, "calculated_at", "counts")
    known = [moment for moment in (changed_at, read_at) if moment is not None]
    return max(known) if known else None
