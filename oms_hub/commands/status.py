"""`oms-hub status`: is all well, connection by connection."""

from __future__ import annotations

from datetime import datetime

import typer

from oms_hub.clock import utc_now
from oms_hub.commands.context import opened_store
from oms_hub.commands.output import complain, show_rows
from oms_hub.store.integrity import run_checks
from oms_hub.store.statuses import ConnectionStatus, WaitingFailure, connection_statuses, waiting_failures

COLUMNS = (
    "connection", "channel", "merchant", "state", "push", "pulled", "pushed", "open_exceptions", "waiting_pushes",
    "dead_pushes", "backordered", "oversold", "in_flight", "drifted", "failures", "last_failure",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("status")(status)


def ago(instant: datetime | None, now: datetime) -> str:
    """Return how long ago an instant was, in words: "3 min ago", "never"."""
    if instant is None:
        return "never"
    seconds = max(0, int((now - instant).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def status(
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    is_thorough: bool = typer.Option(False, "--check", help="Also ask the integrity questions over all data."),
) -> None:
    """Show the age of the last good pull and push, open exceptions and pushes per connection.

    Exit code 1 where a connection needs its owner, failed last time, where something that failed waits for a person
    (a payload that cannot be read, a push that was rejected), or where an integrity question found something. Oversold
    and backordered units are shown and told by alerts: they are no failure of the hub.
    """
    now = utc_now()
    with opened_store() as store, store.read() as tx:
        found = connection_statuses(tx)
        failures = waiting_failures(tx)
        checks = run_checks(tx) if is_thorough else ()
    rows = [_row(row, None if as_json else now) for row in found]
    show_rows(rows, COLUMNS, as_json=as_json, empty="No connections yet: oms-hub connections add")
    broken = [check for check in checks if not check.is_ok]
    for check in broken:
        complain(f"oms-hub: not so: {check.description}: {check.found} found, such as {', '.join(check.examples)}")
    for failure in failures:
        complain(_words(failure))
    if broken or failures or any(row.state == "needs_reconnect" or row.consecutive_failures for row in found):
        raise typer.Exit(1)


def _row(row: ConnectionStatus, now: datetime | None) -> dict[str, object]:
    """Return a connection's row, its instants as ages where `now` is given."""
    return {
        "connection": row.name,
        "channel": row.channel,
        "merchant": row.merchant,
        "state": row.state,
        "push": "on" if row.is_push_enabled else "off",
        "pulled": row.last_good_pull_at if now is None else ago(row.last_good_pull_at, now),
        "pushed": row.last_good_push_at if now is None else ago(row.last_good_push_at, now),
        "open_exceptions": row.open_exceptions,
        "waiting_pushes": row.open_pushes,
        "dead_pushes": row.dead_pushes,
        "backordered": row.backordered,
        "oversold": row.oversold,
        "in_flight": row.in_flight,
        "drifted": row.drifted,
        "failures": row.consecutive_failures,
        "last_failure": row.last_failure if row.consecutive_failures else "",
    }


def _words(failure: WaitingFailure) -> str:
    where = failure.connection or failure.merchant
    more = f" (and {failure.count - 1} more)" if failure.count > 1 else ""
    return f"oms-hub: {where}: {failure.kind}: {failure.example}{more}. See: oms-hub exceptions list"
