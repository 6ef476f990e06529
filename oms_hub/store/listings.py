"""What is offered on each connection, as the channel tells it.

What belongs here: keeping listings and reading them. Not here: which SKU a listing is (`listing_links`), its levels
(`levels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.staging import stage


@dataclass(frozen=True, slots=True)
class ListingRow:
    """A listing as the channel tells it; `channel_sku` None where it has no code."""

    listing_key: str
    channel_sku: str | None
    title: str
    is_tracked: bool = True
    is_writable: bool = True
    is_active: bool = True
    barcode: str | None = None
    parent_key: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredListing:
    """A listing with its link, for people."""

    connection: str
    listing_key: str
    channel_sku: str | None
    title: str
    link_state: str
    sku: str | None
    pack_size: int
    is_tracked: bool
    is_writable: bool
    is_active: bool


@dataclass(frozen=True, slots=True)
class ReadableListing:
    """What is needed to ask a channel for a listing's level."""

    listing_key: str
    attributes: Mapping[str, str]


_COLUMNS = {
    "listing_key": "text", "channel_sku": "text", "title": "text", "barcode": "text", "parent_key": "text",
    "is_tracked": "boolean", "is_writable": "boolean", "is_active": "boolean", "attributes": "jsonb",
}  # fmt: skip

_UPSERT = """
INSERT INTO hub.listings AS l (connection_id, listing_key, merchant_id, channel_sku, title, barcode, parent_key,
                               is_tracked, is_writable, is_active, attributes, seen_at)
SELECT DISTINCT ON (g.listing_key) c.connection_id, g.listing_key, c.merchant_id, g.channel_sku, g.title, g.barcode,
       g.parent_key, g.is_tracked, g.is_writable, g.is_active, g.attributes, :seen_at
FROM hub.connections c, staged_listings g WHERE c.connection_id = :connection_id
ORDER BY g.listing_key
ON CONFLICT (connection_id, listing_key) DO UPDATE
SET channel_sku = excluded.channel_sku, title = excluded.title, barcode = excluded.barcode,
    parent_key = excluded.parent_key, is_tracked = excluded.is_tracked, is_writable = excluded.is_writable,
    is_active = excluded.is_active, attributes = excluded.attributes, seen_at = excluded.seen_at
"""

_OFFERABLE_CHANGED = """
INSERT INTO hub.stock_dirty (sku_id, merchant_id)
SELECT DISTINCT l.sku_id, l.merchant_id FROM staged_listings g
JOIN hub.listings l ON l.connection_id = :connection_id AND l.listing_key = g.listing_key
WHERE l.sku_id IS NOT NULL AND (l.is_tracked, l.is_writable, l.is_active)
      IS DISTINCT FROM (g.is_tracked, g.is_writable, g.is_active)
ORDER BY l.sku_id
ON CONFLICT (sku_id) DO UPDATE SET marked_at = now()
"""


def upsert_listings(tx: Transaction, connection_id: int, rows: Iterable[ListingRow], *, seen_at: datetime) -> int:
    """Keep a batch of listings as the channel tells them and return how many came; links stay as they are.

    A code of nothing but blanks counts as none. SKUs of listings that become (or stop being) pushable are marked.
    """
    staged = stage(
        tx,
        "staged_listings",
        _COLUMNS,
        (
            (
                row.listing_key,
                row.channel_sku if row.channel_sku and row.channel_sku.strip() else None,
                row.title,
                row.barcode,
                row.parent_key,
                row.is_tracked,
                row.is_writable,
                row.is_active,
                orjson.dumps(dict(row.attributes), option=orjson.OPT_SORT_KEYS).decode(),
            )
            for row in rows
        ),
    )
    tx.execute(text(_OFFERABLE_CHANGED), {"connection_id": connection_id})
    tx.execute(text(_UPSERT), {"connection_id": connection_id, "seen_at": seen_at})
    return staged


def deactivate_unseen(tx: Transaction, connection_id: int, *, seen_at: datetime) -> int:
    """Turn listings inactive that a complete pull did not tell any more; return how many.

    Args:
        tx: the transaction.
        connection_id: the connection that was pulled to the end.
        seen_at: the instant that this pull stamped on what it saw.
    """
    gone = tx.execute(
        text(
            "UPDATE hub.listings SET is_active = false "
            "WHERE connection_id = :connection_id AND is_active AND seen_at < :seen_at"
        ),
        {"connection_id": connection_id, "seen_at": seen_at},
    )
    return gone.rowcount


def list_listings(
    tx: Transaction, merchant_id: int, *, connection_id: int | None = None, link_state: str | None = None
) -> Sequence[StoredListing]:
    """Return a merchant's listings by connection and key; of one connection or one link state if given."""
    rows = tx.execute(
        text(
            """
            SELECT c.name, l.listing_key, l.channel_sku, l.title, l.link_state, s.sku, l.pack_size, l.is_tracked,
                   l.is_writable, l.is_active
            FROM hub.listings l JOIN hub.connections c USING (connection_id) LEFT JOIN hub.skus s USING (sku_id)
            WHERE l.merchant_id = :merchant_id AND c.state <> 'removed'
              AND l.connection_id = coalesce(CAST(:connection_id AS integer), l.connection_id)
              AND l.link_state = coalesce(CAST(:link_state AS text), l.link_state)
            ORDER BY c.name COLLATE "C", l.listing_key COLLATE "C"
            """
        ),
        {"merchant_id": merchant_id, "connection_id": connection_id, "link_state": link_state},
    )
    return [StoredListing(*row) for row in rows]


def readable_listings(tx: Transaction, connection_id: int, *, after: str, limit: int) -> Sequence[ReadableListing]:
    """Return the next active listings whose key follows `after`, in byte order of their keys."""
    rows = tx.execute(
        text(
            "SELECT listing_key, attributes FROM hub.listings "
            'WHERE connection_id = :connection_id AND is_active AND listing_key COLLATE "C" > :after '
            'ORDER BY listing_key COLLATE "C" LIMIT :limit'
        ),
        {"connection_id": connection_id, "after": after, "limit": limit},
    )
    return [ReadableListing(row[0], row[1]) for row in rows]
