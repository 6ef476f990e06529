"""Raw pages of a feed: an envelope of verbatim rows, grouped by receipt.

    {"file": "till.csv", "file_id": "9f..", "format": "csv", "walk": [0, 1, 0], "header": [...],
     "receipts": [["1001", [[2, ["1001", "MUG", ...]], ...]], ...]}

What belongs here: building that envelope and splitting it into records. Not here: what a cell means (`parse`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from connectors.pos_feed.rows import RawRow, Row
from oms_hub.channel.contract import RawRecord
from oms_hub.errors import BadPayload

ORDERS = "orders"
TOMBSTONES = "order_tombstones"
_ROWS_WANTED = 500
_ROWS_AT_MOST = 2000
_BYTES_WANTED = 300_000
_BYTES_AT_MOST = 600_000


@dataclass(frozen=True, slots=True)
class PageHead:
    """What all rows of a page have in common.

    Attributes:
        file: the file's name, for messages.
        file_id: stays with the file while it grows or is renamed.
        format: csv or jsonl.
        walk: (number, from line, to line) of the reading that the rows come from: it replaces those lines of
            all other readings of this file; to line 0 means the end.
        header: column names as they stand; empty for jsonl.
    """

    file: str
    file_id: str
    format: str
    walk: tuple[int, int, int]
    header: Sequence[str]


class PageBuilder:
    """Gathers rows into pages of about 500, cut between receipts where these are not huge."""

    def __init__(self, head: PageHead) -> None:
        self._head = head
        self._receipts: list[tuple[str, list[RawRow]]] = []
        self._bytes = 0
        self.row_count = 0

    @property
    def order_ids(self) -> frozenset[str]:
        """Return the receipts that the page holds so far."""
        return frozenset(order_id for order_id, _ in self._receipts)

    def is_full_before(self, row: Row) -> bool:
        """Say whether the page should end before this row."""
        if self.row_count >= _ROWS_AT_MOST or self._bytes + len(row.raw) >= _BYTES_AT_MOST:
            return self.row_count > 0
        is_new = not self._receipts or self._receipts[-1][0] != row.order_id
        return is_new and (self.row_count >= _ROWS_WANTED or self._bytes >= _BYTES_WANTED)

    def add(self, row: Row) -> None:
        """Take one row; rows that say nothing leave no trace."""
        if row.order_id is None or row.content is None:
            return
        if not self._receipts or self._receipts[-1][0] != row.order_id:
            self._receipts.append((row.order_id, []))
        self._receipts[-1][1].append(row.content)
        self._bytes += len(row.raw)
        self.row_count += 1

    def body(self) -> bytes:
        """Return the page's envelope."""
        head = self._head
        return orjson.dumps(
            {
                "file": head.file,
                "file_id": head.file_id,
                "format": head.format,
                "walk": head.walk,
                "header": list(head.header),
                "receipts": self._receipts,
            }
        )


def empty_body() -> bytes:
    """Return a page without receipts: it only moves the cursor or carries notices."""
    return orjson.dumps({"receipts": []})


def tombstones_body(order_ids: Sequence[str]) -> bytes:
    """Return the page that says that receipts were deleted from their file."""
    return orjson.dumps([{"id": order_id} for order_id in order_ids])


def split_page(kind: str, body: bytes) -> tuple[RawRecord, ...]:
    """Return the records of a page: one per receipt, each with all that parsing it needs.

    Raises:
        BadPayload: the page is no envelope of this connector.
    """
    try:
        page: Any = orjson.loads(body)
        if kind == TOMBSTONES:
            return tuple(RawRecord(str(record["id"]), record) for record in page)
        receipts = page.pop("receipts")
        return tuple(RawRecord(order_id, {**page, "rows": rows}) for order_id, rows in receipts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadPayload(f"a page of {kind} is not one of the POS feed ({type(error).__name__})") from error
