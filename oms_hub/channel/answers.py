"""Reading a channel's answer: pure functions from status, headers and bytes to meaning.

What belongs here: finding the JSON in a body, `Retry-After`, the channel's short error code. Not here: sending
and retrying (`http`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import orjson

from oms_hub.errors import BadPayload

_HTML_START = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_JSON_AFTER_TEXT = re.compile(rb"(?:^[ \t]*|>)([\[{])", re.MULTILINE)
_WHITE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}")


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A body that was JSON.

    Attributes:
        parsed: the value. Numbers with a fraction are floats; who needs them exact parses `body` again.
        body: the bytes of the JSON, verbatim, without what a server printed before it.
        has_printed_warning: True where something was printed before the JSON (a PHP notice).
    """

    parsed: Any
    body: bytes
    has_printed_warning: bool = False


def is_html(body: bytes) -> bool:
    """Return whether a body is a web page."""
    return _HTML_START.match(body) is not None


def read_json(body: bytes) -> JsonBody:
    """Return the JSON of a body, also where a server printed a warning before it.

    Only one start is tried: the first bracket that begins a line or follows a tag. Trying further ones could take the
    tail of an answer that was cut short for the whole.

    Raises:
        BadPayload: a web page, an empty body, or JSON that is cut short. Holds no part of the body.
    """
    if is_html(body):
        raise BadPayload("the answer is a web page instead of JSON")
    plain = body.removeprefix(_BOM).lstrip(_WHITE)
    if not plain:
        raise BadPayload("the answer is empty instead of JSON")
    if plain[:1] in b'[{"-0123456789tfn':
        value = _parse(plain)
        if value is not _NOT_JSON:
            return JsonBody(value, plain)
    if plain[:1] in b"[{":
        raise BadPayload("the JSON of the answer is cut short or broken")
    start = _JSON_AFTER_TEXT.search(plain)
    value = _NOT_JSON if start is None else _parse(plain[start.start(1) :])
    if start is None or value is _NOT_JSON:
        raise BadPayload("the answer is not JSON")
    return JsonBody(value, plain[start.start(1) :], has_printed_warning=True)


_NOT_JSON = object()


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:  # orjson refuses lone surrogates; one such name must not make a whole page unreadable
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the wait that `Retry-After` asks for, in seconds; None where it says nothing that can be read.

    A date is measured against the answer's own `Date` where there is one, so that our clock does not matter.

    Args:
        headers: the answer's headers, looked up without regard to case by the mapping itself.
        now: the present instant, used only for a date without a `Date` beside it.
    """
    text = (headers.get("retry-after") or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until = _http_date(text)
        if until is None:
            return None
        said_at = _http_date(headers.get("date") or "") or now
        seconds = (until - said_at).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _http_date(text: str) -> datetime | None:
    try:
        value = parsedate_to_datetime(text)
    except ValueError:
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def answered_at(headers: Mapping[str, str]) -> datetime | None:
    """Return the server's own time of an answer (`Date`), aware UTC, to the second; None where it does not say."""
    value = _http_date(headers.get("date") or "")
    return None if value is None else value.astimezone(UTC)


def short_code(parsed: Any) -> str:
    """Return the channel's own short error code inside an error answer, empty where there is none.

    Knows the shapes `{"code"}`, `{"error"}`, `{"error": {"code"}}`, `{"errors": [{"code"}]}` and a code below
    `extensions`. Only what looks like a code comes out, never prose, which may quote the request.
    """
    if isinstance(parsed, list):
        return short_code(parsed[0]) if parsed else ""
    if not isinstance(parsed, dict):
        return _as_code(parsed)
    for key in ("code", "error", "errors", "extensions"):
        code = short_code(parsed.get(key))
        if code:
            return code
    return ""


def _as_code(value: Any) -> str:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""
