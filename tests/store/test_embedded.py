"""The embedded server: shared by processes, gone with the last, back after any crash."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from oms_hub.errors import Misconfigured, StoreUnavailable
from oms_hub.store import embedded_commands as commands
from oms_hub.store.embedded import EmbeddedServer

pytestmark = pytest.mark.slow

USE = """
import sys
from pathlib import Path
import psycopg
from oms_hub.store.embedded import start_embedded
url = start_embedded(Path(sys.argv[1]))
with psycopg.connect(url) as session:
    print(url, session.execute("SHOW data_directory").fetchone()[0], flush=True)
sys.stdin.read()
"""


@contextmanager
def user(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a process that uses the embedded server until the block ends; give it and the server's URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", USE, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "it did not start"
        yield process, line.split()[0]
    finally:
        process.communicate(timeout=60)


def postmaster_pid(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def is_running(home: Path) -> bool:
    return commands.is_alive(home / "postgres")


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a folder that the server's own user can reach, whatever pytest does to its folders."""
    folder = Path(tempfile.mkdtemp(prefix="hub home "))
    folder.chmod(0o755)
    yield folder
    commands.stop(folder / "postgres")
    shutil.rmtree(folder)


def test_processes_share_one_server_and_the_last_one_stops_it(home: Path) -> None:
    with user(home) as (_, first_url):
        pid = postmaster_pid(home)
        with user(home) as (_, second_url):
            assert second_url == first_url
        assert postmaster_pid(home) == pid
        assert is_running(home)
    assert not is_running(home)
    assert not (home / "postgres" / "postmaster.pid").exists()


def test_killed_users_leave_a_server_that_the_next_one_takes_over_and_stops(home: Path) -> None:
    with user(home) as (process, _):
        pid = postmaster_pid(home)
        os.kill(process.pid, signal.SIGKILL)
    assert is_running(home)
    with user(home):
        assert postmaster_pid(home) == pid
    assert not is_running(home)


def test_a_killed_server_is_started_again_while_a_user_lives(home: Path) -> None:
    with user(home) as (_, url):
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("CREATE TABLE kept (n integer)")
            session.execute("INSERT INTO kept VALUES (7)")
        pid = postmaster_pid(home)
        os.kill(pid, signal.SIGKILL)
        with user(home) as (_, again), psycopg.connect(again) as session:
            assert postmaster_pid(home) != pid
            assert session.execute("SELECT n FROM kept").fetchone() == (7,)
        assert is_running(home)
    assert not is_running(home)


@pytest.mark.parametrize("left_behind", ["another program's pid", "half a pid file", "half a new data folder"])
def test_what_a_crash_leaves_behind_blocks_nothing(home: Path, left_behind: str) -> None:
    with user(home):
        pass
    data = home / "postgres"
    if left_behind == "another program's pid":
        (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1\n5432\n{data}\n\n  1 1\nready\n")
    elif left_behind == "half a pid file":
        (data / "postmaster.pid").write_text("999")
    else:
        commands.stop(data)
        shutil.rmtree(data)
        (home / "postgres.new").mkdir()
        (home / "postgres.new" / "PG_VERSION").write_text("18\n")
    with user(home) as (_, url), psycopg.connect(url) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_deep_home_gets_a_short_socket_folder_of_its_own(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    server = EmbeddedServer(deep)
    url = server.url()
    assert len(url) < 120
    with psycopg.connect(url) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    server.leave()
    assert not is_running(deep)


def test_a_socket_folder_of_somebody_else_is_not_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(home))
    deep = home / ("d" * 60) / ("e" * 60)
    name = hashlib.sha256(str(deep / "postgres").encode()).hexdigest()[:16]
    (home / "elsewhere").mkdir()
    (home / f"oms-hub-{name}").symlink_to(home / "elsewhere")
    server = EmbeddedServer(deep)
    with pytest.raises(Misconfigured, match="belongs to somebody else"):
        server.url()
    server.leave()


def test_a_pid_that_is_no_number_or_belongs_to_nobody_is_no_server(home: Path) -> None:
    data = home / "postgres"
    data.mkdir()
    for content in ("", "x\n", "999999999\n"):
        (data / "postmaster.pid").write_text(content)
        assert commands.is_alive(data) is False
        assert commands.answering_url(data) is None


def test_it_serves_the_same_process_again_and_is_left_by_it(home: Path) -> None:
    server = EmbeddedServer(home)
    url = server.url()
    started = time.monotonic()
    assert server.url() == url
    assert time.monotonic() - started < 1
    server.leave()
    assert not is_running(home)
    server.leave()
    assert server.url() == url
    server.leave()


def test_data_of_another_version_is_left_alone(home: Path) -> None:
    data = home / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("16\n")
    server = EmbeddedServer(home)
    with pytest.raises(Misconfigured, match="made by PostgreSQL 16, this program brings 18"):
        server.url()
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]
    server.leave()


def test_a_folder_of_somebody_else_is_left_alone(home: Path) -> None:
    data = home / "postgres"
    data.mkdir()
    (data / "notes.txt").write_text("mine")
    server = EmbeddedServer(home)
    with pytest.raises(Misconfigured, match="is there and is no database"):
        server.url()
    assert (data / "notes.txt").read_text() == "mine"
    server.leave()


def test_a_server_that_does_not_come_up_names_its_log(home: Path) -> None:
    with user(home):
        pass
    with (home / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    server = EmbeddedServer(home, start_seconds=0.5)
    with pytest.raises(StoreUnavailable, match="did not start within") as refused:
        server.url()
    assert str(server.log) in refused.value.remedy
    server.leave()


def test_a_home_that_cannot_be_written_is_said_so(home: Path) -> None:
    blocked = home / "file"
    blocked.write_text("not a folder")
    with pytest.raises(Misconfigured, match="cannot be kept in"):
        EmbeddedServer(blocked / "below").url()
