"""Listings, plans, pushes, reports and the purge of what they say about themselves."""

from __future__ import annotations

import struct
from base64 import b64decode
from datetime import date
from decimal import Decimal

import dagster as dg
import pytest

from assets.charts import MAX_BYTES, picture, stacked_bars
from assets.metadata import column_schema, counts_of, markdown_table
from assets.progress import window_of
from oms_hub.reports import REPORTS
from oms_hub.store.report_ties import TIES


@pytest.fixture
def stocked(world):
    """Give an account that was pulled, listed, counted and planned."""
    account = world.connect()
    world.add_partitions("shop")
    assert world.run("sync_fake", "shop").success
    assert world.run("listings_fake", "shop").success
    world.count_stock()
    return account


def test_listings_and_levels_are_read_by_one_job(world, metadata):
    world.connect()
    world.add_partitions("shop")
    result = world.run("listings_fake", "shop")
    assert metadata(result, "raw_fake__listings") == {"seen": 12, "linked": 12, "unmapped": 0, "duplicates": 0}
    assert metadata(result, "raw_fake__stock") == {"read": 11, "untracked": 1}


def test_a_plan_shows_what_it_would_change(world, stocked, metadata):
    plan = metadata(world.run("plan_push"), "core__push_plan")
    assert (plan["merchants"], plan["raised"] + plan["lowered"]) == (1, 10)
    lines = plan["plan"].splitlines()
    assert lines[0] == "| merchant | connection | listing | from | to | reason |"
    assert len(lines) == 2 + 10
    assert lines[2].startswith("| acme | shop | L0 | ")


def test_a_push_shows_each_row_and_changes_the_shop(world, stocked, metadata):
    world.run("plan_push")
    pushed = metadata(world.run("deliver_fake", "shop"), "out_fake__stock_push")
    assert pushed["applied"] == 10
    assert len(pushed["pushes"].splitlines()) == 2 + 10
    available = world.scalar("SELECT desired FROM hub.listing_levels WHERE listing_key = 'L1'")
    assert stocked.shop.level("CUP-01") == available


def test_a_dry_run_of_a_push_sends_nothing(world, stocked, metadata):
    world.run("plan_push")
    with stocked.proxy.watched() as requests:
        result = world.run("deliver_fake", "shop", out_fake__stock_push={"is_dry_run": True})
    assert metadata(result, "out_fake__stock_push")["held_back_because_push_is_off"] == 10
    assert requests == []


def test_every_report_table_is_materialised_and_sales_bring_their_picture(world, stocked, metadata):
    result = world.run("refresh_report_tables")
    assert result.success
    assert {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()} == {
        f"out__{name}" for name in REPORTS
    }
    sales = metadata(result, "out__sales_daily")
    assert sales["rows_written"] == world.scalar("SELECT count(*) FROM reports.sales_daily")
    assert set(metadata(result, "out__stock_levels")) == {"rows_written"}
    checked = result.get_asset_check_evaluations()
    assert {check.check_name for check in checked} == {*TIES, "keeps_its_contract"}
    assert len(checked) == len(TIES) + len(REPORTS)
    assert [check.asset_key for check in checked if not check.passed] == []


def test_the_picture_shows_the_last_fortnight(world, stocked, metadata):
    world.hub.clock.now = world.scalar("SELECT max(placed_at) FROM hub.orders")
    shown = metadata(world.run("refresh_report_tables"), "out__sales_daily")["total_sales_EUR"]
    head, _, data = shown.partition("base64,")
    assert head == "![Total sales by business day, EUR](data:image/png;"
    png = b64decode(data.rstrip(")"))
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">II", png[16:24]) == (512, 224)
    assert len(png) < MAX_BYTES


def test_reports_that_do_not_tie_make_the_run_red(world, stocked):
    assert world.run("refresh_report_tables").success
    import psycopg

    with psycopg.connect(world.hub.store.database_url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE reports.sales_daily SET total_sales = total_sales + 0.01")
    result = world.run("refresh_report_tables")
    assert not result.success
    assert [check.check_name for check in result.get_asset_check_evaluations() if not check.passed] == [
        "total_sales_are_orders_minus_refunds"
    ]


DAYS = [date(2026, 11, day) for day in range(1, 15)]


def test_a_picture_with_amounts_below_zero_stays_small():
    series = {f"channel {n}": [Decimal(n * 10 - day) for day in range(14)] for n in range(7)}
    assert len(stacked_bars(DAYS, series, title="Total sales by business day, EUR")) < MAX_BYTES


def test_a_picture_that_is_too_big_for_an_event_is_left_out():
    assert picture(b"x" * (MAX_BYTES + 1), "Total sales") == dg.MetadataValue.md("Total sales")


def test_a_table_shows_twenty_rows_and_counts_the_rest():
    lines = markdown_table(("sku", "note"), [(f"A{n}", "a|b\nc" if n == 0 else None) for n in range(23)]).value
    assert lines.splitlines()[:4] == ["| sku | note |", "| --- | --- |", "| A0 | a\\|b c |", "| A1 |  |"]
    assert lines.endswith("\n… and 3 more rows")


def test_only_counts_and_instants_of_a_report_are_shown(frozen_clock):
    from dataclasses import dataclass
    from typing import Any

    @dataclass
    class Report:
        rows: int
        at: Any
        detail: str

    shown = counts_of(Report(3, frozen_clock.now, "a buyer"))
    assert shown == {"rows": 3, "at": "2026-11-22T12:00:00+00:00"}
    assert counts_of("no report") == {}


def test_columns_without_comment_have_no_description():
    (column,) = column_schema([{"name": "a", "type": "text", "description": ""}]).columns
    assert (column.name, column.type, column.description) == ("a", "text", None)


def test_of_a_cursor_only_short_plain_values_are_shown():
    after = {"watermark": "2026-11-22", "page_id": 7, "walk": {"after": 1}, "files": "x" * 81}
    assert window_of({}, after) == {"from": {}, "to": {"watermark": "2026-11-22", "page_id": 7}}
