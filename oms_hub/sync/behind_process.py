"""The process beside a large pull: `python -m oms_hub.sync.behind_process`, started by `normalise_behind` only.

What belongs here: reading what landed from standard input, a line of JSON each, and normalising it. The first line says
where and under which lease; `{"landed": n}` how many records landed so far; `{"end": true}` that nothing more comes.
Where the pipe closes without that word the pull is gone, and so is this process's task.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from oms_hub.channel.prefetch import fetch_ahead
from oms_hub.channel.registry import load_channels
from oms_hub.errors import HubError, Misconfigured
from oms_hub.store.engine import open_store_at
from oms_hub.store.leases import Lease
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_step import NormaliseStep
from oms_hub.sync.paused_collection import paused_collection, sweep

RECORDS_PER_BATCH = 500
"""Half of what a normalise step takes at once: two processes together need no more memory than one did."""


class _Landed:
    """How much landed so far, as the pipe tells it."""

    def __init__(self, records: int) -> None:
        self._news = threading.Condition()
        self.records = records
        self.is_ended = False
        self.abandoned = threading.Event()

    def follow(self, lines: Iterable[str]) -> None:
        """Take in messages until the last."""
        for line in lines:
            message = json.loads(line)
            with self._news:
                self.records = message.get("landed", self.records)
                self.is_ended = bool(message.get("end"))
                self._news.notify()
            if self.is_ended:
                return
        with self._news:
            self.abandoned.set()
            self._news.notify()

    def wait_beyond(self, seen: int) -> None:
        """Wait until a batch has landed beyond what was seen, or nothing more will."""
        with self._news:
            self._news.wait_for(
                lambda: self.is_ended or self.abandoned.is_set() or self.records - seen >= RECORDS_PER_BATCH
            )


class _NoSecrets:
    """Stands where the cipher of secrets would: normalising needs none."""

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        """Refuse."""
        raise Misconfigured("normalising beside a pull has no secrets")

    def decrypt(self, ciphertext: bytes, context: bytes) -> bytes:
        """Refuse."""
        raise Misconfigured("normalising beside a pull has no secrets")


def main(lines: Iterable[str]) -> int:
    """Normalise what lands until told that it was all; return the exit code."""
    messages = iter(lines)
    try:
        work: dict[str, Any] = json.loads(next(messages))
    except (StopIteration, ValueError):
        return 2
    landed = _Landed(work["landed"])
    threading.Thread(target=landed.follow, args=(messages,), name="landed", daemon=True).start()
    try:
        store = open_store_at(work["database_url"])
        try:
            hub = Hub(store, load_channels(), _NoSecrets())
            with paused_collection():
                _work_off(hub, work["connection"], Lease(**work["lease"]), landed)
        finally:
            store.close()
    except HubError:
        return 1
    return 1 if landed.abandoned.is_set() else 0


def _work_off(hub: Hub, name: str, lease: Lease, landed: _Landed) -> None:
    step = NormaliseStep(hub, hub.connection(name), lease, is_behind=True, max_records=RECORDS_PER_BATCH)
    seen = 0
    while not landed.abandoned.is_set():
        landed.wait_beyond(seen)
        is_last, seen = landed.is_ended, landed.records
        with closing(fetch_ahead(step.batches(), ahead=1)) as batches:
            for batch in batches:
                step.store(batch, cursor=batch.last_page_id)
                sweep()
                if landed.abandoned.is_set():
                    return
        if is_last:
            return


if __name__ == "__main__":
    sys.exit(main(sys.stdin))
