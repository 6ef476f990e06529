"""Errors, grouped by what the caller does next.

    HubError
    ├── Misconfigured      a person changes a setting, a file or a command, then runs again
    │   ├── StoreBehind    run `oms-hub migrate`
    │   └── StoreNewer     upgrade the program
    ├── NeedsReconnect     the connection's owner gives new credentials; never retried
    ├── RetryLater         the same call may succeed after `after_seconds`
    │   └── StoreUnavailable
    ├── OutcomeUnknown     a write may or may not have happened: read it back, never resend blindly
    ├── Conflict           somebody else was there first: read again and compute again
    ├── Refused            the channel says no to this very request; the same request will fail again
    └── BadPayload         one record or answer is not what it should be: quarantine it, go on with the rest

Every message says what happened and where; `remedy` says what to do. Neither ever holds a secret, a token
or a buyer's data: whoever raises builds the text from names, ids and status codes only.
"""

from __future__ import annotations


class HubError(Exception):
    """Root of every error that the hub raises on purpose.

    Args:
        message: what happened and where, one line, free of secrets and customer data.
        remedy: what the reader should do, one imperative sentence; empty where nothing can be done.
    """

    default_remedy = ""

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = self.default_remedy if remedy is None else remedy

    def one_line(self) -> str:
        """Return message and remedy as the single line that the command line prints."""
        text = f"{self.message}. {self.remedy}" if self.remedy else self.message
        return " ".join(text.split())


class Misconfigured(HubError):
    """A setting, argument or file is missing or wrong; a person has to change it."""


class StoreBehind(Misconfigured):
    """The database lacks migrations that this program needs."""

    default_remedy = "Run: oms-hub migrate"


class StoreNewer(Misconfigured):
    """The database was migrated by a newer program than this one."""

    default_remedy = "Install the newer oms-hub release that this database belongs to"


class NeedsReconnect(HubError):
    """The channel refuses our credentials for good; only the connection's owner can mend that."""

    default_remedy = "Reconnect: oms-hub connections add ... with new credentials"


class RetryLater(HubError):
    """A passing trouble: the same call may succeed later.

    Args:
        after_seconds: the wait that the channel asked for, or our own back-off; never negative.
    """

    default_remedy = "Nothing to do: the next sync tries again"

    def __init__(self, message: str, *, after_seconds: float = 0.0, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.after_seconds = max(0.0, after_seconds)


class StoreUnavailable(RetryLater):
    """The database cannot be reached, or went away in the middle; nothing half done is left behind."""

    default_remedy = "Check that PostgreSQL is running and reachable, then run again"


class OutcomeUnknown(HubError):
    """A write was sent and no answer came: it may or may not have been applied."""

    default_remedy = "The level is read back before anything is sent again"


class Conflict(HubError):
    """Another writer was there first (a stale level, a lease that is held, an older version)."""

    default_remedy = "Run again"


class Refused(HubError):
    """The channel understood the request and refuses it; repeating it unchanged is useless."""


class BadPayload(HubError):
    """A record or an answer is not what the channel's contract says.

    Args:
        where: the place inside the record or answer (`line_items[2].total`, `page 3`); no values.
    """

    def __init__(self, message: str, *, where: str = "", remedy: str | None = None) -> None:
        super().__init__(f"{message} (at {where})" if where else message, remedy=remedy)
        self.where = where
