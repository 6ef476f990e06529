"""A sync that is disturbed from outside: the database goes away, another sync comes, the clock jumps, Ctrl-C.

Each time one line says what happened, nothing is lost or doubled, and the next sync goes on.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from connectors.woocommerce.sandbox import WooSandbox, start_sandbox
from oms_hub.testing.faults import FaultProxy, SeenRequest

ORDERS = 60


@pytest.fixture
def shop() -> Iterator[WooSandbox]:
    with closing(start_sandbox(orders=ORDERS)) as running:
        yield running


@pytest.fixture
def proxy(shop: WooSandbox) -> Iterator[FaultProxy]:
    with FaultProxy(shop.base_url) as standing:
        yield standing


@pytest.fixture
def secrets(shop: WooSandbox) -> dict[str, str]:
    return {f"TEST_{key.upper()}": value for key, value in shop.account.secrets.items()}


@pytest.fixture
def connected(acme: Any, proxy: FaultProxy, secrets: dict[str, str]) -> Any:
    """Give acme with the shop connected through the proxy, ten orders a page."""
    words = ["connections", "add", "woocommerce", "shop", "--merchant", "acme", "--set", f"url={proxy.base_url}"]
    words += ["--set", "page_size=10", "--set", "concurrency=1", "--no-test"]
    for name in ("consumer_key", "consumer_secret"):
        words += ["--secret", f"{name}=env:TEST_{name.upper()}"]
    added = acme(*words, **secrets)
    assert added.exit_code == 0, added.output
    return acme


def _asks_for_orders(request: SeenRequest) -> bool:
    return request.path.endswith("/orders")


def _totals(program: Any) -> dict[str, Decimal]:
    return dict(program.rows("SELECT channel_order_id, total FROM hub.orders WHERE vanished_at IS NULL"))


def _goes_on(program: Any, shop: WooSandbox, secrets: dict[str, str]) -> None:
    """See that the next sync is well, and that every order is there once, with one line of stock per line sold."""
    result = program("sync", **secrets)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert _totals(program) == shop.totals()
    checked = program("status", "--check", "--json", **secrets)
    assert checked.exit_code == 0, checked.output
    assert program.rows("SELECT count(*) FROM hub.exceptions WHERE state = 'open' AND kind = 'sync_failed'") == [(0,)]


class _Power:
    """Cuts a database off, and lets it come back."""

    def __init__(self, server_url: str, database_url: str) -> None:
        self._server_url = server_url
        self._name = urlsplit(database_url).path.lstrip("/")

    def cut(self, *, is_for_good: bool = True) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as admin:
            if is_for_good:
                self._allow(admin, False)
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (self._name,))

    def restore(self) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as admin:
            self._allow(admin, True)

    def _allow(self, admin: psycopg.Connection[Any], is_allowed: bool) -> None:
        word = sql.SQL("true" if is_allowed else "false")
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(self._name), word))


@pytest.fixture
def power(server_url: str, module_program: Any) -> Iterator[_Power]:
    switch = _Power(server_url, module_program.database_url)
    yield switch
    switch.restore()


@pytest.mark.slow
def test_a_database_that_goes_down_in_the_middle_loses_nothing(
    connected: Any, shop: WooSandbox, proxy: FaultProxy, secrets: dict[str, str], power: _Power
) -> None:
    proxy.before(power.cut, matches=_asks_for_orders, nth=4)
    result = connected("sync", **secrets)
    assert result.exit_code == 1
    assert "cannot be reached" in result.complaint or "takes no connections" in result.complaint
    assert result.complaint.endswith("Check that PostgreSQL is running and reachable, then run again")
    power.restore()
    landed = connected.rows("SELECT count(*) FROM hub.raw_pages")[0][0]
    assert 0 < landed < ORDERS / 10
    assert connected.rows("SELECT count(*) FROM hub.orders") == [(0,)]
    proxy.clear()
    _goes_on(connected, shop, secrets)


@pytest.mark.slow
def test_a_database_that_drops_every_session_once_costs_no_order(
    connected: Any, shop: WooSandbox, proxy: FaultProxy, secrets: dict[str, str], power: _Power
) -> None:
    proxy.before(lambda: power.cut(is_for_good=False), matches=_asks_for_orders, nth=4)
    result = connected("sync", **secrets)
    assert result.exit_code in (0, 1)
    assert len(result.stderr.splitlines()) == result.exit_code
    _goes_on(connected, shop, secrets)


@pytest.mark.slow
def test_a_second_sync_of_the_same_connection_is_refused_and_harms_nobody(
    connected: Any, shop: WooSandbox, proxy: FaultProxy, secrets: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "till.csv").write_text(
        "order_id,sold_at,sku,quantity,unit_price\n1,2026-11-20 10:00:00,MUG-1,2,50.00\n", encoding="utf-8"
    )
    till = ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={tmp_path}/till.csv")
    assert connected(*till).exit_code == 0
    seen: list[tuple[int, str, str]] = []

    def others() -> None:
        """Run while the first sync holds the shop's lease: one for the same connection, one for another."""
        both = [connected.start("sync", name, **secrets) for name in ("shop", "till")]
        seen.extend((process.returncode, *process.communicate(timeout=50)) for process in both if _ended(process))

    proxy.before(others, matches=_asks_for_orders, nth=4)
    first = connected("sync", "shop", **secrets)
    assert (first.exit_code, first.stderr) == (0, ""), first.output
    (same_code, _, same_said), (other_code, other_out, other_said) = seen
    assert same_code == 1
    (line,) = same_said.splitlines()
    assert line.startswith("oms-hub: shop: Another sync is working on connection shop (pull_orders on ")
    assert line.endswith("Wait until it has ended, then run again")
    assert (other_code, other_said) == (0, ""), other_out
    assert connected.rows("SELECT total FROM hub.orders WHERE channel_order_id = '1'") == [(Decimal("100.00"),)]
    assert {key: total for key, total in _totals(connected).items() if key != "1"} == shop.totals()


def _ended(process: subprocess.Popen[str]) -> bool:
    process.wait(50)
    return True


@pytest.mark.slow
def test_ctrl_c_ends_a_sync_with_one_line_and_the_next_one_goes_on(
    connected: Any, shop: WooSandbox, proxy: FaultProxy, secrets: dict[str, str]
) -> None:
    running: list[subprocess.Popen[str]] = []
    proxy.before(lambda: running[0].send_signal(signal.SIGINT), matches=_asks_for_orders, nth=4)
    running.append(connected.start("sync", **secrets))
    stdout, stderr = running[0].communicate(timeout=60)
    assert running[0].returncode == 130, stdout + stderr
    assert stderr == "oms-hub: stopped; the next run goes on where this one ended\n"
    assert "Traceback" not in stdout
    assert connected.rows("SELECT state FROM hub.sync_runs") == [("failed",)]
    assert connected.rows("SELECT count(*) FROM hub.orders") == [(0,)]
    _goes_on(connected, shop, secrets)


@pytest.mark.slow
def test_a_clock_that_is_set_back_misses_and_doubles_nothing(
    connected: Any, shop: WooSandbox, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from oms_hub.sync.hub import open_hub

    now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    assert open_hub.__kwdefaults__ is not None
    monkeypatch.setitem(open_hub.__kwdefaults__, "clock", lambda: now + timedelta(days=30))
    _goes_on(connected, shop, secrets)
    placed = shop.place_order({"HUB-001": 2})
    edited = shop.edit_order(shop.order_ids()[0])
    monkeypatch.setitem(open_hub.__kwdefaults__, "clock", lambda: now - timedelta(days=30))
    _goes_on(connected, shop, secrets)
    assert placed in _totals(connected)
    assert edited in _totals(connected).values()
    before = connected.row_counts("sync_runs")
    _goes_on(connected, shop, secrets)
    assert connected.row_counts("sync_runs") == before
