"""Several sessions at once on the same SKUs: they take turns, lose nothing and never block each other for good."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from oms_hub.store.listing_links import Link, link_by_hand
from oms_hub.store.stock import apply_order_changes, map_order_lines
from oms_hub.sync.plan_push import plan_push


def together(*jobs):
    """Run all jobs at once, each in a thread of its own, and raise what any of them raised."""
    gate = threading.Barrier(len(jobs))

    def started(job):
        gate.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(started, job) for job in jobs]]


def wait_until_blocked(world, sessions=1):
    """Wait until so many sessions of this database wait for a lock."""
    for _ in range(500):
        waiting = world.rows(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        if waiting[0][0] >= sessions:
            return
        time.sleep(0.01)
    raise AssertionError("nobody waited")


def test_two_connections_sell_the_same_skus_at_once_and_every_unit_is_booked_once(world, kit):
    codes = [f"S{nth}" for nth in range(20)]
    world.skus(*codes)
    for code in codes:
        world.count(code, 1_000, kit.at(-60))
    connections = [world.connect(name)[0] for name in ("one", "two", "three")]

    def sell(stored, seed):
        rng = random.Random(seed)

        def run():
            for nth in range(8):
                lines = [
                    kit.Line(code, 2, line_id=code, shipped=[(1, kit.at(-5))]) for code in rng.sample(codes, len(codes))
                ]
                world.order(stored, f"o{nth}", *lines)

        return run

    together(*(sell(stored, seed) for seed, stored in enumerate(connections)))

    assert [world.on_hand(code) for code in codes] == [1_000 - 3 * 8] * 20
    assert world.rows("SELECT count(*) FROM hub.movements WHERE kind = 'sale'") == [(480,)]
    world.assert_ledger_balances()


def test_a_second_session_waits_for_the_first_and_goes_on_from_its_balance(world, kit):
    one, _ = world.connect("one")
    two, _ = world.connect("two")
    world.skus("A")
    world.count("A", 10, kit.at(-60))
    line = kit.Line("A", 3, shipped=[(3, kit.at(-5))])

    with ThreadPoolExecutor(1) as pool:
        with world.store.begin() as tx:
            kit.store_order(tx, one, "o1", [line], placed_at=kit.NOON)
            apply_order_changes(tx, connection_id=one.connection_id, channel_order_ids=["o1"])
            other = pool.submit(world.order, two, "o2", line)
            wait_until_blocked(world)
        other.result(timeout=60)

    assert world.ledger("A") == [("count", 10, 0, 10), ("sale", -3, 10, 7), ("sale", -3, 7, 4)]


def test_an_order_that_is_being_stored_while_its_sku_is_linked_is_mapped_all_the_same(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "k", None)
    world.skus("A")
    world.count("A", 10, kit.at(-60))
    line = kit.Line("TEXT", 3, listing_key="k", shipped=[(3, kit.at(-5))])
    world.order(one, "known", line)

    def link():
        with world.store.begin() as tx:
            link_by_hand(tx, world.merchant_id, one.connection_id, [Link("k", "A")])

    with ThreadPoolExecutor(1) as pool:
        with world.store.begin() as tx:
            kit.store_order(tx, one, "new", [line], placed_at=kit.NOON)
            kit.store_order(tx, one, "known", [line], placed_at=kit.NOON)
            apply_order_changes(tx, connection_id=one.connection_id, channel_order_ids=["new", "known"])
            linking = pool.submit(link)
            wait_until_blocked(world)
        linking.result(timeout=60)

    assert world.on_hand("A") == 4
    assert world.exceptions() == []


def test_a_mapping_that_holds_the_lock_leaves_lines_under_way_to_their_writer(world, kit):
    one, _ = world.connect("one")
    line = kit.Line("A", 3, shipped=[(3, kit.at(-5))])
    world.order(one, "o1", line)
    world.skus("A")
    world.count("A", 10, kit.at(-60))

    with ThreadPoolExecutor(1) as pool:
        with world.store.begin() as mapping:
            map_order_lines(mapping, world.merchant_id)
            storing = pool.submit(world.order, one, "o1", line)
            wait_until_blocked(world)
            map_order_lines(mapping, world.merchant_id)
        storing.result(timeout=60)

    assert world.on_hand("A") == 7
    world.assert_ledger_balances()


def test_counts_and_sales_at_once_keep_the_ledger_whole(world, kit):
    codes = [f"S{nth}" for nth in range(10)]
    world.skus(*codes)
    one, _ = world.connect("one")

    def sell():
        for nth in range(15):
            world.order(one, f"o{nth}", *[kit.Line(code, line_id=code, shipped=[(1, kit.at(-5))]) for code in codes])

    def count():
        for nth in range(5):
            for code in reversed(codes):
                world.count(code, 100, kit.at(-60 + nth))

    together(sell, count)

    assert [world.on_hand(code) for code in codes] == [85] * 10
    world.assert_ledger_balances()


def test_a_change_that_commits_during_a_plan_is_never_lost(world, kit):
    one, _ = world.connect("one")
    codes = [f"S{nth}" for nth in range(5)]
    for code in codes:
        world.listing(one, code, code)
        world.count(code, 50, kit.at(-60))
    done = threading.Event()

    def sell():
        for nth in range(20):
            world.order(one, f"o{nth}", *[kit.Line(code, line_id=code) for code in codes])
        done.set()

    def plan():
        while not done.is_set():
            plan_push(world.hub, "acme")

    together(sell, plan)
    plan_push(world.hub, "acme")

    assert sorted(world.outbox()) == [(code, None, 30) for code in codes]
    assert [world.level(code)["desired"] for code in codes] == [30] * 5


def test_an_open_row_for_each_listing_and_no_more_whatever_runs_at_once(world, kit):
    one, _ = world.connect("one")
    world.listing(one, "a", "A")
    world.count("A", 50, kit.at(-60))
    plan_push(world.hub, "acme")
    world.count("A", 40, kit.at(-50))

    from oms_hub.sync.plan_push import plan_scope, plan_skus

    def compute_again():
        with world.store.begin() as tx:
            from oms_hub.store.stock import mark_dirty

            mark_dirty(tx, world.merchant_id, [world.sku_id("A")])
            scope = plan_scope(world.hub, tx, world.merchant_id, "acme")
            plan_skus(tx, scope, [world.sku_id("A")])

    together(compute_again, compute_again, lambda: plan_push(world.hub, "acme"))

    assert world.outbox() == [("a", None, 40)]


def test_locks_end_with_their_transaction(world):
    with world.store.begin() as tx:
        map_order_lines(tx, world.merchant_id)
    with world.store.read() as tx:
        held = tx.execute(
            text(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
        assert held.scalar_one() == 0
