"""One exception by its number."""

from __future__ import annotations

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.exceptions import StoredException


def get_exception(tx: Transaction, exception_id: int) -> StoredException | None:
    """Return an exception in whatever state, None where there is none of that number."""
    row = tx.execute(
        text(
            "SELECT e.exception_id, e.kind, e.reference, e.message, e.remedy, e.state, m.name AS merchant, "
            "c.name AS connection, e.opened_at, e.last_seen_at, e.occurrences, e.closed_at, e.closed_reason "
            "FROM hub.exceptions e JOIN hub.merchants m USING (merchant_id) "
            "LEFT JOIN hub.connections c USING (connection_id) WHERE e.exception_id = :id"
        ),
        {"id": exception_id},
    ).one_or_none()
    return None if row is None else StoredException(**row._mapping)
