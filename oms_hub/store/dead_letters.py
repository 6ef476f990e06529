"""Pushes that were given up, in a person's hands: look, try again, let go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction
from oms_hub.store.exceptions import resolve_exceptions
from oms_hub.store.stock import mark_dirty


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A level that a channel refused for good, or too often."""

    outbox_id: int
    connection: str
    listing_key: str
    sku: str | None
    to_level: int
    reason: str
    attempts: int
    closed_at: datetime


def list_dead(tx: Transaction, merchant_id: int) -> Sequence[DeadLetter]:
    """Return a merchant's dead letters, newest first."""
    rows = tx.execute(
        text(
            """
            SELECT o.outbox_id, c.name, o.listing_key, s.sku, o.to_level, o.last_error, o.attempts, o.closed_at
            FROM hub.outbox o JOIN hub.connections c USING (connection_id)
            LEFT JOIN hub.listings l USING (connection_id, listing_key) LEFT JOIN hub.skus s USING (sku_id)
            WHERE o.merchant_id = :merchant_id AND o.state = 'dead' ORDER BY o.outbox_id DESC
            """
        ),
        {"merchant_id": merchant_id},
    )
    return [DeadLetter(*row) for row in rows]


def retry_dead(tx: Transaction, outbox_id: int) -> None:
    """Have a dead letter's SKU computed anew by the next plan, which sends what is right then.

    The letter is closed: its own level may be long out of date.

    Raises:
        Misconfigured: there is no such dead letter.
    """
    _close(tx, outbox_id, "tried again")


def dismiss_dead(tx: Transaction, outbox_id: int, reason: str) -> None:
    """Let a dead letter go because a person says so.

    Raises:
        Misconfigured: there is no such dead letter.
    """
    _close(tx, outbox_id, reason, is_planned_again=False)


def _close(tx: Transaction, outbox_id: int, reason: str, *, is_planned_again: bool = True) -> None:
    row = tx.execute(
        text(
            """
            UPDATE hub.outbox o SET state = 'dismissed', closed_at = now()
            FROM hub.listings l
            WHERE o.outbox_id = :outbox_id AND o.state = 'dead'
              AND l.connection_id = o.connection_id AND l.listing_key = o.listing_key
            RETURNING o.merchant_id, o.connection_id, o.listing_key, l.sku_id
            """
        ),
        {"outbox_id": outbox_id},
    ).one_or_none()
    if row is None:
        raise Misconfigured(f"There is no dead letter {outbox_id}", remedy="See: oms-hub exceptions list")
    resolve_exceptions(
        tx,
        merchant_id=row.merchant_id,
        connection_id=row.connection_id,
        kind="push_rejected",
        references=[row.listing_key],
        reason=reason,
    )
    if is_planned_again and row.sku_id is not None:
        mark_dirty(tx, row.merchant_id, [row.sku_id])
