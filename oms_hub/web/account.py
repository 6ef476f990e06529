"""One's own account: another password, one-time codes."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from oms_hub.errors import Misconfigured
from oms_hub.store.users import get_user, set_password, set_totp, use_totp_step
from oms_hub.web.csrf import Posted, session_cookie
from oms_hub.web.identity import Anyone, Visitor
from oms_hub.web.pages import go, show
from oms_hub.web.passwords import hash_password, is_password, new_password, new_totp_secret, totp_address, totp_step
from oms_hub.web.sign_in import totp_context

router = APIRouter(include_in_schema=False)

_WRONG = "That is not your password."


@router.get("/account")
def account(request: Request, visitor: Anyone) -> Response:
    """Show the account."""
    return _page(request, visitor)


def _page(request: Request, visitor: Visitor, problem: str = "", secret: str = "") -> Response:
    uri = totp_address(secret, visitor.user.email) if secret else ""
    return show(
        request, "account.html", visitor=visitor, problem=problem, secret=secret, uri=uri,
        status=400 if problem else 200,
    )  # fmt: skip


def _is_own_password(visitor: Visitor, given: str) -> bool:
    return is_password(visitor.site.options.hasher, visitor.user.password_hash, given)


@router.post("/account/password")
def change_password(request: Request, visitor: Anyone, form: Posted) -> Response:
    """Change the password; every session ends with the old one."""
    if not _is_own_password(visitor, form.get("present", "")):
        return _page(request, visitor, _WRONG)
    try:
        password = new_password(form.get("new", ""), email=visitor.user.email)
    except Misconfigured as error:
        return _page(request, visitor, error.message)
    hashed = hash_password(visitor.site.options.hasher, password)
    with visitor.site.hub.store.begin() as tx:
        set_password(tx, visitor.user.user_id, hashed)
        visitor.audit(tx, "account.password")
    answer = go("/sign-in")
    site = visitor.site
    answer.delete_cookie(session_cookie(site), path="/", secure=site.options.is_https, httponly=True, samesite="lax")
    return answer


@router.post("/account/codes")
def begin_codes(request: Request, visitor: Anyone, form: Posted) -> Response:
    """Show a new secret for one-time codes; it counts once a code of it was given."""
    if not _is_own_password(visitor, form.get("present", "")):
        return _page(request, visitor, _WRONG)
    return _page(request, visitor, secret=new_totp_secret())


@router.post("/account/codes/on")
def codes_on(request: Request, visitor: Anyone, form: Posted) -> Response:
    """Turn one-time codes on, if a code of the new secret is right."""
    secret = form.get("secret", "")
    is_secret = len(secret) == 32 and secret.isascii() and set(secret) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    if visitor.user.totp_secret is not None or not is_secret:
        return _page(request, visitor, "The secret cannot be used. Begin again.")
    step = totp_step(secret, form.get("code", ""), now=visitor.site.hub.clock())
    if step is None:
        return _page(request, visitor, "The code is wrong. Is the clock of your phone right?", secret)
    hub = visitor.site.hub
    with hub.store.begin() as tx:
        set_totp(tx, visitor.user.user_id, hub.box.encrypt(secret.encode(), totp_context(visitor.user.user_id)))
        use_totp_step(tx, visitor.user.user_id, step)
        visitor.audit(tx, "account.codes_on")
    return go("/account", said="One-time codes are on.")


@router.post("/account/codes/off")
def codes_off(request: Request, visitor: Anyone, form: Posted) -> Response:
    """Turn one-time codes off."""
    if not _is_own_password(visitor, form.get("present", "")):
        return _page(request, visitor, _WRONG)
    with visitor.site.hub.store.begin() as tx:
        set_totp(tx, get_user(tx, visitor.user.user_id).user_id, None)
        visitor.audit(tx, "account.codes_off")
    return go("/account", said="One-time codes are off.")
