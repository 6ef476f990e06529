"""What stands before every route: which host is asked for, how large and slow a request may be, security headers.

What belongs here: plain ASGI. Not here: who may do what (`identity`), forms (`csrf`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from oms_hub.web.options import WebOptions

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
}
_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]


class Guard:
    """Refuses requests for other hosts, too large and too slow ones, and puts headers on every answer."""

    def __init__(self, app: App, *, options: WebOptions) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with_headers = self._headed(scope, send)
        headers = {name.lower(): value for name, value in scope["headers"]}
        if headers.get(b"host", b"").decode("latin-1").lower() != self._options.host:
            await _refuse(with_headers, 421, b"This address is not served here.\n")
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._options.body_bytes:
            await _refuse(with_headers, 413, b"The request is too large.\n")
            return
        body = await self._body(receive)
        if isinstance(body, int):
            said = b"The request is too large.\n" if body == 413 else b"The request took too long.\n"
            await _refuse(with_headers, body, said)
            return
        await self._app(scope, _replay(body, receive), with_headers)

    async def _body(self, receive: Receive) -> bytes | int:
        """Return the request's body, or the status that refuses it."""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._options.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return 408
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self._options.body_bytes:
                        return 413
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            return 408

    def _headed(self, scope: Scope, send: Send) -> Send:
        is_static = scope["path"].startswith("/static/")

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = dict(_HEADERS)
                if self._options.is_https:
                    headers[b"strict-transport-security"] = b"max-age=31536000"
                if not is_static:
                    headers[b"cache-control"] = b"no-store"
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in headers]
                message = {**message, "headers": [*kept, *headers.items()]}
            await send(message)

        return headed


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body that was read, then whatever comes after it."""
    is_given = False

    async def replayed() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _refuse(send: Send, status: int, said: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*_TEXT, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": said})
