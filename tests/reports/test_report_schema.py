"""The schema `reports`: comments on everything, types as promised, a read-only role, a current dictionary."""

from __future__ import annotations

import uuid
from datetime import date
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from oms_hub import reports
from oms_hub.reports.contract import check
from oms_hub.reports.dictionary import data_dictionary
from oms_hub.store.engine import open_store_at
from oms_hub.store.frames import column_dtype, plain_rows
from oms_hub.store.report_schema import DEFINITIONS
from oms_hub.store.roles import ANALYST_ROLE, ensure_analyst_role

ROOT = Path(__file__).resolve().parents[2]


def test_every_table_view_and_column_has_its_definition_as_comment(store):
    with store.read() as tx:
        found = tx.execute(
            text(
                "SELECT c.relname, a.attname, col_description(c.oid, a.attnum), obj_description(c.oid), "
                "format_type(a.atttypid, a.atttypmod) FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
                "WHERE n.nspname = 'reports' AND c.relkind IN ('r', 'v') AND a.attnum > 0 ORDER BY 1, a.attnum"
            )
        ).all()
    assert [row for row in found if not row[2] or not row[3]] == []
    promised = {
        (definition.name, column.name, column.comment, definition.comment, column.kind.value)
        for definition in DEFINITIONS.values()
        for column in definition.columns
    }
    assert {tuple(row) for row in found if row[0] in DEFINITIONS} == promised


def test_the_registry_has_exactly_the_defined_reports_and_their_keys_are_those_promised():
    assert list(reports.REPORTS) == list(DEFINITIONS)
    assert {name: report.definition.key for name, report in reports.REPORTS.items()} == {
        "sales_daily": ("merchant", "connection", "business_date", "currency"),
        "sales_by_sku_daily": ("merchant", "connection", "business_date", "currency", "sku"),
        "sales_base_daily": ("merchant", "connection", "business_date", "currency"),
        "returns_daily": ("merchant", "connection", "business_date", "currency", "reason"),
        "payments_daily": ("merchant", "connection", "business_date", "currency", "gateway"),
        "fulfilment_daily": ("merchant", "connection", "business_date"),
        "reconciliation_daily": ("merchant", "connection", "business_date", "currency"),
        "channel_profit_daily": ("merchant", "connection", "business_date", "currency"),
        "restatements": ("merchant", "connection", "business_date", "currency", "restated_at"),
        "demand_hourly": ("merchant", "connection", "hour_at", "sku"),
        "stock_levels": ("merchant", "sku", "location"),
        "inventory_daily": ("merchant", "sku", "location", "business_date"),
        "sku_costs": ("merchant", "sku", "from_date"),
        "stock_cover": ("merchant", "sku"),
        "reorder": ("merchant", "sku"),
        "stock_ageing": ("merchant", "sku", "location"),
        "abc": ("merchant", "sku"),
        "customers_rfm": ("merchant", "connection", "customer"),
        "channel_levels": ("connection", "listing"),
        "sync_health": ("connection",),
        "exceptions": ("exception_id",),
    }


@pytest.mark.parametrize("name", list(DEFINITIONS))
def test_an_empty_report_has_its_columns_and_types(store, name):
    frame = reports.frame(store, name)
    definition = DEFINITIONS[name]
    assert list(frame.columns) == [column.name for column in definition.columns]
    assert [str(dtype) for dtype in frame.dtypes] == [column_dtype(column) for column in definition.columns]
    assert len(frame) == 0
    assert check(name, frame) == ()


def test_a_merchant_without_data_has_empty_reports_with_their_columns(store, book, make):
    other = make.book(store, "other", "Asia/Tokyo", ("other-shop",))
    other.map_sku("A", "1.00")
    other.put("other-shop", make.order("1", "2026-03-10T20:00", make.line("l", "A", 1, "7.00")))
    other.move("A", "count", 3, "2026-03-01T20:00")
    reports.refresh_touched(store)
    for name, definition in DEFINITIONS.items():
        frame = reports.frame(store, name, merchant="acme")
        assert list(frame.columns) == [column.name for column in definition.columns]
        assert len(frame) == (2 if name == "sync_health" else 0), name
        assert reports.problems(store, name, since=date(2026, 1, 1)) == ()


def test_missing_values_come_out_of_a_frame_as_none():
    frame = pd.DataFrame(
        {
            "words": pd.Series(["NaN", None], dtype="str"),
            "whole": pd.Series([1, None], dtype="Int64"),
            "instant": pd.Series([None, pd.Timestamp("2026-01-01", tz="UTC")], dtype="datetime64[us, UTC]"),
            "ratio": pd.Series([0.5, None], dtype="float64"),
        }
    )
    assert list(plain_rows(frame)) == [
        ("NaN", 1, None, 0.5),
        (None, None, pd.Timestamp("2026-01-01", tz="UTC"), None),
    ]


def test_the_data_dictionary_in_the_docs_is_current():
    assert (ROOT / "docs" / "reference" / "reports.md").read_text(encoding="utf-8") == data_dictionary()


def as_analyst(store, statement):
    with store.begin() as tx:
        tx.exec_driver_sql(f"SET LOCAL ROLE {ANALYST_ROLE}")
        tx.exec_driver_sql(statement)


def test_the_role_reads_reports_and_nothing_else_and_changes_nothing(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    for _ in range(2):
        with store.begin() as tx:
            assert ensure_analyst_role(tx).is_ready
    with store.begin() as tx:
        tx.exec_driver_sql("CREATE TABLE reports.added_later (n int)")
    for name in (*DEFINITIONS, "added_later"):
        as_analyst(store, f"SELECT * FROM reports.{name}")
    for refused in ("SELECT * FROM hub.orders", "DELETE FROM reports.sales_daily", "CREATE TABLE reports.x (n int)"):
        with pytest.raises(DBAPIError) as error:
            as_analyst(store, refused)
        assert error.value.orig.sqlstate == "42501"


def test_a_user_who_may_not_grant_is_told_what_to_run_and_nothing_breaks(store, server_url):
    user = f"hub_plain_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {user} NOLOGIN")
        try:
            with store.begin() as tx:
                tx.exec_driver_sql("CREATE TABLE kept (n int)")
                tx.exec_driver_sql(f"GRANT INSERT ON kept TO {user}")
                tx.exec_driver_sql(f"SET LOCAL ROLE {user}")
                found = ensure_analyst_role(tx)
                tx.exec_driver_sql("INSERT INTO kept VALUES (1)")
            assert not found.is_ready
            assert found.reason.startswith("The database user may not create roles; an administrator can run: CREATE")
            with store.begin() as tx:
                assert tx.exec_driver_sql("SELECT n FROM kept").scalar_one() == 1
                tx.exec_driver_sql("DROP TABLE kept")
        finally:
            admin.execute(f"DROP ROLE {user}")


def test_any_other_failure_of_the_grants_is_raised(store):
    with store.begin() as tx:
        tx.exec_driver_sql("DROP SCHEMA reports CASCADE")
    with pytest.raises(DBAPIError, match='schema "reports" does not exist'), store.begin() as tx:
        ensure_analyst_role(tx)


def test_a_store_without_the_reports_schema_gets_it_back(database_url):
    store = open_store_at(database_url)
    with store.begin() as tx:
        tx.exec_driver_sql("DROP SCHEMA reports CASCADE")
    assert set(reports.rebuild(store).values()) == {0}
    assert len(reports.frame(store, "sync_health")) == 0
    store.close()
