"""Shard runs: beyond some fifty connections, one run loops over many, and tells Dagster only of those with news."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import dagster as dg

from assets.checks import ask_about_orders
from assets.failures import failure_of
from assets.metadata import counts_of
from oms_hub.errors import HubError
from oms_hub.sync.hub import Hub
from oms_hub.sync.sync_connection import ConnectionSync, sync_connection

SHARD_JOB = "sync_shard"
SHARD_SIZE = 250
SHARD_WORKERS = 4
_NAMED = 20


class ShardConfig(dg.Config):
    """The connections of one shard."""

    connections: list[str]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one connection: what its sync brought, and why it is not all well."""

    name: str
    synced: ConnectionSync | None
    failure: str = ""


def shard_run_requests(names: Sequence[str], *, tick: str, size: int = SHARD_SIZE) -> Iterator[dg.RunRequest]:
    """Yield one run request per shard; `tick` makes the run keys of one tick differ from those of the next."""
    for start in range(0, len(names), size):
        shard = str(start // size)
        config = {"ops": {"sync_connections": {"config": {"connections": list(names[start : start + size])}}}}
        yield dg.RunRequest(run_key=f"{shard} {tick}", run_config=config, tags={"oms_hub/shard": shard})


def _sync_one(hub: Hub, name: str) -> _Outcome:
    synced = None
    try:
        synced = sync_connection(hub, name)
        broken = [answer for answer in ask_about_orders(hub, hub.connection(name)) if not answer.is_ok]
    except HubError as error:
        return _Outcome(name, synced, error.one_line())
    except Exception as error:  # noqa: BLE001 - a foreign connector broke; the others of the shard go on
        return _Outcome(name, synced, f"broke unexpectedly ({type(error).__name__})")
    return _Outcome(name, synced, "; ".join(f"{answer.name}: {answer.found} found" for answer in broken))


@dg.op(out={})
def sync_connections(
    context: dg.OpExecutionContext, config: ShardConfig, hub: dg.ResourceParam[Hub]
) -> Iterator[dg.AssetMaterialization]:
    """Sync every connection of the shard, a few at a time; fail at the end if any failed."""
    with ThreadPoolExecutor(SHARD_WORKERS) as pool:
        outcomes = list(pool.map(lambda name: _sync_one(hub, name), config.connections))
    for outcome in outcomes:
        if outcome.synced and outcome.synced.has_news:
            yield _materialisation(outcome.synced)
    failed = [f"{outcome.name}: {outcome.failure}" for outcome in outcomes if outcome.failure]
    for line in failed:
        context.log.error(line)
    if failed:
        shown = " | ".join(failed[:_NAMED])
        raise failure_of(HubError(f"{len(failed)} of {len(outcomes)} connections failed: {shown}"))


def _materialisation(synced: ConnectionSync) -> dg.AssetMaterialization:
    metadata = {"dagster/row_count": synced.normalised.written, **counts_of(synced.normalised)}
    return dg.AssetMaterialization("core__orders", partition=synced.name, metadata=metadata)


@dg.job(name=SHARD_JOB, description="Pull and normalise many connections in one run")
def sync_shard() -> None:
    """Sync one shard."""
    sync_connections()
