"""Ctrl-C while Dagster runs a step: the step ends as Python ends one, and whoever runs it learns of it.

Dagster raises an error of its own in the middle of a step, which the database driver does not know: it leaves its
connection in a state that hides the interruption behind another error.
Not here: what a stopped sync says (`oms_hub.cli`).
"""

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

_INTERRUPTIONS = {"KeyboardInterrupt", "DagsterExecutionInterruptedError"}


@contextmanager
def plain_interrupts() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt in the block, whatever error the block makes of it on its way out.

    Other threads than the main one are never interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_stopped = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_stopped
        is_stopped = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    except Exception as error:
        if is_stopped:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def was_interrupted(events: Iterable[dg.DagsterEvent]) -> bool:
    """Return whether a run ended because somebody stopped it."""
    for event in events:
        if event.is_step_failure and _is_interruption(event.step_failure_data.error):
            return True
        is_run_failure = event.event_type is dg.DagsterEventType.RUN_FAILURE
        if is_run_failure and _is_interruption(event.job_failure_data.error):
            return True
    return False


def _is_interruption(error: SerializableErrorInfo | None) -> bool:
    while error is not None:
        if error.cls_name in _INTERRUPTIONS:
            return True
        error = error.cause
    return False
