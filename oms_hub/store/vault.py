"""The vault: secrets of connections, encrypted or as references; never in plain text in a table.

What belongs here: the table of secrets and the lock around refreshing tokens. Not here: the cipher and how
references are resolved, which are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from oms_hub.store.connections import StoredConnection
from oms_hub.store.engine import Store, Transaction
from oms_hub.store.schema import secrets

_LOCK_CLASS = 0x6F6D7302
_LOCK_WAIT = "60s"


class Box(Protocol):
    """Encrypts values so that they open only in the same context."""

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        """Return the ciphertext of a value."""

    def decrypt(self, ciphertext: bytes, context: bytes) -> bytes:
        """Return the value of a ciphertext; raises Misconfigured where the key or the context differ."""


class ConnectionSecrets:
    """The secrets of one connection, read from the store when they are needed and never kept.

    Args:
        store: where they stand.
        connection_id: whose they are.
        merchant_id: the merchant of the connection.
        box: the cipher.
        resolve: turns a reference (`env:NAME`, `file:PATH`) into its value.
    """

    def __init__(
        self, store: Store, connection_id: int, merchant_id: int, box: Box, *, resolve: Callable[[str], str]
    ) -> None:
        self._store = store
        self._connection_id = connection_id
        self._merchant_id = merchant_id
        self._box = box
        self._resolve = resolve

    def get(self, name: str) -> str | None:
        """Return a secret's value, None where it was never given."""
        with self._store.read() as tx:
            row = tx.execute(
                select(secrets.c.ciphertext, secrets.c.reference).where(
                    secrets.c.connection_id == self._connection_id, secrets.c.name == name
                )
            ).one_or_none()
        if row is None:
            return None
        if row.reference is not None:
            return self._resolve(row.reference)
        return self._box.decrypt(bytes(row.ciphertext), _context(self._connection_id, name)).decode()

    def replace(self, values: Mapping[str, str]) -> None:
        """Store new values durably, all or none, before this returns."""
        with self._store.begin() as tx:
            _write(tx, self._connection_id, self._merchant_id, _sealed(self._connection_id, values, self._box), {})

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the right to refresh this connection's tokens, over all processes; others wait for it.

        Raises:
            RetryLater: it was not free within a minute.
        """
        with self._store.own_session() as session:
            with self._store.mapped_errors():
                session.execute("SELECT set_config('lock_timeout', %s, false)", (_LOCK_WAIT,))
                session.execute("SELECT pg_advisory_lock(%s, %s)", (_LOCK_CLASS, self._connection_id))
            yield


def put_secrets(
    tx: Transaction,
    connection: StoredConnection,
    *,
    values: Mapping[str, str],
    references: Mapping[str, str],
    box: Box,
) -> None:
    """Store secrets of a connection: values encrypted, references as they are; others of it stay."""
    _write(
        tx, connection.connection_id, connection.merchant_id,
        _sealed(connection.connection_id, values, box), references,
    )  # fmt: skip


def secret_names(tx: Transaction, connection_id: int) -> Mapping[str, str]:
    """Return the names of a connection's secrets with their reference, empty text where it is encrypted here."""
    query = select(secrets.c.name, secrets.c.reference).where(secrets.c.connection_id == connection_id)
    return {row.name: row.reference or "" for row in tx.execute(query.order_by(secrets.c.name))}


def forget_secrets(tx: Transaction, connection_id: int, names: list[str]) -> None:
    """Erase secrets of a connection by name."""
    tx.execute(delete(secrets).where(secrets.c.connection_id == connection_id, secrets.c.name.in_(names)))


def _context(connection_id: int, name: str) -> bytes:
    return f"connection:{connection_id}:{name}".encode()


def _sealed(connection_id: int, values: Mapping[str, str], box: Box) -> dict[str, bytes]:
    return {name: box.encrypt(value.encode(), _context(connection_id, name)) for name, value in values.items()}


def _write(
    tx: Transaction,
    connection_id: int,
    merchant_id: int,
    sealed: Mapping[str, bytes],
    references: Mapping[str, str],
) -> None:
    own = {"connection_id": connection_id, "merchant_id": merchant_id}
    rows = [{**own, "name": name, "ciphertext": value, "reference": None} for name, value in sealed.items()]
    rows += [{**own, "name": name, "ciphertext": None, "reference": value} for name, value in references.items()]
    if not rows:
        return
    statement = upsert(secrets).values(rows)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["connection_id", "name"],
            set_={
                "ciphertext": statement.excluded.ciphertext,
                "reference": statement.excluded.reference,
                "updated_at": func.now(),
            },
        )
    )
