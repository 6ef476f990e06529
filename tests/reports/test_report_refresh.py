"""Refreshing: incremental equals rebuilt equals the truth; nothing is lost between writers and refreshes."""

from __future__ import annotations

import itertools
import threading
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import text

from oms_hub import reports
from oms_hub.domain.orders import (
    ChargeKind,
    OrderKind,
    OrderState,
    Payment,
    PaymentKind,
    RefundLine,
    Shipment,
    ShipmentLine,
)
from oms_hub.errors import Misconfigured, RetryLater, StoreUnavailable
from oms_hub.reports import refreshing
from oms_hub.reports.contract import check
from oms_hub.store.purchasing import set_cost_method
from oms_hub.store.report_scope import day_runs

D = Decimal
NAMED = ("sales_daily", "sales_by_sku_daily", "reconciliation_daily", "returns_daily", "payments_daily", "fulfilment_daily",
         "inventory_daily", "sku_costs", "channel_profit_daily", "restatements")  # fmt: skip
CHECKED = (
    "inventory_daily",
    "fulfilment_daily",
    "returns_daily",
    "payments_daily",
    "channel_profit_daily",
    "stock_ageing",
)
NUMBERED = ("sales_by_sku_rows", "inventory_rows", "sku_cost_rows")
FIGURES = ("orders", "units", "gross_sales", "discounts", "returns", "net_sales", "shipping", "tax", "fees",
           "total_sales", "refunds_paid", "cancelled_orders")  # fmt: skip


def bytes_of(store, merchant):
    """Return every stored row as PostgreSQL writes it, digits included."""
    with store.read() as tx:
        mine = {**dict.fromkeys(NAMED, "merchant = :m"), **dict.fromkeys(
            NUMBERED, "merchant_id = (SELECT merchant_id FROM hub.merchants WHERE name = :m)")}  # fmt: skip
        return {
            table: tx.scalars(
                text(f'SELECT r::text FROM reports.{table} r WHERE {wanted} ORDER BY r::text COLLATE "C"'),
                {"m": merchant},
            ).all()
            for table, wanted in mine.items()
        }


INSTANTS = some.sampled_from(
    # around the clock changes of Madrid, and its midnights
    ["2026-03-28T22:59:59", "2026-03-28T23:00:00", "2026-03-29T01:30:00", "2026-03-29T21:59:59", "2026-03-29T22:00:00",
     "2026-10-24T22:00:00", "2026-10-25T00:30:00", "2026-10-25T01:30:00", "2026-10-25T22:59:59", "2026-10-25T23:00:00",
     "2026-06-01T12:00:00"]
)  # fmt: skip
CENTS = some.integers(0, 5000).map(lambda cents: str(D(cents) / 100))
SKUS = some.sampled_from([None, "A", "B", "C"])
LINES = some.lists(some.tuples(SKUS, some.integers(1, 4), CENTS, CENTS, CENTS), max_size=3)
PAYMENTS = some.lists(
    some.tuples(INSTANTS, some.sampled_from(["sale", "capture", "refund", "void"]), CENTS, some.booleans()), max_size=2
)
SHIPMENTS = some.lists(some.tuples(INSTANTS, some.integers(0, 2), some.integers(1, 4)), max_size=2)
MOVES = some.tuples(
    some.sampled_from(["A", "B"]), some.sampled_from(["count", "sale", "return", "adjustment", "transfer_out"]),
    some.integers(-6, 8), INSTANTS,
)  # fmt: skip
RECEIPTS = some.tuples(some.sampled_from(["A", "B"]), some.integers(1, 6), some.one_of(some.none(), CENTS), INSTANTS)
REFUNDS = some.lists(some.tuples(INSTANTS, some.integers(0, 3), CENTS, CENTS, CENTS, CENTS), max_size=2)
ORDERS = some.fixed_dictionaries(
    {
        "connection": some.sampled_from([0, 1]),
        "order_id": some.sampled_from(["1", "2", "3", "4"]),
        "placed": INSTANTS,
        "currency": some.sampled_from(["EUR", "EUR", "USD"]),
        "kind": some.sampled_from([OrderKind.STANDARD, OrderKind.POS, OrderKind.CREDIT_NOTE]),
        "state": some.sampled_from(list(OrderState)),
        "is_sale": some.booleans(),
        "is_test": some.sampled_from([False, False, False, True]),
        "lines": LINES,
        "shipping": CENTS,
        "gap": some.sampled_from(["0", "0", "0.01", "-0.50"]),
        "refunds": REFUNDS,
        "payments": PAYMENTS,
        "shipments": SHIPMENTS,
        "ship_by": some.one_of(some.none(), INSTANTS),
    }
)
STEPS = some.one_of(
    ORDERS.map(lambda order: ("put", order)),
    ORDERS.map(lambda order: ("put", order)),
    some.tuples(some.just("vanish"), some.tuples(some.sampled_from([0, 1]), some.sampled_from(["1", "2"]))),
    some.tuples(some.just("map"), some.sampled_from(["A", "B"])),
    some.tuples(some.just("move"), MOVES),
    some.tuples(some.just("move"), MOVES),
    some.tuples(some.just("receive"), RECEIPTS),
    some.tuples(some.just("cost"), some.tuples(some.sampled_from(["A", "B"]), CENTS)),
    some.tuples(some.just("method"), some.sampled_from(["fifo", "weighted_average"])),
    some.tuples(some.just("quarantine"), some.tuples(some.sampled_from(["x", "y"]), INSTANTS, some.booleans())),
    some.just(("refresh", None)),
)


def build(make, wanted):
    lines = [
        make.line(f"l{position}", sku, quantity, price, discount=discount, tax=tax)
        for position, (sku, quantity, price, discount, tax) in enumerate(wanted["lines"])
    ]
    refunds = tuple(
        make.refund(
            f"r{position}", when, RefundLine(f"l{position}", quantity, D(goods), D(tax)),
            shipping_amount=shipping, other_amount=other,
        )
        for position, (when, quantity, goods, tax, shipping, other) in enumerate(wanted["refunds"])
    )  # fmt: skip
    charges = (make.charge(ChargeKind.SHIPPING, wanted["shipping"]),)
    plain = {name: wanted[name] for name in ("currency", "kind", "state", "is_sale", "is_test")}
    plain["payments"] = tuple(
        Payment(f"p{position}", PaymentKind(kind), D(amount), "EUR", make.at(when), is_successful=went_well)
        for position, (when, kind, amount, went_well) in enumerate(wanted["payments"])
    )
    plain["shipments"] = tuple(
        Shipment(f"s{position}", make.at(when), (ShipmentLine(f"l{line}", units),))
        for position, (when, line, units) in enumerate(wanted["shipments"])
    )
    plain["ship_by_at"] = wanted["ship_by"] and make.at(wanted["ship_by"])
    made = make.order(wanted["order_id"], wanted["placed"], *lines, charges=charges, refunds=refunds, **plain)
    return make.order(
        wanted["order_id"], wanted["placed"], *lines, charges=charges, refunds=refunds,
        total=str(made.total + D(wanted["gap"])), **plain,
    )  # fmt: skip


def play(book, make, connections, step, wanted):
    if step == "put":
        book.put(connections[wanted["connection"]], build(make, wanted))
    elif step == "vanish":
        key = (connections[wanted[0]], wanted[1])
        if key in book.orders:
            book.vanish(*key)
    elif step == "map":
        if wanted not in book.skus:
            book.map_sku(wanted, "2.50")
    elif step in ("move", "receive", "cost"):
        if wanted[0] not in book.skus:
            book.map_sku(wanted[0])
        if step == "move":
            book.move(*wanted)
        elif step == "receive":
            book.receive(*wanted)
        else:
            book.run("UPDATE hub.skus SET unit_cost = :c WHERE sku_id = :s", s=book.skus[wanted[0]], c=D(wanted[1]))
    elif step == "method":
        with book.store.begin() as tx:
            set_cost_method(tx, book.merchant_id, wanted)
    elif step == "quarantine":
        record, when, is_open = wanted
        book.quarantine(connections[0], record, when, "open" if is_open else "resolved")
    else:
        reports.refresh_touched(book.store, merchant=book.merchant)


NUMBERS = itertools.count()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=some.lists(STEPS, min_size=1, max_size=10))
def test_touched_days_and_a_rebuild_give_the_same_bytes_whatever_happened(store, make, history):
    number = next(NUMBERS)
    connections = (f"shop-{number}", f"till-{number}")
    book = make.book(store, f"m{number}", "Europe/Madrid", connections)
    for step, wanted in history:
        play(book, make, connections, step, wanted)
    reports.refresh_touched(store, merchant=book.merchant)
    incremental = bytes_of(store, book.merchant)

    reports.rebuild(store, merchant=book.merchant)

    assert bytes_of(store, book.merchant) == incremental
    for name in CHECKED:
        assert check(name, reports.frame(store, name, merchant=book.merchant)) == (), name
    frame = reports.frame(store, "sales_daily", merchant=book.merchant)
    found = {
        (row.connection, row.business_date, row.currency): {name: getattr(row, name) for name in FIGURES}
        for row in frame.itertuples()
    }
    assert found == {key: {name: row[name] for name in FIGURES} for key, row in book.expected_sales().items()}
    assert [tie for tie in reports.ties(store, book.merchant) if not tie.is_ok] == []


def touched(store):
    with store.read() as tx:
        return tx.execute(text("SELECT connection_id, business_date FROM hub.touched_days ORDER BY 1, 2")).all()


def test_a_refresh_takes_the_marks_and_writes_nothing_the_second_time(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    assert touched(store) == [(book.connections["shop"], date(2026, 3, 10))]
    assert reports.refresh_touched(store)["sales_daily"] == 1
    assert touched(store) == []
    assert set(reports.refresh_touched(store).values()) == {0}


def test_only_touched_days_are_written(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    book.put("shop", make.order("2", "2026-03-11T10:00", make.line("l", "A", 1, "7.00")))
    book.put("till", make.order("3", "2026-03-11T10:00", make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    with store.begin() as tx:
        tx.exec_driver_sql("UPDATE reports.sales_daily SET units = 99")
    book.put("shop", make.order("2", "2026-03-11T10:00", make.line("l", "A", 2, "7.00")))
    assert reports.refresh_touched(store)["sales_daily"] == 1
    frame = reports.frame(store, "sales_daily")
    assert list(zip(frame["connection"], frame["business_date"], frame["units"], strict=True)) == [
        ("shop", date(2026, 3, 10), 99), ("shop", date(2026, 3, 11), 2), ("till", date(2026, 3, 11), 99),
    ]  # fmt: skip


def test_another_merchants_days_stay_touched(store, book, make):
    other = make.book(store, "other", "Asia/Tokyo", ("other-shop",))
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    other.put("other-shop", make.order("1", "2026-03-10T20:00", make.line("l", "A", 1, "7.00")))
    assert reports.refresh_touched(store, merchant="acme")["sales_daily"] == 1
    assert touched(store) == [(other.connections["other-shop"], date(2026, 3, 11))]
    assert reports.rebuild(store, merchant="other")["sales_daily"] == 1
    assert touched(store) == []
    assert list(reports.frame(store, "sales_daily", merchant="other")["business_date"]) == [date(2026, 3, 11)]
    assert len(reports.frame(store, "sales_daily")) == 2


def test_a_day_touched_while_a_refresh_runs_stays_touched_and_is_right_after_the_next(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    with store.begin() as writer:
        # the writer has marked the day again and changed the order, but has not committed
        book._touch(writer, "shop", {date(2026, 3, 10)})
        writer.execute(text("UPDATE hub.order_lines SET quantity = 5"))
        assert reports.refresh_touched(store)["sales_daily"] == 0
    assert touched(store) == [(book.connections["shop"], date(2026, 3, 10))]
    assert reports.refresh_touched(store)["sales_daily"] == 1
    assert list(reports.frame(store, "sales_daily")["units"]) == [5]


def test_a_writer_waits_for_the_refresh_that_took_its_mark_and_marks_again(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    done = threading.Event()

    def write():
        with store.begin() as writer:
            book._touch(writer, "shop", {date(2026, 3, 10)})
        done.set()

    with store.begin() as refresh:
        from oms_hub.store.report_refresh import refresh_rows

        assert refresh_rows(refresh, merchant=None)["sales_daily"] == 1
        thread = threading.Thread(target=write)
        thread.start()
        assert not done.wait(0.2)
    thread.join(10)
    assert done.is_set()
    assert touched(store) == [(book.connections["shop"], date(2026, 3, 10))]


def test_two_refreshes_at_once_give_each_day_once(store, book, make):
    for day in range(10, 20):
        book.put("shop", make.order(str(day), f"2026-03-{day}T10:00", make.line("l", "A", 1, "7.00")))
    written = []
    threads = [
        threading.Thread(target=lambda: written.append(reports.refresh_touched(store)["sales_daily"])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(written) == [0, 0, 0, 10]
    assert len(reports.frame(store, "sales_daily")) == 10


def test_a_refresh_that_fails_leaves_the_days_touched_and_the_rows_as_they_were(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    with store.begin() as tx:
        tx.exec_driver_sql("ALTER TABLE reports.reconciliation_daily DROP COLUMN cause")
    with pytest.raises(Misconfigured, match="not as this program made them"):
        reports.refresh_touched(store)
    assert touched(store) == [(book.connections["shop"], date(2026, 3, 10))]
    assert len(reports.frame(store, "sales_daily")) == 0


def test_rebuilding_one_report_leaves_the_days_touched_for_the_others(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    assert reports.rebuild(store, names=["sales_daily", "sync_health"]) == {"sales_daily": 1, "sync_health": 0}
    assert touched(store) == [(book.connections["shop"], date(2026, 3, 10))]
    assert len(reports.frame(store, "sales_by_sku_daily")) == 0
    assert reports.rebuild(store, names=["sync_health"]) == {"sync_health": 0}
    assert reports.rebuild(store, names=["sku_costs"]) == {"sku_costs": 0}
    assert reports.rebuild(store, names=["inventory_daily"]) == {"inventory_daily": 0}


@pytest.mark.parametrize("dropped", ["TABLE reports.sales_daily", "VIEW reports.sync_health"])
def test_a_table_dropped_by_hand_is_a_clear_error_that_a_rebuild_mends(store, book, make, dropped):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    name = dropped.split(".")[1]
    with store.begin() as tx:
        tx.exec_driver_sql(f"DROP {dropped} CASCADE")
    with pytest.raises(Misconfigured, match=f'relation "reports.{name}" does not exist') as refused:
        reports.frame(store, name)
    assert refused.value.remedy == "Run: oms-hub report rebuild"
    reports.rebuild(store)
    assert len(reports.frame(store, name)) == (1 if name == "sales_daily" else 2)


def test_unknown_merchants_and_reports_are_refused_with_the_known_ones(store, book):
    for call in (
        lambda: reports.refresh_touched(store, merchant="acne"),
        lambda: reports.rebuild(store, merchant="acne"),
        lambda: reports.frame(store, "sales_daily", merchant="acne"),
        lambda: reports.ties(store, "acne"),
    ):
        with pytest.raises(Misconfigured, match="There is no merchant 'acne'") as refused:
            call()
        assert refused.value.remedy == "Known merchants: acme"
    with pytest.raises(Misconfigured, match="There is no report 'sales'") as refused:
        reports.rebuild(store, names=["sales"])
    assert refused.value.remedy == f"Known reports: {', '.join(reports.REPORTS)}"


def test_a_zone_that_the_server_does_not_know_is_named(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    with store.begin() as tx:
        tx.exec_driver_sql("UPDATE hub.merchants SET time_zone = 'Mars/Olympus'")
    with pytest.raises(Misconfigured, match="Mars/Olympus"):
        reports.refresh_touched(store)


def test_other_database_errors_are_not_explained_away(store, book):
    from sqlalchemy.exc import DBAPIError

    from oms_hub.store.report_refresh import missing_explained

    with pytest.raises(DBAPIError), store.begin() as tx, missing_explained():
        tx.exec_driver_sql("SELECT 1 / 0")


class Blocked:
    """A store whose first transactions fail as told."""

    def __init__(self, store, failures):
        self.store, self.failures = store, list(failures)

    def begin(self):
        if self.failures:
            raise self.failures.pop(0)
        return self.store.begin()


def test_a_refresh_that_met_a_writer_is_tried_again_a_few_times(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    blocked = Blocked(store, [RetryLater("blocked")] * 4)
    assert refreshing.refresh_touched(blocked)["sales_daily"] == 1
    with pytest.raises(RetryLater, match="blocked"):
        refreshing.refresh_touched(Blocked(store, [RetryLater("blocked")] * 5))
    with pytest.raises(StoreUnavailable):
        refreshing.refresh_touched(Blocked(store, [StoreUnavailable("gone")]))


def test_a_tie_that_breaks_says_where_and_by_how_much(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    with store.begin() as tx:
        tx.exec_driver_sql("UPDATE reports.sales_daily SET gross_sales = 8, total_sales = 8, orders = 2")
    assert [(tie.name, tie.is_ok, tie.detail) for tie in reports.ties(store)] == [
        ("skus_add_up_to_days", False, "1 of 5 figures differ, first shop 2026-03-10 EUR gross_sales: 7 against 8"),
        (
            "total_sales_are_orders_minus_refunds",
            False,
            "1 of 1 figures differ, first shop 2026-03-10 EUR: 8 against 7",
        ),
        ("returns_add_up_to_days", True, "2 figures tie"),
        ("payments_are_the_transactions", True, "0 figures tie"),
        (
            "reconciliation_has_the_same_orders",
            False,
            "1 of 1 figures differ, first shop 2026-03-10 EUR orders: 1 against 2",
        ),
        (
            "fulfilment_has_the_same_orders",
            False,
            "1 of 1 figures differ, first shop 2026-03-10 orders: 1 against 2",
        ),
        ("stock_levels_are_the_ledger", True, "0 figures tie"),
        ("snapshots_close_at_the_levels", True, "0 figures tie"),
        ("snapshots_chain", True, "0 figures tie"),
        ("average_costs_are_movements_at_cost", True, "0 figures tie"),
    ]


def test_days_that_wait_are_left_out_of_the_ties(store, book, make):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "7.00")))
    assert {tie.is_ok for tie in reports.ties(store, "acme")} == {True}


def test_ties_can_be_asked_of_late_days_only(store, book, make):
    for day in (10, 11):
        book.put("shop", make.order(str(day), f"2026-03-{day}T10:00", make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    with store.begin() as tx:
        tx.exec_driver_sql("UPDATE reports.sales_daily SET total_sales = 8 WHERE business_date = '2026-03-10'")
    name = "total_sales_are_orders_minus_refunds"
    found = {since: next(tie for tie in reports.ties(store, since=since) if tie.name == name).detail
             for since in (None, date(2026, 3, 10), date(2026, 3, 11))}  # fmt: skip
    assert list(found.values()) == [
        *["1 of 2 figures differ, first shop 2026-03-10 EUR: 8 against 7"] * 2, "1 figures tie",
    ]  # fmt: skip


def test_days_join_into_runs():
    first = date(2026, 3, 1)
    days = [first, date(2026, 3, 2), date(2026, 3, 5)]
    assert day_runs(days) == ((first, date(2026, 3, 2)), (date(2026, 3, 5), date(2026, 3, 5)))
    assert day_runs([]) == ()
