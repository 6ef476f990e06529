"""Transfers between places: what may be sent, what arrived anew, what is still on its way. Pure.

What belongs here: the arithmetic and the refusals. Not here: rows and movements (`oms_hub.store.transfers`).
Arrivals are told in totals ("3 have arrived so far"), so that telling the same thing twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from oms_hub.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class TransferLine:
    """Goods of a transfer. Neither received nor returned: in transit, or lost once the transfer is closed."""

    sku: str
    units: int
    received: int = 0
    returned: int = 0

    @property
    def under_way(self) -> int:
        """Return the units that neither arrived nor went back."""
        return self.units - self.received - self.returned


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer with its goods; `state` is in_transit, received or cancelled."""

    reference: str
    from_location: str
    to_location: str
    state: str
    started_at: datetime
    closed_at: datetime | None
    lines: Sequence[TransferLine]

    def under_way(self) -> dict[str, int]:
        """Return SKU -> units that are on their way, without those of which nothing is."""
        return {line.sku: line.under_way for line in self.lines if line.under_way} if self.closed_at is None else {}


def check_start(reference: str, places: tuple[str, str], units: Mapping[str, int]) -> None:
    """Raise Misconfigured unless this can be a transfer: a name, two places, at least one unit of each SKU."""
    if not reference.strip() or reference != reference.strip() or not reference.isprintable() or len(reference) > 100:
        raise Misconfigured(f"{reference!r} cannot be a transfer's name", remedy="Use 1 to 100 printable characters")
    if places[0] == places[1]:
        raise Misconfigured(f"{places[0]} is where the goods are already", remedy="Give two different locations")
    if not units:
        raise Misconfigured(f"Transfer {reference} has no goods", remedy="Give at least one SKU=UNITS")
    for sku, asked in units.items():
        if asked < 1:
            raise Misconfigured(f"{asked} of {sku} cannot be sent", remedy="Give 1 unit or more")


def check_there(sku: str, code: str, free: int | None, *, asked: int = 0) -> None:
    """Raise Misconfigured unless a place was counted (`free` is not None) and has as many units as are asked for."""
    if free is None:
        raise Misconfigured(f"{sku} was never counted at {code}", remedy="Count it there first (0 if there is none)")
    if asked > max(0, free):
        raise Misconfigured(f"{code} has {max(0, free)} of {sku}, not {asked}", remedy="Send fewer, or count it anew")


def check_same(known: Transfer, places: tuple[str, str], units: Mapping[str, int]) -> None:
    """Raise Misconfigured unless a transfer that stands already is the one that is told again."""
    is_same = (known.from_location, known.to_location) == places
    if not is_same or {line.sku: line.units for line in known.lines} != dict(units):
        raise Misconfigured(
            f"There is another transfer {known.reference} already, from {known.from_location} to {known.to_location}",
            remedy="Choose another name",
        )


def arrivals(transfer: Transfer, totals: Mapping[str, int] | None) -> dict[str, int]:
    """Return SKU -> units that arrived anew; empty where all of it was known.

    Args:
        transfer: as it stands.
        totals: SKU -> how many have arrived in all so far; None for everything that was sent.

    Raises:
        Misconfigured: a SKU is not on it, fewer arrived than are known, or more than were sent; or it has ended.
    """
    lines = {line.sku: line for line in transfer.lines}
    if totals is None:
        return transfer.under_way()
    news: dict[str, int] = {}
    for sku, total in totals.items():
        line = lines.get(sku)
        if line is None:
            raise Misconfigured(
                f"Transfer {transfer.reference} holds no {sku}", remedy="See: oms-hub stock transfer list"
            )
        if total < line.received:
            raise Misconfigured(
                f"{line.received} of {sku} have arrived already, not {total}",
                remedy="Give how many have arrived in all; correct a mistake with: oms-hub stock adjust",
            )
        if total > line.units - line.returned:
            raise Misconfigured(
                f"Only {line.units - line.returned} of {sku} are on transfer {transfer.reference}, not {total}",
                remedy="Take in what was sent, and add the rest with: oms-hub stock adjust",
            )
        if total > line.received:
            news[sku] = total - line.received
    if news and transfer.closed_at is not None:
        raise Misconfigured(
            f"Transfer {transfer.reference} has ended ({transfer.state})",
            remedy="Add what came after that with: oms-hub stock adjust",
        )
    return news
