"""Trying again what an exception is about: a payload that could not be read, a push that was refused."""

from __future__ import annotations

from dataclasses import dataclass

from oms_hub.errors import Misconfigured
from oms_hub.store.dead_letters import list_dead, retry_dead
from oms_hub.store.exceptions import StoredException, list_exceptions
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import normalise_orders, retry_quarantined
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_orders import UNREADABLE_PAGE, pull_orders

_MOST_OPEN = 1_000_000


@dataclass(frozen=True, slots=True)
class RetryOutcome:
    """Whether the exception is gone now, and what to tell."""

    is_resolved: bool
    message: str


def retry_exception(hub: Hub, exception_id: int) -> RetryOutcome:
    """Try again what an open exception is about.

    Raises:
        Misconfigured: there is no such open exception, or its kind has nothing to try again.
        HubError: the attempt itself failed.
    """
    found = _open(hub, exception_id)
    if found is None:
        raise Misconfigured(f"There is no open exception {exception_id}", remedy="See: oms-hub exceptions list")
    if found.kind == "bad_payload" and found.connection:
        if found.reference == UNREADABLE_PAGE:
            pull_orders(hub, found.connection)
            normalise_orders(hub, found.connection)
        else:
            retry_quarantined(hub, found.connection, record_ids=[found.reference])
    elif found.kind == "push_rejected" and found.connection:
        _push_again(hub, found, found.connection)
    else:
        raise Misconfigured(
            f"Exception {exception_id} ({found.kind}) has nothing to try again",
            remedy=found.remedy or "It closes by itself when its cause is gone; or dismiss it with a reason",
        )
    still = _open(hub, exception_id)
    if still is None:
        return RetryOutcome(True, f"Exception {exception_id} is resolved.")
    return RetryOutcome(False, still.message)


def _open(hub: Hub, exception_id: int) -> StoredException | None:
    with hub.store.read() as tx:
        rows = list_exceptions(tx, limit=_MOST_OPEN)
    return next((row for row in rows if row.exception_id == exception_id), None)


def _push_again(hub: Hub, found: StoredException, connection: str) -> None:
    stored = hub.connection(connection)
    with hub.store.begin() as tx:
        for letter in list_dead(tx, stored.merchant_id):
            if letter.connection == connection and letter.listing_key == found.reference:
                retry_dead(tx, letter.outbox_id)
    plan_push(hub, stored.merchant)
    deliver_push(hub, connection)
