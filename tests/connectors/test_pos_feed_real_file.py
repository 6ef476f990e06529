"""A real shop's export goes through as it is, by configuration alone, to the penny."""

import csv
import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.pos_feed import CHANNEL
from oms_hub.channel.contract import ChannelSession, Connection, PullRequest
from oms_hub.domain.orders import OrderKind, close_gap

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT.parent / "shared" / "data" / "online-retail" / "transactions-2010-12.csv"
SETTINGS = {
    "path": str(FILE),
    "delimiter": ";",
    "decimal": ",",
    "datetime_format": "%d/%m/%Y %H:%M",
    "time_zone": "Europe/London",
    "currency": "GBP",
    "columns": json.dumps(
        {
            "order_id": "InvoiceNo",
            "sku": "StockCode",
            "description": "Description",
            "quantity": "Quantity",
            "sold_at": "InvoiceDate",
            "unit_price": "UnitPrice",
            "customer": "CustomerID",
            "country": "Country",
        }
    ),
    "not_goods": json.dumps(
        {
            "POST": "shipping",
            "DOT": "shipping",
            "C2": "shipping",
            "M": "adjustment",
            "D": "discount",
            "BANK CHARGES": "fee",
        }
    ),
    "credit_note_prefix": "C",
}
CONNECTION = Connection(1, "till", "pos_feed", "shop", "GBP", "Europe/London", SETTINGS)


class NoSecrets:
    def get(self, name):
        return None


@pytest.fixture(scope="module")
def rows():
    if not FILE.is_file():
        pytest.skip("the online-retail file is not at ../shared/data/online-retail")
    with FILE.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


@pytest.fixture(scope="module")
def orders(rows):
    session = ChannelSession(CONNECTION, NoSecrets(), lambda: datetime(2026, 11, 22, tzinfo=UTC), lambda _: None)
    payloads = defaultdict(list)
    for page in CHANNEL.order_source(session, PullRequest({})):
        for record in CHANNEL.split_page(page.kind, page.body):
            payloads[record.record_id].append(record.payload)
    return {order_id: CHANNEL.parse_order(found, CONNECTION) for order_id, found in payloads.items()}


def row_amount(row):
    return int(row["Quantity"]) * Decimal(row["UnitPrice"].replace(",", "."))


def business_day(row):
    day, month, year = map(int, row["InvoiceDate"].split()[0].split("/"))
    return date(year, month, day)


def refund_value(order):
    return sum(
        (
            sum((line.amount + line.tax_amount for line in refund.lines), Decimal(0))
            + refund.shipping_amount
            + refund.shipping_tax_amount
            + refund.other_amount
            for refund in order.refunds
        ),
        Decimal(0),
    )


def test_each_business_day_ties_to_the_penny(rows, orders):
    expected, found = defaultdict(Decimal), defaultdict(Decimal)
    for row in rows:
        expected[business_day(row)] += row_amount(row)
    for order in orders.values():
        day = order.placed_at.astimezone(ZoneInfo("Europe/London")).date()
        found[day] += order.total - refund_value(order)
    assert len(expected) == 4
    assert found == expected
    assert sum(found.values()) == sum(map(row_amount, rows))


def test_each_receipt_ties_and_its_parts_add_up(rows, orders):
    expected = defaultdict(Decimal)
    for row in rows:
        expected[row["InvoiceNo"]] += row_amount(row)
    assert {order_id: order.total - refund_value(order) for order_id, order in orders.items()} == expected
    assert [order.label for order in orders.values() if close_gap(order)[1] != 0] == []


def test_every_receipt_and_unit_is_there_once(rows, orders):
    assert len(orders) == 512
    notes = [order for order in orders.values() if order.kind is OrderKind.CREDIT_NOTE]
    assert len(notes) == len({row["InvoiceNo"] for row in rows if row["InvoiceNo"].startswith("C")})
    assert {order.total for order in notes} == {Decimal(0)}
    sold, expected = Counter(), Counter()
    for order in orders.values():
        skus = {line.line_id: line.sku for line in order.lines}
        for shipment in order.shipments:
            for line in shipment.lines:
                sold[skus[line.line_id]] += line.quantity
    codes = json.loads(SETTINGS["not_goods"])
    for row in rows:
        if int(row["Quantity"]) > 0 and row["UnitPrice"] != "0" and row["StockCode"] not in codes:
            expected[row["StockCode"]] += int(row["Quantity"])
    assert sold == expected


def test_stock_corrections_are_kept_and_are_no_sales(orders):
    corrections = [order for order in orders.values() if not order.is_sale]
    assert len(corrections) == 45
    assert {order.channel_state for order in corrections} == {"stock_correction"}
    assert {order.total for order in corrections} == {Decimal(0)}
    assert [order.shipments for order in corrections] == [()] * 45


def test_codes_that_are_not_goods_become_charges_and_refunds(orders):
    assert [(charge.kind, charge.amount) for charge in orders["536370"].charges] == [("shipping", Decimal(54))]
    assert [(charge.kind, charge.amount) for charge in orders["536779"].charges] == [("fee", Decimal(15))]
    discount = orders["C536379"]
    assert (discount.refunds[0].other_amount, discount.refunds[0].lines) == (Decimal("27.5"), ())
    assert orders["536544"].customer is None
    assert orders["536365"].customer.channel_customer_id == "17850"


def test_the_same_sku_twice_on_a_receipt_counts_twice(rows, orders):
    lines = [line for line in orders["536409"].lines if line.sku == "22111"]
    wanted = [row for row in rows if row["InvoiceNo"] == "536409" and row["StockCode"] == "22111"]
    assert [line.line_id for line in lines] == ["22111", "22111#2"]
    assert len(wanted) == 2


@pytest.fixture
def hub(rows, database_url):
    from oms_hub.channel.secrets import SecretBox
    from oms_hub.store.connections import add_connection
    from oms_hub.store.engine import open_store_at
    from oms_hub.store.merchants import add_merchant
    from oms_hub.sync.hub import Hub

    store = open_store_at(database_url)
    hub = Hub(store, {"pos_feed": CHANNEL}, SecretBox([b"k" * 32]), sleep=lambda _: None)
    with store.begin() as tx:
        merchant = add_merchant(tx, "shop", currency="GBP", time_zone="Europe/London")
        add_connection(tx, "till", merchant=merchant, channel="pos_feed", settings=SETTINGS)
    yield hub
    store.close()


def test_the_daily_sales_report_equals_the_file_day_by_day(hub, rows):
    from oms_hub.reports import frame, refresh_touched
    from oms_hub.sync.normalise_orders import normalise_orders
    from oms_hub.sync.pull_orders import pull_orders

    pulled = pull_orders(hub, "till")
    normalised = normalise_orders(hub, "till")
    refresh_touched(hub.store)
    assert (pulled.records_new, normalised.written, normalised.quarantined, normalised.mismatches) == (512, 512, 0, 0)
    expected = defaultdict(Decimal)
    for row in rows:
        expected[business_day(row)] += row_amount(row)
    report = frame(hub.store, "sales_daily")
    found = {row.business_date: row.total_sales for row in report.itertuples()}
    assert {getattr(day, "date", lambda day=day: day)(): total for day, total in found.items()} == expected
    again = pull_orders(hub, "till")
    assert (again.pages, again.records, normalise_orders(hub, "till").records) == (0, 0, 0)
