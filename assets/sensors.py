"""Sensors, off until somebody turns them on: new connections, work that waits, failures."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import dagster as dg

from assets.busy import busy_connections, is_busy
from assets.connection_keys import missing_partitions
from assets.failure_lines import failure_lines
from assets.jobs import ALERTS_JOB, NORMALISE_JOB, PLAN_JOB, deliver_job_name
from assets.partitions import CONNECTION_TAG, connection_partitions
from oms_hub.channel.contract import Channel
from oms_hub.channel.notifiers import Notification
from oms_hub.store.connections import list_connections
from oms_hub.store.pending import connections_to_normalise, connections_with_open_pushes, dirty_state
from oms_hub.sync.alerts import alerts_are_due
from oms_hub.sync.allocate import merchants_due
from oms_hub.sync.hub import Hub

PLAN_AGAIN_SECONDS = 600
"""SKUs that wait for a good pull stay marked; a plan looks at them again this often, or when something changes."""

_SAID = frozenset(
    {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.RUN_FAILURE}
)


@dg.sensor(
    name="new_connections",
    minimum_interval_seconds=30,
    description="Gives every new connection its partition",
)
def new_connections(context: dg.SensorEvaluationContext, hub: dg.ResourceParam[Hub]) -> dg.SensorResult:
    """Ask for a partition for each connection that has none."""
    missing = missing_partitions(hub, context.instance)
    if not missing:
        return dg.SensorResult(skip_reason="every connection has its partition")
    return dg.SensorResult(dynamic_partitions_requests=[connection_partitions.build_add_request(missing)])


@dg.sensor(
    name="normalise_waiting",
    job_name=NORMALISE_JOB,
    minimum_interval_seconds=60,
    description="Normalises what landed of a pull that stopped in the middle",
)
def normalise_waiting(
    context: dg.SensorEvaluationContext, hub: dg.ResourceParam[Hub]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request a run for each connection with raw pages beyond its cursor that nobody works on."""
    with hub.store.read() as tx:
        waiting = connections_to_normalise(tx)
    known = set(context.instance.get_dynamic_partitions("connections"))
    busy = busy_connections(context.instance)
    free = [name for name in waiting if name in known and name not in busy]
    if not free:
        yield dg.SkipReason("no raw page waits" if not waiting else "a run works on what waits")
    for name in free:
        yield _run_for(name)


@dg.sensor(
    name="plan_when_stock_changed",
    job_name=PLAN_JOB,
    minimum_interval_seconds=10,
    description="Plans as soon as a SKU's level, orders or listings changed",
)
def plan_when_stock_changed(
    context: dg.SensorEvaluationContext, hub: dg.ResourceParam[Hub]
) -> dg.SensorResult | dg.SkipReason:
    """Request a plan where SKUs wait for one and it could come out otherwise than the last."""
    with hub.store.read() as tx:
        dirty = " ".join([dirty_state(tx), *merchants_due(hub, tx)]).strip()
    state = f"{dirty} {int(hub.clock().timestamp()) // PLAN_AGAIN_SECONDS}"
    if not dirty:
        return dg.SkipReason("no SKU changed")
    if state == context.cursor or is_busy(context.instance, PLAN_JOB):
        return dg.SkipReason("planned already; what waits needs a good pull first")
    return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=state)


@dg.sensor(
    name="tell_of_alerts",
    job_name=ALERTS_JOB,
    minimum_interval_seconds=60,
    description="Tells the notifier of what crossed a line since it was last told",
)
def tell_of_alerts(context: dg.SensorEvaluationContext, hub: dg.ResourceParam[Hub]) -> dg.RunRequest | dg.SkipReason:
    """Request a run where an alert is to be fired, cleared or told."""
    if not alerts_are_due(hub):
        return dg.SkipReason("nothing crossed a line")
    if is_busy(context.instance, ALERTS_JOB):
        return dg.SkipReason("a run tells them already")
    return dg.RunRequest()


def _deliver_sensor(channel: Channel) -> dg.SensorDefinition:
    job_name = deliver_job_name(channel.name)

    @dg.sensor(
        name=f"deliver_due_{channel.name}",
        job_name=job_name,
        minimum_interval_seconds=10,
        description=f"Delivers what waits in the outbox of {channel.title} connections that may push",
    )
    def deliver_due(
        context: dg.SensorEvaluationContext, hub: dg.ResourceParam[Hub]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        with hub.store.read() as tx:
            due = set(connections_with_open_pushes(tx, due_at=hub.clock()))
            own = [stored for stored in list_connections(tx) if stored.channel == channel.name]
        busy = busy_connections(context.instance, job_name)
        names = [stored.name for stored in own if stored.connection_id in due and stored.name not in busy]
        if not names:
            yield dg.SkipReason("nothing is due")
        for name in names:
            yield _run_for(name)

    return deliver_due


def _run_for(connection: str) -> dg.RunRequest:
    return dg.RunRequest(partition_key=connection, tags={CONNECTION_TAG: connection})


def failure_sensor(notify: Callable[[Notification], None]) -> dg.SensorDefinition:
    """Return the sensor that tells the notifier of every failed run."""

    @dg.run_failure_sensor(name="tell_of_failures", description="Sends one message per failed run")
    def tell_of_failures(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        connection = run.tags.get(CONNECTION_TAG) or run.tags.get("dagster/partition", "")
        where = f" for {connection}" if connection else ""
        logged = context.instance.all_logs(run.run_id, of_type=set(_SAID))
        lines = list(failure_lines(entry.dagster_event for entry in logged if entry.dagster_event))
        text = "\n".join([*lines, f"Run {run.run_id}"])
        notify(Notification(subject=f"oms-hub: {run.job_name} failed{where}", text=text))

    return tell_of_failures


def build_sensors(
    channels: Mapping[str, Channel], notify: Callable[[Notification], None]
) -> Sequence[dg.SensorDefinition]:
    """Return all sensors; every one is stopped by default."""
    deliver = [_deliver_sensor(channel) for channel in channels.values() if channel.stock_sink]
    own = [new_connections, normalise_waiting, plan_when_stock_changed, tell_of_alerts]
    return [*own, *deliver, failure_sensor(notify)]
