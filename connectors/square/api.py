"""Square's REST API over the hub's HTTP client: one question, its pages, its errors.

What belongs here: asking, and what Square's list of errors means. Not here: which questions are asked, and what the
answers mean.

Source: published description 2025-08-20. Square publishes no limits: 429 with RATE_LIMITED, without Retry-After. An
answer leaves out what is empty, so that a search without results is `{}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from connectors.square.auth import TokenAuth, Tokens
from connectors.square.settings import api_version, base_url
from oms_hub.channel.contract import ChannelSession
from oms_hub.channel.http import ChannelHttp, ChannelRules, HttpAnswer, HttpRefused, Refusal, open_client
from oms_hub.errors import BadPayload, HubError, RetryLater

BUSY = "RATE_LIMIT_ERROR"
_MOST_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class SquareError:
    """One of the errors in an answer: Square's words for it, never its prose, which may quote the request."""

    category: str
    code: str
    field: str


class SquareRefused(HttpRefused):
    """Square refuses this very request, with all its reasons."""

    def __init__(self, message: str, *, status: int, errors: Sequence[SquareError]) -> None:
        super().__init__(message, status=status, code=errors[0].code if errors else "")
        self.errors = tuple(errors)


def errors_of(parsed: Any) -> tuple[SquareError, ...]:
    """Return the errors that an answer lists; none for a good answer."""
    rows = parsed.get("errors") if isinstance(parsed, dict) else None
    return tuple(
        SquareError(*(_word(row.get(name)) for name in ("category", "code", "field")))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
    )


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def explain(refusal: Refusal) -> HubError | None:
    """Return the refusal with all its errors; None for credentials, which the client reads itself."""
    errors = errors_of(refusal.parsed)
    if refusal.status in {401, 403} or not errors:
        return None
    said = ", ".join(f"{error.code} {error.field}".strip() for error in errors[:3])
    return SquareRefused(f"Square answered {refusal.status} ({said})", status=refusal.status, errors=errors)


def interpret(parsed: Any, _headers: httpx.Headers) -> None:
    """Raise RetryLater for a throttling that came with status 200."""
    errors = errors_of(parsed)
    if errors and all(error.category == BUSY for error in errors):
        raise RetryLater("Square answered 200 and that it is busy (RATE_LIMITED)")


class SquareApi:
    """Reads and writes one seller's account; may be used from several threads."""

    def __init__(self, http: ChannelHttp) -> None:
        self.http = http

    def get(self, path: str, *, needs: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """Return the answer to a GET.

        Raises:
            BadPayload: it is no object.
            RetryLater: it lists errors in place of an answer.
        """
        return _good(path, self.http.get_json(path, query=query, needs=needs)).parsed  # type: ignore[no-any-return]

    def ask(self, path: str, question: Mapping[str, Any] | None, *, needs: str) -> HttpAnswer:
        """Return the answer to a question that is sent by POST and changes nothing; raises as `get`."""
        return _good(path, self.http.post_json(path, question, is_idempotent=True, needs=needs))

    def rows(self, path: str, question: Mapping[str, Any], name: str, *, needs: str) -> Iterator[HttpAnswer]:
        """Yield all pages of a question, with the very same question beside each cursor.

        Raises:
            BadPayload: `name` is no list.
            RetryLater: the pages never end.
        """
        cursor = ""
        for _ in range(_MOST_PAGES):
            answer = self.ask(path, {**question, **({"cursor": cursor} if cursor else {})}, needs=needs)
            rows_of(answer.parsed, name)
            yield answer
            cursor = cursor_of(answer.parsed)
            if not cursor:
                return
        raise RetryLater(f"POST {path}: the pages do not end")


def _good(path: str, answer: HttpAnswer) -> HttpAnswer:
    if not isinstance(answer.parsed, dict):
        raise BadPayload(f"{path}: the answer is not an object")
    errors = errors_of(answer.parsed)
    if errors:
        raise RetryLater(f"{path}: answered 200 with an error ({errors[0].code})")
    return answer


def rows_of(parsed: Mapping[str, Any], name: str) -> list[Any]:
    """Return the rows of an answer; none where Square left the empty list out.

    Raises:
        BadPayload: they are no list.
    """
    rows = parsed.get(name)
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise BadPayload(f"{name} is not a list", where=name)
    return rows


def cursor_of(parsed: Mapping[str, Any]) -> str:
    """Return the cursor of the next page, empty after the last one."""
    return _word(parsed.get("cursor"))


@contextmanager
def open_api(session: ChannelSession) -> Iterator[SquareApi]:
    """Open the account of a session.

    Raises:
        Misconfigured: settings that cannot work.
    """
    settings = session.connection.settings
    with open_client(
        session,
        base_url(settings),
        auth=TokenAuth(Tokens(session)),
        headers={"square-version": api_version(settings)},
        rules=ChannelRules(interpret=interpret, explain=explain),
    ) as http:
        yield SquareApi(http)
