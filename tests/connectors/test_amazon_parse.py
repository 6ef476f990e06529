"""What Amazon's records become: orders, money, shipments, refunds, flat files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from connectors.amazon import CHANNEL
from connectors.amazon.fields import decimal, instant, mapping, rows, units, words
from connectors.amazon.pages import (
    orders_body,
    report_body,
    split_page,
    tombstones_body,
    transactions_body,
    without_people,
)
from connectors.amazon.parse import parse_order
from oms_hub.domain.orders import (
    ChargeKind,
    FulfilmentState,
    Order,
    OrderKind,
    OrderState,
    PaymentState,
    close_gap,
    stated_total,
)
from oms_hub.domain.stock_ledger import holds, stock_events
from oms_hub.errors import BadPayload
from oms_hub.testing.factories import a_connection

ORDER_ID = "701-0000001-0000001"
CONNECTION = a_connection(settings={"marketplace_ids": "A1AM78C64UM0Y8,ATVPDKIKX0DER"}, currency="EUR")


def cash(amount: str, currency: str = "USD") -> dict[str, str]:
    return {"amount": amount, "currencyCode": currency}


def part(kind: str, amount: str, **details: str) -> dict[str, Any]:
    row: dict[str, Any] = {"type": kind, "subtotal": cash(amount)}
    if details:
        row["detailedBreakdowns"] = [{"subtype": name, "value": cash(value)} for name, value in details.items()]
    return row


def item(item_id: str = "1", *, quantity: int = 2, sent: int = 0, **more: Any) -> dict[str, Any]:
    whole = {
        "orderItemId": item_id,
        "quantityOrdered": quantity,
        "product": {"asin": "B01", "title": "Taza 杯子", "sellerSku": "CUP-01", "price": {"unitPrice": cash("10.00")}},
        "proceeds": {"proceedsTotal": cash("20.00"), "breakdowns": [part("ITEM", "20.00")]},
        "fulfillment": {"quantityFulfilled": sent, "quantityUnfulfilled": quantity - sent},
    }
    return {**whole, **more}


def version(
    *items: Mapping[str, Any], status: str = "UNSHIPPED", total: str | None = "20.00", **more: Any
) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "orderId": ORDER_ID,
        "createdTime": "2026-11-01T10:00:00Z",
        "lastUpdatedTime": "2026-11-02T10:00:00Z",
        "salesChannel": {"channelName": "AMAZON", "marketplaceId": "ATVPDKIKX0DER"},
        "fulfillment": {
            "fulfillmentStatus": status,
            "fulfilledBy": "MERCHANT",
            "shipByWindow": {"latestDateTime": "2026-11-03T10:00:00Z"},
        },
        "orderItems": list(items or (item(),)),
    }
    if total is not None:
        whole["proceeds"] = {"grandTotal": cash(total)}
    return {**whole, **more}


def parsed(*records: Mapping[str, Any]) -> Order:
    order, gap = close_gap(parse_order(records, CONNECTION))
    assert gap == 0, gap
    return order


def at(day: int, hour: int = 10) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


# ---------------------------------------------------------------------------------------------------------- states


@pytest.mark.parametrize(
    ("status", "state", "payment", "fulfilment", "is_sale", "held"),
    [
        ("PENDING", OrderState.OPEN, PaymentState.UNPAID, FulfilmentState.UNFULFILLED, False, (0, 2)),
        ("PENDING_AVAILABILITY", OrderState.OPEN, PaymentState.UNPAID, FulfilmentState.UNFULFILLED, False, (0, 2)),
        ("UNSHIPPED", OrderState.OPEN, PaymentState.AUTHORISED, FulfilmentState.UNFULFILLED, True, (2, 0)),
        ("PARTIALLY_SHIPPED", OrderState.OPEN, PaymentState.PARTIALLY_PAID, FulfilmentState.PARTIAL, True, (2, 0)),
        ("SHIPPED", OrderState.CLOSED, PaymentState.PAID, FulfilmentState.FULFILLED, True, None),
        ("CANCELLED", OrderState.CANCELLED, PaymentState.VOIDED, FulfilmentState.UNFULFILLED, False, None),
        ("UNFULFILLABLE", OrderState.ON_HOLD, PaymentState.AUTHORISED, FulfilmentState.UNFULFILLED, True, (2, 0)),
    ],
)
def test_what_a_status_says(
    status: str, state: OrderState, payment: PaymentState, fulfilment: FulfilmentState, is_sale: bool, held: Any
) -> None:
    order = parsed(version(status=status))
    assert (order.state, order.payment_state, order.fulfilment_state, order.is_sale) == (
        state, payment, fulfilment, is_sale,
    )  # fmt: skip
    assert order.channel_state == status
    assert order.unknown_words == ()
    assert [(hold.allocated, hold.reserved) for hold in holds(order)] == ([] if held is None else [held])
    assert (order.cancelled_at is None) == (status != "CANCELLED")
    assert order.closed_at == (at(2) if status == "SHIPPED" else None)
    assert order.ship_by_at == at(3)


def test_a_pending_order_holds_its_units_and_brings_no_money_until_prices_come() -> None:
    bare = item(product={"title": "Cup", "sellerSku": "CUP-01"}, proceeds=None)
    pending = version(bare, status="PENDING", total=None)
    order = parsed(pending)
    assert (order.total, order.currency, order.is_sale) == (Decimal(0), "USD", False)
    assert [(line.quantity, line.gross_amount, line.unit_price) for line in order.lines] == [
        (2, Decimal(0), Decimal(0))
    ]
    assert [(hold.allocated, hold.reserved) for hold in holds(order)] == [(0, 2)]
    priced = parsed(pending, version(lastUpdatedTime="2026-11-02T11:00:00Z"))
    assert (priced.total, priced.is_sale, priced.lines[0].gross_amount) == (Decimal("20.00"), True, Decimal("20.00"))
    assert [(hold.allocated, hold.reserved) for hold in holds(priced)] == [(2, 0)]


def test_prices_of_a_pending_order_are_not_believed() -> None:
    order = parsed(
        version(item(proceeds={"breakdowns": [part("ITEM", "20.00"), part("SHIPPING", "5.00")]}), status="PENDING")
    )
    assert (order.total, order.charges, order.lines[0].gross_amount) == (Decimal(0), (), Decimal(0))


def test_an_order_that_amazon_ships_never_touches_own_stock() -> None:
    fulfilment = {"fulfillmentStatus": "PARTIALLY_SHIPPED", "fulfilledBy": "AMAZON"}
    order = parsed(version(item(sent=1), fulfillment=fulfilment))
    assert order.kind is OrderKind.MARKETPLACE_FULFILLED
    assert (holds(order), stock_events(order)) == ((), ())
    assert [line.needs_stock for line in order.lines] == [False]
    assert [(row.line_id, row.quantity) for row in order.shipments[0].lines] == [("1", 1)]


@pytest.mark.parametrize(
    ("more", "kind", "is_sale"),
    [
        ({"programs": ["IN_STORE_PICK_UP"]}, OrderKind.PICKUP, True),
        ({"programs": ["PREORDER"]}, OrderKind.PREORDER, True),
        ({"programs": ["PRIME"]}, OrderKind.STANDARD, True),
        ({"salesChannel": {"channelName": "NON_AMAZON"}}, OrderKind.STANDARD, False),
        (
            {"associatedOrders": [{"orderId": "X", "associationType": "REPLACEMENT_ORIGINAL_ID"}]},
            OrderKind.STANDARD,
            False,
        ),
        ({"associatedOrders": [{"orderId": "X", "associationType": "EXCHANGE_ORIGINAL_ID"}]}, OrderKind.STANDARD, True),
        ({"proceeds": None, "orderItems": [item(proceeds=None)]}, OrderKind.STANDARD, False),
    ],
)
def test_programs_replacements_and_orders_sold_elsewhere(more: Any, kind: OrderKind, is_sale: bool) -> None:
    order = parsed(version(**more))
    assert (order.kind, order.is_sale) == (kind, is_sale)


def test_unknown_words_are_kept_and_flagged() -> None:
    strange = item(
        proceeds={"proceedsTotal": cash("23.00"), "breakdowns": [part("ITEM", "20.00"), part("ECO_FEE", "3.00")]}
    )
    order = parsed(version(strange, status="TELEPORTED", total="23.00"))
    assert order.unknown_words == ("TELEPORTED", "ECO_FEE")
    assert [(charge.kind, charge.amount) for charge in order.charges] == [(ChargeKind.FEE, Decimal("3.00"))]
    assert parsed(version(fulfillment=None)).unknown_words == ("no fulfillmentStatus",)


# ----------------------------------------------------------------------------------------------------------- money


def test_tax_on_top_goes_to_its_parts_and_says_who_remits_it() -> None:
    row = item(
        proceeds={
            "proceedsTotal": cash("27.00"),
            "breakdowns": [
                part("ITEM", "20.00"), part("SHIPPING", "5.00"), part("GIFT_WRAP", "2.00"),
                part("DISCOUNT", "-3.00", ITEM="-2.00", SHIPPING="-1.00"),
                part("TAX", "3.00", ITEM="1.80", SHIPPING="0.40", GIFT_WRAP="0.30", DISCOUNT="0.50"),
            ],
        },
        promotion={"breakdowns": [{"promotionId": "SAVE"}, {"promotionId": "MORE"}]},
        tax={"taxCollections": [{"model": "MARKETPLACE_FACILITATOR", "responsibleParty": "Amazon"}]},
    )  # fmt: skip
    order = parsed(version(row, total="27.00"))
    (line,) = order.lines
    assert (line.unit_price, line.gross_amount, line.discount_amount, line.tax_amount) == (
        Decimal("10.00"), Decimal("20.00"), Decimal("2.00"), Decimal("2.30"),
    )  # fmt: skip
    assert [(charge.charge_id, charge.kind, charge.amount, charge.tax_amount) for charge in order.charges] == [
        ("1:shipping", ChargeKind.SHIPPING, Decimal("4.00"), Decimal("0.40")),
        ("1:gift_wrap", ChargeKind.FEE, Decimal("2.00"), Decimal("0.30")),
    ]
    taxes = [*line.taxes, *(tax for charge in order.charges for tax in charge.taxes)]
    assert {tax.is_channel_liable for tax in taxes} == {True}
    assert [(discount.title, discount.amount) for discount in order.discounts] == [("SAVE, MORE", Decimal("3.00"))]
    assert order.taxes_included is False


@pytest.mark.parametrize("sign", ["", "-"])
def test_prices_with_tax_are_recognised_by_the_items_own_total(sign: str) -> None:
    row = item(
        proceeds={
            "proceedsTotal": cash("22.00"),
            "breakdowns": [
                part("ITEM", "20.00"), part("SHIPPING", "4.00"), part("DISCOUNT", f"{sign}2.00"),
                part("TAX", "3.00", ITEM="2.50", SHIPPING="0.50"),
            ],
        }
    )  # fmt: skip
    order = parsed(version(row, total="22.00"))
    (line,) = order.lines
    assert order.taxes_included is True
    assert (line.unit_price, line.gross_amount, line.discount_amount, line.tax_amount) == (
        Decimal("10.00"), Decimal("17.50"), Decimal("2.00"), Decimal("2.50"),
    )  # fmt: skip
    assert [(charge.amount, charge.tax_amount) for charge in order.charges] == [(Decimal("3.50"), Decimal("0.50"))]
    assert line.taxes[0].is_channel_liable is False


def test_a_total_that_its_parts_do_not_make_is_an_open_adjustment() -> None:
    order, gap = close_gap(parse_order([version(total="21.00")], CONNECTION))
    assert (gap, order.charges[-1].kind, order.total) == (Decimal("1.00"), ChargeKind.ADJUSTMENT, Decimal("21.00"))


@pytest.mark.parametrize(("total", "charges"), [("23.00", [("delivery_tip", Decimal("3.00"))]), ("20.00", [])])
def test_a_delivery_tip_counts_only_where_the_total_holds_it(total: str, charges: list[Any]) -> None:
    tip = {"type": "DELIVERY_TIP", "status": "PENDING", "subtotal": cash("3.00")}
    order = parsed(version(proceeds={"grandTotal": cash(total), "breakdowns": [part("ITEM", "20.00"), tip]}))
    assert [(charge.charge_id, charge.amount) for charge in order.charges] == charges


def test_without_a_stated_total_the_parts_make_it_and_a_price_is_found_per_unit() -> None:
    row = item(quantity=3, product={"sellerSku": ""}, proceeds={"breakdowns": [part("ITEM", "10.00")]})
    order = parsed(version(row, total=None, salesChannel={"channelName": "AMAZON"}))
    (line,) = order.lines
    assert (order.total, line.unit_price, line.listing_key, line.sku) == (
        Decimal("10.00"), Decimal("3.333333"), None, None,
    )  # fmt: skip
    assert order.currency == "MXN", "the main marketplace's, where no amount tells"
    assert stated_total(order) == order.total


def test_yen_have_no_decimals_and_stay_verbatim() -> None:
    row = item(
        proceeds={
            "proceedsTotal": cash("5980", "JPY"),
            "breakdowns": [{"type": "ITEM", "subtotal": cash("5980", "JPY")}],
        }
    )
    order = parsed(version(row, proceeds={"grandTotal": cash("5980", "JPY")}))
    assert (str(order.total), order.currency) == ("5980", "JPY")


def test_units_taken_off_before_they_left_are_cancelled_units() -> None:
    some = item(fulfillment={"quantityFulfilled": 1, "quantityUnfulfilled": 0})
    by_whom = {"cancellationExecution": {"cancelledBy": "BUYER"}}
    all_off = item(fulfillment={"quantityFulfilled": 0, "quantityUnfulfilled": 0}, cancellation=by_whom)
    untold = item(fulfillment={"quantityFulfilled": 0, "quantityUnfulfilled": 0})
    silent = item(fulfillment=None)
    found = [parsed(version(row)).lines[0].cancelled_quantity for row in (some, all_off, untold, silent)]
    assert found == [1, 2, 0, 0]


# ------------------------------------------------------------------------------------------------------- shipments


def package(reference: str, day: int, units_sent: int, **more: Any) -> dict[str, Any]:
    whole = {
        "packageReferenceId": reference,
        "packageStatus": {"status": "DELIVERED"},
        "carrier": "DPD",
        "trackingNumber": "T1",
        "shipTime": f"2026-11-{day:02d}T08:00:00Z",
        "packageItems": [{"orderItemId": "1", "quantity": units_sent}],
    }
    return {**whole, **more}


def test_packages_are_shipments_and_units_in_none_are_one_more() -> None:
    record = version(
        item(quantity=5, sent=4),
        packages=[
            package("A", 5, 2), package("B", 6, 1, packageStatus={"status": "CANCELLED"}), package("C", 6, 1, shipTime=None),
            package("D", 6, 9, packageItems=[]), package("F", 6, 0), package("E", 7, 1, trackingNumber="", carrier=None),
        ],
    )  # fmt: skip
    order = parsed(record)
    assert [(each.shipment_id, each.shipped_at, each.lines[0].quantity) for each in order.shipments] == [
        ("A", at(5, 8), 2), ("E", at(7, 8), 1), (f"sent:{ORDER_ID}", at(2), 1),
    ]  # fmt: skip
    assert (order.shipments[0].tracking_number, order.shipments[0].carrier, order.shipments[1].carrier) == (
        "T1",
        "DPD",
        None,
    )
    assert [event.cumulative_quantity for event in stock_events(order)] == [4]


def test_units_in_no_package_left_when_they_were_first_seen_to_have_left() -> None:
    before = version(item(), lastUpdatedTime="2026-11-02T10:00:00Z")
    sent = version(item(sent=2), status="SHIPPED", lastUpdatedTime="2026-11-04T10:00:00Z")
    later = version(item(sent=2), status="SHIPPED", lastUpdatedTime="2026-11-09T10:00:00Z")
    for records in ([before, sent, later], [later, before, sent]):
        order = parsed(*records)
        assert (order.updated_at, order.closed_at, order.shipments[0].shipped_at) == (at(9), at(4), at(4))


# -------------------------------------------------------------------------------------------------- which one stands


def test_the_latest_change_stands_in_whatever_order_versions_land() -> None:
    old, new = version(), version(total="30.00", lastUpdatedTime="2026-11-02T10:00:01Z", orderItems=[
        item(proceeds={"breakdowns": [part("ITEM", "30.00")]})
    ])  # fmt: skip
    assert parsed(old, new).total == parsed(new, old).total == Decimal("30.00")


def test_of_two_versions_of_the_same_instant_the_one_that_landed_later_stands() -> None:
    other = version(item(proceeds={"breakdowns": [part("ITEM", "30.00")]}), total="30.00")
    assert (parsed(version(), other).total, parsed(other, version()).total) == (Decimal("30.00"), Decimal("20.00"))


def test_a_malformed_version_is_set_aside_until_a_good_one_follows() -> None:
    for bad in (
        {"orderId": ORDER_ID, "lastUpdatedTime": None},
        version(orderItems="rubbish", lastUpdatedTime="2026-11-05T10:00:00Z"),
    ):
        with pytest.raises(BadPayload):
            parse_order([version(), bad], CONNECTION)
        assert parsed(bad, version(lastUpdatedTime="2026-11-06T10:00:00Z")).updated_at == at(6)


@pytest.mark.parametrize("missing", ["orderId", "createdTime", "lastUpdatedTime", "orderItems"])
def test_a_version_without_a_field_that_matters_is_no_order(missing: str) -> None:
    with pytest.raises(BadPayload):
        parse_order([{key: value for key, value in version().items() if key != missing}], CONNECTION)


# --------------------------------------------------------------------------------------------------------- refunds


def leaf(name: str, amount: float, *below: dict[str, Any]) -> dict[str, Any]:
    return {
        "breakdownType": name,
        "breakdownAmount": {"currencyAmount": amount, "currencyCode": "USD"},
        "breakdowns": list(below),
    }


def refund(
    transaction_id: str = "T1", *, status: str = "RELEASED", items: Any = None, more: Any = ()
) -> dict[str, Any]:
    shown = {
        "contexts": [{"contextType": "ProductContext", "sku": "CUP-01", "quantityShipped": 1}],
        "breakdowns": [
            leaf("ProductCharges", -10.0, leaf("OurPricePrincipal", -11.0), leaf("OurPriceDiscount", 1.0)),
            leaf("Tax", -0.91, leaf("OurPriceTax", -0.91)),
            leaf("Shipping", -2.5, leaf("ShippingPrincipal", -2.5)), leaf("ShippingTax", -0.2),
            leaf("MarketplaceFacilitatorTax-Principal", 0.91),
            leaf("AmazonFees", 1.2, leaf("Commission", 1.5), leaf("RefundCommission", -0.3)),
            leaf("ShippingChargeback", 2.5), leaf("GoodwillPrincipal", -1.0),
        ],
    }  # fmt: skip
    return {
        "relatedIdentifiers": [{"relatedIdentifierName": "ORDER_ID", "relatedIdentifierValue": ORDER_ID}, *more],
        "transactionType": "Refund",
        "transactionId": transaction_id,
        "transactionStatus": status,
        "description": "Refund Order",
        "postedDate": "2026-11-08T10:00:00Z",
        "totalAmount": {"currencyAmount": -11.0, "currencyCode": "USD"},
        "items": [shown] if items is None else items,
    }


def test_a_refund_is_what_went_back_to_the_buyer_without_amazons_fees() -> None:
    (found,) = parsed(version(status="SHIPPED"), refund()).refunds
    (line,) = found.lines
    assert (line.line_id, line.quantity, line.amount, line.tax_amount, line.is_restocked) == (
        "1", 1, Decimal("10.0"), Decimal("0.91"), False,
    )  # fmt: skip
    assert (found.shipping_amount, found.shipping_tax_amount, found.other_amount, found.paid_amount) == (
        Decimal("2.5"), Decimal("0.2"), Decimal("1.0"), Decimal("14.61"),
    )  # fmt: skip
    assert (found.refund_id, found.refunded_at, found.reason) == ("T1", at(8), "Refund Order")


def test_what_amazon_charged_and_gave_back_becomes_fees_of_the_order() -> None:
    def sold(*breakdowns: dict[str, Any]) -> dict[str, Any]:
        return {"contexts": [], "breakdowns": list(breakdowns)}

    shipment = refund("S1", items=[
        sold(leaf("ProductCharges", 20.0, leaf("OurPricePrincipal", 20.0)),
             leaf("Expenses", -5.0, leaf("AmazonFees", -4.0, leaf("Commission", -3.0), leaf("FixedClosingFee", -1.0)),
                  leaf("FBAFees", -1.0), leaf("MarketplaceFacilitatorTax-Principal", -0.5))),
        sold(leaf("AmazonFees", -0.5, leaf("Commission", -0.5), leaf("VariableClosingFee", 0.0))),
    ]) | {"transactionType": "Shipment", "postedDate": "2026-11-07T10:00:00Z"}  # fmt: skip
    service = refund("F1", items=[]) | {
        "transactionType": "ServiceFee", "breakdowns": [leaf("HandlingFee", -0.2)], "totalAmount": None,
    }  # fmt: skip
    order = parsed(version(status="SHIPPED"), shipment, refund(), service, refund())
    assert [(fee.fee_id, fee.kind, fee.amount, fee.currency, fee.charged_at) for fee in order.channel_fees] == [
        ("S1:Commission", "Commission", Decimal("3.5"), "USD", at(7)),
        ("S1:FBAFees", "FBAFees", Decimal("1.0"), "USD", at(7)),
        ("S1:FixedClosingFee", "FixedClosingFee", Decimal("1.0"), "USD", at(7)),
        ("F1:HandlingFee", "HandlingFee", Decimal("0.2"), "USD", at(8)),
        ("T1:Commission", "Commission", Decimal("-1.5"), "USD", at(8)),
        ("T1:RefundCommission", "RefundCommission", Decimal("0.3"), "USD", at(8)),
        ("T1:ShippingChargeback", "ShippingChargeback", Decimal("-2.5"), "USD", at(8)),
    ]
    assert order.total == Decimal("20.00")
    release = {"relatedIdentifierName": "DEFERRED_TRANSACTION_ID", "relatedIdentifierValue": "T1"}
    assert parsed(version(), refund("T2", more=[release])).channel_fees == ()


def test_deferred_money_is_counted_once() -> None:
    release = {"relatedIdentifierName": "DEFERRED_TRANSACTION_ID", "relatedIdentifierValue": "T1"}
    records = [version(), refund(status="DEFERRED"), refund(status="DEFERRED_RELEASED"), refund("T2", more=[release])]
    order = parsed(*records)
    assert [found.refund_id for found in order.refunds] == ["T1"]
    assert order.payment_state is PaymentState.PARTIALLY_REFUNDED


def test_only_refunds_are_refunds_and_the_whole_amount_makes_an_order_refunded() -> None:
    shipment = {**refund("S1"), "transactionType": "Shipment"}
    assert parsed(version(), shipment).refunds == ()
    whole = [{"contexts": [], "breakdowns": [leaf("ProductCharges", -20.0)]}]
    order = parsed(version(status="SHIPPED"), refund(items=whole))
    assert (order.payment_state, order.refunds[0].lines, order.refunds[0].other_amount) == (
        PaymentState.REFUNDED, (), Decimal("20.0"),
    )  # fmt: skip
    assert parsed(version(status="CANCELLED"), refund(items=whole)).payment_state is PaymentState.VOIDED


def test_a_refund_without_number_is_known_by_its_other_id_or_its_instant() -> None:
    named = {"relatedIdentifierName": "REFUND_ID", "relatedIdentifierValue": "R7"}
    anonymous = refund("", items=[{"contexts": None, "breakdowns": None}])
    found = parsed(version(), refund("", more=[named]), anonymous).refunds
    assert {each.refund_id for each in found} == {"R7", "refund:2026-11-08T10:00:00Z"}
    fee_only = [{"contexts": [{"sku": "CUP-01", "quantityShipped": 6}], "breakdowns": [leaf("OurPriceTax", -1.0)]}]
    assert [line.quantity for line in parsed(version(), refund(items=fee_only)).refunds[0].lines] == [0]
    nothing = [{"contexts": [{"contextType": "AmazonPayContext"}, {"sku": "CUP-01"}], "breakdowns": []}]
    assert parsed(version(), refund(items=nothing)).refunds[0].lines == ()


def test_money_of_an_order_that_was_never_read_is_a_document_that_counts_as_no_order() -> None:
    order = parsed(refund())
    assert (order.kind, order.is_sale, order.total, order.channel_state) == (
        OrderKind.CREDIT_NOTE, False, Decimal(0), "UNSEEN",
    )  # fmt: skip
    assert (order.channel_order_id, order.placed_at, order.currency) == (ORDER_ID, at(8), "USD")
    assert (order.refunds[0].paid_amount, order.refunds[0].lines) == (Decimal("14.61"), ())
    assert parsed(refund(), version()).kind is OrderKind.STANDARD


# ------------------------------------------------------------------------------------------------------ flat files


def row(**cells: str) -> dict[str, str]:
    whole = {
        "purchase-date": "2026-10-01T10:00:00+00:00", "last-updated-date": "2026-10-03T10:00:00+00:00",
        "order-status": "Shipped", "fulfillment-channel": "Merchant", "sales-channel": "Amazon.com",
        "product-name": "Cup", "sku": "CUP-01", "item-status": "Shipped", "quantity": "2", "currency": "USD",
        "item-price": "20.00", "item-tax": "2.00", "shipping-price": "5.00", "shipping-tax": "0.50",
        "item-promotion-discount": "3.00",
    }  # fmt: skip
    return {**whole, **{name.replace("_", "-"): text for name, text in cells.items()}}


def reported(*found: dict[str, str]) -> Order:
    return parsed({"id": ORDER_ID, "rows": list(found)})


def test_rows_of_a_flat_file_make_an_order() -> None:
    order = reported(
        row(), row(gift_wrap_price="1.00", shipping_price="", shipping_tax="", ship_promotion_discount="0.50")
    )
    assert [
        (line.line_id, line.quantity, line.unit_price, line.net_amount, line.tax_amount) for line in order.lines
    ] == [
        ("report:CUP-01:1", 2, Decimal("10"), Decimal("17.00"), Decimal("2.00")),
        ("report:CUP-01:2", 2, Decimal("10"), Decimal("17.00"), Decimal("2.00")),
    ]
    assert [(charge.charge_id, charge.amount, charge.tax_amount) for charge in order.charges] == [
        ("shipping", Decimal("4.50"), Decimal("0.50")), ("gift_wrap", Decimal("1.00"), Decimal(0)),
    ]  # fmt: skip
    assert (order.total, order.is_sale, order.taxes_included, order.state) == (
        Decimal("44.00"), True, False, OrderState.CLOSED,
    )  # fmt: skip
    assert (order.placed_at, order.closed_at, order.shipments[0].lines[0].quantity) == (
        datetime(2026, 10, 1, 10, tzinfo=UTC), datetime(2026, 10, 3, 10, tzinfo=UTC), 2,
    )  # fmt: skip


def test_elsewhere_than_in_north_america_prices_of_flat_files_hold_the_tax() -> None:
    order = reported(row(sales_channel="Amazon.de", currency="EUR"))
    assert (order.total, order.taxes_included, order.lines[0].gross_amount, order.charges[0].amount) == (
        Decimal("22.00"), True, Decimal("18.00"), Decimal("4.50"),
    )  # fmt: skip


def test_pending_cancelled_and_foreign_rows_bring_no_sale() -> None:
    bare = dict.fromkeys(
        ("item_price", "item_tax", "shipping_price", "shipping_tax", "currency", "item_promotion_discount"), ""
    )
    pending = reported(row(order_status="Pending", item_status="Unshipped", **bare))
    assert (pending.total, pending.is_sale, pending.currency, pending.shipments) == (Decimal(0), False, "MXN", ())
    cancelled = reported(row(order_status="Cancelled", item_status="Cancelled"))
    assert (cancelled.state, cancelled.is_sale, cancelled.lines[0].cancelled_quantity) == (
        OrderState.CANCELLED,
        False,
        2,
    )
    assert reported(row(sales_channel="Non-Amazon MX")).is_sale is False
    amazons = reported(row(fulfillment_channel="Amazon", order_status="Shipped - Delivered to Buyer"))
    assert (amazons.kind, amazons.state, amazons.lines[0].needs_stock) == (
        OrderKind.MARKETPLACE_FULFILLED, OrderState.CLOSED, False,
    )  # fmt: skip
    odd = reported(row(order_status="Floating", sku=""))
    assert (odd.unknown_words, odd.lines[0].sku, odd.lines[0].listing_key) == (("Floating",), None, None)
    gone = reported(row(item_status="Cancelled"))
    assert (gone.state, gone.shipments) == (OrderState.CLOSED, ())


def test_the_apis_own_version_stands_before_any_flat_file() -> None:
    report = {"id": ORDER_ID, "rows": [row(last_updated_date="2027-01-01T00:00:00+00:00")]}
    assert parsed(version(), report).total == Decimal("20.00")
    older = {"id": ORDER_ID, "rows": [row(item_price="99.00", last_updated_date="2026-01-01T00:00:00+00:00")]}
    assert parsed(report, older).total == parsed(older, report).total == Decimal("24.50")
    with pytest.raises(BadPayload, match="no rows"):
        parsed({"id": ORDER_ID, "rows": []})


# ----------------------------------------------------------------------------------------------------------- pages


def test_pages_are_split_into_records_of_their_orders() -> None:
    fee = {
        "transactionType": "ServiceFee",
        "relatedIdentifiers": [{"relatedIdentifierName": "SETTLEMENT_ID", "relatedIdentifierValue": "1"}],
    }
    cases = {
        orders_body([version(), {"orderId": ""}, "rubbish", {"orderId": "X", "lastUpdatedTime": "soon"}]): [
            ORDER_ID, "position:1", "position:2", "X",
        ],
        transactions_body([refund(), fee, {"relatedIdentifiers": None}, "rubbish"]): [ORDER_ID],
        report_body([{"id": "A", "rows": []}, {"id": "B", "rows": []}]): ["A", "B"],
    }  # fmt: skip
    for body, ids in cases.items():
        assert [record.record_id for record in split_page("orders", body)] == ids
    assert [record.record_id for record in split_page("order_tombstones", tombstones_body(["Z"]))] == ["Z"]
    assert split_page("orders", orders_body([version()]))[0].updated_at == at(2)
    for body in (b"[]", b"{}"):
        with pytest.raises(BadPayload, match="neither orders nor"):
            split_page("orders", body)


def test_nothing_of_the_buyer_lands() -> None:
    row_with_message = item(
        product={"sellerSku": "CUP-01", "customization": {"customizedUrl": "https://x"}},
        fulfillment={
            "quantityFulfilled": 0,
            "quantityUnfulfilled": 2,
            "packing": {"giftOption": {"giftMessage": "Hi"}},
        },
    )
    order = version(
        row_with_message, "odd",  # type: ignore[arg-type]
        buyer={"buyerName": "Ana"}, recipient={"deliveryAddress": {"name": "Ana"}},
        payment={"paymentExecutions": []}, tax={"taxRegistrations": [{"legalName": "Ana"}]},
    )  # fmt: skip
    body = orders_body([order])
    assert b"Ana" not in body
    assert b"Hi" not in body
    assert b"customiz" not in body
    assert set(orjson.loads(body)["orders"][0]) == set(version())
    assert without_people({"orderItems": "odd"}) == {"orderItems": "odd"}


@pytest.mark.parametrize(
    "read",
    [
        lambda: decimal(True, "x"), lambda: decimal("Infinity", "x"), lambda: decimal("9" * 50, "x"),
        lambda: decimal("ten", "x"), lambda: decimal([], "x"), lambda: instant(None, "x"), lambda: instant("soon", "x"),
        lambda: units("1.5", "x"), lambda: units(-1, "x"), lambda: mapping([], "x"), lambda: rows({}, "x"), lambda: rows([1], "x"),
    ],
)  # fmt: skip
def test_fields_that_are_not_what_they_should_be_are_told_apart(read: Any) -> None:
    with pytest.raises(BadPayload):
        read()


def test_small_readings() -> None:
    assert (decimal(" 1.10 ", "x"), decimal(0.1, "x"), decimal(None, "x")) == (
        Decimal("1.10"),
        Decimal("0.1"),
        Decimal(0),
    )
    assert instant("2026-11-02T10:00:00", "x") == at(2)
    assert (words("a\0\ud800"), words(None)) == ("a??", "")
    assert CHANNEL.parse_order is parse_order
