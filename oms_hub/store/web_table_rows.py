"""Which tables the console shows: orders, stock, listings, exceptions, alerts.

What belongs here: their columns and where they come from. Not here: paging (`web_tables`).
"""

from __future__ import annotations

from collections.abc import Mapping

from oms_hub.store.web_tables import TableColumn as Col
from oms_hub.store.web_tables import TableDefinition

ORDERS = TableDefinition(
    name="orders",
    columns=(
        Col("label", "o.label", title="Order"),
        Col("connection", "c.name", title="Connection"),
        Col("placed_at", "o.placed_at", "instant", "Placed"),
        Col("state", "o.state", "state", "Order state"),
        Col("payment_state", "o.payment_state", "state", "Payment"),
        Col("fulfilment_state", "o.fulfilment_state", "state", "Fulfilment"),
        Col("total", "o.total", "money", "Total"),
        Col("currency", "o.currency", is_hidden=True),
        Col("order_id", "o.channel_order_id", is_hidden=True),
        Col("is_vanished", "o.vanished_at IS NOT NULL", "flag", is_hidden=True),
    ),
    source="hub.orders o JOIN hub.connections c USING (connection_id) WHERE o.merchant_id = :merchant_id",
    key="lpad(o.connection_id::text, 10, '0') || ':' || o.channel_order_id",
    sort="placed_at",
    is_descending=True,
    searched=("o.label", "o.channel_order_id"),
    filters={
        "connection": ("c.name", ()),
        "state": ("o.state", ("open", "on_hold", "cancelled", "closed")),
        "fulfilment": ("o.fulfilment_state", ("unfulfilled", "partial", "fulfilled", "returned")),
        "payment": (
            "o.payment_state",
            ("unpaid", "authorised", "partially_paid", "paid", "partially_refunded", "refunded", "voided"),
        ),
    },
)

_STOCK_SOURCE = """
hub.skus s
LEFT JOIN LATERAL (SELECT sum(b.on_hand) AS on_hand, sum(b.unavailable) AS unavailable, sum(b.incoming) AS incoming
                   FROM hub.balances b WHERE b.sku_id = s.sku_id AND b.counted_at IS NOT NULL) AS level ON true
LEFT JOIN LATERAL (SELECT coalesce(sum(l.allocated_quantity * coalesce(p.pack_size, 1)), 0) AS allocated,
                          coalesce(sum(l.reserved_quantity * coalesce(p.pack_size, 1)), 0) AS reserved
                   FROM hub.order_lines l
                   LEFT JOIN hub.listings p ON p.connection_id = l.connection_id AND p.listing_key = l.listing_key
                                           AND p.sku_id = l.sku_id
                   WHERE l.sku_id = s.sku_id AND (l.allocated_quantity > 0 OR l.reserved_quantity > 0)) AS held ON true
LEFT JOIN LATERAL (SELECT count(*) AS listings FROM hub.listings g
                   WHERE g.sku_id = s.sku_id AND g.is_active) AS offered ON true
WHERE s.merchant_id = :merchant_id"""
_AVAILABLE = "level.on_hand - level.unavailable - held.allocated - held.reserved"
_LEVEL_WORD = (
    f"CASE WHEN level.on_hand IS NULL THEN 'not_counted' WHEN {_AVAILABLE} < 0 THEN 'oversold' "
    f"WHEN {_AVAILABLE} = 0 THEN 'sold_out' "
    "WHEN EXISTS (SELECT FROM hub.alerts a WHERE a.sku_id = s.sku_id AND a.kind = 'low_stock' AND a.state = 'open') "
    "THEN 'low_stock' ELSE 'in_stock' END"
)

STOCK = TableDefinition(
    name="stock",
    columns=(
        Col("sku", "s.sku", title="SKU"),
        Col("title", "s.title", title="Title"),
        Col("on_hand", "level.on_hand", "whole", "On hand"),
        Col("allocated", "held.allocated", "whole", "Allocated"),
        Col("reserved", "held.reserved", "whole", "Reserved"),
        Col("available", _AVAILABLE, "whole", "Available"),
        Col("listings", "offered.listings", "whole", "Listings"),
        Col("level", _LEVEL_WORD, "state", "Level"),
    ),
    source=_STOCK_SOURCE,
    key="s.sku",
    sort="sku",
    searched=("s.sku", "s.title", "s.barcode"),
    filters={"level": (_LEVEL_WORD, ("oversold", "sold_out", "low_stock", "in_stock", "not_counted"))},
)

LISTINGS = TableDefinition(
    name="listings",
    columns=(
        Col("title", "l.title", title="Title"),
        Col("channel_sku", "l.channel_sku", title="SKU on the channel"),
        Col("sku", "s.sku", title="Our SKU"),
        Col("link_state", "l.link_state", "state", "Link"),
        Col("observed", "v.observed", "whole", "Seen there"),
        Col("desired", "v.desired", "whole", "Wanted"),
        Col("connection", "c.name", title="Connection"),
        Col("listing_key", "l.listing_key", is_hidden=True),
        Col("is_active", "l.is_active", "flag", is_hidden=True),
    ),
    source=(
        "hub.listings l JOIN hub.connections c USING (connection_id) LEFT JOIN hub.skus s USING (sku_id) "
        "LEFT JOIN hub.listing_levels v ON v.connection_id = l.connection_id AND v.listing_key = l.listing_key "
        "WHERE l.merchant_id = :merchant_id AND c.state <> 'removed'"
    ),
    key="lpad(l.connection_id::text, 10, '0') || ':' || l.listing_key",
    sort="title",
    searched=("l.title", "l.channel_sku", "s.sku", "l.listing_key"),
    filters={
        "connection": ("c.name", ()),
        "link": ("l.link_state", ("automatic", "manual", "unmapped", "duplicate", "ignored")),
    },
)

EXCEPTIONS = TableDefinition(
    name="exceptions",
    columns=(
        Col("exception_id", "e.exception_id", "whole", "Number"),
        Col("kind", "e.kind", "state", "Kind"),
        Col("reference", "e.reference", title="About"),
        Col("message", "e.message", title="What happened"),
        Col("connection", "coalesce(c.name, '')", title="Connection"),
        Col("opened_at", "e.opened_at", "instant", "First seen"),
        Col("last_seen_at", "e.last_seen_at", "instant", "Last seen"),
        Col("occurrences", "e.occurrences", "whole", "Times"),
        Col("state", "e.state", "state", is_hidden=True),
        Col("remedy", "e.remedy", is_hidden=True),
        Col("closed_reason", "e.closed_reason", is_hidden=True),
    ),
    source=("hub.exceptions e LEFT JOIN hub.connections c USING (connection_id) WHERE e.merchant_id = :merchant_id"),
    key="lpad(e.exception_id::text, 20, '0')",
    sort="exception_id",
    is_descending=True,
    searched=("e.reference", "e.message"),
    filters={
        "state": ("e.state", ("open", "resolved", "dismissed")),
        "kind": ("e.kind", ()),
        "connection": ("c.name", ()),
    },
)

ALERTS = TableDefinition(
    name="alerts",
    columns=(
        Col("kind", "a.kind", "state", "Kind"),
        Col("reference", "a.reference", title="About"),
        Col("message", "a.message", title="What happened"),
        Col("units", "a.units", "whole", "Units"),
        Col("connection", "coalesce(c.name, '')", title="Connection"),
        Col("fired_at", "a.fired_at", "instant", "Since"),
        Col("cleared_at", "a.cleared_at", "instant", "Until"),
        Col("state", "a.state", "state", "State"),
    ),
    source="hub.alerts a LEFT JOIN hub.connections c USING (connection_id) WHERE a.merchant_id = :merchant_id",
    key="lpad(a.alert_id::text, 20, '0')",
    sort="fired_at",
    is_descending=True,
    searched=("a.reference", "a.message"),
    filters={"state": ("a.state", ("open", "cleared")), "kind": ("a.kind", ())},
)

TABLES: Mapping[str, TableDefinition] = {table.name: table for table in (ORDERS, STOCK, LISTINGS, EXCEPTIONS, ALERTS)}
