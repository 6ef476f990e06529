"""What orders tell of listings: they explain what fell there, and how fast it sells. In SQL.

What belongs here: hearing each order line once, letting it explain falls and rises, counting it into the demand. Not
here: levels that were read (`level_ledger`), the rules (`oms_hub.domain.in_flight`, `oms_hub.domain.demand`; tests hold
both against each other).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from oms_hub.store import demand
from oms_hub.store.engine import Transaction
from oms_hub.store.level_ledger import CLOCK_SKEW_SECONDS, LATE_WRITE_SECONDS, lock_levels

_HEARD = f"""
WITH told AS (
    SELECT line.connection_id, line.channel_order_id, line.line_id, line.merchant_id, o.placed_at,
           line.quantity AS units, line.cancelled_quantity AS restocked, line.sku_id,
           coalesce(own.listing_key, sole.listing_key) AS listing_key
    FROM unnest(CAST(:orders AS text[])) AS p (channel_order_id)
    JOIN hub.orders o ON o.connection_id = :connection_id AND o.channel_order_id = p.channel_order_id
    JOIN hub.order_lines line
        ON line.connection_id = o.connection_id AND line.channel_order_id = o.channel_order_id
    LEFT JOIN hub.listings own ON own.connection_id = line.connection_id AND own.listing_key = line.listing_key
    LEFT JOIN LATERAL (
        SELECT min(l.listing_key) AS listing_key FROM hub.listings l
        WHERE own.listing_key IS NULL AND l.sku_id = line.sku_id AND l.connection_id = line.connection_id
          AND l.is_active HAVING count(*) = 1
    ) AS sole ON true
    WHERE line.needs_stock AND line.quantity > 0 AND NOT o.is_test AND NOT o.is_draft
      AND o.kind NOT IN ('credit_note', 'marketplace_fulfilled', 'dropship')
),
fresh AS (
    SELECT t.*, greatest(t.units - coalesce(h.units, 0), 0) AS new_units,
           greatest(t.restocked - coalesce(h.restocked, 0), 0) AS new_restocked,
           t.placed_at > v.known_at - interval '{CLOCK_SKEW_SECONDS} seconds' AS is_early,
           EXISTS (SELECT 1 FROM hub.outbox w
                   WHERE w.connection_id = t.connection_id AND w.listing_key = t.listing_key
                     AND w.read_at <= t.placed_at + interval '{CLOCK_SKEW_SECONDS} seconds'
                     AND coalesce(w.answered_at, w.read_at + interval '{LATE_WRITE_SECONDS} seconds')
                         >= t.placed_at - interval '{CLOCK_SKEW_SECONDS} seconds') AS is_overwritten
    FROM told t
    JOIN hub.listing_levels v ON v.connection_id = t.connection_id AND v.listing_key = t.listing_key
        AND v.level_since < t.placed_at
    LEFT JOIN hub.heard_lines h ON h.connection_id = t.connection_id AND h.channel_order_id = t.channel_order_id
        AND h.line_id = t.line_id
),
kept AS (
    INSERT INTO hub.heard_lines AS h (connection_id, channel_order_id, line_id, merchant_id, units, restocked,
                                      placed_at)
    SELECT connection_id, channel_order_id, line_id, merchant_id, units, restocked, placed_at
    FROM fresh WHERE new_units > 0 OR new_restocked > 0 ORDER BY 1, 2, 3
    ON CONFLICT (connection_id, channel_order_id, line_id) DO UPDATE
    SET units = greatest(h.units, excluded.units), restocked = greatest(h.restocked, excluded.restocked)
)
SELECT listing_key, sum(new_units), sum(new_units) FILTER (WHERE is_early AND NOT is_overwritten),
       sum(new_units) FILTER (WHERE NOT is_early AND NOT is_overwritten), sum(new_restocked),
       array_remove(array_agg(DISTINCT sku_id), NULL)
FROM fresh WHERE new_units > 0 OR new_restocked > 0 GROUP BY listing_key ORDER BY listing_key
"""

_IS_LEVEL_KNOWN = """
SELECT EXISTS (SELECT 1 FROM hub.listing_levels WHERE connection_id = :connection_id AND level_since IS NOT NULL),
       EXISTS (SELECT 1 FROM hub.listings WHERE connection_id = :connection_id)
"""

_EXPLAIN = """
WITH given AS (
    SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:early AS integer[]), CAST(:late AS integer[]),
                         CAST(:restocked AS integer[])) AS g (listing_key, early, late, restocked)
),
stacked AS (
    SELECT s.shift_id, s.listing_key, s.kind, s.units,
           CASE s.kind WHEN 'fall' THEN g.early + g.late ELSE g.restocked END AS explaining,
           sum(s.units) OVER (PARTITION BY s.listing_key, s.kind ORDER BY s.shift_id) - s.units AS older
    FROM hub.level_shifts s JOIN given g USING (listing_key) WHERE s.connection_id = :connection_id
),
settled AS (
    SELECT *, least(units, greatest(explaining - older, 0)) AS explained FROM stacked
),
gone AS (
    DELETE FROM hub.level_shifts s USING settled e WHERE s.shift_id = e.shift_id AND e.explained >= e.units
),
less AS (
    UPDATE hub.level_shifts s SET units = s.units - e.explained FROM settled e
    WHERE s.shift_id = e.shift_id AND e.explained > 0 AND e.explained < e.units
),
sums AS (
    SELECT g.*, coalesce(sum(e.units) FILTER (WHERE e.kind = 'fall'), 0)::integer AS fell,
           coalesce(sum(e.explained) FILTER (WHERE e.kind = 'rise'), 0)::integer AS risen_explained
    FROM given g LEFT JOIN settled e USING (listing_key) GROUP BY g.listing_key, g.early, g.late, g.restocked
)
UPDATE hub.listing_levels v
SET early_units = v.early_units + greatest(s.early - greatest(s.fell - s.late, 0), 0),
    early_restocked = v.early_restocked + s.restocked - s.risen_explained,
    in_flight = greatest(greatest(s.fell - s.late - s.early, 0) - v.early_units
                         - greatest(s.early - greatest(s.fell - s.late, 0), 0), 0)
FROM sums s WHERE v.connection_id = :connection_id AND v.listing_key = s.listing_key
"""

_LEARN_SALES = f"""
WITH given AS (
    SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:units AS integer[])) AS g (listing_key, units) WHERE units > 0
),
offered AS (
    SELECT v.listing_key, g.units::double precision AS units,
           greatest(extract(epoch FROM now() - coalesce(v.demand_at, v.level_since)), 0)::double precision
               * CASE WHEN v.known_level > 0 THEN 1.0 ELSE g.units / (g.units + 1.0) END AS on_offer
    FROM given g JOIN hub.listing_levels v ON v.connection_id = :connection_id AND v.listing_key = g.listing_key
)
UPDATE hub.listing_levels v SET demand_at = now(),
    {
    ", ".join(
        f"{column} = {value}" for column, value in demand.observed("v", units="o.units", on_offer="o.on_offer").items()
    )
}
FROM offered o WHERE v.connection_id = :connection_id AND v.listing_key = o.listing_key
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """What orders tell of each listing; in units of the listing, each order line once.

    `units` as placed; `early` of them placed since the level was last read, `late` before; `restocked` cancelled.
    """

    listing_key: str
    units: int
    early: int
    late: int
    restocked: int
    sku_ids: tuple[int, ...]


def hear_orders(tx: Transaction, connection_id: int, channel_order_ids: Sequence[str]) -> tuple[Heard, ...]:
    """Return what orders tell that was not heard before, noted as heard; `explain_levels` must enter it.

    Orders placed before a listing's level was first known are in that level; those that an absolute write wrote over
    (`domain.in_flight.is_overwritten`) explain nothing.

    Args:
        tx: the transaction that stored the orders and mapped their lines.
        connection_id: their connection.
        channel_order_ids: up to about a thousand.
    """
    is_known, has_listings = tx.execute(text(_IS_LEVEL_KNOWN), {"connection_id": connection_id}).one()
    if not has_listings:
        demand.learn_from_till(tx, connection_id, list(channel_order_ids))
    if not is_known:
        return ()
    rows = tx.execute(text(_HEARD), {"connection_id": connection_id, "orders": list(channel_order_ids)})
    return tuple(
        Heard(row[0], int(row[1]), int(row[2] or 0), int(row[3] or 0), int(row[4]), tuple(row[5])) for row in rows
    )


def explain_levels(tx: Transaction, connection_id: int, heard: Sequence[Heard]) -> None:
    """Let orders that were heard explain what fell and rose, the oldest first, and count them into the demand."""
    if not heard:
        return
    listing_keys = [each.listing_key for each in heard]
    keys = {"connection_id": connection_id, "keys": listing_keys}
    lock_levels(tx, connection_id, listing_keys)
    told = {
        "early": [each.early for each in heard],
        "late": [each.late for each in heard],
        "restocked": [each.restocked for each in heard],
    }
    tx.execute(text(_EXPLAIN), {**keys, **told})
    tx.execute(text(_LEARN_SALES), {**keys, "units": [each.units for each in heard]})
