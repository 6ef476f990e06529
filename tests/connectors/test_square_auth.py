"""Getting in: settings, tokens and their renewal, the connection test, webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from connectors.square import CHANNEL
from connectors.square.api import open_api
from connectors.square.auth import Tokens
from connectors.square.sandbox import SquareSandbox, start_sandbox
from connectors.square.settings import SETTINGS, check_settings, location_ids
from connectors.square.webhooks import EVENT_TYPES, REVOKED, read_delivery, signature
from oms_hub.channel.contract import ChannelSession, PullRequest
from oms_hub.errors import BadPayload, Misconfigured, NeedsReconnect, Refused, RetryLater
from oms_hub.testing.factories import GivenSecrets, a_session


class SharedSecrets(GivenSecrets):
    """Secrets that several workers share, with a lock that holds."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self._lock = threading.Lock()

    def lock(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return self._lock  # type: ignore[return-value]


@pytest.fixture
def seller() -> Iterator[SquareSandbox]:
    running = start_sandbox(orders=30, seed=2)
    yield running
    running.close()


def session_of(seller: SquareSandbox, **changes: Any) -> ChannelSession:
    settings = {**seller.account.settings, "page_size": "9"}
    session = a_session(settings, clock=seller.shop.now)
    return replace(session, secrets=SharedSecrets(seller.account.secrets), **changes)


def pull(session: ChannelSession) -> int:
    assert CHANNEL.order_source
    return sum(len(page.records or ()) for page in CHANNEL.order_source(session, PullRequest({})))


# -------------------------------------------------------------------------------------------------------- tokens


def test_the_first_token_is_asked_for_and_stored_before_use(seller: SquareSandbox) -> None:
    session = session_of(seller)
    assert pull(session) > 30
    assert seller.server.access.renewals == 1
    assert session.secrets.get("access_token") == "EAAApractice0001"
    assert session.secrets.get("access_token_expires_at") == "2026-12-20T18:05:00Z"
    assert str(session.secrets.get("access_token_renew_at")).startswith("2026-11-27T18:05:0")
    assert session.secrets.get("refresh_token") == seller.server.access.refresh_token
    pull(session)
    assert seller.server.access.renewals == 1


def test_a_token_that_expires_in_the_middle_of_a_walk_is_renewed_there(seller: SquareSandbox) -> None:
    assert CHANNEL.order_source
    session = session_of(seller)
    pages = CHANNEL.order_source(session, PullRequest({}))
    next(pages)
    seller.expire_tokens()
    rest = list(pages)
    assert rest[-1].cursor["seen"] == "2026-11-20T17:00:00Z"
    assert seller.server.access.renewals == 2


def test_one_renewal_serves_many_workers(seller: SquareSandbox) -> None:
    session = session_of(seller)
    pull(session)
    seller.expire_tokens()
    start, found = threading.Barrier(8), []

    def work() -> None:
        with open_api(session) as api:
            start.wait(10)
            found.append(len(api.get("/v2/locations", needs="")["locations"]))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [3] * 8
    assert seller.server.access.renewals == 2


def test_a_revoked_consent_needs_its_owner_and_is_asked_once(seller: SquareSandbox) -> None:
    session = session_of(seller)
    pull(session)
    seller.revoke()
    with open_api(session) as api:
        for _ in range(3):
            with pytest.raises(NeedsReconnect, match=r"refuses to renew the access token \(UNAUTHORIZED\)"):
                api.get("/v2/locations", needs="")
    assert seller.server.access.renewals == 2


def test_a_revoked_personal_token_needs_its_owner(seller: SquareSandbox) -> None:
    seller.revoke()
    session = a_session(seller.personal_account.settings, seller.personal_account.secrets)
    with pytest.raises(NeedsReconnect, match="ACCESS_TOKEN_REVOKED"):
        pull(session)


def test_a_due_token_is_renewed_after_seven_days_and_a_rotated_refresh_token_is_kept(seller: SquareSandbox) -> None:
    session = session_of(seller)
    pull(session)
    seller.server.access.rotates = True
    seller.advance_clock(7 * 86400 + 60)
    pull(session)
    assert session.secrets.get("access_token") == "EAAApractice0002"
    assert session.secrets.get("refresh_token") == "EQAApractice0002"
    seller.advance_clock(7 * 86400 + 60)
    pull(session)
    assert session.secrets.get("access_token") == "EAAApractice0003"


def test_a_renewal_that_is_only_due_can_wait_and_one_that_must_be_cannot(seller: SquareSandbox) -> None:
    session = session_of(seller)
    pull(session)
    tokens = Tokens(replace(session, transport=httpx.MockTransport(lambda _: httpx.Response(503))))
    seller.advance_clock(8 * 86400)
    assert tokens.current() == "EAAApractice0001"
    seller.advance_clock(30 * 86400)
    with pytest.raises(RetryLater):
        tokens.current()


def granting(answer: Any) -> Tokens:
    secrets = {"client_id": "i", "client_secret": "s", "refresh_token": "r"}
    handle = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    return Tokens(a_session({"base_url": "http://127.0.0.1:9"}, secrets, transport=handle))


def test_odd_answers_to_a_token_request() -> None:
    assert granting({"access_token": "a"}).current() == "a"
    assert granting({"access_token": "a", "expires_at": ""}).current() == "a"
    with pytest.raises(BadPayload, match="holds no access_token"):
        granting({"token": "a"}).current()
    with pytest.raises(BadPayload, match="no instant"):
        granting({"access_token": "a", "expires_at": "soon"}).current()


def test_a_short_lived_token_is_renewed_at_half_of_its_life() -> None:
    secrets = GivenSecrets({"client_id": "i", "client_secret": "s", "refresh_token": "r"})
    answer = {"access_token": "a", "expires_at": "2026-11-23T12:00:00Z"}
    handle = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    session = a_session({"base_url": "http://127.0.0.1:9"}, transport=handle)
    Tokens(replace(session, secrets=secrets)).current()
    assert secrets.get("access_token_renew_at") == "2026-11-23T00:00:00Z"


def test_a_refused_token_request_of_another_kind_is_no_revoked_consent() -> None:
    secrets = {"client_id": "i", "client_secret": "s", "refresh_token": "r"}
    handle = httpx.MockTransport(lambda _: httpx.Response(404, json={}))
    with pytest.raises(Refused, match="404"):
        Tokens(a_session({"base_url": "http://127.0.0.1:9"}, secrets, transport=handle)).current()


def test_without_any_credentials_the_owner_is_asked() -> None:
    with pytest.raises(NeedsReconnect, match="neither access_token nor client_id"):
        Tokens(a_session({"base_url": "http://127.0.0.1:9"})).current()


def test_no_secret_stands_in_an_address_or_an_error(seller: SquareSandbox) -> None:
    seller.revoke()
    session = session_of(seller)
    with pytest.raises(NeedsReconnect) as caught:
        pull(session)
    for secret in seller.account.secrets.values():
        assert secret not in caught.value.one_line()


# ---------------------------------------------------------------------------------------------- connection test


def test_the_connection_test_says_scope_by_scope_what_works(seller: SquareSandbox) -> None:
    steps = {step.step: step for step in CHANNEL.check(session_of(seller))}
    assert all(step.is_ok for step in steps.values())
    assert steps["reach and credentials"].detail.startswith("Square answers; the token expires 2026-12-20")
    assert steps["locations"].detail == "Main Street (LMAIN01), Harbour (LHARBOUR02), Old Mill (LOLD03)"
    assert steps["days of Harbour"].detail == (
        "its days end in America/Vancouver, the merchant's reports count in Europe/Madrid"
    )
    assert steps["currency of Harbour"].detail == "it sells in CAD, the merchant reports in EUR"
    assert steps["sample order"].detail == "read one order"
    seller.server.access.scopes = ("MERCHANT_PROFILE_READ", "ITEMS_READ")
    failed = {step.step: step for step in CHANNEL.check(session_of(seller)) if not step.is_ok}
    assert failed.keys() == {"scope ORDERS_READ", "scope INVENTORY_READ", "scope INVENTORY_WRITE", "sample order"}
    assert failed["scope ORDERS_READ"].detail == "missing: sales and returns will not work"
    assert "missing: ORDERS_READ" in failed["sample order"].detail


def test_the_connection_test_of_the_same_zone_and_currency_without_orders() -> None:
    seller = start_sandbox(orders=0)
    session = a_session(
        {**seller.personal_account.settings, "location_ids": "LMAIN01"}, seller.personal_account.secrets
    )
    session = replace(session, connection=replace(session.connection, currency="CAD", time_zone="America/Toronto"))
    steps = {step.step: step.detail for step in CHANNEL.check(session)}
    assert steps["reach and credentials"] == "Square answers; the token expires never"
    assert steps["sample order"] == "allowed; there are no orders yet"
    assert not any(step.startswith(("days", "currency")) for step in steps)
    seller.server.access.scopes = ()
    assert CHANNEL.check(session)[1].detail == "Square does not tell the permissions of this token"
    closed = replace(
        session,
        connection=replace(session.connection, settings={**session.connection.settings, "location_ids": "LOLD03"}),
    )
    seller.server.access.scopes = ("MERCHANT_PROFILE_READ",)
    assert {step.step for step in CHANNEL.check(closed) if not step.is_ok} >= {"locations"}
    seller.revoke()
    (only,) = CHANNEL.check(session)
    assert (only.step, only.is_ok) == ("reach and credentials", False)
    seller.close()


# ------------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": "http://square.example"}, "plain http"),
        ({"api_version": "2025-13-01"}, "api_version is not a date"),
        ({"location_ids": "L1,two words"}, "location_ids is not a list"),
        ({"page_size": "1"}, "page_size is not a number from 2 to 1000"),
        ({"page_size": "many"}, "page_size is not a number"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_any_request(settings: dict[str, str], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        check_settings(settings)


def test_settings_that_can_work() -> None:
    check_settings({})
    check_settings(
        {"base_url": "https://connect.squareupsandbox.com", "api_version": "2026-01-15", "page_size": "1000"}
    )
    assert location_ids({"location_ids": " L1, L2 ,,L1"}) == ("L1", "L2")
    assert {row.name for row in SETTINGS if row.is_secret} == {
        "access_token",
        "client_id",
        "client_secret",
        "refresh_token",
    }


# ------------------------------------------------------------------------------------------------------ webhooks

URL = "https://hub.example/hooks/my-square"
EVENT = json.dumps(
    {"type": "order.updated", "event_id": "e-1", "merchant_id": "M", "data": {"type": "order", "id": "O1"}}
).encode()


def headers(url: str = URL, body: bytes = EVENT, key: str = "key") -> dict[str, str]:
    digest = hmac.new(key.encode(), url.encode() + body, hashlib.sha256).digest()
    return {"X-Square-HmacSha256-Signature": base64.b64encode(digest).decode()}


def test_a_genuine_delivery_names_what_it_is_about() -> None:
    delivery = read_delivery(URL, headers(), EVENT, "key")
    assert (delivery.kind, delivery.reference, delivery.event_id, delivery.merchant_id) == (
        "order.updated",
        "O1",
        "e-1",
        "M",
    )
    bare = b'{"type":"catalog.version.updated","event_id":"e-2"}'
    assert read_delivery(URL, headers(body=bare), bare, "key").reference == ""
    assert REVOKED in EVENT_TYPES
    assert signature(URL, EVENT, "key") == headers()["X-Square-HmacSha256-Signature"]


@pytest.mark.parametrize(
    ("url", "given", "body", "key"),
    [
        ("https://other.example/hooks/my-square", headers(), EVENT, "key"),
        (URL, headers(), EVENT + b" ", "key"),
        (URL, headers(), EVENT, "another key"),
        (URL, headers(key=""), EVENT, ""),
        (URL, {}, EVENT, "key"),
    ],
    ids=["another address", "another body", "another key", "no key", "no signature"],
)
def test_everything_else_is_refused(url: str, given: dict[str, str], body: bytes, key: str) -> None:
    with pytest.raises(Refused, match="not signed"):
        read_delivery(url, given, body, key)


@pytest.mark.parametrize("body", [b"no json", b"[]", b"{}", b'{"type":"x","event_id":"1","data":7}'])
def test_a_signed_body_that_is_no_event_is_a_bad_payload(body: bytes) -> None:
    with pytest.raises(BadPayload):
        read_delivery(URL, headers(body=body), body, "key")
