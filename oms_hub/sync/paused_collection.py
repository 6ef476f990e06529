"""Keeping Python's cycle collector out of bulk work.

What belongs here: the pause, nothing else. A batch of parsed orders is some hundred thousand containers without a
single cycle; the collector walks them again and again and finds nothing (measured: a third of all processor time).
Reference counting frees them as ever; what little does form cycles is swept between batches, when little is alive.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_YOUNG = 1


@dataclass(slots=True)
class _Pauses:
    """How many pauses are on in this process, and whether the collector was on before the first."""

    count: int = 0
    was_enabled: bool = False


_pauses = _Pauses()
_lock = threading.Lock()


@contextmanager
def paused_collection() -> Iterator[None]:
    """Pause the collector while the block runs; pauses of several threads may overlap."""
    with _lock:
        if _pauses.count == 0:
            _pauses.was_enabled = gc.isenabled()
            gc.disable()
        _pauses.count += 1
    try:
        yield
    finally:
        with _lock:
            _pauses.count -= 1
            if _pauses.count == 0 and _pauses.was_enabled:
                gc.enable()


def sweep() -> None:
    """Collect young cycles now: to be called between batches."""
    gc.collect(_YOUNG)
