"""Normalising: raw records become orders, once, whatever comes in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from oms_hub.channel.contract import RecordMode
from oms_hub.errors import Conflict
from oms_hub.store.engine import Store
from oms_hub.store.exceptions import dismiss_exception, list_exceptions
from oms_hub.store.quarantine import list_quarantine
from oms_hub.store.status_history import order_history
from oms_hub.sync.hub import Hub
from oms_hub.sync.normalise_orders import NormaliseReport, normalise_orders, retry_quarantined
from oms_hub.sync.pull_orders import pull_orders

Order = Callable[..., dict[str, Any]]
KEPT = (
    "orders", "order_lines", "order_charges", "order_taxes", "order_discounts", "payments", "refunds", "refund_lines",
    "order_channel_fees", "returns", "return_lines", "shipments", "shipment_lines", "order_stock_events", "order_status_history",
    "customers", "movements", "exceptions", "quarantine",
)  # fmt: skip


def sync(hub: Hub) -> NormaliseReport:
    pull_orders(hub, "shop-1")
    return normalise_orders(hub, "shop-1")


def rows(store: Store, query: str) -> list[Any]:
    with store.read() as tx:
        return list(tx.execute(text(query)).all())


def everything(store: Store) -> dict[str, list[Any]]:
    """Return all rows that normalising may write."""
    return {table: sorted(rows(store, f"SELECT * FROM hub.{table}"), key=repr) for table in KEPT}


def states(store: Store) -> dict[str, tuple[str, str, str]]:
    return {
        row.channel_order_id: (row.state, row.payment_state, row.fulfilment_state)
        for row in rows(store, "SELECT * FROM hub.orders")
    }


def open_kinds(store: Store) -> set[tuple[str, str]]:
    with store.read() as tx:
        return {(each.kind, each.reference) for each in list_exceptions(tx)}


def add_skus(hub: Hub, *skus: str) -> None:
    with hub.store.begin() as tx:
        for sku in skus:
            tx.execute(text("INSERT INTO hub.skus (merchant_id, sku) VALUES (1, :sku)"), {"sku": sku})


def test_an_order_is_stored_with_all_its_parts(hub: Hub, memory: Any, make_order: Order) -> None:
    add_skus(hub, "MUG")
    memory.page(
        make_order(
            "1001", 5, placed=1, total="34.80", customer="c7", country="MX", charges=["10"],
            lines=[
                {"sku": "MUG", "units": 2, "price": "10", "taxes": ["1.60", "1.60"], "title": "A \\ mug\tor\ntwo"},
                {"sku": None, "units": 1, "price": "1.60"},
            ],
        )
    )  # fmt: skip
    assert sync(hub) == NormaliseReport(records=1, written=1, unmapped_lines=1)
    (order,) = rows(hub.store, "SELECT * FROM hub.orders")
    assert (order.label, order.currency, order.total, order.adjustment_amount) == (
        "#1001", "MXN", Decimal("34.80"), Decimal(0),
    )  # fmt: skip
    assert order.placed_at == datetime(2026, 11, 22, 12, 1, tzinfo=UTC)
    assert order.channel_updated_at == datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
    assert (order.raw_page_id, order.raw_position, order.channel_customer_id) == (1, 0, "c7")
    assert rows(
        hub.store,
        "SELECT l.line_id, l.position, s.sku, l.title, l.quantity, l.gross_amount, l.tax_amount, l.allocated_quantity"
        " FROM hub.order_lines l LEFT JOIN hub.skus s USING (sku_id) ORDER BY l.position",
    ) == [
        ("l0", 0, "MUG", "A \\ mug\tor\ntwo", 2, Decimal("20"), Decimal("3.20"), 2),
        ("l1", 1, None, "A mug", 1, Decimal("1.60"), Decimal(0), 1),
    ]
    assert rows(hub.store, "SELECT owner, position, amount, rate FROM hub.order_taxes ORDER BY 1, 2") == [
        ("line:l0", 0, Decimal("1.60"), Decimal("0.16")),
        ("line:l0", 1, Decimal("1.60"), Decimal("0.16")),
    ]
    assert rows(hub.store, "SELECT charge_id, kind, amount FROM hub.order_charges") == [("c0", "shipping", Decimal(10))]
    assert rows(hub.store, "SELECT channel_customer_id, country FROM hub.customers") == [("c7", "MX")]
    assert rows(hub.store, "SELECT business_date FROM hub.touched_days") == [(date(2026, 11, 22),)]


def test_a_second_run_without_news_does_nothing(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"), make_order("2"))
    sync(hub)
    before = rows(hub.store, "SELECT xmin::text, * FROM hub.orders ORDER BY 3")
    assert sync(hub) == NormaliseReport()
    assert rows(hub.store, "SELECT xmin::text, * FROM hub.orders ORDER BY 3") == before


def test_a_newer_version_takes_the_place_of_the_stored_one(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 1, customer="c1", country="MX"))
    sync(hub)
    lines = [{"line_id": "other", "units": 3, "price": "5"}]
    memory.page(make_order("1", 2, total="15", lines=lines, customer="c1", country="ES"))
    assert sync(hub).written == 1
    assert rows(hub.store, "SELECT line_id, quantity FROM hub.order_lines") == [("other", 3)]
    assert rows(hub.store, "SELECT total, raw_page_id FROM hub.orders") == [(Decimal(15), 2)]
    assert rows(hub.store, "SELECT country FROM hub.customers") == [("ES",)]


def test_an_older_version_changes_nothing(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 5, state="closed"))
    sync(hub)
    before = everything(hub.store)
    memory.page(make_order("1", 4, state="open", total="99"))
    assert sync(hub) == NormaliseReport(records=1, older=1)
    assert everything(hub.store) == before


def test_the_same_version_that_comes_again_changes_nothing(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 5))
    sync(hub)
    memory.page(make_order("1", 4))
    memory.page(make_order("1", 5))
    before = everything(hub.store)
    assert sync(hub) == NormaliseReport(records=2, unchanged=1)
    assert everything(hub.store) == before


def test_of_two_contents_of_one_moment_the_later_landed_stands(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 5, state="open"), make_order("1", 5, state="closed"))
    sync(hub)
    assert states(hub.store)["1"][0] == "closed"
    memory.page(make_order("1", 5, state="on_hold"))
    sync(hub)
    assert states(hub.store)["1"][0] == "on_hold"


def test_a_bad_record_goes_to_quarantine_and_the_rest_goes_on(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1"), make_order("2", total="rubbish"), make_order("3"))
    assert sync(hub) == NormaliseReport(records=3, written=2, quarantined=1, unmapped_lines=2)
    with hub.store.read() as tx:
        (kept,) = list_quarantine(tx, 1)
        assert (kept.record_id, kept.page_id, kept.position) == ("2", 1, 1)
        assert kept.reason == "an amount is not a number (at total)"
    assert ("bad_payload", "2") in open_kinds(hub.store)
    memory.page(make_order("2", 1))
    assert sync(hub).written == 1
    assert ("bad_payload", "2") not in open_kinds(hub.store)
    with hub.store.read() as tx:
        assert list_quarantine(tx, 1) == []


def test_an_error_that_nobody_foresaw_is_quarantined_by_its_type_without_its_words(
    hub: Hub, memory: Any, make_order: Order
) -> None:
    memory.page(make_order("1", state="the buyer's name"))
    assert sync(hub).quarantined == 1
    with hub.store.read() as tx:
        (kept,) = list_quarantine(tx, 1)
    assert kept.reason == "the record cannot be read (ValueError)"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"says_id": "other"}, "the order bears another id than its record (at id)"),
        ({"lines": [{"line_id": "a", "units": 1, "price": "5"}] * 2}, "two parts of the order have the same id (at lines)"),
        ({"lines": [{"units": 1, "price": "10", "title": "a\x00b"}]}, "a text holds a NUL character"),
        ({"lines": [{"units": 2**31, "price": "10"}]}, "a quantity is out of range (at lines[0])"),
        ({"lines": [{"units": 1, "price": "10", "sku": "s" * 601}]}, "a key has more than 600 characters (at lines[0])"),
        ({"version": 2**63 - 1}, ""),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_exactly_is_quarantined(
    hub: Hub, memory: Any, make_order: Order, fields: dict[str, Any], reason: str
) -> None:
    memory.page(make_order("1", **fields), make_order("2"))
    report = sync(hub)
    with hub.store.read() as tx:
        kept = list_quarantine(tx, 1)
    assert [each.reason for each in kept] == ([reason] if reason else [])
    assert report.written == (1 if reason else 2)


def test_an_order_that_only_the_database_refuses_is_found_and_the_rest_is_stored(
    hub: Hub, memory: Any, make_order: Order
) -> None:
    with hub.store.begin() as tx:
        tx.execute(text("ALTER TABLE hub.order_lines ADD CONSTRAINT no_seven CHECK (quantity <> 7)"))
    lines = [{"units": 7, "price": "1"}]
    memory.page(
        *(make_order(str(n), total="7" if n == 4 else "10", **({"lines": lines} if n == 4 else {})) for n in range(9))
    )
    report = sync(hub)
    assert (report.written, report.quarantined) == (8, 1)
    with hub.store.read() as tx:
        (kept,) = list_quarantine(tx, 1)
        assert (kept.record_id, kept.reason) == ("4", "the store refuses the order (SQLSTATE 23514)")
    assert sorted(states(hub.store)) == ["0", "1", "2", "3", "5", "6", "7", "8"]
    assert sync(hub) == NormaliseReport()


def test_parts_that_do_not_add_up_get_an_adjustment_and_an_exception_until_they_do(
    hub: Hub, memory: Any, make_order: Order
) -> None:
    memory.page(make_order("1", 1, total="11.50"))
    assert sync(hub).mismatches == 1
    assert rows(hub.store, "SELECT charge_id, kind, amount FROM hub.order_charges") == [
        ("hub:adjustment", "adjustment", Decimal("1.50"))
    ]
    assert rows(hub.store, "SELECT adjustment_amount FROM hub.orders") == [(Decimal("1.50"),)]
    with hub.store.read() as tx:
        (found,) = [each for each in list_exceptions(tx) if each.kind == "total_mismatch"]
    assert (found.reference, found.message) == ("1", "The parts of order #1 and its total differ by 1.50 MXN")
    memory.page(make_order("1", 2))
    assert sync(hub).mismatches == 0
    assert rows(hub.store, "SELECT * FROM hub.order_charges") == []
    assert ("total_mismatch", "1") not in open_kinds(hub.store)


def test_queues_follow_the_state_of_the_order(hub: Hub, memory: Any, make_order: Order) -> None:
    add_skus(hub, "MUG")
    memory.page(
        make_order("1", 1, payment="unpaid"),
        make_order("2", 1, state="on_hold"),
        make_order("3", 1, words=["odd"], remarks=["a row changed"]),
        make_order("4", 1, payment="unpaid", is_test=True),
    )
    sync(hub)
    assert open_kinds(hub.store) == {
        ("awaiting_payment", "1"), ("on_hold", "2"), ("unknown_word", "3"), ("source_changed", "3"),
    }  # fmt: skip
    memory.page(make_order("1", 2), make_order("2", 2), make_order("3", 2))
    sync(hub)
    assert open_kinds(hub.store) == {("source_changed", "3")}


def test_each_change_of_a_state_is_in_the_history_from_the_first_on(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 1, payment="unpaid"))
    sync(hub)
    with hub.store.read() as tx:
        assert [(each.field, each.value) for each in order_history(tx, 1, "1")] == [
            ("fulfilment_state", "unfulfilled"), ("payment_state", "unpaid"), ("state", "open"),
        ]  # fmt: skip
    memory.page(make_order("1", 2))
    sync(hub)
    memory.page(make_order("1", 3, state="closed", fulfilment="fulfilled"))
    sync(hub)
    with hub.store.read() as tx:
        course = [(each.field, each.value, each.channel_updated_at.minute) for each in order_history(tx, 1, "1")]
    assert course == [
        ("payment_state", "unpaid", 1),
        ("fulfilment_state", "unfulfilled", 2),
        ("payment_state", "paid", 2),
        ("state", "open", 2),
        ("fulfilment_state", "fulfilled", 3),
        ("state", "closed", 3),
    ]


def test_days_of_both_versions_and_of_refunds_are_touched_in_the_merchants_zone(
    hub: Hub, memory: Any, make_order: Order
) -> None:
    day = 24 * 60
    refund = {"id": "r1", "at": 3 * day, "paid": "10", "lines": [["l0", 1]]}
    memory.page(make_order("1", 1, placed=-7 * 60, refunds=[refund]))
    sync(hub)
    assert rows(hub.store, "SELECT business_date FROM hub.touched_days ORDER BY 1") == [
        (date(2026, 11, 21),), (date(2026, 11, 25),),
    ]  # fmt: skip
    with hub.store.begin() as tx:
        tx.execute(text("DELETE FROM hub.touched_days"))
    memory.page(make_order("1", 2, placed=day, refunds=[{**refund, "at": 5 * day}]))
    sync(hub)
    assert rows(hub.store, "SELECT business_date FROM hub.touched_days ORDER BY 1") == [
        (date(2026, 11, 21),), (date(2026, 11, 23),), (date(2026, 11, 25),), (date(2026, 11, 27),),
    ]  # fmt: skip


def test_an_order_that_is_gone_is_cancelled_and_holds_nothing(hub: Hub, memory: Any, make_order: Order) -> None:
    add_skus(hub, "MUG")
    memory.page(make_order("1", 1, payment="unpaid"), make_order("2", 1))
    sync(hub)
    memory.gone("2", "1", "unknown")
    assert sync(hub) == NormaliseReport(records=3, written=2, unchanged=1)
    (first, second) = rows(
        hub.store,
        "SELECT o.*, l.allocated_quantity + l.reserved_quantity AS held, p.landed_at FROM hub.orders o"
        " JOIN hub.order_lines l USING (connection_id, channel_order_id)"
        " JOIN hub.raw_pages p ON p.page_id = o.raw_page_id ORDER BY channel_order_id",
    )
    for order in (first, second):
        assert (order.state, order.held, order.raw_page_id) == ("cancelled", 0, 2)
        assert order.vanished_at == order.cancelled_at == order.landed_at
    assert open_kinds(hub.store) == set()
    before = everything(hub.store)
    memory.gone("1")
    sync(hub)
    assert everything(hub.store) == before
    with hub.store.read() as tx:
        assert [each.value for each in order_history(tx, 1, "2") if each.field == "state"] == ["open", "cancelled"]


def test_reading_the_same_pages_once_more_changes_nothing(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 1), make_order("2", 1))
    memory.gone("1")
    sync(hub)
    before = everything(hub.store)
    with hub.store.begin() as tx:
        tx.execute(text("DELETE FROM hub.cursors WHERE stream = 'normalise_orders'"))
    assert normalise_orders(hub, "shop-1") == NormaliseReport(records=3, unchanged=2)
    assert everything(hub.store) == before


def test_an_order_that_comes_back_stands_again(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 5))
    memory.gone("1")
    sync(hub)
    assert states(hub.store)["1"][0] == "cancelled"
    memory.page(make_order("1", 4))
    assert sync(hub).written == 1
    assert rows(hub.store, "SELECT state, vanished_at, cancelled_at FROM hub.orders") == [("open", None, None)]
    assert rows(hub.store, "SELECT allocated_quantity FROM hub.order_lines") == [(1,)]


def test_gone_and_back_within_one_batch_is_there(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 5))
    memory.gone("1")
    memory.page(make_order("1", 6))
    sync(hub)
    assert rows(hub.store, "SELECT state, vanished_at FROM hub.orders") == [("open", None)]


def test_a_replay_gives_the_same_rows_and_no_movement(hub: Hub, memory: Any, make_order: Order) -> None:
    add_skus(hub, "MUG")
    shipment = {"id": "s1", "at": 2, "lines": [["l0", 1]]}
    memory.page(make_order("1", 1), make_order("2", 1, total="rubbish"), make_order("3", 1, total="12"))
    sync(hub)
    memory.page(make_order("1", 3, shipments=[shipment], fulfilment="fulfilled"), make_order("4", 1, payment="unpaid"))
    sync(hub)
    memory.page(make_order("1", 2))
    memory.gone("4")
    memory.page(make_order("5", 1, customer="c", words=["odd"], remarks=["changed"]))
    sync(hub)
    before = everything(hub.store)
    cursor = rows(hub.store, "SELECT stream, position FROM hub.cursors ORDER BY 1")
    report = normalise_orders(hub, "shop-1", is_replay=True)
    assert (report.written, report.quarantined, report.movements) == (4, 1, 0)
    after = everything(hub.store)
    assert after.pop("quarantine")[0].attempts == 2
    before.pop("quarantine")
    bad = [each for each in after["exceptions"] if each.kind == "bad_payload"]
    assert [each.occurrences for each in bad] == [2]
    for kept in (before, after):
        kept["exceptions"] = [each for each in kept["exceptions"] if each.kind != "bad_payload"]
    assert after == before
    assert rows(hub.store, "SELECT stream, position FROM hub.cursors ORDER BY 1") == cursor


def test_a_replay_with_a_mended_parser_mends_the_orders_and_empties_the_quarantine(
    hub: Hub, memory: Any, make_order: Order
) -> None:
    memory.page(make_order("1", 1), make_order("2", 1, total="rubbish"))
    sync(hub)
    plain = memory.channel.parse_order

    def mended(payloads: Any, connection: Any) -> Any:
        fixed = [{**payload, "total": "10"} for payload in payloads]
        return replace(plain(fixed, connection), label="mended")

    mending = replace(hub, channels={"practice": replace(memory.channel, parse_order=mended)})
    assert normalise_orders(mending, "shop-1", is_replay=True).written == 2
    assert rows(hub.store, "SELECT channel_order_id, label FROM hub.orders ORDER BY 1") == [
        ("1", "mended"), ("2", "mended"),
    ]  # fmt: skip
    assert ("bad_payload", "2") not in open_kinds(hub.store)


def test_what_is_in_quarantine_can_be_tried_again_alone(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 1), make_order("2", 1, total="rubbish"), make_order("3", 2, total="rubbish"))
    memory.page(make_order("3", 1))
    sync(hub)
    before = rows(hub.store, "SELECT xmin::text FROM hub.orders WHERE channel_order_id = '1'")
    assert retry_quarantined(hub, "shop-1").quarantined == 1
    plain = memory.channel.parse_order
    mended = replace(
        memory.channel, parse_order=lambda payloads, own: plain([{**each, "total": "10"} for each in payloads], own)
    )
    mending = replace(hub, channels={"practice": mended})
    report = retry_quarantined(mending, "shop-1", record_ids=["2", "other"])
    assert (report.records, report.written, report.quarantined) == (1, 1, 0)
    with hub.store.read() as tx:
        assert list_quarantine(tx, 1) == []
    assert sorted(states(hub.store)) == ["1", "2", "3"]
    assert rows(hub.store, "SELECT xmin::text FROM hub.orders WHERE channel_order_id = '1'") == before
    assert retry_quarantined(mending, "shop-1") == NormaliseReport()


def test_what_a_person_dismissed_is_not_opened_again_by_a_replay(hub: Hub, memory: Any, make_order: Order) -> None:
    add_skus(hub, "MUG")
    memory.page(make_order("1", 1, total="12"))
    sync(hub)
    with hub.store.begin() as tx:
        (found,) = list_exceptions(tx)
        dismiss_exception(tx, found.exception_id, "known")
    normalise_orders(hub, "shop-1", is_replay=True)
    assert open_kinds(hub.store) == set()


def test_rows_of_one_order_that_land_in_different_pages_make_one_order(
    hub: Hub, memory: Any, make_order: Order
) -> None:
    memory.record_mode = RecordMode.APPEND
    hub = replace(hub, channels={"practice": memory.channel})
    memory.page(make_order("1", 1), make_order("2", 1))
    assert sync(hub).written == 2
    memory.page(make_order("1", 1, lines=[{"line_id": "second", "units": 2, "price": "5"}]))
    memory.page(make_order("3", 1))
    assert sync(hub) == NormaliseReport(records=3, written=2, unmapped_lines=3)
    assert rows(hub.store, "SELECT total FROM hub.orders ORDER BY channel_order_id") == [
        (Decimal(20),), (Decimal(10),), (Decimal(10),),
    ]  # fmt: skip
    assert rows(hub.store, "SELECT line_id FROM hub.order_lines WHERE channel_order_id = '1' ORDER BY 1") == [
        ("l0",), ("second",),
    ]  # fmt: skip
    before = everything(hub.store)
    with hub.store.begin() as tx:
        tx.execute(text("DELETE FROM hub.cursors WHERE stream = 'normalise_orders'"))
    assert normalise_orders(hub, "shop-1") == NormaliseReport(records=4, unchanged=3)
    assert normalise_orders(hub, "shop-1", is_replay=True).written == 3
    assert everything(hub.store) == before
    memory.gone("1")
    assert sync(hub).written == 1
    assert states(hub.store)["1"][0] == "cancelled"


def test_a_bad_row_keeps_the_order_that_stood_and_says_so(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.record_mode = RecordMode.APPEND
    hub = replace(hub, channels={"practice": memory.channel})
    memory.page(make_order("1", 1))
    sync(hub)
    memory.page(make_order("1", 1, total="rubbish"))
    memory.gone("9")
    assert sync(hub) == NormaliseReport(records=3, quarantined=1, unchanged=1)
    assert rows(hub.store, "SELECT total FROM hub.orders") == [(Decimal(10),)]


def test_a_page_that_can_no_longer_be_split_quarantines_its_records(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 1), make_order("2", 1))
    pull_orders(hub, "shop-1")

    def broken(_kind: str, _body: bytes) -> Any:
        raise KeyError("orders")

    breaking = replace(hub, channels={"practice": replace(memory.channel, split_page=broken)})
    assert normalise_orders(breaking, "shop-1").quarantined == 2
    shorter = replace(memory.channel, split_page=lambda kind, body: memory.channel.split_page(kind, body)[:1])
    report = normalise_orders(replace(hub, channels={"practice": shorter}), "shop-1", is_replay=True)
    assert (report.written, report.quarantined) == (1, 1)
    with hub.store.read() as tx:
        (kept,) = list_quarantine(tx, 1)
    assert (kept.record_id, kept.reason) == ("2", "the page holds fewer records than when it landed")


@pytest.mark.parametrize("moment", ["before the orders", "before the stock", "before the cursor", "before the commit"])
def test_a_death_at_any_moment_leaves_the_batch_undone_and_the_next_run_does_it_once(
    hub: Hub, memory: Any, make_order: Order, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms_hub.sync.normalise_step.MAX_RECORDS", 2)
    add_skus(hub, "MUG")
    shipment = {"id": "s1", "at": 2, "lines": [["l0", 1]]}
    for number in range(3):
        memory.page(*(make_order(f"{number}-{n}", 1, shipments=[shipment]) for n in range(2)))
    pull_orders(hub, "shop-1")
    target = {
        "before the orders": "oms_hub.sync.normalise_step.write_orders",
        "before the stock": "oms_hub.store.orders.apply_order_changes",
        "before the cursor": "oms_hub.sync.normalise_step.write_cursor",
        "before the commit": "oms_hub.sync.normalise_step.write_cursor",
    }[moment]
    module, _, name = target.rpartition(".")
    original = getattr(__import__(module, fromlist=["x"]), name)
    calls: list[int] = []

    def dying(*positional: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2 and moment != "before the commit":
            raise KeyboardInterrupt
        result = original(*positional, **named)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(target, dying)
    with pytest.raises(KeyboardInterrupt):
        normalise_orders(hub, "shop-1")
    assert sorted(states(hub.store)) == ["0-0", "0-1"]
    assert rows(hub.store, "SELECT count(*) FROM hub.order_stock_events") == [(2,)]
    monkeypatch.setattr(target, original)
    assert normalise_orders(hub, "shop-1").written == 4
    assert sorted(states(hub.store)) == ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]
    assert rows(hub.store, "SELECT count(*) FROM hub.order_stock_events") == [(6,)]


def test_normalising_needs_no_access_to_the_channel(hub: Hub, memory: Any, make_order: Order) -> None:
    memory.page(make_order("1", 1))
    pull_orders(hub, "shop-1")
    with hub.store.begin() as tx:
        tx.execute(text("UPDATE hub.connections SET state = 'needs_reconnect'"))
    assert normalise_orders(hub, "shop-1").written == 1


def test_a_step_that_lost_its_lease_writes_no_order(
    hub: Hub, memory: Any, make_order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.page(make_order("1", 1))
    pull_orders(hub, "shop-1")
    plain = memory.channel.parse_order

    def lose_it(payloads: Any, connection: Any) -> Any:
        with hub.store.begin() as tx:
            tx.execute(text("UPDATE hub.leases SET fence = fence + 1"))
        return plain(payloads, connection)

    losing = replace(hub, channels={"practice": replace(memory.channel, parse_order=lose_it)})
    with pytest.raises(Conflict, match="was taken over"):
        normalise_orders(losing, "shop-1")
    assert states(hub.store) == {}


def test_stock_follows_what_was_shipped_and_only_once(hub: Hub, memory: Any, make_order: Order) -> None:
    add_skus(hub, "MUG")
    with hub.store.begin() as tx:
        tx.execute(
            text(
                "INSERT INTO hub.balances (sku_id, location_id, merchant_id, on_hand, counted_at)"
                " SELECT sku_id, location_id, 1, 0, '2026-11-01Z' FROM hub.skus, hub.locations"
            )
        )
    lines = [{"sku": "MUG", "units": 3, "price": "10"}]
    memory.page(make_order("1", 1, total="30", lines=lines))
    assert sync(hub).movements == 0
    assert rows(hub.store, "SELECT allocated_quantity FROM hub.order_lines") == [(3,)]
    shipped = {"id": "s1", "at": 2, "lines": [["l0", 2]]}
    memory.page(make_order("1", 2, total="30", lines=lines, shipments=[shipped], fulfilment="partial"))
    assert sync(hub).movements == 1
    assert rows(hub.store, "SELECT kind, quantity FROM hub.movements") == [("sale", -2)]
    assert rows(hub.store, "SELECT allocated_quantity FROM hub.order_lines") == [(1,)]
    assert normalise_orders(hub, "shop-1", is_replay=True).movements == 0
    assert len(rows(hub.store, "SELECT 1 FROM hub.stock_dirty")) == 1


def test_many_pages_are_taken_in_batches_of_bounded_size(
    hub: Hub, memory: Any, make_order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oms_hub.sync.normalise_step.MAX_RECORDS", 5)
    monkeypatch.setattr("oms_hub.sync.normalise_orders._BATCHES_PER_SWEEP", 1)
    monkeypatch.setattr("oms_hub.sync.pull_orders._PAGES_PER_SWEEP", 1)
    sizes: list[int] = []
    original = __import__("oms_hub.sync.normalise_step", fromlist=["x"]).write_orders

    def watching(*positional: Any, **named: Any) -> Any:
        sizes.append(len(named["writes"].order_ids))
        return original(*positional, **named)

    monkeypatch.setattr("oms_hub.sync.normalise_step.write_orders", watching)
    for number in range(7):
        memory.page(*(make_order(f"{number}-{n}", 1) for n in range(2)))
    assert sync(hub).written == 14
    assert sizes == [6, 6, 2]
    monkeypatch.setattr("oms_hub.sync.normalise_step._MAX_BYTES", 1)
    sizes.clear()
    assert normalise_orders(hub, "shop-1", is_replay=True).written == 14
    assert sizes == [2] * 7


def test_raw_bytes_of_every_page_are_kept_verbatim_even_with_odd_spacing(hub: Hub, memory: Any) -> None:
    body = b' [ {"id": "1", "changed": 1, "total": "10", "lines": [{"units": 1, "price": "10.0"}]} ]\n'
    memory.feed.append(("orders", body, ()))
    assert sync(hub).written == 1
    assert orjson.loads(body)[0]["id"] == "1"
    assert rows(hub.store, "SELECT body_bytes FROM hub.raw_pages") == [(len(body),)]
