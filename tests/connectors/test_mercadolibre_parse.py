"""Reading raw orders: lines, money, states, shipments, returns, and what is not what the contract says."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from connectors.mercadolibre.fields import amount, moment, plain_text, whole_units
from connectors.mercadolibre.keys import ListingName, listing_key, name_of
from connectors.mercadolibre.parse import KIND_ORDERS, KIND_TOMBSTONES, parse_order, split_page
from connectors.mercadolibre.privacy import without_people
from oms_hub.domain.orders import (
    ZERO,
    ChannelFee,
    FulfilmentState,
    Order,
    OrderKind,
    OrderState,
    PaymentKind,
    PaymentState,
    close_gap,
)
from oms_hub.domain.stock_ledger import holds, stock_events
from oms_hub.errors import BadPayload
from oms_hub.testing.factories import a_connection

CONNECTION = a_connection(settings={"site": "MLB", "seller_id": "779432305"})
D = Decimal

ORDER: dict[str, Any] = {
    "id": 2000009713473608,
    "date_created": "2024-11-01T09:34:59.000-04:00",
    "last_updated": "2024-11-01T09:37:20.000-04:00",
    "pack_id": 2000006556183755,
    "total_amount": 125.92,
    "status": "paid",
    "currency_id": "BRL",
    "order_items": [
        {
            "item": {
                "id": "MLB3737188005",
                "title": "Nivelador",
                "variation_id": None,
                "seller_sku": "NIV-2",
                "user_product_id": "MLBU1458960576",
            },
            "quantity": 2,
            "unit_price": 62.96,
            "full_unit_price": 72.37,
            "currency_id": "BRL",
            "sale_fee": 11.07,
        }
    ],
    "payments": [
        {
            "id": 91776699099,
            "payment_method_id": "account_money",
            "currency_id": "BRL",
            "status": "approved",
            "transaction_amount": 125.92,
            "transaction_amount_refunded": 0.0,
            "taxes_amount": 0.0,
            "shipping_cost": 0.0,
            "date_approved": "2024-11-01T09:35:42.000-04:00",
            "date_last_modified": "2024-11-02T10:00:00.000-04:00",
        }
    ],
    "shipping": {"id": 44028792542},
    "tags": ["pack_order", "paid"],
    "buyer": {"id": 6427433},
    "taxes": {"amount": None},
}
"""The order of the documentation (packs, 2025-12-29), without what the hub does not read."""

SHIPMENT: dict[str, Any] = {
    "id": 44028792542,
    "status": "shipped",
    "substatus": None,
    "last_updated": "2024-11-03T10:00:00.000-04:00",
    "logistic": {"mode": "me2", "type": "cross_docking"},
    "lead_time": {
        "cost": 18.5,
        "shipping_method": {"name": "Normal"},
        "estimated_delivery_time": {"date": "2024-11-05T00:00:00.000-03:00"},
        "estimated_schedule_limit": {"date": "2024-11-02T00:00:00.000-03:00"},
    },
    "tracking_number": "MEL1",
    "tracking_method": "MEL",
    "destination": {"shipping_address": {"country": {"id": "BR"}}},
}
HISTORY = [
    {"status": "shipped", "substatus": None, "date": "2024-11-02T08:00:00.000-04:00"},
    {"status": "ready_to_ship", "substatus": "printed", "date": "2024-11-01T12:00:00.000-04:00"},
]


def read(parts: dict[str, Any] | None = None, **changes: Any) -> Order:
    order = {**deepcopy(ORDER), **changes}
    return parse_order([{"order": order, **(parts or {})}], CONNECTION)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def test_an_order_is_read_to_the_cent() -> None:
    order = read({"shipment": SHIPMENT, "history": HISTORY})
    assert close_gap(order) == (order, ZERO)
    (line,) = order.lines
    assert (order.channel_order_id, order.label) == ("2000009713473608", "2000006556183755")
    assert (order.placed_at, order.updated_at) == (utc("2024-11-01T13:34:59+00:00"), utc("2024-11-01T13:37:20+00:00"))
    assert (order.total, order.currency, order.taxes_included) == (D("144.42"), "BRL", True)
    assert (line.line_id, line.listing_key, line.sku) == ("MLB3737188005", "up:MLBU1458960576", "NIV-2")
    assert (line.quantity, line.unit_price, line.gross_amount, line.discount_amount) == (
        2, D("72.37"), D("144.74"), D("18.82"),
    )  # fmt: skip
    assert [(each.title, each.amount) for each in order.charges] == [("Normal", D("18.5"))]
    assert [(each.kind, each.amount, each.gateway) for each in order.payments] == [
        (PaymentKind.SALE, D("125.92"), "account_money")
    ]
    assert (order.state, order.payment_state, order.fulfilment_state) == (
        OrderState.OPEN, PaymentState.PAID, FulfilmentState.FULFILLED,
    )  # fmt: skip
    assert (order.is_sale, order.is_test, order.kind) == (True, False, OrderKind.STANDARD)
    assert order.customer is not None
    assert (order.customer.channel_customer_id, order.customer.country) == ("6427433", "BR")
    assert (order.ship_by_at, order.deliver_by_at) == (
        utc("2024-11-02T03:00:00+00:00"), utc("2024-11-05T03:00:00+00:00"),
    )  # fmt: skip
    (shipment,) = order.shipments
    assert (shipment.shipped_at, shipment.tracking_number) == (utc("2024-11-02T12:00:00+00:00"), "MEL1")
    assert [(row.line_id, row.quantity) for row in shipment.lines] == [("MLB3737188005", 2)]
    assert order.unknown_words == ()


def test_a_gross_price_is_of_all_units_and_goes_before_the_full_price_of_one() -> None:
    row = {**deepcopy(ORDER["order_items"][0]), "gross_price": 130}
    line = read(order_items=[row]).lines[0]
    assert (line.gross_amount, line.discount_amount, line.unit_price) == (D(130), D("4.08"), D(65))


@pytest.mark.parametrize("row", [{"full_unit_price": None}, {"full_unit_price": 50}])
def test_without_a_higher_full_price_there_is_no_discount(row: dict[str, Any]) -> None:
    line = read(order_items=[{**deepcopy(ORDER["order_items"][0]), **row}]).lines[0]
    assert (line.gross_amount, line.discount_amount, line.unit_price) == (D("125.92"), ZERO, D("62.96"))


def test_the_sellers_part_of_a_coupon_is_a_discount_and_the_rest_is_not() -> None:
    coupon = {"type": "coupon", "items": [{"quantity": 2, "amounts": {"total": 12, "seller": 7.5}}]}
    campaign = {"type": "discount", "items": [{"quantity": 2, "amounts": {"total": 18.82, "seller": 18.82}}]}
    order = read({"discounts": {"details": [coupon, campaign]}})
    assert order.lines[0].order_discount_amount == D("7.5")
    assert order.total == D("118.42")
    assert close_gap(order)[1] == ZERO


def test_taxes_on_top_are_spread_over_the_lines_and_remitted_by_the_channel() -> None:
    rows = [deepcopy(ORDER["order_items"][0]), deepcopy(ORDER["order_items"][0])]
    rows[1]["quantity"] = 1
    order = read(order_items=rows, total_amount=188.88, taxes={"amount": 1})
    assert [line.line_id for line in order.lines] == ["MLB3737188005", "MLB3737188005#2"]
    assert [line.tax_amount for line in order.lines] == [D("0.67"), D("0.33")]
    assert all(tax.is_channel_liable for line in order.lines for tax in line.taxes)
    assert close_gap(order)[1] == ZERO


def test_the_commission_is_told_per_unit_and_charged_with_the_first_payment() -> None:
    free = {**deepcopy(ORDER["order_items"][0]), "sale_fee": None}
    order = read(order_items=[deepcopy(ORDER["order_items"][0]), free], total_amount=251.84)
    assert order.channel_fees == (
        ChannelFee("sale_fee:MLB3737188005", "sale_fee", D("22.14"), "BRL", utc("2024-11-01T13:35:42+00:00")),
    )
    assert close_gap(order)[1] == ZERO
    assert read(payments=[]).channel_fees[0].charged_at == order.placed_at
    assert read(status="confirmed").channel_fees == read(status="cancelled").channel_fees == ()


def test_a_third_line_of_the_same_thing_has_a_name_of_its_own() -> None:
    order = read(order_items=[deepcopy(ORDER["order_items"][0]) for _ in range(3)], total_amount=377.76)
    assert [line.line_id for line in order.lines] == ["MLB3737188005", "MLB3737188005#2", "MLB3737188005#3"]


@pytest.mark.parametrize(("first", "cost"), [(2000009713473608, D("18.5")), (2000009713473600, None)])
def test_shipping_of_a_pack_stands_on_its_first_order(first: int, cost: Decimal | None) -> None:
    pack = {"id": 1, "orders": [{"id": 2000009713473699}, {"id": first}, {"id": 2000009713473608}]}
    order = read({"shipment": SHIPMENT, "pack": pack})
    assert [each.amount for each in order.charges] == ([] if cost is None else [cost])
    assert order.total == D("125.92") + (cost or ZERO)


def test_variations_without_user_product_are_found_by_item_and_variation() -> None:
    row = deepcopy(ORDER["order_items"][0])
    row["item"] |= {"variation_id": 77, "user_product_id": None, "seller_sku": None, "seller_custom_field": "OLD"}
    line = read(order_items=[row]).lines[0]
    assert (line.line_id, line.listing_key, line.sku) == ("MLB3737188005:77", "variation:MLB3737188005:77", "OLD")


# --------------------------------------------------------------------------------------------------------- states


@pytest.mark.parametrize(
    ("status", "state", "payment", "is_sale"),
    [
        ("confirmed", OrderState.OPEN, PaymentState.UNPAID, False),
        ("payment_required", OrderState.OPEN, PaymentState.UNPAID, False),
        ("payment_in_process", OrderState.OPEN, PaymentState.UNPAID, False),
        ("partially_paid", OrderState.OPEN, PaymentState.PARTIALLY_PAID, False),
        ("paid", OrderState.OPEN, PaymentState.PAID, True),
        ("partially_refunded", OrderState.OPEN, PaymentState.PARTIALLY_REFUNDED, True),
        ("pending_cancel", OrderState.ON_HOLD, PaymentState.PAID, True),
        ("cancelled", OrderState.CANCELLED, PaymentState.VOIDED, False),
        ("invalid", OrderState.CANCELLED, PaymentState.VOIDED, False),
        ("something_new", OrderState.OPEN, PaymentState.UNPAID, True),
    ],
)
def test_every_status_has_its_meaning(status: str, state: OrderState, payment: PaymentState, is_sale: bool) -> None:
    order = read(status=status, payments=[])
    assert (order.state, order.payment_state, order.is_sale, order.channel_state) == (state, payment, is_sale, status)
    assert order.unknown_words == (("something_new",) if status == "something_new" else ())


def test_a_payment_that_is_only_authorised_is_no_money_yet() -> None:
    order = read(status="payment_in_process", payments=[{**ORDER["payments"][0], "status": "authorized"}])
    assert order.payment_state is PaymentState.AUTHORISED
    assert [each.kind for each in order.payments] == [PaymentKind.AUTHORISATION]


def test_failed_payments_are_told_pending_ones_left_out_and_new_words_flagged() -> None:
    rows = [{**ORDER["payments"][0], "id": number, "status": word} for number, word in enumerate(
        ("rejected", "pending", "approved", "hovering")
    )]  # fmt: skip
    order = read(payments=rows)
    assert [(each.payment_id, each.is_successful) for each in order.payments] == [("0", False), ("2", True)]
    assert order.unknown_words == ("hovering",)


def test_suspected_fraud_is_held_and_test_orders_are_marked() -> None:
    order = read(tags=["fraud_risk_detected", "test_order"])
    assert (order.state, order.is_test) == (OrderState.ON_HOLD, True)


# -------------------------------------------------------------------------------------------------- Full and parcels


def test_full_orders_never_touch_own_stock() -> None:
    shipment = {**SHIPMENT, "logistic": {"type": "fulfillment"}}
    order = read({"shipment": shipment, "history": HISTORY})
    assert (order.kind, order.lines[0].needs_stock) == (OrderKind.MARKETPLACE_FULFILLED, False)
    assert (stock_events(order), holds(order)) == ((), ())


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        (["fulfillment"], OrderKind.MARKETPLACE_FULFILLED),
        (["cross_docking"], OrderKind.STANDARD),
        (["fulfillment", "xd_drop_off"], OrderKind.STANDARD),
        ([], OrderKind.STANDARD),
    ],
)
def test_before_there_is_a_shipment_the_item_tells_who_sends(types: list[str], kind: OrderKind) -> None:
    order = read({"items": [{"id": "MLB1", "logistic_type": each} for each in types]}, shipping={"id": None})
    assert order.kind is kind
    assert bool(holds(order)) is (kind is OrderKind.STANDARD)


def test_the_shipment_outweighs_how_the_item_is_stored_and_old_shipments_are_read_too() -> None:
    items = [{"id": "MLB1", "logistic_type": "fulfillment"}]
    assert read({"shipment": SHIPMENT, "items": items}).kind is OrderKind.STANDARD
    old = {**SHIPMENT, "logistic": None, "logistic_type": "fulfillment"}
    assert read({"shipment": old}).kind is OrderKind.MARKETPLACE_FULFILLED


@pytest.mark.parametrize(
    ("status", "substatus", "left"),
    [
        ("pending", None, False),
        ("handling", None, False),
        ("ready_to_ship", "printed", False),
        ("ready_to_ship", "picked_up", True),
        ("ready_to_ship", "in_hub", True),
        ("shipped", None, True),
        ("cancelled", None, False),
    ],
)
def test_goods_have_left_once_the_carrier_has_them(status: str, substatus: str | None, left: bool) -> None:
    order = read({"shipment": {**SHIPMENT, "status": status, "substatus": substatus}})
    assert bool(order.shipments) is left
    assert order.fulfilment_state is (FulfilmentState.FULFILLED if left else FulfilmentState.UNFULFILLED)
    assert bool(holds(order)) is not left
    assert order.channel_fulfilment_state == " ".join(word for word in (status, substatus) if word)


def test_a_new_word_of_the_carrier_is_flagged_and_leaves_the_goods_here() -> None:
    order = read({"shipment": {**SHIPMENT, "status": "teleported"}})
    assert (order.unknown_words, order.shipments) == (("teleported",), ())


@pytest.mark.parametrize(
    ("parts", "shipped", "delivered"),
    [
        (
            {"history": [{"status": "delivered", "date": "2024-11-04T10:00:00.000-04:00"}, *HISTORY]},
            "2024-11-02T12:00:00+00:00",
            "2024-11-04T14:00:00+00:00",
        ),
        (
            {"dates": {"date_shipped": "2024-11-02T00:00:00Z", "date_delivered": "2024-11-03T00:00:00Z"}},
            "2024-11-02T00:00:00+00:00",
            "2024-11-03T00:00:00+00:00",
        ),
        ({}, "2024-11-03T14:00:00+00:00", "2024-11-03T14:00:00+00:00"),
    ],
)
def test_instants_come_from_the_history_then_the_dates_then_the_last_change(
    parts: dict[str, Any], shipped: str, delivered: str
) -> None:
    shipment = {**SHIPMENT, "status": "delivered", "status_history": parts.get("dates")}
    order = read({"shipment": shipment, "history": parts.get("history")})
    assert (order.shipments[0].shipped_at, order.shipments[0].delivered_at) == (utc(shipped), utc(delivered))
    assert (order.state, order.closed_at) == (OrderState.CLOSED, utc(delivered))


# ------------------------------------------------------------------------------------------------------ after the sale


def a_refunded(amount_back: float, **changes: Any) -> dict[str, Any]:
    return {**ORDER["payments"][0], "transaction_amount_refunded": amount_back, **changes}


def test_a_cancellation_before_the_goods_left_takes_the_units_off() -> None:
    order = read(
        {"shipment": {**SHIPMENT, "status": "cancelled", "lead_time": None}},
        status="cancelled",
        cancel_detail={"date": "2024-11-01T10:00:00.000-04:00"},
        payments=[a_refunded(125.92, status="refunded")],
    )
    assert (order.state, order.payment_state) == (OrderState.CANCELLED, PaymentState.REFUNDED)
    assert (order.lines[0].cancelled_quantity, order.cancelled_at) == (2, utc("2024-11-01T14:00:00+00:00"))
    assert (stock_events(order), holds(order)) == ((), ())


def test_a_cancellation_after_the_goods_left_keeps_the_sale_of_stock() -> None:
    order = read({"shipment": SHIPMENT, "history": HISTORY}, status="cancelled", cancel_detail=None)
    assert (order.lines[0].cancelled_quantity, order.cancelled_at) == (0, order.updated_at)
    assert [(each.kind, each.cumulative_quantity) for each in stock_events(order)] == [("sale", 2)]


def test_a_whole_refund_is_spread_over_lines_and_shipping() -> None:
    order = read({"shipment": SHIPMENT}, payments=[a_refunded(144.42)])
    (refund,) = order.refunds
    assert (refund.paid_amount, refund.shipping_amount, refund.other_amount) == (D("144.42"), D("18.5"), ZERO)
    assert [(line.quantity, line.amount, line.is_restocked) for line in refund.lines] == [(2, D("125.92"), False)]
    assert refund.refunded_at == utc("2024-11-02T14:00:00+00:00")
    assert [each.kind for each in order.payments] == [PaymentKind.SALE, PaymentKind.REFUND]


def test_a_part_of_the_money_belongs_to_no_line() -> None:
    order = read(payments=[a_refunded(10)])
    (refund,) = order.refunds
    assert (refund.lines, refund.other_amount, order.payment_state) == ((), D(10), PaymentState.PARTIALLY_REFUNDED)


@pytest.mark.parametrize("word", ["refunded", "charged_back"])
def test_a_payment_that_went_back_without_a_sum_went_back_whole(word: str) -> None:
    order = read(payments=[a_refunded(0, status=word)])
    assert (order.refunds[0].paid_amount, order.payment_state) == (D("125.92"), PaymentState.REFUNDED)


def test_two_payments_that_went_back_are_two_refunds() -> None:
    rows = [a_refunded(62.96, id=1, transaction_amount=62.96), a_refunded(62.96, id=2, transaction_amount=62.96)]
    order = read(payments=rows)
    assert [(each.refund_id, each.other_amount) for each in order.refunds] == [("1", D("62.96")), ("2", D("62.96"))]
    assert order.payment_state is PaymentState.REFUNDED


A_RETURN: dict[str, Any] = {
    "id": 57341011,
    "claim_id": 5298178312,
    "status": "delivered",
    "date_created": "2024-11-06T16:24:26.636+00:00",
    "date_closed": None,
    "orders": [
        {"order_id": 2000009713473608, "item_id": "MLB3737188005", "variation_id": None, "return_quantity": "2.0"},
        {"order_id": 999, "item_id": "MLB3737188005", "variation_id": None, "return_quantity": "1.0"},
    ],
}


def test_a_return_is_goods_in_the_sellers_hands_not_on_the_shelf() -> None:
    claims = [{"id": 5298178312, "reason_id": "PDD9939"}]
    order = read({"shipment": SHIPMENT, "returns": [A_RETURN], "claims": claims})
    (returned,) = order.returns
    assert (returned.return_id, returned.status, returned.closed_at) == ("57341011", "delivered", None)
    assert [(line.line_id, line.quantity, line.reason) for line in returned.lines] == [("MLB3737188005", 2, "PDD9939")]
    assert order.fulfilment_state is FulfilmentState.RETURNED
    assert [each.kind for each in stock_events(order)] == ["sale"]


def test_a_return_under_way_leaves_the_order_fulfilled() -> None:
    order = read({"shipment": SHIPMENT, "returns": [{**A_RETURN, "status": "shipped"}]})
    assert (len(order.returns), order.fulfilment_state) == (1, FulfilmentState.FULFILLED)


def test_returns_of_other_orders_are_not_ours() -> None:
    assert read({"returns": [{**A_RETURN, "orders": A_RETURN["orders"][1:]}]}).returns == ()


@pytest.mark.parametrize(
    ("history", "opened"),
    [
        ([{"status": "not_delivered", "date": "2024-11-04T00:00:00Z"}, *HISTORY], "2024-11-04T00:00:00+00:00"),
        (HISTORY, "2024-11-03T14:00:00+00:00"),
    ],
)
def test_a_parcel_that_could_not_be_delivered_is_a_return_without_a_claim(
    history: list[dict[str, Any]], opened: str
) -> None:
    shipment = {**SHIPMENT, "status": "not_delivered", "substatus": "returned"}
    order = read({"shipment": shipment, "history": history})
    (returned,) = order.returns
    assert (returned.return_id, returned.status, returned.opened_at) == (
        "undelivered:44028792542", "returned", utc(opened),
    )  # fmt: skip
    assert order.fulfilment_state is FulfilmentState.RETURNED


# ------------------------------------------------------------------------------------------------- what is not right


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"order_items": "broken"}, "no lines"),
        ({"order_items": []}, "no lines"),
        ({"order_items": [{"quantity": 1}]}, "unit_price is missing"),
        ({"order_items": [3]}, "another type"),
        ({"total_amount": "much"}, "not a number"),
        ({"total_amount": True}, "not a number"),
        ({"date_created": "2024-11-01T09:34:59"}, "with its zone"),
        ({"date_created": "soon"}, "with its zone"),
        ({"last_updated": None}, "no time of change"),
    ],
)
def test_a_record_that_is_not_what_it_should_be_is_set_aside(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadPayload, match=said):
        read(**changes)


@pytest.mark.parametrize("payload", [None, {"order": None}, []])
def test_what_is_no_order_at_all_is_set_aside(payload: Any) -> None:
    with pytest.raises(BadPayload, match="not an object"):
        parse_order([payload], CONNECTION)


def test_pages_are_split_into_records() -> None:
    body = orjson.dumps({"orders": [{"order": ORDER}, {"order": {}}, 7]})
    records = split_page(KIND_ORDERS, body)
    assert [each.record_id for each in records] == ["2000009713473608", "position:1", "position:2"]
    assert records[0].updated_at == utc("2024-11-01T13:37:20+00:00")
    assert [each.record_id for each in split_page(KIND_TOMBSTONES, b'[{"id": "7"}]')] == ["7"]
    with pytest.raises(BadPayload, match="no list of orders"):
        split_page(KIND_ORDERS, b"[]")


@pytest.mark.parametrize("value", ["1.5", 1.5, True, "x", float("nan")])
def test_a_quantity_is_whole_units(value: Any) -> None:
    with pytest.raises(BadPayload, match="quantity"):
        whole_units(value, "here")


def test_single_fields() -> None:
    assert whole_units("2.0", "here") == 2
    assert amount(None, "here") == ZERO
    assert plain_text("a\0\ud800") == "a??"
    assert moment("2024-08-15T17:38:30.000-0400", "here") == utc("2024-08-15T21:38:30+00:00")


def test_the_last_snapshot_counts_and_an_old_name_of_the_time_of_change_is_read() -> None:
    first = {"order": {**ORDER, "status": "confirmed"}}
    second = {"order": {**ORDER, "last_updated": None, "date_last_updated": "2024-11-09T00:00:00Z"}}
    order = parse_order([first, second], CONNECTION)
    assert (order.channel_state, order.updated_at) == ("paid", utc("2024-11-09T00:00:00+00:00"))


def test_the_country_of_the_site_stands_in_and_no_buyer_is_no_customer() -> None:
    order = read()
    assert order.customer is not None
    assert order.customer.country == "BR"
    assert read(buyer=None).customer is None


# ----------------------------------------------------------------------------------------------------- keys, privacy


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("up:MLMU12", ListingName("MLMU12")),
        ("item:MLM1", ListingName("", "MLM1")),
        ("variation:MLM1:22", ListingName("", "MLM1", "22")),
    ],
)
def test_keys_are_made_and_read_alike(key: str, name: ListingName) -> None:
    assert name_of(key) == name
    assert listing_key(name.item_id, name.variation_id, name.user_product_id) == key


@pytest.mark.parametrize("key", ["MLM1", "item:mlm1", "variation:MLM1", "up:MLM1", ""])
def test_a_foreign_key_is_refused(key: str) -> None:
    with pytest.raises(BadPayload, match="not of this channel"):
        name_of(key)


def test_people_are_left_out_and_countries_stay() -> None:
    told = {
        "buyer": {"id": 7, "nickname": "N", "first_name": "A", "billing_info": {"doc": 1}},
        "destination": {"receiver_name": "A", "shipping_address": {"street_name": "S", "country": {"id": "MX"}}},
        "receiver_address": "somewhere",
        "rows": [{"payer_id": 7, "id": 8}],
    }
    assert without_people(told) == {
        "buyer": {"id": 7},
        "destination": {"shipping_address": {"country": {"id": "MX"}}},
        "receiver_address": None,
        "rows": [{"id": 8}],
    }
