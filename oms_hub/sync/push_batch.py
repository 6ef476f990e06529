"""One batch of a delivery: read, write, and compute again what was stale.

What belongs here: the conversation with the channel about at most `stock_batch_size` listings. Not here: which rows
are due (`deliver_push`), what becomes of each row in the store (`push_outcomes`).

Nothing is sent that was not read just before, so a row whose answer was lost (a time-out, a crash) is never sent
blindly again. Each transaction is short, and none is open while the channel is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from oms_hub.channel.contract import ObservedLevel, PushOutcome, PushResult, StockWrite
from oms_hub.errors import HubError, OutcomeUnknown
from oms_hub.store import outbox
from oms_hub.store.engine import Transaction
from oms_hub.store.levels import record_acknowledged, record_failed
from oms_hub.store.outbox import OutboxRow
from oms_hub.store.plan import skus_listed_on
from oms_hub.store.stock import mark_dirty
from oms_hub.sync.listing_levels import UNTOLD, note_of
from oms_hub.sync.plan_push import plan_skus
from oms_hub.sync.push_outcomes import (
    Delivery,
    SentRow,
    close,
    level_of,
    read,
    record_outcomes,
    reference_of,
    take_back,
)

MOST_RECOMPUTATIONS = 3


def deliver_batch(delivery: Delivery, rows: Sequence[OutboxRow]) -> None:
    """Bring one batch to the channel and record every row's own outcome.

    Raises:
        HubError: the channel could not be asked; what it answered before is recorded, the rest stays open.
    """
    sold_meanwhile: defaultdict[int, int] = defaultdict(int)
    seen = read(delivery, rows)
    for recomputations in range(MOST_RECOMPUTATIONS + 1):
        stale = _send(delivery, _settle_without_writing(delivery, rows, seen), seen)
        if not stale:
            return
        seen = read(delivery, [each.row for each in stale])
        is_last = recomputations == MOST_RECOMPUTATIONS
        rows = _compute_again(delivery, stale, seen, sold_meanwhile, is_last=is_last)


def _settle_without_writing(
    delivery: Delivery, rows: Sequence[OutboxRow], seen: Mapping[str, ObservedLevel]
) -> list[OutboxRow]:
    """Close what the reading settled already and return what is left to write."""
    if delivery.channel.stock_source is None:
        return list(rows)
    in_step, without_level, waiting, to_send = [], [], [], []
    unsure = _unsure_skus(delivery, rows)
    for row in rows:
        level = seen.get(row.listing_key)
        if level is None or level.available is None:
            without_level.append((row, UNTOLD if level is None else note_of(level)))
        elif level.available == row.to_level:
            in_step.append(row)
        elif level.available < row.to_level and row.sku_id in unsure:
            waiting.append(row)
        else:
            to_send.append(row)
    if in_step or without_level:
        delivery.write(lambda tx: close(tx, delivery, [(row, False) for row in in_step], without_level))
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


def _send(delivery: Delivery, rows: Sequence[OutboxRow], seen: Mapping[str, ObservedLevel]) -> list[SentRow]:
    """Write the rows to the channel, record what became of them, and return those that were stale."""
    sink = delivery.channel.stock_sink
    if not rows or sink is None:
        return []
    with delivery.hub.store.begin() as tx:
        delivery.run.lease.assert_held(tx)
        keys = outbox.mark_sent(tx, [row.outbox_id for row in rows], at=delivery.hub.clock())
    sent = [row for row in rows if row.outbox_id in keys]
    if not sent:
        return []
    try:
        outcomes = sink(delivery.session, [_write(delivery, row, seen, keys[row.outbox_id]) for row in sent])
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
            seen.get(row.listing_key),
            told.get(row.listing_key, PushOutcome(row.listing_key, PushResult.UNKNOWN, reason=silent)),
        )
        for row in sent
    ]
    return record_outcomes(delivery, results)


def _write(delivery: Delivery, row: OutboxRow, seen: Mapping[str, ObservedLevel], key: str) -> StockWrite:
    level = seen.get(row.listing_key)
    return StockWrite(
        listing=reference_of(delivery, row),
        quantity=row.to_level,
        expected=None if level is None else level.available,
        idempotency_key=key,
        version=None if level is None else level.version,
    )


def _compute_again(
    delivery: Delivery,
    stale: Sequence[SentRow],
    seen: Mapping[str, ObservedLevel],
    sold_meanwhile: defaultdict[int, int],
    *,
    is_last: bool,
) -> tuple[OutboxRow, ...]:
    """Compute the SKUs of stale rows again and return the rows to send now, none of them with its old level.

    What the level fell by since it was read is sold and not here as an order yet: the pool is without it. The SKUs are
    marked, so that the next plan computes them from the orders themselves. A row that comes out the same waits for it.
    """
    sku_ids = sorted({each.row.sku_id for each in stale})
    for each in stale:
        before, now = None if each.seen is None else each.seen.available, level_of(seen, each.row)
        if before is not None and now is not None:
            sold_meanwhile[each.row.sku_id] += max(0, before - now) * each.row.pack_size
    keys = [each.row.listing_key for each in stale]
    again: list[OutboxRow] = []

    def keep(tx: Transaction) -> None:
        mark_dirty(tx, delivery.stored.merchant_id, sku_ids)
        now = [(key, level.available, False) for key, level in seen.items() if level.available is not None]
        record_acknowledged(tx, delivery.stored.connection_id, now, at=delivery.hub.clock())
        record_failed(tx, delivery.stored.connection_id, [(key, "stale") for key in keys])
        plan_skus(tx, delivery.scope, sku_ids, in_flight=sold_meanwhile)
        again.extend(outbox.open_rows_of(tx, delivery.stored.connection_id, keys))

    delivery.write(keep)
    refused = {each.row.listing_key: each.row.to_level for each in stale}
    to_send = () if is_last else tuple(row for row in again if row.to_level != refused[row.listing_key])
    sent_again = {row.listing_key for row in to_send}
    for each in stale:
        if each.row.listing_key not in sent_again:
            delivery.tell(each.row, each.seen, "stale", each.outcome.reason)
    return to_send
