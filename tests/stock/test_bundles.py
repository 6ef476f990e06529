"""Bundles show what their scarcest component allows, and share its units with everything else that takes them."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from oms_hub.errors import Misconfigured
from oms_hub.store.bundles import list_bundles, remove_bundle, set_bundles
from oms_hub.store.goods import add_location
from oms_hub.store.levels import SeenLevel, record_observed
from oms_hub.store.plan import skus_listed_on
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.plan_push import plan_push


def say(world, bundles):
    with world.store.begin() as tx:
        return set_bundles(tx, world.merchant_id, bundles)


def made_of(world):
    with world.store.read() as tx:
        return [(row.bundle, row.component, row.units) for row in list_bundles(tx, world.merchant_id)]


@pytest.fixture
def kits(world, kit):
    """Give 10 cups and 3 pots; a kit is two cups and a pot; each has a listing in one shop. Nothing is held back."""
    stored, shop = world.connect("shop")
    for key, sku in (("cup", "CUP"), ("pot", "POT"), ("kit", "KIT")):
        world.listing(stored, key, sku, level=0)
    world.count("CUP", 10, kit.at(-60))
    world.count("POT", 3, kit.at(-60))
    world.share_everything()
    say(world, {"KIT": {"CUP": 2, "POT": 1}})
    plan_push(world.hub, "acme")
    return stored, shop


def offered(world):
    return {row[0]: row[1] for row in world.rows("SELECT listing_key, desired FROM hub.listing_levels")}


def test_a_bundle_shows_what_its_scarcest_component_allows(world, kits):
    assert offered(world) == {"cup": 10, "pot": 3, "kit": 3}
    assert world.dirty() == set()


def test_an_order_of_a_bundle_takes_its_components_from_every_listing(world, kit, kits):
    world.order(kits[0], "o1", kit.Line("KIT", 2))

    plan_push(world.hub, "acme")

    assert offered(world) == {"cup": 6, "pot": 1, "kit": 1}


def test_a_component_that_is_sold_takes_bundles_with_it(world, kit, kits):
    world.order(kits[0], "o1", kit.Line("CUP", 7))

    plan_push(world.hub, "acme")

    assert offered(world) == {"cup": 3, "pot": 3, "kit": 1}


def test_a_bundle_in_flight_is_off_its_components(world, kits):
    with world.store.begin() as tx:
        record_observed(tx, kits[0].connection_id, [SeenLevel("kit", 3)], observed_at=world.clock())
        record_observed(tx, kits[0].connection_id, [SeenLevel("kit", 2)], observed_at=world.clock())

    plan_push(world.hub, "acme")

    assert offered(world) == {"cup": 8, "pot": 2, "kit": 2}


def test_a_plan_that_meets_no_bundle_leaves_them_alone(world, kit, kits):
    world.listing(kits[0], "lid", "LID", level=0)
    world.count("LID", 4, kit.at(-60))

    assert plan_push(world.hub, "acme").listings == 1
    assert offered(world)["lid"] == 4


def test_a_pack_of_bundles_shows_whole_packs(world, kits):
    world.run("UPDATE hub.listings SET pack_size = 2 WHERE listing_key = 'kit'")
    world.count("POT", 3, world.clock())

    plan_push(world.hub, "acme")

    assert offered(world)["kit"] == 1


def test_components_at_different_places_make_no_bundle(world, kit, kits):
    with world.store.begin() as tx:
        store = add_location(tx, world.merchant_id, "store").location_id
    world.count("POT", 0, kit.at(-50))
    world.count("POT", 5, kit.at(-50), location_id=store)

    plan_push(world.hub, "acme")

    assert offered(world) == {"cup": 10, "pot": 5, "kit": 0}


def test_a_bundle_of_which_a_component_has_no_count_is_never_planned(world, kit, kits):
    world.run("DELETE FROM hub.listing_levels")
    world.run("UPDATE hub.balances SET counted_at = NULL WHERE sku_id = :s", s=world.sku_id("POT"))
    world.run("INSERT INTO hub.stock_dirty (sku_id, merchant_id) SELECT sku_id, merchant_id FROM hub.skus")

    plan_push(world.hub, "acme")

    assert offered(world) == {"cup": 10}


def test_the_last_units_are_shared_between_a_bundle_and_its_components(world, kit, kits):
    world.run("DELETE FROM hub.policies")
    world.count("CUP", 2, kit.at(-50))

    plan_push(world.hub, "acme")

    found = offered(world)
    assert found["cup"] + 2 * found["kit"] <= 2


def test_a_connection_that_cannot_be_pulled_holds_what_shares_units_with_it(world, kit, kits):
    other, _ = world.connect("other")
    world.listing(other, "their kit", "KIT", level=0)
    world.pulled(other, error="away")
    world.count("CUP", 20, kit.at(-50))
    with world.store.read() as tx:
        ids = [world.sku_id(sku) for sku in ("CUP", "POT", "KIT")]
        assert skus_listed_on(tx, ids, [other.connection_id]) == frozenset(ids)
        assert skus_listed_on(tx, ids, []) == frozenset()

    report = plan_push(world.hub, "acme")

    # Every first level is a raise: the cups in the kit elsewhere may be sold there.
    assert report.held_back > 0
    assert report.raised == 0
    assert world.dirty() >= {"CUP"}


def test_a_delivery_computes_bundles_again_where_their_component_sold(world, kit, kits):
    _, shop = kits
    deliver_push(world.hub, "shop")
    assert shop.levels == {"cup": 10, "pot": 3, "kit": 3}
    world.count("CUP", 12, kit.at(-40))
    plan_push(world.hub, "acme")
    shop.levels["cup"] = 4

    deliver_push(world.hub, "shop")

    assert shop.levels["cup"] == 6
    assert offered(world)["kit"] == 3
    world.count("CUP", 9, kit.at(-30))
    plan_push(world.hub, "acme")
    assert offered(world) == {"cup": 3, "pot": 3, "kit": 1}


def test_what_a_bundle_is_made_of_can_be_said_anew_and_taken_back(world, kits):
    assert made_of(world) == [("KIT", "CUP", 2), ("KIT", "POT", 1)]
    say(world, {"KIT": {"CUP": 5}})
    assert made_of(world) == [("KIT", "CUP", 5)]
    plan_push(world.hub, "acme")
    assert offered(world)["kit"] == 2

    with world.store.begin() as tx:
        remove_bundle(tx, world.merchant_id, "KIT")
    assert made_of(world) == []
    with pytest.raises(Misconfigured, match="KIT is no bundle"), world.store.begin() as tx:
        remove_bundle(tx, world.merchant_id, "KIT")


def test_orders_that_shipped_move_the_components_of_now(world, kit, kits):
    world.order(kits[0], "o1", kit.Line("KIT", 1, shipped=[(1, kit.at(1))]))
    assert (world.on_hand("CUP"), world.on_hand("POT")) == (8, 2)

    say(world, {"KIT": {"CUP": 3}})

    assert (world.on_hand("CUP"), world.on_hand("POT")) == (7, 3)
    world.assert_ledger_balances()


@pytest.mark.parametrize(
    ("bundles", "complaint"),
    [
        ({"BOX": {}}, "Bundle BOX has no components"),
        ({"BOX": {"LID": 1}}, "the merchant has no SKU LID"),
        ({"BOX": {"CUP": 0}}, "0 units of CUP"),
        ({"BOX": {"NEW": 1}}, "component NEW has no stock record"),
        ({"CUP": {"POT": 1}}, "CUP has stock of its own"),
        ({"BOX": {"BOX": 1}}, "component BOX has no stock record"),
        ({"OK": {"CUP": 1}, "BOX": {"LID": 1}}, "the merchant has no SKU LID"),
    ],
)
def test_a_bundle_that_cannot_be_is_refused_and_nothing_is_changed(world, kits, bundles, complaint):
    world.skus("NEW")
    before = made_of(world), world.rows("SELECT sku FROM hub.skus ORDER BY 1")

    with pytest.raises(Misconfigured, match=complaint):
        say(world, bundles)

    assert (made_of(world), world.rows("SELECT sku FROM hub.skus ORDER BY 1")) == before


def test_a_bundle_in_a_bundle_is_refused(world, kit, kits):
    world.run(
        "INSERT INTO hub.balances (sku_id, location_id, merchant_id, counted_at) VALUES (:s, :l, :m, now())",
        s=world.sku_id("KIT"),
        l=world.main,
        m=world.merchant_id,
    )
    with pytest.raises(Misconfigured, match="Bundle BOX contains bundle KIT"):
        say(world, {"BOX": {"KIT": 1}})


@pytest.mark.parametrize(("bundle", "component"), [("CUP", "KIT"), ("KIT", "KIT"), ("BOX", "KIT"), ("CUP", "POT")])
def test_the_database_refuses_circles_and_nesting_too(world, kits, bundle, component):
    world.skus("BOX")
    with pytest.raises(IntegrityError), world.store.begin() as tx:
        tx.execute(
            text(
                "INSERT INTO hub.bundle_components (bundle_sku_id, component_sku_id, merchant_id, units) VALUES (:b, :c, :m, 1)"
            ),
            {"b": world.sku_id(bundle), "c": world.sku_id(component), "m": world.merchant_id},
        )
