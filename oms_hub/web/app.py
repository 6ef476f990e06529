"""The console, wired: routes, what stands before them, and what errors look like.

What belongs here: putting parts together. Not here: any page. A new part adds its router to `ROUTERS`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from oms_hub import __version__
from oms_hub.errors import Conflict, HubError, Misconfigured, RetryLater
from oms_hub.sync.hub import Hub
from oms_hub.web import (
    account,
    api,
    browse,
    connect,
    connections,
    exceptions,
    health,
    home,
    mapping,
    oauth,
    people,
    sign_in,
)
from oms_hub.web.guard import Guard
from oms_hub.web.identity import NotAllowed, SignInNeeded, visitor_or_none
from oms_hub.web.options import Site, WebOptions
from oms_hub.web.pages import address, go, show

ROUTERS: tuple[APIRouter, ...] = tuple(
    module.router
    for module in (
        health, sign_in, home, browse, mapping, exceptions, oauth, connect, connections, account, people, api,
    )
)  # fmt: skip
"""Every part of the console; what else is served joins here."""

_STATIC = Path(__file__).parent / "static"
_API = "/api/"
_HEADINGS = {
    400: ("This cannot be read", "Go back and try again."),
    403: ("This is not allowed", "Your role does not allow it."),
    404: ("This page is not here", "It may belong to another business, or be gone."),
    405: ("This page is not here", "It may belong to another business, or be gone."),
    422: ("This cannot be read", "Go back and try again."),
    500: ("Something went wrong here", "It was written down. Try again later."),
}


def create_app(hub: Hub, options: WebOptions, *, routers: Sequence[APIRouter] = ROUTERS) -> FastAPI:
    """Return the console of a hub."""
    site = Site(hub, options)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        site.close()

    app = FastAPI(
        title="oms-hub", version=__version__, openapi_url="/api/openapi.json", docs_url=None, redoc_url=None,
        lifespan=lifespan, summary="Orders, stock, connections and exceptions of one business, for scripts.",
    )  # fmt: skip
    app.state.site = site
    for router in routers:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.add_middleware(Guard, options=options)
    _add_handlers(app)
    return app


def _add_handlers(app: FastAPI) -> None:
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        SignInNeeded: _sign_in_needed,
        NotAllowed: _not_allowed,
        HubError: _hub_error,
        HTTPException: _http_error,
        RequestValidationError: _not_valid,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _sign_in_needed(request: Request, _error: SignInNeeded) -> Response:
    if request.url.path.startswith(_API):
        return _json(401, "A token is needed")
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return go("/sign-in", next=wanted if request.method == "GET" else "/")


async def _not_allowed(request: Request, _error: NotAllowed) -> Response:
    return _problem(request, 403)


async def _hub_error(request: Request, error: HubError) -> Response:
    status = 503 if isinstance(error, RetryLater) else 409 if isinstance(error, Conflict) else 400
    if isinstance(error, Misconfigured) or request.url.path.startswith(_API):
        return _problem(request, status, error.message, error.remedy)
    return _problem(request, status, error.message, error.remedy)


async def _http_error(request: Request, error: HTTPException) -> Response:
    if error.detail == "csrf":
        return _problem(
            request, 403, "The form is too old, or was not sent from this site.", "Go back, load the page anew."
        )
    return _problem(request, error.status_code)


async def _not_valid(request: Request, error: RequestValidationError) -> Response:
    where = ", ".join(str(found["loc"][-1]) for found in error.errors()[:3])
    return _problem(request, 422, f"Not valid: {where}" if request.url.path.startswith(_API) else "")


async def _unexpected(request: Request, _error: Exception) -> Response:
    return _problem(request, 500)


def _problem(request: Request, status: int, message: str = "", remedy: str = "") -> Response:
    heading, plain = _HEADINGS.get(status, _HEADINGS[400])
    if request.url.path.startswith(_API):
        return _json(status, message or heading, remedy)
    visitor = None if status >= 500 else visitor_or_none(request)
    template = "error_outside.html" if visitor is None else "error.html"
    return show(
        request, template, visitor=visitor, status=status, heading=heading, message=message or plain, remedy=remedy
    )


def _json(status: int, message: str, remedy: str = "") -> Response:
    return JSONResponse({"message": message, "remedy": remedy}, status_code=status)


__all__ = ["ROUTERS", "address", "create_app"]
