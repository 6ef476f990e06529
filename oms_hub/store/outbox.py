"""The outbox: levels on their way to a channel, from the plan's word to the channel's.

What belongs here: claiming rows, marking them sent, closing or postponing them. Not here: opening them (`plan`), dead
letters in a person's hands (`dead_letters`), talking to the channel (`oms_hub.sync.deliver_push`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from oms_hub.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A level to push, with what the channel needs to be told."""

    outbox_id: int
    listing_key: str
    sku_id: int
    sku: str
    pack_size: int
    from_level: int | None
    to_level: int
    cause: str
    attempts: int
    was_sent: bool
    attributes: Mapping[str, str]
    idempotency_key: str | None
    sent_from: int | None


@dataclass(frozen=True, slots=True)
class Postponed:
    """A row that stays open: why, and from when on it may be tried again."""

    outbox_id: int
    reason: str
    next_try_at: datetime
    counts_as_attempt: bool = True


_ROWS = """
SELECT o.outbox_id, o.listing_key, l.sku_id, s.sku, l.pack_size, o.from_level, o.to_level, o.cause, o.attempts,
       o.sent_at IS NOT NULL, l.attributes, o.idempotency_key::text, o.sent_from
FROM hub.outbox o
JOIN hub.listings l USING (connection_id, listing_key)
JOIN hub.skus s USING (sku_id)
WHERE o.state = 'open'
"""

_DUE = """
SELECT o.outbox_id FROM hub.outbox o
LEFT JOIN hub.listing_levels v USING (connection_id, listing_key)
WHERE o.connection_id = :connection_id AND o.state = 'open'
  AND (o.next_try_at <= :now OR (o.attempts = 0 AND o.last_error = ''))
ORDER BY o.to_level > coalesce(v.known_level, v.acknowledged, v.observed, -1), o.outbox_id
"""

_SENT = """
UPDATE hub.outbox o SET sent_at = :at, attempts = o.attempts + 1, read_at = :read_at, sent_from = g.sent_from,
    idempotency_key = CASE WHEN o.outbox_id = ANY(CAST(:keeping AS bigint[])) THEN o.idempotency_key
                           ELSE gen_random_uuid() END
FROM unnest(CAST(:ids AS bigint[]), CAST(:levels AS integer[])) AS g (outbox_id, sent_from)
WHERE o.outbox_id = g.outbox_id AND o.state = 'open'
RETURNING o.outbox_id, o.idempotency_key::text
"""

_ANSWERED = "UPDATE hub.outbox SET answered_at = :at WHERE outbox_id = ANY(CAST(:ids AS bigint[]))"


_CLOSE = """
UPDATE hub.outbox o SET state = g.state, last_error = g.reason, closed_at = now(),
    read_at = CASE g.state WHEN 'dead' THEN NULL ELSE o.read_at END
FROM unnest(CAST(:ids AS bigint[]), CAST(:states AS text[]), CAST(:reasons AS text[])) AS g (outbox_id, state, reason)
WHERE o.outbox_id = g.outbox_id AND o.state IN ('open', 'superseded')
"""

_POSTPONE = """
UPDATE hub.outbox o SET sent_at = NULL, read_at = NULL, last_error = g.reason, next_try_at = g.next_try_at,
    attempts = CASE WHEN g.counts THEN o.attempts ELSE greatest(o.attempts - 1, 0) END
FROM unnest(CAST(:ids AS bigint[]), CAST(:reasons AS text[]), CAST(:times AS timestamptz[]), CAST(:counts AS boolean[]))
    AS g (outbox_id, reason, next_try_at, counts)
WHERE o.outbox_id = g.outbox_id AND o.state = 'open'
"""

_WITHDRAW = """
WITH gone AS (
    SELECT l.connection_id, l.listing_key FROM hub.listings l
    WHERE l.connection_id = :connection_id
      AND (l.sku_id IS NULL OR NOT l.is_tracked OR NOT l.is_writable OR NOT l.is_active)
),
cleared AS (
    UPDATE hub.listing_levels v SET desired = NULL, desired_at = now() FROM gone
    WHERE v.connection_id = gone.connection_id AND v.listing_key = gone.listing_key AND v.desired IS NOT NULL
)
UPDATE hub.outbox o SET state = 'superseded', closed_at = now(), last_error = 'the listing is not pushed any more'
FROM gone WHERE o.connection_id = gone.connection_id AND o.listing_key = gone.listing_key AND o.state = 'open'
"""


def due_ids(tx: Transaction, connection_id: int, *, now: datetime) -> tuple[int, ...]:
    """Return the open rows that may be tried now: what lowers a level comes before what raises one.

    A row that was never tried is due whatever the clock says, so that a clock that is set back holds nothing up.
    """
    return tuple(tx.execute(text(_DUE), {"connection_id": connection_id, "now": now}).scalars())


def open_rows(tx: Transaction, connection_id: int) -> tuple[OutboxRow, ...]:
    """Return all open rows of a connection, in the order in which they were planned."""
    rows = tx.execute(
        text(f"{_ROWS} AND o.connection_id = :connection_id ORDER BY o.outbox_id"), {"connection_id": connection_id}
    )
    return tuple(OutboxRow(*row) for row in rows)


def claim(tx: Transaction, ids: Sequence[int]) -> tuple[OutboxRow, ...]:
    """Return those of the named rows that are still open, in the given order, leaving out what others hold."""
    rows = tx.execute(
        text(f"{_ROWS} AND o.outbox_id = ANY(CAST(:ids AS bigint[])) FOR UPDATE OF o SKIP LOCKED"), {"ids": list(ids)}
    )
    found = {row[0]: OutboxRow(*row) for row in rows}
    return tuple(found[outbox_id] for outbox_id in ids if outbox_id in found)


def open_rows_of(tx: Transaction, connection_id: int, listing_keys: Sequence[str]) -> tuple[OutboxRow, ...]:
    """Return the open rows of some listings, in the order of their keys."""
    rows = tx.execute(
        text(
            f"{_ROWS} AND o.connection_id = :connection_id AND o.listing_key = ANY(CAST(:keys AS text[])) "
            'ORDER BY o.listing_key COLLATE "C"'
        ),
        {"connection_id": connection_id, "keys": list(listing_keys)},
    )
    return tuple(OutboxRow(*row) for row in rows)


def mark_sent(
    tx: Transaction,
    sent_from: Mapping[int, int | None],
    *,
    at: datetime,
    read_at: datetime | None = None,
    keeps_key: Sequence[int] = (),
) -> Mapping[int, str]:
    """Write down that rows are about to be sent, before they are; return each row's key for this very attempt.

    A row that a plan superseded meanwhile is not among them: it must not be sent.

    Args:
        tx: the transaction, committed before anything is sent.
        sent_from: outbox id -> the level just read, None where it is not known.
        at: now.
        read_at: when those levels were read; given only where a sale between then and the answer is written over.
        keeps_key: rows that are sent once more as they were, under the same key.
    """
    parameters = {
        "ids": list(sent_from), "levels": list(sent_from.values()), "at": at, "read_at": read_at,
        "keeping": list(keeps_key),
    }  # fmt: skip
    rows = tx.execute(text(_SENT), parameters)
    return {row[0]: row[1] for row in rows}


def mark_answered(tx: Transaction, ids: Sequence[int], *, at: datetime) -> None:
    """Write down when the answers to rows came: sales from reading until then were written over."""
    tx.execute(text(_ANSWERED), {"ids": list(ids), "at": at})


def close_rows(tx: Transaction, closed: Sequence[tuple[int, str, str]]) -> None:
    """Close rows: (outbox id, `delivered` or `dead`, reason). What a plan superseded while it was under way, too."""
    if closed:
        tx.execute(
            text(_CLOSE),
            {
                "ids": [each[0] for each in closed],
                "states": [each[1] for each in closed],
                "reasons": [each[2] for each in closed],
            },
        )


def postpone_rows(tx: Transaction, postponed: Sequence[Postponed]) -> None:
    """Leave rows open for a later try; they count as not sent again."""
    if postponed:
        tx.execute(
            text(_POSTPONE),
            {
                "ids": [each.outbox_id for each in postponed],
                "reasons": [each.reason for each in postponed],
                "times": [each.next_try_at for each in postponed],
                "counts": [each.counts_as_attempt for each in postponed],
            },
        )


def withdraw_unpushable(tx: Transaction, connection_id: int) -> int:
    """Take back what is planned for listings that are not pushed any more; return how many rows were superseded."""
    return tx.execute(text(_WITHDRAW), {"connection_id": connection_id}).rowcount
