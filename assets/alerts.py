"""The asset of the alerts step: what crossed a line is told, once."""

from collections.abc import Callable

import dagster as dg

from assets.failures import dagster_failures
from assets.metadata import column_schema, counts_of
from assets.orders import OWNERS
from oms_hub.channel.notifiers import Notification, notifier_from
from oms_hub.settings import load_settings
from oms_hub.store.describe import table_columns
from oms_hub.sync.alerts import tell_alerts
from oms_hub.sync.hub import Hub

ALERTS_KEY = dg.AssetKey("core__alerts")


def settings_notifier() -> Callable[[Notification], None]:
    """Return the notifier that the settings name."""
    address = load_settings().notify
    return notifier_from(address.get_secret_value() if address else None)


def alerts_asset(notify: Callable[[Notification], None]) -> dg.AssetsDefinition:
    """Return the asset that looks at the connections and tells the notifier of every alert that is new."""

    @dg.asset(
        key=ALERTS_KEY,
        deps=["core__allocations"],
        group_name="core",
        kinds={"python", "postgres"},
        owners=OWNERS,
        description="What crossed a line: fired once, cleared on recovery, told through the notifier.",
        metadata={"dagster/column_schema": column_schema(table_columns("alerts"))},
    )
    def alerts(context: dg.AssetExecutionContext, hub: dg.ResourceParam[Hub]) -> dg.MaterializeResult[None]:
        with dagster_failures(context):
            report = tell_alerts(hub, notify)
        return dg.MaterializeResult(metadata=counts_of(report))

    return alerts
