"""Every command explains itself without a store, a home or a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from oms_hub.cli import build_app


def _commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name, command in getattr(group, "commands", {}).items():
        yield from _commands(command, (*words, name))


EVERY_COMMAND = sorted(_commands(typer.main.get_command(build_app())))
PROMISED = {
    ("migrate",), ("merchants", "add"), ("connections", "add"), ("connections", "test"), ("connections", "list"),
    ("connections", "pause"), ("connections", "resume"), ("connections", "remove"), ("connections", "push"), ("sync",),
    ("listings", "list"), ("listings", "link"), ("listings", "import"), ("stock", "import"), ("stock", "adopt"),
    ("stock", "show"), ("report",), ("report", "list"), ("report", "rebuild"), ("status",), ("exceptions", "list"),
    ("exceptions", "retry"), ("exceptions", "dismiss"), ("sandbox",), ("simulate", "stock"), ("demo",), ("dev",),
}  # fmt: skip


def test_every_promised_command_is_there() -> None:
    assert set(EVERY_COMMAND) >= PROMISED


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_help_needs_no_store(words: tuple[str, ...], module_program: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    result = module_program(
        *words, "--help", OMS_HUB_DATABASE_URL="postgresql://127.0.0.1:9/none", OMS_HUB_HOME=str(home)
    )
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Usage: oms-hub" in result.stdout
    assert not home.exists()


def test_the_version_needs_no_store(module_program: Any) -> None:
    assert module_program("--version", OMS_HUB_DATABASE_URL="nonsense").stdout == "oms-hub 0.1.0\n"


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("merchants", "add", "acme"),
        ("stock", "import"),
        ("report", "sales_daily", "--format", "pdf"),
        ("report", "sales_daily", "--from", "yesterday"),
        ("sandbox", "shopify", "--port", "99999"),
        ("exceptions", "retry", "seven"),
        ("connections", "push", "till", "perhaps"),
        ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", "path"),
        ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", "path=a", "--set", "path=b"),
        ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--push", "perhaps"),
        ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--role", "leads"),
        ("listings", "link", "till", "1", "MUG", "--pack-size", "0"),
        ("exceptions", "list", "--state", "lost"),
        ("exceptions", "list", "--kind", "nonsense"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_two_before_any_store_is_opened(words: tuple[str, ...], module_program: Any) -> None:
    result = module_program(*words, OMS_HUB_DATABASE_URL="postgresql://127.0.0.1:9/none")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: oms-hub" in result.stderr
