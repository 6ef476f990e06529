"""Delivering: what stands in the outbox of a connection goes to its channel, row by row accounted for.

What belongs here: which rows are due, switches (push off, dry run), the report. Not here: the conversation with the
channel (`push_batch`), what is planned (`plan_push`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from oms_hub.channel.contract import Channel
from oms_hub.store import outbox
from oms_hub.store.connections import StoredConnection
from oms_hub.sync.hub import Hub
from oms_hub.sync.listing_levels import place_of
from oms_hub.sync.plan_push import plan_scope
from oms_hub.sync.push_batch import deliver_batch
from oms_hub.sync.push_delivery import DeliveredRow, Delivery
from oms_hub.sync.steps import StepRun, running_step


@dataclass(frozen=True, slots=True)
class DeliverReport:
    """What became of the rows that were due.

    Attributes:
        applied: written and confirmed. in_step: the channel showed the level already, nothing was written.
        stale, retry, unknown: still open, the next delivery goes on with them.
        rejected: given up, in the dead letters.
        raise_waits: would go up, and must not while another connection of the SKU cannot be pulled.
        held_back_because_push_is_off: not sent, because pushing is off or this was a dry run.
    """

    applied: int
    in_step: int
    stale: int
    retry: int
    rejected: int
    unknown: int
    raise_waits: int
    held_back_because_push_is_off: int
    rows: Sequence[DeliveredRow]


def deliver_push(hub: Hub, name: str, *, is_dry_run: bool = False) -> DeliverReport:
    """Send a connection's due levels, or say what would be sent.

    Nothing is sent, and nothing is written to the store, on a dry run or while pushing is off for the connection.

    Raises:
        HubError: the channel could not be asked or the store failed; every answer that came is recorded.
    """
    stored = hub.connection(name)
    channel = hub.channel(stored)
    if is_dry_run or not stored.is_push_enabled or channel.stock_sink is None:
        return _report(_would_push(hub, stored))
    with running_step(hub, stored, "deliver_push") as run:
        delivery = _open(hub, stored, channel, run)
        try:
            _deliver(delivery)
        finally:
            report = _report(delivery.rows)
            run.count(
                applied=report.applied, in_step=report.in_step, stale=report.stale, retry=report.retry,
                rejected=report.rejected, unknown=report.unknown, raise_waits=report.raise_waits,
            )  # fmt: skip
        if not (report.stale or report.retry or report.unknown):
            run.mark_good("push")
    return report


def _would_push(hub: Hub, stored: StoredConnection) -> list[DeliveredRow]:
    with hub.store.read() as tx:
        rows = outbox.open_rows(tx, stored.connection_id)
    return [
        DeliveredRow(row.listing_key, row.sku, row.from_level, row.to_level, "would_push", row.cause) for row in rows
    ]


def _open(hub: Hub, stored: StoredConnection, channel: Channel, run: StepRun) -> Delivery:
    with hub.store.read() as tx:
        scope = plan_scope(hub, tx, stored.merchant_id, stored.merchant)
        place = place_of(tx, stored, channel)
    return Delivery(hub, stored, channel, hub.session(stored), run, scope, place)


def _deliver(delivery: Delivery) -> None:
    with delivery.hub.store.read() as tx:
        due = outbox.due_ids(tx, delivery.stored.connection_id, now=delivery.hub.clock())
    size = max(1, delivery.channel.capabilities.stock_batch_size)
    for start in range(0, len(due), size):
        with delivery.hub.store.begin() as tx:
            delivery.run.lease.assert_held(tx)
            rows = outbox.claim(tx, due[start : start + size])
        if rows:
            deliver_batch(delivery, rows)


def _report(rows: Sequence[DeliveredRow]) -> DeliverReport:
    found = Counter(row.result for row in rows)
    return DeliverReport(
        applied=found["applied"],
        in_step=found["in_step"],
        stale=found["stale"],
        retry=found["retry"],
        rejected=found["rejected"],
        unknown=found["unknown"],
        raise_waits=found["raise_waits"],
        held_back_because_push_is_off=found["would_push"],
        rows=tuple(rows),
    )
