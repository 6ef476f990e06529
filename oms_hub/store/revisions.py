"""Which revisions this program knows, and where an open store stands among them.

What belongs here: reading, without Alembic: a revision's id is the first part of its file's name, so that every
command can tell at once whether the store is current. Not here: running migrations (`migrate`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from sqlalchemy import Connection, text

from oms_hub.store.schema import SCHEMA

RevisionState: TypeAlias = Literal["current", "behind", "newer", "empty"]

MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def known_revisions() -> tuple[str, ...]:
    """Return the ids of all revisions that this program knows, oldest first."""
    return tuple(sorted(path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")))


def read_state(transaction: Connection) -> RevisionState:
    """Return where the store of an open transaction stands."""
    if transaction.scalar(text(f"SELECT to_regclass('{SCHEMA}.alembic_version')")) is None:
        return "empty"
    revision = transaction.scalar(text(f"SELECT version_num FROM {SCHEMA}.alembic_version"))
    if revision is None:
        return "empty"
    if revision not in known_revisions():
        return "newer"
    return "current" if revision == known_revisions()[-1] else "behind"
