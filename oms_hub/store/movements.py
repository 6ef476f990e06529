"""The stock ledger's rows that orders cause: what an order line did, less what the ledger holds for it already.

What belongs here: deriving sale and return movements from `order_stock_events`, in set-based SQL, and their natural
keys. Not here: counts (`counts`), what an order does to stock (`oms_hub.domain.stock_ledger`), who is told (`stock`).

The rules, in the terms of one SKU at one place:

- Before its first count it has no level, and what happened up to that count never moves stock: the count saw it.
- After it, the ledger holds for every order line, kind, SKU and place exactly the units that its event tells. Units
  that are new become one movement per instant at which they moved, as the shipments and refunds behind the event tell
  (its newest units first; what they do not explain moved when the event says). A figure that goes down, a line that
  goes away or is linked to another SKU gives the opposite movement.
- What is sold as a bundle moves its components, as the bundle is made up now.
- A movement that occurred at or before the place's newest count is absorbed by a `count` movement of the same size,
  so that on_hand stays what was counted.
- Writers lock the balances in the order of (SKU, place), so that no two of them can block each other.

`OFFSET 0` keeps PostgreSQL from reading whole tables for the few orders of a batch, whatever it believes their size is.

Natural keys: `order:CONNECTION:ORDER:LINE:KIND:SKU:PLACE:CUMULATIVE`, with `~N` (the movements before it) once the
figure went down; `%` and `:` in the channel's ids are written `%25` and `%3A`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import text

from oms_hub.store.engine import Transaction

OrderKey: TypeAlias = tuple[int, str]
"""Connection id and the channel's order id."""


def _escaped(column: str) -> str:
    return f"replace(replace({column}, '%', '%25'), ':', '%3A')"


_DIFFERENCE = f"""
events AS (
    SELECT e.connection_id, e.channel_order_id, e.line_id, e.kind, e.channel_location_id, e.occurred_at, e.merchant_id,
           b.sku_id, b.location_id, coalesce(pack.pack_size, 1) * coalesce(part.units, 1) AS pack_size,
           e.cumulative_quantity,
           coalesce(first.counted_at, b.counted_at) AS first_counted_at
    FROM picked
    CROSS JOIN LATERAL (
        SELECT * FROM hub.order_stock_events e
        WHERE e.connection_id = picked.connection_id AND e.channel_order_id = picked.channel_order_id OFFSET 0
    ) AS e
    JOIN hub.order_lines line ON line.connection_id = e.connection_id
        AND line.channel_order_id = e.channel_order_id AND line.line_id = e.line_id
    LEFT JOIN hub.listings pack ON pack.connection_id = line.connection_id AND pack.listing_key = line.listing_key
        AND pack.sku_id = line.sku_id
    LEFT JOIN hub.location_links link ON link.connection_id = e.connection_id
        AND link.channel_location_id = e.channel_location_id
    JOIN hub.locations place ON place.merchant_id = e.merchant_id AND place.is_default
    LEFT JOIN hub.bundle_components part ON part.bundle_sku_id = line.sku_id
    JOIN hub.balances b ON b.sku_id = coalesce(part.component_sku_id, line.sku_id) AND b.counted_at IS NOT NULL
        AND b.location_id = coalesce(link.location_id, place.location_id)
    LEFT JOIN LATERAL (
        SELECT m.occurred_at AS counted_at FROM hub.movements m
        WHERE m.sku_id = b.sku_id AND m.location_id = b.location_id AND m.kind = 'count'
        ORDER BY m.occurred_at LIMIT 1
    ) AS first ON true
    WHERE e.occurred_at > coalesce(first.counted_at, b.counted_at)
),
moves AS (
    SELECT e.*, move.moved_at, move.quantity
    FROM events e CROSS JOIN LATERAL (
        SELECT e.occurred_at AS moved_at, 1 AS quantity WHERE e.cumulative_quantity = 1
        UNION ALL
        SELECT fact.moved_at, greatest(0, least(fact.quantity, e.cumulative_quantity - fact.newer))
        FROM (
            SELECT told.moved_at, sum(told.quantity) AS quantity,
                   sum(sum(told.quantity)) OVER (ORDER BY told.moved_at DESC) - sum(told.quantity) AS newer
            FROM (
                SELECT f.shipped_at AS moved_at, r.quantity FROM hub.shipments f
                JOIN hub.shipment_lines r USING (connection_id, channel_order_id, shipment_id)
                WHERE e.kind = 'sale' AND f.connection_id = e.connection_id
                  AND f.channel_order_id = e.channel_order_id AND r.line_id = e.line_id
                  AND coalesce(f.channel_location_id, '') = e.channel_location_id
                UNION ALL
                SELECT f.refunded_at, r.quantity FROM hub.refunds f
                JOIN hub.refund_lines r USING (connection_id, channel_order_id, refund_id)
                WHERE e.kind = 'return' AND f.connection_id = e.connection_id
                  AND f.channel_order_id = e.channel_order_id AND r.line_id = e.line_id AND r.is_restocked
                  AND coalesce(r.channel_location_id, '') = e.channel_location_id
                UNION ALL
                SELECT e.occurred_at, 0
            ) AS told
            WHERE told.moved_at <= e.occurred_at GROUP BY told.moved_at
        ) AS fact
        WHERE e.cumulative_quantity > 1
    ) AS move
),
explained AS (
    SELECT moves.*, CASE WHEN moved_at = occurred_at
                         THEN cumulative_quantity - sum(quantity) OVER one_event ELSE 0 END AS unexplained
    FROM moves
    WINDOW one_event AS (PARTITION BY connection_id, channel_order_id, line_id, kind, channel_location_id, sku_id)
),
instants AS (
    SELECT connection_id, channel_order_id, merchant_id, kind, sku_id, location_id,
           {_escaped("line_id")} AS line_id, moved_at, sum((quantity + unexplained) * pack_size) AS units
    FROM explained WHERE moved_at > first_counted_at
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
),
wanted AS (
    SELECT instants.*, sum(units) OVER (one_line ORDER BY moved_at) AS upto, sum(units) OVER one_line AS total,
           row_number() OVER (one_line ORDER BY moved_at) AS nth_instant
    FROM instants
    WINDOW one_line AS (PARTITION BY connection_id, channel_order_id, line_id, merchant_id, kind, sku_id, location_id)
),
held AS (
    SELECT picked.connection_id, picked.channel_order_id, m.merchant_id, m.kind, m.sku_id, m.location_id,
           split_part(m.natural_key, ':', 4) AS line_id, max(m.occurred_at) AS occurred_at, count(*) AS movements,
           sum(CASE m.kind WHEN 'sale' THEN -m.quantity ELSE m.quantity END) AS units,
           bool_or((m.kind = 'sale') = (m.quantity > 0)) AS went_down
    FROM picked
    JOIN hub.connections c USING (connection_id)
    CROSS JOIN LATERAL (
        SELECT * FROM hub.movements m WHERE m.merchant_id = c.merchant_id
           AND m.source = 'order:' || picked.connection_id || ':' || {_escaped("picked.channel_order_id")} OFFSET 0
    ) AS m
    WHERE m.kind IN ('sale', 'return')
    GROUP BY 1, 2, 3, 4, 5, 6, 7
),
difference AS (
    SELECT connection_id, channel_order_id, line_id, merchant_id, kind, sku_id, location_id,
           w.moved_at, coalesce(w.units, 0) AS units, coalesce(w.upto, 0) AS upto,
           coalesce(w.nth_instant, 1) AS nth_instant, coalesce(w.total, 0) AS total,
           coalesce(h.units, 0) AS held_units, h.occurred_at AS held_at,
           CASE WHEN coalesce(h.went_down, false) OR coalesce(w.total, 0) < coalesce(h.units, 0)
                THEN h.movements END AS running
    FROM wanted w
    FULL JOIN held h
        USING (connection_id, channel_order_id, line_id, merchant_id, kind, sku_id, location_id)
    WHERE coalesce(w.total, 0) <> coalesce(h.units, 0)
)"""

_PICKED = """
picked AS (SELECT * FROM unnest(CAST(:connections AS integer[]), CAST(:orders AS text[]))
           AS p (connection_id, channel_order_id))"""

_DIFFERING = f"WITH {_PICKED}, {_DIFFERENCE} SELECT DISTINCT channel_order_id, line_id FROM difference ORDER BY 1, 2"
_FIND = f"WITH {_PICKED}, {_DIFFERENCE} SELECT DISTINCT sku_id, location_id FROM difference"

_LOCK = """
SELECT 1 FROM hub.balances b
JOIN unnest(CAST(:skus AS bigint[]), CAST(:places AS integer[])) AS p (sku_id, location_id) USING (sku_id, location_id)
ORDER BY b.sku_id, b.location_id FOR UPDATE OF b"""

_BOOK = rf"""
WITH {_PICKED}, {_DIFFERENCE},
steps AS (
    SELECT d.*, step.occurred_at, step.change, step.cumulative
    FROM difference d CROSS JOIN LATERAL (
        SELECT d.moved_at AS occurred_at, d.upto - greatest(d.upto - d.units, d.held_units) AS change,
               d.upto AS cumulative
        WHERE d.total > d.held_units AND d.units > 0 AND d.upto > d.held_units
        UNION ALL
        SELECT d.held_at, d.total - d.held_units, d.total WHERE d.total < d.held_units AND d.nth_instant = 1
    ) AS step
),
parts AS (
    SELECT s.*, b.on_hand, b.counted_at, CASE s.kind WHEN 'sale' THEN -1 ELSE 1 END AS sign,
           row_number() OVER (ORDER BY connection_id, channel_order_id, line_id, kind DESC, occurred_at) AS nth,
           'order:' || s.connection_id || ':' || {_escaped("s.channel_order_id")} AS source,
           concat_ws(':', s.line_id, s.kind, s.sku_id, s.location_id, s.cumulative) AS detail,
           CASE WHEN s.running IS NULL THEN '' ELSE '~' || s.running END AS suffix
    FROM steps s JOIN hub.balances b USING (sku_id, location_id)
),
entries AS (
    SELECT merchant_id, sku_id, location_id, on_hand, kind, (sign * change)::integer AS quantity, occurred_at, source,
           source || ':' || detail || suffix AS natural_key,
           CASE WHEN change > 0 THEN kind || ' of ' || change ELSE kind || ' taken back: ' || -change END
               || ' in order ' || channel_order_id AS cause,
           nth * 2 AS nth
    FROM parts
    UNION ALL
    SELECT merchant_id, sku_id, location_id, on_hand, 'count', (-sign * change)::integer, counted_at, source,
           'absorbed:' || source || ':' || detail || suffix,
           'the count of ' || to_char(counted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24\:MI"Z"') || ' already saw it',
           nth * 2 + 1
    FROM parts WHERE occurred_at <= counted_at
),
ordered AS (
    SELECT e.*, (on_hand - quantity + sum(quantity) OVER (
               PARTITION BY sku_id, location_id ORDER BY nth ROWS UNBOUNDED PRECEDING))::integer AS balance_before
    FROM entries e
),
booked AS (
    INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_after,
                               occurred_at, source, natural_key, cause)
    SELECT merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_before + quantity,
           occurred_at, source, natural_key, cause
    FROM ordered ORDER BY sku_id, location_id, nth
    RETURNING sku_id, location_id, quantity
),
sums AS (
    SELECT sku_id, location_id, sum(quantity) AS change, count(*) AS movements FROM booked GROUP BY 1, 2
),
changed AS (
    UPDATE hub.balances b SET on_hand = b.on_hand + s.change, updated_at = now()
    FROM sums s WHERE b.sku_id = s.sku_id AND b.location_id = s.location_id AND s.change <> 0
    RETURNING b.sku_id
)
SELECT (SELECT coalesce(sum(movements), 0) FROM sums), (SELECT array_agg(DISTINCT sku_id) FROM changed)
"""


def has_ledger(tx: Transaction, merchant_id: int) -> bool:
    """Return whether a merchant has any movement: without one, orders whose lines are unmapped have nothing to book."""
    found = tx.execute(
        text("SELECT 1 FROM hub.movements WHERE merchant_id = :merchant_id LIMIT 1"), {"merchant_id": merchant_id}
    )
    return found.first() is not None


def differing_lines(tx: Transaction, orders: Sequence[OrderKey]) -> tuple[str, ...]:
    """Return `ORDER line LINE` of order lines whose movements are not what their events tell; none if all is well."""
    keys = {"connections": [order[0] for order in orders], "orders": [order[1] for order in orders]}
    found = tx.execute(text(_DIFFERING), keys)
    return tuple(f"{order_id} line {line_id}" for order_id, line_id in found)


def derive_movements(tx: Transaction, orders: Sequence[OrderKey]) -> tuple[int, tuple[int, ...]]:
    """Bring the ledger in step with what the named orders did to stock; doing it again adds nothing.

    Args:
        tx: the transaction; the balances that change stay locked until it ends.
        orders: connection id and order id of each, up to a few thousand.

    Returns:
        How many movements were written, and the SKUs whose on_hand changed.
    """
    if not orders:
        return 0, ()
    parameters: dict[str, Any] = {
        "connections": [connection_id for connection_id, _ in orders],
        "orders": [channel_order_id for _, channel_order_id in orders],
    }
    places = tx.execute(text(_FIND), parameters).all()
    if not places:
        return 0, ()
    tx.execute(text(_LOCK), {"skus": [row[0] for row in places], "places": [row[1] for row in places]})
    booked, changed = tx.execute(text(_BOOK), parameters).one()
    return int(booked), tuple(changed or ())
