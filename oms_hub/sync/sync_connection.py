"""One connection's orders, pulled and normalised in one go, for whoever works outside a Dagster run."""

from __future__ import annotations

from dataclasses import dataclass

from oms_hub.errors import HubError
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import NormaliseReport, normalise_orders
from oms_hub.sync.pull_orders import PullReport, pull_orders
from oms_hub.sync.reconcile_orders import reconcile_recent, reconciling_is_due
from oms_hub.sync.settle_drift import settle_drift


@dataclass(frozen=True, slots=True)
class ConnectionSync:
    """What a connection's sync brought."""

    name: str
    pulled: PullReport
    normalised: NormaliseReport

    @property
    def has_news(self) -> bool:
        """Return whether anything was stored that was not there before."""
        return self.pulled.records_new > 0 or self.normalised.written > 0


def sync_connection(hub: Hub, name: str) -> ConnectionSync:
    """Pull and normalise one connection; once a day its orders are compared with the channel's own list.

    Raises:
        HubError: as the steps do. What landed before a pull stopped is normalised nevertheless, and the next sync
            goes on from there.
    """
    try:
        pulled = pull_orders(hub, name)
        if reconciling_is_due(hub, hub.connection(name)):
            reconcile_recent(hub, name)
    except HubError as error:
        _normalise_what_landed(hub, name, error)
        raise
    synced = ConnectionSync(name, pulled, normalise_orders(hub, name))
    settle_drift(hub, name)
    return synced


def _normalise_what_landed(hub: Hub, name: str, stopped_by: HubError) -> None:
    try:
        normalise_orders(hub, name)
    except HubError as trouble:
        stopped_by.add_note(f"What had landed of {name} could not be normalised: {trouble.one_line()}")
