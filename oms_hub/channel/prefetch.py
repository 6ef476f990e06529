"""Doing the next thing while the last is worked on: bounded, in order, and closed cleanly.

What belongs here: threads around iterators. Not here: what is fetched (connectors), pacing (`rate_limit`).
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


@dataclass(frozen=True, slots=True)
class _Ended:
    pass


class _Worker(Generic[T]):
    """Runs an iterator in one thread, at most `ahead` items before its consumer."""

    def __init__(self, source: Iterable[T], ahead: int) -> None:
        self.results: queue.SimpleQueue[_Item[T] | _Failed | _Ended] = queue.SimpleQueue()
        self._source = source
        self._free = threading.Semaphore(ahead)
        self._is_stopped = False
        context = contextvars.copy_context()
        self.thread = threading.Thread(target=context.run, args=(self._run,), name="fetch-ahead", daemon=True)
        self.thread.start()

    def permit_next(self) -> None:
        """Let the source run one item further."""
        self._free.release()

    def stop(self) -> None:
        """Make the thread end at its next step."""
        self._is_stopped = True
        self._free.release()

    def _run(self) -> None:
        iterator = iter(self._source)
        try:
            self._forward(iterator)
        except BaseException as error:  # noqa: BLE001 (raised again in the consumer)
            self.results.put(_Failed(error))
        else:
            self.results.put(_Ended())

    def _forward(self, iterator: Iterator[T]) -> None:
        try:
            while True:
                self._free.acquire()
                if self._is_stopped:
                    return
                try:
                    item = next(iterator)
                except StopIteration:
                    return
                self.results.put(_Item(item))
        finally:
            if isinstance(iterator, Generator):
                iterator.close()


def fetch_ahead(source: Iterable[T], ahead: int = 2, *, patience_seconds: float = 10.0) -> Generator[T, None, None]:
    """Yield the items of `source`, which runs in a thread of its own up to `ahead` items in advance.

    Order is kept; an error of the source is raised after the items before it. When the consumer stops early (closes
    the generator, breaks out of its loop, fails), the source is closed and its thread ends.

    Args:
        source: an iterable; used, and if it is a generator closed, in the thread.
        ahead: items held at most beyond the one being worked on; at least 1.
        patience_seconds: how long closing waits for a source that is busy; after that the thread ends by itself at
            the source's next item.
    """
    worker = _Worker(source, max(1, ahead))
    try:
        while True:
            result = worker.results.get()
            if isinstance(result, _Ended):
                return
            if isinstance(result, _Failed):
                raise result.error
            worker.permit_next()
            yield result.value
    finally:
        worker.stop()
        worker.thread.join(patience_seconds)


def ordered_parallel(tasks: Iterable[Callable[[], T]], *, workers: int) -> Generator[T, None, None]:
    """Yield the results of `tasks` in their order, up to `workers` of them running at once.

    Tasks are taken from their iterable only as places become free. The first failure, in order, is raised; tasks
    that have not begun then never begin.

    Args:
        tasks: functions without arguments.
        workers: how many run at once; at least 1.
    """
    waiting: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="parallel")
    try:
        for task in tasks:
            waiting.append(pool.submit(contextvars.copy_context().run, task))
            if len(waiting) >= max(1, workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
