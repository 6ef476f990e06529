"""What can go wrong with a request, as plain data.

What belongs here: kinds of faults, the rules that say when they strike, requests as the proxy saw them.
Not here: the server that misbehaves (`fault_server`), the handle that tests hold (`faults`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


class FaultKind(StrEnum):
    """What goes wrong."""

    STATUS = "status"
    """The proxy answers `status` itself; the sandbox hears nothing."""
    HTML = "html"
    """A web page with 200 instead of the answer."""
    CUT_JSON = "cut_json"
    """The first half of the answer with 200 and a Content-Length that fits the half."""
    CUT_BODY = "cut_body"
    """The first half of the answer with the whole one's Content-Length, then the connection ends."""
    PRINTED_WARNING = "printed_warning"
    """A PHP warning before the answer, Content-Length right."""
    NO_ANSWER = "no_answer"
    """The connection is reset; the sandbox hears nothing."""
    LOST_ANSWER = "lost_answer"
    """The sandbox carries the request out, then the connection is reset."""
    STALL = "stall"
    """Silence until the client gives up; the sandbox hears nothing."""
    LOST_IN_STALL = "lost_in_stall"
    """The sandbox carries the request out, then silence until the client gives up."""
    TWICE = "twice"
    """The sandbox gets the request twice; the second answer is given."""
    PREVIOUS_ANSWER = "previous_answer"
    """The answer of the matching request before this one, as a stale cache gives it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of misbehaviour. `status` and `retry_after` are for `STATUS`; `body` replaces its JSON."""

    kind: FaultKind
    status: int = 500
    retry_after: str | None = None
    body: bytes = b'{"code":"injected","message":"injected by the fault proxy"}'

    @property
    def reaches_channel(self) -> bool:
        """Return whether the sandbox carries out the request."""
        return self.kind not in {FaultKind.STATUS, FaultKind.NO_ANSWER, FaultKind.STALL, FaultKind.HTML}


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as the proxy saw it."""

    method: str
    path: str
    query: str
    body: bytes
    fault: FaultKind | None = None


Matcher: TypeAlias = Callable[[SeenRequest], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came from the sandbox."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class Rule:
    """A fault or an action for the matching requests from the `nth` on, `times` of them."""

    matches: Matcher
    nth: int
    times: int
    fault: Fault | None = None
    action: Callable[[], object] | None = None
    seen: int = 0
    last_answer: Answer | None = None

    def strikes(self) -> bool:
        """Count one more matching request and return whether it is struck."""
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


@dataclass(slots=True)
class ProxyState:
    """What the threads of one proxy share."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    rules: list[Rule] = field(default_factory=list)
    requests: list[SeenRequest] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
