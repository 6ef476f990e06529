"""Which of the merchant's SKUs an order line sold.

What belongs here: resolving lines, the `unmapped_sku` exceptions, and the report days that a later mapping touches.
Not here: linking listings (`listing_links`), what mapped lines do to stock (`stock`).

A line's SKU is a function of the links of now: its listing's link, else the merchant's SKU that equals the line's own
text, letter by letter. A listing that a person set to `ignored` maps to nothing and asks for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.movements import OrderKey
from oms_hub.store.touched_days import touch_order_days

_SKU_OF_LINE = """
    CASE l.link_state WHEN 'ignored' THEN NULL ELSE coalesce(l.sku_id, s.sku_id) END"""

_LINE_LINKS = """
    LEFT JOIN hub.listings l ON l.connection_id = line.connection_id AND l.listing_key = line.listing_key
    LEFT JOIN hub.skus s ON s.merchant_id = line.merchant_id AND s.sku = line.channel_sku"""

_REFERENCE = "coalesce(nullif(line.channel_sku, ''), nullif(line.listing_key, ''), '')"

_RESOLVE = f"""
WITH resolved AS MATERIALIZED (
    SELECT line.connection_id, line.channel_order_id, line.line_id, line.sku_id AS old_sku_id, line.needs_stock,
           {_SKU_OF_LINE} AS sku_id, l.link_state, {_REFERENCE} AS reference,
           line.allocated_quantity + line.reserved_quantity AS holds
    FROM hub.order_lines line {_LINE_LINKS}
    WHERE line.connection_id = :connection_id AND line.channel_order_id = ANY(CAST(:orders AS text[]))
),
changed AS (
    UPDATE hub.order_lines line SET sku_id = r.sku_id
    FROM resolved r
    WHERE r.sku_id IS DISTINCT FROM r.old_sku_id AND line.connection_id = r.connection_id
      AND line.channel_order_id = r.channel_order_id AND line.line_id = r.line_id
),
unmapped AS (
    SELECT reference FROM resolved
    WHERE sku_id IS NULL AND needs_stock AND link_state IS DISTINCT FROM 'ignored'
)
SELECT (SELECT count(*) FROM resolved WHERE sku_id IS NOT NULL), (SELECT count(*) FROM unmapped),
       (SELECT array_agg(DISTINCT reference) FROM unmapped),
       (SELECT array_agg(DISTINCT sku_id) FROM resolved WHERE holds > 0 AND sku_id IS NOT NULL),
       (SELECT array_agg(DISTINCT id) FROM resolved, unnest(ARRAY[sku_id, old_sku_id]) AS id WHERE id IS NOT NULL)
"""

_MAP_LATER = f"""
WITH target AS (
    SELECT line.connection_id, line.channel_order_id, line.line_id, line.sku_id AS old_sku_id,
           {_SKU_OF_LINE} AS sku_id
    FROM hub.order_lines line {_LINE_LINKS}
    WHERE line.merchant_id = :merchant_id
      AND (line.sku_id IS NULL OR EXISTS (
            SELECT 1 FROM unnest(CAST(:connections AS integer[]), CAST(:listing_keys AS text[])) AS g (c, k)
            WHERE g.c = line.connection_id AND g.k = line.listing_key))
      AND {_SKU_OF_LINE} IS DISTINCT FROM line.sku_id
    FOR UPDATE OF line SKIP LOCKED
)
UPDATE hub.order_lines line SET sku_id = t.sku_id FROM target t
WHERE line.connection_id = t.connection_id AND line.channel_order_id = t.channel_order_id AND line.line_id = t.line_id
RETURNING line.connection_id, line.channel_order_id, t.old_sku_id, line.sku_id
"""

_OPEN_UNMAPPED = """
INSERT INTO hub.exceptions (merchant_id, connection_id, kind, reference, message, remedy)
SELECT c.merchant_id, c.connection_id, 'unmapped_sku', r.reference,
       CASE r.reference WHEN '' THEN 'A product without SKU or listing is sold on ' || c.name
            ELSE r.reference || ' is sold on ' || c.name || ' and belongs to no known SKU' END,
       CASE r.reference WHEN '' THEN 'Give the product a SKU on the channel'
            ELSE 'Link its listing with oms-hub listings link, or add the SKU by importing its stock' END
FROM hub.connections c, unnest(CAST(:references AS text[])) AS r (reference)
WHERE c.connection_id = :connection_id AND NOT EXISTS (
    SELECT 1 FROM hub.exceptions e
    WHERE e.merchant_id = c.merchant_id AND coalesce(e.connection_id, 0) = c.connection_id
      AND e.kind = 'unmapped_sku' AND e.reference = r.reference AND e.state = 'open')
ORDER BY r.reference
ON CONFLICT (merchant_id, coalesce(connection_id, 0), kind, reference) WHERE state = 'open' DO NOTHING
"""

_RESOLVE_MAPPED = f"""
WITH unmapped AS MATERIALIZED (
    SELECT DISTINCT line.connection_id, {_REFERENCE} AS reference
    FROM hub.order_lines line
    LEFT JOIN hub.listings l ON l.connection_id = line.connection_id AND l.listing_key = line.listing_key
    WHERE line.merchant_id = :merchant_id AND line.sku_id IS NULL AND line.needs_stock
      AND l.link_state IS DISTINCT FROM 'ignored'
)
UPDATE hub.exceptions e SET state = 'resolved', closed_at = now(), closed_reason = 'mapped'
WHERE e.merchant_id = :merchant_id AND e.kind = 'unmapped_sku' AND e.state = 'open'
  AND (e.connection_id, e.reference) NOT IN (SELECT connection_id, reference FROM unmapped)
"""


@dataclass(frozen=True, slots=True)
class ResolvedLines:
    """What resolving the lines of some orders found.

    `holding_sku_ids`: SKUs of lines that hold stock; `seen_sku_ids`: SKUs of any line, before or now.
    """

    mapped: int
    unmapped: int
    holding_sku_ids: tuple[int, ...]
    seen_sku_ids: tuple[int, ...]


def resolve_lines(tx: Transaction, connection_id: int, channel_order_ids: Sequence[str]) -> ResolvedLines:
    """Give every line of the named orders its SKU, and open an exception for each text that has none."""
    row = tx.execute(text(_RESOLVE), {"connection_id": connection_id, "orders": list(channel_order_ids)}).one()
    mapped, unmapped, references, holding, seen = row
    if references:
        tx.execute(text(_OPEN_UNMAPPED), {"connection_id": connection_id, "references": references})
    return ResolvedLines(mapped, unmapped, tuple(holding or ()), tuple(seen or ()))


@dataclass(frozen=True, slots=True)
class LaterMapping:
    """Lines that got a SKU, another one, or lost it, after their order was stored."""

    lines: int
    orders: tuple[OrderKey, ...]
    sku_ids: tuple[int, ...]


def map_lines_later(tx: Transaction, merchant_id: int, relinked: Sequence[OrderKey]) -> LaterMapping:
    """Map lines that were unmapped until now, and all lines of listings whose link changed.

    Lines that another transaction is writing are left to it: it resolves them itself, with the links of then.

    Args:
        tx: the transaction, holding the merchant's mapping lock (`stock.lock_mapping`).
        merchant_id: whose lines.
        relinked: (connection id, listing key) of listings whose link changed.
    """
    rows = tx.execute(
        text(_MAP_LATER),
        {
            "merchant_id": merchant_id,
            "connections": [connection_id for connection_id, _ in relinked],
            "listing_keys": [listing_key for _, listing_key in relinked],
        },
    ).all()
    orders = tuple(sorted({(row[0], row[1]) for row in rows}))
    sku_ids = sorted({sku_id for row in rows for sku_id in (row[2], row[3]) if sku_id is not None})
    for connection_id, keys in groupby(orders, key=itemgetter(0)):
        touch_order_days(tx, connection_id, [order_id for _, order_id in keys])
    return LaterMapping(len(rows), orders, tuple(sku_ids))


def close_mapped(tx: Transaction, merchant_id: int) -> int:
    """Resolve the `unmapped_sku` exceptions that no line stands behind any more; return how many."""
    return tx.execute(text(_RESOLVE_MAPPED), {"merchant_id": merchant_id}).rowcount
