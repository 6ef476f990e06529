"""How the console is served, and what it works with.

What belongs here: options and the `Site` that every request reaches. Not here: routes, who may do what.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from fastapi import Request

from oms_hub.errors import HubError
from oms_hub.store.row_security import WalledStore
from oms_hub.sync.hub import Hub

RunLater: TypeAlias = Callable[[Callable[[], object]], object]
"""Takes a piece of work that outlasts its request."""

_WORKERS = 2


@dataclass(frozen=True, slots=True)
class WebOptions:
    """How the console is served.

    Attributes:
        public_url: the address that people and channels reach it at; https makes cookies secure.
        feeds: the folder that file feeds on this machine must be in, a folder per merchant.
        idle: a session ends after so long without a request. longest: ... and in any case after so long.
        state_lasts: how long an authorisation at a channel may take.
        hasher: of passwords.
        allows_loopback: shops on this very machine may be connected: practice shops and tests.
        run_later: where work goes that outlasts its request; None makes two threads of the site's own.
        body_bytes: the largest request. body_seconds: the longest time that it may take to arrive.
    """

    public_url: str = "http://127.0.0.1:8750"
    feeds: Path = Path(".oms-hub/feeds")
    idle: timedelta = timedelta(hours=8)
    longest: timedelta = timedelta(days=7)
    state_lasts: timedelta = timedelta(minutes=10)
    hasher: PasswordHasher = field(default_factory=PasswordHasher)
    allows_loopback: bool = False
    run_later: RunLater | None = None
    body_bytes: int = 1024 * 1024
    body_seconds: float = 10.0

    @property
    def is_https(self) -> bool:
        """Return whether people come over https."""
        return self.public_url.startswith("https://")

    @property
    def origin(self) -> str:
        """Return scheme, host and port, as browsers send them."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def host(self) -> str:
        """Return host and port that requests must name."""
        return urlsplit(self.public_url).netloc.lower()


class Site:
    """The hub and the options, with what both make together."""

    def __init__(self, hub: Hub, options: WebOptions) -> None:
        self.hub = hub
        self.options = options
        self._working: Counter[int] = Counter()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="console") if options.run_later is None else None

    def behind_wall(self, merchant_id: int) -> Hub:
        """Return the hub as one merchant's people see it: whatever they ask for, other rows are not there."""
        return replace(self.hub, store=WalledStore(self.hub.store, [merchant_id]))

    def run_later(self, connection_id: int, work: Callable[[], object]) -> None:
        """Have some work on a connection done that outlasts its request; what it did stands in its steps' record."""

        def done() -> None:
            try:
                work()
            except HubError:
                return
            finally:
                self._working[connection_id] -= 1

        self._working[connection_id] += 1
        if self._pool is not None:
            self._pool.submit(done)
        elif self.options.run_later is not None:
            self.options.run_later(done)

    def is_working(self, connection_id: int) -> bool:
        """Return whether work on a connection is under way here, or waits its turn."""
        return self._working[connection_id] > 0

    def close(self) -> None:
        """Wait for work that runs, and drop what has not begun."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def site_of(request: Request) -> Site:
    """Return the site that serves a request."""
    site: Site = request.app.state.site
    return site


def new_token() -> str:
    """Return 32 random bytes as text."""
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).digest()
