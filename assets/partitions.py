"""Partitions: one per connection, added while running, so that a merchant adds an account without a deploy."""

import dagster as dg

CONNECTION_TAG = "oms_hub/connection"
"""Run tag that the run queue limits to one run per connection."""

connection_partitions = dg.DynamicPartitionsDefinition(name="connections")
"""One dimension for all channels (see docs/adr/0004): a channel's assets only ever run for its own connections."""


def no_config(_connection: str) -> dict[str, object]:
    """Return the run configuration of a connection: the defaults."""
    return {}


def connection_tags(connection: str) -> dict[str, str]:
    """Return the tags of a connection's runs, also of those that a person starts in the UI."""
    return {CONNECTION_TAG: connection}


connection_config = dg.PartitionedConfig(
    connection_partitions, run_config_for_partition_key_fn=no_config, tags_for_partition_key_fn=connection_tags
)
"""What each connection's run of a job carries."""
