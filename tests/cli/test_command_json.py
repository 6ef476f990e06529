"""`--json` is JSON wherever something is listed, also where there is nothing to list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oms_hub.channel.registry import load_channels

EMPTY = [
    ("merchants", "list"),
    ("connections", "list"),
    ("listings", "list"),
    ("status",),
    ("exceptions", "list"),
    ("exceptions", "list", "--state", "resolved"),
]


@pytest.mark.parametrize("words", EMPTY, ids=" ".join)
def test_nothing_to_list_is_an_empty_array(words: tuple[str, ...], program: Any) -> None:
    result = program(*words, "--json")
    assert (result.exit_code, result.stderr, result.json) == (0, "", [])


@pytest.mark.parametrize("words", EMPTY, ids=" ".join)
def test_nothing_to_list_is_said_in_words(words: tuple[str, ...], program: Any) -> None:
    result = program(*words)
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    assert result.stdout.startswith("No ")


def test_a_thorough_status_of_an_empty_store_is_well(program: Any) -> None:
    result = program("status", "--check", "--json")
    assert (result.exit_code, result.json) == (0, [])


def test_every_report_of_an_empty_store_is_an_empty_array(program: Any) -> None:
    names = [row["name"] for row in program("report", "list", "--json").json]
    assert {"sales_daily", "sales_by_sku_daily", "stock_levels", "channel_levels", "exceptions"} <= set(names)
    for name in names:
        result = program("report", name, "--format", "json")
        assert (result.exit_code, result.stderr, result.json) == (0, "", []), name
        table = program("report", name)
        assert (table.exit_code, table.stderr) == (0, ""), name


def test_rebuilding_reports_of_an_empty_store_writes_nothing(program: Any) -> None:
    before = program.row_counts()
    assert program("report", "rebuild").exit_code == 0
    assert program.row_counts() == before


def test_merchants_and_places_are_listed_as_rows(acme: Any) -> None:
    assert acme("merchants", "list", "--json").json == [
        {"name": "acme", "currency": "MXN", "time_zone": "America/Mexico_City"}
    ]
    acme("locations", "add", "east", "--merchant", "acme", "--name", "East shop")
    places = acme("locations", "list", "--merchant", "acme", "--json").json
    assert [(row["code"], row["is_default"]) for row in places] == [("main", True), ("east", False)] or [
        (row["code"], row["is_default"]) for row in places
    ] == [("east", False), ("main", True)]


def test_channels_list_every_setting_and_secret(module_program: Any) -> None:
    rows = module_program("connections", "channels", "--json", OMS_HUB_DATABASE_URL="nonsense").json
    secrets = {(row["channel"], row["setting"]) for row in rows if row["secret"]}
    assert {("woocommerce", "consumer_secret"), ("shopify", "access_token")} <= secrets
    assert {row["channel"] for row in rows} == set(load_channels())


def test_a_tested_connection_and_a_level_are_rows(acme: Any, tmp_path: Path) -> None:
    (tmp_path / "till.csv").write_text("order_id,sold_at,sku,quantity,unit_price\n", encoding="utf-8")
    added = acme("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={tmp_path}/till.csv")
    assert added.exit_code == 0, added.output
    steps = acme("connections", "test", "till", "--json").json
    assert [(row["step"], row["ok"]) for row in steps] == [
        ("settings", True), ("path", True), ("files", True), ("rows", True),
    ]  # fmt: skip
    (tmp_path / "count.csv").write_text("sku,location,quantity\nMUG-1,,4\n", encoding="utf-8")
    assert acme("stock", "import", "count.csv", "--merchant", "acme", "--create-skus").exit_code == 0
    assert acme("stock", "show", "MUG-1", "--merchant", "acme", "--json").json == [
        {"location": "main", "on_hand": 4, "allocated": 0, "reserved": 0, "unavailable": 0, "available": 4}
    ]
    assert acme("listings", "list", "till", "--json").json == []


def test_simulations_are_told_as_rows(module_program: Any) -> None:
    result = module_program("simulate", "stock", "--json", "--runs", "1", "--scenario", _first_scenario())
    (first, *_others) = result.json["scenarios"]
    assert {"name", "strategy", "sold", "runs", "runs_oversold", "oversold_per_10k"} <= set(first)


def _first_scenario() -> str:
    from oms_hub.simulation.scenarios import SCENARIOS

    return SCENARIOS[0].name
