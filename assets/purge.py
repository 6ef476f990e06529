"""Deleting Dagster's own old runs: it never prunes its event log by itself. Nothing of the hub's store is touched."""

from datetime import UTC, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqliteEventLogStorage

from assets.sqlite_storage import HubEventLog
from oms_hub.sync.hub import Hub

PURGE_JOB = "purge_old_runs"


class PurgeConfig(dg.Config):
    """What is old, and how much is deleted at most in one go."""

    older_than_days: int = 30
    at_most: int = 2000


@dg.op
def delete_old_runs(context: dg.OpExecutionContext, config: PurgeConfig, hub: dg.ResourceParam[Hub]) -> None:
    """Delete ended runs with their events, the oldest first; what is left waits for the next time."""
    before = hub.clock() - timedelta(days=config.older_than_days)
    old = dg.RunsFilter(statuses=FINISHED_STATUSES, created_before=before)
    run_ids = [
        record.dagster_run.run_id for record in context.instance.get_run_records(old, config.at_most, ascending=True)
    ]
    for run_id in run_ids:
        delete_run(context.instance, run_id)
    context.add_output_metadata({"deleted": len(run_ids), "older_than": before.astimezone(UTC).isoformat()})
    context.log.info(f"{len(run_ids)} runs from before {before:%Y-%m-%d} deleted")


def delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run, its events, the output of its steps, and the file that SQLite would keep of it (some 120 KB)."""
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    events = instance.event_log_storage
    if isinstance(events, HubEventLog):
        events.forget_run(run_id)
    if isinstance(events, SqliteEventLogStorage):
        shard = Path(events.path_for_shard(run_id))
        for file in (shard, shard.with_name(f"{shard.name}-wal"), shard.with_name(f"{shard.name}-shm")):
            file.unlink(missing_ok=True)


@dg.job(
    name=PURGE_JOB, description="Delete Dagster's ended runs and their events after 30 days; orders are not touched"
)
def purge_old_runs() -> None:
    """Delete old runs."""
    delete_old_runs()
