"""`oms-hub merchants ...` and `oms-hub locations ...`: businesses and the places that hold their stock."""

from __future__ import annotations

import typer

from oms_hub.commands.context import opened_store
from oms_hub.commands.output import say, show_rows
from oms_hub.errors import Misconfigured
from oms_hub.store.connections import get_connection
from oms_hub.store.goods import add_location, channel_place, link_location, list_locations
from oms_hub.store.merchants import add_merchant, get_merchant, list_merchants
from oms_hub.store.stock import mark_connection_dirty

merchants_app = typer.Typer(help="Businesses: base currency and business time zone.", no_args_is_help=True)
locations_app = typer.Typer(help="Places that hold a merchant's stock.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(merchants_app, name="merchants")
    app.add_typer(locations_app, name="locations")


@merchants_app.command("add")
def add(
    name: str,
    currency: str = typer.Option(..., help="Base currency, ISO 4217, such as MXN."),
    time_zone: str = typer.Option(..., help="Business time zone, such as America/Mexico_City."),
) -> None:
    """Add a business. Its first place is `main`."""
    with opened_store() as store, store.begin() as tx:
        merchant = add_merchant(tx, name, currency=currency, time_zone=time_zone)
    say(f"Merchant {merchant.name} added ({merchant.currency}, {merchant.time_zone}).")


@merchants_app.command("list")
def list_all(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the businesses."""
    with opened_store() as store, store.read() as tx:
        rows = [
            {"name": found.name, "currency": found.currency, "time_zone": found.time_zone}
            for found in list_merchants(tx)
        ]
    show_rows(rows, ("name", "currency", "time_zone"), as_json=as_json, empty="No merchants yet: oms-hub merchants add")


@locations_app.command("add")
def add_place(
    code: str,
    merchant: str = typer.Option(..., help="The merchant's name."),
    name: str = typer.Option("", help="What people call it."),
) -> None:
    """Add a place that holds stock."""
    with opened_store() as store, store.begin() as tx:
        found = get_merchant(tx, merchant)
        add_location(tx, found.merchant_id, code, name)
    say(f"Location {code} added to {merchant}.")


@locations_app.command("list")
def list_places(
    merchant: str = typer.Option(..., help="The merchant's name."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List a merchant's places."""
    with opened_store() as store, store.read() as tx:
        found = get_merchant(tx, merchant)
        rows = [
            {"code": place.code, "name": place.name, "is_default": place.is_default}
            for place in list_locations(tx, found.merchant_id)
        ]
    show_rows(rows, ("code", "name", "is_default"), as_json=as_json, empty="No locations")


@locations_app.command("link")
def link_place(connection: str, channel_location: str, code: str) -> None:
    """Say which of our places a channel's place is; its levels are pushed there where this place feeds them."""
    with opened_store() as store, store.begin() as tx:
        stored = get_connection(tx, connection)
        places = {place.code: place.location_id for place in list_locations(tx, stored.merchant_id)}
        if code not in places:
            raise Misconfigured(f"{stored.merchant} has no location {code}", remedy="See: oms-hub locations list")
        known = channel_place(tx, stored.connection_id, channel_location)
        link_location(tx, stored.connection_id, known or channel_location, places[code])
        mark_connection_dirty(tx, stored.connection_id)
    say(f"{channel_location} on {connection} is {code}.")
