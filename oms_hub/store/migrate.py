"""Bringing the store's tables up to this program's revision.

What belongs here: running the migrations of `migrations/` through Alembic.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from oms_hub.errors import StoreNewer
from oms_hub.store.engine import open_store_at
from oms_hub.store.revisions import MIGRATIONS, RevisionState, read_state
from oms_hub.store.roles import AnalystRole, ensure_analyst_role
from oms_hub.store.row_security import ensure_web_role
from oms_hub.store.schema import SCHEMA

_LOCK_KEY = 0x6F6D_732D_6875_6201


def upgrade(url: str) -> AnalystRole:
    """Create or upgrade the store at a URL, in one transaction; several at once wait for each other.

    Returns:
        Whether analysts have their read-only role; where the database user may not make it, what to run.

    Raises:
        StoreNewer: a newer program migrated it; nothing is changed.
        StoreUnavailable, Misconfigured: as for `open_store_at`.
    """
    store = open_store_at(url, check_revision=False)
    try:
        with store.begin() as transaction:
            transaction.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            state = read_state(transaction)
            if state == "newer":
                raise StoreNewer(f"The database {store.place} was migrated by a newer oms-hub")
            if state != "current":
                _run_migrations(transaction)
            ensure_web_role(transaction)
            return ensure_analyst_role(transaction)
    finally:
        store.close()


def revision_state(url: str) -> RevisionState:
    """Return where the store at a URL stands; raises as `open_store_at` does when it cannot be asked."""
    store = open_store_at(url, check_revision=False)
    try:
        with store.read() as transaction:
            return read_state(transaction)
    finally:
        store.close()


def _run_migrations(transaction: Connection) -> None:
    transaction.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    config = Config(attributes={"connection": transaction})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")
