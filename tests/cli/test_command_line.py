"""The program as a person or a script uses it: a real database, real files, exit codes and one-line complaints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.woocommerce.sandbox import WooSandbox, start_sandbox


def _till(folder: Path) -> list[str]:
    (folder / "till.csv").write_text(
        "order_id,sold_at,sku,quantity,unit_price\n1,2026-11-20 10:00:00,MUG-1,2,50.00\n2,2026-11-20 11:00:00,MUG-2,1,70.00\n",
        encoding="utf-8",
    )
    return ["connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={folder / 'till.csv'}"]


@pytest.fixture
def till(acme: Any, tmp_path: Path) -> Any:
    """Give acme with a till of two receipts."""
    added = acme(*_till(tmp_path))
    assert (added.exit_code, added.stderr) == (0, ""), added.output
    return acme


@pytest.fixture(scope="module")
def shop() -> Iterator[WooSandbox]:
    with closing(start_sandbox(orders=3)) as running:
        yield running


def test_migrating_twice_says_what_it_found(program: Any) -> None:
    result = program("migrate")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "is up to date" in result.stdout


def test_a_failed_test_stores_nothing(acme: Any, tmp_path: Path) -> None:
    words = (
        "connections",
        "add",
        "pos_feed",
        "till",
        "--merchant",
        "acme",
        "--set",
        f"path={tmp_path / 'nowhere.csv'}",
    )
    before = acme.row_counts()
    result = acme(*words)
    assert result.exit_code == 1
    assert result.complaint.startswith("till was not stored: files: no file at ")
    assert result.complaint.endswith("Set path to a file, a folder or a glob that matches; or add --no-test")
    assert acme.row_counts() == before


def test_a_connection_is_stored_listed_paused_resumed_and_removed(till: Any) -> None:
    states = []
    for words in (("list",), ("pause", "till"), ("resume", "till"), ("push", "till", "on")):
        assert till("connections", *words).exit_code == 0
        (row,) = till("connections", "list", "--json").json
        states.append((row["state"], row["push"]))
    assert states == [("active", False), ("paused", False), ("active", False), ("active", True)]
    assert till("connections", "test", "till").exit_code == 0
    assert till("connections", "remove", "till", "--yes").exit_code == 0
    assert till("connections", "list", "--json").json == []


def test_a_removal_that_is_not_confirmed_removes_nothing(till: Any) -> None:
    result = till("connections", "remove", "till", stdin="n\n")
    assert result.exit_code == 1
    assert [row["state"] for row in till("connections", "list", "--json").json] == ["active"]


def test_a_sync_without_connections_says_what_to_do(program: Any) -> None:
    result = program("sync")
    assert result.exit_code == 1
    assert result.complaint == "There are no connections yet. Add one: oms-hub connections add CHANNEL NAME"


@pytest.mark.slow
def test_a_till_is_synced_counted_and_reported(till: Any) -> None:
    first = till("sync")
    assert (first.exit_code, first.stderr) == (0, ""), first.output
    report = till("report", "sales_daily", "--format", "json").json
    assert [(row["business_date"], row["orders"], row["total_sales"]) for row in report] == [
        ("2026-11-20", 2, "170.00")
    ]
    (till.folder / "count.csv").write_text("sku,location,quantity\nMUG-1,main,10\n", encoding="utf-8")
    refused = till("stock", "import", "count.csv", "--merchant", "acme")
    assert refused.exit_code == 1
    assert "MUG-1" in refused.complaint
    taken = till("stock", "import", "count.csv", "--merchant", "acme", "--create-skus")
    assert (taken.exit_code, taken.stderr) == (0, ""), taken.output
    (level,) = till("stock", "show", "MUG-1", "--merchant", "acme", "--json").json
    assert (level["location"], level["on_hand"], level["available"]) == ("main", 10, 10)
    second = till("sync", "--json").json
    assert [(row["counts"].get("records_new"), row["failures"]) for row in second if row["step"] == "pull"] == [(0, [])]
    status = till("status", "--json", "--check")
    assert status.exit_code == 0, status.output
    assert status.json[0]["pulled"] is not None


@pytest.mark.slow
def test_a_replay_reads_everything_anew_and_changes_no_row(till: Any) -> None:
    assert till("sync").exit_code == 0
    before = till.row_counts("sync_runs"), till.rows("SELECT channel_order_id, total FROM hub.orders ORDER BY 1")
    (till.folder / "till.csv").unlink()
    replayed = till("sync", "--replay", "--json")
    assert (replayed.exit_code, replayed.stderr) == (0, ""), replayed.output
    assert [row["counts"]["written"] for row in replayed.json if row["step"] == "replay"] == [2]
    after = till.row_counts("sync_runs"), till.rows("SELECT channel_order_id, total FROM hub.orders ORDER BY 1")
    assert after == before


def test_retrying_an_exception_that_is_not_there_is_refused(program: Any) -> None:
    result = program("exceptions", "retry", "4711")
    assert result.exit_code == 1
    assert result.complaint == "There is no open exception 4711. See: oms-hub exceptions list"


@pytest.mark.parametrize(
    "words",
    [
        ("sync", "shop"),
        ("connections", "test", "shop"),
        ("connections", "push", "shop", "on"),
        ("connections", "pause", "shop"),
        ("connections", "remove", "shop", "--yes"),
        ("listings", "pull", "shop"),
        ("listings", "list", "shop"),
        ("stock", "adopt", "shop"),
    ],
    ids=" ".join,
)
def test_an_unknown_connection_is_named_with_the_known_ones(words: tuple[str, ...], till: Any) -> None:
    before = till.row_counts()
    result = till(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.complaint == "There is no connection 'shop'. Known: till"
    assert till.row_counts() == before


@pytest.mark.slow
def test_a_shop_is_listed_adopted_and_shown(acme: Any, shop: WooSandbox) -> None:
    secrets = {f"TEST_{key.upper()}": value for key, value in shop.account.secrets.items()}
    words = ["connections", "add", "woocommerce", "shop", "--merchant", "acme", "--set", f"url={shop.base_url}"]
    for name in shop.account.secrets:
        words += ["--secret", f"{name}=env:TEST_{name.upper()}"]
    assert acme(*words, **secrets).exit_code == 0
    pulled = acme("listings", "pull", "shop", **secrets)
    assert (pulled.exit_code, pulled.stderr) == (0, ""), pulled.output
    listed = acme("listings", "list", "shop", "--json").json
    unmapped = acme("listings", "list", "shop", "--unmapped", "--json").json
    assert [row for row in listed if row["sku"] is None] == unmapped
    adopted = acme("stock", "adopt", "shop", **secrets)
    assert (adopted.exit_code, adopted.stderr) == (0, ""), adopted.output
    assert "levels adopted from shop" in adopted.stdout
    (level,) = acme("stock", "show", "HUB-001", "--merchant", "acme", "--json").json
    assert level["available"] == shop.level("HUB-001")
    again = acme("stock", "adopt", "shop", **secrets)
    assert again.stdout.startswith("0 levels adopted from shop, ")


def test_a_sandbox_says_how_to_connect_and_stops(program: Any) -> None:
    result = program("sandbox", "woocommerce", "--orders", "3", "--seconds", "0.1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "connections add woocommerce" in result.stdout
