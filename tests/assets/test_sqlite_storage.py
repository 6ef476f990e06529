"""Dagster's SQLite files: opened once, copied for new runs, readable for others at once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from assets import sqlite_storage
from assets.purge import delete_run
from assets.sqlite_storage import OPEN_FILES, HubEventLog, HubSqliteStorage, OpenFiles


@dg.op
def say_hello() -> None:
    return None


@dg.job
def hello() -> None:
    say_hello()


@pytest.fixture
def log(tmp_path):
    storage = HubEventLog(str(tmp_path / "history" / "runs"))
    yield storage
    storage.dispose()


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(
        temp_dir=str(tmp_path),
        overrides={
            "storage": {
                "custom": {
                    "module": "assets.instance_storage",
                    "class": "HubInstanceStorage",
                    "config": {"base_dir": str(tmp_path)},
                }
            }
        },
    ) as opened:
        yield opened


def count_of_events(path: Path) -> int:
    with closing(sqlite3.connect(path)) as other:
        return other.execute("SELECT count(*) FROM event_logs").fetchone()[0]


def test_runs_and_their_events_are_kept_in_dagsters_own_files(instance, tmp_path):
    assert isinstance(instance.event_log_storage, HubEventLog)
    run_id = hello.execute_in_process(instance=instance).run_id
    events = [entry.dagster_event.event_type_value for entry in instance.all_logs(run_id) if entry.is_dagster_event]
    assert (events[-1], events.count("STEP_SUCCESS")) == ("PIPELINE_SUCCESS", 1)
    assert count_of_events(tmp_path / "history" / "runs" / f"{run_id}.db") == len(instance.all_logs(run_id))
    with dg.DagsterInstance.from_ref(instance.get_ref()) as other:
        assert [run.run_id for run in other.get_runs()] == [run_id]
        assert len(other.all_logs(run_id)) == len(instance.all_logs(run_id))


def test_each_event_reaches_the_file_that_dagsters_ui_watches_at_once(log, tmp_path):
    with log.run_connection("some-run"):
        pass
    file = tmp_path / "history" / "runs" / "some-run.db"
    before = file.stat().st_mtime_ns, file.read_bytes()
    with log.run_connection("some-run") as connection:
        connection.exec_driver_sql(
            "INSERT INTO event_logs (run_id, event, timestamp) VALUES ('some-run', '{}', '2026')"
        )
    assert file.stat().st_mtime_ns > before[0]
    assert file.read_bytes() != before[1]


def test_a_new_runs_file_is_a_copy_of_one_that_was_built_once(log, tmp_path, monkeypatch):
    built: list[str] = []
    original = sqlite_storage.SqliteEventLogStorage._initdb

    def build(self, engine, for_index_shard=False):
        built.append(Path(engine.url.database).name)
        original(self, engine, for_index_shard)

    monkeypatch.setattr(sqlite_storage.SqliteEventLogStorage, "_initdb", build)
    for run_id in ("first", "second"):
        with log.run_connection(run_id) as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM event_logs").scalar() == 0
    empty = f"empty-run-{dg.__version__}.db"
    assert built == [empty]
    assert sorted(path.name for path in (tmp_path / "history").iterdir()) == [empty, "runs"]
    assert sorted(log.get_all_run_ids()) == ["first", "second"]


def test_a_file_that_another_process_made_meanwhile_is_not_replaced(log, tmp_path, monkeypatch):
    path = tmp_path / "history" / "runs" / "some-run.db"
    link = sqlite_storage.os.link

    def comes_second(copy, target):
        link(copy, target)
        with closing(sqlite3.connect(target)) as other, other:
            other.execute("INSERT INTO event_logs (run_id, event, timestamp) VALUES ('some-run', '{}', '2026')")
        link(copy, target)

    monkeypatch.setattr(sqlite_storage.os, "link", comes_second)
    with log.run_connection("some-run") as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM event_logs").scalar() == 1
    assert count_of_events(path) == 1


def test_a_disk_without_links_gets_its_files_built(log, monkeypatch):
    def refuse(copy, target):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(sqlite_storage.os, "link", refuse)
    with log.run_connection("some-run") as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM event_logs").scalar() == 0


def test_only_the_files_used_last_stay_open(tmp_path):
    files = OpenFiles()
    addresses = [f"sqlite:///{tmp_path}/{number}.db" for number in range(OPEN_FILES + 1)]
    engines = [files.engine(address) for address in addresses]
    assert files.engine(addresses[1]) is engines[1]
    assert files.engine(addresses[0]) is not engines[0]
    assert files.engine(addresses[2]) is not engines[2]
    assert files.engine(addresses[1]) is engines[1]
    files.close_all()
    assert files.engine(addresses[1]) is not engines[1]
    files.close_all()


def fail_within(files: OpenFiles, address: str) -> None:
    with files.transaction(address) as connection:
        connection.exec_driver_sql("INSERT INTO words VALUES ('lost')")
        raise ZeroDivisionError


def test_after_an_error_the_file_is_opened_anew_and_nothing_of_the_transaction_stands(tmp_path):
    files, address = OpenFiles(), f"sqlite:///{tmp_path}/some.db"
    with files.transaction(address) as connection:
        connection.exec_driver_sql("CREATE TABLE words (word text)")
    engine = files.engine(address)
    with pytest.raises(ZeroDivisionError):
        fail_within(files, address)
    assert files.engine(address) is not engine
    with files.transaction(address) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM words").scalar() == 0
    files.close_all()


def test_a_deleted_run_leaves_no_file_and_no_open_one(instance, tmp_path):
    run_id, kept_id = (hello.execute_in_process(instance=instance).run_id for _ in range(2))
    delete_run(instance, run_id)
    assert [path for path in tmp_path.rglob("*") if run_id in path.name] == []
    assert [run.run_id for run in instance.get_runs()] == [kept_id]
    assert instance.all_logs(kept_id) != []


def test_a_closed_storage_leaves_only_files_that_are_whole(tmp_path):
    storage = HubSqliteStorage.from_local(str(tmp_path))
    with storage.event_log_storage.run_connection("some-run"):
        pass
    with storage.run_storage.connect():
        pass
    storage.dispose()
    assert [path.name for path in tmp_path.rglob("*") if path.name.endswith(("-wal", "-shm"))] == []
