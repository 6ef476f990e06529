"""What of a batch is written: the meeting of read orders with the stored ones. Pure.

What belongs here: which orders are new, changed, gone, or need nothing. Not here: reading and writing them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oms_hub.domain.order_merge import MergeDecision, decide
from oms_hub.store.order_rows import OrderRows
from oms_hub.store.orders import OrderWrites, StoredVersion, Tombstone
from oms_hub.sync.read_records import Batch, Seen


@dataclass(frozen=True, slots=True)
class SortedOut:
    """What is written, and how many orders need nothing: stored as they are, or newer already."""

    writes: OrderWrites
    unchanged: int
    older: int


def sort_out(batch: Batch, stored: Mapping[str, StoredVersion], *, is_whole: bool, is_replay: bool) -> SortedOut:
    """Return what is to be written of a batch.

    Args:
        batch: what the records say.
        stored: the stored versions of these orders.
        is_whole: every order of the batch was read from all its records, so that it stands whatever is stored.
        is_replay: orders are written although they are stored already.
    """
    new: list[OrderRows] = []
    changed: list[OrderRows] = []
    vanished: list[Tombstone] = []
    unchanged = older = 0
    for record_id, seen in batch.orders.items():
        version = stored.get(record_id)
        if _is_buried(version, seen) and not is_replay:
            unchanged += 1
            continue
        decision = None
        if seen.best is not None:
            decision = _decision(version, seen.best, is_whole=is_whole, is_replay=is_replay)
        if decision is MergeDecision.NEWER and seen.best is not None:
            (new if version is None else changed).append(seen.best)
        if seen.tombstone is not None and seen.is_gone and (version is not None or seen.best is not None):
            vanished.append(seen.tombstone)
        elif decision is MergeDecision.OLDER:
            older += 1
        elif decision is MergeDecision.SAME or seen.is_gone:
            unchanged += 1
    return SortedOut(OrderWrites(new, changed, vanished), unchanged, older)


def _is_buried(version: StoredVersion | None, seen: Seen) -> bool:
    """Return whether the order is stored as gone by this very tombstone."""
    return (
        version is not None
        and version.is_vanished
        and seen.tombstone is not None
        and seen.is_gone
        and seen.tombstone.landed == version.key.landed
    )


def _decision(version: StoredVersion | None, best: OrderRows, *, is_whole: bool, is_replay: bool) -> MergeDecision:
    if version is None or is_replay:
        return MergeDecision.NEWER
    if is_whole:
        is_same = version.key.content_hash == best.key.content_hash
        return MergeDecision.SAME if is_same else MergeDecision.NEWER
    if version.is_vanished and best.key.landed > version.key.landed:
        return MergeDecision.NEWER
    return decide(version.key, best.key)
