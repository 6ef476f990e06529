"""Orders and counts against the ledger: what moves, what is absorbed, what never counts twice."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError


def test_a_shipment_after_the_count_moves_stock_once(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 10, kit.at(-60))

    line = kit.Line("A", 3, shipped=[(2, kit.at(-30))])
    first = world.order(shop, "o1", line)
    again = world.order(shop, "o1", line)

    assert (first.mapped_lines, first.unmapped_lines, first.movements) == (1, 0, 1)
    assert again.movements == 0
    assert world.ledger("A") == [("count", 10, 0, 10), ("sale", -2, 10, 8)]
    assert world.on_hand("A") == 8


def test_a_sku_without_a_count_has_no_level_and_no_movements(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")

    assert world.order(shop, "o1", kit.Line("A", 2, shipped=[(2, kit.at(-5))])).movements == 0

    assert world.on_hand("A") is None
    assert world.ledger("A") == []


def test_orders_shipped_before_the_first_count_never_move_stock(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.order(shop, "before", kit.Line("A", 2, shipped=[(2, kit.at(-90))]))

    world.count("A", 10, kit.at(-60))
    world.order(shop, "late", kit.Line("A", 4, shipped=[(4, kit.at(-61))]))

    assert world.ledger("A") == [("count", 10, 0, 10)]
    assert world.on_hand("A") == 10


def test_the_first_count_books_what_orders_did_after_its_instant(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.order(shop, "o1", kit.Line("A", 3, shipped=[(3, kit.at(-30))]))

    world.count("A", 10, kit.at(-60))

    assert world.ledger("A") == [("count", 10, 0, 10), ("sale", -3, 10, 7)]


def test_a_line_that_shipped_on_both_sides_of_the_first_count_moves_only_what_left_after_it(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 10, kit.at(-60))

    world.order(shop, "o1", kit.Line("A", 5, shipped=[(3, kit.at(-90)), (2, kit.at(-30))]))

    assert world.on_hand("A") == 8
    assert world.ledger("A")[1:] == [("sale", -2, 10, 8)]


def test_a_movement_from_before_the_newest_count_is_absorbed_by_a_count_movement(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 10, kit.at(-60))
    world.count("A", 7, kit.at(-10))

    applied = world.order(shop, "o1", kit.Line("A", 3, shipped=[(3, kit.at(-30))]))

    assert applied.movements == 2
    assert world.ledger("A") == [("count", 10, 0, 10), ("count", -3, 10, 7), ("sale", -3, 7, 4), ("count", 3, 4, 7)]
    assert world.on_hand("A") == 7
    world.assert_ledger_balances()


def test_a_line_that_shipped_on_both_sides_of_the_newest_count_is_split(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 10, kit.at(-90))
    world.count("A", 8, kit.at(-20))

    world.order(shop, "o1", kit.Line("A", 5, shipped=[(2, kit.at(-30)), (3, kit.at(-10))]))

    assert world.ledger("A")[2:] == [("sale", -2, 8, 6), ("count", 2, 6, 8), ("sale", -3, 8, 5)]
    world.assert_ledger_balances()


def test_a_count_sets_the_level_as_of_its_instant_and_later_movements_still_apply(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 10, kit.at(-60))
    world.order(shop, "o1", kit.Line("A", 4, shipped=[(4, kit.at(-10))]))

    world.count("A", 20, kit.at(-30))

    assert world.on_hand("A") == 16
    assert world.ledger("A")[-1] == ("count", 10, 6, 16)


def test_a_count_older_than_the_newest_changes_nothing(world, kit):
    world.skus("A")
    world.count("A", 10, kit.at(-10))

    booked = world.count("A", 99, kit.at(-60))

    assert (booked.booked, booked.outdated) == (0, 1)
    assert world.ledger("A") == [("count", 10, 0, 10)]


def test_the_same_count_twice_adds_nothing_and_a_correction_of_it_does(world, kit):
    world.skus("A")
    world.count("A", 10, kit.at(-10))

    again = world.count("A", 10, kit.at(-10))
    corrected = world.count("A", 9, kit.at(-10))

    assert (again.booked, again.unchanged) == (0, 1)
    assert (corrected.booked, corrected.unchanged) == (1, 0)
    assert world.ledger("A") == [("count", 10, 0, 10), ("count", -1, 10, 9)]


def test_a_count_of_zero_is_a_level(world):
    world.skus("A")

    booked = world.count("A", 0)

    assert (booked.booked, booked.changed) == (1, 1)
    assert world.on_hand("A") == 0


def test_a_cancelled_shipment_puts_the_units_back_and_a_new_one_takes_them_again(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 10, kit.at(-60))

    world.order(shop, "o1", kit.Line("A", 3, shipped=[(2, kit.at(-30))]))
    world.order(shop, "o1", kit.Line("A", 3, shipped=[(1, kit.at(-30))]))
    world.order(shop, "o1", kit.Line("A", 3))
    world.order(shop, "o1", kit.Line("A", 3, shipped=[(2, kit.at(-5))]))

    assert [(kind, quantity) for kind, quantity, _, _ in world.ledger("A")] == [
        ("count", 10),
        ("sale", -2),
        ("sale", 1),
        ("sale", 1),
        ("sale", -2),
    ]
    assert world.on_hand("A") == 8
    world.assert_ledger_balances()


def test_a_removed_line_gives_its_units_back(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A", "B")
    world.count("A", 10, kit.at(-60))
    world.count("B", 10, kit.at(-60))

    world.order(
        shop, "o1", kit.Line("A", shipped=[(1, kit.at(-5))]), kit.Line("B", line_id="2", shipped=[(1, kit.at(-5))])
    )
    world.order(shop, "o1", kit.Line("A", shipped=[(1, kit.at(-5))]))

    assert (world.on_hand("A"), world.on_hand("B")) == (9, 10)


def test_a_restocked_refund_comes_back_once(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 10, kit.at(-60))
    line = kit.Line("A", 3, shipped=[(3, kit.at(-30))], returned=[(1, kit.at(-10))])

    world.order(shop, "o1", line)
    world.order(shop, "o1", line)

    assert world.ledger("A") == [("count", 10, 0, 10), ("sale", -3, 10, 7), ("return", 1, 7, 8)]


def test_a_return_on_both_sides_of_the_count_comes_back_in_part(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 10, kit.at(-60))

    world.order(shop, "o1", kit.Line("A", 3, shipped=[(3, kit.at(-90))], returned=[(1, kit.at(-70)), (1, kit.at(-10))]))

    assert world.ledger("A")[1:] == [("return", 1, 10, 11)]


def test_on_hand_may_go_below_zero(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 1, kit.at(-60))

    world.order(shop, "o1", kit.Line("A", 3, shipped=[(3, kit.at(-5))]))

    assert world.on_hand("A") == -2


def test_a_pack_takes_its_units(world, kit):
    shop, _ = world.connect("shop")
    world.listing(shop, "six", "A", pack_size=6)
    world.count("A", 20, kit.at(-60))

    world.order(shop, "o1", kit.Line("A", 2, listing_key="six", shipped=[(2, kit.at(-5))]))

    assert world.ledger("A")[1:] == [("sale", -12, 20, 8)]


def test_a_sale_at_a_linked_place_moves_that_place(world, kit):
    from oms_hub.store.goods import ChannelPlace, add_location, link_location, store_channel_places

    shop, _ = world.connect("shop")
    world.skus("A")
    with world.store.begin() as tx:
        store_place = add_location(tx, world.merchant_id, "store").location_id
        store_channel_places(tx, shop.connection_id, [ChannelPlace("77", "Store")])
        link_location(tx, shop.connection_id, "77", store_place)
    world.count("A", 10, kit.at(-60))
    world.count("A", 5, kit.at(-60), location_id=store_place)

    world.order(shop, "o1", kit.Line("A", 2, shipped=[(2, kit.at(-5))], place="77"))
    world.order(shop, "o2", kit.Line("A", 1, shipped=[(1, kit.at(-5))], place="unlinked"))

    assert (world.on_hand("A"), world.on_hand("A", store_place)) == (9, 3)


def test_ids_with_colons_and_percent_signs_stay_apart(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 10, kit.at(-60))

    world.order(shop, "gid://x/1:2", kit.Line("A", 1, line_id="gid:3%", shipped=[(1, kit.at(-5))]))
    world.order(shop, "gid://x/1", kit.Line("A", 2, line_id="2:gid:3%", shipped=[(2, kit.at(-5))]))
    world.order(shop, "gid://x/1:2", kit.Line("A", 1, line_id="gid:3%", shipped=[(1, kit.at(-5))]))

    assert world.on_hand("A") == 7
    assert len(world.ledger("A")) == 3


def test_the_ledger_refuses_to_be_changed(world):
    world.skus("A")
    world.count("A", 3)

    with pytest.raises(SQLAlchemyError, match="append-only"), world.store.begin() as tx:
        tx.execute(text("DELETE FROM hub.movements"))

    assert world.on_hand("A") == 3


def test_holding_lines_and_moved_skus_are_marked_for_the_plan(world, kit):
    shop, _ = world.connect("shop")
    world.skus("A", "B", "C", "D")
    for code in "ABCD":
        world.count(code, 5, kit.at(-60))
    world.clean()
    lines = [
        kit.Line("A", 1, line_id="a"),
        kit.Line("B", 1, line_id="b", shipped=[(1, kit.at(-5))]),
        kit.Line("C", 1, line_id="c", allocated=0),
    ]

    world.order(shop, "o1", *lines, previous_sku_ids=[world.sku_id("D")])

    assert world.dirty() == {"A", "B", "D"}


def test_without_the_former_skus_every_sku_of_the_order_is_marked(world, kit):
    shop, _ = world.connect("shop")
    world.skus("C")

    world.order(shop, "o1", kit.Line("C", 1, allocated=0))

    assert world.dirty() == {"C"}


def test_no_orders_do_nothing(world):
    from oms_hub.store.movements import derive_movements
    from oms_hub.store.stock import StockApplied, apply_order_changes

    with world.store.begin() as tx:
        assert apply_order_changes(tx, connection_id=1, channel_order_ids=[]) == StockApplied(0, 0, 0)
        assert derive_movements(tx, []) == (0, ())


def test_lines_whose_movements_are_not_what_happened_are_found(world, kit):
    from oms_hub.store.movements import differing_lines

    shop, _ = world.connect("shop")
    world.skus("A")
    world.count("A", 10, kit.at(-60))
    world.order(shop, "o1", kit.Line("A", 2, shipped=[(2, kit.at(-5))]))
    with world.store.read() as tx:
        assert differing_lines(tx, [(shop.connection_id, "o1")]) == ()

    world.run("UPDATE hub.order_stock_events SET cumulative_quantity = 3")

    with world.store.read() as tx:
        assert differing_lines(tx, [(shop.connection_id, "o1")]) == ("o1 line 1",)
