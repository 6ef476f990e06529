"""The hub as a Dagster resource: opened once per run from the environment, closed with it."""

from collections.abc import Iterator

import dagster as dg

from assets.failures import failure_of
from oms_hub.errors import HubError
from oms_hub.settings import load_settings
from oms_hub.sync.hub import Hub, open_hub


@dg.resource(description="The hub's store, channels, key, clock and sleep, from OMS_HUB_* settings")
def hub_resource(_context: dg.InitResourceContext) -> Iterator[Hub]:
    """Open the hub for one run; where that fails, the run fails with our one line."""
    try:
        hub = open_hub(load_settings())
    except HubError as error:
        raise failure_of(error) from error
    try:
        yield hub
    finally:
        hub.close()
