"""Which orders are still open, and when each was last read: the list that finds what the search hides.

What belongs here: the list itself, carried in the cursor. Not here: requests (`orders`).

The order search leaves out cancelled orders, and a shipment may move without its order changing. So every order that
is not at its end is read again by its id every so often. An order leaves the list when it is cancelled or delivered,
when it is gone, or after 60 days; what changes later comes through claims and notifications.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.mercadolibre.fields import moment_or_none
from connectors.mercadolibre.states import CANCELLED

MOST_AT_ONCE = 600
"""Orders that one pull reads again at most; the longest unread go first."""
_LONGEST = timedelta(days=60)
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Watch:
    """Open orders and the minute in which each was last read (0: at once)."""

    def __init__(self, stored: Any = None) -> None:
        self._read_in: dict[str, int] = dict(stored) if isinstance(stored, dict) else {}

    def __len__(self) -> int:
        return len(self._read_in)

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._read_in

    def as_cursor(self) -> dict[str, int]:
        """Return it as plain JSON."""
        return dict(self._read_in)

    def note(self, order_id: str, payload: Mapping[str, Any] | None, *, now: datetime) -> None:
        """Take note of an order that was just read; None stands for one that is gone."""
        if payload is not None and _is_open(payload, now):
            self._read_in[order_id] = minute_of(now)
        else:
            self._read_in.pop(order_id, None)

    def read_soon(self, order_id: str) -> None:
        """Have an order that could not be read whole read in the next pull."""
        self._read_in[order_id] = 0

    def due(self, *, now: datetime, every_minutes: int) -> list[str]:
        """Return the ids of orders whose turn it is, the longest unread first."""
        before = minute_of(now) - every_minutes
        found = [(read_in, order_id) for order_id, read_in in self._read_in.items() if read_in <= before]
        return [order_id for _, order_id in sorted(found)[:MOST_AT_ONCE]]


def minute_of(moment: datetime) -> int:
    """Return the number of an instant's minute, for cursors."""
    return (moment - _EPOCH) // _MINUTE


def _is_open(payload: Mapping[str, Any], now: datetime) -> bool:
    order, shipment = payload["order"], payload.get("shipment")
    if order.get("status") in CANCELLED or (isinstance(shipment, dict) and shipment.get("status") == "delivered"):
        return False
    created = moment_or_none(order.get("date_created"))
    return created is None or now - created <= _LONGEST
