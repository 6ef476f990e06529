"""People who may sign in to the console, and what each may do for which merchant.

What belongs here: rows of `users`, `memberships` and `sign_in_failures`. Not here: passwords and codes themselves
(`oms_hub.web.passwords`), sessions (`sessions`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction

Role: TypeAlias = Literal["owner", "operator", "viewer"]

_EMAIL = re.compile(r"[^@\s<>\"',;:\\]{1,64}@[^@\s<>\"',;:\\]{1,190}")
_COLUMNS = "user_id, email, password_hash, totp_secret, totp_step, is_active"


@dataclass(frozen=True, slots=True)
class User:
    """A person; `totp_secret` is encrypted."""

    user_id: int
    email: str
    password_hash: str
    totp_secret: bytes | None
    totp_step: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """A business that a person works for."""

    merchant_id: int
    merchant: str
    currency: str
    time_zone: str
    role: Role


@dataclass(frozen=True, slots=True)
class Member:
    """A person as the other people of a business see them."""

    user_id: int
    email: str
    role: Role
    has_totp: bool
    is_active: bool


def plain_email(given: str) -> str:
    """Return an e-mail address in the form that it is kept in; raises Misconfigured where it is none."""
    email = given.strip().lower()
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise Misconfigured("That is no e-mail address", remedy="Give an address such as ana@shop.example")
    return email


def add_user(tx: Transaction, email: str, *, password_hash: str) -> User:
    """Add a person and return them.

    Raises:
        Misconfigured: the address is none, or somebody has it already.
    """
    row = tx.execute(
        text(
            "INSERT INTO hub.users (email, password_hash) VALUES (:email, :password_hash) "
            f"ON CONFLICT (email) DO NOTHING RETURNING {_COLUMNS}"
        ),
        {"email": plain_email(email), "password_hash": password_hash},
    ).one_or_none()
    if row is None:
        raise Misconfigured(f"There is a user {plain_email(email)} already", remedy="Give that person a role instead")
    return User(*row)


def find_user(tx: Transaction, email: str) -> User | None:
    """Return the person with an address, None where nobody has it."""
    row = tx.execute(
        text(f"SELECT {_COLUMNS} FROM hub.users WHERE email = :email"), {"email": email.strip().lower()}
    ).one_or_none()
    return None if row is None else User(*row)


def get_user(tx: Transaction, user_id: int) -> User:
    """Return a person by number; raises Misconfigured where there is none."""
    row = tx.execute(text(f"SELECT {_COLUMNS} FROM hub.users WHERE user_id = :id"), {"id": user_id}).one_or_none()
    if row is None:
        raise Misconfigured(f"There is no user {user_id}")
    return User(*row)


def has_users(tx: Transaction) -> bool:
    """Return whether anybody may sign in at all."""
    return bool(tx.execute(text("SELECT EXISTS (SELECT FROM hub.users)")).scalar_one())


def set_password(tx: Transaction, user_id: int, password_hash: str) -> None:
    """Give a person another password; all of their sessions end."""
    tx.execute(
        text("UPDATE hub.users SET password_hash = :hash WHERE user_id = :id"), {"hash": password_hash, "id": user_id}
    )
    tx.execute(text("DELETE FROM hub.web_sessions WHERE user_id = :id"), {"id": user_id})


def set_totp(tx: Transaction, user_id: int, secret: bytes | None) -> None:
    """Turn one-time codes on (the encrypted secret) or off (None)."""
    tx.execute(
        text("UPDATE hub.users SET totp_secret = :secret WHERE user_id = :id"), {"secret": secret, "id": user_id}
    )


def use_totp_step(tx: Transaction, user_id: int, step: int) -> bool:
    """Use up a one-time code's time step; False where it, or a later one, was used before."""
    used = tx.execute(
        text("UPDATE hub.users SET totp_step = :step WHERE user_id = :id AND totp_step < :step"),
        {"step": step, "id": user_id},
    )
    return used.rowcount == 1


def memberships_of(tx: Transaction, user_id: int) -> Sequence[Membership]:
    """Return the businesses that a person works for, by name."""
    rows = tx.execute(
        text(
            "SELECT m.merchant_id, m.name, m.currency, m.time_zone, s.role "
            "FROM hub.memberships s JOIN hub.merchants m USING (merchant_id) WHERE s.user_id = :id ORDER BY m.name"
        ),
        {"id": user_id},
    )
    return [Membership(*row) for row in rows]


def members_of(tx: Transaction, merchant_id: int) -> Sequence[Member]:
    """Return the people of a business, by address."""
    rows = tx.execute(
        text(
            "SELECT u.user_id, u.email, s.role, u.totp_secret IS NOT NULL, u.is_active "
            "FROM hub.memberships s JOIN hub.users u USING (user_id) WHERE s.merchant_id = :id ORDER BY u.email"
        ),
        {"id": merchant_id},
    )
    return [Member(*row) for row in rows]


def set_role(tx: Transaction, user_id: int, merchant_id: int, role: Role) -> None:
    """Say what a person may do for a business; raises Misconfigured where nobody would own it any more."""
    tx.execute(
        text(
            "INSERT INTO hub.memberships (user_id, merchant_id, role) VALUES (:user_id, :merchant_id, :role) "
            "ON CONFLICT (user_id, merchant_id) DO UPDATE SET role = excluded.role"
        ),
        {"user_id": user_id, "merchant_id": merchant_id, "role": role},
    )
    _require_owner(tx, merchant_id, is_wanted=role != "owner")


def remove_member(tx: Transaction, user_id: int, merchant_id: int) -> None:
    """Take a person's rights for a business away; sessions that look at it look at nothing any more."""
    values = {"user_id": user_id, "merchant_id": merchant_id}
    tx.execute(text("DELETE FROM hub.memberships WHERE user_id = :user_id AND merchant_id = :merchant_id"), values)
    _require_owner(tx, merchant_id, is_wanted=True)


def _require_owner(tx: Transaction, merchant_id: int, *, is_wanted: bool) -> None:
    query = "SELECT count(*) FROM hub.memberships WHERE merchant_id = :id AND role = 'owner'"
    has_people = "SELECT count(*) FROM hub.memberships WHERE merchant_id = :id"
    owners, people = (tx.execute(text(each), {"id": merchant_id}).scalar_one() for each in (query, has_people))
    if is_wanted and not owners and people:
        raise Misconfigured("Nobody would own the business any more", remedy="Make somebody else an owner first")


def count_failures(tx: Transaction, who: bytes, *, since: datetime) -> int:
    """Return how many sign-ins of an address failed since an instant."""
    query = "SELECT count(*) FROM hub.sign_in_failures WHERE who = :who AND failed_at > :since"
    return int(tx.execute(text(query), {"who": who, "since": since}).scalar_one())


def record_sign_in_failure(tx: Transaction, whos: Sequence[bytes], *, at: datetime, forget_before: datetime) -> None:
    """Write down that a sign-in failed, and forget failures that count no more."""
    tx.execute(text("DELETE FROM hub.sign_in_failures WHERE failed_at < :before"), {"before": forget_before})
    tx.execute(
        text(
            "INSERT INTO hub.sign_in_failures (who, failed_at) SELECT who, :at FROM unnest(CAST(:whos AS bytea[])) who"
        ),
        {"whos": list(whos), "at": at},
    )


def forget_failures(tx: Transaction, who: bytes) -> None:
    """Start counting anew after a sign-in that went well."""
    tx.execute(text("DELETE FROM hub.sign_in_failures WHERE who = :who"), {"who": who})
