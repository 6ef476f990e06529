"""Drift: what changed on a listing and no order explained in time; what that is taken for, and what follows.

What belongs here: ending what is too old in the in-flight ledger, classifying it, booking it for connections that
count. Not here: the ledger (`level_ledger`), fetching the orders again before (`oms_hub.sync.settle_drift`).

A connection that `follows` is overwritten: its units leave the ledger, and the next push sets what is right. One that
`counts` knows better: what fell or rose there becomes an adjustment of the merchant's default place. A listing that is
linked to no SKU, or to a bundle, is only told of: nobody can say which units these were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.level_ledger import lock_levels
from oms_hub.store.stock import mark_dirty


@dataclass(frozen=True, slots=True)
class Aged:
    """What is too old on one connection: its oldest instant, and whether any of it fell."""

    oldest_at: datetime
    has_falls: bool


_AGED = """
SELECT min(seen_at) AS oldest_at, coalesce(bool_or(kind = 'fall'), false) AS has_falls FROM hub.level_shifts
WHERE merchant_id = :merchant_id AND connection_id = :connection_id AND seen_at < :before
"""

_FOUND = """
CREATE TEMPORARY TABLE found_drift ON COMMIT DROP AS
SELECT s.listing_key, l.sku_id, l.pack_size, sum(s.units) FILTER (WHERE s.kind = 'fall') AS fallen,
       sum(s.units) FILTER (WHERE s.kind = 'rise') AS risen, max(s.seen_at) AS seen_at,
       CASE WHEN l.sku_id IS NULL THEN 'unmapped' WHEN v.last_error <> '' THEN 'failed_push' ELSE 'manual_edit' END
           AS kind,
       CASE WHEN l.sku_id IS NULL
                 OR EXISTS (SELECT FROM hub.bundle_components k WHERE k.bundle_sku_id = l.sku_id) THEN 'alerted'
            WHEN c.role = 'counts' THEN 'adopted' ELSE 'overwritten' END AS handling,
       v.desired AS expected, v.observed, max(s.shift_id) AS shift_id
FROM hub.level_shifts s
JOIN hub.listings l USING (connection_id, listing_key)
JOIN hub.connections c USING (connection_id)
LEFT JOIN hub.listing_levels v USING (connection_id, listing_key)
WHERE s.merchant_id = :merchant_id AND s.connection_id = :connection_id AND s.seen_at < :before
GROUP BY s.listing_key, l.sku_id, l.pack_size, v.last_error, c.role, v.desired, v.observed
"""

_LOCK_BALANCES = """
SELECT 1 FROM hub.balances b
WHERE b.location_id = (SELECT location_id FROM hub.locations WHERE merchant_id = :merchant_id AND is_default)
  AND b.sku_id IN (SELECT sku_id FROM found_drift WHERE handling = 'adopted')
ORDER BY b.sku_id FOR UPDATE
"""

_ADOPT = """
WITH parts AS (
    SELECT f.*, b.location_id, b.on_hand, ((coalesce(risen, 0) - coalesce(fallen, 0)) * pack_size)::integer AS change,
           row_number() OVER (ORDER BY f.sku_id, f.listing_key) AS nth
    FROM found_drift f
    JOIN hub.locations place ON place.merchant_id = :merchant_id AND place.is_default
    JOIN hub.balances b ON b.sku_id = f.sku_id AND b.location_id = place.location_id AND b.counted_at IS NOT NULL
    WHERE f.handling = 'adopted' AND coalesce(risen, 0) <> coalesce(fallen, 0)
),
ordered AS (
    SELECT p.*, (on_hand - change + sum(change) OVER (PARTITION BY sku_id ORDER BY nth))::integer AS before FROM parts p
),
booked AS (
    INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_after,
                               occurred_at, source, natural_key, cause)
    SELECT :merchant_id, sku_id, location_id, 'adjustment', change, before, before + change, seen_at,
           'drift:' || CAST(:connection_id AS integer), 'drift:' || CAST(:connection_id AS integer) || ':' || shift_id,
           'changed by hand on listing ' || listing_key
    FROM ordered ORDER BY nth
    RETURNING sku_id, location_id, quantity
)
UPDATE hub.balances b SET on_hand = b.on_hand + k.change, updated_at = now()
FROM (SELECT sku_id, location_id, sum(quantity) AS change FROM booked GROUP BY 1, 2) AS k
WHERE b.sku_id = k.sku_id AND b.location_id = k.location_id
"""

_RECORD = """
INSERT INTO hub.drifts (merchant_id, connection_id, listing_key, sku_id, kind, handling, expected, observed, fallen,
                        risen, seen_at, recorded_at)
SELECT :merchant_id, :connection_id, listing_key, sku_id, kind, handling, expected, observed, coalesce(fallen, 0),
       coalesce(risen, 0), seen_at, :now
FROM found_drift ORDER BY listing_key
"""

_FORGET = """
WITH gone AS (
    DELETE FROM hub.level_shifts
    WHERE merchant_id = :merchant_id AND connection_id = :connection_id AND seen_at < :before
)
UPDATE hub.listing_levels v SET in_flight = greatest(v.in_flight - coalesce(f.fallen, 0), 0)
FROM found_drift f WHERE v.connection_id = :connection_id AND v.listing_key = f.listing_key
"""


def find_aged(tx: Transaction, merchant_id: int, connection_id: int, *, before: datetime) -> Aged | None:
    """Return what was seen before an instant and is not explained yet on a connection; None where nothing is."""
    values = {"merchant_id": merchant_id, "connection_id": connection_id, "before": before}
    row = tx.execute(text(_AGED), values).one()
    return None if row.oldest_at is None else Aged(row.oldest_at, row.has_falls)


def end_aged(tx: Transaction, merchant_id: int, connection_id: int, *, before: datetime, now: datetime) -> int:
    """Take what was seen before an instant for drift, and return on how many listings.

    Its units are in flight no longer; the SKUs are marked, a connection that counts has them booked.

    Args:
        tx: the transaction, under the connection's lease.
        merchant_id: whose it is.
        connection_id: the connection.
        before: what was seen earlier is too old.
        now: the instant that is written down.
    """
    values = {"merchant_id": merchant_id, "connection_id": connection_id, "before": before, "now": now}
    tx.execute(text("DROP TABLE IF EXISTS pg_temp.found_drift"))
    tx.execute(text(_FOUND), values)
    found = tx.execute(text("SELECT listing_key, sku_id FROM found_drift")).all()
    tx.execute(text(_LOCK_BALANCES), values)
    tx.execute(text(_ADOPT), values)
    mark_dirty(tx, merchant_id, [row.sku_id for row in found if row.sku_id is not None])
    lock_levels(tx, connection_id, [row.listing_key for row in found])
    tx.execute(text(_RECORD), values)
    tx.execute(text(_FORGET), values)
    return len(found)


def listings_drifted(tx: Transaction, connection_id: int) -> Sequence[tuple[str, str, str, int, int]]:
    """Return what was taken for drift on a connection, newest first: listing, kind, handling, fallen, risen."""
    rows = tx.execute(
        text(
            "SELECT listing_key, kind, handling, fallen, risen FROM hub.drifts "
            "WHERE connection_id = :connection_id ORDER BY drift_id DESC"
        ),
        {"connection_id": connection_id},
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]
