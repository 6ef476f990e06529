"""Coming in and going out: the sign-in page, its limits, the session.

What belongs here: routes before there is a visitor. Not here: the account's own settings (`account`).
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from oms_hub.store.audit import write_audit
from oms_hub.store.engine import Transaction
from oms_hub.store.sessions import end_session, forget_old_sessions, look_at_merchant, start_session
from oms_hub.store.users import (
    User,
    count_failures,
    find_user,
    forget_failures,
    has_users,
    memberships_of,
    record_sign_in_failure,
    use_totp_step,
)
from oms_hub.web.csrf import Form, Posted, session_cookie, visit_cookie
from oms_hub.web.identity import Anyone, address_of, visitor_or_none
from oms_hub.web.language import COOKIE, LANGUAGES
from oms_hub.web.options import Site, hash_of, new_token, site_of
from oms_hub.web.pages import go, own_address, show
from oms_hub.web.passwords import is_password, totp_step

router = APIRouter(include_in_schema=False)

WINDOW = timedelta(minutes=15)
MOST_BY_EMAIL = 5
MOST_BY_ADDRESS = 30
_REFUSED = "That e-mail address, password and code do not belong together."
_TOO_MANY = "Too many tries. Wait 15 minutes, then try again."


@router.get("/sign-in")
def ask(request: Request) -> Response:
    """Show the form."""
    if visitor_or_none(request) is not None:
        return go("/")
    with site_of(request).hub.store.read() as tx:
        is_empty = not has_users(tx)
    next_page = own_address(request.query_params.get("next", "/"))
    return show(request, "sign_in.html", next_page=next_page, problem="", email="", is_empty=is_empty)


@router.post("/sign-in")
def sign_in(request: Request, form: Posted) -> Response:
    """Let somebody in, or say that it did not go well: the same words whatever was wrong."""
    site = site_of(request)
    next_page = own_address(form.get("next", "/"))
    user, problem = _checked(request, site, form)
    if user is None:
        status = 429 if problem == _TOO_MANY else 401
        return show(
            request, "sign_in.html", status=status, next_page=next_page, problem=problem, is_empty=False,
            email=form.get("email", "")[:200],
        )  # fmt: skip
    token, now, options = new_token(), site.hub.clock(), site.options
    with site.hub.store.begin() as tx:
        forget_old_sessions(tx, seen_before=now - options.idle, created_before=now - options.longest)
        memberships = memberships_of(tx, user.user_id)
        merchant_id = memberships[0].merchant_id if memberships else None
        start_session(tx, hash_of(token), user_id=user.user_id, merchant_id=merchant_id, at=now)
        write_audit(tx, merchant_id=merchant_id, actor=user.email, action="session.start", address=address_of(request))
    answer = RedirectResponse(next_page, status_code=303)
    answer.delete_cookie(visit_cookie(site), path="/", secure=options.is_https, httponly=True, samesite="lax")
    answer.set_cookie(session_cookie(site), token, httponly=True, samesite="lax", secure=options.is_https, path="/")
    return answer


def _checked(request: Request, site: Site, form: Form) -> tuple[User | None, str]:
    """Return who may come in, or what to say."""
    email = form.get("email", "").lower()[:300]
    by_email, by_address = _who("email", email), _who("address", address_of(request))
    now = site.hub.clock()
    with site.hub.store.read() as tx:
        tries = count_failures(tx, by_email, since=now - WINDOW), count_failures(tx, by_address, since=now - WINDOW)
        user = find_user(tx, email)
    if tries[0] >= MOST_BY_EMAIL or tries[1] >= MOST_BY_ADDRESS:
        return None, _TOO_MANY
    stored = None if user is None else user.password_hash
    is_right = is_password(site.options.hasher, stored, form.get("password", ""))
    with site.hub.store.begin() as tx:
        if is_right and user is not None and user.is_active and _has_code(tx, site, user, form.get("code", "")):
            forget_failures(tx, by_email)
            return user, ""
        record_sign_in_failure(tx, [by_email, by_address], at=now, forget_before=now - WINDOW)
        write_audit(
            tx, merchant_id=None, actor=email, action="session.refused", address=address_of(request)
        )  # fmt: skip
    return None, _REFUSED


def _has_code(tx: Transaction, site: Site, user: User, code: str) -> bool:
    if user.totp_secret is None:
        return True
    secret = site.hub.box.decrypt(user.totp_secret, totp_context(user.user_id)).decode()
    step = totp_step(secret, code, now=site.hub.clock())
    return step is not None and use_totp_step(tx, user.user_id, step)


def totp_context(user_id: int) -> bytes:
    """Return what a person's secret of one-time codes is bound to."""
    return f"user:{user_id}:totp".encode()


def _who(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}:{value}".encode()).digest()


@router.post("/sign-out")
def sign_out(request: Request, form: Posted, visitor: Anyone) -> Response:
    """End the session."""
    site = site_of(request)
    with site.hub.store.begin() as tx:
        end_session(tx, hash_of(visitor.session_token))
        visitor.audit(tx, "session.end")
    answer = go("/sign-in")
    answer.delete_cookie(session_cookie(site), path="/", secure=site.options.is_https, httponly=True, samesite="lax")
    return answer


@router.post("/language")
def set_language(request: Request, form: Posted) -> Response:
    """Change the language, and stay on the page."""
    answer = RedirectResponse(own_address(form.get("next", "/")), status_code=303)
    chosen = form.get("language", "")
    if chosen in LANGUAGES:
        is_https = site_of(request).options.is_https
        answer.set_cookie(COOKIE, chosen, max_age=31_536_000, httponly=True, samesite="lax", secure=is_https, path="/")
    return answer


@router.post("/merchant")
def choose_merchant(form: Posted, visitor: Anyone) -> Response:
    """Look at another of one's businesses; one that is not one's own changes nothing."""
    found = next((each for each in visitor.memberships if str(each.merchant_id) == form.get("merchant")), None)
    if found is not None:
        with visitor.site.hub.store.begin() as tx:
            look_at_merchant(tx, hash_of(visitor.session_token), found.merchant_id)
    return go("/")
