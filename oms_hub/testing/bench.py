"""A connector on the bench: its sandbox, the fault proxy before it, and the hub's real steps on a real store.

What belongs here: setting up one connection and running the sync on it. Not here: what must come out (the contracts).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from oms_hub.channel.contract import (
    Channel,
    ChannelSession,
    ListingRecord,
    ListingRef,
    ObservedLevel,
    PullRequest,
    PushOutcome,
    RawPage,
    StockWrite,
)
from oms_hub.channel.secrets import SecretBox
from oms_hub.channel.transports import ImpatientTransport
from oms_hub.store.connections import StoredConnection, add_connection, set_push
from oms_hub.store.engine import open_store_at
from oms_hub.store.exceptions import list_exceptions
from oms_hub.store.merchants import add_merchant
from oms_hub.store.order_facts import OrderFacts, read_order_facts
from oms_hub.store.vault import put_secrets
from oms_hub.sync.adopt_stock import adopt_stock
from oms_hub.sync.deliver_push import DeliverReport, deliver_push
from oms_hub.sync.hub import Hub
from oms_hub.sync.import_stock import import_stock
from oms_hub.sync.normalise_orders import NormaliseReport, normalise_orders
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_listings import pull_listings
from oms_hub.sync.pull_orders import PullReport, pull_orders
from oms_hub.sync.pull_stock import pull_stock
from oms_hub.sync.reconcile_orders import ReconcileReport, reconcile_orders
from oms_hub.testing.faults import FaultProxy
from oms_hub.testing.harness import Harness

NAME = "shop-on-the-bench"
MERCHANT = "merchant"
_PATIENT_SECONDS = 30.0


class Killed(BaseException):
    """Ends a walk as a kill would: nothing in the hub catches it."""


class Bench:
    """One connection of a connector's sandbox, with all that a check needs to see and to turn."""

    def __init__(self, harness: Harness, database_url: str) -> None:
        self.harness = harness
        self.shop = harness.start(port=0, orders=harness.orders, seed=7)
        account = self.shop.account
        address = account.settings.get(harness.address_setting, self.shop.base_url)
        self.proxy = FaultProxy(address) if address.startswith("http") else None
        self.secret_values = tuple(account.secrets.values())
        self.sleeps: list[float] = []
        self.patience_seconds = _PATIENT_SECONDS
        self.on_page: Callable[[int], object] = lambda _number: None
        self._store = open_store_at(database_url)
        self._channel = _watched(harness.channel, self)
        box = SecretBox([secrets.token_bytes(32)])
        self.hub = Hub(self._store, {harness.channel.name: self._channel}, box, sleep=self.sleeps.append)
        through = {} if self.proxy is None else {harness.address_setting: self.proxy.base_url}
        self.stored = self._connect({**account.settings, **harness.settings, **through}, account.secrets)

    def _connect(self, settings: Mapping[str, str], secret_values: Mapping[str, str]) -> StoredConnection:
        with self._store.begin() as tx:
            merchant = add_merchant(tx, MERCHANT, currency="EUR", time_zone="Europe/Madrid")
            stored = add_connection(tx, NAME, merchant=merchant, channel=self._channel.name, settings=settings)
            put_secrets(tx, stored, values=secret_values, references={}, box=self.hub.box)
        return stored

    def close(self) -> None:
        """Stop the sandbox and the proxy, close the store."""
        if self.proxy is not None:
            self.proxy.close()
        self.shop.close()
        self._store.close()

    def calm(self) -> None:
        """End all trouble: the proxy forwards everything again, and the client waits as long as ever."""
        if self.proxy is not None:
            self.proxy.clear()
        self.patience_seconds = _PATIENT_SECONDS

    # ------------------------------------------------------------------------------------------------ the steps

    def sync(self, *, is_full: bool = False) -> tuple[PullReport, NormaliseReport]:
        """Pull and normalise once, with the hub's own steps."""
        pulled = pull_orders(self.hub, NAME, is_full=is_full)
        return pulled, normalise_orders(self.hub, NAME)

    def reconcile(self) -> ReconcileReport:
        """Compare the ids of all orders' days with the channel, fetch the missing, bury the vanished."""
        placed = [facts.placed_at for facts in self.facts().values()]
        day = timedelta(days=1)
        report = reconcile_orders(self.hub, NAME, placed_from=min(placed) - day, placed_to=max(placed) + day)
        normalise_orders(self.hub, NAME)
        return report

    def adopt(self) -> None:
        """Take the shop's present levels as counts and turn pushing on, as a merchant does at the start."""
        self.sync()
        pull_listings(self.hub, NAME)
        pull_stock(self.hub, NAME)
        adopt_stock(self.hub, NAME)
        with self._store.begin() as tx:
            set_push(tx, self.stored.connection_id, True)

    def count(self, levels: Mapping[str, int], folder: Path) -> None:
        """Count SKUs at the merchant's default place, by the hub's own stock file."""
        path = folder / "counts.csv"
        rows = [f"{sku},,{quantity}" for sku, quantity in levels.items()]
        path.write_text("\n".join(["sku,location,quantity", *rows, ""]), encoding="utf-8")
        import_stock(self.hub, MERCHANT, path, create_skus=True)

    def push(self) -> DeliverReport:
        """Pull everything, plan and deliver once, in the order of a real sync."""
        self.sync()
        pull_listings(self.hub, NAME)
        pull_stock(self.hub, NAME)
        plan_push(self.hub, MERCHANT)
        return deliver_push(self.hub, NAME)

    # ------------------------------------------------------------------------------------------- what came of it

    def facts(self) -> Mapping[str, OrderFacts]:
        """Return what the store holds of the connection's orders."""
        with self._store.read() as tx:
            return read_order_facts(tx, self.stored.connection_id)

    def totals(self) -> dict[str, Decimal]:
        """Return id -> total of all stored orders that have not vanished."""
        return {key: facts.total for key, facts in self.facts().items() if not facts.is_vanished}

    def open_exceptions(self, kind: str) -> list[str]:
        """Return the references of the open exceptions of a kind."""
        with self._store.read() as tx:
            return [found.reference for found in list_exceptions(tx, connection=NAME, kind=kind)]

    def state(self) -> str:
        """Return the connection's state."""
        return self.hub.connection(NAME).state

    def a_sku(self) -> str:
        """Return a SKU that can be ordered: one that was ordered before, or where orders tell none, one on offer."""
        ordered = (sku for facts in self.facts().values() for sku in facts.skus if sku)
        return next(ordered, None) or next(row.sku for row in self.listings() if row.sku and row.is_writable)

    def any_ids(self, count: int) -> Sequence[str]:
        """Return ids of orders spread over the whole shop, the first and the last among them."""
        ids = self.shop.order_ids()
        step = max(1, (len(ids) - 1) // max(1, count - 1))
        return [*ids[:-1:step][: count - 1], ids[-1]]

    # ------------------------------------------------------------------------------------- the connector, directly

    def session(self) -> ChannelSession:
        """Return a session of the connection, with the bench's patience."""
        return self.impatient(self.hub.session(self.stored))

    def impatient(self, session: ChannelSession) -> ChannelSession:
        """Return the session on a transport that waits only `patience_seconds`."""
        return replace(session, transport=ImpatientTransport(seconds=self.patience_seconds))

    def listings(self) -> list[ListingRecord]:
        """Return all listings of the sandbox."""
        source = self.harness.channel.listing_source
        return [] if source is None else [row for batch in source(self.session()) for row in batch]

    def levels(self, listings: Sequence[ListingRecord]) -> dict[str, ObservedLevel]:
        """Return the present levels by listing key, as the connector reads them."""
        source = self.harness.channel.stock_source
        refs = [ListingRef(row.listing_key, attributes=row.attributes) for row in listings]
        return {} if source is None else {row.listing_key: row for row in source(self.session(), refs)}

    def write(self, writes: Sequence[StockWrite]) -> dict[str, PushOutcome]:
        """Write levels through the connector, in batches of its size; outcomes by listing key."""
        sink, size = self.harness.channel.stock_sink, self.harness.channel.capabilities.stock_batch_size
        assert sink is not None, "the channel takes no levels"  # noqa: S101
        outcomes: dict[str, PushOutcome] = {}
        for start in range(0, len(writes), size):
            outcomes |= {row.listing_key: row for row in sink(self.session(), writes[start : start + size])}
        return outcomes


def _watched(channel: Channel, bench: Bench) -> Channel:
    """Return the channel with the bench's patience, telling the bench of each page of orders before it is stored."""
    source = channel.order_source

    def order_source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
        if source is None:
            return
        pages = source(bench.impatient(session), request)
        with _closed_after(pages):
            for number, page in enumerate(pages, start=1):
                bench.on_page(number)
                yield page

    return replace(channel, order_source=order_source)


@contextmanager
def _closed_after(pages: Iterator[RawPage]) -> Iterator[None]:
    try:
        yield
    finally:
        if isinstance(pages, Generator):
            pages.close()


@contextmanager
def on_the_bench(harness: Harness, database_url: str) -> Iterator[Bench]:
    """Give a bench, closed after the block."""
    bench = Bench(harness, database_url)
    try:
        yield bench
    finally:
        bench.close()
