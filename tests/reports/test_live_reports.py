"""The reports that are computed when read: stock, listings, health, exceptions."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest
from sqlalchemy import text

from oms_hub import reports
from oms_hub.errors import Misconfigured
from oms_hub.reports.contract import check
from oms_hub.store.frames import plain_rows

D = Decimal


def run(store, statement, **given):
    with store.begin() as tx:
        return tx.execute(text(statement), given)


def rows(store, name, *columns):
    frame = reports.frame(store, name)
    assert check(name, frame) == ()
    return list(plain_rows(frame[list(columns)]))


def tie_of(store, name):
    return next(tie for tie in reports.ties(store, "acme") if tie.name == name)


def add_sku(book, sku, cost=None):
    book.map_sku(sku, cost)
    return book.skus[sku]


def add_place(store, book, code):
    return run(
        store, "INSERT INTO hub.locations (merchant_id, code) VALUES (:m, :c) RETURNING location_id",
        m=book.merchant_id, c=code,
    ).scalar_one()  # fmt: skip


def main_place(store, book):
    return run(store, "SELECT location_id FROM hub.locations WHERE is_default AND merchant_id = :m",
               m=book.merchant_id).scalar_one()  # fmt: skip


def count(store, book, sku_id, place, on_hand, *, unavailable=0, incoming=0, is_counted=True):
    run(
        store,
        "INSERT INTO hub.balances (sku_id, location_id, merchant_id, on_hand, unavailable, incoming, counted_at) "
        "VALUES (:s, :p, :m, :h, :u, :i, CASE WHEN :c THEN now() END)",
        s=sku_id, p=place, m=book.merchant_id, h=on_hand, u=unavailable, i=incoming, c=is_counted,
    )  # fmt: skip
    run(
        store,
        "INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, balance_after, "
        "occurred_at, source, natural_key, cause) VALUES (:m, :s, :p, 'count', :h, 0, :h, now(), 'test', :k, 'count')",
        m=book.merchant_id, s=sku_id, p=place, h=on_hand, k=f"count {sku_id} {place}",
    )  # fmt: skip


def hold(store, *, allocated=0, reserved=0, place=None, line="l"):
    run(
        store,
        "UPDATE hub.order_lines SET allocated_quantity = :a, reserved_quantity = :r, channel_location_id = :p "
        "WHERE line_id = :l",
        a=allocated, r=reserved, p=place, l=line,
    )  # fmt: skip


LEVELS = ("sku", "location", "on_hand", "allocated", "reserved", "unavailable", "available", "incoming", "value")


def test_a_level_is_what_is_there_less_what_is_held_and_is_never_clamped(store, book, make):
    sku = add_sku(book, "A", "2.50")
    count(store, book, sku, main_place(store, book), 2, unavailable=1, incoming=5)
    book.put(
        "shop", make.order("1", "2026-03-10T10:00", make.line("l", "A", 3, "7.00"), make.line("k", "A", 1, "7.00"))
    )
    hold(store, allocated=3)
    hold(store, reserved=1, line="k")
    assert rows(store, "stock_levels", *LEVELS) == [("A", "main", 2, 3, 1, 1, -3, 5, D("5.00"))]
    assert tie_of(store, "stock_levels_are_the_ledger").is_ok


def test_a_hold_stands_at_the_place_that_the_channel_assigned(store, book, make):
    sku = add_sku(book, "A")
    north = add_place(store, book, "north")
    count(store, book, sku, main_place(store, book), 10)
    count(store, book, sku, north, 20)
    run(
        store, "INSERT INTO hub.location_links (connection_id, channel_location_id, merchant_id, location_id) "
        "VALUES (:c, 'gid-7', :m, :p), (:c, 'gid-8', :m, NULL)",
        c=book.connections["shop"], m=book.merchant_id, p=north,
    )  # fmt: skip
    lines = [make.line(name, "A", 1, "1.00") for name in ("a", "b", "c")]
    book.put("shop", make.order("1", "2026-03-10T10:00", *lines))
    hold(store, allocated=1, place="gid-7", line="a")
    hold(store, allocated=2, place="gid-8", line="b")
    hold(store, allocated=4, place=None, line="c")
    assert rows(store, "stock_levels", "location", "allocated", "available", "value") == [
        ("main", 6, 4, None), ("north", 1, 19, None),
    ]  # fmt: skip


def test_a_hold_at_a_place_that_was_never_counted_is_not_lost(store, book, make):
    sku = add_sku(book, "A")
    north, south = add_place(store, book, "north"), add_place(store, book, "south")
    count(store, book, sku, north, 20)
    count(store, book, sku, south, 20)
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("a", "A", 3, "1.00")))
    hold(store, allocated=3, line="a")
    assert rows(store, "stock_levels", "location", "allocated") == [("north", 3), ("south", 0)]
    count(store, book, sku, main_place(store, book), 20)
    assert rows(store, "stock_levels", "location", "allocated") == [("main", 3), ("north", 0), ("south", 0)]


def test_a_held_pack_holds_as_many_units_as_it_has(store, book, make):
    sku = add_sku(book, "A")
    count(store, book, sku, main_place(store, book), 20)
    run(
        store,
        "INSERT INTO hub.listings (connection_id, listing_key, merchant_id, sku_id, link_state, pack_size) "
        "VALUES (:c, 'six', :m, :s, 'manual', 6)",
        c=book.connections["shop"], m=book.merchant_id, s=sku,
    )  # fmt: skip
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("a", "A", 2, "1.00", listing_key="six")))
    hold(store, allocated=2, line="a")
    assert rows(store, "stock_levels", "allocated", "available") == [(12, 8)]


def test_a_held_bundle_holds_its_components(store, book, make):
    count(store, book, add_sku(book, "A"), main_place(store, book), 20)
    kit = add_sku(book, "KIT")
    run(store, "INSERT INTO hub.bundle_components (bundle_sku_id, component_sku_id, merchant_id, units) "
        "VALUES (:b, :c, :m, 3)", b=kit, c=book.skus["A"], m=book.merchant_id)  # fmt: skip
    book.put("shop", make.order("1", "2026-03-10T10:00", make.line("a", "KIT", 2, "1.00"), make.line("b", "A", 1, "1")))
    hold(store, allocated=2, line="a")
    hold(store, reserved=1, line="b")
    assert rows(store, "stock_levels", "sku", "allocated", "reserved", "available") == [("A", 6, 1, 13)]


def test_safety_stock_is_the_skus_own_or_the_merchants(store, book):
    for sku in ("A", "B"):
        count(store, book, add_sku(book, sku), main_place(store, book), 20)
    assert rows(store, "stock_levels", "sku", "safety_stock") == [("A", 0), ("B", 0)]
    run(store, "INSERT INTO hub.policies (merchant_id, scope, sku_id, safety_stock) VALUES (:m, 'merchant', NULL, 2), "
        "(:m, 'sku', :s, 5)", m=book.merchant_id, s=book.skus["A"])  # fmt: skip
    assert rows(store, "stock_levels", "sku", "safety_stock", "available") == [("A", 5, 20), ("B", 2, 20)]


def test_a_sku_without_a_count_shows_no_level(store, book):
    count(store, book, add_sku(book, "A"), main_place(store, book), 3, is_counted=False)
    assert rows(store, "stock_levels", "sku") == []


def test_a_balance_that_is_not_its_movements_breaks_the_tie(store, book):
    count(store, book, add_sku(book, "A"), main_place(store, book), 3)
    run(store, "UPDATE hub.balances SET on_hand = 4")
    assert (
        tie_of(store, "stock_levels_are_the_ledger").detail == "1 of 1 figures differ, first acme A main: 4 against 3"
    )
    assert tie_of(store, "snapshots_close_at_the_levels").detail == "0 figures tie"
    reports.refresh_touched(store)
    assert tie_of(store, "snapshots_close_at_the_levels").detail == (
        "1 of 1 figures differ, first acme A main: 4 against 3"
    )


LISTINGS = {
    # listing key: (columns of listings, columns of listing_levels or None, has an open push)
    "gone": ({"is_active": False}, None, False),
    "new": ({}, None, False),
    "twice": ({"link_state": "duplicate"}, None, False),
    "left": ({"link_state": "ignored"}, None, False),
    "endless": ({"sku": True, "is_tracked": False}, None, False),
    "theirs": ({"sku": True, "is_writable": False}, None, False),
    "sending": ({"sku": True}, {"desired": 3, "acknowledged": 2}, True),
    "uncounted": ({"sku": True}, None, False),
    "equal": ({"sku": True}, {"desired": 3, "acknowledged": 3, "observed": 4}, False),
    "refused": ({"sku": True}, {"desired": 3, "acknowledged": 2, "last_error": "no such item"}, False),
    "differs": ({"sku": True}, {"desired": 3, "acknowledged": None}, False),
}


@pytest.mark.parametrize("is_push_enabled", [True, False])
def test_every_listing_says_where_it_stands(store, book, is_push_enabled):
    shop = book.connections["shop"]
    run(store, "UPDATE hub.connections SET is_push_enabled = :p", p=is_push_enabled)
    sku = add_sku(book, "A")
    for key, (listing, level, is_open) in LISTINGS.items():
        is_linked = listing.get("sku", False)
        run(
            store,
            "INSERT INTO hub.listings (connection_id, listing_key, merchant_id, sku_id, link_state, is_tracked, "
            "is_writable, is_active) VALUES (:c, :k, :m, :s, :l, :t, :w, :a)",
            c=shop, k=key, m=book.merchant_id, s=sku if is_linked else None,
            l=listing.get("link_state", "automatic" if is_linked else "unmapped"),
            t=listing.get("is_tracked", True), w=listing.get("is_writable", True), a=listing.get("is_active", True),
        )  # fmt: skip
        if level is not None:
            run(
                store,
                "INSERT INTO hub.listing_levels (connection_id, listing_key, merchant_id, desired, acknowledged, "
                "observed, last_error) VALUES (:c, :k, :m, :d, :a, :o, :e)",
                c=shop, k=key, m=book.merchant_id, d=level["desired"], a=level["acknowledged"],
                o=level.get("observed"), e=level.get("last_error", ""),
            )  # fmt: skip
        if is_open:
            run(
                store,
                "INSERT INTO hub.outbox (merchant_id, connection_id, listing_key, to_level, cause) "
                "VALUES (:m, :c, :k, 3, 'sold')",
                m=book.merchant_id, c=shop, k=key,
            )  # fmt: skip
    found = {row[0]: row[1:] for row in rows(store, "channel_levels", "listing", "sku", "state", "desired", "observed")}
    assert {key: value[1] for key, value in found.items()} == {
        "gone": "inactive", "new": "unmapped", "twice": "duplicate", "left": "ignored", "endless": "untracked",
        "theirs": "not_writable", "sending": "pending", "uncounted": "no_level", "equal": "in_step",
        "refused": "rejected", "differs": "waiting" if is_push_enabled else "push_off",
    }  # fmt: skip
    assert found["equal"] == ("A", "in_step", 3, 4)
    assert found["new"] == (None, "unmapped", None, None)


def test_health_counts_what_waits_and_how_old_the_news_are(store, book):
    shop = book.connections["shop"]
    run(
        store,
        "INSERT INTO hub.connection_health (connection_id, merchant_id, last_good_pull_at, consecutive_failures, "
        "last_failure) VALUES (:c, :m, now() - interval '90 s', 2, 'push: refused')",
        c=shop, m=book.merchant_id,
    )  # fmt: skip
    for step, state, ago in (("pull_orders", "succeeded", 300), ("pull_orders", "succeeded", 100),
                             ("pull_orders", "failed", 10), ("pull_stock", "succeeded", 5)):  # fmt: skip
        run(
            store, "INSERT INTO hub.sync_runs (merchant_id, connection_id, step, state, started_at) "
            "VALUES (:m, :c, :step, :state, now() - make_interval(secs => :ago))",
            m=book.merchant_id, c=shop, step=step, state=state, ago=ago,
        )  # fmt: skip
    for kind, reference, state in (("unmapped_sku", "A", "open"), ("unmapped_sku", "B", "open"),
                                   ("bad_payload", "1", "open"), ("bad_payload", "2", "resolved")):  # fmt: skip
        run(
            store, "INSERT INTO hub.exceptions (merchant_id, connection_id, kind, reference, message, state) "
            "VALUES (:m, :c, :k, :r, 'm', :s)", m=book.merchant_id, c=shop, k=kind, r=reference, s=state,
        )  # fmt: skip
    run(
        store, "INSERT INTO hub.outbox (merchant_id, connection_id, listing_key, to_level, cause, state) VALUES "
        "(:m, :c, 'a', 1, '', 'open'), (:m, :c, 'b', 1, '', 'dead'), (:m, :c, 'b', 1, '', 'dead'), "
        "(:m, :c, 'b', 1, '', 'delivered')", m=book.merchant_id, c=shop,
    )  # fmt: skip
    book.quarantine("shop", "x", "2026-03-10T10:00")
    run(store, "INSERT INTO hub.touched_days VALUES (:m, :c, '2026-03-10')", m=book.merchant_id, c=shop)
    run(store, "UPDATE hub.connections SET state = 'removed' WHERE name = 'till'")

    frame = reports.frame(store, "sync_health")
    assert check("sync_health", frame) == ()
    assert list(frame["connection"]) == ["shop"]
    row = frame.iloc[0]
    assert timedelta(seconds=row["pull_age_seconds"]) == row["as_of"] - row["last_good_pull_at"]
    assert 100 <= row["lag_seconds"] < 160
    assert pd.isna(row["last_good_push_at"])
    assert pd.isna(row["push_age_seconds"])
    names = ("state", "consecutive_failures", "last_failure", "open_exceptions", "open_by_kind", "pending_pushes",
             "dead_pushes", "quarantined", "days_waiting", "is_push_enabled")  # fmt: skip
    assert tuple(row[name] for name in names) == (
        "active", 2, "push: refused", 3, "bad_payload: 1, unmapped_sku: 2", 1, 2, 1, 1, False,
    )  # fmt: skip


def test_only_open_exceptions_are_shown_and_chosen_by_their_day(store, book, make):
    for connection, kind, state, opened in (
        (book.connections["shop"], "bad_payload", "open", "2026-03-10T23:30"),
        (None, "out_of_stock", "open", "2026-03-12T10:00"),
        (None, "out_of_stock", "dismissed", "2026-03-12T10:00"),
    ):
        run(
            store,
            "INSERT INTO hub.exceptions (merchant_id, connection_id, kind, reference, message, state, opened_at) "
            "VALUES (:m, :c, :k, 'ref', 'what happened', :s, :at)",
            m=book.merchant_id, c=connection, k=kind, s=state, at=make.at(opened),
        )  # fmt: skip
    names = ("connection", "channel", "kind", "opened_date", "occurrences")
    day = make.at("2026-03-11T00:00").date()
    assert rows(store, "exceptions", *names) == [
        ("shop", "shopify", "bad_payload", day, 1), ("", "", "out_of_stock", day + timedelta(days=1), 1),
    ]  # fmt: skip
    assert len(reports.frame(store, "exceptions", day_from=day, day_to=day)) == 1


def test_days_are_refused_where_there_are_none_or_reversed(store, book, make):
    day = make.at("2026-03-11T00:00").date()
    with pytest.raises(Misconfigured, match="stock_levels shows the present and has no days"):
        reports.frame(store, "stock_levels", day_from=day)
    with pytest.raises(Misconfigured, match="The days are reversed: 2026-03-12 is after 2026-03-11"):
        reports.frame(store, "sales_daily", day_from=day + timedelta(days=1), day_to=day)


def test_days_choose_inclusively(store, book, make):
    for day in (10, 11, 12):
        book.put("shop", make.order(str(day), f"2026-03-{day}T10:00", make.line("l", "A", 1, "7.00")))
    reports.refresh_touched(store)
    first = make.at("2026-03-10T00:00").date()
    found = reports.frame(store, "sales_daily", day_from=first, day_to=first + timedelta(days=1))
    assert list(found["business_date"]) == [first, first + timedelta(days=1)]
    assert list(reports.frame(store, "sales_daily", day_from=first + timedelta(days=2))["units"]) == [1]
