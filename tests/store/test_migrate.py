"""Migrations: from empty to current, again, at once, and what guards the result."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from oms_hub.errors import StoreNewer
from oms_hub.store import report_schema, schema
from oms_hub.store.engine import Store, Transaction, open_store_at, parse_database_url
from oms_hub.store.merchants import Merchant
from oms_hub.store.migrate import _run_migrations, revision_state, upgrade
from oms_hub.store.revisions import known_revisions


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    """Give a database without anything in it."""
    name = f"hub_empty_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield parse_database_url(server_url).set(database=name).render_as_string(hide_password=False)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_an_empty_database_becomes_current_and_stays_so(empty_url: str) -> None:
    assert revision_state(empty_url) == "empty"
    upgrade(empty_url)
    assert revision_state(empty_url) == "current"
    upgrade(empty_url)
    assert revision_state(empty_url) == "current"


def test_two_upgrades_at_once_both_end_well(empty_url: str) -> None:
    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(upgrade, empty_url), both.submit(upgrade, empty_url)]:
            done.result(timeout=60)
    assert revision_state(empty_url) == "current"


def test_all_tables_are_there_with_their_comments(store: Store) -> None:
    for metadata in (schema.metadata, report_schema.metadata):
        with store.read() as tx:
            found = inspect(tx)
            for table in metadata.tables.values():
                assert found.get_table_comment(table.name, schema=table.schema)["text"] == table.comment
                columns = {column["name"] for column in found.get_columns(table.name, schema=table.schema)}
                assert columns == {column.name for column in table.columns}


def test_a_newer_store_is_left_alone(store: Store) -> None:
    with store.begin() as tx:
        tx.execute(text("UPDATE hub.alembic_version SET version_num = '9999'"))
    assert revision_state(store.database_url) == "newer"
    with pytest.raises(StoreNewer):
        upgrade(store.database_url)
    with store.read() as tx:
        assert tx.scalar(text("SELECT version_num FROM hub.alembic_version")) == "9999"


def test_a_store_behind_is_recognised(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oms_hub.store.revisions.known_revisions", lambda: (*known_revisions(), "9998"))
    with store.read() as tx:
        assert tx.scalar(text("SELECT version_num FROM hub.alembic_version")) == known_revisions()[-1]
    assert revision_state(store.database_url) == "behind"


@pytest.mark.parametrize(
    "statement", ["UPDATE hub.movements SET cause = 'other'", "DELETE FROM hub.movements", "TRUNCATE hub.movements"]
)
def test_the_ledger_refuses_to_be_changed(store: Store, merchant: Merchant, statement: str) -> None:
    with store.begin() as tx:
        tx.execute(text("INSERT INTO hub.skus (merchant_id, sku) VALUES (:m, 'MUG')"), {"m": merchant.merchant_id})
        tx.execute(
            text(
                "INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before,"
                " balance_after, occurred_at, source, natural_key, cause)"
                " SELECT :m, sku_id, location_id, 'count', 5, 0, 5, now(), 's', 'k', 'c'"
                " FROM hub.skus, hub.locations"
            ),
            {"m": merchant.merchant_id},
        )
    with pytest.raises(IntegrityError, match="movements is append-only"), store.begin() as tx:
        tx.execute(text(statement))
    with store.read() as tx:
        assert tx.execute(text("SELECT quantity, cause FROM hub.movements")).all() == [(5, "c")]


def test_analysts_read_reports_and_nothing_else(store: Store) -> None:
    with store.begin() as tx:
        tx.execute(text("SET LOCAL ROLE oms_hub_analyst"))
        assert tx.scalar(text("SELECT count(*) FROM reports.sales_daily")) == 0
        assert tx.scalar(text("SELECT has_schema_privilege('hub', 'USAGE')")) is False
        assert tx.scalar(text("SELECT has_table_privilege('reports.sales_daily', 'INSERT')")) is False


def test_a_store_can_be_opened_right_after_migrating(empty_url: str) -> None:
    upgrade(empty_url)
    opened = open_store_at(empty_url)
    with opened.read() as tx:
        assert tx.scalar(text("SELECT count(*) FROM hub.connections")) == 0
    opened.close()


def test_the_migrations_give_exactly_what_the_program_defines(store: Store, empty_url: str) -> None:
    defined = open_store_at(empty_url, check_revision=False)
    with defined.begin() as tx:
        for name in ("hub", "reports"):
            tx.execute(text(f"CREATE SCHEMA {name}"))
        schema.metadata.create_all(tx, checkfirst=False)
        report_schema.metadata.create_all(tx, checkfirst=False)
        wanted = _shape(tx)
    defined.close()
    with store.read() as tx:
        found = _shape(tx)
    assert found == wanted
    assert len(found) > 400


@pytest.mark.parametrize("earlier", known_revisions()[:-1])
def test_every_earlier_release_becomes_the_same_as_a_new_store(
    store: Store, empty_url: str, earlier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        then.setattr(command, "upgrade", partial(_upgrade_to, earlier, command.upgrade))
        older = open_store_at(empty_url, check_revision=False)
        with older.begin() as tx:
            _run_migrations(tx)
        older.close()
    assert revision_state(empty_url) == "behind"
    upgrade(empty_url)
    assert revision_state(empty_url) == "current"
    upgraded = open_store_at(empty_url)
    with store.read() as tx, upgraded.read() as other:
        assert _shape(other) == _shape(tx)
    upgraded.close()


def _upgrade_to(revision: str, plain: Callable[[Config, str], None], config: Config, _head: str) -> None:
    plain(config, revision)


def _shape(tx: Transaction) -> list[tuple[object, ...]]:
    """Return columns, constraints, indexes, views and comments of both schemas, in order."""
    query = """
        SELECT 'column', c.table_schema || '.' || c.table_name, c.column_name, c.data_type || ' ' || c.is_nullable,
               coalesce(c.column_default, ''), coalesce(col_description(
                   (quote_ident(c.table_schema) || '.' || quote_ident(c.table_name))::regclass, c.ordinal_position), '')
        FROM information_schema.columns c WHERE c.table_schema IN ('hub', 'reports') AND c.table_name <> 'alembic_version'
        UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
        FROM pg_constraint WHERE connamespace IN ('hub'::regnamespace, 'reports'::regnamespace) AND contype <> 'n'
          AND conrelid::regclass::text <> 'hub.alembic_version'
        UNION ALL SELECT 'index', schemaname || '.' || tablename, indexname, indexdef, '', ''
        FROM pg_indexes WHERE schemaname IN ('hub', 'reports') AND tablename <> 'alembic_version'
        UNION ALL SELECT 'view', schemaname || '.' || viewname, definition, '', '', '' FROM pg_views
        WHERE schemaname IN ('hub', 'reports')
        UNION ALL SELECT 'comment', oid::regclass::text, obj_description(oid, 'pg_class'), '', '', '' FROM pg_class
        WHERE relnamespace IN ('hub'::regnamespace, 'reports'::regnamespace) AND relkind IN ('r', 'v')
          AND relname <> 'alembic_version'
        ORDER BY 1, 2, 3, 4
    """
    return [tuple(row) for row in tx.execute(text(query))]
