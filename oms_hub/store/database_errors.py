"""What a database error means to the caller.

What belongs here: the mapping from PostgreSQL's SQLSTATEs to the errors of `oms_hub.errors`. An error that means a
fault in our own statements (a broken key, a wrong column) is left as it is: nobody can act on it but us.
"""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError, ResourceClosedError

from oms_hub.errors import HubError, Misconfigured, RetryLater, StoreUnavailable

_FULL = {"53100", "58030"}
_BUSY = {"40001", "40P01", "55P03"}
_LOGIN = {"28000", "28P01"}
_GONE = {"57P01", "57P02", "57P03", "57P05", "53300", "53200", "58000"}
_NO_DATABASE = "3D000"
_READ_ONLY = "25006"


def translated(error: BaseException, place: str) -> HubError | None:
    """Return the hub's error for a database error, None where it is a fault of the statement itself.

    Args:
        error: what SQLAlchemy or psycopg raised.
        place: the database, fit for a message.
    """
    driver_error = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, ResourceClosedError) or not isinstance(driver_error, psycopg.Error):
        return None
    state = driver_error.sqlstate
    if state is None:
        return _without_state(driver_error, place)
    if state in _FULL or (state == "XX000" and "No space left" in str(driver_error)):
        return StoreUnavailable(
            f"The disk of the database {place} is full or failing",
            after_seconds=60.0,
            remedy="Free space on the database's disk, then run again: nothing half done is left behind",
        )
    if state in _LOGIN:
        return _login_refused(place)
    if state == _NO_DATABASE:
        return _no_such_database(place)
    if state == _READ_ONLY:
        return Misconfigured(f"The database {place} is read-only", remedy="Give the URL of the primary server")
    if state in _BUSY:
        return RetryLater(f"Two transactions blocked each other in {place}", after_seconds=1.0)
    if state in _GONE or state.startswith("08"):
        return StoreUnavailable(f"The database {place} went away or takes no connections", after_seconds=5.0)
    return None


def _without_state(error: psycopg.Error, place: str) -> HubError | None:
    """Judge an error that came before the server could give a SQLSTATE: it was never reached, or it vanished."""
    if not isinstance(error, psycopg.OperationalError):
        return None
    text = str(error)
    if "authentication failed" in text or "no pg_hba.conf entry" in text or "no password supplied" in text:
        return _login_refused(place)
    if 'database "' in text and "does not exist" in text:
        return _no_such_database(place)
    if 'role "' in text and "does not exist" in text:
        return _login_refused(place)
    return StoreUnavailable(f"The database {place} cannot be reached", after_seconds=5.0)


def _login_refused(place: str) -> Misconfigured:
    return Misconfigured(
        f"The database {place} refuses the login", remedy="Correct user and password in OMS_HUB_DATABASE_URL"
    )


def _no_such_database(place: str) -> Misconfigured:
    return Misconfigured(
        f"There is no database {place}", remedy="Create it, or correct its name in OMS_HUB_DATABASE_URL"
    )
