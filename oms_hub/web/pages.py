"""Answers that people read: templates filled in, and where a form leads.

What belongs here: the templates' environment. Not here: what a page shows.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from oms_hub import __version__
from oms_hub.web.csrf import csrf_of, visit_cookie, visit_token
from oms_hub.web.identity import Visitor
from oms_hub.web.language import LANGUAGES, Words, language_of, spanish
from oms_hub.web.options import site_of

TEMPLATES = Path(__file__).parent / "templates"
_COLOURS = {
    "active": "good", "succeeded": "good", "resolved": "good", "fulfilled": "good", "paid": "good", "cleared": "good",
    "automatic": "good", "manual": "good", "delivered": "good",
    "needs_reconnect": "bad", "failed": "bad", "cancelled": "bad", "voided": "bad", "dead": "bad", "oversold": "bad",
    "paused": "wait", "on_hold": "wait", "unmapped": "wait", "duplicate": "wait", "unpaid": "wait", "open": "wait",
    "partial": "wait", "running": "wait", "unfulfilled": "wait", "low_stock": "wait", "backordered": "wait",
}  # fmt: skip


@cache
def environment() -> Environment:
    """Return the templates, which put every value in as text and never as markup."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.globals.update(version=__version__, languages=LANGUAGES, colour=_colour, address=address)
    return made


def words_for(request: Request, visitor: Visitor | None = None) -> Words:
    """Return the texts for whoever asks, in the zone of the business that they look at."""
    zone = visitor.membership.time_zone if visitor is not None and visitor.membership is not None else "UTC"
    return Words(language_of(request), zone, site_of(request).hub.clock())


def show(
    request: Request, template: str, *, visitor: Visitor | None = None, status: int = 200, **values: Any
) -> Response:
    """Return a page; for a request of our own script, only the part that it asked for (`x-fragment`)."""
    visit = "" if visitor is not None else visit_token(request)
    context = {
        "_": words_for(request, visitor), "visitor": visitor, "request": request, "path": request.url.path,
        "csrf": visitor.csrf if visitor is not None else csrf_of(visit),
        "here": own_address(request.url.path + (f"?{request.url.query}" if request.url.query else "")),
        "said": _known(request.query_params.get("said", "")), **values,
    }  # fmt: skip
    answer = HTMLResponse(environment().get_template(template).render(context), status_code=status)
    if visit:
        site = site_of(request)
        answer.set_cookie(
            visit_cookie(site), visit, httponly=True, samesite="lax", secure=site.options.is_https, path="/"
        )
    return answer


def go(path: str, *, said: str = "", **query: str) -> RedirectResponse:
    """Return the way to another page of ours after a form; `said` is a text that the page shows."""
    return RedirectResponse(address(path, **query, **({"said": said} if said else {})), status_code=303)


def address(path: str, **query: object) -> str:
    """Return a page's address with its query; empty values are left out."""
    given = {name: str(value) for name, value in query.items() if value not in {None, ""}}
    return quote(path, safe="/%:@") + (f"?{urlencode(given)}" if given else "")


def own_address(given: str) -> str:
    """Return where to go on, `/` unless it is a plain path on this very site: never another host's page."""
    if not given.startswith("/") or given[1:2] in {"/", "\\"} or any(ord(sign) <= 32 or sign == "\\" for sign in given):
        return "/"
    parts = urlsplit(given)
    return given if not parts.scheme and not parts.netloc else "/"


def _known(said: str) -> str:
    """Return a text of ours, empty for any other: nobody puts words into our mouth by a link."""
    return said if said in spanish() else ""


def _colour(state: object) -> str:
    return _COLOURS.get(str(state), "plain")
