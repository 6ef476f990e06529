"""The floor: fetch, parse, COPY and upsert two narrow tables, nothing else. What no honest pipeline can beat by much.

python benchmarks/floor.py SHOP_URL DATABASE_URL
"""

from __future__ import annotations

import json
import resource
import sys
import time

import httpx
import orjson
import psycopg

TABLES = """
DROP TABLE IF EXISTS floor_lines; DROP TABLE IF EXISTS floor_orders;
CREATE TABLE floor_orders (id bigint PRIMARY KEY, status text, currency text, total numeric, created timestamptz);
CREATE TABLE floor_lines (id bigint PRIMARY KEY, order_id bigint, sku text, quantity int, total numeric);
CREATE TEMP TABLE o (LIKE floor_orders); CREATE TEMP TABLE l (LIKE floor_lines);
"""


def main(shop_url: str, database_url: str) -> None:
    started = time.perf_counter()
    orders = 0
    with httpx.Client() as client, psycopg.connect(database_url) as connection:
        connection.execute(TABLES)
        page = 1
        while True:
            query = {"per_page": 100, "page": page, "orderby": "id", "order": "asc"}
            rows = orjson.loads(client.get(f"{shop_url}/wp-json/wc/v3/orders", params=query).content)
            if not rows:
                break
            cursor = connection.cursor()
            with cursor.copy("COPY o FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(
                        (row["id"], row["status"], row["currency"], row["total"], row["date_created_gmt"] + "Z")
                    )
            with cursor.copy("COPY l FROM STDIN") as copy:
                for row in rows:
                    for line in row["line_items"]:
                        copy.write_row((line["id"], row["id"], line["sku"], line["quantity"], line["total"]))
            cursor.execute(
                "INSERT INTO floor_orders SELECT * FROM o ON CONFLICT (id) DO UPDATE SET total = excluded.total"
            )
            cursor.execute(
                "INSERT INTO floor_lines SELECT * FROM l ON CONFLICT (id) DO UPDATE SET total = excluded.total"
            )
            cursor.execute("TRUNCATE o, l")
            connection.commit()
            orders += len(rows)
            page += 1
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "orders": orders, "peak_mb": peak, "tables": 2, "columns": 10}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
