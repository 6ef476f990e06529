"""A history out of flat files, window by window.

What belongs here: which reports are asked for, and pages out of them. Not here: one report's life (`reports`), reading
its file (`report_file`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from connectors.amazon.api import AmazonApi
from connectors.amazon.cursor import ReportPlace
from connectors.amazon.fields import instant
from connectors.amazon.marketplaces import MARKETPLACES
from connectors.amazon.pages import orders_body, report_body
from connectors.amazon.report_file import read_orders
from connectors.amazon.reports import (
    BY_LAST_UPDATE,
    BY_ORDER_DATE,
    ReportGone,
    create_report,
    fetch_report,
    wait_for_report,
)
from oms_hub.domain.pull_windows import from_text, slices, to_text
from oms_hub.errors import RetryLater

WINDOW = timedelta(days=30)
ORDERS_PER_PAGE = 200


def history_pages(api: AmazonApi, place: ReportPlace) -> Iterator[tuple[bytes, ReportPlace | None]]:
    """Yield the body of each page with the place after it, None after the last; oldest window first.

    A report is noted before it is waited for, so that a later run goes on with the same one.

    Raises:
        RetryLater: a report is still being made, or failed (the next run asks for a new one).
    """
    until = from_text(place.until)
    while True:
        start = from_text(place.next_from)
        end = min(start + WINDOW, until)
        if place.report_id is None:
            place = replace(place, report_id=create_report(api, BY_LAST_UPDATE, start, end), done_to="")
            yield orders_body(()), place
        try:
            orders = _orders(api, place.report_id or "", after=place.done_to)
            while some := list(islice(orders, ORDERS_PER_PAGE)):
                place = replace(place, done_to=some[-1]["id"])
                yield report_body(some), place
        except ReportGone:
            yield orders_body(()), replace(place, report_id=None)
            raise RetryLater("Amazon failed to make a report of orders; the next sync asks again") from None
        if end >= until:
            yield orders_body(()), None
            return
        place = ReportPlace(to_text(end), place.until)


def ids_placed(api: AmazonApi, placed_from: datetime, placed_to: datetime) -> Iterator[str]:
    """Yield the ids of orders placed in `[placed_from, placed_to)`, as reports by order date tell them."""
    for window in slices(placed_from, placed_to, width=WINDOW):
        report_id = create_report(api, BY_ORDER_DATE, window.start, window.end)
        try:
            for order in _orders(api, report_id):
                if window.start <= instant(order["rows"][0].get("purchase-date"), "purchase-date") < window.end:
                    yield order["id"]
        except ReportGone:
            raise RetryLater("Amazon failed to make a report of orders") from None


def _orders(api: AmazonApi, report_id: str, *, after: str = "") -> Iterator[dict[str, Any]]:
    """Yield the orders of a report from the one after `after` on; none where there was nothing to report."""
    document_id = wait_for_report(api, report_id)
    if document_id is None:
        return
    main = MARKETPLACES.get(api.marketplace_ids[0])
    with tempfile.TemporaryFile() as target:
        fetched = fetch_report(api, document_id, target)
        for order in read_orders(target, fetched, fallback="cp1252" if main is None else main.report_encoding):
            if order["id"] > after:
                yield order
