"""Pulling what is offered on a connection: its places and its listings, linked where their code tells the SKU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oms_hub.channel.contract import Channel, ChannelSession, ListingRecord
from oms_hub.store.connections import StoredConnection
from oms_hub.store.goods import ChannelPlace, store_channel_places
from oms_hub.store.listing_links import LinkCounts, link_listings
from oms_hub.store.listings import ListingRow, deactivate_unseen, upsert_listings
from oms_hub.sync.hub import Hub
from oms_hub.sync.steps import StepRun, running_step


@dataclass(frozen=True, slots=True)
class ListingsReport:
    """What a pull of listings saw, and how the connection's active listings are linked now."""

    seen: int
    linked: int
    unmapped: int
    duplicates: int


def pull_listings(hub: Hub, name: str) -> ListingsReport:
    """Pull all listings of a connection, keep them, and link those whose SKU is known or new.

    A listing that a complete pull no longer tells turns inactive. A channel without listings gives zeros.

    Raises:
        HubError: the channel or the store failed; what was seen before is kept, nothing is deactivated.
    """
    stored = hub.connection(name)
    channel = hub.channel(stored)
    with running_step(hub, stored, "pull_listings") as run:
        session = hub.session(stored)
        if channel.locations is not None:
            _keep_places(hub, run, stored, channel, session)
        seen, counts = _pull(hub, run, stored, channel, session)
        run.count(seen=seen, linked=counts.linked, unmapped=counts.unmapped, duplicates=counts.duplicates)
    return ListingsReport(seen, counts.linked, counts.unmapped, counts.duplicates)


def _keep_places(hub: Hub, run: StepRun, stored: StoredConnection, channel: Channel, session: ChannelSession) -> None:
    told = [] if channel.locations is None else channel.locations(session)
    places = [ChannelPlace(each.channel_location_id, each.name, each.is_default, each.is_active) for each in told]
    with hub.store.begin() as tx:
        run.lease.assert_held(tx)
        store_channel_places(tx, stored.connection_id, places)


def _pull(
    hub: Hub, run: StepRun, stored: StoredConnection, channel: Channel, session: ChannelSession
) -> tuple[int, LinkCounts]:
    if channel.listing_source is None:
        return 0, LinkCounts(0, 0, 0)
    seen_at = hub.clock()
    seen = 0
    for batch in channel.listing_source(session):
        with hub.store.begin() as tx:
            run.lease.assert_held(tx)
            seen += upsert_listings(tx, stored.connection_id, _rows(batch), seen_at=seen_at)
    with hub.store.begin() as tx:
        run.lease.assert_held(tx)
        deactivate_unseen(tx, stored.connection_id, seen_at=seen_at)
        return seen, link_listings(tx, stored.merchant_id, stored.connection_id)


def _rows(batch: Sequence[ListingRecord]) -> list[ListingRow]:
    return [
        ListingRow(
            record.listing_key, record.sku, record.title, record.is_tracked, record.is_writable, record.is_active,
            record.barcode, record.parent_key, record.attributes,
        )
        for record in batch
    ]  # fmt: skip
