"""`oms-hub listings ...`: which SKU a channel's listing is."""

from __future__ import annotations

from pathlib import Path

import typer

from oms_hub.commands.context import opened_hub, opened_store
from oms_hub.commands.output import say, show_rows
from oms_hub.store.connections import get_connection
from oms_hub.store.listing_links import Link, ignore_listing, link_by_hand
from oms_hub.store.listings import list_listings
from oms_hub.store.merchants import list_merchants
from oms_hub.sync.import_links import import_links
from oms_hub.sync.pull_listings import pull_listings

listings_app = typer.Typer(help="Listings: SKUs offered on a connection.", no_args_is_help=True)
COLUMNS = ("connection", "listing_key", "channel_sku", "sku", "link_state", "is_tracked", "pack_size", "title")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(listings_app, name="listings")


@listings_app.command("list")
def list_all(
    connection: str = typer.Argument(None, help="Only this connection's."),
    unmapped: bool = typer.Option(False, "--unmapped", help="Only those without a SKU."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List listings with the SKU each is linked to."""
    with opened_store() as store, store.read() as tx:
        stored = get_connection(tx, connection) if connection else None
        merchant_ids = [stored.merchant_id] if stored else [found.merchant_id for found in list_merchants(tx)]
        rows = [
            {column: getattr(row, column) for column in COLUMNS}
            for merchant_id in merchant_ids
            for row in list_listings(tx, merchant_id, connection_id=stored.connection_id if stored else None)
            if not unmapped or row.sku is None
        ]
    show_rows(rows, COLUMNS, as_json=as_json, empty="No listings. They are read by: oms-hub listings pull NAME")


@listings_app.command("pull")
def pull(connection: str) -> None:
    """Read a connection's listings now and link those whose SKU matches."""
    with opened_hub() as hub:
        report = pull_listings(hub, connection)
    say(
        f"{report.seen} listings seen, {report.linked} linked, {report.unmapped} without a SKU, "
        f"{report.duplicates} whose SKU stands on several listings."
    )


@listings_app.command("link")
def link(
    connection: str,
    listing_key: str,
    sku: str,
    pack_size: int = typer.Option(1, min=1, max=999_999_999, help="Units of the SKU in one unit of the listing."),
) -> None:
    """Link a listing to a SKU by hand; past orders of it are completed without a new pull."""
    with opened_store() as store, store.begin() as tx:
        stored = get_connection(tx, connection)
        link_by_hand(tx, stored.merchant_id, stored.connection_id, [Link(listing_key, sku, pack_size)])
    say(f"{listing_key} on {connection} is now {sku}.")


@listings_app.command("ignore")
def ignore(connection: str, listing_key: str) -> None:
    """Leave a listing alone for good: never pushed, its sales take no stock."""
    with opened_store() as store, store.begin() as tx:
        stored = get_connection(tx, connection)
        ignore_listing(tx, stored.merchant_id, stored.connection_id, listing_key)
    say(f"{listing_key} on {connection} is ignored.")


@listings_app.command("import")
def import_file(
    connection: str,
    file: Path,
    create_skus: bool = typer.Option(False, "--create-skus", help="Add SKUs that are not known yet."),
) -> None:
    """Link many listings from a CSV file: listing_key,sku[,pack_size]."""
    with opened_hub() as hub:
        count = import_links(hub, connection, file, create_skus=create_skus)
    say(f"{count} listings of {connection} linked.")
