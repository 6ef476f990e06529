"""Testing a connection step by step, in words that an account's owner can act on.

What belongs here: the questions and the remedies. Not here: tokens (`auth`).

The test itself uses the refresh token up, and a connection that fails it before it is stored takes the next one along.
So before it is stored only what makes it useless fails it; the rest is said, and fails the test of a stored connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from connectors.mercadolibre.api import MeliApi, open_api
from connectors.mercadolibre.feeds import TOPICS
from connectors.mercadolibre.listings import MANAGES_DEPOTS
from connectors.mercadolibre.settings import seller_id, site
from connectors.mercadolibre.slices import changed_since
from oms_hub.channel.contract import ChannelSession, CheckResult
from oms_hub.errors import HubError

_MOST_SKEW = timedelta(minutes=5)
_USED_UP = "This test used the refresh token up: let the owner give consent again before the next try"


def check(session: ChannelSession) -> Sequence[CheckResult]:
    """Return what works and what does not; stops where the next step could not work."""
    results = list(_steps(session))
    if _is_stored(session) or all(each.is_ok for each in results) or not session.secrets.get("access_token"):
        return results
    return [each if each.is_ok else replace(each, remedy=f"{each.remedy}. {_USED_UP}") for each in results]


def _is_stored(session: ChannelSession) -> bool:
    return session.connection.connection_id != 0


def _steps(session: ChannelSession) -> Iterator[CheckResult]:
    try:
        with open_api(session) as api:
            me = api.get("users/me").parsed
            yield CheckResult("credentials", True, "the refresh token was renewed and is stored")
            yield from _account(session, me)
            yield _clock(session, api)
            yield _orders(api)
            yield _claims(api)
            yield _listings(api)
            yield from _depots(session, api, me)
            yield _missed(session, api)
    except HubError as error:
        yield CheckResult("connection", False, error.message, error.remedy)


def _account(session: ChannelSession, me: Mapping[str, Any]) -> Iterator[CheckResult]:
    settings = session.connection.settings
    wanted, found = seller_id(settings), str(me.get("id"))
    is_right = wanted == found
    remedy = "" if is_right else f"Set seller_id to {found}, or connect with the tokens of {wanted}"
    yield CheckResult("account", is_right, f"the tokens are of the account {found}", remedy)
    told = me.get("site_id") or site(settings)
    is_right = told == site(settings)
    remedy = "" if is_right else f"Set site to {told}"
    yield CheckResult("site", is_right or not _is_stored(session), f"the account is of {told}", remedy)


def _clock(session: ChannelSession, api: MeliApi) -> CheckResult:
    skew = abs(api.now() - session.clock())
    detail = f"Mercado Libre's clock and ours differ by {int(skew.total_seconds())} s; changes are found by theirs"
    return CheckResult("clock", True, detail, "" if skew <= _MOST_SKEW else "Set this machine's clock by a time server")


def _orders(api: MeliApi) -> CheckResult:
    try:
        page = api.search_orders(changed_since(api.now() - timedelta(days=30)), offset=0, limit=2)
    except HubError as error:
        return CheckResult("read orders", False, error.message, error.remedy)
    return CheckResult("read orders", True, f"{page.total} orders changed within 30 days")


def _claims(api: MeliApi) -> CheckResult:
    query = {"players.user_id": api.seller, "players.role": "respondent", "limit": "1"}
    try:
        api.get("post-purchase/v1/claims/search", query)
    except HubError as error:
        return CheckResult("read claims", False, error.message, error.remedy)
    return CheckResult("read claims", True, "claims can be read; cancelled orders are found by them, too")


def _listings(api: MeliApi) -> CheckResult:
    try:
        told = api.get(f"users/{api.seller}/items/search", {"limit": "1"}).parsed
    except HubError as error:
        return CheckResult("read listings", False, error.message, error.remedy)
    total = (told.get("paging") or {}).get("total")
    return CheckResult("read listings", True, f"{total} items")


def _depots(session: ChannelSession, api: MeliApi, me: Mapping[str, Any]) -> Iterator[CheckResult]:
    """Say how levels are written; an account with several depots has to name one."""
    if MANAGES_DEPOTS not in (me.get("tags") or ()):
        yield CheckResult("write levels", True, "one figure per listing; the permission shows with the first push")
        return
    query = {"tags": "stock_location"}
    rows = (api.part(f"users/{api.seller}/stores/search", query) or {}).get("results") or ()
    depots = {str(row["id"]): str(row.get("description") or "") for row in rows}
    chosen = session.connection.settings.get("store_id")
    if chosen in depots or (chosen is None and len(depots) == 1):
        name = depots[chosen] if chosen else next(iter(depots.values()))
        yield CheckResult("write levels", True, f"the stock of the depot {name}")
        return
    shown = ", ".join(f"{number} ({name})" for number, name in depots.items()) or "none"
    detail = f"the account manages depots, and store_id names none of them: {shown}; no level is read or written"
    remedy = "Set store_id to the depot to read and write"
    yield CheckResult("write levels", not _is_stored(session), detail, remedy)


def _missed(session: ChannelSession, api: MeliApi) -> CheckResult:
    client_id = session.secrets.get("client_id") or ""
    try:
        api.get("missed_feeds", {"app_id": client_id, "topic": TOPICS[0], "offset": "0", "limit": "1"})
    except HubError as error:
        return CheckResult("missed notifications", False, error.message, error.remedy)
    return CheckResult("missed notifications", True, "can be read")
