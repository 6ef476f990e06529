"""Which Dagster instance the command line uses, and how an instance of the hub is configured."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from assets.instance_storage import CHECKOUT, HubComputeLogs
from assets.partitions import CONNECTION_TAG
from oms_hub.errors import HubError, StoreUnavailable
from oms_hub.settings import Settings

_STORAGE_DRIVERS = {"sqlite3", "psycopg2"}
"""Packages whose errors, behind an error of Dagster's, mean that its storage failed."""


def dagster_home(settings: Settings) -> Path:
    """Return the folder whose dagster.yaml rules: DAGSTER_HOME, else the checkout's when it keeps the default home.

    With a home of its own (`OMS_HUB_HOME`), or without a checkout, a dagster.yaml is made below that home, so that
    two homes never share Dagster's files.
    """
    named = os.environ.get("DAGSTER_HOME")
    if named:
        return Path(named)
    home = settings.home.resolve()
    if home == CHECKOUT / ".oms-hub" and (CHECKOUT / "dagster.yaml").is_file():
        return CHECKOUT
    (home / "dagster-home").mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(instance_configuration(str(home / "dagster")), sort_keys=False)
    _write_once(home / "dagster-home" / "dagster.yaml", text)
    return home / "dagster-home"


def instance_configuration(base_dir: str) -> dict[str, Any]:
    """Return what stands in dagster.yaml; the top-level one of the checkout says the same, with comments.

    Args:
        base_dir: folder of Dagster's files, relative to the checkout or absolute.
    """
    return {
        "storage": {"custom": _class_of_ours("HubInstanceStorage", base_dir)},
        "local_artifact_storage": _class_of_ours("HubArtifactStorage", base_dir),
        "compute_logs": _class_of_ours("HubComputeLogs", f"{base_dir}/compute_logs"),
        "run_coordinator": {
            "module": "dagster._core.run_coordinator.queued_run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {
                "max_concurrent_runs": 10,
                "dequeue_interval_seconds": 1,
                "tag_concurrency_limits": [_one_each(CONNECTION_TAG), _one_each("dagster/partition")],
            },
        },
        "run_monitoring": {"enabled": True, "start_timeout_seconds": 300, "poll_interval_seconds": 60},
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        "retention": {
            "schedule": {"purge_after_days": {"skipped": 3, "success": 14, "failure": 30}},
            "sensor": {"purge_after_days": {"skipped": 1, "success": 14, "failure": 30}},
        },
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def _one_each(tag: str) -> dict[str, Any]:
    return {"key": tag, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}


def _class_of_ours(name: str, base_dir: str) -> dict[str, Any]:
    return {"module": "assets.instance_storage", "class": name, "config": {"base_dir": base_dir}}


def _write_once(path: Path, text: str) -> None:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.replace(file.name, path)


@contextmanager
def opened_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Give the Dagster instance of these settings, to a process that a person or a script watches.

    What its steps print stays there; their log is in Dagster's events, as everywhere.
    """
    home = dagster_home(settings)
    os.environ["DAGSTER_HOME"] = str(home)
    with _told_storage_failures(home), dg.DagsterInstance.get() as instance:
        if isinstance(instance.compute_log_manager, HubComputeLogs):
            instance.compute_log_manager.captures = False
        yield instance


@contextmanager
def _told_storage_failures(home: Path) -> Iterator[None]:
    """Turn what Dagster's own storage raises (its disk is full, its database is down) into the hub's one line."""
    try:
        yield
    except HubError:
        raise
    except Exception as error:
        if not any(type(cause).__module__.partition(".")[0] in _STORAGE_DRIVERS for cause in _causes(error)):
            raise
        raise StoreUnavailable(
            f"Dagster cannot keep its records for {home}: their disk is full, or their database is away",
            remedy="Free space on that disk, or check that database, then run again: orders and stock are whole",
        ) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
