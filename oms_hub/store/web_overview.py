"""What the console's first page asks: each connection's health, what waits, sales by day. Read-only.

What belongs here: questions over all of one merchant. Not here: tables that are paged through (`web_tables`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from oms_hub.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class ConnectionCard:
    """A connection at a glance. `next_run_at`: when its next pull is to be expected, from the pace of the last two."""

    name: str
    channel: str
    state: str
    state_reason: str
    is_push_enabled: bool
    role: str
    last_good_pull_at: datetime | None
    last_good_push_at: datetime | None
    consecutive_failures: int
    last_failure: str
    in_flight: int
    open_exceptions: int
    open_pushes: int
    dead_pushes: int
    listings: int
    unmapped_listings: int
    next_run_at: datetime | None


_CARDS = text("""
SELECT c.name, c.channel, c.state, c.state_reason, c.is_push_enabled, c.role, h.last_good_pull_at, h.last_good_push_at,
       coalesce(h.consecutive_failures, 0), coalesce(h.last_failure, ''),
       (SELECT coalesce(sum(v.in_flight), 0) FROM hub.listing_levels v WHERE v.connection_id = c.connection_id),
       (SELECT count(*) FROM hub.exceptions e WHERE e.connection_id = c.connection_id AND e.state = 'open'),
       (SELECT count(*) FROM hub.outbox o WHERE o.connection_id = c.connection_id AND o.state = 'open'),
       (SELECT count(*) FROM hub.outbox o WHERE o.connection_id = c.connection_id AND o.state = 'dead'),
       (SELECT count(*) FROM hub.listings l WHERE l.connection_id = c.connection_id AND l.is_active),
       (SELECT count(*) FROM hub.listings l
        WHERE l.connection_id = c.connection_id AND l.is_active AND l.link_state IN ('unmapped', 'duplicate')),
       (SELECT max(r.started_at) + (max(r.started_at) - min(r.started_at)) FROM (
            SELECT started_at FROM hub.sync_runs
            WHERE connection_id = c.connection_id AND step = 'pull_orders' ORDER BY sync_run_id DESC LIMIT 2) AS r
        HAVING count(*) = 2 AND max(r.started_at) - min(r.started_at) > interval '30 seconds')
FROM hub.connections c LEFT JOIN hub.connection_health h USING (connection_id)
WHERE c.merchant_id = :merchant_id AND c.state <> 'removed' ORDER BY c.name
""")

_COUNTS = text("""
SELECT (SELECT count(*) FROM hub.exceptions WHERE merchant_id = :merchant_id AND state = 'open') AS open_exceptions,
       (SELECT count(*) FROM hub.alerts WHERE merchant_id = :merchant_id AND state = 'open') AS open_alerts,
       (SELECT count(*) FROM hub.alerts
        WHERE merchant_id = :merchant_id AND state = 'open' AND kind = 'low_stock') AS low_stock,
       (SELECT count(*) FROM hub.orders WHERE merchant_id = :merchant_id AND state = 'open'
          AND fulfilment_state IN ('unfulfilled', 'partial') AND is_sale AND vanished_at IS NULL) AS to_ship,
       (SELECT count(*) FROM hub.skus WHERE merchant_id = :merchant_id) AS skus
""")

_SALES = text("""
SELECT d.business_date, d.channel, d.currency, sum(d.net_sales), sum(d.orders)
FROM reports.sales_daily d
WHERE d.merchant = (SELECT name FROM hub.merchants WHERE merchant_id = :merchant_id)
  AND d.business_date > :after AND d.business_date <= :until
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")

_COVER = text("""
SELECT s.sku, level.units, sold.units FROM (
    SELECT b.sku_id, sum(b.on_hand - b.unavailable) AS units FROM hub.balances b
    WHERE b.merchant_id = :merchant_id AND b.counted_at IS NOT NULL GROUP BY 1
) AS level
JOIN hub.skus s USING (sku_id)
JOIN (
    SELECT l.sku_id, sum(l.quantity - l.cancelled_quantity) AS units
    FROM hub.orders o JOIN hub.order_lines l USING (connection_id, channel_order_id)
    WHERE o.merchant_id = :merchant_id AND o.placed_at > :since AND o.is_sale AND NOT o.is_test AND NOT o.is_draft
    GROUP BY 1
) AS sold USING (sku_id)
WHERE sold.units > 0 ORDER BY sold.units DESC, s.sku LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class DaySales:
    """Net sales of one channel on one business day, in one currency."""

    day: date
    channel: str
    currency: str
    net_sales: Decimal
    orders: int


@dataclass(frozen=True, slots=True)
class Cover:
    """A SKU that sells: units there, and units sold in the time that was asked for."""

    sku: str
    units: int
    sold: int


def connection_cards(tx: Transaction, merchant_id: int) -> Sequence[ConnectionCard]:
    """Return a merchant's connections by name."""
    return [ConnectionCard(*row) for row in tx.execute(_CARDS, {"merchant_id": merchant_id})]


def waiting_counts(tx: Transaction, merchant_id: int) -> Mapping[str, Any]:
    """Return how much waits: open_exceptions, open_alerts, low_stock, to_ship; and how many skus there are."""
    return dict(tx.execute(_COUNTS, {"merchant_id": merchant_id}).one()._mapping)


def sales_by_day(tx: Transaction, merchant_id: int, *, after: date, until: date) -> Sequence[DaySales]:
    """Return net sales by business day, channel and currency, from the report table."""
    rows = tx.execute(_SALES, {"merchant_id": merchant_id, "after": after, "until": until})
    return [DaySales(row[0], row[1], row[2], row[3], int(row[4])) for row in rows]


def stock_cover(tx: Transaction, merchant_id: int, *, since: datetime, limit: int) -> Sequence[Cover]:
    """Return the SKUs that sold most since an instant, with what is there of each."""
    rows = tx.execute(_COVER, {"merchant_id": merchant_id, "since": since, "limit": limit})
    return [Cover(row[0], int(row[1]), int(row[2])) for row in rows]
