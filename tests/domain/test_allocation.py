"""Who gets the last units."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain.allocation import Allocation, Demand, allocate

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def wants(reference: str, units: int = 1, *, minutes: int = 0, **more: object) -> Demand:
    return Demand(reference, "1", units, NOON + timedelta(minutes=minutes), **more)


def given_to(available: int, *demands: Demand) -> list[tuple[str, int, int]]:
    return [(entry.demand.reference, entry.allocated, entry.backordered) for entry in allocate(available, demands)]


def test_the_last_unit_on_two_channels_goes_to_the_older_order_and_the_other_waits() -> None:
    assert given_to(1, wants("shop:2", minutes=1), wants("market:9")) == [("market:9", 1, 0), ("shop:2", 0, 1)]


def test_priority_comes_first_then_speed_then_age_then_the_name() -> None:
    demands = [
        wants("d", minutes=9),
        wants("c", minutes=9),
        wants("b", minutes=9, is_expedited=True),
        wants("a", minutes=9, priority=1),
        wants("e"),
    ]
    assert [reference for reference, _, _ in given_to(0, *demands)] == ["a", "b", "e", "c", "d"]


def test_a_part_is_given_unless_the_order_takes_none_and_then_the_next_has_it() -> None:
    assert given_to(3, wants("a", 2), wants("b", 5)) == [("a", 2, 0), ("b", 1, 4)]
    assert given_to(3, wants("a", 5, takes_part=False), wants("b", 2)) == [("a", 0, 5), ("b", 2, 0)]


def test_an_oversold_place_gives_nothing() -> None:
    assert given_to(-2, wants("a")) == [("a", 0, 1)]


def test_negative_units_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^shop:2 line 1: units must not be negative$"):
        allocate(3, [wants("shop:2", -1)])


@given(
    units=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), max_size=8),
    available=st.integers(-3, 20),
    data=st.data(),
)
def test_the_order_of_arrival_does_not_matter_and_nothing_is_given_twice(units, available, data) -> None:
    demands = [
        replace(wants(f"o{index}", count, minutes=minutes), takes_part=takes_part)
        for index, (count, minutes, takes_part) in enumerate(units)
    ]
    found: tuple[Allocation, ...] = allocate(available, demands)
    assert allocate(available, data.draw(st.permutations(demands))) == found
    assert sum(entry.allocated for entry in found) <= max(0, available)
    assert all(entry.allocated + entry.backordered == entry.demand.units for entry in found)
