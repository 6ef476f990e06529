"""Taking a connection's present levels as the first counts of its SKUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oms_hub.store.adoption import Candidate, adoption_candidates
from oms_hub.store.connections import StoredConnection
from oms_hub.store.counts import Count, book_counts
from oms_hub.store.engine import Transaction
from oms_hub.store.goods import default_location
from oms_hub.store.stock import lock_mapping
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import normalise_orders
from oms_hub.sync.pull_listings import pull_listings
from oms_hub.sync.pull_orders import pull_orders
from oms_hub.sync.pull_stock import pull_stock
from oms_hub.sync.steps import running_step

_REASONS = {
    "untracked": "the channel keeps no quantity for it",
    "kept elsewhere": "its level is kept by others (the marketplace's warehouse, a parent listing)",
    "negative": "the channel shows less than nothing: count it and import the count",
    "not read": "its level was never read: sync the connection first",
    "several listings": "several listings show it: count it and import the count",
}


@dataclass(frozen=True, slots=True)
class SkippedSku:
    """A SKU (`reference`) whose level was not taken, and why."""

    reference: str
    reason: str


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """What an adoption did: SKUs that got their first count, those that had one, and those left out."""

    adopted: int
    already_counted: int
    skipped: Sequence[SkippedSku]


def adopt_present_stock(hub: Hub, connection_name: str) -> AdoptReport:
    """Read a connection's listings, levels and orders now, then adopt its levels; raises as these steps do.

    Levels come before orders: what is sold in between is then known to be sold after the level was read.
    """
    pull_listings(hub, connection_name)
    pull_stock(hub, connection_name)
    pull_orders(hub, connection_name)
    normalise_orders(hub, connection_name)
    return adopt_stock(hub, connection_name)


def adopt_stock(hub: Hub, connection_name: str) -> AdoptReport:
    """Count every SKU of a connection that has no count yet as the connection's present level says.

    Orders and levels must have been pulled just before. The counts stand at the merchant's default place, as of the
    instant at which each level was read; what orders did after it still applies.

    Raises:
        Misconfigured: there is no such connection. HubError: the store failed; nothing was booked.
    """
    stored = hub.connection(connection_name)
    tells_on_hand = hub.channel(stored).capabilities.tells_on_hand
    with running_step(hub, stored, "adopt_stock", needs_channel=False) as run:
        with hub.store.begin() as tx:
            run.lease.assert_held(tx)
            lock_mapping(tx, stored.merchant_id)
            candidates = adoption_candidates(tx, stored.connection_id, tells_on_hand=tells_on_hand)
            adopted = _book(tx, stored, candidates)
        already = sum(each.verdict == "counted already" for each in candidates)
        skipped = tuple(SkippedSku(each.sku, _reason(each)) for each in candidates if each.verdict in _REASONS)
        run.count(adopted=adopted, already_counted=already, skipped=len(skipped))
    return AdoptReport(adopted, already, skipped)


def _book(tx: Transaction, stored: StoredConnection, candidates: Sequence[Candidate]) -> int:
    place = default_location(tx, stored.merchant_id).location_id
    counts = [
        Count(each.sku_id, place, each.units, each.observed_at)
        for each in candidates
        if each.units is not None and each.observed_at is not None
    ]
    return book_counts(tx, stored.merchant_id, counts, source=f"adopted:{stored.name}").booked


def _reason(candidate: Candidate) -> str:
    reason = _REASONS[candidate.verdict]
    return f"{reason} ({candidate.note})" if candidate.note and candidate.verdict == "untracked" else reason
