"""Who gets the units when there are not enough: the order of demands, and what each is given.

What belongs here: a stable order and the hand-out over it. Not here: the one atomic statement that books it
(`oms_hub.store`), which must sort by `sort_key` too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

SortKey: TypeAlias = tuple[int, bool, datetime, str, str]


@dataclass(frozen=True, slots=True)
class Demand:
    """Units that one order line wants.

    Attributes:
        reference: a name that is unique over all connections: the last tie-break, so that the order never wavers.
        line_id: the line within it.
        units: open units, 0 or more.
        placed_at: when the buyer ordered, aware UTC.
        priority: the channel's or the order's rank by the merchant's rules; lower goes first, 100 unless set.
        is_expedited: True where the buyer paid for speed; goes before the others of its priority.
        takes_part: True where a part of the units may be allocated; else all or none.
    """

    reference: str
    line_id: str
    units: int
    placed_at: datetime
    priority: int = 100
    is_expedited: bool = False
    takes_part: bool = True


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a demand was given: `allocated` units now, `backordered` units later."""

    demand: Demand
    allocated: int
    backordered: int


def sort_key(demand: Demand) -> SortKey:
    """Return what demands are sorted by: priority, expedited first, oldest first, then reference and line."""
    return demand.priority, not demand.is_expedited, demand.placed_at, demand.reference, demand.line_id


def allocate(available: int, demands: Sequence[Demand]) -> tuple[Allocation, ...]:
    """Hand out units in order; never more than there are, and never depending on the order of arrival.

    Args:
        available: units there are; zero or less gives everybody nothing.
        demands: who wants some, in any order. One that takes no part is passed over where too few are left, and the
            next may have them.

    Returns:
        One entry per demand, in the order of `sort_key`.

    Raises:
        ValueError: if a demand's units are negative.
    """
    left = max(0, available)
    found: list[Allocation] = []
    for demand in sorted(demands, key=sort_key):
        if demand.units < 0:
            raise ValueError(f"{demand.reference} line {demand.line_id}: units must not be negative")
        given = min(left, demand.units)
        if given < demand.units and not demand.takes_part:
            given = 0
        left -= given
        found.append(Allocation(demand, given, demand.units - given))
    return tuple(found)
