"""`oms-hub report`: shows, writes, lists and rebuilds."""

from __future__ import annotations

import json

import pytest
import typer
import yaml
from typer.testing import CliRunner

from oms_hub import reports
from oms_hub.commands.report import register
from oms_hub.errors import Misconfigured

runner = CliRunner()


@pytest.fixture
def app():
    made = typer.Typer()

    @made.command()
    def other() -> None:
        """Stand beside it, so that `report` is a command of several."""

    register(made)
    return made


ROWS = {
    "sales_daily": 2, "sales_by_sku_daily": 2, "reconciliation_daily": 2, "returns_daily": 0, "payments_daily": 0,
    "fulfilment_daily": 2, "inventory_daily": 0, "sku_costs": 0,
}  # fmt: skip


@pytest.fixture
def filled(store, book, make, database_url, monkeypatch):
    monkeypatch.setenv("OMS_HUB_DATABASE_URL", database_url)
    for day in (10, 11):
        book.put("shop", make.order(str(day), f"2026-03-{day}T10:00", make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    return book


def run(app, *arguments):
    return runner.invoke(app, ["report", *arguments])


def test_a_report_is_shown_by_its_name_with_options_on_either_side(app, filled):
    result = run(app, "sales_daily", "--format", "json", "--from", "2026-03-11", "--merchant", "acme")
    assert result.exit_code == 0
    assert [(row["business_date"], row["total_sales"]) for row in json.loads(result.stdout)] == [("2026-03-11", "7.00")]
    result = run(app, "--to", "2026-03-10", "--format", "csv", "sales_daily")
    assert result.stdout.splitlines()[1].split(",")[:4] == ["acme", "shop", "2026-03-10", "EUR"]
    assert "2 row(s)" in run(app, "sales_daily").stdout


def test_a_report_is_written_to_a_file(app, filled, tmp_path):
    path = tmp_path / "sales.csv"
    result = run(app, "sales_daily", "--format", "csv", "--output", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"2 row(s) of sales_daily written to {path}\n"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


def test_columns_are_chosen_by_name_in_their_order(app, filled, tmp_path):
    shown = run(app, "sales_daily", "--columns", "total_sales, orders", "--format", "csv")
    assert shown.stdout == "total_sales,orders\n7.00,1\n7.00,1\n"
    path = tmp_path / "sales.parquet"
    assert run(app, "sales_daily", "--columns", "orders", "--format", "parquet", "--output", str(path)).exit_code == 0


def test_a_day_to_look_back_from_is_taken(app, filled):
    shown = run(app, "abc", "--as-of", "2026-03-11", "--format", "json", "--columns", "sku,as_of_date,net_sales")
    assert json.loads(shown.stdout) == [{"sku": "A", "as_of_date": "2026-03-11", "net_sales": "7.00"}]


def test_check_tells_what_ties_and_fails_where_anything_does_not(app, filled, store):
    good = run(app, "check", "--merchant", "acme")
    assert good.exit_code == 0
    assert good.stdout.splitlines()[0] == "ok: skus_add_up_to_days: 10 figures tie"
    with store.begin() as tx:
        tx.exec_driver_sql("UPDATE reports.sales_daily SET total_sales = 8 WHERE business_date = '2026-03-10'")
    bad = run(app, "check")
    assert "BROKEN: total_sales_are_orders_minus_refunds: 1 of 2 figures differ" in bad.stdout
    assert str(bad.exception) == "1 of 10 ties are broken: total_sales_are_orders_minus_refunds"
    assert run(app, "check", "--from", "2026-03-11").exit_code == 0


def test_the_reports_are_dbt_sources(app):
    (source,) = yaml.safe_load(run(app, "sources").stdout)["sources"]
    assert (source["name"], source["schema"]) == ("oms_hub", "reports")
    assert [table["name"] for table in source["tables"]] == list(reports.REPORTS)
    for table in source["tables"]:
        definition = reports.REPORTS[table["name"]].definition
        assert table["meta"] == {"key": list(definition.key)}
        assert [
            (column["name"], column["description"], column["data_type"], "data_tests" not in column)
            for column in table["columns"]
        ] == [(column.name, column.comment, column.kind.value, column.has_gaps) for column in definition.columns]


def test_the_list_names_every_report(app):
    result = run(app, "list", "--json")
    assert [row["name"] for row in json.loads(result.stdout)] == list(reports.REPORTS)
    assert "sales_daily" in run(app, "list").stdout


def test_rebuild_makes_all_or_one(app, filled):
    assert run(app, "rebuild").stdout.splitlines() == [
        f"{name}: {ROWS[name]} row(s)" if name in ROWS else f"{name}: computed when read" for name in reports.REPORTS
    ]
    assert run(app, "rebuild", "sales_daily", "--merchant", "acme").stdout == "sales_daily: 2 row(s)\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sales",), "There is no report 'sales'"),
        (("sales_daily", "--merchant", "acne"), "There is no merchant 'acne'"),
        (("sales_daily", "--from", "2026-03-11", "--to", "2026-03-10"), "The days are reversed"),
        (("sales_daily", "--format", "xlsx"), "xlsx is not text"),
        (("rebuild", "sales"), "There is no report 'sales'"),
        (("sales_daily", "--columns", "orders,colour"), "sales_daily has no column 'colour'"),
        (("sales_daily", "--columns", "orders,orders"), "sales_daily needs each column once, and at least one"),
        (("sales_daily", "--as-of", "2026-03-11"), "sales_daily does not look back from a day"),
        (("stock_cover", "--from", "2026-03-11"), "stock_cover shows the present and has no days"),
    ],
)
def test_what_cannot_be_done_is_an_error_of_ours(app, filled, arguments, message):
    result = run(app, *arguments)
    assert isinstance(result.exception, Misconfigured)
    assert str(result.exception).startswith(message)


@pytest.mark.parametrize(
    "arguments",
    [("sales_daily", "--format", "xls"), ("sales_daily", "--from", "11.03.2026"), ("sales_daily", "--frm", "x")],
)
def test_wrong_usage_ends_with_2(app, arguments):
    assert run(app, *arguments).exit_code == 2


def test_help_and_no_arguments_name_the_commands(app):
    for arguments in ((), ("--help",)):
        assert "rebuild" in run(app, *arguments).output
