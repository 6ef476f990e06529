"""The Selling Partner API of one connection: one call per operation, within its usage plan.

What belongs here: what every call has in common: address, token, token bucket, refusals in words. Not here: which
operations are called and what their answers mean.

Every operation has a bucket of its own per seller and app, which all processes share through the session. A call takes
a token beforehand and waits its turn; where the turn is too far off, the run ends with `RetryLater` instead and the
next one goes on. An answer's `x-amzn-RateLimit-Limit` corrects the rate; a 429, which carries no Retry-After, empties
the bucket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from connectors.amazon.auth import TokenAuth, Tokens
from connectors.amazon.operations import Operation
from connectors.amazon.settings import api_address, marketplace_ids, region, seller_id
from oms_hub.channel.answers import answered_at
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import ChannelHttp, ChannelRules, HttpAnswer, Refusal, open_client
from oms_hub.channel.rate_limit import BucketLimit
from oms_hub.errors import HubError, NeedsReconnect, RetryLater

PATIENCE_SECONDS = 300.0
"""The longest turn that a run waits for; searchOrders gives one in three minutes."""
USER_AGENT = "oms-hub/0.1 (Language=Python)"
_RATE_HEADER = "x-amzn-ratelimit-limit"
_under_way: ContextVar[Operation] = ContextVar("amazon_operation")


class NotPermitted(NeedsReconnect):
    """Amazon refuses an operation to a token that is new: the app lacks a role, or the consent is gone."""


class AmazonApi:
    """Calls operations; may be used from several threads."""

    def __init__(self, session: ChannelSession) -> None:
        settings = session.connection.settings
        self.session = session
        self.settings = settings
        self.seller_id = seller_id(settings)
        self.marketplace_ids = marketplace_ids(settings)
        self._account = f"amazon {region(settings)} {self.seller_id}"
        self._told_rates: dict[str, float] = {}
        self.http: ChannelHttp = open_client(
            session,
            api_address(settings),
            auth=TokenAuth(Tokens(session), self._observe),
            headers={"user-agent": USER_AGENT},
            rules=ChannelRules(explain=self._explain),
            gate=self,
        )

    def call(
        self,
        operation: Operation,
        *,
        place: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        payload: Any = None,
        is_idempotent: bool | None = None,
        is_write: bool | None = None,
    ) -> HttpAnswer:
        """Return an operation's answer.

        Args:
            operation: what is called.
            place: values of the path's template, put in with every reserved sign escaped (SKUs hold `/` and `+`).
            query: parameters; lists as comma-separated text.
            payload: sent as JSON.
            is_idempotent: sending twice does no harm; default only for GET.
            is_write: changes something; default what is not idempotent.

        Raises:
            RetryLater: no turn within patience, or no good answer after the bounded tries.
            NeedsReconnect, HttpRefused, OutcomeUnknown: as the client says.
        """
        path = operation.path.format_map({key: quote(value, safe="") for key, value in (place or {}).items()})
        token = _under_way.set(operation)
        try:
            return self.http.request(
                operation.method,
                path,
                query=query,
                payload=payload,
                is_idempotent=is_idempotent,
                is_write=is_write,
                needs=f"the role {operation.role}",
            )
        finally:
            _under_way.reset(token)

    def wait_for(self, name: str, limit: BucketLimit) -> None:
        """Wait for a turn in a bucket of this account.

        Raises:
            RetryLater: it is too far off; nothing was taken.
        """
        wait = self.session.buckets.take(self._bucket(name), limit, patience_seconds=PATIENCE_SECONDS)
        if wait > PATIENCE_SECONDS:
            raise RetryLater(f"the rate limit of {name} is used up", after_seconds=wait)
        if wait > 0:
            self.session.sleep(wait)

    # ------------------------------------------------------------------------------------- the client's gate

    def enter(self) -> None:
        """Wait for the turn of the operation that is being called."""
        operation = _under_way.get()
        self.wait_for(operation.name, operation.limit)

    def leave(self, *, is_well: bool, seconds: float) -> None:
        """Do nothing: what an answer says about rates is heard as it comes."""

    # -------------------------------------------------------------------------------------------------- answers

    def _observe(self, response: httpx.Response) -> None:
        operation = _under_way.get()
        bucket = self._bucket(operation.name)
        if response.status_code == 429:
            self.session.buckets.told(bucket, operation.limit, is_empty=True)
            return
        rate = _rate_in(response.headers)
        if rate is not None and rate != self._told_rates.get(operation.name, operation.limit.per_second):
            self._told_rates[operation.name] = rate
            self.session.buckets.told(bucket, operation.limit, per_second=rate)

    def _bucket(self, name: str) -> str:
        return f"{self._account} {name}"

    def _explain(self, refusal: Refusal) -> HubError | None:
        if refusal.status not in {401, 403} or refusal.parsed is None:
            return None
        operation = _under_way.get()
        said = f" ({refusal.code})" if refusal.code else ""
        return NotPermitted(
            f"Amazon refuses {operation.name} with {refusal.status}{said} although the token is new",
            remedy=f"Check that the app has the role {operation.role} and that the seller's consent stands, "
            "then connect again",
        )


def _rate_in(headers: httpx.Headers) -> float | None:
    try:
        rate = float(headers.get(_RATE_HEADER, ""))
    except ValueError:
        return None
    return rate if 0 < rate < 1e6 else None


def server_time(answer: HttpAnswer, *, otherwise: datetime) -> datetime:
    """Return Amazon's own time of an answer, or what is given where it does not tell."""
    return answered_at(answer.headers) or otherwise


@contextmanager
def open_api(session: ChannelSession) -> Iterator[AmazonApi]:
    """Open the account of a session.

    Raises:
        Misconfigured: settings that cannot work.
    """
    api = AmazonApi(session)
    try:
        yield api
    finally:
        api.http.close()
