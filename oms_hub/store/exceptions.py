"""The queues of what needs a person: one open row per kind and reference, however often it is seen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, text

from oms_hub.errors import Misconfigured
from oms_hub.store.copy_text import text_array
from oms_hub.store.engine import Transaction
from oms_hub.store.schema import connections, exceptions, merchants

KINDS = (
    "unmapped_sku", "out_of_stock", "awaiting_payment", "on_hold", "bad_payload", "total_mismatch",
    "needs_reconnect", "push_rejected", "source_changed", "duplicate_sku", "unknown_word", "orders_missing",
    "sync_failed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenException:
    """Something that needs a person. `reference` is what it is about: an order id, a SKU, a listing key."""

    kind: str
    reference: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class StoredException:
    """An exception as the store keeps it."""

    exception_id: int
    kind: str
    reference: str
    message: str
    remedy: str
    state: str
    merchant: str
    connection: str | None
    opened_at: datetime
    last_seen_at: datetime
    occurrences: int
    closed_at: datetime | None
    closed_reason: str


_OPEN = text("""
INSERT INTO hub.exceptions (merchant_id, connection_id, kind, reference, message, remedy)
SELECT :merchant_id, :connection_id, found.kind, found.reference, found.message, found.remedy
FROM unnest(CAST(:kinds AS text[]), CAST(:refs AS text[]), CAST(:messages AS text[]), CAST(:remedies AS text[]))
    AS found (kind, reference, message, remedy)
WHERE NOT (:respects_dismissal AND EXISTS (
    SELECT FROM hub.exceptions AS known
    WHERE known.merchant_id = :merchant_id AND known.kind = found.kind AND known.reference = found.reference
      AND coalesce(known.connection_id, 0) = coalesce(CAST(:connection_id AS integer), 0)
      AND known.state = 'dismissed' AND known.message = found.message
))
ORDER BY found.kind, found.reference
ON CONFLICT (merchant_id, (coalesce(connection_id, 0)), kind, reference) WHERE state = 'open'
DO UPDATE SET message = excluded.message, remedy = excluded.remedy, last_seen_at = now(),
    occurrences = exceptions.occurrences + 1
WHERE :counts_again OR exceptions.message <> excluded.message
""")

_RESOLVE = """
UPDATE hub.exceptions SET state = 'resolved', closed_at = now(), closed_reason = :reason
WHERE state = 'open' AND merchant_id = :merchant_id
  AND coalesce(connection_id, 0) = coalesce(CAST(:connection_id AS integer), 0) AND kind = :kind
"""


_SETTLE = text("""
UPDATE hub.exceptions SET state = 'resolved', closed_at = now(), closed_reason = :reason
WHERE state = 'open' AND merchant_id = :merchant_id AND coalesce(connection_id, 0) = :connection_id
  AND kind = ANY(CAST(:kinds AS text[])) AND reference = ANY(CAST(:refs AS text[]))
  AND NOT EXISTS (
    SELECT FROM unnest(CAST(:kept_kinds AS text[]), CAST(:kept_refs AS text[])) AS kept (kind, reference)
    WHERE kept.kind = exceptions.kind AND kept.reference = exceptions.reference
  )
""")


def open_exceptions(
    tx: Transaction,
    *,
    merchant_id: int,
    connection_id: int | None,
    found: Sequence[OpenException],
    respects_dismissal: bool = False,
    counts_again: bool = True,
) -> None:
    """Open these exceptions; one that is open already only counts one more occurrence.

    Args:
        tx: the transaction.
        merchant_id: whose they are.
        connection_id: where they were found, None for a merchant as a whole.
        found: what was found.
        respects_dismissal: True for facts that stay as they are (a sum that does not add up): what a person dismissed
            is not opened again as long as it says the same.
        counts_again: False where the same thing is only looked at again.
    """
    unique = {(each.kind, each.reference): each for each in found}
    if not unique:
        return
    for each in unique.values():
        if each.kind not in KINDS:
            raise ValueError(f"unknown kind of exception: {each.kind}")
    tx.execute(
        _OPEN,
        {
            "merchant_id": merchant_id,
            "connection_id": connection_id,
            "kinds": text_array(each.kind for each in unique.values()),
            "refs": text_array(each.reference for each in unique.values()),
            "messages": text_array(each.message for each in unique.values()),
            "remedies": text_array(each.remedy for each in unique.values()),
            "respects_dismissal": respects_dismissal,
            "counts_again": counts_again,
        },
    )


def settle_exceptions(
    tx: Transaction,
    *,
    merchant_id: int,
    connection_id: int,
    kinds: Sequence[str],
    references: Sequence[str],
    still_open: Collection[tuple[str, str]],
    reason: str,
) -> None:
    """Close the open exceptions of these kinds and references, but for the (kind, reference) pairs that still hold."""
    kept = sorted(still_open)
    tx.execute(
        _SETTLE,
        {
            "merchant_id": merchant_id,
            "connection_id": connection_id,
            "kinds": list(kinds),
            "refs": text_array(references),
            "kept_kinds": [kind for kind, _ in kept],
            "kept_refs": [reference for _, reference in kept],
            "reason": reason,
        },
    )


def resolve_exceptions(
    tx: Transaction,
    *,
    merchant_id: int,
    connection_id: int | None,
    kind: str,
    references: Sequence[str] | None = None,
    reason: str,
) -> int:
    """Close open exceptions of a kind, all of them or those of the references, and return how many were open."""
    if references is not None and not references:
        return 0
    statement = _RESOLVE + ("" if references is None else " AND reference = ANY(CAST(:refs AS text[]))")
    values: dict[str, Any] = {
        "merchant_id": merchant_id, "connection_id": connection_id, "kind": kind, "reason": reason,
    }  # fmt: skip
    if references is not None:
        values["refs"] = text_array(references)
    return int(tx.execute(text(statement), values).rowcount)


def list_exceptions(
    tx: Transaction,
    *,
    state: str | None = "open",
    merchant: str | None = None,
    connection: str | None = None,
    kind: str | None = None,
    limit: int = 1000,
) -> Sequence[StoredException]:
    """Return exceptions, newest first; `state` None means in whatever state."""
    query = _query().order_by(exceptions.c.exception_id.desc()).limit(limit)
    wanted = {exceptions.c.state: state, merchants.c.name: merchant, connections.c.name: connection,
              exceptions.c.kind: kind}  # fmt: skip
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    return [StoredException(**row._mapping) for row in tx.execute(query)]


def dismiss_exception(tx: Transaction, exception_id: int, reason: str) -> None:
    """Close one open exception because a person says so.

    Raises:
        Misconfigured: there is no open exception of that number.
    """
    closed = tx.execute(
        text(
            "UPDATE hub.exceptions SET state = 'dismissed', closed_at = now(), closed_reason = :reason"
            " WHERE exception_id = :exception_id AND state = 'open'"
        ),
        {"exception_id": exception_id, "reason": reason},
    ).rowcount
    if not closed:
        raise Misconfigured(f"There is no open exception {exception_id}", remedy="See: oms-hub exceptions list")


def _query() -> Select[Any]:
    names = ("exception_id", "kind", "reference", "message", "remedy", "state", "opened_at", "last_seen_at",
             "occurrences", "closed_at", "closed_reason")  # fmt: skip
    return (
        select(
            *(exceptions.c[name] for name in names),
            merchants.c.name.label("merchant"),
            connections.c.name.label("connection"),
        )
        .join(merchants, merchants.c.merchant_id == exceptions.c.merchant_id)
        .join(connections, connections.c.connection_id == exceptions.c.connection_id, isouter=True)
    )
