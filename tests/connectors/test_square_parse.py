"""From Square's orders to the hub's: money that ties, goods that leave, returns as credit notes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.square.parse import parse_order, records_of, split_page
from connectors.square.sandbox import start_sandbox
from oms_hub.domain.orders import (
    ChargeKind,
    FulfilmentState,
    Order,
    OrderKind,
    OrderState,
    PaymentKind,
    PaymentState,
    Tax,
    stated_total,
)
from oms_hub.domain.stock_ledger import holds, stock_events
from oms_hub.errors import BadPayload
from oms_hub.testing.factories import a_connection

D = Decimal


def usd(cents: int) -> dict[str, Any]:
    return {"amount": cents, "currency": "USD"}


def a_line(uid: str = "a", **changes: Any) -> dict[str, Any]:
    line = {
        "uid": uid,
        "name": "Mug",
        "quantity": "2",
        "item_type": "ITEM",
        "catalog_object_id": "VAR1",
        "variation_name": "Blue",
        "base_price_money": usd(500),
        "gross_sales_money": usd(1000),
        "total_money": usd(1000),
    }
    return {**line, **changes}


def a_sale(*lines: dict[str, Any], **changes: Any) -> dict[str, Any]:
    lines = lines or (a_line(),)
    order = {
        "id": "O1",
        "location_id": "L1",
        "state": "COMPLETED",
        "created_at": "2026-11-01T10:00:00.000Z",
        "updated_at": "2026-11-01T10:05:00.000Z",
        "closed_at": "2026-11-01T10:01:00.000Z",
        "version": 4,
        "line_items": list(lines),
        "total_money": usd(sum(line["total_money"]["amount"] for line in lines)),
    }
    return {**order, **changes}


def read(order: dict[str, Any], changes: Any = (), currency: str = "USD") -> Order:
    (record,) = records_of([order], changes)
    return parse_order([record.payload], a_connection(currency=currency))


def refused(order: dict[str, Any]) -> str:
    with pytest.raises(BadPayload) as caught:
        read(order)
    return str(caught.value)


# --------------------------------------------------------------------------------------------------------- money


def test_a_sale_over_the_counter_is_closed_paid_and_gone() -> None:
    order = read(a_sale(tenders=[{"id": "T1", "type": "CASH", "amount_money": usd(1000)}], customer_id="C1"))
    assert (order.channel_order_id, order.label, order.version) == ("O1", "O1", 4)
    assert (order.kind, order.state) == (OrderKind.POS, OrderState.CLOSED)
    assert (order.payment_state, order.fulfilment_state) == (PaymentState.PAID, FulfilmentState.FULFILLED)
    assert (order.total, order.is_sale, order.is_draft) == (D("10.00"), True, False)
    assert (order.lines[0].title, order.lines[0].unit_price, order.lines[0].sku) == ("Mug (Blue)", D("5.00"), None)
    assert (order.lines[0].listing_key, order.lines[0].channel_location_id) == ("VAR1", "L1")
    assert order.payments[0].gateway == "cash"
    assert order.customer is not None
    assert [(e.kind, e.channel_location_id, e.cumulative_quantity) for e in stock_events(order)] == [("sale", "L1", 2)]
    assert order.shipments[0].shipped_at == datetime(2026, 11, 1, 10, 1, tzinfo=UTC)
    assert holds(order) == ()


def test_tip_rounding_and_service_charge_are_charges_of_their_own() -> None:
    charge = {"uid": "s", "name": "Table", "treatment_type": "LINE_ITEM_TREATMENT", "total_money": usd(210)}
    charge |= {"applied_money": usd(200), "total_tax_money": usd(10)}
    order = read(
        a_sale(
            service_charges=[charge],
            total_tip_money=usd(150),
            rounding_adjustment={"amount_money": usd(-2)},
            total_money=usd(1000 + 210 + 150 - 2),
        )
    )
    assert [(row.kind, row.amount, row.tax_amount) for row in order.charges] == [
        (ChargeKind.FEE, D("2.00"), D("0.10")),
        (ChargeKind.TIP, D("1.50"), D(0)),
        (ChargeKind.ROUNDING, D("-0.02"), D(0)),
    ]
    assert stated_total(order) == order.total


def test_an_apportioned_service_charge_is_taken_out_of_the_lines() -> None:
    part = {"service_charge_uid": "s", "applied_money": usd(180)}
    line = a_line(total_money=usd(1239), total_tax_money=usd(59), total_service_charge_money=usd(180))
    line["applied_service_charges"] = [part]
    charge = {"uid": "s", "treatment_type": "APPORTIONED_TREATMENT", "total_money": usd(180), "applied_money": usd(180)}
    order = read(a_sale(line, service_charges=[charge]))
    assert (order.lines[0].gross_amount, order.lines[0].tax_amount) == (D("10.00"), D("0.59"))
    assert [(row.title, row.amount) for row in order.charges] == [("Service charge", D("1.80"))]
    assert stated_total(order) == order.total == D("12.39")


def test_a_service_charge_without_total_counts_as_applied_and_an_empty_one_not_at_all() -> None:
    charges = [{"uid": "s", "applied_money": usd(100)}, {"uid": "t", "applied_money": usd(0)}]
    assert [row.amount for row in read(a_sale(service_charges=charges)).charges] == [D("1.00")]


def test_discounts_of_the_order_and_of_the_line_are_told_apart() -> None:
    line = a_line(total_discount_money=usd(250), total_money=usd(750))
    line["applied_discounts"] = [
        {"discount_uid": "whole", "applied_money": usd(100)},
        {"discount_uid": "dent", "applied_money": usd(150)},
    ]
    discounts = [
        {"uid": "whole", "name": "Friends", "scope": "ORDER", "applied_money": usd(100)},
        {"uid": "dent", "scope": "LINE_ITEM", "applied_money": usd(150)},
    ]
    order = read(a_sale(line, discounts=discounts))
    assert (order.lines[0].discount_amount, order.lines[0].order_discount_amount) == (D("1.50"), D("1.00"))
    assert [(row.title, row.amount) for row in order.discounts] == [("Friends", D("1.00")), ("Discount", D("1.50"))]


@pytest.mark.parametrize(
    ("gross", "discount"),
    [(1210, 121), (1100, 100)],
    ids=["tax stays in gross sales (Europe)", "tax is taken out (US, Canada, Japan)"],
)
def test_included_tax_is_taken_out_in_every_country_alike(gross: int, discount: int) -> None:
    """12.10 with 21 % inside, 10 % off: 10.89, of which 1.89 is tax (US style: 11.00 − 1.00 = 10.00 … + 0.89)."""
    total, tax = (1089, 189) if gross == 1210 else (1089, 89)
    line = a_line(quantity="1", gross_sales_money=usd(gross), total_discount_money=usd(discount))
    line |= {"total_money": usd(total), "total_tax_money": usd(tax), "base_price_money": usd(1210)}
    line["applied_taxes"] = [{"tax_uid": "vat", "applied_money": usd(tax)}]
    line["applied_discounts"] = [{"discount_uid": "whole", "applied_money": usd(discount)}]
    taxes = [{"uid": "vat", "name": "VAT", "percentage": "21", "type": "INCLUSIVE"}]
    discounts = [{"uid": "whole", "scope": "ORDER", "applied_money": usd(discount)}]
    order = read(a_sale(line, taxes=taxes, discounts=discounts))
    found = order.lines[0]
    assert order.taxes_included
    assert found.gross_amount - found.order_discount_amount == D(total - tax) / 100
    assert (found.order_discount_amount, found.discount_amount) == (D("1.00"), D("0.00"))
    assert found.taxes == (Tax("VAT", D(tax) / 100, D("0.21")),)
    assert stated_total(order) == order.total == D("10.89")


def test_taxes_that_do_not_add_up_keep_the_lines_own_total() -> None:
    line = a_line(total_money=usd(1085), total_tax_money=usd(85))
    line["applied_taxes"] = [
        {"tax_uid": "x", "applied_money": usd(50)},
        {"tax_uid": "y", "applied_money": usd(34)},
        {"tax_uid": "y", "applied_money": usd(0)},
    ]
    taxes = [{"uid": "x", "name": "State"}]
    found = read(a_sale(line, taxes=taxes)).lines[0].taxes
    assert [(tax.title, tax.amount) for tax in found] == [
        ("State", D("0.50")),
        ("Tax", D("0.34")),
        ("Rounding of taxes", D("0.01")),
    ]
    plain = read(a_sale(a_line(total_money=usd(1085), total_tax_money=usd(85))))
    assert plain.lines[0].taxes == (Tax("Tax", D("0.85")),)


def test_custom_amounts_and_gift_cards_are_money_without_stock() -> None:
    custom = a_line("c", item_type="CUSTOM_AMOUNT", name=None, quantity="1")
    card = a_line("g", item_type="GIFT_CARD", quantity="1")
    adhoc = a_line("h", quantity="1")
    for line in (custom, adhoc):
        del line["catalog_object_id"], line["variation_name"]
    order = read(a_sale(custom, card, adhoc))
    assert [line.title for line in order.lines] == ["Custom amount", "Mug (Blue)", "Mug"]
    assert [line.needs_stock for line in order.lines] == [False, False, False]
    assert (order.shipments, order.fulfilment_state) == ((), FulfilmentState.FULFILLED)
    assert order.total == D("30.00")


def test_what_is_sold_by_weight_is_money_without_stock() -> None:
    line = a_line(quantity="0.35500", gross_sales_money=usd(1385), total_money=usd(1385), variation_name="Regular")
    found = read(a_sale(line)).lines[0]
    assert (found.quantity, found.title, found.unit_price) == (1, "Mug, 0.355", D("13.85"))
    assert not found.needs_stock


def test_modifiers_are_part_of_the_unit_price() -> None:
    line = a_line(modifiers=[{"total_price_money": usd(300)}], gross_sales_money=usd(1300), total_money=usd(1300))
    assert read(a_sale(line)).lines[0].unit_price == D("6.500000")
    line |= {"quantity": "0", "gross_sales_money": usd(0), "total_money": usd(0)}
    assert read(a_sale(line)).lines[0].unit_price == D("5.00")


def test_a_line_without_total_is_gross_less_discount_plus_tax() -> None:
    line = a_line(total_discount_money=usd(100), total_tax_money=usd(45))
    del line["total_money"]
    order = read({**a_sale(), "line_items": [line], "total_money": usd(945)})
    assert stated_total(order) == order.total


def test_an_order_without_total_is_the_sum_of_its_lines() -> None:
    order = a_sale()
    del order["total_money"]
    assert read(order).total == D("10.00")
    assert read(order).currency == "USD"


def test_a_currency_without_cents_is_read_whole() -> None:
    def yen(amount: int) -> dict[str, Any]:
        return {"amount": amount, "currency": "JPY"}

    line = a_line(base_price_money=yen(500), gross_sales_money=yen(1000), total_money=yen(1000))
    order = read(a_sale(line, total_money=yen(1000)), currency="EUR")
    assert (order.total, order.currency, order.lines[0].gross_amount) == (D(1000), "JPY", D(1000))


def test_null_stands_for_what_is_left_out() -> None:
    line = a_line(total_tax_money=None, applied_taxes=None, total_discount_money={"amount": None})
    order = read(a_sale(line, taxes=None, tenders=None, service_charges=None, rounding_adjustment=None, version=None))
    assert (order.total, order.version, order.payments) == (D("10.00"), 0, ())


# -------------------------------------------------------------------------------------------- payments and states


def test_tenders_are_payments_with_their_kind() -> None:
    tenders: list[dict[str, Any]] = [
        {
            "id": "T1",
            "payment_id": "P1",
            "type": "CARD",
            "amount_money": usd(600),
            "card_details": {"status": "CAPTURED"},
        },
        {"id": "T2", "type": "CARD", "amount_money": usd(400), "card_details": {"status": "AUTHORIZED"}},
        {"id": "T3", "type": "CARD", "amount_money": usd(400), "card_details": {"status": "VOIDED"}},
        {"id": "T4", "type": "CARD", "amount_money": usd(400), "card_details": {"status": "FAILED"}},
        {"id": "T5", "type": "NO_SALE"},
    ]
    tenders[0]["created_at"] = "2026-11-01T10:00:30Z"
    order = read(a_sale(tenders=tenders, state="OPEN"))
    assert [(row.payment_id, row.kind, row.is_successful) for row in order.payments] == [
        ("P1", PaymentKind.SALE, True),
        ("T2", PaymentKind.AUTHORISATION, True),
        ("T3", PaymentKind.VOID, True),
        ("T4", PaymentKind.SALE, False),
    ]
    assert order.payments[0].processed_at == datetime(2026, 11, 1, 10, 0, 30, tzinfo=UTC)
    assert order.payment_state is PaymentState.PARTIALLY_PAID


PAID = {"id": "T", "type": "CASH", "amount_money": usd(1000)}
HELD = {"id": "T", "type": "CARD", "amount_money": usd(1000), "card_details": {"status": "AUTHORIZED"}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "COMPLETED"}, PaymentState.PAID),
        ({"state": "OPEN"}, PaymentState.UNPAID),
        ({"state": "OPEN", "tenders": [PAID]}, PaymentState.PAID),
        ({"state": "OPEN", "tenders": [HELD]}, PaymentState.AUTHORISED),
        ({"state": "CANCELED"}, PaymentState.VOIDED),
        (
            {"tenders": [PAID], "refunds": [{"id": "R", "status": "APPROVED", "amount_money": usd(1000)}]},
            PaymentState.REFUNDED,
        ),
        (
            {"tenders": [PAID], "refunds": [{"id": "R", "status": "APPROVED", "amount_money": usd(100)}]},
            PaymentState.PARTIALLY_REFUNDED,
        ),
        (
            {"tenders": [PAID], "refunds": [{"id": "R", "status": "PENDING", "amount_money": usd(100)}]},
            PaymentState.PAID,
        ),
        (
            {"tenders": [PAID], "refunds": [{"id": "R", "status": "FAILED", "amount_money": usd(100)}]},
            PaymentState.PAID,
        ),
        (
            {"state": "OPEN", "tenders": [{**PAID, "amount_money": usd(600)}], "net_amount_due_money": usd(0)},
            PaymentState.PAID,
        ),
    ],
)
def test_the_payment_state_follows_from_what_was_paid(changes: dict[str, Any], expected: PaymentState) -> None:
    assert read(a_sale(**changes)).payment_state is expected


def test_an_open_ticket_is_a_draft_that_holds_nothing() -> None:
    order = read(a_sale(state="OPEN", ticket_name="Table 4"))
    assert (order.is_draft, read(a_sale(state="OPEN", tenders=[PAID])).is_draft) == (True, False)
    assert (order.label, order.state, order.is_sale, order.closed_at) == ("Table 4", OrderState.OPEN, False, None)
    assert order.fulfilment_state is FulfilmentState.UNFULFILLED
    assert (stock_events(order), holds(order)) == ((), ())


def test_drafts_and_cancelled_orders_say_so() -> None:
    draft = read(a_sale(state="DRAFT", reference_id="shop-7"))
    assert (draft.is_draft, draft.is_sale, draft.label) == (True, False, "shop-7")
    gone = read(a_sale(state="CANCELED"))
    assert (gone.state, gone.shipments) == (OrderState.CANCELLED, ())
    assert gone.cancelled_at == datetime(2026, 11, 1, 10, 1, tzinfo=UTC)
    assert gone.lines[0].cancelled_quantity == 2
    undated = read({**a_sale(state="CANCELED"), "closed_at": None})
    assert undated.cancelled_at == datetime(2026, 11, 1, 10, 5, tzinfo=UTC)


def a_fulfilment(kind: str, state: str, **details: Any) -> dict[str, Any]:
    return {"uid": f"{kind}-{state}", "type": kind, "state": state, f"{kind.lower()}_details": details}


def test_a_pickup_holds_its_goods_until_it_is_collected() -> None:
    waiting = a_fulfilment("PICKUP", "PREPARED", pickup_at="2026-11-03T09:00:00Z")
    order = read(a_sale(state="OPEN", tenders=[PAID], fulfillments=[waiting]))
    assert (order.kind, order.channel_fulfilment_state) == (OrderKind.PICKUP, "PREPARED")
    assert order.ship_by_at == datetime(2026, 11, 3, 9, tzinfo=UTC)
    assert [(hold.allocated, hold.reserved) for hold in holds(order)] == [(2, 0)]
    done = read(a_sale(fulfillments=[a_fulfilment("PICKUP", "COMPLETED", picked_up_at="2026-11-03T10:00:00Z")]))
    assert [(e.kind, e.occurred_at) for e in stock_events(done)] == [("sale", datetime(2026, 11, 3, 10, tzinfo=UTC))]
    assert (done.state, done.fulfilment_state) == (OrderState.CLOSED, FulfilmentState.FULFILLED)


def test_what_square_calls_completed_stays_open_while_goods_are_still_to_leave() -> None:
    order = read(a_sale(fulfillments=[a_fulfilment("SHIPMENT", "PROPOSED")]))
    assert (order.kind, order.state, order.is_sale) == (OrderKind.STANDARD, OrderState.OPEN, True)
    assert [hold.allocated for hold in holds(order)] == [2]


def test_shipments_take_what_their_entries_say_and_never_more_than_was_sold() -> None:
    sent = a_fulfilment("SHIPMENT", "COMPLETED", carrier="Post", tracking_number="X1", tracking_url="https://t/X1")
    sent["entries"] = [{"line_item_uid": "a", "quantity": "1"}, {"line_item_uid": "ghost", "quantity": "9"}]
    order = read(a_sale(a_line("a", quantity="3"), fulfillments=[sent, a_fulfilment("DELIVERY", "CANCELED")]))
    shipment = order.shipments[0]
    assert [(row.line_id, row.quantity) for row in shipment.lines] == [("a", 1)]
    assert (shipment.carrier, shipment.tracking_number, shipment.tracking_url) == ("Post", "X1", "https://t/X1")
    assert shipment.shipped_at == datetime(2026, 11, 1, 10, 1, tzinfo=UTC)
    assert order.fulfilment_state is FulfilmentState.PARTIAL
    rest = read(a_sale(a_line("a", quantity="3"), fulfillments=[sent, a_fulfilment("DELIVERY", "COMPLETED")]))
    assert rest.fulfilment_state is FulfilmentState.FULFILLED
    empty = {**a_fulfilment("DELIVERY", "COMPLETED"), "entries": [{"line_item_uid": "ghost", "quantity": "1"}]}
    assert read(a_sale(fulfillments=[empty])).shipments == ()


def test_new_words_are_kept_and_stop_nothing() -> None:
    order = read(
        a_sale(
            a_line(item_type="SUBSCRIPTION"),
            state="PAUSED",
            fulfillments=[{"type": "DRONE", "state": "FLYING"}, {"type": "DRONE", "state": "FLYING"}],
        )
    )
    assert order.unknown_words == (
        "item type SUBSCRIPTION",
        "fulfilment state FLYING",
        "fulfilment type DRONE",
        "order state PAUSED",
    )
    assert (order.state, order.is_sale) == (OrderState.OPEN, False)


# ------------------------------------------------------------------------------------------------------ returns


def a_return(units: str = "1", cents: int = 500, **changes: Any) -> dict[str, Any]:
    item = {"uid": "r", "source_line_item_uid": "a", "quantity": units, "name": "Mug", "item_type": "ITEM"}
    item |= {"catalog_object_id": "VAR1", "gross_return_money": usd(cents), "total_money": usd(cents + 45)}
    item |= {"total_tax_money": usd(45), "base_price_money": usd(500)}
    entry = {"source_order_id": "O1", "return_line_items": [item], "return_amounts": {"total_money": usd(cents + 45)}}
    refund = {"id": "PAY9_RF1", "status": "APPROVED", "amount_money": usd(cents + 45), "reason": "Chipped"}
    order = a_sale(id="R1", returns=[entry], refunds=[refund], line_items=None, total_money=usd(0))
    order |= {"return_amounts": {"total_money": usd(cents + 45)}}
    return {**order, **changes}


def back_on_the_shelf(units: str = "1", **changes: Any) -> dict[str, Any]:
    row = {"id": "ADJ1", "catalog_object_id": "VAR1", "quantity": units, "from_state": "RETURNED_BY_CUSTOMER"}
    row |= {"to_state": "IN_STOCK", "refund_id": "RF1"}
    return {"type": "ADJUSTMENT", "adjustment": {**row, **changes}}


def test_a_return_is_a_credit_note_that_names_its_sale() -> None:
    order = read(a_return())
    assert (order.channel_order_id, order.kind, order.total) == ("R1", OrderKind.CREDIT_NOTE, D(0))
    assert (order.label, order.state, order.is_sale) == ("return of O1", OrderState.CLOSED, True)
    assert (order.lines[0].quantity, order.lines[0].listing_key) == (0, "VAR1")
    refund = order.refunds[0]
    assert (refund.paid_amount, refund.other_amount, refund.reason) == (D("5.45"), D("0.00"), "Chipped")
    assert [(row.quantity, row.amount, row.tax_amount, row.is_restocked) for row in refund.lines] == [
        (1, D("5.00"), D("0.45"), False)
    ]
    assert [(row.kind, row.amount) for row in order.payments] == [(PaymentKind.REFUND, D("5.45"))]
    assert (stock_events(order), stated_total(order)) == ((), D(0))


@pytest.mark.parametrize(
    ("change", "is_restocked"),
    [
        (back_on_the_shelf(), True),
        (back_on_the_shelf(refund_id=None, transaction_id="R1"), True),
        (back_on_the_shelf(from_state="UNLINKED_RETURN", refund_id="PAY9_RF1"), True),
        (back_on_the_shelf(refund_id="RF2"), False),
        (back_on_the_shelf(to_state="WASTE"), False),
        (back_on_the_shelf(from_state="NONE"), False),
        (back_on_the_shelf(catalog_object_id="VAR2"), False),
        ({"type": "PHYSICAL_COUNT", "physical_count": {}}, False),
    ],
)
def test_only_a_change_of_inventory_that_names_the_return_restocks(change: dict[str, Any], is_restocked: bool) -> None:
    order = read(a_return(), [change])
    assert [row.is_restocked for row in order.refunds[0].lines] == [is_restocked]
    expected = [("return", "L1", 1)] if is_restocked else []
    assert [(e.kind, e.channel_location_id, e.cumulative_quantity) for e in stock_events(order)] == expected


def test_of_three_that_came_back_one_may_be_broken() -> None:
    order = read(a_return("3", 1500), [back_on_the_shelf("2"), back_on_the_shelf("2")])
    rows = order.refunds[0].lines
    assert [(row.quantity, row.amount, row.tax_amount, row.is_restocked) for row in rows] == [
        (2, D("10.00"), D("0.30"), True),
        (1, D("5.00"), D("0.15"), False),
    ]
    assert [e.cumulative_quantity for e in stock_events(order)] == [2]


def test_an_exchange_is_a_sale_and_a_credit_note() -> None:
    exchange = a_return(id="X1", line_items=[a_line("n")], total_money=usd(1000))
    records = records_of([exchange], [back_on_the_shelf()])
    assert [record.record_id for record in records] == ["X1", "X1:returns"]
    sale, note = (parse_order([record.payload], a_connection(currency="USD")) for record in records)
    assert (sale.kind, sale.total, sale.refunds, sale.payments) == (OrderKind.POS, D("10.00"), (), ())
    assert (note.channel_order_id, note.kind, note.total) == ("X1:returns", OrderKind.CREDIT_NOTE, D(0))
    assert [(e.kind, e.cumulative_quantity) for e in (*stock_events(sale), *stock_events(note))] == [
        ("sale", 2),
        ("return", 1),
    ]


def test_an_even_exchange_pays_nothing_back() -> None:
    exchange = a_return(id="X1", line_items=[a_line("n")], total_money=usd(1000), refunds=None)
    note = parse_order([records_of([exchange], ())[1].payload], a_connection(currency="USD"))
    assert (note.refunds[0].paid_amount, note.refunds[0].reason) == (D(0), "")
    assert read(a_return(refunds=None)).refunds[0].paid_amount == D("5.45")


def test_a_return_without_a_sale_and_without_sums_still_has_its_value() -> None:
    order = a_return(refunds=[{"id": "R", "status": "PENDING", "amount_money": usd(700)}])
    entry = order["returns"][0]
    del entry["source_order_id"], entry["return_amounts"]
    entry["return_tips"] = [{"applied_money": usd(100)}]
    entry["return_service_charges"] = [{"total_money": usd(55)}]
    note = read(order)
    assert note.label == "return without a sale"
    assert (note.refunds[0].other_amount, note.refunds[0].paid_amount) == (D("1.55"), D("7.00"))
    assert note.payments == ()


def test_goods_by_weight_and_custom_amounts_come_back_as_money() -> None:
    weighed = a_return("0.35500")
    note = read(weighed, [back_on_the_shelf()])
    assert (note.lines[0].title, note.refunds[0].lines[0].quantity) == ("Mug, 0.355", 1)
    assert not note.refunds[0].lines[0].is_restocked
    nothing = read(a_return("0", 0))
    assert [(row.quantity, row.amount) for row in nothing.refunds[0].lines] == [(0, D("0.00"))]


def test_a_return_that_is_not_finished_or_was_cancelled_gives_nothing_back() -> None:
    waiting, gone = read(a_return(state="OPEN")), read(a_return(state="CANCELED"))
    assert (waiting.state, waiting.refunds, waiting.is_sale) == (OrderState.OPEN, (), False)
    assert (gone.state, gone.refunds, gone.cancelled_at) == (
        OrderState.CANCELLED,
        (),
        datetime(2026, 11, 1, 10, 1, tzinfo=UTC),
    )
    assert (waiting.is_draft, read(a_return(state="DRAFT")).is_draft, gone.is_draft) == (True, True, False)


# --------------------------------------------------------------------------------------------------- bad payloads


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (a_sale(line_items="none"), "not a list of objects (at line_items)"),
        (a_sale(line_items=["none"]), "not a list of objects (at line_items)"),
        (a_sale(a_line(quantity="many")), "a quantity is not a number (at line_items[0].quantity)"),
        (a_sale(a_line(quantity="-1")), "a quantity is negative (at line_items[0].quantity)"),
        (a_sale(a_line(total_tax_money=7)), "an amount is not a whole number of the smallest unit"),
        (a_sale(a_line(total_tax_money={"amount": 1.5})), "an amount is not a whole number of the smallest unit"),
        (a_sale(a_line(total_tax_money={"amount": True})), "an amount is not a whole number of the smallest unit"),
        (a_sale(a_line(total_tax_money={"amount": 1, "currency": "CAD"})), "an amount is in another currency"),
        (a_sale(created_at=None), "an instant is missing (at order.created_at)"),
        (a_sale(updated_at="yesterday"), "an instant is not a date and time with a zone (at order.updated_at)"),
        (a_sale(closed_at=7), "an instant is not a date and time with a zone (at order.closed_at)"),
        (a_sale(taxes=[{"uid": "x", "percentage": "much"}]), "a percentage is not a number (at taxes[0].percentage)"),
        (a_sale(refunds=[{"amount_money": usd(1)}]), "the field id is missing"),
        (a_sale(total_money="ten"), "a field has another type"),
    ],
)
def test_what_the_description_does_not_allow_is_refused_with_its_place(order: dict[str, Any], said: str) -> None:
    assert said in refused(order)


def test_letters_that_no_database_keeps_become_question_marks() -> None:
    assert read(a_sale(a_line(name="M\0ug ☕ \ud83d", variation_name=None))).lines[0].title == "M?ug ☕ ?"


def test_what_is_no_order_is_refused_alone() -> None:
    records = records_of(["nothing", {"id": ""}, a_sale()], ())
    assert [record.record_id for record in records] == ["position:0", "position:1", "O1"]
    with pytest.raises(BadPayload, match="an order is not an object"):
        parse_order([records[0].payload], a_connection())


# ----------------------------------------------------------------------------------------------------------- pages


def test_pages_are_split_as_they_were_stored() -> None:
    page = {"orders": [a_return()], "cursor": "c"}
    plain = split_page("orders", json.dumps(page).encode())
    assert plain[0].payload["restocks"] == []
    envelope = {"orders": page, "changes": [{"changes": [back_on_the_shelf()]}, {}]}
    records = split_page("orders", json.dumps(envelope).encode())
    assert [row["id"] for row in records[0].payload["restocks"]] == ["ADJ1"]
    assert records[0].updated_at == datetime(2026, 11, 1, 10, 5, tzinfo=UTC)
    assert split_page("orders", b"{}") == []
    assert [record.record_id for record in split_page("order_tombstones", b'{"orders":[{"id":"gone"}]}')] == ["gone"]


@pytest.mark.parametrize("body", [b"[]", b'{"orders":7}', b'{"orders":{"orders":7}}'])
def test_a_page_of_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(BadPayload):
        split_page("orders", body)


def test_every_order_of_the_sandbox_ties_to_the_cent() -> None:
    seller = start_sandbox(orders=240, seed=5)
    seller.close()
    found = [
        parse_order([record.payload], a_connection())
        for sold in seller.shop.orders.values()
        for record in records_of([sold.shown()], ())
    ]
    assert [order.channel_order_id for order in found if order.total != stated_total(order)] == []
    assert len(found) == 260
    assert {order.kind for order in found} == {
        OrderKind.POS,
        OrderKind.STANDARD,
        OrderKind.PICKUP,
        OrderKind.CREDIT_NOTE,
    }
    assert {charge.kind for order in found for charge in order.charges} == {
        ChargeKind.TIP,
        ChargeKind.FEE,
        ChargeKind.ROUNDING,
    }
