"""Connections: merchants' accounts on channels, and the states they go through. Their secrets: `vault`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction
from oms_hub.store.exceptions import resolve_exceptions
from oms_hub.store.merchants import Merchant
from oms_hub.store.schema import connection_health, connections, merchants, secrets
from oms_hub.store.stock import mark_connection_dirty

ConnectionState: TypeAlias = Literal["active", "paused", "needs_reconnect", "removed"]
Role: TypeAlias = Literal["follows", "counts"]

_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A connection as the store keeps it, with its merchant's currency and zone beside it."""

    connection_id: int
    name: str
    channel: str
    merchant_id: int
    merchant: str
    currency: str
    time_zone: str
    settings: Mapping[str, str]
    state: ConnectionState = "active"
    state_reason: str = ""
    is_push_enabled: bool = False
    role: Role = "follows"


def add_connection(
    tx: Transaction,
    name: str,
    *,
    merchant: Merchant,
    channel: str,
    settings: Mapping[str, str],
    role: Role = "follows",
    is_push_enabled: bool = False,
) -> StoredConnection:
    """Store a new connection and return it; pushing is off unless said otherwise.

    Raises:
        Misconfigured: the name is taken, or cannot stand in addresses and partition keys.
    """
    if not _NAME.fullmatch(name):
        raise Misconfigured(
            f"{name!r} cannot be a connection's name",
            remedy="Use at most 63 letters, digits, '_', '.', '-', starting with a letter or digit",
        )
    connection_id = tx.scalar(
        upsert(connections)
        .values(
            merchant_id=merchant.merchant_id, channel=channel, name=name, settings=dict(settings), role=role,
            is_push_enabled=is_push_enabled,
        )
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(connections.c.connection_id)
    )  # fmt: skip
    if connection_id is None:
        raise Misconfigured(f"There is a connection {name!r} already", remedy="Choose another name")
    tx.execute(insert(connection_health).values(connection_id=connection_id, merchant_id=merchant.merchant_id))
    return StoredConnection(
        connection_id=connection_id, name=name, channel=channel, merchant_id=merchant.merchant_id,
        merchant=merchant.name, currency=merchant.currency, time_zone=merchant.time_zone, settings=dict(settings),
        is_push_enabled=is_push_enabled, role=role,
    )  # fmt: skip


def renew_connection(tx: Transaction, stored: StoredConnection, settings: Mapping[str, str]) -> StoredConnection:
    """Give a connection that waits for its owner new settings and let it work again; what it pulled stays its own."""
    tx.execute(
        update(connections).where(connections.c.connection_id == stored.connection_id).values(settings=dict(settings))
    )
    set_state(tx, stored.connection_id, "active")
    return replace(stored, settings=dict(settings), state="active", state_reason="")


def get_connection(tx: Transaction, name: str) -> StoredConnection:
    """Return a connection by name.

    Raises:
        Misconfigured: there is none of that name, or it was removed; the remedy lists those there are.
    """
    row = tx.execute(_query().where(connections.c.name == name, connections.c.state != "removed")).one_or_none()
    if row is not None:
        return _stored(row)
    known = [connection.name for connection in list_connections(tx)]
    raise Misconfigured(
        f"There is no connection {name!r}",
        remedy=f"Known: {', '.join(known)}"
        if known
        else "Add one: oms-hub connections add CHANNEL NAME --merchant ...",
    )


def list_connections(tx: Transaction, *, merchant: str | None = None) -> Sequence[StoredConnection]:
    """Return all connections by name, without those that were removed; of one merchant if one is named."""
    query = _query().where(connections.c.state != "removed").order_by(connections.c.name)
    if merchant is not None:
        query = query.where(merchants.c.name == merchant)
    return [_stored(row) for row in tx.execute(query)]


def set_state(tx: Transaction, connection_id: int, state: ConnectionState, reason: str = "") -> None:
    """Set a connection's state, and why; one that is active again needs no reconnecting any more."""
    merchant_id = tx.scalar(
        update(connections)
        .where(connections.c.connection_id == connection_id)
        .values(state=state, state_reason=reason)
        .returning(connections.c.merchant_id)
    )
    if state == "active" and merchant_id is not None:
        resolve_exceptions(
            tx,
            merchant_id=merchant_id,
            connection_id=connection_id,
            kind="needs_reconnect",
            reason="the connection is active again",
        )


def set_push(tx: Transaction, connection_id: int, is_enabled: bool) -> None:
    """Turn pushing on or off; every linked SKU's offers are computed again, because the others share its pool."""
    tx.execute(
        update(connections).where(connections.c.connection_id == connection_id).values(is_push_enabled=is_enabled)
    )
    mark_connection_dirty(tx, connection_id)


def remove_connection(tx: Transaction, connection_id: int) -> None:
    """Remove a connection: its secrets are erased and its name is free again; orders and movements are kept."""
    tx.execute(delete(secrets).where(secrets.c.connection_id == connection_id))
    mark_connection_dirty(tx, connection_id)
    tx.execute(
        update(connections)
        .where(connections.c.connection_id == connection_id)
        .values(
            state="removed", state_reason="removed by command", is_push_enabled=False, removed_at=func.now(),
            name=func.concat("removed-", connections.c.connection_id, "-", func.left(connections.c.name, 40)),
        )
    )  # fmt: skip


def _query() -> Select[Any]:
    return select(
        *(connections.c[name] for name in (
            "connection_id", "name", "channel", "merchant_id", "settings", "state", "state_reason",
            "is_push_enabled", "role",
        )),
        merchants.c.name.label("merchant"),
        merchants.c.currency,
        merchants.c.time_zone,
    ).join_from(connections, merchants)  # fmt: skip


def _stored(row: Row[Any]) -> StoredConnection:
    return StoredConnection(**row._mapping)
