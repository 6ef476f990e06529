"""Connecting an account: its settings are checked, its credentials tried, then both are stored in one transaction.

Not here: asking a person for them (`oms_hub.commands.connections`), encrypting them (`oms_hub.channel.secrets`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from oms_hub.channel.contract import ChannelSession, CheckResult, Connection
from oms_hub.channel.secrets import resolve_reference
from oms_hub.errors import Misconfigured
from oms_hub.store.connections import Role, StoredConnection, add_connection, list_connections, renew_connection
from oms_hub.store.merchants import Merchant
from oms_hub.store.rate_buckets import StoredBuckets
from oms_hub.store.vault import forget_secrets, put_secrets, secret_names
from oms_hub.sync.hub import Hub

_LONGEST_WAIT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class NewConnection:
    """An account that is not stored yet. `secrets` are plain values, `references` name where others are."""

    channel: str
    name: str
    merchant: Merchant
    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    references: Mapping[str, str] = field(default_factory=dict)
    role: Role = "follows"
    is_push_enabled: bool = False


class MemorySecrets:
    """Secrets that are only tried, not stored: what a channel replaces is kept here and stored with the rest."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)

    def get(self, name: str) -> str | None:
        """Return a secret's value, None where it was not given."""
        return self.values.get(name)

    def replace(self, values: Mapping[str, str]) -> None:
        """Keep rotated tokens, to be stored with the connection."""
        self.values.update(values)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Give the right to refresh; nobody else knows this connection yet."""
        yield


def check_new(hub: Hub, new: NewConnection) -> None:
    """Check names, settings and secrets against what the channel takes, before any request.

    Raises:
        Misconfigured: naming every unknown or missing setting, and where to look up the right ones.
    """
    channel = hub.channels[new.channel]
    if new.role not in ("follows", "counts"):
        raise Misconfigured(f"Role {new.role!r} is unknown", remedy="Give follows or counts")
    known = {setting.name: setting for setting in channel.settings}
    given = {**new.settings, **dict.fromkeys([*new.secrets, *new.references], "")}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise Misconfigured(
            f"{new.channel} has no setting {', '.join(unknown)}",
            remedy=f"Its settings are: {', '.join(known)}",
        )
    plain = sorted(name for name in new.settings if known[name].is_secret)
    if plain:
        raise Misconfigured(f"{', '.join(plain)} is a secret", remedy=f"Give it with --secret {plain[0]}=env:VARIABLE")
    missing = [name for name, setting in known.items() if setting.is_required and name not in given]
    if missing:
        described = "; ".join(f"{name} ({known[name].description})" for name in missing)
        raise Misconfigured(f"{new.channel} needs {described}", remedy=f"Give --set {missing[0]}=...")
    channel.check_settings(new.settings)


def check_connection(hub: Hub, new: NewConnection) -> tuple[Sequence[CheckResult], NewConnection]:
    """Try an account's credentials step by step, without storing anything.

    Returns:
        One result per step, and the connection to store: with the tokens that the channel gave meanwhile.
    """
    channel = hub.channels[new.channel]
    given = _resolved(new.references)
    secrets = MemorySecrets({**new.secrets, **given})
    session = ChannelSession(
        connection=Connection(
            connection_id=0,
            name=new.name,
            channel=new.channel,
            merchant=new.merchant.name,
            currency=new.merchant.currency,
            time_zone=new.merchant.time_zone,
            settings=new.settings,
        ),
        secrets=secrets,
        clock=hub.clock,
        sleep=hub.sleep,
        buckets=StoredBuckets(hub.store, new.merchant.merchant_id),
    )
    results = channel.check(_hurried(session))
    kept = {name: value for name, value in secrets.values.items() if given.get(name) != value}
    references = {name: place for name, place in new.references.items() if name not in kept}  # the others are used up
    return results, replace(new, secrets=kept, references=references)


def check_stored(hub: Hub, name: str) -> Sequence[CheckResult]:
    """Try a stored connection step by step; raises Misconfigured where there is none of that name."""
    stored = hub.connection(name)
    return hub.channel(stored).check(_hurried(hub.session(stored)))


def _hurried(session: ChannelSession) -> ChannelSession:
    """Return the session for a test that a person waits for: what does not answer is told within seconds."""
    return replace(session, sleep=lambda seconds: session.sleep(min(seconds, _LONGEST_WAIT_SECONDS)))


def _resolved(references: Mapping[str, str]) -> dict[str, str]:
    return {name: resolve_reference(reference) for name, reference in references.items()}


def store_new(hub: Hub, new: NewConnection) -> StoredConnection:
    """Store the connection and its secrets, all or nothing.

    A connection of that name that waits for new credentials gets them and goes on; its role and pushing stay.

    Raises:
        Misconfigured: the name is taken by a connection that does not wait, or by another merchant's or channel's.
    """
    with hub.store.begin() as tx:
        waiting = next((known for known in list_connections(tx) if _waits_for(known, new)), None)
        if waiting is not None:
            given = {*new.secrets, *new.references}
            forget_secrets(
                tx,
                waiting.connection_id,
                [name for name in secret_names(tx, waiting.connection_id) if name not in given],
            )
            stored = renew_connection(tx, waiting, new.settings)
        else:
            stored = add_connection(
                tx,
                new.name,
                merchant=new.merchant,
                channel=new.channel,
                settings=new.settings,
                role=new.role,
                is_push_enabled=new.is_push_enabled,
            )
        put_secrets(tx, stored, values=new.secrets, references=new.references, box=hub.box)
    return stored


def _waits_for(known: StoredConnection, new: NewConnection) -> bool:
    is_same = (known.name, known.channel, known.merchant_id) == (new.name, new.channel, new.merchant.merchant_id)
    return is_same and known.state == "needs_reconnect"
