"""`oms-hub explain report`: the orders behind one day of a report. It joins `oms-hub explain` there."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from oms_hub.commands.context import opened_store
from oms_hub.commands.output import say, show_json, show_rows


def report(
    name: Annotated[str, typer.Argument(help="The report; `oms-hub report list` names them.")],
    day: Annotated[datetime, typer.Option("--day", formats=["%Y-%m-%d"], help="The business day.")],
    merchant: Annotated[str | None, typer.Option("--merchant", metavar="NAME", help="Only this merchant.")] = None,
    connection: Annotated[str | None, typer.Option("--connection", metavar="NAME", help="Only this one.")] = None,
    sku: Annotated[str | None, typer.Option("--sku", help="Only this SKU.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what one day of a report is made of: orders, refunds, payments or movements, and their sums."""
    from oms_hub.reports import explain_day  # noqa: PLC0415

    with opened_store() as store:
        found = explain_day(store, name, day.date(), merchant=merchant, connection=connection, sku=sku)
    if as_json:
        show_json({"rows": found.rows, "totals": found.totals})
        return
    columns = tuple(found.rows[0]) if found.rows else ()
    show_rows(found.rows, columns, as_json=False, empty=f"Nothing of {name} stands on {day:%Y-%m-%d}")
    for currency, sums in found.totals.items():
        figures = ", ".join(f"{figure} {amount}" for figure, amount in sums.items())
        say(" ".join(word for word in ("sum:", currency, figures) if word))
