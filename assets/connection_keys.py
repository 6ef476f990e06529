"""Keeps Dagster's partition keys in step with the hub's connections."""

import dagster as dg

from assets.partitions import connection_partitions
from oms_hub.store.connections import list_connections
from oms_hub.sync.hub import Hub


def missing_partitions(hub: Hub, instance: dg.DagsterInstance) -> list[str]:
    """Return names of connections that have no partition yet, in order."""
    name = connection_partitions.name
    known = set(instance.get_dynamic_partitions(name)) if name else set()
    with hub.store.read() as tx:
        return [stored.name for stored in list_connections(tx) if stored.name not in known]


def add_missing_partitions(hub: Hub, instance: dg.DagsterInstance) -> list[str]:
    """Add a partition for every connection that has none; return those added."""
    missing = missing_partitions(hub, instance)
    if missing and connection_partitions.name:
        instance.add_dynamic_partitions(connection_partitions.name, missing)
    return missing
