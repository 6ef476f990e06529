"""Jobs: what is run together, per channel and for the whole hub."""

from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.orders import can_be_reconciled, raw_orders_key, reconciled_key
from assets.partitions import connection_config
from assets.reports import report_key
from assets.stock import listings_key, push_key, stock_key
from oms_hub.channel.contract import Channel
from oms_hub.reports import REPORTS


def sync_job_name(channel_name: str) -> str:
    """Return the name of the job that pulls and normalises one connection of a channel."""
    return f"sync_{channel_name}"


def deliver_job_name(channel_name: str) -> str:
    """Return the name of the job that delivers one connection's pushes."""
    return f"deliver_{channel_name}"


def listings_job_name(channel_name: str) -> str:
    """Return the name of the job that reads one connection's listings and levels."""
    return f"listings_{channel_name}"


def reconcile_job_name(channel_name: str) -> str:
    """Return the name of the job that compares one connection's orders with the channel's own list."""
    return f"reconcile_{channel_name}"


NORMALISE_JOB = "normalise_orders"
PLAN_JOB = "plan_push"
ALERTS_JOB = "tell_alerts"
REPORTS_JOB = "refresh_report_tables"


def build_jobs(channels: Mapping[str, Channel]) -> Sequence[UnresolvedAssetJobDefinition]:
    """Return the jobs of every channel and those of the hub."""
    normalise = _per_connection(
        NORMALISE_JOB,
        [dg.AssetKey("core__orders")],
        "Normalise one connection's raw pages, from the store alone: no network",
    )
    plan = dg.define_asset_job(
        PLAN_JOB,
        dg.AssetSelection.assets("core__allocations", "core__push_plan"),
        description="Allocate the units of changed SKUs, then plan their pushes",
    )
    alerts = dg.define_asset_job(
        ALERTS_JOB, dg.AssetSelection.assets("core__alerts"), description="Tell the notifier of what crossed a line"
    )
    reports = dg.define_asset_job(
        REPORTS_JOB,
        dg.AssetSelection.assets(*(report_key(name) for name in REPORTS)),
        description="Make the touched days of all report tables anew",
    )
    return [*(job for channel in channels.values() for job in channel_jobs(channel)), normalise, plan, alerts, reports]


def channel_jobs(channel: Channel) -> list[UnresolvedAssetJobDefinition]:
    """Return the jobs of one channel; what it lacks has none."""
    name, title = channel.name, channel.title
    listings = [listings_key(name), *([stock_key(name)] if channel.stock_source else [])]
    jobs = []
    if channel.order_source:
        keys = [raw_orders_key(name), dg.AssetKey("core__orders")]
        jobs.append(_per_connection(sync_job_name(name), keys, f"Pull and normalise one {title} connection"))
    if can_be_reconciled(channel):
        keys = [reconciled_key(name), dg.AssetKey("core__orders")]
        says = f"Compare one {title} connection's orders with the channel's own list, and fetch what is missing"
        jobs.append(_per_connection(reconcile_job_name(name), keys, says))
    if channel.listing_source:
        says = f"Read the listings and levels of one {title} connection"
        jobs.append(_per_connection(listings_job_name(name), listings, says))
    if channel.stock_sink:
        says = f"Deliver one {title} connection's pushes"
        jobs.append(_per_connection(deliver_job_name(name), [push_key(name)], says))
    return jobs


def _per_connection(name: str, keys: Sequence[dg.AssetKey], description: str) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        name,
        dg.AssetSelection.assets(*keys),
        config=connection_config,
        description=description,
    )
