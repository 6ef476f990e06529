"""What is known of each listing's level: what was seen there, what the channel confirmed, what went wrong.

What belongs here: writing and reading those columns of `listing_levels`. Not here: what we want there (`plan`), what
is still to be sent (`outbox`).

`record_observed` is the only place where a level that was read comes in. The in-flight ledger
(`oms_hub.domain.in_flight`) belongs exactly there: it needs the level before and the level now in one statement.
Its columns (`cumulative_drop`, `in_flight`) stay as they are until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from oms_hub.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class SeenLevel:
    """A level as read from the channel; None where it keeps none there, then `note` says why."""

    listing_key: str
    available: int | None
    on_hand: int | None = None
    note: str = ""


_OBSERVED = """
INSERT INTO hub.listing_levels AS v (connection_id, listing_key, merchant_id, observed, observed_on_hand,
                                     observed_note, observed_at)
SELECT l.connection_id, l.listing_key, l.merchant_id, g.available, g.on_hand, g.note, :observed_at
FROM unnest(CAST(:keys AS text[]), CAST(:available AS integer[]), CAST(:on_hand AS integer[]), CAST(:notes AS text[]))
    AS g (listing_key, available, on_hand, note)
JOIN hub.listings l ON l.connection_id = :connection_id AND l.listing_key = g.listing_key
ORDER BY l.listing_key COLLATE "C"
ON CONFLICT (connection_id, listing_key) DO UPDATE
SET observed = excluded.observed, observed_on_hand = excluded.observed_on_hand,
    observed_note = excluded.observed_note, observed_at = excluded.observed_at
"""

_ACKNOWLEDGED = """
INSERT INTO hub.listing_levels AS v (connection_id, listing_key, merchant_id, acknowledged, acknowledged_at,
                                     last_pushed_at, last_error)
SELECT l.connection_id, l.listing_key, l.merchant_id, g.level, :at, CASE WHEN g.was_sent THEN :at END, ''
FROM unnest(CAST(:keys AS text[]), CAST(:levels AS integer[]), CAST(:sent AS boolean[]))
    AS g (listing_key, level, was_sent)
JOIN hub.listings l ON l.connection_id = :connection_id AND l.listing_key = g.listing_key
ORDER BY l.listing_key COLLATE "C"
ON CONFLICT (connection_id, listing_key) DO UPDATE
SET acknowledged = excluded.acknowledged, acknowledged_at = excluded.acknowledged_at, last_error = '',
    last_pushed_at = coalesce(excluded.last_pushed_at, v.last_pushed_at)
"""

_FAILED = """
INSERT INTO hub.listing_levels AS v (connection_id, listing_key, merchant_id, last_error)
SELECT l.connection_id, l.listing_key, l.merchant_id, g.reason
FROM unnest(CAST(:keys AS text[]), CAST(:reasons AS text[])) AS g (listing_key, reason)
JOIN hub.listings l ON l.connection_id = :connection_id AND l.listing_key = g.listing_key
ORDER BY l.listing_key COLLATE "C"
ON CONFLICT (connection_id, listing_key) DO UPDATE SET last_error = excluded.last_error
"""


def record_observed(tx: Transaction, connection_id: int, levels: Sequence[SeenLevel], *, observed_at: datetime) -> None:
    """Keep levels as they were read, odd ones with their note; levels of unknown listings are left out."""
    newest = {level.listing_key: level for level in levels}
    if not newest:
        return
    tx.execute(
        text(_OBSERVED),
        {
            "connection_id": connection_id,
            "keys": list(newest),
            "available": [level.available for level in newest.values()],
            "on_hand": [level.on_hand for level in newest.values()],
            "notes": [level.note for level in newest.values()],
            "observed_at": observed_at,
        },
    )


def record_acknowledged(
    tx: Transaction, connection_id: int, levels: Sequence[tuple[str, int, bool]], *, at: datetime
) -> None:
    """Keep levels that the channel confirmed: (listing key, level, whether we sent it or only found it so)."""
    if levels:
        tx.execute(
            text(_ACKNOWLEDGED),
            {
                "connection_id": connection_id,
                "keys": [key for key, _, _ in levels],
                "levels": [level for _, level, _ in levels],
                "sent": [was_sent for _, _, was_sent in levels],
                "at": at,
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
