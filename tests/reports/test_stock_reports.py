"""Stock day by day, what goods cost, how long they last, what to order, how old they are."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from oms_hub import reports
from oms_hub.errors import Misconfigured
from oms_hub.reports.contract import check
from oms_hub.store.frames import plain_rows

D = Decimal


def day(number, month=3):
    return date(2026, month, number)


def rows(store, name, *columns, as_of=None):
    frame = reports.frame(store, name, as_of=as_of)
    assert check(name, frame) == ()
    return list(plain_rows(frame[list(columns)]))


SNAPSHOT = ("business_date", "opening", "received", "sold", "returned", "adjusted", "transferred", "closing")


@pytest.fixture
def goods(book):
    book.map_sku("A", "2.00")
    book.run("INSERT INTO hub.locations (merchant_id, code) VALUES (:m, 'north')")
    return book


def test_snapshots_chain_and_say_what_moved(store, goods):
    for kind, quantity, when in (
        ("count", 10, "2026-03-01T09:00"), ("sale", -3, "2026-03-02T09:00"), ("sale", -1, "2026-03-02T10:00"),
        ("sale", 1, "2026-03-03T10:00"), ("return", 2, "2026-03-03T11:00"), ("adjustment", -4, "2026-03-05T09:00"),
        ("count", 1, "2026-03-05T10:00"), ("transfer_out", -5, "2026-03-06T09:00"), ("sale", -9, "2026-03-07T09:00"),
    ):  # fmt: skip
        goods.move("A", kind, quantity, when)
    goods.receive("A", 20, "3.00", "2026-03-04T09:00")
    written = reports.refresh_touched(store)
    assert (written["inventory_daily"], written["sku_costs"], written["sales_daily"]) == (7, 2, 0)
    assert rows(store, "inventory_daily", *SNAPSHOT) == [
        (day(1), 0, 0, 0, 0, 10, 0, 10), (day(2), 10, 0, 4, 0, 0, 0, 6), (day(3), 6, 0, -1, 2, 0, 0, 9),
        (day(4), 9, 20, 0, 0, 0, 0, 29), (day(5), 29, 0, 0, 0, -3, 0, 26), (day(6), 26, 0, 0, 0, 0, -5, 21),
        (day(7), 21, 0, 9, 0, 0, 0, 12),
    ]  # fmt: skip
    assert {tie.is_ok for tie in reports.ties(store)} == {True}


def test_a_late_movement_opens_later_days_anew_and_leaves_earlier_ones(store, goods):
    north = goods.run("SELECT location_id FROM hub.locations WHERE code = 'north'").scalar_one()
    goods.move("A", "count", 10, "2026-03-01T09:00")
    goods.move("A", "count", 5, "2026-03-01T09:00", north)
    goods.move("A", "sale", -1, "2026-03-08T09:00")
    reports.refresh_touched(store)
    goods.run("UPDATE reports.inventory_rows SET sold = 77, closing = closing WHERE business_date = '2026-03-01'")
    goods.move("A", "sale", -2, "2026-03-05T09:00")
    assert reports.refresh_touched(store)["inventory_daily"] == 2
    found = reports.frame(store, "inventory_daily")
    assert list(zip(found["location"], found["business_date"], found["sold"], found["closing"], strict=True)) == [
        ("main", day(1), 77, 10), ("main", day(5), 2, 8), ("main", day(8), 1, 7), ("north", day(1), 77, 5),
    ]  # fmt: skip
    reports.rebuild(store)
    assert list(reports.frame(store, "inventory_daily")["sold"]) == [0, 2, 1, 0]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-03-28T23:00:00", date(2026, 3, 29)), ("2026-03-29T21:59:59", date(2026, 3, 29)),
        ("2026-03-29T22:00:00", date(2026, 3, 30)), ("2026-10-25T22:59:59", date(2026, 10, 25)),
    ],
)  # fmt: skip
def test_a_movement_stands_on_its_day_whatever_the_clocks_do(store, goods, when, expected):
    goods.move("A", "count", 10, "2026-03-01T09:00")
    reports.refresh_touched(store)
    goods.move("A", "sale", -1, when)
    assert reports.refresh_touched(store)["inventory_daily"] == 1
    assert rows(store, "inventory_daily", *SNAPSHOT)[-1] == (expected, 10, 0, 1, 0, 0, 0, 9)


def test_another_merchants_stock_stays_touched(store, goods, make):
    other = make.book(store, "other", "Asia/Tokyo", ("other-shop",))
    other.map_sku("A")
    other.move("A", "count", 3, "2026-03-01T20:00")
    goods.move("A", "count", 3, "2026-03-01T20:00")
    assert reports.refresh_touched(store, merchant="acme")["inventory_daily"] == 1
    assert reports.refresh_touched(store, merchant="other")["inventory_daily"] == 1
    assert rows(store, "inventory_daily", "merchant", "business_date", "value") == [
        ("acme", day(1), D("6.00")), ("other", day(2), None),
    ]  # fmt: skip
    assert set(reports.rebuild(store, names=["inventory_daily"], merchant="other").values()) == {1}


def average_of(events, first_cost):
    """Give (day, cost) by the rules of the weighted average, without SQL."""
    there, cost, found = 0, first_cost, [(date(1, 1, 1), first_cost)]
    for on, kind, units, price in events:
        if kind == "receipt":
            basis = max(there, 0)
            cost = ((basis * cost + units * price) / (basis + units)).quantize(D("0.000001"))
            found.append((on, cost))
        there += units
    return found


def test_the_average_cost_moves_with_each_receipt_and_with_nothing_else(store, goods):
    history = [
        (day(1), "count", 10, None), (day(2), "receipt", 5, D("3.50")), (day(3), "sale", -12, None),
        (day(4), "receipt", 7, D("1.10")), (day(5), "sale", -30, None), (day(6), "receipt", 4, D("9.99")),
        (day(7), "adjustment", 30, None), (day(8), "receipt", 3, D("5")),
    ]  # fmt: skip
    for on, kind, units, price in history:
        if kind == "receipt":
            goods.receive("A", units, str(price), f"{on}T09:00")
        else:
            goods.move("A", kind, units, f"{on}T09:00")
    reports.refresh_touched(store)
    expected = average_of(history, D("2.00"))
    assert rows(store, "sku_costs", "from_date", "unit_cost", "method") == [
        (on, cost, "weighted_average") for on, cost in expected
    ]
    assert [cost for _, cost in expected[1:]] == [D("2.500000"), D("1.520000"), D("9.990000"), D("9.109412")]
    values = dict(rows(store, "inventory_daily", "business_date", "value"))
    assert (values[day(1)], values[day(3)], values[day(5)]) == (D("20.00"), D("7.50"), D("-30.40"))
    assert values[day(8)] == 17 * D("9.109412")
    assert {tie.is_ok for tie in reports.ties(store)} == {True}


def fifo_of(layers, taken):
    """Give the cost of the first `taken` units; beyond the last layer at its price."""
    cost = D(0)
    for number, (units, price) in enumerate(layers):
        part = taken if number == len(layers) - 1 else min(units, taken)
        cost += part * price
        taken -= part
    return cost


def test_first_in_first_out_takes_layer_after_layer(store, goods):
    goods.run("UPDATE hub.merchants SET cost_method = 'fifo'")
    goods.move("A", "count", 4, "2026-03-01T09:00")
    goods.receive("A", 6, "3.00", "2026-03-02T09:00")
    goods.receive("A", 5, "5.00", "2026-03-04T09:00")
    goods.move("A", "sale", -3, "2026-03-03T09:00")
    goods.move("A", "sale", -4, "2026-03-05T09:00")
    goods.move("A", "adjustment", -2, "2026-03-05T10:00")
    goods.move("A", "sale", -2, "2026-03-06T09:00")
    goods.move("A", "return", 1, "2026-03-07T09:00")
    goods.move("A", "sale", -7, "2026-03-08T09:00")
    reports.refresh_touched(store)
    layers = [(4, D(2)), (6, D(3)), (5, D(5))]

    def issue(before, after):
        return ((fifo_of(layers, after) - fifo_of(layers, before)) / (after - before)).quantize(D("0.000001"))

    costs = {on: (unit, stock) for on, unit, stock in
             rows(store, "sku_costs", "from_date", "unit_cost", "stock_unit_cost")}  # fmt: skip
    assert costs[day(3)] == (issue(0, 3), ((D(2) + 18) / 7).quantize(D("0.000001")))
    assert costs[day(5)] == (issue(3, 7), ((D(3) + 25) / 6).quantize(D("0.000001")))
    assert costs[day(6)][0] == issue(9, 11) == D("4.000000")
    assert costs[day(7)] == (D("5.00"), D("5.000000"))
    assert issue(10, 17) == D("5.000000")
    assert day(8) not in costs
    values = dict(rows(store, "inventory_daily", "business_date", "value"))
    assert values[day(4)] == D("2") + 18 + 25
    assert values[day(6)] == 4 * D(5)
    assert values[day(7)] == 5 * D(5)
    assert values[day(8)] == -2 * D(5)
    reports.rebuild(store)
    assert dict(rows(store, "inventory_daily", "business_date", "value")) == values


def test_a_late_receipt_restates_what_was_sold_ahead_of_it(store, goods):
    goods.run("UPDATE hub.merchants SET cost_method = 'fifo'")
    goods.move("A", "count", 1, "2026-03-01T09:00")
    goods.receive("A", 1, "3.00", "2026-03-02T09:00")
    goods.move("A", "sale", -4, "2026-03-03T09:00")
    reports.refresh_touched(store)
    sold = {on: cost for on, cost in rows(store, "sku_costs", "from_date", "unit_cost")}[day(3)]
    assert sold == ((2 + 3 + 3 + 3) / D(4)).quantize(D("0.000001"))
    goods.receive("A", 2, "10.00", "2026-03-04T09:00")
    reports.refresh_touched(store)
    sold = {on: cost for on, cost in rows(store, "sku_costs", "from_date", "unit_cost")}[day(3)]
    assert sold == ((2 + 3 + 10 + 10) / D(4)).quantize(D("0.000001"))


def test_fifo_without_anything_there_costs_what_receipts_say(store, goods):
    goods.run("UPDATE hub.merchants SET cost_method = 'fifo'")
    goods.map_sku("B")
    goods.receive("B", 5, "4.00", "2026-03-02T09:00", moves=False)
    reports.refresh_touched(store)
    assert rows(store, "sku_costs", "sku", "from_date", "unit_cost") == [("B", date(1, 1, 1), D("4.00"))]


def test_the_cost_method_of_a_merchant_changes_all_its_costs_with_the_next_refresh(store, goods):
    from oms_hub.store.purchasing import cost_method_of, set_cost_method

    goods.move("A", "count", 4, "2026-03-01T09:00")
    goods.receive("A", 4, "4.00", "2026-03-02T09:00")
    goods.move("A", "sale", -2, "2026-03-03T09:00")
    reports.refresh_touched(store)
    assert [cost for (cost,) in rows(store, "sku_costs", "unit_cost")] == [D("2.00"), D("3.00")]
    with store.begin() as tx:
        assert set_cost_method(tx, goods.merchant_id, "fifo")
        assert not set_cost_method(tx, goods.merchant_id, "fifo")
        assert cost_method_of(tx, goods.merchant_id) == "fifo"
    reports.refresh_touched(store)
    assert rows(store, "sku_costs", "from_date", "unit_cost", "stock_unit_cost") == [
        (date(1, 1, 1), D("2.00"), D("2.00")), (day(2), D("2.00"), D("3.00")),
        (day(3), D("2.00"), D("3.333333")),
    ]  # fmt: skip


def test_a_unit_cost_that_a_count_brings_changes_the_costs_before_the_first_receipt(store, goods):
    goods.move("A", "count", 4, "2026-03-01T09:00")
    goods.receive("A", 4, "4.00", "2026-03-02T09:00")
    reports.refresh_touched(store)
    goods.run("UPDATE hub.skus SET unit_cost = 3 WHERE sku_id = :s", s=goods.skus["A"])
    reports.refresh_touched(store)
    assert rows(store, "sku_costs", "from_date", "unit_cost") == [(date(1, 1, 1), D("3.00")), (day(2), D("3.50"))]


def test_receipts_without_cost_change_no_cost(store, goods):
    goods.move("A", "count", 4, "2026-03-01T09:00")
    goods.receive("A", 4, None, "2026-03-02T09:00")
    reports.refresh_touched(store)
    assert rows(store, "sku_costs", "sku") == []
    assert rows(store, "inventory_daily", "received", "value") == [(0, D("8.00")), (4, D("16.00"))]


TODAY = date(2026, 4, 1)
PACE = {5: 2, 10: 4, 20: 8}
"""Units sold by day of March: 14 in the 28 days before the first of April."""


@pytest.fixture
def selling(goods, make):
    goods.move("A", "count", 40, "2026-03-01T09:00")
    for number, units in {1: 50, **PACE}.items():
        when = f"2026-03-{number:02}T10:00"
        goods.put("shop", make.order(str(number), when, make.line("l", "A", units, "5.00")))
        goods.move("A", "sale", -units if number > 1 else -10, when)
    reports.refresh_touched(goods.store)
    return goods


COVER = ("on_hand", "available", "on_order", "units_sold", "daily_units", "days_of_cover", "runs_out_on", "state")


def test_cover_is_what_is_available_by_the_pace_of_the_last_28_days(store, selling):
    (found,) = rows(store, "stock_cover", *COVER, as_of=TODAY)
    assert found == (16, 16, 0, 14, D("0.500000"), D("32.000000"), date(2026, 5, 3), "ok")
    (found,) = rows(store, "stock_cover", "stockout_days", "lost_units", "sell_through", "value", as_of=TODAY)
    assert found == (0, D(0), (D(14) / 30).quantize(D("0.000001")), D("32.00"))


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("INSERT INTO hub.purchase_terms SELECT sku_id, merchant_id, 'S', 40, 0, 0, 1, 1, 0.95, 1.6449 FROM hub.skus", "low"),
        ("UPDATE hub.balances SET on_hand = 0", "out"),
        ("UPDATE hub.balances SET on_hand = 91", "excess"),
        ("DELETE FROM reports.sales_by_sku_rows", "idle"),
    ],
)  # fmt: skip
def test_the_state_of_stock_in_one_word(store, selling, change, state):
    selling.run(change)
    assert rows(store, "stock_cover", "state", as_of=TODAY) == [(state,)]


def test_days_that_ended_empty_are_counted_and_their_lost_units_estimated(store, selling):
    selling.move("A", "sale", -16, "2026-03-25T10:00")
    reports.refresh_touched(store)
    (found,) = rows(store, "stock_cover", "stockout_days", "lost_units", "days_of_cover", "state", as_of=TODAY)
    assert found == (7, (7 * D(14) / 21).quantize(D("0.000001")), D(0), "out")


def test_packs_and_bundles_count_as_what_is_in_them(store, selling, make):
    selling.map_sku("KIT")
    selling.run("INSERT INTO hub.bundle_components (bundle_sku_id, component_sku_id, merchant_id, units) "
                "VALUES (:b, :c, :m, 3)", b=selling.skus["KIT"], c=selling.skus["A"])  # fmt: skip
    selling.run(
        "INSERT INTO hub.listings (connection_id, listing_key, merchant_id, sku_id, link_state, pack_size) "
        "VALUES (:c, 'six', :m, :s, 'manual', 6)", c=selling.connections["shop"], s=selling.skus["A"],
    )  # fmt: skip
    lines = (make.line("k", "KIT", 2, "20.00"), make.line("p", "A", 1, "25.00", listing_key="six"))
    selling.put("shop", make.order("99", "2026-03-30T10:00", *lines))
    reports.refresh_touched(store)
    assert rows(store, "stock_cover", "sku", "units_sold", as_of=TODAY) == [("A", 14 + 2 * 3 + 6)]
    profit = reports.frame(store, "sales_by_sku_daily", day_from=date(2026, 3, 30))
    assert list(zip(profit["sku"], profit["cost"], strict=True)) == [("A", D("12.00")), ("KIT", D("12.00"))]


ORDERED = ("daily_units", "daily_units_sd", "safety_units", "reorder_point", "position", "quantity", "state")


def terms(book, **more):
    given = {"lead": 10, "spread": 2, "cover": 30, "least": 1, "pack": 1, "z": "1.6449", **more}
    book.run(
        "INSERT INTO hub.purchase_terms (sku_id, merchant_id, supplier, lead_time_days, lead_time_sd_days, cover_days, "
        "minimum_quantity, pack_size, service_level, service_factor) SELECT sku_id, merchant_id, 'Mill', :lead, :spread, "
        ":cover, :least, :pack, 0.95, :z FROM hub.skus", **{**given, "z": D(given["z"])},
    )  # fmt: skip


def test_without_terms_nothing_is_ordered_and_it_says_so(store, selling):
    assert rows(store, "reorder", *ORDERED, "arithmetic", as_of=TODAY) == [
        (D("0.5"), D("1.658312"), None, None, 16, None, "no_terms", "")
    ]


def test_the_quantity_follows_from_pace_spread_lead_time_minimum_and_packs(store, selling):
    terms(selling, least=12, pack=10)
    selling.run("UPDATE hub.balances SET on_hand = 5")
    pace, spread = D(14) / 28, (D(4 + 16 + 64) / 28 - D("0.25")).sqrt().quantize(D("0.000001"))
    safety = (D("1.6449") * (10 * spread**2 + pace**2 * 4).sqrt()).quantize(D("0.000001"))
    (found,) = rows(store, "reorder", *ORDERED, as_of=TODAY)
    assert found == (pace, spread, safety, 14, 5, 30, "order")
    (said,) = rows(store, "reorder", "arithmetic", "supplier", as_of=TODAY)
    assert said == (
        "point 14 = ceil(0.5 a day x 10 days + 1.6449 x sqrt(10 x 1.658312^2 + 0.5^2 x 2^2)); position 5 = 5 available "
        "+ 0 incoming + 0 on order; missing 24 = ceil(14 + 0.5 a day x 30 days) - 5; at least 12, in packs of 10: 30",
        "Mill",
    )


@pytest.mark.parametrize(
    ("on_hand", "least", "pack", "quantity"),
    [(15, 1, 1, 0), (14, 1, 1, 15), (14, 40, 1, 40), (14, 40, 12, 48), (-3, 1, 7, 35)],
)
def test_orders_start_at_the_reorder_point(store, selling, on_hand, least, pack, quantity):
    terms(selling, least=least, pack=pack)
    selling.run("UPDATE hub.balances SET on_hand = :h", h=on_hand)
    assert rows(store, "reorder", "quantity", "state", as_of=TODAY) == [(quantity, "order" if quantity else "enough")]


def test_what_is_on_order_counts_until_it_is_received(store, selling):
    terms(selling)
    selling.run("UPDATE hub.balances SET on_hand = 0, incoming = 2")
    selling.run("INSERT INTO hub.purchase_orders (merchant_id, reference, sku_id, quantity) VALUES (:m, 'P1', :s, 9), "
                "(:m, 'P2', :s, 4), (:m, 'P3', :s, 0)", s=selling.skus["A"])  # fmt: skip
    selling.run("INSERT INTO hub.receipts (merchant_id, reference, sku_id, location_id, quantity, received_at, source) "
                "VALUES (:m, 'P1', :s, :p, 3, now(), 't'), (:m, 'P2', :s, :p, 6, now(), 't')",
                s=selling.skus["A"], p=selling.place)  # fmt: skip
    assert rows(store, "reorder", "on_order", "incoming", "position", as_of=TODAY) == [(6, 2, 8)]
    assert rows(store, "stock_cover", "on_order", as_of=TODAY) == [(6,)]


def test_goods_that_nobody_buys_are_never_ordered(store, goods):
    goods.move("A", "count", 0, "2026-03-01T09:00")
    terms(goods)
    assert rows(store, "reorder", "reorder_point", "quantity", "state", as_of=TODAY) == [(0, 0, "enough")]


AGES = ("on_hand", "units_0_30", "units_31_60", "units_61_90", "units_91_180", "units_over_180", "oldest_on",
        "last_sold_on", "value", "dead_value")  # fmt: skip


def test_stock_ages_from_the_day_it_came_and_the_oldest_leaves_first(store, goods):
    today = date(2026, 12, 31)
    for ago, units in ((300, 5), (150, 6), (80, 7), (45, 8), (10, 9)):
        goods.move("A", "count" if ago == 300 else "receipt", units, f"{today - timedelta(days=ago)}T09:00")
    goods.move("A", "sale", -4, f"{today - timedelta(days=5)}T09:00")
    reports.refresh_touched(store)
    assert rows(store, "stock_ageing", *AGES, as_of=today) == [
        (31, 9, 8, 7, 6, 1, today - timedelta(days=300), today - timedelta(days=5), D("62.00"), D("0.00"))
    ]
    goods.move("A", "sale", -1, f"{today - timedelta(days=4)}T09:00")
    goods.move("A", "return", 2, f"{today - timedelta(days=3)}T09:00")
    reports.refresh_touched(store)
    (found,) = rows(store, "stock_ageing", *AGES[:7], as_of=today)
    assert found == (32, 11, 8, 7, 6, 0, today - timedelta(days=150))
    assert rows(store, "stock_ageing", "on_hand", as_of=today - timedelta(days=200)) == [(5,)]


def test_sales_taken_back_on_a_later_day_are_stock_of_that_day(store, goods):
    goods.move("A", "sale", -2, "2026-03-01T09:00")
    goods.move("A", "sale", 5, "2026-03-03T09:00")
    reports.refresh_touched(store)
    assert rows(store, "stock_ageing", "on_hand", "units_0_30", "oldest_on", as_of=day(31)) == [(3, 3, day(3))]


def test_stock_that_nobody_took_for_half_a_year_is_dead(store, goods):
    today = date(2026, 12, 31)
    goods.move("A", "count", 5, f"{today - timedelta(days=300)}T09:00")
    goods.map_sku("B")
    goods.move("B", "count", 5, f"{today - timedelta(days=300)}T09:00")
    goods.map_sku("EMPTY")
    goods.move("EMPTY", "count", 0, f"{today - timedelta(days=300)}T09:00")
    reports.refresh_touched(store)
    assert rows(store, "stock_ageing", "sku", "dead_value", as_of=today) == [("A", D("10.00")), ("B", None)]


def test_a_day_to_look_back_from_is_refused_where_nothing_looks_back(store, book):
    with pytest.raises(Misconfigured, match="sales_daily does not look back from a day") as refused:
        reports.frame(store, "sales_daily", as_of=TODAY)
    assert refused.value.remedy == (
        "Leave out --as-of; it is for stock_cover, reorder, stock_ageing, abc, customers_rfm"
    )
    assert list(reports.frame(store, "abc")["merchant"]) == []
