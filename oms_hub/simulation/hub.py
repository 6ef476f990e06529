"""What a simulated hub knows, and how it asks: pulling orders, reading levels, writing them.

What belongs here: the book of each channel and the calls, over the real rules for pool, in-flight units and demand.
Not here: what to write when (`strategies`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from oms_hub.domain import availability, demand, in_flight
from oms_hub.simulation.market import Answer, Market, SimulatedChannel, Write

LATE_WRITE_SECONDS = 60.0
"""A write whose answer was lost is done within this time or never."""


@dataclass(slots=True)
class Book:
    """What the hub has written down about one channel."""

    channel: SimulatedChannel
    orders: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Order -> version and live units."""
    cursor: int = 0
    acknowledged: int = 0
    ledger: in_flight.InFlight = field(default_factory=lambda: in_flight.InFlight(level=0))
    demand: demand.Demand = field(default_factory=demand.Demand)
    looked_at: float = 0.0
    doubts: list[int] = field(default_factory=list)
    """Levels of writes whose answer was lost: they may have been done, or be done late."""
    doubted_at: float = -math.inf
    new_units: int = 0
    """Units of the orders that the last pull brought for the first time."""
    overwritten: list[tuple[float, float]] = field(default_factory=list)
    """Windows from a read to an absolute write: a sale in one never shows as a fall, its order must explain none."""
    restocked_units: int = 0
    """Units of newly cancelled orders in that pull, which the channel put back on offer by itself."""
    open_shift: Write | None = None
    """A shift whose answer was lost: it is sent again under its own key."""

    @property
    def level(self) -> int:
        """Return the level as last read or confirmed."""
        return self.ledger.level or 0

    @property
    def most_shown(self) -> int:
        """Return the most that may be on offer there: doubtful writes are taken as done."""
        return max(self.level, 0, *self.doubts)


class HubView:
    """The hub's side of one run."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.books = [Book(channel) for channel in market.channels]
        self.shops = [book for book in self.books if not book.channel.is_till]
        self._key_count = 0
        self._allocated = 0
        self._adopted = 0
        self._age_limit = in_flight.age_limit_seconds(market.scenario.visible_after[1])

    @property
    def now(self) -> float:
        """Return the present simulated second."""
        return self.market.timeline.now

    def pool(self) -> int:
        """Return what the hub believes may be sold by what was reported and booked, before units in flight."""
        return availability.pool((self.place(),))

    def place(self, *, risen: int = 0) -> availability.PlaceStock:
        """Return the stock by what was reported and booked, with rises that count as stock already."""
        on_hand = self.market.scenario.stock + self.market.received + self._adopted + risen
        return availability.PlaceStock(on_hand, allocated=self._allocated)

    def pool_after_in_flight(self) -> int:
        """Return what the hub believes may be sold, as the levels tell it before orders and counts do.

        Where the connections count, their unexplained rises are stock, as a person's edit there is.
        """
        ledgers = [book.ledger for book in self.shops]
        risen = in_flight.total_risen(ledgers) if self.market.scenario.is_counting else 0
        return availability.pool((self.place(risen=risen),)) - in_flight.total_units(ledgers)

    def pull(self) -> Iterator[float]:
        """Ask every channel for its orders at once; return whether all answered (`yield from`)."""
        market = self.market
        yield market.scenario.pull_seconds / 2
        is_good = True
        for book in self.books:
            book.new_units = book.restocked_units = 0
            if market.happens(market.scenario.faults.pull_fails):
                is_good = False
                continue
            self._take_orders(book)
        yield market.scenario.pull_seconds / 2
        self.is_pull_good = is_good

    is_pull_good = True

    def _take_orders(self, book: Book) -> None:
        cursor, unseen = book.cursor, 0
        if self.market.happens(self.market.scenario.faults.is_repeated):
            cursor = max(0, cursor - 5)
        for record in book.channel.orders_from(cursor):
            version, units = book.orders.get(record.order_id, (0, 0))
            if record.version <= version:
                continue
            book.orders[record.order_id] = (record.version, record.live_units)
            self._allocated += record.live_units - units
            if version == 0:
                book.new_units += record.placed_units
                unseen += in_flight.is_overwritten(record.placed_at, book.overwritten) * record.placed_units
            book.restocked_units += record.placed_units - record.live_units
        book.cursor = len(book.channel.orders)
        book.ledger = in_flight.pull_units(book.ledger, book.new_units - unseen, restocked_units=book.restocked_units)

    def look(self, book: Book) -> int:
        """Read a channel's level and enter it: what fell is in flight, and tells the demand."""
        observed = book.channel.read()
        if book.doubted_at + LATE_WRITE_SECONDS < self.now:
            book.doubts.clear()
        self._enter(book, observed)
        return observed

    def write(self, changes: Mapping[int, int]) -> Iterator[float]:
        """Write levels (shop's index -> level) to all at once, by compare-and-swap where the channel knows it.

        A stale answer enters the level it tells; an answer that never comes leaves the book in doubt, and the level
        is read back.
        """
        market = self.market
        yield market.scenario.push_seconds / 2
        for index, level in changes.items():
            book = self.shops[index]
            write = self.new_write("swap" if book.channel.has_swap else "set", level, expected=book.level)
            answer = market.send(book.channel, write)
            if not book.channel.has_swap:
                book.overwritten.append((book.looked_at, self.now))
            if answer.result == "applied":
                book.ledger = in_flight.confirm_level(book.ledger, level)
                book.doubts.clear()
            elif answer.result == "stale":
                self._enter(book, answer.level)
            else:
                book.doubts.append(level)
                book.doubted_at = self.now
        yield market.scenario.push_seconds / 2
        for index in changes:
            if self.shops[index].doubts:
                self.look(self.shops[index])

    def new_write(self, kind: str, value: int, *, expected: int = 0) -> Write:
        """Return a write with a key of its own."""
        self._key_count += 1
        if kind == "swap":
            return Write("swap", value, self._key_count, expected)
        return Write("shift" if kind == "shift" else "set", value, self._key_count)

    def send(self, book: Book, write: Write) -> Answer:
        """Send one write and return what is heard of it."""
        return self.market.send(book.channel, write)

    def observe_till(self, book: Book) -> None:
        """Enter a till's sales: its orders are all that it tells."""
        self._learn(book, book.new_units, self.now - book.looked_at)

    def _enter(self, book: Book, observed: int) -> None:
        for doubtful in book.doubts:
            meant = in_flight.level_after_unknown(book.level, doubtful, observed)
            book.ledger = in_flight.confirm_level(book.ledger, meant)
        level = book.level
        fallen = max(0, level - observed)
        elapsed = self.now - book.looked_at
        on_offer = demand.seconds_on_offer(elapsed, sold=fallen, level_at_start=level, level_at_end=observed)
        self._learn(book, fallen, on_offer)
        book.ledger = in_flight.read_level(
            book.ledger,
            observed,
            seen_at_seconds=self.now,
            is_certain=book.doubted_at + self._age_limit < self.now,
        )
        book.ledger, drift = in_flight.expire(book.ledger, seen_before_seconds=self.now - self._age_limit)
        if self.market.scenario.is_counting:
            self._adopted += drift.risen - drift.fallen

    def _learn(self, book: Book, units: int, on_offer_seconds: float) -> None:
        book.demand = demand.observe(book.demand, units=units, on_offer_seconds=on_offer_seconds)
        book.looked_at = self.now
