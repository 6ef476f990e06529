"""The JSON API for scripts: what the pages show, by token. Described at /api/openapi.json.

What belongs here: shapes and routes. Not here: what tables there are (`oms_hub.store.web_table_rows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, StringConstraints
from starlette.exceptions import HTTPException

from oms_hub.errors import Misconfigured
from oms_hub.store.api_tokens import TokenBearer, use_token
from oms_hub.store.audit import write_audit
from oms_hub.store.exceptions import dismiss_exception
from oms_hub.store.web_exceptions import get_exception
from oms_hub.store.web_overview import connection_cards
from oms_hub.store.web_table_rows import ALERTS, EXCEPTIONS, LISTINGS, ORDERS, STOCK
from oms_hub.store.web_tables import TableDefinition, TableQuery, read_page
from oms_hub.sync.hub import Hub
from oms_hub.web.identity import NotAllowed, SignInNeeded, address_of
from oms_hub.web.options import hash_of, site_of


class Problem(BaseModel):
    """What went wrong, and what to do."""

    message: str
    remedy: str


router = APIRouter(
    prefix="/api/v1",
    tags=["v1"],
    responses={status: {"model": Problem} for status in (400, 401, 403, 404, 409, 413, 422, 503)},
)
_bearer = HTTPBearer(auto_error=False, description="A token that an owner made in the console")
Row = TypeVar("Row", bound=BaseModel)
_Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
_Mark = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[A-Za-z0-9_=-]*$")]


class Connection(BaseModel):
    """A connection and its health."""

    name: str
    channel: str
    state: str
    state_reason: str
    is_push_enabled: bool
    role: str
    last_good_pull_at: datetime | None
    last_good_push_at: datetime | None
    consecutive_failures: int
    last_failure: str
    in_flight: int
    open_exceptions: int
    open_pushes: int
    dead_pushes: int
    listings: int
    unmapped_listings: int
    next_run_at: datetime | None


class Order(BaseModel):
    """An order at its newest version."""

    label: str
    connection: str
    order_id: str
    placed_at: datetime
    state: str
    payment_state: str
    fulfilment_state: str
    total: Decimal
    currency: str
    is_vanished: bool


class StockLevel(BaseModel):
    """A SKU over all places; null where it was never counted."""

    sku: str
    title: str
    on_hand: int | None
    allocated: int
    reserved: int
    available: int | None
    listings: int
    level: str


class Listing(BaseModel):
    """A SKU offered on a connection."""

    connection: str
    listing_key: str
    title: str
    channel_sku: str | None
    sku: str | None
    link_state: str
    observed: int | None
    desired: int | None
    is_active: bool


class Exceptional(BaseModel):
    """Something that needs a person."""

    exception_id: int
    kind: str
    reference: str
    message: str
    remedy: str
    connection: str
    state: str
    opened_at: datetime
    last_seen_at: datetime
    occurrences: int
    closed_reason: str


class Alert(BaseModel):
    """Something that crossed a line."""

    kind: str
    reference: str
    message: str
    units: int
    connection: str
    state: str
    fired_at: datetime
    cleared_at: datetime | None


class Page(BaseModel, Generic[Row]):
    """One page; give `next_mark` as `after` for the next one, which is the last where it is empty."""

    rows: list[Row]
    next_mark: str


class Dismissal(BaseModel):
    """Why an exception may be dismissed."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class Bearer:
    """Who asks, and the hub as their business sees it."""

    def __init__(self, request: Request, bearer: TokenBearer) -> None:
        self.bearer = bearer
        self.address = address_of(request)
        self.hub: Hub = site_of(request).behind_wall(bearer.merchant_id)


def bearer(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Bearer:
    """Return what the token opens; 401 for none."""
    site = site_of(request)
    if given is None:
        raise SignInNeeded
    with site.hub.store.begin() as tx:
        found = use_token(tx, hash_of(given.credentials), at=site.hub.clock())
    if found is None:
        raise SignInNeeded
    return Bearer(request, found)


Asked = Annotated[Bearer, Depends(bearer)]


class Paging:
    """Which page is asked for."""

    def __init__(
        self,
        q: Annotated[_Text, Query(description="Search")] = "",
        after: Annotated[_Mark, Query(description="`next_mark` of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        order: Literal["asc", "desc"] | None = None,
    ) -> None:
        self.query = TableQuery(
            is_descending=None if order is None else order == "desc", search=q, after=after, limit=limit
        )


Paged = Annotated[Paging, Depends()]


def _page(asked: Bearer, table: TableDefinition, paging: Paging, **filters: str) -> dict[str, Any]:
    given = paging.query
    query = TableQuery("", given.is_descending, given.search, filters, given.after, given.limit)
    with asked.hub.store.read() as tx:
        page = read_page(tx, table, asked.bearer.merchant_id, query)
    return {"rows": page.rows, "next_mark": page.next_mark}


@router.get("/connections", response_model=list[Connection])
def connections(asked: Asked) -> Sequence[dict[str, Any]]:
    """Return the connections with their health."""
    with asked.hub.store.read() as tx:
        return [asdict(card) for card in connection_cards(tx, asked.bearer.merchant_id)]


@router.get("/orders", response_model=Page[Order])
def orders(asked: Asked, paging: Paged, connection: _Text = "", state: _Text = "") -> dict[str, Any]:
    """Return orders, the newest first."""
    return _page(asked, ORDERS, paging, connection=connection, state=state)


@router.get("/stock", response_model=Page[StockLevel])
def stock(asked: Asked, paging: Paged, level: _Text = "") -> dict[str, Any]:
    """Return SKUs with their levels over all places."""
    return _page(asked, STOCK, paging, level=level)


@router.get("/listings", response_model=Page[Listing])
def listings(asked: Asked, paging: Paged, connection: _Text = "", link: _Text = "") -> dict[str, Any]:
    """Return what is offered where."""
    return _page(asked, LISTINGS, paging, connection=connection, link=link)


@router.get("/exceptions", response_model=Page[Exceptional])
def exceptions(asked: Asked, paging: Paged, state: _Text = "open", kind: _Text = "") -> dict[str, Any]:
    """Return what needs a person, the newest first."""
    return _page(asked, EXCEPTIONS, paging, state=state, kind=kind)


@router.get("/alerts", response_model=Page[Alert])
def alerts(asked: Asked, paging: Paged, state: _Text = "open", kind: _Text = "") -> dict[str, Any]:
    """Return what crossed a line, the newest first."""
    return _page(asked, ALERTS, paging, state=state, kind=kind)


@router.post("/exceptions/{exception_id}/dismiss", response_model=Exceptional)
def dismiss(asked: Asked, exception_id: Annotated[int, Path(ge=1, le=2**63 - 1)], given: Dismissal) -> dict[str, Any]:
    """Close an exception because a person says so; needs a token of an operator."""
    if asked.bearer.role != "operator":
        raise NotAllowed
    merchant_id = asked.bearer.merchant_id
    with asked.hub.store.begin() as tx:
        if get_exception(tx, exception_id) is None:
            raise HTTPException(404)
        try:
            dismiss_exception(tx, exception_id, given.reason)
        except Misconfigured as error:
            raise HTTPException(409) from error
        write_audit(
            tx, merchant_id=merchant_id, actor=f"token {asked.bearer.name}", action="exception.dismiss",
            subject=str(exception_id), detail={"reason": given.reason}, address=asked.address,
        )  # fmt: skip
        found = get_exception(tx, exception_id)
    return {**asdict(found), "connection": found.connection or ""} if found else {}
