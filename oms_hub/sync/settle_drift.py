"""Settling drift: what fell or rose on a connection's listings and no order explained within the limit.

What belongs here: fetching the orders once more, then letting go. Not here: what it is taken for and what follows
(`oms_hub.store.drift`), the limit (`oms_hub.domain.in_flight`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from oms_hub.domain.in_flight import age_limit_seconds
from oms_hub.store.connections import StoredConnection
from oms_hub.store.drift import Aged, end_aged, find_aged
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import normalise_orders
from oms_hub.sync.reconcile_orders import reconcile_orders
from oms_hub.sync.steps import running_step

_EARLIER = timedelta(hours=1)
"""How long before its fall was seen an order may have been placed."""


def settle_drift(hub: Hub, name: str) -> int:
    """Let go of what no order of a connection explained in time; return on how many listings that was.

    The connection's orders of that time are compared with the channel's own list first, and missing ones fetched:
    an order that was overlooked explains its fall instead. Where nothing is too old, nothing is asked or written.

    Raises:
        HubError: the orders could not be compared; nothing was let go of, and the units stay in flight.
    """
    stored = hub.connection(name)
    before = hub.clock() - timedelta(seconds=age_limit_seconds())
    aged = _aged(hub, stored, before=before)
    if aged is None:
        return 0
    if aged.has_falls:
        _fetch_again(hub, stored, aged)
    with running_step(hub, stored, "settle_drift", needs_channel=False) as run:
        with hub.store.begin() as tx:
            run.lease.assert_held(tx)
            drifted = end_aged(tx, stored.merchant_id, stored.connection_id, before=before, now=hub.clock())
        run.count(drifted=drifted)
    return drifted


def _aged(hub: Hub, stored: StoredConnection, *, before: datetime) -> Aged | None:
    with hub.store.read() as tx:
        return find_aged(tx, stored.merchant_id, stored.connection_id, before=before)


def _fetch_again(hub: Hub, stored: StoredConnection, aged: Aged) -> None:
    channel = hub.channel(stored)
    if channel.order_ids is None or channel.order_lookup is None:
        return
    reconcile_orders(hub, stored.name, placed_from=aged.oldest_at - _EARLIER, placed_to=hub.clock())
    normalise_orders(hub, stored.name)
