"""What was said at the nearest scope holds, field by field, and a plan goes by it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from oms_hub.channel.contract import Capabilities, ChannelLocation, StockWriteMode
from oms_hub.errors import Misconfigured
from oms_hub.store.goods import add_location, channel_place, link_location
from oms_hub.store.policies import PolicyTarget, layers_of, list_policies, set_policy
from oms_hub.store.policy_places import feeding_places, list_place_safety, set_place_safety
from oms_hub.store.policy_reasons import reasons_of
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_listings import pull_listings


@pytest.fixture
def shop(world, kit):
    """Give one shop with one listing of A, counted 10."""
    stored, _ = world.connect("shop")
    world.listing(stored, "a", "A")
    world.count("A", 10, kit.at(-60))
    return stored


def say(world, *, places=None, cleared=(), channel=None, connection=None, sku=None, **said):
    target = PolicyTarget(
        world.merchant_id, channel, connection and connection.connection_id, sku and world.sku_id(sku)
    )
    with world.store.begin() as tx:
        return set_policy(tx, target, said, places=places, cleared=cleared)


def offered(world):
    plan_push(world.hub, "acme")
    return world.level("a")["desired"]


@pytest.mark.parametrize(
    ("said", "level", "decided"),
    [
        ({}, 7, "pool"),
        ({"safety_stock": 2}, 5, "pool"),
        ({"safety_stock": 2, "share": Decimal(1)}, 5, "pool"),
        ({"safety_stock": 2, "share": Decimal("0.5")}, 2, "share"),
        ({"safety_stock": 2, "cap": 3, "end_when": 2}, 3, "cap"),
        ({"threshold": 2}, 5, "pool"),
        ({"end_when": 7}, 0, "end_when"),
        ({"end_when": 6}, 7, "pool"),
        ({"threshold": 9}, 0, "empty"),
        ({"floor": 9, "cap": 9}, 9, "floor"),
        ({"is_paused": True, "floor": 2}, 0, "paused"),
    ],
)
def test_a_policy_makes_of_a_pool_what_the_domain_says(world, kit, shop, said, level, decided):
    world.order(shop, "o1", kit.Line("A", 3))
    if said:
        say(world, **said)

    assert offered(world) == level
    assert world.level("a")["plan_reason"] == decided


@pytest.mark.parametrize(("pool", "level"), [(2, 2), (1, 1), (0, 0)])
def test_small_pools_are_shown_as_they_are(world, kit, shop, pool, level):
    world.count("A", pool, kit.at(-50))

    assert offered(world) == level


def test_five_places_with_safety_stock_and_one_that_does_not_feed_it(world, kit, shop):
    with world.store.begin() as tx:
        more = [add_location(tx, world.merchant_id, f"p{nth}").location_id for nth in range(4)]
        apart = add_location(tx, world.merchant_id, "apart").location_id
    for place in more:
        world.count("A", 10, kit.at(-50), location_id=place)
    world.count("A", 50, kit.at(-50), location_id=apart)
    say(world, safety_stock=4, threshold=10, places=[world.main, *more])

    assert offered(world) == 20


def test_ten_of_one_and_three_of_the_other_make_three_kits(world, kit, shop):
    from oms_hub.store.bundles import set_bundles

    world.listing(shop, "kit", "KIT")
    world.skus("B")
    world.count("B", 3, kit.at(-60))
    with world.store.begin() as tx:
        set_bundles(tx, world.merchant_id, {"KIT": {"A": 2, "B": 1}})
    world.share_everything()

    plan_push(world.hub, "acme")

    assert world.level("kit")["desired"] == 3


def test_the_nearest_word_wins_field_by_field(world, shop):
    say(world, cap=9, threshold=1)
    say(world, channel="shop", cap=8, share=Decimal("0.9"))
    say(world, connection=shop, cap=7)
    assert offered(world) == 7
    say(world, sku="A", cap=6)
    assert offered(world) == 6
    say(world, sku="A", connection=shop, cap=5)
    assert offered(world) == 5

    with world.store.read() as tx:
        names = [layer.name for layer in list_policies(tx, world.merchant_id)]
        reasons = {row[2]: row[3:] for row in reasons_of(tx, world.merchant_id, world.sku_id("A"))}
    assert names == ["merchant acme", "channel shop", "connection shop", "sku A", "sku A on shop"]
    assert reasons["cap"] == (5, "sku A on shop")
    assert reasons["share"] == ("0.9", "channel shop")
    assert reasons["threshold"] == (1, "merchant acme")
    assert reasons["floor"] == (None, "default")
    assert reasons["level"] == (5, "what it should show")
    assert reasons["decided_by"] == ("cap", "what the last plan went by")

    say(world, sku="A", connection=shop, cleared=["cap"])
    say(world, sku="A", cleared=["cap"])
    assert offered(world) == 7
    with world.store.read() as tx:
        assert len(layers_of(tx, PolicyTarget(world.merchant_id, "shop", shop.connection_id))) == 3
        assert len(list_policies(tx, world.merchant_id)) == 3


def test_a_place_keeps_what_it_says_itself(world, kit, shop):
    with world.store.begin() as tx:
        store = add_location(tx, world.merchant_id, "store").location_id
    world.count("A", 5, kit.at(-50), location_id=store)
    say(world, safety_stock=1)
    assert offered(world) == 13
    with world.store.begin() as tx:
        set_place_safety(tx, world.merchant_id, store, 3)
    assert offered(world) == 11
    with world.store.begin() as tx:
        set_place_safety(tx, world.merchant_id, store, 4, sku_id=world.sku_id("A"))
        assert list_place_safety(tx, world.merchant_id) == [("store", None, 3), ("store", "A", 4)]
    assert offered(world) == 10
    with world.store.begin() as tx:
        set_place_safety(tx, world.merchant_id, store, None, sku_id=world.sku_id("A"))
    assert offered(world) == 11


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"cap": 2, "floor": 3}, "cap 2 .* is below floor 3"),
        ({"cap": -1}, "cap -1 .* must not be negative"),
        ({"share": Decimal("1.5")}, "share 1.5 .* must be between 0 and 1"),
        ({}, "Nothing is said"),
        ({"places": []}, "No place would feed"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_said(world, shop, said, complaint):
    with pytest.raises(Misconfigured, match=complaint):
        say(world, **said)

    assert world.rows("SELECT * FROM hub.policies") == []


def test_contradictions_between_scopes_are_refused_with_both_their_names(world, shop):
    say(world, floor=5)
    with pytest.raises(Misconfigured, match=r"cap 4 \(connection shop\) is below floor 5 \(merchant acme\)"):
        say(world, connection=shop, cap=4)
    with pytest.raises(Misconfigured, match=r"cap 4 \(sku A\) is below floor 5 \(merchant acme\)"):
        say(world, sku="A", cap=4)
    with pytest.raises(Misconfigured, match="said now"):
        say(world, cap=4)

    with world.store.read() as tx:
        assert [(layer.name, layer.floor, layer.cap) for layer in list_policies(tx, world.merchant_id)] == [
            ("merchant acme", 5, None)
        ]


def test_a_floor_warns_that_it_oversells(world, shop):
    assert say(world, floor=2) == ("floor 2 offers units that may not be there: it oversells on purpose",)
    assert say(world, cap=9) == ()


def test_only_what_a_policy_speaks_of_is_planned_again(world, kit, shop):
    other, _ = world.connect("other")
    world.listing(other, "b", "B")
    world.count("B", 10, kit.at(-60))
    world.clean()

    say(world, connection=other, cap=1)
    assert world.dirty() == {"B"}
    say(world, channel="shop", cap=1)
    assert world.dirty() == {"A", "B"}


def test_negative_safety_stock_at_a_place_is_refused(world):
    with pytest.raises(Misconfigured, match="must not be negative"), world.store.begin() as tx:
        set_place_safety(tx, world.merchant_id, world.main, -1)


def test_levels_are_pushed_to_the_place_that_feeds_the_connection(world, kit):
    able = Capabilities(stock_write=StockWriteMode.COMPARE_AND_SWAP, stock_batch_size=5, has_locations=True)
    stored, shop = world.connect("shop", capabilities=able)
    world.channels["shop"] = _with_places(world.channels["shop"], shop)
    shop.places = [ChannelLocation("L1", "Warehouse", is_default=True), ChannelLocation("L2", "Store")]
    pull_listings(world.hub, "shop")
    world.listing(stored, "a", "A", level=1)
    with world.store.begin() as tx:
        store = add_location(tx, world.merchant_id, "store").location_id
    world.count("A", 4, kit.at(-60), location_id=store)
    with pytest.raises(Misconfigured, match=r"None of these places is one of the channel's \(Store, Warehouse\)"):
        say(world, connection=stored, places=[store])
    with world.store.begin() as tx:
        assert feeding_places(tx, stored.connection_id) is None
        link_location(tx, stored.connection_id, "L2", store)

    say(world, connection=stored, places=[store])
    plan_push(world.hub, "acme")
    deliver_push(world.hub, "shop")

    assert {write.listing.channel_location_id for write in shop.writes} == {"L2"}
    with world.store.read() as tx:
        assert feeding_places(tx, stored.connection_id) == (store,)
        assert channel_place(tx, stored.connection_id, None) == "L1"
        assert channel_place(tx, stored.connection_id, "Warehouse", feeding=[store]) == "L1"


def _with_places(channel, shop):
    from dataclasses import replace

    return replace(channel, locations=shop.locations, listing_source=None)
