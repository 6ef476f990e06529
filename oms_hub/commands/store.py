"""`oms-hub migrate`: create or upgrade the store."""

from __future__ import annotations

import typer

from oms_hub.commands.context import opened_store
from oms_hub.commands.output import say


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("migrate")(migrate)


def migrate() -> None:
    """Create the store, or bring it up to this program's version. Safe to run again."""
    from oms_hub.store.migrate import revision_state, upgrade  # noqa: PLC0415

    with opened_store(check_revision=False) as store:
        before = revision_state(store.database_url)
        role = upgrade(store.database_url)
        done = {"current": "is up to date", "empty": "was created"}.get(before, "was upgraded")
        say(f"The store at {store.place} {done}.")
        if not role.is_ready:
            say(role.reason)
