"""What waits to be done: dirty SKUs, open pushes, touched days. Cheap questions, so that nothing starts in vain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from oms_hub.store.engine import Transaction


def merchants_with_dirty_skus(tx: Transaction) -> Sequence[str]:
    """Return names of merchants that have SKUs to plan, in order."""
    query = """
        SELECT name FROM hub.merchants m
        WHERE EXISTS (SELECT 1 FROM hub.stock_dirty d WHERE d.merchant_id = m.merchant_id) ORDER BY name
    """
    return list(tx.execute(text(query)).scalars())


def connections_with_open_pushes(tx: Transaction, *, due_at: datetime | None = None) -> Sequence[int]:
    """Return ids of connections that have open outbox rows.

    Args:
        tx: a transaction.
        due_at: only rows that may be sent at that instant, of active connections with pushing on; None means all.
    """
    if due_at is None:
        return list(tx.execute(text("SELECT DISTINCT connection_id FROM hub.outbox WHERE state = 'open'")).scalars())
    query = """
        SELECT DISTINCT o.connection_id FROM hub.outbox o JOIN hub.connections c USING (connection_id)
        WHERE o.state = 'open' AND o.next_try_at <= :due_at AND c.is_push_enabled AND c.state = 'active'
    """
    return list(tx.execute(text(query), {"due_at": due_at}).scalars())


def has_touched_days(tx: Transaction) -> bool:
    """Return whether the report rows of any business day, or of any SKU's stock, must be made again."""
    query = "SELECT EXISTS (SELECT 1 FROM hub.touched_days) OR EXISTS (SELECT 1 FROM hub.touched_stock)"
    return bool(tx.execute(text(query)).scalar_one())


def dirty_state(tx: Transaction) -> str:
    """Return a text that changes whenever a plan could come out otherwise; empty where no SKU waits for one.

    SKUs whose levels wait for a good pull, or for other listings to go down first, stay dirty; the text stays the same
    until one is marked anew, or a connection was pulled or pushed to well again.
    """
    query = """
        SELECT count(*), max(marked_at),
               (SELECT max(greatest(last_good_pull_at, last_good_push_at)) FROM hub.connection_health)
        FROM hub.stock_dirty
    """
    waiting, marked_at, pulled_at = tx.execute(text(query)).one()
    return f"{waiting} {marked_at} {pulled_at}" if waiting else ""


def connections_to_normalise(tx: Transaction) -> Sequence[str]:
    """Return names of connections with raw pages beyond their normalise cursor, in order; read from the index."""
    query = """
        SELECT c.name FROM hub.connections c
        LEFT JOIN hub.cursors k ON k.connection_id = c.connection_id AND k.stream = 'normalise_orders'
        WHERE c.state <> 'removed' AND EXISTS (
            SELECT 1 FROM hub.raw_pages p
            WHERE p.connection_id = c.connection_id AND p.kind IN ('orders', 'order_tombstones')
              AND p.page_id > coalesce((k.position ->> 'page_id')::bigint, 0))
        ORDER BY c.name
    """
    return list(tx.execute(text(query)).scalars())


def newest_change_at(tx: Transaction, connection_id: int) -> datetime | None:
    """Return the newest instant of change that the last landed page of orders states; None where none is stated."""
    query = """
        SELECT max(r.channel_updated_at) FROM hub.raw_records r
        WHERE r.page_id = (SELECT page_id FROM hub.raw_pages
                           WHERE connection_id = :connection_id AND kind = 'orders' ORDER BY page_id DESC LIMIT 1)
    """
    found: datetime | None = tx.execute(text(query), {"connection_id": connection_id}).scalar_one()
    return found
