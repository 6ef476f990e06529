"""What is known of each listing's level: what was seen there, what the channel confirmed, what went wrong.

What belongs here: writing those columns of `listing_levels`. Not here: what we want there (`plan_outcome`), what is
still to be sent (`outbox`).

`record_observed` is the only place where a level that was read comes in: it enters the in-flight ledger in the same
statement (`level_ledger`), which needs the level before and the level now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.level_ledger import enter_levels
from oms_hub.store.stock import mark_dirty


@dataclass(frozen=True, slots=True)
class SeenLevel:
    """A level as read from the channel; None where it keeps none there, then `note` says why."""

    listing_key: str
    available: int | None
    on_hand: int | None = None
    note: str = ""


_ACKNOWLEDGED = """
INSERT INTO hub.listing_levels AS v (connection_id, listing_key, merchant_id, acknowledged, acknowledged_at,
                                     last_pushed_at, last_error, observed, observed_at, known_level, known_at,
                                     level_since)
SELECT l.connection_id, l.listing_key, l.merchant_id, g.level, :at, CASE WHEN g.was_sent THEN :at END, '',
       CASE WHEN g.was_sent THEN g.level END, CASE WHEN g.was_sent THEN CAST(:at AS timestamptz) END,
       CASE WHEN g.was_sent THEN g.level END, CASE WHEN g.was_sent THEN CAST(:sent_at AS timestamptz) END,
       CASE WHEN g.was_sent THEN CAST(:sent_at AS timestamptz) END
FROM unnest(CAST(:keys AS text[]), CAST(:levels AS integer[]), CAST(:sent AS boolean[]))
    AS g (listing_key, level, was_sent)
JOIN hub.listings l ON l.connection_id = :connection_id AND l.listing_key = g.listing_key
ORDER BY l.listing_key COLLATE "C"
ON CONFLICT (connection_id, listing_key) DO UPDATE
SET acknowledged = excluded.acknowledged, acknowledged_at = excluded.acknowledged_at, last_error = '',
    last_pushed_at = coalesce(excluded.last_pushed_at, v.last_pushed_at),
    observed = coalesce(excluded.observed, v.observed), observed_at = coalesce(excluded.observed_at, v.observed_at),
    known_level = coalesce(excluded.known_level, v.known_level), known_at = coalesce(excluded.known_at, v.known_at),
    level_since = coalesce(v.level_since, excluded.level_since),
    doubted_levels = CASE WHEN excluded.known_level IS NULL THEN v.doubted_levels END,
    doubted_at = CASE WHEN excluded.known_level IS NULL THEN v.doubted_at END
"""

_HELD = """
SELECT DISTINCT l.sku_id FROM hub.listing_levels v JOIN hub.listings l USING (connection_id, listing_key)
WHERE v.merchant_id = :merchant_id AND v.held_units > 0 AND v.connection_id = :connection_id AND l.sku_id IS NOT NULL
"""

_FAILED = """
INSERT INTO hub.listing_levels AS v (connection_id, listing_key, merchant_id, last_error)
SELECT l.connection_id, l.listing_key, l.merchant_id, g.reason
FROM unnest(CAST(:keys AS text[]), CAST(:reasons AS text[])) AS g (listing_key, reason)
JOIN hub.listings l ON l.connection_id = :connection_id AND l.listing_key = g.listing_key
ORDER BY l.listing_key COLLATE "C"
ON CONFLICT (connection_id, listing_key) DO UPDATE SET last_error = excluded.last_error
"""


def record_observed(
    tx: Transaction, connection_id: int, levels: Sequence[SeenLevel], *, observed_at: datetime
) -> tuple[int, ...]:
    """Keep levels as they were read, odd ones with their note; levels of unknown listings are left out.

    Returns:
        Ids of SKUs whose listings changed without a push of ours, marked to be planned again.
    """
    newest = {level.listing_key: level for level in levels}
    if not newest:
        return ()
    columns: dict[str, Sequence[object]] = {
        "keys": list(newest),
        "available": [level.available for level in newest.values()],
        "on_hand": [level.on_hand for level in newest.values()],
        "notes": [level.note for level in newest.values()],
    }
    return enter_levels(tx, connection_id, columns, observed_at=observed_at, mark=partial(mark_dirty, tx))


def mark_held(tx: Transaction, merchant_id: int, connection_id: int) -> None:
    """Have the SKUs planned again of which units are held back from a connection's listings: demand fades with time."""
    rows = tx.execute(text(_HELD), {"merchant_id": merchant_id, "connection_id": connection_id})
    mark_dirty(tx, merchant_id, rows.scalars())


def record_acknowledged(
    tx: Transaction,
    connection_id: int,
    levels: Sequence[tuple[str, int, bool]],
    *,
    at: datetime,
    sent_at: datetime | None = None,
) -> None:
    """Keep levels that the channel confirmed: (listing key, level, whether we sent it or only found it so).

    What was sent is the last known level from then on, and no lost answer before it is in doubt any more.

    Args:
        tx: the transaction.
        connection_id: the listings' connection.
        levels: what was confirmed.
        at: when that was heard.
        sent_at: when it was sent; `at` if None.
    """
    if levels:
        tx.execute(
            text(_ACKNOWLEDGED),
            {
                "connection_id": connection_id,
                "keys": [key for key, _, _ in levels],
                "levels": [level for _, level, _ in levels],
                "sent": [was_sent for _, _, was_sent in levels],
                "at": at,
                "sent_at": sent_at or at,
            },
        )


def record_failed(tx: Transaction, connection_id: int, reasons: Sequence[tuple[str, str]]) -> None:
    """Keep why the last push of some listings did not succeed: (listing key, reason)."""
    if reasons:
        tx.execute(
            text(_FAILED),
            {
                "connection_id": connection_id,
                "keys": [key for key, _ in reasons],
                "reasons": [reason for _, reason in reasons],
            },
        )
