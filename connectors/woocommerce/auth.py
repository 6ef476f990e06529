"""Testing a connection step by step, in words that a shop's owner can act on.

What belongs here: the questions and the remedies. Credentials themselves are a key pair sent by HTTP Basic (`api`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from connectors.woocommerce.api import Page, WooApi, open_api, shop_time
from connectors.woocommerce.changes import SECOND, modified_at
from connectors.woocommerce.settings import shop_address
from oms_hub.channel.answers import answered_at
from oms_hub.channel.contract import ChannelSession, CheckResult
from oms_hub.channel.http import HttpRefused
from oms_hub.errors import HubError

_MOST_SKEW = timedelta(minutes=5)
_PERMALINKS = (
    "Check the address; in WordPress under Settings > Permalinks choose anything but Plain, "
    "and make sure that WooCommerce is active"
)


def check(session: ChannelSession) -> Sequence[CheckResult]:
    """Return what works and what does not; stops where the next step could not work."""
    return list(_steps(session))


def _steps(session: ChannelSession) -> Iterator[CheckResult]:
    try:
        address = shop_address(session.connection.settings)
        yield CheckResult("address", True, f"{address.partition('://')[0]} to {address.partition('://')[2]}")
        with open_api(session) as api:
            yield from _asked(session, api)
    except HubError as error:
        yield CheckResult("connection", False, error.message, error.remedy)


def _asked(session: ChannelSession, api: WooApi) -> Iterator[CheckResult]:
    index = _index(api)
    yield index[0]
    if index[1] is None:
        return
    yield _clock(session, index[2])
    yield from _routes(index[1])
    try:
        newest = api.page("orders", _NEWEST, size=1)
    except HubError as error:
        yield CheckResult("read orders", False, error.message, error.remedy)
        return
    yield CheckResult(
        "read orders", True, "an order can be read" if newest.rows else "allowed; there are no orders yet"
    )
    yield _time_filter(api, newest)
    yield _products(api)
    yield _write(api)


_NEWEST = {
    "status": "any",
    "dates_are_gmt": "true",
    "orderby": "modified",
    "order": "desc",
    "_fields": "id,date_modified_gmt",
}


def _index(api: WooApi) -> tuple[CheckResult, Mapping[str, Any] | None, Any]:
    step = "shop answers"
    try:
        answer = api.one("")
    except HttpRefused as error:
        return CheckResult(step, False, error.message, _PERMALINKS), None, None
    except HubError as error:
        remedy = error.remedy or "Check the address"
        return CheckResult(step, False, error.message, remedy), None, None
    routes = answer.parsed.get("routes") if isinstance(answer.parsed, dict) else None
    if not isinstance(routes, dict) or "/wc/v3/orders" not in routes:
        return CheckResult(step, False, "the address answers, but not as a WooCommerce shop", _PERMALINKS), None, None
    return CheckResult(step, True, "WooCommerce REST API v3"), routes, answered_at(answer.headers)


def _clock(session: ChannelSession, shop_now: Any) -> CheckResult:
    if shop_now is None:
        return CheckResult("clock", True, "the shop does not tell its time")
    skew = abs(shop_now - session.clock())
    detail = f"the shop's clock and ours differ by {int(skew.total_seconds())} s; changes are found by the shop's own"
    return CheckResult("clock", True, detail, "" if skew <= _MOST_SKEW else "Set both clocks by a time server")


def _routes(routes: Mapping[str, Any]) -> Iterator[CheckResult]:
    arguments = [
        endpoint.get("args") or {}
        for endpoint in routes["/wc/v3/orders"].get("endpoints") or ()
        if "GET" in (endpoint.get("methods") or ())
    ]
    has_filter = any("modified_after" in names for names in arguments)
    yield CheckResult(
        "find changes",
        has_filter,
        "the shop finds orders by time of change" if has_filter else "the shop cannot find orders by time of change",
        "" if has_filter else "Update WooCommerce to 5.8 or later; until then every sync reads all orders",
    )
    for route, name in (("/wc/v3/refunds", "list of all refunds"), ("/wc/v3/variations", "list of all variations")):
        detail = "there" if route in routes else "not there (older WooCommerce): the hub asks one by one instead"
        yield CheckResult(name, True, detail)


def _time_filter(api: WooApi, newest: Page) -> CheckResult:
    """Ask for what changed since just before the newest change: exactly that must come."""
    step = "time filter"
    moment = modified_at(newest.rows[0]) if newest.rows else None
    if moment is None:
        return CheckResult(step, True, "not tested: there are no orders yet")
    query = {**_NEWEST, "order": "asc", "modified_after": shop_time(moment - SECOND)}
    try:
        rows = api.page("orders", query).rows
    except HubError as error:
        return CheckResult(step, False, error.message, error.remedy)
    times = [modified_at(row) for row in rows]
    if rows and all(time is not None and time >= moment for time in times):
        return CheckResult(step, True, "changes are found in the shop's time zone")
    return CheckResult(
        step,
        False,
        "the shop's filter by time of change gives wrong orders (an old WooCommerce or a plugin)",
        "Update WooCommerce; until then every sync reads all orders",
    )


def _products(api: WooApi) -> CheckResult:
    try:
        page = api.page("products", {"status": "any", "_fields": "id"}, size=1)
    except HubError as error:
        return CheckResult("read products", False, error.message, error.remedy)
    return CheckResult("read products", True, "a product can be read" if page.rows else "allowed; there are none yet")


def _write(api: WooApi) -> CheckResult:
    """Send a batch without rows: it changes nothing and is refused to a key that may only read."""
    try:
        api.http.post_json("products/batch", {"update": []}, is_idempotent=True, needs="Read/Write")
    except HubError as error:
        return CheckResult("write levels", False, error.message, error.remedy)
    return CheckResult("write levels", True, "the key may write")
