"""Authorisations at a channel: going there, coming back once, tokens that no browser ever sees.

What belongs here: states, their routes. Not here: what a channel makes of it (`Channel.oauth`), trying and storing the
account (`trials`). See docs/adr/0021.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from oms_hub.channel.connecting import OAuthFlow, OAuthReturn, OAuthStart
from oms_hub.channel.contract import Channel
from oms_hub.errors import HubError, Misconfigured
from oms_hub.store.sessions import PendingState, deliver_state, keep_state, peek_state, take_state
from oms_hub.sync.connect import MemorySecrets
from oms_hub.web.connect import channel_named, connect_page, stored_named
from oms_hub.web.csrf import Form, Posted
from oms_hub.web.given_settings import PREFIX
from oms_hub.web.identity import Owner, Visitor
from oms_hub.web.options import Site, hash_of, new_token, site_of
from oms_hub.web.pages import go, show
from oms_hub.web.trials import Draft, Trial, draft_of, session_of, store_draft, try_draft

router = APIRouter(include_in_schema=False)

_LONGEST_PARAMETER = 4_000


@router.post("/connect/{channel_name}/approve")
def begin(request: Request, visitor: Owner, channel_name: str, form: Posted) -> Response:
    """Keep what was typed, and show the way to the channel's own page of approval."""
    return _begin(request, visitor, channel_named(visitor, channel_name), form)


@router.post("/connections/{name}/approve")
def begin_again(request: Request, visitor: Owner, name: str, form: Posted) -> Response:
    """The same for a connection that gets new credentials."""
    stored = stored_named(visitor, name)
    return _begin(request, visitor, visitor.site.hub.channel(stored), {**form, "name": stored.name}, renews=stored.name)


def _begin(request: Request, visitor: Visitor, channel: Channel, form: Form, *, renews: str = "") -> Response:
    flow = _flow(channel)
    try:
        draft = replace(draft_of(visitor, channel, form), renews=bool(renews))
        given = {**draft.settings, **draft.secrets}
        missing = [name for name in flow.needs if name not in given]
        if missing:
            raise Misconfigured(f"{channel.title} needs {', '.join(missing)} first")
        state, verifier = new_token(), new_token()
        digest = hashlib.sha256(verifier.encode()).digest()
        start = OAuthStart(
            settings=draft.settings, secrets=draft.secrets, redirect_url=_return_url(visitor.site, channel),
            delivery_url=_delivery_url(visitor.site, channel), state=state,
            challenge=base64.urlsafe_b64encode(digest).decode().rstrip("="),
        )  # fmt: skip
        target = flow.authorize_url(start)
    except HubError as error:
        return connect_page(request, visitor, channel, form, renews=renews, problem=error)
    _keep(visitor, draft, state, verifier)
    return show(request, "approve.html", visitor=visitor, channel=channel, target=target, draft=draft)


def _keep(visitor: Visitor, draft: Draft, state: str, verifier: str) -> None:
    site = visitor.site
    packed = orjson.dumps(
        {
            "settings": dict(draft.settings), "secrets": dict(draft.secrets), "verifier": verifier,
            "role": draft.role, "renews": draft.renews,
        }
    )  # fmt: skip
    sealed = site.hub.box.encrypt(packed, _context(state))
    pending = PendingState(visitor.merchant_id, draft.channel.name, draft.name, sealed, None)
    with site.hub.store.begin() as tx:
        until = site.hub.clock() + site.options.state_lasts
        keep_state(tx, hash_of(state), hash_of(visitor.session_token), pending, until=until)
        visitor.audit(tx, "connection.approve_begin", draft.name, channel=draft.channel.name)


@router.get("/connect/{channel_name}/return")
def come_back(request: Request, visitor: Owner, channel_name: str) -> Response:
    """End an authorisation: the state is used up, the channel gives the tokens, the account is tried and stored."""
    channel = channel_named(visitor, channel_name)
    flow = _flow(channel)
    parameters = {name: value[:_LONGEST_PARAMETER] for name, value in request.query_params.items()}
    state = parameters.get(flow.state_parameter, "")
    site = visitor.site
    with site.hub.store.begin() as tx:
        pending = take_state(tx, hash_of(state), hash_of(visitor.session_token), at=site.hub.clock())
    if pending is None or pending.channel != channel.name or pending.merchant_id != visitor.merchant_id:
        return show(request, "approval_lost.html", visitor=visitor, channel=channel, status=400)
    draft, verifier = _draft(site, channel, pending, state)
    values = {"name": draft.name, **{f"{PREFIX}{name}": value for name, value in draft.settings.items()}}
    renews = draft.name if draft.renews else ""
    try:
        delivered = None if pending.granted is None else _opened(site, pending.granted, state)
        returned = OAuthReturn(parameters, _return_url(site, channel), verifier, delivered)
        trial = _granted(visitor, flow, draft, returned)
        if trial.is_good:
            stored = store_draft(visitor, trial.draft)
            return go(f"/connections/{stored.name}/setup", said="The connection is stored.")
    except HubError as error:
        return connect_page(request, visitor, channel, values, renews=renews, problem=error)
    return connect_page(request, visitor, channel, values, renews=renews, results=trial.results)


def _granted(visitor: Visitor, flow: OAuthFlow, draft: Draft, returned: OAuthReturn) -> Trial:
    """Return the trial of a draft with the secrets that the channel grants for what came back."""
    grant = flow.exchange(session_of(visitor, draft, MemorySecrets(draft.secrets)), returned)
    full = replace(
        draft, settings={**draft.settings, **grant.settings}, secrets={**draft.secrets, **grant.secrets}
    )  # fmt: skip
    return try_draft(visitor, full)


@router.post("/connect/{channel_name}/delivery")
async def take_delivery(request: Request, channel_name: str) -> Response:
    """Keep the keys that a channel posts on its own way, encrypted, until the session that asked comes for them."""
    site = site_of(request)
    if channel_name not in site.hub.channels:
        raise HTTPException(404)
    read = _flow(site.hub.channels[channel_name]).read_delivery
    if read is None:
        raise HTTPException(404)
    state, values = read(await request.body())
    with site.hub.store.begin() as tx:
        pending = peek_state(tx, hash_of(state), at=site.hub.clock())
        if pending is None or pending.channel != channel_name:
            raise HTTPException(404)
        deliver_state(tx, hash_of(state), site.hub.box.encrypt(orjson.dumps(dict(values)), _context(state)))
    return Response(status_code=200)


def _draft(site: Site, channel: Channel, pending: PendingState, state: str) -> tuple[Draft, str]:
    kept = orjson.loads(site.hub.box.decrypt(pending.sealed, _context(state)))
    draft = Draft(
        channel, pending.connection_name, kept["role"], kept["settings"], kept["secrets"], renews=kept["renews"]
    )
    return draft, str(kept["verifier"])


def _opened(site: Site, granted: bytes, state: str) -> Mapping[str, str]:
    found: dict[str, str] = orjson.loads(site.hub.box.decrypt(granted, _context(state)))
    return found


def _flow(channel: Channel) -> OAuthFlow:
    if channel.oauth is None:
        raise HTTPException(404)
    return channel.oauth


def _context(state: str) -> bytes:
    return b"oauth_state:" + hash_of(state)


def _return_url(site: Site, channel: Channel) -> str:
    return f"{site.options.origin}/connect/{channel.name}/return"


def _delivery_url(site: Site, channel: Channel) -> str:
    return f"{site.options.origin}/connect/{channel.name}/delivery"
