"""Reading a flat file: unpacking, decoding, and putting the rows of one order together. Memory stays flat.

What belongs here: from a file on disk to rows by order. Not here: fetching it (`reports`), what a row means
(`parse_report`).

The files are tab-separated, without quotes, one line a row. They are UTF-8, or in the encoding that the answer's
headers name, or in that of the marketplace (Shift_JIS in Japan, else cp1252). Rows of one order need not stand
together, so they are sorted on disk.
"""

from __future__ import annotations

import codecs
import gzip
import heapq
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from email.message import Message
from itertools import groupby
from typing import IO, Any, BinaryIO

import orjson

from connectors.amazon.parse_report import COLUMNS
from connectors.amazon.reports import Fetched
from oms_hub.errors import BadPayload, RetryLater

ORDER_ID = "amazon-order-id"
_CHUNK_BYTES = 64 * 1024
_SORT_ROWS = 50_000


def read_orders(
    source: BinaryIO, fetched: Fetched, *, fallback: str, chunk: int = _SORT_ROWS
) -> Iterator[dict[str, Any]]:
    """Yield `{"id": <order>, "rows": [{column: text}, ..]}` in ascending order of ids.

    Args:
        source: the file, seekable.
        fetched: how it came.
        fallback: its encoding where it is not UTF-8 and nobody tells.
        chunk: rows sorted in memory at once.

    Raises:
        BadPayload: no file of orders.
        RetryLater: the file is cut short or damaged.
    """
    try:
        encoding = choose_encoding(source, fetched, fallback)
        with _RowSorter(chunk) as sorter:
            for order_id, row in _rows(_opened(source, fetched), encoding):
                sorter.add(order_id, row)
            for order_id, found in groupby(sorter.rows(), key=lambda pair: pair[0]):
                yield {"id": order_id, "rows": [orjson.loads(row) for _, row in found]}
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RetryLater("the report's file is damaged") from error


def _opened(source: BinaryIO, fetched: Fetched) -> BinaryIO | gzip.GzipFile:
    source.seek(0)
    return gzip.GzipFile(fileobj=source) if fetched.is_gzip else source


def choose_encoding(source: BinaryIO, fetched: Fetched, fallback: str) -> str:
    """Return the first encoding that fits the whole file: the one that the headers name, UTF-8, the fallback."""
    header = Message()
    header["content-type"] = fetched.content_type
    named = header.get_content_charset("")
    for candidate in (named, "utf-8"):
        try:
            decoder = codecs.getincrementaldecoder(candidate)() if candidate else None
        except LookupError:
            continue
        if decoder is not None and _fits(decoder, _opened(source, fetched)):
            return "utf-8-sig" if codecs.lookup(candidate).name == "utf-8" else candidate
    return fallback


def _fits(decoder: codecs.IncrementalDecoder, stream: BinaryIO | gzip.GzipFile) -> bool:
    try:
        while chunk := stream.read(_CHUNK_BYTES):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _rows(stream: BinaryIO | gzip.GzipFile, encoding: str) -> Iterator[tuple[str, bytes]]:
    header: Sequence[str] = ()
    for number, line in enumerate(stream):
        cells = line.rstrip(b"\r\n").decode(encoding if number == 0 else encoding.removesuffix("-sig"), "replace")
        fields = cells.split("\t")
        if not header:
            header = [name.strip().lower() for name in fields]
            if ORDER_ID not in header:
                raise BadPayload("the report's file has no column of order ids", where=ORDER_ID)
            continue
        row = dict(zip(header, fields, strict=False))
        order_id = row.get(ORDER_ID, "").strip()
        if order_id:
            yield order_id, orjson.dumps({name: row[name] for name in COLUMNS if row.get(name)})


class _RowSorter:
    """Sorts rows by order, keeping the order in which those of one order came, on disk."""

    def __init__(self, chunk: int) -> None:
        self._chunk = chunk
        self._held: list[tuple[str, int, bytes]] = []
        self._count = 0
        self._runs: list[IO[bytes]] = []
        self._files = ExitStack()

    def __enter__(self) -> _RowSorter:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, order_id: str, row: bytes) -> None:
        """Take one row."""
        self._held.append((order_id, self._count, row))
        self._count += 1
        if len(self._held) >= self._chunk:
            self._spill()

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Yield (order id, row) in order."""
        self._spill()
        for order_id, _, row in heapq.merge(*(self._read(run) for run in self._runs)):
            yield order_id, row

    def _spill(self) -> None:
        if not self._held:
            return
        self._held.sort()
        run = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
        run.writelines(orjson.dumps([order_id, place]) + b"\t" + row + b"\n" for order_id, place, row in self._held)
        run.seek(0)
        self._runs.append(run)
        self._held = []

    @staticmethod
    def _read(run: IO[bytes]) -> Iterator[tuple[str, int, bytes]]:
        for line in run:
            key, _, row = line.rstrip(b"\n").partition(b"\t")
            order_id, place = orjson.loads(key)
            yield order_id, place, row
