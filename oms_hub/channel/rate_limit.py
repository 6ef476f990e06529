"""Pacing: how fast and how many at once a connection asks its channel.

What belongs here: in-process gates that a client passes with each request, on an injected clock and sleep; the port to
token buckets that processes share (`store.rate_buckets` is the shared one).
Not here: what a channel's limits are (connectors), waiting after a refusal (`http`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from oms_hub.clock import Sleep, monotonic_seconds


class Gate(Protocol):
    """What each request of a client passes."""

    def enter(self) -> None:
        """Wait until a request may be sent."""

    def leave(self, *, is_well: bool, seconds: float) -> None:
        """Hear how it went: answered well or not, and after how many seconds."""


class CostBucket:
    """A leaky bucket in units of cost: holds `capacity`, refills by `per_second`.

    With cost 1 per request it is a token bucket. The channel's own word on what is left (`told`) corrects it.

    Args:
        capacity: most cost that can be spent at once.
        per_second: refill.
        monotonic: seconds that never go back.
        sleep: waits.
    """

    def __init__(self, capacity: float, per_second: float, *, monotonic: Callable[[], float], sleep: Sleep) -> None:
        self._capacity = capacity
        self._per_second = per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._left = capacity
        self._read_at = monotonic()
        self._lock = threading.Lock()

    def take(self, cost: float = 1.0) -> float:
        """Spend `cost`, waiting first where too little is left; return the seconds waited.

        A cost above the capacity waits for a full bucket and leaves a debt.
        """
        with self._lock:
            self._refill()
            missing = min(cost, self._capacity) - self._left
            self._left -= cost
            wait = max(0.0, missing / self._per_second)
        if wait > 0:
            self._sleep(wait)
        return wait

    def told(self, left: float, *, capacity: float | None = None, per_second: float | None = None) -> None:
        """Take over what the channel said is left now, and its limits where it told them."""
        with self._lock:
            self._refill()
            self._capacity = self._capacity if capacity is None else capacity
            self._per_second = self._per_second if per_second is None else per_second
            self._left = min(left, self._capacity)

    def enter(self) -> None:
        """Spend one unit: the bucket as a `Gate`."""
        self.take()

    def leave(self, *, is_well: bool, seconds: float) -> None:
        """Do nothing: a bucket does not care how a request went."""

    def _refill(self) -> None:
        now = self._monotonic()
        self._left = min(self._capacity, self._left + max(0.0, now - self._read_at) * self._per_second)
        self._read_at = now


@dataclass(frozen=True, slots=True)
class ConcurrencyRule:
    """How concurrency adapts.

    Attributes:
        fewest: never below.
        most: never above.
        slow_seconds: an answer slower than this counts as trouble.
        step_after: good answers per permitted request before one more is permitted.
    """

    fewest: int = 1
    most: int = 8
    slow_seconds: float = 20.0
    step_after: int = 4


class AdaptiveConcurrency:
    """A gate that lets more requests through at once while the server answers well, and halves on trouble.

    Additive increase, multiplicative decrease; several troubles of one burst halve it once.
    """

    def __init__(self, rule: ConcurrencyRule | None = None) -> None:
        self._rule = rule or ConcurrencyRule()
        self._permitted = self._rule.fewest
        self._running = 0
        self._good = 0
        self._burst = 0
        self._condition = threading.Condition()

    @property
    def permitted(self) -> int:
        """Return how many requests may run at once now."""
        return self._permitted

    def enter(self) -> None:
        """Wait for a free place."""
        with self._condition:
            self._condition.wait_for(lambda: self._running < self._permitted)
            self._running += 1

    def leave(self, *, is_well: bool, seconds: float) -> None:
        """Give the place back and adapt."""
        with self._condition:
            if is_well and seconds <= self._rule.slow_seconds:
                self._after_good()
            else:
                self._after_trouble()
            self._running -= 1
            self._burst = max(0, self._burst - 1)
            self._condition.notify_all()

    def _after_good(self) -> None:
        self._good += 1
        if self._good >= self._rule.step_after * self._permitted:
            self._permitted = min(self._rule.most, self._permitted + 1)
            self._good = 0

    def _after_trouble(self) -> None:
        self._good = 0
        if self._burst == 0:
            self._permitted = max(self._rule.fewest, self._permitted // 2)
            self._burst = self._running  # those already under way met the same trouble


# ------------------------------------------------------------------------------------------- shared token buckets


@dataclass(frozen=True, slots=True)
class BucketLimit:
    """What a token bucket allows: so many requests at once, refilled at a rate."""

    capacity: float
    per_second: float


class Buckets(Protocol):
    """Token buckets by name, one token per request, shared by whoever holds the same names."""

    def take(self, name: str, limit: BucketLimit, *, patience_seconds: float) -> float:
        """Take a token, in advance where none is left, and return how many seconds to wait before using it.

        Where that is longer than `patience_seconds`, nothing is taken; the number then says when to come back.

        Args:
            name: of the bucket; made full at first use.
            limit: what the channel promises; a rate that it told since (`told`) stands above it.
            patience_seconds: the longest wait that the caller would bear.
        """

    def told(self, name: str, limit: BucketLimit, *, per_second: float | None = None, is_empty: bool = False) -> None:
        """Take over what the channel said: another rate, or that nothing is left (it refused a request)."""


@dataclass(slots=True)
class _Bucket:
    left: float
    read_at: float
    per_second: float


class ProcessBuckets:
    """Token buckets of one process: for sessions without a store.

    Args:
        monotonic: seconds that never go back.
    """

    def __init__(self, *, monotonic: Callable[[], float] = monotonic_seconds) -> None:
        self._monotonic = monotonic
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, name: str, limit: BucketLimit, *, patience_seconds: float) -> float:
        """Take a token; see `Buckets`."""
        with self._lock:
            bucket = self._refilled(name, limit)
            wait = max(0.0, (1.0 - bucket.left) / bucket.per_second)
            if wait <= patience_seconds:
                bucket.left -= 1.0
            return wait

    def told(self, name: str, limit: BucketLimit, *, per_second: float | None = None, is_empty: bool = False) -> None:
        """Take over what the channel said; see `Buckets`."""
        with self._lock:
            bucket = self._refilled(name, limit)
            bucket.per_second = bucket.per_second if per_second is None else per_second
            if is_empty:
                bucket.left = min(bucket.left, 0.0)

    def _refilled(self, name: str, limit: BucketLimit) -> _Bucket:
        now = self._monotonic()
        bucket = self._buckets.setdefault(name, _Bucket(limit.capacity, now, limit.per_second))
        bucket.left = min(limit.capacity, bucket.left + max(0.0, now - bucket.read_at) * bucket.per_second)
        bucket.read_at = now
        return bucket
