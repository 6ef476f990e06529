"""A real proxy on 127.0.0.1 that stands before a sandbox and misbehaves on the requests it is told to.

What belongs here: the handle that tests hold. Not here: the faults (`fault_kinds`), the server (`fault_server`), which
faults a connector must survive (`contract_suite`).

Example:
    with FaultProxy(sandbox.base_url) as proxy:
        proxy.inject(Fault(FaultKind.STATUS, status=429, retry_after="1"), nth=2)
        ...  # connect to proxy.base_url
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from oms_hub.testing.fault_kinds import Fault, FaultKind, Matcher, ProxyState, Rule, SeenRequest
from oms_hub.testing.fault_server import FaultHandler, FaultServer

__all__ = ["FOREVER", "Fault", "FaultKind", "FaultProxy", "SeenRequest"]

FOREVER = 1_000_000


class FaultProxy:
    """Forwards to `upstream` (an http address on this machine) and injects faults.

    Use `base_url` in place of the upstream's. Faults and actions strike in the order they were given.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._state = ProxyState()
        handler = type("Handler", (FaultHandler,), {"upstream": parts.netloc, "state": self._state})
        self._server = FaultServer(("127.0.0.1", 0), handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}{parts.path}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and end every stalled answer."""
        self._state.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def inject(self, fault: Fault, *, matches: Matcher = lambda _request: True, nth: int = 1, times: int = 1) -> None:
        """Let a fault strike `times` matching requests, from number `nth` on (1 is the next one).

        `times=FOREVER` lasts until `clear`.
        """
        self._add(Rule(matches, nth, times, fault=fault))

    def before(
        self, action: Callable[[], object], *, matches: Matcher = lambda _request: True, nth: int = 1, times: int = 1
    ) -> None:
        """Call `action` before the matching request number `nth` is forwarded: a change between two pages."""
        self._add(Rule(matches, nth, times, action=action))

    def clear(self) -> None:
        """Forget faults and actions."""
        with self._state.lock:
            self._state.rules.clear()

    def requests(self, matches: Matcher = lambda _request: True) -> tuple[SeenRequest, ...]:
        """Return the matching requests seen so far, in order of arrival."""
        with self._state.lock:
            return tuple(request for request in self._state.requests if matches(request))

    @contextmanager
    def watched(self, matches: Matcher = lambda _request: True) -> Iterator[list[SeenRequest]]:
        """Give a list that holds, after the block, the matching requests of the block."""
        found: list[SeenRequest] = []
        before = len(self.requests(matches))
        yield found
        found.extend(self.requests(matches)[before:])

    def _add(self, rule: Rule) -> None:
        with self._state.lock:
            self._state.rules.append(rule)
