"""Asset checks of the report tables; blocking, because wrong figures must not flow on."""

import dagster as dg

from assets.failures import dagster_failures
from assets.reports import report_key
from oms_hub.reports import ties
from oms_hub.sync.hub import Hub


@dg.asset_check(
    asset=report_key("sales_daily"),
    name="reports_tie",
    description="Report tables agree with the orders and with each other, to the cent",
    blocking=True,
)
def reports_tie(context: dg.AssetCheckExecutionContext, hub: dg.ResourceParam[Hub]) -> dg.AssetCheckResult:
    """Tie the report tables to the ledger of orders."""
    with dagster_failures(context):
        results = ties(hub.store)
    broken = [f"{result.name}: {result.detail}" for result in results if not result.is_ok]
    return dg.AssetCheckResult(passed=not broken, metadata={"checked": len(results), "broken": broken})
