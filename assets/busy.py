"""Which connections have a run that is queued or going on, so that ticks do not pile up runs behind a slow one."""

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from assets.partitions import CONNECTION_TAG


def busy_connections(instance: dg.DagsterInstance, job_name: str | None = None) -> set[str]:
    """Return names of connections with an unfinished run; of one job, or of any."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=NOT_FINISHED_STATUSES))
    return {run.tags[CONNECTION_TAG] for run in runs if CONNECTION_TAG in run.tags}


def is_busy(instance: dg.DagsterInstance, job_name: str) -> bool:
    """Return whether a job has an unfinished run."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=NOT_FINISHED_STATUSES), limit=1))
