"""A delivery while it runs: to whom, what was read, what was sent, what became of each row.

What belongs here: these facts, and reading levels into the ledger. Not here: which rows are due (`deliver_push`), the
conversation (`push_batch`), what answers mean (`push_outcomes`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from oms_hub.channel.contract import (
    Channel,
    ChannelSession,
    ListingRef,
    ObservedLevel,
    PushOutcome,
    StockWriteMode,
)
from oms_hub.store.connections import StoredConnection
from oms_hub.store.engine import Transaction
from oms_hub.store.levels import record_observed
from oms_hub.store.outbox import OutboxRow
from oms_hub.sync.hub import Hub
from oms_hub.sync.listing_levels import read_levels, seen_levels
from oms_hub.sync.plan_push import PlanScope
from oms_hub.sync.steps import StepRun

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

    def write(self, change: Callable[[Transaction], object]) -> None:
        """Run one writing transaction under the lease."""
        with self.hub.store.begin() as tx:
            self.run.lease.assert_held(tx)
            change(tx)

    @property
    def writes_over(self) -> bool:
        """Return whether a sale between reading and writing is written over without a word."""
        return self.channel.capabilities.stock_write in (StockWriteMode.ABSOLUTE, None)

    @property
    def sends_same_again(self) -> bool:
        """Return whether a write without an answer may be sent again under its own key: it is done once."""
        able = self.channel.capabilities
        return able.stock_write is StockWriteMode.DELTA and able.has_idempotency_keys

    def is_sent_again(self, row: OutboxRow) -> bool:
        """Return whether a row goes out once more as it was, because its answer was lost."""
        return self.sends_same_again and row.was_sent and row.sent_from is not None


@dataclass(frozen=True, slots=True)
class SentRow:
    """A row that was sent: what the channel showed just before, when it went out, and the channel's word on it."""

    row: OutboxRow
    seen: ObservedLevel | None
    outcome: PushOutcome
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """What the channel shows: levels by listing key, when they were read, and the SKUs that changed by themselves."""

    levels: Mapping[str, ObservedLevel]
    read_at: datetime
    moved: tuple[int, ...] = ()


def read(delivery: Delivery, rows: Sequence[OutboxRow]) -> Reading:
    """Return what the channel shows now for these rows, entered into the ledger; nothing where it cannot be read."""
    read_at = delivery.hub.clock()
    levels = read_levels(delivery.channel, delivery.session, [reference_of(delivery, row) for row in rows])
    moved: list[int] = []
    if delivery.channel.stock_source is not None:
        seen = seen_levels([row.listing_key for row in rows], levels)
        delivery.write(
            lambda tx: moved.extend(record_observed(tx, delivery.stored.connection_id, seen, observed_at=read_at))
        )
    return Reading(levels, read_at, tuple(moved))


def reference_of(delivery: Delivery, row: OutboxRow) -> ListingRef:
    """Return how the connector is told which listing is meant."""
    return ListingRef(row.listing_key, delivery.place, row.attributes)


def level_of(seen: Mapping[str, ObservedLevel], row: OutboxRow) -> int | None:
    """Return the level that was read for a row, None where there was none."""
    level = seen.get(row.listing_key)
    return None if level is None else level.available
