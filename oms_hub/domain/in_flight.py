"""Units that a channel has sold and the hub has not heard of yet, told by the channel's own falling level.

What belongs here: the in-flight ledger of one listing, without clocks: instants are numbers that the caller gives.
Not here: reading levels, pulling orders, where the figures are kept (`oms_hub.store`).

A level that falls without a push of ours is sales on their way; the orders that come in later explain it:

    balance += last known level − level read now        (each read before a write; a rise counts as nothing)
    balance −= units of that connection's new orders    (as placed, later cancellations left aside)
    in flight = max(0, balance)

A rise counts as nothing because it is a restock or a person's edit: set against sales it would hide them. A balance
below zero means orders that came in before their fall was read; a read settles it, so it never outlives one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


def balance_after_read(balance: int, last_level: int | None, observed: int | None) -> int:
    """Return a listing's balance after its level was read.

    Args:
        balance: the balance before; may be negative.
        last_level: the level as last read there or confirmed to us, None if never.
        observed: the level now, None where the channel does not tell (nothing is learnt, nothing changes).
    """
    if last_level is None or observed is None:
        return balance
    return max(0, balance + max(0, last_level - observed))


def balance_after_pull(balance: int, new_units: int) -> int:
    """Return a listing's balance after orders for `new_units` units (as placed, each order once) came in."""
    return balance - new_units


def in_flight_units(balance: int) -> int:
    """Return the units in flight: what fell and is not explained by orders yet."""
    return max(0, balance)


def level_after_unknown(last_level: int, sent_level: int, observed: int) -> int:
    """Return the level to take as the last known one while a write whose answer was lost may be done, or be done late.

    The write happened or it did not; the explanation that needs fewer sales meanwhile is the likelier one. Where the
    level is above both, somebody raised it, and the last known level stands. Ask at every read until the write can no
    longer arrive; until then the others should count the higher of both levels as shown there.

    Example:
        >>> [level_after_unknown(5, 2, observed) for observed in (2, 5, 1, 4, 9)]
        [2, 5, 2, 5, 5]
    """
    candidates = [level for level in (last_level, sent_level) if level >= observed]
    return min(candidates, default=last_level)


@dataclass(frozen=True, slots=True)
class Shift:
    """Units by which a level changed without a push of ours, and when that was seen (seconds, any epoch)."""

    units: int
    seen_at_seconds: float


@dataclass(frozen=True, slots=True)
class Drift:
    """Units that nothing explained within the limit: `fallen` below and `risen` above what was expected."""

    fallen: int = 0
    risen: int = 0


@dataclass(frozen=True, slots=True)
class InFlight:
    """The ledger of one listing with the age of its units, and with rises kept apart from falls.

    A channel that puts a cancelled unit back on offer raises its level. Where such a cancellation comes in and no
    rise was seen, a sale hid it: that sale is in flight. Rises that no cancellation explains hide nothing and are
    kept only to explain later ones, and as drift.

    Attributes:
        level: the level as last read or confirmed, None before the first.
        falls: what fell and is not explained yet, oldest first.
        rises: what rose and is not explained yet, oldest first.
        early_units: units of orders that came in since the level was read.
        early_restocked: units of cancellations that came in since, and that the channel put back on offer.
    """

    level: int | None = None
    falls: tuple[Shift, ...] = ()
    rises: tuple[Shift, ...] = ()
    early_units: int = 0
    early_restocked: int = 0

    @property
    def balance(self) -> int:
        """Return the listing's balance: positive is in flight, negative came in early."""
        return _total(self.falls) - self.early_units

    @property
    def units(self) -> int:
        """Return the units in flight."""
        return in_flight_units(self.balance)

    @property
    def risen_units(self) -> int:
        """Return the units that rose and nothing explains yet: for a connection that counts, they are stock now."""
        return _total(self.rises)


def read_level(ledger: InFlight, observed: int | None, *, seen_at_seconds: float, is_certain: bool = True) -> InFlight:
    """Return the ledger after the channel's level was read.

    Args:
        ledger: the ledger before.
        observed: the level now; None (not told) changes nothing.
        seen_at_seconds: when it was read.
        is_certain: False for a while after a write's answer was lost: what was taken as the last level may be wrong
            by a sale, so a rise is not believed and only settles early units.
    """
    if observed is None:
        return ledger
    if ledger.level is None:
        return replace(ledger, level=observed, early_units=0, early_restocked=0)
    fallen = ledger.level - observed + ledger.early_restocked - ledger.early_units
    falls, rises = ledger.falls, ledger.rises
    if fallen > 0:
        falls = (*falls, Shift(fallen, seen_at_seconds))
    elif fallen < 0 and is_certain:
        rises = (*rises, Shift(-fallen, seen_at_seconds))
    return InFlight(observed, falls, rises)


def confirm_level(ledger: InFlight, level: int) -> InFlight:
    """Return the ledger after the channel confirmed a level that we wrote."""
    return replace(ledger, level=level)


def pull_units(ledger: InFlight, new_units: int, *, restocked_units: int = 0, late_units: int = 0) -> InFlight:
    """Return the ledger after orders came in; what was seen first is explained first.

    Args:
        ledger: the ledger before.
        new_units: units of this listing in orders seen for the first time, as placed.
        restocked_units: units of newly cancelled lines that the channel put back on offer by itself.
        late_units: units of new orders that were placed before the level was last read. They explain what fell, and
            nothing that will: their own fall was read, and has aged out if it is not here any more.
    """
    falls, _ = _explain(ledger.falls, late_units)
    falls, early = _explain(falls, new_units)
    rises, early_restocked = _explain(ledger.rises, restocked_units)
    return InFlight(ledger.level, falls, rises, ledger.early_units + early, ledger.early_restocked + early_restocked)


def is_overwritten(placed_at_seconds: float, windows: Sequence[tuple[float, float]]) -> bool:
    """Return whether a sale fell between the read and the write of an absolute push, and so was written over.

    Its fall is never read, so its order must not be given to `pull_units`, where it would explain another sale's fall
    and hide that one. Windows should be widened by what the channel's clock and ours may differ: taking one order too
    many for overwritten keeps units back until they age, one too few sells them twice.

    Args:
        placed_at_seconds: when the order was placed, by the channel.
        windows: (read at, answer at) of absolute writes to this listing, those of the last hours.
    """
    return any(read_at <= placed_at_seconds <= written_at for read_at, written_at in windows)


def expire(ledger: InFlight, *, seen_before_seconds: float) -> tuple[InFlight, Drift]:
    """Return the ledger without what was seen before an instant, and the units that were dropped.

    What no order explains within the limit (`age_limit_seconds`) is drift, a person's edit most of all: the caller
    opens an alert and fetches that connection's orders again; for a connection that counts, it books the drift.
    """
    falls = tuple(fall for fall in ledger.falls if fall.seen_at_seconds >= seen_before_seconds)
    rises = tuple(rise for rise in ledger.rises if rise.seen_at_seconds >= seen_before_seconds)
    drift = Drift(_total(ledger.falls) - _total(falls), _total(ledger.rises) - _total(rises))
    return replace(ledger, falls=falls, rises=rises), drift


def age_limit_seconds(slowest_order_seconds: float | None = None) -> float:
    """Return how long a fall may wait for its order before it is drift.

    Two hours; where the connection's slowest orders are known to take `slowest_order_seconds` from sale to pull, four
    times that, and never under a quarter of an hour.
    """
    if slowest_order_seconds is None:
        return 7200.0
    return min(7200.0, max(900.0, 4 * slowest_order_seconds))


def total_units(ledgers: Sequence[InFlight]) -> int:
    """Return the units in flight over all listings of a SKU: what its pool is reduced by."""
    return sum(ledger.units for ledger in ledgers)


def total_risen(ledgers_that_count: Sequence[InFlight]) -> int:
    """Return what on_hand grows by at once (before anything is clamped): rises at the connections that count.

    Whether a person counted there or a cancelled unit went back on offer, the units are real. Once the cancellation
    comes in (`pull_units`) or the drift is booked (`expire`), they leave this sum and stand in the stock ledger.
    """
    return sum(ledger.risen_units for ledger in ledgers_that_count)


def _total(shifts: Sequence[Shift]) -> int:
    return sum(shift.units for shift in shifts)


def _explain(shifts: tuple[Shift, ...], units: int) -> tuple[tuple[Shift, ...], int]:
    """Return the shifts that are left once `units` explain the oldest, and the units that explained none."""
    left: list[Shift] = []
    for shift in shifts:
        explained = min(units, shift.units)
        units -= explained
        if shift.units > explained:
            left.append(replace(shift, units=shift.units - explained))
    return tuple(left), units
