"""Addresses: which may be talked to and how they are shown."""

from __future__ import annotations

import pytest

from oms_hub.channel.hosts import check_base_url, is_loopback, origin_of, redact_url
from oms_hub.errors import Misconfigured


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443/wp-json/", "https://shop.example/wp-json"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        (" http://127.0.0.1:8080/a/ ", "http://127.0.0.1:8080/a"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_https_anywhere_and_http_towards_this_machine_are_allowed(given, kept):
    assert check_base_url(given) == kept


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("http://shop.example", "plain http"),
        ("http://10.0.0.1", "plain http"),
        ("http://localhost.shop.example", "plain http"),
        ("http://127.0.0.1.shop.example", "plain http"),
        ("shop.example", "not a web address"),
        ("ftp://shop.example", "not a web address"),
        ("https://", "not a web address"),
        ("https://shop example", "not a web address"),
        ("https://shop.example:port", "not a web address"),
        ("https://[::1", "not a web address"),
        ("https://user:pass@shop.example", "carries a user or password"),
        ("https://shop.example/?key=1", "carries a query"),
        ("https://shop.example/#top", "carries a query"),
    ],
)
def test_other_addresses_are_refused_with_the_reason(given, reason):
    with pytest.raises(Misconfigured, match=reason) as caught:
        check_base_url(given, setting="url")
    assert caught.value.message.startswith("url ")
    assert "pass" not in caught.value.one_line().replace("password", "")


def test_loopback_is_known_by_name_and_address():
    assert [is_loopback(host) for host in ("LOCALHOST", "127.1.2.3", "::1", "128.0.0.1", "shop")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_the_origin_is_scheme_host_and_port_only():
    assert origin_of("HTTPS://u:p@Shop.Example:443/a?b#c") == "https://shop.example"
    assert origin_of("http://[::1]:8080/a") == "http://[::1]:8080"


def test_a_shown_address_keeps_only_harmless_values():
    shown = redact_url("https://u:p@shop.example/o?page=2&consumer_secret=cs_1&x=&token=t#f")
    assert shown == "https://shop.example/o?page=2&consumer_secret=***&x=***&token=***"
    assert redact_url("/orders?token=t") == "/orders?token=***"
    assert redact_url("https://shop.example/o") == "https://shop.example/o"
