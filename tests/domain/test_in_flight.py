"""Units that were sold and not heard of yet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain.in_flight import (
    Drift,
    InFlight,
    Shift,
    age_limit_seconds,
    balance_after_pull,
    balance_after_read,
    confirm_level,
    expire,
    in_flight_units,
    is_overwritten,
    pull_units,
    read_level,
    total_risen,
    total_units,
)


def read(ledger: InFlight, level: int | None, at: float = 0.0) -> InFlight:
    return read_level(ledger, level, seen_at_seconds=at)


def test_what_fell_is_in_flight_until_its_order_comes_in() -> None:
    fallen = read(InFlight(level=10), 7)
    assert (fallen.units, pull_units(fallen, 2).units, pull_units(fallen, 3).units) == (3, 1, 0)


def test_a_level_that_is_not_told_changes_nothing_and_the_first_one_teaches_nothing() -> None:
    assert read(InFlight(level=10), None) == InFlight(level=10)
    assert read(InFlight(early_units=2), 7) == InFlight(level=7)


def test_an_order_may_come_in_before_its_fall_is_read() -> None:
    early = pull_units(InFlight(level=10), 1)
    assert (early.balance, early.units) == (-1, 0)
    assert read(early, 9) == InFlight(level=9)
    assert read(early, 7).units == 2


def test_our_own_push_is_no_fall() -> None:
    assert read(confirm_level(InFlight(level=10), 4), 4).units == 0


def test_a_rise_hides_no_unit_in_flight() -> None:
    raised = read(read(InFlight(level=10), 8), 13)
    assert (raised.units, raised.risen_units) == (2, 5)


def test_a_cancellation_explains_the_rise_it_made() -> None:
    raised = read(pull_units(read(InFlight(level=5), 4), 1), 5)
    assert (raised.units, raised.risen_units) == (0, 1)
    assert pull_units(raised, 0, restocked_units=1) == InFlight(level=5)


def test_a_cancellation_whose_rise_nobody_saw_was_hidden_by_a_sale() -> None:
    cancelled = pull_units(InFlight(level=5), 0, restocked_units=1)
    assert read(cancelled, 5).units == 1
    assert read(cancelled, 6).units == 0


def test_while_the_last_level_is_uncertain_no_rise_is_believed() -> None:
    assert read_level(InFlight(level=5), 9, seen_at_seconds=0, is_certain=False) == InFlight(level=9)


def test_what_waits_too_long_is_drift_and_the_rest_stays() -> None:
    ledger = InFlight(3, falls=(Shift(2, 100), Shift(1, 200)), rises=(Shift(4, 100),))
    kept, drift = expire(ledger, seen_before_seconds=150)
    assert (kept, drift) == (InFlight(3, falls=(Shift(1, 200),)), Drift(fallen=2, risen=4))
    assert expire(kept, seen_before_seconds=150) == (kept, Drift())


def test_the_oldest_fall_is_explained_first() -> None:
    ledger = InFlight(3, falls=(Shift(2, 100), Shift(1, 200)))
    assert pull_units(ledger, 1).falls == (Shift(1, 100), Shift(1, 200))


def test_the_age_limit_is_two_hours_or_four_times_the_slowest_order_but_a_quarter_of_an_hour_at_least() -> None:
    assert [age_limit_seconds(slowest) for slowest in (None, 10, 600, 9000)] == [7200, 900, 2400, 7200]


def test_a_pool_is_reduced_by_the_units_of_all_listings() -> None:
    ledgers = [read(InFlight(level=5), 3), read(InFlight(level=5), 6), pull_units(InFlight(level=5), 4)]
    assert (total_units(ledgers), total_risen(ledgers)) == (2, 1)


@given(sales=st.lists(st.booleans(), max_size=30))
def test_without_edits_the_units_in_flight_are_the_sales_not_pulled_yet(sales) -> None:
    """True sells a unit; False lets the oldest unknown order become known. Read after each step."""
    level, unknown, ledger, balance = 100, 0, InFlight(level=100), 0
    for is_sale in sales:
        if is_sale:
            balance = balance_after_read(balance, level, level - 1)
            level, unknown = level - 1, unknown + 1
        elif unknown:
            unknown -= 1
            ledger, balance = pull_units(ledger, 1), balance_after_pull(balance, 1)
        ledger = read(ledger, level)
        assert ledger.units == in_flight_units(balance) == unknown


@given(falls=st.lists(st.integers(0, 3), max_size=6), chance=st.randoms(use_true_random=False))
def test_it_does_not_matter_whether_orders_come_in_at_once_or_one_by_one(falls, chance) -> None:
    ledger = InFlight(level=50)
    for at, fall in enumerate(falls):
        ledger = read(ledger, (ledger.level or 0) - fall, at)
    pieces = [chance.randint(0, 3) for _ in range(4)]
    one_by_one = ledger
    for piece in pieces:
        one_by_one = pull_units(one_by_one, piece)
    assert one_by_one == pull_units(ledger, sum(pieces))


def test_the_plain_balance_learns_nothing_without_two_levels_and_ignores_rises() -> None:
    assert [balance_after_read(2, None, 5), balance_after_read(2, 5, None), balance_after_read(2, 5, 9)] == [2, 2, 2]
    assert balance_after_read(-3, 5, 4) == 0


def test_a_sale_between_read_and_absolute_write_is_known_as_overwritten() -> None:
    assert [is_overwritten(at, [(10, 12), (70, 72)]) for at in (9, 10, 12, 13, 71)] == [False, True, True, False, True]
