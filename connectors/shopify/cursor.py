"""Where a pull of orders stands: the cursor that is stored with each page.

What belongs here: reading and writing the cursor. A cursor that cannot be read is refused, never taken for an empty
one: that would read a shop's whole history again, unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from oms_hub.channel.contract import Cursor
from oms_hub.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk through orders in ascending order of change.

    Attributes:
        query: the search text; must stay the same while `after` is used.
        after: the end cursor of the last page.
        count: orders seen with this query: Shopify pages through 25,000 at most.
        newest: the newest `updatedAt` seen, UTC text.
        began_at: the shop's own time when the walk began, UTC text.
    """

    query: str
    after: str | None = None
    count: int = 0
    newest: str | None = None
    began_at: str | None = None


@dataclass(frozen=True, slots=True)
class BulkExport:
    """A bulk export that was started.

    Attributes:
        bulk_id: the operation's gid.
        began_at: the shop's own time when it was started; the incremental pull goes on from before it.
        done_to: number of the last order that was delivered; orders come in ascending order of their numbers.
    """

    bulk_id: str
    began_at: str
    done_to: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a pull stands.

    Attributes:
        watermark: newest change that pulls so far are sure of, UTC text.
        walk: a walk under way.
        bulk: a bulk export under way; comes before any walk.
    """

    watermark: str | None = None
    walk: Walk | None = None
    bulk: BulkExport | None = None

    def to_cursor(self) -> dict[str, Any]:
        """Return plain JSON, without what is None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def read_cursor(cursor: Cursor) -> Position:
    """Return the position that a stored cursor names; an empty cursor is the beginning.

    Raises:
        Misconfigured: not a cursor of this connector.
    """
    try:
        walk, bulk = cursor.get("walk"), cursor.get("bulk")
        return Position(
            watermark=_text(cursor.get("watermark")),
            walk=None if walk is None else _walk(walk),
            bulk=None
            if bulk is None
            else BulkExport(str(bulk["bulk_id"]), str(bulk["began_at"]), int(bulk["done_to"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Misconfigured(
            "the stored cursor is not one of a Shopify connection", remedy="Run: oms-hub sync NAME --full"
        ) from None


def _walk(walk: Mapping[str, Any]) -> Walk:
    return Walk(
        query=str(walk["query"]),
        after=_text(walk.get("after")),
        count=int(walk.get("count", 0)),
        newest=_text(walk.get("newest")),
        began_at=_text(walk.get("began_at")),
    )


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("not a text")
    return value
