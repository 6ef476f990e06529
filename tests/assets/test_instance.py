"""Where Dagster keeps its own records: the same files from any folder, or PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.instance import InstanceRef
from dagster_shared.serdes import deserialize_value, serialize_value

from assets.instance import dagster_home, instance_configuration, opened_instance
from assets.instance_storage import CHECKOUT, DATABASE_VARIABLE, below_checkout, psycopg2_url
from oms_hub.errors import Misconfigured, StoreUnavailable
from oms_hub.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv(DATABASE_VARIABLE, raising=False)


def settings(home):
    return Settings(home=home, database_url=None, master_key=None)


def test_the_checkouts_dagster_yaml_says_what_every_home_gets():
    written = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    assert written == instance_configuration(".oms-hub/dagster")


def test_a_named_dagster_home_rules(monkeypatch, tmp_path):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "named"))
    assert dagster_home(settings(tmp_path)) == tmp_path / "named"


def test_the_default_home_of_a_checkout_takes_the_checkouts_dagster_yaml():
    assert dagster_home(settings(CHECKOUT / ".oms-hub")) == CHECKOUT


def test_a_home_of_its_own_gets_a_dagster_yaml_of_its_own(tmp_path):
    home = dagster_home(settings(tmp_path))
    assert home == tmp_path / "dagster-home"
    file = home / "dagster.yaml"
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == instance_configuration(str(tmp_path / "dagster"))
    written_at = file.stat().st_mtime_ns
    assert (dagster_home(settings(tmp_path)), file.stat().st_mtime_ns) == (home, written_at)
    assert [path.name for path in home.iterdir()] == ["dagster.yaml"]


def test_relative_folders_are_below_the_checkout_whatever_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert below_checkout(".oms-hub/dagster") == str(ROOT / ".oms-hub/dagster")
    assert below_checkout("/var/lib/dagster") == "/var/lib/dagster"


@dg.op
def say_hello() -> None:
    return None


@dg.job
def hello() -> None:
    say_hello()


def test_on_a_laptop_runs_are_in_sqlite_below_the_home(tmp_path):
    with opened_instance(settings(tmp_path)) as instance:
        run_id = hello.execute_in_process(instance=instance).run_id
        assert instance.storage_directory() == str(tmp_path / "dagster" / "storage")
    assert (tmp_path / "dagster" / "history" / "runs" / f"{run_id}.db").is_file()
    assert {path.name for path in (tmp_path / "dagster-home").iterdir()} <= {"dagster.yaml", ".telemetry", "logs"}
    with opened_instance(settings(tmp_path)) as instance:
        assert [run.run_id for run in instance.get_runs()] == [run_id]


@dg.op
def print_hello() -> None:
    print("hello")


@dg.job
def printing() -> None:
    print_hello()


def test_what_a_step_prints_is_kept_by_a_daemon_and_left_on_a_terminal(monkeypatch, tmp_path, capfd):
    def printed(instance):
        run_id = printing.execute_in_process(instance=instance).run_id
        kept = [path for path in (tmp_path / "dagster" / "compute_logs").rglob("*") if run_id in path.parts]
        assert [path.suffix for path in kept if path.suffix == ".complete"] == [".complete"]
        return "".join(path.read_text() for path in kept if path.suffix == ".out")

    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home(settings(tmp_path))))
    with dg.DagsterInstance.get() as instance:
        assert printed(instance) == "hello\n"
    capfd.readouterr()
    with opened_instance(settings(tmp_path)) as instance:
        assert printed(instance) == ""
    assert capfd.readouterr().out == "hello\n"


def test_limits_and_retries_are_as_configured(tmp_path):
    with opened_instance(settings(tmp_path)) as instance:
        limits = instance.run_coordinator.get_run_queue_config().tag_concurrency_limits
        assert [limit["key"] for limit in limits] == ["oms_hub/connection", "dagster/partition"]
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert instance.run_retries_max_retries == 2
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled


def carried(instance):
    """Return the reference of an instance as another process gets it."""
    return deserialize_value(serialize_value(instance.get_ref()), InstanceRef)


def test_a_reference_to_the_instance_leads_another_process_to_the_same_runs(tmp_path):
    with opened_instance(settings(tmp_path)) as instance:
        run_id = hello.execute_in_process(instance=instance).run_id
        reference = carried(instance)
    with dg.DagsterInstance.from_ref(reference) as other:
        assert [run.run_id for run in other.get_runs()] == [run_id]


@pytest.mark.slow
def test_a_process_in_another_folder_finds_the_same_runs(tmp_path):
    with opened_instance(settings(tmp_path)) as instance:
        run_id = hello.execute_in_process(instance=instance).run_id
    program = str(Path(sys.executable).with_name("dagster"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [program, "run", "list"], cwd=elsewhere, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "DAGSTER_HOME": str(tmp_path / "dagster-home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert run_id in done.stdout
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hub:secret@db/dagster",
        "postgres://hub:secret@db/dagster",
        "postgresql+psycopg://hub:secret@db/dagster",
        "postgresql+psycopg2://hub:secret@db/dagster",
    ],
)
def test_any_postgresql_address_gets_the_driver_that_dagster_can_notify_with(url):
    assert psycopg2_url(url) == "postgresql+psycopg2://hub:secret@db/dagster"


@pytest.mark.parametrize("url", ["mysql://hub:secret@db/dagster", "secret"])
def test_another_address_is_refused_without_being_repeated(url):
    with pytest.raises(ValueError, match=f"^{DATABASE_VARIABLE} must be a postgresql:// URL$"):
        psycopg2_url(url)


def test_an_event_written_to_postgresql_is_seen_by_who_watches_it(database_url, monkeypatch, tmp_path):
    monkeypatch.setenv(DATABASE_VARIABLE, database_url)
    seen: list[tuple[str, str]] = []
    arrived = threading.Event()

    def notice(entry, cursor):
        seen.append((entry.dagster_event.message, cursor))
        arrived.set()

    with opened_instance(settings(tmp_path)) as instance:
        run = instance.create_run_for_job(hello, run_id=None)
        storage = instance.event_log_storage
        assert type(storage).__name__ == "PostgresEventLogStorage"
        storage.watch(run.run_id, None, notice)
        try:
            instance.report_engine_event("the till is open", run)
            assert arrived.wait(20)
        finally:
            storage.end_watch(run.run_id, notice)
        assert [message for message, _cursor in seen] == ["the till is open"]
        reference = carried(instance)
        with dg.DagsterInstance.from_ref(reference) as other:
            assert [found.run_id for found in other.get_runs()] == [run.run_id]
        storage.dispose()
    assert not (tmp_path / "dagster" / "history").exists()


def test_a_full_disk_under_dagsters_records_is_told_in_one_line(tmp_path):
    with (
        pytest.raises(StoreUnavailable, match=r"^Dagster cannot keep its records for ") as caught,
        opened_instance(settings(tmp_path)),
    ):
        raise RuntimeError("a run could not be written") from sqlite3.OperationalError("database or disk is full")
    assert caught.value.remedy.startswith("Free space on that disk")


@pytest.mark.parametrize("error", [Misconfigured("no url"), KeyError("anything")])
def test_other_errors_leave_the_instance_as_they_are(tmp_path, error):
    with pytest.raises(type(error)) as caught, opened_instance(settings(tmp_path)):
        raise error
    assert caught.value is error
