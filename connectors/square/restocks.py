"""Whether returned goods went back to the shelf: the inventory changes around the returns of a page.

What belongs here: fetching those changes and putting them beside the page. Not here: which of them count
(`parse_returns`).

Square writes these changes with the refund, but perhaps a moment after the order: the overlap of each pull reads the
order once more, and then finds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.square.api import SquareApi, rows_of
from connectors.square.parse import changed_at, records_of
from oms_hub.channel.contract import RawRecord
from oms_hub.domain.pull_windows import from_text, to_text

PATH = "/v2/inventory/changes/batch-retrieve"
NEEDS = "INVENTORY_READ"
_BEFORE = timedelta(minutes=1)
_AFTER = timedelta(hours=74)
"""A till that was offline sends its returns up to 72 hours late."""
_OBJECTS_AT_ONCE = 250
_LIMIT = 1000


def with_restocks(api: SquareApi, parsed: Mapping[str, Any], body: bytes) -> tuple[bytes, Sequence[RawRecord]]:
    """Return a page of orders as it is stored, with the changes around its returns, and its records.

    Args:
        api: the account.
        parsed: the answer to a question for orders.
        body: the same verbatim.
    """
    orders = rows_of(parsed, "orders")
    answers = list(_changes(api, [order for order in orders if isinstance(order, dict) and order.get("returns")]))
    if not answers:
        return body, records_of(orders, ())
    envelope = b'{"orders":' + body + b',"changes":[' + b",".join(answer for _, answer in answers) + b"]}"
    return envelope, records_of(orders, [change for changes, _ in answers for change in changes])


def _changes(api: SquareApi, returns: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[Any], bytes]]:
    objects = sorted({key for order in returns for key in _returned(order)})
    window = _window(returns)
    if not objects or window is None:
        return
    places = sorted({str(order["location_id"]) for order in returns if order.get("location_id")})
    for start in range(0, len(objects), _OBJECTS_AT_ONCE):
        question = {
            "catalog_object_ids": objects[start : start + _OBJECTS_AT_ONCE],
            "location_ids": places,
            "types": ["ADJUSTMENT"],
            "updated_after": to_text(window[0] - _BEFORE),
            "updated_before": to_text(window[1] + _AFTER),
            "limit": _LIMIT,
        }
        for answer in api.rows(PATH, question, "changes", needs=NEEDS):
            yield rows_of(answer.parsed, "changes"), answer.body


def _returned(order: Mapping[str, Any]) -> Iterator[str]:
    """Yield the variations of a return; what cannot be read is left to `parse_order`, for that record alone."""
    for part in _objects(order.get("returns")):
        for item in _objects(part.get("return_line_items")):
            key = item.get("catalog_object_id")
            if isinstance(key, str) and key:
                yield key


def _objects(value: Any) -> list[Any]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _window(returns: Sequence[Mapping[str, Any]]) -> tuple[datetime, datetime] | None:
    moments = [moment for order in returns for moment in (_created_at(order), changed_at(order)) if moment]
    return (min(moments), max(moments)) if moments else None


def _created_at(order: Mapping[str, Any]) -> datetime | None:
    try:
        return from_text(order["created_at"])
    except (KeyError, TypeError, ValueError):
        return None
