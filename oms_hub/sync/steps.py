"""What is the same around every step: the lease, the record of the run, and what a failure leaves behind."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from oms_hub.errors import Conflict, HubError, Misconfigured, NeedsReconnect
from oms_hub.store import exceptions, health, sync_runs
from oms_hub.store.connections import StoredConnection, set_state
from oms_hub.store.engine import Transaction
from oms_hub.store.leases import Lease, lease
from oms_hub.store.merchants import Merchant
from oms_hub.sync.hub import Hub


@dataclass(slots=True)
class StepRun:
    """A step while it runs.

    Attributes:
        lease: what the step's writing transactions check.
        counts: what it counted so far; kept in the record of the run, also when it fails.
        good: `pull` or `push` once that whole piece of work went well.
    """

    lease: Lease
    counts: dict[str, int] = field(default_factory=dict)
    good: set[health.Freshness] = field(default_factory=set)

    def count(self, **numbers: int) -> None:
        """Set named counts of this run."""
        self.counts.update(numbers)

    def mark_good(self, what: health.Freshness) -> None:
        """Say that the whole pull (or push) of the connection went well: its freshness starts anew."""
        self.good.add(what)


@dataclass(frozen=True, slots=True)
class _Subject:
    lease_name: str
    title: str
    merchant_id: int
    connection_id: int | None


@contextmanager
def running_step(hub: Hub, stored: StoredConnection, step: str, *, needs_channel: bool = True) -> Iterator[StepRun]:
    """Run a step of a connection: leased, recorded, its failure kept and raised again.

    Args:
        hub: the hub.
        stored: the connection that is worked on.
        step: the step's name.
        needs_channel: False for steps that only read the store; they run whatever the connection's state.

    Raises:
        Conflict: another process works on the connection.
        NeedsReconnect, Misconfigured: the connection waits for its owner, or is paused.
    """
    if needs_channel:
        _require_active(stored)
    subject = _Subject(
        f"connection:{stored.connection_id}", f"connection {stored.name}", stored.merchant_id, stored.connection_id
    )
    with _recorded(hub, subject, step) as run:
        try:
            yield run
        except NeedsReconnect as error:
            _record_reconnect(hub, stored, error)
            raise


@contextmanager
def running_merchant_step(hub: Hub, merchant: Merchant, step: str) -> Iterator[StepRun]:
    """Run a step that belongs to a merchant as a whole (`plan`); raises Conflict where it runs already."""
    name = f"merchant:{merchant.merchant_id}:{step}"
    with _recorded(hub, _Subject(name, f"merchant {merchant.name}", merchant.merchant_id, None), step) as run:
        yield run


@contextmanager
def _recorded(hub: Hub, subject: _Subject, step: str) -> Iterator[StepRun]:
    holder = f"{step} on {socket.gethostname()}, process {os.getpid()}"
    with lease(
        hub.store,
        subject.lease_name,
        holder=holder,
        merchant_id=subject.merchant_id,
        subject=subject.title,
        sleep=hub.sleep,
    ) as held:
        with hub.store.begin() as tx:
            held.assert_held(tx)
            run_id = sync_runs.start_run(
                tx, merchant_id=subject.merchant_id, connection_id=subject.connection_id, step=step
            )
        run = StepRun(held)
        try:
            yield run
            with hub.store.begin() as tx:
                _record_success(tx, hub, subject, step, run)
                sync_runs.finish_run(tx, run_id, counts=run.counts)
        except BaseException as error:
            _record_failure(hub, subject, step, run, run_id, error)
            raise


def _record_success(tx: Transaction, hub: Hub, subject: _Subject, step: str, run: StepRun) -> None:
    run.lease.assert_held(tx)
    if subject.connection_id is not None:
        for what in sorted(run.good):
            health.record_good(
                tx,
                connection_id=subject.connection_id,
                merchant_id=subject.merchant_id,
                what=what,
                at=hub.clock(),
            )
    exceptions.resolve_exceptions(
        tx,
        merchant_id=subject.merchant_id,
        connection_id=subject.connection_id,
        kind="sync_failed",
        references=[step],
        reason="the step went well",
    )


def _record_failure(hub: Hub, subject: _Subject, step: str, run: StepRun, run_id: int, error: BaseException) -> None:
    """Keep what happened; where the store itself is the trouble, the error that is raised anyway has to do."""
    message = error.one_line() if isinstance(error, HubError) else f"Unexpected {type(error).__name__} in {step}"
    try:
        with hub.store.begin() as tx:
            sync_runs.finish_run(tx, run_id, counts=run.counts, error=message)
            if isinstance(error, Conflict) or not isinstance(error, Exception):
                return
            if subject.connection_id is not None:
                health.record_failure(
                    tx,
                    connection_id=subject.connection_id,
                    merchant_id=subject.merchant_id,
                    message=message,
                    at=hub.clock(),
                )
            if not isinstance(error, NeedsReconnect):
                failed = exceptions.OpenException("sync_failed", step, message)
                exceptions.open_exceptions(
                    tx, merchant_id=subject.merchant_id, connection_id=subject.connection_id, found=[failed]
                )
    except HubError as trouble:
        error.add_note(f"The failure of {step} could not be recorded: {trouble.one_line()}")


def _record_reconnect(hub: Hub, stored: StoredConnection, error: NeedsReconnect) -> None:
    try:
        with hub.store.begin() as tx:
            set_state(tx, stored.connection_id, "needs_reconnect", error.message)
            exceptions.open_exceptions(
                tx,
                merchant_id=stored.merchant_id,
                connection_id=stored.connection_id,
                found=[exceptions.OpenException("needs_reconnect", stored.name, error.message, error.remedy)],
            )
    except HubError as trouble:
        error.add_note(f"The state of {stored.name} could not be recorded: {trouble.one_line()}")


def _require_active(stored: StoredConnection) -> None:
    if stored.state == "needs_reconnect":
        raise NeedsReconnect(f"Connection {stored.name} waits for new credentials: {stored.state_reason}")
    if stored.state == "paused":
        raise Misconfigured(
            f"Connection {stored.name} is paused", remedy=f"Resume it: oms-hub connections resume {stored.name}"
        )
