"""`oms-hub sandbox CHANNEL`: a channel's practice server on 127.0.0.1."""

from __future__ import annotations

import shlex
import time

import typer

from oms_hub.channel.registry import load_channels
from oms_hub.commands.output import say
from oms_hub.errors import Misconfigured


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("sandbox")(sandbox)


def sandbox(
    channel: str = typer.Argument(..., help="Kind of system, such as shopify."),
    port: int = typer.Option(0, min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one."),
    orders: int = typer.Option(60, min=0, help="How many orders it starts with."),
    seed: int = typer.Option(1, help="The same seed gives the same shop."),
    seconds: float = typer.Option(None, min=0.1, help="Stop by itself after so long."),
) -> None:
    """Serve a practice shop until Ctrl-C, and say how to connect to it."""
    kind = load_channels()[channel]
    if kind.sandbox is None:
        raise Misconfigured(f"{channel} has no sandbox")
    running = kind.sandbox(port=port, orders=orders, seed=seed)
    try:
        account = running.account
        command = ["oms-hub", "connections", "add", channel, f"{channel}-practice", "--merchant", "MERCHANT"]
        for key, value in account.settings.items():
            command += ["--set", f"{key}={value}"]
        for key in account.secrets:
            command += ["--secret", f"{key}=env:PRACTICE_{key.upper()}"]
        say(f"Practice {kind.title} is running. Connect to it from another terminal:")
        for key, value in account.secrets.items():
            say(f"  export PRACTICE_{key.upper()}={shlex.quote(value)}")
        say("  " + " ".join(shlex.quote(word) for word in command))
        say("Ctrl-C stops it.")
        _wait(seconds)
    finally:
        running.close()


def _wait(seconds: float | None) -> None:
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        time.sleep(0.2)
