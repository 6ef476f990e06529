"""One batch of a delivery: read, compute again what sold meanwhile, write, and compute again what was stale.

What belongs here: the conversation with the channel about at most `stock_batch_size` listings. Not here: which rows
are due (`deliver_push`), what becomes of each row in the store (`push_outcomes`).

Nothing is sent that was not read just before, so a row whose answer was lost (a time-out, a crash) is never sent
blindly again. Only where a channel takes changes and does each key once is such a row sent again as it was. Each
transaction is short, and none is open while the channel is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from oms_hub.channel.contract import PushOutcome, PushResult, StockWrite
from oms_hub.errors import HubError, OutcomeUnknown
from oms_hub.store import outbox
from oms_hub.store.engine import Transaction
from oms_hub.store.level_ledger import doubt_levels, lock_levels
from oms_hub.store.levels import record_failed
from oms_hub.store.outbox import OutboxRow
from oms_hub.store.plan import skus_listed_on
from oms_hub.store.stock import mark_dirty
from oms_hub.sync.listing_levels import UNTOLD, note_of
from oms_hub.sync.plan_push import plan_skus
from oms_hub.sync.push_delivery import Delivery, Reading, SentRow, level_of, read, reference_of
from oms_hub.sync.push_outcomes import close, record_outcomes, take_back

MOST_RECOMPUTATIONS = 3


def deliver_batch(delivery: Delivery, rows: Sequence[OutboxRow]) -> None:
    """Bring one batch to the channel and record every row's own outcome.

    Raises:
        HubError: the channel could not be asked; what it answered before is recorded, the rest stays open.
    """
    reading = read(delivery, rows)
    if reading.moved:
        rows = _after_sales(delivery, rows, reading)
    for recomputations in range(MOST_RECOMPUTATIONS + 1):
        stale = _send(delivery, _settle_without_writing(delivery, rows, reading), reading)
        if not stale:
            return
        reading = read(delivery, [each.row for each in stale])
        is_last = recomputations == MOST_RECOMPUTATIONS
        rows = _compute_again(delivery, stale, reading, is_last=is_last)


def _after_sales(delivery: Delivery, rows: Sequence[OutboxRow], reading: Reading) -> Sequence[OutboxRow]:
    """Compute again what changed by itself since the plan, and return the rows of the batch as they are now."""
    found: dict[str, OutboxRow] = {}

    def keep(tx: Transaction) -> None:
        mark_dirty(tx, delivery.stored.merchant_id, reading.moved)
        plan_skus(tx, delivery.scope, reading.moved)
        keys = [row.listing_key for row in rows]
        found.update({row.listing_key: row for row in outbox.open_rows_of(tx, delivery.stored.connection_id, keys)})

    delivery.write(keep)
    return [found[row.listing_key] for row in rows if row.listing_key in found]


def _settle_without_writing(delivery: Delivery, rows: Sequence[OutboxRow], reading: Reading) -> list[OutboxRow]:
    """Close what the reading settled already and return what is left to write."""
    if delivery.channel.stock_source is None:
        return list(rows)
    seen = reading.levels
    in_step, without_level, waiting, to_send = [], [], [], []
    unsure = _unsure_skus(delivery, rows)
    for row in rows:
        level = seen.get(row.listing_key)
        if delivery.is_sent_again(row):
            to_send.append(row)
        elif level is None or level.available is None:
            without_level.append((row, UNTOLD if level is None else note_of(level)))
        elif level.available == row.to_level:
            in_step.append(row)
        elif level.available < row.to_level and row.sku_id in unsure:
            waiting.append(row)
        else:
            to_send.append(row)
    if in_step or without_level:
        # A row that was sent and is there now was done: its level is not in doubt any more.
        there = [(row, reading.read_at if row.was_sent else None) for row in in_step]
        delivery.write(lambda tx: close(tx, delivery, there, without_level))
    for row in in_step:
        delivery.tell(row, seen[row.listing_key], "in_step")
    for row, reason in without_level:
        delivery.tell(row, seen.get(row.listing_key), "rejected", reason)
    for row in waiting:
        delivery.tell(row, seen[row.listing_key], "raise_waits", "another connection could not be pulled")
    return to_send


def _unsure_skus(delivery: Delivery, rows: Sequence[OutboxRow]) -> frozenset[int]:
    sku_ids = sorted({row.sku_id for row in rows})
    if delivery.scope.is_all_unsure:
        return frozenset(sku_ids)
    with delivery.hub.store.read() as tx:
        return skus_listed_on(tx, sku_ids, delivery.scope.unsure)


def _send(delivery: Delivery, rows: Sequence[OutboxRow], reading: Reading) -> list[SentRow]:
    """Write the rows to the channel, record what became of them, and return those that were stale."""
    sink = delivery.channel.stock_sink
    if not rows or sink is None:
        return []
    sent_at = delivery.hub.clock()
    writes = _announce(delivery, rows, reading)
    sent = [row for row in rows if row.outbox_id in writes]
    if not sent:
        return []
    try:
        outcomes = sink(delivery.session, [writes[row.outbox_id] for row in sent])
    except OutcomeUnknown as error:
        outcomes = [PushOutcome(row.listing_key, PushResult.UNKNOWN, reason=error.message) for row in sent]
    except HubError as error:
        take_back(delivery, sent, error)
        raise
    told = {outcome.listing_key: outcome for outcome in outcomes}
    silent = "the channel said nothing about it"
    results = [
        SentRow(
            row,
            reading.levels.get(row.listing_key),
            told.get(row.listing_key, PushOutcome(row.listing_key, PushResult.UNKNOWN, reason=silent)),
            sent_at,
        )
        for row in sent
    ]
    return record_outcomes(delivery, results)


def _announce(delivery: Delivery, rows: Sequence[OutboxRow], reading: Reading) -> dict[int, StockWrite]:
    """Write down what is about to be sent, before it is; return it by outbox id, without what a plan superseded."""
    seen = reading.levels
    versions = {key: level.version for key, level in seen.items()}
    again = {row.outbox_id: row for row in rows if delivery.is_sent_again(row)}
    sent_from = {row.outbox_id: row.sent_from if row.outbox_id in again else level_of(seen, row) for row in rows}
    keys: dict[int, str] = {}

    def keep(tx: Transaction) -> None:
        lock_levels(tx, delivery.stored.connection_id, [row.listing_key for row in rows])
        read_at = reading.read_at if delivery.writes_over else None
        keys.update(outbox.mark_sent(tx, sent_from, at=delivery.hub.clock(), read_at=read_at, keeps_key=list(again)))
        levels = {row.listing_key: row.to_level for row in rows if row.outbox_id in keys and row.outbox_id not in again}
        doubt_levels(tx, delivery.stored.connection_id, levels, at=delivery.hub.clock())

    delivery.write(keep)
    return {
        row.outbox_id: StockWrite(
            listing=reference_of(delivery, row),
            quantity=row.to_level,
            expected=sent_from[row.outbox_id],
            idempotency_key=keys[row.outbox_id],
            version=versions.get(row.listing_key),
        )
        for row in rows
        if row.outbox_id in keys
    }


def _compute_again(
    delivery: Delivery, stale: Sequence[SentRow], reading: Reading, *, is_last: bool
) -> tuple[OutboxRow, ...]:
    """Compute the SKUs of stale rows again and return the rows to send now, none of them with its old level.

    What the level fell by since it was read is in flight: the pool is without it. The SKUs are marked, so that the
    next plan computes them from the orders themselves. A row that comes out the same waits for it.
    """
    sku_ids = sorted({*(each.row.sku_id for each in stale), *reading.moved})
    keys = [each.row.listing_key for each in stale]
    again: list[OutboxRow] = []

    def keep(tx: Transaction) -> None:
        mark_dirty(tx, delivery.stored.merchant_id, sku_ids)
        record_failed(tx, delivery.stored.connection_id, [(key, "stale") for key in keys])
        plan_skus(tx, delivery.scope, sku_ids)
        again.extend(outbox.open_rows_of(tx, delivery.stored.connection_id, keys))

    delivery.write(keep)
    refused = {each.row.listing_key: each.row.to_level for each in stale}
    to_send = () if is_last else tuple(row for row in again if row.to_level != refused[row.listing_key])
    sent_again = {row.listing_key for row in to_send}
    for each in stale:
        if each.row.listing_key not in sent_again:
            delivery.tell(each.row, each.seen, "stale", each.outcome.reason)
    return to_send
