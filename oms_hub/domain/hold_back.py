"""The last units: how much of a pool each listing shows, so that all of them together cannot sell it twice.

What belongs here: hold-back, the split of a scarce pool, and the rule for raising while scarce. Not here: the rates
(`demand`), the pool (`availability`, less `in_flight`), policies (a listing's `limit` is what its policy allows).

Between two looks every channel can sell all that it shows. While the pool is large that is harmless, and every
listing shows the pool less what the others may sell before the next look:

    hold = ceil(m + risk * sqrt(m)),  m = units that the other listings are expected to sell within their news delay

Once that is less than a listing's part of a split of the pool, it shows its part: parts never add up to more than the
pool. The split gives unit after unit to the listing that is likeliest to need one more before the next look, and
leaves units where they are when that is nearly as good: a move takes a unit out of sale for a moment.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

DEFAULT_RISK = 3.0
_UNIT_BY_UNIT = 256
"""Larger pools are split by rate and only the remainder unit by unit; the difference is below a tenth of a percent."""
_STAYING = 1.25
"""How much likelier elsewhere must need a unit before it is taken from where it is shown now."""


@dataclass(frozen=True, slots=True)
class Seller:
    """One listing of a SKU, as far as sharing its pool goes. All figures are in units of the SKU.

    Attributes:
        rate: expected units sold per second while on offer, above zero.
        news_seconds: from a sale there to the hub acting on it, at worst: the time between two looks, delivery, and
            the age of the last good look where one failed.
        shown: units on offer there now, as last confirmed; 0 where unknown because never pushed.
        limit: the most that its policy (share, cap, end_when, pause) allows of this pool; None for the whole pool.
        pack_size: units that one sale takes; the listing shows whole packs.
        can_be_stopped: False for a till: it sells whatever it is told, so the others leave it what it may sell.
    """

    rate: float
    news_seconds: float
    shown: int = 0
    limit: int | None = None
    pack_size: int = 1
    can_be_stopped: bool = True


def holds(pool: int, sellers: Sequence[Seller], *, risk: float = DEFAULT_RISK) -> tuple[int, ...]:
    """Return for each listing the units kept back for the others, in the order given.

    Never more than the others can sell: the units that they show or may show.
    """
    expected = [seller.rate * seller.news_seconds for seller in sellers]
    reach = [max(seller.shown, _limit(seller, pool)) if seller.can_be_stopped else pool for seller in sellers]
    everybody, everything = sum(expected), sum(reach)
    return tuple(
        min(_hold(everybody - own, risk), everything - most) if len(expected) > 1 else 0
        for own, most in zip(expected, reach, strict=True)
    )


def is_scarce(pool: int, hold: int) -> bool:
    """Return whether a listing may only be raised into what the others do not show."""
    return pool <= 2 * hold + 1


def split(pool: int, sellers: Sequence[Seller], *, risk: float = DEFAULT_RISK) -> tuple[int, ...]:
    """Return each listing's own part of the pool, in units; the parts never add up to more than the pool.

    Whole packs only, nobody above its limit; what nobody may take stays out. The listing that sells fastest gets the
    first unit. Ties go to the first in the order given, so the result is stable. What a listing that cannot be
    stopped may sell before its next news is taken off first; its own part is zero.
    """
    sellers = [seller if seller.can_be_stopped else replace(seller, limit=0) for seller in sellers]
    parts = [0] * len(sellers)
    left = pool = pool - _unstoppable(sellers, risk)
    if pool > _UNIT_BY_UNIT:
        everybody = sum(seller.rate for seller in sellers)
        for index, seller in enumerate(sellers):
            parts[index] = _whole_packs(min(_limit(seller, pool), int(pool * (seller.rate / everybody))), seller)
        left -= sum(parts)
    waiting = [(-_need(seller, parts[index]), index) for index, seller in enumerate(sellers)]
    heapq.heapify(waiting)
    while waiting and left > 0:
        _, index = heapq.heappop(waiting)
        seller = sellers[index]
        if seller.pack_size > left or parts[index] + seller.pack_size > _limit(seller, pool):
            continue
        parts[index] += seller.pack_size
        left -= seller.pack_size
        heapq.heappush(waiting, (-_need(seller, parts[index]), index))
    return tuple(parts)


def targets(pool: int, sellers: Sequence[Seller], *, risk: float = DEFAULT_RISK) -> tuple[int, ...]:
    """Return the units that each listing should show, in the order given; multiples of its pack size.

    Args:
        pool: what may be sold now, with in-flight units taken off; zero or less shows nothing anywhere.
        sellers: all listings of the SKU. The figure of one that cannot be stopped is of no use.
        risk: how many standard deviations of the others' sales are held back.
    """
    if pool <= 0 or not sellers:
        return (0,) * len(sellers)
    kept_back = holds(pool, sellers, risk=risk)
    loose = [
        _whole_packs(min(_limit(seller, pool), pool - hold), seller)
        for seller, hold in zip(sellers, kept_back, strict=True)
    ]
    if not is_scarce(pool, max(kept_back)):
        return tuple(loose)
    parts = split(pool, sellers, risk=risk)
    return tuple(max(part, units) for part, units in zip(parts, loose, strict=True))


def raises(
    pool: int, sellers: Sequence[Seller], wanted: Sequence[int], *, risk: float = DEFAULT_RISK
) -> tuple[int, ...]:
    """Return the units that each listing may show once raised, never less than it shows now.

    Called after the reductions of the same plan are confirmed, with `shown` as confirmed. A listing for which the
    pool is scarce is raised only into what the others do not show at that moment, the raises before it included;
    the likeliest to need a unit comes first.

    Args:
        pool: what may be sold now.
        sellers: all listings of the SKU, `shown` as it is after the reductions.
        wanted: the units of `targets`, in the same order.
        risk: as in `targets`.
    """
    kept_back = holds(pool, sellers, risk=risk)
    reserve = _unstoppable(sellers, risk)
    reached = [seller.shown if seller.can_be_stopped else 0 for seller in sellers]
    order = sorted(range(len(sellers)), key=lambda index: (-_need(sellers[index], reached[index]), index))
    for index in order:
        seller, goal = sellers[index], wanted[index]
        if goal <= reached[index]:
            continue
        if is_scarce(pool, kept_back[index]):
            room = pool - reserve - (sum(reached) - reached[index])
            goal = min(goal, _whole_packs(room, seller))
        reached[index] = max(reached[index], goal)
    return tuple(reached)


def settle(pool: int, sellers: Sequence[Seller], *, risk: float = DEFAULT_RISK) -> tuple[tuple[int, int], ...]:
    """Return for each listing (units it should show, units it may show right now), in the order given.

    The second is smaller only where a raise has to wait until other listings have confirmed their reductions. Once they
    have, both are the same, and a second look changes nothing.
    """
    wanted = targets(pool, sellers, risk=risk)
    lowered = [replace(seller, shown=min(seller.shown, goal)) for seller, goal in zip(sellers, wanted, strict=True)]
    now, later = raises(pool, sellers, wanted, risk=risk), raises(pool, lowered, wanted, risk=risk)
    return tuple(
        (goal, goal) if goal <= seller.shown or not seller.can_be_stopped else (max(late, soon), soon)
        for seller, goal, soon, late in zip(sellers, wanted, now, later, strict=True)
    )


def _hold(expected: float, risk: float) -> int:
    return math.ceil(expected + risk * math.sqrt(max(0.0, expected)) - 1e-9)


def _unstoppable(sellers: Sequence[Seller], risk: float) -> int:
    return _hold(sum(seller.rate * seller.news_seconds for seller in sellers if not seller.can_be_stopped), risk)


def _limit(seller: Seller, pool: int) -> int:
    return pool if seller.limit is None else min(pool, seller.limit)


def _whole_packs(units: int, seller: Seller) -> int:
    return max(0, units) // seller.pack_size * seller.pack_size


def _need(seller: Seller, units: int) -> float:
    """Return how likely the listing sells more than `units` before its next news, with a bonus for units it has."""
    mean = seller.rate * seller.news_seconds / seller.pack_size
    need = _more_than(units // seller.pack_size, mean)
    return need * _STAYING if units < seller.shown else need


def _more_than(sales: int, mean: float) -> float:
    """Return the probability of more than `sales` sales where `mean` are expected (Poisson; normal where large)."""
    if mean > 50:
        return 0.5 * math.erfc((sales + 0.5 - mean) / math.sqrt(2 * mean))
    count = sales + 1
    term = math.exp(count * math.log(mean) - mean - math.lgamma(count + 1)) if mean > 0 else 0.0
    total = 0.0
    while term > total * 1e-12:
        total += term
        count += 1
        term *= mean / count
    return total
