"""A huge file needs no more memory than a small one."""

import io
import tracemalloc
from datetime import UTC, datetime
from typing import ClassVar

import fsspec
import pytest

from connectors.pos_feed import CHANNEL
from oms_hub.channel.contract import ChannelSession, Connection, PullRequest

MEGABYTE = 1024 * 1024
HEADER = b"order_id,sold_at,sku,quantity,unit_price,description\n"
NOTE = b"x" * 3900


class EndlessFile(io.RawIOBase):
    """A file that is made while it is read: receipts of two rows of about four kilobytes."""

    def __init__(self, size):
        self._size = size
        self._at = 0
        self._number = 0
        self._ready = b""

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        assert (offset, whence) in {(0, io.SEEK_SET), (0, io.SEEK_CUR)} or offset <= self._at
        if whence == io.SEEK_SET and offset != self._at:
            assert offset == 0, "the feed reads forward"
            self._at, self._number, self._ready = 0, 0, b""
        return self._at

    def tell(self):
        return self._at

    def readinto(self, buffer):
        while len(self._ready) < len(buffer) and self._at + len(self._ready) < self._size:
            self._ready += HEADER if self._number == 0 else self._rows()
            self._number += 1
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        self._at += count
        return count

    def _rows(self):
        start = b"%d,2026-11-20 10:00:00," % self._number
        return start + b"MUG,1,10.00," + NOTE + b"\n" + start + b"CUP,1,5.00," + NOTE + b"\n"


class EndlessFiles(fsspec.AbstractFileSystem):
    protocol = "endless"
    cachable = False
    size: ClassVar[int] = 0

    def info(self, path, **kwargs):
        return {"name": path, "size": self.size, "type": "file"}

    def exists(self, path, **kwargs):
        return True

    def isdir(self, path):
        return False

    def _open(self, path, mode="rb", **kwargs):
        return EndlessFile(self.size)


class NoSecrets:
    def get(self, name):
        return None


@pytest.fixture
def peak_of(monkeypatch):
    fsspec.register_implementation("endless", EndlessFiles, clobber=True)

    def run(size):
        """Pull a file of that size; return rows, the largest page and the peak of memory, in bytes."""
        monkeypatch.setattr(EndlessFiles, "size", size)
        connection = Connection(1, "till", "pos_feed", "shop", "MXN", "UTC", {"path": "endless://till.csv"})
        session = ChannelSession(connection, NoSecrets(), lambda: datetime(2030, 1, 1, tzinfo=UTC), lambda _: None)
        rows, largest = 0, 0
        tracemalloc.start()
        try:
            for page in CHANNEL.order_source(session, PullRequest({})):
                rows += page.source_line_count
                largest = max(largest, len(page.body))
            return rows, largest, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return run


@pytest.mark.slow
@pytest.mark.no_cover
def test_two_hundred_megabytes_need_as_little_memory_as_two(peak_of):
    _, _, small = peak_of(2 * MEGABYTE)
    rows, largest, huge = peak_of(200 * MEGABYTE)
    assert rows == 53_254
    assert largest < MEGABYTE
    assert huge < small + 2 * MEGABYTE
    assert huge < 8 * MEGABYTE
