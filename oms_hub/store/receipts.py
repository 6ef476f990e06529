"""Goods received: what they cost, and their units in the ledger.

What belongs here: booking receipts. The rules are those of the ledger (`movements`):

- A place that was never counted has no level: a receipt there is kept with its cost, and waits. What a receipt dated
  up to the first count brought, the count saw.
- After the first count a receipt is a movement. One dated at or before the newest count is absorbed by a `count`
  movement of the same size, so that on_hand stays what was counted.
- The same receipt again adds nothing, except that it books what waited until its place was counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.staging import stage
from oms_hub.store.stock import lock_mapping, mark_dirty


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """One line of a list of receipts; `location` "" is the default place, `unit_cost` None is not known."""

    line: int
    reference: str
    sku: str
    location: str
    quantity: int
    unit_cost: Decimal | None
    received_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReceiptsBooked:
    """What became of receipts.

    `added` are new; `known` stood already; `booked` moved stock now; `waiting` stand at places that were never
    counted; `seen` are dated up to their place's first count, which saw them.
    """

    added: int
    known: int
    booked: int
    waiting: int
    seen: int


_COLUMNS = {
    "line": "integer", "reference": "text", "sku": "text", "location": "text", "quantity": "integer",
    "unit_cost": "numeric", "received_at": "timestamptz",
}  # fmt: skip

_PLACED = """
CREATE TEMP TABLE placed_receipts ON COMMIT DROP AS
SELECT r.line, r.reference, r.sku, r.location, r.quantity, r.unit_cost, k.sku_id, p.location_id,
       coalesce(r.received_at, known.received_at, :now) AS received_at,
       known.sku_id IS NOT NULL AS is_known,
       known.sku_id IS NOT NULL AND (known.quantity <> r.quantity OR known.unit_cost IS DISTINCT FROM r.unit_cost
           OR known.received_at <> coalesce(r.received_at, known.received_at)) AS differs,
       known.quantity AS known_quantity, known.unit_cost AS known_cost, known.received_at AS known_at
FROM staged_receipts r
LEFT JOIN hub.skus k ON k.merchant_id = :merchant_id AND k.sku = r.sku
LEFT JOIN hub.locations p ON p.merchant_id = :merchant_id
    AND CASE r.location WHEN '' THEN p.is_default ELSE p.code = r.location END
LEFT JOIN hub.receipts known ON known.merchant_id = :merchant_id AND known.reference = r.reference
    AND known.sku_id = k.sku_id AND known.location_id = p.location_id
"""

_FAULTS = """
SELECT line, CASE WHEN location_id IS NULL THEN 'unknown location ' || quote_literal(location)
                  WHEN sku_id IS NULL THEN 'unknown SKU ' || quote_literal(sku)
                  WHEN differs THEN format(
                      'receipt %s of %s stands already with %s units at %s, received %s', reference, sku,
                      known_quantity, coalesce(trim_scale(known_cost)::text, 'no cost'),
                      to_char(known_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24\\:MI"Z"'))
                  WHEN first_line < line THEN format('receipt %s of %s stands in line %s already', reference, sku,
                      first_line) END AS fault
FROM (SELECT r.*, min(line) OVER (PARTITION BY reference, sku_id, location_id) AS first_line FROM placed_receipts r) r
WHERE sku_id IS NULL OR location_id IS NULL OR differs OR first_line < line ORDER BY line
"""

_KEEP = """
INSERT INTO hub.receipts (merchant_id, reference, sku_id, location_id, quantity, unit_cost, received_at, source)
SELECT :merchant_id, reference, sku_id, location_id, quantity, unit_cost, received_at, :source
FROM placed_receipts WHERE NOT is_known ORDER BY sku_id, location_id, reference
"""

_OPEN_PLACES = """
INSERT INTO hub.balances (sku_id, location_id, merchant_id)
SELECT DISTINCT sku_id, location_id, CAST(:merchant_id AS integer) FROM placed_receipts ORDER BY sku_id, location_id
ON CONFLICT (sku_id, location_id) DO NOTHING
"""

_LOCK = """
SELECT 1 FROM hub.balances b
WHERE (b.sku_id, b.location_id) IN (SELECT sku_id, location_id FROM placed_receipts)
ORDER BY b.sku_id, b.location_id FOR UPDATE
"""

_STANDING = """
CREATE TEMP TABLE standing_receipts ON COMMIT DROP AS
SELECT r.*, b.on_hand, b.counted_at, coalesce(first.counted_at, b.counted_at) AS first_counted_at,
       concat_ws(':', 'receipt', replace(replace(r.reference, '%', '%25'), ':', '%3A'), r.sku_id, r.location_id)
           AS natural_key
FROM placed_receipts r JOIN hub.balances b USING (sku_id, location_id)
LEFT JOIN LATERAL (
    SELECT m.occurred_at AS counted_at FROM hub.movements m
    WHERE m.sku_id = r.sku_id AND m.location_id = r.location_id AND m.kind = 'count'
    ORDER BY m.occurred_at LIMIT 1
) first ON true
"""

_VERDICTS = """
SELECT count(*) FILTER (WHERE NOT is_known) AS added, count(*) FILTER (WHERE is_known) AS known,
       count(*) FILTER (WHERE counted_at IS NULL) AS waiting,
       count(*) FILTER (WHERE received_at <= first_counted_at) AS seen
FROM standing_receipts
"""

_BOOK = """
WITH due AS (
    SELECT r.*, row_number() OVER (ORDER BY received_at, reference, sku_id, location_id) AS nth FROM standing_receipts r
    WHERE received_at > first_counted_at AND NOT EXISTS (
        SELECT FROM hub.movements m WHERE m.merchant_id = :merchant_id AND m.natural_key = r.natural_key)
),
entries AS (
    SELECT sku_id, location_id, on_hand, 'receipt' AS kind, quantity, received_at AS occurred_at, natural_key,
           'received ' || quantity || ' with ' || reference AS cause, nth * 2 AS nth
    FROM due
    UNION ALL
    SELECT sku_id, location_id, on_hand, 'count', -quantity, counted_at, 'absorbed:' || natural_key,
           'the count of ' || to_char(counted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24\\:MI"Z"') || ' already saw it',
           nth * 2 + 1
    FROM due WHERE received_at <= counted_at
),
ordered AS (
    SELECT e.*, (on_hand - quantity + sum(quantity) OVER (
               PARTITION BY sku_id, location_id ORDER BY nth ROWS UNBOUNDED PRECEDING))::integer AS balance_before
    FROM entries e
),
booked AS (
    INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_after,
                               occurred_at, source, natural_key, cause)
    SELECT :merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_before + quantity, occurred_at,
           :source, natural_key, cause
    FROM ordered ORDER BY sku_id, location_id, nth
    RETURNING sku_id, location_id, kind, quantity
),
changed AS (
    UPDATE hub.balances b SET on_hand = b.on_hand + s.change, updated_at = now()
    FROM (SELECT sku_id, location_id, sum(quantity) AS change FROM booked GROUP BY 1, 2) s
    WHERE b.sku_id = s.sku_id AND b.location_id = s.location_id AND s.change <> 0
    RETURNING b.sku_id
)
SELECT (SELECT count(*) FROM booked WHERE kind = 'receipt'), (SELECT array_agg(DISTINCT sku_id) FROM changed)
"""


def stage_receipts(
    tx: Transaction, merchant_id: int, rows: Iterable[ReceiptRow], *, now: datetime
) -> Sequence[tuple[int, str]]:
    """Take the rows in and return what the store knows against them, by line: none means that they may be booked.

    Nobody stores this merchant's orders, links and counts until the transaction ends.
    """
    lock_mapping(tx, merchant_id)
    stage(
        tx,
        "staged_receipts",
        _COLUMNS,
        (
            (row.line, row.reference, row.sku, row.location, row.quantity, row.unit_cost, row.received_at)
            for row in rows
        ),
    )
    tx.execute(text("DROP TABLE IF EXISTS pg_temp.placed_receipts, pg_temp.standing_receipts"))
    tx.execute(text(_PLACED), {"merchant_id": merchant_id, "now": now})
    tx.execute(text("ANALYZE placed_receipts"))
    return [(row.line, row.fault) for row in tx.execute(text(_FAULTS))]


def book_receipts(tx: Transaction, merchant_id: int, *, source: str) -> ReceiptsBooked:
    """Keep the staged receipts, which must be free of faults, and move the stock that they brought."""
    given = {"merchant_id": merchant_id, "source": source}
    tx.execute(text(_KEEP), given)
    tx.execute(text(_OPEN_PLACES), given)
    tx.execute(text(_LOCK))
    tx.execute(text(_STANDING))
    verdicts = tx.execute(text(_VERDICTS)).one()
    booked, changed = tx.execute(text(_BOOK), given).one()
    mark_dirty(tx, merchant_id, changed or ())
    return ReceiptsBooked(verdicts.added, verdicts.known, booked, verdicts.waiting, verdicts.seen)
