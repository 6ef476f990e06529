"""What a connection's present levels are worth as the first counts of its SKUs.

What belongs here: reading the candidates and why some cannot be taken. Not here: booking them (`counts`), asking the
channel (`oms_hub.sync.pull_stock`).

A level that may not be written is somebody else's (a marketplace's warehouse, a parent listing): it makes no count.
A channel that tells on_hand is taken at its word. One that tells only what is sellable has taken its sold units off
already, so the count is that level plus the units of its own orders that had been placed, and had not left, when the
level was read; allocating these orders then does not take them twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from sqlalchemy import text

from oms_hub.store.engine import Transaction

Verdict: TypeAlias = Literal[
    "adopted", "counted already", "untracked", "kept elsewhere", "not read", "negative", "several listings"
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One SKU's level on a connection. `units` is the count that it makes, None where it makes none."""

    sku_id: int
    sku: str
    verdict: Verdict
    units: int | None
    observed_at: datetime | None
    note: str = ""


_CANDIDATES = """
WITH listed AS (
    SELECT l.sku_id, l.listing_key, l.pack_size, l.is_tracked, l.is_writable, v.observed, v.observed_on_hand,
           v.observed_at, coalesce(v.observed_note, '') AS note, count(*) OVER (PARTITION BY l.sku_id) AS listings
    FROM hub.listings l LEFT JOIN hub.listing_levels v USING (connection_id, listing_key)
    WHERE l.connection_id = :connection_id AND l.sku_id IS NOT NULL AND l.is_active
),
unshipped AS (
    SELECT line.sku_id, sum(
               (line.allocated_quantity + line.reserved_quantity + coalesce(later.units, 0) + coalesce(ended.units, 0))
               * coalesce(pack.pack_size, 1)) AS units
    FROM listed
    JOIN hub.order_lines line ON line.sku_id = listed.sku_id AND line.connection_id = :connection_id
    JOIN hub.orders o ON o.connection_id = line.connection_id AND o.channel_order_id = line.channel_order_id
    LEFT JOIN hub.listings pack ON pack.connection_id = line.connection_id AND pack.listing_key = line.listing_key
        AND pack.sku_id = line.sku_id
    LEFT JOIN hub.expired_holds ended ON ended.connection_id = line.connection_id
        AND ended.channel_order_id = line.channel_order_id AND ended.line_id = line.line_id
        AND line.allocated_quantity = 0 AND line.reserved_quantity = 0
        AND o.state IN ('open', 'on_hold') AND o.payment_state IN ('unpaid', 'voided')
    LEFT JOIN LATERAL (
        SELECT sum(r.quantity) AS units FROM hub.shipments f
        JOIN hub.shipment_lines r USING (connection_id, channel_order_id, shipment_id)
        WHERE f.connection_id = line.connection_id AND f.channel_order_id = line.channel_order_id
          AND r.line_id = line.line_id AND f.shipped_at > listed.observed_at AND line.needs_stock
          AND o.kind NOT IN ('pos', 'marketplace_fulfilled', 'dropship', 'credit_note')
          AND NOT o.is_test AND NOT o.is_draft
    ) AS later ON true
    WHERE listed.listings = 1 AND o.placed_at <= listed.observed_at
    GROUP BY 1
)
SELECT DISTINCT ON (listed.sku_id) listed.sku_id, s.sku,
       CASE WHEN EXISTS (SELECT 1 FROM hub.balances b WHERE b.sku_id = listed.sku_id AND b.counted_at IS NOT NULL)
            THEN 'counted already'
            WHEN listed.listings > 1 THEN 'several listings'
            WHEN listed.observed_at IS NULL THEN 'not read'
            WHEN NOT listed.is_tracked OR level.units IS NULL THEN 'untracked'
            WHEN NOT listed.is_writable THEN 'kept elsewhere'
            WHEN level.units < 0 OR (listed.observed < 0 AND NOT CAST(:tells_on_hand AS boolean)) THEN 'negative'
            ELSE 'adopted' END,
       level.units, listed.observed_at, listed.note
FROM listed
JOIN hub.skus s USING (sku_id)
LEFT JOIN unshipped USING (sku_id)
CROSS JOIN LATERAL (
    SELECT (CASE WHEN CAST(:tells_on_hand AS boolean) THEN listed.observed_on_hand * listed.pack_size
                 ELSE listed.observed * listed.pack_size + coalesce(unshipped.units, 0) END)::bigint AS units
) AS level
ORDER BY listed.sku_id, listed.listing_key
"""


def adoption_candidates(tx: Transaction, connection_id: int, *, tells_on_hand: bool) -> Sequence[Candidate]:
    """Return what each linked SKU of a connection would be counted as, or why it would not.

    Args:
        tx: the transaction that books them, too, so that nothing comes in between.
        connection_id: the connection whose levels and orders were pulled just now.
        tells_on_hand: whether the channel tells on_hand; else its level lacks the units of its open orders.
    """
    rows = tx.execute(text(_CANDIDATES), {"connection_id": connection_id, "tells_on_hand": tells_on_hand})
    return [Candidate(row[0], row[1], row[2], row[3] if row[2] == "adopted" else None, row[4], row[5]) for row in rows]
