"""The audit log: what people did, written with it and never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import text

from oms_hub.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done."""

    audit_id: int
    actor: str
    action: str
    subject: str
    detail: Mapping[str, object]
    address: str
    occurred_at: datetime


def write_audit(
    tx: Transaction,
    *,
    merchant_id: int | None,
    actor: str,
    action: str,
    subject: str = "",
    detail: Mapping[str, object] | None = None,
    address: str = "",
) -> None:
    """Write down what was done, in the transaction that did it; `detail` never holds a secret."""
    tx.execute(
        text(
            "INSERT INTO hub.audit_log (merchant_id, actor, action, subject, detail, address) "
            "VALUES (:merchant_id, :actor, :action, :subject, CAST(:detail AS jsonb), :address)"
        ),
        {
            "merchant_id": merchant_id, "actor": actor, "action": action, "subject": subject,
            "detail": orjson.dumps(dict(detail or {})).decode(), "address": address,
        },
    )  # fmt: skip


def list_audit(
    tx: Transaction, merchant_id: int, *, before: int | None = None, limit: int = 50
) -> Sequence[AuditEntry]:
    """Return what was done for a business, the newest first; `before` goes on after that number."""
    rows = tx.execute(
        text(
            "SELECT audit_id, actor, action, subject, detail, address, occurred_at FROM hub.audit_log "
            "WHERE merchant_id = :id AND audit_id < coalesce(CAST(:before AS bigint), 9223372036854775807) "
            "ORDER BY audit_id DESC LIMIT :limit"
        ),
        {"id": merchant_id, "before": before, "limit": limit},
    )
    return [AuditEntry(*row) for row in rows]
