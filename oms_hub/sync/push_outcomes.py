"""What became of the rows of a batch, written down: each row's own outcome, and what is read back.

What belongs here: turning the channel's answers into acknowledged levels, later tries, dead letters and exceptions.
Not here: reading before, sending and computing again (`push_batch`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from oms_hub.channel.contract import PushResult
from oms_hub.errors import HubError, RetryLater
from oms_hub.store import outbox
from oms_hub.store.engine import Transaction
from oms_hub.store.exceptions import OpenException, open_exceptions, resolve_exceptions
from oms_hub.store.level_ledger import doubt_levels, lock_levels, trust_levels
from oms_hub.store.levels import SeenLevel, record_acknowledged, record_failed, record_observed
from oms_hub.store.outbox import OutboxRow, Postponed
from oms_hub.sync.push_delivery import Delivery, SentRow, level_of, read

MOST_ATTEMPTS = 8
_FIRST_WAIT_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 3_600.0
_MAY_BE_THERE = (PushResult.APPLIED, PushResult.UNKNOWN)


def take_back(delivery: Delivery, sent: Sequence[OutboxRow], error: HubError) -> None:
    """Leave rows open that were certainly not applied; an outage is not the rows' fault and uses up no attempt."""
    after = error.after_seconds if isinstance(error, RetryLater) else 0.0
    again_at = delivery.hub.clock() + timedelta(seconds=after)
    postponed = [Postponed(row.outbox_id, error.message, again_at, counts_as_attempt=False) for row in sent]

    def keep(tx: Transaction) -> None:
        _lock(tx, delivery, sent)
        trust_levels(tx, delivery.stored.connection_id, [row.listing_key for row in sent])
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
    fresh = [each for each in applied if not delivery.is_sent_again(each.row)]
    told = [SeenLevel(each.row.listing_key, each.outcome.observed) for each in fresh if _tells_more(each)]
    now = delivery.hub.clock()

    def keep(tx: Transaction) -> None:
        _lock(tx, delivery, [each.row for each in results])
        refused = [each.row.listing_key for each in results if each.outcome.result not in _MAY_BE_THERE]
        trust_levels(tx, delivery.stored.connection_id, refused)
        close(tx, delivery, [(each.row, each.sent_at) for each in fresh], dead)
        _postpone(tx, delivery, [*retried, *by[PushResult.STALE]])
        if delivery.writes_over:
            there = [each.row.outbox_id for each in results if each.outcome.result in _MAY_BE_THERE]
            outbox.mark_answered(tx, there, at=now)

    delivery.write(keep)
    if told:
        delivery.write(lambda tx: record_observed(tx, delivery.stored.connection_id, told, observed_at=now))
    _record_sent_again(delivery, [each for each in applied if delivery.is_sent_again(each.row)])
    for each in applied:
        delivery.tell(each.row, each.seen, "applied")
    for each in retried:
        delivery.tell(each.row, each.seen, "retry", each.outcome.reason)
    for row, reason in dead:
        delivery.tell(row, None, "rejected", reason)
    if delivery.sends_same_again:
        _leave_sent(delivery, by[PushResult.UNKNOWN])
    else:
        _read_back(delivery, by[PushResult.UNKNOWN])
    return by[PushResult.STALE]


def _tells_more(each: SentRow) -> bool:
    """Return whether the channel told another level than the one written: somebody bought in between."""
    return each.outcome.observed is not None and each.outcome.observed != each.row.to_level


def _record_sent_again(delivery: Delivery, again: Sequence[SentRow]) -> None:
    """Record changes that were sent once more under their keys and are done now, the first time or this time.

    The level may be the one just read, or that with the change; whichever explains what the channel tells with fewer
    sales is taken.
    """
    if not again:
        return
    connection_id = delivery.stored.connection_id
    keys = [each.row.listing_key for each in again]
    changed = {
        each.row.listing_key: each.seen.available + each.row.to_level - (each.row.sent_from or 0)
        for each in again
        if each.seen is not None and each.seen.available is not None
    }

    def keep(tx: Transaction) -> None:
        _lock(tx, delivery, [each.row for each in again])
        trust_levels(tx, connection_id, keys)
        doubt_levels(tx, connection_id, changed, at=delivery.hub.clock())
        close(tx, delivery, [(each.row, None) for each in again], [])

    delivery.write(keep)
    told = [
        SeenLevel(each.row.listing_key, each.outcome.observed) for each in again if each.outcome.observed is not None
    ]
    delivery.write(lambda tx: record_observed(tx, connection_id, told, observed_at=delivery.hub.clock()))
    untold = [each.row for each in again if each.outcome.observed is None]
    if untold:
        read(delivery, untold)
    delivery.write(lambda tx: trust_levels(tx, connection_id, keys))


def _lock(tx: Transaction, delivery: Delivery, rows: Sequence[OutboxRow]) -> None:
    lock_levels(tx, delivery.stored.connection_id, [row.listing_key for row in rows])


def close(
    tx: Transaction,
    delivery: Delivery,
    delivered: Sequence[tuple[OutboxRow, datetime | None]],
    dead: Sequence[tuple[OutboxRow, str]],
) -> None:
    """Close rows inside a transaction: (row, when it was sent, if it was) that the channel has, (row, reason) given up.

    What was found in step, or read back, has entered the ledger by that reading.
    """
    stored = delivery.stored
    record_acknowledged(
        tx,
        stored.connection_id,
        [(row.listing_key, row.to_level, sent_at is not None) for row, sent_at in delivered],
        at=delivery.hub.clock(),
        sent_at=min((sent_at for _, sent_at in delivered if sent_at is not None), default=None),
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
    seen = read(delivery, [each.row for each in unknown]).levels
    there = [each for each in unknown if level_of(seen, each.row) == each.row.to_level]
    missing = [each for each in unknown if level_of(seen, each.row) != each.row.to_level]
    exhausted = [each for each in missing if each.row.attempts + 1 >= MOST_ATTEMPTS]
    still_open = [each for each in missing if each.row.attempts + 1 < MOST_ATTEMPTS]
    dead = [(each.row, f"no answer in {MOST_ATTEMPTS} attempts: {each.outcome.reason}") for each in exhausted]

    def keep(tx: Transaction) -> None:
        _lock(tx, delivery, [each.row for each in unknown])
        close(tx, delivery, [(each.row, each.sent_at) for each in there], dead)
        _postpone(tx, delivery, still_open)

    delivery.write(keep)
    for each in there:
        delivery.tell(each.row, each.seen, "applied", "read back")
    for each in still_open:
        delivery.tell(each.row, each.seen, "unknown", each.outcome.reason)
    for row, reason in dead:
        delivery.tell(row, seen.get(row.listing_key), "rejected", reason)


def _leave_sent(delivery: Delivery, unknown: Sequence[SentRow]) -> None:
    """Leave changes without an answer open, to be sent again under their own keys; after many tries they are dead."""
    exhausted = [each for each in unknown if each.row.attempts + 1 >= MOST_ATTEMPTS]
    waiting = [each for each in unknown if each.row.attempts + 1 < MOST_ATTEMPTS]
    dead = [(each.row, f"no answer in {MOST_ATTEMPTS} attempts: {each.outcome.reason}") for each in exhausted]

    def keep(tx: Transaction) -> None:
        _lock(tx, delivery, [each.row for each in unknown])
        close(tx, delivery, [], dead)
        record_failed(
            tx, delivery.stored.connection_id, [(each.row.listing_key, each.outcome.reason) for each in waiting]
        )

    if unknown:
        delivery.write(keep)
    for each in waiting:
        delivery.tell(each.row, each.seen, "unknown", each.outcome.reason)
    for row, reason in dead:
        delivery.tell(row, None, "rejected", reason)
