"""What a pull remembers for the next one: plain JSON in the cursor.

What belongs here: the state and its form in the cursor. Not here: how a pull goes (`orders`).

    phase        `history` while all orders are walked by creation, then `changes`
    seen         changes before this instant of the channel's are known
    newest       newest change met in the walk that is under way
    walk         where that walk stands, null between pulls
    recent       orders read lately -> their time of change, so that the overlap reads them once
    watch        open orders -> the minute in which they were last read (`watch`)
    claimed      orders known to have claims, oldest first
    claims_seen  claims that changed before this instant are known
    feeds        minute of the last reading of missed notifications, and the newest of them
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from connectors.mercadolibre.walk import Place, place_of
from connectors.mercadolibre.watch import Watch
from oms_hub.domain.pull_windows import from_text, to_text
from oms_hub.errors import BadPayload

OVERLAP = timedelta(hours=2)
"""How far behind each pull looks: filters are precise to the hour, and the search's index lags."""
_RECENT = OVERLAP + timedelta(hours=1)
_MOST_CLAIMED = 5_000


@dataclass(slots=True)
class PullState:
    """The state of one connection's pulls."""

    phase: str = "history"
    seen: datetime | None = None
    newest: datetime | None = None
    walk: Place | None = None
    recent: dict[str, str] = field(default_factory=dict)
    watch: Watch = field(default_factory=Watch)
    claimed: dict[str, None] = field(default_factory=dict)
    claims_seen: datetime | None = None
    feeds_minute: int = 0
    feeds_newest: datetime | None = None

    def as_cursor(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "phase": self.phase,
            "seen": _text(self.seen),
            "newest": _text(self.newest),
            "walk": None if self.walk is None else self.walk.as_cursor(),
            "recent": dict(self.recent),
            "watch": self.watch.as_cursor(),
            "claimed": list(self.claimed),
            "claims_seen": _text(self.claims_seen),
            "feeds": {"minute": self.feeds_minute, "newest": _text(self.feeds_newest)},
        }

    def start_over(self) -> None:
        """Forget how far pulls came; what is known of open and claimed orders stays."""
        self.phase, self.seen, self.newest, self.walk = "history", None, None, None
        self.recent.clear()

    def note_claims(self, order_ids: Iterable[str]) -> None:
        """Remember orders with claims, the newest of them."""
        for order_id in order_ids:
            self.claimed.pop(order_id, None)
            self.claimed[order_id] = None
        for order_id in list(self.claimed)[: max(0, len(self.claimed) - _MOST_CLAIMED)]:
            del self.claimed[order_id]

    def note_change(self, order_id: str, changed_at: datetime | None) -> None:
        """Take note of an order that was read whole."""
        if changed_at is None:
            return
        self.newest = changed_at if self.newest is None else max(self.newest, changed_at)
        if self.seen is not None and changed_at >= self.seen - _RECENT:
            self.recent[order_id] = to_text(changed_at)

    def is_known(self, order_id: str, changed_at: datetime | None) -> bool:
        """Return whether an order was read whole as it stands now."""
        return changed_at is not None and self.recent.get(order_id) == to_text(changed_at)

    def forget_old(self) -> None:
        """Drop what the next pull's overlap does not reach any more."""
        if self.seen is None:
            return
        floor = to_text(self.seen - _RECENT)
        for order_id in [each for each, changed in self.recent.items() if from_text(changed) < from_text(floor)]:
            del self.recent[order_id]


def state_of(cursor: Mapping[str, Any]) -> PullState:
    """Return the state that a cursor holds, a new one for an empty cursor.

    Raises:
        BadPayload: it cannot be read.
    """
    if not cursor:
        return PullState()
    try:
        walk, feeds = cursor["walk"], cursor["feeds"]
        return PullState(
            phase=cursor["phase"],
            seen=_moment(cursor["seen"]),
            newest=_moment(cursor["newest"]),
            walk=None if walk is None else place_of(walk),
            recent=dict(cursor["recent"]),
            watch=Watch(cursor["watch"]),
            claimed=dict.fromkeys(cursor["claimed"]),
            claims_seen=_moment(cursor["claims_seen"]),
            feeds_minute=int(feeds["minute"]),
            feeds_newest=_moment(feeds["newest"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadPayload("the stored cursor cannot be read", remedy="Run: oms-hub sync --full") from error


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_text(text)
