"""Orders at their newest version: writing batches of them with all that hangs on them, set-based.

What belongs here: the order of the writes. Not here: which version stands (`oms_hub.domain.order_merge`), the text of
the rows (`order_rows`), what orders do to stock (`stock`). New orders go straight into their tables through COPY;
changed ones through `staged_orders`, a temporary table, their parts are written anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError

from oms_hub.domain.order_merge import VersionKey
from oms_hub.errors import BadPayload
from oms_hub.store.copy_text import copy_rows, text_array
from oms_hub.store.engine import Transaction
from oms_hub.store.line_skus import line_rows
from oms_hub.store.order_rows import CHILD_TABLES, COLUMNS, OrderRows
from oms_hub.store.status_history import record_status_changes
from oms_hub.store.stock import StockApplied, apply_order_changes
from oms_hub.store.touched_days import touch_order_days


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """The version of an order that stands in the store."""

    key: VersionKey
    is_vanished: bool


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Says that an order no longer exists at its channel."""

    channel_order_id: str
    content_hash: bytes
    landed: tuple[int, int]


@dataclass(frozen=True, slots=True)
class OrderWrites:
    """What one transaction writes.

    Attributes:
        new: orders that are not stored yet.
        changed: orders that are.
        vanished: orders that no longer exist; stored ones, or ones of `new` and `changed`.
    """

    new: Sequence[OrderRows] = ()
    changed: Sequence[OrderRows] = ()
    vanished: Sequence[Tombstone] = ()

    @property
    def order_ids(self) -> list[str]:
        """Return the ids of all orders that are written, each once."""
        written = [rows.order.channel_order_id for rows in (*self.new, *self.changed)]
        return list(dict.fromkeys([*written, *(tombstone.channel_order_id for tombstone in self.vanished)]))


_VERSIONS = text("""
SELECT channel_order_id, channel_updated_at, channel_version, content_hash, raw_page_id, raw_position,
       vanished_at IS NOT NULL AS is_vanished
FROM hub.orders WHERE connection_id = :connection_id AND channel_order_id = ANY(CAST(:order_ids AS text[]))
ORDER BY channel_order_id FOR UPDATE
""")

_HOLDING_SKUS = text("""
SELECT DISTINCT sku_id FROM hub.order_lines
WHERE connection_id = :connection_id AND channel_order_id = ANY(CAST(:order_ids AS text[])) AND sku_id IS NOT NULL
  AND (allocated_quantity > 0 OR reserved_quantity > 0)
""")

_DELETE_PARTS = text(
    "WITH "
    + ", ".join(
        f"{table}_gone AS (DELETE FROM hub.{table} WHERE connection_id = :connection_id"
        " AND channel_order_id = ANY(CAST(:order_ids AS text[])))"
        for table in CHILD_TABLES
    )
    + " SELECT"
)

_MAKE_STAGE = text(
    "CREATE TEMPORARY TABLE IF NOT EXISTS staged_orders ON COMMIT DELETE ROWS AS SELECT * FROM hub.orders WITH NO DATA"
)

_STAGE_VANISHED = text("""
INSERT INTO pg_temp.staged_orders
SELECT stored.* FROM hub.orders AS stored
WHERE connection_id = :connection_id AND channel_order_id = ANY(CAST(:order_ids AS text[]))
  AND NOT EXISTS (SELECT FROM pg_temp.staged_orders AS staged WHERE staged.channel_order_id = stored.channel_order_id)
""")

_BURY = text("""
UPDATE pg_temp.staged_orders AS staged
SET state = 'cancelled', cancelled_at = coalesce(staged.cancelled_at, page.landed_at), vanished_at = page.landed_at,
    content_hash = gone.content_hash, raw_page_id = gone.page_id, raw_position = gone.position
FROM unnest(CAST(:order_ids AS text[]), CAST(:hashes AS bytea[]), CAST(:page_ids AS bigint[]),
            CAST(:positions AS integer[])) AS gone (channel_order_id, content_hash, page_id, position)
JOIN hub.raw_pages AS page ON page.page_id = gone.page_id
WHERE staged.channel_order_id = gone.channel_order_id
""")

_UPDATED = [*COLUMNS["orders"].replace(" ", "").split(",")[3:], "vanished_at"]
_UPDATE = text(f"""
UPDATE hub.orders AS stored
SET ({", ".join(_UPDATED)}) = ROW({", ".join(f"staged.{column}" for column in _UPDATED)}),
    normalised_at = CASE
        WHEN (stored.raw_page_id, stored.raw_position, stored.content_hash)
           = (staged.raw_page_id, staged.raw_position, staged.content_hash) THEN stored.normalised_at
        ELSE now() END
FROM pg_temp.staged_orders AS staged
WHERE stored.connection_id = staged.connection_id AND stored.channel_order_id = staged.channel_order_id
""")

_RELEASE = text("""
UPDATE hub.order_lines SET allocated_quantity = 0, reserved_quantity = 0
WHERE connection_id = :connection_id AND channel_order_id = ANY(CAST(:order_ids AS text[]))
  AND (allocated_quantity > 0 OR reserved_quantity > 0)
""")

_CUSTOMERS = text("""
INSERT INTO hub.customers (connection_id, channel_customer_id, merchant_id, country)
SELECT :connection_id, customer_id, :merchant_id, country
FROM unnest(CAST(:customer_ids AS text[]), CAST(:countries AS text[])) AS buyer (customer_id, country)
ORDER BY customer_id
ON CONFLICT (connection_id, channel_customer_id)
DO UPDATE SET country = excluded.country WHERE customers.country IS DISTINCT FROM excluded.country
""")


def lock_versions(tx: Transaction, connection_id: int, order_ids: Iterable[str]) -> Mapping[str, StoredVersion]:
    """Return the stored versions of these orders by id, locked until the transaction ends."""
    rows = tx.execute(_VERSIONS, {"connection_id": connection_id, "order_ids": text_array(order_ids)})
    return {
        row.channel_order_id: StoredVersion(
            VersionKey(
                row.channel_updated_at,
                row.channel_version,
                bytes(row.content_hash),
                (row.raw_page_id, row.raw_position),
            ),
            row.is_vanished,
        )
        for row in rows
    }


def write_orders(tx: Transaction, *, connection_id: int, merchant_id: int, writes: OrderWrites) -> StockApplied:
    """Write orders with all their parts, their stock, their report days; return what stock made of them.

    Raises:
        BadPayload: the database refuses a value that passed all our own checks; the transaction must be given up.
    """
    if not writes.order_ids:
        return StockApplied(0, 0, 0)
    try:
        return _write(tx, connection_id, merchant_id, writes)
    except (DataError, IntegrityError, psycopg.DataError, psycopg.IntegrityError) as error:
        state = getattr(getattr(error, "orig", error), "sqlstate", None)
        raise BadPayload(f"the store refuses the order (SQLSTATE {state})") from error


def _write(tx: Transaction, connection_id: int, merchant_id: int, writes: OrderWrites) -> StockApplied:
    gone_ids = [tombstone.channel_order_id for tombstone in writes.vanished]
    changed_ids = [rows.order.channel_order_id for rows in writes.changed]
    existing = list(dict.fromkeys([*changed_ids, *gone_ids]))
    own: dict[str, Any] = {"connection_id": connection_id}
    touch_order_days(tx, connection_id, existing)
    previous = (
        [row.sku_id for row in tx.execute(_HOLDING_SKUS, {**own, "order_ids": text_array(existing)})]
        if existing
        else []
    )
    copy_rows(tx, "hub.orders", COLUMNS["orders"], [rows.rows["orders"] for rows in writes.new])
    if existing:
        _update_orders(tx, own, writes)
    if changed_ids:
        tx.execute(_DELETE_PARTS, {**own, "order_ids": text_array(changed_ids)})
    written = [*writes.new, *writes.changed]
    _copy_parts(tx, connection_id, merchant_id, written)
    if gone_ids:
        tx.execute(_RELEASE, {**own, "order_ids": text_array(gone_ids)})
    touch_order_days(tx, connection_id, [rows.order.channel_order_id for rows in written])
    return apply_order_changes(
        tx, connection_id=connection_id, channel_order_ids=writes.order_ids, previous_sku_ids=previous
    )


def _update_orders(tx: Transaction, own: Mapping[str, Any], writes: OrderWrites) -> None:
    tx.execute(_MAKE_STAGE)
    copy_rows(tx, "pg_temp.staged_orders", COLUMNS["orders"], [rows.rows["orders"] for rows in writes.changed])
    if writes.vanished:
        gone = {
            "order_ids": text_array(tombstone.channel_order_id for tombstone in writes.vanished),
            "hashes": [tombstone.content_hash for tombstone in writes.vanished],
            "page_ids": [tombstone.landed[0] for tombstone in writes.vanished],
            "positions": [tombstone.landed[1] for tombstone in writes.vanished],
        }
        tx.execute(_STAGE_VANISHED, {**own, "order_ids": gone["order_ids"]})
        tx.execute(_BURY, gone)
    record_status_changes(tx)
    tx.execute(_UPDATE)


def _copy_parts(tx: Transaction, connection_id: int, merchant_id: int, written: Sequence[OrderRows]) -> None:
    _add_customers(tx, connection_id, merchant_id, written)
    lines = [line for rows in written for line in rows.lines]
    copy_rows(tx, "hub.order_lines", COLUMNS["order_lines"], line_rows(tx, connection_id, merchant_id, lines))
    for table in CHILD_TABLES:
        parts = [rows.rows[table] for rows in written if table in rows.rows]
        copy_rows(tx, f"hub.{table}", COLUMNS[table], parts)


def _add_customers(tx: Transaction, connection_id: int, merchant_id: int, written: Sequence[OrderRows]) -> None:
    newest: dict[str, tuple[datetime, str | None]] = {}
    for rows in written:
        customer = rows.order.customer
        if customer is not None:
            known = newest.get(customer.channel_customer_id)
            if known is None or known[0] <= rows.order.updated_at:
                newest[customer.channel_customer_id] = (rows.order.updated_at, customer.country)
    if newest:
        tx.execute(
            _CUSTOMERS,
            {
                "connection_id": connection_id,
                "merchant_id": merchant_id,
                "customer_ids": text_array(newest),
                "countries": text_array(country for _, country in newest.values()),
            },
        )
