"""Reconciling orders: the channel's own list of ids beside ours; what is missing is fetched, what is gone is buried.

What belongs here: the comparison and the fetching. What was fetched lands as raw pages; `normalise_orders` makes
orders of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from oms_hub.channel.contract import Channel, RawPage
from oms_hub.errors import Misconfigured
from oms_hub.store.connections import StoredConnection
from oms_hub.store.exceptions import OpenException, open_exceptions, settle_exceptions
from oms_hub.store.order_ids import placed_order_ids, unknown_order_ids
from oms_hub.store.statuses import orders_compared_ago
from oms_hub.sync.hub import Hub
from oms_hub.sync.pull_orders import PullReport, land_pages
from oms_hub.sync.read_records import TOMBSTONES
from oms_hub.sync.steps import StepRun, running_step

EVERY = timedelta(hours=24)
DAYS_BACK = 30
_IDS_AT_ONCE = 5_000
_LOOKED_UP_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """What comparing found.

    Attributes:
        channel_orders: orders that the channel has in the window.
        missing: those of them that were not known here, and were asked for by name.
        vanished: orders of ours that the channel says no longer exist.
    """

    channel_orders: int
    missing: int
    vanished: int


def reconcile_orders(hub: Hub, name: str, *, placed_from: datetime, placed_to: datetime) -> ReconcileReport:
    """Compare the orders placed in [placed_from, placed_to) with the channel; run `normalise_orders` after it.

    An order of ours that the channel does not list is asked for by name before it is believed gone.

    Args:
        hub: the hub.
        name: the connection.
        placed_from: start of the window, aware.
        placed_to: its end, aware, not in it.

    Raises:
        Misconfigured: the channel cannot list its orders.
        HubError: the comparison stopped; what was fetched before stays.
    """
    stored = hub.connection(name)
    channel = hub.channel(stored)
    if channel.order_ids is None or channel.order_lookup is None:
        raise Misconfigured(f"Channel {channel.name} cannot list its orders (connection {name})")
    with running_step(hub, stored, "reconcile_orders") as run:
        with hub.store.read() as tx:
            ours = placed_order_ids(
                tx,
                connection_id=stored.connection_id,
                merchant_id=stored.merchant_id,
                placed_from=placed_from,
                placed_to=placed_to,
            )
        listed = set(channel.order_ids(hub.session(stored), placed_from, placed_to))
        missing = _unknown(hub, stored, sorted(listed - ours))
        unlisted = sorted(ours - listed)
        answers = _Answers()
        for wanted in _slices([*missing, *unlisted], _LOOKED_UP_AT_ONCE):
            pages = answers.watch(channel, channel.order_lookup(hub.session(stored), wanted))
            land_pages(hub, stored, channel, run, pages, report=PullReport(), moves_cursor=False)
        _report_lost(hub, stored, run, missing=missing, found=answers.found | answers.gone)
        report = ReconcileReport(len(listed), len(missing), len(answers.gone.intersection(unlisted)))
        run.count(channel_orders=report.channel_orders, missing=report.missing, vanished=report.vanished)
    return report


def reconcile_recent(hub: Hub, name: str, *, days_back: int = DAYS_BACK) -> ReconcileReport:
    """Compare the orders of the last days with the channel, up to now; as `reconcile_orders`."""
    now = hub.clock()
    return reconcile_orders(hub, name, placed_from=now - timedelta(days=days_back), placed_to=now)


def reconciling_is_due(hub: Hub, stored: StoredConnection) -> bool:
    """Return whether a day has passed since a connection's orders were compared, or pulled for the first time."""
    channel = hub.channel(stored)
    if channel.order_ids is None or channel.order_lookup is None:
        return False
    with hub.store.read() as tx:
        ago = orders_compared_ago(tx, stored.connection_id)
    return ago is not None and ago >= EVERY


class _Answers:
    """Which of the orders that were asked for came, and which are gone."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.gone: set[str] = set()

    def watch(self, channel: Channel, pages: Iterator[RawPage]) -> Iterator[RawPage]:
        """Yield the pages, taking note of the ids in them."""
        for page in pages:
            ids = {record.record_id for record in channel.split_page(page.kind, page.body)}
            (self.gone if page.kind == TOMBSTONES else self.found).update(ids)
            yield page


def _unknown(hub: Hub, stored: StoredConnection, order_ids: Sequence[str]) -> list[str]:
    unknown: list[str] = []
    for some in _slices(order_ids, _IDS_AT_ONCE):
        with hub.store.read() as tx:
            unknown.extend(unknown_order_ids(tx, stored.connection_id, some))
    return unknown


def _slices(order_ids: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(order_ids)
    while some := list(islice(rest, size)):
        yield some


def _report_lost(hub: Hub, stored: StoredConnection, run: StepRun, *, missing: Sequence[str], found: set[str]) -> None:
    """Open an exception for every order that the channel lists and does not give, and close those of the others."""
    lost = [order_id for order_id in missing if order_id not in found]
    with hub.store.begin() as tx:
        run.lease.assert_held(tx)
        settle_exceptions(
            tx,
            merchant_id=stored.merchant_id,
            connection_id=stored.connection_id,
            kinds=["orders_missing"],
            references=sorted(found),
            still_open=(),
            reason="the order was found",
        )
        open_exceptions(
            tx,
            merchant_id=stored.merchant_id,
            connection_id=stored.connection_id,
            found=[
                OpenException("orders_missing", order_id, f"The channel lists order {order_id} and does not give it")
                for order_id in lost
            ],
        )
