"""Report tables at size: a full rebuild, one day's update, and reading every report. Prints Markdown.

.venv/bin/python benchmarks/reports.py [--orders N] [--skus N]

The history is made inside PostgreSQL from numbers alone, so that it is the same every time: three connections of one
merchant over a year, 2.5 lines per order, shipments and payments for each, refunds for one in twenty, receipts every
month, and the ledger that follows from them.
"""

from __future__ import annotations

import argparse
import resource
import time
from datetime import date

import psycopg
from bench import database, server_url

FIRST_DAY = date(2025, 11, 1)
LAST_DAY = date(2026, 10, 31)
DAYS = (LAST_DAY - FIRST_DAY).days + 1

MAKE = """
INSERT INTO hub.merchants (name, currency, time_zone) VALUES ('bench', 'EUR', 'Europe/Madrid');
INSERT INTO hub.connections (merchant_id, channel, name)
SELECT 1, c.channel, c.channel FROM (VALUES ('shopify'), ('woocommerce'), ('pos_feed')) c (channel);
INSERT INTO hub.locations (merchant_id, code, is_default) VALUES (1, 'main', true);
INSERT INTO hub.skus (merchant_id, sku, unit_cost)
SELECT 1, 'SKU-' || lpad(n::text, 6, '0'), 1 + n % 40 FROM generate_series(1, {skus}) n;

CREATE TEMP TABLE made AS
SELECT n, 1 + n % 3 AS connection_id, 'o' || n AS channel_order_id,
       timestamptz '{first_day} 00:00 Europe/Madrid' + n * (interval '1 day' * {days} / {orders}) AS placed_at,
       1 + n % 4 AS lines
FROM generate_series(0, {orders} - 1) n;

INSERT INTO hub.orders (connection_id, channel_order_id, merchant_id, label, kind, placed_at, channel_updated_at,
    channel_version, content_hash, raw_page_id, raw_position, state, payment_state, fulfilment_state, channel_state,
    channel_payment_state, channel_fulfilment_state, is_sale, is_test, is_draft, taxes_included, currency, total,
    adjustment_amount, channel_customer_id, ship_by_at)
SELECT connection_id, channel_order_id, 1, '#' || n, 'standard', placed_at, placed_at, 0, '\\x00', 1, 0, 'closed', 'paid',
       'fulfilled', '', '', '', n % 50 <> 7, false, false, false, 'EUR', 0, 0,
       'c' || abs(hashint8(n)) % ({orders} / 3), placed_at + interval '2 days'
FROM made;

INSERT INTO hub.order_lines (connection_id, channel_order_id, merchant_id, line_id, position, listing_key, channel_sku,
    sku_id, title, quantity, unit_price, gross_amount, discount_amount, order_discount_amount, tax_amount,
    cancelled_quantity, needs_stock)
SELECT connection_id, channel_order_id, 1, l::text, l, 'L' || k.sku_id, 'SKU-' || lpad(k.sku_id::text, 6, '0'), k.sku_id,
       'thing', q.quantity, 10 + k.sku_id % 90, q.quantity * (10 + k.sku_id % 90), l % 2 * 0.5, 0,
       q.quantity * (10 + k.sku_id % 90) * 0.21, 0, true
FROM made, generate_series(1, lines) l,
     LATERAL (SELECT 1 + floor({skus} * power(abs(hashint8(n * 7 + l)) / 2147483648.0, 2))::bigint AS sku_id) k,
     LATERAL (SELECT 1 + abs(hashint8(n * 11 + l)) % 3 AS quantity) q;

INSERT INTO hub.order_charges (connection_id, channel_order_id, merchant_id, charge_id, kind, title, amount, tax_amount)
SELECT connection_id, channel_order_id, 1, 's', 'shipping', 'shipping', 4.90, 1.03 FROM made WHERE n % 2 = 0;

UPDATE hub.orders o SET total = p.amount
FROM (SELECT connection_id, channel_order_id, sum(amount) AS amount
      FROM (SELECT connection_id, channel_order_id, gross_amount - discount_amount + tax_amount AS amount
            FROM hub.order_lines
            UNION ALL SELECT connection_id, channel_order_id, amount + tax_amount FROM hub.order_charges) a
      GROUP BY 1, 2) p
WHERE o.connection_id = p.connection_id AND o.channel_order_id = p.channel_order_id;

INSERT INTO hub.payments (connection_id, channel_order_id, merchant_id, payment_id, kind, amount, currency, processed_at,
    gateway, is_successful)
SELECT o.connection_id, o.channel_order_id, 1, 'p', 'sale', o.total, 'EUR', o.placed_at, 'card', true FROM hub.orders o;

INSERT INTO hub.shipments (connection_id, channel_order_id, merchant_id, shipment_id, status, shipped_at, delivered_at)
SELECT connection_id, channel_order_id, 1, 'f', '', placed_at + interval '1 hour' * (n % 70),
       placed_at + interval '1 hour' * (n % 70 + 48)
FROM made;
INSERT INTO hub.shipment_lines (connection_id, channel_order_id, merchant_id, shipment_id, position, line_id, quantity)
SELECT connection_id, channel_order_id, 1, 'f', position, line_id, quantity FROM hub.order_lines;

INSERT INTO hub.refunds (connection_id, channel_order_id, merchant_id, refund_id, refunded_at, paid_amount,
    shipping_amount, shipping_tax_amount, other_amount, reason)
SELECT m.connection_id, m.channel_order_id, 1, 'r', m.placed_at + interval '9 days', l.gross_amount + l.tax_amount, 0, 0, 0,
       'too big'
FROM made m JOIN hub.order_lines l ON l.connection_id = m.connection_id AND l.channel_order_id = m.channel_order_id
    AND l.line_id = '1'
WHERE n % 20 = 3;
INSERT INTO hub.refund_lines (connection_id, channel_order_id, merchant_id, refund_id, position, line_id, quantity,
    amount, tax_amount, is_restocked)
SELECT l.connection_id, l.channel_order_id, 1, 'r', 0, '1', l.quantity, l.gross_amount, l.tax_amount, true
FROM made m JOIN hub.order_lines l ON l.connection_id = m.connection_id AND l.channel_order_id = m.channel_order_id
    AND l.line_id = '1'
WHERE n % 20 = 3;

INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_after, occurred_at,
    source, natural_key, cause)
SELECT 1, sku_id, 1, kind, quantity, 0, quantity, at, kind, kind || ':' || row_number() OVER (), ''
FROM (
    SELECT sku_id, 'count' AS kind, 500 AS quantity, timestamptz '{first_day} 00:00 Europe/Madrid' AS at FROM hub.skus
    UNION ALL
    SELECT sku_id, 'receipt', 20 + (sku_id % 50)::integer, timestamptz '{first_day} 09:00 Europe/Madrid' + n * interval '30 days'
    FROM hub.skus, generate_series(0, 11) n
    UNION ALL
    SELECT l.sku_id, 'sale', -s.quantity, f.shipped_at
    FROM hub.shipment_lines s JOIN hub.order_lines l USING (connection_id, channel_order_id, line_id)
    JOIN hub.shipments f USING (connection_id, channel_order_id, shipment_id)
    UNION ALL
    SELECT l.sku_id, 'return', b.quantity, f.refunded_at
    FROM hub.refund_lines b JOIN hub.order_lines l USING (connection_id, channel_order_id, line_id)
    JOIN hub.refunds f USING (connection_id, channel_order_id, refund_id)
) v;
INSERT INTO hub.receipts (merchant_id, reference, sku_id, location_id, quantity, unit_cost, received_at, source)
SELECT 1, 'R' || n, sku_id, 1, 20 + sku_id % 50, 1 + sku_id % 40 + n * 0.07,
       timestamptz '{first_day} 09:00 Europe/Madrid' + n * interval '30 days', 'bench'
FROM hub.skus, generate_series(0, 11) n;
INSERT INTO hub.balances (sku_id, location_id, merchant_id, on_hand, counted_at)
SELECT sku_id, 1, 1, sum(quantity), timestamptz '{first_day} 00:00 Europe/Madrid' FROM hub.movements GROUP BY 1;
"""

NEWS = """
INSERT INTO hub.touched_days (merchant_id, connection_id, business_date)
SELECT 1, c, date '{day}' FROM generate_series(1, 3) c;
INSERT INTO hub.touched_stock (merchant_id, sku_id, from_at)
SELECT DISTINCT 1, sku_id, timestamptz '{day} 00:00 Europe/Madrid' FROM hub.movements
WHERE occurred_at >= timestamptz '{day} 00:00 Europe/Madrid'
  AND occurred_at < timestamptz '{day} 00:00 Europe/Madrid' + interval '1 day';
"""
"""What a day of orders and shipments on all three connections marks; {day} is any day of the history."""


def measured(work):
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def run(url: str, orders: int, skus: int) -> None:
    from oms_hub import reports
    from oms_hub.store.engine import open_store_at
    from oms_hub.store.migrate import upgrade

    upgrade(url.replace("postgresql://", "postgresql+psycopg://"))
    with psycopg.connect(url) as made:
        made.execute("SET synchronous_commit = off")
        for statement in MAKE.format(orders=orders, skus=skus, first_day=FIRST_DAY, days=DAYS).split(";\n"):
            if statement.strip():
                made.execute(statement)
    with psycopg.connect(url, autocommit=True) as made:
        made.execute("VACUUM ANALYZE")
    store = open_store_at(url)
    print(f"{orders:,} orders, 2.5 lines each, {skus:,} SKUs, {DAYS} days, three connections\n")
    print("| what | seconds | rows |\n| --- | --- | --- |")
    first, written = measured(lambda: reports.rebuild(store))
    print(f"| full rebuild, first | {first:.1f} | {sum(written.values()):,} |")
    again, written = measured(lambda: reports.rebuild(store))
    print(f"| full rebuild, again | {again:.1f} | {sum(written.values()):,} |")
    for title, day in (("last day", LAST_DAY), ("a day half a year ago", date(2026, 5, 1))):
        with psycopg.connect(url, autocommit=True) as made:
            for statement in NEWS.format(day=day).strip().rstrip(";").split(";\n"):
                made.execute(statement)
        seconds, written = measured(lambda: reports.refresh_touched(store))
        print(f"| update, {title} | {seconds:.2f} | {sum(written.values()):,} |")
    seconds, _ = measured(lambda: reports.refresh_touched(store))
    print(f"| update without news | {seconds:.2f} | 0 |")
    for name, report in reports.REPORTS.items():
        definition = report.definition
        days = {"day_from": LAST_DAY, "day_to": LAST_DAY} if definition.day_column else {}
        as_of = {"as_of": LAST_DAY} if definition.has_as_of else {}
        seconds, found = measured(lambda name=name, more={**days, **as_of}: reports.frame(store, name, **more))
        print(f"| read {name}{', last day' if days else ''} | {seconds:.2f} | {len(found):,} |")
    seconds, results = measured(lambda: reports.ties(store, since=date(2026, 9, 1)))
    print(f"| ties of two months, {sum(result.is_ok for result in results)} of {len(results)} hold | {seconds:.1f} | |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak of the Python process: {peak:.0f} MB")
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--skus", type=int, default=10_000)
    wanted = parser.parse_args()
    with database(server_url()) as url:
        run(url, wanted.orders, wanted.skus)


if __name__ == "__main__":
    main()
