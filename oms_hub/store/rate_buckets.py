"""Token buckets in the store: all processes of all machines together keep to a channel's rate limit.

What belongs here: the two statements. Not here: what a channel's limits are (connectors), the port and the buckets of
one process (`oms_hub.channel.rate_limit`).

Taking is one atomic statement on the server's own clock: the row's lock makes takers queue, and a token taken in
advance (below zero) is a place in that queue, so nobody asks twice. Commits do not wait for the disk: where the
database server itself crashes, at worst some requests of its last moment are not counted.
"""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import text

from oms_hub.store.engine import Store


class Limit(Protocol):
    """What a bucket allows."""

    @property
    def capacity(self) -> float:
        """Return how many requests may be sent at once."""

    @property
    def per_second(self) -> float:
        """Return the refill."""


_REFILLED = (
    "least(CAST(:capacity AS float8), b.tokens + greatest(0, extract(epoch FROM statement_timestamp() - b.read_at))"
    " * b.per_second)"
)
_READ_AT = "read_at = greatest(b.read_at, statement_timestamp())"
"""Whoever waited for the row's lock may carry an earlier instant than the one before it."""

_TAKE = text(f"""
INSERT INTO hub.rate_buckets AS b (merchant_id, name, tokens, per_second, read_at, wait_seconds)
VALUES (:merchant_id, :name, CAST(:capacity AS float8) - 1, :per_second, statement_timestamp(), 0)
ON CONFLICT (merchant_id, name) DO UPDATE SET
    wait_seconds = greatest(0, (1 - {_REFILLED}) / b.per_second),
    tokens = {_REFILLED} - CASE WHEN (1 - {_REFILLED}) / b.per_second <= :patience THEN 1 ELSE 0 END,
    {_READ_AT}
RETURNING wait_seconds
""")

_TOLD = text(f"""
INSERT INTO hub.rate_buckets AS b (merchant_id, name, tokens, per_second, read_at, wait_seconds)
VALUES (:merchant_id, :name, CASE WHEN :is_empty THEN 0 ELSE CAST(:capacity AS float8) END,
        coalesce(CAST(:told AS float8), CAST(:per_second AS float8)), statement_timestamp(), 0)
ON CONFLICT (merchant_id, name) DO UPDATE SET
    tokens = CASE WHEN :is_empty THEN least(0, {_REFILLED}) ELSE {_REFILLED} END,
    per_second = coalesce(CAST(:told AS float8), b.per_second),
    {_READ_AT}
""")


class StoredBuckets:
    """The token buckets of one merchant.

    Args:
        store: where they stand.
        merchant_id: whose they are.
    """

    def __init__(self, store: Store, merchant_id: int) -> None:
        self._store = store
        self._merchant_id = merchant_id

    def take(self, name: str, limit: Limit, *, patience_seconds: float) -> float:
        """Take a token, in advance where none is left, and return how many seconds to wait before using it.

        Where that is longer than `patience_seconds`, nothing is taken; the number then says when to come back.
        """
        with self._store.begin_repeatable() as tx:
            wait = tx.scalar(_TAKE, {**self._asked(name, limit), "patience": patience_seconds})
        return float(wait or 0.0)

    def told(self, name: str, limit: Limit, *, per_second: float | None = None, is_empty: bool = False) -> None:
        """Take over what the channel said: another rate, or that nothing is left (it refused a request)."""
        with self._store.begin_repeatable() as tx:
            tx.execute(_TOLD, {**self._asked(name, limit), "told": per_second, "is_empty": is_empty})

    def _asked(self, name: str, limit: Limit) -> dict[str, object]:
        return {
            "merchant_id": self._merchant_id,
            "name": name,
            "capacity": limit.capacity,
            "per_second": limit.per_second,
        }
