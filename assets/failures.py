"""Our errors become Dagster failures in this one place.

RetryLater asks for the delay the channel named; NeedsReconnect and Misconfigured never retry; everything else
fails with its one line. Not here: what counts as a failure (`oms_hub.errors`), how failures read (`failure_lines`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import dagster as dg

from assets.interrupts import plain_interrupts
from oms_hub.errors import Conflict, HubError, RetryLater

ATTENDED_TAG = "oms_hub/attended"
"""Run tag of runs that a person waits for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a step is tried again, and how long a named delay may be to be waited for."""

    retries: int
    longest_wait_seconds: float


UNATTENDED = Patience(retries=2, longest_wait_seconds=300.0)
ATTENDED = Patience(retries=1, longest_wait_seconds=30.0)
DEFAULT_WAIT_SECONDS = 5.0


class _Run(Protocol):
    @property
    def tags(self) -> Mapping[str, str]:
        """Return the tags of the run."""


class _InRun(Protocol):
    @property
    def run(self) -> _Run:
        """Return the run of the step."""

    @property
    def retry_number(self) -> int:
        """Return how often the step was tried before."""


@contextmanager
def dagster_failures(context: _InRun) -> Iterator[None]:
    """Turn a HubError of the body into a Dagster failure or retry, with its one line and remedy.

    Args:
        context: of the asset, check or op; its run says how patient to be.

    Raises:
        dagster.RetryRequested: for RetryLater (after its delay) and Conflict (after a short one).
        dagster.Failure: for every other HubError, and where the patience ends; never retried.
    """
    patience = ATTENDED if ATTENDED_TAG in context.run.tags else UNATTENDED
    try:
        with plain_interrupts():
            yield
    except (RetryLater, Conflict) as error:
        wait = _wait_of(error)
        if wait > patience.longest_wait_seconds or context.retry_number >= patience.retries:
            raise failure_of(error) from error
        raise dg.RetryRequested(max_retries=patience.retries, seconds_to_wait=wait) from error
    except HubError as error:
        raise failure_of(error) from error


def _wait_of(error: RetryLater | Conflict) -> float:
    named = error.after_seconds if isinstance(error, RetryLater) else 0.0
    return named or DEFAULT_WAIT_SECONDS


def failure_of(error: HubError) -> dg.Failure:
    """Return the Dagster failure that says what an error says; it is not retried."""
    return dg.Failure(
        description=error.one_line(),
        metadata={"error": type(error).__name__, "remedy": error.remedy or "none"},
        allow_retries=False,
    )
