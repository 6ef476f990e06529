"""The scenarios: who buys how fast, how late the hub hears of it, what goes wrong.

What belongs here: figures. Not here: what happens with them (`market`, `hub`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

HOUR = 3600.0
Shape: TypeAlias = Literal["steady", "seasonal", "flash"]


@dataclass(frozen=True, slots=True)
class DemandShape:
    """Buyers per second over time; each buyer wants one unit.

    Attributes:
        rate: buyers per second: always (steady), on average (seasonal), before and after the rush (flash).
        shape: `seasonal` swings by 80 % around the rate every `period_seconds`; `flash` multiplies it by `factor`
            from `starts_at` for `period_seconds`.
    """

    rate: float
    shape: Shape = "steady"
    factor: float = 1.0
    starts_at: float = 0.0
    period_seconds: float = 4 * HOUR

    def at(self, seconds: float) -> float:
        """Return the buyers per second at an instant."""
        if self.shape == "seasonal":
            return self.rate * (1 + 0.8 * math.sin(2 * math.pi * seconds / self.period_seconds))
        if self.shape == "flash" and self.starts_at <= seconds < self.starts_at + self.period_seconds:
            return self.rate * self.factor
        return self.rate

    @property
    def peak(self) -> float:
        """Return the highest rate there is."""
        return self.rate * {"steady": 1.0, "seasonal": 1.8, "flash": max(1.0, self.factor)}[self.shape]


@dataclass(frozen=True, slots=True)
class Faults:
    """How often things go wrong: probabilities per call, and mean hours between a person's edits per channel."""

    pull_fails: float = 0.0
    answer_lost: float = 0.0
    """The answer to a write never comes; half of these writes were done."""
    is_repeated: float = 0.0
    """A write is delivered a second time some seconds later; an answer to a pull brings old orders once more."""
    hours_between_edits: float = 0.0
    edits_until_hours: float = 10.0
    cancelled: float = 0.0
    """Share of orders that buyers cancel (the channel puts the unit back on offer by itself)."""
    returned: float = 0.0
    """Share of orders whose unit comes back to the merchant's shelf."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One situation.

    Attributes:
        channels: one demand shape per channel that takes levels.
        tills: one per till: its sales are seen like orders, but it sells as long as something lies on the shelf.
        stock: units at the start.
        visible_after: an order is visible to the hub so many seconds after the sale, evenly spread.
        sync_seconds: time between two syncs.
        pull_seconds: how long reading takes. push_seconds: how long a write takes.
        picked_after: seconds until the unit of an order is off the shelf, where a till cannot sell it any more.
        is_counting: edits by hand at the channels are counts (role `counts`); else they are overwritten (`follows`).
        absolute_channels: how many of the channels (the last ones) know no compare-and-swap.
    """

    name: str
    title: str
    channels: tuple[DemandShape, ...]
    stock: int
    visible_after: tuple[float, float]
    sync_seconds: float
    hours: float
    tills: tuple[DemandShape, ...] = ()
    pull_seconds: float = 1.0
    push_seconds: float = 1.0
    faults: Faults = Faults()
    absolute_channels: int = 0
    picked_after: tuple[float, float] = (600.0, 2400.0)
    is_counting: bool = False


def _alike(count: int, rate: float) -> tuple[DemandShape, ...]:
    return tuple(DemandShape(rate) for _ in range(count))


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("one_channel_flash", "1 channel, flash sale", _alike(1, 0.05), 300, (30, 300), 60, 3),
    Scenario("three_channels_ordinary", "3 channels, ordinary days", _alike(3, 0.003), 60, (5, 60), 300, 4),
    Scenario("three_channels_flash", "3 channels, flash sale", _alike(3, 0.05), 600, (30, 300), 60, 2),
    Scenario("five_channels_slow_tail", "5 channels, slow seller", _alike(5, 0.0005), 8, (5, 60), 300, 8),
    Scenario("three_channels_fast_news", "3 channels, flash sale, news in 2 s", _alike(3, 0.05), 600, (1, 2), 5, 2),
    Scenario(
        "with_a_till",
        "2 channels and a till that cannot be stopped",
        (DemandShape(0.004, "seasonal"), DemandShape(0.002)),
        120,
        (5, 60),
        120,
        12,
        tills=(DemandShape(0.003),),
    ),
    Scenario(
        "returns_and_edits",
        "3 channels, a rush, cancellations, returns, edits by hand",
        (
            DemandShape(0.004, "seasonal"),
            DemandShape(0.002, "flash", factor=15, starts_at=HOUR, period_seconds=HOUR / 2),
            DemandShape(0.003),
        ),
        150,
        (5, 90),
        120,
        18,
        faults=Faults(hours_between_edits=6, cancelled=0.06, returned=0.05),
        is_counting=True,
    ),
    Scenario(
        "lost_and_repeated_answers",
        "4 channels, answers lost and repeated, pulls that fail",
        _alike(4, 0.004),
        200,
        (5, 60),
        120,
        10,
        faults=Faults(pull_fails=0.05, answer_lost=0.05, is_repeated=0.05),
    ),
)
"""Five situations that the rules were designed on, and three with what real life adds."""
