"""Settings, tokens, and what lapses: one refresh for many workers, a withdrawn consent said once and clearly."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from connectors.amazon import CHANNEL, operations
from connectors.amazon.api import AmazonApi, NotPermitted
from connectors.amazon.auth import Tokens
from connectors.amazon.check import check
from connectors.amazon.lapses import lapse_notices, lapses, noted_days
from connectors.amazon.sandbox import AmazonSandbox, start_sandbox
from connectors.amazon.settings import (
    api_address,
    check_settings,
    marketplace_ids,
    orders_from,
    page_size,
    token_address,
    uses_reports,
)
from oms_hub.channel.contract import ChannelSession, PullRequest
from oms_hub.domain.pull_windows import to_text
from oms_hub.errors import BadPayload, Misconfigured, NeedsReconnect
from oms_hub.testing.factories import a_session

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GOOD = {"region": "na", "marketplace_ids": "A1AM78C64UM0Y8, ATVPDKIKX0DER", "seller_id": "A2PRACTICE0SELLER"}


class SharedSecrets:
    """Secrets that several workers share, with a real lock; notes what was stored, in order."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.stored: list[dict[str, str]] = []
        self._lock = threading.RLock()

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def replace(self, values: Mapping[str, str]) -> None:
        self.stored.append(dict(values))
        self.values.update(values)

    @contextmanager
    def lock(self) -> Iterator[None]:
        with self._lock:
            yield


@pytest.fixture
def sandbox() -> Iterator[AmazonSandbox]:
    account = start_sandbox(orders=12, rate_factor=20_000.0, clock=lambda: NOW)
    yield account
    account.close()


def session_of(account: AmazonSandbox, secrets: SharedSecrets | None = None, **settings: str) -> ChannelSession:
    session = a_session({**account.account.settings, **settings}, clock=account.seller.now)
    return replace(session, secrets=secrets or SharedSecrets(account.account.secrets))


# -------------------------------------------------------------------------------------------------------- settings


def test_good_settings_lead_to_the_regions_addresses() -> None:
    check_settings(GOOD)
    assert api_address(GOOD) == "https://sellingpartnerapi-na.amazon.com"
    assert token_address(GOOD) == "https://api.amazon.com"
    assert marketplace_ids(GOOD) == ("A1AM78C64UM0Y8", "ATVPDKIKX0DER")
    assert (orders_from(GOOD), page_size(GOOD), uses_reports(GOOD)) == (None, 100, True)
    own = {
        **GOOD,
        "base_url": "http://127.0.0.1:9/",
        "orders_from": "2026-01-02",
        "page_size": "7",
        "history": "search",
    }
    check_settings(own)
    assert api_address(own) == token_address(own) == "http://127.0.0.1:9"
    assert (str(orders_from(own)), page_size(own), uses_reports(own)) == ("2026-01-02 00:00:00+00:00", 7, False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"region": "moon"}, "region is not one of na, eu, fe"),
        ({"marketplace_ids": ""}, "marketplace_ids is not a list"),
        ({"marketplace_ids": "Amazon.com"}, "marketplace_ids is not a list"),
        ({"marketplace_ids": "A1PA6795UKMFR9"}, r"A1PA6795UKMFR9 \(DE\) belongs to region eu, not na"),
        ({"seller_id": "me"}, "seller_id is not a merchant token"),
        ({"orders_from": "yesterday"}, "orders_from is not a day"),
        ({"page_size": "101"}, "page_size is not a number from 1 to 100"),
        ({"history": "magic"}, "history is neither report nor search"),
        ({"base_url": "http://amazon.example"}, "plain http"),
        ({"secret_rotated_on": "soon"}, "secret_rotated_on is not a day"),
    ],
)
def test_settings_that_cannot_work_are_refused(change: dict[str, str], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        check_settings({**GOOD, **change})


def test_a_marketplace_that_is_not_known_here_is_left_to_amazon() -> None:
    assert marketplace_ids({**GOOD, "marketplace_ids": "A0NEWMARKET00"}) == ("A0NEWMARKET00",)


# ---------------------------------------------------------------------------------------------------------- tokens


def test_one_refresh_serves_many_workers_and_is_stored_before_use(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    secrets: Any = session.secrets
    api = AmazonApi(session)
    ids = sandbox.order_ids()[:8]

    def read(order_id: str) -> int:
        assert secrets.values  # every worker shares them
        api.call(operations.GET_ORDER, place={"orderId": order_id}, query={"includedData": "PROCEEDS"})
        return len(secrets.stored)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, ids))
        assert sandbox.server.access.grants == 1
        sandbox.expire_tokens()
        list(pool.map(read, ids))
    api.http.close()
    assert sandbox.server.access.grants == 2
    assert [sorted(values) for values in secrets.stored] == [
        ["access_token", "access_token_expires_at", "client_secret_used_since", "refresh_token_used_since"],
        ["access_token", "access_token_expires_at"],
    ]
    first = next(each for each in sandbox.server.traffic if each.operation == "getOrder")
    assert first.headers["x-amz-access-token"] == secrets.stored[0]["access_token"]


def test_a_token_is_renewed_a_minute_before_it_expires(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    Tokens(session).current()
    sandbox.advance_clock(3600 - 61)
    Tokens(session).current()
    assert sandbox.server.access.grants == 1
    sandbox.advance_clock(1)
    Tokens(session).current()
    assert sandbox.server.access.grants == 2


def test_a_token_that_another_worker_just_stored_is_taken(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    stale = Tokens(session).current()
    fresh = Tokens(session).renew(stale=stale)
    assert Tokens(session).renew(stale=stale) == fresh
    assert sandbox.server.access.grants == 2


def test_tokens_that_expire_in_the_middle_of_a_walk_cost_one_refresh(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox, page_size="3", history="search")
    pages = 0
    for page in CHANNEL.order_source(session, PullRequest({})):  # type: ignore[misc]
        pages += bool(page.body)
        if pages == 2:
            sandbox.expire_tokens()
    assert pages >= 5
    assert sandbox.server.access.grants == 2


def test_a_withdrawn_consent_ends_the_pull_and_says_what_to_do(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    pages = CHANNEL.order_source(session, PullRequest({}))  # type: ignore[misc]
    next(pages)
    sandbox.withdraw_consent()
    with pytest.raises(NeedsReconnect, match=r"Login with Amazon refuses the credentials \(invalid_grant\)") as caught:
        list(pages)
    assert "authorise the app again" in caught.value.remedy
    assert [value for value in sandbox.account.secrets.values() if value in caught.value.one_line()] == []


@pytest.mark.parametrize(
    ("name", "code", "remedy"),
    [("client_secret", "invalid_client", "180 days"), ("refresh_token", "invalid_grant", "authorise the app again")],
)
def test_wrong_credentials_are_told_apart(sandbox: AmazonSandbox, name: str, code: str, remedy: str) -> None:
    session = session_of(sandbox)
    session.secrets.replace({name: "wrong"})
    with pytest.raises(NeedsReconnect, match=code) as caught:
        Tokens(session).current()
    assert remedy in caught.value.remedy


def test_missing_credentials_are_named(sandbox: AmazonSandbox) -> None:
    session = session_of(sandbox)
    session.secrets.replace({"client_secret": "", "refresh_token": ""})
    with pytest.raises(NeedsReconnect, match="has no client_secret and no refresh_token"):
        Tokens(session).current()


def answering(*answers: httpx.Response) -> ChannelSession:
    rest = iter(answers)
    secrets = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}
    return a_session(GOOD, secrets, transport=httpx.MockTransport(lambda _request: next(rest)))


def test_a_rotated_refresh_token_is_stored_and_an_odd_lifetime_is_an_hour() -> None:
    session = answering(httpx.Response(200, json={"access_token": "A", "refresh_token": "r2", "expires_in": True}))
    assert Tokens(session).current() == "A"
    assert session.secrets.get("refresh_token") == "r2"
    assert session.secrets.get("access_token_expires_at") == to_text(session.clock() + timedelta(hours=1))


def test_odd_answers_of_the_token_address() -> None:
    with pytest.raises(BadPayload, match="holds no access_token"):
        Tokens(answering(httpx.Response(200, json=[]))).current()
    with pytest.raises(NeedsReconnect, match=r"refuses the credentials$"):
        Tokens(answering(httpx.Response(403, json={}))).current()
    with pytest.raises(Exception, match="404"):
        Tokens(answering(httpx.Response(404, json={}))).current()


def test_a_role_that_is_missing_is_named_after_one_renewal(sandbox: AmazonSandbox) -> None:
    sandbox.server.access.missing_roles.add("Inventory and Order Tracking")
    session = session_of(sandbox)
    with pytest.raises(NotPermitted, match="refuses createReport with 403") as caught:
        list(CHANNEL.order_source(session, PullRequest({})))  # type: ignore[misc]
    assert "role Inventory and Order Tracking" in caught.value.remedy
    assert sandbox.server.access.grants == 2


# ---------------------------------------------------------------------------------------------------------- lapses


def test_what_lapses_is_counted_from_its_setting_or_its_first_use() -> None:
    today = date(2026, 11, 22)
    given = {"client_secret": "s", "refresh_token": "r"}
    secrets = SharedSecrets(given)
    assert list(lapses({}, secrets, today=today)) == []
    secrets.replace(noted_days(secrets, given, today=today - timedelta(days=160)))
    assert noted_days(secrets, given, today=today) == {}
    assert [(title, left) for title, _, left, _ in lapses({}, secrets, today=today)] == [
        ("the app's client secret", 20), ("the seller's consent", 205),
    ]  # fmt: skip
    settings = {"secret_rotated_on": "2026-05-20", "consented_on": "2026-11-01"}
    assert [notice.message for notice in lapse_notices(settings, secrets, today=today)] == [
        "the app's client secret was good until 2026-11-16: rotate it in the Developer Console, connect with the new "
        "one and set secret_rotated_on"
    ]
    assert lapse_notices({}, secrets, today=today)[0].message.startswith("the app's client secret lapses on 2026-12-12")
    renewed = noted_days(secrets, {**given, "client_secret": "new"}, today=today)
    assert set(renewed) == {"client_secret_used_since"}


def test_a_pull_says_what_lapses_soon(sandbox: AmazonSandbox) -> None:
    long_ago = (sandbox.seller.now() - timedelta(days=170)).date().isoformat()
    session = session_of(sandbox, secret_rotated_on=long_ago)
    notices = [notice for page in CHANNEL.order_source(session, PullRequest({})) for notice in page.notices]  # type: ignore[misc]
    assert [(notice.kind, notice.reference) for notice in notices] == [("source_changed", "the app's client secret")]
    result = next(each for each in check(session) if each.step == "the app's client secret")
    assert (result.is_ok, "10 days" in result.detail, result.remedy != "") == (True, True, True)


# ----------------------------------------------------------------------------------------------------------- check


def test_the_check_goes_step_by_step(sandbox: AmazonSandbox) -> None:
    before = {sku: good.quantity for sku, good in sandbox.seller.goods.items()}
    results = check(session_of(sandbox))
    assert [result.step for result in results if not result.is_ok] == []
    assert [result.step for result in results] == [
        "address", "credentials", "the app's client secret", "the seller's consent", "marketplaces", "orders",
        "refunds and fees", "listings", "write levels",
    ]  # fmt: skip
    assert before == {sku: good.quantity for sku, good in sandbox.seller.goods.items()}


def test_the_check_names_what_is_missing(sandbox: AmazonSandbox) -> None:
    sandbox.server.access.missing_roles |= {"Finance and Accounting", "Product Listing"}
    session = session_of(sandbox, marketplace_ids="A1AM78C64UM0Y8,A2EUQ1WTGCTBG2")
    results = {each.step: each for each in check(session)}
    assert {step for step, each in results.items() if not each.is_ok} == {
        "marketplaces", "orders", "refunds and fees", "listings",
    }  # fmt: skip
    assert "A2EUQ1WTGCTBG2" in results["marketplaces"].detail
    assert "Finance and Accounting" in results["refunds and fees"].remedy
    sandbox.withdraw_consent()
    stopped = check(session_of(sandbox))
    assert [(each.step, each.is_ok) for each in stopped] == [("address", True), ("credentials", False)]


def test_the_check_of_an_account_without_goods_and_orders(sandbox: AmazonSandbox) -> None:
    sandbox.seller.goods = {"FBA-001": sandbox.seller.goods["FBA-001"]}
    sandbox.seller.orders.clear()
    results = {each.step: each.detail for each in check(session_of(sandbox))}
    assert results["orders"] == "allowed; no order changed in the last day"
    assert results["write levels"].startswith("not tried")
    sandbox.seller.goods.clear()
    assert {each.step: each.detail for each in check(session_of(sandbox))}["listings"] == "allowed; there are none yet"
