"""Returns, payments, fulfilment, rates, profit: each rule of their definitions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest

from oms_hub import reports
from oms_hub.domain.orders import (
    ChannelFee,
    ChargeKind,
    OrderKind,
    OrderState,
    Payment,
    PaymentKind,
    RefundLine,
    Return,
    Shipment,
    ShipmentLine,
)
from oms_hub.reports.contract import check
from oms_hub.store.frames import plain_rows

D = Decimal
TENTH = date(2026, 3, 10)


def rows(store, name, *columns, **more):
    frame = reports.frame(store, name, **more)
    assert check(name, frame) == ()
    return list(plain_rows(frame[list(columns)]))


def assert_ties(store):
    assert [tie for tie in reports.ties(store) if not tie.is_ok] == []


# ------------------------------------------------------------------------------------------------------- returns

RETURNS = ("business_date", "reason", "refunds", "orders", "appeasements", "returned_units", "restocked_units", "returns",
           "shipping", "tax", "total", "refunds_paid")  # fmt: skip


def test_refunds_stand_on_their_day_by_reason_and_appeasements_apart(store, book, make):
    lines = (make.line("l", "A", 3, "10.00"), make.line("k", "B", 1, "5.00"))
    back = (
        make.refund("r1", "2026-03-12T10:00", RefundLine("l", 2, D(20), D(4), is_restocked=True),
                    RefundLine("k", 1, D(5), D(1)), shipping_amount="3", shipping_tax_amount="0.60", reason="too big"),
        make.refund("r2", "2026-03-12T11:00", other_amount="1.50", paid_amount="0", reason="too big"),
        make.refund("r3", "2026-03-12T12:00", RefundLine("l", 1, D(10)), reason="broken"),
    )  # fmt: skip
    book.put("shop", make.order("1", "2026-03-10T10:00", *lines, refunds=back))
    book.put("shop", make.order("2", "2026-03-10T10:00", *lines, refunds=(replace(back[2], refund_id="r"),)))
    assert reports.refresh_touched(store)["returns_daily"] == 2
    twelfth = date(2026, 3, 12)
    assert rows(store, "returns_daily", *RETURNS) == [
        (twelfth, "broken", 2, 2, 0, 2, 0, D("20.00"), D("0.00"), D("0.00"), D("20.00"), D("20.00")),
        (twelfth, "too big", 2, 1, 1, 3, 2, D("26.50"), D("3.00"), D("5.60"), D("35.10"), D("33.60")),
    ]
    assert_ties(store)


# ------------------------------------------------------------------------------------------------------ payments

PAID = ("business_date", "currency", "gateway", "payments", "refunds", "failed", "received", "refunded", "net",
        "authorised", "voided")  # fmt: skip


def paid(make, payment_id, kind, amount, when, **more):
    return Payment(payment_id, kind, D(amount), more.pop("currency", "EUR"), make.at(when), **more)


def test_payments_stand_on_the_day_they_were_processed_by_gateway_and_currency(store, book, make):
    payments = (
        paid(make, "1", PaymentKind.AUTHORISATION, "9.00", "2026-03-10T10:00", gateway="card"),
        paid(make, "2", PaymentKind.CAPTURE, "7.00", "2026-03-11T22:59", gateway="card"),
        paid(make, "3", PaymentKind.VOID, "2.00", "2026-03-11T10:00", gateway="card"),
        paid(make, "4", PaymentKind.SALE, "5.00", "2026-03-11T23:00", gateway="gift_card"),
        paid(make, "5", PaymentKind.SALE, "6.00", "2026-03-11T10:00", gateway="card", is_successful=False),
        paid(make, "6", PaymentKind.REFUND, "1.50", "2026-03-11T10:00", gateway="card"),
        paid(make, "7", PaymentKind.SALE, "900", "2026-03-11T10:00", currency="JPY"),
    )
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "12.00"), payments=payments))
    assert reports.refresh_touched(store)["payments_daily"] == 4
    zero = D("0.00")
    assert rows(store, "payments_daily", *PAID) == [
        (TENTH, "EUR", "card", 0, 0, 0, zero, zero, zero, D("9.00"), zero),
        (date(2026, 3, 11), "EUR", "card", 1, 1, 1, D("7.00"), D("1.50"), D("5.50"), zero, D("2.00")),
        (date(2026, 3, 11), "JPY", "", 1, 0, 0, D(900), D(0), D(900), D(0), D(0)),
        (date(2026, 3, 12), "EUR", "gift_card", 1, 0, 0, D("5.00"), zero, D("5.00"), zero, zero),
    ]  # fmt: skip
    assert_ties(store)


@pytest.mark.parametrize("mark", ["is_test", "is_draft"])
def test_payments_of_orders_that_never_count_are_left_out(store, book, make, mark):
    payments = (paid(make, "1", PaymentKind.SALE, "9.00", "2026-03-10T10:00"),)
    book.put(
        "shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "9.00"), payments=payments, **{mark: True})
    )
    reports.refresh_touched(store)
    assert rows(store, "payments_daily", "net") == []


def test_a_payment_that_moves_to_another_day_leaves_no_row_behind(store, book, make):
    for when in ("2026-03-10T10:00", "2026-03-15T10:00"):
        payments = (paid(make, "1", PaymentKind.SALE, "9.00", when),)
        book.put("shop", make.order("1", "2026-03-01T10:00", make.line("l", "A", 1, "9.00"), payments=payments))
        reports.refresh_touched(store)
    assert rows(store, "payments_daily", "business_date", "net") == [(date(2026, 3, 15), D("9.00"))]


# ---------------------------------------------------------------------------------------------------- fulfilment


def sent(make, shipment_id, when, *lines, delivered=None):
    parts = tuple(ShipmentLine(line_id, quantity) for line_id, quantity in lines)
    return Shipment(shipment_id, make.at(when), parts, delivered_at=delivered and make.at(delivered))


FULFILMENT = ("orders", "cancelled_orders", "orders_to_ship", "shipped_orders", "open_orders", "lines_to_ship",
              "lines_shipped", "units_to_ship", "units_shipped", "fill_rate", "hours_to_ship", "delivered_orders",
              "hours_to_deliver", "promised_orders", "on_time_orders", "on_time_rate", "perfect_orders",
              "perfect_order_rate")  # fmt: skip


def test_orders_ripen_on_the_day_they_were_placed(store, book, make):
    lines = (make.line("l", "A", 3, "10.00"), make.line("k", "B", 2, "5.00", cancelled_quantity=1),
             make.line("gift", "G", 1, "5.00", needs_stock=False))  # fmt: skip
    promised = {"ship_by_at": make.at("2026-03-12T10:00"), "deliver_by_at": make.at("2026-03-14T10:00")}
    smooth = (sent(make, "s1", "2026-03-11T10:00", ("l", 3), delivered="2026-03-13T10:00"),
              sent(make, "s2", "2026-03-12T10:00", ("k", 1), delivered="2026-03-14T10:00"))  # fmt: skip
    book.put("shop", make.order("smooth", "2026-03-10T10:00", *lines, shipments=smooth, **promised))
    late = (sent(make, "s1", "2026-03-12T11:00", ("l", 3), ("k", 5)),)
    book.put("shop", make.order("late", "2026-03-10T10:00", *lines, shipments=late, **promised))
    half = (sent(make, "s1", "2026-03-11T10:00", ("l", 2)),)
    book.put("shop", make.order("half", "2026-03-10T10:00", *lines, shipments=half))
    book.put("shop", make.order("void", "2026-03-10T10:00", *lines, state=OrderState.CANCELLED, shipments=half))
    book.put("shop", make.order("service", "2026-03-10T10:00", lines[2]))
    reports.refresh_touched(store)
    assert rows(store, "fulfilment_daily", *FULFILMENT) == [
        (5, 1, 3, 2, 1, 6, 4, 12, 10, D("0.666667"), D("48.5"), 1, D("96"), 2, 1, D("0.5"), 1, D("0.5")),
    ]  # fmt: skip
    assert_ties(store)


@pytest.mark.parametrize(
    ("change", "perfect"),
    [
        ({}, 1),
        ({"refunds": "r"}, 0),
        ({"deliver_by_at": "2026-03-12T09:59"}, 0),
        ({"deliver_by_at": "2026-03-12T10:00"}, 1),
        ({"ship_by_at": "2026-03-11T09:59"}, 0),
    ],
)
def test_an_order_is_perfect_when_it_left_whole_in_time_and_stayed(store, book, make, change, perfect):
    given = {name: make.at(value) for name, value in change.items() if name != "refunds"}
    if "refunds" in change:
        given["refunds"] = (make.refund("r", "2026-03-20T10:00", other_amount="1"),)
    parcel = (sent(make, "s", "2026-03-11T10:00", ("l", 1), delivered="2026-03-12T10:00"),)
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "10.00"), shipments=parcel, **given))
    reports.refresh_touched(store)
    assert rows(store, "fulfilment_daily", "shipped_orders", "perfect_orders")[0] == (1, perfect)


def test_a_returned_order_is_not_perfect(store, book, make):
    parcel = (sent(make, "s", "2026-03-11T10:00", ("l", 1)),)
    order = make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "10.00"), shipments=parcel,
                       returns=(Return("x", "open", make.at("2026-03-12T10:00")),))  # fmt: skip
    book.put("shop", order)
    book.run("INSERT INTO hub.returns (connection_id, channel_order_id, merchant_id, return_id, status, opened_at) "
             "VALUES (:c, '1', :m, 'x', 'open', now())", c=book.connections["shop"])  # fmt: skip
    reports.refresh_touched(store)
    assert rows(store, "fulfilment_daily", "perfect_orders") == [(0,)]


def test_a_day_of_cancelled_orders_alone_has_no_rates(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "1"), state=OrderState.CANCELLED,
                                is_sale=False))  # fmt: skip
    reports.refresh_touched(store)
    assert rows(
        store, "fulfilment_daily", "orders", "cancelled_orders", "orders_to_ship", "fill_rate", "on_time_rate"
    ) == [(0, 1, 0, None, None)]


# --------------------------------------------------------------------------------------------- rates and profit

BASE = (
    "business_date",
    "currency",
    "base_currency",
    "rate",
    "rate_date",
    "is_rate_missing",
    "net_sales",
    "total_sales",
)


def rate(book, day, value, currency="USD", base="EUR"):
    book.run("INSERT INTO hub.exchange_rates (base_currency, currency, rate_date, rate) VALUES (:b, :c, :d, :r)",
             b=base, c=currency, d=date.fromisoformat(day), r=D(value))  # fmt: skip


@pytest.fixture
def dollars(book, make):
    for number in (10, 16, 17):
        book.put("shop", make.order(f"u{number}", f"2026-03-{number}T10:00", make.line("l", "A", 1, "10.00", tax="1.00"),
                                    currency="USD"))  # fmt: skip
    book.put("shop", make.order("e10", "2026-03-10T10:00", make.line("l", "A", 1, "4.00")))
    reports.refresh_touched(book.store)
    return book


def test_the_rate_of_a_day_holds_for_a_week_and_a_missing_one_is_shown(store, dollars):
    rate(dollars, "2026-03-10", "0.90")
    rate(dollars, "2026-03-11", "0.50", currency="GBP")
    rate(dollars, "2026-03-11", "0.50", base="GBP")
    assert rows(store, "sales_base_daily", *BASE) == [
        (TENTH, "EUR", "EUR", D("1.00"), TENTH, False, D("4.00"), D("4.00")),
        (TENTH, "USD", "EUR", D("0.90"), TENTH, False, D("9.00"), D("9.90")),
        (date(2026, 3, 16), "USD", "EUR", D("0.90"), TENTH, False, D("9.00"), D("9.90")),
        (date(2026, 3, 17), "USD", "EUR", None, None, True, None, None),
    ]
    rate(dollars, "2026-03-17", "0.8")
    assert rows(store, "sales_base_daily", "rate", "total_sales")[3] == (D("0.80"), D("8.80"))


PROFIT = ("business_date", "currency", "net_sales", "shipping_charged", "cost", "units_without_cost", "channel_fees",
          "shipping_cost", "margin", "margin_rate")  # fmt: skip


@pytest.fixture
def costed(book, make):
    book.map_sku("A", "4.00")
    back = (make.refund("r", "2026-03-12T10:00", RefundLine("l", 1, D(10), is_restocked=True)),)
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 3, "10.00", discount="2.00"),
                                charges=(make.charge(ChargeKind.SHIPPING, "5.00"),), refunds=back))  # fmt: skip
    book.put(
        "shop", make.order("2", "2026-03-11T10:00", make.line("l", "A", 1, "20.00"), make.line("k", "Z", 2, "1.00"))
    )
    book.put("shop", make.order("3", "2026-03-10T10:00", make.line("l", "A", 1, "20.00"), currency="USD"))
    reports.refresh_touched(book.store)
    return book


def test_profit_takes_off_what_the_goods_cost_and_gives_back_what_was_restocked(store, costed):
    rate(costed, "2026-03-10", "0.50")
    twelfth = date(2026, 3, 12)
    assert rows(store, "channel_profit_daily", *PROFIT) == [
        (TENTH, "EUR", D("28.00"), D("5.00"), D("12.00"), 0, None, None, D("21.00"), D("0.75")),
        (TENTH, "USD", D("10.00"), D("0.00"), D("4.00"), 0, None, None, D("6.00"), D("0.60")),
        (date(2026, 3, 11), "EUR", D("22.00"), D("0.00"), D("4.00"), 2, None, None, None, None),
        (twelfth, "EUR", D("-10.00"), D("0.00"), D("-4.00"), 0, None, None, D("-6.00"), D("0.60")),
    ]


def test_profit_takes_off_the_channels_costs_from_the_day_they_hold(store, costed):
    costed.run(
        "INSERT INTO hub.channel_costs (connection_id, currency, valid_from, merchant_id, fee_percent, fee_per_order, "
        "shipping_per_order) VALUES (:c, 'EUR', '2026-03-01', :m, 10, 0.30, 4), (:c, 'EUR', '2026-03-12', :m, 0, 0, 0), "
        "(:c, 'USD', '2026-03-11', :m, 50, 0, 0)", c=costed.connections["shop"],
    )  # fmt: skip
    found = {(row[0], row[1]): row[6:] for row in rows(store, "channel_profit_daily", *PROFIT)}
    assert found[TENTH, "EUR"] == (D("3.60"), D("4.00"), D("13.40"), (D("13.40") / 28).quantize(D("0.000001")))
    assert found[date(2026, 3, 11), "EUR"] == (D("2.50"), D("4.00"), None, None)
    assert found[date(2026, 3, 12), "EUR"] == (D("0.00"), D("0.00"), D("-6.00"), D("0.60"))
    assert found[TENTH, "USD"] == (None, None, None, None)


def test_profit_takes_off_the_fees_that_came_with_orders_on_their_day(store, costed, make):
    rate(costed, "2026-03-10", "0.50")
    costed.run(
        "INSERT INTO hub.channel_costs (connection_id, currency, valid_from, merchant_id, fee_percent, fee_per_order, "
        "shipping_per_order) VALUES (:c, 'EUR', '2026-03-01', :m, 10, 0.30, 4), (:t, 'EUR', '2026-03-01', :m, 10, 0, 0)",
        c=costed.connections["shop"], t=costed.connections["till"],
    )  # fmt: skip

    def fee(name, amount, when, currency="EUR"):
        return ChannelFee(name, "Commission", D(amount), currency, datetime.fromisoformat(when + "+00:00"))

    fees = (fee("a", "3.00", "2026-03-10T22:59"), fee("b", "-1.00", "2026-03-10T23:00"),
            fee("c", "2.00", "2026-03-10T10:00", "USD"), fee("d", "0.40", "2026-03-14T10:00"))  # fmt: skip
    costed.put("shop", make.order("4", "2026-03-10T10:00", make.line("l", "A", 1, "10.00"), channel_fees=fees))
    costed.put("shop", make.order("5", "2026-03-10T10:00", channel_fees=fees, is_test=True))
    costed.put("till", make.order("6", "2026-03-10T10:00", make.line("l", "A", 1, "10.00")))
    reports.refresh_touched(store)
    found = {(row[0], row[1], row[2]): row[3:] for row in rows(
        store, "channel_profit_daily", "connection", "business_date", "currency", "orders", "channel_fees",
        "shipping_cost", "margin")}  # fmt: skip
    assert found == {
        ("shop", TENTH, "EUR"): (2, D("3.00"), D("8.00"), D("16.00")),
        ("shop", TENTH, "USD"): (1, D("1.00"), None, D("5.00")),
        ("shop", date(2026, 3, 11), "EUR"): (1, D("-1.00"), D("4.00"), None),
        ("shop", date(2026, 3, 12), "EUR"): (0, D("0.00"), D("0.00"), D("-6.00")),
        ("shop", date(2026, 3, 14), "EUR"): (0, D("0.40"), D("0.00"), D("-0.40")),
        ("till", TENTH, "EUR"): (1, D("1.00"), D("0.00"), D("5.00")),
    }


def test_profit_goes_by_the_cost_of_the_day_of_the_sale(store, costed):
    costed.move("A", "count", 10, "2026-03-01T09:00")
    costed.receive("A", 10, "6.00", "2026-03-11T09:00")
    reports.refresh_touched(store)
    found = {row[0]: row[1] for row in rows(store, "channel_profit_daily", "business_date", "cost")}
    assert found == {TENTH: D("4.00"), date(2026, 3, 11): D("5.00"), date(2026, 3, 12): D("-5.00")}
    skus = rows(store, "sales_by_sku_daily", "business_date", "sku", "currency", "cost")
    assert [row[3] for row in skus] == [D("12.00"), None, D("5.00"), None, D("0.00")]


def test_costs_of_days_add_up_to_the_costs_of_their_skus(store, costed):
    skus = reports.frame(store, "sales_by_sku_daily")
    euros = skus[(skus["currency"] == "EUR") & skus["cost"].notna()]
    sums = euros.groupby("business_date")["cost"].sum().to_dict()
    restocked = (euros["restocked_units"] * 4).groupby(euros["business_date"]).sum().to_dict()
    found = {row[0]: row[1] for row in rows(store, "channel_profit_daily", "business_date", "cost", "currency")
             if row[2] == "EUR"}  # fmt: skip
    assert found == {on: sums[on] - restocked[on] for on in sums}


# --------------------------------------------------------------------- what counts, whatever the money looks like


@pytest.mark.parametrize("taxes_included", [True, False])
def test_figures_are_without_tax_whether_prices_include_it_or_not(store, book, make, taxes_included):
    order = make.order(
        "1", "2026-03-10T10:00", make.line("l", "A", 2, "10.00", tax="4.20"), taxes_included=taxes_included
    )
    book.put("shop", order)
    reports.refresh_touched(store)
    assert rows(store, "sales_daily", "gross_sales", "tax", "total_sales") == [(D("20.00"), D("4.20"), D("24.20"))]


def test_tips_and_cash_rounding_are_fees_and_never_sales_of_goods(store, book, make):
    charges = (make.charge(ChargeKind.TIP, "2.00"), make.charge(ChargeKind.ROUNDING, "-0.02"))
    book.put(
        "till",
        make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "10.02"), kind=OrderKind.POS, charges=charges),
    )
    reports.refresh_touched(store)
    assert rows(store, "sales_daily", "net_sales", "fees", "total_sales") == [(D("10.02"), D("1.98"), D("12.00"))]


def test_a_gift_card_that_pays_changes_no_sales_and_is_money_of_its_own_gateway(store, book, make):
    payments = (paid(make, "1", PaymentKind.SALE, "6.00", "2026-03-10T10:00", gateway="gift_card"),
                paid(make, "2", PaymentKind.SALE, "4.00", "2026-03-10T10:00", gateway="card"))  # fmt: skip
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "10.00"), payments=payments))
    reports.refresh_touched(store)
    assert rows(store, "sales_daily", "net_sales", "discounts") == [(D("10.00"), D("0.00"))]
    assert rows(store, "payments_daily", "gateway", "net") == [("card", D("4.00")), ("gift_card", D("6.00"))]
