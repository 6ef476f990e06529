"""What stands behind an order: its raw payloads, its states, lines, units, movements, money and parcels.

What belongs here: bounded reads over the tables below one order. Not here: putting them into words
(`oms_hub.commands`), the state's course (`status_history`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from oms_hub.store.engine import Transaction
from oms_hub.store.explain_stock import RAW, Facts, rows
from oms_hub.store.status_history import order_history

_OF_ORDER = "connection_id = :connection_id AND channel_order_id = :order_id"

_ORDER = f"""
SELECT o.channel_order_id AS order_id, o.label, o.kind, o.placed_at, o.channel_updated_at, o.normalised_at,
       o.state, o.payment_state, o.fulfilment_state, o.channel_state, o.channel_payment_state,
       o.channel_fulfilment_state, o.is_sale, o.is_test, o.is_draft, o.currency, o.total, o.cancelled_at, o.closed_at,
       o.ship_by_at, o.deliver_by_at, o.vanished_at, {RAW} AS raw,
       (SELECT array_agg(t.tag ORDER BY t.tag) FROM hub.order_tags t
        WHERE (t.connection_id, t.channel_order_id) = (o.connection_id, o.channel_order_id)) AS tags
FROM hub.orders o WHERE {_OF_ORDER}
"""

_VERSIONS = """
SELECT r.page_id || '/' || r.position AS raw, r.kind, r.channel_updated_at, p.landed_at,
       encode(r.content_hash, 'hex') AS content_hash, count(*) OVER () AS versions
FROM hub.raw_records r JOIN hub.raw_pages p USING (page_id)
WHERE r.connection_id = :connection_id AND r.record_id = :order_id
ORDER BY r.page_id DESC, r.position DESC LIMIT :limit
"""

_LINES = """
SELECT line.line_id, line.channel_sku, s.sku, line.listing_key AS listing, line.title, line.quantity, line.unit_price,
       line.cancelled_quantity AS cancelled, line.needs_stock, line.allocated_quantity AS allocated,
       line.reserved_quantity AS reserved, e.expired_at AS hold_ended_at,
       coalesce((SELECT sum(x.quantity) FROM hub.shipment_lines x
                 WHERE (x.connection_id, x.channel_order_id, x.line_id)
                     = (line.connection_id, line.channel_order_id, line.line_id)), 0)::bigint AS shipped,
       coalesce((SELECT sum(x.quantity) FROM hub.refund_lines x
                 WHERE (x.connection_id, x.channel_order_id, x.line_id)
                     = (line.connection_id, line.channel_order_id, line.line_id)), 0)::bigint AS refunded
FROM hub.order_lines line
LEFT JOIN hub.skus s USING (sku_id)
LEFT JOIN hub.expired_holds e USING (connection_id, channel_order_id, line_id)
WHERE line.connection_id = :connection_id AND line.channel_order_id = :order_id ORDER BY line.position LIMIT :limit
"""

_UNITS = """
SELECT a.line_id, s.sku, p.code AS location, a.units, 'allocated' AS state, a.is_reserved, a.allocated_at AS since
FROM hub.allocations a JOIN hub.skus s USING (sku_id) JOIN hub.locations p USING (location_id)
WHERE a.connection_id = :connection_id AND a.channel_order_id = :order_id
UNION ALL
SELECT b.line_id, s.sku, NULL, b.units, 'backordered', b.is_reserved, b.since
FROM hub.backorders b JOIN hub.skus s USING (sku_id)
WHERE b.connection_id = :connection_id AND b.channel_order_id = :order_id
ORDER BY 1, 2, 5, 3 LIMIT :limit
"""

_MOVEMENTS = """
SELECT m.occurred_at, m.recorded_at, s.sku, p.code AS location, m.kind, m.quantity, m.balance_before, m.balance_after,
       m.cause
FROM hub.movements m JOIN hub.skus s USING (sku_id) JOIN hub.locations p USING (location_id)
WHERE m.merchant_id = :merchant_id
  AND m.source = 'order:' || :connection_id || ':' || replace(replace(:order_id, '%', '%25'), ':', '%3A')
ORDER BY m.movement_id LIMIT :limit
"""

_SHIPMENTS = """
SELECT f.shipment_id, f.status, f.shipped_at, f.delivered_at, f.carrier, f.tracking_number, f.tracking_url,
       (SELECT json_agg(json_build_object('line_id', r.line_id, 'quantity', r.quantity) ORDER BY r.position)
        FROM hub.shipment_lines r WHERE (r.connection_id, r.channel_order_id, r.shipment_id)
                                      = (f.connection_id, f.channel_order_id, f.shipment_id)) AS lines
FROM hub.shipments f WHERE f.connection_id = :connection_id AND f.channel_order_id = :order_id
ORDER BY f.shipped_at, f.shipment_id LIMIT :limit
"""

_REFUNDS = """
SELECT f.refund_id, f.refunded_at, f.paid_amount, f.reason,
       (SELECT json_agg(json_build_object('line_id', r.line_id, 'quantity', r.quantity, 'is_restocked', r.is_restocked)
                        ORDER BY r.position)
        FROM hub.refund_lines r WHERE (r.connection_id, r.channel_order_id, r.refund_id)
                                    = (f.connection_id, f.channel_order_id, f.refund_id)) AS lines
FROM hub.refunds f WHERE f.connection_id = :connection_id AND f.channel_order_id = :order_id
ORDER BY f.refunded_at, f.refund_id LIMIT :limit
"""

_RETURNS = f"""
SELECT return_id, status, opened_at, closed_at FROM hub.returns
WHERE {_OF_ORDER} ORDER BY opened_at, return_id LIMIT :limit
"""

_PAYMENTS = f"""
SELECT payment_id, kind, amount, currency, processed_at, gateway, is_successful FROM hub.payments
WHERE {_OF_ORDER} ORDER BY processed_at, payment_id LIMIT :limit
"""

_EXCEPTIONS = """
SELECT kind, state, message, remedy, opened_at, closed_at, closed_reason FROM hub.exceptions
WHERE merchant_id = :merchant_id AND connection_id = :connection_id AND reference = :order_id
ORDER BY exception_id LIMIT :limit
"""

_QUARANTINE = """
SELECT reason, state, first_seen_at, last_seen_at, attempts, page_id || '/' || position AS raw FROM hub.quarantine
WHERE connection_id = :connection_id AND record_id = :order_id
"""


def order_facts(tx: Transaction, merchant_id: int, connection_id: int, order_id: str, *, limit: int) -> Facts | None:
    """Return what stands behind an order, None where nothing was ever heard of it.

    An order whose payload could not be read has no `order`, but its raw payloads and why. At most `limit` rows of a
    kind are given, the newest payloads first, everything else in the order in which it happened.
    """
    own: dict[str, Any] = {
        "merchant_id": merchant_id, "connection_id": connection_id, "order_id": order_id, "limit": limit,
    }  # fmt: skip
    stored = rows(tx, _ORDER, own)
    payloads = rows(tx, _VERSIONS, own)
    if not stored and not payloads:
        return None
    return {
        "order": stored[0] if stored else None,
        "payloads": {
            "total": payloads[0].pop("versions") if payloads else 0,
            "newest": [{key: value for key, value in row.items() if key != "versions"} for row in payloads],
        },
        "quarantine": rows(tx, _QUARANTINE, own),
        "states": [asdict(change) for change in order_history(tx, connection_id, order_id)][:limit],
        "lines": rows(tx, _LINES, own),
        "units": rows(tx, _UNITS, own),
        "movements": rows(tx, _MOVEMENTS, own),
        "payments": rows(tx, _PAYMENTS, own),
        "shipments": rows(tx, _SHIPMENTS, own),
        "refunds": rows(tx, _REFUNDS, own),
        "returns": rows(tx, _RETURNS, own),
        "exceptions": rows(tx, _EXCEPTIONS, own),
    }
