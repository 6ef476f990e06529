"""One order's life and one SKU's story, for the console. Read-only.

What belongs here: everything that stands about one thing. Not here: tables (`web_tables`), levels by place
(`oms_hub.sync.show_stock`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import text

from oms_hub.store.engine import Transaction

Row: TypeAlias = Mapping[str, Any]

_KEY = "o.merchant_id = :merchant_id AND o.connection_id = :connection_id AND o.channel_order_id = :order_id"

_ORDER = """
SELECT o.*, c.name AS connection, c.channel FROM hub.orders o JOIN hub.connections c USING (connection_id)
WHERE o.merchant_id = :merchant_id AND c.name = :connection AND o.channel_order_id = :order_id
"""

_PARTS = {
    "lines": f"""
        SELECT o.line_id, o.title, o.channel_sku, s.sku, o.quantity, o.cancelled_quantity, o.unit_price,
               o.gross_amount - o.discount_amount - o.order_discount_amount AS net_amount, o.tax_amount,
               o.allocated_quantity, o.reserved_quantity, o.needs_stock,
               coalesce((SELECT sum(b.units) FROM hub.backorders b
                         WHERE (b.connection_id, b.channel_order_id, b.line_id)
                             = (o.connection_id, o.channel_order_id, o.line_id)), 0) AS missing
        FROM hub.order_lines o LEFT JOIN hub.skus s USING (sku_id) WHERE {_KEY} ORDER BY o.position""",
    "charges": f"SELECT kind, title, amount, tax_amount FROM hub.order_charges o WHERE {_KEY} ORDER BY charge_id",
    "payments": f"""SELECT kind, amount, currency, processed_at, gateway, is_successful
                    FROM hub.payments o WHERE {_KEY} ORDER BY processed_at, payment_id""",
    "shipments": f"""SELECT shipment_id, status, shipped_at, delivered_at, carrier, tracking_number
                     FROM hub.shipments o WHERE {_KEY} ORDER BY shipped_at, shipment_id""",
    "refunds": f"""SELECT refund_id, refunded_at, paid_amount, reason
                   FROM hub.refunds o WHERE {_KEY} ORDER BY refunded_at, refund_id""",
    "returns": f"SELECT return_id, status, opened_at, closed_at FROM hub.returns o WHERE {_KEY} ORDER BY opened_at",
    "history": f"""SELECT observed_at, field, value, channel_value, channel_updated_at
                   FROM hub.order_status_history o WHERE {_KEY} ORDER BY observed_at, field LIMIT 200""",
    "exceptions": """SELECT exception_id, kind, message, remedy FROM hub.exceptions
                     WHERE merchant_id = :merchant_id AND connection_id = :connection_id AND reference = :order_id
                       AND state = 'open' ORDER BY exception_id""",
}

_SKU = "SELECT sku_id, sku, title, barcode, unit_cost FROM hub.skus WHERE merchant_id = :merchant_id AND sku = :sku"

_OFFERS = """
SELECT c.name AS connection, l.listing_key, l.title, l.pack_size, l.is_tracked, l.is_writable, l.is_active,
       c.is_push_enabled, v.desired, v.acknowledged, v.observed, v.observed_at, v.in_flight, v.last_pushed_at,
       v.last_error, v.pool_units, v.held_units, coalesce(v.plan_reason, '') AS plan_reason,
       (SELECT o.to_level FROM hub.outbox o WHERE o.connection_id = l.connection_id AND o.listing_key = l.listing_key
          AND o.state = 'open') AS waiting
FROM hub.listings l JOIN hub.connections c USING (connection_id)
LEFT JOIN hub.listing_levels v ON v.connection_id = l.connection_id AND v.listing_key = l.listing_key
WHERE l.sku_id = :sku_id AND c.state <> 'removed' ORDER BY c.name, l.listing_key
"""

_MOVEMENTS = """
SELECT m.occurred_at, m.kind, m.quantity, m.balance_before, m.balance_after, m.source, m.cause, p.code AS location
FROM hub.movements m JOIN hub.locations p USING (location_id)
WHERE m.sku_id = :sku_id ORDER BY m.movement_id DESC LIMIT :limit
"""

_HOLDERS = """
SELECT c.name AS connection, o.channel_order_id AS order_id, o.label, o.placed_at,
       l.allocated_quantity AS allocated, l.reserved_quantity AS reserved
FROM hub.order_lines l JOIN hub.orders o USING (connection_id, channel_order_id)
JOIN hub.connections c ON c.connection_id = o.connection_id
WHERE l.sku_id = :sku_id AND (l.allocated_quantity > 0 OR l.reserved_quantity > 0)
ORDER BY o.placed_at LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class OrderLife:
    """An order and all that hangs on it."""

    order: Row
    parts: Mapping[str, Sequence[Row]]


@dataclass(frozen=True, slots=True)
class SkuStory:
    """A SKU: where it is offered, what moved it last, which orders hold it."""

    sku: Row
    offers: Sequence[Row]
    movements: Sequence[Row]
    holders: Sequence[Row]


def order_life(tx: Transaction, merchant_id: int, connection: str, order_id: str) -> OrderLife | None:
    """Return an order with its parts, None where the merchant has no such order."""
    values = {"merchant_id": merchant_id, "connection": connection, "order_id": order_id}
    row = tx.execute(text(_ORDER), values).one_or_none()
    if row is None:
        return None
    key = {"merchant_id": merchant_id, "connection_id": row.connection_id, "order_id": order_id}
    return OrderLife(dict(row._mapping), {name: _rows(tx, query, key) for name, query in _PARTS.items()})


def sku_story(tx: Transaction, merchant_id: int, sku: str, *, limit: int) -> SkuStory | None:
    """Return a SKU's story, None where the merchant has no such SKU; the newest `limit` movements."""
    row = tx.execute(text(_SKU), {"merchant_id": merchant_id, "sku": sku}).one_or_none()
    if row is None:
        return None
    key = {"sku_id": row.sku_id, "limit": limit}
    offers = _rows(tx, _OFFERS, {"sku_id": row.sku_id})
    return SkuStory(dict(row._mapping), offers, _rows(tx, _MOVEMENTS, key), _rows(tx, _HOLDERS, key))


def _rows(tx: Transaction, query: str, values: Mapping[str, Any]) -> Sequence[Row]:
    return [dict(row._mapping) for row in tx.execute(text(query), values)]
