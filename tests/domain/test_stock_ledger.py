"""What an order does to stock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain.orders import (
    FulfilmentState,
    Order,
    OrderKind,
    OrderLine,
    OrderState,
    PaymentState,
    Refund,
    RefundLine,
    Shipment,
    ShipmentLine,
)
from oms_hub.domain.stock_ledger import Hold, StockEvent, holds, stock_events

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def at(hours: int) -> datetime:
    return NOON + timedelta(hours=hours)


def line(line_id: str = "1", quantity: int = 3, *, cancelled: int = 0, needs_stock: bool = True) -> OrderLine:
    return OrderLine(
        line_id,
        "Mug",
        quantity,
        Decimal(5),
        Decimal(5) * quantity,
        cancelled_quantity=cancelled,
        needs_stock=needs_stock,
    )


def order(*lines: OrderLine, **changes: object) -> Order:
    made = Order(
        channel_order_id="17",
        label="#17",
        placed_at=NOON,
        updated_at=NOON,
        state=OrderState.OPEN,
        payment_state=PaymentState.PAID,
        fulfilment_state=FulfilmentState.UNFULFILLED,
        currency="EUR",
        total=Decimal(15),
        lines=lines or (line(),),
    )
    return replace(made, **changes)


def shipped(hours: int, *lines: tuple[str, int], place: str | None = None) -> Shipment:
    rows = tuple(ShipmentLine(line_id, quantity) for line_id, quantity in lines)
    return Shipment(f"s{hours}", at(hours), rows, channel_location_id=place)


def refunded(
    hours: int, quantity: int, *, line_id: str = "1", restocked: bool = True, place: str | None = None
) -> Refund:
    row = RefundLine(line_id, quantity, Decimal(5), is_restocked=restocked, channel_location_id=place)
    return Refund(f"r{hours}", at(hours), Decimal(5), (row,))


def test_an_order_that_only_was_placed_moves_nothing_and_holds_its_units() -> None:
    assert stock_events(order()) == ()
    assert holds(order()) == (Hold("1", 3, 0),)


def test_shipments_are_summed_per_line_and_place_with_the_last_instant() -> None:
    sold = order(
        line("1", 3),
        line("2", 1),
        shipments=(shipped(2, ("1", 1), place="a"), shipped(1, ("1", 1), ("2", 1), place="a"), shipped(3, ("1", 1))),
    )
    assert stock_events(sold) == (
        StockEvent("1", "sale", "", 1, at(3)),
        StockEvent("1", "sale", "a", 2, at(2)),
        StockEvent("2", "sale", "a", 1, at(1)),
    )


def test_restocked_units_come_back_at_the_stated_place_and_others_do_not() -> None:
    sold = order(
        shipments=(shipped(1, ("1", 3)),), refunds=(refunded(2, 1, restocked=False), refunded(3, 2, place="b"))
    )
    assert stock_events(sold) == (StockEvent("1", "return", "b", 2, at(3)), StockEvent("1", "sale", "", 3, at(1)))


def test_no_more_units_come_back_than_left() -> None:
    sold = order(shipments=(shipped(1, ("1", 2)),), refunds=(refunded(2, 1), refunded(3, 2), refunded(4, 1)))
    assert stock_events(sold)[0] == StockEvent("1", "return", "", 2, at(3))
    assert stock_events(order(refunds=(refunded(2, 1),))) == ()


def test_units_that_were_cancelled_and_refunded_before_the_shipment_never_left() -> None:
    sold = order(line(cancelled=1), shipments=(shipped(2, ("1", 2)),), refunds=(refunded(1, 1), refunded(3, 1)))
    assert stock_events(sold)[0] == StockEvent("1", "return", "", 1, at(3))


def test_goods_handed_back_on_an_ordinary_receipt_are_restocked_as_told() -> None:
    receipt = order(
        line("1", 2),
        line("back", 0),
        kind=OrderKind.POS,
        state=OrderState.CLOSED,
        shipments=(shipped(1, ("1", 2)),),
        refunds=(refunded(1, 3, line_id="back", place="b"), refunded(2, 5, line_id="1")),
    )
    assert stock_events(receipt) == (
        StockEvent("1", "return", "", 2, at(2)),
        StockEvent("1", "sale", "", 2, at(1)),
        StockEvent("back", "return", "b", 3, at(1)),
    )


def test_a_credit_note_restocks_as_told_and_holds_nothing() -> None:
    note = order(kind=OrderKind.CREDIT_NOTE, refunds=(refunded(1, 2),))
    assert stock_events(note) == (StockEvent("1", "return", "", 2, at(1)),)
    assert holds(note) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"is_test": True},
        {"is_draft": True},
        {"kind": OrderKind.MARKETPLACE_FULFILLED},
        {"kind": OrderKind.DROPSHIP},
    ],
)
def test_orders_that_never_touch_own_shelves_do_nothing(changes: dict[str, object]) -> None:
    sold = order(shipments=(shipped(1, ("1", 1)),), **changes)
    assert (stock_events(sold), holds(sold)) == ((), ())


def test_lines_without_stock_unknown_lines_and_empty_rows_do_nothing() -> None:
    sold = order(
        line("1", needs_stock=False),
        line("2", 1),
        shipments=(shipped(1, ("1", 3), ("9", 1), ("2", 0)),),
        refunds=(refunded(2, 1, line_id="9"),),
    )
    assert stock_events(sold) == ()
    assert holds(sold) == (Hold("2", 1, 0),)


def test_open_units_are_what_was_neither_cancelled_nor_shipped() -> None:
    part = order(line("1", 5, cancelled=1), shipments=(shipped(1, ("1", 2)), shipped(2, ("1", 1))))
    assert holds(part) == (Hold("1", 1, 0),)
    assert holds(replace(part, shipments=(shipped(1, ("1", 6)),))) == ()


@pytest.mark.parametrize("state", [PaymentState.UNPAID, PaymentState.VOIDED])
def test_units_without_money_are_reserved(state: PaymentState) -> None:
    assert holds(order(payment_state=state, state=OrderState.ON_HOLD)) == (Hold("1", 0, 3),)


@pytest.mark.parametrize(
    "changes", [{"state": OrderState.CANCELLED}, {"state": OrderState.CLOSED}, {"kind": OrderKind.POS}]
)
def test_closed_orders_and_tills_hold_nothing(changes: dict[str, object]) -> None:
    assert holds(order(**changes)) == ()


@given(
    shipments=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), max_size=4),
    refunds=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), max_size=4, unique_by=lambda pair: pair[0]),
    cancelled=st.integers(0, 2),
    chance=st.randoms(use_true_random=False),
)
def test_the_order_of_shipments_and_refunds_does_not_matter(shipments, refunds, cancelled, chance) -> None:
    ships = [shipped(hours, ("1", quantity)) for hours, quantity in shipments]
    backs = [refunded(hours, quantity) for hours, quantity in refunds]
    first = stock_events(order(line(cancelled=cancelled), shipments=tuple(ships), refunds=tuple(backs)))
    chance.shuffle(ships)
    chance.shuffle(backs)
    assert stock_events(order(line(cancelled=cancelled), shipments=tuple(ships), refunds=tuple(backs))) == first
    units = {event.kind: event.cumulative_quantity for event in first}
    assert units.get("return", 0) <= units.get("sale", 0)
