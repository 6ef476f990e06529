"""Pulling the levels that a connection's listings show now."""

from __future__ import annotations

from dataclasses import dataclass

from oms_hub.store.levels import mark_held, record_observed
from oms_hub.store.listings import readable_listings
from oms_hub.sync.hub import Hub
from oms_hub.sync.listing_levels import place_of, read_levels, reference, seen_levels
from oms_hub.sync.steps import running_step

_LISTINGS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class LevelsReport:
    """How many levels were read, and how many of the listings asked for have none."""

    read: int
    untracked: int


def pull_stock(hub: Hub, name: str) -> LevelsReport:
    """Read the level of every active listing of a connection and keep it as observed.

    Negative levels are kept as they are; a listing without a level keeps none, with a note that says why. This is the
    daily absolute check: what differs from what was expected enters the ledger and is planned again, and so is what is
    held back.

    Raises:
        HubError: the channel or the store failed; levels read before stay recorded.
        Misconfigured: the setting `location` names none of the channel's places.
    """
    stored = hub.connection(name)
    channel = hub.channel(stored)
    read = untracked = 0
    with running_step(hub, stored, "pull_stock") as run:
        session = hub.session(stored)
        after = ""
        while channel.stock_source is not None:
            with hub.store.read() as tx:
                place = place_of(tx, stored, channel)
                listings = readable_listings(tx, stored.connection_id, after=after, limit=_LISTINGS_AT_ONCE)
            if not listings:
                break
            observed_at = hub.clock()
            levels = read_levels(channel, session, [reference(listing, place) for listing in listings])
            with hub.store.begin() as tx:
                run.lease.assert_held(tx)
                keys = [listing.listing_key for listing in listings]
                record_observed(tx, stored.connection_id, seen_levels(keys, levels), observed_at=observed_at)
            told = sum(level.available is not None for level in levels.values())
            read += told
            untracked += len(listings) - told
            after = listings[-1].listing_key
            run.count(read=read, untracked=untracked)
        with hub.store.begin() as tx:
            run.lease.assert_held(tx)
            mark_held(tx, stored.merchant_id, stored.connection_id)
    return LevelsReport(read, untracked)
