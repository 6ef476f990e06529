"""One line per step of a sync, for people."""

from assets.sync_run import StepOutcome
from oms_hub.commands.output import say

SHOWN_COUNTS = {
    "pull": ("pages", "records", "records_new", "written", "quarantined", "unmapped_lines"),
    "replay": ("records", "written", "unchanged", "quarantined"),
    "compare": ("channel_orders", "missing", "vanished"),
    "count": ("seen", "linked", "unmapped", "read"),
    "plan": ("skus", "raised", "lowered", "held_back", "waiting", "held_units", "backordered", "holds_ended"),
    "alerts": ("told", "cleared"),
    "push": (
        "applied",
        "in_step",
        "stale",
        "retry",
        "rejected",
        "unknown",
        "raise_waits",
        "held_back_because_push_is_off",
    ),
    "report": (),
}


def show_outcome(outcome: StepOutcome, *, indent: str = "") -> None:
    """Print one line about one step."""
    shown = [
        f"{name.removeprefix('dagster/').replace('_', ' ')} {outcome.counts[name]}"
        for name in SHOWN_COUNTS.get(outcome.step, ())
        if outcome.counts.get(name)
    ]
    word = "failed" if outcome.failures else "ok"
    say(f"{indent}{outcome.step:<7} {outcome.connection:<16} {word:<7} {', '.join(shown) or 'no news'}")
