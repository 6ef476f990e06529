"""The in-flight ledger of listings, in SQL: falls and rises that no push of ours made, and what explains them.

What belongs here: entering a level that was read, and writes whose answer is out. Not here: the rules
(`oms_hub.domain.in_flight`; a test holds both against each other), what orders explain (`level_orders`), what is too
old (`drift`).

Whoever calls works under the connection's lease or stores its orders, so that no two of them enter one listing at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from oms_hub.store.engine import Transaction

LATE_WRITE_SECONDS = 60
"""A write whose answer was lost is done within this time or never."""

CLOCK_SKEW_SECONDS = 2
"""What a channel's clock and ours may differ by."""

_JUDGED_TABLE = """
CREATE TEMPORARY TABLE IF NOT EXISTS judged_levels (connection_id integer, listing_key text, merchant_id integer,
    sku_id bigint, available integer, on_hand integer, note text, in_flight integer, is_certain boolean,
    was_shown integer, fallen integer, fallen_before integer) ON COMMIT DELETE ROWS
"""

_JUDGE = f"""
INSERT INTO pg_temp.judged_levels
WITH given AS (
    SELECT l.connection_id, l.listing_key, l.merchant_id, l.sku_id, g.available, g.on_hand, g.note
    FROM unnest(CAST(:keys AS text[]), CAST(:available AS integer[]), CAST(:on_hand AS integer[]),
                CAST(:notes AS text[])) AS g (listing_key, available, on_hand, note)
    JOIN hub.listings l ON l.connection_id = :connection_id AND l.listing_key = g.listing_key
),
expected AS (
    SELECT g.*, v.known_level IS NOT NULL AS was_known, coalesce(v.early_units, 0) AS early_units,
           coalesce(v.early_restocked, 0) AS early_restocked, coalesce(v.in_flight, 0) AS in_flight,
           v.doubted_at IS NULL AS is_certain, v.observed AS was_shown,
           CASE WHEN v.doubted_at IS NULL OR v.doubted_at + interval '{LATE_WRITE_SECONDS} seconds' < :observed_at
                THEN v.known_level
                ELSE coalesce((SELECT min(level) FROM unnest(v.doubted_levels || v.known_level) AS meant (level)
                               WHERE level >= g.available), v.known_level) END AS meant_level
    FROM given g LEFT JOIN hub.listing_levels v USING (connection_id, listing_key)
)
SELECT connection_id, listing_key, merchant_id, sku_id, available, on_hand, note, in_flight, is_certain, was_shown,
       CASE WHEN was_known AND available IS NOT NULL
            THEN meant_level - available + early_restocked - early_units ELSE 0 END,
       coalesce((SELECT sum(s.units) FROM hub.level_shifts s
                 WHERE s.connection_id = e.connection_id AND s.listing_key = e.listing_key AND s.kind = 'fall'), 0)
FROM expected e
"""

_MOVED = """
SELECT DISTINCT sku_id, merchant_id FROM pg_temp.judged_levels
WHERE sku_id IS NOT NULL AND available IS NOT NULL AND (fallen <> 0 OR in_flight <> fallen_before) ORDER BY sku_id
"""

_OBSERVE = f"""
WITH shifted AS (
    INSERT INTO hub.level_shifts (connection_id, listing_key, merchant_id, kind, units, seen_at)
    SELECT connection_id, listing_key, merchant_id, CASE WHEN fallen > 0 THEN 'fall' ELSE 'rise' END, abs(fallen),
           :observed_at
    FROM pg_temp.judged_levels WHERE fallen > 0 OR (fallen < 0 AND is_certain) ORDER BY listing_key
),
lost AS (
    INSERT INTO hub.drifts (merchant_id, connection_id, listing_key, sku_id, kind, handling, expected, seen_at,
                            recorded_at)
    SELECT merchant_id, connection_id, listing_key, sku_id, 'not_stocked', 'alerted', was_shown, :observed_at,
           :observed_at
    FROM pg_temp.judged_levels WHERE available IS NULL AND was_shown IS NOT NULL AND sku_id IS NOT NULL
    ORDER BY listing_key
)
INSERT INTO hub.listing_levels AS v (connection_id, listing_key, merchant_id, observed, observed_on_hand,
    observed_note, observed_at, known_level, known_at, level_since, cumulative_drop, in_flight)
SELECT connection_id, listing_key, merchant_id, available, on_hand, note, :observed_at, available,
       CASE WHEN available IS NOT NULL THEN CAST(:observed_at AS timestamptz) END,
       CASE WHEN available IS NOT NULL THEN CAST(:observed_at AS timestamptz) END,
       greatest(fallen, 0), CASE WHEN available IS NULL THEN in_flight ELSE fallen_before + greatest(fallen, 0) END
FROM pg_temp.judged_levels ORDER BY listing_key COLLATE "C"
ON CONFLICT (connection_id, listing_key) DO UPDATE
SET observed = excluded.observed, observed_on_hand = excluded.observed_on_hand,
    observed_note = excluded.observed_note, observed_at = excluded.observed_at,
    known_level = coalesce(excluded.known_level, v.known_level), known_at = coalesce(excluded.known_at, v.known_at),
    level_since = coalesce(v.level_since, excluded.level_since),
    cumulative_drop = v.cumulative_drop + excluded.cumulative_drop, in_flight = excluded.in_flight,
    early_units = CASE WHEN excluded.known_level IS NULL THEN v.early_units ELSE 0 END,
    early_restocked = CASE WHEN excluded.known_level IS NULL THEN v.early_restocked ELSE 0 END,
    doubted_levels = CASE WHEN v.doubted_at + interval '{LATE_WRITE_SECONDS} seconds' < :observed_at
                          THEN NULL ELSE v.doubted_levels END
"""

_LOCK = """
SELECT 1 FROM hub.listing_levels WHERE connection_id = :connection_id AND listing_key = ANY(CAST(:keys AS text[]))
ORDER BY listing_key COLLATE "C" FOR UPDATE
"""

_DOUBT = """
UPDATE hub.listing_levels v SET doubted_levels = v.doubted_levels || g.level, doubted_at = :at
FROM unnest(CAST(:keys AS text[]), CAST(:levels AS integer[])) AS g (listing_key, level)
WHERE v.connection_id = :connection_id AND v.listing_key = g.listing_key
"""

_TRUST = """
UPDATE hub.listing_levels v
SET doubted_levels = nullif(v.doubted_levels[1:cardinality(v.doubted_levels) - 1], '{}'),
    doubted_at = CASE WHEN cardinality(v.doubted_levels) > 1 THEN v.doubted_at END
WHERE v.connection_id = :connection_id AND v.listing_key = ANY(CAST(:keys AS text[]))
  AND cardinality(v.doubted_levels) > 0
"""


def enter_levels(
    tx: Transaction,
    connection_id: int,
    levels: Mapping[str, Sequence[Any]],
    *,
    observed_at: datetime,
    mark: Callable[[int, Sequence[int]], None],
) -> tuple[int, ...]:
    """Enter levels that were read, and return the SKUs whose listings changed without a push of ours.

    Args:
        tx: the transaction.
        connection_id: the listings' connection.
        levels: the columns `keys`, `available`, `on_hand`, `notes`, of the same length.
        observed_at: when they were read.
        mark: is called with (merchant id, SKU ids) before anything is written: a plan locks marks before levels too.
    """
    tx.execute(text(_JUDGED_TABLE))
    tx.execute(text("DELETE FROM pg_temp.judged_levels"))
    tx.execute(text(_JUDGE), {"connection_id": connection_id, "observed_at": observed_at, **levels})
    moved = tx.execute(text(_MOVED)).all()
    if moved:
        mark(moved[0].merchant_id, [row.sku_id for row in moved])
    tx.execute(text(_OBSERVE), {"observed_at": observed_at})
    return tuple(row.sku_id for row in moved)


def lock_levels(tx: Transaction, connection_id: int, listing_keys: Sequence[str]) -> None:
    """Lock what is known of some listings, in the order in which plans lock it, before several of them are written."""
    tx.execute(text(_LOCK), {"connection_id": connection_id, "keys": list(listing_keys)})


def doubt_levels(tx: Transaction, connection_id: int, levels: Mapping[str, int], *, at: datetime) -> None:
    """Write down before levels are sent that they may be shown from now on, whatever becomes of the answer."""
    parameters = {"connection_id": connection_id, "keys": list(levels), "levels": list(levels.values()), "at": at}
    tx.execute(text(_DOUBT), parameters)


def trust_levels(tx: Transaction, connection_id: int, listing_keys: Sequence[str]) -> None:
    """Take back the doubt in the last level sent, because the channel's word on it came and it was not applied."""
    if listing_keys:
        tx.execute(text(_TRUST), {"connection_id": connection_id, "keys": list(listing_keys)})
