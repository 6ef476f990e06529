"""Normalising orders: raw records become orders, batch by batch, each in one transaction with the cursor.

What belongs here: the three ways to ask for it. Not here: what a batch is and how it is stored (`normalise_step`),
doing it while a pull still goes on (`normalise_behind`). Works from the store alone: no network, no credentials.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields

from oms_hub.channel.prefetch import fetch_ahead
from oms_hub.store import quarantine
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_step import STREAM, NormaliseReport, NormaliseStep
from oms_hub.sync.paused_collection import paused_collection, sweep
from oms_hub.sync.steps import running_step

__all__ = ["STREAM", "NormaliseReport", "normalise_orders", "retry_quarantined"]

_RETRIED_AT_ONCE = 500
_BATCHES_PER_SWEEP = 10
_log = logging.getLogger(__name__)


def normalise_orders(
    hub: Hub, name: str, *, is_replay: bool = False, record_ids: Sequence[str] = ()
) -> NormaliseReport:
    """Bring the orders of a connection in step with its raw records.

    Args:
        hub: the hub.
        name: the connection.
        is_replay: read every record anew, from the first; orders that come out the same keep the same rows.
        record_ids: of a replay, only the records of these orders; the others are not looked at.

    Returns:
        What was done; `quarantined` records are in quarantine with an exception each, the rest went on.
    """
    stored = hub.connection(name)
    with running_step(hub, stored, "normalise_orders", needs_channel=False) as run:
        step = NormaliseStep(hub, stored, run.lease, is_replay=is_replay)
        report = step.done_before
        run.count(after_page_id=step.first_page_id)
        if report.records:
            run.count(**_counts(report))
        with paused_collection(), closing(fetch_ahead(step.batches(record_ids), ahead=1)) as batches:
            for number, batch in enumerate(batches, start=1):
                report = report.plus(step.store(batch, cursor=batch.last_page_id))
                run.count(**_counts(report))
                _log.info("%s: %d records normalised, %d orders written", name, report.records, report.written)
                if number % _BATCHES_PER_SWEEP == 0:
                    sweep()
        step.forget_behind()
    return report


def retry_quarantined(hub: Hub, name: str, *, record_ids: Sequence[str] | None = None) -> NormaliseReport:
    """Read records that are in quarantine once more, with all other records of the same orders.

    Args:
        hub: the hub.
        name: the connection.
        record_ids: which; None means all that are in quarantine.

    Returns:
        What was done; those counted as `quarantined` still cannot be read.
    """
    stored = hub.connection(name)
    report = NormaliseReport()
    with running_step(hub, stored, "retry_quarantined", needs_channel=False) as run:
        step = NormaliseStep(hub, stored, run.lease, is_replay=True)
        with hub.store.read() as tx:
            kept = quarantine.list_quarantine(tx, stored.connection_id)
        wanted = [record.record_id for record in kept if record_ids is None or record.record_id in record_ids]
        for start in range(0, len(wanted), _RETRIED_AT_ONCE):
            batch = step.batch_of(wanted[start : start + _RETRIED_AT_ONCE])
            report = report.plus(step.store(batch, cursor=None))
        run.count(**_counts(report))
    return report


def _counts(report: NormaliseReport) -> dict[str, int]:
    return {each.name: getattr(report, each.name) for each in fields(report)}
