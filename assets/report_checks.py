"""Asset checks of the report tables; those that tie them are blocking, because wrong figures must not flow on."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from types import MappingProxyType

import dagster as dg

from assets.failures import dagster_failures
from assets.reports import report_key
from oms_hub.reports import REPORTS, problems, ties
from oms_hub.sync.hub import Hub

TIED_DAYS = 92
"""Days up to today whose figures are tied after each refresh; `oms-hub report check` ties all of them."""

CONTRACT_DAYS = 7
"""Days up to today whose rows must keep their contract."""

_TIED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "skus_add_up_to_days": ("sales_by_sku_daily", "The SKUs of a day add up to the day, to the cent"),
        "total_sales_are_orders_minus_refunds": (
            "sales_daily",
            "Days are their orders' totals less the refunds' value",
        ),
        "returns_add_up_to_days": ("returns_daily", "Refunds by reason add up to the day"),
        "payments_are_the_transactions": ("payments_daily", "Days are the sums of their payment transactions"),
        "reconciliation_has_the_same_orders": ("reconciliation_daily", "The same orders as in sales_daily"),
        "fulfilment_has_the_same_orders": ("fulfilment_daily", "The same orders as in sales_daily"),
        "stock_levels_are_the_ledger": ("stock_levels", "Levels are the sums of the ledger's movements"),
        "snapshots_close_at_the_levels": ("inventory_daily", "The last snapshot of each place closes at its level"),
        "snapshots_chain": ("inventory_daily", "Each snapshot opens where the one before closed"),
        "average_costs_are_movements_at_cost": ("sku_costs", "Average costs follow from stock and receipts"),
    }
)
"""Each tie with the report that it is a check of."""


def _days_back(hub: Hub, days: int) -> date:
    return hub.clock().date() - timedelta(days=days)


@dg.multi_asset_check(
    name="reports_tie",
    specs=[
        dg.AssetCheckSpec(name, asset=report_key(report), description=says, blocking=True)
        for name, (report, says) in _TIED.items()
    ],
)
def reports_tie(context: dg.AssetCheckExecutionContext, hub: dg.ResourceParam[Hub]) -> Iterator[dg.AssetCheckResult]:
    """Tie the report tables to the orders, to the ledger and to each other."""
    with dagster_failures(context):
        results = ties(hub.store, since=_days_back(hub, TIED_DAYS))
    for result in results:
        yield dg.AssetCheckResult(
            asset_key=report_key(_TIED[result.name][0]),
            check_name=result.name,
            passed=result.is_ok,
            metadata={"found": result.detail},
        )


@dg.multi_asset_check(
    name="reports_keep_their_contracts",
    specs=[
        dg.AssetCheckSpec("keeps_its_contract", asset=report_key(name), description="Types, key, gaps and rules hold")
        for name in REPORTS
    ],
)
def reports_keep_their_contracts(
    context: dg.AssetCheckExecutionContext, hub: dg.ResourceParam[Hub]
) -> Iterator[dg.AssetCheckResult]:
    """Check the newest rows of every report against its contract."""
    for name in REPORTS:
        with dagster_failures(context):
            found = problems(hub.store, name, since=_days_back(hub, CONTRACT_DAYS))
        yield dg.AssetCheckResult(
            asset_key=report_key(name),
            check_name="keeps_its_contract",
            passed=not found,
            metadata={"problems": list(found)},
        )
