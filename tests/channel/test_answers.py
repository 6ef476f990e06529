"""Reading answers: the JSON, the wait that is asked for, the short code."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from oms_hub.channel.answers import answered_at, is_html, read_json, retry_after_seconds, short_code
from oms_hub.errors import BadPayload

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "parsed"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"\xef\xbb\xbf \n[1]", [1]),
        (b"null", None),
        (b'"text"', "text"),
        ('{"name": "茶 ☕"}'.encode(), {"name": "茶 ☕"}),
        (b'{"name": "\\ud800"}', {"name": "\ud800"}),
    ],
)
def test_whole_json_is_read(body, parsed):
    found = read_json(body)
    assert (found.parsed, found.has_printed_warning) == (parsed, False)


@pytest.mark.parametrize(
    "printed",
    [
        b"<br />\n<b>Warning</b>:  Undefined array key [0] in <b>/x.php</b> on line <b>3</b><br />\n",
        b"\nNotice: Undefined index: {a} in /x.php on line 3\n",
        b"Deprecated: x in y on line 3\n  ",
        b"<br />",
    ],
)
def test_a_printed_warning_before_json_is_passed_over(printed):
    found = read_json(printed + b'{"a": [1, {"b": 2}]}')
    assert (found.parsed, found.body, found.has_printed_warning) == (
        {"a": [1, {"b": 2}]}, b'{"a": [1, {"b": 2}]}', True,
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b"", b"  \n", b"<html>", b"<!DOCTYPE html>\n{}", b'[{"id": 1},{"id": 2}', b'[\n{"id": 1},\n{"id": 2}\n',
        b'Warning: x\n[\n{"id": 1},\n{"id": 2}', b"Warning: x", b"{'a': 1}", b'{"a": NaN}', b"nothing",
        b'{"a": 1} trailing', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_whole_json_is_refused_without_being_quoted(body):
    with pytest.raises(BadPayload) as caught:
        read_json(body)
    assert "id" not in caught.value.message.split()


def test_web_pages_are_told_from_fragments():
    assert [is_html(body) for body in (b" <HTML lang=es>", b"<!doctype HTML>", b"<br />", b"{}")] == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "1"}, 1.0),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 15:00:30 GMT", "date": "Sun, 22 Nov 2026 15:00:00 GMT"}, 30.0),
    ],
)
def test_the_wait_that_is_asked_for(headers, seconds):
    assert retry_after_seconds(headers, now=NOW) == seconds


def test_the_servers_own_time_is_read_from_its_date():
    assert answered_at({"date": "Sun, 22 Nov 2026 12:00:00 GMT"}) == NOW
    assert answered_at({}) is None


@pytest.mark.parametrize(
    ("parsed", "code"),
    [
        ({"code": "rest_no_route", "data": {"status": 404}}, "rest_no_route"),
        ({"error": "invalid_grant", "error_description": "prose"}, "invalid_grant"),
        ({"error": {"code": "X1"}}, "X1"),
        ({"errors": [{"message": "m", "extensions": {"code": "THROTTLED"}}]}, "THROTTLED"),
        ({"errors": "Prose that may quote ck_1 or a name"}, ""),
        ({"code": 404}, ""),
        ({"errors": []}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_only_short_codes_come_out_of_an_error_answer(parsed, code):
    assert short_code(parsed) == code
