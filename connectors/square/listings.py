"""What a Square seller offers: the variations of the catalogue.

What belongs here: reading the catalogue. Not here: levels (`stock`).

A listing is an item variation: that is what carries the quantity and what order lines name. SKUs are optional and not
unique at Square; they are told as they are. The catalogue is walked once and then asked for what changed since the walk
began, deleted items included, so that an item that moves between two pages is not missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from connectors.square.api import SquareApi, open_api, rows_of
from connectors.square.fields import text
from connectors.square.locations import wanted_ids
from oms_hub.channel.answers import answered_at
from oms_hub.channel.contract import ChannelSession, ListingRecord
from oms_hub.channel.http import HttpAnswer
from oms_hub.domain.pull_windows import to_text
from oms_hub.errors import BadPayload

PATH = "/v2/catalog/search"
NEEDS = "ITEMS_READ"
EVERYWHERE = "*"
_LIMIT = 1000
_MARGIN = timedelta(seconds=5)


def listing_source(session: ChannelSession) -> Iterator[Sequence[ListingRecord]]:
    """Yield all variations in batches; what changed meanwhile comes again at the end.

    Raises:
        NeedsReconnect: the token is refused or lacks ITEMS_READ.
        RetryLater: Square does not answer.
        BadPayload: an item is not what the published description says.
    """
    with open_api(session) as api:
        places = wanted_ids(api, session)
        began_at = None
        for answer in _pages(api, {}):
            began_at = began_at or answered_at(answer.headers)
            yield _batch(answer, places)
        if began_at is None:
            return
        for answer in _pages(api, {"begin_time": to_text(began_at - _MARGIN), "include_deleted_objects": True}):
            yield _batch(answer, places)


def _pages(api: SquareApi, more: Mapping[str, Any]) -> Iterator[HttpAnswer]:
    return api.rows(PATH, {"object_types": ["ITEM"], "limit": _LIMIT, **more}, "objects", needs=NEEDS)


def _batch(answer: HttpAnswer, places: Sequence[str]) -> list[ListingRecord]:
    try:
        return [
            _listing(item, variation, places)
            for item in rows_of(answer.parsed, "objects")
            for variation in (item.get("item_data") or {}).get("variations") or ()
        ]
    except (KeyError, TypeError, AttributeError):
        raise BadPayload("an item is not what the description says", where="objects") from None


def _listing(item: Mapping[str, Any], variation: Mapping[str, Any], places: Sequence[str]) -> ListingRecord:
    data, item_data = variation["item_variation_data"], item["item_data"]
    present = [place for place in places if _is_present(variation, place) and _is_present(item, place)]
    tracked = [place for place in present if is_tracked_at(data, place)]
    is_gone = bool(item.get("is_deleted") or variation.get("is_deleted") or item_data.get("is_archived"))
    is_counted = data.get("stockable") is not False and not data.get("measurement_unit_id")
    return ListingRecord(
        listing_key=str(variation["id"]),
        sku=text(data, "sku") or None,
        title=_title(text(item_data, "name"), text(data, "name")),
        is_tracked=bool(tracked),
        is_writable=bool(tracked) and is_counted,
        barcode=text(data, "upc") or None,
        parent_key=str(item["id"]),
        is_active=bool(present) and not is_gone,
        attributes={"tracked_at": EVERYWHERE if len(tracked) == len(places) else ",".join(tracked)},
    )


def _title(name: str, variation: str) -> str:
    return f"{name} ({variation})" if name and variation not in {"", "Regular", name} else name or variation


def _is_present(row: Mapping[str, Any], place: str) -> bool:
    if row.get("present_at_all_locations", True):
        return place not in (row.get("absent_at_location_ids") or ())
    return place in (row.get("present_at_location_ids") or ())


def is_tracked_at(data: Mapping[str, Any], place: str) -> bool:
    """Return whether Square keeps a quantity of a variation at a place; a place may differ from the rest."""
    for override in data.get("location_overrides") or ():
        if override.get("location_id") == place and override.get("track_inventory") is not None:
            return bool(override["track_inventory"])
    return bool(data.get("track_inventory"))
