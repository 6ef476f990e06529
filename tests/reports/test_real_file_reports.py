"""A real shop's export through every table: each figure equals what csv and Decimal alone make of the file."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.pos_feed import CHANNEL
from oms_hub import reports
from oms_hub.channel.secrets import SecretBox
from oms_hub.reports.contract import check
from oms_hub.store.connections import add_connection
from oms_hub.store.engine import open_store_at
from oms_hub.store.merchants import add_merchant
from oms_hub.sync.hub import Hub
from oms_hub.sync.import_purchasing import import_purchase_terms, receive_stock
from oms_hub.sync.import_stock import import_stock
from oms_hub.sync.normalise_orders import normalise_orders
from oms_hub.sync.pull_orders import pull_orders

D = Decimal
FILE = Path(__file__).resolve().parents[3] / "shared" / "data" / "online-retail" / "transactions-2010-12.csv"
LONDON = ZoneInfo("Europe/London")
NOT_GOODS = {
    "POST": "shipping",
    "DOT": "shipping",
    "C2": "shipping",
    "M": "adjustment",
    "D": "discount",
    "BANK CHARGES": "fee",
}
COLUMNS = {"order_id": "InvoiceNo", "sku": "StockCode", "description": "Description", "quantity": "Quantity",
           "sold_at": "InvoiceDate", "unit_price": "UnitPrice", "customer": "CustomerID", "country": "Country"}  # fmt: skip
SETTINGS = {
    "path": str(FILE), "delimiter": ";", "decimal": ",", "datetime_format": "%d/%m/%Y %H:%M", "currency": "GBP",
    "time_zone": "Europe/London", "columns": json.dumps(COLUMNS), "not_goods": json.dumps(NOT_GOODS),
    "credit_note_prefix": "C",
}  # fmt: skip
TODAY = date(2010, 12, 6)
COUNTED, RECEIVED = 300, 100
RECEIVED_ON, RECEIVED_AT_COST = date(2010, 12, 3), D("2.75")


def cost_of(sku):
    return D(len(sku)) / 4


class Row:
    """One line of the file, as plain values."""

    def __init__(self, cells):
        self.invoice, self.sku, self.customer = cells["InvoiceNo"], cells["StockCode"], cells["CustomerID"]
        self.units = int(cells["Quantity"])
        self.price = D(cells["UnitPrice"].replace(",", "."))
        self.at = datetime.strptime(cells["InvoiceDate"], "%d/%m/%Y %H:%M").replace(tzinfo=LONDON)
        self.is_goods = self.sku not in NOT_GOODS
        self.is_note = self.invoice.startswith("C")
        self.amount = self.units * self.price


@pytest.fixture(scope="module")
def file():
    if not FILE.is_file():
        pytest.skip("the online-retail file is not at ../shared/data/online-retail")
    with FILE.open(encoding="utf-8-sig", newline="") as stream:
        return [Row(cells) for cells in csv.DictReader(stream, delimiter=";")]


@pytest.fixture(scope="module")
def invoices(file):
    """Give the rows of each invoice, and the day of its earliest row, which is the day of all of them."""
    found = defaultdict(list)
    for row in file:
        found[row.invoice].append(row)
    corrections = {number for number, rows in found.items() if all(row.is_goods and row.price == 0 for row in rows)}
    assert len(corrections) == 45
    return {number: (min(row.at for row in rows).date(), rows)
            for number, rows in found.items() if number not in corrections}  # fmt: skip


@pytest.fixture(scope="module")
def hub(file, database_pool, server_url, tmp_path_factory):
    name = database_pool.take()
    base, _, rest = server_url.partition("?")
    url = f"{base.rpartition('/')[0]}/{name}" + (f"?{rest}" if rest else "")
    store = open_store_at(url)
    opened = Hub(store, {"pos_feed": CHANNEL}, SecretBox([b"k" * 32]), sleep=lambda _: None)
    with store.begin() as tx:
        merchant = add_merchant(tx, "shop", currency="GBP", time_zone="Europe/London")
        add_connection(tx, "till", merchant=merchant, channel="pos_feed", settings=SETTINGS)
    folder = tmp_path_factory.mktemp("real")
    skus = sorted({row.sku for row in file if row.is_goods})
    _write(folder / "count.csv", "sku,location,quantity,unit_cost,counted_at",
           (f"{sku},,{COUNTED},{cost_of(sku)},2010-11-30T00:00" for sku in skus))  # fmt: skip
    _write(folder / "receipt.csv", "reference,sku,quantity,unit_cost,received_at",
           (f"R1,{sku},{RECEIVED},{RECEIVED_AT_COST},{RECEIVED_ON}" for sku in skus if sku.startswith("22")))  # fmt: skip
    _write(folder / "terms.csv", "sku,lead_time_days,pack_size", (f"{sku},3,12" for sku in skus[:50]))
    import_stock(opened, "shop", folder / "count.csv", create_skus=True)
    pull_orders(opened, "till")
    assert normalise_orders(opened, "till").quarantined == 0
    receive_stock(opened, "shop", folder / "receipt.csv")
    import_purchase_terms(opened, "shop", folder / "terms.csv")
    reports.refresh_touched(store)
    yield opened
    store.close()
    database_pool.give_back(name)


def _write(path, header, rows):
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")


def table(hub, name, **more):
    found = reports.frame(hub.store, name, **more)
    assert check(name, found) == ()
    return found


def test_sales_of_each_day(hub, invoices):
    expected = defaultdict(lambda: defaultdict(D))
    for number, (day, rows) in invoices.items():
        figures = expected[day]
        is_note = number.startswith("C")
        figures["orders"] += 0 if is_note else 1
        for row in rows:
            if is_note:
                assert row.is_goods or NOT_GOODS[row.sku] == "discount"
                figures["returns"] -= row.amount
            elif row.is_goods:
                figures["units"] += row.units
                figures["gross_sales"] += row.amount
            elif NOT_GOODS[row.sku] == "shipping":
                figures["shipping"] += row.amount
            else:
                figures["fees"] += row.amount
            figures["total_sales"] += row.amount
    found = table(hub, "sales_daily")
    for row in found.itertuples():
        wanted = expected[row.business_date]
        names = ("orders", "units", "gross_sales", "returns", "shipping", "fees", "total_sales")
        assert {name: getattr(row, name) for name in names} == {name: wanted[name] for name in names}
        assert row.net_sales == wanted["gross_sales"] - wanted["returns"]
        assert (row.discounts, row.tax, row.cancelled_orders) == (0, 0, 0)
    assert list(found["business_date"]) == sorted(expected)
    base = table(hub, "sales_base_daily")
    assert list(base["total_sales"]) == list(found["total_sales"])
    totals = table(hub, "reconciliation_daily")
    assert (totals["difference"] == 0).all()
    assert totals["channel_total"].sum() == sum(
        row.amount for _, rows in invoices.values() for row in rows if not row.is_note
    )


def test_sales_of_each_sku_and_day_with_their_cost(hub, invoices):
    units, sales, returned = Counter(), defaultdict(D), Counter()
    for day, rows in invoices.values():
        for row in rows:
            if row.is_goods and row.is_note:
                returned[day, row.sku] -= row.units
                sales[day, row.sku] += row.amount
            elif row.is_goods:
                units[day, row.sku] += row.units
                sales[day, row.sku] += row.amount
    found = table(hub, "sales_by_sku_daily")
    own = found[found["sku"] != ""]
    keys = list(zip(own["business_date"], own["sku"], strict=True))
    assert set(keys) == set(sales)
    assert dict(zip(keys, own["units"], strict=True)) == {key: units[key] for key in sales}
    assert dict(zip(keys, own["returned_units"], strict=True)) == {key: returned[key] for key in sales}
    assert dict(zip(keys, own["net_sales"], strict=True)) == sales
    costs = unit_costs(sold_units(invoices))
    assert dict(zip(keys, own["cost"], strict=True)) == {
        (day, sku): units[day, sku] * costs(sku, day) for day, sku in sales
    }  # fmt: skip


def sold_units(invoices):
    """Units that left the shelf: goods with a price, on receipts."""
    sold = Counter()
    for day, rows in invoices.values():
        for row in rows:
            if row.is_goods and not row.is_note and row.price:
                sold[row.sku, day] += row.units
    return sold


def unit_costs(sold):
    """Return the weighted average: counted at its own cost, then one receipt."""
    averages = {}
    for sku in {sku for sku, _ in sold}:
        there = COUNTED - sum(units for (code, day), units in sold.items() if code == sku and day < RECEIVED_ON)
        value = max(there, 0) * cost_of(sku) + RECEIVED * RECEIVED_AT_COST
        averages[sku] = (value / (max(there, 0) + RECEIVED)).quantize(D("0.000001"))

    def cost(sku, day):
        is_averaged = sku.startswith("22") and day >= RECEIVED_ON
        return (
            averages.get(sku, (COUNTED * cost_of(sku) + RECEIVED * RECEIVED_AT_COST) / 400)
            if is_averaged
            else cost_of(sku)
        )

    return cost


def test_refunds_of_each_day(hub, invoices):
    notes = [(day, rows) for number, (day, rows) in invoices.items() if number.startswith("C")]
    expected = defaultdict(lambda: defaultdict(D))
    for day, rows in notes:
        figures = expected[day]
        figures["refunds"] += 1
        figures["orders"] += 1
        figures["returns"] -= sum(row.amount for row in rows)
        figures["returned_units"] -= sum(row.units for row in rows if row.is_goods)
        figures["appeasements"] += all(not row.is_goods for row in rows)
    found = table(hub, "returns_daily")
    for row in found.itertuples():
        wanted = expected[row.business_date]
        assert {name: getattr(row, name) for name in wanted} == dict(wanted)
        assert (row.restocked_units, row.shipping, row.tax, row.total) == (0, 0, 0, wanted["returns"])
    assert len(found) == len(expected) == len({day for day, _ in notes})


def test_a_till_ships_at_once(hub, invoices):
    orders, lines, units = Counter(), Counter(), Counter()
    for number, (day, rows) in invoices.items():
        if not number.startswith("C"):
            orders[day] += 1
            lines[day] += sum(1 for row in rows if row.is_goods and row.price)
            units[day] += sum(row.units for row in rows if row.is_goods and row.price)
    for row in table(hub, "fulfilment_daily").itertuples():
        assert row.orders == orders.pop(row.business_date, 0)
        assert row.lines_to_ship == row.lines_shipped == lines[row.business_date]
        assert row.units_to_ship == row.units_shipped == units[row.business_date]
        assert (row.open_orders, row.fill_rate, row.hours_to_ship) == (0, 1, 0)
    assert not orders


def test_a_till_is_paid_at_once(hub, invoices):
    received, refunded = defaultdict(D), defaultdict(D)
    for number, (day, rows) in invoices.items():
        (refunded if number.startswith("C") else received)[day] += abs(sum(row.amount for row in rows))
    for row in table(hub, "payments_daily").itertuples():
        assert (row.received, row.refunded) == (received[row.business_date], refunded[row.business_date])
        assert (row.net, row.failed) == (row.received - row.refunded, 0)


def test_snapshots_follow_the_file_unit_by_unit(hub, file, invoices):
    sold = sold_units(invoices)
    costs = unit_costs(sold)
    found = table(hub, "inventory_daily")
    levels = {}
    for row in found.itertuples():
        opening = levels.get(row.sku, 0)
        counted = COUNTED if row.business_date == date(2010, 11, 30) else 0
        received = RECEIVED if row.business_date == RECEIVED_ON and row.sku.startswith("22") else 0
        closing = opening + counted + received - sold[row.sku, row.business_date]
        assert (row.opening, row.adjusted, row.received, row.closing) == (opening, counted, received, closing)
        assert row.sold == sold[row.sku, row.business_date]
        assert row.value == closing * costs(row.sku, row.business_date)
        levels[row.sku] = closing
    assert found["sold"].sum() == sum(sold.values())
    assert levels == dict(zip(*(table(hub, "stock_levels")[name] for name in ("sku", "on_hand")), strict=True))
    assert all(tie.is_ok for tie in reports.ties(hub.store))


def test_profit_of_each_day(hub, invoices):
    costs, cost = unit_costs(sold_units(invoices)), defaultdict(D)
    net, shipping = defaultdict(D), defaultdict(D)
    for day, rows in invoices.values():
        for row in rows:
            if row.is_goods or row.is_note:
                net[day] += row.amount
            elif NOT_GOODS[row.sku] == "shipping":
                shipping[day] += row.amount
            if row.is_goods and not row.is_note:
                cost[day] += row.units * costs(row.sku, row.at.date())
    for row in table(hub, "channel_profit_daily").itertuples():
        day = row.business_date
        assert (row.net_sales, row.shipping_charged, row.cost) == (net[day], shipping[day], cost[day])
        assert (row.units_without_cost, row.channel_fees, row.shipping_cost) == (0, None, None)
        assert row.margin == net[day] + shipping[day] - cost[day]


def test_classes_of_goods(hub, invoices):
    net = defaultdict(D)
    for _, rows in invoices.values():
        for row in rows:
            if row.is_goods:
                net[row.sku] += row.amount
    ranked = sorted(net, key=lambda sku: (-net[sku], sku))
    whole, reached, expected = sum(max(amount, D(0)) for amount in net.values()), D(0), {}
    for sku in ranked:
        share = max(net[sku], D(0)) / whole
        expected[sku] = "C" if net[sku] <= 0 or reached >= D("0.95") else "B" if reached >= D("0.8") else "A"
        reached += share
    found = table(hub, "abc", as_of=TODAY)
    assert list(found.sort_values("rank")["sku"]) == ranked
    assert dict(zip(found["sku"], found["class"], strict=True)) == expected
    assert dict(zip(found["sku"], found["net_sales"], strict=True)) == net
    assert Counter(expected.values()).keys() == {"A", "B", "C"}


def test_buyers(hub, invoices):
    orders, spent, last = Counter(), defaultdict(D), {}
    for number, (day, rows) in invoices.items():
        buyer = rows[0].customer
        if buyer:
            spent[buyer] += sum(row.amount for row in rows)
            if not number.startswith("C"):
                orders[buyer] += 1
                last[buyer] = max(day, last.get(buyer, day))
    expected = Counter((orders[buyer], spent[buyer], (TODAY - last[buyer]).days) for buyer in orders)
    found = table(hub, "customers_rfm", as_of=TODAY)
    assert Counter(zip(found["orders"], found["spent"], found["recency_days"], strict=True)) == expected


def test_demand_of_each_hour(hub, invoices):
    expected = Counter()
    for number, (_, rows) in invoices.items():
        hour = min(row.at for row in rows).astimezone(UTC).replace(minute=0)
        for row in rows:
            if row.is_goods and not number.startswith("C"):
                expected[hour, row.sku] += row.units
    found = table(hub, "demand_hourly")
    hours = [instant.to_pydatetime() for instant in found["hour_at"]]
    assert Counter(dict(zip(zip(hours, found["sku"], strict=True), found["units"], strict=True))) == expected
    assert found["units_not_sold"].sum() == 0


def test_cover_and_orders(hub, file, invoices):
    units = Counter()
    for day, rows in invoices.values():
        for row in rows:
            if row.is_goods and not row.is_note and day < TODAY:
                units[row.sku] += row.units
    on_hand = dict(zip(*(table(hub, "stock_levels")[name] for name in ("sku", "on_hand")), strict=True))
    for row in table(hub, "stock_cover", as_of=TODAY).itertuples():
        assert (row.units_sold, row.on_hand) == (units[row.sku], on_hand[row.sku])
        assert row.daily_units == (D(units[row.sku]) / 28).quantize(D("0.000001"))
        cover = max(on_hand[row.sku], 0) * 28 / D(units[row.sku]) if units[row.sku] else None
        assert row.days_of_cover == (cover if cover is None else cover.quantize(D("0.000001")))
    ordered = table(hub, "reorder", as_of=TODAY)
    assert Counter(ordered["state"])["no_terms"] == len(on_hand) - 50
    for row in ordered[ordered["state"] == "order"].itertuples():
        assert row.position <= row.reorder_point
        assert row.quantity % 12 == 0
    aged = table(hub, "stock_ageing", as_of=TODAY)
    assert dict(zip(aged["sku"], aged["on_hand"], strict=True)) == {sku: n for sku, n in on_hand.items() if n > 0}
    for row in aged.itertuples():
        youngest = min(row.on_hand, RECEIVED) if row.sku.startswith("22") else 0
        assert row.oldest_on == (date(2010, 11, 30) if row.on_hand > youngest else RECEIVED_ON)
        assert row.units_0_30 == row.on_hand


def test_all_of_it_can_be_made_again(hub):
    before = {name: table(hub, name) for name in ("sales_daily", "inventory_daily", "fulfilment_daily", "sku_costs")}
    reports.rebuild(hub.store)
    assert [name for name, found in before.items() if not found.equals(table(hub, name))] == []
    assert set(before["sku_costs"]["from_date"]) == {date(1, 1, 1), RECEIVED_ON}
    assert timedelta(days=1) * len(table(hub, "sales_daily")) == timedelta(days=4)
