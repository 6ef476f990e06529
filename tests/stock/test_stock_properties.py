"""What holds for any sequence of orders and counts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oms_hub.store.counts import Count, book_counts
from oms_hub.store.goods import add_skus, find_sku
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.show_stock import show_stock

BOUNDED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Sale:
    """A version of an order: units shipped (each with its minute) and restocked."""

    order: int
    quantity: int
    shipped: tuple[tuple[int, int], ...]
    returned: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Counted:
    """A count as of a minute."""

    quantity: int
    minute: int


MINUTES = st.integers(-100, -1)
MOVES = st.lists(st.tuples(st.integers(1, 3), MINUTES), max_size=2).map(tuple)
SALES = st.builds(Sale, st.integers(0, 3), st.integers(1, 8), MOVES, MOVES)
COUNTS = st.builds(Counted, st.integers(0, 50), MINUTES)
STEPS = st.lists(st.one_of(SALES, SALES, COUNTS), max_size=10)


@pytest.fixture
def play(world, kit):
    """Return a function that plays steps on a SKU of its own and returns its code."""
    stored, _ = world.connect("shop")
    numbers = iter(range(10_000))

    def run(steps):
        code = f"P{next(numbers)}"
        with world.store.begin() as tx:
            add_skus(tx, world.merchant_id, [code])
        for step in steps:
            apply(code, step)
        return code

    def apply(code, step):
        if isinstance(step, Counted):
            world.count(code, step.quantity, kit.at(step.minute))
            return
        line = kit.Line(
            code,
            step.quantity,
            shipped=[(units, kit.at(minute)) for units, minute in step.shipped],
            returned=[(units, kit.at(minute)) for units, minute in step.returned],
        )
        world.order(stored, f"{code}-{step.order}", line)

    run.apply = apply
    return run


@BOUNDED
@given(steps=STEPS)
def test_on_hand_is_the_sum_of_the_ledger_whatever_happens(world, play, steps):
    play(steps)

    world.assert_ledger_balances()


@BOUNDED
@given(steps=STEPS)
def test_doing_the_last_version_of_everything_again_adds_nothing(world, play, steps):
    code = play(steps)
    before = world.ledger(code), world.on_hand(code)
    last = {step.order: step for step in steps if isinstance(step, Sale)}

    for step in last.values():
        play.apply(code, step)

    assert (world.ledger(code), world.on_hand(code)) == before


def level_by_hand(counts, sales):
    """Return the level by the plain rule: the newest count, and what happened after it."""
    newest = max(counts, key=lambda count: count.minute, default=None)
    if newest is None:
        return None
    after = sum(units for sale in sales for units, minute in sale.returned if minute > newest.minute)
    after -= sum(units for sale in sales for units, minute in sale.shipped if minute > newest.minute)
    return newest.quantity + after


@BOUNDED
@given(
    sales=st.lists(SALES, max_size=4, unique_by=lambda sale: sale.order),
    counts=st.lists(COUNTS, max_size=3, unique_by=lambda count: count.minute),
    data=st.data(),
)
def test_the_level_is_the_newest_count_and_what_happened_after_it_in_whatever_order_news_come(
    world, play, sales, counts, data
):
    steps = data.draw(st.permutations([*sales, *counts]))

    code = play(steps)

    assert world.on_hand(code) == level_by_hand(counts, sales)


@BOUNDED
@given(
    on_hand=st.integers(0, 60),
    unavailable=st.integers(0, 5),
    holds=st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=4),
)
def test_on_hand_is_what_is_available_and_held_and_unavailable(world, play, kit, on_hand, unavailable, holds):
    code = play([Counted(on_hand, -50)])
    world.run(
        "UPDATE hub.balances SET unavailable = :units WHERE sku_id = :sku",
        units=unavailable,
        sku=world.sku_id(code),
    )
    with world.store.read() as tx:
        from oms_hub.store.connections import get_connection

        stored = get_connection(tx, "shop")
    for nth, (units, is_reserved) in enumerate(holds):
        world.order(stored, f"{code}-h{nth}", kit.Line(code, units, reserved=units if is_reserved else 0))

    level = show_stock(world.hub, "acme", code)[0]

    assert level.on_hand == level.available + level.allocated + level.reserved + level.unavailable
    assert level.on_hand == on_hand
    assert level.allocated + level.reserved == sum(units for units, _ in holds)


@BOUNDED
@given(levels=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=5))
def test_planning_twice_is_planning_once(world, play, kit, levels):
    with world.store.read() as tx:
        from oms_hub.store.connections import get_connection

        stored = get_connection(tx, "shop")
    for on_hand, known in levels:
        code = play([])
        world.listing(stored, code, code)
        world.run(
            "INSERT INTO hub.listing_levels (connection_id, listing_key, merchant_id, acknowledged) "
            "VALUES (:c, :key, :m, :level)",
            c=stored.connection_id,
            key=code,
            m=world.merchant_id,
            level=known,
        )
        with world.store.begin() as tx:
            sku_id = find_sku(tx, world.merchant_id, code)
            book_counts(tx, world.merchant_id, [Count(sku_id, world.main, on_hand, kit.at(-5))], source="test")
    first = plan_push(world.hub, "acme")
    before = world.rows("SELECT * FROM hub.outbox ORDER BY outbox_id")
    world.run("INSERT INTO hub.stock_dirty (sku_id, merchant_id) SELECT sku_id, merchant_id FROM hub.skus")

    second = plan_push(world.hub, "acme")

    assert first.raised + first.lowered == sum(on_hand != known for on_hand, known in levels)
    assert (second.raised, second.lowered) == (0, 0)
    assert world.rows("SELECT * FROM hub.outbox ORDER BY outbox_id") == before
