"""Tables of the merchant console: who may come in, what they did, and authorisations under way.

What belongs here: definitions only, in the metadata of `schema`. None of these tables but the audit log may be touched
by the console's role (`row_security`): they are read before it is known who asks.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

ROLES = ("owner", "operator", "viewer")
_ROLE_KNOWN = f"role IN ({', '.join(repr(role) for role in ROLES)})"


def _merchant(*, null: bool = False, comment: str = "Whose it is") -> Column[Any]:
    return Column("merchant_id", Integer, ForeignKey("hub.merchants.merchant_id"), nullable=null, comment=comment)


def _user(comment: str, *, name: str = "user_id", null: bool = False) -> Column[Any]:
    target = ForeignKey("hub.users.user_id", ondelete="CASCADE")
    return Column(name, Integer, target, nullable=null, comment=comment)


def _text(name: str, comment: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    return Column(name, Text, nullable=null, server_default=default, comment=comment)


def _bytes(name: str, comment: str, *, null: bool = False) -> Column[Any]:
    return Column(name, LargeBinary, nullable=null, comment=comment)


def _at(name: str, comment: str, *, null: bool = False, now: bool = False) -> Column[Any]:
    default = func.now() if now else None
    return Column(name, DateTime(timezone=True), nullable=null, server_default=default, comment=comment)


def _people(metadata: MetaData) -> None:
    Table(
        "users",
        metadata,
        Column("user_id", Integer, Identity(), primary_key=True, comment="Its number"),
        _text("email", "What the person signs in with, in lower case"),
        _text("password_hash", "Argon2id with its parameters"),
        _bytes("totp_secret", "Secret of the one-time codes, encrypted; null where the person uses none", null=True),
        Column("totp_step", BigInteger, nullable=False, server_default=text("0"), comment="Last code's time step"),
        Column("is_active", Boolean, nullable=False, server_default=text("true"), comment="False: may not sign in"),
        _at("created_at", "When the person was added", now=True),
        Index("uq_users_email", "email", unique=True),
        CheckConstraint("email = lower(email) AND position('@' IN email) > 1", name="email_plain"),
        comment="People who may sign in to the console",
    )
    Table(
        "memberships",
        metadata,
        _user("The person"),
        _merchant(comment="The business"),
        _text("role", "owner, operator or viewer"),
        PrimaryKeyConstraint("user_id", "merchant_id"),
        CheckConstraint(_ROLE_KNOWN, name="role_known"),
        Index("ix_memberships_merchant", "merchant_id"),
        comment="What a person may do for which business",
    )
    Table(
        "sign_in_failures",
        metadata,
        Column("failure_id", BigInteger, Identity(), primary_key=True, comment="Its number"),
        _bytes("who", "Hash of the e-mail address or network address that was tried"),
        _at("failed_at", "When", now=True),
        Index("ix_sign_in_failures_who", "who", "failed_at"),
        comment="Sign-ins that failed lately; what limits further tries",
    )


def _keys(metadata: MetaData) -> None:
    Table(
        "web_sessions",
        metadata,
        _bytes("session_hash", "SHA-256 of the cookie's token"),
        _user("Who signed in"),
        _merchant(null=True, comment="The business that is looked at"),
        _at("created_at", "When the person signed in"),
        _at("seen_at", "When the session was last used"),
        PrimaryKeyConstraint("session_hash"),
        Index("ix_web_sessions_user", "user_id"),
        comment="Sessions of the console; the token itself is only in the browser",
    )
    Table(
        "api_tokens",
        metadata,
        Column("token_id", Integer, Identity(), primary_key=True, comment="Its number"),
        _merchant(),
        _text("name", "What people call it"),
        _bytes("token_hash", "SHA-256 of the token"),
        _text("role", "What its bearer may do: operator or viewer"),
        _user("Who made it", name="created_by"),
        _at("created_at", "When it was made", now=True),
        _at("expires_at", "From when it opens nothing"),
        _at("used_at", "When it was last used", null=True),
        Index("uq_api_tokens_token_hash", "token_hash", unique=True),
        Index("ix_api_tokens_merchant", "merchant_id"),
        CheckConstraint("role IN ('operator', 'viewer')", name="role_known"),
        comment="Tokens for scripts; only their hash is kept",
    )
    Table(
        "oauth_states",
        metadata,
        _bytes("state_hash", "SHA-256 of the state that the channel gives back"),
        _bytes("session_hash", "The session that started it; no other may end it"),
        _merchant(),
        _text("channel", "The kind of channel"),
        _text("connection_name", "What the connection will be called"),
        _bytes("sealed", "Settings, secrets and verifier, encrypted"),
        _bytes("granted", "What the channel delivered on its own way, encrypted; null before", null=True),
        _at("expires_at", "From when it is worth nothing"),
        PrimaryKeyConstraint("state_hash"),
        comment="Authorisations at a channel that are under way; each is used once, then deleted",
    )


def _audit(metadata: MetaData) -> None:
    Table(
        "audit_log",
        metadata,
        Column("audit_id", BigInteger, Identity(), primary_key=True, comment="Its number"),
        Column("merchant_id", Integer, nullable=True, comment="Whose business it was; null where none was chosen"),
        _text("actor", "Who did it: an e-mail address, a token's name, or the command line"),
        _text("action", "What was done, such as connection.push_on"),
        _text("subject", "To what: a connection, a person, an exception", default=""),
        Column(
            "detail",
            JSONB,
            nullable=False,
            server_default=text("'{}'::jsonb"),
            comment="What else is worth knowing; never a secret",
        ),
        _text("address", "Network address that it came from", default=""),
        _at("occurred_at", "When", now=True),
        Index("ix_audit_log_merchant", "merchant_id", "audit_id"),
        comment="What people did; append-only (a trigger refuses UPDATE, DELETE and TRUNCATE)",
    )


def define(metadata: MetaData) -> None:
    """Add the tables of this module to the store's metadata."""
    for part in (_people, _keys, _audit):
        part(metadata)
