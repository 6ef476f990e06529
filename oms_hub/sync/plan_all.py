"""Planning every merchant that has something to plan."""

from __future__ import annotations

from collections.abc import Mapping

from oms_hub.store.pending import merchants_with_dirty_skus
from oms_hub.sync.hub import Hub
from oms_hub.sync.plan_push import PlanReport, plan_push


def plan_all(hub: Hub) -> Mapping[str, PlanReport]:
    """Plan each merchant that has dirty SKUs, and return what each plan did by merchant.

    Raises:
        HubError: a merchant's plan failed; those before it are planned.
    """
    with hub.store.read() as tx:
        merchants = merchants_with_dirty_skus(tx)
    return {merchant: plan_push(hub, merchant) for merchant in merchants}
