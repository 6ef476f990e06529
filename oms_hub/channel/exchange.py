"""One request and its answer: what kind of trouble it met, and which error that becomes.

What belongs here: the table from transport failures and status codes to the errors of `oms_hub.errors`.
Not here: when to send again (`http`), reading JSON (`answers`).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import httpx

from oms_hub.channel.answers import is_html, read_json, retry_after_seconds, short_code
from oms_hub.channel.client_options import ChannelRules, Refusal
from oms_hub.channel.hosts import origin_of
from oms_hub.clock import monotonic_seconds
from oms_hub.errors import BadPayload, HubError, Misconfigured, NeedsReconnect, OutcomeUnknown, Refused, RetryLater

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PASSING_STATUSES = frozenset({408, 423, 425, 429})


class HttpRefused(Refused):
    """The channel refuses this very request.

    Args:
        status: of HTTP.
        code: the channel's own short code, empty where it gave none.
    """

    def __init__(self, message: str, *, status: int, code: str = "", remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Call:
    """A request and what is known about repeating it."""

    method: str
    url: str
    is_idempotent: bool
    is_write: bool
    is_json: bool = True
    query: Mapping[str, str] | None = None
    payload: Any = None
    headers: Mapping[str, str] | None = None
    needs: str = ""

    @property
    def place(self) -> str:
        """Return method, host and path, which may be shown."""
        parts = urlsplit(self.url)
        return f"{self.method} {parts.hostname}{parts.path}"


class Passing(Exception):
    """A trouble that may pass.

    Args:
        reason: one line without secrets.
        after_seconds: the wait that the channel asked for; None leaves it to our back-off.
        is_unsent: the channel surely did not carry the request out.
    """

    def __init__(
        self, reason: str, *, after_seconds: float | None = None, is_unsent: bool = False, remedy: str | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_seconds = after_seconds
        self.is_unsent = is_unsent
        self.remedy = remedy

    def may_repeat(self, call: Call) -> bool:
        """Return whether sending the call again can do no harm."""
        return call.is_idempotent or self.is_unsent


def trouble_of(error: httpx.HTTPError, call: Call) -> Passing | Misconfigured:
    """Return what a failure of the transport means; only names of error kinds come out."""
    causes = tuple(_causes(error))
    host = urlsplit(call.url).hostname
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Misconfigured(
            f"the certificate of {host} is not valid", remedy="Check the address, or have the host renew it"
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Passing(
            f"the host {host} cannot be found",
            is_unsent=True,
            remedy="Check the address and the network, then run again",
        )
    words: dict[type[httpx.HTTPError], str] = {
        httpx.ConnectTimeout: "connecting took too long",
        httpx.ConnectError: "no connection",
        httpx.ReadTimeout: "no answer in time",
        httpx.RemoteProtocolError: "the answer was cut off",
        httpx.ReadError: "the connection broke",
        httpx.DecodingError: "the answer cannot be unpacked",
    }
    reason = words.get(type(error), type(error).__name__)
    return Passing(f"{call.place}: {reason}", is_unsent=isinstance(error, _UNSENT))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def read_capped(
    response: httpx.Response, call: Call, target: BinaryIO | None, *, body_bytes: int, answer_seconds: float
) -> bytes:
    """Return the body, or write it to `target` and return nothing.

    Raises:
        HttpRefused: more than `body_bytes` (with code `answer_too_large`).
        Passing: the whole answer took longer than `answer_seconds`.
    """
    if target is not None:
        target.seek(0)
        target.truncate()
        for chunk in response.iter_bytes():
            target.write(chunk)
        return b""
    ends_at = monotonic_seconds() + answer_seconds
    parts: list[bytes] = []
    size = 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > body_bytes:
            raise HttpRefused(
                f"{call.place}: the answer is larger than {body_bytes} bytes",
                status=response.status_code,
                code="answer_too_large",
                remedy="Ask for smaller pages",
            )
        if monotonic_seconds() > ends_at:
            raise Passing(f"{call.place}: the answer came too slowly")
        parts.append(chunk)
    return b"".join(parts)


def check_status(call: Call, response: httpx.Response, body: bytes, *, rules: ChannelRules, now: datetime) -> None:
    """Return where the status is good.

    Raises:
        Passing: for 408, 423, 425, 429, 5xx, and 403 with a web page (a firewall, not the channel).
        NeedsReconnect: 401 and 403.
        HttpRefused: other 4xx.
        Misconfigured: a redirect.
    """
    status = response.status_code
    if 200 <= status < 300:
        return
    if status < 400:
        raise _redirected(call, response)
    after_seconds = retry_after_seconds(response.headers, now=now)
    if status in _PASSING_STATUSES or status >= 500:
        is_unsent = status in {425, 429}
        raise Passing(f"{call.place} answered {status}", after_seconds=after_seconds, is_unsent=is_unsent)
    parsed = _parsed_or_none(body)
    refusal = Refusal(status, short_code(parsed), parsed, response.headers)
    special = None if rules.explain is None else rules.explain(refusal)
    if isinstance(special, RetryLater):
        raise Passing(special.message, after_seconds=special.after_seconds, is_unsent=True)
    if special is not None:
        raise special
    if status == 403 and is_html(body):
        raise Passing(
            f"{call.place}: a firewall in front of the channel answers 403 with a web page",
            after_seconds=after_seconds,
            is_unsent=True,
            remedy="Ask the host to let the hub's address through",
        )
    raise _refused(call, refusal)


def _parsed_or_none(body: bytes) -> Any:
    try:
        return read_json(body).parsed
    except BadPayload:
        return None


def _redirected(call: Call, response: httpx.Response) -> Misconfigured:
    here, there = origin_of(call.url), origin_of(urljoin(call.url, response.headers.get("location", "")))
    if here == there:
        return Misconfigured(f"{call.place} answered {response.status_code}, to another page", remedy="Check base_url")
    return Misconfigured(f"{here} redirects to {there}", remedy=f"Set the connection's address to {there}")


def _refused(call: Call, refusal: Refusal) -> HubError:
    said = f" ({refusal.code})" if refusal.code else ""
    if refusal.status == 401:
        return NeedsReconnect(f"{call.place}: the channel refuses the credentials with 401{said}")
    if refusal.status == 403:
        missing = f"; missing: {call.needs}" if call.needs else "; a permission is missing"
        return NeedsReconnect(f"{call.place}: the credentials may not do this, 403{said}{missing}")
    return HttpRefused(f"{call.place} answered {refusal.status}{said}", status=refusal.status, code=refusal.code)


def give_up(call: Call, trouble: Passing) -> HubError:
    """Return the error for a trouble that did not pass in time."""
    if call.is_write and not trouble.is_unsent:
        return OutcomeUnknown(f"{trouble.reason}; the write may have been done")
    return RetryLater(trouble.reason, after_seconds=trouble.after_seconds or 0.0, remedy=trouble.remedy)
