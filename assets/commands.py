"""`oms-hub sync`, `demo` and `dev`: the commands that need Dagster. They join the program through an entry point.

Dagster is imported when one of them runs, so that the other commands need not wait for it.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from oms_hub.commands.output import complain, say, show_json
from oms_hub.settings import load_settings
from oms_hub.sync.hub import open_hub

if TYPE_CHECKING:
    from assets.sync_run import StepOutcome


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("sync")(sync)
    app.command("demo")(demo)
    app.command("dev")(dev)


def sync(
    names: list[str] = typer.Argument(None, help="Connections to sync; all active ones when none is named."),
    is_dry_run: bool = typer.Option(False, "--dry-run", help="Show every push and send none."),
    is_full: bool = typer.Option(False, "--full", help="Walk each channel's whole history again."),
    is_replay: bool = typer.Option(False, "--replay", help="Read everything anew from raw alone; no network."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Pull, normalise, count, plan, deliver and report, once."""
    _quiet_dagster()
    from assets.instance import opened_instance  # noqa: PLC0415
    from assets.sync_lines import show_outcome  # noqa: PLC0415
    from assets.sync_run import SyncOptions, run_sync  # noqa: PLC0415

    settings = load_settings()
    options = SyncOptions(is_dry_run=is_dry_run, is_full=is_full, is_replay=is_replay)
    hub = open_hub(settings)
    try:
        with opened_instance(settings) as instance:
            tell = (lambda _outcome: None) if as_json else show_outcome
            outcomes = run_sync(hub, instance, names or (), options, tell=tell)
    finally:
        hub.close()
    if as_json:
        show_json([_as_row(outcome) for outcome in outcomes])
    _end(outcomes, is_quiet=as_json)


def _quiet_dagster() -> None:
    """Keep Dagster's notes about its own unfinished parts from the terminal."""
    import dagster as dg  # noqa: PLC0415

    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def _as_row(outcome: "StepOutcome") -> Mapping[str, object]:
    counts = {key: value for key, value in outcome.counts.items() if isinstance(value, int | str)}
    return {
        "step": outcome.step,
        "connection": outcome.connection,
        "counts": counts,
        "failures": list(outcome.failures),
    }


def _end(outcomes: Sequence["StepOutcome"], *, is_quiet: bool) -> None:
    has_failed = False
    for outcome in outcomes:
        for failure in outcome.failures:
            has_failed = True
            complain(f"oms-hub: {outcome.connection or outcome.step}: {failure}")
    if has_failed:
        raise typer.Exit(1)
    if not is_quiet:
        say("All well.")


def demo() -> None:
    """Connect practice channels, sync, sell, sync again, and print the reports. Needs no account."""
    _quiet_dagster()
    from assets.demo import run_demo  # noqa: PLC0415

    run_demo(load_settings())


def dev(port: int = typer.Option(3000, min=1, max=65535, help="Port of Dagster's UI on 127.0.0.1.")) -> None:
    """Run Dagster's UI and daemon on the same store, until Ctrl-C."""
    from assets.dev_server import run_dev  # noqa: PLC0415

    if run_dev(load_settings(), port):
        raise typer.Exit(1)
