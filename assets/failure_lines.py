"""How failures of a run read: one line each, free of secrets, the same on the terminal and in a notification.

What belongs here: reading Dagster's events. Not here: when a step fails (`failures`), where the lines go.
"""

from collections.abc import Iterable, Iterator

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from oms_hub import errors
from oms_hub.errors import HubError

_CHECK_FAILED = "DagsterAssetCheckFailedError"
_OURS = {
    "Failure",
    *(name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, HubError)),
}
"""Errors whose text is ours: one line without secrets. The text of any other error may quote anything."""


def failure_lines(events: Iterable[dg.DagsterEvent]) -> Iterator[str]:
    """Yield one line per failed step, failed check and failure of the run itself, in the order of the events."""
    has_step_failure = False
    for event in events:
        if event.is_step_failure:
            has_step_failure = True
            yield from _step_line(event)
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR:
                yield f"{evaluation.check_name}: {_found(evaluation)}"
        elif event.event_type is dg.DagsterEventType.RUN_FAILURE and not has_step_failure:
            yield our_line(event.job_failure_data.error) or "the run broke; see the run in Dagster"


def _step_line(event: dg.DagsterEvent) -> Iterator[str]:
    data = event.step_failure_data
    said = data.user_failure_data.description if data.user_failure_data else None
    if said:
        yield said
    elif data.error is None or data.error.cls_name != _CHECK_FAILED:
        yield our_line(data.error) or f"{event.step_key} broke ({_kind(data.error)}); see the run in Dagster"


def our_line(error: SerializableErrorInfo | None) -> str:
    """Return the text of the first error of ours in a chain of causes, empty where there is none."""
    while error is not None:
        if error.cls_name in _OURS:
            return " ".join(error.message.partition(": ")[2].split())
        error = error.cause
    return ""


def _kind(error: SerializableErrorInfo | None) -> str:
    while error is not None and error.cause is not None:
        error = error.cause
    return (error.cls_name if error else None) or "unknown"


def _found(evaluation: dg.AssetCheckEvaluation) -> str:
    values = {key: value.value for key, value in evaluation.metadata.items()}
    examples = next((values[key] for key in ("examples", "broken", "stale") if values.get(key)), [])
    shown = ", ".join(str(example) for example in examples) if isinstance(examples, list) else str(examples)
    found = values.get("found", len(examples) if isinstance(examples, list) else 1)
    return f"{found} found, such as {shown}. See: oms-hub exceptions list"
