"""`oms-hub stock receive/order/terms`, `rates import`, `costs ...`: what goods cost and how they are bought.

The first three join `oms-hub stock` there (`oms_hub.commands.stock`).
"""

from __future__ import annotations

from pathlib import Path

import typer

from oms_hub.commands.context import opened_hub
from oms_hub.commands.output import say
from oms_hub.store.purchasing import Written
from oms_hub.sync import import_purchasing

rates_app = typer.Typer(help="Exchange rates by day, for reports in the base currency.", no_args_is_help=True)
costs_app = typer.Typer(help="What goods and channels cost, for margins.", no_args_is_help=True)
_MERCHANT = typer.Option(..., "--merchant", help="The merchant's name.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module that do not belong to `stock`."""
    app.add_typer(rates_app, name="rates")
    app.add_typer(costs_app, name="costs")


def receive(file: Path, merchant: str = _MERCHANT) -> None:
    """Take receipts from a CSV file: reference,sku,quantity[,location][,unit_cost][,received_at]. All or nothing."""
    with opened_hub() as hub:
        done = import_purchasing.receive_stock(hub, merchant, file)
    say(f"{done.added} receipts taken, {done.known} stood already, {done.booked} moved stock.")
    if done.seen:
        say(f"  {done.seen} are dated before the first count of their place, which saw them.")
    if done.waiting:
        say(
            f"  {done.waiting} wait until their SKU is counted at that place (oms-hub stock import); then import again."
        )


def order(file: Path, merchant: str = _MERCHANT) -> None:
    """Take purchase orders from a CSV file: reference,sku,quantity[,expected_on]. Quantity 0 closes a line."""
    with opened_hub() as hub:
        _tell(import_purchasing.import_purchase_orders(hub, merchant, file), "purchase order lines")


def terms(file: Path, merchant: str = _MERCHANT) -> None:
    """Take purchase terms from a CSV file: sku,lead_time_days and more, see docs/how-to/query-the-reports.md."""
    with opened_hub() as hub:
        _tell(import_purchasing.import_purchase_terms(hub, merchant, file), "SKUs with purchase terms")


@rates_app.command("import")
def import_rates(file: Path) -> None:
    """Take exchange rates from a CSV file: date,currency,base,rate (one unit of currency is rate of base)."""
    with opened_hub() as hub:
        _tell(import_purchasing.import_rates(hub, file), "rates")


@costs_app.command("import")
def import_costs(file: Path, merchant: str = _MERCHANT) -> None:
    """Take channel costs: connection,currency,valid_from[,fee_percent][,fee_per_order][,shipping_per_order]."""
    with opened_hub() as hub:
        _tell(import_purchasing.import_channel_costs(hub, merchant, file), "channel costs")


@costs_app.command("method")
def method(name: str = typer.Argument(help="weighted_average or fifo"), merchant: str = _MERCHANT) -> None:
    """Choose how the cost of goods is found; the reports follow with their next refresh."""
    with opened_hub() as hub:
        is_new = import_purchasing.choose_cost_method(hub, merchant, name)
    say(f"Costs of {merchant} are found by {name} from now on." if is_new else f"{merchant} uses {name} already.")


def _tell(written: Written, what: str) -> None:
    say(f"{written.added} {what} added, {written.changed} changed.")
