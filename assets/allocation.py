"""The asset of the allocate step: who gets the units that are there."""

import dagster as dg

from assets.failures import dagster_failures
from assets.metadata import column_schema
from assets.orders import OWNERS
from oms_hub.store.describe import table_columns
from oms_hub.sync.allocate import allocate_all
from oms_hub.sync.hub import Hub


@dg.asset(
    key="core__allocations",
    deps=["core__orders"],
    group_name="core",
    kinds={"python", "postgres"},
    owners=OWNERS,
    description="Units that are there, bound to open order lines, oldest first or by rule; the rest is backordered.",
    metadata={"dagster/column_schema": column_schema(table_columns("allocations"))},
)
def allocations(context: dg.AssetExecutionContext, hub: dg.ResourceParam[Hub]) -> dg.MaterializeResult[None]:
    """Allocate for every merchant that has changed SKUs or unpaid holds whose time is up."""
    with dagster_failures(context):
        reports = allocate_all(hub)
    return dg.MaterializeResult(
        metadata={
            "allocated": sum(report.allocated for report in reports.values()),
            "backordered": sum(report.backordered for report in reports.values()),
            "holds_ended": sum(report.expired for report in reports.values()),
            "alerts_fired": sum(report.fired for report in reports.values()),
            "alerts_cleared": sum(report.cleared for report in reports.values()),
        }
    )
