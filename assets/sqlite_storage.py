"""Dagster's SQLite files, with connections that stay open, and with new runs' files copied instead of built.

Dagster opens and closes the file for each event, and builds the tables of each run's file by its migrations: half of
what a sync costs. What belongs here: how the files are reached. Not here: what is in them, which is Dagster's own.
"""

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import __version__ as dagster_version
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

OPEN_FILES = 8
"""How many files keep their connections: one file belongs to each run, and one is the index of all."""


class OpenFiles:
    """SQLAlchemy engines by file; those used last stay open. Safe for threads."""

    def __init__(self) -> None:
        self._engines: dict[str, Any] = {}
        self._lock = threading.Lock()

    def engine(self, address: str) -> Any:
        """Return the engine of an address like `sqlite:///folder/file.db`, opened where it is not."""
        with self._lock:
            engine = self._engines.pop(address, None) or _opened(address)
            self._engines[address] = engine
            oldest = [self._engines.pop(key) for key in list(self._engines)[:-OPEN_FILES]]
        for old in oldest:
            old.dispose()
        return engine

    @contextmanager
    def transaction(self, address: str) -> Iterator[Any]:
        """Give a connection within a transaction; after an error the file is opened anew."""
        try:
            with self.engine(address).connect() as connection, connection.begin():
                yield connection
        except BaseException:
            self.close(address)
            raise

    def close(self, address: str) -> None:
        """Close a file, if it is open."""
        with self._lock:
            engine = self._engines.pop(address, None)
        if engine is not None:
            engine.dispose()

    def close_all(self) -> None:
        """Close every file."""
        for address in list(self._engines):
            self.close(address)


def _opened(address: str) -> Any:
    path = address.removeprefix("sqlite:///")
    return create_engine(address, creator=lambda: _connected(path))


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=SQLITE_BUSY_TIMEOUT_SECONDS, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")
    # Each transaction reaches the file itself at once, as it did by closing: Dagster's UI watches that file.
    connection.execute("PRAGMA wal_autocheckpoint = 1")
    return connection


class HubEventLog(SqliteEventLogStorage):
    """Dagster's events, one file a run and an index."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._files = OpenFiles()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Any]:
        address = self.conn_string_for_shard(shard)
        with self._db_lock:
            if shard not in self._initialized_dbs:
                self._initdb(self._files.engine(address))
                self._initialized_dbs.add(shard)
            with self._files.transaction(address) as connection:
                yield connection

    def _initdb(self, engine: Any, for_index_shard: bool = False) -> None:
        path = Path(engine.url.database)
        if for_index_shard or path.exists() or not _is_linked(self._empty_file(), path):
            super()._initdb(engine, for_index_shard)

    def _empty_file(self) -> Path:
        """Return a run's file without events, of this version of Dagster; made once for all processes."""
        folder = Path(self._base_dir).parent
        empty = folder / f"empty-run-{dagster_version}.db"
        if not empty.exists():
            with tempfile.TemporaryDirectory(dir=folder) as made_in:
                made = Path(made_in, empty.name)
                engine = create_engine(f"sqlite:///{made}")
                super()._initdb(engine)
                engine.dispose()
                os.replace(made, empty)
        return empty

    def forget_run(self, run_id: str) -> None:
        """Close a run's file, so that it can be deleted."""
        self._files.close(self.conn_string_for_shard(run_id))

    def dispose(self) -> None:
        """Stop watching and close every file."""
        super().dispose()
        self._files.close_all()


def _is_linked(empty: Path, path: Path) -> bool:
    """Put a copy of a file in its place, unless another process was first; return whether it was done."""
    with tempfile.TemporaryDirectory(dir=empty.parent) as made_in:
        copy = Path(made_in, path.name)
        shutil.copyfile(empty, copy)
        try:
            os.link(copy, path)
        except OSError:
            return False
    return True


class HubRuns(SqliteRunStorage):
    """Dagster's runs, in one file."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._files = OpenFiles()
        super().__init__(conn_string, inst_data)

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """Give a connection within a transaction."""
        with self._files.transaction(self._conn_string) as connection:
            yield connection

    def dispose(self) -> None:
        """Close the file."""
        super().dispose()
        self._files.close_all()


class HubSqliteStorage(DagsterSqliteStorage):
    """Runs, events and schedules in SQLite files below a folder."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]  # its own opens the same files
        self.base_dir = base_dir
        self._inst_data = inst_data
        self._run_storage = HubRuns.from_local(os.path.join(base_dir, "history", ""))
        self._event_log_storage = HubEventLog(os.path.join(base_dir, "history", "runs", ""))
        self._schedule_storage = SqliteScheduleStorage.from_local(os.path.join(base_dir, "schedules"))
