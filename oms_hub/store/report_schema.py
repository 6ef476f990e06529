"""The tables and views of PostgreSQL schema `reports`, with a comment on every one of them and on every column.

What belongs here: how descriptions (`report_columns`) become tables, views and comments. `metadata.create_all` makes
the schema, the tables and then the views, so the tables of `hub` must be there before. What the figures mean stands
in the module of each report.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Double,
    Index,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.types import TypeEngine

from oms_hub.store.report_channel import CHANNEL_LEVELS
from oms_hub.store.report_classes import ABC, STOCK_AGEING
from oms_hub.store.report_columns import ColumnKind, ReportColumn, ReportDefinition
from oms_hub.store.report_costs import SKU_COST_ROWS, SKU_COSTS
from oms_hub.store.report_cover import REORDER, STOCK_COVER
from oms_hub.store.report_customers import CUSTOMERS_RFM
from oms_hub.store.report_demand import DEMAND_HOURLY
from oms_hub.store.report_fulfilment import FULFILMENT_DAILY
from oms_hub.store.report_health import EXCEPTIONS, SYNC_HEALTH
from oms_hub.store.report_inventory import INVENTORY_DAILY, INVENTORY_ROWS
from oms_hub.store.report_payments import PAYMENTS_DAILY
from oms_hub.store.report_profit import CHANNEL_PROFIT_DAILY
from oms_hub.store.report_rates import SALES_BASE_DAILY
from oms_hub.store.report_reconciliation import RECONCILIATION_DAILY
from oms_hub.store.report_restatements import RESTATEMENTS
from oms_hub.store.report_returns import RETURNS_DAILY
from oms_hub.store.report_sales import SALES_DAILY
from oms_hub.store.report_sku_sales import SALES_BY_SKU_DAILY, SALES_BY_SKU_ROWS
from oms_hub.store.report_stock import STOCK_LEVELS

SCHEMA = "reports"
metadata = MetaData(schema=SCHEMA, naming_convention={"pk": "pk_%(table_name)s"})

DEFINITIONS: Mapping[str, ReportDefinition] = MappingProxyType(
    {
        definition.name: definition
        for definition in (
            SALES_DAILY,
            SALES_BY_SKU_DAILY,
            SALES_BASE_DAILY,
            RETURNS_DAILY,
            PAYMENTS_DAILY,
            FULFILMENT_DAILY,
            RECONCILIATION_DAILY,
            CHANNEL_PROFIT_DAILY,
            RESTATEMENTS,
            DEMAND_HOURLY,
            STOCK_LEVELS,
            INVENTORY_DAILY,
            SKU_COSTS,
            STOCK_COVER,
            REORDER,
            STOCK_AGEING,
            ABC,
            CUSTOMERS_RFM,
            CHANNEL_LEVELS,
            SYNC_HEALTH,
            EXCEPTIONS,
        )
    }
)
"""Every report by its name, in the order in which they are listed; a view stands after the views that it reads."""

VIEWS: tuple[ReportDefinition, ...] = tuple(found for found in DEFINITIONS.values() if found.is_view)

_TYPES: Mapping[ColumnKind, TypeEngine[Any]] = MappingProxyType(
    {
        ColumnKind.WORDS: Text(collation="C"),  # one order on every server, and keys that compare fast
        ColumnKind.DAY: Date(),
        ColumnKind.INSTANT: DateTime(timezone=True),
        ColumnKind.WHOLE: BigInteger(),
        ColumnKind.AMOUNT: Numeric(),
        ColumnKind.RATIO: Numeric(18, 6),
        ColumnKind.SECONDS: Double(),
        ColumnKind.FLAG: Boolean(),
    }
)


def _column(column: ReportColumn) -> Column[Any]:
    kind = _TYPES[column.kind]
    return Column(column.name, kind, nullable=column.has_gaps, comment=column.comment)


def _table(definition: ReportDefinition) -> Table:
    columns = [_column(column) for column in definition.columns]
    return Table(definition.name, metadata, *columns, PrimaryKeyConstraint(*definition.key), comment=definition.comment)


sales_daily = _table(SALES_DAILY)
sales_by_sku_rows = _table(SALES_BY_SKU_ROWS)
returns_daily = _table(RETURNS_DAILY)
payments_daily = _table(PAYMENTS_DAILY)
fulfilment_daily = _table(FULFILMENT_DAILY)
inventory_rows = _table(INVENTORY_ROWS)
sku_cost_rows = _table(SKU_COST_ROWS)
reconciliation_daily = _table(RECONCILIATION_DAILY)
Index(
    "ix_reconciliation_daily_quarantined",
    reconciliation_daily.c.merchant,
    reconciliation_daily.c.connection,
    postgresql_where=text("quarantined > 0"),
)
Index(
    "ix_inventory_rows_transferred",
    inventory_rows.c.sku_id,
    inventory_rows.c.business_date,
    postgresql_where=text("transferred <> 0"),
)


def _quoted(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"


def view_statements(definition: ReportDefinition) -> tuple[str, ...]:
    """Return the SQL that makes (or makes again) one view and its comments."""
    name = f"{SCHEMA}.{definition.name}"
    comments = tuple(
        f"COMMENT ON COLUMN {name}.{column.name} IS {_quoted(column.comment)}" for column in definition.columns
    )
    return (
        f"CREATE OR REPLACE VIEW {name} AS{definition.view_sql.rstrip()}",
        f"COMMENT ON VIEW {name} IS {_quoted(definition.comment)}",
        *comments,
    )


@event.listens_for(metadata, "before_create")
def _make_schema(_target: MetaData, connection: Connection, **_options: object) -> None:
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")


@event.listens_for(metadata, "after_create")
def _make_views(_target: MetaData, connection: Connection, **_options: object) -> None:
    for definition in VIEWS:
        for statement in view_statements(definition):
            connection.exec_driver_sql(statement)


def ensure_reports(connection: Connection) -> None:
    """Make what is missing of schema `reports`; what is there stays. Repairs a table that was dropped by hand."""
    metadata.create_all(connection, checkfirst=True)
