"""Runs scenarios under strategies and adds up what happened.

What belongs here: one run, many runs, the result row. Not here: printing (`oms_hub.commands.simulate`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from oms_hub.simulation.hub import HubView
from oms_hub.simulation.market import Market, Tally
from oms_hub.simulation.scenarios import HOUR, SCENARIOS, Scenario
from oms_hub.simulation.strategies import STRATEGIES, Strategy
from oms_hub.simulation.timeline import Process, Timeline


@dataclass(frozen=True, slots=True)
class Result:
    """What became of all runs of one scenario under one strategy.

    `sold` is the units sold in all runs together; the three rates are per 10,000 units of stock at the start.
    """

    name: str
    strategy: str
    sold: int
    runs: int
    runs_oversold: int
    oversold_per_10k: float
    refused_per_10k: float
    unsold_per_10k: float


def run_once(scenario: Scenario, strategy: Strategy, *, seed: int) -> Tally:
    """Sell once; the same seed gives the same run."""
    # The text makes runs of different scenarios independent and is hashed the same way in every process.
    chance = random.Random(f"{scenario.name}:{seed}")
    timeline = Timeline()
    market = Market(scenario, chance, timeline)
    hub = HubView(market)
    market.open()
    timeline.start(_syncs(hub, strategy))
    timeline.run(scenario.hours * HOUR)
    return market.tally


def run_many(scenario: Scenario, strategy: str, *, seed: int, runs: int) -> Result:
    """Sell `runs` times under the strategy of that name, with seeds that follow from `seed`."""
    tallies = [run_once(scenario, STRATEGIES[strategy], seed=seed * 1_000_003 + run) for run in range(runs)]
    units = scenario.stock * runs
    return Result(
        name=scenario.name,
        strategy=strategy,
        sold=sum(tally.sold for tally in tallies),
        runs=runs,
        runs_oversold=sum(tally.oversold > 0 for tally in tallies),
        oversold_per_10k=_per_10k(sum(tally.oversold for tally in tallies), units),
        refused_per_10k=_per_10k(sum(tally.refused for tally in tallies), units),
        unsold_per_10k=_per_10k(sum(max(0, tally.left) for tally in tallies), units),
    )


def run_all(
    *, seed: int, runs: int, scenarios: Sequence[Scenario] = SCENARIOS, strategies: Sequence[str] = tuple(STRATEGIES)
) -> Iterator[Result]:
    """Yield the result of each scenario under each strategy, scenario by scenario."""
    for scenario in scenarios:
        for strategy in strategies:
            yield run_many(scenario, strategy, seed=seed, runs=runs)


def _syncs(hub: HubView, strategy: Strategy) -> Process:
    next_at = 0.0
    while True:
        yield from strategy(hub)
        next_at = max(next_at + hub.market.scenario.sync_seconds, hub.now)
        yield next_at - hub.now


def _per_10k(units: int, of: int) -> float:
    return round(10_000 * units / of, 2)
