"""Quarantine: raw records that could not be read, each with the reason, beside the rest that went on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, text

from oms_hub.store.copy_text import text_array
from oms_hub.store.engine import Transaction
from oms_hub.store.exceptions import OpenException, open_exceptions, resolve_exceptions
from oms_hub.store.schema import quarantine

_RETRY = "Correct the record at the channel, or update oms-hub, then: oms-hub exceptions retry"


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be read. `reason` names places and types, never values."""

    record_id: str
    kind: str
    page_id: int
    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A bad record as the store keeps it."""

    record_id: str
    kind: str
    page_id: int
    position: int
    reason: str
    state: str
    first_seen_at: datetime
    last_seen_at: datetime
    attempts: int


_ADD = text("""
INSERT INTO hub.quarantine (connection_id, record_id, merchant_id, kind, page_id, position, reason)
SELECT :connection_id, bad.record_id, :merchant_id, bad.kind, bad.page_id, bad.position, bad.reason
FROM unnest(CAST(:record_ids AS text[]), CAST(:kinds AS text[]), CAST(:page_ids AS bigint[]),
            CAST(:positions AS integer[]), CAST(:reasons AS text[])) AS bad (record_id, kind, page_id, position, reason)
ON CONFLICT (connection_id, record_id) DO UPDATE SET kind = excluded.kind, page_id = excluded.page_id,
    position = excluded.position, reason = excluded.reason, state = 'open', last_seen_at = now(),
    attempts = quarantine.attempts + 1
""")

_RESOLVE = text("""
UPDATE hub.quarantine SET state = 'resolved', last_seen_at = now()
WHERE connection_id = :connection_id AND record_id = ANY(CAST(:record_ids AS text[])) AND state <> 'resolved'
RETURNING record_id
""")


def quarantine_records(tx: Transaction, *, connection_id: int, merchant_id: int, bad: Sequence[BadRecord]) -> None:
    """Put records into quarantine, the last one of each id, and open their exceptions."""
    unique = list({record.record_id: record for record in bad}.values())
    if not unique:
        return
    tx.execute(
        _ADD,
        {
            "connection_id": connection_id,
            "merchant_id": merchant_id,
            "record_ids": [record.record_id for record in unique],
            "kinds": [record.kind for record in unique],
            "page_ids": [record.page_id for record in unique],
            "positions": [record.position for record in unique],
            "reasons": [record.reason for record in unique],
        },
    )
    open_exceptions(
        tx,
        merchant_id=merchant_id,
        connection_id=connection_id,
        found=[OpenException("bad_payload", record.record_id, record.reason, _RETRY) for record in unique],
    )


def resolve_quarantine(
    tx: Transaction, *, connection_id: int, merchant_id: int, record_ids: Sequence[str], reason: str
) -> int:
    """Take records out of quarantine, close their exceptions, and return how many were in it."""
    asked = {"connection_id": connection_id, "record_ids": text_array(record_ids)}
    resolved = [row.record_id for row in tx.execute(_RESOLVE, asked)]
    resolve_exceptions(
        tx,
        merchant_id=merchant_id,
        connection_id=connection_id,
        kind="bad_payload",
        references=resolved,
        reason=reason,
    )
    return len(resolved)


def has_quarantined(tx: Transaction, connection_id: int, record_id: str | None = None) -> bool:
    """Return whether a connection has open records in quarantine (or this one)."""
    query = _open_pages(connection_id)
    if record_id is not None:
        query = query.where(quarantine.c.record_id == record_id)
    return tx.execute(query.limit(1)).first() is not None


def page_of(tx: Transaction, connection_id: int, record_id: str) -> int | None:
    """Return the raw page of a record that is in quarantine now, else None."""
    page_id: int | None = tx.scalar(_open_pages(connection_id).where(quarantine.c.record_id == record_id))
    return page_id


def _open_pages(connection_id: int) -> Select[Any]:
    return select(quarantine.c.page_id).where(quarantine.c.connection_id == connection_id, quarantine.c.state == "open")


def list_quarantine(tx: Transaction, connection_id: int, *, state: str = "open") -> Sequence[QuarantinedRecord]:
    """Return a connection's records in quarantine, by id."""
    columns = [column for column in quarantine.c if column.name not in ("connection_id", "merchant_id")]
    query = (
        select(*columns)
        .where(quarantine.c.connection_id == connection_id, quarantine.c.state == state)
        .order_by(quarantine.c.record_id)
    )
    return [QuarantinedRecord(**row._mapping) for row in tx.execute(query)]
