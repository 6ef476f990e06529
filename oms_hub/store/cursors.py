"""Cursors: where each stream of a connection stands, written in the transaction of the data they speak of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from oms_hub.store.engine import Transaction
from oms_hub.store.schema import cursors


def read_cursor(tx: Transaction, connection_id: int, stream: str) -> Mapping[str, Any]:
    """Return where a stream stands, empty where it never moved."""
    position = tx.scalar(
        select(cursors.c.position).where(cursors.c.connection_id == connection_id, cursors.c.stream == stream)
    )
    return position or {}


def write_cursor(
    tx: Transaction, *, connection_id: int, merchant_id: int, stream: str, position: Mapping[str, Any]
) -> None:
    """Move a stream; a position that is the same already touches nothing."""
    statement = upsert(cursors).values(
        connection_id=connection_id, stream=stream, merchant_id=merchant_id, position=dict(position)
    )
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["connection_id", "stream"],
            set_={"position": statement.excluded.position, "updated_at": func.now()},
            where=cursors.c.position.is_distinct_from(statement.excluded.position),
        )
    )


def forget_cursor(tx: Transaction, connection_id: int, stream: str) -> None:
    """Put a stream back to its beginning."""
    tx.execute(delete(cursors).where(cursors.c.connection_id == connection_id, cursors.c.stream == stream))
