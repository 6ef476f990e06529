"""Opening the store and its transactions; turning the database's errors into the hub's.

What belongs here: the connection pool and what a transaction is. Not here: any table, and what is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from oms_hub.errors import Misconfigured, StoreBehind, StoreNewer
from oms_hub.store.database_errors import translated
from oms_hub.store.embedded import start_embedded
from oms_hub.store.revisions import read_state

if TYPE_CHECKING:
    from oms_hub.settings import Settings

Transaction: TypeAlias = Connection
"""One open transaction of the store."""

_SESSION_OPTIONS = "-c timezone=UTC -c client_min_messages=warning -c jit=off -c temp_buffers=64MB"
_CONNECT_TIMEOUT_SECONDS = 10


class Store:
    """The hub's PostgreSQL database: transactions in, errors of `oms_hub.errors` out."""

    def __init__(self, url: URL, engine: Engine) -> None:
        self._url = url
        self._engine = engine

    @property
    def database_url(self) -> str:
        """Return the URL with its password: hand it to a driver, never to a message."""
        return self._url.render_as_string(hide_password=False)

    @property
    def place(self) -> str:
        """Return where the database is, fit for messages: no user, no password."""
        return _place(self._url)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Give a transaction that commits when the block ends and rolls back when it raises.

        Raises:
            StoreUnavailable: the server cannot be reached, went away, or its disk is full; nothing was written.
            Misconfigured: the server refuses the user, the password or the database.
            RetryLater: two transactions blocked each other; nothing was written.
        """
        with self.mapped_errors(), self._engine.begin() as transaction, _left_when_stopped(transaction):
            yield transaction

    @contextmanager
    def begin_repeatable(self) -> Iterator[Transaction]:
        """Give a transaction whose commit does not wait for the disk; raises as `begin` does.

        Only for work whose cursor is in the same transaction: if the database server itself crashes within the blink
        of an eye, data and cursor are lost together, and the next run does exactly that work again.
        """
        with self.begin() as transaction:
            transaction.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield transaction

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Give a read-only transaction; raises as `begin` does."""
        with self.mapped_errors(), self._engine.connect() as transaction, _left_when_stopped(transaction):
            transaction.execution_options(postgresql_readonly=True)
            yield transaction

    @contextmanager
    def own_session(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Give a database session outside the pool, in autocommit: for locks that live as long as their holder."""
        with self.mapped_errors():
            session = psycopg.connect(**connect_arguments(self._url), autocommit=True)
        try:
            yield session
        finally:
            session.close()

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()

    @contextmanager
    def mapped_errors(self) -> Iterator[None]:
        """Turn the database's errors inside the block into the hub's; faults of our own statements stay as they are."""
        try:
            yield
        except (SQLAlchemyError, psycopg.Error) as error:
            known = translated(error, self.place)
            if known is None:
                raise
            raise known from None


@contextmanager
def _left_when_stopped(transaction: Transaction) -> Iterator[None]:
    """Close the session of a block that a person stopped: in the middle of a COPY it cannot be told to roll back."""
    try:
        yield
    except KeyboardInterrupt:
        transaction.invalidate()
        raise


def open_store(settings: Settings, *, check_revision: bool = True) -> Store:
    """Open the store that the settings name, starting the embedded database where none is named.

    Raises:
        StoreBehind: it lacks migrations. StoreNewer: a newer program migrated it.
        StoreUnavailable: it cannot be reached. Misconfigured: the URL or the login is wrong.
    """
    if settings.database_url is not None:
        return open_store_at(settings.database_url.get_secret_value(), check_revision=check_revision)
    return open_store_at(start_embedded(settings.home), check_revision=check_revision)


def open_store_at(url: str, *, check_revision: bool = True) -> Store:
    """Open the store at a database URL; raises as `open_store` does."""
    parsed = parse_database_url(url)
    store = Store(parsed, _engine(parsed))
    if check_revision:
        try:
            _require_current(store)
        except BaseException:
            store.close()
            raise
    return store


def parse_database_url(url: str) -> URL:
    """Return the URL for our driver (psycopg 3), whichever of the two known forms was given.

    Raises:
        Misconfigured: it is no PostgreSQL URL; the message does not repeat it, since it may hold a password.
    """
    remedy = "Set OMS_HUB_DATABASE_URL to postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError):
        raise Misconfigured("The database URL cannot be read", remedy=remedy) from None
    if parsed.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise Misconfigured("The database URL does not name PostgreSQL", remedy=remedy)
    if not parsed.database:
        raise Misconfigured("The database URL names no database", remedy=remedy)
    return parsed.set(drivername="postgresql+psycopg")


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return psycopg's connection arguments for a URL: UTC sessions, bounded waiting, our name."""
    given: dict[str, Any] = dict(url.translate_connect_args(username="user", database="dbname"))
    given.update({key: value if isinstance(value, str) else ",".join(value) for key, value in url.query.items()})
    options = f"{given.pop('options', '')} {_SESSION_OPTIONS}".strip()
    defaults = {"connect_timeout": _CONNECT_TIMEOUT_SECONDS, "application_name": "oms-hub"}
    return {**defaults, **given, "options": options}


def _engine(url: URL) -> Engine:
    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(**connect_arguments(url))

    return create_engine(
        url,
        creator=connect,
        pool_size=4,
        max_overflow=8,
        pool_pre_ping=True,
        hide_parameters=True,
        json_serializer=_json_text,
        json_deserializer=orjson.loads,
    )


def _json_text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _place(url: URL) -> str:
    host = url.host or url.query.get("host") or "local socket"
    return f"{host}:{url.port or 5432}/{url.database}" if url.host else f"{url.database} at {host}"


def _require_current(store: Store) -> None:
    with store.read() as transaction:
        state = read_state(transaction)
    if state in ("empty", "behind"):
        raise StoreBehind(f"The database {store.place} is {'empty' if state == 'empty' else 'behind this program'}")
    if state == "newer":
        raise StoreNewer(f"The database {store.place} was migrated by a newer oms-hub")
