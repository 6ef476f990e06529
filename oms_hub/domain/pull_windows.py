"""Which stretch of a channel's changes a pull asks for, and where it stands afterwards.

What belongs here: pure rules over instants that the channel itself stated. Our own clock never enters: it may be
wrong or set back, and a change between two clocks would be lost. Not here: cursors of particular channels, requests.

The promise: a pull that asks from `window_from(...)` on, in ascending order of change, and then moves its watermark
with `advance(...)`, misses no change that became visible within `overlap` after its own time stamp, whatever happens
between pages and between pulls. It may see a change twice; the merge makes that harmless.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SET_BACK_MARGIN = timedelta(days=1)
"""How much further a pull looks back once the channel's clock reads earlier than our watermark."""


@dataclass(frozen=True, slots=True)
class OverlapRule:
    """How a channel's time stamps behave.

    Attributes:
        overlap: how late a change may become visible after its own time stamp; asked for again in each pull.
        resolution: the unit of the channel's time stamps; several changes share one.
        is_exclusive: True where the channel's filter means "after", so that equal stamps are left out.
    """

    overlap: timedelta = timedelta(minutes=2)
    resolution: timedelta = timedelta(seconds=1)
    is_exclusive: bool = False


def floor_to(instant: datetime, resolution: timedelta) -> datetime:
    """Return the last multiple of `resolution` at or before an aware instant, in UTC."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (instant - epoch) // resolution * resolution


def window_from(
    watermark: datetime | None, *, rule: OverlapRule, server_now: datetime | None = None
) -> datetime | None:
    """Return the instant to ask for changes from; None means from the beginning.

    Args:
        watermark: newest change that earlier pulls are sure of, in the channel's time.
        rule: how the channel's stamps behave; the filter's "after" is compensated by one unit.
        server_now: the channel's own present time where it tells it. Earlier than the watermark means that its clock
            was set back: then changes carry stamps before the watermark, and the window looks back `SET_BACK_MARGIN`.
    """
    if watermark is None:
        return None
    start = watermark
    if server_now is not None and server_now < watermark:
        start = server_now - SET_BACK_MARGIN
    start = floor_to(start - rule.overlap, rule.resolution)
    return start - rule.resolution if rule.is_exclusive else start


def advance(
    watermark: datetime | None, newest_seen: datetime | None, *, server_now: datetime | None = None
) -> datetime | None:
    """Return the watermark after a page (or a whole pull) in ascending order of change.

    It never moves backwards, and never past what the channel said: neither past the newest change that was seen, nor
    past the channel's own time when the pull began (a change stamped in the future moves nothing).

    Args:
        watermark: before the page.
        newest_seen: newest change stamp on the page, None for an empty page.
        server_now: the channel's time when the pull began, where it tells it.
    """
    if newest_seen is None:
        return watermark
    reached = newest_seen if server_now is None else min(newest_seen, server_now)
    return reached if watermark is None else max(watermark, reached)


@dataclass(frozen=True, slots=True)
class Slice:
    """A half-open stretch of time, `[start, end)`."""

    start: datetime
    end: datetime


def slices(start: datetime, end: datetime, *, width: timedelta) -> Iterator[Slice]:
    """Yield slices that together cover `[start, end)` once, in order; the last may be shorter.

    A backfill that stores `end` of the last whole slice as its next `start` goes on there after a crash.

    Raises:
        ValueError: `width` is not positive.
    """
    if width <= timedelta(0):
        raise ValueError("the width of a slice must be positive")
    while start < end:
        stop = min(end, start + width)
        yield Slice(start, stop)
        start = stop


def to_text(instant: datetime) -> str:
    """Return an aware instant as UTC text for a cursor (`2026-11-22T12:00:00Z`), fractions only where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """Return the aware UTC instant of such a text.

    Raises:
        ValueError: no instant, or one without a zone.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant in a cursor needs a zone")
    return instant.astimezone(UTC)
