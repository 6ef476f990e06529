"""HTTP towards a channel: one client with time-outs, bounded retries, and errors that say what to do next.

What belongs here: sending a request until it is answered or hopeless. Not here: what an answer means to a channel
(connectors, through `ChannelRules`), reading bodies (`answers`), which addresses are allowed (`hosts`).

Errors and log lines hold the method, the path and the status only: never a body, a header or a query.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception

from oms_hub.channel.answers import read_json
from oms_hub.channel.client_options import ChannelRules, ClientLimits, ClientOptions, Refusal
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.exchange import (
    Call,
    HttpRefused,
    Passing,
    check_status,
    give_up,
    read_capped,
    trouble_of,
)
from oms_hub.channel.hosts import check_base_url, is_loopback, origin_of
from oms_hub.channel.rate_limit import Gate
from oms_hub.channel.transports import trusted_roots
from oms_hub.clock import monotonic_seconds
from oms_hub.errors import BadPayload, Misconfigured, RetryLater

__all__ = ["ChannelHttp", "ChannelRules", "ClientLimits", "HttpAnswer", "HttpRefused", "Refusal", "open_client"]

_log = logging.getLogger(__name__)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class HttpAnswer(NamedTuple):
    """An answer that was understood.

    Attributes:
        parsed: its JSON; None for an answer without content and for raw answers.
        headers: its headers, looked up without regard to case.
        body: its bytes verbatim (for JSON without what a server printed before it).
    """

    parsed: Any
    headers: httpx.Headers
    body: bytes


@dataclass(slots=True)
class HttpCounts:
    """What a client did so far; for reports and tests."""

    requests: int = 0
    retries: int = 0
    printed_warnings: int = 0
    body_bytes: int = 0


def open_client(
    session: ChannelSession,
    base_url: str,
    *,
    auth: httpx.Auth | None = None,
    headers: Mapping[str, str] | None = None,
    rules: ChannelRules | None = None,
    gate: Gate | None = None,
    limits: ClientLimits | None = None,
) -> ChannelHttp:
    """Return a client for one connection; close it, or use it as a context manager.

    Args:
        session: gives clock, sleep and, in tests, the transport.
        base_url: `https://...`, or `http://` towards this machine; paths of requests are joined to it.
        auth: adds credentials to each request, read from the session's secrets when needed.
        headers: sent with each request.
        rules: how this channel's answers are to be understood.
        gate: paces the requests (`rate_limit`).
        limits: time-outs and bounds.

    Raises:
        Misconfigured: the address may not be talked to.

    Example:
        with open_client(session, url, auth=httpx.BasicAuth(key, secret)) as client:
            parsed, headers, body = client.get_json("/orders", query={"page": "1"})
    """
    options = ClientOptions(auth, headers or {}, rules or ChannelRules(), gate, limits or ClientLimits())
    return ChannelHttp(session, base_url, options)


class ChannelHttp:
    """A client of one channel account; may be used from several threads."""

    def __init__(self, session: ChannelSession, base_url: str, options: ClientOptions) -> None:
        self.base_url = check_base_url(base_url)
        self.counts = HttpCounts()
        self._session = session
        self._options = options
        limits = options.limits
        # httpx logs whole addresses at INFO and httpcore headers at DEBUG: both may hold credentials
        for noisy in ("httpx", "httpcore"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self._client = httpx.Client(
            auth=options.auth,
            headers={"accept": "application/json", "user-agent": "oms-hub", **options.headers},
            timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds),
            follow_redirects=False,
            transport=session.transport,
            verify=trusted_roots(),
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=8, keepalive_expiry=15.0),
            trust_env=not is_loopback(httpx.URL(self.base_url).host),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get_json(self, path: str, *, query: Mapping[str, str] | None = None, needs: str = "") -> HttpAnswer:
        """Return the JSON answer to a GET; see `request`."""
        return self.request("GET", path, query=query, needs=needs)

    def post_json(
        self, path: str, payload: Any, *, is_idempotent: bool = False, is_write: bool | None = None, needs: str = ""
    ) -> HttpAnswer:
        """Return the JSON answer to a POST of JSON; see `request`. A query by POST is `is_idempotent=True`."""
        return self.request("POST", path, payload=payload, is_idempotent=is_idempotent, is_write=is_write, needs=needs)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        payload: Any = None,
        headers: Mapping[str, str] | None = None,
        is_idempotent: bool | None = None,
        is_write: bool | None = None,
        is_json: bool = True,
        needs: str = "",
    ) -> HttpAnswer:
        """Return the channel's answer, trying again while the trouble may pass.

        Args:
            method: of HTTP.
            path: below the base address, or a whole address of the same host.
            query: parameters.
            payload: sent as JSON; bytes are sent as they are (with a `content-type` in `headers`).
            headers: for this request only.
            is_idempotent: sending twice does no harm; default only GET, HEAD and OPTIONS.
            is_write: changes something at the channel; default: what is not idempotent.
            is_json: False gives the body unread, `parsed` None.
            needs: the permission that this call needs, named when the channel forbids it.

        Raises:
            RetryLater: still no good answer after the bounded tries.
            OutcomeUnknown: a write that may have happened.
            NeedsReconnect: the credentials were refused, or lack a permission.
            HttpRefused: the channel refuses this request (with `status` and `code`).
            Misconfigured: the host redirects, or the address is not of this host.
        """
        repeatable = method in _SAFE_METHODS if is_idempotent is None else is_idempotent
        call = Call(
            method=method,
            url=self._url_of(path),
            query=query,
            payload=payload,
            headers=headers,
            is_idempotent=repeatable,
            is_write=(not repeatable) if is_write is None else is_write,
            is_json=is_json,
            needs=needs,
        )
        return self._until_answered(call, None)

    def download(self, path: str, target: BinaryIO, *, query: Mapping[str, str] | None = None) -> httpx.Headers:
        """Write the body of a GET to a file, whatever its size, and return the headers.

        A broken transfer starts again from the first byte; the file holds the whole body or the call raises.

        Args:
            path: as in `request`.
            target: an open, seekable file; what it held is replaced.
            query: parameters.
        """
        call = Call(
            method="GET", url=self._url_of(path), query=query, is_idempotent=True, is_write=False, is_json=False
        )
        return self._until_answered(call, target).headers

    def _url_of(self, path: str) -> str:
        if "://" not in path:
            return f"{self.base_url}/{path.lstrip('/')}" if path else self.base_url
        if origin_of(path) != origin_of(self.base_url):
            raise Misconfigured(
                f"{origin_of(self.base_url)} points to {origin_of(path)}, which does not get these credentials",
                remedy="Check base_url",
            )
        return path

    def _until_answered(self, call: Call, target: BinaryIO | None) -> HttpAnswer:
        limits = self._options.limits
        retrying = Retrying(
            stop=lambda state: (
                state.attempt_number >= limits.tries or state.idle_for + state.upcoming_sleep > limits.wait_seconds
            ),
            wait=self._wait_before_next,
            sleep=self._session.sleep,
            retry=retry_if_exception(lambda error: isinstance(error, Passing) and error.may_repeat(call)),
            before_sleep=self._count_retry,
            reraise=True,
        )
        try:
            return retrying(self._try_once, call, target)
        except Passing as trouble:
            raise give_up(call, trouble) from None

    def _wait_before_next(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Passing) and error.after_seconds is not None:
            return error.after_seconds
        limits = self._options.limits
        wait = min(limits.longest_wait_seconds, limits.first_wait_seconds * 2.0 ** (state.attempt_number - 1))
        return wait * (0.5 + self._options.chance() / 2)

    def _count_retry(self, _state: RetryCallState) -> None:
        self.counts.retries += 1

    def _try_once(self, call: Call, target: BinaryIO | None) -> HttpAnswer:
        gate = self._options.gate
        if gate is None:
            return self._exchange(call, target)
        gate.enter()
        started_at, is_well = monotonic_seconds(), False
        try:
            answer = self._exchange(call, target)
            is_well = True
            return answer
        except HttpRefused:
            is_well = True
            raise
        finally:
            gate.leave(is_well=is_well, seconds=monotonic_seconds() - started_at)

    def _exchange(self, call: Call, target: BinaryIO | None) -> HttpAnswer:
        self.counts.requests += 1
        try:
            with self._client.stream(
                call.method,
                call.url,
                params=call.query,
                json=None if isinstance(call.payload, bytes) else call.payload,
                content=call.payload if isinstance(call.payload, bytes) else None,
                headers=call.headers,
            ) as response:
                limits = self._options.limits
                to_file = target if response.status_code == 200 else None
                body = read_capped(
                    response, call, to_file, body_bytes=limits.body_bytes, answer_seconds=limits.answer_seconds
                )
        except httpx.HTTPError as error:
            raise trouble_of(error, call) from None
        self.counts.body_bytes += len(body)
        _log.debug("%s -> %s, %s bytes", call.place, response.status_code, len(body))
        check_status(call, response, body, rules=self._options.rules, now=self._session.clock())
        return self._read(call, response, body)

    def _read(self, call: Call, response: httpx.Response, body: bytes) -> HttpAnswer:
        if not call.is_json or response.status_code == 204 or call.method == "HEAD":
            return HttpAnswer(None, response.headers, body)
        try:
            found = read_json(body)
        except BadPayload as error:
            raise Passing(f"{call.place}: {error.message}") from None
        self.counts.printed_warnings += found.has_printed_warning
        answer = HttpAnswer(found.parsed, response.headers, found.body)
        interpret = self._options.rules.interpret
        if interpret is not None:
            try:
                interpret(answer.parsed, answer.headers)
            except RetryLater as error:
                raise Passing(error.message, after_seconds=error.after_seconds, is_unsent=True) from None
        return answer
