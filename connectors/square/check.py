"""The connection test: what works, what is missing, and what to do about it.

What belongs here: trying things out, step by step. A refusal is a result here, never an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from connectors.square.api import SquareApi, open_api, rows_of
from connectors.square.locations import is_active, wanted_rows
from connectors.square.walk import LOCATIONS_AT_ONCE
from connectors.square.walk import PATH as SEARCH_PATH
from oms_hub.channel.contract import ChannelSession, CheckResult
from oms_hub.errors import HubError

STATUS_PATH = "/oauth2/token/status"
NEEDED = (
    ("MERCHANT_PROFILE_READ", "locations"),
    ("ORDERS_READ", "sales and returns"),
    ("ITEMS_READ", "listings"),
    ("INVENTORY_READ", "levels, and which returns were restocked"),
    ("INVENTORY_WRITE", "pushing levels"),
)
_REMEDY = "Ask for the permission in the authorization link and have the seller approve it again"


def check(session: ChannelSession) -> Sequence[CheckResult]:
    """Return one result per step; stops where the next step could not work."""
    results: list[CheckResult] = []
    try:
        with open_api(session) as api:
            for result in _steps(session, api):
                results.append(result)
    except HubError as error:
        results.append(CheckResult("reach and credentials", is_ok=False, detail=error.message, remedy=error.remedy))
    return results


def _steps(session: ChannelSession, api: SquareApi) -> Iterator[CheckResult]:
    status = api.ask(STATUS_PATH, None, needs="").parsed
    expiry = status.get("expires_at")
    yield CheckResult(
        "reach and credentials", is_ok=True, detail=f"Square answers; the token expires {expiry or 'never'}"
    )
    yield from _scopes(status.get("scopes") or ())
    rows = wanted_rows(api, session)
    yield from _locations(session, rows)
    yield _tried("sample order", lambda: _sample(api, [row["id"] for row in rows]))


def _scopes(granted: Sequence[str]) -> Iterator[CheckResult]:
    if not granted:
        yield CheckResult("scopes", is_ok=True, detail="Square does not tell the permissions of this token")
        return
    for scope, purpose in NEEDED:
        is_there = scope in granted
        said = f"granted ({purpose})" if is_there else f"missing: {purpose} will not work"
        yield CheckResult(f"scope {scope}", is_ok=is_there, detail=said, remedy="" if is_there else _REMEDY)


def _locations(session: ChannelSession, rows: Sequence[Mapping[str, Any]]) -> Iterator[CheckResult]:
    active = [row for row in rows if is_active(row)]
    names = ", ".join(f"{row.get('name')} ({row['id']})" for row in rows)
    remedy = "" if active else "Set location_ids to an active location"
    yield CheckResult("locations", is_ok=bool(active), detail=names or "none", remedy=remedy)
    zone, currency = session.connection.time_zone, session.connection.currency
    for row in active:
        if row.get("timezone") not in {zone, None}:
            detail = f"its days end in {row['timezone']}, the merchant's reports count in {zone}"
            yield CheckResult(f"days of {row.get('name')}", is_ok=True, detail=detail)
        if row.get("currency") not in {currency, None}:
            detail = f"it sells in {row['currency']}, the merchant reports in {currency}"
            yield CheckResult(f"currency of {row.get('name')}", is_ok=True, detail=detail)


def _tried(step: str, attempt: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(step, is_ok=True, detail=attempt())
    except HubError as error:
        return CheckResult(step, is_ok=False, detail=error.message, remedy=error.remedy)


def _sample(api: SquareApi, places: Sequence[str]) -> str:
    question = {"location_ids": list(places[:LOCATIONS_AT_ONCE]), "limit": 1}
    return (
        "read one order"
        if rows_of(api.ask(SEARCH_PATH, question, needs="ORDERS_READ").parsed, "orders")
        else ("allowed; there are no orders yet")
    )
