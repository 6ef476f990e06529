"""Loyverse's REST API over the hub's HTTP client: the token, the pages of a list, the connection test.

What belongs here: asking. Not here: what answers mean (`parse`, `listings`, `stock`).

Source: the published reference as summarised by a third party (`loyverse-derived-unofficial.yml`, 2026-08), which
leaves out the `updated_at` filters that client libraries use; about 60 requests a minute are said to be allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from connectors.loyverse.settings import base_url
from oms_hub.channel.contract import ChannelSession, CheckResult
from oms_hub.channel.http import ChannelHttp, ChannelRules, HttpAnswer, Refusal, open_client
from oms_hub.channel.rate_limit import CostBucket
from oms_hub.clock import monotonic_seconds
from oms_hub.errors import BadPayload, HubError, Misconfigured, NeedsReconnect, RetryLater

_REQUESTS_PER_SECOND = 1.0
_REQUESTS_AT_ONCE = 60.0
_MOST_PAGES = 10_000


@contextmanager
def open_api(session: ChannelSession) -> Iterator[ChannelHttp]:
    """Open the account of a session.

    Raises:
        Misconfigured: settings that cannot work.
        NeedsReconnect: no token.
    """
    token = session.secrets.get("access_token")
    if not token:
        raise NeedsReconnect("the access token is missing", remedy="Give it with --secret access_token=...")
    gate = CostBucket(_REQUESTS_AT_ONCE, _REQUESTS_PER_SECOND, monotonic=monotonic_seconds, sleep=session.sleep)
    with open_client(
        session,
        base_url(session.connection.settings),
        headers={"authorization": f"Bearer {token}"},
        rules=ChannelRules(explain=_explain),
        gate=gate,
    ) as http:
        yield http


def _explain(refusal: Refusal) -> HubError | None:
    if refusal.status != 402:
        return None
    return Misconfigured(
        "Loyverse does not show receipts of that age on this plan (402)",
        remedy="Set orders_from to a later day, or subscribe to the unlimited sales history",
    )


def pages(
    http: ChannelHttp, path: str, query: Mapping[str, str], name: str, *, needs: str, cursor: str = ""
) -> Iterator[HttpAnswer]:
    """Yield the pages of a list from a cursor on.

    Raises:
        BadPayload: `name` is no list.
        RetryLater: the pages never end.
    """
    for _ in range(_MOST_PAGES):
        answer = http.get_json(path, query={**query, **({"cursor": cursor} if cursor else {})}, needs=needs)
        rows_of(answer.parsed, name)
        yield answer
        cursor = cursor_of(answer.parsed)
        if not cursor:
            return
    raise RetryLater(f"GET {path}: the pages do not end")


def rows_of(parsed: Any, name: str) -> list[Any]:
    """Return the rows of a page; raises BadPayload where there is no list of that name."""
    rows = parsed.get(name) if isinstance(parsed, dict) else None
    if not isinstance(rows, list):
        raise BadPayload(f"the answer holds no list of {name}", where=name)
    return rows


def cursor_of(parsed: Mapping[str, Any]) -> str:
    """Return the cursor of the next page, empty after the last one."""
    return str(parsed.get("cursor") or "")


def check(session: ChannelSession) -> Sequence[CheckResult]:
    """Return what works, permission by permission; a refusal is a result."""
    steps = (
        ("read receipts", "/receipts", "receipts", "RECEIPTS_READ"),
        ("read items", "/items", "items", "ITEMS_READ"),
        ("read levels", "/inventory", "inventory_levels", "INVENTORY_READ"),
        ("read stores", "/stores", "stores", "STORES_READ"),
    )
    results = []
    for step, path, name, needs in steps:
        try:
            with open_api(session) as http:
                found = rows_of(http.get_json(path, query={"limit": "1"}, needs=needs).parsed, name)
            results.append(CheckResult(step, True, "one was read" if found else "allowed; there is none yet"))
        except HubError as error:
            results.append(CheckResult(step, False, error.message, error.remedy))
    return results
