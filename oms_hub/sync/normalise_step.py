"""One normalising of a connection, batch by batch: what is to be read, and what is stored of it in one transaction.

What belongs here: the walk over raw pages, the meeting with what is stored, writing. Not here: parsing
(`read_records`), who calls it and when (`normalise_orders`, `normalise_behind`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from oms_hub.channel.contract import Payload
from oms_hub.errors import BadPayload
from oms_hub.store import quarantine
from oms_hub.store.connections import StoredConnection
from oms_hub.store.cursors import read_cursor, write_cursor
from oms_hub.store.engine import Transaction
from oms_hub.store.exceptions import open_exceptions, settle_exceptions
from oms_hub.store.leases import Lease
from oms_hub.store.orders import OrderWrites, lock_versions, write_orders
from oms_hub.store.raw_payloads import RecordPlace, next_pages, read_pages, record_ids_of, record_places
from oms_hub.sync.hub import Hub, plain_connection
from oms_hub.sync.order_queues import SETTLED_BY_STATE, queued
from oms_hub.sync.read_records import KINDS, Batch, RecordReader, Seen, payload_at, read_whole_orders
from oms_hub.sync.sort_out import sort_out

STREAM = "normalise_orders"
MAX_RECORDS = 1_000
_MAX_BYTES = 16 * 1024 * 1024
_BEHIND = "behind"
_AFTER_PAGE = "after_page_id"


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


class NormaliseStep:
    """Normalising of one connection under its lease.

    Args:
        hub: the hub.
        stored: the connection.
        lease: what every writing transaction checks.
        is_replay: read every record anew.
        max_records: how many records a batch holds.
        is_behind: work beside a pull that goes on. What is done then is kept with the cursor, so that the step after
            the pull can report it as its own and check it.
    """

    def __init__(
        self,
        hub: Hub,
        stored: StoredConnection,
        lease: Lease,
        *,
        is_replay: bool = False,
        is_behind: bool = False,
        max_records: int | None = None,
    ) -> None:
        self._hub = hub
        self._stored = stored
        self._lease = lease
        self._is_replay = is_replay
        self._is_behind = is_behind
        self._max_records = max_records or MAX_RECORDS
        self._reader = RecordReader(hub.channel(stored), plain_connection(stored), stored.merchant_id)
        self._is_whole = is_replay or self._reader.needs_all_records
        with hub.store.read() as tx:
            position = read_cursor(tx, stored.connection_id, STREAM)
            self._has_quarantine = quarantine.has_quarantined(tx, stored.connection_id)
        self._page_id: int = position.get("page_id", 0)
        behind: Mapping[str, int] = position.get(_BEHIND) or {}
        self._behind_from = behind.get(_AFTER_PAGE, self._page_id)
        self._done_behind = NormaliseReport(**{name: count for name, count in behind.items() if name != _AFTER_PAGE})

    @property
    def first_page_id(self) -> int:
        """Return the raw page after which this run reads, what was done beside the pull before it included."""
        return 0 if self._is_replay else self._behind_from

    @property
    def done_before(self) -> NormaliseReport:
        """Return what was done beside the pull and nobody has reported yet; a replay counts anew."""
        return NormaliseReport() if self._is_replay else self._done_behind

    def forget_behind(self) -> None:
        """Take note that what was done beside the pull is reported."""
        if self._done_behind != NormaliseReport():
            self._done_behind = NormaliseReport()
            with self._hub.store.begin() as tx:
                self._lease.assert_held(tx)
                self._move_cursor(tx, self._page_id)

    def batches(self, record_ids: Sequence[str] = ()) -> Iterator[Batch]:
        """Yield what is to be normalised, in landing order, of bounded size."""
        if record_ids:
            yield self._read_named(record_ids)
            return
        after = 0 if self._is_replay else self._page_id
        while True:
            with self._hub.store.read() as tx:
                page_ids = next_pages(
                    tx,
                    connection_id=self._stored.connection_id,
                    after_page_id=after,
                    kinds=KINDS,
                    max_records=self._max_records,
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
                self._lease.assert_held(tx)
                report = self._write(tx, batch)
                if cursor is not None:
                    self._move_cursor(tx, cursor, report)
                return report
        except BadPayload as refusal:
            halves = self._halves(batch, refusal)
        report = NormaliseReport()
        for half in halves:
            report = report.plus(self.store(half, cursor=None))
        if cursor is not None:
            with self._hub.store.begin() as tx:
                self._lease.assert_held(tx)
                self._move_cursor(tx, cursor, report)
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

    def _move_cursor(self, tx: Transaction, page_id: int, done: NormaliseReport = NormaliseReport()) -> None:
        self._page_id = max(self._page_id, page_id)
        position: dict[str, Any] = {"page_id": self._page_id}
        if self._is_behind:
            self._done_behind = self._done_behind.plus(done)
            position[_BEHIND] = {_AFTER_PAGE: self._behind_from, **asdict(self._done_behind)}
        write_cursor(
            tx,
            connection_id=self._stored.connection_id,
            merchant_id=self._stored.merchant_id,
            stream=STREAM,
            position=position,
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
