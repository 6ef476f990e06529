"""A simulated clock with an event queue: simulated hours pass in milliseconds.

What belongs here: when things happen. Not here: what happens.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import TypeAlias

Process: TypeAlias = Iterator[float]
"""A generator that does something, yields how many seconds it waits, and goes on after them."""


class Timeline:
    """Runs what was put on it in the order of time; what falls on one instant, in the order it was put there."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something once, so many seconds from now."""
        self._count += 1
        heapq.heappush(self._queue, (self.now + seconds, self._count, action))

    def start(self, process: Process) -> None:
        """Run a process from now on, with its waits."""

        def step() -> None:
            seconds = next(process, None)
            if seconds is not None:
                self.after(seconds, step)

        self.after(0.0, step)

    def run(self, until_seconds: float) -> None:
        """Let time pass; what lies after `until_seconds` is left undone."""
        while self._queue and self._queue[0][0] <= until_seconds:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = until_seconds
