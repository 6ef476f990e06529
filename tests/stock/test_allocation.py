"""Who gets the units: oldest first or by rule, in one atomic statement, and what is told of the rest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oms_hub.domain.allocation import Demand
from oms_hub.domain.allocation import allocate as allocate_by_hand
from oms_hub.errors import Misconfigured
from oms_hub.store.allocation import allocate_skus
from oms_hub.store.allocation_rules import (
    QueueSetting,
    Rule,
    list_rules,
    list_settings,
    put_rule,
    put_setting,
    remove_rule,
    remove_setting,
    tag_order,
)
from oms_hub.store.goods import ChannelPlace, add_location, add_skus, link_location, store_channel_places
from oms_hub.store.stock import apply_order_changes
from oms_hub.sync.adopt_stock import adopt_stock
from oms_hub.sync.allocate import allocate, allocate_all, merchants_due
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_stock import pull_stock


@pytest.fixture
def shop(world):
    return world.connect("shop")[0]


@pytest.fixture
def goods(world, kit):
    """Give a function that adds a SKU with a count."""

    def counted(code, units, **more):
        world.skus(code)
        world.count(code, units, kit.at(-60), **more)

    return counted


def given_to(world):
    """Return (order, line, SKU, place, units) of everything that is bound to a line."""
    return [
        tuple(row)
        for row in world.rows(
            "SELECT a.channel_order_id, a.line_id, s.sku, p.code, a.units FROM hub.allocations a "
            "JOIN hub.skus s USING (sku_id) JOIN hub.locations p USING (location_id) "
            "ORDER BY a.channel_order_id, a.line_id, s.sku, p.code"
        )
    ]


def missing(world):
    return [
        tuple(row)
        for row in world.rows(
            "SELECT b.channel_order_id, b.line_id, s.sku, b.units FROM hub.backorders b "
            "JOIN hub.skus s USING (sku_id) ORDER BY 1, 2, 3"
        )
    ]


def owners(world):
    """Return the orders that got anything."""
    return [row[0] for row in given_to(world)]


def put(world, function, *arguments, **more):
    with world.store.begin() as tx:
        return function(tx, *arguments, **more)


def test_the_oldest_order_has_the_last_unit_whatever_came_in_first(world, kit, goods):
    one, two = world.connect("one")[0], world.connect("two")[0]
    goods("A", 1)
    world.order(two, "young", kit.Line("A"), placed_at=kit.at(-1))
    world.order(one, "old", kit.Line("A"), placed_at=kit.at(-2))

    report = allocate(world.hub, "acme")

    assert (report.skus, report.allocated, report.backordered) == (1, 1, 1)
    assert given_to(world) == [("old", "1", "A", "main", 1)]
    assert missing(world) == [("young", "1", "A", 1)]
    assert world.exceptions() == [("out_of_stock", "young")]


def test_orders_of_one_instant_stand_by_connection_then_order_then_line(world, kit, goods):
    first, second = world.connect("first")[0], world.connect("second")[0]
    goods("A", 3)
    world.order(second, "a", kit.Line("A"))
    world.order(first, "z", kit.Line("A", line_id="2"), kit.Line("A", line_id="1"))
    world.order(first, "B", kit.Line("A", line_id="1"))

    allocate(world.hub, "acme")

    assert [row[:2] for row in given_to(world)] == [("B", "1"), ("z", "1"), ("z", "2")]
    assert missing(world) == [("a", "1", "A", 1)]


def test_again_without_news_nothing_is_looked_at_and_nothing_is_written(world, kit, shop, goods):
    goods("A", 1)
    world.order(shop, "o1", kit.Line("A", 3))
    allocate(world.hub, "acme")
    before = world.rows("SELECT xmin, * FROM hub.allocations"), world.rows("SELECT xmin, * FROM hub.backorders")

    assert allocate(world.hub, "acme").skus == 0
    with world.store.begin() as tx:
        again = allocate_skus(tx, world.merchant_id, [world.sku_id("A")], now=kit.NOON)

    assert (again.allocated, again.backordered, again.fired, again.cleared) == (1, 2, 0, 0)
    assert world.rows("SELECT xmin, * FROM hub.allocations") == before[0]
    assert world.rows("SELECT xmin, * FROM hub.backorders") == before[1]


def test_a_part_is_given_unless_a_setting_says_whole_lines_only(world, kit, shop, goods):
    goods("A", 3)
    world.order(shop, "big", kit.Line("A", 5), placed_at=kit.at(-2))
    world.order(shop, "small", kit.Line("A", 2), placed_at=kit.at(-1))
    allocate(world.hub, "acme")
    assert given_to(world) == [("big", "1", "A", "main", 3)]
    assert missing(world) == [("big", "1", "A", 2), ("small", "1", "A", 2)]

    put(world, put_setting, world.merchant_id, QueueSetting(takes_part=False))
    allocate(world.hub, "acme")

    assert given_to(world) == [("small", "1", "A", "main", 2)]
    assert missing(world) == [("big", "1", "A", 5)]


def test_the_nearest_setting_holds_connection_then_channel_then_merchant(world, kit, goods):
    one, two = world.connect("one")[0], world.connect("two")[0]
    goods("A", 1)
    goods("B", 1)
    world.order(one, "a", kit.Line("A", 2))
    world.order(two, "b", kit.Line("B", 2))
    put(world, put_setting, world.merchant_id, QueueSetting(takes_part=True))
    put(world, put_setting, world.merchant_id, QueueSetting(channel="one", takes_part=False))
    put(world, put_setting, world.merchant_id, QueueSetting(channel="two", takes_part=False))
    put(world, put_setting, world.merchant_id, QueueSetting(connection="two", takes_part=True, hold_minutes=5))

    allocate(world.hub, "acme")

    assert owners(world) == ["b"]
    with world.store.read() as tx:
        assert list_settings(tx, world.merchant_id) == [
            QueueSetting(None, None, True, None),
            QueueSetting("one", None, False, None),
            QueueSetting("two", None, False, None),
            QueueSetting(None, "two", True, 5),
        ]


@pytest.mark.parametrize(
    "rule",
    [
        Rule("r", connection="second", priority=1),
        Rule("r", channel="second", is_expedited=True),
        Rule("r", order_kind="pickup", priority=99),
        Rule("r", shipping="EXPRESS", is_expedited=True),
        Rule("r", tag="vip", priority=1),
    ],
    ids=["connection", "channel, expedited", "kind", "shipping", "tag"],
)
def test_a_rule_puts_the_younger_order_first_and_forgetting_it_puts_it_back(world, kit, goods, rule):
    first, second = world.connect("first")[0], world.connect("second")[0]
    goods("A", 1)
    world.order(first, "old", kit.Line("A"), placed_at=kit.at(-2))
    world.order(second, "young", kit.Line("A"), placed_at=kit.at(-1))
    world.run("UPDATE hub.orders SET kind = 'pickup' WHERE channel_order_id = 'young'")
    world.run(
        "INSERT INTO hub.order_charges (connection_id, channel_order_id, merchant_id, charge_id, kind, title, code, "
        "amount, tax_amount) VALUES (:c, 'young', :m, '1', 'shipping', 'Envío Express', NULL, 0, 0)",
        c=second.connection_id,
        m=world.merchant_id,
    )
    assert put(world, tag_order, "second", "young", "vip") is True
    allocate(world.hub, "acme")
    assert owners(world) == ["old"]

    put(world, put_rule, world.merchant_id, rule)
    allocate(world.hub, "acme")
    assert owners(world) == ["young"]
    assert missing(world) == [("old", "1", "A", 1)]

    put(world, remove_rule, world.merchant_id, "r")
    allocate(world.hub, "acme")
    assert owners(world) == ["old"]


def test_a_tag_that_is_taken_off_no_longer_counts(world, kit, shop, goods):
    goods("A", 1)
    world.order(shop, "old", kit.Line("A"), placed_at=kit.at(-2))
    world.order(shop, "young", kit.Line("A"), placed_at=kit.at(-1))
    put(world, put_rule, world.merchant_id, Rule("vip", tag="vip", priority=1))
    put(world, tag_order, "shop", "young", "vip")
    assert put(world, tag_order, "shop", "young", "vip") is False
    allocate(world.hub, "acme")
    assert owners(world) == ["young"]

    assert put(world, tag_order, "shop", "young", "vip", is_removed=True) is True
    allocate(world.hub, "acme")

    assert owners(world) == ["old"]


def test_a_rule_of_the_same_name_replaces_the_first(world):
    put(world, put_rule, world.merchant_id, Rule("r", channel="one", priority=1))
    put(world, put_rule, world.merchant_id, Rule("r", channel="two", is_expedited=True))
    with world.store.read() as tx:
        assert list_rules(tx, world.merchant_id) == [Rule("r", channel="two", is_expedited=True)]


def test_a_cancelled_order_frees_its_units_for_the_next(world, kit, shop, goods):
    goods("A", 1)
    world.order(shop, "old", kit.Line("A"), placed_at=kit.at(-2))
    world.order(shop, "young", kit.Line("A"), placed_at=kit.at(-1))
    allocate(world.hub, "acme")
    assert world.exceptions() == [("out_of_stock", "young")]

    world.order(shop, "old", kit.Line("A", allocated=0), placed_at=kit.at(-2))
    allocate(world.hub, "acme")

    assert owners(world) == ["young"]
    assert missing(world) == []
    assert world.exceptions() == []


def test_an_edit_re_allocates_only_the_difference(world, kit, shop, goods):
    goods("A", 10)
    goods("B", 10)
    world.order(shop, "edited", kit.Line("A", 3), kit.Line("B", 1, line_id="2"), placed_at=kit.at(-2))
    world.order(shop, "other", kit.Line("A", 4), placed_at=kit.at(-1))
    allocate(world.hub, "acme")
    world.clock.advance(60)

    world.order(shop, "edited", kit.Line("A", 2), kit.Line("B", 1, line_id="2"), placed_at=kit.at(-2))
    allocate(world.hub, "acme")

    rows = world.rows(
        "SELECT channel_order_id, line_id, units, allocated_at FROM hub.allocations ORDER BY channel_order_id, line_id"
    )
    assert [tuple(row) for row in rows] == [
        ("edited", "1", 2, kit.NOON + timedelta(seconds=60)),
        ("edited", "2", 1, kit.NOON),
        ("other", "1", 4, kit.NOON),
    ]


def test_what_was_shipped_is_neither_held_nor_missing(world, kit, shop, goods):
    goods("A", 3)
    world.order(shop, "o1", kit.Line("A", 2))
    allocate(world.hub, "acme")

    world.order(shop, "o1", kit.Line("A", 2, shipped=[(2, kit.at(-5))]))
    allocate(world.hub, "acme")

    assert (given_to(world), missing(world), world.on_hand("A")) == ([], [], 1)


def test_units_that_arrive_go_to_who_waits_longest(world, kit, shop, goods):
    goods("A", 0)
    world.order(shop, "old", kit.Line("A", 2), placed_at=kit.at(-2))
    world.order(shop, "young", kit.Line("A", 2), placed_at=kit.at(-1))
    allocate(world.hub, "acme")
    assert missing(world) == [("old", "1", "A", 2), ("young", "1", "A", 2)]

    world.count("A", 3, kit.at(-1))
    allocate(world.hub, "acme")

    assert given_to(world) == [("old", "1", "A", "main", 2), ("young", "1", "A", "main", 1)]
    assert missing(world) == [("young", "1", "A", 1)]
    assert world.exceptions() == [("out_of_stock", "young")]


def test_a_sku_without_a_count_has_no_level_and_nobody_waits_for_it(world, kit, shop):
    world.skus("A")
    world.order(shop, "o1", kit.Line("A"))

    assert allocate(world.hub, "acme").skus == 1

    assert (given_to(world), missing(world), world.exceptions()) == ([], [], [])


def test_what_is_set_aside_is_not_handed_out(world, kit, shop, goods):
    goods("A", 3)
    world.run("UPDATE hub.balances SET unavailable = 2")
    world.order(shop, "o1", kit.Line("A", 3))

    allocate(world.hub, "acme")

    assert (given_to(world), missing(world)) == ([("o1", "1", "A", "main", 1)], [("o1", "1", "A", 2)])


def test_packs_and_bundles_take_the_units_of_what_they_are_made_of(world, kit, shop, goods):
    goods("A", 20)
    goods("B", 1)
    world.listing(shop, "six", "A", pack_size=6)
    world.skus("KIT")
    for code, units in (("A", 2), ("B", 1)):
        world.run(
            "INSERT INTO hub.bundle_components (bundle_sku_id, component_sku_id, merchant_id, units) "
            "VALUES (:kit, :part, :m, :units)",
            kit=world.sku_id("KIT"),
            part=world.sku_id(code),
            m=world.merchant_id,
            units=units,
        )
    world.order(shop, "packs", kit.Line("A", 2, listing_key="six"), placed_at=kit.at(-3))
    world.order(shop, "kits", kit.Line("KIT", 3), placed_at=kit.at(-2))

    report = allocate(world.hub, "acme")

    assert report.skus == 3
    assert given_to(world) == [
        ("kits", "1", "A", "main", 6), ("kits", "1", "B", "main", 1), ("packs", "1", "A", "main", 12),
    ]  # fmt: skip
    assert missing(world) == [("kits", "1", "B", 2)]


def test_a_shipped_bundle_moves_its_components_and_a_first_count_of_one_books_it_too(world, kit, shop, goods):
    goods("A", 10)
    world.skus("KIT", "B")
    for code, units in (("A", 2), ("B", 1)):
        world.run(
            "INSERT INTO hub.bundle_components (bundle_sku_id, component_sku_id, merchant_id, units) "
            "SELECT k.sku_id, p.sku_id, :m, :units FROM hub.skus k, hub.skus p WHERE k.sku = 'KIT' AND p.sku = :part",
            part=code,
            m=world.merchant_id,
            units=units,
        )
    line = kit.Line("KIT", 3, shipped=[(3, kit.at(-5))])
    world.order(shop, "o1", line)
    world.count("B", 5, kit.at(-30))
    world.order(shop, "o1", line)

    assert (world.on_hand("A"), world.on_hand("B"), world.on_hand("KIT")) == (4, 2, None)
    assert world.ledger("A")[1:] == [("sale", -6, 10, 4)]
    world.assert_ledger_balances()


@pytest.fixture
def places(world, shop):
    """Give a second place that the shop's place 77 is."""
    with world.store.begin() as tx:
        store = add_location(tx, world.merchant_id, "store").location_id
        store_channel_places(tx, shop.connection_id, [ChannelPlace("77", "Store")])
        link_location(tx, shop.connection_id, "77", store)
    return store


def test_a_line_takes_from_the_place_that_its_channel_named(world, kit, shop, goods, places):
    goods("A", 5)
    world.count("A", 1, kit.at(-60), location_id=places)
    world.order(shop, "o1", kit.Line("A", 2, place="77"))

    allocate(world.hub, "acme")

    assert given_to(world) == [("o1", "1", "A", "store", 1)]
    assert missing(world) == [("o1", "1", "A", 1)]


def test_a_line_without_a_place_takes_all_from_one_that_has_it_else_from_several(world, kit, shop, goods, places):
    goods("A", 2)
    world.count("A", 4, kit.at(-60), location_id=places)
    world.order(shop, "o1", kit.Line("A", 3), placed_at=kit.at(-3))
    world.order(shop, "o2", kit.Line("A", 1), placed_at=kit.at(-2))
    world.order(shop, "o3", kit.Line("A", 2), placed_at=kit.at(-1))

    allocate(world.hub, "acme")

    assert given_to(world) == [
        ("o1", "1", "A", "store", 3), ("o2", "1", "A", "main", 1),
        ("o3", "1", "A", "main", 1), ("o3", "1", "A", "store", 1),
    ]  # fmt: skip
    assert missing(world) == []


def test_a_named_place_that_was_never_counted_counts_as_none(world, kit, shop, goods, places):
    goods("A", 2)
    world.order(shop, "o1", kit.Line("A", 1, place="77"))

    allocate(world.hub, "acme")

    assert given_to(world) == [("o1", "1", "A", "main", 1)]


def test_unpaid_orders_hold_until_their_time_is_up_per_channel(world, kit, goods):
    one, two = world.connect("one")[0], world.connect("two")[0]
    goods("A", 2)
    put(world, put_setting, world.merchant_id, QueueSetting(channel="one", hold_minutes=60))
    for stored in (one, two):
        world.order(stored, f"unpaid-{stored.name}", kit.Line("A", reserved=1), placed_at=kit.at(-50))
    world.order(one, "paid", kit.Line("A"), placed_at=kit.at(-10))
    assert allocate(world.hub, "acme").expired == 0
    assert owners(world) == ["unpaid-one", "unpaid-two"]
    with world.store.read() as tx:
        assert merchants_due(world.hub, tx) == ()

    world.clock.advance(10 * 60)
    world.clean()
    assert allocate_all(world.hub)["acme"].expired == 1

    assert owners(world) == ["paid", "unpaid-two"]
    assert world.dirty() == {"A"}
    assert [tuple(row) for row in world.rows("SELECT channel_order_id, units FROM hub.expired_holds")] == [
        ("unpaid-one", 1)
    ]


def test_an_ended_hold_stays_ended_while_unpaid_and_a_late_payment_brings_the_order_back(world, kit, shop, goods):
    goods("A", 1)
    put(world, put_setting, world.merchant_id, QueueSetting(hold_minutes=0))
    unpaid = kit.Line("A", reserved=1)
    world.order(shop, "o1", unpaid, placed_at=kit.at(-2))
    assert allocate(world.hub, "acme").expired == 1
    assert owners(world) == []

    world.order(shop, "o1", unpaid, placed_at=kit.at(-2))
    assert allocate(world.hub, "acme").expired == 1
    assert owners(world) == []

    world.order(shop, "o1", kit.Line("A"), placed_at=kit.at(-2))
    assert allocate(world.hub, "acme").expired == 0
    assert owners(world) == ["o1"]


def test_a_level_that_lacks_units_of_an_ended_hold_is_adopted_with_them(world, kit):
    stored, _ = world.connect("shop")
    world.listing(stored, "k", "A", level=5)
    put(world, put_setting, world.merchant_id, QueueSetting(hold_minutes=60))
    world.order(stored, "o1", kit.Line("A", 2, listing_key="k", reserved=2), placed_at=kit.at(-90))
    world.run("UPDATE hub.orders SET payment_state = 'unpaid'")
    assert allocate(world.hub, "acme").expired == 1
    pull_stock(world.hub, "shop")

    assert adopt_stock(world.hub, "shop").adopted == 1

    assert world.on_hand("A") == 7


def test_without_any_setting_unpaid_orders_hold_for_good(world, kit, shop, goods):
    goods("A", 1)
    world.order(shop, "o1", kit.Line("A", reserved=1), placed_at=kit.at(-60 * 24 * 300))

    assert allocate(world.hub, "acme").expired == 0
    assert owners(world) == ["o1"]
    assert [tuple(row) for row in world.rows("SELECT is_reserved FROM hub.allocations")] == [(True,)]


def test_forgotten_settings_no_longer_hold(world, kit, shop, goods):
    put(world, put_setting, world.merchant_id, QueueSetting(hold_minutes=0))
    put(world, remove_setting, world.merchant_id, channel=None, connection=None)
    goods("A", 1)
    world.order(shop, "o1", kit.Line("A", reserved=1), placed_at=kit.at(-5))

    assert allocate(world.hub, "acme").expired == 0


def test_the_order_in_which_news_come_does_not_matter(world, kit, shop):
    def happen(code, events):
        world.skus(code)
        for event in events:
            event(code)
            allocate(world.hub, "acme")

    def old(code):
        world.order(shop, f"{code}-old", kit.Line(code, 2), placed_at=kit.at(-3))

    def young(code):
        world.order(shop, f"{code}-young", kit.Line(code, 2), placed_at=kit.at(-2))

    def counted(code):
        world.count(code, 3, kit.at(-60))

    for nth, events in enumerate(permutations((old, young, counted))):
        happen(f"P{nth}", events)

    assert [(order[2:], units) for order, _, _, _, units in given_to(world)] == [("-old", 2), ("-young", 1)] * 6
    assert [(order[2:], units) for order, _, _, units in missing(world)] == [("-young", 1)] * 6


def test_the_last_unit_sold_on_two_channels_leaves_every_listing_at_zero_within_one_sync(world, kit):
    sellers = {name: world.connect(name) for name in ("one", "two", "three")}
    for name, (stored, _) in sellers.items():
        world.listing(stored, f"key-{name}", "A", level=1)
    world.count("A", 1, kit.at(-60))
    for stored, shop in list(sellers.values())[:2]:
        world.order(stored, f"order-{stored.name}", kit.Line("A", listing_key=f"key-{stored.name}"))
        shop.levels[f"key-{stored.name}"] = 0

    allocate(world.hub, "acme")
    plan_push(world.hub, "acme")
    for name in sellers:
        deliver_push(world.hub, name)

    assert {name: shop.levels[f"key-{name}"] for name, (_, shop) in sellers.items()} == dict.fromkeys(sellers, 0)
    assert given_to(world) == [("order-one", "1", "A", "main", 1)]
    assert missing(world) == [("order-two", "1", "A", 1)]
    assert world.exceptions() == [("out_of_stock", "order-two")]
    assert [tuple(row) for row in world.rows("SELECT kind, reference, units FROM hub.alerts ORDER BY kind")] == [
        ("backordered", "order-two", 1), ("oversold", "A", 1),
    ]  # fmt: skip
    assert allocate(world.hub, "acme").fired == 0


def test_two_hundred_parallel_attempts_on_fifty_units_end_with_exactly_fifty(world, kit, shop, goods):
    goods("A", 50)
    sku_id = world.sku_id("A")

    def attempt(nth):
        with world.store.begin() as tx:
            kit.store_order(tx, shop, f"o{nth:03}", [kit.Line("A")], placed_at=kit.at(-nth % 7))
            apply_order_changes(tx, connection_id=shop.connection_id, channel_order_ids=[f"o{nth:03}"])
        with world.store.begin() as tx:
            allocate_skus(tx, world.merchant_id, [sku_id], now=kit.NOON)
        return world.rows("SELECT coalesce(sum(units), 0) FROM hub.allocations")[0][0]

    with ThreadPoolExecutor(12) as pool:
        seen = list(pool.map(attempt, range(200)))

    assert max(seen) == 50
    assert world.rows("SELECT sum(units), count(*) FROM hub.allocations") == [(50, 50)]
    assert world.rows("SELECT sum(units), count(*) FROM hub.backorders") == [(150, 150)]
    oldest = sorted(range(200), key=lambda nth: (-nth % 7, f"o{nth:03}"))[:50]
    assert owners(world) == sorted(f"o{nth:03}" for nth in oldest)
    assert world.rows("SELECT count(*) FROM hub.allocation_dirty") == [(0,)]


BOUNDED = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LINES = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 3), st.sampled_from(["x", "y"]), st.booleans()), max_size=8
)


@pytest.fixture
def queue(world, shop):
    """Give two connections, one of which takes whole lines only."""
    whole = world.connect("whole")[0]
    put(world, put_setting, world.merchant_id, QueueSetting(connection="whole", takes_part=False))
    put(world, put_rule, world.merchant_id, Rule("fast", tag="fast", is_expedited=True))
    return {"x": shop, "y": whole}, iter(range(10_000))


@BOUNDED
@given(lines=LINES, on_hand=st.integers(0, 12))
def test_the_statement_hands_out_what_the_rule_says(world, kit, queue, lines, on_hand):
    connections, numbers = queue
    code = f"P{next(numbers)}"
    put(world, add_skus, world.merchant_id, [code])
    world.count(code, on_hand, kit.at(-60))
    demands = []
    with world.store.begin() as tx:
        for nth, (units, minute, where, is_fast) in enumerate(lines):
            stored, order = connections[where], f"{code}-{nth}"
            kit.store_order(tx, stored, order, [kit.Line(code, units)], placed_at=kit.at(minute))
            apply_order_changes(tx, connection_id=stored.connection_id, channel_order_ids=[order])
            if is_fast:
                tag_order(tx, stored.name, order, "fast")
            demand = Demand(f"{stored.connection_id:09}:{order}", "1", units, kit.at(minute), is_expedited=is_fast)
            demands.append(replace(demand, takes_part=where == "x"))
        allocate_skus(tx, world.merchant_id, [world.sku_id(code)], now=kit.NOON)

    by_hand = {each.demand.reference[10:]: each for each in allocate_by_hand(on_hand, demands)}
    found = {row[0]: row[4] for row in given_to(world) if row[2] == code}
    lacking = {row[0]: row[3] for row in missing(world) if row[2] == code}
    assert found == {order: each.allocated for order, each in by_hand.items() if each.allocated}
    assert lacking == {order: each.backordered for order, each in by_hand.items() if each.backordered}


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (Rule("r", priority=1), "The rule r does not say which orders it is for"),
        (Rule("r", channel="one"), "The rule r changes nothing"),
        (Rule("r", channel="one", priority=4_000), "The priority 4000 is out of range"),
        (Rule("r", connection="nobody", priority=1), "There is no connection 'nobody'"),
    ],
)
def test_a_rule_that_says_nothing_is_refused_and_nothing_is_kept(world, rule, complaint):
    with pytest.raises(Misconfigured, match=rf"^{complaint}"):
        put(world, put_rule, world.merchant_id, rule)
    with world.store.read() as tx:
        assert list_rules(tx, world.merchant_id) == []


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        (QueueSetting(channel="one", connection="shop", hold_minutes=1), "A setting is for a channel or"),
        (QueueSetting(channel="one"), "Nothing is said"),
        (QueueSetting(hold_minutes=-1), "-1 minutes are no time to hold"),
        (QueueSetting(hold_minutes=10_000_000), "10000000 minutes are no time to hold"),
    ],
)
def test_a_setting_that_says_nothing_is_refused_and_nothing_is_kept(world, shop, setting, complaint):
    with pytest.raises(Misconfigured, match=rf"^{complaint}"):
        put(world, put_setting, world.merchant_id, setting)
    with world.store.read() as tx:
        assert list_settings(tx, world.merchant_id) == []


def test_what_is_unknown_is_refused(world, shop):
    from oms_hub.store.merchants import add_merchant

    other = put(world, add_merchant, "other", currency="EUR", time_zone="Europe/Madrid")
    for function, arguments, complaint in (
        (remove_rule, (world.merchant_id, "r"), "There is no rule r"),
        (tag_order, ("shop", "o1", "vip"), "shop has no order o1"),
        (tag_order, ("shop", "o1", " vip"), "' vip' cannot be a tag"),
        (put_rule, (other.merchant_id, Rule("r", connection="shop", priority=1)), "Connection shop belongs to another"),
    ):
        with pytest.raises(Misconfigured, match=rf"^{complaint}"):
            put(world, function, *arguments)
    with pytest.raises(Misconfigured, match=r"^Nothing was said for this scope"):
        put(world, remove_setting, world.merchant_id, channel="one", connection=None)
    with pytest.raises(Misconfigured, match=r"^There is no merchant"):
        allocate(world.hub, "nobody")


def test_nothing_to_hand_out_does_nothing(world, kit):
    with world.store.begin() as tx:
        assert allocate_skus(tx, world.merchant_id, [], now=kit.NOON).skus == 0
    assert allocate_all(world.hub) == {}
