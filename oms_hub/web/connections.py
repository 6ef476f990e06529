"""A connection's page: its health, its last steps, and the switches: pause, test, push, disconnect.

What belongs here: what is done to a connection that is stored. Not here: its listings and places (`mapping`).
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from oms_hub.channel.contract import Channel, CheckResult
from oms_hub.errors import HubError, Misconfigured
from oms_hub.store.connections import ConnectionState, StoredConnection, remove_connection, set_push, set_state
from oms_hub.store.sync_runs import latest_runs
from oms_hub.store.web_overview import connection_cards
from oms_hub.sync.connect import check_stored
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.hub import Hub
from oms_hub.web.connect import stored_named
from oms_hub.web.csrf import Posted
from oms_hub.web.identity import Operator, Owner, Viewer, Visitor
from oms_hub.web.pages import go, show

router = APIRouter(include_in_schema=False)

_RUNS = 15
_STATES: dict[str, tuple[ConnectionState, str]] = {
    "pause": ("paused", "The connection is paused."),
    "resume": ("active", "The connection is active."),
}


@router.get("/connections/{name}")
def connection(request: Request, visitor: Viewer, name: str) -> Response:
    """Show a connection."""
    return _page(request, visitor, stored_named(visitor, name))


def _page(
    request: Request,
    visitor: Visitor,
    stored: StoredConnection,
    *,
    results: tuple[CheckResult, ...] = (),
    problem: HubError | None = None,
) -> Response:
    with visitor.hub.store.read() as tx:
        cards = connection_cards(tx, visitor.merchant_id)
        runs = latest_runs(tx, connection_id=stored.connection_id, limit=_RUNS)
    return show(
        request, "connection.html", visitor=visitor, stored=stored, runs=runs, results=results, problem=problem,
        card=next(card for card in cards if card.name == stored.name),
        channel=_channel(visitor.site.hub, stored),
        status=200 if problem is None else 409,
    )  # fmt: skip


@router.post("/connections/{name}/test")
def test(request: Request, visitor: Operator, name: str, form: Posted) -> Response:
    """Say what works and what is missing, step by step."""
    stored = stored_named(visitor, name)
    try:
        results = tuple(check_stored(visitor.site.hub, stored.name))
    except HubError as error:
        return _page(request, visitor, stored, problem=error)
    return _page(request, visitor, stored, results=results)


@router.post("/connections/{name}/state/{action}")
def change_state(visitor: Operator, name: str, action: str, form: Posted) -> Response:
    """Pause a connection, or let it work again."""
    if action not in _STATES:
        raise HTTPException(404)
    stored = stored_named(visitor, name)
    state, said = _STATES[action]
    if stored.state in {"active", "paused"}:
        with visitor.hub.store.begin() as tx:
            set_state(tx, stored.connection_id, state)
            visitor.audit(tx, f"connection.{action}", stored.name)
    return go(f"/connections/{stored.name}", said=said)


@router.post("/connections/{name}/push")
def push(visitor: Owner, name: str, form: Posted) -> Response:
    """Make pushing live, or a dry run again."""
    stored = stored_named(visitor, name)
    is_on = form.get("push") == "on"
    with visitor.hub.store.begin() as tx:
        set_push(tx, stored.connection_id, is_on)
        visitor.audit(tx, "connection.push_on" if is_on else "connection.push_off", stored.name)
    if is_on:
        hub = visitor.site.hub
        visitor.site.run_later(stored.connection_id, lambda: deliver_push(hub, stored.name))
    said = "Pushing is live: levels are sent from now on." if is_on else "Pushing is off: it is a dry run again."
    return go(f"/connections/{stored.name}", said=said)


@router.post("/connections/{name}/disconnect")
def disconnect(visitor: Owner, name: str, form: Posted) -> Response:
    """Revoke the hub's access at the channel where that is possible, erase the secrets; orders and reports stay."""
    stored = stored_named(visitor, name)
    hub = visitor.site.hub
    was_revoked = _revoke(hub, stored)
    with visitor.hub.store.begin() as tx:
        remove_connection(tx, stored.connection_id)
        visitor.audit(tx, "connection.remove", stored.name, revoked=was_revoked)
    if was_revoked:
        return go("/", said="Disconnected: access was revoked at the channel, and the secrets are erased.")
    return go("/", said="Disconnected: the secrets are erased. Take the access back at the channel too.")


def _channel(hub: Hub, stored: StoredConnection) -> Channel | None:
    """Return the connection's channel, None where its connector is not installed any more."""
    try:
        return hub.channel(stored)
    except Misconfigured:
        return None


def _revoke(hub: Hub, stored: StoredConnection) -> bool:
    """Return whether the channel took the access back; where it cannot, disconnecting goes on nevertheless."""
    channel = _channel(hub, stored)
    if channel is None or channel.revoke is None:
        return False
    try:
        channel.revoke(hub.session(stored))
    except HubError:
        return False
    return True
