"""Asset checks: what must be true of orders and stock; blocking where wrong data must not flow on."""

from collections.abc import Iterator, Sequence

import dagster as dg

from assets.failures import dagster_failures
from oms_hub.store.connections import StoredConnection
from oms_hub.store.exceptions import list_exceptions
from oms_hub.store.integrity import (
    CHECK_DESCRIPTIONS,
    EVERYTHING,
    IntegrityResult,
    Scope,
    pages_before_last_run,
    run_checks,
)
from oms_hub.store.statuses import stale_connections
from oms_hub.sync.hub import Hub

STALE_AFTER_SECONDS = 3600.0
_ORDERS = dg.AssetKey("core__orders")
_BAD_PAYLOAD = "no_unreadable_payload"
_BAD_PAYLOAD_DESCRIPTION = "No payload of this connection waits in quarantine"


def _connection(context: dg.AssetCheckExecutionContext, hub: Hub) -> StoredConnection | None:
    name = context.run.tags.get("dagster/partition")
    return hub.connection(name) if name else None


def ask_about_orders(hub: Hub, stored: StoredConnection | None) -> Sequence[IntegrityResult]:
    """Return the answers to all questions of `orders_are_whole`, one each.

    Args:
        hub: the hub.
        stored: only what the last normalising of this connection touched; None asks about everything.
    """
    with hub.store.read() as tx:
        scope = EVERYTHING
        if stored:
            scope = Scope(stored.connection_id, pages_before_last_run(tx, stored.connection_id))
        answers = run_checks(tx, scope)
        waiting = list_exceptions(tx, kind="bad_payload", connection=stored.name if stored else None)
    examples = tuple(f"{row.reference} ({row.message})" for row in waiting[:5])
    return (*answers, IntegrityResult(_BAD_PAYLOAD, _BAD_PAYLOAD_DESCRIPTION, len(waiting), examples))


@dg.multi_asset_check(
    name="orders_are_whole",
    specs=[
        *(
            dg.AssetCheckSpec(name, asset=_ORDERS, description=description, blocking=True)
            for name, description in CHECK_DESCRIPTIONS.items()
        ),
        dg.AssetCheckSpec(_BAD_PAYLOAD, asset=_ORDERS, description=_BAD_PAYLOAD_DESCRIPTION, blocking=True),
    ],
)
def orders_are_whole(
    context: dg.AssetCheckExecutionContext, hub: dg.ResourceParam[Hub]
) -> Iterator[dg.AssetCheckResult]:
    """Ask the store's integrity questions for the run's connection, and whether anything is in quarantine."""
    with dagster_failures(context):
        answers = ask_about_orders(hub, _connection(context, hub))
    for answer in answers:
        yield dg.AssetCheckResult(
            asset_key=_ORDERS,
            check_name=answer.name,
            passed=answer.is_ok,
            metadata={"found": answer.found, "examples": list(answer.examples)},
        )


@dg.asset_check(asset=_ORDERS, name="connections_are_fresh", description="Every active connection was pulled lately")
def connections_are_fresh(context: dg.AssetCheckExecutionContext, hub: dg.ResourceParam[Hub]) -> dg.AssetCheckResult:
    """Compare each active connection's last good pull with the limit."""
    with dagster_failures(context), hub.store.read() as tx:
        stale = stale_connections(tx, now=hub.clock(), older_than_seconds=STALE_AFTER_SECONDS)
    return dg.AssetCheckResult(
        passed=not stale,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"limit_seconds": STALE_AFTER_SECONDS, "stale": list(stale)},
    )
