"""`oms-hub sync`, `dev` and `demo` as a person calls them."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assets import commands, dev_server
from assets.dev_server import dev_command, dev_environment, run_until_stopped
from oms_hub.cli import build_app
from oms_hub.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def call(world, monkeypatch, tmp_path):
    """Give a function that calls the program on the practice hub and returns (exit code, output, errors)."""
    monkeypatch.setenv("OMS_HUB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setattr(commands, "open_hub", lambda _settings: world.hub)

    def run(*arguments):
        result = CliRunner().invoke(build_app(), list(arguments))
        return result.exit_code, result.stdout, result.stderr

    return run


def test_a_sync_prints_a_line_per_step_and_ends_well(world, call):
    world.connect("first")
    code, output, errors = call("sync")
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].startswith("pull    first            ok      pages 3, records 25, records new 25, written 25")
    assert lines[-1] == "All well."


def test_a_failure_is_one_line_on_standard_error_and_exit_code_1(world, call):
    world.connect("first").fails(422)
    code, output, errors = call("sync", "first")
    assert code == 1
    assert "All well." not in output
    (line,) = errors.splitlines()
    assert line.startswith("oms-hub: first: ")


def test_a_sync_tells_programs_what_it_did(world, call):
    world.connect("first")
    code, output, _errors = call("sync", "--json")
    rows = json.loads(output)
    assert code == 0
    assert (rows[0]["step"], rows[0]["connection"], rows[0]["failures"]) == ("pull", "first", [])
    assert rows[0]["counts"]["written"] == 25


def test_dev_serves_the_checkouts_workspace_on_loopback():
    command = dev_command(3017)
    assert command[1:6] == ["dev", "-h", "127.0.0.1", "-p", "3017"]
    assert command[6:] == ["-w", str(ROOT / "workspace.yaml")]


def test_without_a_checkout_dev_serves_the_installed_package(monkeypatch, tmp_path):
    monkeypatch.setattr(dev_server, "CHECKOUT", tmp_path)
    assert dev_command(3017)[6:] == ["-m", "assets.definitions"]


def test_dagsters_processes_get_the_settings_as_they_were_read(monkeypatch, tmp_path):
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("OMS_HUB_MASTER_KEY", raising=False)
    found = dev_environment(Settings(home=tmp_path, database_url="postgresql://db/hub", master_key=None, notify="log"))
    assert found["DAGSTER_HOME"] == str(tmp_path / "dagster-home")
    assert found["OMS_HUB_HOME"] == str(tmp_path)
    assert found["OMS_HUB_DATABASE_URL"] == "postgresql://db/hub"
    assert found["OMS_HUB_NOTIFY"] == "log"
    assert "OMS_HUB_MASTER_KEY" not in found


def test_dev_keeps_the_store_open_while_dagster_runs(world, monkeypatch, tmp_path):
    said = []
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("OMS_HUB_HOME", str(tmp_path))

    class OpenHub:
        def close(self):
            said.append("closed")

    def run(command, _environment, *, folder):
        said.append((command[1], folder))
        return len(said) // 3

    monkeypatch.setattr(dev_server, "open_hub", lambda _settings: OpenHub())
    monkeypatch.setattr(dev_server, "run_until_stopped", run)
    assert CliRunner().invoke(build_app(), ["dev", "--port", "3017"]).exit_code == 0
    assert said == [("dev", tmp_path), "closed"]
    assert CliRunner().invoke(build_app(), ["dev"]).exit_code == 1


SLEEPER = "import signal, sys, time\nprint('up', flush=True)\ntry:\n    time.sleep(30)\nexcept KeyboardInterrupt:\n    sys.exit(130)"


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_a_program_that_is_asked_to_stop_stops_and_that_is_no_failure(tmp_path, number):
    before = signal.getsignal(number)
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER + "\n", encoding="utf-8")

    def ask():
        time.sleep(0.5)
        os.kill(os.getpid(), number)

    asker = threading.Thread(target=ask)
    asker.start()
    started = time.monotonic()
    assert run_until_stopped([sys.executable, str(script)], os.environ, folder=tmp_path) == 0
    assert time.monotonic() - started < 10
    asker.join()
    assert signal.getsignal(number) is before


def test_a_program_that_fails_by_itself_is_a_failure(tmp_path):
    assert run_until_stopped([sys.executable, "-c", "raise SystemExit(3)"], os.environ, folder=tmp_path) == 3


@pytest.mark.slow
def test_the_demo_runs_from_nothing_to_reports_and_ends_well(monkeypatch, tmp_path):
    for name in ("OMS_HUB_DATABASE_URL", "OMS_HUB_MASTER_KEY", "DAGSTER_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("OMS_HUB_HOME", str(tmp_path))
    result = CliRunner().invoke(build_app(), ["demo"])
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    again = lines.index("6. Again, without news: nothing is written anywhere")
    connected = sum(line.endswith("checks passed") for line in lines)
    assert connected >= 7
    steps = [line.split()[0] for line in lines[again + 1 : lines.index("7. Reports") - 1]]
    assert steps == ["pull"] * connected
    for report in ("sales_daily", "stock_levels", "channel_levels", "reconciliation_daily", "sync_health"):
        assert report in lines
    assert lines[-4].startswith("  export OMS_HUB_HOME=") or any("export OMS_HUB_HOME=" in line for line in lines)
