"""Tokens for scripts: what each opens, for how long.

What belongs here: rows of `api_tokens`, by the tokens' hashes. Not here: the tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction
from oms_hub.store.users import Role


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as its business sees it."""

    token_id: int
    name: str
    role: Role
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenBearer:
    """What a token opens."""

    name: str
    role: Role
    merchant_id: int
    merchant: str


def add_token(
    tx: Transaction, token_hash: bytes, *, merchant_id: int, name: str, role: Role, user_id: int, until: datetime
) -> int:
    """Keep a token's hash and return its number."""
    found: int = tx.execute(
        text(
            "INSERT INTO hub.api_tokens (merchant_id, name, token_hash, role, created_by, expires_at) "
            "VALUES (:merchant_id, :name, :hash, :role, :user_id, :until) RETURNING token_id"
        ),
        {
            "merchant_id": merchant_id, "name": name, "hash": token_hash, "role": role, "user_id": user_id,
            "until": until,
        },
    ).scalar_one()  # fmt: skip
    return found


def use_token(tx: Transaction, token_hash: bytes, *, at: datetime) -> TokenBearer | None:
    """Return what a token opens, and note that it was used; None where it is unknown or its time is up."""
    row = tx.execute(
        text(
            "UPDATE hub.api_tokens t SET used_at = :at FROM hub.merchants m, hub.memberships s, hub.users u "
            "WHERE t.token_hash = :hash AND t.expires_at > :at AND m.merchant_id = t.merchant_id "
            "AND s.merchant_id = t.merchant_id AND s.user_id = t.created_by AND u.user_id = t.created_by "
            "AND u.is_active RETURNING t.name, t.role, m.merchant_id, m.name"
        ),
        {"hash": token_hash, "at": at},
    ).one_or_none()
    return None if row is None else TokenBearer(*row)


def list_tokens(tx: Transaction, merchant_id: int) -> Sequence[ApiToken]:
    """Return the tokens of a business, the newest first."""
    rows = tx.execute(
        text(
            "SELECT t.token_id, t.name, t.role, u.email, t.created_at, t.expires_at, t.used_at "
            "FROM hub.api_tokens t JOIN hub.users u ON u.user_id = t.created_by "
            "WHERE t.merchant_id = :id ORDER BY t.token_id DESC"
        ),
        {"id": merchant_id},
    )
    return [ApiToken(*row) for row in rows]


def revoke_token(tx: Transaction, merchant_id: int, token_id: int) -> str:
    """Delete a token of a business and return its name; raises Misconfigured where it has no such token."""
    name = tx.execute(
        text("DELETE FROM hub.api_tokens WHERE token_id = :token AND merchant_id = :id RETURNING name"),
        {"token": token_id, "id": merchant_id},
    ).scalar_one_or_none()
    if name is None:
        raise Misconfigured(f"There is no token {token_id}")
    return str(name)
