"""Sales figures: each rule of the definitions, and totals against an independent computation."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from oms_hub import reports
from oms_hub.domain.orders import ChargeKind, OrderKind, OrderState, RefundLine
from oms_hub.reports.contract import check

D = Decimal
FIGURES = (
    "orders", "units", "gross_sales", "discounts", "returns", "net_sales", "shipping", "tax", "fees", "total_sales",
    "refunds_paid", "cancelled_orders",
)  # fmt: skip
SKU_FIGURES = ("units", "returned_units", "gross_sales", "discounts", "returns", "net_sales")


def sales_rows(store):
    frame = reports.frame(store, "sales_daily")
    assert check("sales_daily", frame) == ()
    return {
        (row.connection, row.business_date, row.currency): {name: getattr(row, name) for name in FIGURES}
        for row in frame.itertuples()
    }


def sku_rows(store):
    frame = reports.frame(store, "sales_by_sku_daily")
    assert check("sales_by_sku_daily", frame) == ()
    return {(row.connection, row.business_date, row.currency, row.sku): row for row in frame.itertuples()}


def assert_is_the_truth(book, store):
    expected = {key: {name: row[name] for name in FIGURES} for key, row in book.expected_sales().items()}
    assert sales_rows(store) == expected
    found = {key: {name: getattr(row, name) for name in SKU_FIGURES} for key, row in sku_rows(store).items()}
    assert found == {key: {name: row[name] for name in SKU_FIGURES} for key, row in book.expected_skus().items()}
    assert [tie.name for tie in reports.ties(store) if not tie.is_ok] == []


def test_a_sale_stands_on_its_day_and_its_refund_on_the_refunds_day(store, book, make):
    book.map_sku("A-1", "4.5")
    book.put(
        "shop",
        make.order(
            "1",
            "2026-03-10T10:00",
            make.line("l1", "A-1", 3, "10.00", discount="2.00", order_discount="1.00", tax="5.67"),
            make.line("l2", "B-2", 1, "5.50"),
            charges=(
                make.charge(ChargeKind.SHIPPING, "4.00", "0.84"),
                make.charge(ChargeKind.TIP, "1.00"),
                make.charge(ChargeKind.DUTY, "2.00"),
                make.charge(ChargeKind.ROUNDING, "-0.01"),
            ),
            refunds=(
                make.refund(
                    "r1", "2026-03-12T10:00", RefundLine("l1", 1, D("9.00"), D("1.89")),
                    shipping_amount="1.00", shipping_tax_amount="0.21", other_amount="0.50", paid_amount="10.00",
                ),
            ),
        ),
    )  # fmt: skip

    assert reports.refresh_touched(store) == dict.fromkeys(reports.REPORTS, 0) | {
        "sales_daily": 2, "sales_by_sku_daily": 4, "returns_daily": 1, "fulfilment_daily": 1, "reconciliation_daily": 1,
    }  # fmt: skip

    assert sales_rows(store) == {
        ("shop", date(2026, 3, 10), "EUR"): dict(
            orders=1, units=4, gross_sales=D("35.50"), discounts=D("3.00"), returns=D("0.00"), net_sales=D("32.50"),
            shipping=D("4.00"), tax=D("6.51"), fees=D("2.99"), total_sales=D("46.00"), refunds_paid=D("0.00"),
            cancelled_orders=0,
        ),
        ("shop", date(2026, 3, 12), "EUR"): dict(
            orders=0, units=0, gross_sales=D("0.00"), discounts=D("0.00"), returns=D("9.50"), net_sales=D("-9.50"),
            shipping=D("-1.00"), tax=D("-2.10"), fees=D("0.00"), total_sales=D("-12.60"), refunds_paid=D("10.00"),
            cancelled_orders=0,
        ),
    }  # fmt: skip
    found = sku_rows(store)
    sold, back = found["shop", date(2026, 3, 10), "EUR", "A-1"], found["shop", date(2026, 3, 12), "EUR", "A-1"]
    assert (sold.units, sold.net_sales, sold.cost, sold.margin) == (3, D("27.00"), D("13.50"), D("13.50"))
    assert (back.returned_units, back.net_sales, back.cost, back.margin) == (1, D("-9.00"), D("0.00"), D("-9.00"))
    other = found["shop", date(2026, 3, 12), "EUR", ""]
    assert (other.returns, other.returned_units, other.cost) == (D("0.50"), 0, None)
    assert found["shop", date(2026, 3, 10), "EUR", "B-2"].cost is None
    assert_is_the_truth(book, store)


def test_a_cancelled_order_counts_where_the_channel_counts_it_and_is_shown_apart_either_way(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00"), state=OrderState.CANCELLED))
    book.put(
        "till",
        make.order("2", "2026-03-10T10:00", make.line("l", "A", 1, "9.00"), state=OrderState.CANCELLED, is_sale=False),
    )
    reports.refresh_touched(store)
    rows = sales_rows(store)
    counted, not_counted = rows["shop", date(2026, 3, 10), "EUR"], rows["till", date(2026, 3, 10), "EUR"]
    assert (counted["orders"], counted["total_sales"], counted["cancelled_orders"]) == (1, D("7.00"), 1)
    assert (not_counted["orders"], not_counted["total_sales"], not_counted["cancelled_orders"]) == (0, D("0.00"), 1)
    assert_is_the_truth(book, store)


@pytest.mark.parametrize("mark", ["is_test", "is_draft", "vanished"])
def test_test_orders_drafts_and_vanished_orders_never_count_nor_do_their_refunds(store, book, make, mark):
    given = {} if mark == "vanished" else {mark: True}
    refunds = (make.refund("r", "2026-03-11T10:00", RefundLine("l", 1, D("7.00"))),)
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00"), refunds=refunds, **given))
    if mark == "vanished":
        book.vanish("shop", "1")
    reports.refresh_touched(store)
    assert sales_rows(store) == {}
    assert sku_rows(store) == {}
    assert len(reports.frame(store, "reconciliation_daily")) == 0


def test_an_order_that_is_no_sale_takes_its_refunds_with_it(store, book, make):
    refunds = (make.refund("r", "2026-03-11T10:00", RefundLine("l", 1, D("7.00"))),)
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00"), refunds=refunds))
    reports.refresh_touched(store)
    assert len(sales_rows(store)) == 2
    book.put(
        "shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00"), refunds=refunds, is_sale=False)
    )
    reports.refresh_touched(store)
    assert sales_rows(store) == {}


@pytest.mark.parametrize("is_sale", [True, False])
def test_a_credit_note_gives_refunds_only(store, book, make, is_sale):
    note = make.order(
        "C1", "2026-03-10T10:00", make.line("l", "A", 2, "3.00"), kind=OrderKind.CREDIT_NOTE, is_sale=is_sale,
        refunds=(make.refund("r", "2026-03-10T10:00", RefundLine("l", 2, D("6.00"), D("1.20"))),),
    )  # fmt: skip
    book.put("till", note)
    reports.refresh_touched(store)
    row = sales_rows(store)["till", date(2026, 3, 10), "EUR"]
    assert (row["orders"], row["units"], row["gross_sales"]) == (0, 0, D("0.00"))
    assert (row["returns"], row["total_sales"]) == (D("6.00"), D("-7.20"))
    assert sku_rows(store)["till", date(2026, 3, 10), "EUR", "A"].returned_units == 2
    assert_is_the_truth(book, store)


def test_currencies_are_rows_of_their_own_and_cost_is_known_only_in_the_merchants(store, book, make):
    book.map_sku("A", "1.00")
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    book.put("shop", make.order("2", "2026-03-10T11:00", make.line("l", "A", 1, "900"), currency="JPY"))
    reports.refresh_touched(store)
    rows = sales_rows(store)
    assert rows["shop", date(2026, 3, 10), "EUR"]["total_sales"] == D("7.00")
    assert str(rows["shop", date(2026, 3, 10), "JPY"]["total_sales"]) == "900"
    skus = sku_rows(store)
    assert skus["shop", date(2026, 3, 10), "EUR", "A"].cost == D("1.00")
    assert skus["shop", date(2026, 3, 10), "JPY", "A"].cost is None


def test_a_line_without_a_sku_and_a_refund_of_an_unknown_line_stand_under_no_sku(store, book, make):
    refunds = (make.refund("r", "2026-03-10T12:00", RefundLine("gone", 1, D("2.00"))),)
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", None, 1, "7.00"), refunds=refunds))
    reports.refresh_touched(store)
    row = sku_rows(store)["shop", date(2026, 3, 10), "EUR", ""]
    assert (row.units, row.returned_units, row.net_sales) == (1, 1, D("5.00"))
    assert_is_the_truth(book, store)


def test_mapping_a_line_later_moves_nothing_but_gives_its_cost(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 2, "7.00")))
    reports.refresh_touched(store)
    assert sku_rows(store)["shop", date(2026, 3, 10), "EUR", "A"].cost is None
    book.map_sku("A", "1.25")
    reports.refresh_touched(store)
    assert sku_rows(store)["shop", date(2026, 3, 10), "EUR", "A"].cost == D("2.50")


def test_a_pack_costs_as_many_units_as_it_holds_and_a_changed_pack_shows_at_once(store, book, make):
    book.map_sku("A", "1.25")
    with store.begin() as tx:
        tx.exec_driver_sql(
            "INSERT INTO hub.listings (connection_id, listing_key, merchant_id, sku_id, link_state, pack_size) "
            f"SELECT connection_id, 'six', merchant_id, {book.skus['A']}, 'manual', 6 FROM hub.connections"
        )
    lines = (make.line("l", "A", 2, "7.00", listing_key="six"), make.line("k", "A", 1, "1.50"))
    book.put("shop", make.order("1", "2026-03-10T10:00", *lines))
    reports.refresh_touched(store)
    row = sku_rows(store)["shop", date(2026, 3, 10), "EUR", "A"]
    assert (row.units, row.goods_units, row.cost, row.net_sales) == (3, 13, D("16.25"), D("15.50"))
    assert_is_the_truth(book, store)
    with store.begin() as tx:
        tx.exec_driver_sql("UPDATE hub.listings SET pack_size = 4")
    assert sku_rows(store)["shop", date(2026, 3, 10), "EUR", "A"].cost == D("11.25")


def test_a_changed_unit_cost_shows_at_once_without_a_refresh(store, book, make):
    book.map_sku("A", "1.25")
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 2, "7.00")))
    reports.refresh_touched(store)
    with store.begin() as tx:
        tx.exec_driver_sql("UPDATE hub.skus SET unit_cost = 3")
    assert sku_rows(store)["shop", date(2026, 3, 10), "EUR", "A"].margin == D("8.00")


@pytest.mark.parametrize(
    ("zone", "placed", "expected"),
    [
        ("Europe/Madrid", "2026-03-28T22:59:59", date(2026, 3, 28)),
        ("Europe/Madrid", "2026-03-28T23:00:00", date(2026, 3, 29)),
        ("Europe/Madrid", "2026-03-29T21:59:59", date(2026, 3, 29)),
        ("Europe/Madrid", "2026-03-29T22:00:00", date(2026, 3, 30)),
        ("Europe/Madrid", "2026-10-25T22:59:59", date(2026, 10, 25)),
        ("Europe/Madrid", "2026-10-25T23:00:00", date(2026, 10, 26)),
        ("America/St_Johns", "2010-11-07T02:30:30", date(2010, 11, 7)),
        ("America/St_Johns", "2010-11-07T02:31:30", date(2010, 11, 6)),
        ("America/Sao_Paulo", "2018-11-04T03:00:00", date(2018, 11, 4)),
        ("Pacific/Apia", "2011-12-30T10:00:00", date(2011, 12, 31)),
        ("America/Mexico_City", "2026-07-01T05:59:59", date(2026, 6, 30)),
    ],
)
def test_a_business_day_follows_the_merchants_clocks_through_every_change(store, make, zone, placed, expected):
    book = make.book(store, "zoned", zone)
    book.put("shop", make.order("1", placed, make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    assert list(sales_rows(store)) == [("shop", expected, "EUR")]
    reports.rebuild(store)
    assert list(sales_rows(store)) == [("shop", expected, "EUR")]


def test_an_order_that_moves_to_another_day_leaves_no_row_behind(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    book.put("shop", make.order("1", "2026-03-15T10:00", make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    assert list(sales_rows(store)) == [("shop", date(2026, 3, 15), "EUR")]


def test_reconciliation_shows_the_gap_its_orders_and_the_quarantine(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00"), total="7.05"))
    book.put("shop", make.order("2", "2026-03-10T10:00", make.line("l", "A", 1, "7.00"), total="6.95"))
    book.put("shop", make.order("3", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    book.put("shop", make.order("4", "2026-03-11T10:00"))
    book.quarantine("shop", "bad-1", "2026-03-10T10:00")
    reports.refresh_touched(store)
    frame = reports.frame(store, "reconciliation_daily")
    assert check("reconciliation_daily", frame) == ()
    names = ("business_date", "currency", "orders", "channel_total", "our_total", "difference", "gaps",
             "orders_with_gap", "quarantined", "cause")  # fmt: skip
    assert [tuple(row) for row in frame[list(names)].itertuples(index=False)] == [
        (date(2026, 3, 10), "", 0, D("0.00"), D("0.00"), D("0.00"), D("0.00"), 0, 1,
         "1 record(s) in quarantine: see oms-hub exceptions list"),
        (date(2026, 3, 10), "EUR", 3, D("21.00"), D("21.00"), D("0.00"), D("0.10"), 2, 0,
         "2 order(s) whose parts do not add up to the channel's total: 1, 2"),
        (date(2026, 3, 11), "EUR", 1, D("0.00"), D("0.00"), D("0.00"), D("0.00"), 0, 0, ""),
    ]  # fmt: skip
    assert_is_the_truth(book, store)


def test_more_than_five_orders_with_a_gap_are_named_by_the_first_five(store, book, make):
    for number in range(1, 8):
        book.put("shop", make.order(f"{number}", "2026-03-10T10:00", make.line("l", "A", 1, "7.00"), total="8.00"))
    reports.refresh_touched(store)
    frame = reports.frame(store, "reconciliation_daily")
    assert frame["cause"][0] == ("7 order(s) whose parts do not add up to the channel's total: 1, 2, 3, 4, 5, ...")


def test_quarantine_news_reach_the_report_though_nobody_touched_a_day(store, book):
    book.quarantine("shop", "bad-1", "2026-03-10T10:00")
    assert reports.refresh_touched(store)["reconciliation_daily"] == 1
    assert reports.refresh_touched(store)["reconciliation_daily"] == 0
    book.quarantine("shop", "bad-1", "2026-03-10T10:00", state="resolved")
    reports.refresh_touched(store)
    assert len(reports.frame(store, "reconciliation_daily")) == 0
