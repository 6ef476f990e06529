"""`oms-hub`: the command line, wired. Commands stand in `oms_hub.commands`; others join by entry point.

Exit codes: 0 all well; 1 something failed, one line each on standard error; 2 wrong usage;
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import logging
import sys
from importlib.metadata import entry_points
from typing import NoReturn

import typer

from oms_hub import __version__
from oms_hub.commands import (
    alerts,
    allocation,
    bundles,
    connections,
    exceptions,
    explain,
    listings,
    merchants,
    policy,
    purchasing,
    report,
    sandbox,
    serve,
    simulate,
    status,
    stock,
    store,
    users,
)
from oms_hub.commands.output import complain, say
from oms_hub.errors import HubError

ENTRY_POINT_GROUP = "oms_hub.commands"
STOPPED = 130
"""Exit code after Ctrl-C, which Typer gives without a word."""


def _version(is_wanted: bool) -> None:
    if is_wanted:
        say(f"oms-hub {__version__}")
        raise typer.Exit


def build_app() -> typer.Typer:
    """Return the program with all its commands, those of other packages included."""
    app = typer.Typer(
        name="oms-hub",
        help="Orders from every channel in one place, one stock truth back to each.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def options(
        version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
        verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what is done, one line per page or batch."),
    ) -> None:
        logging.basicConfig(
            level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s %(message)s"
        )
        logging.getLogger("httpx").setLevel(logging.WARNING)
        # A session that Ctrl-C or the server cut off is thrown away; the error that ends the step tells what it cost.
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)

    for module in (
        store, merchants, connections, listings, stock, bundles, policy, purchasing, allocation, report, status,
        exceptions, alerts, explain, sandbox, simulate, serve, users,
    ):  # fmt: skip
        module.register(app)
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda found: found.name):
        entry_point.load()(app)
    return app


def main() -> None:
    """Run the program; failures that the hub knows become one line and exit code 1."""
    try:
        build_app()()
    except HubError as error:
        complain(f"oms-hub: {error.one_line()}")
        sys.exit(1)
    except KeyboardInterrupt:
        _stopped()
    except SystemExit as end:
        if end.code == STOPPED:
            _stopped()
        raise


def _stopped() -> NoReturn:
    complain("oms-hub: stopped; the next run goes on where this one ended")
    sys.exit(STOPPED)


if __name__ == "__main__":
    main()
