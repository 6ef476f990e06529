"""Writing the report tables: touched days only, or everything; one snapshot for all tables.

What belongs here: locking, replacing rows, and what stands where when a table is missing. A refresh is one
REPEATABLE READ transaction, so that all tables show the same moment and tie with each other. The lock comes before
the snapshot (LOCK TABLE takes none), so a second refresh sees what the first one wrote. Readers are never blocked.

Whoever changes an order touches its days in the same transaction with ON CONFLICT DO UPDATE: that locks a mark that
is already there, and a refresh skips locked marks, so no change can slip between a mark taken and data not seen yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from psycopg import errors as driver_errors
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from oms_hub.errors import Misconfigured
from oms_hub.store.report_reconciliation import INSERT_RECONCILIATION_DAILY
from oms_hub.store.report_sales import INSERT_SALES_BY_SKU_ROWS, INSERT_SALES_DAILY
from oms_hub.store.report_schema import DEFINITIONS, SCHEMA, ensure_reports
from oms_hub.store.report_schema import metadata as report_metadata
from oms_hub.store.report_scope import (
    ReportMerchant,
    fill_everything,
    fill_touched,
    forget_touched_days,
    open_scope,
    report_merchants,
    take_touched_days,
)

_STORED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "sales_daily": ("sales_daily", INSERT_SALES_DAILY),
        "sales_by_sku_daily": ("sales_by_sku_rows", INSERT_SALES_BY_SKU_ROWS),
        "reconciliation_daily": ("reconciliation_daily", INSERT_RECONCILIATION_DAILY),
    }
)
"""The reports that are stored: their table and the SQL that fills it from the scope."""

_DELETE_DAYS = """
DELETE FROM reports.{table} r
USING report_days d, hub.connections c, hub.merchants m
WHERE c.connection_id = d.connection_id AND m.merchant_id = d.merchant_id
  AND r.merchant = m.name AND r.connection = c.name AND r.business_date = d.business_date
"""
_DELETE_ALL = "DELETE FROM reports.{table} WHERE CAST(:merchant AS text) IS NULL OR merchant = :merchant"


def stored_reports() -> tuple[str, ...]:
    """Return the names of the reports that a refresh writes; the others are views."""
    return tuple(_STORED)


def refresh_rows(transaction: Connection, *, merchant: str | None) -> Mapping[str, int]:
    """Make the rows of the touched days anew.

    Args:
        transaction: one that has done nothing else before.
        merchant: only this merchant's days; None for all.

    Returns:
        Rows written per stored report; all zero where no day was touched.

    Raises:
        Misconfigured: the merchant is unknown, a report table is missing.
    """
    with missing_explained():
        _lock(transaction)
        merchants = known_merchants(transaction, merchant)
        open_scope(transaction)
        if take_touched_days(transaction, merchants[0].merchant_id if merchant else None) == 0:
            return dict.fromkeys(_STORED, 0)
        fill_touched(transaction, merchants)
        return {name: _replace(transaction, name, _DELETE_DAYS, None) for name in _STORED}


def rebuild_rows(transaction: Connection, names: Sequence[str], *, merchant: str | None) -> Mapping[str, int]:
    """Make all rows of stored reports anew.

    Args:
        transaction: one that has done nothing else before.
        names: stored reports. Only where all of them are named do touched days count as done.
        merchant: only this merchant's rows; None for all.

    Returns:
        Rows written per report.

    Raises:
        Misconfigured: the merchant is unknown, a table of the hub is missing.
    """
    with missing_explained():
        _lock(transaction)
        merchants = known_merchants(transaction, merchant)
        open_scope(transaction)
        if set(names) == set(_STORED):
            forget_touched_days(transaction, merchants[0].merchant_id if merchant else None)
        transaction.execute(text("SET LOCAL work_mem = '128MB'"))
        fill_everything(transaction, merchants)
        return {name: _replace(transaction, name, _DELETE_ALL, merchant) for name in names}


def restore_missing(transaction: Connection) -> bool:
    """Make report tables and views that somebody dropped; return whether any was missing."""
    wanted = {*DEFINITIONS, *(table.name for table in report_metadata.tables.values())}
    present = set(
        transaction.scalars(
            text(
                "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname = :schema AND c.relkind IN ('r', 'p', 'v')"
            ),
            {"schema": SCHEMA},
        )
    )
    if wanted <= present:
        return False
    ensure_reports(transaction)
    return True


def known_merchants(transaction: Connection, merchant: str | None) -> tuple[ReportMerchant, ...]:
    """Return the named merchant alone, or all of them.

    Raises:
        Misconfigured: there is none of that name; the message lists those that there are.
    """
    found = report_merchants(transaction, merchant)
    if merchant is None or found:
        return found
    names = ", ".join(known.name for known in report_merchants(transaction, None)) or "none yet"
    raise Misconfigured(f"There is no merchant {merchant!r}", remedy=f"Known merchants: {names}")


@contextmanager
def missing_explained() -> Iterator[None]:
    """Turn a missing report table, and a time zone that PostgreSQL does not know, into errors that say what to do.

    Raises:
        Misconfigured: in place of the database's own error.
    """
    try:
        yield
    except DBAPIError as error:
        if isinstance(error.orig, driver_errors.UndefinedTable | driver_errors.UndefinedColumn):
            about = str(error.orig).splitlines()[0]
            raise Misconfigured(
                f"The report tables are not as this program made them: {about}", remedy="Run: oms-hub report rebuild"
            ) from None
        if isinstance(error.orig, driver_errors.InvalidParameterValue):
            raise Misconfigured(
                f"PostgreSQL refuses a merchant's setting: {str(error.orig).splitlines()[0]}",
                remedy="Install the server's time zone data, or correct the merchant's time zone",
            ) from None
        raise


def _lock(transaction: Connection) -> None:
    transaction.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    tables = ", ".join(f"{SCHEMA}.{table}" for table, _ in _STORED.values())
    transaction.execute(text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))


def _replace(transaction: Connection, name: str, delete: str, merchant: str | None) -> int:
    table, insert = _STORED[name]
    given = {} if delete is _DELETE_DAYS else {"merchant": merchant}
    transaction.execute(text(delete.format(table=table)), given)
    return int(transaction.execute(text(insert)).rowcount)
