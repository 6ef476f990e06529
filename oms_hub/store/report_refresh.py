"""Writing the report tables: touched days and SKUs only, or everything; one snapshot for all tables.

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
from oms_hub.store.report_costs import MAKE_SKU_COST_ROWS
from oms_hub.store.report_fulfilment import INSERT_FULFILMENT_DAILY
from oms_hub.store.report_inventory import DELETE_INVENTORY_ROWS, INSERT_ALL_INVENTORY_ROWS, INSERT_INVENTORY_ROWS
from oms_hub.store.report_payments import INSERT_PAYMENTS_DAILY
from oms_hub.store.report_reconciliation import INSERT_RECONCILIATION_DAILY
from oms_hub.store.report_restatements import (
    IN_DAYS,
    IN_MERCHANT,
    KEEP_RANGE_SHOWN,
    KEEP_SHOWN,
    KEEP_SHOWN_DAYS,
    LOG_RESTATEMENTS,
    MARK_RESTATED,
)
from oms_hub.store.report_returns import INSERT_RETURNS_DAILY
from oms_hub.store.report_sales import INSERT_SALES_DAILY
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
from oms_hub.store.report_sku_sales import INSERT_SALES_BY_SKU_ROWS
from oms_hub.store.report_stock_scope import take_all_stock, take_touched_stock

_DAILY: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "sales_daily": ("sales_daily", INSERT_SALES_DAILY),
        "sales_by_sku_daily": ("sales_by_sku_rows", INSERT_SALES_BY_SKU_ROWS),
        "returns_daily": ("returns_daily", INSERT_RETURNS_DAILY),
        "payments_daily": ("payments_daily", INSERT_PAYMENTS_DAILY),
        "fulfilment_daily": ("fulfilment_daily", INSERT_FULFILMENT_DAILY),
        "reconciliation_daily": ("reconciliation_daily", INSERT_RECONCILIATION_DAILY),
    }
)
"""The reports that are stored by connection and day: their table and the SQL that fills it from the scope."""

_STOCK: Mapping[str, str] = MappingProxyType({"inventory_daily": "inventory_rows", "sku_costs": "sku_cost_rows"})
"""The reports that are stored by SKU, with their tables; the second is made from the first."""

_BY_NUMBER = "sales_by_sku_rows"
"""The daily table that knows connections by their number, not by their name."""

_DELETE_DAYS = """
DELETE FROM reports.{table} r
USING report_days d, hub.connections c, hub.merchants m
WHERE c.connection_id = d.connection_id AND m.merchant_id = d.merchant_id
  AND r.merchant = m.name AND r.connection = c.name AND r.business_date = d.business_date
"""
_DELETE_NUMBERED_DAYS = """
DELETE FROM reports.{table} r USING report_days d
WHERE r.connection_id = d.connection_id AND r.business_date = d.business_date
"""
_DELETE_ALL = "DELETE FROM reports.{table} WHERE CAST(:merchant AS text) IS NULL OR merchant = :merchant"
_DELETE_ALL_NUMBERED = """
DELETE FROM reports.{table} WHERE CAST(:merchant AS text) IS NULL OR connection_id IN (
    SELECT c.connection_id FROM hub.connections c JOIN hub.merchants m USING (merchant_id) WHERE m.name = :merchant)
"""


def stored_reports() -> tuple[str, ...]:
    """Return the names of the reports that a refresh writes; the others are views."""
    return (*_DAILY, *_STOCK)


def refresh_rows(transaction: Connection, *, merchant: str | None) -> Mapping[str, int]:
    """Make the rows of the touched days and of the touched SKUs anew.

    Args:
        transaction: one that has done nothing else before.
        merchant: only this merchant's; None for all.

    Returns:
        Rows written per stored report; all zero where nothing was touched.

    Raises:
        Misconfigured: the merchant is unknown, a report table is missing.
    """
    written = dict.fromkeys(stored_reports(), 0)
    with missing_explained():
        _lock(transaction)
        merchants = known_merchants(transaction, merchant)
        merchant_id = merchants[0].merchant_id if merchant else None
        open_scope(transaction)
        if take_touched_days(transaction, merchant_id):
            fill_touched(transaction, merchants)
            transaction.execute(text(KEEP_RANGE_SHOWN))
            transaction.execute(text(KEEP_SHOWN_DAYS))
            for name in _DAILY:
                written[name] = _replace_days(transaction, name)
            _mark_restated(transaction, IN_DAYS, {})
        if take_touched_stock(transaction, merchant_id):
            written |= _replace_stock(transaction, tuple(_STOCK), INSERT_INVENTORY_ROWS)
    return written


def rebuild_rows(transaction: Connection, names: Sequence[str], *, merchant: str | None) -> Mapping[str, int]:
    """Make all rows of stored reports anew.

    Args:
        transaction: one that has done nothing else before.
        names: stored reports. Only where all of them are named do touched days count as done, and only where all
            those that are stored by SKU are named do touched SKUs.
        merchant: only this merchant's rows; None for all.

    Returns:
        Rows written per report.

    Raises:
        Misconfigured: the merchant is unknown, a table of the hub is missing.
    """
    written: dict[str, int] = {}
    daily = [name for name in _DAILY if name in names]
    stock = [name for name in _STOCK if name in names]
    with missing_explained():
        _lock(transaction)
        merchants = known_merchants(transaction, merchant)
        merchant_id = merchants[0].merchant_id if merchant else None
        transaction.execute(text("SET LOCAL work_mem = '128MB'"))
        if daily:
            open_scope(transaction)
            if len(daily) == len(_DAILY):
                forget_touched_days(transaction, merchant_id)
            fill_everything(transaction, merchants)
            transaction.execute(text(KEEP_RANGE_SHOWN))
            transaction.execute(text(KEEP_SHOWN), {"merchant": merchant})
            for name in daily:
                written[name] = _replace_all(transaction, name, merchant)
            _mark_restated(transaction, IN_MERCHANT, {"merchant": merchant})
        if stock:
            take_all_stock(transaction, merchant_id, forget_marks=len(stock) == len(_STOCK))
            written |= _replace_stock(transaction, stock, INSERT_ALL_INVENTORY_ROWS)
    return written


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


def known_connection(transaction: Connection, connection: str | None) -> None:
    """Raise Misconfigured where there is no connection of that name; the remedy lists those that there are."""
    names = transaction.scalars(text('SELECT name FROM hub.connections ORDER BY name COLLATE "C"')).all()
    if connection is not None and connection not in names:
        listed = ", ".join(names) or "none yet"
        raise Misconfigured(f"There is no connection {connection!r}", remedy=f"Known connections: {listed}")


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
    named = (*(table for table, _ in _DAILY.values()), *_STOCK.values())
    tables = ", ".join(f"{SCHEMA}.{table}" for table in named)
    transaction.execute(text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))


def _replace_days(transaction: Connection, name: str) -> int:
    table, insert = _DAILY[name]
    delete = _DELETE_NUMBERED_DAYS if table == _BY_NUMBER else _DELETE_DAYS
    transaction.execute(text(delete.format(table=table)))
    return int(transaction.execute(text(insert)).rowcount)


def _replace_all(transaction: Connection, name: str, merchant: str | None) -> int:
    table, insert = _DAILY[name]
    delete = _DELETE_ALL_NUMBERED if table == _BY_NUMBER else _DELETE_ALL
    transaction.execute(text(delete.format(table=table)), {"merchant": merchant})
    return int(transaction.execute(text(insert)).rowcount)


def _mark_restated(transaction: Connection, scope: str, given: Mapping[str, str | None]) -> None:
    transaction.execute(text(LOG_RESTATEMENTS.format(in_scope=scope)), given)
    transaction.execute(text(MARK_RESTATED))


def _replace_stock(transaction: Connection, names: Sequence[str], insert: str) -> Mapping[str, int]:
    written = {}
    if "inventory_daily" in names:
        transaction.execute(text(DELETE_INVENTORY_ROWS))
        written["inventory_daily"] = int(transaction.execute(text(insert)).rowcount)
    if "sku_costs" in names:
        rows = [transaction.execute(text(statement)).rowcount for statement in MAKE_SKU_COST_ROWS]
        written["sku_costs"] = sum(
            count for count, made in zip(rows, MAKE_SKU_COST_ROWS, strict=True) if "INSERT INTO" in made
        )
    return written
