"""How well orders left the house, per day on which they were placed: the figures' meaning and the SQL that makes them.

Orders stand on the day they were placed, so that every order is in one row and its row ripens as it ships: the rates of
the last days speak of what is shipped so far.
"""

from __future__ import annotations

from oms_hub.store.report_columns import (
    BUSINESS_DATE,
    CHANNEL,
    CONNECTION,
    MERCHANT,
    ReportDefinition,
    ratio,
    whole,
)

FULFILMENT_DAILY = ReportDefinition(
    name="fulfilment_daily",
    title="How orders left the house, per connection and day placed",
    comment=(
        "One row per merchant, connection and business day with any sale or cancelled order, on the day the orders "
        "were placed. Only lines that need stock count as goods to ship; units cancelled before they left do not. "
        "Test orders, drafts and orders that vanished from the channel never count."
    ),
    day_column="business_date",
    columns=(
        MERCHANT,
        CONNECTION,
        BUSINESS_DATE,
        CHANNEL,
        whole("orders", "Orders placed that day that are sales, as in sales_daily, all currencies"),
        whole("cancelled_orders", "Orders placed that day that are cancelled now, whether sales or not"),
        whole("orders_to_ship", "Sales, not cancelled, with goods to ship"),
        whole("shipped_orders", "Of these, completely shipped"),
        whole("open_orders", "Of these, not completely shipped yet: orders_to_ship - shipped_orders"),
        whole("lines_to_ship", "Their lines with goods to ship"),
        whole("lines_shipped", "Of these, completely shipped"),
        whole("units_to_ship", "Units of these lines, as the channel counts them"),
        whole("units_shipped", "Of these, shipped"),
        ratio("fill_rate", "lines_shipped / lines_to_ship; null where there is nothing to ship", gaps=True),
        ratio("hours_to_ship", "Hours from placed to last shipment, mean of shipped_orders; null without any",
              gaps=True),
        whole("delivered_orders", "Shipped orders all of whose shipments are known to have arrived"),
        ratio("hours_to_deliver", "Hours from placed to last arrival, mean of delivered_orders; null without any",
              gaps=True),
        whole("promised_orders", "Shipped orders with a day to ship by"),
        whole("on_time_orders", "Of these, last shipped by then"),
        ratio("on_time_rate", "on_time_orders / promised_orders; null without any", gaps=True),
        whole("perfect_orders", "Shipped completely, in time (ship by and deliver by, where promised), without any "
              "refund or return"),
        ratio("perfect_order_rate", "perfect_orders / shipped_orders; null without any", gaps=True),
    ),
)  # fmt: skip

INSERT_FULFILMENT_DAILY = """
INSERT INTO reports.fulfilment_daily (merchant, connection, business_date, channel, orders, cancelled_orders,
    orders_to_ship, shipped_orders, open_orders, lines_to_ship, lines_shipped, units_to_ship, units_shipped, fill_rate,
    hours_to_ship, delivered_orders, hours_to_deliver, promised_orders, on_time_orders, on_time_rate, perfect_orders,
    perfect_order_rate)
WITH shipped AS (
    SELECT s.connection_id, s.channel_order_id, s.line_id, sum(s.quantity) AS units
    FROM report_placed p JOIN hub.shipment_lines s USING (connection_id, channel_order_id)
    WHERE p.is_sale AND NOT p.is_cancelled GROUP BY 1, 2, 3
),
goods AS (
    SELECT p.connection_id, p.channel_order_id, p.business_date, p.placed_at, p.ship_by_at, p.deliver_by_at,
           count(*) AS lines, sum(l.quantity - l.cancelled_quantity) AS units,
           count(*) FILTER (WHERE s.units >= l.quantity - l.cancelled_quantity) AS lines_shipped,
           sum(least(coalesce(s.units, 0), l.quantity - l.cancelled_quantity)) AS units_shipped
    FROM report_placed p JOIN hub.order_lines l USING (connection_id, channel_order_id)
    LEFT JOIN shipped s USING (connection_id, channel_order_id, line_id)
    WHERE p.is_sale AND NOT p.is_cancelled AND l.needs_stock AND l.quantity > l.cancelled_quantity
    GROUP BY 1, 2, 3, 4, 5, 6
),
parcels AS (
    SELECT s.connection_id, s.channel_order_id, max(s.shipped_at) AS shipped_at,
           CASE WHEN bool_and(s.delivered_at IS NOT NULL) THEN max(s.delivered_at) END AS delivered_at
    FROM report_placed p JOIN hub.shipments s USING (connection_id, channel_order_id)
    WHERE p.is_sale AND NOT p.is_cancelled GROUP BY 1, 2
),
troubled AS (
    SELECT connection_id, channel_order_id FROM report_placed JOIN hub.refunds USING (connection_id, channel_order_id)
    UNION
    SELECT connection_id, channel_order_id FROM report_placed JOIN hub.returns USING (connection_id, channel_order_id)
),
orders AS (
    SELECT g.*, p.shipped_at, p.delivered_at, g.lines_shipped = g.lines AS is_shipped,
           t.channel_order_id IS NULL AND coalesce(p.shipped_at <= g.ship_by_at, g.ship_by_at IS NULL)
           AND coalesce(p.delivered_at <= g.deliver_by_at, g.deliver_by_at IS NULL) AS is_smooth
    FROM goods g LEFT JOIN parcels p USING (connection_id, channel_order_id)
    LEFT JOIN troubled t USING (connection_id, channel_order_id)
),
sent AS (
    SELECT connection_id, business_date, count(*) AS to_ship, count(*) FILTER (WHERE is_shipped) AS shipped,
           sum(lines) AS lines, sum(lines_shipped) AS lines_shipped, sum(units) AS units,
           sum(units_shipped) AS units_shipped,
           avg(extract(epoch FROM shipped_at - placed_at)::numeric / 3600) FILTER (WHERE is_shipped) AS hours_to_ship,
           count(delivered_at) FILTER (WHERE is_shipped) AS delivered,
           avg(extract(epoch FROM delivered_at - placed_at)::numeric / 3600) FILTER (WHERE is_shipped)
               AS hours_to_deliver,
           count(ship_by_at) FILTER (WHERE is_shipped) AS promised,
           count(*) FILTER (WHERE is_shipped AND shipped_at <= ship_by_at) AS on_time,
           count(*) FILTER (WHERE is_shipped AND is_smooth) AS perfect
    FROM orders GROUP BY 1, 2
),
days AS (
    SELECT connection_id, business_date, count(*) FILTER (WHERE is_sale) AS orders,
           count(*) FILTER (WHERE is_cancelled) AS cancelled
    FROM report_placed GROUP BY 1, 2
)
SELECT m.name, c.name, d.business_date, c.channel, d.orders, d.cancelled, coalesce(s.to_ship, 0),
       coalesce(s.shipped, 0), coalesce(s.to_ship - s.shipped, 0), coalesce(s.lines, 0), coalesce(s.lines_shipped, 0),
       coalesce(s.units, 0), coalesce(s.units_shipped, 0), s.lines_shipped::numeric / s.lines, s.hours_to_ship,
       coalesce(s.delivered, 0), s.hours_to_deliver, coalesce(s.promised, 0), coalesce(s.on_time, 0),
       s.on_time::numeric / nullif(s.promised, 0), coalesce(s.perfect, 0),
       s.perfect::numeric / nullif(s.shipped, 0)
FROM days d LEFT JOIN sent s USING (connection_id, business_date)
JOIN hub.connections c USING (connection_id) JOIN hub.merchants m USING (merchant_id)
"""
