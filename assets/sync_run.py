"""One sync of the whole hub, as `oms-hub sync` and `oms-hub demo` do it: assets materialised in the order of a run.

Pull every channel, then plan, then push, then report. Steps that would find nothing to do are not started: they cost
nothing where nothing changed. A failure of one connection never stops the others, and never ends in silence.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import dagster as dg

from assets.alerts import alerts_asset, settings_notifier
from assets.allocation import allocations
from assets.checks import orders_are_whole
from assets.connection_keys import add_missing_partitions
from assets.failure_lines import failure_lines
from assets.failures import ATTENDED_TAG
from assets.interrupts import was_interrupted
from assets.orders import core_orders_asset, raw_orders_asset, reconciled_orders_asset
from assets.partitions import CONNECTION_TAG
from assets.stock import push_plan, raw_listings_asset, raw_stock_asset, stock_push_asset
from oms_hub.errors import Misconfigured
from oms_hub.store.connections import StoredConnection, get_connection, list_connections
from oms_hub.store.pending import (
    connections_to_normalise,
    connections_with_open_pushes,
    has_touched_days,
    merchants_with_dirty_skus,
)
from oms_hub.store.statuses import listings_read_at
from oms_hub.sync.alerts import alerts_are_due
from oms_hub.sync.allocate import merchants_due
from oms_hub.sync.hub import Hub
from oms_hub.sync.reconcile_orders import reconciling_is_due

LISTINGS_EVERY = timedelta(hours=24)
_PUSH_ROUNDS = 2
_QUIET = {"console": {"config": {"log_level": "CRITICAL"}}}


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What the person asked for."""

    is_dry_run: bool = False
    is_full: bool = False
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What one step of the sync did: counts by name, or why it failed."""

    step: str
    connection: str
    counts: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


def chosen_connections(hub: Hub, names: Sequence[str]) -> tuple[list[StoredConnection], list[str]]:
    """Return (connections to sync, complaints about named ones that cannot sync now).

    Raises:
        Misconfigured: a name is unknown, or there is nothing to sync at all.
    """
    with hub.store.read() as tx:
        found = [get_connection(tx, name) for name in names] if names else list_connections(tx)
    active = [stored for stored in found if stored.state == "active"]
    idle = [stored for stored in found if stored.state == "needs_reconnect" or (names and stored.state != "active")]
    if not found:
        raise Misconfigured("There are no connections yet", remedy="Add one: oms-hub connections add CHANNEL NAME")
    return active, [f"{stored.name} is {stored.state.replace('_', ' ')}: {_why(stored)}" for stored in idle]


def _why(stored: StoredConnection) -> str:
    if stored.state == "paused":
        return f"Resume it: oms-hub connections resume {stored.name}"
    return stored.state_reason or "see: oms-hub connections list"


def run_sync(
    hub: Hub,
    instance: dg.DagsterInstance,
    names: Sequence[str] = (),
    options: SyncOptions = SyncOptions(),
    *,
    tell: Callable[[StepOutcome], None] = lambda _outcome: None,
) -> list[StepOutcome]:
    """Sync connections once; return what every started step did, in order.

    Args:
        hub: the open hub.
        instance: Dagster's instance that keeps the runs.
        names: connections to sync; empty means all active ones.
        options: dry run, full, replay.
        tell: called with each outcome as soon as it is there.

    Raises:
        KeyboardInterrupt: somebody stopped it; what was done stands, and the next sync goes on.
    """
    active, idle = chosen_connections(hub, names)
    add_missing_partitions(hub, instance)
    outcomes: list[StepOutcome] = []
    for outcome in _steps(hub, instance, active, options):
        outcomes.append(outcome)
        tell(outcome)
    outcomes += [StepOutcome("sync", complaint.split(" ", 1)[0], failures=(complaint,)) for complaint in idle]
    return outcomes


def _steps(
    hub: Hub, instance: dg.DagsterInstance, active: Sequence[StoredConnection], options: SyncOptions
) -> Iterator[StepOutcome]:
    cut_off: set[str] = set()
    for stored in active:
        outcome = _pull(hub, instance, stored, options)
        if outcome.failures and "written" not in outcome.counts:
            cut_off.add(stored.name)
        yield outcome
    if not options.is_replay:
        for stored in active:
            if stored.name not in cut_off and reconciling_is_due(hub, stored):
                yield _reconcile(hub, instance, stored)
        for stored in active:
            if stored.name not in cut_off and _listings_are_due(hub, stored, options):
                yield _listings(hub, instance, stored)
    yield from _plan_and_push(hub, instance, active, options)
    with hub.store.read() as tx:
        is_touched = has_touched_days(tx)
    if is_touched:
        # Only now, because they bring pandas along: half a second that a sync without news does not spend.
        from assets.report_checks import reports_tie  # noqa: PLC0415
        from assets.reports import report_tables  # noqa: PLC0415

        yield _materialise(hub, instance, "report", "", [report_tables, reports_tie])
    if alerts_are_due(hub):
        yield _materialise(hub, instance, "alerts", "", [alerts_asset(settings_notifier())])


def _plan_and_push(
    hub: Hub, instance: dg.DagsterInstance, active: Sequence[StoredConnection], options: SyncOptions
) -> Iterator[StepOutcome]:
    """Plan and deliver; a second time where raises waited until other listings had confirmed their reductions."""
    for _ in range(_PUSH_ROUNDS):
        with hub.store.read() as tx:
            is_dirty = bool(merchants_with_dirty_skus(tx) or merchants_due(hub, tx))
        planned = _materialise(hub, instance, "plan", "", [allocations, push_plan]) if is_dirty else None
        if planned is not None:
            yield planned
        if not options.is_replay:
            yield from (_deliver(hub, instance, stored, options) for stored in _with_open_pushes(hub, active))
        if planned is None or not planned.counts.get("waiting") or options.is_replay or options.is_dry_run:
            return


def _pull(hub: Hub, instance: dg.DagsterInstance, stored: StoredConnection, options: SyncOptions) -> StepOutcome:
    channel = hub.channel(stored)
    raw = raw_orders_asset(channel)
    assets = [*([] if options.is_replay or not channel.order_source else [raw]), core_orders_asset([channel])]
    config = {
        f"raw_{channel.name}__orders": {"config": {"is_full": options.is_full}},
        "core__orders": {"config": {"is_replay": options.is_replay}},
    }
    used = {key: value for key, value in config.items() if key == "core__orders" or len(assets) == 2}
    step = "replay" if options.is_replay else "pull"
    outcome = _materialise(hub, instance, step, stored.name, [*assets, orders_are_whole], used)
    if not outcome.failures or not _has_waiting_pages(hub, stored):
        return outcome
    rest = _materialise(hub, instance, step, stored.name, [core_orders_asset([channel]), orders_are_whole])
    failures = tuple(dict.fromkeys([*outcome.failures, *rest.failures]))
    return StepOutcome(step, stored.name, {**outcome.counts, **rest.counts}, failures)


def _reconcile(hub: Hub, instance: dg.DagsterInstance, stored: StoredConnection) -> StepOutcome:
    channel = hub.channel(stored)
    assets = [reconciled_orders_asset(channel), core_orders_asset([channel]), orders_are_whole]
    return _materialise(hub, instance, "compare", stored.name, assets)


def _has_waiting_pages(hub: Hub, stored: StoredConnection) -> bool:
    """Return whether pages landed that nobody normalised, as a pull leaves them that stopped in the middle."""
    with hub.store.read() as tx:
        return stored.name in connections_to_normalise(tx)


def _listings_are_due(hub: Hub, stored: StoredConnection, options: SyncOptions) -> bool:
    if hub.channel(stored).listing_source is None:
        return False
    with hub.store.read() as tx:
        read_at = listings_read_at(tx, stored.connection_id)
    return options.is_full or read_at is None or hub.clock() - read_at > LISTINGS_EVERY


def _listings(hub: Hub, instance: dg.DagsterInstance, stored: StoredConnection) -> StepOutcome:
    channel = hub.channel(stored)
    assets = [raw_listings_asset(channel), *([raw_stock_asset(channel)] if channel.stock_source else [])]
    return _materialise(hub, instance, "count", stored.name, assets)


def _with_open_pushes(hub: Hub, active: Sequence[StoredConnection]) -> list[StoredConnection]:
    with hub.store.read() as tx:
        waiting = set(connections_with_open_pushes(tx))
        waiting -= {stored.connection_id for stored in list_connections(tx) if stored.state != "active"}
    return [stored for stored in active if stored.connection_id in waiting and hub.channel(stored).stock_sink]


def _deliver(hub: Hub, instance: dg.DagsterInstance, stored: StoredConnection, options: SyncOptions) -> StepOutcome:
    channel = hub.channel(stored)
    config = {f"out_{channel.name}__stock_push": {"config": {"is_dry_run": options.is_dry_run}}}
    return _materialise(hub, instance, "push", stored.name, [stock_push_asset(channel)], config)


def _materialise(
    hub: Hub,
    instance: dg.DagsterInstance,
    step: str,
    connection: str,
    assets: Sequence[Any],
    ops: Mapping[str, Any] | None = None,
) -> StepOutcome:
    result = dg.materialize(
        list(assets),
        instance=instance,
        resources={"hub": hub},
        partition_key=connection or None,
        run_config={"ops": dict(ops or {}), "loggers": _QUIET},
        tags={ATTENDED_TAG: "true", **({CONNECTION_TAG: connection} if connection else {})},
        raise_on_error=False,
    )
    if was_interrupted(result.all_events):
        raise KeyboardInterrupt
    counts: dict[str, Any] = {}
    for event in result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        counts.update({key: value.value for key, value in metadata.items()})
    return StepOutcome(step, connection, counts, tuple(failure_lines(result.all_events)))
