"""Receipts, purchase orders, terms, rates and channel costs by CSV: all of a file or nothing, the same again harmless."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from oms_hub import reports
from oms_hub.errors import Misconfigured
from oms_hub.sync import import_purchasing as imports
from oms_hub.sync import table_file
from oms_hub.sync.table_file import Field, FieldFault, read_table

D = Decimal
NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)


class PlainHub:
    """As much of a hub as an import needs."""

    def __init__(self, store):
        self.store = store

    def clock(self):
        return NOW


@pytest.fixture
def hub(book):
    book.map_sku("A")
    book.map_sku("B", "1.00")
    return PlainHub(book.store)


@pytest.fixture
def csv(tmp_path):
    def write(*lines: str, name: str = "file.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
        return path

    return write


RECEIPT = "reference,sku,quantity,location,unit_cost,received_at"


def ledger(book):
    return [tuple(row) for row in book.run(
        "SELECT k.sku, v.kind, v.quantity, v.balance_after, v.occurred_at::date::text, v.natural_key FROM hub.movements v "
        "JOIN hub.skus k USING (sku_id) WHERE v.source LIKE 'receive:%' ORDER BY movement_id"
    )]  # fmt: skip


def on_hand(book):
    return dict(tuple(row) for row in book.run(
        "SELECT sku, on_hand FROM hub.balances JOIN hub.skus USING (sku_id) ORDER BY 1"
    ))  # fmt: skip


# ------------------------------------------------------------------------------------------------------ receipts


def test_a_receipt_moves_stock_at_its_instant_once_and_keeps_its_cost(store, book, hub, csv):
    book.move("A", "count", 10, "2026-03-01T09:00")
    file = csv(RECEIPT, "PO:1,A,5,,2.50,2026-03-10T08:00", "PO:1,B,3,main,,2026-03-10")
    done = imports.receive_stock(hub, "acme", file)
    assert (done.added, done.known, done.booked, done.waiting, done.seen) == (2, 0, 1, 1, 0)
    assert ledger(book) == [("A", "receipt", 5, 15, "2026-03-10", f"receipt:PO%3A1:{book.skus['A']}:{book.place}")]
    again = imports.receive_stock(hub, "acme", file)
    assert (again.added, again.known, again.booked, again.waiting) == (0, 2, 0, 1)
    assert on_hand(book) == {"A": 15, "B": 0}
    reports.refresh_touched(store)
    found = reports.frame(store, "inventory_daily")
    assert list(zip(found["business_date"].astype(str), found["received"], found["value"], strict=True)) == [
        ("2026-03-01", 0, D("25.00")), ("2026-03-10", 5, D("37.50")),
    ]  # fmt: skip
    dirty = book.run("SELECT count(*) FROM hub.stock_dirty WHERE sku_id = :s", s=book.skus["A"])
    assert dirty.scalar_one() == 1


def test_a_receipt_before_the_newest_count_is_absorbed_and_before_the_first_was_seen(book, hub, csv):
    book.move("A", "count", 10, "2026-03-05T09:00")
    book.run("UPDATE hub.balances SET counted_at = '2026-03-15T00:00Z'")
    file = csv(RECEIPT, "late,A,5,,2,2026-03-10T08:00", "first,A,4,,2,2026-03-05T08:00", "next,A,3,,2,2026-03-16")
    done = imports.receive_stock(hub, "acme", file)
    assert (done.added, done.booked, done.seen) == (3, 2, 1)
    assert [row[1:4] for row in ledger(book)] == [("receipt", 5, 15), ("count", -5, 10), ("receipt", 3, 13)]
    assert on_hand(book) == {"A": 13}


def test_a_receipt_that_waited_is_booked_by_importing_it_again_after_the_count(book, hub, csv):
    file = csv(RECEIPT, "R,A,5,,2,2026-03-10T08:00")
    assert imports.receive_stock(hub, "acme", file).waiting == 1
    book.run("UPDATE hub.balances SET counted_at = '2026-03-09T00:00Z'")
    done = imports.receive_stock(hub, "acme", file)
    assert (done.known, done.booked, done.waiting) == (1, 1, 0)
    assert on_hand(book) == {"A": 5}


def test_without_an_instant_a_receipt_is_of_now_and_the_same_file_later_is_the_same(book, hub, csv):
    book.move("A", "count", 10, "2026-03-01T09:00")
    file = csv("sku,reference,quantity", "A,R,5")
    assert imports.receive_stock(hub, "acme", file).booked == 1
    assert imports.receive_stock(hub, "acme", file).known == 1
    assert book.run("SELECT received_at, unit_cost FROM hub.receipts").all() == [(NOW, None)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["R,A,5,,-2,"], "file.csv: 1 row is wrong: line 2: unit_cost -2 is below 0"),
        (["R,A,5,,NaN,"], "line 2: unit_cost 'NaN' is not a number"),
        (["R,A,5,,two,"], "line 2: unit_cost 'two' is not a number"),
        (["R,A,0,,2,"], "line 2: quantity 0 is below 1"),
        (["R,A,1.5,,2,"], "line 2: quantity '1.5' is not a whole number"),
        (["R,A,,,2,"], "line 2: quantity is missing"),
        (["R,A,99999999999,,2,"], "line 2: quantity 99999999999 is too large"),
        ([",A,5,,2,"], "line 2: reference is missing"),
        (["R,X,5,,2,"], "line 2: unknown SKU 'X'"),
        (["R,A,5,moon,2,"], "line 2: unknown location 'moon'"),
        (["R,A,5,,2,2027-01-01"], "line 2: received_at 2027-01-01 is in the future"),
        (["R,A,5,,2,10.03.2026"], "line 2: received_at '10.03.2026' is not an ISO date or time"),
        (["R,A,5"], "line 2: 3 fields instead of 6"),
        (["R,A,5,,2,", "R,A,6,,2,"], "line 3: R, A stands in line 2 already"),
        (["R,A,5,,2,", "R,A,6,main,2,"], "line 3: receipt R of A stands in line 2 already"),
        (["R,A,5,,2,", "R,X,-5,,2,"], "line 3: quantity -5 is below 1"),
    ],
)  # fmt: skip
def test_a_wrong_row_refuses_the_whole_file(book, hub, csv, lines, message):
    with pytest.raises(Misconfigured, match="wrong") as refused:
        imports.receive_stock(hub, "acme", csv(RECEIPT, *lines))
    assert message in str(refused.value)
    assert refused.value.remedy.startswith("Nothing was applied: correct the file and import it again")
    assert book.run("SELECT count(*) FROM hub.receipts").scalar_one() == 0
    assert ledger(book) == []


def test_a_receipt_that_stands_with_other_figures_is_refused(book, hub, csv):
    book.move("A", "count", 10, "2026-03-01T09:00")
    imports.receive_stock(hub, "acme", csv(RECEIPT, "R,A,5,,2.50,2026-03-10T08:00"))
    for changed in ("R,A,6,,2.50,2026-03-10T08:00", "R,A,5,,2.60,2026-03-10T08:00", "R,A,5,,2.50,2026-03-11"):
        with pytest.raises(Misconfigured) as refused:
            imports.receive_stock(hub, "acme", csv(RECEIPT, changed))
        assert "line 2: receipt R of A stands already with 5 units at 2.5, received 2026-03-10 07:00Z" in str(
            refused.value
        )
    assert on_hand(book) == {"A": 15}


# ------------------------------------------------------------------------- orders, terms, rates and channel costs


def test_purchase_orders_are_added_changed_and_closed(book, hub, csv):
    file = csv("reference,sku,quantity,expected_on", "P1,A,10,2026-04-01", "P1,B,5,")
    assert imports.import_purchase_orders(hub, "acme", file) == imports.Written(2, 0)
    assert imports.import_purchase_orders(hub, "acme", file) == imports.Written(0, 0)
    assert imports.import_purchase_orders(hub, "acme", csv("reference,sku,quantity", "P1,A,0")) == imports.Written(0, 1)
    assert book.run("SELECT quantity, expected_on FROM hub.purchase_orders ORDER BY quantity").all() == [
        (0, None),
        (5, None),
    ]
    with pytest.raises(Misconfigured, match="line 2: unknown SKU 'X'"):
        imports.import_purchase_orders(hub, "acme", csv("reference,sku,quantity", "P1,X,1"))


def test_terms_have_sensible_defaults_and_their_service_level_becomes_a_factor(book, hub, csv):
    assert imports.import_purchase_terms(hub, "acme", csv("sku,lead_time_days", "A,7.5")) == imports.Written(1, 0)
    columns = (
        "lead_time_days, lead_time_sd_days, cover_days, minimum_quantity, pack_size, service_level, service_factor"
    )
    assert tuple(book.run(f"SELECT {columns} FROM hub.purchase_terms").one()) == (
        D("7.5"), 0, 0, 1, 1, D("0.95"), D("1.6449"),
    )  # fmt: skip
    header = "sku,supplier,lead_time_days,lead_time_sd_days,cover_days,minimum_quantity,pack_size,service_level"
    assert imports.import_purchase_terms(hub, "acme", csv(header, "A,Mill,5,1,14,24,12,0.5")) == imports.Written(0, 1)
    assert tuple(book.run(f"SELECT {columns}, supplier FROM hub.purchase_terms").one()) == (
        5, 1, 14, 24, 12, D("0.5"), 0, "Mill",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("A,Mill,-5,1,14,24,12,0.95", "lead_time_days -5 is below 0"),
        ("A,Mill,5,1,14,0,12,0.95", "minimum_quantity 0 is below 1"),
        ("A,Mill,5,1,14,24,0,0.95", "pack_size 0 is below 1"),
        ("A,Mill,5,1,14,24,12,0.4", "service_level 0.4 is below 0.5"),
        ("A,Mill,5,1,14,24,12,1", "service_level 1 is above 0.9999"),
        ("A,Mi\x07ll,5,1,14,24,12,0.9", "supplier has characters that cannot be printed"),
    ],
)
def test_impossible_terms_are_refused(hub, csv, row, message):
    header = "sku,supplier,lead_time_days,lead_time_sd_days,cover_days,minimum_quantity,pack_size,service_level"
    with pytest.raises(Misconfigured) as refused:
        imports.import_purchase_terms(hub, "acme", csv(header, row))
    assert f"line 2: {message}" in str(refused.value)


def test_rates_are_added_and_corrected_and_change_reports_at_once(store, book, make, hub, csv):
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 1, "10.00"), currency="USD"))
    reports.refresh_touched(store)
    assert reports.frame(store, "sales_base_daily")["total_sales"].isna().all()
    assert imports.import_rates(hub, csv("date,currency,base,rate", "2026-03-10,USD,EUR,0.9")) == imports.Written(1, 0)
    assert imports.import_rates(hub, csv("date,currency,base,rate", "2026-03-10,USD,EUR,0.80")) == imports.Written(0, 1)
    assert list(reports.frame(store, "sales_base_daily")["total_sales"]) == [D("8.00")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["2026-03-10,USD,EUR,0"], "line 2: rate 0 is not above 0"),
        (["2026-03-10,USD,EUR,-1"], "line 2: rate -1 is below 0"),
        (["2026-03-10,usd,EUR,1"], "line 2: currency 'usd' is not a currency code like EUR"),
        (["2026-03-10,USD,,1"], "line 2: base is missing"),
        (["10/03/2026,USD,EUR,1"], "line 2: date '10/03/2026' is not a day like 2026-11-22"),
        ([",USD,EUR,1"], "line 2: date is missing"),
        (["2026-03-10,EUR,EUR,1"], "line 2: a rate of a currency to itself"),
        (["2026-03-10,USD,EUR,1", "2026-03-10,USD,EUR,1"], "line 3: 2026-03-10, USD, EUR stands in line 2 already"),
    ],
)
def test_impossible_and_doubled_rates_are_refused(book, hub, csv, rows, message):
    with pytest.raises(Misconfigured) as refused:
        imports.import_rates(hub, csv("date,currency,base,rate", *rows))
    assert message in str(refused.value)
    assert book.run("SELECT count(*) FROM hub.exchange_rates").scalar_one() == 0


def test_channel_costs_hold_from_their_day(book, hub, csv):
    header = "connection,currency,valid_from,fee_percent,fee_per_order,shipping_per_order"
    assert imports.import_channel_costs(hub, "acme", csv(header, "shop,EUR,2026-01-01,12.5,,4")) == imports.Written(
        1, 0
    )
    assert tuple(book.run("SELECT fee_percent, fee_per_order, shipping_per_order FROM hub.channel_costs").one()) == (
        D("12.5"), 0, 4,
    )  # fmt: skip
    for row, message in (
        ("shoop,EUR,2026-01-01,1,1,1", "unknown connection 'shoop'"),
        ("shop,EUR,2026-01-01,101,1,1", "fee_percent 101 is above 100"),
    ):
        with pytest.raises(Misconfigured) as refused:
            imports.import_channel_costs(hub, "acme", csv(header, row))
        assert message in str(refused.value)


def test_a_cost_method_is_chosen_by_its_name(book, hub):
    assert imports.choose_cost_method(hub, "acme", "fifo")
    assert not imports.choose_cost_method(hub, "acme", "fifo")
    with pytest.raises(Misconfigured, match="There is no cost method 'lifo'") as refused:
        imports.choose_cost_method(hub, "acme", "lifo")
    assert refused.value.remedy == "Known methods: weighted_average, fifo"
    with pytest.raises(Misconfigured, match="There is no merchant 'acne'"):
        imports.choose_cost_method(hub, "acne", "fifo")


# ---------------------------------------------------------------------------------------------- files as a whole

FIELDS = (Field("code", table_file.words), Field("units", table_file.whole, is_required=False, default=7))


def test_columns_stand_in_any_order_and_missing_ones_have_their_default(csv):
    rows = read_table(csv("\ufeffUnits, code", "3,x", "", ",y"), FIELDS, key=("code",))
    assert [(row.line, dict(row.values)) for row in rows] == [
        (2, {"units": 3, "code": "x"}), (4, {"units": 7, "code": "y"}),
    ]  # fmt: skip
    assert [row.values["units"] for row in read_table(csv("code", "x"), FIELDS, key=("code",))] == [7]


@pytest.mark.parametrize(
    ("content", "message", "remedy"),
    [
        (None, "file.csv cannot be read: No such file or directory", "Correct the path"),
        (b"  \n", "file.csv is empty", "Its first line must be code,[units]"),
        (b"code\nx\xff", "file.csv is not UTF-8", "Save it as comma-separated text (CSV) in UTF-8"),
        (b"code\nx\0", "file.csv is a binary file", "Save it as comma-separated text (CSV) in UTF-8"),
        (b"units\n1", "The header of file.csv lacks code", "Its first line must be code,[units] (those in"),
        (b"code,colour\n1,2", "The header of file.csv has the column colour", "Its first line must be"),
        (b"code,code\n1,2", "The header of file.csv has the column names twice", "Its first line must be"),
        (b"code\n", "file.csv has a header and no rows", "Add rows below code,[units]"),
        (b'code\n"x', "file.csv is no readable CSV: unexpected end of data", "Save it as"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path, content, message, remedy):
    path = tmp_path / "file.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Misconfigured) as refused:
        read_table(path, FIELDS, key=("code",))
    assert str(refused.value) == message
    assert refused.value.remedy.startswith(remedy)


def test_a_file_that_is_too_large_is_refused(csv, monkeypatch):
    monkeypatch.setattr(table_file, "_MOST_BYTES", 5)
    with pytest.raises(Misconfigured, match="larger than 5 bytes"):
        read_table(csv("code", "x"), FIELDS, key=("code",))


def test_only_the_first_twenty_wrong_rows_are_told(csv):
    with pytest.raises(Misconfigured) as refused:
        read_table(csv("code,units", *(f"{n},x" for n in range(23))), FIELDS, key=("code",))
    assert str(refused.value).startswith("file.csv: 23 rows are wrong: line 2: units 'x' is not a whole number; line 3")
    assert str(refused.value).endswith("; and 3 more")


def test_an_instant_with_its_own_zone_keeps_it():
    read = table_file.an_instant(ZoneInfo("Europe/Madrid"), NOW)
    assert read("2026-03-10T08:00").astimezone(UTC).hour == 7
    assert read("2026-03-10T08:00+00:00").astimezone(UTC).hour == 8
    with pytest.raises(FieldFault, match="in the future"):
        read("2026-03-20T13:01:00+00:00")


# --------------------------------------------------------------------------------------------------- the commands


def test_the_commands_take_files_and_say_what_they_did(acme):
    files = {
        "skus.csv": "sku,location,quantity\nA,,5\n",
        "receipts.csv": "reference,sku,quantity,unit_cost\nR1,A,5,2\n",
        "orders.csv": "reference,sku,quantity\nP1,A,5\n",
        "terms.csv": "sku,lead_time_days\nA,5\n",
        "rates.csv": "date,currency,base,rate\n2026-03-10,USD,MXN,18\n",
    }
    for name, content in files.items():
        (acme.folder / name).write_text(content, encoding="utf-8")
    assert acme("stock", "import", "skus.csv", "--merchant", "acme", "--create-skus").exit_code == 0
    told = [
        acme("stock", "receive", "receipts.csv", "--merchant", "acme").stdout,
        acme("stock", "receive", "receipts.csv", "--merchant", "acme").stdout,
        acme("stock", "order", "orders.csv", "--merchant", "acme").stdout,
        acme("stock", "terms", "terms.csv", "--merchant", "acme").stdout,
        acme("rates", "import", "rates.csv").stdout,
        acme("costs", "method", "fifo", "--merchant", "acme").stdout,
        acme("costs", "method", "fifo", "--merchant", "acme").stdout,
    ]
    assert told == [
        "1 receipts taken, 0 stood already, 1 moved stock.\n",
        "0 receipts taken, 1 stood already, 0 moved stock.\n",
        "1 purchase order lines added, 0 changed.\n",
        "1 SKUs with purchase terms added, 0 changed.\n",
        "1 rates added, 0 changed.\n",
        "Costs of acme are found by fifo from now on.\n",
        "acme uses fifo already.\n",
    ]
    (acme.folder / "fees.csv").write_text("connection,currency,valid_from\nshop,MXN,2026-01-01\n", encoding="utf-8")
    refused = acme("costs", "import", "fees.csv", "--merchant", "acme")
    assert (refused.exit_code, refused.complaint[:54]) == (1, "fees.csv: 1 row is wrong: line 2: unknown connection '")
    (acme.folder / "old.csv").write_text(
        "reference,sku,quantity,received_at,location\nR2,A,5,2020-01-01,\nR3,A,1,,north\n", encoding="utf-8"
    )
    assert acme("locations", "add", "north", "--merchant", "acme").exit_code == 0
    assert acme("stock", "receive", "old.csv", "--merchant", "acme").stdout.splitlines() == [
        "2 receipts taken, 0 stood already, 0 moved stock.",
        "  1 are dated before the first count of their place, which saw them.",
        "  1 wait until their SKU is counted at that place (oms-hub stock import); then import again.",
    ]
