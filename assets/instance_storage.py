"""Where Dagster keeps its own runs, events and logs: SQLite on a laptop, PostgreSQL where the environment names one.

Named by `dagster.yaml`. A relative `base_dir` is below the checkout, whatever folder a process was started in, so
that the daemon, the UI and the runs find the same files. Not here: the hub's own store.
"""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster._config import UserConfigSchema
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData
from dagster._utils import touch_file
from dagster_postgres import DagsterPostgresStorage

from assets.sqlite_storage import HubSqliteStorage

DATABASE_VARIABLE = "OMS_HUB_DAGSTER_DATABASE_URL"
CHECKOUT = Path(__file__).resolve().parent.parent


def below_checkout(folder: str) -> str:
    """Return the absolute path of a folder that may be given relative to the checkout."""
    return str(CHECKOUT / folder)


def psycopg2_url(url: str) -> str:
    """Return a PostgreSQL URL that names the psycopg2 driver.

    SQLAlchemy 2.1 takes psycopg 3 where none is named, on which Dagster's NOTIFY of run events fails.

    Raises:
        ValueError: for a URL that is not PostgreSQL's; the message does not repeat the URL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise ValueError(f"{DATABASE_VARIABLE} must be a postgresql:// URL")
    return f"postgresql+psycopg2://{rest}"


class HubInstanceStorage(HubSqliteStorage):
    """Chooses Dagster's storage when the instance starts; `base_dir` is used only without PostgreSQL."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the shape of the configuration: the folder for SQLite files."""
        return {"base_dir": str}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> DagsterStorage[Any]:
        """Return PostgreSQL storage if the environment names a database, else SQLite below `base_dir`."""
        url = os.environ.get(DATABASE_VARIABLE)
        if url:
            return DagsterPostgresStorage(psycopg2_url(url), inst_data=inst_data)
        return HubSqliteStorage.from_local(below_checkout(config_value["base_dir"]), inst_data)


class HubArtifactStorage(LocalArtifactStorage):
    """Dagster's folder for artifacts, found from any working directory."""

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> LocalArtifactStorage:
        """Return the storage below `base_dir`."""
        return LocalArtifactStorage(below_checkout(config_value["base_dir"]), inst_data)


class HubComputeLogs(LocalComputeLogManager):
    """Dagster's folder for the output of steps, found from any working directory.

    Attributes:
        captures: False leaves a step's output where it goes: on a terminal. Capturing it starts four processes a step.
    """

    captures = True

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext, None, None]:
        """Capture what a step prints within the block."""
        if self.captures:
            with super().capture_logs(log_key) as context:
                yield context
        else:
            yield CapturedLogContext(log_key)
            touch_file(self.complete_artifact_path(log_key))  # type: ignore[no-untyped-call]

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> LocalComputeLogManager:
        """Return the log manager below `base_dir`."""
        return cls(below_checkout(config_value["base_dir"]), inst_data=inst_data)
