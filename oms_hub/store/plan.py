"""Which SKUs are to be planned, and how sure the hub is of what their channels sold.

What belongs here: claiming dirty SKUs and taking their marks off, the state of pulls, a SKU's places and holds. Not
here: a plan's inputs, its figures and its writes (`plan_inputs`, `plan_offers`, `plan_outcome`).

A plan holds the dirty marks of its SKUs until it commits, so that a change that commits meanwhile either was read or
is marked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.plan_inputs import HELD

PlaceRow: TypeAlias = tuple[int, int, int, int]
"""SKU id, location id, on_hand, unavailable."""

HoldRow: TypeAlias = tuple[int, int | None, int, int]
"""SKU id, location id (None: no place yet), allocated, reserved; in units of the SKU."""


@dataclass(frozen=True, slots=True)
class ConnectionPulls:
    """How the last pull of orders of a connection went."""

    connection_id: int
    name: str
    channel: str
    state: str
    has_pulled: bool
    is_last_pull_good: bool
    has_listings: bool


_CLAIM = """
SELECT sku_id FROM hub.stock_dirty WHERE merchant_id = :merchant_id AND sku_id > :after
ORDER BY sku_id LIMIT :limit FOR UPDATE SKIP LOCKED
"""

_LISTED_ON = """
WITH asked AS (SELECT unnest(CAST(:sku_ids AS bigint[])) AS sku_id),
own AS (
    SELECT sku_id FROM asked
    UNION SELECT k.component_sku_id FROM asked JOIN hub.bundle_components k ON k.bundle_sku_id = asked.sku_id
),
around AS (
    SELECT sku_id FROM own
    UNION SELECT k.bundle_sku_id FROM own JOIN hub.bundle_components k ON k.component_sku_id = own.sku_id
),
listed AS (
    SELECT DISTINCT l.sku_id FROM hub.listings l JOIN around USING (sku_id)
    WHERE l.connection_id = ANY(CAST(:connections AS integer[]))
),
parts AS (
    SELECT sku_id FROM listed
    UNION SELECT k.component_sku_id FROM listed JOIN hub.bundle_components k ON k.bundle_sku_id = listed.sku_id
)
SELECT asked.sku_id FROM asked JOIN parts USING (sku_id)
UNION SELECT asked.sku_id FROM asked JOIN hub.bundle_components k ON k.bundle_sku_id = asked.sku_id
      JOIN parts ON parts.sku_id = k.component_sku_id
"""

_PULLS = """
SELECT c.connection_id, c.name, c.channel, c.state,
       EXISTS (SELECT 1 FROM hub.sync_runs r WHERE r.connection_id = c.connection_id AND r.step = 'pull_orders'
               AND r.state = 'succeeded'),
       coalesce((SELECT r.state = 'succeeded' FROM hub.sync_runs r
                 WHERE r.connection_id = c.connection_id AND r.step = 'pull_orders' AND r.state <> 'running'
                 ORDER BY r.sync_run_id DESC LIMIT 1), false),
       (SELECT min(l.listing_key) FROM hub.listings l WHERE l.connection_id = c.connection_id) IS NOT NULL
FROM hub.connections c WHERE c.merchant_id = :merchant_id AND c.state <> 'removed' ORDER BY c.connection_id
"""


def claim_dirty(tx: Transaction, merchant_id: int, *, after: int, limit: int) -> list[int]:
    """Lock the next dirty SKUs above an id and return them; those that a change is being written to are left out."""
    rows = tx.execute(text(_CLAIM), {"merchant_id": merchant_id, "after": after, "limit": limit})
    return list(rows.scalars())


def has_more_dirty_than(tx: Transaction, merchant_id: int, limit: int) -> bool:
    """Return whether more SKUs of a merchant are dirty than so many."""
    beyond = tx.execute(
        text("SELECT 1 FROM hub.stock_dirty WHERE merchant_id = :merchant_id OFFSET :limit LIMIT 1"),
        {"merchant_id": merchant_id, "limit": limit},
    )
    return beyond.first() is not None


def release_dirty(tx: Transaction, sku_ids: Sequence[int]) -> None:
    """Take the marks off SKUs whose plan is complete."""
    tx.execute(
        text("DELETE FROM hub.stock_dirty WHERE sku_id = ANY(CAST(:sku_ids AS bigint[]))"), {"sku_ids": list(sku_ids)}
    )


def read_places(tx: Transaction, sku_ids: Sequence[int]) -> Sequence[PlaceRow]:
    """Return the stock of these SKUs at every place that was counted."""
    return _fetch(
        tx,
        "SELECT sku_id, location_id, on_hand, unavailable FROM hub.balances "
        "WHERE sku_id = ANY(CAST(:sku_ids AS bigint[])) AND counted_at IS NOT NULL",
        {"sku_ids": list(sku_ids)},
    )


def read_holds(tx: Transaction, sku_ids: Sequence[int]) -> Sequence[HoldRow]:
    """Return what open order lines hold of these SKUs, packs and bundles counted in units."""
    return _fetch(tx, HELD, {"sku_ids": list(sku_ids)})


def skus_listed_on(tx: Transaction, sku_ids: Sequence[int], connections: Sequence[int]) -> frozenset[int]:
    """Return those of these SKUs that share units with a listing on any of these connections, bundles included."""
    if not connections:
        return frozenset()
    rows = tx.execute(text(_LISTED_ON), {"sku_ids": list(sku_ids), "connections": list(connections)})
    return frozenset(rows.scalars())


def read_pulls(tx: Transaction, merchant_id: int) -> Sequence[ConnectionPulls]:
    """Return how the last pull of each of a merchant's connections went."""
    return [ConnectionPulls(*row) for row in tx.execute(text(_PULLS), {"merchant_id": merchant_id})]


def _fetch(tx: Transaction, statement: str, parameters: dict[str, Any]) -> Sequence[Any]:
    """Return the driver's own tuples: hundreds of thousands of rows are read here, and a third of the time is saved."""
    compiled = text(statement).compile(dialect=tx.dialect)
    driver: Any = tx.connection.driver_connection
    with driver.cursor() as cursor:
        found: Sequence[Any] = cursor.execute(str(compiled), parameters).fetchall()
    return found
