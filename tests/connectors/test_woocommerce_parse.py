"""Reading WooCommerce orders: exact amounts, states, refunds, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.woocommerce import parse_refunds
from connectors.woocommerce.fields import amount, instant, whole_units
from connectors.woocommerce.parse import parse_order, split_page
from oms_hub.channel.contract import Connection
from oms_hub.domain.orders import (
    Charge,
    ChargeKind,
    Customer,
    Discount,
    FulfilmentState,
    OrderState,
    Payment,
    PaymentKind,
    PaymentState,
    Refund,
    RefundLine,
    Shipment,
    ShipmentLine,
    Tax,
    close_gap,
)
from oms_hub.errors import BadPayload

CONNECTION = Connection(1, "shop", "woocommerce", "merchant", "MXN", "America/Mexico_City", {})
PLACED = datetime(2026, 11, 1, 10, 0, tzinfo=UTC)
CHANGED = datetime(2026, 11, 2, 11, 30, tzinfo=UTC)
IVA = Decimal("0.16")


def line(line_id: int = 11, **more: Any) -> dict[str, Any]:
    return {
        "id": line_id,
        "name": "Taza",
        "product_id": 5,
        "variation_id": 0,
        "quantity": 2,
        "subtotal": "20.000000",
        "total": "20.000000",
        "total_tax": "3.200000",
        "taxes": [{"id": 3, "total": "3.2", "subtotal": ""}],
        "meta_data": [],
        "sku": "HUB-001",
        "price": 10.000000000000002,
        **more,
    }


def order(**more: Any) -> dict[str, Any]:
    return {
        "id": 17,
        "number": "A-17",
        "status": "processing",
        "currency": "MXN",
        "date_created_gmt": "2026-11-01T10:00:00",
        "date_modified_gmt": "2026-11-02T11:30:00",
        "date_paid_gmt": "2026-11-01T10:05:00",
        "date_completed_gmt": None,
        "total": "23.200000",
        "customer_id": 9,
        "payment_method": "card",
        "transaction_id": "tx-1",
        "billing": {"country": "US"},
        "shipping": {"country": "MX"},
        "line_items": [line()],
        "tax_lines": [{"rate_id": 3, "rate_code": "MX-IVA-1", "label": "IVA", "rate_percent": 16.0}],
        "shipping_lines": [],
        "fee_lines": [],
        "coupon_lines": [],
        "refunds": [],
        **more,
    }


def refund(refund_id: int = 90, **more: Any) -> dict[str, Any]:
    return {
        "id": refund_id,
        "date_created_gmt": "2026-11-05T08:00:00",
        "amount": "11.600000",
        "reason": "too small",
        "line_items": [
            line(
                901,
                quantity=-1,
                total="-10.000000",
                total_tax="-1.600000",
                meta_data=[{"key": "_refunded_item_id", "value": "11"}],
            )
        ],
        "shipping_lines": [],
        **more,
    }


def parsed(payload: Any) -> Any:
    return parse_order((payload,), CONNECTION)


def test_a_plain_order_is_read_field_by_field() -> None:
    found = parsed(order())
    assert (found.channel_order_id, found.label, found.currency) == ("17", "A-17", "MXN")
    assert (found.placed_at, found.updated_at) == (PLACED, CHANGED)
    assert (found.state, found.payment_state, found.fulfilment_state) == (
        OrderState.OPEN,
        PaymentState.PAID,
        FulfilmentState.UNFULFILLED,
    )
    assert (found.total, str(found.total), found.channel_state) == (Decimal("23.2"), "23.20", "processing")
    only = found.lines[0]
    assert (only.line_id, only.sku, only.listing_key, only.quantity) == ("11", "HUB-001", "product:5", 2)
    assert (only.unit_price, only.gross_amount) == (Decimal(10), Decimal(20))
    assert only.taxes == (Tax("IVA", Decimal("3.2"), IVA),)
    assert found.customer == Customer("9", "MX")
    paid_at = datetime(2026, 11, 1, 10, 5, tzinfo=UTC)
    assert found.payments == (Payment("tx-1", PaymentKind.SALE, Decimal("23.2"), "MXN", paid_at, "card"),)
    assert (found.is_sale, found.shipments, found.unknown_words, found.taxes_included) == (True, (), (), False)
    assert close_gap(found)[1] == 0


@pytest.mark.parametrize(
    ("status", "state", "payment", "fulfilment", "is_sale"),
    [
        ("pending", "open", "unpaid", "unfulfilled", False),
        ("on-hold", "on_hold", "unpaid", "unfulfilled", True),
        ("processing", "open", "authorised", "unfulfilled", True),
        ("completed", "closed", "authorised", "fulfilled", True),
        ("refunded", "closed", "refunded", "unfulfilled", True),
        ("cancelled", "cancelled", "voided", "unfulfilled", False),
        ("failed", "cancelled", "voided", "unfulfilled", False),
        ("trash", "cancelled", "voided", "unfulfilled", False),
        ("auto-draft", "open", "unpaid", "unfulfilled", False),
        ("checkout-draft", "open", "unpaid", "unfulfilled", False),
        ("awaiting-pickup", "open", "unpaid", "unfulfilled", True),
    ],
)
def test_each_status_means_three_states(status: str, state: str, payment: str, fulfilment: str, is_sale: bool) -> None:
    found = parsed(order(status=status, date_paid_gmt=None))
    assert (found.state, found.payment_state, found.fulfilment_state, found.is_sale) == (
        state,
        payment,
        fulfilment,
        is_sale,
    )
    assert found.is_draft == status.endswith("draft")
    assert found.unknown_words == (("awaiting-pickup",) if status == "awaiting-pickup" else ())
    assert (found.cancelled_at is not None) == (state == "cancelled")


def test_a_completed_order_has_one_shipment_of_all_lines() -> None:
    found = parsed(
        order(
            status="completed",
            date_completed_gmt="2026-11-03T09:00:00",
            line_items=[line(), line(12)],
            total="46.40",
        )
    )
    shipped_at = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
    lines = (ShipmentLine("11", 2), ShipmentLine("12", 2))
    assert found.shipments == (Shipment("completed:17", shipped_at, lines, "completed"),)
    assert (found.closed_at, found.fulfilment_state) == (shipped_at, FulfilmentState.FULFILLED)


def test_a_completed_order_without_completion_date_left_when_it_last_changed() -> None:
    assert parsed(order(status="completed")).shipments[0].shipped_at == CHANGED


def test_an_order_moved_back_from_completed_has_not_left() -> None:
    assert parsed(order(date_completed_gmt="2026-11-03T09:00:00")).shipments == ()


def test_a_free_order_that_was_released_is_paid_and_has_no_payment() -> None:
    free = line(subtotal="0.00", total="0.00", total_tax="0.00", taxes=[])
    found = parsed(order(total="0.00", line_items=[free]))
    assert (found.payment_state, found.payments) == (PaymentState.PAID, ())
    assert parsed(order(total="0", line_items=[free], date_paid_gmt=None)).payment_state is PaymentState.PAID


def test_coupons_are_discounts_on_the_order() -> None:
    coupons = [{"id": 1, "code": "tenoff", "discount": "2", "discount_tax": "0.32"}]
    item = line(total="18.00", total_tax="2.88", taxes=[{"id": 3, "total": "2.88"}])
    found = parsed(order(coupon_lines=coupons, line_items=[item], total="20.88"))
    only = found.lines[0]
    assert (only.gross_amount, only.discount_amount, only.order_discount_amount) == (20, 0, 2)
    assert found.discounts == (Discount("tenoff", Decimal(2), "tenoff"),)


def test_without_coupons_a_lower_total_is_the_lines_own_discount() -> None:
    item = line(total="15.00", total_tax="0", taxes=[])
    only = parsed(order(line_items=[item], total="15.00")).lines[0]
    assert (only.discount_amount, only.order_discount_amount, only.net_amount) == (5, 0, 15)


def test_a_total_raised_by_hand_is_the_price() -> None:
    item = line(total="30.00", total_tax="0", taxes=[])
    only = parsed(order(line_items=[item], total="30.00")).lines[0]
    assert (only.gross_amount, only.discount_amount, only.unit_price) == (30, 0, 15)


def test_the_unit_price_comes_from_the_sum_and_never_from_the_float() -> None:
    item = line(quantity=3, subtotal="10.00", total="10.00", total_tax="0", taxes=[], price=3.3333333333333335)
    only = parsed(order(line_items=[item], total="10.00")).lines[0]
    assert (only.unit_price, only.gross_amount) == (Decimal("3.333333"), Decimal(10))
    single = parsed(order(line_items=[line(quantity=1)])).lines[0]
    assert single.unit_price == single.gross_amount == 20
    assert parsed(order(line_items=[line(quantity=0)])).lines[0].unit_price == 20


def test_shipping_and_negative_fees_are_charges() -> None:
    shipping = [
        {
            "id": 5,
            "method_title": "Flat rate",
            "method_id": "flat_rate",
            "total": "10.00",
            "total_tax": "1.60",
            "taxes": [{"id": 3, "total": "1.6", "subtotal": ""}],
        }
    ]
    fees = [
        {
            "id": 6,
            "name": None,
            "amount": "",
            "total": "-4.00",
            "total_tax": "0.00",
            "taxes": [{"id": 3, "total": "", "subtotal": ""}],
        }
    ]
    found = parsed(order(shipping_lines=shipping, fee_lines=fees, total="30.80"))
    assert found.charges == (
        Charge(
            "shipping:5",
            ChargeKind.SHIPPING,
            "Flat rate",
            Decimal(10),
            "flat_rate",
            (Tax("IVA", Decimal("1.6"), IVA),),
        ),
        Charge("fee:6", ChargeKind.FEE, "fee", Decimal(-4)),
    )
    assert close_gap(found)[1] == 0


def test_rounding_below_a_hundredth_is_one_open_charge_and_more_is_a_mismatch() -> None:
    item = line(subtotal="8.264463", total="8.264463", total_tax="1.735500", taxes=[{"id": 3, "total": "1.7355"}])
    found = parsed(order(line_items=[item], total="10.00"))
    gap = Decimal("0.000037")
    assert found.charges == (Charge("rounding", ChargeKind.ROUNDING, "Rounding of the total", gap),)
    assert close_gap(found)[1] == 0
    assert close_gap(parsed(order(line_items=[item], total="10.01")))[1] == Decimal("0.010037")


def test_taxes_that_do_not_add_up_follow_the_lines_own_sum() -> None:
    one = line(total_tax="3.25")
    two = line(total_tax="3.25", taxes=[{"id": 3, "total": "1"}, {"id": 4, "total": "2"}, {"id": 5, "total": "0"}])
    none = line(total_tax="3.25", taxes=[])
    assert parsed(order(line_items=[one])).lines[0].taxes == (Tax("IVA", Decimal("3.25"), IVA),)
    assert parsed(order(line_items=[two])).lines[0].taxes == (
        Tax("IVA", Decimal(1), IVA),
        Tax("Tax", Decimal(2)),
        Tax("Rounding of taxes", Decimal("0.25")),
    )
    assert parsed(order(line_items=[none])).lines[0].taxes == (Tax("Tax", Decimal("3.25")),)


def test_a_tax_without_label_or_rate_keeps_its_code() -> None:
    found = parsed(order(tax_lines=[{"rate_id": "3", "rate_code": "MX-IVA-1", "label": "", "rate_percent": None}]))
    assert found.lines[0].taxes == (Tax("MX-IVA-1", Decimal("3.2")),)


def test_japanese_orders_keep_their_two_decimals() -> None:
    item = line(subtotal="1200.00", total="1200.00", total_tax="120.00", taxes=[{"id": 3, "total": "120"}])
    found = parsed(order(currency="JPY", total="1320.00", line_items=[item]))
    assert (found.total, found.lines[0].tax_amount, found.charges) == (Decimal(1320), Decimal(120), ())


def test_lines_of_deleted_products_have_no_listing_and_no_sku() -> None:
    only = parsed(order(line_items=[line(product_id=0, sku=None)])).lines[0]
    assert (only.listing_key, only.sku, only.needs_stock, only.title) == (None, None, True, "Taza")


def test_variations_have_their_own_listing_key() -> None:
    assert parsed(order(line_items=[line(variation_id=8)])).lines[0].listing_key == "variation:5:8"


def test_guests_are_no_customers_and_the_billing_country_is_second_choice() -> None:
    assert parsed(order(customer_id=0)).customer is None
    assert parsed(order(shipping={"country": ""})).customer == Customer("9", "US")
    assert parsed(order(shipping=None, billing=None)).customer == Customer("9", None)


def test_a_missing_transaction_id_is_named_paid() -> None:
    assert parsed(order(transaction_id="", payment_method="")).payments[0].payment_id == "paid"


# ---------------------------------------------------------------------------------------------------- refunds


def completed(**more: Any) -> dict[str, Any]:
    return order(
        status="completed",
        date_completed_gmt="2026-11-03T09:00:00",
        refunds=[{"id": 90, "reason": "", "total": "-11.60"}],
        **more,
    )


def restocked_line(units: int, **more: Any) -> dict[str, Any]:
    meta = [{"key": "_reduced_stock", "value": "1"}, {"key": "_restock_refunded_items", "value": str(units)}]
    return line(meta_data=meta, **more)


def test_a_refund_after_the_goods_left_is_linked_and_not_restocked_by_itself() -> None:
    found = parsed({"order": completed(), "refunds": [refund()]})
    refunded_at = datetime(2026, 11, 5, 8, 0, tzinfo=UTC)
    lines = (RefundLine("11", 1, Decimal(10), Decimal("1.6"), is_restocked=False),)
    assert found.refunds == (Refund("90", refunded_at, Decimal("11.6"), lines, reason="too small"),)
    assert found.payment_state is PaymentState.PARTIALLY_REFUNDED
    assert found.shipments[0].lines == (ShipmentLine("11", 2),)


def test_the_running_tally_on_the_line_tells_a_restock() -> None:
    found = parsed({"order": completed(line_items=[restocked_line(1)]), "refunds": [refund()]})
    assert [entry.is_restocked for entry in found.refunds[0].lines] == [True]
    assert found.lines[0].cancelled_quantity == 0


def test_units_restocked_before_the_goods_left_are_taken_off_the_order() -> None:
    early = refund(date_created_gmt="2026-11-02T08:00:00")
    found = parsed({"order": completed(line_items=[restocked_line(1)]), "refunds": [early]})
    assert (found.lines[0].cancelled_quantity, found.refunds[0].lines[0].is_restocked) == (1, False)
    assert found.shipments[0].lines == (ShipmentLine("11", 1),)
    waiting = parsed({"order": order(line_items=[restocked_line(1)]), "refunds": [early]})
    assert (waiting.lines[0].cancelled_quantity, waiting.shipments) == (1, ())


def test_units_refunded_without_restock_before_the_goods_left_stay_on_the_order() -> None:
    found = parsed({"order": order(), "refunds": [refund()]})
    assert (found.lines[0].cancelled_quantity, found.refunds[0].lines[0].quantity) == (0, 1)


def test_an_amount_only_refund_belongs_to_no_line() -> None:
    found = parsed({"order": completed(), "refunds": [refund(line_items=[], amount="5.00")]})
    assert (found.refunds[0].lines, found.refunds[0].other_amount, found.refunds[0].paid_amount) == ((), 5, 5)


def test_a_refund_splits_into_lines_shipping_and_the_rest() -> None:
    shipping = [{"total": "-8.00", "total_tax": "-1.28"}]
    found = parsed({"order": completed(), "refunds": [refund(amount="21.88", shipping_lines=shipping)]}).refunds[0]
    assert (found.shipping_amount, found.shipping_tax_amount, found.other_amount) == (
        Decimal(8),
        Decimal("1.28"),
        Decimal(1),
    )


def test_a_refund_line_without_link_is_found_by_its_product() -> None:
    for meta, expected in (([], "11"), ([{"key": "_refunded_item_id", "value": "404"}], None)):
        row = refund(line_items=[line(901, quantity=-1, total="-10", total_tax="-1.6", meta_data=meta)])
        found = parsed({"order": completed(), "refunds": [row]}).refunds[0]
        assert [entry.line_id for entry in found.lines] == ([expected] if expected else [])
        assert found.other_amount == (0 if expected else Decimal("11.6"))


def test_refund_lines_of_unknown_goods_and_empty_ones_are_not_lines() -> None:
    unknown = line(901, quantity=-1, total="-10", product_id=0)
    other = line(902, quantity=-1, total="-10", product_id=777)
    nothing = line(903, quantity=0, total="0", total_tax="0")
    row = refund(line_items=[unknown, other, nothing])
    assert parsed({"order": completed(), "refunds": [row]}).refunds[0].lines == ()


def test_a_full_refund_is_refunded_and_returned() -> None:
    row = refund(
        amount="23.20",
        line_items=[
            line(
                901,
                quantity=-2,
                total="-20",
                total_tax="-3.2",
                meta_data=[{"key": "_refunded_item_id", "value": "11"}],
            )
        ],
    )
    found = parsed({"order": completed(), "refunds": [row]})
    assert (found.payment_state, found.fulfilment_state) == (PaymentState.REFUNDED, FulfilmentState.RETURNED)


def test_a_short_list_of_refunds_gives_amounts_only() -> None:
    found = parsed(completed())
    assert found.refunds == (Refund("90", CHANGED, Decimal("11.60"), other_amount=Decimal("11.60")),)


def test_an_order_refunded_by_status_alone_is_refunded() -> None:
    found = parsed({"order": order(status="refunded"), "refunds": []})
    assert (found.payment_state, found.refunds, found.shipments) == (PaymentState.REFUNDED, (), ())


@pytest.mark.parametrize(
    ("tally", "units", "chosen"),
    [
        (3, [("1", 2), ("2", 3)], ("2",)),
        (5, [("1", 2), ("2", 3)], ("1", "2")),
        (9, [("1", 2), ("2", 3)], ("1", "2")),
        (0, [("1", 2)], ()),
        (4, [("1", 2), ("2", 3)], ("1",)),
        (4, [("1", 1), ("2", 2), ("3", 3)], ("1", "3")),
        (2, [(str(number), 1) for number in range(20)], ("0", "1")),
        (2, [("0", 3), *((str(number), 1) for number in range(1, 20))], ("1", "2")),
    ],
)
def test_the_refunds_that_make_up_the_tally_are_chosen(tally: int, units: Any, chosen: tuple[str, ...]) -> None:
    assert parse_refunds._refunds_making(tally, units) == chosen


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.data())
def test_any_set_of_restocked_refunds_is_found_with_its_exact_units(quantities: list[int], data: st.DataObject) -> None:
    restocked = data.draw(st.sets(st.integers(0, len(quantities) - 1)))
    units = [(str(number), quantity) for number, quantity in enumerate(quantities)]
    tally = sum(quantities[number] for number in restocked)
    chosen = parse_refunds._refunds_making(tally, units)
    assert sum(quantities[int(refund_id)] for refund_id in chosen) == tally


# ------------------------------------------------------------------------------------------------ bad payloads


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"total": "a lot"}, "total"),
        ({"total": "NaN"}, "total"),
        ({"total": "1" * 41}, "total"),
        ({"total": True}, "total"),
        ({"line_items": [line(quantity=1.5)]}, "line_items[0].quantity"),
        ({"line_items": [line(), line(quantity="x")]}, "line_items[1].quantity"),
        ({"line_items": [line(quantity=True)]}, "line_items[0].quantity"),
        ({"line_items": [line(subtotal=[])]}, "line_items[0].subtotal"),
        ({"date_created_gmt": "yesterday"}, "date_created_gmt"),
        ({"date_modified_gmt": None}, "date_modified_gmt"),
        ({"line_items": None}, "order"),
        ({"line_items": [5]}, "order"),
    ],
)
def test_a_bad_field_is_named_and_its_value_is_not(change: dict[str, Any], place: str) -> None:
    with pytest.raises(BadPayload) as caught:
        parsed(order(**change))
    assert caught.value.where == place
    assert "a lot" not in caught.value.one_line()


def test_a_missing_field_is_named() -> None:
    payload = order()
    del payload["currency"]
    with pytest.raises(BadPayload, match="the field currency is missing"):
        parsed(payload)


def test_what_is_no_order_is_refused() -> None:
    with pytest.raises(BadPayload, match="not an object"):
        parsed([1])


def test_amounts_are_exact_whatever_their_type() -> None:
    assert [amount(value, "x") for value in ("", None, 5, 0.1, "-3.50", "12.340000")] == [
        Decimal(0),
        Decimal(0),
        Decimal(5),
        Decimal("0.1"),
        Decimal("-3.50"),
        Decimal("12.34"),
    ]
    assert str(amount("12.340000", "x")) == "12.34"
    assert str(amount("12.345600", "x")) == "12.345600"


def test_whole_units_are_read_from_any_number_without_fraction() -> None:
    assert [whole_units(value, "x") for value in (3, 3.0, "3", "-2")] == [3, 3, 3, -2]


def test_instants_with_an_offset_become_utc() -> None:
    assert instant("2026-11-01T10:00:00+02:00", "x") == datetime(2026, 11, 1, 8, 0, tzinfo=UTC)


# ---------------------------------------------------------------------------------------------------- pages


def test_a_plain_page_gives_its_orders_in_order() -> None:
    records = split_page("orders", json.dumps([order(), order(id=18, date_modified_gmt=None)]).encode())
    assert [(row.record_id, row.updated_at) for row in records] == [("17", CHANGED), ("18", None)]
    assert records[0].payload == order()


def test_an_envelope_gives_orders_with_their_refunds() -> None:
    body = json.dumps(
        {
            "orders": [order(), order(id=18), order(id=19), "odd"],
            "refunds": [[{**refund(), "parent_id": 17}]],
            "order_refunds": {"18": [[refund(91)], [refund(91)], []]},
        }
    ).encode()
    records = split_page("orders", body)
    assert [row.record_id for row in records] == ["17", "18", "19", "position:3"]
    assert records[0].payload == {"order": order(), "refunds": [{**refund(), "parent_id": 17}]}
    assert records[1].payload == {"order": order(id=18), "refunds": [refund(91)]}
    assert records[2].payload == order(id=19)


def test_tombstones_and_odd_rows_have_ids_too() -> None:
    assert [row.record_id for row in split_page("order_tombstones", b'[{"id":"7"},{"id":8},{}]')] == [
        "7",
        "8",
        "position:2",
    ]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"orders": 3}', b"3", b'[{"id":1}', b'{"orders":[],"refunds":[[1]]}']
)
def test_an_unreadable_page_is_a_bad_payload(body: bytes) -> None:
    with pytest.raises(BadPayload):
        split_page("orders", body)


def test_what_no_database_can_keep_does_not_cost_the_page() -> None:
    body = json.dumps([order()]).replace("Taza", "Taza \\ud83d\\u0000").encode()
    assert parsed(split_page("orders", body)[0].payload).lines[0].title == "Taza ??"
