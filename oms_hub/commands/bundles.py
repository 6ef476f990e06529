"""`oms-hub bundles ...`: SKUs that are made of others."""

from __future__ import annotations

from pathlib import Path

import typer

from oms_hub.commands.context import opened_hub, opened_store
from oms_hub.commands.output import say, show_rows
from oms_hub.store.bundles import list_bundles, remove_bundle, set_bundles
from oms_hub.store.merchants import get_merchant, list_merchants
from oms_hub.sync.import_bundles import import_bundles, whole_units

bundles_app = typer.Typer(help="Bundles: SKUs that are made of others.", no_args_is_help=True)
COLUMNS = ("merchant", "bundle", "component", "units", "is_counted")
_MERCHANT = typer.Option(..., help="The merchant's name.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(bundles_app, name="bundles")


@bundles_app.command("set")
def set_one(
    bundle: str,
    components: list[str] = typer.Argument(..., help="CODE=UNITS, one per component."),
    merchant: str = _MERCHANT,
) -> None:
    """Say what a bundle is made of; what was said before is replaced."""
    parts: dict[str, int] = {}
    for given in components:
        code, separator, units = given.rpartition("=")
        if not separator or not code or code in parts:
            raise typer.BadParameter(f"give each component once as CODE=UNITS, not {given!r}")
        parts[code] = whole_units(units, code)
    with opened_store() as store, store.begin() as tx:
        set_bundles(tx, get_merchant(tx, merchant).merchant_id, {bundle: parts})
    say(f"{bundle} is made of {', '.join(f'{units} of {code}' for code, units in parts.items())}.")


@bundles_app.command("show")
def show(
    merchant: str = typer.Option(None, help="Only this merchant's."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List bundles with their components."""
    with opened_store() as store, store.read() as tx:
        owners = [get_merchant(tx, merchant)] if merchant else list_merchants(tx)
        rows = [
            {"merchant": owner.name, **{column: getattr(row, column) for column in COLUMNS[1:]}}
            for owner in owners
            for row in list_bundles(tx, owner.merchant_id)
        ]
    show_rows(rows, COLUMNS, as_json=as_json, empty="No bundles. Say what one is made of: oms-hub bundles set")


@bundles_app.command("import")
def import_file(file: Path, merchant: str = _MERCHANT) -> None:
    """Say what many bundles are made of from a CSV file: bundle,component,units. All of it or nothing."""
    with opened_hub() as hub:
        count = import_bundles(hub, merchant, file)
    say(f"{count} bundles imported.")


@bundles_app.command("remove")
def remove(bundle: str, merchant: str = _MERCHANT) -> None:
    """Make a bundle an ordinary SKU again."""
    with opened_store() as store, store.begin() as tx:
        remove_bundle(tx, get_merchant(tx, merchant).merchant_id, bundle)
    say(f"{bundle} is no bundle any more.")
