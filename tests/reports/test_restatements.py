"""Closed days that change: counted on their day all the same, and marked with when and why."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from oms_hub import reports
from oms_hub.domain.orders import OrderState, RefundLine
from oms_hub.reports.contract import check
from oms_hub.store.frames import plain_rows

D = Decimal
TENTH = date(2026, 3, 10)


def rows(store, name, *columns):
    frame = reports.frame(store, name)
    assert check(name, frame) == ()
    return list(plain_rows(frame[list(columns)]))


def marks(store):
    return {row[0]: (row[1] is not None, row[2]) for row in
            rows(store, "sales_daily", "business_date", "restated_at", "restated_because")}  # fmt: skip


@pytest.fixture
def shown(book, make):
    """Give a book whose days from the first to the twentieth of March were shown long after they were closed."""
    for number in (1, 10, 20):
        book.put("shop", make.order(str(number), f"2026-03-{number:02}T10:00", make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(book.store)
    return book


LOG = ("business_date", "cause", "orders_before", "orders_after", "net_sales_before", "net_sales_after",
       "total_sales_before", "total_sales_after")  # fmt: skip


def test_history_that_is_pulled_for_the_first_time_restates_nothing(store, shown):
    assert rows(store, "restatements", *LOG) == []
    assert set(marks(store).values()) == {(False, "")}


def test_a_late_sale_reopens_its_day_and_says_so(store, shown, make):
    shown.put("shop", make.order("late", "2026-03-10T12:00", make.line("l", "A", 1, "5.00", tax="1.00")))
    shown.put("shop", make.order("between", "2026-03-12T12:00", make.line("l", "A", 1, "2.00")))
    shown.put("shop", make.order("newer", "2026-03-25T12:00", make.line("l", "A", 1, "3.00")))
    shown.put("shop", make.order("older", "2026-02-01T12:00", make.line("l", "A", 1, "3.00")))
    reports.refresh_touched(store)
    assert rows(store, "restatements", *LOG) == [
        (TENTH, "1 late order(s)", 1, 2, D("7.00"), D("12.00"), D("7.00"), D("13.00")),
        (date(2026, 3, 12), "1 late order(s)", 0, 1, D("0.00"), D("2.00"), D("0.00"), D("2.00")),
    ]
    assert marks(store) == {
        date(2026, 2, 1): (False, ""), date(2026, 3, 1): (False, ""), TENTH: (True, "1 late order(s)"),
        date(2026, 3, 12): (True, "1 late order(s)"), date(2026, 3, 20): (False, ""),
        date(2026, 3, 25): (False, ""),
    }  # fmt: skip
    before = reports.frame(store, "sales_daily")
    reports.rebuild(store)
    assert reports.frame(store, "sales_daily").equals(before)
    assert len(rows(store, "restatements", *LOG)) == 2


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"price": "8.00"}, "amounts of orders changed"),
        ({"is_sale": False}, "1 order(s) count no longer"),
        ({"state": OrderState.CANCELLED}, "cancelled orders 1 instead of 0"),
        ({"refund": True}, "returns 2 instead of 0"),
        ({"is_sale": False, "state": OrderState.CANCELLED},
         "1 order(s) count no longer; cancelled orders 1 instead of 0"),
    ],
)  # fmt: skip
def test_every_kind_of_change_has_its_words(store, shown, make, change, cause):
    given = {name: value for name, value in change.items() if name not in ("price", "refund")}
    if "refund" in change:
        given["refunds"] = (make.refund("r", "2026-03-10T20:00", RefundLine("l", 1, D(2))),)
    shown.put(
        "shop", make.order("10", "2026-03-10T10:00", make.line("l", "A", 1, change.get("price", "7.00")), **given)
    )
    reports.refresh_touched(store)
    assert [row[1] for row in rows(store, "restatements", *LOG)] == [cause]


def test_a_day_is_open_for_72_hours_after_its_end(store, make):
    zone = ZoneInfo("Europe/Madrid")
    book = make.book(store, "fresh", "Europe/Madrid", ("fresh",))
    today = datetime.now(UTC).astimezone(zone).date()
    for ago in (2, 3, 4, 9):
        when = datetime.combine(today - timedelta(days=ago), datetime.min.time(), zone).replace(hour=12)
        book.put("fresh", make.order(f"o{ago}", when.isoformat(), make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    for ago in (2, 3, 4):
        when = datetime.combine(today - timedelta(days=ago), datetime.min.time(), zone).replace(hour=13)
        book.put("fresh", make.order(f"n{ago}", when.isoformat(), make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    assert [row[0] for row in rows(store, "restatements", *LOG)] == [today - timedelta(days=4)]


def test_each_change_is_kept_and_the_newest_stands_on_the_day(store, shown, make):
    for number, price in enumerate(("5.00", "6.00")):
        shown.put("shop", make.order(f"late{number}", "2026-03-10T12:00", make.line("l", "A", 1, price)))
        reports.refresh_touched(store)
    shown.put("shop", make.order("late0", "2026-03-10T12:00", make.line("l", "A", 1, "5.00"), is_sale=False))
    reports.refresh_touched(store)
    assert [row[1] for row in rows(store, "restatements", *LOG)] == [
        "1 late order(s)", "1 late order(s)", "1 order(s) count no longer",
    ]  # fmt: skip
    assert marks(store)[TENTH] == (True, "1 order(s) count no longer")


def test_touching_a_day_without_changing_it_restates_nothing(store, shown, make):
    shown.put("shop", make.order("10", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    assert rows(store, "restatements", *LOG) == []


def test_what_a_rebuild_finds_is_marked_too(store, shown, make):
    shown.put("shop", make.order("late", "2026-03-10T12:00", make.line("l", "A", 1, "5.00")))
    reports.rebuild(store, merchant="acme")
    assert marks(store)[TENTH] == (True, "1 late order(s)")


def test_a_table_that_was_lost_is_made_again_without_marks_of_its_own(store, shown):
    shown.run("DROP TABLE reports.sales_daily CASCADE")
    reports.rebuild(store)
    assert rows(store, "restatements", *LOG) == []
    assert len(rows(store, "sales_daily", "orders")) == 3
