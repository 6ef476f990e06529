"""Whether a listing's level is sent, and why.

What belongs here: the decision for one listing from three figures, on plain integers so that hundreds of thousands
take about a second. Not here: how the desired level comes about (`availability`, `hold_back`), the outbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

Reason: TypeAlias = Literal["raised", "lowered", "first", "unchanged", "raise_waits", "no_level"]
"""`raised`, `lowered`: sent. `first`: sent, nothing was known of the channel's level before. `unchanged`: the channel
has it already. `raise_waits`: it would go up, and may not now. `no_level`: the SKU has no count."""

Decision: TypeAlias = tuple[int | None, Reason]
"""The level to send, None for nothing to send; and why."""

_UNCHANGED: Decision = (None, "unchanged")
_RAISE_WAITS: Decision = (None, "raise_waits")
_NO_LEVEL: Decision = (None, "no_level")


def decide(desired: int | None, acknowledged: int | None, observed: int | None, *, may_raise: bool) -> Decision:
    """Return the level to send to one listing, if any, and the reason.

    The channel's present level is what was observed, else what it last acknowledged. Only a difference from it is
    sent; the plan lowers at any time, and raises (from zero above all) only with `may_raise`.

    Args:
        desired: what the listing should show; negative counts as zero; None where the SKU has no count yet.
        acknowledged: the last level that the channel confirmed, None if never.
        observed: the level last read there, None if it was not read (or is not tracked).
        may_raise: True only if every connection that sells this SKU was pulled well in this run (and, while it is
            scarce, the others have confirmed their reductions).

    Example:
        >>> decide(5, 8, None, may_raise=False)
        (5, 'lowered')
        >>> decide(5, 3, None, may_raise=False)
        (None, 'raise_waits')
    """
    if desired is None:
        return _NO_LEVEL
    target = 0 if desired < 0 else desired
    present = acknowledged if observed is None else observed
    if present is None:
        return (target, "first") if may_raise or target == 0 else _RAISE_WAITS
    if target == present:
        return _UNCHANGED
    if target < present:
        return target, "lowered"
    return (target, "raised") if may_raise else _RAISE_WAITS


def believed_level(desired: int, known: int | None, expected: int | None) -> int | None:
    """Return the present level to compare with: as last known, or as it must be by now.

    Orders that came in since the level was read have lowered it, if the channel takes its own sales off. Whoever wants
    less than the known level does not rely on that; whoever wants as much or more must look.

    Args:
        desired: what the listing should show.
        known: the level as last read or confirmed, None if never.
        expected: that less units of orders that came in since, and with cancelled ones that are on offer again.

    Example:
        >>> believed_level(1, 1, 0), believed_level(0, 1, 0), believed_level(4, 1, 3)
        (0, 1, 1)
    """
    if known is None or expected is None or desired < known:
        return known
    return min(known, expected)


def decide_all(rows: Iterable[tuple[int | None, int | None, int | None, bool]]) -> list[Decision]:
    """Return the decision for each `(desired, acknowledged, observed, may_raise)`, in order."""
    return [decide(desired, known, seen, may_raise=may_raise) for desired, known, seen, may_raise in rows]
