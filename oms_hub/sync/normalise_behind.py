"""Normalising what landed while a large pull still goes on, in a process of its own: the next core's work.

What belongs here: starting that process and telling it what landed. Not here: what it does (`behind_process`). It works
under the pull's lease, from the store alone; whatever it leaves undone (a failure, a stop, a kill) the normalise step
after the pull does, because every batch and its cursor are one transaction.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from oms_hub.channel.contract import Channel, RecordMode
from oms_hub.channel.registry import ENTRY_POINT_GROUP
from oms_hub.store.connections import StoredConnection
from oms_hub.store.leases import Lease
from oms_hub.sync.hub import Hub

STARTS_AT_RECORDS = 2_000
"""A pull that brings less is over before another process would pay."""

_MODULE = "oms_hub.sync.behind_process"
_PATIENCE_SECONDS = 600.0
_LESS_MEMORY = {"MALLOC_ARENA_MAX": "1"}
"""One heap for its few threads, which allocate by turns: 12 MB less than glibc's one each (measured)."""
_log = logging.getLogger(__name__)


@contextmanager
def normalising_behind(hub: Hub, stored: StoredConnection, lease: Lease) -> Iterator[NormaliserBehind]:
    """Give a normaliser that works beside the block; what landed is done when the block has ended well.

    A block that fails, or is stopped, leaves the rest to the normalise step.
    """
    behind = NormaliserBehind(hub, stored, lease, starts_at=STARTS_AT_RECORDS if _can_follow(hub, stored) else None)
    try:
        yield behind
    except BaseException:
        behind.stop()
        raise
    behind.end()


def _can_follow(hub: Hub, stored: StoredConnection) -> bool:
    """Return whether another process can read the connection's records one by one, as this one would.

    Not where parts make an order (they are read when all of them are there), nor for a channel that was handed to
    this process alone.
    """
    channel = hub.channel(stored)
    return channel.capabilities.record_mode is RecordMode.SNAPSHOT and _is_installed(channel)


def _is_installed(channel: Channel) -> bool:
    return any(point.load() is channel for point in _points(channel.name))


@cache
def _points(name: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a channel's name; looking through all that is installed takes 10 ms."""
    return tuple(entry_points(group=ENTRY_POINT_GROUP, name=name))


class NormaliserBehind:
    """A process that starts once enough has landed, and then takes batches as they fill.

    Args:
        hub: the hub.
        stored: the connection.
        lease: held by the pull; the process writes under its fence.
        starts_at: records that must have landed before it starts; None never starts.
    """

    def __init__(self, hub: Hub, stored: StoredConnection, lease: Lease, *, starts_at: int | None) -> None:
        self._hub = hub
        self._stored = stored
        self._lease = lease
        self._starts_at = starts_at
        self._landed = 0
        self._process: subprocess.Popen[str] | None = None

    def landed(self, records: int) -> None:
        """Take note that so many new records are committed."""
        self._landed += records
        if self._process is not None:
            self._tell({"landed": self._landed})
        elif self._starts_at is not None and self._landed >= self._starts_at:
            self._start()

    def _start(self) -> None:
        """Start the process. What it must know goes through a pipe: a database URL is nobody else's business."""
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", _MODULE],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **_LESS_MEMORY},
        )
        work = {"database_url": self._hub.store.database_url, "connection": self._stored.name}
        self._tell({**work, "lease": asdict(self._lease), "landed": self._landed})

    def _tell(self, message: Mapping[str, object]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended; `end` says how
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()

    def stop(self) -> None:
        """End the process at once; a transaction that it was in is rolled back."""
        if self._process is not None:
            self._process.kill()
            self._close(self._process)

    def end(self) -> None:
        """Say that nothing more lands, and wait until what landed is done."""
        if self._process is None:
            return
        self._tell({"end": True})
        code = self._close(self._process)
        if code:
            _log.warning("%s: normalising beside the pull ended early (exit code %d)", self._stored.name, code)

    def _close(self, process: subprocess.Popen[str]) -> int:
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
        try:
            return process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
