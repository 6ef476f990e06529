"""Assets of the count, plan and deliver steps: levels in, plans, pushes out."""

import dagster as dg

from assets.failures import dagster_failures
from assets.metadata import column_schema, counts_of, markdown_table
from assets.orders import OWNERS
from assets.partitions import connection_partitions
from oms_hub.channel.contract import Channel
from oms_hub.store.describe import table_columns
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.hub import Hub
from oms_hub.sync.plan_all import plan_all
from oms_hub.sync.pull_listings import pull_listings
from oms_hub.sync.pull_stock import pull_stock


class DeliverConfig(dg.Config):
    """Whether pushes are only shown."""

    is_dry_run: bool = False


def listings_key(channel_name: str) -> dg.AssetKey:
    """Return the key of a channel's raw listings."""
    return dg.AssetKey(f"raw_{channel_name}__listings")


def stock_key(channel_name: str) -> dg.AssetKey:
    """Return the key of a channel's raw levels."""
    return dg.AssetKey(f"raw_{channel_name}__stock")


def push_key(channel_name: str) -> dg.AssetKey:
    """Return the key of a channel's pushed levels."""
    return dg.AssetKey(f"out_{channel_name}__stock_push")


def raw_listings_asset(channel: Channel) -> dg.AssetsDefinition:
    """Return the asset that reads what a connection offers and links it to SKUs."""

    @dg.asset(
        key=listings_key(channel.name),
        group_name=f"raw_{channel.name}",
        partitions_def=connection_partitions,
        kinds={channel.name, "python", "postgres"},
        owners=OWNERS,
        description=f"Listings on {channel.title}, linked to SKUs where the SKU is unique.",
        metadata={"dagster/column_schema": column_schema(table_columns("listings"))},
    )
    def raw_listings(context: dg.AssetExecutionContext, hub: dg.ResourceParam[Hub]) -> dg.MaterializeResult[None]:
        with dagster_failures(context):
            report = pull_listings(hub, context.partition_key)
        return dg.MaterializeResult(metadata=counts_of(report))

    return raw_listings


def raw_stock_asset(channel: Channel) -> dg.AssetsDefinition:
    """Return the asset that reads the levels a connection shows now."""

    @dg.asset(
        key=stock_key(channel.name),
        deps=[listings_key(channel.name)],
        group_name=f"raw_{channel.name}",
        partitions_def=connection_partitions,
        kinds={channel.name, "python", "postgres"},
        owners=OWNERS,
        description=f"Levels as {channel.title} shows them now.",
        metadata={"dagster/column_schema": column_schema(table_columns("listing_levels"))},
    )
    def raw_stock(context: dg.AssetExecutionContext, hub: dg.ResourceParam[Hub]) -> dg.MaterializeResult[None]:
        with dagster_failures(context):
            report = pull_stock(hub, context.partition_key)
        return dg.MaterializeResult(metadata=counts_of(report))

    return raw_stock


@dg.asset(
    key="core__push_plan",
    deps=["core__orders", "core__allocations"],
    group_name="core",
    kinds={"python", "postgres"},
    owners=OWNERS,
    description="What each listing of a changed SKU should show, written to the outbox; one open row per listing.",
    metadata={"dagster/column_schema": column_schema(table_columns("outbox"))},
)
def push_plan(context: dg.AssetExecutionContext, hub: dg.ResourceParam[Hub]) -> dg.MaterializeResult[None]:
    """Plan every merchant that has changed SKUs."""
    with dagster_failures(context):
        reports = plan_all(hub)
    rows = [(merchant, row) for merchant, report in reports.items() for row in report.rows]
    return dg.MaterializeResult(
        metadata={
            "merchants": len(reports),
            "skus": sum(report.skus for report in reports.values()),
            "raised": sum(report.raised for report in reports.values()),
            "lowered": sum(report.lowered for report in reports.values()),
            "held_back": sum(report.held_back for report in reports.values()),
            "waiting": sum(report.waiting for report in reports.values()),
            "held_units": sum(report.held_units for report in reports.values()),
            "plan": markdown_table(
                ("merchant", "connection", "listing", "from", "to", "reason"),
                [
                    (merchant, row.connection, row.listing_key, row.from_level, row.to_level, row.reason)
                    for merchant, row in rows
                ],
            ),
        }
    )


def stock_push_asset(channel: Channel) -> dg.AssetsDefinition:
    """Return the asset that delivers a connection's open outbox rows."""

    @dg.asset(
        key=push_key(channel.name),
        deps=["core__push_plan"],
        group_name=f"out_{channel.name}",
        partitions_def=connection_partitions,
        kinds={channel.name, "python", "postgres"},
        owners=OWNERS,
        description=f"Levels pushed to {channel.title}, row by row; nothing while pushing is off for the connection.",
        metadata={"dagster/column_schema": column_schema(table_columns("outbox"))},
    )
    def stock_push(
        context: dg.AssetExecutionContext, config: DeliverConfig, hub: dg.ResourceParam[Hub]
    ) -> dg.MaterializeResult[None]:
        with dagster_failures(context):
            report = deliver_push(hub, context.partition_key, is_dry_run=config.is_dry_run)
        shown = [(row.sku, row.from_level, row.to_level, row.result, row.reason) for row in report.rows]
        table = markdown_table(("sku", "from", "to", "result", "reason"), shown)
        return dg.MaterializeResult(metadata={**counts_of(report), "pushes": table})

    return stock_push
