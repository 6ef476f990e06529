"""How two versions of one order meet.

What belongs here: the order of versions, and which of them stands. Not here: reading or storing either.

A version is placed by the channel's own time of change, then by the channel's version number. Two different contents
that claim the same place were both seen at the channel: the one that landed later is the later truth. So the result
depends only on which versions landed, and in which order those of the same place did.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MergeDecision(StrEnum):
    """What becomes of an incoming version."""

    NEWER = "newer"
    """It takes the place of the stored one."""
    SAME = "same"
    """It is the stored one: nothing changes."""
    OLDER = "older"
    """A newer one is stored: it changes nothing."""


@dataclass(frozen=True, slots=True)
class VersionKey:
    """Which version of an order this is.

    Attributes:
        updated_at: the channel's time of the change, aware.
        version: the channel's version number, 0 where it has none.
        content_hash: of the raw record.
        landed: (page, position) of the raw record; pages count up as they land.
    """

    updated_at: datetime
    version: int
    content_hash: bytes
    landed: tuple[int, int]


def decide(stored: VersionKey | None, incoming: VersionKey) -> MergeDecision:
    """Return what becomes of an incoming version beside the stored one.

    Args:
        stored: the version that stands, None where the order is not known yet.
        incoming: the version that was read.
    """
    if stored is None:
        return MergeDecision.NEWER
    if incoming.updated_at != stored.updated_at:
        return MergeDecision.NEWER if incoming.updated_at > stored.updated_at else MergeDecision.OLDER
    if incoming.version != stored.version:
        return MergeDecision.NEWER if incoming.version > stored.version else MergeDecision.OLDER
    if incoming.content_hash == stored.content_hash:
        return MergeDecision.SAME
    return MergeDecision.NEWER if incoming.landed > stored.landed else MergeDecision.OLDER
