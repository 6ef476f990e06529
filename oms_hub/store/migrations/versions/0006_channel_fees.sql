-- What the channel charges the seller for an order; frozen with this release.

CREATE TABLE hub.order_channel_fees (
    connection_id integer NOT NULL,
    channel_order_id text NOT NULL,
    merchant_id integer NOT NULL,
    fee_id text NOT NULL,
    kind text NOT NULL,
    amount numeric NOT NULL,
    currency text NOT NULL,
    charged_at timestamp with time zone NOT NULL,
    CONSTRAINT pk_order_channel_fees PRIMARY KEY (connection_id, channel_order_id, fee_id)
);

COMMENT ON TABLE hub.order_channel_fees IS 'What the channel charges the seller for an order; never part of the order''s total';

COMMENT ON COLUMN hub.order_channel_fees.fee_id IS 'Names the fee within its order';

COMMENT ON COLUMN hub.order_channel_fees.kind IS 'What it is for, as the channel words it';

COMMENT ON COLUMN hub.order_channel_fees.amount IS 'Positive: charged to the seller; negative: given back';

COMMENT ON COLUMN hub.order_channel_fees.currency IS 'ISO 4217 code';

COMMENT ON COLUMN hub.order_channel_fees.charged_at IS 'When the channel charged it or gave it back';

CREATE OR REPLACE VIEW reports.channel_profit_daily AS
SELECT d.merchant, d.connection, d.business_date, d.currency, d.channel, d.base_currency, d.rate, d.rate_date, d.orders,
       d.net_sales, d.shipping_charged, d.cost_method, d.cost, d.units_without_cost, d.channel_fees, d.shipping_cost,
       d.margin, (d.margin / nullif(d.net_sales, 0))::numeric(18,6) AS margin_rate
FROM (
    SELECT m.name COLLATE "C" AS merchant, c.name COLLATE "C" AS connection, s.business_date, s.currency,
           c.channel COLLATE "C" AS channel, m.currency AS base_currency, x.rate,
           x.rate_date, s.orders, s.net_sales * x.rate AS net_sales, s.shipping * x.rate AS shipping_charged,
           m.cost_method, coalesce(g.cost, 0) AS cost, coalesce(g.units_without_cost, 0)::bigint AS units_without_cost,
           t.fees * x.rate AS channel_fees, s.orders * f.shipping_per_order * x.rate AS shipping_cost,
           CASE WHEN coalesce(g.units_without_cost, 0) = 0 THEN (s.net_sales + s.shipping
               - coalesce(t.fees, 0) - coalesce(s.orders * f.shipping_per_order, 0)
               ) * x.rate - coalesce(g.cost, 0) END AS margin
    FROM (
        SELECT p.connection_id, p.business_date, p.currency, sum(p.orders)::bigint AS orders,
               sum(p.net_sales) AS net_sales, sum(p.shipping) AS shipping, sum(p.total_sales) AS total_sales,
               sum(p.fees) AS fees
        FROM (
            SELECT c.connection_id, s.business_date, s.currency, s.orders, s.net_sales, s.shipping, s.total_sales,
                   0 AS fees
            FROM reports.sales_daily s JOIN hub.connections c ON c.name = s.connection
            UNION ALL
            SELECT h.connection_id, (h.charged_at AT TIME ZONE m.time_zone)::date, h.currency COLLATE "C", 0, 0, 0, 0,
                   h.amount
            FROM hub.order_channel_fees h
            JOIN hub.orders o ON o.connection_id = h.connection_id AND o.channel_order_id = h.channel_order_id
            JOIN hub.merchants m ON m.merchant_id = h.merchant_id
            WHERE NOT o.is_test AND NOT o.is_draft AND o.vanished_at IS NULL
        ) p GROUP BY p.connection_id, p.business_date, p.currency
    ) s
    JOIN hub.connections c ON c.connection_id = s.connection_id
    JOIN hub.merchants m ON m.merchant_id = c.merchant_id
    LEFT JOIN LATERAL (
        SELECT sum(g.units * g.cost) AS cost, sum(g.moved) FILTER (WHERE g.cost IS NULL) AS units_without_cost
        FROM (
            SELECT sum((r.units - r.restocked_units) * coalesce(l.pack_size, 1)) AS units,
                   sum((r.units + r.restocked_units) * coalesce(l.pack_size, 1)) AS moved,
                   coalesce((
        SELECT CASE WHEN bool_and(p.cost IS NOT NULL) THEN sum(p.units * p.cost) END
        FROM (SELECT b.units, coalesce((
        SELECT x.unit_cost FROM reports.sku_cost_rows x WHERE x.sku_id = b.component_sku_id AND x.from_date <= s.business_date
        ORDER BY x.from_date DESC LIMIT 1), (SELECT x.unit_cost FROM hub.skus x WHERE x.sku_id = b.component_sku_id)) AS cost
              FROM hub.bundle_components b WHERE b.bundle_sku_id = k.sku_id) p),
        coalesce((
        SELECT x.unit_cost FROM reports.sku_cost_rows x WHERE x.sku_id = k.sku_id AND x.from_date <= s.business_date
        ORDER BY x.from_date DESC LIMIT 1), (SELECT x.unit_cost FROM hub.skus x WHERE x.sku_id = k.sku_id))) AS cost
            FROM reports.sales_by_sku_rows r
            LEFT JOIN hub.skus k ON k.merchant_id = c.merchant_id AND k.sku = r.sku
            LEFT JOIN hub.listings l
                ON l.connection_id = r.connection_id AND l.listing_key = r.listing AND l.sku_id = k.sku_id
            WHERE r.connection_id = c.connection_id AND r.business_date = s.business_date AND r.currency = s.currency
            GROUP BY k.sku_id
        ) g
    ) g ON true
    LEFT JOIN LATERAL (
    SELECT 1::numeric AS rate, s.business_date AS rate_date WHERE s.currency = m.currency
    UNION ALL
    (SELECT e.rate, e.rate_date FROM hub.exchange_rates e
     WHERE e.base_currency = m.currency AND e.currency = s.currency AND e.rate_date <= s.business_date
       AND e.rate_date > s.business_date - 7
     ORDER BY e.rate_date DESC LIMIT 1)
) x ON true
    LEFT JOIN LATERAL (
        SELECT f.fee_percent, f.fee_per_order, f.shipping_per_order FROM hub.channel_costs f
        WHERE f.connection_id = c.connection_id AND f.currency = s.currency AND f.valid_from <= s.business_date
        ORDER BY f.valid_from DESC LIMIT 1) f ON true
    CROSS JOIN LATERAL (
        SELECT CASE WHEN EXISTS (SELECT FROM hub.order_channel_fees h WHERE h.connection_id = c.connection_id)
                    THEN s.fees ELSE s.total_sales * f.fee_percent / 100 + s.orders * f.fee_per_order END AS fees) t
) d;

COMMENT ON VIEW reports.channel_profit_daily IS 'The rows of sales_daily in the merchant''s base currency, with what the goods cost on the day they were sold and what the channel took; a day on which only fees were charged has a row, too. Every amount is in base_currency, so rows may be added; a figure that cannot be known (no rate, goods without cost) is null. What is not given (channel fees, cost of shipping) is not taken off, and its column is null.';

COMMENT ON COLUMN reports.channel_profit_daily.channel_fees IS 'Where the connection''s orders come with fees: what was charged on that day less what was given back; elsewhere commission (percent of sales_daily.total_sales) and fee per order as imported; x rate; null where neither is given or the rate is missing';
