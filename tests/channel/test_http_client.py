"""The client towards channels: what is tried again, for how long, and which error comes out."""

from __future__ import annotations

import gzip
import io
import json
import logging
import socket
import threading
from dataclasses import replace

import httpx
import pytest

from oms_hub.channel.client_options import ClientOptions
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import (
    ChannelHttp,
    ChannelRules,
    ClientLimits,
    HttpRefused,
    Refusal,
    open_client,
)
from oms_hub.channel.rate_limit import AdaptiveConcurrency, ConcurrencyRule
from oms_hub.errors import (
    Conflict,
    HubError,
    Misconfigured,
    NeedsReconnect,
    OutcomeUnknown,
    Refused,
    RetryLater,
)
from oms_hub.testing.faults import Fault, FaultKind, FaultProxy


@pytest.fixture
def client(server, session):
    with open_client(session, server.url) as opened:
        yield opened


def test_an_answer_comes_with_its_json_its_headers_and_its_bytes(client, server, told):
    server.tell(told(body=b'{"a": 1.50}', headers={"X-Total": "7"}))
    parsed, headers, body = client.get_json("/orders", query={"page": "2"})
    assert (parsed, headers["x-total"], body) == ({"a": 1.5}, "7", b'{"a": 1.50}')
    assert [(seen[0], seen[1]) for seen in server.seen] == [("GET", "/orders?page=2")]


def test_paths_are_joined_below_the_path_of_the_base_address(session, server):
    with open_client(session, f"{server.url}/wp-json/v3/") as client:
        client.get_json("orders")
        client.get_json("")
        client.get_json(f"{server.url}/other")
    assert [seen[1] for seen in server.seen] == ["/wp-json/v3/orders", "/wp-json/v3", "/other"]


def test_credentials_are_never_sent_to_another_host(client):
    with pytest.raises(Misconfigured, match=r"points to https://elsewhere.example"):
        client.get_json("https://elsewhere.example/next?page=2")


def test_json_bytes_and_headers_are_sent_as_given(client, server):
    client.post_json("/a", {"n": 1})
    client.request("POST", "/b", payload=b"x=1", headers={"content-type": "text/plain"})
    assert [json.loads(server.seen[0][2]), server.seen[1][2]] == [{"n": 1}, b"x=1"]
    assert server.seen[1][3]["content-type"] == "text/plain"


def test_five_429_with_retry_after_1_cost_five_seconds(client, server, told, sleeps):
    server.tell(*[told(429, headers={"Retry-After": "1"})] * 5, told())
    assert client.get_json("/orders").parsed == {"ok": True}
    assert sleeps == [1.0] * 5
    assert (client.counts.requests, client.counts.retries) == (6, 5)


def test_a_sixth_429_gives_up_with_the_wait_that_was_asked_for(client, server, told, sleeps):
    server.tell(told(429, headers={"Retry-After": "7"}))
    with pytest.raises(RetryLater, match=r"GET 127.0.0.1/orders answered 429") as caught:
        client.get_json("/orders")
    assert (caught.value.after_seconds, len(server.seen), sleeps) == (7.0, 6, [7.0] * 5)


def test_a_wait_longer_than_the_patience_is_not_waited(client, server, told, sleeps):
    server.tell(told(429, headers={"Retry-After": "3600"}))
    with pytest.raises(RetryLater) as caught:
        client.get_json("/orders")
    assert (caught.value.after_seconds, len(server.seen), sleeps) == (3600.0, 1, [])


def test_a_date_in_retry_after_is_measured_by_the_servers_own_clock(client, server, told, sleeps):
    headers = {"Retry-After": "Sun, 22 Nov 2026 20:00:09 GMT", "Date": "Sun, 22 Nov 2026 20:00:00 GMT"}
    server.tell(told(503, headers=headers), told())
    client.get_json("/orders")
    assert sleeps == [9.0]


def test_waits_without_retry_after_double_and_half_of_each_is_chance(session, server, told, sleeps):
    options = ClientOptions(chance=lambda: 0.0, limits=ClientLimits(first_wait_seconds=2, longest_wait_seconds=10))
    server.tell(told(500))
    with ChannelHttp(session, server.url, options) as client, pytest.raises(RetryLater):
        client.get_json("/orders")
    assert sleeps == [1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize("status", [408, 423, 425, 429, 500, 502, 503, 504])
def test_passing_statuses_are_tried_again(client, server, told, status):
    server.tell(told(status), told())
    assert client.get_json("/orders").parsed == {"ok": True}


@pytest.mark.parametrize(
    "body",
    [b"", b"<!DOCTYPE html><p>hello", b'{"a": [1, 2', b"Fatal error: out of memory", b'notice\n{"a": 1'],
    ids=["empty", "web page", "cut", "text", "warning and cut"],
)
def test_bodies_that_are_not_whole_json_are_tried_again_then_given_up(client, server, told, body):
    server.tell(told(body=body), told())
    assert client.get_json("/orders").parsed == {"ok": True}
    server.tell(told(body=body))
    with pytest.raises(RetryLater):
        client.get_json("/orders")
    assert len(server.seen) == 2 + 6


def test_a_warning_printed_before_the_json_is_passed_over_and_counted(client, server, told):
    server.tell(told(body=b'<br />\n<b>Warning</b>: key [0] in x.php on line 3<br />\n{"a": 1}'))
    assert client.get_json("/orders")[::2] == ({"a": 1}, b'{"a": 1}')
    assert client.counts.printed_warnings == 1


def test_an_answer_without_content_is_none(client, server, told):
    server.tell(told(204, b""))
    assert client.request("DELETE", "/x", is_idempotent=True).parsed is None
    server.tell(told(200, b""))
    assert client.request("HEAD", "/x").parsed is None
    server.tell(told(200, b"raw"))
    assert client.request("GET", "/x", is_json=False)[::2] == (None, b"raw")


def test_401_needs_new_credentials_and_is_not_tried_again(client, server, told):
    server.tell(told(401, b'{"code": "bad_key", "message": "key ck_1 is wrong"}'))
    with pytest.raises(NeedsReconnect) as caught:
        client.get_json("/orders")
    assert caught.value.message == "GET 127.0.0.1/orders: the channel refuses the credentials with 401 (bad_key)"
    assert len(server.seen) == 1


def test_403_names_the_permission_that_is_missing(client, server, told):
    server.tell(told(403, b'{"code": "forbidden"}'))
    with pytest.raises(NeedsReconnect, match=r"403 \(forbidden\); missing: read_orders"):
        client.get_json("/orders", needs="read_orders")
    with pytest.raises(NeedsReconnect, match="a permission is missing"):
        client.get_json("/orders")


def test_403_with_a_web_page_is_a_firewall_and_passes(client, server, told):
    server.tell(told(403, b"<html>blocked</html>"), told())
    assert client.get_json("/orders").parsed == {"ok": True}
    server.tell(told(403, b"<html>blocked</html>"))
    with pytest.raises(RetryLater, match="firewall") as caught:
        client.get_json("/orders")
    assert caught.value.remedy == "Ask the host to let the hub's address through"


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_other_refusals_carry_status_and_short_code_only(client, server, told, status):
    server.tell(told(status, b'{"code": "rest_no_route", "message": "secret prose"}'))
    with pytest.raises(Refused) as caught:
        client.get_json("/orders", query={"token": "t0p"})
    error = caught.value
    assert isinstance(error, HttpRefused)
    assert (error.status, error.code, len(server.seen)) == (status, "rest_no_route", 1)
    assert error.message == f"GET 127.0.0.1/orders answered {status} (rest_no_route)"


def test_a_redirecting_host_is_named_and_not_followed(client, server, told):
    server.tell(told(301, b"", {"Location": "https://www.shop.example/orders?token=t0p"}))
    with pytest.raises(Misconfigured) as caught:
        client.get_json("/orders")
    assert caught.value.message == f"{server.url} redirects to https://www.shop.example"
    assert caught.value.remedy == "Set the connection's address to https://www.shop.example"
    server.tell(told(302, b"", {"Location": "/login"}))
    with pytest.raises(Misconfigured, match="answered 302, to another page"):
        client.get_json("/orders")


def test_a_write_that_may_have_happened_is_not_sent_again(client, server, told):
    server.tell(told(500))
    with pytest.raises(OutcomeUnknown, match="the write may have been done"):
        client.post_json("/levels", {})
    assert len(server.seen) == 1


def test_a_write_that_surely_did_not_happen_is_sent_again(client, server, told, sleeps):
    server.tell(told(429, headers={"Retry-After": "2"}), told())
    assert client.post_json("/levels", {}).parsed == {"ok": True}
    server.tell(told(429, headers={"Retry-After": "2"}))
    with pytest.raises(RetryLater):
        client.post_json("/levels", {})
    assert sleeps == [2.0] * 6


def test_an_idempotent_write_is_sent_again_and_its_outcome_stays_unknown_in_the_end(client, server, told):
    server.tell(told(502), told())
    assert client.post_json("/levels", {}, is_idempotent=True, is_write=True).parsed == {"ok": True}
    server.tell(told(502))
    with pytest.raises(OutcomeUnknown):
        client.post_json("/levels", {}, is_idempotent=True, is_write=True)
    assert len(server.seen) == 2 + 6


@pytest.mark.parametrize(
    "kind", [FaultKind.NO_ANSWER, FaultKind.STALL, FaultKind.CUT_BODY, FaultKind.LOST_ANSWER, FaultKind.CUT_JSON]
)
def test_broken_transfers_are_tried_again_for_reads_and_unknown_for_writes(server, session, kind):
    impatient = replace(session, transport=None)
    limits = ClientLimits(read_seconds=0.2)
    with FaultProxy(server.url) as proxy, open_client(impatient, proxy.base_url, limits=limits) as client:
        proxy.inject(Fault(kind))
        assert client.get_json("/orders").parsed == {"ok": True}
        proxy.clear()
        proxy.inject(Fault(kind))
        with pytest.raises(OutcomeUnknown):
            client.post_json("/levels", {})
        assert len(proxy.requests()) == 3


def test_a_host_that_does_not_listen_is_tried_again_even_for_writes(session, sleeps):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with open_client(session, f"http://127.0.0.1:{port}") as client, pytest.raises(RetryLater, match="no connection"):
        client.post_json("/levels", {})
    assert len(sleeps) == 5


class _Failing(httpx.BaseTransport):
    def __init__(self, error: Exception, cause: Exception) -> None:
        self.error, self.cause = error, cause

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise self.error from self.cause


def test_an_unknown_host_is_named(session):
    transport = _Failing(httpx.ConnectError("x"), socket.gaierror(-2, "Name or service not known"))
    with (
        open_client(replace(session, transport=transport), "https://shp.example") as client,
        pytest.raises(RetryLater, match=r"the host shp.example cannot be found") as caught,
    ):
        client.get_json("/orders")
    assert caught.value.remedy.startswith("Check the address")


def test_a_wrong_certificate_is_for_a_person(session):
    import ssl

    transport = _Failing(httpx.ConnectError("x"), ssl.SSLCertVerificationError("expired"))
    with (
        open_client(replace(session, transport=transport), "https://shop.example") as client,
        pytest.raises(Misconfigured, match=r"the certificate of shop.example is not valid"),
    ):
        client.get_json("/orders")


def test_a_body_larger_than_the_cap_is_refused(session, server, told):
    server.tell(told(body=b'"' + b"x" * 5000 + b'"'))
    limits = ClientLimits(body_bytes=1000)
    with open_client(session, server.url, limits=limits) as client, pytest.raises(HttpRefused) as caught:
        client.get_json("/orders")
    assert (caught.value.code, caught.value.message) == (
        "answer_too_large",
        "GET 127.0.0.1/orders: the answer is larger than 1000 bytes",
    )


def test_the_cap_counts_what_a_packed_body_unpacks_to(session, server, told):
    server.tell(told(body=gzip.compress(b" " * 100_000 + b"1"), headers={"Content-Encoding": "gzip"}))
    with (
        open_client(session, server.url, limits=ClientLimits(body_bytes=10_000)) as client,
        pytest.raises(HttpRefused),
    ):
        client.get_json("/orders")


def test_a_body_that_cannot_be_unpacked_is_tried_again(client, server, told):
    server.tell(told(body=b"no gzip", headers={"Content-Encoding": "gzip"}), told())
    assert client.get_json("/orders").parsed == {"ok": True}


def test_an_answer_that_drips_is_given_up(session, server):
    with (
        open_client(session, server.url, limits=ClientLimits(answer_seconds=-1.0)) as client,
        pytest.raises(RetryLater, match="came too slowly"),
    ):
        client.get_json("/orders")


def test_a_channel_may_read_throttling_out_of_a_good_answer(session, server, told, sleeps):
    def interpret(parsed, headers):
        if "errors" in parsed:
            raise RetryLater("throttled", after_seconds=2.5)

    server.tell(told(body=b'{"errors": []}'), told())
    with open_client(session, server.url, rules=ChannelRules(interpret=interpret)) as client:
        assert client.post_json("/graphql", {}).parsed == {"ok": True}
    assert sleeps == [2.5]


def test_a_channel_may_explain_its_own_refusals(session, server, told, sleeps):
    answers: dict[str, HubError] = {"frozen": Conflict("frozen"), "busy": RetryLater("busy", after_seconds=3)}

    def explain(refusal: Refusal) -> HubError | None:
        return answers.get(refusal.code)

    with open_client(session, server.url, rules=ChannelRules(explain=explain)) as client:
        server.tell(told(402, b'{"error": "frozen"}'))
        with pytest.raises(Conflict):
            client.get_json("/a")
        server.tell(told(403, b'{"error": {"code": "busy"}}'), told())
        assert client.post_json("/a", {}).parsed == {"ok": True}
        server.tell(told(404, b"not json"))
        with pytest.raises(HttpRefused):
            client.get_json("/a")
    assert sleeps == [3.0]


def test_neither_errors_nor_logs_hold_queries_headers_or_bodies(session, server, told, caplog):
    caplog.set_level(logging.DEBUG)
    server.tell(told(400, b'{"message": "hidden-body"}'))
    with (
        open_client(session, server.url, headers={"x-token": "hidden-header"}) as client,
        pytest.raises(HttpRefused) as caught,
    ):
        client.get_json("/orders", query={"consumer_secret": "hidden-query"})
    text = caught.value.one_line() + caplog.text
    assert "hidden" not in text
    assert "GET 127.0.0.1/orders -> 400" in caplog.text


def test_a_download_goes_to_the_file_whole_and_starts_again_when_cut(server, session, told):
    content = b"line\n" * 50_000
    server.tell(told(body=content, headers={"X-Kind": "jsonl"}))
    target = io.BytesIO(b"what was there before, longer than nothing")
    with FaultProxy(server.url) as proxy, open_client(session, proxy.base_url) as client:
        proxy.inject(Fault(FaultKind.CUT_BODY))
        headers = client.download("/bulk", target, query={"a": "b"})
    assert (target.getvalue() == content, headers["x-kind"], len(proxy.requests())) == (True, "jsonl", 2)


def test_a_refused_download_leaves_the_file_alone(client, server, told):
    server.tell(told(404))
    target = io.BytesIO(b"before")
    with pytest.raises(HttpRefused):
        client.download("/bulk", target)
    assert target.getvalue() == b"before"


def test_requests_pass_the_gate_and_tell_it_how_they_went(session, server, told):
    heard: list[bool] = []

    class Gate:
        def enter(self) -> None:
            heard.append(True)

        def leave(self, *, is_well: bool, seconds: float) -> None:
            heard.append(is_well)

    with open_client(session, server.url, gate=Gate()) as client:
        server.tell(told(500), told())
        client.get_json("/a")
        server.tell(told(404))
        with pytest.raises(HttpRefused):
            client.get_json("/a")
    assert heard == [True, False, True, True, True, True]


def test_one_client_serves_several_threads_within_its_gate(session, server):
    gate = AdaptiveConcurrency(ConcurrencyRule(most=3, step_after=1))
    with open_client(session, server.url, gate=gate) as client:
        threads = [threading.Thread(target=client.get_json, args=("/a",)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(server.seen), gate.permitted) == (12, 3)


def test_plain_http_to_another_host_is_refused_before_any_request(session: ChannelSession):
    with pytest.raises(Misconfigured, match="plain http"):
        open_client(session, "http://shop.example")
