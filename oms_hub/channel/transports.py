"""Transports that a session may carry instead of the network's own; for practice and tests.

What belongs here: changes to how requests travel. Not here: faults of the server (`oms_hub.testing.faults`).
"""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted_roots() -> ssl.SSLContext:
    """Return the certificates to trust, read once: reading them takes longer than most requests."""
    return httpx.create_ssl_context()


class ImpatientTransport(httpx.HTTPTransport):
    """The ordinary transport with shorter time-outs, so that a stalled server shows within a test's patience."""

    def __init__(self, *, seconds: float) -> None:
        super().__init__(retries=0, verify=trusted_roots())
        self._seconds = seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request that waits at most so many seconds for each connect and read."""
        given = request.extensions.get("timeout", {})
        shorter = {
            key: min(self._seconds, given[key]) if given.get(key) is not None else self._seconds
            for key in ("connect", "read", "write", "pool")
        }
        request.extensions = {**request.extensions, "timeout": shorter}
        return super().handle_request(request)
