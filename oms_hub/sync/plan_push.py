"""Planning: what every listing of the SKUs that changed should show, and which of these levels are to be sent.

What belongs here: claiming, the scope, the order of a plan's parts, the report. Not here: the figures
(`oms_hub.store.plan_offers`, by the rules of `oms_hub.domain.offers`), the last units (`last_units`), sending
(`deliver_push`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from oms_hub.channel.contract import StockWriteMode
from oms_hub.store import plan as store
from oms_hub.store import plan_inputs, plan_offers, plan_outcome
from oms_hub.store.connections import list_connections
from oms_hub.store.demand import measure_news
from oms_hub.store.engine import Transaction
from oms_hub.store.merchants import get_merchant
from oms_hub.store.plan_frame import PlanFrame, tune
from oms_hub.sync.hub import Hub
from oms_hub.sync.last_units import settle_scarce
from oms_hub.sync.steps import StepRun, running_merchant_step

_SKUS_AT_ONCE = 25_000
_WORKERS = 2
"""Chunks that are planned at a time."""

_FEW_SKUS = 2_000
_ROWS_TOLD = 1_000


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
    """What a plan did.

    Attributes:
        rows: its first thousand changes.
        held_back: would go up, and wait for a good pull.
        waiting: would go up, and wait until other listings have confirmed that they went down.
        held_units: what is kept back for other listings (the last units), in levels.
    """

    skus: int
    listings: int
    raised: int
    lowered: int
    unchanged: int
    held_back: int
    rows: Sequence[PlannedChange]
    waiting: int = 0
    held_units: int = 0


@dataclass(frozen=True, slots=True)
class PlanScope:
    """For whom is planned, and whose bad pulls keep levels from going up.

    Attributes:
        planned_at: when; what is planned is due from then on.
        connections: id -> name of connections whose channel takes levels.
        unsure: connections that have listings and whose last pull failed, or that were never pulled: their SKUs may
            only go down.
        is_all_unsure: a connection without listings (a till) could not be pulled: it may have sold anything.
        deltas: connections whose channel takes changes instead of levels.
    """

    merchant_id: int
    planned_at: datetime
    connections: Mapping[int, str]
    unsure: tuple[int, ...] = ()
    is_all_unsure: bool = False
    deltas: tuple[int, ...] = ()

    def frame(self, *, is_small: bool) -> PlanFrame:
        """Return the scope in the store's terms, for a plan of few or of many SKUs."""
        return PlanFrame(
            self.merchant_id, self.planned_at, tuple(self.connections), self.deltas, self.unsure, self.is_all_unsure,
            is_small,
        )  # fmt: skip


@dataclass(slots=True)
class _Tally:
    skus: int = 0
    listings: int = 0
    raised: int = 0
    lowered: int = 0
    unchanged: int = 0
    held_back: int = 0
    waiting: int = 0
    held_units: int = 0
    rows: list[PlannedChange] = field(default_factory=list)


@dataclass(slots=True)
class _Chunks:
    """Up to which SKU the dirty ones are claimed; workers take turns."""

    after: int = 0
    lock: Lock = field(default_factory=Lock)


def plan_push(hub: Hub, merchant: str) -> PlanReport:
    """Compute the offers of every SKU that changed and put what differs into the outbox.

    SKUs whose levels had to wait (for a good pull, or for other listings to go down first) stay marked, so that the
    next plan looks at them again.

    Raises:
        Misconfigured: there is no such merchant. Conflict: it is being planned already.
    """
    with hub.store.read() as tx:
        owner = get_merchant(tx, merchant)
    with running_merchant_step(hub, owner, "plan") as run:
        with hub.store.begin() as tx:
            run.lease.assert_held(tx)
            measure_news(tx, owner.merchant_id)
            scope = plan_scope(hub, tx, owner.merchant_id, owner.name)
            is_large = store.has_more_dirty_than(tx, owner.merchant_id, _SKUS_AT_ONCE)
        chunks = _Chunks()
        workers = _WORKERS if is_large else 1
        with ThreadPoolExecutor(workers, thread_name_prefix="plan") as pool_of_workers:
            jobs = [pool_of_workers.submit(_plan_chunks, hub, run, scope, chunks) for _ in range(workers)]
        report = _sum_of([job.result() for job in jobs])
        run.count(
            skus=report.skus, listings=report.listings, raised=report.raised, lowered=report.lowered,
            unchanged=report.unchanged, held_back=report.held_back, waiting=report.waiting,
            held_units=report.held_units,
        )  # fmt: skip
    return report


def _plan_chunks(hub: Hub, run: StepRun, scope: PlanScope, chunks: _Chunks) -> _Tally:
    """Plan one chunk of dirty SKUs after the other, each in a transaction of its own, until none is left."""
    tally = _Tally()
    while True:
        with hub.store.begin() as tx:
            run.lease.assert_held(tx)
            with chunks.lock:
                sku_ids = store.claim_dirty(tx, scope.merchant_id, after=chunks.after, limit=_SKUS_AT_ONCE)
                if not sku_ids:
                    return tally
                chunks.after = sku_ids[-1]
            waiting = _plan(tx, scope, sku_ids, tally)
            store.release_dirty(tx, [sku_id for sku_id in sku_ids if sku_id not in waiting])


def plan_skus(tx: Transaction, scope: PlanScope, sku_ids: Sequence[int]) -> None:
    """Compute some SKUs again at once, inside the caller's transaction, whether they are marked or not.

    The caller has marked them before (`stock.mark_dirty`), so that no other plan works on them meanwhile.
    """
    _plan(tx, scope, sorted(set(sku_ids)), _Tally())


def plan_scope(hub: Hub, tx: Transaction, merchant_id: int, merchant: str) -> PlanScope:
    """Return for whom a merchant's plan is made, as the store and the connectors say now."""
    takers: dict[int, str] = {}
    deltas: list[int] = []
    for stored in list_connections(tx, merchant=merchant):
        if stored.channel not in hub.channels or hub.channels[stored.channel].stock_sink is None:
            continue
        takers[stored.connection_id] = stored.name
        if hub.channels[stored.channel].capabilities.stock_write is StockWriteMode.DELTA:
            deltas.append(stored.connection_id)
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
    return PlanScope(merchant_id, hub.clock(), takers, tuple(unsure), is_all_unsure, tuple(deltas))


def _plan(tx: Transaction, scope: PlanScope, sku_ids: Sequence[int], tally: _Tally) -> frozenset[int]:
    """Plan some SKUs, add to the tally, and return those of which a level had to wait."""
    frame = scope.frame(is_small=len(sku_ids) <= _FEW_SKUS)
    tune(tx, is_small=frame.is_small)
    plan_inputs.gather(tx, frame, sku_ids)
    plan_offers.compute(tx)
    plan_offers.take_settled(tx, settle_scarce(plan_offers.scarce_sellers(tx)))
    outcome = plan_outcome.write(tx, frame, most_rows=_ROWS_TOLD)
    tally.skus += len(sku_ids)
    tally.listings += outcome.listings
    tally.raised += outcome.raised
    tally.lowered += outcome.lowered
    tally.unchanged += outcome.unchanged
    tally.held_back += outcome.held_back
    tally.waiting += outcome.waiting
    tally.held_units += outcome.held_units
    tally.rows += [PlannedChange(scope.connections[row[0]], *row[1:]) for row in outcome.rows]
    return outcome.waiting_sku_ids


def _sum_of(tallies: Sequence[_Tally]) -> PlanReport:
    def total(name: str) -> int:
        return sum(getattr(tally, name) for tally in tallies)

    return PlanReport(
        skus=total("skus"),
        listings=total("listings"),
        raised=total("raised"),
        lowered=total("lowered"),
        unchanged=total("unchanged"),
        held_back=total("held_back"),
        rows=tuple([row for tally in tallies for row in tally.rows][:_ROWS_TOLD]),
        waiting=total("waiting"),
        held_units=total("held_units"),
    )
