"""The hub's own steps, measured in a process of their own.

python benchmarks/ours.py migrate DATABASE_URL                              make the store, as `oms-hub migrate` does
python benchmarks/ours.py orders SHOP_URL DATABASE_URL [--concurrency N]    pull and normalise what is new
python benchmarks/ours.py plan DATABASE_URL SKUS CONNECTIONS DIRTY          plan from scratch, then DIRTY SKUs
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import time
from pathlib import Path

from sqlalchemy import text

from oms_hub.channel.registry import load_channels
from oms_hub.channel.secrets import open_box
from oms_hub.store.engine import open_store_at
from oms_hub.store.merchants import add_merchant, list_merchants
from oms_hub.sync.connect import NewConnection, store_new
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import normalise_orders
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_orders import pull_orders

NAME = "bench"


def migrate(database_url: str) -> dict[str, object]:
    from oms_hub.store.migrate import upgrade  # only here: the other actions run without Alembic, as in real use

    upgrade(database_url)
    return {}


def opened(database_url: str) -> Hub:
    key = base64.b64encode(bytes(32)).decode()
    return Hub(open_store_at(database_url), load_channels(), open_box(Path(), master_key=key))


def prepared(hub: Hub, shop_url: str, concurrency: int) -> None:
    with hub.store.begin() as tx:
        known = list_merchants(tx)
        merchant = known[0] if known else add_merchant(tx, NAME, currency="MXN", time_zone="America/Mexico_City")
    if not known:
        settings = {"url": shop_url, "concurrency": str(concurrency)}
        secrets = {"consumer_key": "ck_bench", "consumer_secret": "cs_bench"}
        store_new(hub, NewConnection("woocommerce", NAME, merchant, settings, secrets))


def orders(shop_url: str, database_url: str, concurrency: int) -> dict[str, object]:
    hub = opened(database_url)
    prepared(hub, shop_url, concurrency)
    started = time.perf_counter()
    pulled = pull_orders(hub, NAME)
    between = time.perf_counter()
    normalised = normalise_orders(hub, NAME)
    seconds = time.perf_counter() - started
    with hub.store.read() as tx:
        stored = tx.execute(text("SELECT count(*) FROM hub.orders")).scalar_one()
        tables, columns = tx.execute(
            text(
                "SELECT count(DISTINCT c.table_name), count(*) FROM information_schema.columns c "
                "JOIN pg_stat_user_tables s ON s.schemaname = c.table_schema AND s.relname = c.table_name "
                "WHERE c.table_schema = 'hub' AND s.n_live_tup > 0"
            )
        ).one()
    return {
        "seconds": seconds, "pull_seconds": between - started, "normalise_seconds": seconds - (between - started),
        "orders": stored, "written": normalised.written, "pages": pulled.pages, "pages_stored": pulled.pages_stored,
        "tables": tables, "columns": columns,
    }  # fmt: skip


def plan(database_url: str, skus: int, connections: int, dirty: int) -> dict[str, object]:
    hub = opened(database_url)
    with hub.store.begin() as tx:
        merchant = add_merchant(tx, NAME, currency="MXN", time_zone="America/Mexico_City")
        for number in range(connections):
            tx.execute(
                text(
                    "INSERT INTO hub.connections (merchant_id, channel, name, is_push_enabled)"
                    " VALUES (:merchant, 'woocommerce', :name, true)"
                ),
                {"merchant": merchant.merchant_id, "name": f"{NAME}-{number}"},
            )
        tx.execute(
            text("INSERT INTO hub.skus (merchant_id, sku) SELECT :merchant, 'SKU-' || n FROM generate_series(1, :n) n"),
            {"merchant": merchant.merchant_id, "n": skus},
        )
        tx.execute(
            text(
                "INSERT INTO hub.balances (sku_id, location_id, merchant_id, on_hand, counted_at) "
                "SELECT sku_id, location_id, s.merchant_id, 5 + sku_id % 90, now() FROM hub.skus s, hub.locations"
            )
        )
        tx.execute(
            text(
                "INSERT INTO hub.connection_health (connection_id, merchant_id, last_good_pull_at) "
                "SELECT connection_id, merchant_id, now() FROM hub.connections"
            )
        )
        tx.execute(
            text(
                "INSERT INTO hub.sync_runs (merchant_id, connection_id, step, state) "
                "SELECT merchant_id, connection_id, 'pull_orders', 'succeeded' FROM hub.connections"
            )
        )
        tx.execute(
            text(
                "INSERT INTO hub.listings (connection_id, listing_key, merchant_id, channel_sku, sku_id, link_state) "
                "SELECT connection_id, 'product:' || sku_id, s.merchant_id, sku, sku_id, 'automatic' "
                "FROM hub.skus s, hub.connections"
            )
        )
        tx.execute(text("INSERT INTO hub.stock_dirty (sku_id, merchant_id) SELECT sku_id, merchant_id FROM hub.skus"))
    started = time.perf_counter()
    first = plan_push(hub, NAME)
    all_seconds = time.perf_counter() - started
    with hub.store.begin() as tx:
        tx.execute(text("UPDATE hub.balances SET on_hand = on_hand + 1 WHERE sku_id <= :n"), {"n": dirty})
        tx.execute(
            text(
                "INSERT INTO hub.stock_dirty (sku_id, merchant_id) SELECT sku_id, merchant_id FROM hub.skus WHERE sku_id <= :n ON CONFLICT DO NOTHING"
            ),
            {"n": dirty},
        )
    started = time.perf_counter()
    second = plan_push(hub, NAME)
    return {
        "all_seconds": all_seconds, "all_rows": first.raised + first.lowered,
        "dirty_seconds": time.perf_counter() - started, "dirty_rows": second.raised + second.lowered,
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("migrate").add_argument("database_url")
    pull = actions.add_parser("orders")
    pull.add_argument("shop_url")
    pull.add_argument("database_url")
    pull.add_argument("--concurrency", type=int, default=4, help="the channel's own default is 4")
    planned = actions.add_parser("plan")
    planned.add_argument("database_url")
    for name in ("skus", "connections", "dirty"):
        planned.add_argument(name, type=int)
    given = parser.parse_args()
    if given.action == "migrate":
        result = migrate(given.database_url)
    elif given.action == "orders":
        result = orders(given.shop_url, given.database_url, given.concurrency)
    else:
        result = plan(given.database_url, given.skus, given.connections, given.dirty)
    # both processes of a large pull, each at its own peak
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    result["peak_mb"] = sum(peaks) / 1024
    print(json.dumps(result))
