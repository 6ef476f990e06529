"""Planning: what every listing of the SKUs that changed should show, and which of these levels are to be sent.

What belongs here: bringing a plan's inputs to the rules (`oms_hub.domain.availability`, `push_plan`) and its outcome
to the store. Not here: the rules, SQL (`oms_hub.store.plan`), sending (`deliver_push`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from oms_hub.domain.availability import OfferPolicy, PlaceStock, offer, packs, pool
from oms_hub.domain.push_plan import decide
from oms_hub.store import plan as store
from oms_hub.store.connections import list_connections
from oms_hub.store.engine import Transaction
from oms_hub.store.merchants import get_merchant
from oms_hub.sync.hub import Hub
from oms_hub.sync.steps import StepRun, running_merchant_step

_SKUS_AT_ONCE = 10_000
_WORKERS = 2
"""Chunks that are planned at a time: the database works on one while the rules are applied to the other."""
_ROWS_TOLD = 1_000
_POLICY = OfferPolicy()
"""The policy of every listing until policies can be set: the whole pool, nothing kept back."""

_CAUSES = {"raised": "more to offer", "lowered": "less to offer", "first": "first level"}


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One level that is to be sent. `from_level` None: what the channel shows is not known."""

    connection: str
    listing_key: str
    from_level: int | None
    to_level: int
    reason: str


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What a plan did. `rows` are its first thousand changes; `held_back` would go up and may not now."""

    skus: int
    listings: int
    raised: int
    lowered: int
    unchanged: int
    held_back: int
    rows: Sequence[PlannedChange]


@dataclass(frozen=True, slots=True)
class PlanScope:
    """For whom is planned, and whose bad pulls keep levels from going up.

    Attributes:
        planned_at: when; what is planned is due from then on.
        connections: id -> name of connections whose channel takes levels.
        unsure: connections that have listings and whose last pull failed, or that were never pulled: their SKUs may
            only go down.
        is_all_unsure: a connection without listings (a till) could not be pulled: it may have sold anything.
    """

    merchant_id: int
    planned_at: datetime
    connections: Mapping[int, str]
    unsure: tuple[int, ...] = ()
    is_all_unsure: bool = False


@dataclass(slots=True)
class _Tally:
    skus: int = 0
    listings: int = 0
    raised: int = 0
    lowered: int = 0
    unchanged: int = 0
    held_back: int = 0
    rows: list[PlannedChange] = field(default_factory=list)


@dataclass(slots=True)
class _Chunks:
    """Up to which SKU the dirty ones are claimed; workers take turns."""

    after: int = 0
    lock: Lock = field(default_factory=Lock)


def plan_push(hub: Hub, merchant: str) -> PlanReport:
    """Compute the offers of every SKU that changed and put what differs into the outbox.

    SKUs whose levels had to wait for a good pull stay marked, so that the next plan looks at them again.

    Raises:
        Misconfigured: there is no such merchant. Conflict: it is being planned already.
    """
    with hub.store.read() as tx:
        owner = get_merchant(tx, merchant)
    with running_merchant_step(hub, owner, "plan") as run:
        with hub.store.read() as tx:
            scope = plan_scope(hub, tx, owner.merchant_id, owner.name)
            workers = _WORKERS if store.has_more_dirty_than(tx, owner.merchant_id, _SKUS_AT_ONCE) else 1
        chunks = _Chunks()
        with ThreadPoolExecutor(workers, thread_name_prefix="plan") as pool_of_workers:
            jobs = [pool_of_workers.submit(_plan_chunks, hub, run, scope, chunks) for _ in range(workers)]
        tally = _sum_of([job.result() for job in jobs])
        run.count(
            skus=tally.skus, listings=tally.listings, raised=tally.raised, lowered=tally.lowered,
            unchanged=tally.unchanged, held_back=tally.held_back,
        )  # fmt: skip
    return PlanReport(
        tally.skus, tally.listings, tally.raised, tally.lowered, tally.unchanged, tally.held_back, tuple(tally.rows)
    )


def _plan_chunks(hub: Hub, run: StepRun, scope: PlanScope, chunks: _Chunks) -> _Tally:
    """Plan one chunk of dirty SKUs after the other, each in a transaction of its own, until none is left."""
    tally = _Tally()
    while True:
        with hub.store.begin() as tx:
            run.lease.assert_held(tx)
            store.use_indexes(tx)
            with chunks.lock:
                sku_ids = store.claim_dirty(tx, scope.merchant_id, after=chunks.after, limit=_SKUS_AT_ONCE)
                if not sku_ids:
                    return tally
                chunks.after = sku_ids[-1]
            waiting = _plan(tx, scope, sku_ids, tally)
            store.release_dirty(tx, [sku_id for sku_id in sku_ids if sku_id not in waiting])


def plan_skus(
    tx: Transaction, scope: PlanScope, sku_ids: Sequence[int], *, in_flight: Mapping[int, int] | None = None
) -> None:
    """Compute some SKUs again at once, inside the caller's transaction, whether they are marked or not.

    Args:
        tx: the transaction.
        scope: from `plan_scope`.
        sku_ids: which SKUs.
        in_flight: SKU id -> units that a channel has sold and whose orders are not here yet; the pool is without them.
    """
    _plan(tx, scope, sorted(set(sku_ids)), _Tally(), in_flight=in_flight)


def plan_scope(hub: Hub, tx: Transaction, merchant_id: int, merchant: str) -> PlanScope:
    """Return for whom a merchant's plan is made, as the store and the connectors say now."""
    takers = {
        stored.connection_id: stored.name
        for stored in list_connections(tx, merchant=merchant)
        if stored.channel in hub.channels and hub.channels[stored.channel].stock_sink is not None
    }
    unsure: list[int] = []
    is_all_unsure = False
    for pulls in store.read_pulls(tx, merchant_id):
        has_orders = pulls.channel in hub.channels and hub.channels[pulls.channel].order_source is not None
        is_good = pulls.is_last_pull_good and pulls.state != "needs_reconnect"
        if not has_orders or is_good or pulls.state == "paused":
            continue
        if pulls.has_listings:
            unsure.append(pulls.connection_id)
        elif pulls.has_pulled:
            is_all_unsure = True
    return PlanScope(merchant_id, hub.clock(), takers, tuple(unsure), is_all_unsure)


def _plan(
    tx: Transaction,
    scope: PlanScope,
    sku_ids: Sequence[int],
    tally: _Tally,
    *,
    in_flight: Mapping[int, int] | None = None,
) -> set[int]:
    """Plan some SKUs, add to the tally, and return those of which a level had to wait for a good pull."""
    pools = _pools(tx, sku_ids)
    counted = sorted(pools)
    unsure = frozenset(counted) if scope.is_all_unsure else store.skus_listed_on(tx, counted, scope.unsure)
    offers = {sku_id: offer(units - (in_flight or {}).get(sku_id, 0), _POLICY) for sku_id, units in pools.items()}
    tally.skus += len(sku_ids)
    rows = store.read_listings(tx, counted, list(scope.connections))
    waiting: set[int] = set()
    changes = list(_changes(rows, offers, unsure, scope, tally, waiting))
    store.write_changes(tx, scope.merchant_id, changes, planned_at=scope.planned_at)
    return waiting


def _sum_of(tallies: Sequence[_Tally]) -> _Tally:
    return _Tally(
        skus=sum(tally.skus for tally in tallies),
        listings=sum(tally.listings for tally in tallies),
        raised=sum(tally.raised for tally in tallies),
        lowered=sum(tally.lowered for tally in tallies),
        unchanged=sum(tally.unchanged for tally in tallies),
        held_back=sum(tally.held_back for tally in tallies),
        rows=[row for tally in tallies for row in tally.rows][:_ROWS_TOLD],
    )


def _pools(tx: Transaction, sku_ids: Sequence[int]) -> dict[int, int]:
    """Return the pool of every SKU that was counted somewhere; holds without a counted place come off the whole."""
    allocated: dict[tuple[int, int | None], int] = {}
    reserved: dict[tuple[int, int | None], int] = {}
    for sku_id, location_id, held, waiting in store.read_holds(tx, sku_ids):
        allocated[sku_id, location_id] = held
        reserved[sku_id, location_id] = waiting
    places: defaultdict[int, list[PlaceStock]] = defaultdict(list)
    for sku_id, location_id, on_hand, unavailable in store.read_places(tx, sku_ids):
        at = (sku_id, location_id)
        places[sku_id].append(PlaceStock(on_hand, allocated.pop(at, 0), reserved.pop(at, 0), unavailable))
    unplaced: defaultdict[int, int] = defaultdict(int)
    for holds in (allocated, reserved):
        for (sku_id, _), units in holds.items():
            unplaced[sku_id] += units
    return {
        sku_id: pool(stocks, threshold=_POLICY.threshold, unplaced=unplaced[sku_id])
        for sku_id, stocks in places.items()
    }


def _changes(
    rows: Sequence[store.ListingLevelRow],
    offers: Mapping[int, int],
    unsure: frozenset[int],
    scope: PlanScope,
    tally: _Tally,
    waiting: set[int],
) -> Iterator[store.Change]:
    """Decide listing by listing and yield what must be written; a listing that stands as it should yields nothing."""
    for sku_id, connection_id, key, pack_size, desired, known, seen, open_id, open_level, was_sent in rows:
        level = packs(offers[sku_id], pack_size)
        present = known if known is not None else seen
        # While a push has no answer yet, nobody knows what the channel shows: the new level is sent in any case.
        sure = None if was_sent else present
        to_level, reason = decide(level, sure, None, may_raise=sku_id not in unsure)
        tally.listings += 1
        if reason == "raise_waits":
            tally.held_back += 1
            waiting.add(sku_id)
        elif to_level is None or to_level == open_level:
            tally.unchanged += 1
        elif reason == "lowered" or to_level == 0:
            tally.lowered += 1
        else:
            tally.raised += 1
        keeps_open = open_level == to_level or (was_sent and reason == "raise_waits")
        superseded = None if keeps_open else open_id
        sent = None if keeps_open else to_level
        if sent is not None and len(tally.rows) < _ROWS_TOLD:
            tally.rows.append(PlannedChange(scope.connections[connection_id], key, present, sent, reason))
        if sent is not None or superseded is not None or desired != level:
            yield connection_id, key, level, present, sent, _CAUSES.get(reason, reason), superseded
