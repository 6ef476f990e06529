"""From a stored account to a live one: read it, map places and listings, take the first count, look, go live.

What belongs here: the steps after connecting. Not here: what each does (`oms_hub.sync`, `oms_hub.store`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from oms_hub.errors import HubError, Misconfigured
from oms_hub.store.connections import StoredConnection
from oms_hub.store.goods import add_location, link_location, list_locations
from oms_hub.store.listing_links import Link, ignore_listing, link_by_hand
from oms_hub.store.listings import list_listings
from oms_hub.store.outbox import open_rows
from oms_hub.store.web_setup import setup_facts
from oms_hub.sync.adopt_stock import adopt_present_stock
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import normalise_orders
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_listings import pull_listings
from oms_hub.sync.pull_orders import pull_orders
from oms_hub.sync.pull_stock import pull_stock
from oms_hub.web.connect import stored_named
from oms_hub.web.csrf import Posted
from oms_hub.web.identity import Operator, Owner, Viewer, Visitor
from oms_hub.web.pages import go, show

router = APIRouter(include_in_schema=False)

_SHOWN = 100


@router.get("/connections/{name}/setup")
def setup(request: Request, visitor: Viewer, name: str) -> Response:
    """Show how far a connection is, and the next step."""
    stored = stored_named(visitor, name)
    hub = visitor.hub
    channel = visitor.site.hub.channel(stored)
    with hub.store.read() as tx:
        facts = setup_facts(tx, stored.connection_id)
        rows = open_rows(tx, stored.connection_id)
        places = list_locations(tx, visitor.merchant_id)
        unlinked = [
            each
            for state in ("unmapped", "duplicate")
            for each in list_listings(tx, visitor.merchant_id, connection_id=stored.connection_id, link_state=state)
            if each.is_active
        ]
    return show(
        request, "setup.html", visitor=visitor, stored=stored, channel=channel, facts=facts, rows=rows[:_SHOWN],
        row_count=len(rows), places=places, unlinked=unlinked[:_SHOWN], unlinked_count=len(unlinked),
        takes_stock=channel.stock_sink is not None,
        is_working=bool(facts.running) or visitor.site.is_working(stored.connection_id),
    )  # fmt: skip


def _read_all(hub: Hub, name: str) -> None:
    """Read a connection from end to end; levels come before orders, as adopting needs it."""
    stored = hub.connection(name)
    channel = hub.channel(stored)
    if channel.listing_source is not None:
        pull_listings(hub, name)
    if channel.stock_source is not None:
        pull_stock(hub, name)
    pull_orders(hub, name)
    normalise_orders(hub, name)


def _adopt(hub: Hub, name: str) -> None:
    adopt_present_stock(hub, name)
    plan_push(hub, hub.connection(name).merchant)


def _plan(hub: Hub, name: str) -> None:
    plan_push(hub, hub.connection(name).merchant)


_WORK: Mapping[str, Callable[[Hub, str], object]] = {"read": _read_all, "adopt": _adopt, "plan": _plan}


@router.post("/connections/{name}/run/{work}")
def run(visitor: Operator, name: str, work: str, form: Posted) -> Response:
    """Begin a step that may take its time; the page shows how it goes."""
    if work not in _WORK:
        raise HTTPException(404)
    stored = stored_named(visitor, name)
    with visitor.hub.store.begin() as tx:
        visitor.audit(tx, f"connection.{work}", stored.name)
    hub = visitor.site.hub
    visitor.site.run_later(stored.connection_id, lambda: _WORK[work](hub, stored.name))
    return go(f"/connections/{stored.name}/setup")


@router.post("/connections/{name}/places")
def map_places(visitor: Owner, name: str, form: Posted) -> Response:
    """Say which of our places each of the channel's is; `new` adds one of the same name."""
    stored = stored_named(visitor, name)
    with visitor.hub.store.begin() as tx:
        ours = {str(place.location_id): place.location_id for place in list_locations(tx, visitor.merchant_id)}
        for place in setup_facts(tx, stored.connection_id).places:
            wanted = form.get(f"place.{place['channel_location_id']}")
            if wanted == "new":
                code = str(place["name"])[:64].strip() or str(place["channel_location_id"])[:64]
                added = add_location(tx, visitor.merchant_id, code).location_id
                link_location(tx, stored.connection_id, place["channel_location_id"], added)
            elif wanted is not None:
                link_location(tx, stored.connection_id, place["channel_location_id"], ours.get(wanted))
        visitor.audit(tx, "places.map", stored.name)
    return go(f"/connections/{stored.name}/setup", said="The places are mapped.")


@router.get("/listings/link")
def ask_link(request: Request, visitor: Viewer, connection: str = "", listing: str = "") -> Response:
    """Show a listing, and ask which SKU it is."""
    return _link_page(request, visitor, stored_named(visitor, connection), listing)


def _link_page(
    request: Request, visitor: Visitor, stored: StoredConnection, key: str, problem: HubError | None = None
) -> Response:
    with visitor.hub.store.read() as tx:
        rows = list_listings(tx, visitor.merchant_id, connection_id=stored.connection_id)
    found = next((each for each in rows if each.listing_key == key), None)
    if found is None:
        raise HTTPException(404)
    return show(
        request, "link.html", visitor=visitor, stored=stored, listing=found, problem=problem,
        status=200 if problem is None else 409,
    )  # fmt: skip


@router.post("/listings/link")
def link(request: Request, visitor: Operator, form: Posted) -> Response:
    """Link a listing to a SKU, or leave it alone for good; past orders are completed without a new pull."""
    stored = stored_named(visitor, form.get("connection", ""))
    key, sku, size = form.get("listing", ""), form.get("sku", ""), form.get("pack_size", "1") or "1"
    try:
        with visitor.hub.store.begin() as tx:
            if form.get("action") == "ignore":
                ignore_listing(tx, visitor.merchant_id, stored.connection_id, key)
                visitor.audit(tx, "listing.ignore", stored.name, listing=key)
            else:
                wanted = _link_of(key, sku, size)
                is_new = form.get("create") == "yes"
                link_by_hand(tx, visitor.merchant_id, stored.connection_id, [wanted], create_skus=is_new)
                visitor.audit(tx, "listing.link", stored.name, listing=key, sku=sku, pack_size=wanted.pack_size)
    except Misconfigured as error:
        return _link_page(request, visitor, stored, key, error)
    return go(f"/connections/{stored.name}/setup", said="The listing is linked.")


def _link_of(key: str, sku: str, size: str) -> Link:
    if not sku or not sku.isprintable() or len(sku) > 200:
        raise Misconfigured("Give the SKU")
    if not (size.isascii() and size.isdigit() and 0 < int(size[:10]) <= 999_999_999):
        raise Misconfigured("Give a pack size of 1 or more")
    return Link(key, sku, int(size))
