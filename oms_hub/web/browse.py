"""Orders, stock, listings, alerts: pages that only show, and every table as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from oms_hub.store.alerts import KINDS as ALERT_KINDS
from oms_hub.store.connections import list_connections
from oms_hub.store.web_details import order_life, sku_story
from oms_hub.store.web_table_rows import ALERTS, LISTINGS, ORDERS, STOCK, TABLES
from oms_hub.sync.explain import explain_stock
from oms_hub.sync.show_stock import show_stock
from oms_hub.web.identity import Viewer, Visitor
from oms_hub.web.pages import address, show
from oms_hub.web.tables import csv_of, shown_table

router = APIRouter(include_in_schema=False)

_NEWEST = 50
_REASONS = {
    "pool": "all that is there",
    "empty": "nothing is there",
    "end_when": "the pool is at the level where the offer ends",
    "share": "the share of this channel",
    "cap": "the most that this channel is offered",
    "floor": "the least that this channel is offered",
    "paused": "the offer is paused",
    "hold_back": "what the others may sell is held back",
}
"""What decided a level -> in words."""


def order_address(row: Mapping[str, Any]) -> str:
    """Return the address of an order's page."""
    return address("/orders/view", connection=row["connection"], order=row["order_id"])


def sku_address(sku: str | None) -> str:
    """Return the address of a SKU's page, empty for none."""
    return address("/stock/view", sku=sku) if sku else ""


def connection_names(visitor: Visitor) -> Sequence[str]:
    """Return the names of the merchant's connections."""
    with visitor.hub.store.read() as tx:
        return [stored.name for stored in list_connections(tx, merchant=visitor.merchant.merchant)]


@router.get("/orders")
def orders(request: Request, visitor: Viewer) -> Response:
    """Show the orders."""
    choices = {"connection": connection_names(visitor)}
    shown = shown_table(request, visitor, ORDERS, choices=choices, links={"label": order_address})
    return show(request, "orders.html", visitor=visitor, shown=shown)


@router.get("/orders/view")
def one_order(request: Request, visitor: Viewer, connection: str = "", order: str = "") -> Response:
    """Show an order's life."""
    with visitor.hub.store.read() as tx:
        life = order_life(tx, visitor.merchant_id, _plain(connection), _plain(order))
    if life is None:
        raise HTTPException(404)
    return show(request, "order.html", visitor=visitor, order=life.order, parts_of=life.parts, sku_address=sku_address)


@router.get("/stock")
def stock(request: Request, visitor: Viewer) -> Response:
    """Show the stock."""
    shown = shown_table(request, visitor, STOCK, links={"sku": lambda row: sku_address(row["sku"])})
    return show(request, "stock.html", visitor=visitor, shown=shown)


@router.get("/stock/view")
def one_sku(request: Request, visitor: Viewer, sku: str = "") -> Response:
    """Show a SKU's levels, what is offered where and why, and what moved it."""
    hub = visitor.hub
    with hub.store.read() as tx:
        story = sku_story(tx, visitor.merchant_id, _plain(sku), limit=_NEWEST)
    if story is None:
        raise HTTPException(404)
    code = str(story.sku["sku"])
    places = show_stock(hub, visitor.merchant.merchant, code)
    explained = explain_stock(hub, visitor.merchant.merchant, code, limit=_NEWEST)
    policies = {(each["connection"], each["listing"]): each["policy"] for each in explained["listings"]}
    return show(
        request, "sku.html", visitor=visitor, story=story, sku=story.sku, places=places,
        order_address=order_address, reasons=_REASONS, policies=policies,
    )  # fmt: skip


@router.get("/listings")
def listings(request: Request, visitor: Viewer) -> Response:
    """Show what is offered where, and which SKU it is."""
    links = {
        "sku": lambda row: sku_address(row["sku"]),
        "title": lambda row: address("/listings/link", connection=row["connection"], listing=row["listing_key"]),
    }
    choices = {"connection": connection_names(visitor)}
    shown = shown_table(request, visitor, LISTINGS, choices=choices, links=links)
    return show(request, "listings.html", visitor=visitor, shown=shown)


@router.get("/alerts")
def alerts(request: Request, visitor: Viewer) -> Response:
    """Show what crossed a line."""
    shown = shown_table(request, visitor, ALERTS, choices={"kind": ALERT_KINDS}, state="open")
    return show(request, "alerts.html", visitor=visitor, shown=shown)


@router.get("/export/{name}.csv")
def export(request: Request, visitor: Viewer, name: str) -> Response:
    """Give a table as CSV."""
    if name not in TABLES:
        raise HTTPException(404)
    return csv_of(request, visitor, TABLES[name])


def _plain(given: str) -> str:
    """Return a text that PostgreSQL can hold."""
    return given.replace("\0", "")[:500]
