"""The PostgreSQL that starts by itself under the hub's home, for whoever names no server.

What belongs here: who uses it, and that it answers (its commands stand in `embedded_commands`). Every process that
uses it holds a shared file lock, which the system drops when the process dies however it dies: the last one to end
finds itself alone and stops the server. A server left behind by killed processes is taken over by the next one.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import fasteners  # type: ignore[import-untyped]

from oms_hub.errors import Misconfigured, StoreUnavailable
from oms_hub.store import embedded_commands as commands

_START_SECONDS = 60.0
_POLL_SECONDS = 0.1


def start_embedded(home: Path) -> str:
    """Start the embedded server of a home folder, or join the one that already runs.

    Returns:
        Its URL. The server lives at least as long as this process and stops with the last process that uses it.

    Raises:
        StoreUnavailable: it does not start; the message names its log file.
        Misconfigured: the folder cannot be written, or another version of PostgreSQL made it.
    """
    return _server(home.expanduser().resolve()).url()


def leave_embedded(home: Path) -> None:
    """Give up this process's use of a home's server before the process ends; the last one to leave stops it."""
    _server(home.expanduser().resolve()).leave()


@cache
def _server(home: Path) -> EmbeddedServer:
    return EmbeddedServer(home)


class EmbeddedServer:
    """One home folder's server, as this process sees it."""

    def __init__(self, home: Path, *, start_seconds: float = _START_SECONDS) -> None:
        self.data = home / "postgres"
        self.log = home / "postgres.log"
        self._start_seconds = start_seconds
        self._users = fasteners.InterProcessReaderWriterLock(str(home / "postgres.users.lock"))
        self._starting = fasteners.InterProcessLock(str(home / "postgres.start.lock"))
        self._threads = threading.Lock()
        self._owner_pid = 0

    def url(self) -> str:
        """Return the URL of the running server, started if need be."""
        try:
            self.data.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._join()
                commands.initialise(self.data)
                return self._running_url()
        except (OSError, subprocess.SubprocessError) as error:
            raise Misconfigured(
                f"The embedded database cannot be kept in {self.data.parent} ({type(error).__name__})",
                remedy="Point OMS_HUB_HOME at a folder that can be written, or set OMS_HUB_DATABASE_URL",
            ) from error

    def leave(self) -> None:
        """Give up this process's use of the server; the last one to leave stops it."""
        if self._owner_pid != os.getpid():
            return
        with self._alone():
            self._owner_pid = 0
            atexit.unregister(self.leave)
            self._users.release_read_lock()
            if not self._users.acquire_write_lock(blocking=False):
                return
            try:
                commands.stop(self.data)
            finally:
                self._users.release_write_lock()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other threads and processes from starting or stopping it meanwhile."""
        with self._threads:
            self._starting.acquire()
            try:
                yield
            finally:
                self._starting.release()

    def _join(self) -> None:
        if self._owner_pid != os.getpid():
            self._users.acquire_read_lock()
            self._owner_pid = os.getpid()
            atexit.register(self.leave)

    def _running_url(self) -> str:
        """Start until a connection really opens: a pid file alone proves nothing."""
        deadline = time.monotonic() + self._start_seconds
        while True:
            url = commands.answering_url(self.data)
            if url is not None:
                return url
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"The embedded database did not start within {self._start_seconds:.0f} s",
                    remedy=f"Read the end of {self.log}, or set OMS_HUB_DATABASE_URL to another server",
                )
            if not commands.is_alive(self.data):
                commands.start(self.data, self.log)
            time.sleep(_POLL_SECONDS)
