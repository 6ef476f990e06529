"""`oms-hub explain ...`: why a number is what it is, down to the raw payload."""

from __future__ import annotations

import typer

from oms_hub.commands.context import opened_hub
from oms_hub.commands.explain_report import report
from oms_hub.commands.explain_words import order_lines, stock_lines
from oms_hub.commands.output import say, show_json
from oms_hub.sync import explain

explain_app = typer.Typer(help="Why a number is what it is, down to the raw payload.", no_args_is_help=True)
_LIMIT = typer.Option(20, min=1, max=100_000, help="At most so many rows of a kind; totals count all of them.")
_JSON = typer.Option(False, "--json", help="Print JSON.")


explain_app.command("report")(report)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(explain_app, name="explain")


@explain_app.command("stock")
def stock(
    sku: str,
    merchant: str = typer.Option(..., help="The merchant's name."),
    limit: int = _LIMIT,
    as_json: bool = _JSON,
) -> None:
    """Tell why each connection shows its number: movements, promises, policies, pushes."""
    with opened_hub() as hub:
        facts = explain.explain_stock(hub, merchant, sku, limit=limit)
    if as_json:
        show_json(facts)
        return
    for line in stock_lines(facts):
        say(line)


@explain_app.command("order")
def order(
    connection: str,
    order_id: str = typer.Argument(..., help="The channel's own id of the order."),
    limit: int = _LIMIT,
    as_json: bool = _JSON,
) -> None:
    """Tell the life of an order: payloads, states, lines, units, movements, payments, parcels, refunds."""
    with opened_hub() as hub:
        facts = explain.explain_order(hub, connection, order_id, limit=limit)
    if as_json:
        show_json(facts)
        return
    for line in order_lines(facts):
        say(line)
