"""Every figure of a report that has days can be followed to the rows that it is made of."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from oms_hub import reports
from oms_hub.domain.orders import OrderKind, OrderState, Payment, PaymentKind, RefundLine
from oms_hub.errors import Misconfigured
from oms_hub.store.report_explain import TRAILS

D = Decimal
TENTH = date(2026, 3, 10)


@pytest.fixture
def history(book, make):
    book.map_sku("A", "2.00")
    refund = make.refund(
        "r1", "2026-03-10T20:00", RefundLine("l", 1, D(7), D(1)), shipping_amount="2", other_amount="0.5"
    )
    money = Payment("p", PaymentKind.SALE, D(9), "EUR", make.at("2026-03-10T10:05"))
    failed = Payment("q", PaymentKind.SALE, D(9), "EUR", make.at("2026-03-10T10:05"), is_successful=False)
    back = Payment("b", PaymentKind.REFUND, D(2), "EUR", make.at("2026-03-10T10:05"))
    held = Payment("h", PaymentKind.AUTHORISATION, D(9), "EUR", make.at("2026-03-10T10:05"))
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 2, "7.00", tax="2"), make.line("k", None, 1, "1"),
                                refunds=(refund,), payments=(money, failed, back, held)))  # fmt: skip
    book.put("shop", make.order("2", "2026-03-10T11:00", make.line("l", "A", 1, "9.00"), state=OrderState.CANCELLED))
    book.put("shop", make.order("3", "2026-03-10T12:00", make.line("l", "A", 1, "9.00"), state=OrderState.CANCELLED,
                                is_sale=False))  # fmt: skip
    book.put("till", make.order("C1", "2026-03-10T13:00", kind=OrderKind.CREDIT_NOTE, refunds=(
        make.refund("r", "2026-03-10T13:00", RefundLine("x", 1, D(3))),)))  # fmt: skip
    book.put("shop", make.order("usd", "2026-03-10T13:00", make.line("l", "B", 1, "5"), currency="USD"))
    book.put("shop", make.order("test", "2026-03-10T13:00", make.line("l", "B", 1, "5"), is_test=True))
    book.put("shop", make.order("next", "2026-03-10T23:00", make.line("l", "B", 1, "5")))
    book.move("A", "count", 10, "2026-03-10T08:00")
    book.move("A", "sale", -3, "2026-03-10T10:00")
    reports.refresh_touched(book.store)
    return book


def sums_of(store, name, figures, **more):
    frame = reports.frame(store, name, day_from=TENTH, day_to=TENTH, **more)
    found = {}
    for row in frame.itertuples():
        sums = found.setdefault(getattr(row, "currency", ""), dict.fromkeys(figures, D(0)))
        for figure in figures:
            sums[figure] += getattr(row, figure)
    return found


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("sales_daily", ("units", "net_sales", "total_sales")),
        ("sales_by_sku_daily", ("units", "net_sales")),
        ("payments_daily", ("net",)),
    ],
)
def test_the_rows_behind_a_day_add_up_to_its_figures(store, history, name, figures):
    found = reports.explain_day(store, name, TENTH, merchant="acme")
    assert found.totals == sums_of(store, name, figures)
    assert len(found.rows) > 3


def test_sales_name_their_orders_refunds_and_cancellations(store, history):
    found = reports.explain_day(store, "sales_daily", TENTH, connection="shop")
    assert [(row["order"], row["what"], row["units"], row["net_sales"], row["total_sales"]) for row in found.rows] == [
        ("1", "sale", 3, D("15.00"), D("17.00")), ("2", "cancelled sale", 1, D("9.00"), D("9.00")),
        ("3", "cancelled, no sale", 0, D(0), D(0)), ("usd", "sale", 1, D(5), D(5)),
        ("1", "refund r1", 0, D("-7.5"), D("-10.5")),
    ]  # fmt: skip


def test_returns_orders_and_movements_are_followed_too(store, history):
    returned = reports.explain_day(store, "returns_daily", TENTH)
    frame = reports.frame(store, "returns_daily")
    assert returned.totals["EUR"] == {"net_sales": -frame["returns"].sum(), "total_sales": -frame["total"].sum()}
    placed = reports.explain_day(store, "reconciliation_daily", TENTH)
    assert (
        placed.totals["EUR"]["total_sales"]
        == reports.frame(store, "reconciliation_daily", day_to=TENTH)["channel_total"][0]
    )
    moved = reports.explain_day(store, "inventory_daily", TENTH, sku="A")
    assert [(row["what"], row["units"]) for row in moved.rows] == [("count", 10), ("sale", -3)]
    assert moved.totals == {"": {"units": D(7)}}
    assert reports.explain_day(store, "inventory_daily", date(2026, 3, 11)).totals == {}


def test_one_sku_of_a_day_is_followed(store, history):
    found = reports.explain_day(store, "sales_by_sku_daily", TENTH, sku="A")
    assert [(row["order"], row["what"], row["units"], row["net_sales"]) for row in found.rows] == [
        ("1", "sale", 2, D("14.00")), ("2", "sale", 1, D("9.00")), ("1", "refund r1", 0, D("-7")),
    ]  # fmt: skip
    assert {row["sku"] for row in reports.explain_day(store, "sales_by_sku_daily", TENTH, sku="").rows} == {""}


def test_every_trail_runs_for_every_scope(store, history):
    for name, trail in TRAILS.items():
        for merchant in (None, "acme"):
            connection = "shop" if trail.has_connection else None
            sku = "A" if trail.has_sku else None
            found = reports.explain_day(store, name, TENTH, merchant=merchant, connection=connection, sku=sku)
            assert found.rows, name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("abc", {}), "abc has no days that can be followed"),
        (("sales", {}), "There is no report 'sales'"),
        (("sales_daily", {"sku": "A"}), "sales_daily has no SKUs"),
        (("inventory_daily", {"connection": "shop"}), "inventory_daily has no connections"),
        (("sales_daily", {"merchant": "acne"}), "There is no merchant 'acne'"),
        (("sales_daily", {"connection": "shoop"}), "There is no connection 'shoop'"),
    ],
)
def test_what_cannot_be_followed_is_refused(store, book, arguments, message):
    with pytest.raises(Misconfigured, match=message) as refused:
        reports.explain_day(store, arguments[0], TENTH, **arguments[1])
    assert refused.value.remedy


def test_the_command_lists_the_orders_and_their_sums(program, store):
    added = program("merchants", "add", "acme", "--currency", "EUR", "--time-zone", "Europe/Madrid")
    assert added.exit_code == 0
    empty = program("explain", "report", "sales_daily", "--day", "2026-03-10")
    assert (empty.exit_code, empty.stdout) == (0, "Nothing of sales_daily stands on 2026-03-10\n")
    assert program("explain", "report", "sales_daily", "--day", "2026-03-10", "--json").json == {
        "rows": [],
        "totals": {},
    }
    refused = program("explain", "report", "abc", "--day", "2026-03-10")
    assert refused.exit_code == 1
    assert refused.complaint.startswith("abc has no days that can be followed. Use oms-hub explain stock SKU")
    assert program("explain", "report", "sales_daily", "--day", "10.03.2026").exit_code == 2


def test_the_command_shows_rows_as_table_and_json(store, history, database_url, monkeypatch):
    import typer
    from typer.testing import CliRunner

    from oms_hub.commands.explain_report import report

    monkeypatch.setenv("OMS_HUB_DATABASE_URL", database_url)
    app = typer.Typer()
    app.command()(report)
    shown = CliRunner().invoke(app, ["sales_daily", "--day", "2026-03-10", "--connection", "shop"])
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[-2:] == [
        "sum: EUR units 4, net_sales 16.50, total_sales 15.50", "sum: USD units 1, net_sales 5, total_sales 5",
    ]  # fmt: skip
    moved = CliRunner().invoke(app, ["inventory_daily", "--day", "2026-03-10", "--json"])
    assert json.loads(moved.stdout)["totals"] == {"": {"units": "7"}}
