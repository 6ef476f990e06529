"""The hub as the steps see it: the store, the channels, the cipher, the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oms_hub.channel.contract import Channel, ChannelSession, Connection
from oms_hub.channel.registry import load_channels
from oms_hub.channel.secrets import open_box, resolve_reference
from oms_hub.clock import Clock, Sleep, sleep, utc_now
from oms_hub.errors import Misconfigured
from oms_hub.store.connections import StoredConnection, get_connection
from oms_hub.store.engine import Store, open_store
from oms_hub.store.rate_buckets import StoredBuckets
from oms_hub.store.vault import Box, ConnectionSecrets

if TYPE_CHECKING:
    from oms_hub.settings import Settings


@dataclass(frozen=True, slots=True)
class Hub:
    """What every step works with. Made by `open_hub`, or by hand in tests."""

    store: Store
    channels: Mapping[str, Channel]
    box: Box
    clock: Clock = utc_now
    sleep: Sleep = sleep

    def connection(self, name: str) -> StoredConnection:
        """Return a connection by name; raises Misconfigured where there is none."""
        with self.store.read() as tx:
            return get_connection(tx, name)

    def channel(self, stored: StoredConnection) -> Channel:
        """Return the channel of a connection.

        Raises:
            Misconfigured: no connector for it is installed.
        """
        channel = self.channels.get(stored.channel) if stored.channel in self.channels else None
        if channel is None:
            raise Misconfigured(
                f"Connection {stored.name} is on channel {stored.channel!r}, which is not installed",
                remedy=f"Install its connector; installed: {', '.join(sorted(self.channels)) or 'none'}",
            )
        return channel

    def session(self, stored: StoredConnection) -> ChannelSession:
        """Return what a connector works with for a connection."""
        return ChannelSession(
            connection=plain_connection(stored),
            secrets=ConnectionSecrets(
                self.store, stored.connection_id, stored.merchant_id, self.box, resolve=resolve_reference
            ),
            clock=self.clock,
            sleep=self.sleep,
            buckets=StoredBuckets(self.store, stored.merchant_id),
        )

    def close(self) -> None:
        """Close the store."""
        self.store.close()


def plain_connection(stored: StoredConnection) -> Connection:
    """Return a connection as the channel port knows it: without state, without secrets."""
    return Connection(
        connection_id=stored.connection_id,
        name=stored.name,
        channel=stored.channel,
        merchant=stored.merchant,
        currency=stored.currency,
        time_zone=stored.time_zone,
        settings=stored.settings,
    )


def open_hub(settings: Settings, *, clock: Clock = utc_now, sleep: Sleep = sleep) -> Hub:
    """Open the hub that the settings describe, with all installed channels; raises as `open_store` does."""
    store = open_store(settings)
    try:
        master_key = None if settings.master_key is None else settings.master_key.get_secret_value()
        return Hub(store, load_channels(), open_box(settings.home, master_key=master_key), clock, sleep)
    except BaseException:
        store.close()
        raise
