"""What the schedules ask for at a tick."""

from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from oms_hub.store.connections import add_connection, set_state


@pytest.fixture
def instance(tmp_path):
    """Give an instance in files: a schedule opens its own by reference, which one in memory has not."""
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def tick(world):
    def evaluate(name):
        defs = world.defs
        built = dg.build_schedule_context(
            instance=world.instance,
            scheduled_execution_time=datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
            resources={"hub": world.hub},
            repository_def=defs.get_repository_def(),
        )
        with built as context, partition_loading_context(dynamic_partitions_store=world.instance):
            return defs.resolve_schedule_def(name).evaluate_tick(context)

    return evaluate


def store_connections(world, count, prefix="shop"):
    with world.hub.store.begin() as tx:
        return [
            add_connection(tx, f"{prefix}-{number:02}", merchant=world.merchant, channel="fake", settings={})
            for number in range(count)
        ]


@pytest.mark.parametrize("name", ["sync_fake_schedule", "listings_fake_schedule", "reconcile_fake_schedule"])
def test_every_active_connection_gets_a_run_of_its_own(world, tick, name):
    stored = store_connections(world, 3)
    with world.hub.store.begin() as tx:
        set_state(tx, stored[1].connection_id, "paused")
    data = tick(name)
    assert [request.partition_key for request in data.run_requests] == ["shop-00", "shop-02"]
    assert [request.run_key for request in data.run_requests] == [
        "shop-00 2026-11-22T12:00:00+00:00",
        "shop-02 2026-11-22T12:00:00+00:00",
    ]
    assert [request.tags["oms_hub/connection"] for request in data.run_requests] == ["shop-00", "shop-02"]
    assert set(world.instance.get_dynamic_partitions("connections")) == {"shop-00", "shop-01", "shop-02"}


def test_without_active_connections_nothing_is_asked_for(world, tick):
    data = tick("sync_fake_schedule")
    assert (data.run_requests, data.skip_message) == ([], "no active connection")


def test_a_connection_whose_last_run_goes_on_is_left_out(world, tick):
    store_connections(world, 2)
    job = world.defs.resolve_job_def("sync_fake")
    for name in ("shop-00", "shop-01"):
        world.instance.create_run_for_job(
            job, status=dg.DagsterRunStatus.STARTED, tags={"oms_hub/connection": name}, run_id=None
        )
        left = [request.partition_key for request in tick("sync_fake_schedule").run_requests]
        assert left == (["shop-01"] if name == "shop-00" else [])
    assert tick("sync_fake_schedule").skip_message == "the last runs go on still"


def test_fifty_connections_have_a_run_each(world, tick):
    store_connections(world, 50)
    assert len(tick("sync_fake_schedule").run_requests) == 50
    data = tick("sync_shard_schedule")
    assert (data.run_requests, data.skip_message) == ([], "no channel has more than 50 active connections")


def test_beyond_fifty_the_schedule_steps_back_and_the_shard_schedule_takes_over(world, tick):
    store_connections(world, 51)
    data = tick("sync_fake_schedule")
    assert (data.run_requests, data.skip_message) == ([], "51 connections: sync_shard takes them")
    (request,) = tick("sync_shard_schedule").run_requests
    names = request.run_config["ops"]["sync_connections"]["config"]["connections"]
    assert names == [f"shop-{number:02}" for number in range(51)]
    assert request.tags["oms_hub/shard"] == "0"
    world.instance.create_run_for_job(
        world.defs.resolve_job_def("sync_shard"),
        run_config=request.run_config,
        status=dg.DagsterRunStatus.STARTED,
        run_id=None,
    )
    assert tick("sync_shard_schedule").skip_message == "the last shard runs go on still"


@pytest.mark.parametrize("name", ["refresh_report_tables_schedule", "purge_old_runs_schedule"])
def test_reports_and_the_purge_are_one_run_each(tick, name):
    assert len(tick(name).run_requests) == 1
