"""Fetching ahead: order, bounds, errors, and no thread left behind."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator

import pytest

from oms_hub.channel.prefetch import fetch_ahead, ordered_parallel


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("fetch-ahead", "parallel"))]


def test_items_come_in_order():
    assert list(fetch_ahead(iter(range(100)), 3)) == list(range(100))
    assert list(fetch_ahead([], ahead=2)) == []
    assert alive() == []


def test_the_source_runs_at_most_so_far_ahead():
    made: list[int] = []
    reached = threading.Semaphore(0)

    def source() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            reached.release()
            yield number

    pages = fetch_ahead(source(), ahead=2)
    assert next(pages) == 0
    for _ in range(3):
        assert reached.acquire(timeout=5)
    assert not reached.acquire(timeout=0.05)
    assert made == [0, 1, 2]
    pages.close()
    assert alive() == []


def test_an_error_comes_after_the_items_before_it():
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("third")

    pages = fetch_ahead(source(), ahead=5)
    assert [next(pages), next(pages)] == [1, 2]
    with pytest.raises(LookupError, match="third"):
        next(pages)
    assert alive() == []


def test_a_consumer_that_stops_early_closes_the_source_in_its_thread():
    closed_in: list[str] = []

    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed_in.append(threading.current_thread().name)

    for _ in fetch_ahead(source()):
        break
    pages = fetch_ahead(source())
    next(pages)
    pages.close()
    assert (closed_in, alive()) == (["fetch-ahead"] * 2, [])


def test_a_busy_source_delays_closing_only_so_long():
    go_on = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        go_on.wait(5)
        yield 2

    pages = fetch_ahead(source(), patience_seconds=0.01)
    next(pages)
    started = time.monotonic()
    pages.close()
    assert time.monotonic() - started < 1
    go_on.set()


def test_what_was_never_begun_starts_no_thread():
    fetch_ahead(iter([1]))
    assert alive() == []


def test_context_variables_reach_the_threads():
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("mine")
    assert list(fetch_ahead(variable.get() for _ in range(1))) == ["mine"]
    assert list(ordered_parallel([variable.get], workers=1)) == ["mine"]


def test_parallel_results_come_in_the_order_of_their_tasks():
    def task(number: int) -> int:
        time.sleep(0.002 * (5 - number))
        return number

    tasks = [lambda number=number: task(number) for number in range(5)]
    assert list(ordered_parallel(tasks, workers=3)) == [0, 1, 2, 3, 4]
    assert list(ordered_parallel([], workers=0)) == []
    assert alive() == []


def test_no_more_tasks_are_taken_than_workers():
    taken: list[int] = []

    def tasks() -> Iterator[object]:
        for number in range(10):
            taken.append(number)
            yield lambda number=number: number

    results = ordered_parallel(tasks(), workers=2)
    assert (next(results), taken) == (0, [0, 1])
    results.close()
    assert (taken, alive()) == ([0, 1], [])


def test_the_first_failure_in_order_is_raised_and_the_rest_never_begins():
    begun: list[int] = []

    def fail() -> int:
        raise LookupError("second")

    def later() -> int:
        begun.append(1)
        return 3

    with pytest.raises(LookupError, match="second"):
        list(ordered_parallel([lambda: 1, fail, later, later], workers=1))
    assert (begun, alive()) == ([], [])
