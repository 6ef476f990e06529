"""listTransactions: money that moved for orders (refunds, fees), as Amazon posts it.

What belongs here: the walk. Not here: what a transaction means (`parse_refunds`).

Amazon posts with delay ("might not include orders from the last 48 hours") and changes what it posted (deferred money
is released), so each walk begins two days before the last one's end, and walks are at least an hour apart. A window
holds 180 days at most. An answer does not tell its upper bound; it is taken from the answer's own date, less three
minutes (Amazon holds back two). No marketplace is named: US orders that the merchant ships would be left out.
Source: amzn/selling-partner-api-models finances_2024-06-19, 2026-08-05.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from connectors.amazon.api import AmazonApi, server_time
from connectors.amazon.cursor import MoneyPlace
from connectors.amazon.operations import LIST_TRANSACTIONS
from oms_hub.channel.http import HttpAnswer, HttpRefused
from oms_hub.domain.pull_windows import from_text, to_text
from oms_hub.errors import RetryLater

EVERY = timedelta(hours=1)
OVERLAP = timedelta(hours=48)
WINDOW = timedelta(days=179)
HELD_BACK = timedelta(minutes=3)


def is_due(place: MoneyPlace, now: datetime) -> bool:
    """Return whether a walk is under way, or the last one ended long enough ago."""
    return place.after is not None or place.asked_at is None or now - from_text(place.asked_at) >= EVERY


def start(place: MoneyPlace, history_from: datetime) -> MoneyPlace:
    """Return the place at which a walk begins, or the one that it stands at."""
    if place.after is not None:
        return place
    after = history_from if place.until is None else from_text(place.until) - OVERLAP
    return replace(place, after=to_text(after), token=None, bound=None)


def transaction_pages(api: AmazonApi, place: MoneyPlace) -> Iterator[tuple[Sequence[Any], MoneyPlace]]:
    """Yield the transactions of each page with the place after it; `after` is None after the last.

    Raises:
        RetryLater: Amazon does not answer, or answers another question; go on at the last place.
    """
    seen_tokens: set[str] = set()
    while place.after is not None:
        before = from_text(place.after) + WINDOW
        is_last = before + HELD_BACK >= api.session.clock()
        answer = _answer(api, place.after, None if is_last else to_text(before), place.token)
        transactions, token = _read(answer)
        if token is not None and token in seen_tokens:
            raise RetryLater("listTransactions gave a page that was there before instead of the next one")
        seen_tokens.add(token or "")
        bound = to_text(server_time(answer, otherwise=api.session.clock()) - HELD_BACK)
        kept = bound if place.bound is None else min(place.bound, bound, key=from_text)
        if token is not None:
            place = replace(place, token=token, bound=kept)
        elif is_last:
            place = MoneyPlace(until=kept, asked_at=to_text(api.session.clock()))
        else:
            place = replace(place, after=to_text(before), token=None, bound=None)
        yield transactions, place


def _answer(api: AmazonApi, after: str, before: str | None, token: str | None) -> HttpAnswer:
    query = {"postedAfter": after} | ({} if before is None else {"postedBefore": before})
    try:
        return api.call(LIST_TRANSACTIONS, query=query | ({} if token is None else {"nextToken": token}))
    except HttpRefused as error:
        if token is None or error.status not in {400, 404}:
            raise
        return api.call(LIST_TRANSACTIONS, query=query)  # the token is too old: the window begins again


def _read(answer: HttpAnswer) -> tuple[Sequence[Any], str | None]:
    payload = answer.parsed.get("payload") if isinstance(answer.parsed, dict) else None
    if not isinstance(payload, dict):
        raise RetryLater("listTransactions answered without its payload")
    transactions, token = payload.get("transactions"), payload.get("nextToken")
    found = transactions if isinstance(transactions, list) else []
    return found, token if isinstance(token, str) and token else None
