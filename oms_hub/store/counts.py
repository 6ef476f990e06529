"""Counts: what a person (or a channel that is trusted to know) says lies at a place as of an instant.

What belongs here: booking staged counts. Not here: reading files (`oms_hub.sync.import_stock`), what a channel's level
is worth (`adoption`).

A count of Q as of T makes on_hand what it would be if Q had lain there at T: movements after T still apply. A place
that was never counted has no level; its first count also books what orders did after T. A count older than the place's
newest changes nothing, because the newer one saw everything that the older one did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.movements import OrderKey
from oms_hub.store.staging import stage
from oms_hub.store.stock import book_orders, lock_mapping, mark_dirty


@dataclass(frozen=True, slots=True)
class Count:
    """Units of one SKU that lay at one place at an instant; `unit_cost` None leaves the cost as it is."""

    sku_id: int
    location_id: int
    quantity: int
    counted_at: datetime
    unit_cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CountsBooked:
    """What became of the counts.

    `booked` wrote a movement, and `changed` of these changed on_hand or gave a first level; `unchanged` said what
    stands already, `outdated` are older than the place's newest.
    """

    booked: int
    changed: int
    unchanged: int
    outdated: int


_COLUMNS = {
    "sku_id": "bigint", "location_id": "integer", "quantity": "integer", "counted_at": "timestamptz",
    "unit_cost": "numeric",
}  # fmt: skip

_OPEN_PLACES = """
INSERT INTO hub.balances (sku_id, location_id, merchant_id)
SELECT sku_id, location_id, :merchant_id FROM staged_counts ORDER BY sku_id, location_id
ON CONFLICT (sku_id, location_id) DO NOTHING
"""

_STANDING = """
CREATE TEMPORARY TABLE standing_counts ON COMMIT DROP AS
SELECT g.*, b.on_hand, b.counted_at AS newest_at, g.quantity - (b.on_hand - coalesce((
           SELECT sum(m.quantity) FROM hub.movements m
           WHERE m.sku_id = g.sku_id AND m.location_id = g.location_id AND m.occurred_at > g.counted_at), 0)) AS change
FROM staged_counts g JOIN hub.balances b USING (sku_id, location_id)
"""

_VERDICT = """
CASE WHEN newest_at IS NULL OR newest_at < counted_at THEN 'booked'
     WHEN newest_at > counted_at THEN 'outdated' WHEN change = 0 THEN 'unchanged' ELSE 'booked' END"""

_VERDICTS = f"""
SELECT count(*) FILTER (WHERE {_VERDICT} = 'booked'),
       count(*) FILTER (WHERE {_VERDICT} = 'booked' AND (change <> 0 OR newest_at IS NULL)),
       count(*) FILTER (WHERE {_VERDICT} = 'unchanged'), count(*) FILTER (WHERE {_VERDICT} = 'outdated')
FROM standing_counts"""

_BOOK = rf"""
WITH booked AS (
    INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_after,
                               occurred_at, source, natural_key, cause)
    SELECT :merchant_id, sku_id, location_id, 'count', change, on_hand, on_hand + change, counted_at, :source,
           concat_ws(':', 'count', sku_id, location_id,
                     to_char(counted_at AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISSUS"Z"'), quantity,
                     (SELECT count(*) FROM hub.movements m WHERE m.sku_id = c.sku_id AND m.kind = 'count'
                      AND m.location_id = c.location_id AND m.occurred_at = c.counted_at)),
           'counted ' || quantity || ' as of ' || to_char(counted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24\:MI"Z"')
    FROM standing_counts c WHERE {_VERDICT} = 'booked' ORDER BY sku_id, location_id
    RETURNING sku_id, location_id, quantity, occurred_at
)
UPDATE hub.balances b SET on_hand = b.on_hand + k.quantity, counted_at = k.occurred_at, updated_at = now()
FROM booked k WHERE b.sku_id = k.sku_id AND b.location_id = k.location_id
"""

_COSTS = """
UPDATE hub.skus s SET unit_cost = c.unit_cost
FROM (SELECT DISTINCT ON (sku_id) sku_id, unit_cost FROM standing_counts WHERE unit_cost IS NOT NULL
      ORDER BY sku_id, counted_at DESC, location_id) AS c
WHERE s.sku_id = c.sku_id AND s.unit_cost IS DISTINCT FROM c.unit_cost
"""

_ORDERS_AFTER = """
SELECT DISTINCT e.connection_id, e.channel_order_id
FROM hub.order_stock_events e
JOIN hub.order_lines line USING (connection_id, channel_order_id, line_id)
LEFT JOIN hub.bundle_components part ON part.bundle_sku_id = line.sku_id
JOIN standing_counts c ON c.sku_id = coalesce(part.component_sku_id, line.sku_id)
WHERE e.merchant_id = :merchant_id AND c.newest_at IS NULL AND e.occurred_at > c.counted_at
  AND e.occurred_at > (SELECT min(counted_at) FROM standing_counts WHERE newest_at IS NULL)
ORDER BY 1, 2
"""


def book_counts(tx: Transaction, merchant_id: int, counts: Iterable[Count], *, source: str) -> CountsBooked:
    """Book counts, each SKU and place once, and mark their SKUs for the next plan.

    Args:
        tx: the transaction; nobody stores this merchant's orders or links until it ends.
        merchant_id: whose goods.
        counts: streamed; two of the same SKU and place must not be among them.
        source: where they come from, such as `import:stock.csv`.
    """
    lock_mapping(tx, merchant_id)
    stage(
        tx,
        "staged_counts",
        _COLUMNS,
        ((each.sku_id, each.location_id, each.quantity, each.counted_at, each.unit_cost) for each in counts),
    )
    return book_staged_counts(tx, merchant_id, source=source)


def book_staged_counts(tx: Transaction, merchant_id: int, *, source: str) -> CountsBooked:
    """Book the rows of the temporary table `staged_counts` as `book_counts` does, under the same lock."""
    parameters = {"merchant_id": merchant_id, "source": source}
    tx.execute(text("ANALYZE staged_counts"))
    tx.execute(text(_OPEN_PLACES), parameters)
    tx.execute(text("DROP TABLE IF EXISTS pg_temp.standing_counts"))
    tx.execute(text(_STANDING))
    tx.execute(text("ANALYZE standing_counts"))
    counted = CountsBooked(*tx.execute(text(_VERDICTS)).one())
    tx.execute(text(_BOOK), parameters)
    tx.execute(text(_COSTS))
    _, moved = book_orders(tx, _orders_after(tx, merchant_id))
    booked = tx.execute(text(f"SELECT sku_id FROM standing_counts WHERE {_VERDICT} = 'booked'")).scalars()
    mark_dirty(tx, merchant_id, (*booked, *moved))
    return counted


def _orders_after(tx: Transaction, merchant_id: int) -> Sequence[OrderKey]:
    rows = tx.execute(text(_ORDERS_AFTER), {"merchant_id": merchant_id})
    return [(row[0], row[1]) for row in rows]
