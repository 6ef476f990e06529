"""Counts from a list of codes: staged as they were written, checked as a whole, booked as a whole.

What belongs here: rows with the merchant's own words (SKU, location code) and what is wrong with them in the light of
the store. Not here: reading the file (`oms_hub.sync.stock_file`), the ledger (`counts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text

from oms_hub.store.counts import CountsBooked, book_staged_counts
from oms_hub.store.engine import Transaction
from oms_hub.store.staging import stage
from oms_hub.store.stock import lock_mapping, map_order_lines


@dataclass(frozen=True, slots=True)
class CountRow:
    """One line of a list of counts; `location` "" is the default place, `counted_at` None is now."""

    line: int
    sku: str
    location: str
    quantity: int
    unit_cost: Decimal | None = None
    counted_at: datetime | None = None


_COLUMNS = {
    "line": "integer", "sku": "text", "location": "text", "quantity": "integer", "unit_cost": "numeric",
    "counted_at": "timestamptz",
}  # fmt: skip

_PLACED = """
CREATE TEMPORARY TABLE placed_rows ON COMMIT DROP AS
SELECT r.*, s.sku_id, p.location_id
FROM staged_rows r
LEFT JOIN hub.skus s ON s.merchant_id = :merchant_id AND s.sku = r.sku
LEFT JOIN hub.locations p ON p.merchant_id = :merchant_id
    AND CASE r.location WHEN '' THEN p.is_default ELSE p.code = r.location END
"""

_FAULTS = """
WITH numbered AS (
    SELECT line, sku, location, sku_id, location_id,
           first_value(line) OVER (PARTITION BY sku, coalesce(location_id, -1), CASE WHEN location_id IS NULL
                                   THEN location END ORDER BY line) AS first_line
    FROM placed_rows
),
faults AS (
    SELECT line, CASE WHEN location_id IS NULL THEN 'unknown location ' || quote_literal(location)
                      WHEN sku_id IS NULL AND NOT CAST(:create_skus AS boolean)
                      THEN 'unknown SKU ' || quote_literal(sku)
                      WHEN first_line <> line THEN 'SKU ' || quote_literal(sku) || ' stands in line ' || first_line
                          || ' already for the same location' END AS fault
    FROM numbered
)
SELECT line, fault, count(*) OVER () AS how_many, max(line) OVER () AS last_line,
       bool_or(fault LIKE 'unknown location%') OVER () AS has_unknown_location,
       bool_or(fault LIKE 'unknown SKU%') OVER () AS has_unknown_sku
FROM faults WHERE fault IS NOT NULL ORDER BY line LIMIT :limit
"""

_NEW_SKUS = """
INSERT INTO hub.skus (merchant_id, sku) SELECT DISTINCT CAST(:merchant_id AS integer), sku FROM staged_rows ORDER BY sku
ON CONFLICT (merchant_id, sku) DO NOTHING
"""

_COUNTS = """
CREATE TEMPORARY TABLE staged_counts ON COMMIT DROP AS
SELECT sku_id, location_id, quantity, coalesce(counted_at, :now) AS counted_at, unit_cost FROM placed_rows
"""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with staged rows: the first few as (line, words), how many in all, and what kinds are there."""

    first: Sequence[tuple[int, str]]
    total: int
    has_unknown_location: bool = False
    has_unknown_sku: bool = False


def stage_rows(tx: Transaction, merchant_id: int, rows: Iterable[CountRow]) -> int:
    """Take the rows in, streamed, and return how many came. Nobody stores this merchant's orders meanwhile."""
    lock_mapping(tx, merchant_id)
    staged = stage(
        tx,
        "staged_rows",
        _COLUMNS,
        ((row.line, row.sku, row.location, row.quantity, row.unit_cost, row.counted_at) for row in rows),
    )
    tx.execute(text("ANALYZE staged_rows"))
    return staged


def find_faults(tx: Transaction, merchant_id: int, *, create_skus: bool, limit: int) -> Faults:
    """Return what the store knows against the staged rows: unknown codes, places named twice for one SKU."""
    tx.execute(text(_PLACED), {"merchant_id": merchant_id})
    rows = tx.execute(text(_FAULTS), {"create_skus": create_skus, "limit": limit}).all()
    if not rows:
        return Faults((), 0)
    first = rows[0]
    return Faults(
        [(row.line, row.fault) for row in rows], first.how_many, first.has_unknown_location, first.has_unknown_sku
    )


def add_missing_skus(tx: Transaction, merchant_id: int) -> int:
    """Add the SKUs of the staged rows that the merchant lacks, map the orders that waited for them; return how many."""
    added = tx.execute(text(_NEW_SKUS), {"merchant_id": merchant_id}).rowcount
    if added:
        map_order_lines(tx, merchant_id)
        tx.execute(text("DROP TABLE pg_temp.placed_rows"))
        tx.execute(text(_PLACED), {"merchant_id": merchant_id})
    return added


def book_rows(tx: Transaction, merchant_id: int, *, now: datetime, source: str) -> CountsBooked:
    """Book the staged rows, which must be free of faults."""
    tx.execute(text(_COUNTS), {"now": now})
    return book_staged_counts(tx, merchant_id, source=source)
