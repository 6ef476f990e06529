"""The fault proxy does to a client exactly what it says."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from oms_hub.testing.fake_shop import TOKEN, FakeShop
from oms_hub.testing.faults import FOREVER, Fault, FaultKind, FaultProxy


@pytest.fixture
def shop() -> Iterator[FakeShop]:
    shop = FakeShop(orders=25, seed=3)
    yield shop
    shop.close()


@pytest.fixture
def proxy(shop: FakeShop) -> Iterator[FaultProxy]:
    with FaultProxy(shop.base_url) as proxy:
        yield proxy


def ask(proxy: FaultProxy, path: str = "/orders", method: str = "GET", body: bytes | None = None, timeout: float = 5):
    connection = http.client.HTTPConnection(urlsplit(proxy.base_url).netloc, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers={"x-token": TOKEN})
        response = connection.getresponse()
        return response.status, response.getheader("retry-after"), response.read()
    finally:
        connection.close()


def test_without_a_fault_answers_pass_unchanged(proxy):
    status, _, body = ask(proxy)
    assert (status, len(json.loads(body)["orders"])) == (200, 10)
    assert ask(proxy, "/nowhere")[0] == 404
    assert [(seen.method, seen.path, seen.fault) for seen in proxy.requests()] == [
        ("GET", "/orders", None),
        ("GET", "/nowhere", None),
    ]


def test_a_status_comes_instead_of_the_answer_on_the_nth_matching_request(proxy):
    fault = Fault(FaultKind.STATUS, status=429, retry_after="7")
    proxy.inject(fault, matches=lambda request: request.path == "/orders", nth=2, times=2)
    ask(proxy, "/listings")
    assert [ask(proxy)[:2] for _ in range(4)] == [(200, None), (429, "7"), (429, "7"), (200, None)]
    assert [seen.fault for seen in proxy.requests()][1:] == [None, "status", "status", None]


def test_a_fault_lasts_until_it_is_cleared(proxy):
    proxy.inject(Fault(FaultKind.STATUS, status=503), times=FOREVER)
    assert [ask(proxy)[0] for _ in range(3)] == [503, 503, 503]
    proxy.clear()
    assert ask(proxy)[0] == 200


def test_a_web_page_comes_with_200(proxy):
    proxy.inject(Fault(FaultKind.HTML))
    status, _, body = ask(proxy)
    assert (status, body[:15]) == (200, b"<!DOCTYPE html>")


def test_json_is_cut_with_a_length_that_fits(proxy):
    whole = ask(proxy)[2]
    proxy.inject(Fault(FaultKind.CUT_JSON))
    assert ask(proxy)[2] == whole[: len(whole) // 2]


def test_a_body_is_cut_with_the_length_of_the_whole(proxy):
    whole = ask(proxy)[2]
    proxy.inject(Fault(FaultKind.CUT_BODY))
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(proxy)
    assert len(caught.value.partial) == len(whole) // 2


def test_a_warning_is_printed_before_the_json(proxy):
    whole = ask(proxy)[2]
    proxy.inject(Fault(FaultKind.PRINTED_WARNING))
    body = ask(proxy)[2]
    assert (body.startswith(b"<br />\n<b>Warning</b>"), body.endswith(whole)) == (True, True)


@pytest.mark.parametrize(
    ("kind", "error", "arrives"),
    [
        (FaultKind.NO_ANSWER, ConnectionError, False),
        (FaultKind.LOST_ANSWER, ConnectionError, True),
        (FaultKind.STALL, TimeoutError, False),
        (FaultKind.LOST_IN_STALL, TimeoutError, True),
    ],
)
def test_a_lost_answer_leaves_the_shop_changed_or_not(shop, proxy, kind, error, arrives):
    level = shop.level("CUP-01")
    body = json.dumps({"writes": [{"key": "L1", "quantity": 5, "expected": level, "idempotency_key": "k"}]}).encode()
    proxy.inject(Fault(kind))
    with pytest.raises(error):
        ask(proxy, "/levels", "POST", body, timeout=0.3)
    assert shop.level("CUP-01") == (5 if arrives else level)


def test_a_request_that_arrives_twice_is_answered_once(shop, proxy):
    level = shop.level("CUP-01")
    body = json.dumps({"writes": [{"key": "L1", "quantity": 5, "expected": level, "idempotency_key": "k"}]}).encode()
    proxy.inject(Fault(FaultKind.TWICE))
    answer = json.loads(ask(proxy, "/levels", "POST", body)[2])
    assert (answer["results"], shop.level("CUP-01")) == ([{"key": "L1", "level": 5}], 5)


def test_a_stale_cache_gives_the_answer_before(proxy):
    proxy.inject(Fault(FaultKind.PREVIOUS_ANSWER), nth=2)
    first, second, third = (ask(proxy, path)[2] for path in ("/orders?limit=1", "/orders?limit=2", "/orders?limit=2"))
    assert (second == first, third == first) == (True, False)


def test_the_first_request_has_no_answer_before_it(proxy):
    proxy.inject(Fault(FaultKind.PREVIOUS_ANSWER))
    assert ask(proxy)[0] == 200


def test_something_may_happen_between_two_requests(shop, proxy):
    proxy.before(lambda: shop.delete_order("1001"), nth=2)
    counts = [len(json.loads(ask(proxy, "/orders?limit=100")[2])["orders"]) for _ in range(2)]
    assert counts == [25, 24]


def test_the_requests_of_a_stretch_are_watched(proxy):
    ask(proxy)
    with proxy.watched() as requests:
        ask(proxy, "/listings?a=b")
    assert [(seen.path, seen.query) for seen in requests] == [("/listings", "a=b")]


def test_closing_ends_a_stalled_answer(shop):
    import threading

    proxy = FaultProxy(shop.base_url)
    proxy.inject(Fault(FaultKind.STALL))
    errors: list[str] = []

    def wait() -> None:
        try:
            ask(proxy, timeout=5)
        except OSError as error:
            errors.append(type(error).__name__)

    thread = threading.Thread(target=wait)
    thread.start()
    while not proxy.requests():
        threading.Event().wait(0.01)
    proxy.close()
    thread.join(3)
    assert not thread.is_alive()
    assert len(errors) == 1


def test_a_path_of_the_upstream_is_kept_in_the_address(shop):
    with FaultProxy(f"{shop.base_url}/wp-json/v3") as proxy:
        assert urlsplit(proxy.base_url).path == "/wp-json/v3"
        assert ask(proxy, "/orders")[0] == 200


def test_a_head_request_gets_headers_only(proxy):
    proxy.inject(Fault(FaultKind.STATUS, status=404))
    assert ask(proxy, method="HEAD")[::2] == (404, b"")
