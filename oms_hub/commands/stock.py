"""`oms-hub stock ...`: counts in, levels out."""

from __future__ import annotations

from pathlib import Path

import typer

from oms_hub.commands.context import opened_hub
from oms_hub.commands.output import say, show_rows
from oms_hub.commands.purchasing import order, receive, terms
from oms_hub.commands.transfers import adjust, transfer_app, unavailable
from oms_hub.sync.adopt_stock import adopt_present_stock
from oms_hub.sync.import_stock import import_stock
from oms_hub.sync.show_stock import show_stock

stock_app = typer.Typer(help="Stock: counts, adoption, levels.", no_args_is_help=True)
stock_app.add_typer(transfer_app, name="transfer")
stock_app.command("adjust")(adjust)
stock_app.command("unavailable")(unavailable)
stock_app.command("receive")(receive)
stock_app.command("order")(order)
stock_app.command("terms")(terms)
COLUMNS = ("location", "on_hand", "allocated", "reserved", "unavailable", "available")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(stock_app, name="stock")


@stock_app.command("import")
def import_file(
    file: Path,
    merchant: str = typer.Option(..., help="The merchant's name."),
    create_skus: bool = typer.Option(False, "--create-skus", help="Add SKUs that are not known yet."),
) -> None:
    """Take a count from a CSV file: sku,location,quantity[,unit_cost][,counted_at]. All of it or nothing."""
    with opened_hub() as hub:
        report = import_stock(hub, merchant, file, create_skus=create_skus)
    say(f"{report.counted} counts taken, {report.changed} levels changed, {report.created_skus} SKUs added.")


@stock_app.command("adopt")
def adopt(connection: str) -> None:
    """Take a connection's present levels as the count of SKUs that have none yet."""
    with opened_hub() as hub:
        report = adopt_present_stock(hub, connection)
    say(f"{report.adopted} levels adopted from {connection}, {len(report.skipped)} skipped.")
    for skipped in report.skipped:
        say(f"  {skipped.reference}: {skipped.reason}")


@stock_app.command("show")
def show(
    sku: str,
    merchant: str = typer.Option(..., help="The merchant's name."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show a SKU's level at every place."""
    with opened_hub() as hub:
        rows = [{column: getattr(row, column) for column in COLUMNS} for row in show_stock(hub, merchant, sku)]
    show_rows(rows, COLUMNS, as_json=as_json, empty=f"{sku} has no count yet: oms-hub stock import, or stock adopt")
