"""Normalising orders: raw records become orders, batch by batch, each in one transaction with the cursor.

What belongs here: the walk over raw pages, the meeting with what is stored, writing. Not here: parsing
(`read_records`). Works from the store alone: no network, no credentials.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields

from oms_hub.channel.contract import Payload
from oms_hub.channel.prefetch import fetch_ahead
from oms_hub.errors import BadPayload
from oms_hub.store import quarantine
from oms_hub.store.connections import StoredConnection
from oms_hub.store.cursors import read_cursor, write_cursor
from oms_hub.store.engine import Transaction
from oms_hub.store.exceptions import open_exceptions, settle_exceptions
from oms_hub.store.orders import OrderWrites, lock_versions, write_orders
from oms_hub.store.raw_payloads import RecordPlace, next_pages, read_pages, record_ids_of, record_places
from oms_hub.sync.hub import Hub, plain_connection
from oms_hub.sync.order_queues import SETTLED_BY_STATE, queued
from oms_hub.sync.paused_collection import paused_collection, sweep
from oms_hub.sync.read_records import KINDS, Batch, RecordReader, Seen, payload_at, read_whole_orders
from oms_hub.sync.sort_out import sort_out
from oms_hub.sync.steps import StepRun, running_step

STREAM = "normalise_orders"
_MAX_RECORDS = 1_000
_RETRIED_AT_ONCE = 500
_BATCHES_PER_SWEEP = 10
_MAX_BYTES = 16 * 1024 * 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NormaliseReport:
    """What normalising did.

    Attributes:
        records: raw records that were read.
        written: orders stored anew or changed.
        unchanged: orders that were stored already as they are.
        older: orders of which a newer version is stored.
        quarantined: records that could not be read.
        unmapped_lines: lines of written orders without a SKU.
        movements: stock movements that followed.
        mismatches: written orders whose parts do not add up to their total.
    """

    records: int = 0
    written: int = 0
    unchanged: int = 0
    older: int = 0
    quarantined: int = 0
    unmapped_lines: int = 0
    movements: int = 0
    mismatches: int = 0

    def plus(self, other: NormaliseReport) -> NormaliseReport:
        """Return the sum of two reports."""
        return NormaliseReport(
            **{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        )


def normalise_orders(
    hub: Hub, name: str, *, is_replay: bool = False, record_ids: Sequence[str] = ()
) -> NormaliseReport:
    """Bring the orders of a connection in step with its raw records.

    Args:
        hub: the hub.
        name: the connection.
        is_replay: read every record anew, from the first; orders that come out the same keep the same rows.
        record_ids: of a replay, only the records of these orders; the others are not looked at.

    Returns:
        What was done; `quarantined` records are in quarantine with an exception each, the rest went on.
    """
    stored = hub.connection(name)
    report = NormaliseReport()
    with running_step(hub, stored, "normalise_orders", needs_channel=False) as run:
        step = _Step(hub, stored, run, is_replay=is_replay)
        run.count(after_page_id=step.first_page_id)
        with paused_collection(), closing(fetch_ahead(step.batches(record_ids), ahead=1)) as batches:
            for number, batch in enumerate(batches, start=1):
                report = report.plus(step.store(batch, cursor=batch.last_page_id))
                run.count(**{each.name: getattr(report, each.name) for each in fields(report)})
                _log.info("%s: %d records normalised, %d orders written", name, report.records, report.written)
                if number % _BATCHES_PER_SWEEP == 0:
                    sweep()
    return report


def retry_quarantined(hub: Hub, name: str, *, record_ids: Sequence[str] | None = None) -> NormaliseReport:
    """Read records that are in quarantine once more, with all other records of the same orders.

    Args:
        hub: the hub.
        name: the connection.
        record_ids: which; None means all that are in quarantine.

    Returns:
        What was done; those counted as `quarantined` still cannot be read.
    """
    stored = hub.connection(name)
    report = NormaliseReport()
    with running_step(hub, stored, "retry_quarantined", needs_channel=False) as run:
        step = _Step(hub, stored, run, is_replay=True)
        with hub.store.read() as tx:
            kept = quarantine.list_quarantine(tx, stored.connection_id)
        wanted = [record.record_id for record in kept if record_ids is None or record.record_id in record_ids]
        for start in range(0, len(wanted), _RETRIED_AT_ONCE):
            batch = step.batch_of(wanted[start : start + _RETRIED_AT_ONCE])
            report = report.plus(step.store(batch, cursor=None))
        run.count(**{each.name: getattr(report, each.name) for each in fields(report)})
    return report


class _Step:
    """Normalising of one connection under its lease."""

    def __init__(self, hub: Hub, stored: StoredConnection, run: StepRun, *, is_replay: bool) -> None:
        self._hub = hub
        self._stored = stored
        self._run = run
        self._is_replay = is_replay
        self._reader = RecordReader(hub.channel(stored), plain_connection(stored), stored.merchant_id)
        self._is_whole = is_replay or self._reader.needs_all_records
        with hub.store.read() as tx:
            self._page_id: int = read_cursor(tx, stored.connection_id, STREAM).get("page_id", 0)
            self._has_quarantine = quarantine.has_quarantined(tx, stored.connection_id)

    @property
    def first_page_id(self) -> int:
        """Return the raw page after which this run reads."""
        return 0 if self._is_replay else self._page_id

    def batches(self, record_ids: Sequence[str] = ()) -> Iterator[Batch]:
        """Yield what is to be normalised, in landing order, of bounded size."""
        if record_ids:
            yield self._read_named(record_ids)
            return
        after = self.first_page_id
        while True:
            with self._hub.store.read() as tx:
                page_ids = next_pages(
                    tx,
                    connection_id=self._stored.connection_id,
                    after_page_id=after,
                    kinds=KINDS,
                    max_records=_MAX_RECORDS,
                    max_bytes=_MAX_BYTES,
                )
                if not page_ids:
                    return
                pages = () if self._is_whole else read_pages(tx, page_ids)
                places = self._whole_places(tx, page_ids) if self._is_whole else {}
            after = page_ids[-1]
            yield self._read_whole(places, after) if self._is_whole else self._reader.read_new(pages)

    def batch_of(self, record_ids: Sequence[str]) -> Batch:
        """Return what all records of these ids say."""
        places: dict[str, list[RecordPlace]] = {}
        with self._hub.store.read() as tx:
            for place in record_places(tx, self._stored.connection_id, record_ids):
                places.setdefault(place.record_id, []).append(place)
        return self._read_whole(places, 0)

    def _read_named(self, record_ids: Sequence[str]) -> Batch:
        places: dict[str, list[RecordPlace]] = {}
        with self._hub.store.read() as tx:
            for place in record_places(tx, self._stored.connection_id, record_ids):
                places.setdefault(place.record_id, []).append(place)
        return self._read_whole(places, self._page_id)

    def _whole_places(self, tx: Transaction, page_ids: Sequence[int]) -> dict[str, list[RecordPlace]]:
        """Return all records of the orders whose last record stands in these pages; the others' turn is to come."""
        places: dict[str, list[RecordPlace]] = {}
        for place in record_places(tx, self._stored.connection_id, record_ids_of(tx, page_ids)):
            places.setdefault(place.record_id, []).append(place)
        last = page_ids[-1]
        return {record_id: found for record_id, found in places.items() if found[-1].landed[0] <= last}

    def _read_whole(self, places: dict[str, list[RecordPlace]], last_page_id: int) -> Batch:
        batch = Batch(last_page_id)
        wanted: dict[int, list[int]] = {}
        for found in places.values():
            for place in found:
                wanted.setdefault(place.landed[0], []).append(place.landed[1])
        payloads: dict[tuple[int, int], Payload | BadPayload] = {}
        for page_id in sorted(wanted):
            with self._hub.store.read() as tx:
                (page,) = read_pages(tx, [page_id])
            records = self._reader.split(page)
            for position in wanted[page_id]:
                payloads[page_id, position] = payload_at(records, position)
        read_whole_orders(self._reader, batch, places, payloads)
        return batch

    def store(self, batch: Batch, *, cursor: int | None) -> NormaliseReport:
        """Store a batch; where the database refuses something in it, halve it until only that order is left out."""
        try:
            with self._hub.store.begin_repeatable() as tx:
                self._run.lease.assert_held(tx)
                report = self._write(tx, batch)
                if cursor is not None:
                    self._move_cursor(tx, cursor)
                return report
        except BadPayload as refusal:
            halves = self._halves(batch, refusal)
        report = NormaliseReport()
        for half in halves:
            report = report.plus(self.store(half, cursor=None))
        if cursor is not None:
            with self._hub.store.begin() as tx:
                self._run.lease.assert_held(tx)
                self._move_cursor(tx, cursor)
        return report

    def _halves(self, batch: Batch, refusal: BadPayload) -> list[Batch]:
        ids = list(batch.orders)
        if len(ids) > 1:
            middle = len(ids) // 2
            return [batch.subset(ids[:middle]), batch.subset(ids[middle:])]
        (seen,) = batch.orders.values()
        if seen.best is None:
            raise refusal
        page_id, position = seen.best.key.landed
        bad = quarantine.BadRecord(ids[0], "orders", page_id, position, refusal.message)
        return [Batch(batch.last_page_id, {ids[0]: Seen(bad=bad, records=seen.records)}, batch.records)]

    def _move_cursor(self, tx: Transaction, page_id: int) -> None:
        self._page_id = max(self._page_id, page_id)
        write_cursor(
            tx,
            connection_id=self._stored.connection_id,
            merchant_id=self._stored.merchant_id,
            stream=STREAM,
            position={"page_id": self._page_id},
        )

    def _write(self, tx: Transaction, batch: Batch) -> NormaliseReport:
        stored = lock_versions(tx, self._stored.connection_id, batch.orders)
        sorted_out = sort_out(batch, stored, is_whole=self._is_whole, is_replay=self._is_replay)
        writes = sorted_out.writes
        own = {"connection_id": self._stored.connection_id, "merchant_id": self._stored.merchant_id}
        stock = write_orders(tx, **own, writes=writes)
        written = (*writes.new, *writes.changed)
        self._settle(tx, writes)
        bad = [seen.bad for seen in batch.orders.values() if seen.bad is not None]
        quarantine.quarantine_records(tx, **own, bad=bad)
        if self._has_quarantine:
            readable = [record_id for record_id, seen in batch.orders.items() if seen.bad is None]
            quarantine.resolve_quarantine(tx, **own, record_ids=readable, reason="the record could be read")
        self._has_quarantine = self._has_quarantine or bool(bad)
        return NormaliseReport(
            records=batch.records,
            written=len(writes.order_ids),
            unchanged=sorted_out.unchanged,
            older=sorted_out.older,
            quarantined=len(bad),
            unmapped_lines=stock.unmapped_lines,
            movements=stock.movements,
            mismatches=sum(1 for rows in written if rows.gap),
        )

    def _settle(self, tx: Transaction, writes: OrderWrites) -> None:
        """Bring the queues in step with the written orders."""
        own = {"connection_id": self._stored.connection_id, "merchant_id": self._stored.merchant_id}
        gone_ids = frozenset(tombstone.channel_order_id for tombstone in writes.vanished)
        found = queued((*writes.new, *writes.changed), gone_ids=gone_ids)
        known_before = [rows.order.channel_order_id for rows in writes.changed] + sorted(gone_ids)
        if known_before:
            settle_exceptions(
                tx,
                **own,
                kinds=SETTLED_BY_STATE,
                references=known_before,
                still_open={(each.kind, each.reference) for each in found},
                reason="the order has moved on",
            )
        open_exceptions(tx, **own, found=found, respects_dismissal=True, counts_again=not self._is_replay)
