"""The only reader of "now". Everything else takes a `Clock` (and a `Sleep`) as an argument."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Returns the present instant, aware, in UTC."""

Sleep: TypeAlias = Callable[[float], None]
"""Waits that many seconds."""


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def sleep(seconds: float) -> None:
    """Wait that many seconds."""
    time.sleep(seconds)


def monotonic_seconds() -> float:
    """Return a clock reading in seconds that never goes back; only differences mean anything."""
    return time.monotonic()
