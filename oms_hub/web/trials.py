"""Trying an account before it is stored, and storing it: what the form and the authorisation have in common.

What belongs here: from settings and secrets to a stored connection. Not here: pages and routes (`connect`, `oauth`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from oms_hub.channel.contract import Channel, ChannelSession, CheckResult, Connection
from oms_hub.channel.public_hosts import PublicTransport
from oms_hub.errors import HubError, Misconfigured
from oms_hub.store.connections import Role, StoredConnection, get_connection, list_connections, renew_connection
from oms_hub.store.merchants import Merchant
from oms_hub.store.vault import forget_secrets, put_secrets, secret_names
from oms_hub.sync.connect import MemorySecrets, NewConnection, check_new, store_new
from oms_hub.sync.hub import Hub
from oms_hub.web.csrf import Form
from oms_hub.web.given_settings import check_reach, feed_path, split_form
from oms_hub.web.identity import Visitor

_LONGEST_WAIT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Draft:
    """An account that somebody is connecting. `renews` names the stored connection that gets new credentials."""

    channel: Channel
    name: str
    role: Role
    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    renews: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """What trying a draft gave: its steps, and the draft with the tokens that the channel gave meanwhile."""

    draft: Draft
    results: Sequence[CheckResult]

    @property
    def is_good(self) -> bool:
        """Return whether every step went well."""
        return bool(self.results) and all(each.is_ok for each in self.results)


def draft_of(visitor: Visitor, channel: Channel, form: Form) -> Draft:
    """Return the draft that a form describes.

    Raises:
        Misconfigured: a setting that cannot be, or an address or path that must not be reached.
    """
    settings, secrets = split_form(channel, form, visitor.site.options)
    feed = channel.file_feed
    if feed is not None:
        path = settings.get(feed.path_setting, "")
        if not path:
            raise Misconfigured("Say where the files are")
        settings[feed.path_setting] = feed_path(path, options=visitor.site.options, merchant_id=visitor.merchant_id)
        mapping = mapping_of(form)
        if mapping:
            settings[feed.mapping_setting] = mapping
    check_reach(channel, settings, secrets, options=visitor.site.options)
    role: Role = "counts" if form.get("role") == "counts" else "follows"
    name = form.get("name", "") or free_name(visitor, channel.name)
    return Draft(channel, name, role, settings, secrets)


def mapping_of(form: Form) -> str:
    """Return the columns that a form maps as a JSON object, empty where it maps none."""
    found = {name.removeprefix("map."): value for name, value in form.items() if name.startswith("map.") and value}
    return json.dumps(found, ensure_ascii=False) if found else ""


def free_name(visitor: Visitor, channel: str) -> str:
    """Return a name that no connection of the merchant has."""
    with visitor.hub.store.read() as tx:
        taken = {stored.name for stored in list_connections(tx)}
    base = re.sub("[^A-Za-z0-9]+", "-", f"{visitor.merchant.merchant} {channel}").strip("-").lower()[:50] or channel
    names = [base, *(f"{base}-{number}" for number in range(2, len(taken) + 2))]
    return next(name for name in names if name not in taken)


def try_draft(visitor: Visitor, draft: Draft) -> Trial:
    """Try a draft step by step; nothing is stored, and only public hosts are called.

    Raises:
        Misconfigured: settings that cannot work, before any request.
    """
    known = {each.name for each in draft.channel.settings}
    typed = {name: value for name, value in draft.secrets.items() if name in known}
    check_new(visitor.hub, new_connection(visitor, replace(draft, secrets=typed)))
    secrets = MemorySecrets(draft.secrets)
    try:
        results = draft.channel.check(session_of(visitor, draft, secrets))
    except HubError as error:
        results = [CheckResult("connection", False, error.message, error.remedy)]
    return Trial(replace(draft, secrets=dict(secrets.values)), results)


def session_of(visitor: Visitor, draft: Draft, secrets: MemorySecrets) -> ChannelSession:
    """Return a session for an account that is not stored; what does not answer is told within seconds."""
    hub, merchant = visitor.site.hub, visitor.merchant
    return ChannelSession(
        connection=Connection(
            connection_id=0, name=draft.name, channel=draft.channel.name, merchant=merchant.merchant,
            currency=merchant.currency, time_zone=merchant.time_zone, settings=dict(draft.settings),
        ),
        secrets=secrets,
        clock=hub.clock,
        sleep=lambda seconds: hub.sleep(min(seconds, _LONGEST_WAIT_SECONDS)),
        transport=PublicTransport(allows_loopback=visitor.site.options.allows_loopback),
    )  # fmt: skip


def new_connection(visitor: Visitor, draft: Draft) -> NewConnection:
    """Return a draft as the sync knows it; pushing is off until somebody turns it on."""
    member = visitor.merchant
    merchant = Merchant(member.merchant_id, member.merchant, member.currency, member.time_zone)
    return NewConnection(
        draft.channel.name, draft.name, merchant, dict(draft.settings), secrets=dict(draft.secrets), role=draft.role
    )


def store_draft(visitor: Visitor, draft: Draft) -> StoredConnection:
    """Store a draft that went well: a new connection, or new credentials for one that keeps its history."""
    hub = visitor.hub
    action = "connection.reconnect" if draft.renews else "connection.add"
    stored = _renew(hub, draft) if draft.renews else store_new(hub, new_connection(visitor, draft))
    with hub.store.begin() as tx:
        visitor.audit(tx, action, stored.name, channel=stored.channel)
    return stored


def _renew(hub: Hub, draft: Draft) -> StoredConnection:
    with hub.store.begin() as tx:
        known = get_connection(tx, draft.name)
        if known.channel != draft.channel.name:
            raise Misconfigured(f"{draft.name} is on another channel")
        forget_secrets(tx, known.connection_id, list(secret_names(tx, known.connection_id)))
        stored = renew_connection(tx, known, dict(draft.settings))
        put_secrets(tx, stored, values=dict(draft.secrets), references={}, box=hub.box)
    return stored
