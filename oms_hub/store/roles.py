"""The read-only role of analysts: it sees schema `reports` and nothing else.

What belongs here: making the role and its grants, again and again without harm. Give a login to an analyst with
`CREATE ROLE ana LOGIN PASSWORD '...' IN ROLE oms_hub_analyst`. Views of `reports` read `hub` with the owner's rights,
so the role needs no right there.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from oms_hub.store.report_schema import SCHEMA

ANALYST_ROLE = "oms_hub_analyst"

_MAKE_ROLE = f"""
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ANALYST_ROLE}') THEN
        CREATE ROLE {ANALYST_ROLE} NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of this server was migrated at the same moment: roles belong to the whole server
END $$
"""

_GRANTS = (
    f"GRANT USAGE ON SCHEMA {SCHEMA} TO {ANALYST_ROLE}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {ANALYST_ROLE}",
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT SELECT ON TABLES TO {ANALYST_ROLE}",
)

_NOT_ALLOWED = "42501"


@dataclass(frozen=True, slots=True)
class AnalystRole:
    """How it went: `is_ready`, else `reason` says what the database's administrator has to run."""

    is_ready: bool
    reason: str = ""


def ensure_analyst_role(transaction: Connection) -> AnalystRole:
    """Make the role and its grants if the database user may; the transaction goes on unharmed if not."""
    savepoint = transaction.begin_nested()
    try:
        transaction.execute(text(_MAKE_ROLE))
        for grant in _GRANTS:
            transaction.execute(text(grant))
    except DBAPIError as error:
        savepoint.rollback()
        if getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
            raise
        statements = "; ".join((f"CREATE ROLE {ANALYST_ROLE} NOLOGIN", *_GRANTS))
        return AnalystRole(False, f"The database user may not create roles; an administrator can run: {statements}")
    savepoint.commit()
    return AnalystRole(True)
