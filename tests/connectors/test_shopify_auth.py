"""Getting in: settings, tokens and their renewal, OAuth, webhooks, and what errors of the API mean."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connectors.shopify import CHANNEL
from connectors.shopify.api import ShopifyApi, TooCostly
from connectors.shopify.auth import Tokens, is_genuine_callback, permission_url
from connectors.shopify.documents import SCOPES, SET_QUANTITIES, SHOP
from connectors.shopify.sandbox import CLIENT_ID, CLIENT_SECRET, DOMAIN, FIRST_REFRESH, RunningShop, start_sandbox
from connectors.shopify.settings import SETTINGS, api_version, base_url, check_settings, location_id, shop_domain
from connectors.shopify.sizes import PageSize
from connectors.shopify.webhooks import Delivery, is_genuine, read_delivery
from oms_hub.channel.contract import ChannelSession
from oms_hub.errors import BadPayload, Misconfigured, NeedsReconnect, OutcomeUnknown, Refused, RetryLater
from oms_hub.testing.factories import a_session

APP = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


@pytest.fixture
def shop() -> Iterator[RunningShop]:
    running = start_sandbox(orders=1)
    yield running
    running.close()


class SharedSecrets:
    """Secrets of one connection that several workers share, with the order of what happened to them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.events: list[str] = []
        self._lock = threading.Lock()

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def replace(self, values: Mapping[str, str]) -> None:
        self.events.append(f"stored {' '.join(sorted(values))}")
        self.values.update(values)

    @contextmanager
    def lock(self) -> Iterator[None]:
        with self._lock:
            self.events.append("locked")
            yield


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def session_of(shop: RunningShop, secrets: Mapping[str, str], **changes: Any) -> ChannelSession:
    return a_session(shop.account.settings, **{"secrets": secrets, **changes})


def shared(shop: RunningShop, values: Mapping[str, str], **changes: Any) -> tuple[ChannelSession, SharedSecrets]:
    secrets = SharedSecrets(values)
    return ChannelSession(a_session(shop.account.settings).connection, secrets, **{**_defaults(), **changes}), secrets


def _defaults() -> dict[str, Any]:
    return {"clock": Clock(), "sleep": lambda _seconds: None}


def name_of(session: ChannelSession) -> str:
    with ShopifyApi(session) as api:
        return str(api.run(SHOP, {}).data["shop"]["name"])


# --------------------------------------------------------------------------------------------------------- settings


def test_the_settings_of_the_channel_are_those_that_are_promised() -> None:
    assert [(row.name, row.is_secret, row.is_required) for row in SETTINGS] == [
        ("shop", False, True),
        ("api_version", False, False),
        ("location", False, False),
        ("base_url", False, False),
        ("access_token", True, False),
        ("client_id", True, False),
        ("client_secret", True, False),
        ("refresh_token", True, False),
    ]


@pytest.mark.parametrize("given", ["a-shop", "A-Shop.myshopify.com ", "https://a-shop.myshopify.com/admin"])
def test_a_shop_is_named_in_many_ways(given: str) -> None:
    assert shop_domain({"shop": given}) == "a-shop.myshopify.com"
    assert base_url({"shop": given}) == "https://a-shop.myshopify.com"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "shop is missing"),
        ({"shop": "shop.example"}, "not a myshopify.com address"),
        ({"shop": "evil.example/a.myshopify.com"}, "not a myshopify.com address"),
        ({"shop": "a-shop", "base_url": "http://shop.example"}, "plain http"),
        ({"shop": "a-shop", "api_version": "latest"}, "not a quarterly version"),
        ({"shop": "a-shop", "location": "warehouse"}, "not a location's number"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_any_request(settings: dict[str, str], said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as caught:
        check_settings(settings)
    assert caught.value.remedy != ""


def test_settings_that_work_are_accepted() -> None:
    settings = {"shop": "a-shop", "base_url": "http://127.0.0.1:1/", "api_version": "2026-07", "location": "17"}
    check_settings(settings)
    assert (base_url(settings), api_version(settings)) == ("http://127.0.0.1:1", "2026-07")
    assert location_id(settings) == "gid://shopify/Location/17"
    assert (api_version({}), location_id({})) == ("2026-10", None)


# ----------------------------------------------------------------------------------------------------------- tokens


def test_a_fixed_token_is_used_as_it_is(shop: RunningShop) -> None:
    assert name_of(session_of(shop, shop.account.secrets)) == "Tienda de práctica"
    assert shop.token_requests == 0


def test_without_credentials_the_owner_is_asked(shop: RunningShop) -> None:
    with pytest.raises(NeedsReconnect, match="neither access_token nor client_id"):
        name_of(session_of(shop, {"client_id": CLIENT_ID}))


def test_an_app_gets_a_token_for_a_day_and_stores_it_before_use(shop: RunningShop) -> None:
    session, secrets = shared(shop, APP)
    assert name_of(session) == "Tienda de práctica"
    assert secrets.events == ["locked", "stored access_token access_token_expires_at"]
    assert secrets.values["access_token_expires_at"] == "2026-11-23T11:59:59Z"
    name_of(session)
    assert shop.token_requests == 1


def test_a_token_is_renewed_a_minute_before_it_ends(shop: RunningShop) -> None:
    clock = Clock()
    session, secrets = shared(shop, APP, clock=clock)
    name_of(session)
    first = secrets.values["access_token"]
    clock.now += timedelta(seconds=86_399 - 61)
    name_of(session)
    assert secrets.values["access_token"] == first
    clock.now += timedelta(seconds=1)
    name_of(session)
    assert secrets.values["access_token"] != first


def test_a_rotating_refresh_token_is_replaced_with_each_renewal(shop: RunningShop) -> None:
    session, secrets = shared(shop, {**APP, "refresh_token": FIRST_REFRESH})
    name_of(session)
    assert secrets.events == ["locked", "stored access_token access_token_expires_at refresh_token"]
    assert shop.refresh_tokens == {secrets.values["refresh_token"]}
    assert secrets.values["access_token_expires_at"] == "2026-11-22T13:00:00Z"


def test_a_token_that_the_shop_no_longer_knows_is_renewed_once(shop: RunningShop) -> None:
    session, secrets = shared(shop, {**APP, "access_token": "forgotten"})
    assert name_of(session) == "Tienda de práctica"
    assert secrets.values["access_token"] != "forgotten"
    assert shop.token_requests == 1


def test_one_renewal_serves_many_workers(shop: RunningShop) -> None:
    session, _ = shared(shop, {**APP, "access_token": "forgotten", "refresh_token": FIRST_REFRESH})
    found: list[str] = []
    workers = [threading.Thread(target=lambda: found.append(name_of(session))) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert found == ["Tienda de práctica"] * 6
    assert shop.token_requests == 1


@pytest.mark.parametrize(
    ("secrets", "code"),
    [
        ({"client_id": CLIENT_ID, "client_secret": "wrong"}, "invalid_client"),
        ({**APP, "refresh_token": "used up"}, "invalid_grant"),
    ],
)
def test_refused_credentials_need_the_owner_and_say_no_secret(
    shop: RunningShop, secrets: dict[str, str], code: str
) -> None:
    with pytest.raises(NeedsReconnect) as caught:
        name_of(session_of(shop, secrets))
    assert caught.value.message == f"{DOMAIN} refuses the app's credentials ({code})"
    assert not any(value in caught.value.one_line() for value in secrets.values() if value != CLIENT_ID)


def test_a_refused_fixed_token_needs_the_owner(shop: RunningShop) -> None:
    with pytest.raises(NeedsReconnect, match="401"):
        name_of(session_of(shop, {"access_token": "wrong"}))


def answering(*answers: httpx.Response) -> httpx.MockTransport:
    left = list(answers)
    return httpx.MockTransport(lambda _request: left.pop(0) if len(left) > 1 else left[0])


def test_a_token_answer_without_a_token_is_refused(shop: RunningShop) -> None:
    session = session_of(shop, APP, transport=answering(httpx.Response(200, json={"scope": "x"})))
    with pytest.raises(BadPayload, match="no access_token"):
        Tokens(session).current()


def test_a_token_without_an_end_never_ends(shop: RunningShop) -> None:
    answer = httpx.Response(200, json={"access_token": "t", "expires_in": None})
    session, secrets = shared(shop, APP, transport=answering(answer))
    assert Tokens(session).current() == "t"
    assert secrets.values == {**APP, "access_token": "t"}


def test_a_token_request_that_finds_nobody_is_tried_later(shop: RunningShop) -> None:
    with pytest.raises(RetryLater):
        Tokens(session_of(shop, APP, transport=answering(httpx.Response(503)))).current()
    with pytest.raises(Refused):
        Tokens(session_of(shop, APP, transport=answering(httpx.Response(418)))).current()


# ------------------------------------------------------------------------------------------------------------ OAuth


def test_the_permission_url_asks_for_what_is_needed() -> None:
    url = permission_url(
        {"shop": "a-shop"},
        client_id="id",
        scopes=["read_orders", "write_inventory"],
        redirect_uri="https://hub.example/back",
        state="once",
    )
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "a-shop.myshopify.com", "/admin/oauth/authorize")
    assert parse_qs(parts.query) == {
        "client_id": ["id"],
        "scope": ["read_orders,write_inventory"],
        "redirect_uri": ["https://hub.example/back"],
        "state": ["once"],
    }


def signed(parameters: dict[str, str], secret: str) -> dict[str, str]:
    message = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
    return {**parameters, "hmac": hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()}


def test_a_callback_is_genuine_only_with_the_apps_signature() -> None:
    fresh = {"code": "c", "shop": "a-shop.myshopify.com", "state": "once", "timestamp": str(int(time.time()))}
    good = signed(fresh, "secret")
    assert is_genuine_callback(good, client_secret="secret") is True
    assert is_genuine_callback({**good, "shop": "b-shop.myshopify.com"}, client_secret="secret") is False
    assert is_genuine_callback(good, client_secret="other") is False
    assert is_genuine_callback(fresh, client_secret="secret") is False
    old = signed({**fresh, "timestamp": str(int(time.time()) - 90_000)}, "secret")
    assert is_genuine_callback(old, client_secret="secret") is False
    assert is_genuine_callback({"timestamp": "soon"}, client_secret="secret") is False


# --------------------------------------------------------------------------------------------------------- webhooks


def test_a_webhook_is_genuine_only_over_its_raw_body() -> None:
    body = '{"id": 1, "name": "café"}'.encode()
    signature = base64.b64encode(hmac.new(b"secret", body, hashlib.sha256).digest()).decode()
    assert is_genuine(body, signature, client_secret="secret") is True
    assert is_genuine(body + b" ", signature, client_secret="secret") is False
    assert is_genuine(body, signature, client_secret="other") is False
    assert is_genuine(body, "ñ", client_secret="secret") is False


@pytest.mark.parametrize(
    ("topic", "body", "reference"),
    [
        ("orders/updated", {"id": 7, "admin_graphql_api_id": "gid://shopify/Order/7"}, "gid://shopify/Order/7"),
        ("orders/delete", {"id": 7}, "gid://shopify/Order/7"),
        (
            "refunds/create",
            {"id": 1, "order_id": 7, "admin_graphql_api_id": "gid://shopify/Refund/1"},
            "gid://shopify/Order/7",
        ),
        ("inventory_levels/update", {"inventory_item_id": 5}, "gid://shopify/InventoryItem/5"),
        ("app/uninstalled", {"id": 3}, None),
    ],
)
def test_a_webhook_points_at_what_it_is_about(topic: str, body: dict[str, Any], reference: str | None) -> None:
    headers = {"X-Shopify-Topic": topic, "X-Shopify-Shop-Domain": DOMAIN, "X-Shopify-Webhook-Id": "w"}
    assert read_delivery(headers, json.dumps(body).encode()) == Delivery(topic, DOMAIN, "w", "", reference)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"{}"),
        ({"x-shopify-topic": "a", "x-shopify-shop-domain": "b", "x-shopify-webhook-id": "c"}, b"<"),
        ({"x-shopify-topic": "a", "x-shopify-shop-domain": "b", "x-shopify-webhook-id": "c"}, b"[]"),
    ],
)
def test_a_webhook_that_cannot_be_read_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(BadPayload):
        read_delivery(headers, body)


# ------------------------------------------------------------------------------------------------- what errors mean


def run(shop: RunningShop, *answers: httpx.Response, document: Any = SHOP, **changes: Any) -> Any:
    session = session_of(shop, {"access_token": "x"}, transport=answering(*answers), **changes)
    with ShopifyApi(session) as api:
        return api.run(document, {"input": {}, "key": "k"})


def failing(code: str, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"errors": [{"message": "m", "extensions": {"code": code, **more}}]})


GOOD = httpx.Response(200, json={"data": {"shop": {"name": "n"}}})


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (failing("ACCESS_DENIED"), NeedsReconnect, "may not do this"),
        (failing("undefinedField"), Refused, r"does not understand the query \(undefinedField\), API version unknown"),
        (failing("no good"), Refused, r"\(an error\)"),
        (failing("MAX_COST_EXCEEDED", cost=1700), TooCostly, "costs too much"),
        (httpx.Response(200, json={"errors": "plain"}), Refused, r"\(an error\)"),
        (httpx.Response(200, json={"errors": [{"message": "x"}], "data": None}), Refused, r"\(an error\)"),
        (httpx.Response(404), Misconfigured, f"there is no shop at {DOMAIN}"),
        (httpx.Response(402), RetryLater, "frozen"),
        (httpx.Response(423), RetryLater, "423"),
        (httpx.Response(430), RetryLater, "430"),
        (httpx.Response(403, json={}), NeedsReconnect, "403"),
        (httpx.Response(422, json={}), Refused, "422"),
        (httpx.Response(302, headers={"location": "https://other.example"}), Misconfigured, "redirects"),
        (httpx.Response(200, json=[]), RetryLater, "not a GraphQL answer"),
        (httpx.Response(200, json={}), RetryLater, "something else than was asked"),
        (httpx.Response(200, json={"data": {"orders": {}}}), RetryLater, "something else than was asked"),
        (failing("INTERNAL_SERVER_ERROR"), RetryLater, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_an_error_says_what_to_do_next(
    shop: RunningShop, answer: httpx.Response, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        run(shop, answer)


def test_partial_data_beside_an_unknown_error_is_not_taken_for_whole(shop: RunningShop) -> None:
    half = {"data": {"shop": {"name": "n"}}, "errors": [{"extensions": {"code": "HALF_ASLEEP"}, "path": 7}]}
    assert run(shop, httpx.Response(200, json=half), GOOD).data == {"shop": {"name": "n"}}


def test_a_write_that_may_have_happened_is_not_sent_again(shop: RunningShop) -> None:
    with pytest.raises(OutcomeUnknown, match="may have been done"):
        run(shop, failing("INTERNAL_SERVER_ERROR"), document=SET_QUANTITIES)


def test_a_throttled_answer_waits_for_what_is_missing(shop: RunningShop) -> None:
    cost = {"requestedQueryCost": 600, "throttleStatus": {"currentlyAvailable": 100, "restoreRate": 50}}
    errors = [{"extensions": {"code": "THROTTLED"}}]
    throttled = httpx.Response(200, json={"errors": errors, "extensions": {"cost": cost}})
    waits: list[float] = []
    run(shop, throttled, GOOD, sleep=waits.append)
    assert waits == [10.1]


@pytest.mark.parametrize("extensions", [{}, {"cost": 5}, {"cost": {"throttleStatus": None}}])
def test_a_throttled_answer_without_numbers_waits_a_moment(shop: RunningShop, extensions: dict[str, Any]) -> None:
    throttled = httpx.Response(200, json={"errors": [{"extensions": {"code": "THROTTLED"}}], "extensions": extensions})
    waits: list[float] = []
    run(shop, throttled, GOOD, sleep=waits.append)
    assert waits == [0.1]


def test_a_request_waits_beforehand_for_what_the_last_one_cost(shop: RunningShop) -> None:
    status = {"maximumAvailable": 1000, "currentlyAvailable": 100, "restoreRate": 50}
    told = {"cost": {"requestedQueryCost": 600, "throttleStatus": status}}
    answer = httpx.Response(200, json={"data": {"shop": {}}, "extensions": told})
    waits: list[float] = []
    session = session_of(shop, {"access_token": "x"}, transport=answering(answer), sleep=waits.append)
    with ShopifyApi(session) as api:
        api.run(SHOP, {})
        assert waits == []
        api.run(SHOP, {})
    assert [round(wait) for wait in waits] == [10]


@pytest.mark.parametrize(
    ("errors", "cost"), [([{"extensions": {"cost": 1500}}], 1500.0), ([{"extensions": {}}, "odd"], 0.0)]
)
def test_a_query_that_costs_too_much_says_what_it_would_have_cost(
    shop: RunningShop, errors: list[Any], cost: float
) -> None:
    coded = [*errors, {"extensions": {"code": "MAX_COST_EXCEEDED"}}]
    with pytest.raises(TooCostly) as caught:
        run(shop, httpx.Response(200, json={"errors": coded}))
    assert caught.value.cost == cost


def test_page_sizes_learn_from_costs_and_shrink_after_a_refusal() -> None:
    size = PageSize(10)
    size.learn(10, 100.0)
    assert size.value == 80
    size.learn(5, 500.0)
    assert size.value == 80
    size.learn(80, 0.0)
    assert size.value == 80
    assert size.shrink(1600.0) is True
    assert size.value == 40
    assert size.shrink(0.0) is True
    assert size.value == 20
    assert PageSize(1).shrink(5.0) is False
    big = PageSize(250)
    big.learn(250, 1.0)
    assert big.value == 250


def test_the_channel_says_what_it_can() -> None:
    assert (CHANNEL.name, CHANNEL.capabilities.stock_batch_size, CHANNEL.capabilities.webhook) == (
        "shopify",
        250,
        "pointer",
    )
    assert SCOPES.is_write is False


def test_no_error_shows_a_token(shop: RunningShop) -> None:
    with pytest.raises(NeedsReconnect) as caught:
        name_of(session_of(shop, {"access_token": "shpat_secret"}))
    assert "shpat_secret" not in caught.value.one_line()
