"""Who works for a business, which tokens open it, what everybody did: for its owners."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from oms_hub.errors import HubError, Misconfigured
from oms_hub.store.api_tokens import add_token, list_tokens, revoke_token
from oms_hub.store.audit import list_audit
from oms_hub.store.users import (
    Role,
    add_user,
    find_user,
    members_of,
    memberships_of,
    plain_email,
    remove_member,
    set_role,
)
from oms_hub.web.csrf import Posted
from oms_hub.web.identity import Owner, Visitor
from oms_hub.web.options import hash_of, new_token
from oms_hub.web.pages import go, show
from oms_hub.web.passwords import hash_password

router = APIRouter(include_in_schema=False)

ROLES: Mapping[str, Role] = {"owner": "owner", "operator": "operator", "viewer": "viewer"}
TOKEN_PREFIX = "omshub_"  # noqa: S105 (what every token begins with)
_MOST_DAYS = 730
_LONGEST_NAME = 80
_ENTRIES = 100


@router.get("/people")
def people(request: Request, visitor: Owner) -> Response:
    """Show people and tokens."""
    return _page(request, visitor)


def _page(request: Request, visitor: Visitor, *, problem: HubError | None = None, **shown: str) -> Response:
    with visitor.site.hub.store.read() as tx:
        members, tokens = members_of(tx, visitor.merchant_id), list_tokens(tx, visitor.merchant_id)
    return show(
        request, "people.html", visitor=visitor, members=members, tokens=tokens, problem=problem, roles=tuple(ROLES),
        shown=shown, status=200 if problem is None else 400,
    )  # fmt: skip


@router.post("/people/add")
def add(request: Request, visitor: Owner, form: Posted) -> Response:
    """Give somebody a role; who is new gets a first password, shown this once."""
    role = ROLES.get(form.get("role", ""), "viewer")
    try:
        email = plain_email(form.get("email", ""))
        password = secrets.token_urlsafe(12)
        hashed = hash_password(visitor.site.options.hasher, password)
        with visitor.site.hub.store.begin() as tx:
            known = find_user(tx, email)
            user = known or add_user(tx, email, password_hash=hashed)
            if visitor.merchant_id in {each.merchant_id for each in memberships_of(tx, user.user_id)}:
                raise Misconfigured(f"{email} works for this business already")
            set_role(tx, user.user_id, visitor.merchant_id, role)
            visitor.audit(tx, "person.add", email, role=role)
    except Misconfigured as error:
        return _page(request, visitor, problem=error)
    return _page(request, visitor, email=email, password="" if known else password)


@router.post("/people/{user_id}/role")
def change_role(request: Request, visitor: Owner, user_id: int, form: Posted) -> Response:
    """Give somebody another role, or none."""
    wanted = form.get("role", "")
    try:
        with visitor.site.hub.store.begin() as tx:
            found = next((each for each in members_of(tx, visitor.merchant_id) if each.user_id == user_id), None)
            if found is None:
                raise Misconfigured("That person does not work for this business")
            if wanted in ROLES:
                set_role(tx, user_id, visitor.merchant_id, ROLES[wanted])
            else:
                remove_member(tx, user_id, visitor.merchant_id)
            visitor.audit(tx, "person.role", found.email, role=wanted or "none")
    except Misconfigured as error:
        return _page(request, visitor, problem=error)
    return go("/people", said="The role is changed.")


@router.post("/people/tokens")
def make_token(request: Request, visitor: Owner, form: Posted) -> Response:
    """Make a token for scripts; it is shown this once."""
    name, days = form.get("name", "")[:_LONGEST_NAME], form.get("days", "90")
    if not name or not name.isprintable() or not days.isascii() or not days.isdigit():
        return _page(request, visitor, problem=Misconfigured("Give the token a name and a number of days"))
    until = visitor.site.hub.clock() + timedelta(days=min(max(int(days[:6]), 1), _MOST_DAYS))
    role: Role = "operator" if form.get("role") == "operator" else "viewer"
    token = TOKEN_PREFIX + new_token()
    with visitor.site.hub.store.begin() as tx:
        add_token(
            tx, hash_of(token), merchant_id=visitor.merchant_id, name=name, role=role, user_id=visitor.user.user_id,
            until=until,
        )  # fmt: skip
        visitor.audit(tx, "token.add", name, role=role)
    return _page(request, visitor, token=token)


@router.post("/people/tokens/{token_id}/revoke")
def revoke(request: Request, visitor: Owner, token_id: int, form: Posted) -> Response:
    """Delete a token; it opens nothing from now on."""
    try:
        with visitor.site.hub.store.begin() as tx:
            visitor.audit(tx, "token.revoke", revoke_token(tx, visitor.merchant_id, min(token_id, 2**31 - 1)))
    except Misconfigured as error:
        return _page(request, visitor, problem=error)
    return go("/people", said="The token opens nothing any more.")


@router.get("/audit")
def audit(request: Request, visitor: Owner, before: int | None = None) -> Response:
    """Show what was done, the newest first."""
    going_on = None if before is None or not 0 < before < 2**62 else before
    with visitor.hub.store.read() as tx:
        entries = list_audit(tx, visitor.merchant_id, before=going_on, limit=_ENTRIES)
    next_before = entries[-1].audit_id if len(entries) == _ENTRIES else None
    return show(request, "audit.html", visitor=visitor, entries=entries, next_before=next_before)
