"""Forms: only those that our own pages sent are taken, and only so large.

What belongs here: the token of a form, where a request came from, reading fields. See docs/adr/0020.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, TypeAlias

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from oms_hub.web.options import Site, new_token, site_of

FIELD = "csrf"
_VISIT = "oms_hub_visit"
_MOST_FIELDS = 500
_LONGEST_FIELD = 20_000

Form: TypeAlias = Mapping[str, str]
"""Posted fields, each once, without blanks around them."""


def csrf_of(token: str) -> str:
    """Return what the forms of a session (or of a visit before it) must carry; it does not tell the token."""
    return hashlib.sha256(f"csrf:{token}".encode()).hexdigest()


def visit_token(request: Request) -> str:
    """Return the token of a visit without a session: the cookie's, or a new one."""
    given = request.cookies.get(visit_cookie(site_of(request)), "")
    return given if len(given) >= 40 else new_token()


def session_cookie(site: Site) -> str:
    """Return the name of the session's cookie; over https the browser itself sees that no neighbour set it."""
    return "__Host-oms_hub_session" if site.options.is_https else "oms_hub_session"


def visit_cookie(site: Site) -> str:
    """Return the name of the cookie that marks a visit before signing in."""
    return f"__Host-{_VISIT}" if site.options.is_https else _VISIT


async def posted(request: Request) -> Form:
    """Return the fields of a form that one of our own pages sent; 403 for any other."""
    site = site_of(request)
    _require_own_origin(request, site)
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile) or len(value) > _LONGEST_FIELD or "\0" in value:
            raise HTTPException(400)
        fields.setdefault(name, value.strip())
    tokens = (request.cookies.get(session_cookie(site)), request.cookies.get(visit_cookie(site)))
    given = fields.pop(FIELD, "") or request.headers.get("x-csrf-token", "")
    if not any(token and hmac.compare_digest(csrf_of(token).encode(), given.encode()) for token in tokens):
        raise HTTPException(403, "csrf")
    return fields


def _require_own_origin(request: Request, site: Site) -> None:
    origin = request.headers.get("origin")
    came_from = request.headers.get("sec-fetch-site")
    if (origin is not None and origin != site.options.origin) or came_from not in {None, "same-origin", "none"}:
        raise HTTPException(403, "csrf")


Posted = Annotated[Form, Depends(posted)]
