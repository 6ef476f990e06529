"""Pull and normalise as Dagster runs them."""

from __future__ import annotations

import dagster as dg

from assets.checks import orders_are_whole
from assets.orders import core_orders_asset


def step_failures(result):
    return [event.step_key for event in result.filter_events(lambda found: found.is_step_failure)]


def test_a_connections_job_pulls_and_normalises_it_and_tells_what_it_did(world, metadata):
    account = world.connect()
    world.add_partitions("shop")
    result = world.run("sync_fake", "shop")
    assert result.success
    raw = metadata(result, "raw_fake__orders")
    assert (raw["pages"], raw["rows_in"], raw["records_new"]) == (3, 25, 25)
    assert raw["window"]["from"] == {}
    assert list(raw["window"]["to"]) == ["watermark"]
    core = metadata(result, "core__orders")
    assert (core["dagster/row_count"], core["rows_in"], core["quarantined"]) == (25, 25, 0)
    assert core["window"] == {"from": {}, "to": {"page_id": world.scalar("SELECT max(page_id) FROM hub.raw_pages")}}
    assert core["lag_seconds"] == raw["lag_seconds"] > 0
    assert core["outcome"].splitlines()[-1] == f"| orders | 25 | 0 | 0 | {core['unmapped_lines']} |"
    assert world.scalar("SELECT count(*) FROM hub.orders") == len(account.shop.order_ids()) == 25


def test_each_materialisation_belongs_to_the_connections_partition_and_the_run_bears_its_tag(world):
    world.connect()
    world.add_partitions("shop")
    result = world.run("sync_fake", "shop")
    assert {event.partition for event in result.get_asset_materialization_events()} == {"shop"}
    assert result.dagster_run.tags["oms_hub/connection"] == "shop"


def test_all_checks_of_the_orders_are_asked_and_pass(world):
    world.connect()
    world.add_partitions("shop")
    result = world.run("sync_fake", "shop")
    assert {check.check_name: check.passed for check in result.get_asset_check_evaluations()} == {
        "raw_has_order_or_exception": True,
        "totals_tie": True,
        "ledger_is_balance": True,
        "no_lost_movement": True,
        "no_unreadable_payload": True,
        "connections_are_fresh": True,
    }


def test_a_second_run_without_news_stores_nothing(world, metadata):
    world.connect()
    world.add_partitions("shop")
    world.run("sync_fake", "shop")
    result = world.run("sync_fake", "shop")
    assert metadata(result, "raw_fake__orders")["records_new"] == 0
    core = metadata(result, "core__orders")
    assert (core["rows_in"], core["written"]) == (0, 0)
    assert core["window"]["from"] == core["window"]["to"]


def test_a_full_pull_walks_the_whole_history_again(world, metadata):
    world.connect()
    world.add_partitions("shop")
    world.run("sync_fake", "shop")
    result = world.run("sync_fake", "shop", raw_fake__orders={"is_full": True})
    raw = metadata(result, "raw_fake__orders")
    assert (raw["pages"], raw["records"], raw["records_new"]) == (3, 25, 0)


def test_a_replay_reads_everything_from_raw_alone(world, metadata):
    account = world.connect()
    world.add_partitions("shop")
    world.run("sync_fake", "shop")
    with account.proxy.watched() as requests:
        result = world.run("normalise_orders", "shop", core__orders={"is_replay": True})
    assert result.success
    core = metadata(result, "core__orders")
    assert (core["rows_in"], core["window"]["from"]) == (25, {})
    assert requests == []


def test_a_payload_in_quarantine_makes_the_run_red_after_the_good_orders_are_stored(world, metadata):
    account = world.connect()
    world.add_partitions("shop")
    account.shop.break_order("1003")
    result = world.run("sync_fake", "shop")
    assert not result.success
    assert metadata(result, "core__orders")["quarantined"] == 1
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.blocking) for check in failed] == [("no_unreadable_payload", True)]
    assert failed[0].metadata["examples"].value == ["1003 (the order cannot be read (TypeError) (at order))"]
    assert world.scalar("SELECT count(*) FROM hub.orders") == 24


def test_the_run_stays_red_until_the_payload_is_mended(world):
    account = world.connect()
    world.add_partitions("shop")
    account.shop.break_order("1003")
    assert not world.run("sync_fake", "shop").success
    assert not world.run("sync_fake", "shop").success
    account.shop.advance_clock(60)
    account.shop.edit_order("1003")
    assert world.run("sync_fake", "shop").success
    assert world.scalar("SELECT count(*) FROM hub.orders") == 25


def test_plan_push_and_reports_go_on_while_a_payload_is_in_quarantine(world):
    account = world.connect()
    world.add_partitions("shop")
    account.shop.break_order("1003")
    world.count_stock()
    assert not world.run("sync_fake", "shop").success
    assert world.run("listings_fake", "shop").success
    assert world.run("plan_push").success
    assert world.run("deliver_fake", "shop").success
    assert world.run("refresh_report_tables").success
    assert world.scalar("SELECT sum(orders) FROM reports.sales_daily") == 24
    assert world.scalar("SELECT count(*) FROM hub.outbox WHERE state = 'delivered'") > 0


def test_a_pull_that_stops_leaves_what_landed_to_the_normalise_job(world, metadata):
    account = world.connect()
    world.add_partitions("shop")
    account.fails(422, nth=2)
    result = world.run("sync_fake", "shop")
    assert step_failures(result) == ["raw_fake__orders"]
    assert world.scalar("SELECT count(*) FROM hub.orders") == 0
    assert metadata(world.run("normalise_orders", "shop"), "core__orders")["written"] == 10
    assert world.scalar("SELECT count(*) FROM hub.orders") == 10


def test_checks_of_a_run_without_partition_ask_about_everything(world):
    world.connect()
    world.add_partitions("shop")
    world.run("sync_fake", "shop")
    result = dg.materialize(
        [core_orders_asset([]), orders_are_whole],
        selection=dg.AssetSelection.checks(orders_are_whole),
        instance=world.instance,
        resources={"hub": world.hub},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True] * 5


def test_a_stale_connection_is_a_warning_and_not_a_failure(world):
    world.connect()
    world.add_partitions("shop")
    world.run("sync_fake", "shop")
    world.hub.clock.advance(3601)
    result = world.run("normalise_orders", "shop")
    assert result.success
    (stale,) = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert (stale.check_name, stale.metadata["stale"].value) == ("connections_are_fresh", ["shop"])
