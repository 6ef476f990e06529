"""kill -9 at fifty random moments of a sync, then one more sync: exactly the rows of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

MOMENTS = 50
ORDERS = 24
SEED = 20261122
COUNTED = 25
COUNTED_AT = "2026-11-12T00:00:00Z"
SKUS = [f"HUB-{number:03d}" for number in range(1, 21)]
CHANNELS = ("pos_feed", "shopify", "woocommerce")
VOLATILE = {
    "acknowledged_at", "closed_at", "counted_at", "created_at", "cumulative_drop", "desired_at", "exception_id",
    "first_seen_at", "idempotency_key", "landed_at", "last_pushed_at", "last_seen_at", "movement_id", "next_try_at",
    "normalised_at", "observed_at", "occurrences", "opened_at", "outbox_id", "page_id", "raw_page_id",
    "recorded_at", "refreshed_at", "seen_at", "sent_at", "sku_id", "updated_at", "attempts", "generation", "balance_before",
    "balance_after", "closed_reason", "cause", "last_error", "from_level", "observed", "observed_on_hand", "observed_note",
    "taken_at", "fence", "holder", "source_updated_at", "alert_id", "allocated_at", "cleared_at", "demand_at", "doubted_at",
    "drift_id", "expired_at", "fired_at", "known_at", "level_since", "restated_at", "restatement_id", "shift_id", "told_at",
}  # fmt: skip
"""Numbers and instants that the database hands out as it goes, and the path by which a level was reached."""
NOT_COMPARED = {
    "hub.alembic_version", "hub.connection_health", "hub.cursors", "hub.leases", "hub.outbox", "hub.secrets",
    "hub.sync_runs", "hub.raw_pages", "reports.sync_health", "hub.locations", "hub.connections", "hub.merchants",
    "hub.stock_dirty", "hub.touched_days", "hub.allocation_dirty", "hub.touched_stock", "hub.rate_buckets",
    "hub.connection_pace",
}  # fmt: skip


@dataclass(frozen=True)
class Zygote:
    process: subprocess.Popen[str]

    def start(self, database_url: str) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(database_url + "\n")
        self.process.stdin.flush()
        return int(self._line("started"))

    def ended(self) -> int:
        return int(self._line("ended"))

    def _line(self, word: str) -> str:
        assert self.process.stdout is not None
        found, _, rest = self.process.stdout.readline().partition(" ")
        assert found == word
        return rest


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    script = Path(__file__).with_name("sync_zygote.py")
    process = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Zygote(process)
    assert process.stdin is not None
    process.stdin.close()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture
def sandboxes() -> Iterator[dict[str, Any]]:
    from oms_hub.channel.registry import load_channels

    with ExitStack() as stack:
        started = {}
        for name, channel in load_channels().items():
            if name in CHANNELS:
                assert channel.sandbox is not None
                started[name] = channel.sandbox(orders=ORDERS, seed=3)
                stack.callback(started[name].close)
        yield started


def _connected(url: str, sandboxes: dict[str, Any], folder: Path) -> None:
    """Store merchant, connections and a count, as the commands do."""
    import base64

    from oms_hub.channel.registry import load_channels
    from oms_hub.channel.secrets import open_box
    from oms_hub.store.engine import open_store_at
    from oms_hub.store.merchants import add_merchant
    from oms_hub.store.policies import PolicyTarget, set_policy
    from oms_hub.sync.connect import NewConnection, store_new
    from oms_hub.sync.hub import Hub
    from oms_hub.sync.import_stock import import_stock

    key = base64.b64encode(bytes(range(32))).decode()
    hub = Hub(open_store_at(url), load_channels(), open_box(Path(), master_key=key))
    with hub.store.begin() as tx:
        merchant = add_merchant(tx, "acme", currency="MXN", time_zone="America/Mexico_City")
    for name, sandbox in sandboxes.items():
        account = sandbox.account
        store_new(
            hub,
            NewConnection(name, f"my-{name}", merchant, account.settings, account.secrets, is_push_enabled=True),
        )
    count = folder / "count.csv"
    rows = "".join(f"{sku},main,{COUNTED},{COUNTED_AT}\n" for sku in SKUS)
    count.write_text(f"sku,location,quantity,counted_at\n{rows}", encoding="utf-8")
    import_stock(hub, "acme", count, create_skus=True)
    with hub.store.begin() as tx:  # what is held back follows the measured time between looks, which a kill lengthens
        set_policy(tx, PolicyTarget(merchant.merchant_id), {"scarce": "shared"})
    hub.store.close()


def _rows(url: str) -> dict[str, list[str]]:
    """Return every compared table's rows without what is volatile, sorted."""
    found: dict[str, list[str]] = {}
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        columns = connection.execute(
            "SELECT c.table_schema || '.' || c.table_name, array_agg(c.column_name::text ORDER BY c.ordinal_position) "
            "FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) "
            "WHERE c.table_schema IN ('hub', 'reports') AND t.table_type = 'BASE TABLE' GROUP BY 1 ORDER BY 1"
        ).fetchall()
        for table, names in columns:
            if table in NOT_COMPARED:
                continue
            kept = sql.SQL(", ").join(sql.Identifier(name) for name in names if name not in VOLATILE)
            query = sql.SQL("SELECT ({})::text FROM {}").format(
                sql.SQL("ROW({})").format(kept), sql.Identifier(*table.split("."))
            )
            found[table] = sorted(row[0] for row in connection.execute(query))
        found["balances by SKU"] = [
            str(row)
            for row in connection.execute(
                "SELECT s.sku, b.on_hand, (SELECT sum(quantity) FROM hub.movements m WHERE m.sku_id = s.sku_id) "
                "FROM hub.balances b JOIN hub.skus s USING (sku_id) ORDER BY 1"
            )
        ]
        found["waiting"] = [
            str(row)
            for row in connection.execute(
                "SELECT (SELECT count(*) FROM hub.outbox WHERE state = 'open'), (SELECT count(*) FROM hub.stock_dirty), "
                "(SELECT count(*) FROM hub.touched_days)"
            )
        ]
    return found


def _levels(sandboxes: dict[str, Any]) -> dict[tuple[str, str], int | None]:
    return {(name, sku): sandbox.level(sku) for name, sandbox in sandboxes.items() for sku in SKUS}


def _reset(sandboxes: dict[str, Any], levels: dict[tuple[str, str], int | None]) -> None:
    for (name, sku), level in levels.items():
        if level is not None:
            sandboxes[name].set_level(sku, level)


@pytest.mark.slow
@pytest.mark.parametrize("half", [0, 1])
def test_a_sync_killed_at_any_moment_and_run_again_gives_the_rows_of_an_undisturbed_one(
    database_pool: Any, zygote: Zygote, sandboxes: dict[str, Any], tmp_path: Path, half: int
) -> None:
    before = _levels(sandboxes)
    with database_pool.lent() as url:
        _connected(url, sandboxes, tmp_path)
        whole = _seconds_of_a_sync(zygote, url)
        undisturbed, pushed = _rows(url), _levels(sandboxes)
    assert len(undisturbed["hub.orders"]) > 60
    moments = random.Random(SEED + half)
    died = 0
    for number in range(half, MOMENTS, 2):
        _reset(sandboxes, before)
        with database_pool.lent() as url:
            _connected(url, sandboxes, tmp_path)
            started = time.monotonic()
            pid = zygote.start(url)
            time.sleep(whole * (number + moments.random()) / MOMENTS)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            if zygote.ended() == -signal.SIGKILL:
                died += 1
            else:  # faster than the one that was measured: aim the next ones earlier
                whole = min(whole, time.monotonic() - started)
            _seconds_of_a_sync(zygote, url)
            found = _rows(url)
            for table, rows in undisturbed.items():
                assert found[table] == rows, f"{table} differs after kill {number}"
            assert _levels(sandboxes) == pushed
    assert died > MOMENTS // 4


def _seconds_of_a_sync(zygote: Zygote, url: str) -> float:
    started = time.monotonic()
    zygote.start(url)
    assert zygote.ended() == 0
    return time.monotonic() - started
