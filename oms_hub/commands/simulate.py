"""`oms-hub simulate stock`: sells on simulated channels under the real stock rules and counts what went wrong."""

from __future__ import annotations

import sys
from dataclasses import asdict, fields

import typer
from rich.console import Console
from rich.progress import track

from oms_hub.commands.output import show_json, show_rows
from oms_hub.simulation.runs import Result, run_all
from oms_hub.simulation.scenarios import SCENARIOS
from oms_hub.simulation.strategies import STRATEGIES

_COLUMNS = tuple(field.name for field in fields(Result))


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Try the rules on simulated channels.", no_args_is_help=True)
    group.command("stock")(stock)
    app.add_typer(group, name="simulate")


def stock(
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    seed: int = typer.Option(1, help="The same seed gives the same figures."),
    runs: int = typer.Option(20, min=1, help="Runs of each scenario under each strategy."),
    names: list[str] = typer.Option([], "--scenario", help="Only this scenario; may be given several times."),
) -> None:
    """Compare six ways of pushing stock in eight situations; figures are per 10,000 units of stock."""
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"unknown scenario {name}; known are {', '.join(known)}")
    chosen = [known[name] for name in dict.fromkeys(names or known)]
    results = track(
        run_all(seed=seed, runs=runs, scenarios=chosen),
        description="Selling",
        total=len(chosen) * len(STRATEGIES),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    rows = [asdict(result) for result in results]
    if as_json:
        show_json({"scenarios": rows})
        return
    show_rows(rows, _COLUMNS, as_json=False, empty="")
