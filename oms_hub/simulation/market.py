"""What really happens: buyers, channels that sell what they show, tills, and the count of what went wrong.

What belongs here: the outside world, which knows the truth. Not here: the hub, which only sees what a channel tells
(`SimulatedChannel.orders_from`, `read`, `send`) and what the warehouse books (`Market.received`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, NamedTuple

from oms_hub.simulation.scenarios import HOUR, DemandShape, Scenario
from oms_hub.simulation.timeline import Process, Timeline


class OrderRecord(NamedTuple):
    """One version of an order as a pull brings it: units as placed, and units that are not cancelled."""

    order_id: int
    version: int
    placed_units: int
    live_units: int
    placed_at: float


class Write(NamedTuple):
    """One stock write: `set` to a value, `swap` to it if the level is `expected`, `shift` by it. Keys are unique."""

    kind: Literal["set", "swap", "shift"]
    value: int
    key: int
    expected: int = 0


class Answer(NamedTuple):
    """What the hub hears of a write, with the level after it (0 where no answer came)."""

    result: Literal["applied", "stale", "unknown"]
    level: int = 0


@dataclass(slots=True)
class Tally:
    """What became of one run, in units: `left` is what may truly still be sold, negative once oversold."""

    left: int
    sold: int = 0
    oversold: int = 0
    refused: int = 0


class SimulatedChannel:
    """A channel that sells down its own level, shows orders late, and takes stock writes."""

    def __init__(self, *, is_till: bool, has_swap: bool) -> None:
        self.is_till = is_till
        self.has_swap = has_swap
        self.level = 0
        self.orders: list[OrderRecord] = []
        self._keys: set[int] = set()

    def orders_from(self, cursor: int) -> list[OrderRecord]:
        """Return the order versions that became visible since a cursor, in the order they did."""
        return self.orders[cursor:]

    def read(self) -> int:
        """Return the level that buyers see."""
        return self.level

    def apply(self, write: Write) -> Answer:
        """Do a write; `swap` and `shift` are done once per key, however often they arrive."""
        if write.kind != "set" and write.key in self._keys:
            return Answer("applied", self.level)
        if write.kind == "swap" and self.level != write.expected:
            return Answer("stale", self.level)
        self._keys.add(write.key)
        self.level = self.level + write.value if write.kind == "shift" else write.value
        return Answer("applied", self.level)


class Market:
    """One run of a scenario: the channels with their buyers, and the truth about the stock."""

    def __init__(self, scenario: Scenario, chance: random.Random, timeline: Timeline) -> None:
        self.scenario = scenario
        self.chance = chance
        self.timeline = timeline
        self.tally = Tally(left=scenario.stock)
        self.received = 0
        self._shelf = scenario.stock
        self._order_count = 0
        self._picked: set[int] = set()
        self._cancelled: set[int] = set()
        swaps = len(scenario.channels) - scenario.absolute_channels
        self.channels = [
            *(SimulatedChannel(is_till=False, has_swap=index < swaps) for index in range(len(scenario.channels))),
            *(SimulatedChannel(is_till=True, has_swap=False) for _ in scenario.tills),
        ]

    def open(self) -> None:
        """Let the buyers in, and whoever edits levels by hand."""
        for channel, shape in zip(self.channels, (*self.scenario.channels, *self.scenario.tills), strict=True):
            self.timeline.start(self._buyers(channel, shape))
            if self.scenario.faults.hours_between_edits > 0 and not channel.is_till:
                self.timeline.start(self._edits(channel))

    def happens(self, probability: float) -> bool:
        """Return whether something of that probability happens now."""
        return probability > 0 and self.chance.random() < probability

    def send(self, channel: SimulatedChannel, write: Write) -> Answer:
        """Deliver a write as networks do: mostly once, with an answer."""
        faults = self.scenario.faults
        if self.happens(faults.is_repeated):
            self.timeline.after(self.chance.uniform(1, 20), lambda: self._again(channel, write))
        if self.happens(faults.answer_lost):
            if self.happens(0.5):
                channel.apply(write)
            return Answer("unknown")
        return channel.apply(write)

    def _again(self, channel: SimulatedChannel, write: Write) -> None:
        channel.apply(write)

    def _buyers(self, channel: SimulatedChannel, shape: DemandShape) -> Process:
        while True:
            yield self.chance.expovariate(shape.peak)
            if shape.shape == "steady" or self.chance.random() * shape.peak < shape.at(self.timeline.now):
                self._visit(channel)

    def _visit(self, channel: SimulatedChannel) -> None:
        if channel.is_till:
            if self._shelf > 0:
                self._shelf -= 1
                self._sell(channel)
        elif channel.level > 0:
            channel.level -= 1
            self._sell(channel)
        elif self.tally.left > 0:
            self.tally.refused += 1

    def _sell(self, channel: SimulatedChannel) -> None:
        tally, faults = self.tally, self.scenario.faults
        tally.sold += 1
        tally.oversold += tally.left <= 0
        tally.left -= 1
        self._order_count += 1
        order_id = self._order_count
        placed_at = self.timeline.now
        self._show(channel, OrderRecord(order_id, 1, 1, 1, placed_at))
        if not channel.is_till:
            self.timeline.after(self.chance.uniform(*self.scenario.picked_after), lambda: self._pick(order_id))
        if self.happens(faults.cancelled):
            self.timeline.after(self.chance.uniform(600, 2 * HOUR), lambda: self._cancel(channel, order_id, placed_at))
        elif self.happens(faults.returned):
            self.timeline.after(self.chance.uniform(HOUR, 5 * HOUR), self._take_back)

    def _show(self, channel: SimulatedChannel, record: OrderRecord) -> None:
        self.timeline.after(self.chance.uniform(*self.scenario.visible_after), lambda: channel.orders.append(record))

    def _pick(self, order_id: int) -> None:
        if order_id not in self._cancelled:
            self._shelf = max(0, self._shelf - 1)
            self._picked.add(order_id)

    def _cancel(self, channel: SimulatedChannel, order_id: int, placed_at: float) -> None:
        self.tally.left += 1
        self._cancelled.add(order_id)
        self._shelf += order_id in self._picked
        channel.level += 1
        self._show(channel, OrderRecord(order_id, 2, 1, 0, placed_at))

    def _take_back(self) -> None:
        self.tally.left += 1
        self._shelf += 1
        self.received += 1

    def _edits(self, channel: SimulatedChannel) -> Process:
        """A person finds units, or finds them missing, and tells only this channel."""
        faults = self.scenario.faults
        while True:
            yield self.chance.expovariate(1 / (faults.hours_between_edits * HOUR))
            if self.timeline.now > faults.edits_until_hours * HOUR:
                return
            found = max(-channel.level, self.chance.choice((-3, -2, -1, 1, 2, 3)))
            channel.level += found
            self.tally.left += found
            self._shelf += found
