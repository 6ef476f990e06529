"""Leases: who may work on a connection now.

What belongs here: both halves of a lease. Liveness is an advisory lock held by a database session of its own: it
ends with the holder's process, however that ends, so the next one gets in at once. Correctness is a fence number:
every writing transaction checks that its number is still the newest, and keeps it so until it commits.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import text

from oms_hub.clock import Sleep
from oms_hub.errors import Conflict
from oms_hub.store.engine import Store, Transaction

_PATIENCE_SECONDS = 1.0
"""How long a killed holder's session may take to be noticed by the server."""

_POLL_SECONDS = 0.02
_FENCE_WAIT = "30s"

_TAKE = """
INSERT INTO hub.leases (name, merchant_id, holder, fence) VALUES (%s, %s, %s, 1)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = leases.fence + 1, taken_at = now()
RETURNING fence
"""
_FENCE = text("SELECT fence FROM hub.leases WHERE name = :name FOR SHARE")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for one name, as long as its fence is the newest."""

    name: str
    holder: str
    fence: int

    def assert_held(self, tx: Transaction) -> None:
        """Make sure that this lease stands until the transaction ends; the first statement of every writing one.

        Raises:
            Conflict: somebody else has taken it over; nothing may be written.
        """
        if tx.scalar(_FENCE, {"name": self.name}) != self.fence:
            raise Conflict(f"The lease {self.name} was taken over by another sync")


@contextmanager
def lease(
    store: Store,
    name: str,
    *,
    holder: str,
    merchant_id: int | None = None,
    subject: str | None = None,
    patience_seconds: float = _PATIENCE_SECONDS,
    sleep: Sleep = time.sleep,
) -> Iterator[Lease]:
    """Hold a lease while the block runs.

    Args:
        store: where it is held.
        name: what is worked on, such as `connection:7`.
        holder: who works, for messages.
        merchant_id: whose it is.
        subject: what messages call it; the name if None.
        patience_seconds: how long to go on asking before giving up.
        sleep: waits between two tries.

    Raises:
        Conflict: another process holds it.
    """
    with store.own_session() as session:
        with store.mapped_errors():
            tries = 1 + round(patience_seconds / _POLL_SECONDS)
            _lock(session, name, subject=subject or name, tries=tries, sleep=sleep)
            session.execute("SELECT set_config('lock_timeout', %s, false)", (_FENCE_WAIT,))
            row = session.execute(_TAKE, (name, merchant_id, holder)).fetchone()
        try:
            yield Lease(name, holder, _only(row))
        finally:
            _unlock(session)


def _unlock(session: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Give the lock back at once: a busy server may take its time to notice that a session was closed."""
    with suppress(psycopg.OperationalError):  # the session is gone, and its lock with it
        session.execute("SELECT pg_advisory_unlock_all()")


def _lock(session: psycopg.Connection[tuple[Any, ...]], name: str, *, subject: str, tries: int, sleep: Sleep) -> None:
    key = int.from_bytes(hashlib.blake2b(f"lease:{name}".encode(), digest_size=8).digest(), "big", signed=True)
    for attempt in range(tries):
        if attempt:
            sleep(_POLL_SECONDS)
        if _only(session.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()):
            return
    row = session.execute("SELECT holder, taken_at FROM hub.leases WHERE name = %s", (name,)).fetchone()
    by = f" ({row[0]}, since {row[1]:%Y-%m-%d %H:%M:%S} UTC)" if row else ""
    raise Conflict(f"Another sync is working on {subject}{by}", remedy="Wait until it has ended, then run again")


def _only(row: tuple[Any, ...] | None) -> Any:
    return None if row is None else row[0]
