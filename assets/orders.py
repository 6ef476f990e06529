"""Assets of the pull and normalise steps: raw pages per channel, and the orders made of them."""

from collections.abc import Sequence

import dagster as dg

from assets.failures import dagster_failures
from assets.metadata import column_schema, counts_of, markdown_table
from assets.partitions import connection_partitions
from assets.progress import lag_of, stands_at, window_of
from oms_hub.channel.contract import Channel
from oms_hub.store.describe import table_columns
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import STREAM as NORMALISE_STREAM
from oms_hub.sync.normalise_orders import normalise_orders
from oms_hub.sync.pull_orders import STREAM as PULL_STREAM
from oms_hub.sync.pull_orders import pull_orders
from oms_hub.sync.reconcile_orders import DAYS_BACK, reconcile_recent
from oms_hub.sync.settle_drift import settle_drift

OWNERS = ["team:data-engineering"]


class PullConfig(dg.Config):
    """How far back a pull goes."""

    is_full: bool = False


class NormaliseConfig(dg.Config):
    """Whether everything is read again from raw alone."""

    is_replay: bool = False


class ReconcileConfig(dg.Config):
    """How many days back orders are compared."""

    days_back: int = DAYS_BACK


def raw_orders_key(channel_name: str) -> dg.AssetKey:
    """Return the key of a channel's raw orders."""
    return dg.AssetKey(f"raw_{channel_name}__orders")


def reconciled_key(channel_name: str) -> dg.AssetKey:
    """Return the key of what comparing a channel's list of orders with ours brought."""
    return dg.AssetKey(f"raw_{channel_name}__reconciled_orders")


def can_be_reconciled(channel: Channel) -> bool:
    """Return whether a channel can list its orders and give single ones."""
    return channel.order_ids is not None and channel.order_lookup is not None


def raw_orders_asset(channel: Channel) -> dg.AssetsDefinition:
    """Return the asset that pulls a channel's orders for one connection and lands them as they came."""

    @dg.asset(
        key=raw_orders_key(channel.name),
        group_name=f"raw_{channel.name}",
        partitions_def=connection_partitions,
        kinds={channel.name, "python", "postgres"},
        owners=OWNERS,
        description=f"Pages of orders as {channel.title} sent them, with the cursor of the next pull.",
        metadata={"dagster/column_schema": column_schema(table_columns("raw_pages"))},
    )
    def raw_orders(
        context: dg.AssetExecutionContext, config: PullConfig, hub: dg.ResourceParam[Hub]
    ) -> dg.MaterializeResult[None]:
        with dagster_failures(context):
            before = stands_at(hub, context.partition_key, PULL_STREAM)
            report = pull_orders(hub, context.partition_key, is_full=config.is_full)
            lag = lag_of(hub, context.partition_key)
        window = window_of(before, stands_at(hub, context.partition_key, PULL_STREAM))
        return dg.MaterializeResult(metadata={"rows_in": report.records, "window": window, **lag, **counts_of(report)})

    return raw_orders


def reconciled_orders_asset(channel: Channel) -> dg.AssetsDefinition:
    """Return the asset that compares a channel's own list of orders with ours, for one connection."""

    @dg.asset(
        key=reconciled_key(channel.name),
        deps=[raw_orders_key(channel.name)],
        group_name=f"raw_{channel.name}",
        partitions_def=connection_partitions,
        kinds={channel.name, "python", "postgres"},
        owners=OWNERS,
        description=f"Orders that {channel.title} lists and we lacked, fetched by name, and those that are gone there.",
        metadata={"dagster/column_schema": column_schema(table_columns("raw_pages"))},
    )
    def reconciled_orders(
        context: dg.AssetExecutionContext, config: ReconcileConfig, hub: dg.ResourceParam[Hub]
    ) -> dg.MaterializeResult[None]:
        with dagster_failures(context):
            report = reconcile_recent(hub, context.partition_key, days_back=config.days_back)
        return dg.MaterializeResult(metadata=counts_of(report))

    return reconciled_orders


def core_orders_asset(channels: Sequence[Channel]) -> dg.AssetsDefinition:
    """Return the asset that reads raw pages of one connection into orders and stock movements."""

    @dg.asset(
        key="core__orders",
        deps=[
            *(raw_orders_key(channel.name) for channel in channels if channel.order_source),
            *(reconciled_key(channel.name) for channel in channels if can_be_reconciled(channel)),
        ],
        group_name="core",
        partitions_def=connection_partitions,
        kinds={"python", "postgres"},
        owners=OWNERS,
        description=(
            "Orders with lines, payments, refunds, returns and shipments at their newest version, and what they do to "
            "stock. Unreadable payloads stand in quarantine; the rest goes on."
        ),
        metadata={"dagster/column_schema": column_schema(table_columns("orders"))},
    )
    def core_orders(
        context: dg.AssetExecutionContext, config: NormaliseConfig, hub: dg.ResourceParam[Hub]
    ) -> dg.MaterializeResult[None]:
        with dagster_failures(context):
            before = {} if config.is_replay else stands_at(hub, context.partition_key, NORMALISE_STREAM)
            report = normalise_orders(hub, context.partition_key, is_replay=config.is_replay)
            if not config.is_replay:
                settle_drift(hub, context.partition_key)
            lag = lag_of(hub, context.partition_key)
        window = window_of(before, stands_at(hub, context.partition_key, NORMALISE_STREAM))
        shown = [("orders", report.written, report.unchanged, report.quarantined, report.unmapped_lines)]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": report.written,
                "rows_in": report.records,
                "window": window,
                **lag,
                **counts_of(report),
                "outcome": markdown_table(("", "written", "unchanged", "quarantined", "unmapped lines"), shown),
            }
        )

    return core_orders
