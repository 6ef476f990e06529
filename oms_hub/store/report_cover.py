"""How long stock lasts, and what to order: `stock_cover` and `reorder`, both from the pace of the last 28 days."""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import (
    CURRENCY,
    MERCHANT,
    TODAY,
    ReportColumn,
    ReportDefinition,
    amount,
    day,
    ratio,
    whole,
    words,
)
from oms_hub.store.report_costs import stock_cost_then
from oms_hub.store.report_demand import WINDOW_DAYS, sold_units

AS_OF_DATE = day("as_of_date", "The day that the row looks back from: today in the merchant's zone unless asked for")
_SKU = words("sku", "The merchant's code of the goods", key=True)
_LEVELS: tuple[ReportColumn, ...] = (
    whole("on_hand", "Units there now, all places", signed=True),
    whole("available", "Units there now that nothing holds, all places (stock_levels.available)", signed=True),
    whole("incoming", "Units in transfer between places now"),
    whole("on_order", "Units ordered from suppliers and not received yet"),
)
_UNITS_SOLD = whole(
    "units_sold",
    f"Units sold in the {WINDOW_DAYS} full days before as_of_date, packs and bundles taken apart; returned units are "
    "not taken off",
)
_DAILY_UNITS = ratio("daily_units", f"units_sold / {WINDOW_DAYS}")

_BASIS = f"""
WITH merchants AS (SELECT m.*, {TODAY} AS today FROM hub.merchants m),
levels AS (
    SELECT l.merchant, l.sku, sum(l.on_hand)::bigint AS on_hand, sum(l.available)::bigint AS available,
           sum(l.incoming)::bigint AS incoming
    FROM reports.stock_levels l GROUP BY 1, 2
),
sold AS ({sold_units(str(WINDOW_DAYS))}),
pace AS (
    SELECT sku_id, sum(units) AS units, sum(units * units) AS squares FROM sold GROUP BY 1
),
ordered AS (
    SELECT o.sku_id, sum(greatest(o.quantity - coalesce(r.units, 0), 0))::bigint AS units
    FROM hub.purchase_orders o
    LEFT JOIN (SELECT merchant_id, reference, sku_id, sum(quantity) AS units FROM hub.receipts GROUP BY 1, 2, 3) r
        USING (merchant_id, reference, sku_id)
    GROUP BY 1
)"""

STOCK_COVER = ReportDefinition(
    name="stock_cover",
    title="How long the stock of each SKU lasts",
    comment=(
        "One row per merchant and SKU that was counted at least once, all places together: levels as they are now, "
        f"pace of the {WINDOW_DAYS} full business days before as_of_date. Computed when read."
    ),
    currency_column="currency",
    has_as_of=True,
    columns=(
        MERCHANT,
        _SKU,
        AS_OF_DATE,
        *_LEVELS,
        _UNITS_SOLD,
        _DAILY_UNITS,
        ratio("days_of_cover", "available / daily_units, 0 where nothing is available; null without sales", gaps=True),
        day("runs_out_on", "as_of_date + days_of_cover in full days; null without sales", gaps=True),
        whole(
            "stockout_days",
            f"Days of the {WINDOW_DAYS} that ended with nothing at any place, from the first movement on",
        ),
        ratio(
            "lost_units",
            "Estimate of units not sold for want of stock: stockout_days x units_sold / days that ended with stock; "
            "null where no day did",
            gaps=True,
        ),
        ratio(
            "sell_through",
            f"units_sold / (units there {WINDOW_DAYS} days ago + units received since); null where there were none",
            gaps=True,
        ),
        words(
            "state",
            "out (nothing available), low (runs out before an order would arrive), ok, excess (more than 180 days), "
            "idle (available, without sales in the window)",
        ),
        amount("value", "on_hand x cost of one unit of the stock now, in currency; null where unknown", gaps=True),
        replace(CURRENCY, comment="ISO 4217 code of value: the merchant's base currency"),
    ),
    view_sql=f"""{_BASIS},
kept AS (
    SELECT b.sku_id, min(i.starts) AS known_from,
           range_agg(daterange(i.starts, i.ends)) FILTER (WHERE i.closing > 0) AS days
    FROM merchants m JOIN hub.balances b ON b.merchant_id = m.merchant_id
    CROSS JOIN LATERAL (
        SELECT greatest(i.business_date, m.today - {WINDOW_DAYS}) AS starts, i.closing,
               lead(i.business_date, 1, m.today) OVER (ORDER BY i.business_date) AS ends
        FROM (
            (SELECT i.business_date, i.closing FROM reports.inventory_rows i
             WHERE i.sku_id = b.sku_id AND i.location_id = b.location_id
               AND i.business_date <= m.today - {WINDOW_DAYS}
             ORDER BY i.business_date DESC LIMIT 1)
            UNION ALL
            SELECT i.business_date, i.closing FROM reports.inventory_rows i
            WHERE i.sku_id = b.sku_id AND i.location_id = b.location_id
              AND i.business_date > m.today - {WINDOW_DAYS} AND i.business_date < m.today
        ) i
    ) i
    GROUP BY 1
),
outs AS (
    SELECT k.sku_id, k.known_from, coalesce((SELECT sum(upper(d) - lower(d)) FROM unnest(k.days) d), 0) AS stock_days
    FROM kept k
),
flows AS (
    SELECT b.sku_id, sum(coalesce(o.closing, 0)) AS opening, sum(coalesce(i.received, 0)) AS received
    FROM merchants m JOIN hub.balances b ON b.merchant_id = m.merchant_id
    LEFT JOIN LATERAL (
        SELECT i.closing FROM reports.inventory_rows i
        WHERE i.sku_id = b.sku_id AND i.location_id = b.location_id AND i.business_date < m.today - {WINDOW_DAYS}
        ORDER BY i.business_date DESC LIMIT 1) o ON true
    LEFT JOIN LATERAL (
        SELECT sum(i.received) AS received FROM reports.inventory_rows i
        WHERE i.sku_id = b.sku_id AND i.location_id = b.location_id
          AND i.business_date >= m.today - {WINDOW_DAYS} AND i.business_date < m.today) i ON true
    GROUP BY 1
)
SELECT f.merchant, f.sku, f.as_of_date, f.on_hand, f.available, f.incoming, f.on_order, f.units_sold,
       f.daily_units::numeric(18,6) AS daily_units, f.days_of_cover::numeric(18,6) AS days_of_cover,
       CASE WHEN f.days_of_cover IS NOT NULL THEN f.as_of_date + floor(least(f.days_of_cover, 36500))::integer END
           AS runs_out_on, f.stockout_days,
       f.lost_units::numeric(18,6) AS lost_units, f.sell_through::numeric(18,6) AS sell_through,
       CASE WHEN f.available <= 0 THEN 'out' WHEN f.units_sold = 0 THEN 'idle'
            WHEN f.days_of_cover < f.lead_time_days THEN 'low' WHEN f.days_of_cover > 180 THEN 'excess'
            ELSE 'ok' END AS state,
       f.value, f.currency
FROM (
    SELECT v.merchant, v.sku, m.today AS as_of_date, v.on_hand, v.available, v.incoming,
           coalesce(o.units, 0) AS on_order, coalesce(p.units, 0)::bigint AS units_sold,
           coalesce(p.units, 0) / {WINDOW_DAYS}.0 AS daily_units,
           greatest(v.available, 0) / nullif(p.units / {WINDOW_DAYS}.0, 0) AS days_of_cover,
           coalesce(m.today - x.known_from - x.stock_days, 0) AS stockout_days,
           (m.today - x.known_from - x.stock_days) * coalesce(p.units, 0) / nullif(x.stock_days, 0)::numeric
               AS lost_units,
           coalesce(p.units, 0) / nullif(w.opening + w.received, 0)::numeric AS sell_through, t.lead_time_days,
           v.on_hand * {stock_cost_then("k.sku_id", "m.today")} AS value, m.currency
    FROM levels v
    JOIN merchants m ON m.name = v.merchant
    JOIN hub.skus k ON k.merchant_id = m.merchant_id AND k.sku = v.sku
    LEFT JOIN pace p ON p.sku_id = k.sku_id
    LEFT JOIN ordered o ON o.sku_id = k.sku_id
    LEFT JOIN outs x ON x.sku_id = k.sku_id
    LEFT JOIN flows w ON w.sku_id = k.sku_id
    LEFT JOIN hub.purchase_terms t ON t.sku_id = k.sku_id
) f
""",
)

REORDER = ReportDefinition(
    name="reorder",
    title="What to order, and why",
    comment=(
        "One row per merchant and SKU that was counted at least once. Computed when read, from the levels as they are "
        f"now, the pace of the {WINDOW_DAYS} full business days before as_of_date and the purchase terms as imported."
    ),
    has_as_of=True,
    columns=(
        MERCHANT,
        _SKU,
        AS_OF_DATE,
        words("supplier", "Who delivers; '' where no terms are known"),
        *_LEVELS,
        _UNITS_SOLD,
        _DAILY_UNITS,
        ratio("daily_units_sd", f"Standard deviation of the units sold per day over the {WINDOW_DAYS} days"),
        ratio("lead_time_days", "Days from order to arrival; null where no terms are known", gaps=True),
        ratio(
            "safety_units",
            "z x sqrt(lead time x daily_units_sd^2 + daily_units^2 x sd of the lead time^2); null without terms",
            gaps=True,
        ),
        whole(
            "reorder_point",
            "daily_units x lead time + safety_units, rounded up; order when position is at or below it; null without "
            "terms",
            gaps=True,
        ),
        whole("position", "available + incoming + on_order: what demand can still be met from", signed=True),
        whole(
            "quantity",
            "Units to order: 0 while position is above the reorder point, else up to reorder point + daily_units x "
            "days to cover, at least the supplier's minimum, in full packs; null without terms",
            gaps=True,
        ),
        words("state", "order, enough, or no_terms (import them: oms-hub stock terms FILE)"),
        words("arithmetic", "The reckoning behind quantity, with its numbers; '' without terms"),
    ),
    view_sql=f"""{_BASIS},
rated AS (
    SELECT v.merchant, v.sku, m.today, v.on_hand, v.available, v.incoming, coalesce(o.units, 0) AS on_order,
           coalesce(p.units, 0)::bigint AS units_sold, round(coalesce(p.units, 0) / {WINDOW_DAYS}.0, 6) AS pace,
           round(sqrt(greatest(coalesce(p.squares, 0) / {WINDOW_DAYS}.0
                               - power(coalesce(p.units, 0) / {WINDOW_DAYS}.0, 2), 0)), 6) AS spread, t.*
    FROM levels v
    JOIN merchants m ON m.name = v.merchant
    JOIN hub.skus k ON k.merchant_id = m.merchant_id AND k.sku = v.sku
    LEFT JOIN pace p ON p.sku_id = k.sku_id
    LEFT JOIN ordered o ON o.sku_id = k.sku_id
    LEFT JOIN hub.purchase_terms t ON t.sku_id = k.sku_id
),
guarded AS (
    SELECT r.*, r.available + r.incoming + r.on_order AS position,
           round(r.service_factor * sqrt(r.lead_time_days * power(r.spread, 2)
                                         + power(r.pace, 2) * power(r.lead_time_sd_days, 2)), 6) AS safety
    FROM rated r
),
pointed AS (SELECT g.*, ceil(g.pace * g.lead_time_days + g.safety) AS point FROM guarded g),
wanted AS (
    SELECT p.*, p.position <= p.point AND p.point + p.pace * p.cover_days > p.position AS is_due,
           ceil(p.point + p.pace * p.cover_days) - p.position AS missing
    FROM pointed p
)
SELECT w.merchant, w.sku, w.today AS as_of_date, coalesce(w.supplier, '') AS supplier, w.on_hand, w.available,
       w.incoming, w.on_order, w.units_sold, w.pace::numeric(18,6) AS daily_units,
       w.spread::numeric(18,6) AS daily_units_sd, w.lead_time_days::numeric(18,6) AS lead_time_days,
       w.safety::numeric(18,6) AS safety_units, w.point::bigint AS reorder_point, w.position,
       q.quantity::bigint AS quantity,
       CASE WHEN w.point IS NULL THEN 'no_terms' WHEN w.is_due THEN 'order' ELSE 'enough' END AS state,
       CASE WHEN w.point IS NULL THEN '' ELSE format(
                       'point %s = ceil(%s a day x %s days + %s x sqrt(%s x %s^2 + %s^2 x %s^2)); '
                       'position %s = %s available + %s incoming + %s on order; ', w.point, trim_scale(w.pace),
                       trim_scale(w.lead_time_days), trim_scale(w.service_factor), trim_scale(w.lead_time_days),
                       trim_scale(w.spread), trim_scale(w.pace), trim_scale(w.lead_time_sd_days), w.position,
                       w.available, w.incoming, w.on_order)
                || CASE WHEN w.is_due THEN format(
                       'missing %s = ceil(%s + %s a day x %s days) - %s; at least %s, in packs of %s: %s', w.missing,
                       w.point, trim_scale(w.pace), trim_scale(w.cover_days), w.position, w.minimum_quantity,
                       w.pack_size, q.quantity)
                   ELSE 'nothing to order' END END AS arithmetic
FROM wanted w CROSS JOIN LATERAL (
    SELECT CASE WHEN w.is_due THEN ceil(greatest(w.missing, w.minimum_quantity) / w.pack_size) * w.pack_size
                WHEN w.point IS NOT NULL THEN 0 END AS quantity
) q
""",
)
