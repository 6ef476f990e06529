"""Allocation and alerts as Dagster runs them, and what their sensors ask for."""

import logging

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from assets.alerts import alerts_asset
from assets.sync_run import SyncOptions, run_sync
from oms_hub.errors import RetryLater
from oms_hub.store.alert_thresholds import put_threshold
from oms_hub.store.allocation_rules import QueueSetting, put_setting
from oms_hub.store.health import record_good

SKU = "CUP-01"


@pytest.fixture
def tick(world):
    """Give a function that evaluates a sensor once and returns what it asks for."""

    def evaluate(name):
        sensor = world.defs.resolve_sensor_def(name)
        built = dg.build_sensor_context(instance=world.instance, definitions=world.defs, resources={"hub": world.hub})
        with built as context, partition_loading_context(dynamic_partitions_store=world.instance):
            return sensor.evaluate_tick(context)

    return evaluate


@pytest.fixture
def low(world):
    """Give a world whose shop was synced and where every SKU is low."""
    world.connect("shop")
    world.count_stock(1)
    run_sync(world.hub, world.instance)
    with world.hub.store.begin() as tx:
        put_threshold(tx, world.merchant.merchant_id, None, 1_000)
    return world


def test_a_plan_allocates_first_and_says_how_much(low, metadata):
    result = low.run("plan_push")

    counts = metadata_counts(metadata(result, "core__allocations"))
    assert result.success
    assert counts["alerts_fired"] == 11
    assert counts["backordered"] == low.scalar("SELECT coalesce(sum(units), 0) FROM hub.backorders")
    assert counts["allocated"] == low.scalar("SELECT coalesce(sum(units), 0) FROM hub.allocations")
    order = [event.asset_key.to_user_string() for event in result.get_asset_materialization_events()]
    assert order == ["core__allocations", "core__push_plan"]


def metadata_counts(found):
    return {name: value for name, value in found.items() if isinstance(value, int)}


def test_a_sync_tells_what_crossed_a_line_once(low, caplog):
    with caplog.at_level(logging.WARNING, logger="oms_hub.notify"):
        outcomes = run_sync(low.hub, low.instance)
        told = [outcome for outcome in outcomes if outcome.step == "alerts"]
        again = run_sync(low.hub, low.instance)

    assert [(outcome.counts["told"], outcome.failures) for outcome in told] == [(11, ())]
    (message,) = [record.message for record in caplog.records if record.name == "oms_hub.notify"]
    assert message.startswith("oms-hub: 11 alerts for acme: low_stock: CUP-00 is low: ")
    assert [outcome.step for outcome in again] == ["pull"]


def test_a_hold_whose_time_is_up_makes_a_sync_allocate_and_plan(low, tick):
    run_sync(low.hub, low.instance)
    assert tick("plan_when_stock_changed").skip_message == "no SKU changed"
    with low.hub.store.begin() as tx:
        put_setting(tx, low.merchant.merchant_id, QueueSetting(hold_minutes=60 * 24 * 300))
        tx.exec_driver_sql("UPDATE hub.order_lines SET reserved_quantity = 1 WHERE allocated_quantity = 1")
        tx.exec_driver_sql("UPDATE hub.order_lines SET allocated_quantity = 0 WHERE reserved_quantity = 1")
    run_sync(low.hub, low.instance)
    unpaid = low.scalar("SELECT count(*) FROM hub.order_lines WHERE reserved_quantity > 0")
    assert unpaid > 0
    low.hub.clock.advance(86_400 * 301)
    assert len(tick("plan_when_stock_changed").run_requests) == 1

    (plan,) = [outcome for outcome in run_sync(low.hub, low.instance) if outcome.step == "plan"]

    assert plan.counts["holds_ended"] == unpaid
    assert low.scalar("SELECT count(*) FROM hub.order_lines WHERE reserved_quantity > 0") == 0


def test_the_alerts_sensor_asks_only_where_something_crossed_a_line(world, tick):
    account = world.connect("shop")
    assert tick("tell_of_alerts").skip_message == "nothing crossed a line"
    with world.hub.store.begin() as tx:
        record_good(
            tx, connection_id=account.stored.connection_id, merchant_id=world.merchant.merchant_id, what="pull",
            at=world.hub.clock(),
        )  # fmt: skip
    world.hub.clock.advance(3_601)
    assert len(tick("tell_of_alerts").run_requests) == 1

    waiting = world.instance.create_run_for_job(
        world.defs.resolve_job_def("tell_alerts"), status=dg.DagsterRunStatus.STARTED, tags={}, run_id=None
    )
    assert tick("tell_of_alerts").skip_message == "a run tells them already"
    world.instance.delete_run(waiting.run_id)
    assert world.run("tell_alerts").success
    assert tick("tell_of_alerts").skip_message == "nothing crossed a line"


def test_a_notifier_that_cannot_be_reached_makes_the_run_red_and_loses_no_alert(low):
    low.run("plan_push")

    def unreachable(_notification):
        raise RetryLater("The notification webhook answered 503", after_seconds=10_000)

    result = dg.materialize(
        [alerts_asset(unreachable)], instance=low.instance, resources={"hub": low.hub}, raise_on_error=False
    )

    assert not result.success
    assert low.scalar("SELECT count(*) FROM hub.alerts WHERE state = 'open' AND told_at IS NULL") >= 11


def test_a_dry_run_still_tells(low):
    outcomes = run_sync(low.hub, low.instance, options=SyncOptions(is_dry_run=True))
    assert "alerts" in [outcome.step for outcome in outcomes]
