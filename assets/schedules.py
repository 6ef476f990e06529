"""Schedules, off until turned on: pulls every few minutes per channel, listings and comparing daily, reports hourly."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from assets.busy import busy_connections, is_busy
from assets.connection_keys import add_missing_partitions
from assets.jobs import REPORTS_JOB, listings_job_name, reconcile_job_name, sync_job_name
from assets.orders import can_be_reconciled
from assets.partitions import CONNECTION_TAG
from assets.purge import PURGE_JOB
from assets.shards import SHARD_JOB, shard_run_requests
from oms_hub.channel.contract import Channel
from oms_hub.store.connections import StoredConnection, list_connections
from oms_hub.sync.hub import Hub

RUN_EACH_LIMIT = 50
"""Up to this many connections of a channel have a run each; beyond, shard runs loop over them."""

PULL_CRON = "*/5 * * * *"
LISTINGS_CRON = "17 4 * * *"
RECONCILE_CRON = "37 4 * * *"
REPORTS_CRON = "5 * * * *"
PURGE_CRON = "40 3 * * 0"


def active_connections(hub: Hub, channel_name: str) -> list[StoredConnection]:
    """Return a channel's connections that may sync now."""
    with hub.store.read() as tx:
        return [
            stored for stored in list_connections(tx) if stored.channel == channel_name and stored.state == "active"
        ]


def _pull_schedule(channel: Channel) -> dg.ScheduleDefinition:
    job_name = sync_job_name(channel.name)

    @dg.schedule(
        name=f"{job_name}_schedule",
        job_name=job_name,
        cron_schedule=PULL_CRON,
        execution_timezone="UTC",
        description=f"One run per active {channel.title} connection, up to {RUN_EACH_LIMIT}; off by default",
    )
    def pull_each_connection(
        context: dg.ScheduleEvaluationContext, hub: dg.ResourceParam[Hub]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        due = active_connections(hub, channel.name)
        if len(due) > RUN_EACH_LIMIT:
            yield dg.SkipReason(f"{len(due)} connections: {SHARD_JOB} takes them")
        else:
            yield from _runs_of(context, hub, due, job_name)

    return pull_each_connection


def _daily_schedule(channel: Channel, job_name: str, cron: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{job_name}_schedule",
        job_name=job_name,
        cron_schedule=cron,
        execution_timezone="UTC",
        description=f"One run per active {channel.title} connection; off by default",
    )
    def ask_each_connection(
        context: dg.ScheduleEvaluationContext, hub: dg.ResourceParam[Hub]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        yield from _runs_of(context, hub, active_connections(hub, channel.name), job_name)

    return ask_each_connection


def _runs_of(
    context: dg.ScheduleEvaluationContext, hub: Hub, due: Sequence[StoredConnection], job_name: str
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    add_missing_partitions(hub, context.instance)
    busy = busy_connections(context.instance, job_name)
    free = [stored.name for stored in due if stored.name not in busy]
    if not free:
        yield dg.SkipReason("the last runs go on still" if due else "no active connection")
    for name in free:
        run_key = f"{name} {context.scheduled_execution_time.isoformat()}"
        yield dg.RunRequest(run_key=run_key, partition_key=name, tags={CONNECTION_TAG: name})


def _shard_schedule(channels: Mapping[str, Channel]) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{SHARD_JOB}_schedule",
        job_name=SHARD_JOB,
        cron_schedule=PULL_CRON,
        execution_timezone="UTC",
        description=f"Shard runs for channels with more than {RUN_EACH_LIMIT} active connections; off by default",
    )
    def run_shards(
        context: dg.ScheduleEvaluationContext, hub: dg.ResourceParam[Hub]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        many = [due for name in channels if len(due := active_connections(hub, name)) > RUN_EACH_LIMIT]
        names = [stored.name for due in many for stored in due]
        if not names:
            yield dg.SkipReason(f"no channel has more than {RUN_EACH_LIMIT} active connections")
        elif is_busy(context.instance, SHARD_JOB):
            yield dg.SkipReason("the last shard runs go on still")
        else:
            add_missing_partitions(hub, context.instance)
            yield from shard_run_requests(names, tick=context.scheduled_execution_time.isoformat())

    return run_shards


def build_schedules(channels: Mapping[str, Channel]) -> Sequence[dg.ScheduleDefinition]:
    """Return the schedules of every channel and those of the hub, all stopped by default."""
    pulls = [_pull_schedule(channel) for channel in channels.values() if channel.order_source]
    listings = [channel for channel in channels.values() if channel.listing_source]
    comparable = [channel for channel in channels.values() if can_be_reconciled(channel)]
    return [
        *pulls,
        *(_daily_schedule(channel, listings_job_name(channel.name), LISTINGS_CRON) for channel in listings),
        *(_daily_schedule(channel, reconcile_job_name(channel.name), RECONCILE_CRON) for channel in comparable),
        _shard_schedule(channels),
        _plain_schedule(REPORTS_JOB, REPORTS_CRON, "Report tables every hour; off by default"),
        _plain_schedule(PURGE_JOB, PURGE_CRON, "Dagster's old runs are deleted every week; off by default"),
    ]


def _plain_schedule(job_name: str, cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=f"{job_name}_schedule",
        job_name=job_name,
        cron_schedule=cron,
        execution_timezone="UTC",
        description=description,
    )
