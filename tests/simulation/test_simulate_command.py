"""`oms-hub simulate stock` as programs call it."""

from __future__ import annotations

import json

import typer
from typer.testing import CliRunner

from oms_hub.commands.simulate import register
from oms_hub.simulation.strategies import STRATEGIES

FEW = ["--scenario", "three_channels_ordinary", "--scenario", "five_channels_slow_tail"]


def command() -> typer.Typer:
    app = typer.Typer()
    register(app)
    return app


def test_json_has_a_row_for_each_scenario_and_strategy_with_the_promised_keys() -> None:
    result = CliRunner().invoke(command(), ["simulate", "stock", "--json", "--seed", "7", "--runs", "1", *FEW])
    assert result.exit_code == 0
    rows = json.loads(result.stdout)["scenarios"]
    assert [(row["name"], row["strategy"]) for row in rows] == [
        (name, strategy) for name in ("three_channels_ordinary", "five_channels_slow_tail") for strategy in STRATEGIES
    ]
    assert list(rows[0]) == [
        "name",
        "strategy",
        "sold",
        "runs",
        "runs_oversold",
        "oversold_per_10k",
        "refused_per_10k",
        "unsold_per_10k",
    ]
    assert rows[0]["runs"] == 1


def test_an_unknown_scenario_is_wrong_usage_and_the_known_ones_are_told() -> None:
    result = CliRunner().invoke(command(), ["simulate", "stock", "--scenario", "moon"])
    assert result.exit_code == 2
    assert "unknown scenario moon" in result.output


def test_zero_runs_are_wrong_usage() -> None:
    assert CliRunner().invoke(command(), ["simulate", "stock", "--runs", "0"]).exit_code == 2


def test_people_get_a_table() -> None:
    result = CliRunner().invoke(command(), ["simulate", "stock", "--runs", "1", *FEW])
    assert result.exit_code == 0
    assert "five_channels_slow_tail" in result.stdout
    assert "runs oversold" in result.stdout
