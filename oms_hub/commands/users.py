"""`oms-hub users ...`: who may sign in to the console."""

from __future__ import annotations

import sys
from typing import Literal

import typer

from oms_hub.commands.context import opened_store
from oms_hub.commands.output import say, show_rows
from oms_hub.errors import Misconfigured
from oms_hub.store.audit import write_audit
from oms_hub.store.merchants import get_merchant, list_merchants
from oms_hub.store.users import add_user, find_user, members_of, plain_email, set_password, set_role, set_totp

users_app = typer.Typer(help="People who may sign in to the console.", no_args_is_help=True)
COLUMNS = ("email", "merchant", "role", "codes", "active")
_ACTOR = "command line"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(users_app, name="users")


@users_app.command("add")
def add(
    email: str,
    merchant: str = typer.Option(..., help="The merchant's name."),
    role: Literal["owner", "operator", "viewer"] = typer.Option("viewer", help="What the person may do."),
) -> None:
    """Add a person, or give somebody who is known a role; the password is asked for, or read from standard input."""
    with opened_store() as store:
        with store.read() as tx:
            owner = get_merchant(tx, merchant)
            known = find_user(tx, plain_email(email))
        hashed = "" if known else _hashed(plain_email(email))
        with store.begin() as tx:
            user = known or add_user(tx, email, password_hash=hashed)
            set_role(tx, user.user_id, owner.merchant_id, role)
            write_audit(
                tx, merchant_id=owner.merchant_id, actor=_ACTOR, action="person.add", subject=user.email,
                detail={"role": role},
            )  # fmt: skip
    say(f"{user.email} is {role} of {merchant}. Sign in: oms-hub serve")


@users_app.command("password")
def password(email: str) -> None:
    """Give a person another password; one-time codes are turned off and all sessions end."""
    with opened_store() as store:
        with store.read() as tx:
            user = find_user(tx, email)
        if user is None:
            raise Misconfigured(f"There is no user {email}", remedy="See: oms-hub users list")
        hashed = _hashed(user.email)
        with store.begin() as tx:
            set_password(tx, user.user_id, hashed)
            set_totp(tx, user.user_id, None)
            write_audit(tx, merchant_id=None, actor=_ACTOR, action="account.password", subject=user.email)
    say(f"{user.email} has another password; one-time codes are off.")


@users_app.command("list")
def list_all(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List people and their roles."""
    with opened_store() as store, store.read() as tx:
        rows = [
            {
                "email": member.email, "merchant": merchant.name, "role": member.role, "codes": member.has_totp,
                "active": member.is_active,
            }
            for merchant in list_merchants(tx)
            for member in members_of(tx, merchant.merchant_id)
        ]  # fmt: skip
    show_rows(
        rows, COLUMNS, as_json=as_json, empty="No users yet: oms-hub users add EMAIL --merchant NAME --role owner"
    )


def _hashed(email: str) -> str:
    from argon2 import PasswordHasher  # noqa: PLC0415 (only these commands need it)

    from oms_hub.web.passwords import hash_password, new_password  # noqa: PLC0415

    if sys.stdin.isatty():
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        given = sys.stdin.readline().strip("\r\n")
    return hash_password(PasswordHasher(), new_password(given, email=email))
