"""Exceptions: what needs a person, and the remedies: map the SKU, try again, dismiss with a reason."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from oms_hub.errors import HubError, Misconfigured
from oms_hub.store.exceptions import KINDS, StoredException, dismiss_exception
from oms_hub.store.goods import add_skus, find_sku
from oms_hub.store.stock import map_order_lines
from oms_hub.store.web_exceptions import get_exception
from oms_hub.store.web_table_rows import EXCEPTIONS
from oms_hub.sync.retry_exception import retry_exception
from oms_hub.web.browse import connection_names
from oms_hub.web.csrf import Posted
from oms_hub.web.identity import Operator, Viewer, Visitor
from oms_hub.web.pages import address, go, show
from oms_hub.web.tables import shown_table

router = APIRouter(include_in_schema=False)

RETRIED = frozenset({"bad_payload", "push_rejected"})
_LONGEST_REASON = 500


@router.get("/exceptions")
def exceptions(request: Request, visitor: Viewer) -> Response:
    """Show what needs a person."""
    choices = {"kind": KINDS, "connection": connection_names(visitor)}
    links = {each: lambda row: f"/exceptions/{row['exception_id']}" for each in ("exception_id", "message")}
    shown = shown_table(request, visitor, EXCEPTIONS, choices=choices, links=links, state="open")
    return show(request, "exceptions.html", visitor=visitor, shown=shown)


@router.get("/exceptions/{exception_id}")
def one_exception(request: Request, visitor: Viewer, exception_id: int) -> Response:
    """Show one, with what can be done."""
    return _page(request, visitor, _found(visitor, exception_id))


def _page(request: Request, visitor: Visitor, found: StoredException, problem: HubError | None = None) -> Response:
    return show(
        request, "exception.html", visitor=visitor, found=found, can_retry=found.kind in RETRIED,
        problem=problem, status=200 if problem is None else 409, about=_about(found),
    )  # fmt: skip


def _about(found: StoredException) -> str:
    """Return the address of the order that an exception is about, empty where it is about none."""
    of_orders = {"total_mismatch", "out_of_stock", "awaiting_payment", "on_hold"}
    if found.connection and found.kind in of_orders:
        return address("/orders/view", connection=found.connection, order=found.reference)
    return ""


def _found(visitor: Visitor, exception_id: int) -> StoredException:
    with visitor.hub.store.read() as tx:
        found = get_exception(tx, exception_id) if exception_id < 2**63 else None
    if found is None:
        raise HTTPException(404)
    return found


@router.post("/exceptions/{exception_id}/dismiss")
def dismiss(request: Request, visitor: Operator, exception_id: int, form: Posted) -> Response:
    """Close one because a person says so."""
    found = _found(visitor, exception_id)
    reason = form.get("reason", "")[:_LONGEST_REASON]
    if not reason:
        return _page(request, visitor, found, Misconfigured("Say why it may be dismissed"))
    try:
        with visitor.hub.store.begin() as tx:
            dismiss_exception(tx, exception_id, reason)
            visitor.audit(tx, "exception.dismiss", str(exception_id), kind=found.kind, reason=reason)
    except Misconfigured as error:
        return _page(request, visitor, found, error)
    return go("/exceptions", said="The exception is dismissed.")


@router.post("/exceptions/{exception_id}/retry")
def retry(request: Request, visitor: Operator, exception_id: int, form: Posted) -> Response:
    """Try again what one is about."""
    found = _found(visitor, exception_id)
    with visitor.hub.store.begin() as tx:
        visitor.audit(tx, "exception.retry", str(exception_id), kind=found.kind)
    try:
        outcome = retry_exception(visitor.site.hub, exception_id)
    except HubError as error:
        return _page(request, visitor, found, error)
    if outcome.is_resolved:
        return go("/exceptions", said="The exception is resolved.")
    return _page(request, visitor, found, Misconfigured(outcome.message))


@router.post("/exceptions/{exception_id}/map")
def map_sku(request: Request, visitor: Operator, exception_id: int, form: Posted) -> Response:
    """Add the SKU that an order names and nobody knows: its orders are completed without a new pull."""
    found = _found(visitor, exception_id)
    if found.kind != "unmapped_sku" or not found.reference:
        return _page(request, visitor, found, Misconfigured("Only an unmapped SKU can be mapped"))
    with visitor.hub.store.begin() as tx:
        if find_sku(tx, visitor.merchant_id, found.reference) is None:
            add_skus(tx, visitor.merchant_id, [found.reference])
        applied = map_order_lines(tx, visitor.merchant_id)
        visitor.audit(tx, "sku.add", found.reference, mapped_lines=applied.mapped_lines)
    return go("/exceptions", said="The SKU is added; its orders are complete.")
