"""The simulated clock and the simulated outside world."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from oms_hub.simulation.market import Answer, Market, SimulatedChannel, Write
from oms_hub.simulation.scenarios import SCENARIOS, Faults
from oms_hub.simulation.timeline import Timeline


def market(**faults: float) -> Market:
    scenario = replace(SCENARIOS[0], faults=Faults(**faults))
    return Market(scenario, random.Random(1), Timeline())


def test_things_happen_in_the_order_of_time_and_at_one_instant_in_the_order_they_were_put() -> None:
    timeline, seen = Timeline(), []

    def process() -> Iterator[float]:
        seen.append(("process", timeline.now))
        yield 2
        seen.append(("process", timeline.now))

    timeline.start(process())
    timeline.after(2, lambda: seen.append(("late", timeline.now)))
    timeline.after(1, lambda: seen.append(("early", timeline.now)))
    timeline.after(9, lambda: seen.append(("never", timeline.now)))
    timeline.run(5)
    assert seen == [("process", 0.0), ("early", 1.0), ("late", 2.0), ("process", 2.0)]
    assert timeline.now == 5


def test_a_swap_is_refused_where_the_level_is_another_and_done_once_per_key() -> None:
    channel = SimulatedChannel(is_till=False, has_swap=True)
    channel.level = 5
    assert channel.apply(Write("swap", 9, key=1, expected=4)) == Answer("stale", 5)
    assert channel.apply(Write("swap", 9, key=2, expected=5)) == Answer("applied", 9)
    channel.level = 5
    assert channel.apply(Write("swap", 9, key=2, expected=5)) == Answer("applied", 5)


def test_a_shift_moves_the_level_once_per_key_and_a_set_every_time_it_arrives() -> None:
    channel = SimulatedChannel(is_till=False, has_swap=False)
    for write in (Write("shift", -2, key=1), Write("shift", -2, key=1), Write("set", 7, key=2)):
        channel.apply(write)
    channel.level = 1
    assert channel.apply(Write("set", 7, key=2)) == Answer("applied", 7)


def test_a_lost_answer_leaves_it_open_whether_the_write_was_done() -> None:
    world = market(answer_lost=1.0)
    levels = set()
    for key in range(20):
        channel = SimulatedChannel(is_till=False, has_swap=True)
        assert world.send(channel, Write("set", 4, key)) == Answer("unknown")
        levels.add(channel.level)
    assert levels == {0, 4}


def test_a_repeated_write_arrives_again_within_twenty_seconds() -> None:
    world = market(is_repeated=1.0)
    channel = world.channels[0]
    assert world.send(channel, Write("set", 4, 1)) == Answer("applied", 4)
    channel.level = 1
    world.timeline.run(20)
    assert channel.level == 4


def test_nothing_happens_by_chance_where_the_probability_is_zero() -> None:
    assert [market().happens(0.0), market().happens(1.0)] == [False, True]
