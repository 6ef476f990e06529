"""Which orders the store knows, by id: for comparing with the channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text

from oms_hub.store.engine import Transaction

_PLACED = text("""
SELECT channel_order_id FROM hub.orders
WHERE connection_id = :connection_id AND merchant_id = :merchant_id AND vanished_at IS NULL
  AND placed_at >= :placed_from AND placed_at < :placed_to
""")

_UNKNOWN = text("""
SELECT asked.id FROM unnest(CAST(:order_ids AS text[])) WITH ORDINALITY AS asked (id, nth)
WHERE NOT EXISTS (
    SELECT FROM hub.orders
    WHERE connection_id = :connection_id AND channel_order_id = asked.id AND vanished_at IS NULL
) ORDER BY nth
""")


def placed_order_ids(
    tx: Transaction, *, connection_id: int, merchant_id: int, placed_from: datetime, placed_to: datetime
) -> frozenset[str]:
    """Return the ids of a connection's orders placed in [placed_from, placed_to) that have not vanished."""
    rows = tx.execute(
        _PLACED,
        {"connection_id": connection_id, "merchant_id": merchant_id, "placed_from": placed_from,
         "placed_to": placed_to},
    )  # fmt: skip
    return frozenset(row.channel_order_id for row in rows)


def unknown_order_ids(tx: Transaction, connection_id: int, order_ids: Sequence[str]) -> tuple[str, ...]:
    """Return those of the ids that stand for no order here, or for one that had vanished, in their order."""
    asked = {"connection_id": connection_id, "order_ids": list(order_ids)}
    return tuple(row.id for row in tx.execute(_UNKNOWN, asked))
