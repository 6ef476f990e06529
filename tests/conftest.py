"""Fixtures that every part of the tests shares: real databases, the program, published contracts, a still clock."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT.parent / "shared" / "contracts"
END_TO_END = ROOT / "tests" / "e2e"


EMBEDDED_HOME = "OMS_HUB_TEST_EMBEDDED_HOME"


def pytest_configure() -> None:
    """Name one home for the embedded server of this run; worker processes inherit it.

    Not below pytest's own folder: each new run makes that private again, which locks the server's user out.
    """
    if "OMS_HUB_TEST_DATABASE_URL" not in os.environ and EMBEDDED_HOME not in os.environ:
        os.environ[EMBEDDED_HOME] = tempfile.mkdtemp(prefix="oms-hub-tests-")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Do not trace whole syncs of the program, nor a check of the contract suite for each further kind of fault.

    Tracing doubles their cost. Coverage can only look smaller by that, never larger.
    """
    seen: set[object] = set()
    for item in items:
        if item.path.is_relative_to(END_TO_END):
            item.add_marker(pytest.mark.no_cover)
        if isinstance(item, pytest.Function) and item.function.__module__.startswith("oms_hub.testing."):
            check = (item.cls, item.function.__name__)
            if check in seen:
                item.add_marker(pytest.mark.no_cover)
            seen.add(check)


def pytest_unconfigure() -> None:
    """Remove the embedded server's home, once the workers are gone."""
    home = os.environ.get(EMBEDDED_HOME)
    if home and "PYTEST_XDIST_WORKER" not in os.environ:
        from oms_hub.store.embedded import leave_embedded

        leave_embedded(Path(home))
        shutil.rmtree(home, ignore_errors=True)
        del os.environ[EMBEDDED_HOME]


@pytest.fixture(scope="session")
def server_url() -> str:
    """Give the URL of a real PostgreSQL server: the one named by the environment, else an embedded one."""
    given = os.environ.get("OMS_HUB_TEST_DATABASE_URL")
    if not given:
        from oms_hub.store.embedded import start_embedded

        given = start_embedded(Path(os.environ[EMBEDDED_HOME]))
        _forget_durability(given.replace("postgresql+psycopg://", "postgresql://"))
    return given.replace("postgresql+psycopg://", "postgresql://")


def _forget_durability(url: str) -> None:
    """Tell the run's own server not to wait for the disk: its databases live for one test."""
    with psycopg.connect(url, autocommit=True) as admin:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        admin.execute("SELECT pg_reload_conf()")


def _with_database(url: str, name: str) -> str:
    base, _, rest = url.partition("?")
    head, _, _ = base.rpartition("/")
    return f"{head}/{name}" + (f"?{rest}" if rest else "")


@pytest.fixture(scope="session")
def template_database(server_url: str) -> Iterator[str]:
    """Make one migrated, empty database that the others are copied from."""
    from oms_hub.store.migrate import upgrade

    name = f"hub_template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        upgrade(_with_database(server_url, name).replace("postgresql://", "postgresql+psycopg://"))
        yield name
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


_SHAPE = """
    SELECT (SELECT count(*)::text || ' ' || sum(oid::bigint) FROM pg_class WHERE relnamespace = ANY(spaces)),
           (SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = ANY(spaces) AND NOT a.attisdropped),
           (SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            WHERE c.relnamespace = ANY(spaces) AND t.tgenabled = 'O'),
           (SELECT count(*) FROM pg_constraint WHERE connamespace = ANY(spaces)),
           (SELECT string_agg(version_num, ',') FROM hub.alembic_version)
    FROM (SELECT array_agg(oid) AS spaces FROM pg_namespace WHERE nspname IN ('hub', 'reports')) AS found
"""


class DatabasePool:
    """Migrated, empty databases of one worker. Making one takes most of a second, emptying one some milliseconds."""

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url = server_url
        self._template = template
        self._free: list[str] = []
        self._all: set[str] = set()
        self._shape: object = None

    @contextlib.contextmanager
    def lent(self) -> Iterator[str]:
        """Give the URL of an empty database for the time of the block."""
        name = self.take()
        try:
            yield _with_database(self._server_url, name).replace("postgresql://", "postgresql+psycopg://")
        finally:
            self.give_back(name)

    def close(self) -> None:
        """Drop everything."""
        for name in list(self._all):
            self._drop(name)

    def take(self) -> str:
        """Return the name of an empty database."""
        if self._free:
            return self._free.pop()
        name = f"hub_test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._server_url, autocommit=True) as admin:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            admin.execute(statement.format(sql.Identifier(name), sql.Identifier(self._template)))
        self._all.add(name)
        return name

    def give_back(self, name: str) -> None:
        """Empty a database for the next test, or drop it where a test changed more than rows."""
        if self._is_emptied(name):
            self._free.append(name)
        else:
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._all.discard(name)
        with psycopg.connect(self._server_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _is_emptied(self, name: str) -> bool:
        try:
            with psycopg.connect(_with_database(self._server_url, name), autocommit=True) as own:
                _end_other_sessions(own)
                shape = own.execute(_SHAPE).fetchone()
                self._shape = self._shape or self._template_shape()
                if shape != self._shape:
                    return False
                _take_rows_out(own)
        except psycopg.Error:
            return False
        return True

    def _template_shape(self) -> object:
        name = f"hub_shape_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._server_url, autocommit=True) as admin:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            admin.execute(statement.format(sql.Identifier(name), sql.Identifier(self._template)))
        self._all.add(name)
        with psycopg.connect(_with_database(self._server_url, name), autocommit=True) as own:
            return own.execute(_SHAPE).fetchone()


def _end_other_sessions(own: psycopg.Connection[tuple[object, ...]]) -> None:
    own.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


_USED_TABLES = """
    SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname IN ('hub', 'reports') AND relkind = 'r' AND relname <> 'alembic_version' AND pg_relation_size(c.oid) > 0
"""
_USED_SEQUENCES = """
    SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences
    WHERE schemaname IN ('hub', 'reports') AND last_value IS NOT NULL
"""


def _take_rows_out(own: psycopg.Connection[tuple[object, ...]]) -> None:
    """Leave a migrated database without rows, numbers starting at 1.

    By deleting: truncating would make the files of every table anew that points to one with rows, ten times slower.
    The vacuum lets the next test start with files as small as a new database's.
    """
    own.execute("SET session_replication_role = replica")
    tables = [name for (name,) in own.execute(_USED_TABLES).fetchall()]
    if tables:
        own.execute("; ".join(f"DELETE FROM {name}" for name in tables))
    sequences = [name for (name,) in own.execute(_USED_SEQUENCES).fetchall()]
    if sequences:
        own.execute("; ".join(f"ALTER SEQUENCE {name} RESTART" for name in sequences))
    if tables:
        own.execute(f"VACUUM {', '.join(str(name) for name in tables)}")


@pytest.fixture(scope="session")
def database_pool(server_url: str, template_database: str) -> Iterator[DatabasePool]:
    """Keep this worker's databases."""
    pool = DatabasePool(server_url, template_database)
    yield pool
    pool.close()


@pytest.fixture
def database_url(database_pool: DatabasePool) -> Iterator[str]:
    """Give a migrated, empty database of one's own; emptied after the test."""
    with database_pool.lent() as url:
        yield url


@pytest.fixture(scope="session")
def contracts_dir() -> Path:
    """Give the folder of published channel contracts, or skip where it is not there."""
    if not CONTRACTS.is_dir():
        pytest.skip("the published channel contracts are not at ../shared/contracts")
    return CONTRACTS


@pytest.fixture(scope="session")
def untraced() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Give a block at which coverage does not look: for slow work of a library, which tracing makes twice as slow."""

    @contextlib.contextmanager
    def block() -> Iterator[None]:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            yield
        finally:
            sys.settrace(tracer)

    return block


class FrozenClock:
    """A clock that only moves when told to."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def frozen_clock() -> FrozenClock:
    """Give a clock at 2026-11-22 12:00 UTC."""
    return FrozenClock(datetime(2026, 11, 22, 12, 0, tzinfo=UTC))


@pytest.fixture
def no_sleep() -> Callable[[float], None]:
    """Give a sleep that returns at once."""
    return lambda _seconds: None


@dataclass(frozen=True)
class Outcome:
    """What one call of the program left behind."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def complaint(self) -> str:
        """Give the one line on standard error; none or several are a failure."""
        lines = self.stderr.splitlines()
        assert len(lines) == 1, self.output
        assert lines[0].startswith("oms-hub: "), self.output
        return lines[0].removeprefix("oms-hub: ")

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Program:
    """`oms-hub` as a person or a script uses it: a home, a database, a folder to stand in."""

    home: Path
    folder: Path
    database_url: str

    def __call__(self, *words: object, stdin: str = "", **environment: str) -> Outcome:
        """Run the program in this process; its waits are cut short."""
        from oms_hub.cli import main
        from oms_hub.sync.hub import open_hub

        stdout, stderr, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patched:
            for name, value in {**self._settings(), **environment}.items():
                patched.setenv(name, value)
            patched.chdir(self.folder)
            patched.setattr("sys.argv", ["oms-hub", *map(str, words)])
            patched.setattr("sys.stdin", io.StringIO(stdin))
            patched.setitem(open_hub.__kwdefaults__, "sleep", lambda seconds: time.sleep(min(seconds, 0.02)))
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                try:
                    main()
                except SystemExit as end:
                    code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Outcome(code, stdout.getvalue(), stderr.getvalue())

    def start(self, *words: object, **environment: str) -> subprocess.Popen[str]:
        """Start the program as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "oms_hub.cli", *map(str, words)],
            env={**os.environ, **self._settings(), **environment},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _settings(self) -> dict[str, str]:
        return {"OMS_HUB_HOME": str(self.home), "OMS_HUB_DATABASE_URL": self.database_url, "DAGSTER_HOME": ""}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url.replace("+psycopg", "")) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]

    def row_counts(self, *ignored: str) -> dict[str, int]:
        """Give how many rows each table of the hub and its reports holds."""
        with psycopg.connect(self.database_url.replace("+psycopg", "")) as connection:
            names = [name for name in _tables(connection) if name.split(".")[1] not in ignored]
            counted = sql.SQL(" UNION ALL ").join(
                sql.SQL("SELECT {}, count(*) FROM {}").format(name, sql.Identifier(*name.split("."))) for name in names
            )
            return dict(connection.execute(counted).fetchall())

    def empty(self) -> None:
        """Take every row out, as in a database that was just migrated."""
        with psycopg.connect(self.database_url.replace("+psycopg", ""), autocommit=True) as connection:
            _take_rows_out(connection)


def _tables(connection: psycopg.Connection[Any]) -> list[str]:
    found = connection.execute(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables"
        " WHERE table_schema IN ('hub', 'reports') AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version'"
        " ORDER BY 1"
    )
    return [name for (name,) in found]


@pytest.fixture(scope="module")
def module_program(database_pool: DatabasePool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Give a program with a migrated database and a home that the tests of a module share."""
    folder = tmp_path_factory.mktemp("program")
    with database_pool.lent() as url:
        yield Program(folder / "home", folder, url)


@pytest.fixture
def program(module_program: Program, tmp_path: Path) -> Program:
    """Give the program with an empty database, standing in a folder of the test's own."""
    module_program.empty()
    return replace(module_program, folder=tmp_path)


@pytest.fixture
def acme(program: Program) -> Program:
    """Give the program with the merchant acme."""
    added = program("merchants", "add", "acme", "--currency", "MXN", "--time-zone", "America/Mexico_City")
    assert added.exit_code == 0, added.output
    return program
