"""What the sensors ask for, and when they keep still."""

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from assets.sensors import build_sensors
from oms_hub.channel.notifiers import Notification


@pytest.fixture
def tick(world):
    """Give a function that evaluates a sensor once, as the daemon does, and returns (what it asks for, why not)."""

    def evaluate(name, cursor=None):
        defs = world.defs
        sensor = defs.resolve_sensor_def(name)
        built = dg.build_sensor_context(
            instance=world.instance, cursor=cursor, definitions=defs, resources={"hub": world.hub}
        )
        with built as context, partition_loading_context(dynamic_partitions_store=world.instance):
            return sensor.evaluate_tick(context)

    return evaluate


def asked(data):
    return [request.partition_key for request in data.run_requests]


def busy_run(world, job, connection=None):
    tags = {"oms_hub/connection": connection} if connection else {}
    world.instance.create_run_for_job(
        world.defs.resolve_job_def(job), status=dg.DagsterRunStatus.STARTED, tags=tags, run_id=None
    )


def test_a_new_connection_gets_its_partition(world, tick):
    world.connect("first")
    world.connect("second")
    world.add_partitions("first")
    data = tick("new_connections")
    (request,) = data.dynamic_partitions_requests
    assert (request.partitions_def_name, request.partition_keys) == ("connections", ["second"])


def test_where_every_connection_has_its_partition_nothing_is_asked_for(world, tick):
    world.connect("first")
    world.add_partitions("first")
    data = tick("new_connections")
    assert (data.dynamic_partitions_requests, data.skip_message) == ([], "every connection has its partition")


def test_what_landed_of_a_stopped_pull_is_normalised(world, tick):
    for name in ("good", "bad"):
        account = world.connect(name)
        world.add_partitions(name)
    account.fails(422, nth=2)
    world.run("sync_fake", "good")
    assert tick("normalise_waiting").skip_message == "no raw page waits"
    world.run("sync_fake", "bad")
    data = tick("normalise_waiting")
    assert asked(data) == ["bad"]
    assert data.run_requests[0].tags["oms_hub/connection"] == "bad"
    world.run("normalise_orders", "bad")
    assert asked(tick("normalise_waiting")) == []


def test_what_a_run_works_on_already_is_left_to_it(world, tick):
    account = world.connect()
    account.fails(422, nth=2)
    world.add_partitions("shop")
    world.run("sync_fake", "shop")
    busy_run(world, "sync_fake", "shop")
    assert tick("normalise_waiting").skip_message == "a run works on what waits"


def test_a_page_that_could_not_be_split_does_not_wait_to_be_normalised(world, tick):
    from oms_hub.testing.faults import Fault, FaultKind

    account = world.connect()
    world.add_partitions("shop")
    account.proxy.inject(Fault(FaultKind.STATUS, status=200, body=b'{"orders": [{}], "now": "x", "has_more": false}'))
    world.run("sync_fake", "shop")
    assert asked(tick("normalise_waiting")) == []


def test_a_plan_is_asked_for_once_when_stock_changed(world, tick):
    assert tick("plan_when_stock_changed").skip_message == "no SKU changed"
    world.count_stock()
    first = tick("plan_when_stock_changed")
    assert len(first.run_requests) == 1
    again = tick("plan_when_stock_changed", first.cursor)
    assert again.skip_message == "planned already; what waits needs a good pull first"
    world.hub.clock.advance(600)
    assert len(tick("plan_when_stock_changed", first.cursor).run_requests) == 1


def test_no_second_plan_is_asked_for_while_one_waits(world, tick):
    world.count_stock()
    busy_run(world, "plan_push")
    assert tick("plan_when_stock_changed").run_requests == []


def test_what_is_due_in_the_outbox_is_delivered_per_connection(world, tick):
    for name in ("first", "second", "off"):
        world.connect(name, is_push_enabled=name != "off")
        world.add_partitions(name)
        world.run("sync_fake", name)
        world.run("listings_fake", name)
    assert tick("deliver_due_fake").skip_message == "nothing is due"
    world.count_stock()
    assert world.run("plan_push").success
    world.hub.clock.advance(10**6)
    data = tick("deliver_due_fake")
    assert asked(data) == ["first", "second"]
    assert data.run_requests[0].tags["oms_hub/connection"] == "first"
    busy_run(world, "deliver_fake", "first")
    assert asked(tick("deliver_due_fake")) == ["second"]
    assert world.run("deliver_fake", "second").success
    assert asked(tick("deliver_due_fake")) == []


def told(world, result, event_type="job_failure"):
    """Let the failure sensor hear of a run, and return what it sent."""
    sent = []
    (sensor,) = [found for found in build_sensors({}, sent.append) if found.name == "tell_of_failures"]
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_instance=world.instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
    ).for_run_failure()
    sensor(context)
    return sent


def test_a_failed_run_is_told_once_with_our_line_and_no_secret(world):
    account = world.connect()
    world.add_partitions("shop")
    account.fails(401)
    result = world.run("sync_fake", "shop")
    (sent,) = told(world, result)
    assert isinstance(sent, Notification)
    assert sent.subject == "oms-hub: sync_fake failed for shop"
    lines = sent.text.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("Reconnect: oms-hub connections add ... with new credentials")
    assert lines[1] == f"Run {result.run_id}"
    assert "practice-token" not in sent.subject + sent.text


def test_a_run_that_is_red_for_its_checks_tells_what_they_found(world):
    account = world.connect()
    world.add_partitions("shop")
    account.shop.break_order("1003")
    (sent,) = told(world, world.run("sync_fake", "shop"))
    assert sent.text.splitlines()[:-1] == [
        "no_unreadable_payload: 1 found, such as 1003 (the order cannot be read (TypeError) (at order)). "
        "See: oms-hub exceptions list"
    ]


def test_a_failed_run_without_connection_is_told_by_its_job(world):
    result = world.run("sync_shard", sync_connections={"connections": ["nobody"]})
    (sent,) = told(world, result)
    assert sent.subject == "oms-hub: sync_shard failed"
