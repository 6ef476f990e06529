"""What buyers asked for: per SKU and hour, and the days' units that cover, reorder and classes are reckoned from."""

from __future__ import annotations

from oms_hub.store.report_columns import (
    CHANNEL,
    CONNECTION,
    MERCHANT,
    ReportDefinition,
    day,
    instant,
    whole,
    words,
)

WINDOW_DAYS = 28
"""Full business days before today that a SKU's pace is taken from."""

DEMAND_HOURLY = ReportDefinition(
    name="demand_hourly",
    title="Units asked for per SKU, connection and hour",
    comment=(
        "One row per merchant, connection, hour and SKU that was ordered, cancelled orders included: what buyers "
        "wanted, whether they got it or not. Hours are those of the clock in UTC. Test orders, drafts, credit notes "
        "and orders that vanished from the channel never count. Computed when read."
    ),
    day_column="business_date",
    columns=(
        MERCHANT,
        CONNECTION,
        instant("hour_at", "When the hour began", key=True),
        words("sku", "The merchant's SKU, else the channel's SKU text; '' where there is none", key=True),
        CHANNEL,
        day("business_date", "Day of the hour in the merchant's time zone"),
        whole("orders", "Orders placed in that hour that ask for the SKU"),
        whole("units", "Units they ask for, as the channel counts them"),
        whole("units_not_sold", "Of these, units of cancelled orders that are no sales, and units taken off orders"),
    ),
    view_sql="""
SELECT m.name AS merchant, c.name AS connection, d.hour_at, d.sku, c.channel, d.business_date, d.orders, d.units,
       d.units_not_sold
FROM (
    SELECT o.merchant_id, o.connection_id, date_trunc('hour', o.placed_at, 'UTC') AS hour_at,
           (o.placed_at AT TIME ZONE z.time_zone)::date AS business_date,
           coalesce(k.sku, l.channel_sku, '') COLLATE "C" AS sku, count(DISTINCT o.channel_order_id) AS orders,
           sum(l.quantity)::bigint AS units,
           sum(CASE WHEN o.is_sale THEN l.cancelled_quantity ELSE l.quantity END)::bigint AS units_not_sold
    FROM hub.orders o
    JOIN hub.merchants z ON z.merchant_id = o.merchant_id
    JOIN hub.order_lines l ON l.connection_id = o.connection_id AND l.channel_order_id = o.channel_order_id
    LEFT JOIN hub.skus k ON k.sku_id = l.sku_id
    WHERE NOT o.is_test AND NOT o.is_draft AND o.vanished_at IS NULL AND o.kind <> 'credit_note'
      AND (o.is_sale OR o.state = 'cancelled')
    GROUP BY 1, 2, 3, 4, 5
) d
JOIN hub.connections c ON c.connection_id = d.connection_id
JOIN hub.merchants m ON m.merchant_id = d.merchant_id
""",
)


def sold_units(days_back: str) -> str:
    """Return SQL for the units that left by sales, per SKU and day of a merchant `m`, in the SKU's own count.

    Packs count what they hold, bundles what they are made of; returned units are not taken off. Columns: merchant_id,
    sku_id, business_date, units; only full days before `m.today`, at most `days_back` of them.
    """
    return f"""
    SELECT m.merchant_id, coalesce(b.component_sku_id, k.sku_id) AS sku_id, r.business_date,
           sum(r.units * coalesce(l.pack_size, 1) * coalesce(b.units, 1)) AS units
    FROM merchants m
    JOIN hub.connections c ON c.merchant_id = m.merchant_id
    JOIN reports.sales_by_sku_rows r ON r.connection_id = c.connection_id
        AND r.business_date >= m.today - {days_back} AND r.business_date < m.today
    JOIN hub.skus k ON k.merchant_id = m.merchant_id AND k.sku = r.sku
    LEFT JOIN hub.listings l ON l.connection_id = r.connection_id AND l.listing_key = r.listing AND l.sku_id = k.sku_id
    LEFT JOIN hub.bundle_components b ON b.bundle_sku_id = k.sku_id
    WHERE r.units <> 0
    GROUP BY 1, 2, 3"""
