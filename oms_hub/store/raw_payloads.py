"""Raw pages as they came: landing them, and reading them again in landing order.

What belongs here: compression, the index of records, and what counts as news. Not here: what is inside a record.
A record whose content equals the newest known one of its id (or, where records of several kinds share an id, any known
one) is no news; a page without news is not stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson
import zstandard
from sqlalchemy import text

from oms_hub.store.copy_text import bytes_field, copy_rows, encoded, optional_instant_field, text_array, text_field
from oms_hub.store.engine import Transaction

_HASH_BYTES = 16
_ZSTD_LEVEL = 1
_ID_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record of a page as the index keeps it. `position` counts from 0 within the page."""

    position: int
    record_id: str
    content_hash: bytes
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Landed:
    """What landing a page did: its number (None where it brought no news) and how many records were news."""

    page_id: int | None
    records_new: int


def content_hash(kind: str, payload: Any) -> bytes:
    """Return the fingerprint of a record: the same for the same content, however its keys are ordered."""
    try:
        canonical = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):  # keys that are no text, numbers beyond 64 bits
        canonical = json.dumps(payload, sort_keys=True, default=str).encode()
    return blake2b(canonical, digest_size=_HASH_BYTES, person=kind.encode()[:16]).digest()


def is_storable_id(record_id: str) -> bool:
    """Return whether a record's id can stand in the index; another one is known by its place in the page instead."""
    return 0 < len(record_id) <= _ID_CHARACTERS and "\0" not in record_id and record_id.isprintable()


_KNOWN = text("""
SELECT asked.record_id, newest.content_hash
FROM unnest(CAST(:record_ids AS text[])) AS asked (record_id)
CROSS JOIN LATERAL (
    SELECT content_hash FROM hub.raw_records
    WHERE connection_id = :connection_id AND record_id = asked.record_id
    ORDER BY page_id DESC, position DESC LIMIT 1
) AS newest
""")

_KNOWN_SINCE_TOMBSTONE = text("""
SELECT asked.record_id, known.content_hash
FROM unnest(CAST(:record_ids AS text[])) AS asked (record_id)
JOIN hub.raw_records AS known ON known.connection_id = :connection_id AND known.record_id = asked.record_id
WHERE known.page_id >= coalesce((
    SELECT max(gone.page_id) FROM hub.raw_records AS gone
    WHERE gone.connection_id = :connection_id AND gone.record_id = asked.record_id AND gone.kind = 'order_tombstones'
), 0)
""")

_ADD_PAGE = text("""
INSERT INTO hub.raw_pages (merchant_id, connection_id, kind, body, body_bytes, record_count)
VALUES (:merchant_id, :connection_id, :kind, :body, :body_bytes, :record_count) RETURNING page_id
""")

_RECORD_COLUMNS = "connection_id, record_id, page_id, position, merchant_id, kind, content_hash, channel_updated_at"


def land_page(
    tx: Transaction,
    *,
    connection_id: int,
    merchant_id: int,
    kind: str,
    body: bytes,
    records: Sequence[RecordRow],
    keeps_repeats: bool = False,
    is_joined: bool = False,
) -> Landed:
    """Store a page and the index of what is new in it.

    Args:
        tx: the transaction, which also moves the cursor.
        connection_id: where it came from.
        merchant_id: whose it is.
        kind: what its records are.
        body: the page verbatim.
        records: its records in order.
        keeps_repeats: True where every record adds to those before, so that even an equal one is news.
        is_joined: True where records of several kinds share an id, so that one known at any time is no news.
    """
    if keeps_repeats:
        news: Sequence[RecordRow] = records
    else:
        news = _joined_news(tx, connection_id, records) if is_joined else _news(tx, connection_id, records)
    if not news:
        return Landed(None, 0)
    own = {"connection_id": connection_id, "merchant_id": merchant_id, "kind": kind}
    page_id = _add_page(tx, own, body, len(news))
    ends = f"{merchant_id}\t{text_field(kind)}"
    rows = "".join(
        f"{connection_id}\t{text_field(record.record_id)}\t{page_id}\t{record.position}\t{ends}"
        f"\t{bytes_field(record.content_hash)}\t{optional_instant_field(record.updated_at, 'updated_at')}\n"
        for record in news
    )
    copy_rows(tx, "hub.raw_records", _RECORD_COLUMNS, [encoded(rows)])
    return Landed(page_id, len(news))


def land_unreadable(tx: Transaction, *, connection_id: int, merchant_id: int, kind: str, body: bytes) -> int:
    """Keep a page that cannot be split into records, as evidence; it is never read as orders. Return its number."""
    own = {"connection_id": connection_id, "merchant_id": merchant_id, "kind": f"unreadable_{kind}"}
    return _add_page(tx, own, body, 0)


def _add_page(tx: Transaction, own: dict[str, Any], body: bytes, record_count: int) -> int:
    packed = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
    return int(
        tx.execute(
            _ADD_PAGE, {**own, "body": packed, "body_bytes": len(body), "record_count": record_count}
        ).scalar_one()
    )


def _news(tx: Transaction, connection_id: int, records: Sequence[RecordRow]) -> list[RecordRow]:
    """Return the records that differ from what was known of their id before, also from earlier ones of this page."""
    if not records:
        return []
    asked = {"connection_id": connection_id, "record_ids": text_array({record.record_id for record in records})}
    known: dict[str, bytes] = {record_id: bytes(known_hash) for record_id, known_hash in tx.execute(_KNOWN, asked)}
    news: list[RecordRow] = []
    for record in records:
        if known.get(record.record_id) != record.content_hash:
            known[record.record_id] = record.content_hash
            news.append(record)
    return news


def _joined_news(tx: Transaction, connection_id: int, records: Sequence[RecordRow]) -> list[RecordRow]:
    """Return the records whose content was never known of their id, or not since it was said to be gone."""
    if not records:
        return []
    asked = {"connection_id": connection_id, "record_ids": text_array({record.record_id for record in records})}
    known = {(record_id, bytes(found)) for record_id, found in tx.execute(_KNOWN_SINCE_TOMBSTONE, asked)}
    news: list[RecordRow] = []
    for record in records:
        if (record.record_id, record.content_hash) not in known:
            known.add((record.record_id, record.content_hash))
            news.append(record)
    return news


# ------------------------------------------------------------------------------------------------- reading again


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page read back. `records` are those of its records that were news, in order."""

    page_id: int
    kind: str
    body: bytes
    records: tuple[RecordRow, ...]


_PAGES_AFTER = text("""
WITH waiting AS (
    SELECT page_id, sum(body_bytes) OVER w - body_bytes AS bytes_before, sum(record_count) OVER w - record_count
           AS records_before
    FROM (
        SELECT page_id, body_bytes, record_count FROM hub.raw_pages
        WHERE connection_id = :connection_id AND page_id > :page_id AND kind = ANY(CAST(:kinds AS text[]))
        ORDER BY page_id LIMIT 500
    ) AS next_pages WINDOW w AS (ORDER BY page_id)
)
SELECT page_id FROM waiting WHERE bytes_before < :max_bytes AND records_before < :max_records ORDER BY page_id
""")

_BODIES = text("""
SELECT page_id, kind, body, body_bytes FROM hub.raw_pages
WHERE page_id = ANY(CAST(:page_ids AS bigint[])) ORDER BY page_id
""")

_RECORDS = text("""
SELECT page_id, position, record_id, content_hash, channel_updated_at FROM hub.raw_records
WHERE page_id = ANY(CAST(:page_ids AS bigint[])) ORDER BY page_id, position
""")

_PLACES = text("""
SELECT record.record_id, record.page_id, record.position, record.content_hash, record.kind
FROM unnest(CAST(:record_ids AS text[])) AS asked (record_id)
JOIN hub.raw_records AS record ON record.connection_id = :connection_id AND record.record_id = asked.record_id
ORDER BY record.page_id, record.position
""")


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """Where one record of an id stands. `landed` is (page, position)."""

    record_id: str
    landed: tuple[int, int]
    content_hash: bytes
    kind: str


def next_pages(
    tx: Transaction,
    *,
    connection_id: int,
    after_page_id: int,
    kinds: Sequence[str],
    max_records: int,
    max_bytes: int,
) -> tuple[int, ...]:
    """Return the numbers of the next pages in landing order: as many as fit, at least one where there is one."""
    rows = tx.execute(
        _PAGES_AFTER,
        {"connection_id": connection_id, "page_id": after_page_id, "kinds": list(kinds), "max_records": max_records,
         "max_bytes": max_bytes},
    )  # fmt: skip
    return tuple(row.page_id for row in rows)


def read_pages(tx: Transaction, page_ids: Iterable[int]) -> tuple[StoredPage, ...]:
    """Return pages by number, with the records that were news, in landing order."""
    asked = {"page_ids": list(page_ids)}
    records: dict[int, list[RecordRow]] = {}
    for row in tx.execute(_RECORDS, asked):
        records.setdefault(row.page_id, []).append(
            RecordRow(row.position, row.record_id, bytes(row.content_hash), row.channel_updated_at)
        )
    unpack = zstandard.ZstdDecompressor()
    return tuple(
        StoredPage(
            row.page_id,
            row.kind,
            unpack.decompress(row.body, max_output_size=row.body_bytes),
            tuple(records.get(row.page_id, ())),
        )
        for row in tx.execute(_BODIES, asked)
    )


def record_ids_of(tx: Transaction, page_ids: Iterable[int]) -> tuple[str, ...]:
    """Return the ids of the records that these pages brought, each once."""
    return tuple(dict.fromkeys(row.record_id for row in tx.execute(_RECORDS, {"page_ids": list(page_ids)})))


def record_places(tx: Transaction, connection_id: int, record_ids: Sequence[str]) -> tuple[RecordPlace, ...]:
    """Return where all records of these ids stand, in landing order."""
    rows = tx.execute(_PLACES, {"connection_id": connection_id, "record_ids": text_array(record_ids)})
    return tuple(
        RecordPlace(row.record_id, (row.page_id, row.position), bytes(row.content_hash), row.kind) for row in rows
    )
