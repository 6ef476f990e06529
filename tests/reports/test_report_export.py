"""Files and contracts: exact amounts in every format, no formulas, whole files or none, and what a check finds."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as arrow
import pytest
from openpyxl import load_workbook
from pyarrow import parquet

from oms_hub.errors import Misconfigured
from oms_hub.reports import binary_files
from oms_hub.reports.amounts import decimals, shown
from oms_hub.reports.contract import check
from oms_hub.reports.export import write
from oms_hub.store.frames import frame_of
from oms_hub.store.report_schema import DEFINITIONS

D = Decimal
LEVELS = DEFINITIONS["stock_levels"]
HEALTH = DEFINITIONS["sync_health"]
COUNTED = datetime(2026, 3, 10, 10, 0, 5, tzinfo=UTC)


def level(sku="A-1", title="Mug", cost="2.125", **more):
    row = {
        "merchant": "acme", "sku": sku, "location": "main", "title": title, "on_hand": 3, "allocated": 1, "reserved": 0,
        "unavailable": 0, "safety_stock": 0, "available": 2, "incoming": 0, "unit_cost": cost and D(cost),
        "value": cost and D(cost) * 3, "currency": "EUR", "counted_at": COUNTED, **more,
    }  # fmt: skip
    return tuple(row[column.name] for column in LEVELS.columns)


def levels(*rows):
    return frame_of(LEVELS, list(rows))


def sales(**more):
    row = {
        "merchant": "acme", "connection": "shop", "business_date": date(2026, 3, 10), "currency": "EUR",
        "channel": "shopify", "orders": 1, "units": 2, "gross_sales": D("10.00"), "discounts": D("1.00"),
        "returns": D("0.00"), "net_sales": D("9.00"), "shipping": D("2.00"), "tax": D("0.10"), "fees": D("0.00"),
        "total_sales": D("11.10"), "refunds_paid": D("0.00"), "cancelled_orders": 0,
        "restated_at": None, "restated_because": "", **more,
    }  # fmt: skip
    definition = DEFINITIONS["sales_daily"]
    return tuple(row[column.name] for column in definition.columns)


def sales_frame(*rows):
    return frame_of(DEFINITIONS["sales_daily"], list(rows))


def text_of(name, frame, export_format):
    stream = io.StringIO()
    write(name, frame, export_format, stream=stream)
    return stream.getvalue()


def test_csv_holds_exact_amounts_empty_gaps_and_text_as_it_is():
    frame = levels(level(title='=cmd, "x"\nline'), level(sku="B", cost=None))
    assert text_of("stock_levels", frame, "csv") == (
        "merchant,sku,location,title,on_hand,allocated,reserved,unavailable,safety_stock,available,incoming,unit_cost,"
        "value,currency,counted_at\n"
        'acme,A-1,main,"=cmd, ""x""\nline",3,1,0,0,0,2,0,2.125,6.375,EUR,2026-03-10T10:00:05Z\n'
        "acme,B,main,Mug,3,1,0,0,0,2,0,,,EUR,2026-03-10T10:00:05Z\n"
    )


def test_json_is_an_array_of_rows_with_amounts_as_exact_text():
    assert json.loads(text_of("sales_daily", sales_frame(sales(), sales(currency="USD")), "json"))[1] == {
        "merchant": "acme", "connection": "shop", "business_date": "2026-03-10", "currency": "USD",
        "channel": "shopify", "orders": 1, "units": 2, "gross_sales": "10.00", "discounts": "1.00", "returns": "0.00",
        "net_sales": "9.00", "shipping": "2.00", "tax": "0.10", "fees": "0.00", "total_sales": "11.10",
        "refunds_paid": "0.00", "cancelled_orders": 0, "restated_at": None, "restated_because": "",
    }  # fmt: skip
    assert text_of("sales_daily", sales_frame(), "json") == "[]\n"


def test_a_table_cuts_nothing_and_takes_no_markup_from_the_data():
    drawn = text_of(
        "stock_levels", levels(level(title="[red]Mug[/red] " + "x" * 120), level(sku="B", cost=None)), "table"
    )
    assert "[red]Mug[/red] " + "x" * 120 in drawn
    assert re.search(r"A-1 .* 2\.125 +6\.375 +EUR +2026-03-10 10:00:05Z", drawn)
    assert drawn.endswith("2 row(s)\n")


def health_row(**more):
    row = {
        "merchant": "acme", "connection": "shop", "channel": "shopify", "state": "active", "state_reason": "",
        "as_of": COUNTED, "last_good_pull_at": None, "pull_age_seconds": 12.25, "last_good_push_at": None,
        "push_age_seconds": None, "lag_seconds": None, "is_push_enabled": True, "consecutive_failures": 0,
        "last_failure_at": None, "last_failure": "", "open_exceptions": 0, "open_by_kind": "", "pending_pushes": 0,
        "dead_pushes": 0, "quarantined": 0, "days_waiting": 0, **more,
    }  # fmt: skip
    return tuple(row[column.name] for column in HEALTH.columns)


def test_flags_and_durations_are_written_as_each_format_does_it():
    frame = frame_of(HEALTH, [health_row(), health_row(connection="till", is_push_enabled=False)])
    assert [row.split(",")[11] for row in text_of("sync_health", frame, "csv").splitlines()] == [
        "is_push_enabled", "true", "false",
    ]  # fmt: skip
    drawn = text_of("sync_health", frame, "table")
    assert re.search(r" 12\.2 +yes ", drawn)
    assert re.search(r" 12\.2 +no ", drawn)
    assert json.loads(text_of("sync_health", frame, "json"))[0]["pull_age_seconds"] == 12.25


def test_parquet_keeps_decimals_days_instants_gaps_and_comments(tmp_path):
    path = tmp_path / "levels.parquet"
    write("stock_levels", levels(level(), level(sku="B", cost=None)), "parquet", path, stream=io.StringIO())
    table = parquet.read_table(path)
    assert table.schema.field("unit_cost").type == arrow.decimal128(38, 6)
    assert table.schema.field("counted_at").type == arrow.timestamp("us", tz="UTC")
    assert table.schema.field("on_hand").type == arrow.int64()
    assert table.schema.field("sku").metadata[b"comment"] == b"The merchant's code of the goods"
    assert table.column("value").to_pylist() == [D("6.375"), None]
    assert table.column("counted_at").to_pylist() == [COUNTED, COUNTED]
    assert [path.name for path in tmp_path.iterdir()] == ["levels.parquet"]


def test_parquet_takes_more_decimals_where_an_amount_needs_them_and_has_its_columns_without_rows(tmp_path):
    path = tmp_path / "levels.parquet"
    write("stock_levels", levels(level(cost="0.12345678")), "parquet", path, stream=io.StringIO())
    assert parquet.read_table(path).column("unit_cost").to_pylist() == [D("0.12345678")]
    write("sales_daily", sales_frame(), "parquet", path, stream=io.StringIO())
    schema = parquet.read_table(path).schema
    assert schema.names == [column.name for column in DEFINITIONS["sales_daily"].columns]
    assert schema.field("business_date").type == arrow.date32()


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@x", '=HYPERLINK("http://x")', "plain", "007"])
def test_a_spreadsheet_never_takes_text_for_a_formula_or_a_number(tmp_path, words):
    path = tmp_path / "levels.xlsx"
    write("stock_levels", levels(level(title=words)), "xlsx", path, stream=io.StringIO())
    cell = load_workbook(path).active["D2"]
    assert (cell.value, cell.data_type, cell.quotePrefix) == (words, "s", True)


def test_a_spreadsheet_holds_numbers_days_and_instants_as_such(tmp_path):
    path = tmp_path / "book.xlsx"
    write(
        "stock_levels", levels(level(title="bell\x07"), level(sku="B", cost=None)), "xlsx", path, stream=io.StringIO()
    )
    sheet = load_workbook(path).active
    assert [cell.value for cell in sheet[2]] == [
        "acme", "A-1", "main", "bell\N{REPLACEMENT CHARACTER}", 3, 1, 0, 0, 0, 2, 0, 2.125, 6.375, "EUR",
        COUNTED.replace(tzinfo=None),
    ]  # fmt: skip
    assert sheet["L3"].value is None
    assert (sheet["E2"].data_type, sheet["L2"].number_format, sheet["O2"].is_date) == ("n", "0.000", True)
    write("sales_daily", sales_frame(sales()), "xlsx", path, stream=io.StringIO())
    assert load_workbook(path).active["C2"].number_format == "yyyy-mm-dd"


def test_more_rows_than_a_sheet_holds_are_refused_and_no_file_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(binary_files, "_MOST_SHEET_ROWS", 2)
    with pytest.raises(Misconfigured, match="stock_levels has 2 rows, more than a sheet holds"):
        write("stock_levels", levels(level(), level(sku="B")), "xlsx", tmp_path / "x.xlsx", stream=io.StringIO())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_left_as_it_was(tmp_path):
    frame = levels(level())
    with pytest.raises(Misconfigured, match=r"Cannot write .*nowhere.*No such file or directory"):
        write("stock_levels", frame, "csv", tmp_path / "nowhere" / "x.csv", stream=io.StringIO())
    (tmp_path / "taken").mkdir()
    with pytest.raises(Misconfigured, match=r"Cannot write .*taken: Is a directory"):
        write("stock_levels", frame, "csv", tmp_path / "taken", stream=io.StringIO())
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_failure_in_the_middle_keeps_the_old_file(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("old")
    frame = levels(level())
    frame["title"] = pd.Series(["\ud800"], dtype="object")  # cannot be encoded
    with pytest.raises(UnicodeEncodeError):
        write("stock_levels", frame, "csv", path, stream=io.StringIO())
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_unknown_formats_and_reports_are_refused_with_the_known_ones(tmp_path):
    with pytest.raises(Misconfigured, match=r"There is no format 'xls'") as refused:
        write("stock_levels", levels(), "xls", stream=io.StringIO())
    assert refused.value.remedy == "Known formats: table, csv, json, parquet, xlsx"
    with pytest.raises(Misconfigured, match="There is no report 'stock'"):
        write("stock", levels(), "csv", stream=io.StringIO())
    with pytest.raises(Misconfigured, match="parquet is not text") as refused:
        write("stock_levels", levels(), "parquet", stream=io.StringIO())
    assert refused.value.remedy == "Say where to write it: --output FILE"


def test_amounts_are_shown_with_their_currencys_decimals_and_more_only_where_they_are_there():
    assert [str(shown(D(amount), currency)) for amount, currency in (
        ("19.9", "EUR"), ("0", "EUR"), ("1500.00", "JPY"), ("1500.5", "JPY"), ("1.2", "KWD"), ("1E+3", "EUR"),
        ("0.123450000", "EUR"), ("123456789012345678901234567890.125", "EUR"), ("0.00", ""),
    )] == [
        "19.90", "0.00", "1500", "1500.5", "1.200", "1000.00", "0.12345", "123456789012345678901234567890.125", "0.00",
    ]  # fmt: skip
    assert shown(None, "EUR") is None
    assert decimals([D("1"), D("0.50"), D("0.125")]) == 3
    assert decimals([]) == 0


def test_a_frame_that_keeps_its_contract_has_no_problems():
    assert check("sales_daily", sales_frame(sales())) == ()
    assert check("stock_levels", levels(level())) == ()
    assert check("sync_health", frame_of(HEALTH, [health_row()])) == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"total_sales": D("11.11")}, "not so: total_sales = net_sales + shipping + tax + fees (row 0)"),
        ({"net_sales": D("9.01"), "total_sales": D("11.11")},
         "not so: net_sales = gross_sales - discounts - returns (row 0)"),
        ({"orders": -1}, "not so: orders is not negative (row 0)"),
        ({"units": -1}, "units: not so: not negative (row 0)"),
        ({"tax": 0.1}, "tax: not so: every value is a Decimal (row 0)"),
        ({"business_date": "2026-03-10"}, "business_date: not so: every value is a date (row 0)"),
        ({"currency": None}, "currency: not so: not_nullable (row 0)"),
    ],
)  # fmt: skip
def test_each_broken_promise_is_named_with_its_row(change, problem):
    assert problem in check("sales_daily", sales_frame(sales(**change)))


def test_two_rows_of_one_key_wrong_columns_and_wrong_types_are_named():
    assert check("sales_daily", sales_frame(sales(), sales())) == (
        "two rows have the same merchant, connection, business_date, currency (row 0)",
    )
    frame = sales_frame(sales())
    assert check("sales_daily", frame.drop(columns="tax"))[0].startswith("the columns are merchant, connection,")
    assert check("sales_daily", frame.astype({"units": "float64"})) == ("units: not so: dtype('int64')",)


def test_a_margin_without_cost_is_named():
    definition = DEFINITIONS["sales_by_sku_daily"]
    row = {
        "merchant": "acme", "connection": "shop", "business_date": date(2026, 3, 10), "currency": "EUR", "sku": "A",
        "channel": "shopify", "units": 2, "returned_units": 0, "gross_sales": D(10), "discounts": D(0),
        "returns": D(0), "net_sales": D(10), "goods_units": 2, "cost": None, "margin": D(1),
        "restocked_units": 0,
    }  # fmt: skip
    frame = frame_of(definition, [tuple(row.values())])
    assert check("sales_by_sku_daily", frame) == (
        "not so: margin = net_sales - cost, and both are known or none (row 0)",
    )


def test_ratios_are_exact_in_every_format(tmp_path):
    definition = DEFINITIONS["fulfilment_daily"]
    figures = {column.name: 0 for column in definition.columns if column.kind.value == "bigint"}
    ratios = {column.name: None for column in definition.columns if column.has_gaps}
    row = {"merchant": "acme", "connection": "shop", "business_date": date(2026, 3, 10), "channel": "shopify",
           **figures, **ratios, "fill_rate": D("0.666667")}  # fmt: skip
    frame = frame_of(definition, [tuple(row[column.name] for column in definition.columns)])
    assert check("fulfilment_daily", frame) == ()
    assert json.loads(text_of("fulfilment_daily", frame, "json"))[0]["fill_rate"] == "0.666667"
    write("fulfilment_daily", frame, "parquet", tmp_path / "f.parquet", stream=io.StringIO())
    table = parquet.read_table(tmp_path / "f.parquet")
    assert table.schema.field("fill_rate").type == arrow.decimal128(18, 6)
    assert table.column("fill_rate").to_pylist() == [D("0.666667")]
    assert table.column("on_time_rate").to_pylist() == [None]
    wrong = frame.assign(fill_rate=[D("1.5")])
    assert check("fulfilment_daily", wrong) == ("not so: fill_rate is 0 to 1 where it is known (row 0)",)
