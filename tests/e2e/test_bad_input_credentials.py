"""Credentials that stop working: the connection waits for its owner, says so everywhere, and goes on afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from oms_hub.channel.registry import load_channels

pytestmark = pytest.mark.slow

WRONG = "not-the-real-one-4711"


@pytest.fixture(scope="module", params=["woocommerce", "shopify"])
def shop(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    start = load_channels()[request.param].sandbox
    assert start is not None
    with closing(start(port=0, orders=5, seed=1)) as running:
        yield request.param, running


def _words(channel: str, running: Any) -> list[str]:
    words = ["connections", "add", channel, "shop", "--merchant", "acme"]
    for key, value in running.account.settings.items():
        words += ["--set", f"{key}={value}"]
    for key in running.account.secrets:
        words += ["--secret", f"{key}=env:TEST_{key.upper()}"]
    return words


def _right(running: Any) -> dict[str, str]:
    return {f"TEST_{key.upper()}": value for key, value in running.account.secrets.items()}


def test_a_wrong_secret_stops_one_connection_until_its_owner_gives_a_new_one(
    acme: Any, shop: tuple[str, Any], tmp_path: Path
) -> None:
    channel, running = shop
    wrong = dict.fromkeys(_right(running), WRONG)
    assert acme(*_words(channel, running), "--no-test", **wrong).exit_code == 0
    (tmp_path / "till.csv").write_text(
        "order_id,sold_at,sku,quantity,unit_price\n1,2026-11-20 10:00:00,MUG-1,2,50.00\n", encoding="utf-8"
    )
    till = ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={tmp_path}/till.csv")
    assert acme(*till).exit_code == 0

    refused = acme("sync", **wrong)
    assert refused.exit_code == 1
    assert refused.complaint.startswith("shop: ")
    assert "401" in refused.complaint
    assert WRONG not in refused.output
    assert acme.rows("SELECT channel_order_id FROM hub.orders") == [("1",)]

    listed = {row["name"]: row["state"] for row in acme("connections", "list", "--json").json}
    assert listed == {"shop": "needs_reconnect", "till": "active"}
    status = acme("status", "--json")
    assert status.exit_code == 1
    assert {row["connection"]: row["state"] for row in status.json} == listed
    assert [row["reference"] for row in acme("exceptions", "list", "--kind", "needs_reconnect", "--json").json] == [
        "shop"
    ]
    waiting = acme("sync", "shop", **wrong)
    assert waiting.exit_code == 1
    assert waiting.complaint.startswith("shop: shop is needs reconnect: ")

    again = acme(*_words(channel, running), **_right(running))
    assert (again.exit_code, again.stderr) == (0, ""), again.output
    synced = acme("sync", **_right(running))
    assert (synced.exit_code, synced.stderr) == (0, ""), synced.output
    assert acme.rows("SELECT count(*) FROM hub.orders") == [(1 + len(running.order_ids()),)]
    assert acme("status").exit_code == 0
    assert acme("exceptions", "list", "--kind", "needs_reconnect", "--json").json == []
    assert acme.rows("SELECT count(*) FROM hub.connections") == [(2,)]


def test_a_paused_connection_is_not_synced_and_says_so_when_named(acme: Any, tmp_path: Path) -> None:
    (tmp_path / "till.csv").write_text("order_id,sold_at,sku,quantity,unit_price\n", encoding="utf-8")
    till = ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={tmp_path}/till.csv")
    assert acme(*till).exit_code == 0
    assert acme("connections", "pause", "till").exit_code == 0
    named = acme("sync", "till")
    assert named.exit_code == 1
    assert named.complaint == "till: till is paused: Resume it: oms-hub connections resume till"
    unnamed = acme("sync")
    assert (unnamed.exit_code, unnamed.stderr) == (0, "")
    assert acme.rows("SELECT count(*) FROM hub.sync_runs") == [(0,)]
