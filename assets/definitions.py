"""The composition root: every asset, check, job, schedule and sensor, bound to the hub.

`build_defs(resource_overrides=...)` is also the tests' override point. Channels come from the registry by name;
none is named here.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.alerts import alerts_asset, settings_notifier
from assets.allocation import allocations
from assets.checks import connections_are_fresh, orders_are_whole
from assets.jobs import build_jobs
from assets.orders import can_be_reconciled, core_orders_asset, raw_orders_asset, reconciled_orders_asset
from assets.purge import purge_old_runs
from assets.report_checks import reports_keep_their_contracts, reports_tie
from assets.reports import report_tables
from assets.resources import hub_resource
from assets.schedules import build_schedules
from assets.sensors import build_sensors
from assets.shards import sync_shard
from assets.stock import push_plan, raw_listings_asset, raw_stock_asset, stock_push_asset
from oms_hub.channel.contract import Channel
from oms_hub.channel.registry import load_channels


def channel_assets(channel: Channel) -> list[dg.AssetsDefinition]:
    """Return the assets that one channel has; what it lacks has none."""
    return [
        *([raw_orders_asset(channel)] if channel.order_source else []),
        *([reconciled_orders_asset(channel)] if can_be_reconciled(channel) else []),
        *([raw_listings_asset(channel)] if channel.listing_source else []),
        *([raw_stock_asset(channel)] if channel.stock_source and channel.listing_source else []),
        *([stock_push_asset(channel)] if channel.stock_sink else []),
    ]


def build_defs(
    *, resource_overrides: Mapping[str, Any] | None = None, channels: Mapping[str, Channel] | None = None
) -> dg.Definitions:
    """Return the whole of the hub as Dagster definitions.

    Args:
        resource_overrides: replaces resources by name; `hub` may be an open Hub.
        channels: the channels to build for; None loads every registered one.
    """
    known = dict(load_channels() if channels is None else channels)
    notify = settings_notifier()
    return dg.Definitions(
        assets=[
            *(asset for channel in known.values() for asset in channel_assets(channel)),
            core_orders_asset(list(known.values())),
            allocations,
            push_plan,
            alerts_asset(notify),
            report_tables,
        ],
        asset_checks=[orders_are_whole, connections_are_fresh, reports_tie, reports_keep_their_contracts],
        jobs=[*build_jobs(known), sync_shard, purge_old_runs],
        schedules=build_schedules(known),
        sensors=build_sensors(known, notify),
        resources={"hub": hub_resource, **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of this code location."""
    return build_defs()
