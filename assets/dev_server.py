"""`oms-hub dev`: Dagster's UI and daemon as one foreground process, on the same store as the command line."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from assets.instance import dagster_home
from assets.instance_storage import CHECKOUT
from oms_hub.settings import Settings
from oms_hub.sync.hub import open_hub


def run_dev(settings: Settings, port: int) -> int:
    """Run Dagster until it is interrupted or terminated; return its exit code, 0 where it was asked to stop.

    The store stays open meanwhile, so that an embedded database does not start and stop with every tick.
    """
    hub = open_hub(settings)
    try:
        environment = dev_environment(settings)
        return run_until_stopped(dev_command(port), environment, folder=Path(environment["DAGSTER_HOME"]))
    finally:
        hub.close()


def dev_command(port: int) -> list[str]:
    """Return the command that serves the checkout's workspace, or the installed package where there is no checkout."""
    program = shutil.which("dagster", path=os.path.dirname(sys.executable)) or "dagster"
    workspace = CHECKOUT / "workspace.yaml"
    target = ["-w", str(workspace)] if workspace.is_file() else ["-m", "assets.definitions"]
    return [program, "dev", "-h", "127.0.0.1", "-p", str(port), *target]


def dev_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of Dagster's processes: the settings as read here, since they start in another folder."""
    home = settings.home.resolve()
    found = {**os.environ, "DAGSTER_HOME": str(dagster_home(settings).resolve()), "OMS_HUB_HOME": str(home)}
    for name in ("database_url", "master_key", "notify"):
        secret = getattr(settings, name)
        if secret is not None:
            found[f"OMS_HUB_{name.upper()}"] = secret.get_secret_value()
    return found


def run_until_stopped(command: Sequence[str], environment: Mapping[str, str], *, folder: Path) -> int:
    """Run a program until it ends; an interrupt or a termination of ours is passed on, and is no failure.

    The handlers are in place before the program starts, so that it does not inherit ignored interrupts from a shell.
    """
    asked: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def stop(number: int, _frame: object) -> None:
        if number == signal.SIGTERM and not asked:
            for process in running:
                process.send_signal(signal.SIGINT)
        asked.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        process = subprocess.Popen(command, env=dict(environment), cwd=folder)  # noqa: S603 - no shell
        running.append(process)
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0 if asked else code
