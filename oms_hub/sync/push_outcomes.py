"""What became of the rows of a batch, written down: each row's own outcome, and what is read back.

What belongs here: turning the channel's answers into acknowledged levels, later tries, dead letters and exceptions.
Not here: reading before, sending and computing again (`push_batch`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, TypeAlias

from oms_hub.channel.contract import (
    Channel,
    ChannelSession,
    ListingRef,
    ObservedLevel,
    PushOutcome,
    PushResult,
)
from oms_hub.errors import HubError, RetryLater
from oms_hub.store import outbox
from oms_hub.store.connections import StoredConnection
from oms_hub.store.engine import Transaction
from oms_hub.store.exceptions import OpenException, open_exceptions, resolve_exceptions
from oms_hub.store.levels import SeenLevel, record_acknowledged, record_failed, record_observed
from oms_hub.store.outbox import OutboxRow, Postponed
from oms_hub.sync.hub import Hub
from oms_hub.sync.listing_levels import read_levels, seen_levels
from oms_hub.sync.plan_push import PlanScope
from oms_hub.sync.steps import StepRun

MOST_ATTEMPTS = 8
_FIRST_WAIT_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 3_600.0

Result: TypeAlias = Literal["applied", "in_step", "stale", "unknown", "retry", "rejected", "raise_waits", "would_push"]
"""`applied`: written. `in_step`: the channel showed it already. `stale`, `unknown`, `retry`, `raise_waits`: still open.
`rejected`: in the dead letters. `would_push`: not sent, because pushing is off or this is a dry run."""


@dataclass(frozen=True, slots=True)
class DeliveredRow:
    """What became of one level. `from_level` is what the channel showed, None where that is not known."""

    listing_key: str
    sku: str
    from_level: int | None
    to_level: int
    result: Result
    reason: str = ""


@dataclass(slots=True)
class Delivery:
    """A delivery to one connection while it runs."""

    hub: Hub
    stored: StoredConnection
    channel: Channel
    session: ChannelSession
    run: StepRun
    scope: PlanScope
    place: str | None
    rows: list[DeliveredRow] = field(default_factory=list)

    def tell(self, row: OutboxRow, seen: ObservedLevel | None, result: Result, reason: str = "") -> None:
        """Note what became of a row."""
        before = row.from_level if seen is None else seen.available
        self.rows.append(DeliveredRow(row.listing_key, row.sku, before, row.to_level, result, reason))

    def write(self, change: Callable[[Transaction], None]) -> None:
        """Run one writing transaction under the lease."""
        with self.hub.store.begin() as tx:
            self.run.lease.assert_held(tx)
            change(tx)


@dataclass(frozen=True, slots=True)
class SentRow:
    """A row that was sent: what the channel showed just before, and its word on the row."""

    row: OutboxRow
    seen: ObservedLevel | None
    outcome: PushOutcome


def read(delivery: Delivery, rows: Sequence[OutboxRow]) -> Mapping[str, ObservedLevel]:
    """Return the levels that the channel shows now for these rows, recorded; nothing where it cannot be read."""
    observed_at = delivery.hub.clock()
    levels = read_levels(delivery.channel, delivery.session, [reference_of(delivery, row) for row in rows])
    if delivery.channel.stock_source is not None:
        keys = [row.listing_key for row in rows]
        delivery.write(
            lambda tx: record_observed(
                tx, delivery.stored.connection_id, seen_levels(keys, levels), observed_at=observed_at
            )
        )
    return levels


def reference_of(delivery: Delivery, row: OutboxRow) -> ListingRef:
    """Return how the connector is told which listing is meant."""
    return ListingRef(row.listing_key, delivery.place, row.attributes)


def take_back(delivery: Delivery, sent: Sequence[OutboxRow], error: HubError) -> None:
    """Leave rows open that were certainly not applied; an outage is not the rows' fault and uses up no attempt."""
    after = error.after_seconds if isinstance(error, RetryLater) else 0.0
    again_at = delivery.hub.clock() + timedelta(seconds=after)
    postponed = [Postponed(row.outbox_id, error.message, again_at, counts_as_attempt=False) for row in sent]

    def keep(tx: Transaction) -> None:
        record_failed(tx, delivery.stored.connection_id, [(row.listing_key, error.message) for row in sent])
        outbox.postpone_rows(tx, postponed)

    delivery.write(keep)


def record_outcomes(delivery: Delivery, results: Sequence[SentRow]) -> list[SentRow]:
    """Record each row's own outcome; unknown ones are read back first. Return the stale ones, still open."""
    by: defaultdict[PushResult, list[SentRow]] = defaultdict(list)
    for each in results:
        by[each.outcome.result].append(each)
    exhausted = [each for each in by[PushResult.RETRY] if each.row.attempts + 1 >= MOST_ATTEMPTS]
    retried = [each for each in by[PushResult.RETRY] if each.row.attempts + 1 < MOST_ATTEMPTS]
    dead = [(each.row, each.outcome.reason or "refused without a reason") for each in by[PushResult.REJECTED]]
    dead += [(each.row, f"given up after {MOST_ATTEMPTS} attempts: {each.outcome.reason}") for each in exhausted]
    applied = by[PushResult.APPLIED]

    def keep(tx: Transaction) -> None:
        after = [
            SeenLevel(
                each.row.listing_key, each.row.to_level if each.outcome.observed is None else each.outcome.observed
            )
            for each in applied
        ]
        record_observed(tx, delivery.stored.connection_id, after, observed_at=delivery.hub.clock())
        close(tx, delivery, [(each.row, True) for each in applied], dead)
        _postpone(tx, delivery, [*retried, *by[PushResult.STALE]])

    delivery.write(keep)
    for each in applied:
        delivery.tell(each.row, each.seen, "applied")
    for each in retried:
        delivery.tell(each.row, each.seen, "retry", each.outcome.reason)
    for row, reason in dead:
        delivery.tell(row, None, "rejected", reason)
    _read_back(delivery, by[PushResult.UNKNOWN])
    return by[PushResult.STALE]


def close(
    tx: Transaction,
    delivery: Delivery,
    delivered: Sequence[tuple[OutboxRow, bool]],
    dead: Sequence[tuple[OutboxRow, str]],
) -> None:
    """Close rows inside a transaction: (row, whether it was sent) that the channel has, (row, reason) given up."""
    stored = delivery.stored
    record_acknowledged(
        tx,
        stored.connection_id,
        [(row.listing_key, row.to_level, was_sent) for row, was_sent in delivered],
        at=delivery.hub.clock(),
    )
    record_failed(tx, stored.connection_id, [(row.listing_key, reason) for row, reason in dead])
    outbox.close_rows(
        tx,
        [(row.outbox_id, "delivered", "") for row, _ in delivered]
        + [(row.outbox_id, "dead", reason) for row, reason in dead],
    )
    open_exceptions(
        tx,
        merchant_id=stored.merchant_id,
        connection_id=stored.connection_id,
        found=[
            OpenException(
                "push_rejected",
                row.listing_key,
                f"{stored.name} does not take {row.to_level} for {row.sku}: {reason}",
                "Mend the listing on the channel, then: oms-hub exceptions retry",
            )
            for row, reason in dead
        ],
    )
    resolve_exceptions(
        tx,
        merchant_id=stored.merchant_id,
        connection_id=stored.connection_id,
        kind="push_rejected",
        references=[row.listing_key for row, _ in delivered],
        reason="the channel took a level",
    )


def _postpone(tx: Transaction, delivery: Delivery, results: Sequence[SentRow]) -> None:
    now = delivery.hub.clock()
    postponed = []
    for each in results:
        wait = 0.0
        if each.outcome.result is PushResult.RETRY:
            wait = max(each.outcome.after_seconds, wait_seconds(each.row.attempts + 1))
        reason = each.outcome.reason or each.outcome.result.value
        postponed.append(Postponed(each.row.outbox_id, reason, now + timedelta(seconds=wait)))
    record_failed(
        tx,
        delivery.stored.connection_id,
        [(each.row.listing_key, each.outcome.reason or each.outcome.result.value) for each in results],
    )
    outbox.postpone_rows(tx, postponed)


def wait_seconds(attempts: int) -> float:
    """Return how long a row waits after its nth attempt was put off: 30 s, doubled each time, an hour at most.

    Example:
        >>> wait_seconds(1), wait_seconds(3), wait_seconds(9)
        (30.0, 120.0, 3600.0)
    """
    doubled = _FIRST_WAIT_SECONDS * 2.0 ** (attempts - 1)
    return min(doubled, _LONGEST_WAIT_SECONDS)


def _read_back(delivery: Delivery, unknown: Sequence[SentRow]) -> None:
    """Settle rows whose answer was lost by looking; what is not there is open again, or given up after many tries."""
    if not unknown:
        return
    seen = read(delivery, [each.row for each in unknown])
    there = [each for each in unknown if level_of(seen, each.row) == each.row.to_level]
    missing = [each for each in unknown if level_of(seen, each.row) != each.row.to_level]
    exhausted = [each for each in missing if each.row.attempts + 1 >= MOST_ATTEMPTS]
    still_open = [each for each in missing if each.row.attempts + 1 < MOST_ATTEMPTS]
    dead = [(each.row, f"no answer in {MOST_ATTEMPTS} attempts: {each.outcome.reason}") for each in exhausted]

    def keep(tx: Transaction) -> None:
        close(tx, delivery, [(each.row, True) for each in there], dead)
        _postpone(tx, delivery, still_open)

    delivery.write(keep)
    for each in there:
        delivery.tell(each.row, each.seen, "applied", "read back")
    for each in still_open:
        delivery.tell(each.row, each.seen, "unknown", each.outcome.reason)
    for row, reason in dead:
        delivery.tell(row, seen.get(row.listing_key), "rejected", reason)


def level_of(seen: Mapping[str, ObservedLevel], row: OutboxRow) -> int | None:
    """Return the level that was read for a row, None where there was none."""
    level = seen.get(row.listing_key)
    return None if level is None else level.available
