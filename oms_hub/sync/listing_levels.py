"""Reading levels from a channel, for every step that needs them: one place to ask at, odd answers kept with a note."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from oms_hub.channel.contract import Channel, ChannelSession, ListingRef, ObservedLevel
from oms_hub.store.connections import StoredConnection
from oms_hub.store.engine import Transaction
from oms_hub.store.goods import channel_place
from oms_hub.store.levels import SeenLevel
from oms_hub.store.listings import ReadableListing
from oms_hub.store.policy_places import feeding_places

UNTOLD = "the channel told no level for it"


def place_of(tx: Transaction, stored: StoredConnection, channel: Channel) -> str | None:
    """Return the channel's place that this connection reads and writes, None where the channel has one figure only.

    Raises:
        Misconfigured: the setting `location` names none of the channel's places.
    """
    if not channel.capabilities.has_locations:
        return None
    feeding = feeding_places(tx, stored.connection_id)
    return channel_place(tx, stored.connection_id, stored.settings.get("location"), feeding=feeding)


def reference(listing: ReadableListing, place: str | None) -> ListingRef:
    """Return how a connector is told which listing is meant."""
    return ListingRef(listing.listing_key, place, listing.attributes)


def read_levels(
    channel: Channel, session: ChannelSession, references: Sequence[ListingRef]
) -> Mapping[str, ObservedLevel]:
    """Return the levels that the channel tells now, by listing key; what it does not tell is not among them.

    Levels of other places than the one asked for are left out.
    """
    if channel.stock_source is None or not references:
        return {}
    asked = {each.listing_key: each.channel_location_id for each in references}
    return {
        level.listing_key: level
        for level in channel.stock_source(session, references)
        if level.listing_key in asked
        and (level.channel_location_id is None or asked[level.listing_key] in (None, level.channel_location_id))
    }


def seen_levels(asked: Iterable[str], levels: Mapping[str, ObservedLevel]) -> list[SeenLevel]:
    """Return what was read of each listing asked for, as the store keeps it; an odd level carries a note."""
    found = {key: levels.get(key) for key in asked}
    return [
        SeenLevel(key, None, None, UNTOLD)
        if level is None
        else SeenLevel(key, level.available, level.on_hand, note_of(level))
        for key, level in found.items()
    ]


def note_of(level: ObservedLevel) -> str:
    """Return why a level is odd, the channel's own words first; empty for an ordinary one."""
    if level.note or level.available is None:
        return level.note or "the channel keeps no level for it"
    return "sold below zero on the channel" if level.available < 0 else ""
