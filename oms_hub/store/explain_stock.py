"""What stands behind a SKU's numbers: levels, movements, promises, listings with their policies and pushes.

What belongs here: bounded reads, each with its totals, down to the number of the raw payload. Not here: putting them
together (`oms_hub.sync.explain`), words (`oms_hub.commands`).

A raw payload is named `PAGE/POSITION`, as `hub.raw_records` has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import text

from oms_hub.store.allocation_lines import HELD_LINES, LINE_SKUS
from oms_hub.store.engine import Transaction

Facts: TypeAlias = dict[str, Any]
"""One row by column, ready for JSON."""

RAW = "o.raw_page_id || '/' || o.raw_position"

ORDER_OF_SOURCE = """
LEFT JOIN hub.orders o ON m.source LIKE 'order:%'
    AND o.connection_id = CASE WHEN m.source LIKE 'order:%' THEN split_part(m.source, ':', 2)::integer END
    AND o.channel_order_id = replace(replace(split_part(m.source, ':', 3), '%3A', ':'), '%25', '%')"""
"""The order that a movement `m` comes from, if any."""

_PLACES = f"""
WITH {LINE_SKUS},
{HELD_LINES},
placed AS (
    SELECT place.location_id, sum(held.allocated) AS allocated, sum(held.reserved) AS reserved
    FROM held
    LEFT JOIN hub.location_links link ON link.connection_id = held.connection_id
        AND link.channel_location_id = held.channel_location_id
    CROSS JOIN LATERAL (
        SELECT p.location_id FROM hub.locations p
        LEFT JOIN hub.balances b ON b.sku_id = held.sku_id AND b.location_id = p.location_id
        WHERE p.merchant_id = held.merchant_id
        ORDER BY b.counted_at IS NULL, p.location_id IS NOT DISTINCT FROM link.location_id DESC, p.is_default DESC,
                 p.location_id LIMIT 1
    ) AS place GROUP BY 1
)
SELECT p.code AS location, CASE WHEN b.counted_at IS NOT NULL THEN b.on_hand END AS on_hand,
       coalesce(h.allocated, 0)::bigint AS allocated, coalesce(h.reserved, 0)::bigint AS reserved,
       coalesce(b.unavailable, 0) AS unavailable, coalesce(b.incoming, 0) AS incoming,
       CASE WHEN b.counted_at IS NOT NULL
            THEN b.on_hand - b.unavailable - coalesce(h.allocated, 0)::bigint - coalesce(h.reserved, 0)::bigint
       END AS available, b.counted_at
FROM hub.locations p
LEFT JOIN hub.balances b ON b.sku_id = ANY(CAST(:sku_ids AS bigint[])) AND b.location_id = p.location_id
LEFT JOIN placed h ON h.location_id = p.location_id
WHERE p.merchant_id = :merchant_id AND (b.sku_id IS NOT NULL OR h.location_id IS NOT NULL)
ORDER BY p.is_default DESC, p.code COLLATE "C"
"""

_MOVED = """
SELECT p.code AS location, m.kind, count(*) AS movements, sum(m.quantity)::bigint AS units
FROM hub.movements m JOIN hub.locations p USING (location_id)
WHERE m.sku_id = :sku_id GROUP BY p.code, m.kind ORDER BY p.code COLLATE "C", m.kind
"""

_MOVEMENTS = f"""
SELECT m.occurred_at, m.recorded_at, p.code AS location, m.kind, m.quantity, m.balance_before, m.balance_after, m.cause,
       m.source, c.name AS connection, o.channel_order_id AS order_id, {RAW} AS raw
FROM (SELECT * FROM hub.movements WHERE sku_id = :sku_id ORDER BY movement_id DESC LIMIT :limit) AS m
JOIN hub.locations p USING (location_id)
{ORDER_OF_SOURCE}
LEFT JOIN hub.connections c ON c.connection_id = o.connection_id
ORDER BY m.movement_id DESC
"""

_SET_ASIDE = """
SELECT m.recorded_at, p.code AS location, m.quantity, m.balance_before, m.balance_after, m.cause, m.source
FROM hub.unavailable_moves m JOIN hub.locations p USING (location_id)
WHERE m.sku_id = :sku_id ORDER BY m.move_id DESC LIMIT :limit
"""

_TRANSFERS = """
SELECT t.reference, f.code AS from_location, p.code AS to_location, t.started_at,
       l.units - l.received_units - l.returned_units AS in_transit
FROM hub.transfer_lines l JOIN hub.transfers t USING (transfer_id)
JOIN hub.locations f ON f.location_id = t.from_location_id JOIN hub.locations p ON p.location_id = t.to_location_id
WHERE l.sku_id = :sku_id AND t.state = 'in_transit' ORDER BY t.transfer_id LIMIT :limit
"""

_PROMISES = f"""
WITH {LINE_SKUS},
{HELD_LINES},
promises AS (
    SELECT held.*, coalesce((SELECT sum(a.units) FROM hub.allocations a
                             WHERE (a.connection_id, a.channel_order_id, a.line_id, a.sku_id)
                                 = (held.connection_id, held.channel_order_id, held.line_id, held.sku_id)), 0) AS there,
           coalesce((SELECT b.units FROM hub.backorders b
                     WHERE (b.connection_id, b.channel_order_id, b.line_id, b.sku_id)
                         = (held.connection_id, held.channel_order_id, held.line_id, held.sku_id)), 0) AS missing
    FROM held
)"""

_PROMISED = f"""
{_PROMISES}
SELECT count(*) AS lines, coalesce(sum(allocated), 0)::bigint AS allocated, coalesce(sum(reserved), 0)::bigint
           AS reserved, coalesce(sum(there), 0)::bigint AS there, coalesce(sum(missing), 0)::bigint AS backordered
FROM promises
"""

_ORDERS = f"""
{_PROMISES}
SELECT c.name AS connection, p.channel_order_id AS order_id, o.label, p.line_id, o.placed_at, o.payment_state,
       p.allocated, p.reserved, p.there::bigint AS there, p.missing AS backordered, {RAW} AS raw
FROM promises p JOIN hub.orders o USING (connection_id, channel_order_id)
JOIN hub.connections c ON c.connection_id = p.connection_id
ORDER BY o.placed_at, p.connection_id, p.channel_order_id COLLATE "C", p.line_id COLLATE "C" LIMIT :limit
"""

_LISTINGS = """
SELECT c.name AS connection, c.channel, c.connection_id, l.listing_key AS listing, s.sku AS sells, l.pack_size,
       l.is_tracked, l.is_writable, l.is_active, c.is_push_enabled, c.state AS connection_state, l.sku_id,
       v.known_level AS shows, v.known_at, v.desired, v.acknowledged, v.acknowledged_at, v.observed, v.observed_at,
       v.pool_units, coalesce(v.in_flight, 0) AS in_flight, coalesce(v.held_units, 0) AS held_back,
       coalesce(v.plan_reason, '') AS decided_by, coalesce(v.last_error, '') AS last_error,
       h.last_good_pull_at
FROM hub.listings l
JOIN hub.skus s USING (sku_id)
JOIN hub.connections c USING (connection_id)
LEFT JOIN hub.connection_health h USING (connection_id)
LEFT JOIN hub.listing_levels v USING (connection_id, listing_key)
WHERE l.sku_id IN (SELECT CAST(:sku_id AS bigint)
                   UNION SELECT bundle_sku_id FROM hub.bundle_components WHERE component_sku_id = :sku_id)
  AND c.state <> 'removed'
ORDER BY l.sku_id <> :sku_id, c.name COLLATE "C", l.listing_key COLLATE "C" LIMIT :limit
"""

_PUSHES = """
SELECT DISTINCT ON (o.connection_id, o.listing_key) o.connection_id, o.listing_key AS listing, o.from_level, o.to_level,
       o.cause, o.state, o.attempts, o.created_at, o.sent_at, o.closed_at, o.next_try_at, o.last_error
FROM hub.outbox o
JOIN unnest(CAST(:connections AS integer[]), CAST(:keys AS text[])) AS g (connection_id, listing_key)
    USING (connection_id, listing_key)
ORDER BY o.connection_id, o.listing_key, o.outbox_id DESC
"""

_SKU = """
SELECT s.sku, s.title, (SELECT json_agg(json_build_object('sku', k.sku, 'units', b.units) ORDER BY k.sku)
                        FROM hub.bundle_components b JOIN hub.skus k ON k.sku_id = b.component_sku_id
                        WHERE b.bundle_sku_id = s.sku_id) AS components
FROM hub.skus s WHERE s.sku_id = :sku_id
"""

_ALERTS = """
SELECT kind, units, message, fired_at, told_at FROM hub.alerts
WHERE sku_id = :sku_id AND state = 'open' ORDER BY alert_id LIMIT :limit
"""


def rows(tx: Transaction, query: str, values: Mapping[str, Any]) -> list[Facts]:
    """Return a query's rows as facts."""
    return [dict(row._mapping) for row in tx.execute(text(query), values)]


def stock_facts(tx: Transaction, merchant_id: int, sku_id: int, *, limit: int) -> Facts:
    """Return what stands behind a SKU's numbers; at most `limit` rows of a kind, the totals over all of them."""
    own = {"merchant_id": merchant_id, "sku_id": sku_id, "sku_ids": [sku_id], "limit": limit}
    (sku,) = rows(tx, _SKU, own)
    listings = rows(tx, _LISTINGS, own)
    return {
        **sku,
        "components": sku["components"] or [],
        "places": rows(tx, _PLACES, own),
        "movements": {"totals": rows(tx, _MOVED, own), "newest": rows(tx, _MOVEMENTS, own)},
        "set_aside": rows(tx, _SET_ASIDE, own),
        "transfers": rows(tx, _TRANSFERS, own),
        "orders": {"totals": rows(tx, _PROMISED, own)[0], "oldest": rows(tx, _ORDERS, own)},
        "listings": _with_pushes(tx, listings),
        "alerts": rows(tx, _ALERTS, own),
    }


def _with_pushes(tx: Transaction, listings: Sequence[Facts]) -> list[Facts]:
    keys = {
        "connections": [listing["connection_id"] for listing in listings],
        "keys": [listing["listing"] for listing in listings],
    }
    pushes = {(push.pop("connection_id"), push.pop("listing")): push for push in rows(tx, _PUSHES, keys)}
    return [
        {**listing, "last_push": pushes.get((listing["connection_id"], listing["listing"]))} for listing in listings
    ]
