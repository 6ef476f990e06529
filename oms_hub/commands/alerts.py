"""`oms-hub alerts ...`: what crossed a line, and where the lines are."""

from __future__ import annotations

from typing import Literal

import typer

from oms_hub.commands.context import opened_store
from oms_hub.commands.output import say, show_rows
from oms_hub.store.alert_thresholds import list_thresholds, put_threshold
from oms_hub.store.alerts import KINDS, list_alerts
from oms_hub.store.merchants import get_merchant

alerts_app = typer.Typer(help="Alerts: once per crossing, cleared on recovery.", no_args_is_help=True)
COLUMNS = ("alert_id", "kind", "merchant", "connection", "reference", "units", "message", "state", "fired_at",
           "cleared_at", "told_at")  # fmt: skip
_THRESHOLD_COLUMNS = ("merchant", "sku", "low_stock")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(alerts_app, name="alerts")


@alerts_app.command("list")
def list_all(
    kind: str = typer.Option(None, help=f"Only this kind: {', '.join(KINDS)}."),
    state: Literal["open", "cleared", "all"] = typer.Option("open", help="Only those in this state."),
    merchant: str = typer.Option(None, help="Only this merchant's."),
    limit: int = typer.Option(1000, min=1, max=1_000_000, help="At most so many, the newest."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List alerts, the newest first."""
    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"{kind!r} is not one of {', '.join(KINDS)}", param_hint="--kind")
    with opened_store() as store, store.read() as tx:
        if merchant is not None:
            get_merchant(tx, merchant)
        wanted = None if state == "all" else state
        found = list_alerts(tx, merchant=merchant, state=wanted, kind=kind, limit=limit)
    rows = [{column: getattr(alert, column) for column in COLUMNS} for alert in found]
    show_rows(rows, COLUMNS, as_json=as_json, empty="No alerts." if state == "all" else f"No {state} alerts.")


@alerts_app.command("set")
def set_line(
    merchant: str = typer.Option(..., help="The merchant's name."),
    sku: str = typer.Option(None, help="For this SKU; for all of the merchant's without it."),
    low_stock: int = typer.Option(..., min=0, max=2_147_483_647, help="Tell once so many or fewer are available."),
) -> None:
    """Set from how many available units on goods count as low. The next sync looks at it."""
    with opened_store() as store, store.begin() as tx:
        put_threshold(tx, get_merchant(tx, merchant).merchant_id, sku, low_stock)
    say(f"{sku or 'Every SKU'} of {merchant} counts as low from {low_stock} units on.")


@alerts_app.command("thresholds")
def thresholds(
    merchant: str = typer.Option(..., help="The merchant's name."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List from how many units on goods count as low."""
    with opened_store() as store, store.read() as tx:
        found = list_thresholds(tx, get_merchant(tx, merchant).merchant_id)
    rows = [{"merchant": merchant, "sku": sku, "low_stock": units} for sku, units in found]
    show_rows(rows, _THRESHOLD_COLUMNS, as_json=as_json, empty="Nothing counts as low: oms-hub alerts set")
