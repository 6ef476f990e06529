"""The last units: what the others may sell is kept back, and reductions are confirmed before anything is raised."""

from __future__ import annotations

import pytest

from oms_hub.store.demand import measure_news
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_stock import pull_stock


def shops(world, count, *, level, **options):
    found = []
    for nth in range(count):
        stored, shop = world.connect(f"shop{nth}", **options)
        world.listing(stored, f"l{nth}", "A", level=level)
        pull_stock(world.hub, f"shop{nth}")
        found.append((stored, shop))
    return found


def desired(world):
    return [row[0] for row in world.rows("SELECT desired FROM hub.listing_levels ORDER BY listing_key")]


def deliver(world, count):
    for nth in range(count):
        deliver_push(world.hub, f"shop{nth}")


def test_each_listing_shows_the_pool_less_what_the_others_may_sell(world, kit):
    shops(world, 3, level=0)
    world.run("UPDATE hub.listing_levels SET known_level = 0")
    world.count("A", 100, kit.at(-60))

    report = plan_push(world.hub, "acme")

    # Two others, each 300 s of an unknown demand of one an hour: 1/6 + 3 * sqrt(1/6) = 1.4
    assert desired(world) == [98, 98, 98]
    assert (report.held_units, report.waiting) == (6, 0)
    level = world.level("l0")
    assert (level["pool_units"], level["held_units"], level["plan_reason"]) == (100, 2, "hold_back")


def test_what_is_held_back_is_computed_again_with_the_daily_reading(world, kit):
    shops(world, 2, level=0)
    world.count("A", 100, kit.at(-60))
    plan_push(world.hub, "acme")
    assert (world.level("l0")["held_units"], world.dirty()) == (1, set())

    pull_stock(world.hub, "shop0")

    assert world.dirty() == {"A"}


def test_the_last_units_are_split_and_never_shown_twice(world, kit):
    made = shops(world, 3, level=0)
    world.count("A", 2, kit.at(-60))

    plan_push(world.hub, "acme")
    deliver(world, 3)

    assert sum(shop.levels[f"l{nth}"] for nth, (_, shop) in enumerate(made)) == 2
    assert world.dirty() == set()


def test_the_liveliest_listing_keeps_the_last_unit(world, kit):
    shops(world, 3, level=0)
    world.run(
        "UPDATE hub.listing_levels SET burst_units = 10, burst_seconds = 100, demand_at = now() WHERE listing_key = 'l1'"
    )
    world.count("A", 1, kit.at(-60))

    plan_push(world.hub, "acme")

    assert desired(world) == [0, 1, 0]


def test_a_raise_waits_until_the_others_have_confirmed_that_they_went_down(world, kit):
    (_, first), (_, second) = shops(world, 2, level=2)
    first.levels["l0"] = 0
    pull_stock(world.hub, "shop0")
    world.run("DELETE FROM hub.level_shifts")
    world.run("UPDATE hub.listing_levels SET in_flight = 0")
    world.count("A", 2, kit.at(-60))

    report = plan_push(world.hub, "acme")

    # The second shop still shows both units: the first may show one once that is down to one.
    assert (desired(world), world.outbox(), report.waiting) == ([1, 1], [("l1", 2, 1)], 1)
    assert world.dirty() == {"A"}
    deliver(world, 2)
    assert (first.levels["l0"], second.levels["l1"]) == (0, 1)

    assert plan_push(world.hub, "acme").waiting == 0
    deliver(world, 2)
    assert (first.levels["l0"], second.levels["l1"]) == (1, 1)
    assert world.dirty() == set()


def test_a_second_plan_of_scarce_units_without_news_sends_nothing(world, kit):
    made = shops(world, 5, level=0)
    world.count("A", 3, kit.at(-60))
    plan_push(world.hub, "acme")
    deliver(world, 5)
    world.count("A", 3, kit.at(-50))

    report = plan_push(world.hub, "acme")

    assert (report.listings, report.unchanged, world.outbox()) == (5, 5, [])
    assert sum(shop.levels[f"l{nth}"] or 0 for nth, (_, shop) in enumerate(made)) == 3


def test_a_listing_that_is_not_pushed_is_left_what_it_may_sell(world, kit):
    shops(world, 1, level=0)
    quiet, _ = world.connect("quiet", is_push_enabled=False)
    world.listing(quiet, "q", "A", level=5)
    world.count("A", 3, kit.at(-60))

    plan_push(world.hub, "acme")

    # One unit in 300 s may be sold there (1/12 + 3 * sqrt(1/12) = 0.95): the other two are shown.
    assert world.level("l0")["desired"] == 2


def test_a_till_is_left_what_it_may_sell(world, kit):
    shops(world, 1, level=0)
    till, _ = world.connect("till", listing_source=None, stock_sink=None)
    world.count("A", 10, kit.at(-60))
    world.order(till, "t1", kit.Line("A", 4, allocated=0), placed_at=kit.at(1))
    world.order(till, "t1", kit.Line("A", 4, allocated=0), placed_at=kit.at(1))

    plan_push(world.hub, "acme")

    sold = world.rows("SELECT demand_units, burst_units FROM hub.till_demand")
    assert [tuple(row) for row in sold] == [(4.0, 4.0)]
    assert world.level("l0")["desired"] < 10


def test_a_till_tells_nothing_of_sales_before_the_first_count(world, kit):
    till, _ = world.connect("till", listing_source=None, stock_sink=None)
    world.skus("A")
    world.order(till, "t1", kit.Line("A", 4), placed_at=kit.at(1))

    assert world.rows("SELECT * FROM hub.till_demand") == []


def test_news_that_take_longer_are_believed_at_once_and_shorter_ones_little_by_little(world):
    stored, _ = world.connect("shop", has_pulled=False)

    def looked(*seconds_ago):
        world.run("DELETE FROM hub.sync_runs")
        for seconds in seconds_ago:
            world.run(
                "INSERT INTO hub.sync_runs (merchant_id, connection_id, step, state, started_at) VALUES (:m, :c, "
                "'pull_orders', 'succeeded', timestamptz '2026-11-22 12:00Z' - make_interval(secs => :s))",
                m=world.merchant_id,
                c=stored.connection_id,
                s=seconds,
            )
        with world.store.begin() as tx:
            measure_news(tx, world.merchant_id)
        rows = world.rows("SELECT news_seconds FROM hub.connection_pace")
        return rows[0][0] if rows else None

    assert looked() is None
    assert looked(10_000) == 300.0
    assert looked(10_000, 9_000) == 1_000.0
    assert looked(9_000, 8_900) == pytest.approx(820.0)
    assert looked(9_000, 8_900) == pytest.approx(820.0)
    assert looked(8_900, 6_000) == 2_900.0
    world.run(
        "INSERT INTO hub.sync_runs (merchant_id, connection_id, step, state, started_at, finished_at) VALUES (:m, :c, "
        "'deliver_push', 'succeeded', now(), now() + interval '40 seconds')",
        m=world.merchant_id,
        c=stored.connection_id,
    )
    world.run(
        "INSERT INTO hub.sync_runs (merchant_id, connection_id, step, state, started_at) VALUES (:m, :c, "
        "'pull_orders', 'succeeded', timestamptz '2026-11-22 12:00Z')",
        m=world.merchant_id,
        c=stored.connection_id,
    )
    with world.store.begin() as tx:
        measure_news(tx, world.merchant_id)
    assert world.rows("SELECT news_seconds FROM hub.connection_pace")[0][0] == 6_040.0
