"""Pacing on a clock that only sleeping moves."""

from __future__ import annotations

import threading

import pytest

from oms_hub.channel.rate_limit import AdaptiveConcurrency, ConcurrencyRule, CostBucket


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def bucket(time: Time, capacity: float = 4, per_second: float = 2) -> CostBucket:
    return CostBucket(capacity, per_second, monotonic=time.read, sleep=time.sleep)


def test_a_full_bucket_lets_a_burst_through_and_then_paces(time):
    paced = bucket(time)
    assert [paced.take() for _ in range(6)] == [0, 0, 0, 0, 0.5, 0.5]
    time.now += 100
    assert [paced.take(2), paced.take(2), paced.take(2)] == [0, 0, 1.0]


def test_a_cost_above_the_capacity_waits_for_a_full_bucket_and_leaves_a_debt(time):
    paced = bucket(time)
    assert [paced.take(10), paced.take(2)] == [0, 4.0]


def test_the_channels_own_word_corrects_the_bucket(time):
    paced = bucket(time)
    paced.told(1, capacity=10, per_second=5)
    assert paced.take(3) == pytest.approx(0.4)
    paced.told(99)
    assert [paced.take(10), paced.take(5)] == [0, 1.0]


def test_the_clock_set_back_gives_no_tokens_and_takes_none(time):
    paced = bucket(time)
    paced.take(4)
    time.now = -50
    assert paced.take(1) == 0.5


def test_a_bucket_is_a_gate(time):
    paced = bucket(time, capacity=1)
    for _ in range(2):
        paced.enter()
        paced.leave(is_well=False, seconds=1)
    assert time.slept == [0.5]


def run(gate: AdaptiveConcurrency, *, is_well: bool = True, seconds: float = 0.1, times: int = 1) -> None:
    for _ in range(times):
        gate.enter()
        gate.leave(is_well=is_well, seconds=seconds)


def test_concurrency_grows_by_one_while_answers_are_good_and_halves_on_trouble():
    gate = AdaptiveConcurrency(ConcurrencyRule(step_after=2))
    seen = [gate.permitted]
    for times in (2, 4, 6, 8):
        run(gate, times=times)
        seen.append(gate.permitted)
    run(gate, is_well=False)
    seen.append(gate.permitted)
    run(gate, seconds=60)
    seen.append(gate.permitted)
    assert seen == [1, 2, 3, 4, 5, 2, 1]


def test_concurrency_stays_within_its_bounds():
    gate = AdaptiveConcurrency(ConcurrencyRule(most=3, step_after=1))
    run(gate, times=50)
    assert gate.permitted == 3
    run(gate, is_well=False, times=5)
    assert gate.permitted == 1


def test_the_troubles_of_one_burst_halve_it_once():
    gate = AdaptiveConcurrency(ConcurrencyRule(fewest=1, most=8, step_after=1))
    run(gate, times=60)
    for _ in range(8):
        gate.enter()
    for _ in range(8):
        gate.leave(is_well=False, seconds=1)
    assert gate.permitted == 4
    run(gate, is_well=False)
    assert gate.permitted == 2


def test_no_more_run_at_once_than_are_permitted():
    gate = AdaptiveConcurrency(ConcurrencyRule(fewest=2, most=2))
    running, most, lock = 0, 0, threading.Lock()
    barrier = threading.Event()

    def work() -> None:
        nonlocal running, most
        gate.enter()
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait(0.01)
        with lock:
            running -= 1
        gate.leave(is_well=True, seconds=0.1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2
