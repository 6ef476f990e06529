"""Who gets the units: open order lines against what is there, SKU by SKU, in one atomic statement.

What belongs here: handing out, and the lock that makes it atomic. Not here: unpaid holds whose time is up
(`allocation_holds`), the rules of the queue (`allocation_rules`), who is told (`allocation_news`), the rule itself in
plain words (`oms_hub.domain.allocation`, against which the tests hold this statement).

- The queue of a SKU: priority, expedited first, oldest first, then connection, order and line id. A line that is
  counted in packs or sold as a bundle stands in the queue of each component.
- A line takes from the place that its channel named, if that was counted; else from the first place that has all of
  it (the default place first), else from several.
- What it does not get is backordered. `order_lines.allocated_quantity` and `reserved_quantity` are what is promised,
  whether it is there or not: availability counts all of it, so that an oversell is never hidden.
- The outcome depends on what is known, not on the order in which it became known (docs/adr/0015).

Locks: balances in ascending order, then the marks, as everywhere that stock moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from oms_hub.store.allocation_lines import HELD_LINES, LINE_SKUS
from oms_hub.store.allocation_news import tell_of_backorders, tell_of_levels
from oms_hub.store.engine import Transaction
from oms_hub.store.movements import OrderKey

_RANK = """
LEFT JOIN LATERAL (
    SELECT min(r.priority) AS priority, bool_or(r.is_expedited) AS is_expedited
    FROM hub.allocation_rules r
    WHERE r.merchant_id = line.merchant_id
      AND (r.connection_id IS NULL OR r.connection_id = line.connection_id)
      AND (r.channel IS NULL OR r.channel = c.channel)
      AND (r.order_kind IS NULL OR r.order_kind = o.kind)
      AND (r.tag IS NULL OR EXISTS (
            SELECT FROM hub.order_tags t WHERE t.connection_id = line.connection_id
               AND t.channel_order_id = line.channel_order_id AND t.tag = r.tag))
      AND (r.shipping IS NULL OR EXISTS (
            SELECT FROM hub.order_charges g WHERE g.connection_id = line.connection_id
               AND g.channel_order_id = line.channel_order_id AND g.kind = 'shipping'
               AND strpos(lower(concat_ws(' ', g.title, g.code)), lower(r.shipping)) > 0))
) AS rank ON true
LEFT JOIN LATERAL (
    SELECT a.takes_part FROM hub.allocation_settings a
    WHERE a.merchant_id = line.merchant_id AND a.takes_part IS NOT NULL
      AND coalesce(a.connection_id, line.connection_id) = line.connection_id
      AND coalesce(a.channel, c.channel) = c.channel
    ORDER BY a.connection_id IS NULL, a.channel IS NULL LIMIT 1
) AS said ON true"""

_DEMANDS = f"""
{LINE_SKUS},
{HELD_LINES},
supply AS (
    SELECT b.sku_id, array_agg(b.location_id ORDER BY p.is_default DESC, b.location_id) AS location_ids,
           array_agg(greatest(0, b.on_hand - b.unavailable)::bigint ORDER BY p.is_default DESC, b.location_id) AS places
    FROM touched JOIN hub.balances b USING (sku_id) JOIN hub.locations p USING (location_id)
    WHERE b.counted_at IS NOT NULL GROUP BY b.sku_id
),
demands AS (
    SELECT line.*, s.location_ids, s.places, array_position(s.location_ids, link.location_id) AS place, o.placed_at,
           line.allocated + line.reserved AS units, line.allocated = 0 AS is_reserved,
           coalesce(said.takes_part, true) AS takes_part, coalesce(rank.priority, 100) AS priority,
           coalesce(rank.is_expedited, false) AS is_expedited
    FROM supply s JOIN held line USING (sku_id)
    JOIN hub.orders o USING (connection_id, channel_order_id)
    JOIN hub.connections c ON c.connection_id = line.connection_id
    LEFT JOIN hub.location_links link ON link.connection_id = line.connection_id
        AND link.channel_location_id = line.channel_location_id
    {_RANK}
)"""

_HAND_OUT = f"""
WITH {_DEMANDS},
handed AS MATERIALIZED (
    SELECT d.*, hub.hand_out(places, place, units, takes_part) OVER (
               PARTITION BY sku_id
               ORDER BY priority, is_expedited DESC, placed_at, connection_id, channel_order_id COLLATE "C",
                        line_id COLLATE "C" ROWS UNBOUNDED PRECEDING) AS state
    FROM demands d
),
given AS MATERIALIZED (
    SELECT h.connection_id, h.channel_order_id, h.line_id, h.merchant_id, h.sku_id, h.is_reserved, g.location_id,
           g.units::integer AS units
    FROM handed h
    CROSS JOIN LATERAL unnest(h.location_ids, h.state[cardinality(h.location_ids) + 1:]) AS g (location_id, units)
    WHERE g.units > 0
),
lacking AS MATERIALIZED (
    SELECT h.connection_id, h.channel_order_id, h.line_id, h.merchant_id, h.sku_id, h.is_reserved,
           (h.units - got.units)::integer AS units
    FROM handed h
    CROSS JOIN LATERAL (
        SELECT sum(part) AS units FROM unnest(h.state[cardinality(h.location_ids) + 1:]) AS part
    ) AS got
    WHERE h.units > got.units
),
bindings AS MATERIALIZED (
    SELECT connection_id, channel_order_id, line_id, sku_id, location_id, g.merchant_id, g.units, g.is_reserved
    FROM given g
    FULL JOIN (SELECT a.* FROM touched JOIN hub.allocations a USING (sku_id)) AS a
        USING (connection_id, channel_order_id, line_id, sku_id, location_id)
    WHERE (g.units, g.is_reserved) IS DISTINCT FROM (a.units, a.is_reserved)
),
freed AS (
    DELETE FROM hub.allocations a USING bindings g
    WHERE g.units IS NULL AND (a.connection_id, a.channel_order_id, a.line_id, a.sku_id, a.location_id)
                            = (g.connection_id, g.channel_order_id, g.line_id, g.sku_id, g.location_id)
),
bound AS (
    INSERT INTO hub.allocations (connection_id, channel_order_id, line_id, sku_id, location_id, merchant_id, units,
                                 is_reserved, allocated_at)
    SELECT connection_id, channel_order_id, line_id, sku_id, location_id, merchant_id, units, is_reserved, :now
    FROM bindings WHERE units IS NOT NULL
    ON CONFLICT (connection_id, channel_order_id, line_id, sku_id, location_id) DO UPDATE
    SET units = excluded.units, is_reserved = excluded.is_reserved, allocated_at = excluded.allocated_at
),
changed AS MATERIALIZED (
    SELECT connection_id, channel_order_id, line_id, sku_id, g.merchant_id, g.units, g.is_reserved
    FROM lacking g
    FULL JOIN (SELECT b.* FROM touched JOIN hub.backorders b USING (sku_id)) AS b
        USING (connection_id, channel_order_id, line_id, sku_id)
    WHERE (g.units, g.is_reserved) IS DISTINCT FROM (b.units, b.is_reserved)
),
met AS (
    DELETE FROM hub.backorders b USING changed g
    WHERE g.units IS NULL AND (b.connection_id, b.channel_order_id, b.line_id, b.sku_id)
                            = (g.connection_id, g.channel_order_id, g.line_id, g.sku_id)
),
missed AS (
    INSERT INTO hub.backorders (connection_id, channel_order_id, line_id, sku_id, merchant_id, units, is_reserved,
                                since)
    SELECT connection_id, channel_order_id, line_id, sku_id, merchant_id, units, is_reserved, :now
    FROM changed WHERE units IS NOT NULL
    ON CONFLICT (connection_id, channel_order_id, line_id, sku_id) DO UPDATE
    SET units = excluded.units, is_reserved = excluded.is_reserved
),
orders AS (SELECT DISTINCT connection_id, channel_order_id FROM changed)
SELECT (SELECT coalesce(sum(units), 0) FROM given), (SELECT coalesce(sum(units), 0) FROM lacking),
       (SELECT array_agg(connection_id ORDER BY connection_id, channel_order_id) FROM orders),
       (SELECT array_agg(channel_order_id ORDER BY connection_id, channel_order_id) FROM orders)
"""

_NEXT = """
SELECT sku_id FROM hub.allocation_dirty WHERE merchant_id = :merchant_id AND sku_id > :after
ORDER BY sku_id LIMIT :limit
"""

_WITH_COMPONENTS = """
SELECT sku_id FROM unnest(CAST(:sku_ids AS bigint[])) AS t (sku_id)
UNION SELECT c.component_sku_id FROM hub.bundle_components c WHERE c.bundle_sku_id = ANY(CAST(:sku_ids AS bigint[]))
ORDER BY 1
"""

_LOCK = """
SELECT 1 FROM hub.balances WHERE sku_id = ANY(CAST(:sku_ids AS bigint[])) ORDER BY sku_id, location_id FOR UPDATE
"""

_LOCK_MARKS = """
SELECT 1 FROM hub.allocation_dirty WHERE sku_id = ANY(CAST(:sku_ids AS bigint[])) ORDER BY sku_id FOR UPDATE
"""

_TAKE_MARKS = "DELETE FROM hub.allocation_dirty WHERE sku_id = ANY(CAST(:sku_ids AS bigint[]))"

_BY_KEYS = (
    "random_page_cost = 1.1", "enable_seqscan = off", "enable_mergejoin = off", "jit = off",
    "max_parallel_workers_per_gather = 0",
)  # fmt: skip
"""Reach rows by their keys: tables grow from empty within minutes, and their statistics lag behind."""


@dataclass(frozen=True, slots=True)
class HandedOut:
    """What handing out some SKUs came to.

    Attributes:
        skus: how many SKUs, components of bundles included.
        allocated: units that are there and bound to a line.
        backordered: units that lines wait for.
        fired: alerts that are new. cleared: alerts that are over.
    """

    skus: int
    allocated: int
    backordered: int
    fired: int = 0
    cleared: int = 0


def marked_skus(tx: Transaction, merchant_id: int, *, after: int, limit: int) -> list[int]:
    """Return the next SKUs above an id whose units must be handed out again."""
    rows = tx.execute(text(_NEXT), {"merchant_id": merchant_id, "after": after, "limit": limit})
    return list(rows.scalars())


def merchants_to_allocate(tx: Transaction) -> Sequence[str]:
    """Return names of merchants that have SKUs to hand out again, in order."""
    query = """
        SELECT name FROM hub.merchants m
        WHERE EXISTS (SELECT FROM hub.allocation_dirty d WHERE d.merchant_id = m.merchant_id) ORDER BY name
    """
    return list(tx.execute(text(query)).scalars())


def allocate_skus(tx: Transaction, merchant_id: int, sku_ids: Sequence[int], *, now: datetime) -> HandedOut:
    """Hand out the units of some SKUs anew, and tell of what is missing; doing it again changes nothing.

    Whoever else moves or hands out these SKUs waits until the transaction ends; rows that come out as they were are
    not written. SKUs without a count have no level: nothing of them is handed out, and nothing is said to be missing.

    Args:
        tx: the transaction.
        merchant_id: whose they are.
        sku_ids: which; those of bundles stand for their components, too.
        now: the instant that new rows bear, aware.
    """
    wanted = list(tx.execute(text(_WITH_COMPONENTS), {"sku_ids": list(sku_ids)}).scalars())
    if not wanted:
        return HandedOut(0, 0, 0)
    own = {"sku_ids": wanted}
    for setting in _BY_KEYS:
        tx.execute(text(f"SET LOCAL {setting}"))
    for statement in (_LOCK, _LOCK_MARKS, _TAKE_MARKS):
        tx.execute(text(statement), own)
    allocated, backordered, connections, orders = tx.execute(text(_HAND_OUT), {**own, "now": now}).one()
    changed: Sequence[OrderKey] = list(zip(connections or (), orders or (), strict=True))
    told = (
        tell_of_backorders(tx, merchant_id, changed, now=now),
        tell_of_levels(tx, merchant_id, wanted, now=now),
    )
    fired, cleared = (sum(each[nth] for each in told) for nth in (0, 1))
    return HandedOut(len(wanted), int(allocated), int(backordered), fired, cleared)
