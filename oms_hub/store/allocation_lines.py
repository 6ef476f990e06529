"""Which order lines make demand of a SKU: common table expressions that allocation, alerts and explanations share.

What belongs here: their SQL, over the parameter `:sku_ids`. Not here: what is done with it.
"""

from __future__ import annotations

LINE_SKUS = """
touched AS (SELECT unnest(CAST(:sku_ids AS bigint[])) AS sku_id),
line_skus AS (
    SELECT t.sku_id AS line_sku_id, t.sku_id, 1 AS each_units FROM touched t
    WHERE NOT EXISTS (SELECT FROM hub.bundle_components c WHERE c.bundle_sku_id = t.sku_id)
    UNION ALL
    SELECT c.bundle_sku_id, c.component_sku_id, c.units
    FROM touched t JOIN hub.bundle_components c ON c.component_sku_id = t.sku_id
)"""
"""`touched`: the SKUs asked about. `line_skus`: which SKU a line must name to want one of them, and how many each."""

HELD_LINES = """
held AS (
    SELECT line.connection_id, line.channel_order_id, line.line_id, line.merchant_id, k.sku_id,
           line.channel_location_id, line.allocated_quantity * size.units AS allocated,
           line.reserved_quantity * size.units AS reserved
    FROM line_skus k
    JOIN hub.order_lines line ON line.sku_id = k.line_sku_id
        AND (line.allocated_quantity > 0 OR line.reserved_quantity > 0)
    LEFT JOIN hub.listings pack ON pack.connection_id = line.connection_id AND pack.listing_key = line.listing_key
        AND pack.sku_id = line.sku_id
    CROSS JOIN LATERAL (SELECT (coalesce(pack.pack_size, 1) * k.each_units)::bigint AS units) AS size
)"""
"""`held`: what each open line is promised of the SKUs of `line_skus`, in units of the SKU; one of the two is 0."""
