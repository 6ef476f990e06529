"""Sessions of the console, and authorisations at channels that are under way.

What belongs here: rows of `web_sessions` and `oauth_states`, by the hashes of their tokens. Not here: the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from oms_hub.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class Session:
    """A person's session. `merchant_id` is the business that is looked at."""

    user_id: int
    merchant_id: int | None


@dataclass(frozen=True, slots=True)
class PendingState:
    """An authorisation under way; `sealed` and `granted` are encrypted."""

    merchant_id: int
    channel: str
    connection_name: str
    sealed: bytes
    granted: bytes | None


def start_session(tx: Transaction, session_hash: bytes, *, user_id: int, merchant_id: int | None, at: datetime) -> None:
    """Keep a new session."""
    tx.execute(
        text(
            "INSERT INTO hub.web_sessions (session_hash, user_id, merchant_id, created_at, seen_at) "
            "VALUES (:hash, :user_id, :merchant_id, :at, :at)"
        ),
        {"hash": session_hash, "user_id": user_id, "merchant_id": merchant_id, "at": at},
    )


def use_session(
    tx: Transaction, session_hash: bytes, *, at: datetime, seen_after: datetime, created_after: datetime
) -> Session | None:
    """Return a session that is still good, and note that it was used; None where it is unknown or too old."""
    row = tx.execute(
        text(
            "UPDATE hub.web_sessions s SET seen_at = :at FROM hub.users u "
            "WHERE s.session_hash = :hash AND s.seen_at > :seen_after AND s.created_at > :created_after "
            "AND u.user_id = s.user_id AND u.is_active RETURNING s.user_id, s.merchant_id"
        ),
        {"hash": session_hash, "at": at, "seen_after": seen_after, "created_after": created_after},
    ).one_or_none()
    return None if row is None else Session(*row)


def look_at_merchant(tx: Transaction, session_hash: bytes, merchant_id: int) -> None:
    """Have a session look at another business."""
    tx.execute(
        text("UPDATE hub.web_sessions SET merchant_id = :merchant_id WHERE session_hash = :hash"),
        {"hash": session_hash, "merchant_id": merchant_id},
    )


def end_session(tx: Transaction, session_hash: bytes) -> None:
    """End a session, and the authorisations that it began."""
    for table in ("web_sessions", "oauth_states"):
        tx.execute(text(f"DELETE FROM hub.{table} WHERE session_hash = :hash"), {"hash": session_hash})


def forget_old_sessions(tx: Transaction, *, seen_before: datetime, created_before: datetime) -> None:
    """Delete sessions that are worth nothing any more."""
    tx.execute(
        text("DELETE FROM hub.web_sessions WHERE seen_at < :seen OR created_at < :created"),
        {"seen": seen_before, "created": created_before},
    )


def keep_state(
    tx: Transaction, state_hash: bytes, session_hash: bytes, pending: PendingState, *, until: datetime
) -> None:
    """Keep an authorisation that begins now; those that were never ended are deleted when their time is up."""
    tx.execute(text("DELETE FROM hub.oauth_states WHERE expires_at < now()"))
    tx.execute(
        text(
            "INSERT INTO hub.oauth_states (state_hash, session_hash, merchant_id, channel, connection_name, sealed, "
            "expires_at) VALUES (:state, :session, :merchant_id, :channel, :name, :sealed, :until)"
        ),
        {
            "state": state_hash, "session": session_hash, "merchant_id": pending.merchant_id,
            "channel": pending.channel, "name": pending.connection_name, "sealed": pending.sealed, "until": until,
        },
    )  # fmt: skip


def take_state(tx: Transaction, state_hash: bytes, session_hash: bytes, *, at: datetime) -> PendingState | None:
    """Use an authorisation up and return it; None where it is unknown, too old, used before, or of another session."""
    row = tx.execute(
        text(
            "DELETE FROM hub.oauth_states WHERE state_hash = :state AND session_hash = :session "
            "RETURNING merchant_id, channel, connection_name, sealed, granted, expires_at"
        ),
        {"state": state_hash, "session": session_hash},
    ).one_or_none()
    if row is None or row.expires_at <= at:
        return None
    return PendingState(row.merchant_id, row.channel, row.connection_name, row.sealed, row.granted)


def peek_state(tx: Transaction, state_hash: bytes, *, at: datetime) -> PendingState | None:
    """Return an authorisation under way without using it up: for what a channel delivers on its own way."""
    row = tx.execute(
        text(
            "SELECT merchant_id, channel, connection_name, sealed, granted FROM hub.oauth_states "
            "WHERE state_hash = :state AND expires_at > :at AND granted IS NULL FOR UPDATE"
        ),
        {"state": state_hash, "at": at},
    ).one_or_none()
    return None if row is None else PendingState(*row)


def deliver_state(tx: Transaction, state_hash: bytes, granted: bytes) -> None:
    """Keep what a channel delivered for an authorisation, until its session comes back for it."""
    tx.execute(
        text("UPDATE hub.oauth_states SET granted = :granted WHERE state_hash = :state"),
        {"state": state_hash, "granted": granted},
    )
