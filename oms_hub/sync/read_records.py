"""From raw records to orders ready to be written: what `normalise_orders` reads.

What belongs here: parsing through the channel, quarantine of what cannot be read, the best version per order.
Not here: what the store holds already, and writing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from oms_hub.channel.contract import Channel, Connection, Payload, RawRecord, RecordMode
from oms_hub.domain.order_merge import MergeDecision, VersionKey, decide
from oms_hub.domain.orders import close_gap
from oms_hub.errors import BadPayload
from oms_hub.store.order_rows import OrderRows, order_rows
from oms_hub.store.orders import Tombstone
from oms_hub.store.quarantine import BadRecord
from oms_hub.store.raw_payloads import RecordPlace, RecordRow, StoredPage

ORDERS = "orders"
TOMBSTONES = "order_tombstones"
KINDS = (ORDERS, TOMBSTONES)


@dataclass(slots=True)
class Seen:
    """What the records of one order say.

    Attributes:
        best: the version that stands among those that could be read.
        last_landed: place of the last record that is an order, readable or not.
        tombstone: the last record that says the order is gone.
        bad: the last record, where it could not be read.
        records: how many records there were.
    """

    best: OrderRows | None = None
    last_landed: tuple[int, int] = (0, -1)
    tombstone: Tombstone | None = None
    bad: BadRecord | None = None
    records: int = 0

    @property
    def is_gone(self) -> bool:
        """Return whether the last word on the order is that it is gone."""
        return self.tombstone is not None and self.tombstone.landed > self.last_landed


@dataclass(slots=True)
class Batch:
    """The orders of some pages, and the last of these pages."""

    last_page_id: int
    orders: dict[str, Seen] = field(default_factory=dict)
    records: int = 0

    def of(self, record_id: str, *, records: int = 1) -> Seen:
        """Return what is seen of an order so far, counting so many records more."""
        self.records += records
        seen = self.orders.setdefault(record_id, Seen())
        seen.records += records
        return seen

    def subset(self, order_ids: Iterable[str]) -> Batch:
        """Return a batch of some of the orders."""
        picked = {order_id: self.orders[order_id] for order_id in order_ids}
        return Batch(self.last_page_id, picked, sum(seen.records for seen in picked.values()))


class RecordReader:
    """Reads records of one connection with its channel's parser."""

    def __init__(self, channel: Channel, connection: Connection, merchant_id: int) -> None:
        self._channel = channel
        self._connection = connection
        self._merchant_id = merchant_id

    def read_new(self, pages: Sequence[StoredPage]) -> Batch:
        """Return what the new records of these pages say, each a whole order."""
        batch = Batch(pages[-1].page_id)
        for page in pages:
            records = self.split(page)
            for row in page.records:
                seen = batch.of(row.record_id)
                self._take(seen, page, row, records)
        return batch

    def split(self, page: StoredPage) -> Sequence[RawRecord] | BadPayload:
        """Return the records of a page, or why it cannot be split (any more)."""
        try:
            return self._channel.split_page(page.kind, page.body)
        except Exception as error:  # noqa: BLE001 - a foreign parser; its records go to quarantine with the reason
            return _as_bad_payload(error)

    def _take(self, seen: Seen, page: StoredPage, row: RecordRow, records: Sequence[RawRecord] | BadPayload) -> None:
        landed = (page.page_id, row.position)
        if page.kind == TOMBSTONES:
            seen.tombstone = Tombstone(row.record_id, row.content_hash, landed)
            return
        payload = payload_at(records, row.position)
        place = RecordPlace(row.record_id, landed, row.content_hash, page.kind)
        self.take_snapshot(seen, place, payload)

    def take_snapshot(self, seen: Seen, place: RecordPlace, payload: Payload | BadPayload) -> None:
        """Read one record that is a whole order; the newest version read stays."""
        seen.last_landed = max(seen.last_landed, place.landed)
        rows = self._read([payload], place)
        if isinstance(rows, BadPayload):
            seen.bad = _bad(place, rows)
            return
        seen.bad = None
        if seen.best is None or decide(seen.best.key, rows.key) is MergeDecision.NEWER:
            seen.best = rows

    def take_rows(self, seen: Seen, places: Sequence[RecordPlace], payloads: Sequence[Payload | BadPayload]) -> None:
        """Read all records that together make one order."""
        last = places[-1]
        together = blake2b(digest_size=16)
        for place in places:
            together.update(place.content_hash)
        seen.last_landed = last.landed
        whole = RecordPlace(last.record_id, last.landed, together.digest(), last.kind)
        rows = self._read(payloads, whole)
        if isinstance(rows, BadPayload):
            seen.bad = _bad(last, rows)
        else:
            seen.best = rows

    def _read(self, payloads: Sequence[Payload | BadPayload], place: RecordPlace) -> OrderRows | BadPayload:
        try:
            for payload in payloads:
                if isinstance(payload, BadPayload):
                    return payload
            order, gap = close_gap(self._channel.parse_order(payloads, self._connection))
            if order.channel_order_id != place.record_id:
                return BadPayload("the order bears another id than its record", where="id")
            key = VersionKey(order.updated_at, order.version, place.content_hash, place.landed)
            return order_rows(
                order, key=key, gap=gap, connection_id=self._connection.connection_id, merchant_id=self._merchant_id
            )
        except Exception as error:  # noqa: BLE001 - a foreign parser; the record goes to quarantine with the reason
            return _as_bad_payload(error)

    @property
    def needs_all_records(self) -> bool:
        """Return whether an order is made of all its records, not of one."""
        return self._channel.capabilities.record_mode is not RecordMode.SNAPSHOT


def payload_at(records: Sequence[RawRecord] | BadPayload, position: int) -> Payload | BadPayload:
    """Return the payload of a record by its place in the page, or why there is none."""
    if isinstance(records, BadPayload):
        return records
    if position >= len(records):
        return BadPayload("the page holds fewer records than when it landed")
    return records[position].payload


def read_whole_orders(
    reader: RecordReader,
    batch: Batch,
    places: Mapping[str, Sequence[RecordPlace]],
    payloads: Mapping[tuple[int, int], Payload | BadPayload],
) -> None:
    """Read orders from all their records into a batch.

    Args:
        reader: reads them.
        batch: what is seen goes there.
        places: order id -> all its records in landing order.
        payloads: place -> what stands there.
    """
    for record_id, all_places in places.items():
        seen = batch.of(record_id, records=len(all_places))
        for place in all_places:
            if place.kind == TOMBSTONES:
                seen.tombstone = Tombstone(record_id, place.content_hash, place.landed)
        snapshots = [place for place in all_places if place.kind == ORDERS]
        if not snapshots:
            continue
        if reader.needs_all_records:
            reader.take_rows(seen, snapshots, [payloads[place.landed] for place in snapshots])
            continue
        for place in snapshots:
            reader.take_snapshot(seen, place, payloads[place.landed])


def _bad(place: RecordPlace, trouble: BadPayload) -> BadRecord:
    return BadRecord(place.record_id, place.kind, place.landed[0], place.landed[1], trouble.message)


def _as_bad_payload(error: Exception) -> BadPayload:
    """Return the reason to keep; of an error that nobody foresaw only its type, since its text may quote a buyer."""
    if isinstance(error, BadPayload):
        return error
    return BadPayload(f"the record cannot be read ({type(error).__name__})")
