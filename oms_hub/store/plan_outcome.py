"""What a plan leaves behind: desired levels with their reason, and one open outbox row per listing that must change.

What belongs here: the decision of `oms_hub.domain.push_plan` in SQL, and the writes. Rows are written in the order of
their keys, so that a plan and a delivery never block each other. Not here: how a level comes about (`plan_offers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.plan_frame import PlanFrame, empty_tables


@dataclass(frozen=True, slots=True)
class PlanOutcome:
    """What was planned.

    Attributes:
        listings: how many were looked at; each is in one of the next counts.
        held_back: would go up, and wait for a good pull. waiting: wait until other listings have gone down.
        held_units: what is kept back for other listings, in levels.
        waiting_sku_ids: SKUs whose marks must stay, because a level of theirs had to wait.
        rows: the first changes: connection id, listing key, level before, level to send, reason.
    """

    listings: int
    raised: int
    lowered: int
    unchanged: int
    held_back: int
    waiting: int
    held_units: int
    waiting_sku_ids: frozenset[int]
    rows: Sequence[tuple[int, str, int | None, int, str]]


_TABLES = (
    "plan_outcome (nth integer, connection_id integer, listing_key text, sku_id bigint, desired integer, pool bigint, "
    "held integer, decided text, present integer, to_level integer, reason text, is_sent boolean, superseded bigint, "
    "is_waiting boolean, is_changed boolean)",
)

_UNSURE = """
WITH marked AS (
    SELECT DISTINCT l.sku_id FROM hub.listings l JOIN pg_temp.plan_skus p USING (sku_id)
    WHERE l.connection_id = ANY(CAST(:unsure AS integer[]))
),
spread AS (
    SELECT sku_id FROM marked
    UNION SELECT k.component_sku_id FROM marked JOIN hub.bundle_components k ON k.bundle_sku_id = marked.sku_id
)
SELECT sku_id FROM spread
UNION SELECT k.bundle_sku_id FROM spread JOIN hub.bundle_components k ON k.component_sku_id = spread.sku_id
"""

_SHARES = """
    SELECT s.nth, s.own_pool AS pool, s.most, s.decided, coalesce(t.wanted / s.units, s.loose) AS level,
           coalesce(t.reachable / s.units, s.loose) AS reachable
    FROM pg_temp.plan_shares s LEFT JOIN pg_temp.plan_settled t ON t.sku_id = s.sku_id AND t.nth = s.nth
    WHERE s.nth IS NOT NULL
"""

_SCARCEST_SHARES = f"""
    SELECT nth, max(pool) AS pool, max(most) AS most, max(decided) AS decided, min(level) AS level,
           min(reachable) AS reachable
    FROM ({_SHARES}) AS parts GROUP BY nth
"""
"""A bundle has a share of each component, and shows what the scarcest allows."""

_OUTCOME = f"""
INSERT INTO pg_temp.plan_outcome
WITH unsure AS ({_UNSURE}),
shares AS ({{shares}}),
shown AS (
    SELECT l.*, s.pool, s.most, s.decided,
           CASE WHEN l.is_shared THEN s.most ELSE least(s.most, s.level) END AS level,
           CASE WHEN l.is_shared THEN s.most ELSE least(s.most, s.level, s.reachable) END AS reachable,
           CASE WHEN l.is_paused OR l.floor IS NULL THEN 0 ELSE least(l.floor, l.cap) / l.pack_size END AS least_shown
    FROM pg_temp.plan_listings l
    JOIN shares s USING (nth)
    WHERE l.is_written
),
wanted AS (
    SELECT w.*, greatest(w.level, w.least_shown)::integer AS desired_now,
           greatest(w.reachable, w.least_shown)::integer AS allowed,
           CASE WHEN w.least_shown > w.level THEN 0 ELSE w.most - w.level END::integer AS held,
           CASE WHEN w.least_shown > w.level THEN 'floor' WHEN w.most > w.level THEN 'hold_back'
                ELSE w.decided END AS why,
           NOT CAST(:is_all_unsure AS boolean) AND unsure.sku_id IS NULL AS may_raise
    FROM shown w LEFT JOIN unsure USING (sku_id)
),
believed AS (
    SELECT w.*, CASE WHEN was_sent THEN NULL WHEN allowed < present THEN present
                     ELSE least(present, expected) END AS sure
    FROM wanted w
),
decided AS (
    SELECT w.*, CASE WHEN sure IS NULL AND (may_raise OR allowed = 0) THEN 'first'
                     WHEN allowed = sure THEN 'unchanged'
                     WHEN allowed < sure THEN 'lowered'
                     WHEN may_raise THEN 'raised' ELSE 'raise_waits' END AS reason
    FROM believed w
),
sends AS (
    SELECT d.*, CASE WHEN reason IN ('first', 'lowered', 'raised') THEN allowed END AS to_level,
           coalesce(open_level = allowed AND reason IN ('first', 'lowered', 'raised'), false)
               OR (was_sent AND (reason = 'raise_waits' OR is_delta)) AS keeps_open
    FROM decided d
)
SELECT nth, connection_id, listing_key, sku_id, desired_now, pool, held, why, coalesce(sure, present), to_level, reason,
       NOT keeps_open AND to_level IS NOT NULL,
       CASE WHEN NOT keeps_open THEN open_id END,
       allowed < desired_now AND reason <> 'raise_waits',
       desired IS DISTINCT FROM desired_now OR pool_units IS DISTINCT FROM pool OR held_units <> held
           OR plan_reason <> why
FROM sends
ORDER BY connection_id, listing_key COLLATE "C"
"""
"""Kept in the order of the keys, in which the next statements read it, so that rows are locked in that order."""

_LEVELS = """
INSERT INTO hub.listing_levels AS v (connection_id, listing_key, merchant_id, desired, desired_at, pool_units,
                                     held_units, plan_reason)
SELECT connection_id, listing_key, :merchant_id, desired, now(), greatest(least(pool, 2147483647), -2147483648), held,
       decided
FROM pg_temp.plan_outcome WHERE is_changed
ON CONFLICT (connection_id, listing_key) DO UPDATE
SET desired = excluded.desired, desired_at = CASE WHEN v.desired IS DISTINCT FROM excluded.desired THEN now()
                                                  ELSE v.desired_at END,
    pool_units = excluded.pool_units, held_units = excluded.held_units, plan_reason = excluded.plan_reason
"""

_SUPERSEDE = """
WITH old AS MATERIALIZED (
    SELECT o.outbox_id FROM hub.outbox o
    WHERE o.outbox_id = ANY(ARRAY(SELECT superseded FROM pg_temp.plan_outcome WHERE superseded IS NOT NULL))
      AND o.state = 'open'
    ORDER BY o.outbox_id FOR UPDATE
)
UPDATE hub.outbox SET state = 'superseded', closed_at = now() WHERE outbox_id = ANY(ARRAY(SELECT outbox_id FROM old))
"""

_SEND = """
INSERT INTO hub.outbox (merchant_id, connection_id, listing_key, from_level, to_level, cause, next_try_at)
SELECT :merchant_id, connection_id, listing_key, present, to_level,
       CASE reason WHEN 'raised' THEN 'more to offer' WHEN 'lowered' THEN 'less to offer' ELSE 'first level' END,
       :planned_at
FROM pg_temp.plan_outcome WHERE is_sent
"""

_COUNTS = """
SELECT count(*), count(*) FILTER (WHERE kind = 'raised'), count(*) FILTER (WHERE kind = 'lowered'),
       count(*) FILTER (WHERE kind = 'unchanged'), count(*) FILTER (WHERE kind = 'raise_waits'),
       count(*) FILTER (WHERE is_waiting), coalesce(sum(held), 0)
FROM (SELECT *, CASE WHEN reason = 'raise_waits' THEN reason WHEN NOT is_sent THEN 'unchanged'
                     WHEN reason = 'lowered' OR to_level = 0 THEN 'lowered' ELSE 'raised' END AS kind
      FROM pg_temp.plan_outcome) AS told
"""

_WAITING = """
WITH waiting AS (SELECT DISTINCT sku_id FROM pg_temp.plan_outcome WHERE is_waiting OR reason = 'raise_waits')
SELECT sku_id FROM waiting
UNION SELECT k.component_sku_id FROM waiting JOIN hub.bundle_components k ON k.bundle_sku_id = waiting.sku_id
"""

_ROWS = """
SELECT connection_id, listing_key, present, to_level, reason FROM pg_temp.plan_outcome WHERE is_sent
ORDER BY sku_id, connection_id, listing_key COLLATE "C" LIMIT :limit
"""


def write(tx: Transaction, frame: PlanFrame, *, most_rows: int) -> PlanOutcome:
    """Keep desired levels, supersede open outbox rows and open new ones, one per listing at most, due at once.

    Args:
        tx: the transaction in which `plan_inputs` and `plan_offers` ran.
        frame: for whom.
        most_rows: how many changes to tell.
    """
    empty_tables(tx, _TABLES)
    values: dict[str, Any] = {"merchant_id": frame.merchant_id, "planned_at": frame.planned_at}
    has_bundles = tx.execute(text("SELECT EXISTS (SELECT FROM pg_temp.plan_skus WHERE NOT is_stock)")).scalar_one()
    outcome = text(_OUTCOME.format(shares=_SCARCEST_SHARES if has_bundles else _SHARES))
    tx.execute(outcome, {"unsure": list(frame.unsure), "is_all_unsure": frame.is_all_unsure})
    tx.execute(text(_LEVELS), values)
    tx.execute(text(_SUPERSEDE))
    tx.execute(text(_SEND), values)
    counts = [int(count) for count in tx.execute(text(_COUNTS)).one()]
    waiting = frozenset(tx.execute(text(_WAITING)).scalars())
    told = tx.execute(text(_ROWS), {"limit": most_rows})
    rows = [(row[0], row[1], row[2], row[3], row[4]) for row in told]
    listings, raised, lowered, unchanged, held_back, late, held_units = counts
    return PlanOutcome(listings, raised, lowered, unchanged, held_back, late, held_units, waiting, rows)
