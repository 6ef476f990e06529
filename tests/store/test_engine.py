"""Opening the store, its transactions, and what the database's troubles become."""

from __future__ import annotations

import socket
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError, ResourceClosedError

from oms_hub.errors import HubError, Misconfigured, RetryLater, StoreBehind, StoreNewer, StoreUnavailable
from oms_hub.settings import Settings
from oms_hub.store.connections import StoredConnection
from oms_hub.store.database_errors import translated
from oms_hub.store.engine import Store, connect_arguments, open_store, open_store_at, parse_database_url


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgres"])
def test_every_known_form_of_a_url_is_read_for_psycopg_3(scheme: str) -> None:
    parsed = parse_database_url(f" {scheme}://ann:s3cret@db.example:5433/hub?sslmode=require ")
    assert parsed.drivername == "postgresql+psycopg"
    arguments = connect_arguments(parsed)
    assert arguments["user"] == "ann"
    assert arguments["password"] == "s3cret"
    assert arguments["port"] == 5433
    assert arguments["sslmode"] == "require"
    assert arguments["connect_timeout"] == 10
    assert arguments["options"] == "-c timezone=UTC -c client_min_messages=warning -c jit=off -c temp_buffers=64MB"


def test_options_and_time_outs_of_the_url_are_kept() -> None:
    parsed = parse_database_url("postgresql://h/hub?options=-c%20work_mem%3D8MB&connect_timeout=3&host=a&host=b")
    arguments = connect_arguments(parsed)
    assert (
        arguments["options"]
        == "-c work_mem=8MB -c timezone=UTC -c client_min_messages=warning -c jit=off -c temp_buffers=64MB"
    )
    assert arguments["connect_timeout"] == "3"
    assert arguments["host"] == "a,b"


@pytest.mark.parametrize("url", ["", "nonsense s3cret", "mysql://ann:s3cret@h/d", "postgresql://ann:s3cret@h"])
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        parse_database_url(url)
    assert "s3cret" not in refused.value.one_line()
    assert "OMS_HUB_DATABASE_URL" in refused.value.remedy


def test_sessions_run_in_utc_under_our_name(store: Store) -> None:
    with store.read() as tx:
        assert tx.scalar(text("SHOW timezone")) == "UTC"
        assert tx.scalar(text("SHOW application_name")) == "oms-hub"


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    def write_and_stop() -> None:
        with store.begin() as tx:
            tx.execute(text("INSERT INTO hub.leases (name, holder, fence) VALUES ('x', 'y', 1)"))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_and_stop()
    with store.read() as tx:
        assert tx.scalar(text("SELECT count(*) FROM hub.leases")) == 0


def test_a_reading_transaction_cannot_write_and_the_next_one_can(store: Store) -> None:
    with pytest.raises(Misconfigured, match="read-only"), store.read() as tx:
        tx.execute(text("INSERT INTO hub.leases (name, holder, fence) VALUES ('x', 'y', 1)"))
    with store.begin() as tx:
        tx.execute(text("INSERT INTO hub.leases (name, holder, fence) VALUES ('x', 'y', 1)"))


def test_a_server_that_is_down_is_said_so_without_the_password() -> None:
    port = closed_port()
    with pytest.raises(StoreUnavailable) as refused:
        open_store_at(f"postgresql://ann:s3cret@127.0.0.1:{port}/hub")
    assert refused.value.message == f"The database 127.0.0.1:{port}/hub cannot be reached"
    assert refused.value.remedy == "Check that PostgreSQL is running and reachable, then run again"


def test_a_server_that_goes_away_in_the_middle_leaves_nothing_and_is_found_again(store: Store, server_url: str) -> None:
    def write_while_the_server_ends_the_session() -> None:
        with store.begin() as tx:
            tx.execute(text("INSERT INTO hub.leases (name, holder, fence) VALUES ('x', 'y', 1)"))
            backend = tx.scalar(text("SELECT pg_backend_pid()"))
            with psycopg.connect(server_url, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", (backend,))
            tx.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable, match="went away"):
        write_while_the_server_ends_the_session()
    with store.read() as tx:
        assert tx.scalar(text("SELECT count(*) FROM hub.leases")) == 0


def stop_amid_a_copy(store: Store, way: str) -> None:
    """Be stopped while the driver is at work, in the state that Ctrl-C leaves it in."""
    with getattr(store, way)() as tx:
        if way == "begin":
            tx.execute(text("INSERT INTO hub.leases (name, holder, fence) VALUES ('x', 'y', 1)"))
        driver = tx.connection.driver_connection
        assert driver is not None
        driver.pgconn.send_query(b"COPY (SELECT generate_series(1, 1000000)) TO STDOUT")
        raise KeyboardInterrupt


@pytest.mark.parametrize("way", ["begin", "read"])
def test_a_stop_in_the_middle_of_a_statement_leaves_nothing_and_says_nothing(
    store: Store, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        stop_amid_a_copy(store, way)
    assert caplog.messages == []
    with store.read() as tx:
        assert tx.scalar(text("SELECT count(*) FROM hub.leases")) == 0


def test_a_connection_that_died_in_the_pool_is_replaced_unseen(store: Store, server_url: str) -> None:
    with store.read() as tx:
        backend = tx.scalar(text("SELECT pg_backend_pid()"))
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (backend,))
    with store.read() as tx:
        assert tx.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        ("53100", StoreUnavailable, "disk of the database"),
        ("58030", StoreUnavailable, "disk of the database"),
        ("57P01", StoreUnavailable, "went away or takes no connections"),
        ("53300", StoreUnavailable, "went away or takes no connections"),
        ("08006", StoreUnavailable, "went away or takes no connections"),
        ("40P01", RetryLater, "blocked each other"),
        ("40001", RetryLater, "blocked each other"),
        ("55P03", RetryLater, "blocked each other"),
        ("28P01", Misconfigured, "refuses the login"),
        ("3D000", Misconfigured, "There is no database"),
        ("25006", Misconfigured, "read-only"),
    ],
)
def test_states_of_the_server_become_the_hub_s_errors(
    store: Store, state: str, error: type[HubError], words: str
) -> None:
    with pytest.raises(error, match=words) as raised, store.begin() as tx:
        tx.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$"))
    assert raised.value.remedy
    assert type(raised.value) is error


def test_a_full_disk_behind_an_internal_error_is_recognised(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="disk of the database"), store.begin() as tx:
        tx.execute(text("DO $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'XX000'; END $$"))


def test_faults_of_our_own_statements_stay_what_they_are(store: Store) -> None:
    with pytest.raises(ProgrammingError), store.begin() as tx:
        tx.execute(text("SELECT nothing FROM nowhere"))
    with pytest.raises(IntegrityError), store.begin() as tx:
        tx.execute(text("INSERT INTO hub.leases (name, fence) VALUES ('x', 1)"))


def test_an_unknown_database_is_named(server_url: str) -> None:
    url = server_url.rsplit("/", 1)[0] + "/there_is_no_such_database"
    if "?" in server_url:
        url = "postgresql://postgres@/there_is_no_such_database?" + server_url.split("?", 1)[1]
    with pytest.raises(Misconfigured, match=r"There is no database .*there_is_no_such_database"):
        open_store_at(url)


def test_an_unknown_user_is_a_refused_login(database_url: str) -> None:
    parsed = parse_database_url(database_url).set(username="nobody-of-that-name", password="s3cret")
    with pytest.raises(Misconfigured, match="refuses the login") as refused:
        open_store_at(parsed.render_as_string(hide_password=False))
    assert "s3cret" not in refused.value.one_line()


def test_a_store_of_a_newer_version_is_refused(store: Store) -> None:
    with store.begin() as tx:
        tx.execute(text("UPDATE hub.alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreNewer, match="newer oms-hub") as refused:
        open_store_at(store.database_url)
    assert refused.value.remedy


@pytest.mark.parametrize("damage", ["DELETE FROM hub.alembic_version", "DROP SCHEMA hub CASCADE"])
def test_an_empty_store_asks_to_be_migrated(store: Store, damage: str) -> None:
    with store.begin() as tx:
        tx.execute(text(damage))
    with pytest.raises(StoreBehind, match="is empty") as refused:
        open_store_at(store.database_url)
    assert refused.value.remedy == "Run: oms-hub migrate"


def test_the_settings_name_the_store(database_url: str, tmp_path: Path) -> None:
    opened = open_store(Settings(home=tmp_path, database_url=SecretStr(database_url)))
    with opened.read() as tx:
        assert tx.scalar(text("SELECT count(*) FROM hub.leases")) == 0
    opened.close()
    assert list(tmp_path.iterdir()) == []


def test_json_is_read_and_written_as_it_is(store: Store, connection: StoredConnection) -> None:
    with store.read() as tx:
        assert tx.scalar(text("SELECT settings FROM hub.connections")) == {"base_url": "https://x"}


def test_a_session_of_its_own_is_outside_the_pool(store: Store) -> None:
    with store.own_session() as session, store.read() as tx:
        row = session.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        assert row[0] != tx.scalar(text("SELECT pg_backend_pid()"))


@pytest.mark.parametrize(
    ("text_of_libpq", "words"),
    [
        ('FATAL:  password authentication failed for user "zoe"', "refuses the login"),
        ("fe_sendauth: no password supplied", "refuses the login"),
        ('no pg_hba.conf entry for host "10.0.0.1"', "refuses the login"),
        ("could not translate host name", "cannot be reached"),
    ],
)
def test_refusals_before_a_session_are_told_apart(text_of_libpq: str, words: str) -> None:
    known = translated(psycopg.OperationalError(text_of_libpq), "db:5432/hub")
    assert known is not None
    assert words in known.message
    assert "zoe" not in known.one_line()


def test_what_is_no_trouble_of_the_server_is_not_translated() -> None:
    assert translated(psycopg.InterfaceError("misused"), "db") is None
    assert translated(ResourceClosedError("closed"), "db") is None
    assert translated(psycopg.errors.UndefinedColumn("x"), "db") is None
