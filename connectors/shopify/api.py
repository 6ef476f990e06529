"""One shop's GraphQL endpoint: sends documents, keeps to the shop's cost budget, reads errors.

What belongs here: what every answer has in common. Not here: which documents are sent and what their data means.

A shop and an app share a bucket of points that refills every second; each answer says what it cost and what is left.
Requests wait beforehand for what they will cost; a `THROTTLED` answer (status 200) waits for exactly what is missing.

Source: shopify.dev apps/build/apis/graphql-admin/rate-limits, seen 2026-11-22.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from connectors.shopify.auth import TokenAuth, Tokens
from connectors.shopify.documents import Document
from connectors.shopify.settings import api_version, base_url, shop_domain
from oms_hub.channel.answers import answered_at
from oms_hub.channel.contract import ChannelSession, Notice
from oms_hub.channel.http import ChannelHttp, ChannelRules, HttpRefused, Refusal, open_client
from oms_hub.channel.rate_limit import CostBucket
from oms_hub.clock import monotonic_seconds
from oms_hub.errors import HubError, Misconfigured, NeedsReconnect, OutcomeUnknown, Refused, RetryLater

QUERY_COST_MAX = 1000
"""Most points one query may ask for, on every plan. Source: shopify.dev api/usage/limits (not re-read since)."""

_BUCKET_POINTS, _POINTS_PER_SECOND = 2000.0, 100.0
"""The smallest plan's bucket; the first answer corrects it."""
_MARGIN_SECONDS = 0.1
_FROZEN_SECONDS, _SECURITY_SECONDS = 3600.0, 60.0


class TooCostly(Refused):
    """A query asks for more points than one query may: ask for a smaller page.

    Args:
        cost: what it would have cost, 0 where the shop did not say.
    """

    def __init__(self, message: str, *, cost: float) -> None:
        super().__init__(message, remedy="Nothing to do: smaller pages are asked for")
        self.cost = cost


@dataclass(frozen=True, slots=True)
class Answer:
    """The data of an answer.

    Attributes:
        data: the `data` object, never None.
        cost: points that were asked for, 0 where the shop does not say.
        withheld: paths that came back null for lack of a scope, list positions left out.
    """

    data: Mapping[str, Any]
    cost: float
    withheld: tuple[str, ...]


class ShopifyApi:
    """A client for one connection; use it as a context manager, from one thread."""

    def __init__(self, session: ChannelSession) -> None:
        settings = session.connection.settings
        self.shop = shop_domain(settings)
        self.version = api_version(settings)
        self.served_version: str | None = None
        self.last_answered_at: datetime | None = None
        """The shop's own time of its last answer."""
        self._path = f"/admin/api/{self.version}/graphql.json"
        self._bucket = CostBucket(_BUCKET_POINTS, _POINTS_PER_SECOND, monotonic=monotonic_seconds, sleep=session.sleep)
        self._costs: dict[str, float] = {}
        self._sent: Document | None = None
        self._http: ChannelHttp = open_client(
            session,
            base_url(settings),
            auth=TokenAuth(Tokens(session)),
            rules=ChannelRules(interpret=self._interpret, explain=self._explain),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def run(self, document: Document, variables: Mapping[str, Any], *, needs: str = "") -> Answer:
        """Return the data of a document's answer.

        Args:
            document: what to send.
            variables: sent as they are: a None is sent as null, never left out.
            needs: the scope that it needs, named when the shop forbids it.

        Raises:
            TooCostly: ask for a smaller page.
            NeedsReconnect: the token is refused, or lacks a scope.
            RetryLater: no good answer after the bounded tries.
            OutcomeUnknown: a mutation that may have happened.
            Refused: the shop does not understand the document.
        """
        self._bucket.take(self._costs.get(document.name, 0.0))
        self._sent = document
        payload = {"query": document.text, "variables": dict(variables), "operationName": document.name}
        parsed, headers, _ = self._http.post_json(
            self._path, payload, is_idempotent=not document.is_write, is_write=document.is_write, needs=needs
        )
        cost = _cost_of(parsed)
        if cost.requested:
            self._costs[document.name] = cost.requested
        if cost.left is not None:
            self._bucket.told(cost.left, capacity=cost.capacity, per_second=cost.per_second)
        self.served_version = headers.get("x-shopify-api-version") or self.served_version
        self.last_answered_at = answered_at(headers) or self.last_answered_at
        errors = parsed.get("errors") or ()
        if parsed["data"] is None or (errors and parsed["data"][document.root] is None):
            raise self._hopeless(errors, needs)
        withheld = tuple(dict.fromkeys(_path_of(error) for error in errors))
        return Answer(parsed["data"], cost.requested, withheld)

    def notices(self, withheld: Sequence[str] = ()) -> tuple[Notice, ...]:
        """Return what a person should hear of: another version than the pinned one, fields without scope."""
        found = []
        if self.served_version is not None and self.served_version != self.version:
            found.append(
                Notice(
                    "source_changed",
                    f"{self.shop} api version",
                    f"{self.shop} answered with API version {self.served_version} instead of {self.version}; "
                    "set api_version to a supported one, or install a newer oms-hub release",
                )
            )
        for path in dict.fromkeys(withheld):
            found.append(
                Notice(
                    "source_changed",
                    f"{self.shop} {path}",
                    f"{self.shop} withheld {path} for lack of a scope; the orders are kept without it",
                )
            )
        return tuple(found)

    def _interpret(self, parsed: Any, _headers: httpx.Headers) -> None:
        errors = _errors_of(parsed)
        codes = {_code_of(error) for error in errors}
        if "THROTTLED" in codes:
            raise RetryLater(f"{self.shop} throttles", after_seconds=_throttle_seconds(parsed))
        if "MAX_COST_EXCEEDED" in codes:
            raise TooCostly(f"{self.shop}: a query costs too much", cost=_stated_cost(errors))
        sent = self._sent
        if isinstance(parsed.get("data"), dict):
            is_passing = bool(codes - {"ACCESS_DENIED"}) or (sent is not None and sent.root not in parsed["data"])
        else:  # errors alone, or null beside them: final unless they pass
            is_passing = not errors or bool(codes & _PASSING_CODES)
            parsed["data"] = None
        if is_passing:
            reason = f"{self.shop} answered {', '.join(sorted(codes)) or 'something else than was asked'}"
            if sent is not None and sent.is_write:
                raise OutcomeUnknown(f"{reason}; the write may have been done")
            raise RetryLater(reason, after_seconds=1.0)

    def _hopeless(self, errors: Sequence[Any], needs: str) -> HubError:
        codes = {_code_of(error) for error in errors}
        if "ACCESS_DENIED" in codes:
            missing = f"; missing: {needs}" if needs else ""
            return NeedsReconnect(f"{self.shop}: the token may not do this{missing}")
        served = self.served_version or "unknown"
        return Refused(
            f"{self.shop} does not understand the query ({', '.join(sorted(codes))}), API version {served}",
            remedy="Set api_version to the version that this release was built for, or install a newer release",
        )

    def _explain(self, refusal: Refusal) -> HubError | None:
        if refusal.status == 404:
            return Misconfigured(f"there is no shop at {self.shop}", remedy="Check the setting shop")
        if refusal.status == 402:
            return RetryLater(
                f"{self.shop} is frozen (402)",
                after_seconds=_FROZEN_SECONDS,
                remedy="The shop's owner has to settle the bill with Shopify",
            )
        if refusal.status == 430:
            return RetryLater(f"{self.shop} rejects requests for now (430)", after_seconds=_SECURITY_SECONDS)
        return None


_PASSING_CODES = frozenset({"INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE"})


@dataclass(frozen=True, slots=True)
class _Cost:
    requested: float
    left: float | None
    capacity: float | None
    per_second: float | None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _cost_of(parsed: Any) -> _Cost:
    extensions = parsed.get("extensions")
    cost = extensions.get("cost") if isinstance(extensions, dict) else None
    if not isinstance(cost, dict):
        return _Cost(0.0, None, None, None)
    status = cost.get("throttleStatus")
    status = status if isinstance(status, dict) else {}
    per_second = _number(status.get("restoreRate"))
    return _Cost(
        _number(cost.get("requestedQueryCost")) or 0.0,
        _number(status.get("currentlyAvailable")),
        _number(status.get("maximumAvailable")) or None,
        per_second if per_second and per_second > 0 else None,
    )


def _throttle_seconds(parsed: Any) -> float:
    cost = _cost_of(parsed)
    missing = cost.requested - (cost.left or 0.0)
    return max(0.0, missing) / (cost.per_second or _POINTS_PER_SECOND) + _MARGIN_SECONDS


def _errors_of(parsed: Any) -> list[Any]:
    if not isinstance(parsed, dict):
        raise RetryLater("the answer is not a GraphQL answer", after_seconds=1.0)
    errors = parsed.get("errors")
    if not errors:
        return []
    return errors if isinstance(errors, list) else [errors]


def _code_of(error: Any) -> str:
    extensions = error.get("extensions") if isinstance(error, dict) else None
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return code if isinstance(code, str) and code.replace("_", "").isalnum() else "an error"


def _path_of(error: Any) -> str:
    path = error.get("path") if isinstance(error, dict) else None
    return ".".join(step for step in path if isinstance(step, str)) if isinstance(path, list) else "a field"


def _stated_cost(errors: Sequence[Any]) -> float:
    for error in errors:
        extensions = error.get("extensions") if isinstance(error, dict) else None
        cost = _number(extensions.get("cost")) if isinstance(extensions, dict) else None
        if cost:
            return cost
    return 0.0


__all__ = ["QUERY_COST_MAX", "Answer", "HttpRefused", "ShopifyApi", "TooCostly"]
