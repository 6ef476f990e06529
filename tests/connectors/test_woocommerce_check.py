"""Connecting a WooCommerce shop: settings, the step-by-step test, webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from connectors.woocommerce import CHANNEL
from connectors.woocommerce.api import explain
from connectors.woocommerce.sandbox import WooSandbox, start_sandbox
from connectors.woocommerce.sandbox_routes import ShopTraits
from connectors.woocommerce.settings import orders_from, shop_address
from connectors.woocommerce.webhooks import Delivery, is_signed, read_delivery, signature
from oms_hub.channel.contract import ChannelSession, CheckResult, Connection, SandboxAccount
from oms_hub.channel.http import Refusal
from oms_hub.errors import BadPayload, Misconfigured, Refused
from oms_hub.testing.faults import FOREVER, Fault, FaultKind, FaultProxy, SeenRequest


class PlainSecrets:
    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def replace(self, values: Mapping[str, str]) -> None:
        self.values.update(values)

    def lock(self) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.fixture
def shop() -> Iterator[WooSandbox]:
    running = start_sandbox(orders=5)
    yield running
    running.close()


def steps(shop: WooSandbox, account: SandboxAccount | None = None, **settings: str) -> dict[str, CheckResult]:
    account = account or shop.account
    connection = Connection(1, "shop", "woocommerce", "m", "MXN", "UTC", {**account.settings, **settings})
    session = ChannelSession(connection, PlainSecrets(account.secrets), shop.shop.now, lambda _seconds: None)
    return {result.step: result for result in CHANNEL.check(session)}


def failed(results: Mapping[str, CheckResult]) -> list[str]:
    return [step for step, result in results.items() if not result.is_ok]


def test_a_good_connection_passes_every_step_and_changes_nothing(shop: WooSandbox) -> None:
    results = steps(shop)
    assert failed(results) == []
    assert list(results) == [
        "address",
        "shop answers",
        "clock",
        "find changes",
        "list of all refunds",
        "list of all variations",
        "read orders",
        "time filter",
        "read products",
        "write levels",
    ]
    assert shop.level("HUB-001") == 45


def test_an_empty_shop_passes_too() -> None:
    shop = start_sandbox(orders=0)
    shop.shop.products.clear()
    results = steps(shop)
    shop.close()
    assert failed(results) == []
    assert results["time filter"].detail == "not tested: there are no orders yet"


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    [
        ("ck_unknown", "cs_practice_1", "consumer key is unknown"),
        ("ck_practice_1", "cs_wrong", "consumer secret is wrong"),
    ],
)
def test_wrong_credentials_are_told_apart(shop: WooSandbox, key: str, secret: str, words: str) -> None:
    account = SandboxAccount(shop.account.settings, {"consumer_key": key, "consumer_secret": secret})
    results = steps(shop, account)
    assert failed(results) == ["read orders"]
    assert words in results["read orders"].detail
    assert results["read orders"].remedy != ""
    assert secret not in str(results)


def test_refusals_to_write_and_unknown_ones_are_put_in_words() -> None:
    def said(status: int, code: str) -> str | None:
        error = explain(Refusal(status, code, None, httpx.Headers()))
        return None if error is None else error.message

    assert said(401, "woocommerce_rest_cannot_edit") == (
        "the shop refuses with 401 (woocommerce_rest_cannot_edit): the key may only read"
    )
    assert [said(401, ""), said(403, "rest_forbidden"), said(400, "woocommerce_rest_cannot_view")] == [None] * 3


def test_a_missing_secret_is_a_result(shop: WooSandbox) -> None:
    results = steps(shop, SandboxAccount(shop.account.settings, {}))
    assert failed(results) == ["connection"]


def test_a_key_that_may_only_read_fails_at_writing(shop: WooSandbox) -> None:
    assert failed(steps(shop, shop.read_only_account)) == ["write levels"]


def test_an_old_shop_is_told_what_it_lacks() -> None:
    shop = start_sandbox(
        orders=5, traits=ShopTraits(has_time_filter=False, has_refund_list=False, has_variation_list=False)
    )
    results = steps(shop)
    shop.close()
    assert failed(results) == ["find changes", "time filter"]
    assert "one by one" in results["list of all refunds"].detail


def test_a_filter_in_the_wrong_zone_is_noticed() -> None:
    shop = start_sandbox(orders=5, time_zone="America/Mexico_City", traits=ShopTraits(honours_gmt=False))
    results = steps(shop)
    shop.close()
    assert failed(results) == ["time filter"]


def test_clocks_that_differ_are_told(shop: WooSandbox) -> None:
    account = shop.account
    connection = Connection(1, "shop", "woocommerce", "m", "MXN", "UTC", account.settings)
    session = ChannelSession(
        connection, PlainSecrets(account.secrets), lambda: shop.shop.now() + timedelta(hours=1), lambda _seconds: None
    )
    results = {result.step: result for result in CHANNEL.check(session)}
    assert failed(results) == []
    assert ("3600 s" in results["clock"].detail, results["clock"].remedy) == (True, "Set both clocks by a time server")


def test_an_address_without_shop_is_told(shop: WooSandbox) -> None:
    results = steps(shop, base_url=f"{shop.base_url}/blog")
    assert failed(results) == ["shop answers"]
    assert "Permalinks" in results["shop answers"].remedy


def test_a_web_page_in_place_of_the_interface_is_told(shop: WooSandbox) -> None:
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(Fault(FaultKind.HTML), times=FOREVER)
        results = steps(shop, base_url=proxy.base_url)
    assert failed(results) == ["shop answers"]
    assert "web page" in results["shop answers"].detail


def test_another_program_at_the_address_is_told(shop: WooSandbox) -> None:
    with FaultProxy(shop.base_url) as proxy:
        proxy.inject(Fault(FaultKind.STATUS, status=200, body=b'{"name":"blog"}'), times=FOREVER)
        results = steps(shop, base_url=proxy.base_url)
    assert failed(results) == ["shop answers"]
    assert "not as a WooCommerce shop" in results["shop answers"].detail


@pytest.mark.parametrize(("path", "step"), [("/products", "read products"), ("/orders", "time filter")])
def test_a_refusal_in_a_later_step_is_a_result(shop: WooSandbox, path: str, step: str) -> None:
    def matches(request: SeenRequest) -> bool:
        return request.path.endswith(path)

    with FaultProxy(shop.base_url) as proxy:
        fault = Fault(FaultKind.STATUS, status=403, body=b'{"code":"woocommerce_rest_cannot_view"}')
        proxy.inject(fault, matches=matches, nth=2 if path == "/orders" else 1)
        assert failed(steps(shop, base_url=proxy.base_url)) == [step]


def test_a_shop_that_does_not_tell_its_time_passes(shop: WooSandbox) -> None:
    class NoDate(ThreadingHTTPServer):
        daemon_threads = True

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

        def do_GET(self) -> None:
            body = b'{"routes": {"/wc/v3/orders": {"endpoints": []}}}'
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = NoDate(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    results = steps(shop, base_url=f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    server.server_close()
    assert results["clock"].detail == "the shop does not tell its time"
    assert failed(results) == ["find changes", "read orders"]


def test_a_redirecting_host_is_told_with_the_final_address(shop: WooSandbox) -> None:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

        def do_GET(self) -> None:
            self.send_response_only(301)
            self.send_header("Location", f"https://www.shop.example{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    results = steps(shop, base_url=f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    server.server_close()
    assert failed(results) == ["shop answers"]
    assert "https://www.shop.example" in results["shop answers"].detail + results["shop answers"].remedy


# --------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "http://shop.example"},
        {"url": "shop.example"},
        {"url": "https://shop.example?consumer_key=ck_1"},
        {"url": "https://shop.example", "base_url": "http://shop.example"},
        {"url": "https://shop.example", "concurrency": "0"},
        {"url": "https://shop.example", "concurrency": "9"},
        {"url": "https://shop.example", "concurrency": "many"},
        {"url": "https://shop.example", "page_size": "1"},
        {"url": "https://shop.example", "page_size": "101"},
        {"url": "https://shop.example", "orders_from": "last year"},
    ],
)
def test_settings_that_cannot_work_are_refused_before_any_request(settings: dict[str, str]) -> None:
    with pytest.raises(Misconfigured) as caught:
        CHANNEL.check_settings(settings)
    assert caught.value.remedy != ""
    assert "ck_1" not in caught.value.one_line()


def test_good_settings_pass_and_addresses_lose_their_tails() -> None:
    CHANNEL.check_settings({"url": "https://shop.example/", "concurrency": "8", "orders_from": "2026-01-31"})
    for url in ("https://shop.example", "https://shop.example/wp-json/", "https://shop.example/wp-json/wc/v3"):
        assert shop_address({"url": url}) == "https://shop.example"
    assert shop_address({"url": "https://shop.example/es/"}) == "https://shop.example/es"
    assert orders_from({"orders_from": "2026-01-31"}) == datetime(2026, 1, 31, tzinfo=UTC)


# --------------------------------------------------------------------------------------------------- webhooks

BODY = b'{"id":17,"date_modified_gmt":"2026-11-02T11:30:00","status":"completed"}'


def headers(body: bytes, secret: str = "s", topic: str = "order.updated") -> dict[str, str]:
    digest = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {"X-WC-Webhook-Signature": digest, "X-WC-Webhook-Topic": topic, "X-WC-Webhook-Delivery-ID": "same"}


def test_a_signed_delivery_is_read() -> None:
    assert read_delivery(headers(BODY), BODY, "s") == Delivery(
        "order.updated", "17", "order.updated:17:2026-11-02T11:30:00"
    )


def test_the_key_against_doubles_is_order_and_change_and_not_the_delivery_id() -> None:
    other = BODY.replace(b"11:30", b"11:31")
    keys = {read_delivery(headers(body), body, "s").dedupe_key for body in (BODY, BODY, other)}
    assert len(keys) == 2


def test_a_deleted_order_is_named_and_an_error_object_is_not_an_order() -> None:
    gone, error = b'{"id":17}', b'{"code":"woocommerce_rest_shop_order_invalid_id","data":{"status":404}}'
    deleted = headers(gone, topic="order.deleted")
    assert read_delivery(deleted, gone, "s") == Delivery("order.deleted", "17", "order.deleted:17:deleted")
    assert read_delivery(headers(error), error, "s").resource_id == ""


def test_the_unsigned_greeting_is_a_ping_and_nothing_else_unsigned_is() -> None:
    assert read_delivery({}, b"webhook_id=12", "s") == Delivery("ping", "", "ping")
    for body in (BODY, b"webhook_id=12&more=1", b""):
        with pytest.raises(Refused):
            read_delivery({}, body, "s")


@pytest.mark.parametrize("given", ["", "AAAA", "ñ", signature(BODY, "other")])
def test_a_wrong_signature_is_refused(given: str) -> None:
    with pytest.raises(Refused):
        read_delivery({"x-wc-webhook-signature": given}, BODY, "s")


def test_without_a_secret_nothing_is_signed() -> None:
    assert is_signed(BODY, signature(BODY, ""), "") is False


def test_a_signed_body_that_is_not_json_is_a_bad_payload() -> None:
    with pytest.raises(BadPayload):
        read_delivery(headers(b"oops"), b"oops", "s")
