"""From one raw record to one order, rule by rule, with exact values."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from connectors.shopify.parse import parse_order, split_page
from oms_hub.channel.contract import Connection
from oms_hub.domain.orders import (
    Charge,
    ChargeKind,
    Customer,
    Discount,
    FulfilmentState,
    Order,
    OrderKind,
    OrderState,
    Payment,
    PaymentKind,
    PaymentState,
    RefundLine,
    Return,
    ReturnLine,
    Shipment,
    ShipmentLine,
    Tax,
    stated_total,
)
from oms_hub.domain.stock_ledger import holds, stock_events
from oms_hub.errors import BadPayload

CONNECTION = Connection(1, "shop", "shopify", "merchant", "MXN", "America/Mexico_City", {})
PLACE = "gid://shopify/Location/1"


def bag(amount: str, currency: str = "MXN") -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": currency}}


def tax(amount: str, rate: float | None = 0.16, **more: Any) -> dict[str, Any]:
    return {"title": "IVA", "rate": rate, "channelLiable": False, "priceSet": bag(amount), **more}


def discount(amount: str, *, shared: bool = False, index: int = 0, **more: Any) -> dict[str, Any]:
    reach = ("ACROSS", "ALL") if shared else ("EACH", "EXPLICIT")
    application = {
        "__typename": "DiscountCodeApplication",
        "index": index,
        "allocationMethod": reach[0],
        "targetSelection": reach[1],
        "targetType": "LINE_ITEM",
        **more,
    }
    return {"allocatedAmountSet": bag(amount), "discountApplication": application}


def line(number: int = 1, quantity: int = 2, price: str = "58.00", **more: Any) -> dict[str, Any]:
    return {
        "__typename": "LineItem",
        "id": f"line-{number}",
        "sku": f"SKU-{number}",
        "name": "Café",
        "quantity": quantity,
        "currentQuantity": quantity,
        "requiresShipping": True,
        "isGiftCard": False,
        "originalUnitPriceSet": bag(price),
        "discountAllocations": [],
        "taxLines": [],
        "variant": {"id": "variant", "inventoryItem": {"id": f"item-{number}", "tracked": True}},
        **more,
    }


def shipping(amount: str, **more: Any) -> dict[str, Any]:
    row = {"__typename": "ShippingLine", "id": "ship", "title": "Estándar", "code": "std", "taxLines": []}
    return {**row, "discountedPriceSet": bag(amount), "discountAllocations": [], **more}


def head(total: str, lines: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "__typename": "Order",
        "id": "gid://shopify/Order/1",
        "name": "#1001",
        "createdAt": "2026-11-19T10:00:00Z",
        "updatedAt": "2026-11-20T10:00:00Z",
        "processedAt": "2026-11-19T09:59:00Z",
        "cancelledAt": None,
        "closedAt": None,
        "cancelReason": None,
        "test": False,
        "edited": False,
        "sourceName": "web",
        "currencyCode": "MXN",
        "presentmentCurrencyCode": "MXN",
        "taxesIncluded": False,
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "UNFULFILLED",
        "returnStatus": "NO_RETURN",
        "totalPriceSet": {**bag(total), "presentmentMoney": {"amount": total, "currencyCode": "MXN"}},
        "currentTotalPriceSet": bag(total),
        "totalTipReceivedSet": bag("0.0"),
        "originalTotalDutiesSet": None,
        "totalCashRoundingAdjustment": {"paymentSet": bag("0.0")},
        "additionalFees": [],
        "customer": None,
        "transactions": [],
        "refunds": [],
        "fulfillments": [],
        "lineItems": {"nodes": lines},
        "shippingLines": {"nodes": []},
        **more,
    }


def parsed(head_: dict[str, Any], *parts: dict[str, Any]) -> Order:
    return parse_order([{"id": head_["id"], "head": head_, "parts": list(parts)}], CONNECTION)


def sent(quantities: dict[str, int], **more: Any) -> dict[str, Any]:
    rows = [
        {"id": f"f-{line_id}", "quantity": units, "lineItem": {"id": line_id}} for line_id, units in quantities.items()
    ]
    return {
        "__typename": "Fulfillment",
        "id": "sent-1",
        "status": "SUCCESS",
        "displayStatus": "FULFILLED",
        "createdAt": "2026-11-19T15:00:00Z",
        "updatedAt": "2026-11-19T15:00:00Z",
        "deliveredAt": None,
        "location": {"id": PLACE},
        "trackingInfo": [],
        "fulfillmentLineItems": {"nodes": rows},
        **more,
    }


def back(
    line_id: str, units: int, restock: str, subtotal: str = "58.00", taxed: str = "0.0", **more: Any
) -> dict[str, Any]:
    return {
        "id": f"r-{line_id}-{restock}",
        "quantity": units,
        "restockType": restock,
        "restocked": restock != "NO_RESTOCK",
        "location": {"id": PLACE} if restock != "NO_RESTOCK" else None,
        "lineItem": {"id": line_id},
        "subtotalSet": bag(subtotal),
        "totalTaxSet": bag(taxed),
        **more,
    }


def refund(rows: list[dict[str, Any]], paid: str | None = None, **more: Any) -> dict[str, Any]:
    paid_rows = [] if paid is None else [{"kind": "REFUND", "status": "SUCCESS", "amountSet": bag(paid)}]
    return {
        "__typename": "Refund",
        "id": "refund-1",
        "createdAt": "2026-11-20T09:00:00Z",
        "processedAt": "2026-11-20T08:00:00Z",
        "duties": [],
        "refundLineItems": {"nodes": rows},
        "refundShippingLines": {"nodes": []},
        "orderAdjustments": {"nodes": []},
        "transactions": {"nodes": paid_rows},
        **more,
    }


def task(wanted: dict[str, int], **more: Any) -> dict[str, Any]:
    rows = [
        {"id": f"t-{line_id}", "remainingQuantity": units, "totalQuantity": units, "lineItem": {"id": line_id}}
        for line_id, units in wanted.items()
    ]
    assigned = {"location": {"id": PLACE}}
    open_task = {"__typename": "FulfillmentOrder", "id": "task-1", "status": "OPEN", "assignedLocation": assigned}
    return {**open_task, "lineItems": {"nodes": rows}, **more}


def task_heads(method: str = "SHIPPING", by: str | None = None) -> dict[str, Any]:
    return {"nodes": [{"id": "task-1", "status": "OPEN", "fulfillBy": by, "deliveryMethod": {"methodType": method}}]}


REFUNDED = {"refunds": [{"id": "refund-1"}]}
SENT = {"fulfillments": [{"id": "sent-1"}]}


# ------------------------------------------------------------------------------------------------------- the order


def test_a_plain_order_is_read_field_by_field() -> None:
    order = parsed(
        head("233.56", [line(taxLines=[tax("18.56")])], shippingLines={"nodes": [shipping("99.00")]}),
    )
    assert order == Order(
        channel_order_id="gid://shopify/Order/1",
        label="#1001",
        placed_at=datetime(2026, 11, 19, 9, 59, tzinfo=UTC),
        updated_at=datetime(2026, 11, 20, 10, 0, tzinfo=UTC),
        state=OrderState.OPEN,
        payment_state=PaymentState.PAID,
        fulfilment_state=FulfilmentState.UNFULFILLED,
        currency="MXN",
        total=Decimal("233.56"),
        channel_state="OPEN",
        channel_payment_state="PAID",
        channel_fulfilment_state="UNFULFILLED",
        presentment_currency="MXN",
        presentment_total=Decimal("233.56"),
        lines=order.lines,
        charges=(Charge("ship", ChargeKind.SHIPPING, "Estándar", Decimal("99.00"), code="std"),),
    )
    assert stated_total(order) == Decimal("233.56")


def test_a_line_without_tax_included_keeps_price_discounts_and_tax_apart() -> None:
    found = line(quantity=3, price="100.00", taxLines=[tax("40.00", 0.16)])
    found["discountAllocations"] = [discount("20.00"), discount("30.00", shared=True, index=1)]
    only = parsed(head("290.00", [found])).lines[0]
    assert (only.line_id, only.title, only.sku, only.listing_key) == ("line-1", "Café", "SKU-1", "item-1")
    assert (only.quantity, only.unit_price, only.gross_amount) == (3, Decimal("100.00"), Decimal("300.00"))
    assert (only.discount_amount, only.order_discount_amount) == (Decimal("20.00"), Decimal("30.00"))
    assert only.taxes == (Tax("IVA", Decimal("40.00"), Decimal("0.16")),)


def test_a_line_with_tax_included_is_taken_apart_without_losing_a_cent() -> None:
    found = line(quantity=2, price="116.00", taxLines=[tax("28.80")])
    found["discountAllocations"] = [discount("11.60"), discount("11.60", shared=True, index=1)]
    order = parsed(head("208.80", [found], taxesIncluded=True))
    only = order.lines[0]
    assert only.unit_price == Decimal("116.00")
    assert only.gross_amount == Decimal("200.00")
    assert (only.discount_amount, only.order_discount_amount) == (Decimal("10.00"), Decimal("10.00"))
    assert stated_total(order) == Decimal("208.80")


def test_a_line_that_is_given_away_costs_nothing() -> None:
    found = line(quantity=1, price="116.00", discountAllocations=[discount("116.00")])
    order = parsed(head("0.00", [found], taxesIncluded=True))
    assert (order.lines[0].gross_amount, order.lines[0].discount_amount) == (Decimal("116.00"), Decimal("116.00"))
    assert stated_total(order) == 0


def test_shipping_with_tax_included_is_stated_without_it() -> None:
    order = parsed(
        head("116.00", [], taxesIncluded=True, shippingLines={"nodes": [shipping("116.00", taxLines=[tax("16.00")])]})
    )
    assert (order.charges[0].amount, order.charges[0].tax_amount) == (Decimal("100.00"), Decimal("16.00"))
    assert stated_total(order) == Decimal("116.00")


def test_a_tax_that_the_channel_remits_is_marked() -> None:
    order = parsed(head("74.00", [line(quantity=1, taxLines=[tax("16.00", None, channelLiable=True)])]))
    assert order.lines[0].taxes == (Tax("IVA", Decimal("16.00"), None, is_channel_liable=True),)


def test_discounts_are_named_once_with_all_that_they_took_off() -> None:
    first = line(1, discountAllocations=[discount("5.00", index=1, code="HOLA", shared=True)])
    second = line(2, discountAllocations=[discount("3.00", index=1, code="HOLA", shared=True)])
    third = line(3, discountAllocations=[discount("1.00", index=0, title="Mostrador")])
    free = shipping("0.00", discountAllocations=[discount("9.00", index=2)])
    order = parsed(head("339.00", [first, second, third], shippingLines={"nodes": [free]}))
    assert order.discounts == (
        Discount("Mostrador", Decimal("1.00")),
        Discount("HOLA", Decimal("8.00"), "HOLA"),
        Discount("DiscountCodeApplication", Decimal("9.00")),
    )


@pytest.mark.parametrize(
    ("total", "more", "charges"),
    [
        ("131.00", {"totalTipReceivedSet": bag("15.00")}, [("tip", ChargeKind.TIP, "15.00")]),
        ("116.00", {"totalTipReceivedSet": bag("15.00")}, []),
        ("166.00", {"originalTotalDutiesSet": bag("50.00")}, [("duties", ChargeKind.DUTY, "50.00")]),
        ("115.90", {"totalCashRoundingAdjustment": {"paymentSet": bag("-0.10")}}, [("rounding", None, "-0.10")]),
        (
            "181.00",
            {"originalTotalDutiesSet": bag("50.00"), "totalTipReceivedSet": bag("15.00")},
            [("tip", ChargeKind.TIP, "15.00"), ("duties", ChargeKind.DUTY, "50.00")],
        ),
        (
            "127.60",
            {
                "additionalFees": [
                    {"id": "fee-1", "name": "Importación", "price": bag("10.00"), "taxLines": [tax("1.60")]}
                ]
            },
            [("fee-1", ChargeKind.FEE, "10.00")],
        ),
    ],
)
def test_what_else_was_charged_is_what_the_total_contains(
    total: str, more: dict[str, Any], charges: list[tuple[str, ChargeKind | None, str]]
) -> None:
    order = parsed(head(total, [line()], **more))
    assert [(each.charge_id, each.amount) for each in order.charges] == [
        (key, Decimal(amount)) for key, _, amount in charges
    ]
    assert [each.kind for each in order.charges] == [kind or ChargeKind.ROUNDING for _, kind, _ in charges]
    assert stated_total(order) == Decimal(total)


def test_a_gap_that_nothing_explains_is_left_for_the_hub_to_show() -> None:
    order = parsed(head("120.00", [line()]))
    assert order.charges == ()
    assert order.total - stated_total(order) == Decimal("4.00")


def test_money_in_another_currency_than_the_order_is_refused() -> None:
    with pytest.raises(BadPayload, match="another currency"):
        parsed(head("1.00", [line(originalUnitPriceSet=bag("1.00", "USD"))]))


def test_the_buyers_own_currency_stands_beside_the_shops() -> None:
    both = {**bag("116.00"), "presentmentMoney": {"amount": "6.32", "currencyCode": "USD"}}
    order = parsed(head("116.00", [line()], totalPriceSet=both))
    assert (order.currency, order.total) == ("MXN", Decimal("116.00"))
    assert (order.presentment_currency, order.presentment_total) == ("USD", Decimal("6.32"))


def test_a_total_without_presentment_money_has_none() -> None:
    order = parsed(head("116.00", [line()], totalPriceSet=bag("116.00")))
    assert (order.presentment_currency, order.presentment_total) == (None, None)


def test_of_several_records_the_newest_counts() -> None:
    old, new = head("116.00", [line()]), head("58.00", [line(quantity=1)])
    payloads = [{"id": "x", "head": each, "parts": []} for each in (old, new)]
    assert parse_order(payloads, CONNECTION).total == Decimal("58.00")


# ---------------------------------------------------------------------------------------------------------- states


@pytest.mark.parametrize(
    ("more", "state", "word"),
    [
        ({}, OrderState.OPEN, "OPEN"),
        ({"closedAt": "2026-11-20T10:00:00Z"}, OrderState.CLOSED, "CLOSED"),
        ({"cancelledAt": "2026-11-20T10:00:00Z", "cancelReason": "FRAUD"}, OrderState.CANCELLED, "CANCELLED FRAUD"),
        (
            {"cancelledAt": "2026-11-20T10:00:00Z", "closedAt": "2026-11-20T10:00:00Z"},
            OrderState.CANCELLED,
            "CANCELLED",
        ),
        ({"displayFulfillmentStatus": "ON_HOLD"}, OrderState.ON_HOLD, "OPEN"),
    ],
)
def test_the_state_of_the_agreement(more: dict[str, Any], state: OrderState, word: str) -> None:
    order = parsed(head("116.00", [line()], **more))
    assert (order.state, order.channel_state) == (state, word)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("PENDING", PaymentState.UNPAID),
        ("AUTHORIZED", PaymentState.AUTHORISED),
        ("PARTIALLY_PAID", PaymentState.PARTIALLY_PAID),
        ("PAID", PaymentState.PAID),
        ("PARTIALLY_REFUNDED", PaymentState.PARTIALLY_REFUNDED),
        ("REFUNDED", PaymentState.REFUNDED),
        ("VOIDED", PaymentState.VOIDED),
        ("EXPIRED", PaymentState.VOIDED),
    ],
)
def test_the_state_of_the_payment(word: str, state: PaymentState) -> None:
    order = parsed(head("116.00", [line()], displayFinancialStatus=word))
    assert (order.payment_state, order.channel_payment_state, order.unknown_words) == (state, word, ())


def paid_with(kind: str, amount: str, status: str = "SUCCESS") -> dict[str, Any]:
    row = {"id": f"pay-{kind}-{amount}", "kind": kind, "status": status, "gateway": "cash", "test": False}
    return {**row, "createdAt": "2026-11-19T10:00:00Z", "processedAt": None, "amountSet": bag(amount)}


@pytest.mark.parametrize(
    ("word", "payments", "state", "flags"),
    [
        (None, [], PaymentState.UNPAID, ()),
        (None, [paid_with("SALE", "116.00")], PaymentState.PAID, ()),
        (None, [paid_with("SALE", "116.00", "FAILURE")], PaymentState.UNPAID, ()),
        (
            "ON_THE_HOUSE",
            [paid_with("CAPTURE", "16.00")],
            PaymentState.PARTIALLY_PAID,
            ("payment status: ON_THE_HOUSE",),
        ),
    ],
)
def test_without_a_known_word_the_payments_tell(
    word: str | None, payments: list[dict[str, Any]], state: PaymentState, flags: tuple[str, ...]
) -> None:
    order = parsed(head("116.00", [line()], displayFinancialStatus=word, transactions=payments))
    assert (order.payment_state, order.channel_payment_state, order.unknown_words) == (state, word or "", flags)


@pytest.mark.parametrize(
    ("word", "returned", "state", "flags"),
    [
        ("FULFILLED", "NO_RETURN", FulfilmentState.FULFILLED, ()),
        ("FULFILLED", "RETURNED", FulfilmentState.RETURNED, ()),
        ("FULFILLMENT_NOT_REQUIRED", None, FulfilmentState.FULFILLED, ()),
        ("PARTIALLY_FULFILLED", "IN_PROGRESS", FulfilmentState.PARTIAL, ()),
        ("RESTOCKED", "NO_RETURN", FulfilmentState.UNFULFILLED, ()),
        ("BEAMED", "LOST", FulfilmentState.UNFULFILLED, ("return status: LOST", "fulfilment status: BEAMED")),
    ],
)
def test_the_state_of_the_goods(
    word: str, returned: str | None, state: FulfilmentState, flags: tuple[str, ...]
) -> None:
    order = parsed(head("116.00", [line()], displayFulfillmentStatus=word, returnStatus=returned))
    assert (order.fulfilment_state, order.channel_fulfilment_state, order.unknown_words) == (state, word, flags)


def test_goods_on_hold_of_which_some_left_are_partly_fulfilled() -> None:
    order = parsed(head("116.00", [line()], displayFulfillmentStatus="ON_HOLD", **SENT), sent({"line-1": 1}))
    assert (order.state, order.fulfilment_state) == (OrderState.ON_HOLD, FulfilmentState.PARTIAL)


def test_test_orders_say_so_and_every_placed_order_is_a_sale() -> None:
    order = parsed(head("116.00", [line()], test=True, displayFinancialStatus="PENDING"))
    assert (order.is_test, order.is_sale, order.is_draft) == (True, True, False)


def test_the_buyer_is_an_id_and_nothing_else() -> None:
    order = parsed(head("116.00", [line()], customer={"id": "gid://shopify/Customer/7"}))
    assert order.customer == Customer("gid://shopify/Customer/7")


def test_a_list_that_shopify_may_have_cut_is_remarked() -> None:
    payments = [{**paid_with("SALE", "1.00"), "id": str(number)} for number in range(250)]
    order = parsed(head("116.00", [line()], transactions=payments))
    assert order.remarks == ("Shopify lists at most 250 transactions of an order, and this one has reached that",)


# ------------------------------------------------------------------------------------------------------------ kinds


def test_a_till_order_whose_goods_left_is_a_pos_order() -> None:
    order = parsed(
        head("116.00", [line()], sourceName="pos", displayFulfillmentStatus="FULFILLED", **SENT), sent({"line-1": 2})
    )
    assert order.kind is OrderKind.POS
    assert [(event.kind, event.cumulative_quantity) for event in stock_events(order)] == [("sale", 2)]


def test_a_till_order_that_is_still_to_be_sent_holds_stock() -> None:
    order = parsed(head("116.00", [line()], sourceName="pos"))
    assert order.kind is OrderKind.STANDARD
    assert [(hold.line_id, hold.allocated) for hold in holds(order)] == [("line-1", 2)]


def test_an_order_to_be_collected_is_pickup() -> None:
    order = parsed(
        head("116.00", [line()], fulfillmentOrders=task_heads("PICK_UP", "2026-11-25T00:00:00Z")), task({"line-1": 2})
    )
    assert order.kind is OrderKind.PICKUP
    assert order.ship_by_at == datetime(2026, 11, 25, tzinfo=UTC)
    assert order.lines[0].channel_location_id == PLACE


def test_work_without_a_delivery_method_is_standard() -> None:
    heads = {"nodes": [{"id": "task-1", "status": "OPEN", "fulfillBy": None, "deliveryMethod": None}]}
    unassigned = task({"line-1": 2}, assignedLocation={"location": None})
    order = parsed(head("116.00", [line()], fulfillmentOrders=heads), unassigned)
    assert (order.kind, order.lines[0].channel_location_id) == (OrderKind.STANDARD, None)


def test_a_line_at_two_places_names_none() -> None:
    elsewhere = task({"line-1": 1}, id="task-2", assignedLocation={"location": {"id": "elsewhere"}})
    order = parsed(head("116.00", [line()]), task({"line-1": 1}), elsewhere)
    assert order.lines[0].channel_location_id is None


@pytest.mark.parametrize(
    ("more", "needs_stock"),
    [
        ({}, True),
        ({"isGiftCard": True}, False),
        ({"variant": None, "sku": None}, False),
        ({"variant": None}, True),
        ({"requiresShipping": False}, True),
        ({"requiresShipping": False, "variant": {"id": "v", "inventoryItem": {"id": "i", "tracked": False}}}, False),
        ({"variant": {"id": "v", "inventoryItem": {"id": "i", "tracked": False}}}, True),
    ],
)
def test_which_lines_need_stock(more: dict[str, Any], needs_stock: bool) -> None:
    assert parsed(head("116.00", [line(**more)])).lines[0].needs_stock is needs_stock


def test_a_line_whose_product_is_gone_keeps_its_sku() -> None:
    only = parsed(head("116.00", [line(variant=None)])).lines[0]
    assert (only.listing_key, only.sku) == (None, "SKU-1")


# ---------------------------------------------------------------------------------------------- units that came off


@pytest.mark.parametrize(
    ("shipped", "current", "rows", "wanted", "cancelled"),
    [
        (0, 5, {}, None, 0),
        (0, 3, {}, None, 2),  # removed by an edit
        (0, 3, {"CANCEL": 2}, None, 2),
        (0, 2, {"CANCEL": 2}, None, 3),  # two cancelled with a refund, one removed
        (5, 3, {"RETURN": 2}, None, 0),
        (5, 4, {"NO_RESTOCK": 1}, None, 0),  # an appeasement
        (0, 4, {"NO_RESTOCK": 1}, None, 1),
        (2, 4, {"NO_RESTOCK": 1}, None, 1),
        (2, 4, {"NO_RESTOCK": 1}, 3, 0),  # three are still wanted: the refunded one had left
        (2, 4, {"NO_RESTOCK": 1}, 2, 1),
        (0, 4, {"LEGACY_RESTOCK": 1}, None, 1),
        (5, 4, {"LEGACY_RESTOCK": 1}, None, 0),
        (3, 2, {"RETURN": 1, "CANCEL": 2}, None, 2),
    ],
)
def test_units_that_were_taken_off_before_they_left(
    shipped: int, current: int, rows: dict[str, int], wanted: int | None, cancelled: int
) -> None:
    top = head("290.00", [line(quantity=5, currentQuantity=current)])
    parts = []
    if shipped:
        top |= SENT
        parts.append(sent({"line-1": shipped}))
    if rows:
        top |= REFUNDED
        parts.append(refund([back("line-1", units, kind) for kind, units in rows.items()]))
    if wanted is not None:
        parts.append(task({"line-1": wanted}))
    assert parsed(top, *parts).lines[0].cancelled_quantity == cancelled


def test_units_cancelled_before_they_left_are_not_put_back_on_the_shelf() -> None:
    order = parsed(
        head("116.00", [line(currentQuantity=0)], cancelledAt="2026-11-20T09:00:00Z", **REFUNDED),
        refund([back("line-1", 2, "CANCEL", "116.00")], "116.00"),
    )
    assert order.refunds[0].lines[0].is_restocked is False
    assert (stock_events(order), holds(order)) == ((), ())


# ---------------------------------------------------------------------------------------------------------- refunds


def test_a_refund_with_restock_names_lines_place_and_money() -> None:
    order = parsed(
        head("134.56", [line(currentQuantity=1, taxLines=[tax("18.56")])], **SENT, **REFUNDED),
        sent({"line-1": 2}),
        refund([back("line-1", 1, "RETURN", "58.00", "9.28")], "67.28"),
    )
    only = order.refunds[0]
    assert (only.refund_id, only.refunded_at) == ("refund-1", datetime(2026, 11, 20, 9, tzinfo=UTC))
    assert only.lines == (
        RefundLine("line-1", 1, Decimal("58.00"), Decimal("9.28"), is_restocked=True, channel_location_id=PLACE),
    )
    assert (only.paid_amount, only.other_amount, only.reason) == (Decimal("67.28"), Decimal(0), "")
    assert [(event.kind, event.cumulative_quantity) for event in stock_events(order)] == [("return", 1), ("sale", 2)]


def test_a_refund_with_tax_included_states_its_parts_without_tax() -> None:
    sent_back = {"nodes": [{"id": "s", "subtotalAmountSet": bag("116.00"), "taxAmountSet": bag("16.00")}]}
    order = parsed(
        head(
            "232.00", [line(currentQuantity=1, taxLines=[tax("32.00")], price="116.00")], taxesIncluded=True, **REFUNDED
        ),
        refund([back("line-1", 1, "NO_RESTOCK", "116.00", "16.00")], "232.00", refundShippingLines=sent_back),
    )
    only = order.refunds[0]
    assert (only.lines[0].amount, only.lines[0].tax_amount) == (Decimal("100.00"), Decimal("16.00"))
    assert (only.shipping_amount, only.shipping_tax_amount) == (Decimal("100.00"), Decimal("16.00"))
    assert (only.lines[0].is_restocked, only.lines[0].channel_location_id) == (False, None)


def adjusted(amount: str, taxed: str = "0.0", reason: str | None = "CUSTOMER") -> dict[str, Any]:
    row = {"id": "a", "reason": reason, "amountSet": bag(amount), "taxAmountSet": bag(taxed)}
    return {"orderAdjustments": {"nodes": [row]}}


@pytest.mark.parametrize(
    ("taxes_included", "adjustment", "paid", "other"),
    [
        (False, adjusted("-20.00"), "20.00", "20.00"),  # more than calculated: in the buyer's favour
        (False, adjusted("-20.00", "-3.20"), "23.20", "23.20"),
        (True, adjusted("-23.20", "-3.20"), "23.20", "23.20"),
        (True, adjusted("-20.00", "-3.20"), "23.20", "23.20"),
        (False, adjusted("20.00"), "20.00", "20.00"),  # the other sign, if the money says so
        (False, adjusted("-20.00"), None, "20.00"),  # not paid yet: the usual reading
        (True, adjusted("-20.00", "-3.20"), None, "20.00"),
    ],
)
def test_an_adjustment_is_read_so_that_it_meets_the_money(
    taxes_included: bool, adjustment: dict[str, Any], paid: str | None, other: str
) -> None:
    order = parsed(head("116.00", [line()], taxesIncluded=taxes_included, **REFUNDED), refund([], paid, **adjustment))
    only = order.refunds[0]
    assert (only.other_amount, only.paid_amount) == (Decimal(other), Decimal(paid or 0))
    assert only.reason == "CUSTOMER"


def test_refunded_duties_are_part_of_the_rest() -> None:
    duties = [{"amountSet": bag("12.00")}]
    order = parsed(head("116.00", [line()], **REFUNDED), refund([], "12.00", duties=duties, createdAt=None))
    assert order.refunds[0].other_amount == Decimal("12.00")
    assert order.refunds[0].refunded_at == datetime(2026, 11, 20, 8, tzinfo=UTC)


def test_only_money_that_went_back_counts_as_paid() -> None:
    rows = [
        {"kind": "REFUND", "status": "PENDING", "amountSet": bag("5.00")},
        {"kind": "SUGGESTED_REFUND", "status": "SUCCESS", "amountSet": bag("5.00")},
    ]
    order = parsed(head("116.00", [line()], **REFUNDED), refund([], transactions={"nodes": rows}))
    assert order.refunds[0].paid_amount == 0


def test_an_unknown_restock_word_is_kept_and_flagged() -> None:
    order = parsed(head("116.00", [line()], **REFUNDED), refund([back("line-1", 1, "EVAPORATED")]))
    assert order.unknown_words == ("restock type: EVAPORATED",)


# --------------------------------------------------------------------------------- payments, shipments and returns


def test_payments_are_told_by_kind_and_success() -> None:
    rows = [
        paid_with("AUTHORIZATION", "116.00"),
        paid_with("EMV_AUTHORIZATION", "116.00"),
        paid_with("CAPTURE", "116.00", "PENDING"),
        paid_with("CHANGE", "-4.00"),
        paid_with("VOID", "1.00"),
        paid_with("SUGGESTED_REFUND", "1.00"),
        paid_with("BARTER", "1.00"),
        {**paid_with("REFUND", "2.00", "MAYBE"), "processedAt": "2026-11-20T10:00:00Z", "gateway": None},
    ]
    order = parsed(head("116.00", [line()], transactions=rows))
    assert [(each.kind, each.amount, each.is_successful) for each in order.payments] == [
        (PaymentKind.AUTHORISATION, Decimal("116.00"), True),
        (PaymentKind.AUTHORISATION, Decimal("116.00"), True),
        (PaymentKind.CAPTURE, Decimal("116.00"), False),
        (PaymentKind.REFUND, Decimal("4.00"), True),
        (PaymentKind.VOID, Decimal("1.00"), True),
        (PaymentKind.REFUND, Decimal("2.00"), False),
    ]
    last = datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert order.payments[-1] == Payment("pay-REFUND-2.00", PaymentKind.REFUND, Decimal("2.00"), "MXN", last, "", False)
    assert order.unknown_words == ("payment kind: BARTER", "payment transaction status: MAYBE")


def test_a_shipment_names_carrier_place_and_units() -> None:
    tracking = [{"company": "Paquetería", "number": "PX1", "url": "https://track.example/PX1"}]
    part = sent({"line-1": 2}, trackingInfo=tracking, deliveredAt="2026-11-20T09:00:00Z", displayStatus=None)
    order = parsed(head("116.00", [line()], **SENT), part)
    assert order.shipments == (
        Shipment(
            "sent-1",
            datetime(2026, 11, 19, 15, tzinfo=UTC),
            (ShipmentLine("line-1", 2),),
            "SUCCESS",
            datetime(2026, 11, 20, 9, tzinfo=UTC),
            "Paquetería",
            "PX1",
            "https://track.example/PX1",
            PLACE,
        ),
    )


@pytest.mark.parametrize("status", ["CANCELLED", "ERROR", "FAILURE", "OPEN", "PENDING"])
def test_what_did_not_leave_is_no_shipment(status: str) -> None:
    order = parsed(head("116.00", [line()], **SENT), sent({"line-1": 2}, status=status))
    assert (order.shipments, order.unknown_words) == ((), ())


def test_a_shipment_in_an_unknown_state_counts_and_is_flagged() -> None:
    part = sent({"line-1": 2}, status="TELEPORTED", location=None)
    part["fulfillmentLineItems"]["nodes"].append({"id": "none", "quantity": None, "lineItem": {"id": "line-1"}})
    order = parsed(head("116.00", [line()], **SENT), part)
    assert order.unknown_words == ("fulfilment word: TELEPORTED",)
    assert (order.shipments[0].lines, order.shipments[0].channel_location_id) == ((ShipmentLine("line-1", 2),), None)


def test_a_return_names_the_lines_that_come_back() -> None:
    rows = [
        {
            "__typename": "ReturnLineItem",
            "id": "rl-1",
            "quantity": 1,
            "returnReasonDefinition": {"id": "d", "name": "Talla"},
            "fulfillmentLineItem": {"id": "f", "lineItem": {"id": "line-1"}},
        },
        {
            "__typename": "ReturnLineItem",
            "id": "rl-2",
            "quantity": 1,
            "returnReasonDefinition": None,
            "fulfillmentLineItem": {"id": "f", "lineItem": {"id": "line-1"}},
        },
        {"__typename": "UnverifiedReturnLineItem", "id": "rl-3", "quantity": 1, "returnReasonDefinition": None},
    ]
    part = {"__typename": "Return", "id": "ret-1", "status": "OPEN", "createdAt": "2026-11-20T09:00:00Z"}
    part |= {"closedAt": None, "returnLineItems": {"nodes": rows}}
    order = parsed(head("116.00", [line()], returns={"nodes": [{"id": "ret-1"}]}), part)
    opened_at = datetime(2026, 11, 20, 9, tzinfo=UTC)
    lines = (ReturnLine("line-1", 1, "Talla"), ReturnLine("line-1", 1, ""))
    assert order.returns == (Return("ret-1", "OPEN", opened_at, None, lines),)


# -------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"name": None}, "head.name"),
        ({"totalPriceSet": None}, "head.totalPriceSet"),
        ({"totalPriceSet": bag("many")}, "head.totalPriceSet.shopMoney.amount"),
        ({"taxesIncluded": "quizás"}, "head.taxesIncluded"),
        ({"updatedAt": "yesterday"}, "head.updatedAt"),
        ({"updatedAt": "2026-11-20T10:00:00"}, "head.updatedAt"),
        ({"processedAt": None}, "head.processedAt"),
        ({"lineItems": {"nodes": "none"}}, "head.lineItems.nodes"),
        ({"lineItems": {"nodes": ["x"]}}, "head.lineItems.nodes[0]"),
        ({"lineItems": None}, "head.lineItems"),
        ({"lineItems": {"nodes": [], "pageInfo": {"hasNextPage": True}}}, "head.lineItems"),
        ({"lineItems": {"nodes": [{**line(), "quantity": "2"}]}}, "head.lineItems.nodes[0].quantity"),
        ({"lineItems": {"nodes": [line(taxLines=[tax("1.00", "x")])]}}, "head.lineItems.nodes[0].taxLines[0].rate"),  # type: ignore[arg-type]
        ({"refunds": [{"id": "refund-9"}]}, "parts"),
    ],
)
def test_a_malformed_record_is_refused_and_the_place_is_named(change: dict[str, Any], where: str) -> None:
    with pytest.raises(BadPayload) as caught:
        parsed(head("116.00", [line()], **change))
    assert caught.value.where == where


def test_a_field_that_was_never_sent_is_refused() -> None:
    top = head("116.00", [line()])
    del top["test"]
    with pytest.raises(BadPayload, match=r"a field is missing \(at head.test\)"):
        parsed(top)


@pytest.mark.parametrize("record", [None, [], {}, {"head": 1}])
def test_a_record_without_an_order_is_refused(record: Any) -> None:
    with pytest.raises(BadPayload, match="holds no order"):
        parse_order([record], CONNECTION)


# ------------------------------------------------------------------------------------------------------------ pages


def test_a_page_gives_its_records_in_order() -> None:
    body = orjson.dumps(
        {
            "records": [
                {"id": "b", "head": {"updatedAt": "2026-11-20T10:00:00Z"}},
                {"id": "a", "head": {"updatedAt": "nonsense"}},
                {"id": "gone"},
                {"no": "id"},
            ]
        }
    )
    found = split_page("orders", body)
    assert [each.record_id for each in found[:3]] == ["b", "a", "gone"]
    assert [each.updated_at for each in found] == [datetime(2026, 11, 20, 10, tzinfo=UTC), None, None, None]
    assert found[3].record_id.startswith("unidentified:")
    assert split_page("orders", body)[3].record_id == found[3].record_id


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"records": 1}'])
def test_a_page_that_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(BadPayload):
        split_page("orders", body)
