"""Pulling orders: pages land as they came, each in one transaction with the cursor that goes on after it.

What belongs here: the walk, landing, notices. Not here: what is in a record (`normalise_orders`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime

from oms_hub.channel.contract import Channel, Cursor, PullRequest, RawPage, RecordMode
from oms_hub.channel.prefetch import fetch_ahead
from oms_hub.errors import BadPayload, Misconfigured
from oms_hub.store import quarantine
from oms_hub.store.connections import StoredConnection
from oms_hub.store.cursors import read_cursor, write_cursor
from oms_hub.store.exceptions import OpenException, open_exceptions
from oms_hub.store.raw_payloads import Landed, RecordRow, content_hash, is_storable_id, land_page, land_unreadable
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_behind import normalising_behind
from oms_hub.sync.paused_collection import paused_collection, sweep
from oms_hub.sync.steps import StepRun, running_step

STREAM = "orders"
UNREADABLE_PAGE = "page"
"""Stands for a record id in quarantine where a whole page could not be split."""

_PAGES_AHEAD = 2
_PAGES_PER_SWEEP = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull brought.

    Attributes:
        pages: pages that came.
        pages_stored: those with news, which landed.
        records: records in all pages.
        records_new: those that differ from what was known.
        body_bytes: size of all pages as they came.
        notices: things the connector reported.
        cursor: where the next pull goes on.
    """

    pages: int = 0
    pages_stored: int = 0
    records: int = 0
    records_new: int = 0
    body_bytes: int = 0
    notices: int = 0
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class ReadyPage:
    """A page with its records identified. `trouble` where that was not possible."""

    page: RawPage
    records: tuple[RecordRow, ...]
    trouble: BadPayload | None = None


def pull_orders(hub: Hub, name: str, *, is_full: bool = False, placed_from: datetime | None = None) -> PullReport:
    """Pull what is new of a connection's orders, and land it.

    What landed of a large pull is normalised beside it; `normalise_orders` does and reports the rest.

    Args:
        hub: the hub.
        name: the connection.
        is_full: walk the whole history again.
        placed_from: lower bound of a backfill, aware.

    Raises:
        HubError: the pull stopped; what landed before stays, and the next pull goes on at the page that failed.
    """
    stored = hub.connection(name)
    channel = hub.channel(stored)
    if channel.order_source is None:
        raise Misconfigured(f"Channel {channel.name} has no orders to pull (connection {name})")
    with running_step(hub, stored, "pull_orders") as run:
        with hub.store.read() as tx:
            cursor = read_cursor(tx, stored.connection_id, STREAM)
            had_unreadable = quarantine.has_quarantined(tx, stored.connection_id, UNREADABLE_PAGE)
        request = PullRequest(cursor=cursor, is_full=is_full, placed_from=placed_from)
        pages = channel.order_source(hub.session(stored), request)
        with normalising_behind(hub, stored, run.lease) as behind:
            report = land_pages(
                hub, stored, channel, run, pages, report=PullReport(cursor=cursor), landed=behind.landed
            )
        if had_unreadable:
            _forget_unreadable(hub, stored, run)
        run.mark_good("pull")
    return report


def land_pages(
    hub: Hub,
    stored: StoredConnection,
    channel: Channel,
    run: StepRun,
    pages: Iterable[RawPage],
    *,
    report: PullReport,
    moves_cursor: bool = True,
    landed: Callable[[int], None] = lambda _records: None,
) -> PullReport:
    """Land pages in order while the next ones are fetched, and return the report counted on.

    `landed` is told after each page how many records of it were news.

    Raises:
        BadPayload: a page could not be split into records. It is kept as evidence, the cursor stays before it.
    """
    with paused_collection(), closing(fetch_ahead(_ready(channel, pages), ahead=_PAGES_AHEAD)) as ready:
        for page in ready:
            if page.trouble is not None:
                _keep_unreadable(hub, stored, run, page.trouble, page.page)
                raise page.trouble
            before = report.records_new
            report = _land(hub, stored, channel, run, page, report, moves_cursor=moves_cursor)
            landed(report.records_new - before)
            if report.pages % _PAGES_PER_SWEEP == 0:
                sweep()
            run.count(
                pages=report.pages, pages_stored=report.pages_stored, records=report.records,
                records_new=report.records_new, body_bytes=report.body_bytes, notices=report.notices,
            )  # fmt: skip
    return report


def _ready(channel: Channel, pages: Iterable[RawPage]) -> Iterator[ReadyPage]:
    for page in pages:
        try:
            records = channel.split_page(page.kind, page.body) if page.records is None else page.records
        except BadPayload as error:
            yield ReadyPage(page, (), error)
            return
        rows = tuple(
            RecordRow(
                position,
                record.record_id if is_storable_id(record.record_id) else f"position:{position}",
                content_hash(page.kind, record.payload),
                record.updated_at,
            )
            for position, record in enumerate(records)
        )
        yield ReadyPage(replace(page, records=None), rows)


def _land(
    hub: Hub,
    stored: StoredConnection,
    channel: Channel,
    run: StepRun,
    ready: ReadyPage,
    report: PullReport,
    *,
    moves_cursor: bool,
) -> PullReport:
    page = ready.page
    with hub.store.begin_repeatable() as tx:
        run.lease.assert_held(tx)
        landed = land_page(
            tx,
            connection_id=stored.connection_id,
            merchant_id=stored.merchant_id,
            kind=page.kind,
            body=page.body,
            records=ready.records,
            keeps_repeats=channel.capabilities.record_mode is RecordMode.APPEND,
            is_joined=channel.capabilities.record_mode is RecordMode.JOINED,
        )
        found = [OpenException(notice.kind, notice.reference, notice.message) for notice in page.notices]
        open_exceptions(tx, merchant_id=stored.merchant_id, connection_id=stored.connection_id, found=found)
        if moves_cursor and page.cursor != report.cursor:
            write_cursor(
                tx,
                connection_id=stored.connection_id,
                merchant_id=stored.merchant_id,
                stream=STREAM,
                position=page.cursor,
            )
    _log.info("%s: page of %d records, %d new", stored.name, len(ready.records), landed.records_new)
    return _counted(report, ready, landed, cursor=page.cursor if moves_cursor else report.cursor)


def _counted(report: PullReport, ready: ReadyPage, landed: Landed, *, cursor: Cursor | None) -> PullReport:
    return replace(
        report,
        pages=report.pages + 1,
        pages_stored=report.pages_stored + (landed.page_id is not None),
        records=report.records + len(ready.records),
        records_new=report.records_new + landed.records_new,
        body_bytes=report.body_bytes + len(ready.page.body),
        notices=report.notices + len(ready.page.notices),
        cursor=cursor,
    )


def _keep_unreadable(hub: Hub, stored: StoredConnection, run: StepRun, trouble: BadPayload, page: RawPage) -> None:
    """Keep the page as evidence, once until a pull goes well again; the cursor stays before it, so nothing is lost."""
    with hub.store.begin() as tx:
        run.lease.assert_held(tx)
        page_id = quarantine.page_of(tx, stored.connection_id, UNREADABLE_PAGE)
        if page_id is None:
            page_id = land_unreadable(
                tx,
                connection_id=stored.connection_id,
                merchant_id=stored.merchant_id,
                kind=page.kind,
                body=page.body,
            )
        bad = quarantine.BadRecord(UNREADABLE_PAGE, f"unreadable_{page.kind}", page_id, 0, trouble.message)
        quarantine.quarantine_records(tx, connection_id=stored.connection_id, merchant_id=stored.merchant_id, bad=[bad])


def _forget_unreadable(hub: Hub, stored: StoredConnection, run: StepRun) -> None:
    with hub.store.begin() as tx:
        run.lease.assert_held(tx)
        quarantine.resolve_quarantine(
            tx,
            connection_id=stored.connection_id,
            merchant_id=stored.merchant_id,
            record_ids=[UNREADABLE_PAGE],
            reason="the page could be read",
        )
