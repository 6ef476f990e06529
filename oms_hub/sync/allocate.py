"""Allocating: unpaid holds whose time is up end, then the units of every SKU that changed are handed out anew.

What belongs here: the order of these steps, their lease, their transactions. Not here: the rule
(`oms_hub.domain.allocation`), the statement (`oms_hub.store.allocation`), what is offered (`plan_push`), which counts
what is promised whether it is there or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oms_hub.store.allocation import HandedOut, allocate_skus, marked_skus, merchants_to_allocate
from oms_hub.store.allocation_holds import expire_holds, merchants_with_overdue_holds
from oms_hub.store.engine import Transaction
from oms_hub.store.merchants import Merchant, get_merchant
from oms_hub.sync.hub import Hub
from oms_hub.sync.steps import StepRun, running_merchant_step

_SKUS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class AllocateReport:
    """What an allocation did.

    Attributes:
        skus: SKUs that were looked at, components of bundles included.
        allocated: their units that are there and bound to order lines.
        backordered: their units that order lines wait for.
        expired: unpaid lines whose hold ended.
        fired: alerts that are new. cleared: alerts that are over.
    """

    skus: int = 0
    allocated: int = 0
    backordered: int = 0
    expired: int = 0
    fired: int = 0
    cleared: int = 0


def merchants_due(hub: Hub, tx: Transaction) -> tuple[str, ...]:
    """Return names of merchants for whom an allocation would do anything, in order."""
    return tuple(sorted({*merchants_to_allocate(tx), *merchants_with_overdue_holds(tx, now=hub.clock())}))


def allocate_all(hub: Hub) -> Mapping[str, AllocateReport]:
    """Allocate for each merchant that has anything to allocate, and return what was done by merchant.

    Raises:
        HubError: a merchant's allocation failed; those before it stand.
    """
    with hub.store.read() as tx:
        merchants = merchants_due(hub, tx)
    return {merchant: allocate(hub, merchant) for merchant in merchants}


def allocate(hub: Hub, merchant: str) -> AllocateReport:
    """Hand out the units of every SKU of a merchant that changed; doing it again changes nothing.

    Raises:
        Misconfigured: there is no such merchant. Conflict: it is being allocated already.
    """
    with hub.store.read() as tx:
        owner = get_merchant(tx, merchant)
    with running_merchant_step(hub, owner, "allocate") as run:
        expired = _expire(hub, run, owner)
        report = _hand_out(hub, run, owner, expired)
        run.count(
            skus=report.skus, allocated=report.allocated, backordered=report.backordered, expired=report.expired,
            fired=report.fired, cleared=report.cleared,
        )  # fmt: skip
    return report


def _expire(hub: Hub, run: StepRun, owner: Merchant) -> int:
    expired = 0
    while True:
        with hub.store.begin() as tx:
            run.lease.assert_held(tx)
            ended = expire_holds(tx, owner.merchant_id, now=hub.clock())
        if not ended:
            return expired
        expired += ended


def _hand_out(hub: Hub, run: StepRun, owner: Merchant, expired: int) -> AllocateReport:
    """Hand out one chunk of marked SKUs after the other, each in a transaction of its own, until none is left."""
    done: list[HandedOut] = []
    after = 0
    while True:
        with hub.store.begin() as tx:
            run.lease.assert_held(tx)
            sku_ids = marked_skus(tx, owner.merchant_id, after=after, limit=_SKUS_AT_ONCE)
            if not sku_ids:
                break
            after = sku_ids[-1]
            done.append(allocate_skus(tx, owner.merchant_id, sku_ids, now=hub.clock()))
    return AllocateReport(
        skus=sum(each.skus for each in done),
        allocated=sum(each.allocated for each in done),
        backordered=sum(each.backordered for each in done),
        expired=expired,
        fired=sum(each.fired for each in done),
        cleared=sum(each.cleared for each in done),
    )
