"""The connection test: what works, what is missing, and what to do about it.

What belongs here: trying things out, step by step. A refusal is a result here, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from connectors.amazon.api import AmazonApi, open_api
from connectors.amazon.auth import Tokens
from connectors.amazon.fields import mapping, rows, words
from connectors.amazon.lapses import WARNED_BEFORE, lapses
from connectors.amazon.listings import OWN_STOCK, channel_code, items_of, record_of
from connectors.amazon.operations import (
    LIST_TRANSACTIONS,
    PARTICIPATIONS,
    PATCH_LISTING,
    SEARCH_LISTINGS,
    SEARCH_ORDERS,
)
from connectors.amazon.search import orders_of
from connectors.amazon.settings import api_address, region
from connectors.amazon.writes import quantity_patch
from oms_hub.channel.contract import ChannelSession, CheckResult
from oms_hub.domain.pull_windows import floor_to, to_text
from oms_hub.errors import HubError


def check(session: ChannelSession) -> Sequence[CheckResult]:
    """Return one result per step; stops at the first step that makes the rest pointless."""
    results: list[CheckResult] = []
    try:
        with open_api(session) as api:
            for result in _steps(session, api):
                results.append(result)
    except HubError as error:
        results.append(CheckResult("credentials", is_ok=False, detail=error.message, remedy=error.remedy))
    return results


def _steps(session: ChannelSession, api: AmazonApi) -> Iterator[CheckResult]:
    settings = session.connection.settings
    yield CheckResult("address", is_ok=True, detail=f"region {region(settings)}: {api_address(settings)}")
    Tokens(session).current()
    yield CheckResult("credentials", is_ok=True, detail="Login with Amazon gives an access token")
    yield from _lapses(session)
    yield _tried("marketplaces", lambda: _marketplaces(api))
    since = to_text(floor_to(session.clock() - timedelta(days=1), timedelta(seconds=1)))
    yield _tried("orders", lambda: _orders(api, since))
    yield _tried("refunds and fees", lambda: _transactions(api, since))
    yield from _listings(api)


def _lapses(session: ChannelSession) -> Iterator[CheckResult]:
    today = session.clock().date()
    for title, last_day, days_left, remedy in lapses(session.connection.settings, session.secrets, today=today):
        detail = f"good until {last_day.isoformat()} ({days_left} days)"
        yield CheckResult(
            title, is_ok=days_left >= 0, detail=detail, remedy=remedy if days_left <= WARNED_BEFORE.days else ""
        )


def _tried(step: str, attempt: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(step, is_ok=True, detail=attempt())
    except HubError as error:
        return CheckResult(step, is_ok=False, detail=error.message, remedy=error.remedy)


def _marketplaces(api: AmazonApi) -> str:
    page = mapping(api.call(PARTICIPATIONS).parsed, "answer")
    takes_part = {
        words(mapping(row.get("marketplace"), "marketplace").get("id")): words(
            mapping(row.get("marketplace"), "marketplace").get("name")
        )
        for row in rows(page.get("payload"), "payload")
        if mapping(row.get("participation"), "participation").get("isParticipating")
    }
    missing = [each for each in api.marketplace_ids if each not in takes_part]
    if missing:
        raise HubError(
            f"the account does not sell in {', '.join(missing)}",
            remedy=f"Set marketplace_ids to some of {', '.join(sorted(takes_part)) or 'none'}",
        )
    return f"the account sells in {', '.join(takes_part[each] or each for each in api.marketplace_ids)}"


def _orders(api: AmazonApi, since: str) -> str:
    query = {"lastUpdatedAfter": since, "marketplaceIds": ",".join(api.marketplace_ids), "maxResultsPerPage": "1"}
    orders = orders_of(api.call(SEARCH_ORDERS, query=query).parsed)
    return "an order of the last day can be read" if orders else "allowed; no order changed in the last day"


def _transactions(api: AmazonApi, since: str) -> str:
    api.call(LIST_TRANSACTIONS, query={"postedAfter": since})
    return "allowed"


def _listings(api: AmazonApi) -> Iterator[CheckResult]:
    """Read one listing, and have Amazon validate a patch of one that the merchant ships, without carrying it out."""
    query = {
        "marketplaceIds": ",".join(api.marketplace_ids),
        "includedData": "summaries,fulfillmentAvailability,productTypes",
        "pageSize": "20",
    }
    try:
        items = items_of(api.call(SEARCH_LISTINGS, place={"sellerId": api.seller_id}, query=query).parsed)
    except HubError as error:
        yield CheckResult("listings", is_ok=False, detail=error.message, remedy=error.remedy)
        return
    yield CheckResult("listings", is_ok=True, detail="listings can be read" if items else "allowed; there are none yet")
    own = next((item for item in items if channel_code(item) == OWN_STOCK), None)
    if own is None:
        yield CheckResult("write levels", is_ok=True, detail="not tried: no listing that the merchant ships was found")
        return
    record = record_of(own, api.marketplace_ids)
    yield _tried("write levels", lambda: _preview(api, record.sku or "", record.attributes["product_type"]))


def _preview(api: AmazonApi, sku: str, product_type: str) -> str:
    answer = api.call(
        PATCH_LISTING,
        place={"sellerId": api.seller_id, "sku": sku},
        query={"marketplaceIds": ",".join(api.marketplace_ids), "mode": "VALIDATION_PREVIEW"},
        payload={"productType": product_type, "patches": [quantity_patch(0)]},
        is_idempotent=True,
    ).parsed
    status = words(mapping(answer, "answer").get("status")) or "nothing"
    return f"Amazon validates a level and says {status}; nothing was changed"
