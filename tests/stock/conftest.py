"""A merchant with real orders, levels and channels in a real database, in as few words as the tests need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from oms_hub.channel.contract import (
    Capabilities,
    Channel,
    ChannelLocation,
    ListingRecord,
    ListingRef,
    ObservedLevel,
    PushOutcome,
    PushResult,
    StockWrite,
    StockWriteMode,
)
from oms_hub.store.connections import StoredConnection, add_connection, set_push
from oms_hub.store.counts import Count, CountsBooked, book_counts
from oms_hub.store.engine import Store, Transaction, open_store_at
from oms_hub.store.goods import add_skus, default_location, find_sku
from oms_hub.store.merchants import Merchant, add_merchant
from oms_hub.store.stock import StockApplied, apply_order_changes
from oms_hub.store.sync_runs import finish_run, start_run
from oms_hub.sync.hub import Hub

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Return the instant that many minutes after noon; the clock of the tests stands at noon."""
    return NOON + timedelta(minutes=minutes)


class PlainBox:
    """A cipher that hides nothing; these tests have no secrets."""

    def encrypt(self, plaintext: bytes, context: bytes) -> bytes:
        return plaintext

    def decrypt(self, ciphertext: bytes, context: bytes) -> bytes:
        return ciphertext


@dataclass
class FakeShop:
    """A channel in this process: its levels, its listings, what it answers next, and what was asked of it."""

    levels: dict[str, int | None] = field(default_factory=dict)
    on_hand: dict[str, int] = field(default_factory=dict)
    listings: list[ListingRecord] = field(default_factory=list)
    places: list[ChannelLocation] = field(default_factory=list)
    answers: list[Callable[[FakeShop, StockWrite], PushOutcome]] = field(default_factory=list)
    writes: list[StockWrite] = field(default_factory=list)
    calls: int = 0
    reads: list[ListingRef] = field(default_factory=list)
    fail_writes: Exception | None = None
    fail_reads: Exception | None = None

    def listing_source(self, _session: Any) -> Iterator[Sequence[ListingRecord]]:
        for start in range(0, len(self.listings), 2):
            yield self.listings[start : start + 2]

    def locations(self, _session: Any) -> Sequence[ChannelLocation]:
        return self.places

    def stock_source(self, _session: Any, references: Sequence[ListingRef]) -> Iterator[ObservedLevel]:
        self.reads.extend(references)
        if self.fail_reads is not None:
            raise self.fail_reads
        for each in references:
            if each.listing_key in self.levels:
                yield ObservedLevel(
                    each.listing_key,
                    self.levels[each.listing_key],
                    self.on_hand.get(each.listing_key),
                    channel_location_id=each.channel_location_id,
                    version=f"v{self.levels[each.listing_key]}",
                )

    def stock_sink(self, _session: Any, writes: Sequence[StockWrite]) -> Sequence[PushOutcome]:
        self.calls += 1
        self.writes.extend(writes)
        if self.fail_writes is not None:
            raise self.fail_writes
        return [self.answers.pop(0)(self, write) if self.answers else accept(self, write) for write in writes]

    @property
    def written(self) -> list[tuple[str, int | None, int]]:
        """Return every write that was asked for: listing, expected level, new level."""
        return [(write.listing.listing_key, write.expected, write.quantity) for write in self.writes]


def accept(shop: FakeShop, write: StockWrite) -> PushOutcome:
    """Take a level if the expected one still stands."""
    key = write.listing.listing_key
    if write.expected is not None and shop.levels.get(key) != write.expected:
        return PushOutcome(key, PushResult.STALE, observed=shop.levels.get(key), reason="level changed")
    shop.levels[key] = write.quantity
    return PushOutcome(key, PushResult.APPLIED)


def answer(result: PushResult, *, reason: str = "", after_seconds: float = 0.0, is_applied: bool = False) -> Any:
    """Return an answer that says so, whatever is written; `is_applied` takes the level nevertheless."""

    def answered(shop: FakeShop, write: StockWrite) -> PushOutcome:
        if is_applied:
            shop.levels[write.listing.listing_key] = write.quantity
        return PushOutcome(write.listing.listing_key, result, reason=reason, after_seconds=after_seconds)

    return answered


def sell_then_accept(units: int) -> Any:
    """Return an answer of a shop that sells units between the hub's read and its write."""

    def answered(shop: FakeShop, write: StockWrite) -> PushOutcome:
        key = write.listing.listing_key
        shop.levels[key] = (shop.levels[key] or 0) - units
        return accept(shop, write)

    return answered


def _nothing(*_arguments: Any) -> Any:
    raise AssertionError("these tests never pull or parse orders")


def fake_channel(shop: FakeShop, name: str = "fake", **changes: Any) -> Channel:
    """Return a channel that is bound to this shop."""
    channel = Channel(
        name=name,
        title="Fake",
        capabilities=Capabilities(stock_write=StockWriteMode.COMPARE_AND_SWAP, stock_batch_size=2),
        settings=(),
        split_page=_nothing,
        parse_order=_nothing,
        check=_nothing,
        check_settings=lambda _settings: None,
        order_source=_nothing,
        listing_source=shop.listing_source,
        stock_source=shop.stock_source,
        stock_sink=shop.stock_sink,
    )
    return replace(channel, **changes)


@dataclass(frozen=True)
class Line:
    """One order line; `shipped` and `returned` are (quantity, instant) each, the place in the channel's id."""

    sku: str | None
    quantity: int = 1
    line_id: str = "1"
    listing_key: str | None = None
    shipped: Sequence[tuple[int, datetime]] = ()
    returned: Sequence[tuple[int, datetime]] = ()
    reserved: int = 0
    allocated: int | None = None
    place: str = ""
    needs_stock: bool = True


class World:
    """One merchant and all that the stock side keeps of it."""

    def __init__(self, store: Store, clock: Any) -> None:
        self.store = store
        self.clock = clock
        self.shops: dict[str, FakeShop] = {}
        self.channels: dict[str, Channel] = {}
        with store.begin() as tx:
            self.merchant: Merchant = add_merchant(tx, "acme", currency="MXN", time_zone="America/Mexico_City")
            self.main = default_location(tx, self.merchant.merchant_id).location_id
        self.merchant_id = self.merchant.merchant_id

    @property
    def hub(self) -> Hub:
        return Hub(self.store, self.channels, PlainBox(), self.clock, lambda _seconds: None)

    def connect(
        self, name: str, *, is_push_enabled: bool = True, has_pulled: bool = True, settings: Any = None, **changes: Any
    ) -> tuple[StoredConnection, FakeShop]:
        """Add a connection on a channel of its own whose orders were pulled well."""
        shop = FakeShop()
        self.shops[name] = shop
        self.channels[name] = fake_channel(shop, name, **changes)
        with self.store.begin() as tx:
            stored = add_connection(tx, name, merchant=self.merchant, channel=name, settings=settings or {})
            if is_push_enabled:
                set_push(tx, stored.connection_id, True)
        if has_pulled:
            self.pulled(stored)
        return stored, shop

    def pulled(self, stored: StoredConnection, *, error: str | None = None) -> None:
        """Record a pull of orders that went well, or failed."""
        with self.store.begin() as tx:
            run = start_run(tx, merchant_id=self.merchant_id, connection_id=stored.connection_id, step="pull_orders")
            finish_run(tx, run, counts={}, error=error)

    def skus(self, *codes: str) -> None:
        with self.store.begin() as tx:
            add_skus(tx, self.merchant_id, codes)

    def sku_id(self, code: str) -> int:
        with self.store.read() as tx:
            found = find_sku(tx, self.merchant_id, code)
        assert found is not None
        return found

    def count(self, code: str, quantity: int, when: datetime = NOON, *, location_id: int | None = None) -> CountsBooked:
        with self.store.begin() as tx:
            each = Count(self.sku_id(code), location_id or self.main, quantity, when)
            return book_counts(tx, self.merchant_id, [each], source="test")

    def share_everything(self) -> None:
        """Hold nothing back for other listings, for tests that are about something else."""
        self.run(
            "INSERT INTO hub.policies (merchant_id, scope, scarce) VALUES (:m, 'merchant', 'shared')",
            m=self.merchant_id,
        )

    def listing(
        self, stored: StoredConnection, key: str, sku: str | None, *, level: int | None = None, pack_size: int = 1
    ) -> None:
        """Put a linked listing into the store and into the shop, as seen and linked earlier."""
        self.shops[stored.name].levels[key] = level
        with self.store.begin() as tx:
            if sku is not None:
                add_skus(tx, self.merchant_id, [sku])
            tx.execute(
                text(
                    "INSERT INTO hub.listings (connection_id, listing_key, merchant_id, channel_sku, title, sku_id, "
                    "link_state, pack_size) SELECT :connection_id, :key, :merchant_id, :sku, '', sku_id, "
                    "CASE WHEN sku_id IS NULL THEN 'unmapped' ELSE 'automatic' END, :pack_size "
                    "FROM (SELECT (SELECT sku_id FROM hub.skus WHERE merchant_id = :merchant_id AND sku = :sku)) "
                    "AS s (sku_id)"
                ),
                {
                    "connection_id": stored.connection_id,
                    "key": key,
                    "merchant_id": self.merchant_id,
                    "sku": sku,
                    "pack_size": pack_size,
                },
            )

    def order(
        self,
        stored: StoredConnection,
        order_id: str,
        *lines: Line,
        placed_at: datetime = NOON,
        previous_sku_ids: Sequence[int] | None = None,
    ) -> StockApplied:
        """Store an order at its newest version, as `normalise_orders` does, and let stock follow."""
        with self.store.begin() as tx:
            store_order(tx, stored, order_id, lines, placed_at=placed_at)
            return apply_order_changes(
                tx,
                connection_id=stored.connection_id,
                channel_order_ids=[order_id],
                previous_sku_ids=previous_sku_ids,
            )

    def on_hand(self, code: str, location_id: int | None = None) -> int | None:
        """Return a SKU's on_hand at a place (the default one), None where it has no level."""
        rows = self.rows(
            "SELECT on_hand FROM hub.balances WHERE sku_id = :sku AND location_id = :place AND counted_at IS NOT NULL",
            sku=self.sku_id(code),
            place=location_id or self.main,
        )
        return rows[0][0] if rows else None

    def ledger(self, code: str) -> list[tuple[str, int, int, int]]:
        """Return a SKU's movements in the order of the ledger: kind, quantity, before, after."""
        return [
            tuple(row)
            for row in self.rows(
                "SELECT kind, quantity, balance_before, balance_after FROM hub.movements "
                "WHERE sku_id = :sku ORDER BY movement_id",
                sku=self.sku_id(code),
            )
        ]

    def dirty(self) -> set[str]:
        return {row[0] for row in self.rows("SELECT sku FROM hub.stock_dirty JOIN hub.skus USING (sku_id)")}

    def clean(self) -> None:
        self.run("DELETE FROM hub.stock_dirty")

    def outbox(self, state: str = "open") -> list[tuple[str, int | None, int]]:
        return [
            tuple(row)
            for row in self.rows(
                "SELECT listing_key, from_level, to_level FROM hub.outbox WHERE state = :state ORDER BY outbox_id",
                state=state,
            )
        ]

    def level(self, key: str) -> Mapping[str, Any]:
        rows = self.rows("SELECT * FROM hub.listing_levels WHERE listing_key = :key", key=key)
        return dict(rows[0]._mapping) if rows else {}

    def exceptions(self, state: str = "open") -> list[tuple[str, str]]:
        return [
            tuple(row)
            for row in self.rows(
                "SELECT kind, reference FROM hub.exceptions WHERE state = :state ORDER BY kind, reference", state=state
            )
        ]

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        with self.store.read() as tx:
            return list(tx.execute(text(query), parameters).all())

    def run(self, statement: str, **parameters: Any) -> None:
        with self.store.begin() as tx:
            tx.execute(text(statement), parameters)

    def assert_ledger_balances(self) -> None:
        """Every on_hand is the sum of its movements, and every movement starts where the one before it ended."""
        assert not self.rows(
            "SELECT b.sku_id FROM hub.balances b WHERE b.on_hand <> (SELECT coalesce(sum(m.quantity), 0) "
            "FROM hub.movements m WHERE m.sku_id = b.sku_id AND m.location_id = b.location_id)"
        )
        assert not self.rows(
            "SELECT 1 FROM (SELECT balance_before, lag(balance_after, 1, 0) OVER (PARTITION BY sku_id, location_id "
            "ORDER BY movement_id) AS expected FROM hub.movements) AS m WHERE balance_before <> expected"
        )


_TABLES = (
    "order_stock_events", "shipment_lines", "shipments", "refund_lines", "refunds", "order_lines", "orders",
)  # fmt: skip


def store_order(
    tx: Transaction, stored: StoredConnection, order_id: str, lines: Sequence[Line], *, placed_at: datetime
) -> None:
    """Write an order's rows anew, the way a newer version replaces an older one."""
    key = {"c": stored.connection_id, "o": order_id, "m": stored.merchant_id}
    for table in _TABLES:
        tx.execute(text(f"DELETE FROM hub.{table} WHERE connection_id = :c AND channel_order_id = :o"), key)
    tx.execute(
        text(
            "INSERT INTO hub.orders (connection_id, channel_order_id, merchant_id, label, kind, placed_at, "
            "channel_updated_at, channel_version, content_hash, raw_page_id, raw_position, state, payment_state, "
            "fulfilment_state, channel_state, channel_payment_state, channel_fulfilment_state, is_sale, is_test, "
            "is_draft, taxes_included, currency, total, adjustment_amount) VALUES (:c, :o, :m, :o, 'standard', "
            ":placed_at, :placed_at, 0, '', 1, 0, 'open', 'paid', 'unfulfilled', '', '', '', true, false, false, "
            "false, 'MXN', 0, 0)"
        ),
        {**key, "placed_at": placed_at},
    )
    for position, line in enumerate(lines):
        _store_line(tx, {**key, "line": line.line_id}, line, position)


def _store_line(tx: Transaction, key: Mapping[str, Any], line: Line, position: int) -> None:
    shipped = sum(quantity for quantity, _ in line.shipped)
    allocated = line.allocated if line.allocated is not None else max(0, line.quantity - shipped - line.reserved)
    tx.execute(
        text(
            "INSERT INTO hub.order_lines (connection_id, channel_order_id, merchant_id, line_id, position, "
            "listing_key, channel_sku, title, quantity, unit_price, gross_amount, discount_amount, "
            "order_discount_amount, tax_amount, cancelled_quantity, needs_stock, channel_location_id, "
            "allocated_quantity, reserved_quantity) VALUES (:c, :o, :m, :line, :position, :listing_key, :sku, '', "
            ":quantity, 1, 1, 0, 0, 0, 0, :needs_stock, :place, :allocated, :reserved)"
        ),
        {
            **key,
            "position": position,
            "listing_key": line.listing_key,
            "sku": line.sku,
            "quantity": line.quantity,
            "needs_stock": line.needs_stock,
            "place": line.place or None,
            "allocated": allocated if line.needs_stock else 0,
            "reserved": line.reserved,
        },
    )
    for nth, (quantity, when) in enumerate(line.shipped):
        values = {**key, "id": f"{line.line_id}.{nth}", "q": quantity, "when": when, "place": line.place or None}
        tx.execute(
            text(
                "INSERT INTO hub.shipments (connection_id, channel_order_id, merchant_id, shipment_id, status, "
                "shipped_at, channel_location_id) VALUES (:c, :o, :m, :id, '', :when, :place)"
            ),
            values,
        )
        tx.execute(
            text(
                "INSERT INTO hub.shipment_lines (connection_id, channel_order_id, merchant_id, shipment_id, position, "
                "line_id, quantity) VALUES (:c, :o, :m, :id, 0, :line, :q)"
            ),
            values,
        )
    for nth, (quantity, when) in enumerate(line.returned):
        values = {**key, "id": f"{line.line_id}.{nth}", "q": quantity, "when": when, "place": line.place or None}
        tx.execute(
            text(
                "INSERT INTO hub.refunds (connection_id, channel_order_id, merchant_id, refund_id, refunded_at, "
                "paid_amount, shipping_amount, shipping_tax_amount, other_amount, reason) "
                "VALUES (:c, :o, :m, :id, :when, 0, 0, 0, 0, '')"
            ),
            values,
        )
        tx.execute(
            text(
                "INSERT INTO hub.refund_lines (connection_id, channel_order_id, merchant_id, refund_id, position, "
                "line_id, quantity, amount, tax_amount, is_restocked, channel_location_id) "
                "VALUES (:c, :o, :m, :id, 0, :line, :q, 0, 0, true, :place)"
            ),
            values,
        )
    for kind, facts in (("sale", line.shipped), ("return", line.returned)):
        if facts and line.needs_stock:
            tx.execute(
                text(
                    "INSERT INTO hub.order_stock_events (connection_id, channel_order_id, merchant_id, line_id, kind, "
                    "channel_location_id, cumulative_quantity, occurred_at) "
                    "VALUES (:c, :o, :m, :line, :kind, :place, :q, :when)"
                ),
                {
                    **key,
                    "kind": kind,
                    "place": line.place,
                    "q": sum(quantity for quantity, _ in facts),
                    "when": max(when for _, when in facts),
                },
            )


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """Give a store at a URL and close it."""
    store = open_store_at(url)
    try:
        yield store
    finally:
        store.close()


class Kit:
    """The words that the tests are written in, since test modules cannot import one another."""

    Line = Line
    at = staticmethod(at)
    NOON = NOON
    accept = staticmethod(accept)
    answer = staticmethod(answer)
    sell_then_accept = staticmethod(sell_then_accept)
    store_order = staticmethod(store_order)
    World = World
    opened = staticmethod(opened)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """Give the tests' vocabulary."""
    return Kit


@pytest.fixture
def world(database_url: str, frozen_clock: Any) -> Iterator[World]:
    """Give a merchant in a fresh database, at noon."""
    with opened(database_url) as store:
        yield World(store, frozen_clock)
