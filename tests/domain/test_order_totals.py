"""What an order's parts add up to, and the gap that becomes one explicit adjustment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from oms_hub.domain.orders import (
    ADJUSTMENT_CHARGE_ID,
    Charge,
    ChargeKind,
    FulfilmentState,
    Order,
    OrderLine,
    OrderState,
    PaymentState,
    Tax,
    close_gap,
    stated_total,
)

PLACED = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
ORDER = Order(
    channel_order_id="1",
    label="#1",
    placed_at=PLACED,
    updated_at=PLACED,
    state=OrderState.OPEN,
    payment_state=PaymentState.PAID,
    fulfilment_state=FulfilmentState.UNFULFILLED,
    currency="MXN",
    total=Decimal("312.00"),
    lines=(
        OrderLine(
            line_id="a",
            title="Mug",
            quantity=2,
            unit_price=Decimal("100.00"),
            gross_amount=Decimal("200.00"),
            discount_amount=Decimal("10.00"),
            order_discount_amount=Decimal("5.00"),
            taxes=(Tax("IVA", Decimal("20.00")), Tax("IEPS", Decimal("7.00"))),
        ),
    ),
    charges=(Charge("s", ChargeKind.SHIPPING, "Parcel", Decimal("90.00"), taxes=(Tax("IVA", Decimal("10.00")),)),),
)


def test_parts_add_up_to_lines_after_discounts_charges_and_all_taxes() -> None:
    assert stated_total(ORDER) == Decimal("312.00")
    assert ORDER.lines[0].net_amount == Decimal("185.00")
    assert ORDER.lines[0].tax_amount == Decimal("27.00")
    assert ORDER.charges[0].tax_amount == Decimal("10.00")


def test_an_order_that_ties_is_left_alone() -> None:
    assert close_gap(ORDER) == (ORDER, Decimal(0))


def test_a_gap_becomes_one_explicit_adjustment_and_then_ties() -> None:
    closed, gap = close_gap(replace(ORDER, total=Decimal("311.99")))
    assert gap == Decimal("-0.01")
    assert [(charge.charge_id, charge.kind, charge.amount) for charge in closed.charges[1:]] == [
        (ADJUSTMENT_CHARGE_ID, ChargeKind.ADJUSTMENT, Decimal("-0.01"))
    ]
    assert close_gap(closed) == (closed, Decimal(0))
