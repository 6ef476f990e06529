"""The simulation, seeded: what each way of pushing stock comes to under the real rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oms_hub.simulation.runs import Result, run_all, run_many, run_once
from oms_hub.simulation.scenarios import HOUR, SCENARIOS, DemandShape, Faults
from oms_hub.simulation.strategies import STRATEGIES

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
QUICK = replace(BY_NAME["three_channels_ordinary"], stock=12, hours=2)

REFUSED_BEFORE = {
    "three_channels_ordinary": 9,
    "three_channels_flash": 29,
    "five_channels_slow_tail": 10,
    "three_channels_fast_news": 7,
}
"""Buyers refused per run by the plain hold-back formula: no split to the last unit, raises only in the next sync."""


def test_the_same_seed_gives_the_same_figures_and_another_seed_gives_others() -> None:
    first = run_many(QUICK, "pull_then_set", seed=3, runs=5)
    assert run_many(QUICK, "pull_then_set", seed=3, runs=5) == first
    tallies = {run_once(QUICK, STRATEGIES["pull_then_set"], seed=seed).refused for seed in range(20)}
    assert len(tallies) > 1


@pytest.mark.parametrize("scenario", [each for each in SCENARIOS if not each.tills], ids=lambda each: each.name)
def test_holding_back_oversells_nothing_and_sells_everything(scenario) -> None:
    result = run_many(scenario, "hold_back", seed=11, runs=1 if scenario.sync_seconds < 10 else 3)
    assert (result.runs_oversold, result.oversold_per_10k, result.unsold_per_10k) == (0, 0.0, 0.0)


@pytest.mark.parametrize("name", REFUSED_BEFORE)
def test_holding_back_refuses_less_than_the_plain_formula_did(name: str) -> None:
    scenario = BY_NAME[name]
    if scenario.sync_seconds < 10:
        scenario = replace(scenario, stock=150, hours=0.5)  # refusals fall into the last minutes, whatever came before
    result = run_many(scenario, "hold_back", seed=5, runs=10)
    assert result.refused_per_10k * scenario.stock / 10_000 <= REFUSED_BEFORE[name]


@pytest.mark.parametrize("strategy", ["blind_set", "pull_then_set", "compare_and_set"])
def test_orders_that_are_not_visible_yet_are_sold_twice_without_an_in_flight_ledger(strategy: str) -> None:
    result = run_many(BY_NAME["one_channel_flash"], strategy, seed=1, runs=3)
    assert result.runs_oversold == 3


@pytest.mark.parametrize("strategy", ["delta", "in_flight", "hold_back"])
def test_one_channel_alone_is_safe_where_its_own_sales_are_known(strategy: str) -> None:
    result = run_many(BY_NAME["one_channel_flash"], strategy, seed=1, runs=3)
    assert (result.runs_oversold, result.sold) == (0, 900)


def test_a_till_oversells_under_every_strategy_that_leaves_it_nothing() -> None:
    results = {name: run_many(BY_NAME["with_a_till"], name, seed=1, runs=3) for name in ("in_flight", "hold_back")}
    assert [results[name].runs_oversold for name in ("in_flight", "hold_back")] == [3, 0]


def test_channels_without_compare_and_swap_are_served_too() -> None:
    result = run_many(replace(QUICK, absolute_channels=3), "hold_back", seed=2, runs=10)
    assert (result.runs_oversold, result.unsold_per_10k) == (0, 0.0)


def test_every_scenario_is_run_under_every_strategy_and_rates_are_per_10_000_units() -> None:
    scenario = replace(QUICK, channels=(DemandShape(0.01),), stock=10, hours=2)
    rows = list(run_all(seed=1, runs=2, scenarios=[scenario]))
    assert [row.strategy for row in rows] == list(STRATEGIES)
    assert rows[-1] == Result("three_channels_ordinary", "hold_back", 20, 2, 0, 0.0, 0.0, 0.0)
    without_time = run_many(replace(scenario, hours=0), "hold_back", seed=1, runs=2)
    assert without_time == Result("three_channels_ordinary", "hold_back", 0, 2, 0, 0.0, 0.0, 10_000.0)


def test_cancelled_returned_and_found_units_are_sold_in_the_end() -> None:
    busy = replace(
        BY_NAME["returns_and_edits"],
        stock=30,
        faults=Faults(hours_between_edits=2, edits_until_hours=6, cancelled=0.2, returned=0.2),
    )
    tally = run_once(busy, STRATEGIES["hold_back"], seed=4)
    assert (tally.left, tally.oversold) == (0, 0)
    assert tally.sold > 30


def test_a_rush_and_a_season_change_the_rate_and_the_peak_bounds_it() -> None:
    rush = DemandShape(0.1, "flash", factor=5, starts_at=60, period_seconds=30)
    assert [rush.at(second) for second in (59, 60, 89, 90)] == [0.1, 0.5, 0.5, 0.1]
    season = DemandShape(0.1, "seasonal", period_seconds=4 * HOUR)
    assert [round(season.at(hour * HOUR), 6) for hour in (0, 1, 3)] == [0.1, 0.18, 0.02]
    assert [DemandShape(0.1).peak, rush.peak, round(season.peak, 6)] == [0.1, 0.5, 0.18]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_lost_answers_leave_nothing_unsold(strategy: str) -> None:
    tally = run_once(BY_NAME["lost_and_repeated_answers"], STRATEGIES[strategy], seed=2)
    assert (tally.left, tally.sold) == (-tally.oversold, 200 + tally.oversold)
