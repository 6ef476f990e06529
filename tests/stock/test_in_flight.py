"""What a channel sold and the hub has not heard of is taken off the pool, and given back when its order explains it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from oms_hub.channel.contract import Capabilities, PushResult, StockWriteMode
from oms_hub.domain import demand, in_flight
from oms_hub.store.levels import SeenLevel, record_acknowledged, record_observed
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_stock import pull_stock


@pytest.fixture
def shop(world, kit):
    """Give a shop that shows 10 of A by the key a, counted 10, read and in step."""
    stored, fake = world.connect("shop")
    world.listing(stored, "a", "A", level=10)
    world.count("A", 10, kit.at(-60))
    pull_stock(world.hub, "shop")
    plan_push(world.hub, "acme")
    deliver_push(world.hub, "shop")
    world.clock.advance(60)
    return stored, fake


def see(world, stored, level, *, at=None):
    with world.store.begin() as tx:
        return record_observed(tx, stored.connection_id, [SeenLevel("a", level)], observed_at=at or world.clock())


def ledger(world):
    level = world.level("a")
    shifts = world.rows("SELECT kind, units FROM hub.level_shifts ORDER BY shift_id")
    return level["known_level"], level["in_flight"], level["early_units"], [tuple(row) for row in shifts]


def test_what_fell_is_in_flight_on_all_listings_until_its_order_comes(world, kit, shop):
    stored, fake = shop
    world.share_everything()
    other, _ = world.connect("other")
    world.listing(other, "b", "A", level=10)
    fake.levels["a"] = 7

    pull_stock(world.hub, "shop")

    assert ledger(world) == (7, 3, 0, [("fall", 3)])
    assert world.dirty() == {"A"}
    plan_push(world.hub, "acme")
    assert (world.level("a")["desired"], world.level("b")["desired"]) == (7, 7)
    assert world.outbox() == [("b", None, 7)]

    world.order(stored, "o1", kit.Line("A", 2), placed_at=kit.at(0.5))
    assert ledger(world) == (7, 1, 0, [("fall", 1)])
    world.order(stored, "o2", kit.Line("A", 1), placed_at=kit.at(0.6))
    assert ledger(world) == (7, 0, 0, [])
    plan_push(world.hub, "acme")
    assert (world.level("a")["desired"], world.level("b")["desired"]) == (7, 7)
    assert world.level("a")["cumulative_drop"] == 3


def test_an_order_stored_again_explains_nothing_more(world, kit, shop):
    stored, fake = shop
    fake.levels["a"] = 7
    pull_stock(world.hub, "shop")
    for _ in range(3):
        world.order(stored, "o1", kit.Line("A", 1), placed_at=kit.at(0.5))

    assert ledger(world) == (7, 2, 0, [("fall", 2)])


def test_an_order_may_come_before_its_fall_is_read(world, kit, shop):
    stored, fake = shop
    world.order(stored, "o1", kit.Line("A", 2), placed_at=kit.at(2))
    assert ledger(world) == (10, 0, 2, [])
    fake.levels["a"] = 7
    world.clock.advance(120)

    pull_stock(world.hub, "shop")

    assert ledger(world) == (7, 1, 0, [("fall", 1)])


def test_an_order_placed_before_the_level_was_known_is_in_that_level(world, kit, shop):
    stored, _ = shop
    world.order(stored, "o1", kit.Line("A", 2), placed_at=kit.at(-1))

    assert ledger(world) == (10, 0, 0, [])
    assert world.rows("SELECT * FROM hub.heard_lines") == []


def test_a_late_order_explains_what_fell_and_nothing_that_will(world, kit, shop):
    stored, fake = shop
    fake.levels["a"] = 9
    pull_stock(world.hub, "shop")
    world.run("DELETE FROM hub.level_shifts")
    world.clock.advance(60)
    pull_stock(world.hub, "shop")

    world.order(stored, "o1", kit.Line("A", 1), placed_at=kit.at(0.5))
    fake.levels["a"] = 8
    pull_stock(world.hub, "shop")

    assert ledger(world) == (8, 1, 0, [("fall", 1)])


def test_a_cancelled_unit_that_went_back_on_offer_hides_no_sale(world, kit, shop):
    stored, fake = shop
    fake.levels["a"] = 8
    pull_stock(world.hub, "shop")
    world.order(stored, "o1", kit.Line("A", 2), placed_at=kit.at(0.5))
    world.run("UPDATE hub.order_lines SET cancelled_quantity = 1")
    from oms_hub.store.stock import apply_order_changes

    with world.store.begin() as tx:
        apply_order_changes(tx, connection_id=stored.connection_id, channel_order_ids=["o1"])
    assert world.level("a")["early_restocked"] == 1

    pull_stock(world.hub, "shop")

    assert ledger(world) == (8, 1, 0, [("fall", 1)])


def test_a_rise_is_explained_by_its_cancellation_and_counts_as_nothing_before(world, kit, shop):
    stored, fake = shop
    world.order(stored, "o1", kit.Line("A", 1), placed_at=kit.at(2))
    fake.levels["a"] = 10
    world.clock.advance(120)
    pull_stock(world.hub, "shop")
    assert ledger(world) == (10, 0, 0, [("rise", 1)])
    world.run("UPDATE hub.order_lines SET cancelled_quantity = 1, allocated_quantity = 0")
    from oms_hub.store.stock import apply_order_changes

    with world.store.begin() as tx:
        apply_order_changes(tx, connection_id=stored.connection_id, channel_order_ids=["o1"])

    assert ledger(world) == (10, 0, 0, [])


def test_a_pack_and_a_listing_without_orders_of_its_key_are_counted_in_units(world, kit):
    stored, fake = world.connect("shop")
    world.listing(stored, "a", "A", level=5, pack_size=6)
    world.count("A", 30, kit.at(-60))
    pull_stock(world.hub, "shop")
    fake.levels["a"] = 4
    pull_stock(world.hub, "shop")

    plan_push(world.hub, "acme")

    assert world.level("a")["desired"] == 4
    world.order(stored, "o1", kit.Line("A", 1, listing_key="a"), placed_at=kit.at(1))
    assert ledger(world) == (4, 0, 0, [])


def test_a_sale_between_reading_and_an_absolute_write_explains_no_other(world, kit):
    able = Capabilities(stock_write=StockWriteMode.ABSOLUTE, stock_batch_size=5)
    stored, fake = world.connect("shop", capabilities=able)
    world.listing(stored, "a", "A", level=5)
    world.count("A", 9, kit.at(-60))
    plan_push(world.hub, "acme")

    def sells_under_way(shop, write):
        world.clock.advance(10)
        return kit.answer(PushResult.APPLIED, is_applied=True)(shop, write)

    fake.answers = [sells_under_way]
    deliver_push(world.hub, "shop")
    assert fake.levels["a"] == 9
    fake.levels["a"] = 8
    world.clock.advance(60)
    pull_stock(world.hub, "shop")
    assert ledger(world) == (8, 1, 0, [("fall", 1)])

    world.order(stored, "overwritten", kit.Line("A", 1), placed_at=kit.NOON + timedelta(seconds=5))
    assert ledger(world) == (8, 1, 0, [("fall", 1)])
    world.order(stored, "fell", kit.Line("A", 1), placed_at=kit.at(1))
    assert ledger(world) == (8, 0, 0, [])


def test_a_write_without_an_answer_is_no_sale_whichever_way_it_went(world, kit, shop):
    _stored, fake = shop
    world.count("A", 4, kit.at(-30))
    plan_push(world.hub, "acme")
    fake.answers = [kit.answer(PushResult.UNKNOWN, reason="timed out")]

    deliver_push(world.hub, "shop")

    assert ledger(world) == (10, 0, 0, [])
    assert list(world.level("a")["doubted_levels"]) == [4]
    fake.levels["a"] = 4
    pull_stock(world.hub, "shop")
    assert ledger(world) == (4, 0, 0, [])
    fake.levels["a"] = 3
    pull_stock(world.hub, "shop")
    assert ledger(world) == (3, 1, 0, [("fall", 1)])
    world.clock.advance(61)
    pull_stock(world.hub, "shop")
    assert world.level("a")["doubted_levels"] is None


def test_a_crash_after_sending_leaves_the_doubt_behind(world, kit, shop):
    _stored, fake = shop
    world.count("A", 4, kit.at(-30))
    plan_push(world.hub, "acme")

    class Killed(BaseException):
        pass

    def dies(shop, write):
        shop.levels["a"] = write.quantity - 1
        raise Killed

    fake.answers = [dies]
    with pytest.raises(Killed):
        deliver_push(world.hub, "shop")

    pull_stock(world.hub, "shop")

    assert ledger(world) == (3, 1, 0, [("fall", 1)])


def test_a_level_that_was_sent_before_a_crash_and_is_there_is_not_in_doubt_any_more(world, kit, shop):
    _stored, fake = shop
    world.count("A", 4, kit.at(-30))
    plan_push(world.hub, "acme")

    class Killed(BaseException):
        pass

    def dies(shop, write):
        shop.levels["a"] = write.quantity
        raise Killed

    fake.answers = [dies]
    with pytest.raises(Killed):
        deliver_push(world.hub, "shop")
    assert list(world.level("a")["doubted_levels"]) == [4]

    assert deliver_push(world.hub, "shop").in_step == 1

    assert (world.level("a")["doubted_levels"], world.level("a")["doubted_at"]) == (None, None)
    assert ledger(world) == (4, 0, 0, [])


def test_a_refused_write_leaves_no_doubt(world, kit, shop):
    _stored, fake = shop
    world.count("A", 4, kit.at(-30))
    plan_push(world.hub, "acme")
    fake.answers = [kit.answer(PushResult.REJECTED, reason="no")]

    deliver_push(world.hub, "shop")

    assert (world.level("a")["doubted_levels"], world.level("a")["doubted_at"]) == (None, None)


def test_what_the_channel_tells_after_the_write_enters_the_ledger(world, kit, shop):
    _stored, fake = shop
    world.count("A", 20, kit.at(-30))
    plan_push(world.hub, "acme")
    from oms_hub.channel.contract import PushOutcome

    fake.answers = [lambda shop, write: PushOutcome("a", PushResult.APPLIED, observed=19)]
    deliver_push(world.hub, "shop")

    assert ledger(world) == (19, 1, 0, [("fall", 1)])
    assert world.dirty() == {"A"}


def test_sales_seen_before_a_write_are_computed_in_and_never_brought_back(world, kit, shop):
    _stored, fake = shop
    world.count("A", 15, kit.at(-30))
    plan_push(world.hub, "acme")
    assert world.outbox() == [("a", 10, 15)]
    fake.levels["a"] = 8

    report = deliver_push(world.hub, "shop")

    assert fake.written[-1] == ("a", 8, 13)
    assert report.applied == 1
    assert ledger(world) == (13, 2, 0, [("fall", 2)])


def test_a_sale_that_makes_the_push_needless_sends_nothing(world, kit, shop):
    stored, fake = shop
    fake.writes.clear()
    world.order(stored, "o1", kit.Line("A", 2), placed_at=kit.at(0.1))
    plan_push(world.hub, "acme")
    assert world.outbox() == [("a", 10, 8)]
    fake.levels["a"] = 8

    assert deliver_push(world.hub, "shop").in_step == 1
    assert fake.writes == []
    assert ledger(world)[0] == 8


@pytest.mark.parametrize("odd", [None, -2])
def test_a_level_that_is_odd_changes_what_it_must_and_no_more(world, shop, odd):
    _stored, fake = shop
    fake.levels["a"] = odd

    pull_stock(world.hub, "shop")

    assert ledger(world) == ((10, 0, 0, []) if odd is None else (-2, 12, 0, [("fall", 12)]))
    kinds = [tuple(row) for row in world.rows("SELECT kind, handling, expected FROM hub.drifts")]
    assert kinds == ([("not_stocked", "alerted", 10)] if odd is None else [])


# ---------------------------------------------------------------------------------- the same, by the pure rules


def _in_store(world, stored):
    level = world.level("a")
    rows = world.rows("SELECT kind, units, seen_at FROM hub.level_shifts ORDER BY shift_id")

    def shifts(kind):
        return tuple(in_flight.Shift(row.units, row.seen_at.timestamp()) for row in rows if row.kind == kind)

    return in_flight.InFlight(
        level["known_level"], shifts("fall"), shifts("rise"), level["early_units"], level["early_restocked"]
    ), level["in_flight"]


@pytest.mark.parametrize("seed", range(2))
def test_the_ledger_in_sql_is_the_ledger_of_the_pure_rules(world, kit, seed):
    chance, stored = random.Random(seed), world.connect("shop")[0]
    world.listing(stored, "a", "A", level=50)
    world.count("A", 50, kit.at(-60))
    see(world, stored, 50)
    pure = in_flight.read_level(in_flight.InFlight(), 50, seen_at_seconds=world.clock().timestamp())
    for step in range(25):
        world.clock.advance(10)
        what = chance.choice(("read", "read", "order", "order", "late", "confirm", "cancel"))
        if what == "read":
            level = max(0, (pure.level or 0) + chance.choice((-3, -1, 0, 1)))
            see(world, stored, level)
            pure = in_flight.read_level(pure, level, seen_at_seconds=world.clock().timestamp())
        elif what == "confirm":
            level = chance.randrange(50)
            with world.store.begin() as tx:
                record_acknowledged(tx, stored.connection_id, [("a", level, True)], at=world.clock())
            pure = in_flight.confirm_level(pure, level)
        else:
            units, cancelled = chance.choice((1, 2)), int(what == "cancel")
            placed_at = world.clock() if what != "late" else kit.NOON + timedelta(seconds=1)
            _order(world, kit, stored, f"o{step}", units, cancelled, placed_at)
            known = world.level("a")["known_at"]
            is_late = placed_at <= known - timedelta(seconds=2)
            pure = in_flight.pull_units(
                pure, 0 if is_late else units, late_units=units if is_late else 0, restocked_units=cancelled
            )
        assert _in_store(world, stored) == (pure, pure.units)


def _order(world: Any, kit: Any, stored: Any, order_id: str, units: int, cancelled: int, placed_at: Any) -> None:
    from sqlalchemy import text

    from oms_hub.store.stock import apply_order_changes

    with world.store.begin() as tx:
        kit.store_order(tx, stored, order_id, [kit.Line("A", units)], placed_at=placed_at)
        tx.execute(
            text("UPDATE hub.order_lines SET cancelled_quantity = :c WHERE channel_order_id = :o"),
            {"c": cancelled, "o": order_id},
        )
        apply_order_changes(tx, connection_id=stored.connection_id, channel_order_ids=[order_id])


def test_demand_in_sql_is_the_demand_of_the_pure_rules(world, kit, shop):
    stored, _ = shop
    pure = demand.Demand()
    for nth, (units, seconds, level) in enumerate([(1, 100, 9), (3, 900, 0), (2, 0, 5), (1, 90_000, 5)]):
        world.run(
            "UPDATE hub.listing_levels SET demand_at = now() - make_interval(secs => :s), known_level = :level",
            s=seconds,
            level=level,
        )
        before = world.rows("SELECT extract(epoch FROM now() - demand_at) FROM hub.listing_levels")[0][0]
        world.order(stored, f"o{nth}", kit.Line("A", units), placed_at=kit.at(5 + nth))
        on_offer = demand.seconds_on_offer(float(before), sold=units, level_at_start=level + units, level_at_end=level)
        pure = demand.observe(pure, units=units, on_offer_seconds=on_offer)
        row = world.level("a")
        found = (row["demand_units"], row["demand_seconds"], row["burst_units"], row["burst_seconds"])
        wanted = (pure.units, pure.seconds, pure.burst_units, pure.burst_seconds)
        assert found == pytest.approx(wanted, rel=1e-2, abs=1e-6)
