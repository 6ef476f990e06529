"""Health: how fresh each connection is, and how often it failed in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from oms_hub.store.engine import Transaction
from oms_hub.store.schema import connection_health

Freshness: TypeAlias = Literal["pull", "push"]


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """Freshness of one connection."""

    connection_id: int
    merchant_id: int
    last_good_pull_at: datetime | None
    last_good_push_at: datetime | None
    last_failure_at: datetime | None
    last_failure: str
    consecutive_failures: int


def record_good(tx: Transaction, *, connection_id: int, merchant_id: int, what: Freshness, at: datetime) -> None:
    """Record that a whole pull or push went well at an instant; failures in a row start again at 0."""
    column = f"last_good_{what}_at"
    statement = upsert(connection_health).values(
        {"connection_id": connection_id, "merchant_id": merchant_id, column: at, "consecutive_failures": 0}
    )
    tx.execute(
        statement.on_conflict_do_update(index_elements=["connection_id"], set_={column: at, "consecutive_failures": 0})
    )


def record_failure(tx: Transaction, *, connection_id: int, merchant_id: int, message: str, at: datetime) -> None:
    """Record a failed step with its reason in one line."""
    statement = upsert(connection_health).values(
        connection_id=connection_id, merchant_id=merchant_id, last_failure_at=at, last_failure=message,
        consecutive_failures=1,
    )  # fmt: skip
    in_a_row = func.least(connection_health.c.consecutive_failures + 1, 32_000)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["connection_id"],
            set_={"last_failure_at": at, "last_failure": message, "consecutive_failures": in_a_row},
        )
    )


def list_health(tx: Transaction) -> Sequence[ConnectionHealth]:
    """Return the freshness of all connections, by id."""
    query = select(connection_health).order_by(connection_health.c.connection_id)
    return [ConnectionHealth(**row._mapping) for row in tx.execute(query)]
