"""What the store holds of a connection's orders, as little as tying it out against the channel needs.

What belongs here: reads for checks by the contract suite and for support. Not here: writing orders, reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select

from oms_hub.store.engine import Transaction
from oms_hub.store.schema import order_lines, orders


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """One stored order. `skus` and `titles` are those of its lines, in order."""

    total: Decimal
    placed_at: datetime
    is_vanished: bool
    skus: tuple[str, ...]
    titles: tuple[str, ...]


def read_order_facts(tx: Transaction, connection_id: int) -> Mapping[str, OrderFacts]:
    """Return every order of a connection by the channel's id, vanished ones included."""
    lines = (
        select(
            order_lines.c.channel_order_id,
            func.array_agg(func.coalesce(order_lines.c.channel_sku, "")).label("skus"),
            func.array_agg(order_lines.c.title).label("titles"),
        )
        .where(order_lines.c.connection_id == connection_id)
        .group_by(order_lines.c.channel_order_id)
        .subquery()
    )
    query = (
        select(
            orders.c.channel_order_id, orders.c.total, orders.c.placed_at, orders.c.vanished_at,
            lines.c.skus, lines.c.titles,
        )
        .join(lines, lines.c.channel_order_id == orders.c.channel_order_id, isouter=True)
        .where(orders.c.connection_id == connection_id)
    )  # fmt: skip
    return {
        row.channel_order_id: OrderFacts(
            total=row.total,
            placed_at=row.placed_at,
            is_vanished=row.vanished_at is not None,
            skus=tuple(row.skus or ()),
            titles=tuple(row.titles or ()),
        )
        for row in tx.execute(query)
    }
