"""Sales per SKU and day: what the figures mean and the SQL that makes them. What counts is said in `report_sales`.

The stored rows hold numbers and the channel's own words only; names, packs and costs are added when they are read, so
that a changed pack or cost shows at once.
"""

from __future__ import annotations

from oms_hub.store.report_columns import (
    BUSINESS_DATE,
    CHANNEL,
    CONNECTION,
    KEY_CURRENCY,
    MERCHANT,
    MERCHANT_ID,
    ReportDefinition,
    amount,
    whole,
    words,
)
from oms_hub.store.report_costs import cost_then
from oms_hub.store.report_sales import COUNTS

_SKU = words(
    "sku",
    "The merchant's SKU; where a line is not linked to one, the channel's SKU text; '' where there is none, and for "
    "refunded amounts that name no line",
    key=True,
)
_UNITS = (
    whole("units", "Units on lines of sales placed that day, as placed and as the channel counts them"),
    whole("returned_units", "Units refunded that day, restocked or not"),
)
_AMOUNTS = (
    amount("gross_sales", "Unit price x quantity, in currency; before discounts and returns, without tax"),
    amount("discounts", "The lines' own discounts and their part of order discounts, in currency; positive"),
    amount("returns", "Goods value refunded that day, in currency, without tax; positive lowers sales"),
)
_RESTOCKED = whole("restocked_units", "Units refunded that day that went back to the shelf, as the channel counts them")

SALES_BY_SKU_ROWS = ReportDefinition(
    name="sales_by_sku_rows",
    title="The stored part of sales_by_sku_daily",
    comment="What sales_by_sku_daily is made of: per listing, without names and cost; read that instead",
    day_column="business_date",
    currency_column="currency",
    columns=(
        whole("connection_id", "The hub's number of the connection", key=True),
        BUSINESS_DATE,
        _SKU,
        words("listing", "The channel's key of the listing that was sold; '' where the line names none", key=True),
        KEY_CURRENCY,
        MERCHANT_ID,
        *_UNITS,
        _RESTOCKED,
        *_AMOUNTS,
    ),
)

SALES_BY_SKU_DAILY = ReportDefinition(
    name="sales_by_sku_daily",
    title="Sales per SKU, connection and day",
    comment=(
        "One row per merchant, connection, business day, currency and SKU with any sale or refund; the rows of a "
        f"day add up to its units, gross_sales, discounts, returns and net_sales in sales_daily. {COUNTS}"
    ),
    day_column="business_date",
    currency_column="currency",
    columns=(
        MERCHANT,
        CONNECTION,
        BUSINESS_DATE,
        KEY_CURRENCY,
        _SKU,
        CHANNEL,
        *_UNITS,
        *_AMOUNTS,
        amount("net_sales", "gross_sales - discounts - returns, in currency"),
        whole("goods_units", "units in the SKU's own count: a listing that sells a pack of six counts six"),
        amount(
            "cost",
            "goods_units x what a unit of the SKU cost on that day by the merchant's cost method (`sku_costs`), in "
            "currency; returned units are not taken off; null where no cost is known or the sale was in another "
            "currency than the merchant's",
            gaps=True,
        ),
        amount("margin", "net_sales - cost, in currency; null where cost is null", gaps=True),
        _RESTOCKED,
    ),
    view_sql=f"""
SELECT merchant, connection, business_date, currency, sku, channel, units, returned_units, gross_sales, discounts,
       returns, gross_sales - discounts - returns AS net_sales, goods_units, goods_units * unit_cost AS cost,
       gross_sales - discounts - returns - goods_units * unit_cost AS margin, restocked_units
FROM (
    SELECT g.*, CASE WHEN g.is_base THEN {cost_then("g.sku_id", "g.business_date")} END AS unit_cost
    FROM (
        SELECT m.name AS merchant, c.name AS connection, r.business_date, r.currency, r.sku, c.channel,
               sum(r.units)::bigint AS units, sum(r.returned_units)::bigint AS returned_units,
               sum(r.restocked_units)::bigint AS restocked_units, sum(r.gross_sales) AS gross_sales,
               sum(r.discounts) AS discounts, sum(r.returns) AS returns,
               sum(r.units * coalesce(l.pack_size, 1))::bigint AS goods_units,
               m.currency = r.currency AS is_base, k.sku_id
        FROM reports.sales_by_sku_rows r
        JOIN hub.connections c ON c.connection_id = r.connection_id
        JOIN hub.merchants m ON m.merchant_id = c.merchant_id
        LEFT JOIN hub.skus k ON k.merchant_id = c.merchant_id AND k.sku = r.sku
        LEFT JOIN hub.listings l
            ON l.connection_id = r.connection_id AND l.listing_key = r.listing AND l.sku_id = k.sku_id
        GROUP BY m.name, c.name, r.business_date, r.currency, r.sku, c.channel, m.currency, k.sku_id
    ) g
) goods
""",
)

INSERT_SALES_BY_SKU_ROWS = """
INSERT INTO reports.sales_by_sku_rows (connection_id, business_date, sku, listing, currency, merchant_id, units,
    returned_units, restocked_units, gross_sales, discounts, returns)
WITH parts (connection_id, business_date, currency, sku_id, channel_sku, listing, units, returned_units,
            restocked_units, gross, discounts, returns) AS (
    SELECT p.connection_id, p.business_date, p.currency, l.sku_id, l.channel_sku, l.listing_key, l.quantity, 0, 0,
           l.gross_amount, l.discount_amount + l.order_discount_amount, 0
    FROM report_placed p JOIN hub.order_lines l USING (connection_id, channel_order_id)
    WHERE p.is_sale
    UNION ALL
    SELECT f.connection_id, f.business_date, f.currency, l.sku_id, l.channel_sku, l.listing_key, 0, b.quantity,
           CASE WHEN b.is_restocked THEN b.quantity ELSE 0 END, 0, 0, b.amount
    FROM report_refunded f
    JOIN hub.refund_lines b USING (connection_id, channel_order_id, refund_id)
    LEFT JOIN hub.order_lines l ON l.connection_id = b.connection_id
        AND l.channel_order_id = b.channel_order_id AND l.line_id = b.line_id
    UNION ALL
    SELECT connection_id, business_date, currency, NULL::bigint, NULL, NULL, 0, 0, 0, 0, 0, sum(other_amount)
    FROM report_refunded GROUP BY 1, 2, 3 HAVING sum(other_amount) <> 0
)
SELECT p.connection_id, p.business_date, coalesce(k.sku, p.channel_sku, '') COLLATE "C",
       coalesce(p.listing, '') COLLATE "C", p.currency COLLATE "C", c.merchant_id, sum(p.units), sum(p.returned_units),
       sum(p.restocked_units), sum(p.gross), sum(p.discounts), sum(p.returns)
FROM parts p JOIN hub.connections c USING (connection_id) LEFT JOIN hub.skus k USING (sku_id)
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5
"""
