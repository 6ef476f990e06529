"""Side by side, in one run: the hub, dlt and the floor on the same shop and the same PostgreSQL. Prints Markdown.

benchmarks/run [--orders N] [--many N] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from psycopg import sql

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


def server_url() -> str:
    given = os.environ.get("OMS_HUB_TEST_DATABASE_URL")
    if given:
        return given.replace("postgresql+psycopg://", "postgresql://")
    from oms_hub.store.embedded import start_embedded

    home = Path(tempfile.gettempdir()) / "oms-hub-bench"
    return start_embedded(home).replace("postgresql+psycopg://", "postgresql://")


@contextmanager
def database(admin_url: str):
    name = f"hub_bench_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        base, _, rest = admin_url.partition("?")
        try:
            yield base.rpartition("/")[0] + f"/{name}" + (f"?{rest}" if rest else "")
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def shop(orders: int):
    process = subprocess.Popen(
        [sys.executable, str(HERE / "shop_server.py"), "--orders", str(orders)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait(10)


def measured(*command: object) -> dict:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{command[1]} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def with_password(url: str) -> str:
    """dlt insists on a password even where the server asks for none."""
    head, separator, rest = url.partition("@")
    if not separator or head.count(":") > 1:
        return url
    return f"{head}:none@{rest}"


def ours(admin: str, url: str, *runs: dict) -> list[dict]:
    results = []
    with migrated(admin) as target:
        for run in ({}, *runs):
            if run:
                httpx.post(f"{url}/_control", json=run)
            results.append(measured(sys.executable, HERE / "ours.py", "orders", url, target))
    return results


@contextmanager
def migrated(admin: str):
    with database(admin) as target:
        own = target.replace("postgresql:", "postgresql+psycopg:")
        measured(sys.executable, HERE / "ours.py", "migrate", own)
        yield own


def peer(admin: str, url: str, *runs: dict) -> list[dict]:
    results = []
    with database(admin) as target, tempfile.TemporaryDirectory() as work:
        for run in ({}, *runs):
            if run:
                httpx.post(f"{url}/_control", json=run)
            results.append(measured(PEER_PYTHON, HERE / "peer_dlt.py", url, with_password(target), work))
    return results


def row(name: str, result: dict, peer_result: dict, orders: int) -> str:
    rate, peer_rate = orders / result["seconds"], orders / peer_result["seconds"]
    return (
        f"| {name} | {result['seconds']:.1f} | {rate:,.0f} | {rate / peer_rate:.1f} × | {result['peak_mb']:,.0f} | "
        f"{result['peak_mb'] / peer_result['peak_mb']:.2f} × | {result['tables']} / {result['columns']} |"
    )


HEAD = "| | seconds | orders/s | to dlt | peak MB | to dlt | tables / columns |\n|---|---|---|---|---|---|---|"


def first_load(admin: str, orders: int, latency_ms: int) -> tuple[dict, dict]:
    with shop(orders) as url:
        if latency_ms:
            httpx.post(f"{url}/_control", json={"latency_ms": latency_ms})
        with database(admin) as target:
            floor = measured(sys.executable, HERE / "floor.py", url, target)
        (mine, *_), (theirs, *_) = ours(admin, url), peer(admin, url)
    pages = f", {latency_ms} ms per answer" if latency_ms else ""
    print(f"\n### First load, {orders:,} orders of 5 KB{pages}\n\n{HEAD}")
    print(row("dlt rest_api", theirs, theirs, orders))
    print(row("oms-hub", mine, theirs, orders))
    print(row("floor", floor, theirs, orders))
    share = floor["seconds"] / mine["seconds"]
    print(
        f"\nShare of the floor: {share:.0%}. Pull {mine['pull_seconds']:.1f} s, normalise {mine['normalise_seconds']:.1f} s."
    )
    return mine, theirs


def changes(admin: str, orders: int) -> None:
    changed = {"changed": orders // 100}
    with shop(orders) as url:
        mine = ours(admin, url, changed, {"changed": 0})
    with shop(orders) as url:
        theirs = peer(admin, url, changed, {"changed": 0})
    print(
        f"\n### Later runs on {orders:,} orders\n\nOf full: what 1 % changed costs beyond a run without news, which is "
        "what starting up and asking cost.\n\n| | full s | 1 % changed s | of full | nothing changed s |\n"
        "|---|---|---|---|---|"
    )
    for name, (full, one, none) in (("dlt rest_api", theirs), ("oms-hub", mine)):
        print(
            f"| {name} | {full['seconds']:.2f} | {one['seconds']:.2f} "
            f"| {(one['seconds'] - none['seconds']) / full['seconds']:.1%} "
            f"| {none['seconds']:.2f} |"
        )
    print(f"\nWithout news the hub stored {mine[2]['pages_stored']} pages and wrote {mine[2]['written']} orders.")


def memory(admin: str, few: dict, many: int) -> None:
    with shop(many) as url:
        (result,) = ours(admin, url)
    print(
        f"\n### Memory\n\n{many:,} orders: {result['peak_mb']:.0f} MB, {result['peak_mb'] / few['peak_mb']:.2f} × that of "
        f"{few['orders']:,}; {result['orders'] / result['seconds']:,.0f} orders/s."
    )


def plan(admin: str) -> None:
    with migrated(admin) as target:
        result = measured(sys.executable, HERE / "ours.py", "plan", target, 100_000, 5, 100)
    print(
        f"\n### Plan\n\n100,000 SKUs × 5 connections from scratch: {result['all_seconds']:.1f} s "
        f"({result['all_rows']:,} pushes planned). 100 changed SKUs: {result['dirty_seconds']:.3f} s "
        f"({result['dirty_rows']} pushes)."
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=50_000)
    parser.add_argument("--many", type=int, default=500_000)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    given = parser.parse_args()
    scale = 10 if given.quick else 1
    admin = server_url()
    started = time.perf_counter()
    few, _ = first_load(admin, given.orders // scale, 0)
    first_load(admin, given.orders // scale // 5, 200)
    changes(admin, given.orders // scale)
    plan(admin)
    memory(admin, few, given.many // scale)
    print(f"\nMeasured in {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
