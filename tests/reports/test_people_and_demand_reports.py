"""Classes of goods, buyers under pseudonyms, demand by the hour."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from oms_hub import reports
from oms_hub.domain.orders import Customer, OrderKind, OrderState, RefundLine
from oms_hub.reports.contract import check
from oms_hub.store.frames import plain_rows

D = Decimal
TODAY = date(2026, 4, 1)


def rows(store, name, *columns, as_of=None):
    frame = reports.frame(store, name, as_of=as_of)
    assert check(name, frame) == ()
    return list(plain_rows(frame[list(columns)]))


CLASSES = ("sku", "rank", "class", "units", "net_sales", "share", "cumulative_share", "rows_without_rate")


def test_classes_are_cut_at_80_and_95_percent_of_the_sales(store, book, make):
    lines = [make.line(sku, sku, 1, price) for sku, price in
             (("A", "60"), ("B", "20"), ("C", "15"), ("D", "3"), ("E", "2"), ("F", "0"))]  # fmt: skip
    refunds = (make.refund("r", "2026-03-20T10:00", RefundLine("G", 1, D(5))),)
    book.put("shop", make.order("1", "2026-03-10T10:00", *lines, make.line("none", None, 1, "50")))
    book.put("till", make.order("2", "2026-03-11T10:00", make.line("G", "G", 1, "4"), refunds=refunds))
    book.put("till", make.order("3", "2026-04-01T10:00", make.line("l", "F", 1, "999")))
    book.put("till", make.order("4", "2025-03-31T10:00", make.line("l", "F", 1, "999")))
    reports.refresh_touched(store)
    found = {row[0]: row[1:] for row in rows(store, "abc", *CLASSES, as_of=TODAY)}
    assert {sku: row[:2] for sku, row in found.items()} == {
        "A": (1, "A"), "B": (2, "A"), "C": (3, "B"), "D": (4, "C"), "E": (5, "C"), "F": (6, "C"), "G": (7, "C"),
    }  # fmt: skip
    assert found["C"][2:] == (1, D("15.00"), D("0.15"), D("0.95"), 0)
    assert found["G"][2:] == (1, D("-1.00"), D(0), D(1), 0)


def test_classes_add_currencies_by_the_days_rate_and_show_what_has_none(store, book, make):
    for number, currency, price in ((10, "EUR", "10"), (11, "USD", "10"), (25, "USD", "10")):
        when = f"2026-03-{number}T10:00"
        book.put("shop", make.order(str(number), when, make.line("l", "A", 1, price), currency=currency))
    book.put("shop", make.order("x", "2026-03-25T10:00", make.line("l", "B", 1, "7"), currency="USD"))
    book.run("INSERT INTO hub.exchange_rates VALUES ('EUR', 'USD', '2026-03-10', 0.5)")
    reports.refresh_touched(store)
    assert rows(store, "abc", "sku", "units", "net_sales", "class", "rows_without_rate", as_of=TODAY) == [
        ("A", 2, D("15.00"), "A", 1), ("B", 0, D("0.00"), "C", 1),
    ]  # fmt: skip


BUYERS = ("recency_days", "orders", "spent", "orders_without_rate", "recency_score", "frequency_score", "money_score",
          "segment")  # fmt: skip


def buy(book, make, buyer, when, price, order_id, **more):
    who = Customer(buyer) if buyer else None
    book.put("shop", make.order(order_id, when, make.line("l", "A", 1, price), customer=who, **more))


def test_buyers_are_scored_in_fifths_under_a_pseudonym(store, book, make):
    number = 0
    for buyer, orders, last in (("ann", 5, 31), ("ben", 4, 2), ("cat", 1, 30), ("dan", 2, 3), ("eve", 1, 1)):
        for back in range(orders):
            number += 1
            day = last if back == 0 else 1
            buy(book, make, buyer, f"2026-03-{day:02}T10:{back:02}", f"{10 * orders}", str(number))
    buy(book, make, None, "2026-03-05T10:00", "10", "nobody")
    buy(book, make, "late", "2026-04-01T10:00", "10", "today")
    buy(book, make, "test", "2026-03-05T10:00", "10", "test", is_test=True)
    found = rows(store, "customers_rfm", *BUYERS, as_of=TODAY)
    assert sorted(found, key=lambda row: (-row[2], row[0])) == [
        (1, 5, D("250.00"), 0, 5, 5, 5, "champion"), (30, 4, D("160.00"), 0, 2, 4, 4, "loyal"),
        (29, 2, D("40.00"), 0, 3, 3, 3, "regular"), (2, 1, D("10.00"), 0, 4, 1, 1, "new"),
        (31, 1, D("10.00"), 0, 1, 1, 1, "lost"),
    ]  # fmt: skip
    names = reports.frame(store, "customers_rfm", as_of=TODAY)["customer"]
    assert names.is_unique
    assert not set("".join(names)) - set("0123456789abcdef")
    assert next(iter(reports.frame(store, "customers_rfm", as_of=date(2026, 5, 1))["customer"])) in set(names) | {
        *reports.frame(store, "customers_rfm", as_of=date(2026, 5, 1))["customer"]
    }


def test_a_pseudonym_stays_the_same_and_differs_between_merchants_and_connections(store, book, make):
    other = make.book(store, "other", "Europe/Madrid", ("other-shop",))
    buy(book, make, "ann", "2026-03-05T10:00", "10", "1")
    book.put("till", make.order("1", "2026-03-05T10:00", make.line("l", "A", 1, "1"), customer=Customer("ann")))
    other.put("other-shop", make.order("1", "2026-03-05T10:00", make.line("l", "A", 1, "1"), customer=Customer("ann")))
    names = [row[0] for row in rows(store, "customers_rfm", "customer", as_of=TODAY)]
    assert len(set(names)) == 3
    assert [row[0] for row in rows(store, "customers_rfm", "customer", as_of=date(2026, 6, 1))] == names


def test_money_spent_is_less_what_went_back_and_by_the_rate_of_the_orders_day(store, book, make):
    refunds = (make.refund("r", "2026-03-20T10:00", RefundLine("l", 1, D(3))),)
    buy(book, make, "ann", "2026-03-05T10:00", "10", "1", refunds=refunds)
    buy(book, make, "ann", "2026-03-06T10:00", "10", "2", currency="USD")
    buy(book, make, "ann", "2026-03-26T10:00", "10", "3", currency="USD")
    book.run("INSERT INTO hub.exchange_rates VALUES ('EUR', 'USD', '2026-03-05', 0.5)")
    assert rows(store, "customers_rfm", "orders", "spent", "orders_without_rate", as_of=TODAY) == [(3, D("12.00"), 1)]


def test_demand_counts_what_was_asked_for_by_the_hour_sold_or_not(store, book, make):
    book.map_sku("A")
    book.put("shop", make.order("1", "2026-03-10T10:59:59", make.line("l", "A", 2, "1"), make.line("k", None, 1, "1")))
    book.put("shop", make.order("2", "2026-03-10T10:00", make.line("l", "A", 3, "1", cancelled_quantity=1)))
    book.put("shop", make.order("3", "2026-03-10T23:10", make.line("l", "A", 4, "1"), state=OrderState.CANCELLED,
                                is_sale=False))  # fmt: skip
    book.put("shop", make.order("4", "2026-03-10T10:00", make.line("l", "A", 9, "1"), is_sale=False))
    book.put("shop", make.order("5", "2026-03-10T10:00", make.line("l", "A", 9, "1"), kind=OrderKind.CREDIT_NOTE))
    book.put("shop", make.order("6", "2026-03-10T10:00", make.line("l", "Z", 9, "1"), is_test=True))
    hour = datetime.fromisoformat("2026-03-10T10:00:00+00:00")
    assert rows(store, "demand_hourly", "hour_at", "sku", "business_date", "orders", "units", "units_not_sold") == [
        (hour, "", date(2026, 3, 10), 1, 1, 0), (hour, "A", date(2026, 3, 10), 2, 5, 1),
        (hour.replace(hour=23), "A", date(2026, 3, 11), 1, 4, 4),
    ]  # fmt: skip
    reports.refresh_touched(store)
    sold = sum(row[0] - row[1] for row in rows(store, "demand_hourly", "units", "units_not_sold"))
    assert sold == sum(row[0] for row in rows(store, "sales_daily", "units")) - 1
    assert len(reports.frame(store, "demand_hourly", day_from=date(2026, 3, 11))) == 1


@pytest.mark.parametrize("zone", ["Europe/Madrid", "America/St_Johns"])
def test_hours_are_those_of_utc_on_the_days_of_the_merchant(store, make, zone):
    book = make.book(store, "zoned", zone)
    book.put("shop", make.order("1", "2026-03-29T01:30:00", make.line("l", "A", 1, "1")))
    book.put("shop", make.order("2", "2026-03-29T02:30:00", make.line("l", "A", 1, "1")))
    found = rows(store, "demand_hourly", "hour_at", "business_date")
    assert [hour.isoformat()[11:16] for hour, _ in found] == ["01:00", "02:00"]
    assert [on.day for _, on in found] == ([29, 29] if zone == "Europe/Madrid" else [28, 29])
