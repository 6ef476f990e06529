"""Two versions of one order: whatever the order of arrival, the same one stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain.order_merge import MergeDecision, VersionKey, decide

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def key(minutes: int = 0, *, version: int = 0, content: bytes = b"a", landed: tuple[int, int] = (1, 0)) -> VersionKey:
    return VersionKey(NOON + timedelta(minutes=minutes), version, content, landed)


@pytest.mark.parametrize(
    ("stored", "incoming", "decision"),
    [
        (None, key(), MergeDecision.NEWER),
        (key(0), key(1), MergeDecision.NEWER),
        (key(1), key(0), MergeDecision.OLDER),
        (key(1, landed=(1, 0)), key(0, content=b"b", landed=(9, 0)), MergeDecision.OLDER),
        (key(version=1), key(version=2), MergeDecision.NEWER),
        (key(version=2), key(version=1), MergeDecision.OLDER),
        (key(1, version=1), key(0, version=9), MergeDecision.OLDER),
        (key(), key(landed=(2, 0)), MergeDecision.SAME),
        (key(), key(content=b"b", landed=(2, 0)), MergeDecision.NEWER),
        (key(), key(content=b"b", landed=(1, 1)), MergeDecision.NEWER),
        (key(landed=(2, 0)), key(content=b"b", landed=(1, 7)), MergeDecision.OLDER),
    ],
)
def test_time_of_change_then_version_then_landing_decide(
    stored: VersionKey | None, incoming: VersionKey, decision: MergeDecision
) -> None:
    assert decide(stored, incoming) is decision


def standing(versions: Iterable[VersionKey]) -> VersionKey | None:
    """Return what stands after these arrived one after the other."""
    stored: VersionKey | None = None
    for version in versions:
        if decide(stored, version) is MergeDecision.NEWER:
            stored = version
    return stored


def versions(*, unique_by: Callable[[VersionKey], object]) -> st.SearchStrategy[list[VersionKey]]:
    return st.lists(
        st.builds(
            VersionKey,
            updated_at=st.integers(0, 3).map(lambda minutes: NOON + timedelta(minutes=minutes)),
            version=st.integers(0, 2),
            content_hash=st.sampled_from([b"a", b"b", b"c"]),
            landed=st.tuples(st.integers(1, 4), st.integers(0, 3)),
        ),
        min_size=1,
        max_size=8,
        unique_by=unique_by,
    )


@given(arrived=versions(unique_by=lambda each: (each.updated_at, each.version)), data=st.data())
def test_versions_of_different_places_stand_whatever_order_they_arrive_in(
    arrived: list[VersionKey], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(arrived))
    assert standing(shuffled) == standing(arrived) == max(arrived, key=lambda each: (each.updated_at, each.version))


@given(arrived=versions(unique_by=lambda each: each.landed))
def test_of_the_newest_place_the_content_that_landed_last_stands(arrived: list[VersionKey]) -> None:
    in_landing_order = sorted(arrived, key=lambda each: each.landed)
    stands = standing(in_landing_order)
    last = max(arrived, key=lambda each: (each.updated_at, each.version, each.landed))
    assert stands is not None
    assert (stands.updated_at, stands.version, stands.content_hash) == (
        last.updated_at, last.version, last.content_hash,
    )  # fmt: skip


@given(arrived=versions(unique_by=lambda each: (each.updated_at, each.version)))
def test_arriving_twice_is_arriving_once(arrived: list[VersionKey]) -> None:
    assert standing([*arrived, *arrived]) == standing(arrived)
    assert decide(standing(arrived), standing(arrived) or key()) is MergeDecision.SAME
