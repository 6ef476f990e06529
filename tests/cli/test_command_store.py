"""Every command on a store it cannot use: one line, exit 1, nothing touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

EVERY_STORE_COMMAND = [
    ("merchants", "add", "acme", "--currency", "MXN", "--time-zone", "UTC"),
    ("merchants", "list", "--json"),
    ("locations", "add", "east", "--merchant", "acme"),
    ("locations", "list", "--merchant", "acme"),
    ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", "path=till.csv"),
    ("connections", "test", "till"),
    ("connections", "list"),
    ("connections", "pause", "till"),
    ("connections", "resume", "till"),
    ("connections", "remove", "till", "--yes"),
    ("connections", "push", "till", "on"),
    ("listings", "list"),
    ("listings", "pull", "till"),
    ("listings", "link", "till", "1", "MUG-1"),
    ("listings", "ignore", "till", "1"),
    ("listings", "import", "till", "links.csv"),
    ("stock", "import", "count.csv", "--merchant", "acme"),
    ("stock", "adopt", "till"),
    ("stock", "show", "MUG-1", "--merchant", "acme"),
    ("report", "sales_daily"),
    ("report", "rebuild"),
    ("status", "--check"),
    ("exceptions", "list"),
    ("exceptions", "retry", "1"),
    ("exceptions", "dismiss", "1", "--reason", "seen"),
    ("sync",),
]
CLOSED_PORT = "postgresql://keeper:hush-hush@127.0.0.1:9/shop"


def _run_sql(program: Any, *statements: str) -> None:
    with psycopg.connect(program.database_url.replace("+psycopg", "")) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def newer(module_program: Any) -> Iterator[Any]:
    (revision,) = module_program.rows("SELECT version_num FROM hub.alembic_version")[0]
    _run_sql(module_program, "UPDATE hub.alembic_version SET version_num = '9999_from_the_future'")
    yield module_program
    _run_sql(module_program, f"UPDATE hub.alembic_version SET version_num = '{revision}'")


@pytest.fixture
def empty(module_program: Any) -> Iterator[Any]:
    _run_sql(module_program, "ALTER SCHEMA hub RENAME TO hub_away")
    yield module_program
    _run_sql(module_program, "DROP SCHEMA IF EXISTS hub CASCADE", "ALTER SCHEMA hub_away RENAME TO hub")


@pytest.mark.parametrize("words", EVERY_STORE_COMMAND, ids=" ".join)
def test_a_newer_store_is_left_alone(words: tuple[str, ...], newer: Any, tmp_path: Path) -> None:
    before = newer.row_counts()
    result = newer(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "was migrated by a newer oms-hub" in result.complaint
    assert result.complaint.endswith("Install the newer oms-hub release that this database belongs to")
    assert newer.row_counts() == before


def test_migrating_a_newer_store_is_refused(newer: Any) -> None:
    result = newer("migrate")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "was migrated by a newer oms-hub" in result.complaint
    assert newer.rows("SELECT version_num FROM hub.alembic_version") == [("9999_from_the_future",)]


@pytest.mark.parametrize("words", EVERY_STORE_COMMAND, ids=" ".join)
def test_an_empty_store_asks_for_migrate(words: tuple[str, ...], empty: Any) -> None:
    result = empty(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.complaint.endswith("is empty. Run: oms-hub migrate")
    assert empty.rows("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'hub'") == [(0,)]


def test_a_store_that_is_behind_asks_for_migrate(module_program: Any) -> None:
    revision = module_program.rows("SELECT version_num FROM hub.alembic_version")
    _run_sql(module_program, "DELETE FROM hub.alembic_version")
    try:
        result = module_program("status")
        assert result.exit_code == 1
        assert result.complaint.endswith("Run: oms-hub migrate")
    finally:
        _run_sql(module_program, f"INSERT INTO hub.alembic_version VALUES ('{revision[0][0]}')")
    assert module_program("status").exit_code == 0


@pytest.mark.parametrize("words", [("migrate",), *EVERY_STORE_COMMAND], ids=" ".join)
def test_a_database_that_is_down_is_named_without_its_password(words: tuple[str, ...], module_program: Any) -> None:
    result = module_program(*words, OMS_HUB_DATABASE_URL=CLOSED_PORT)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.complaint == (
        "The database 127.0.0.1:9/shop cannot be reached. "
        "Check that PostgreSQL is running and reachable, then run again"
    )
    assert "hush-hush" not in result.output


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://root:hush-hush@127.0.0.1/shop", "The database URL does not name PostgreSQL. "),
        ("postgresql://127.0.0.1", "The database URL names no database. "),
        ("hush-hush", "The database URL cannot be read. "),
        ("postgresql://127.0.0.1:port/hush-hush", "The database URL cannot be read. "),
    ],
)
def test_a_database_url_that_is_none_is_not_repeated(url: str, complaint: str, module_program: Any) -> None:
    result = module_program("status", OMS_HUB_DATABASE_URL=url)
    assert result.exit_code == 1
    assert result.complaint == complaint + "Set OMS_HUB_DATABASE_URL to postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    assert "hush-hush" not in result.output


def test_a_database_that_does_not_exist_is_named(module_program: Any) -> None:
    head, _, _ = module_program.database_url.partition("/hub_")
    url = module_program.database_url.replace(f"{head}/hub_", f"{head}/hub_nowhere_")
    result = module_program("status", OMS_HUB_DATABASE_URL=url)
    assert result.exit_code == 1
    assert result.complaint.startswith("There is no database ")
    assert result.complaint.endswith("Create it, or correct its name in OMS_HUB_DATABASE_URL")


def test_a_home_that_is_a_file_is_named(module_program: Any, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("not a folder", encoding="utf-8")
    result = module_program("status", OMS_HUB_HOME=str(tmp_path / "home"), OMS_HUB_DATABASE_URL="")
    assert result.exit_code == 1
    assert "Point OMS_HUB_HOME at a folder that can be written, or set OMS_HUB_DATABASE_URL" in result.complaint


@pytest.mark.parametrize("key", ["short", "!" * 44])
def test_a_master_key_that_is_none_is_not_repeated(key: str, module_program: Any) -> None:
    result = module_program("connections", "test", "till", OMS_HUB_MASTER_KEY=key)
    assert result.exit_code == 1
    assert result.complaint.startswith("OMS_HUB_MASTER_KEY holds no key of 32 bytes in base64 or hex. Set ")
    assert key not in result.output


def test_a_dot_env_that_is_no_text_is_named(module_program: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    (tmp_path / ".env").write_bytes(b"OMS_HUB_NOTIFY=\xff\xfe\x00")
    result = replace(module_program, folder=tmp_path)("status")
    assert result.exit_code == 1
    assert result.complaint == "The file .env is not UTF-8 text. Save .env as UTF-8"
