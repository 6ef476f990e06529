"""The connection test: what works, what is missing, and what to do about it.

What belongs here: trying things out, step by step. A refusal is a result here, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from connectors.shopify.api import ShopifyApi
from connectors.shopify.documents import SAMPLE_LISTING, SAMPLE_ORDER, SHOP
from connectors.shopify.listings import read_locations
from connectors.shopify.records import Granted, granted
from oms_hub.channel.contract import ChannelSession, CheckResult
from oms_hub.errors import HubError

_SCOPE_REMEDY = "Add the scope to the app in the Dev Dashboard, release it, and approve it in the shop"
_NEEDED = (
    ("read_orders", "orders"),
    ("read_products", "listings"),
    ("read_inventory", "levels"),
    ("read_locations", "locations"),
    ("write_inventory", "pushing levels"),
)
_USEFUL = (
    (("read_all_orders",), "orders older than 60 days"),
    (("read_returns",), "returns"),
    (("read_merchant_managed_fulfillment_orders", "read_assigned_fulfillment_orders"), "open work per place, pickup"),
    (("read_customers",), "the buyer's id"),
)


def check(session: ChannelSession) -> Sequence[CheckResult]:
    """Return one result per step; stops at the first step that makes the rest pointless."""
    results: list[CheckResult] = []
    try:
        with ShopifyApi(session) as api:
            for result in _steps(session, api):
                results.append(result)
    except HubError as error:
        results.append(CheckResult("reach and credentials", is_ok=False, detail=error.message, remedy=error.remedy))
    return results


def _steps(session: ChannelSession, api: ShopifyApi) -> Iterator[CheckResult]:
    shop = api.run(SHOP, {}).data["shop"]
    yield CheckResult("reach and credentials", is_ok=True, detail=f"{shop['myshopifyDomain']} answers")
    yield _version(api)
    yield _currency(session, shop["currencyCode"])
    rights = granted(api)
    yield from _scopes(rights)
    yield _tried("sample order", lambda: _sample(api, rights))
    yield _tried("sample listing", lambda: _count(api.run(SAMPLE_LISTING, {}).data["productVariants"], "listing"))
    yield _tried("location", lambda: _location(session, api))


def _version(api: ShopifyApi) -> CheckResult:
    is_same = api.served_version in {None, api.version}
    return CheckResult(
        "API version",
        is_ok=is_same,
        detail=f"asked for {api.version}, answered with {api.served_version or 'no version named'}",
        remedy="" if is_same else "Set api_version to a supported version, or install a newer oms-hub release",
    )


def _currency(session: ChannelSession, currency: str) -> CheckResult:
    base = session.connection.currency
    detail = f"the shop sells in {currency}" + ("" if currency == base else f", the merchant reports in {base}")
    return CheckResult("currency", is_ok=True, detail=detail)


def _scopes(rights: Granted) -> Iterator[CheckResult]:
    for scope, purpose in _NEEDED:
        is_there = rights.has(scope)
        said = f"granted ({purpose})" if is_there else f"missing: {purpose} will not work"
        yield CheckResult(f"scope {scope}", is_ok=is_there, detail=said, remedy="" if is_there else _SCOPE_REMEDY)
    for scopes, purpose in _USEFUL:
        is_there = rights.has(*scopes)
        said = f"granted ({purpose})" if is_there else f"not granted: the hub works without {purpose}"
        yield CheckResult(f"scope {scopes[0]}", is_ok=True, detail=said)


def _tried(step: str, attempt: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(step, is_ok=True, detail=attempt())
    except HubError as error:
        return CheckResult(step, is_ok=False, detail=error.message, remedy=error.remedy)


def _sample(api: ShopifyApi, rights: Granted) -> str:
    found = _count(api.run(SAMPLE_ORDER, {}, needs="read_orders").data["orders"], "order")
    return found if rights.has("read_all_orders") else f"{found}; only the last 60 days are visible"


def _count(connection: dict[str, list[object]], what: str) -> str:
    return f"read one {what}" if connection["nodes"] else f"the shop has no {what} yet"


def _location(session: ChannelSession, api: ShopifyApi) -> str:
    for location in read_locations(api, session.connection.settings):
        if location.is_default:
            return f"stock is kept at {location.name}"
    return "the shop has no active location of its own: levels cannot be read or written"
