"""Sync runs: one row per step of the flow that ran, how it ended and what it counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from oms_hub.store.engine import Transaction
from oms_hub.store.schema import sync_runs

_LOST = "The process ended without a word"


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One step that ran or runs."""

    sync_run_id: int
    merchant_id: int
    connection_id: int | None
    step: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    counts: Mapping[str, Any]
    error: str


def start_run(tx: Transaction, *, merchant_id: int, connection_id: int | None, step: str) -> int:
    """Record that a step runs and return its number.

    Whoever starts holds the lease: runs of the same subject that still count as running belong to dead processes,
    and are marked failed.
    """
    query = update(sync_runs).where(sync_runs.c.state == "running", sync_runs.c.merchant_id == merchant_id)
    if connection_id is None:
        query = query.where(sync_runs.c.connection_id.is_(None), sync_runs.c.step == step)
    else:
        query = query.where(sync_runs.c.connection_id == connection_id)
    tx.execute(query.values(state="failed", finished_at=func.now(), error=_LOST))
    return int(
        tx.execute(
            insert(sync_runs)
            .values(merchant_id=merchant_id, connection_id=connection_id, step=step)
            .returning(sync_runs.c.sync_run_id)
        ).scalar_one()
    )


def finish_run(tx: Transaction, sync_run_id: int, *, counts: Mapping[str, int], error: str | None = None) -> None:
    """Record how a step ended: well, or with an error in one line."""
    tx.execute(
        update(sync_runs)
        .where(sync_runs.c.sync_run_id == sync_run_id)
        .values(
            state="succeeded" if error is None else "failed",
            finished_at=func.clock_timestamp(),
            counts=dict(counts),
            error=error or "",
        )
    )


def latest_runs(tx: Transaction, *, connection_id: int | None = None, limit: int = 50) -> Sequence[SyncRun]:
    """Return the latest runs, newest first."""
    query = select(sync_runs).order_by(sync_runs.c.sync_run_id.desc()).limit(limit)
    if connection_id is not None:
        query = query.where(sync_runs.c.connection_id == connection_id)
    return [SyncRun(**row._mapping) for row in tx.execute(query)]
