"""Stock levels per SKU and place: a view on the ledger's balances, so that it is right at every moment."""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import CURRENCY, MERCHANT, ReportDefinition, amount, instant, whole, words

STOCK_LEVELS = ReportDefinition(
    name="stock_levels",
    title="Stock now, per SKU and place",
    comment=(
        "One row per merchant, SKU and place that was counted at least once: without a count there is no level. "
        "Computed when read. Levels are never clamped: a negative figure shows oversell."
    ),
    currency_column="currency",
    columns=(
        MERCHANT,
        words("sku", "The merchant's code of the goods", key=True),
        words("location", "The merchant's code of the place", key=True),
        words("title", "Name of the goods, '' where none is known"),
        whole("on_hand", "Units physically there: the sum of the ledger's movements", signed=True),
        whole(
            "allocated",
            "Units bound to placed, unshipped orders, bundles taken apart; where their place was never counted, or "
            "none is given, they stand at the default place, or else at the first counted one",
        ),
        whole("reserved", "Units held for a time: unpaid orders; their place as for allocated"),
        whole("unavailable", "Units that are damaged or in inspection"),
        whole(
            "safety_stock",
            "Units of the place that are never offered, by the policy of the SKU, else of the merchant; channels and "
            "connections may have their own; not taken off available",
        ),
        whole("available", "on_hand - allocated - reserved - unavailable, in units", signed=True),
        whole("incoming", "Units ordered or in transfer"),
        amount("unit_cost", "Cost of one unit as known now, in currency; null where unknown", gaps=True),
        amount("value", "on_hand x unit_cost, in currency; null where the cost is unknown", gaps=True),
        replace(CURRENCY, comment="ISO 4217 code of unit_cost and value: the merchant's base currency"),
        instant("counted_at", "Instant as of which the place was last counted"),
    ),
    view_sql="""
WITH held AS (
    SELECT coalesce(part.component_sku_id, l.sku_id) AS sku_id, link.location_id,
           sum(l.allocated_quantity * coalesce(pack.pack_size, 1) * coalesce(part.units, 1)) AS allocated,
           sum(l.reserved_quantity * coalesce(pack.pack_size, 1) * coalesce(part.units, 1)) AS reserved
    FROM hub.order_lines l
    LEFT JOIN hub.bundle_components part ON part.bundle_sku_id = l.sku_id
    LEFT JOIN hub.location_links link
        ON link.connection_id = l.connection_id AND link.channel_location_id = l.channel_location_id
    LEFT JOIN hub.listings pack
        ON pack.connection_id = l.connection_id AND pack.listing_key = l.listing_key AND pack.sku_id = l.sku_id
    WHERE (l.allocated_quantity > 0 OR l.reserved_quantity > 0) AND l.sku_id IS NOT NULL
    GROUP BY 1, 2
),
placed AS (
    SELECT h.sku_id, place.location_id, sum(h.allocated) AS allocated, sum(h.reserved) AS reserved
    FROM held h CROSS JOIN LATERAL (
        SELECT b.location_id FROM hub.balances b JOIN hub.locations p ON p.location_id = b.location_id
        WHERE b.sku_id = h.sku_id AND b.counted_at IS NOT NULL
        ORDER BY b.location_id IS NOT DISTINCT FROM h.location_id DESC, p.is_default DESC, b.location_id
        LIMIT 1
    ) place
    GROUP BY 1, 2
)
SELECT m.name AS merchant, k.sku, p.code AS location, k.title,
       b.on_hand::bigint AS on_hand,
       coalesce(h.allocated, 0)::bigint AS allocated,
       coalesce(h.reserved, 0)::bigint AS reserved,
       b.unavailable::bigint AS unavailable,
       coalesce(own.safety_stock, general.safety_stock, 0)::bigint AS safety_stock,
       (b.on_hand - coalesce(h.allocated, 0) - coalesce(h.reserved, 0) - b.unavailable)::bigint AS available,
       b.incoming::bigint AS incoming,
       k.unit_cost, b.on_hand * k.unit_cost AS value, m.currency, b.counted_at
FROM hub.balances b
JOIN hub.skus k ON k.sku_id = b.sku_id
JOIN hub.locations p ON p.location_id = b.location_id
JOIN hub.merchants m ON m.merchant_id = b.merchant_id
LEFT JOIN hub.policies own ON own.scope = 'sku' AND own.sku_id = b.sku_id
LEFT JOIN hub.policies general ON general.scope = 'merchant' AND general.merchant_id = b.merchant_id
LEFT JOIN placed h ON h.sku_id = b.sku_id AND h.location_id = b.location_id
WHERE b.counted_at IS NOT NULL
""",
)
