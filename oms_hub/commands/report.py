"""`oms-hub report`: shows, lists and rebuilds the report tables.

What belongs here: arguments and what is printed. What a report is and how it is written stands in `oms_hub.reports`,
which is imported when a command runs, so that other commands need not wait for pandas.
"""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from oms_hub.commands.context import opened_store
from oms_hub.commands.output import complain, say, show_rows
from oms_hub.errors import Misconfigured

_SHOW = "show"


class ReportGroup(TyperGroup):
    """Takes whatever is not one of its commands as the report to show: `report NAME` means `report show NAME`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `show` before arguments that begin with no command and ask for no help."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [_SHOW, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


report_app = typer.Typer(
    cls=ReportGroup, no_args_is_help=True, help="Report tables: `report NAME` shows one, `report list` names them."
)

_Merchant = Annotated[str | None, typer.Option("--merchant", metavar="NAME", help="Only this merchant.")]
_Day = ["%Y-%m-%d"]


def register(app: typer.Typer) -> None:
    """Add `report` to the program."""
    app.add_typer(report_app, name="report")


@report_app.command(_SHOW)
def show(
    name: Annotated[str, typer.Argument(help="The report; `oms-hub report list` names them.")],
    merchant: _Merchant = None,
    day_from: Annotated[datetime | None, typer.Option("--from", formats=_Day, help="First business day.")] = None,
    day_to: Annotated[datetime | None, typer.Option("--to", formats=_Day, help="Last business day.")] = None,
    as_of: Annotated[
        datetime | None, typer.Option("--as-of", formats=_Day, help="What counts as today, where a report looks back.")
    ] = None,
    columns: Annotated[str | None, typer.Option("--columns", metavar="NAME,...", help="Only these columns.")] = None,
    export_format: Annotated[
        Literal["table", "csv", "json", "parquet", "xlsx"], typer.Option("--format", help="How to write it.")
    ] = "table",
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write to this file.")] = None,
) -> None:
    """Show a report, or write it to a file."""
    from oms_hub import reports  # noqa: PLC0415
    from oms_hub.reports.export import write  # noqa: PLC0415

    with opened_store() as store:
        found = reports.frame(
            store, name, merchant=merchant, day_from=_date(day_from), day_to=_date(day_to), as_of=_date(as_of),
            columns=None if columns is None else [column.strip() for column in columns.split(",")],
        )  # fmt: skip
    write(name, found, export_format, output, stream=sys.stdout)
    if output is not None:
        complain(f"{len(found)} row(s) of {name} written to {output}")


@report_app.command("list")
def list_reports(
    is_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the reports, with their keys."""
    from oms_hub.reports import REPORTS  # noqa: PLC0415

    rows = [
        {
            "name": report.name,
            "title": report.definition.title,
            "key": ", ".join(report.definition.key),
            "kept": "stored" if report.is_stored else "computed when read",
        }
        for report in REPORTS.values()
    ]
    show_rows(rows, ("name", "title", "key", "kept"), as_json=is_json, empty="")


@report_app.command()
def rebuild(
    name: Annotated[str | None, typer.Argument(help="The report; all of them if none is named.")] = None,
    merchant: _Merchant = None,
) -> None:
    """Make report tables anew from the store; gives the same rows."""
    from oms_hub import reports  # noqa: PLC0415

    with opened_store() as store:
        written = reports.rebuild(store, names=None if name is None else [name], merchant=merchant)
    for report, rows in written.items():
        is_stored = reports.REPORTS[report].is_stored
        say(f"{report}: {f'{rows} row(s)' if is_stored else 'computed when read'}")


@report_app.command()
def check(
    merchant: _Merchant = None,
    day_from: Annotated[datetime | None, typer.Option("--from", formats=_Day, help="First business day.")] = None,
) -> None:
    """Ask whether the report tables tie with each other, with the orders and with the ledger."""
    from oms_hub import reports  # noqa: PLC0415

    with opened_store() as store:
        results = reports.ties(store, merchant, since=_date(day_from))
    for result in results:
        say(f"{'ok' if result.is_ok else 'BROKEN'}: {result.name}: {result.detail}")
    broken = [result.name for result in results if not result.is_ok]
    if broken:
        raise Misconfigured(
            f"{len(broken)} of {len(results)} ties are broken: {', '.join(broken)}",
            remedy="Run: oms-hub report rebuild",
        )


@report_app.command()
def sources() -> None:
    """Print the reports as dbt sources (sources.yml)."""
    from oms_hub.reports.dbt_sources import dbt_sources  # noqa: PLC0415

    say(dbt_sources().rstrip("\n"))


def _date(value: datetime | None) -> date | None:
    return None if value is None else value.date()
