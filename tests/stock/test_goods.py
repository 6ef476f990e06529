"""Places: ours, and the channel's."""

from __future__ import annotations

import pytest

from oms_hub.errors import Misconfigured
from oms_hub.store.goods import (
    ChannelPlace,
    add_location,
    channel_place,
    default_location,
    link_location,
    list_locations,
    store_channel_places,
)


def test_a_merchant_starts_with_one_default_place_and_can_add_more(world):
    with world.store.begin() as tx:
        add_location(tx, world.merchant_id, "store", "The shop")
        places = list_locations(tx, world.merchant_id)

    assert [(place.code, place.name, place.is_default) for place in places] == [
        ("main", "", True),
        ("store", "The shop", False),
    ]


@pytest.mark.parametrize("code", ["", " a", "x" * 65, "a\nb", "main"])
def test_a_code_that_cannot_be_or_is_taken_is_refused(world, code):
    with pytest.raises(Misconfigured), world.store.begin() as tx:
        add_location(tx, world.merchant_id, code)

    with world.store.read() as tx:
        assert len(list_locations(tx, world.merchant_id)) == 1


def test_a_merchant_without_a_default_place_is_a_fault_that_says_so(world):
    world.run("UPDATE hub.locations SET is_default = false")

    with pytest.raises(Misconfigured, match="no default location"), world.store.read() as tx:
        default_location(tx, world.merchant_id)


def test_a_channels_places_are_kept_and_links_survive(world):
    shop, _ = world.connect("shop")
    with world.store.begin() as tx:
        store_channel_places(
            tx, shop.connection_id, [ChannelPlace("gid://1", "North"), ChannelPlace("2", "South", True)]
        )
        link_location(tx, shop.connection_id, "gid://1", world.main)
        store_channel_places(tx, shop.connection_id, [ChannelPlace("gid://1", "North hall")])

    assert world.rows(
        "SELECT channel_location_id, name, location_id, is_default, is_active FROM hub.location_links ORDER BY 1"
    ) == [("2", "South", None, False, False), ("gid://1", "North hall", world.main, False, True)]


def test_the_place_is_the_wanted_one_else_the_channels_default(world):
    shop, _ = world.connect("shop")
    with world.store.begin() as tx:
        assert channel_place(tx, shop.connection_id, None) is None
        store_channel_places(
            tx,
            shop.connection_id,
            [ChannelPlace("gid://Location/1", "North"), ChannelPlace("gid://Location/2", "South", True)],
        )

        assert channel_place(tx, shop.connection_id, "") == "gid://Location/2"
        assert channel_place(tx, shop.connection_id, "North") == "gid://Location/1"
        assert channel_place(tx, shop.connection_id, "1") == "gid://Location/1"
        assert channel_place(tx, shop.connection_id, "gid://Location/1") == "gid://Location/1"
        with pytest.raises(Misconfigured, match=r"no location West; it has: North \(gid://Location/1\), South"):
            channel_place(tx, shop.connection_id, "West")


def test_a_place_that_the_channel_never_told_cannot_be_linked(world):
    shop, _ = world.connect("shop")

    with pytest.raises(Misconfigured, match="cannot be linked"), world.store.begin() as tx:
        link_location(tx, shop.connection_id, "nope", world.main)


def test_a_link_can_be_taken_back(world):
    shop, _ = world.connect("shop")
    with world.store.begin() as tx:
        store_channel_places(tx, shop.connection_id, [ChannelPlace("1", "North")])
        link_location(tx, shop.connection_id, "1", world.main)
        link_location(tx, shop.connection_id, "1", None)

    assert world.rows("SELECT location_id FROM hub.location_links") == [(None,)]
