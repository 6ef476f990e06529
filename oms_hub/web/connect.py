"""Connecting an account: a page per channel, made of what the channel itself tells.

What belongs here: the list of channels, the form, the trial, reconnecting. Not here: authorisations (`oauth`), what
follows once an account is stored (`connections`, `mapping`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from oms_hub.channel.connecting import FeedPreview, FileFeed
from oms_hub.channel.contract import Channel
from oms_hub.errors import HubError, Misconfigured
from oms_hub.store.connections import StoredConnection, get_connection
from oms_hub.sync.connect import MemorySecrets
from oms_hub.web.csrf import Form, Posted
from oms_hub.web.given_settings import PREFIX, asked_settings, feed_folder
from oms_hub.web.identity import Owner, Visitor
from oms_hub.web.pages import go, show, words_for
from oms_hub.web.trials import draft_of, free_name, session_of, store_draft, try_draft

router = APIRouter(include_in_schema=False)


def channel_named(visitor: Visitor, name: str) -> Channel:
    """Return an installed channel; 404 where there is none of that name."""
    channels = visitor.site.hub.channels
    if name not in channels:
        raise HTTPException(404)
    return channels[name]


def stored_named(visitor: Visitor, name: str) -> StoredConnection:
    """Return one of the merchant's connections; 404 where it has none of that name, whoever else may."""
    try:
        with visitor.hub.store.read() as tx:
            return get_connection(tx, name.replace("\0", ""))
    except Misconfigured:
        raise HTTPException(404) from None


@router.get("/connect")
def channels(request: Request, visitor: Owner) -> Response:
    """Show what can be connected."""
    found = visitor.site.hub.channels
    return show(request, "channels.html", visitor=visitor, channels=[found[name] for name in sorted(found)])


@router.get("/connect/{channel_name}")
def ask(request: Request, visitor: Owner, channel_name: str) -> Response:
    """Show what a channel needs, where to find it, and what the hub does with it."""
    channel = channel_named(visitor, channel_name)
    return connect_page(request, visitor, channel, {"name": free_name(visitor, channel.name)})


@router.get("/connections/{name}/reconnect")
def ask_again(request: Request, visitor: Owner, name: str) -> Response:
    """Show the same for a connection that gets new credentials."""
    stored = stored_named(visitor, name)
    values = {"name": stored.name, **{f"{PREFIX}{key}": value for key, value in stored.settings.items()}}
    return connect_page(request, visitor, visitor.site.hub.channel(stored), values, renews=stored.name)


def connect_page(
    request: Request, visitor: Visitor, channel: Channel, values: Mapping[str, str], *, renews: str = "", **shown: Any
) -> Response:
    """Return a channel's page with what was typed so far; secrets are never put back into it."""
    words, options = words_for(request, visitor), visitor.site.options
    secret = {f"{PREFIX}{each.name}" for each in channel.settings if each.is_secret}
    problem = shown.get("problem")
    context = {"results": (), "problem": None, "preview": None, "mapping": {}, **shown}
    folder = feed_folder(options, visitor.merchant_id) if channel.file_feed else ""
    return show(
        request, "connect.html", visitor=visitor, channel=channel, fields=asked_settings(channel, words, options),
        guide=channel.guide.text(words.language) if channel.guide else None, renews=renews, prefix=PREFIX,
        values={name: value for name, value in values.items() if name not in secret}, folder=folder,
        needed=frozenset(channel.oauth.needs) if channel.oauth else frozenset(),
        status=409 if problem is not None or context["results"] else 200, **context,
    )  # fmt: skip


@router.post("/connect/{channel_name}/try")
def try_new(request: Request, visitor: Owner, channel_name: str, form: Posted) -> Response:
    """Try what was typed step by step, and store it where all is well."""
    return _try(request, visitor, channel_named(visitor, channel_name), form)


@router.post("/connections/{name}/reconnect")
def try_again(request: Request, visitor: Owner, name: str, form: Posted) -> Response:
    """Try new credentials for a connection, and store them where all is well."""
    stored = stored_named(visitor, name)
    return _try(request, visitor, visitor.site.hub.channel(stored), {**form, "name": stored.name}, renews=stored.name)


def _try(request: Request, visitor: Visitor, channel: Channel, form: Form, *, renews: str = "") -> Response:
    try:
        draft = replace(draft_of(visitor, channel, form), renews=bool(renews))
        trial = try_draft(visitor, draft)
        if trial.is_good:
            stored = store_draft(visitor, trial.draft)
            return go(f"/connections/{stored.name}/setup", said="The connection is stored.")
    except HubError as error:
        return connect_page(request, visitor, channel, form, renews=renews, problem=error)
    return connect_page(request, visitor, channel, form, renews=renews, results=trial.results)


@router.post("/connect/{channel_name}/preview")
def preview(request: Request, visitor: Owner, channel_name: str, form: Posted) -> Response:
    """Show the first rows of a feed's newest file, and ask which column is what."""
    channel = channel_named(visitor, channel_name)
    feed = channel.file_feed
    if feed is None:
        raise HTTPException(404)
    try:
        draft = draft_of(visitor, channel, form)
        channel.check_settings(draft.settings)
        seen = feed.preview(session_of(visitor, draft, MemorySecrets(draft.secrets)))
    except HubError as error:
        return connect_page(request, visitor, channel, form, problem=error)
    return connect_page(request, visitor, channel, form, preview=seen, mapping=_mapping(feed, seen, form))


def _mapping(feed: FileFeed, seen: FeedPreview, form: Form) -> Mapping[str, str]:
    """Return which column each field is: as chosen, else the column of the same name."""
    plain = {column.strip().lower().replace(" ", "_"): column for column in seen.columns}
    return {each: form.get(f"map.{each}", "") or plain.get(each, "") for each in feed.fields}
