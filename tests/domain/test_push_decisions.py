"""Whether a level is sent, and why."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain import in_flight, push_plan
from oms_hub.domain.push_plan import decide, decide_all

LEVELS = st.none() | st.integers(0, 20)


@pytest.mark.parametrize(
    ("desired", "acknowledged", "observed", "may_raise", "expected"),
    [
        (5, 3, None, True, (5, "raised")),
        (5, 3, None, False, (None, "raise_waits")),
        (1, 0, None, False, (None, "raise_waits")),
        (2, 3, None, False, (2, "lowered")),
        (3, 3, None, True, (None, "unchanged")),
        (3, 5, 3, True, (None, "unchanged")),
        (5, 5, 3, False, (None, "raise_waits")),
        (-4, 2, None, False, (0, "lowered")),
        (-4, 0, None, False, (None, "unchanged")),
        (4, None, None, True, (4, "first")),
        (4, None, None, False, (None, "raise_waits")),
        (0, None, None, False, (0, "first")),
        (None, 3, 3, True, (None, "no_level")),
    ],
)
def test_a_level_is_sent_only_where_it_differs_and_goes_up_only_with_leave(
    desired, acknowledged, observed, may_raise, expected
) -> None:
    assert decide(desired, acknowledged, observed, may_raise=may_raise) == expected


def test_many_decisions_are_the_single_ones_in_order() -> None:
    assert decide_all([(5, 3, None, True), (2, 3, None, False)]) == [(5, "raised"), (2, "lowered")]


def test_the_examples_in_the_documentation_hold() -> None:
    assert [doctest.testmod(module).failed for module in (push_plan, in_flight)] == [0, 0]


@given(desired=st.integers(-5, 20), acknowledged=LEVELS, observed=LEVELS, may_raise=st.booleans())
def test_a_second_decision_without_news_sends_nothing(desired, acknowledged, observed, may_raise) -> None:
    level, _ = decide(desired, acknowledged, observed, may_raise=may_raise)
    if level is not None:
        assert decide(desired, level, None, may_raise=may_raise) == (None, "unchanged")


@given(desired=st.integers(-5, 20), acknowledged=LEVELS, observed=LEVELS)
def test_without_leave_to_raise_no_level_goes_up(desired, acknowledged, observed) -> None:
    level, _ = decide(desired, acknowledged, observed, may_raise=False)
    present = acknowledged if observed is None else observed
    assert level is None or level <= (present or 0)
