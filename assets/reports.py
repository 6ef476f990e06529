"""The report assets: one materialisation per report table, touched days only."""

from collections.abc import Iterator

import dagster as dg

from assets.failures import dagster_failures
from assets.metadata import column_schema
from assets.orders import OWNERS
from assets.sales_chart import sales_pictures
from oms_hub.reports import REPORTS, refresh_touched
from oms_hub.sync.hub import Hub


def report_key(name: str) -> dg.AssetKey:
    """Return the asset key of a report table."""
    return dg.AssetKey(f"out__{name}")


_SPECS = [
    dg.AssetSpec(
        report_key(name),
        deps=["core__orders", "core__push_plan"],
        group_name="reports",
        kinds={"postgres", "table"},
        owners=OWNERS,
        description=f"{report.definition.title}. {report.definition.comment}",
        metadata={
            "dagster/table_name": f"reports.{name}",
            "dagster/column_schema": column_schema(
                [
                    {"name": column.name, "type": column.kind.value, "description": column.comment}
                    for column in report.definition.columns
                ]
            ),
        },
    )
    for name, report in REPORTS.items()
]


@dg.multi_asset(specs=_SPECS, name="refresh_reports")
def report_tables(
    context: dg.AssetExecutionContext, hub: dg.ResourceParam[Hub]
) -> Iterator[dg.MaterializeResult[None]]:
    """Make the rows of touched days anew, in every report table."""
    with dagster_failures(context):
        written = refresh_touched(hub.store)
        pictures = sales_pictures(hub)
    for name in REPORTS:
        shown = pictures if name == "sales_daily" else {}
        counted = {"rows_written": written.get(name, 0)}
        yield dg.MaterializeResult(asset_key=report_key(name), metadata={**counted, **shown})
