"""`oms-hub exceptions ...`: what needs a person, and what was done about it."""

from __future__ import annotations

from typing import Literal

import typer

from oms_hub.commands.context import opened_hub, opened_store
from oms_hub.commands.output import complain, say, show_rows
from oms_hub.store.exceptions import KINDS, dismiss_exception, list_exceptions
from oms_hub.sync.retry_exception import retry_exception

exceptions_app = typer.Typer(help="What needs a person: each kind is a queue.", no_args_is_help=True)
COLUMNS = ("exception_id", "kind", "connection", "reference", "message", "remedy", "occurrences", "last_seen_at")
_NUMBER = typer.Argument(..., min=1, max=2**63 - 1, help="Its number, as `exceptions list` shows it.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(exceptions_app, name="exceptions")


@exceptions_app.command("list")
def list_all(
    kind: str = typer.Option(None, help=f"Only this kind: {', '.join(KINDS)}."),
    state: Literal["open", "resolved", "dismissed"] = typer.Option("open", help="Only those in this state."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List exceptions, the newest first."""
    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"{kind!r} is not one of {', '.join(KINDS)}", param_hint="--kind")
    with opened_store() as store, store.read() as tx:
        rows = [
            {column: getattr(found, column) for column in COLUMNS}
            for found in list_exceptions(tx, state=state, kind=kind)
        ]
    show_rows(rows, COLUMNS, as_json=as_json, empty=f"No {state} exceptions.")


@exceptions_app.command("retry")
def retry(exception_id: int = _NUMBER) -> None:
    """Try again what an exception is about: a quarantined payload is read anew, a dead push is sent anew."""
    with opened_hub() as hub:
        outcome = retry_exception(hub, exception_id)
    if not outcome.is_resolved:
        complain(f"oms-hub: still failing: {outcome.message}")
        raise typer.Exit(1)
    say(outcome.message)


@exceptions_app.command("dismiss")
def dismiss(
    exception_id: int = _NUMBER,
    reason: str = typer.Option(..., help="Why it needs nothing; kept with it."),
) -> None:
    """Close an exception without doing anything, with a reason."""
    with opened_store() as store, store.begin() as tx:
        dismiss_exception(tx, exception_id, reason)
    say(f"Exception {exception_id} dismissed.")
