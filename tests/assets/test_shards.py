"""Many connections in one run."""

import dagster as dg

from assets import shards
from assets.failure_lines import failure_lines
from assets.shards import shard_run_requests


def lines_of(result):
    return list(failure_lines(result.all_events))


def news_of(result):
    events = result.filter_events(lambda event: event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION)
    return {event.partition: event.materialization.metadata["dagster/row_count"].value for event in events}


def run_shard(world, *names):
    return world.run("sync_shard", sync_connections={"connections": list(names)})


def test_names_are_dealt_to_shards_in_order():
    requests = list(shard_run_requests("abcde", tick="noon", size=2))
    assert [request.run_key for request in requests] == ["0 noon", "1 noon", "2 noon"]
    found = [request.run_config["ops"]["sync_connections"]["config"] for request in requests]
    assert found == [{"connections": ["a", "b"]}, {"connections": ["c", "d"]}, {"connections": ["e"]}]


def test_a_connection_that_fails_does_not_stop_the_others_and_makes_the_run_red(world):
    for name in ("one", "two", "three"):
        account = world.connect(name)
        if name == "two":
            account.fails(422)
    result = run_shard(world, "one", "two", "three")
    assert not result.success
    assert news_of(result) == {"one": 25, "three": 25}
    (line,) = lines_of(result)
    assert line.startswith("1 of 3 connections failed: two: ")
    assert world.scalar("SELECT count(*) FROM hub.orders") == 50


def test_connections_without_news_are_not_told_of(world):
    accounts = {name: world.connect(name) for name in ("one", "two", "three")}
    assert run_shard(world, *accounts).success
    accounts["three"].shop.advance_clock(60)
    accounts["three"].shop.place_order({"CUP-01": 1})
    result = run_shard(world, *accounts)
    assert result.success
    assert news_of(result) == {"three": 1}


def test_a_payload_in_quarantine_makes_the_shard_red_each_time(world):
    world.connect("one").shop.break_order("1003")
    assert lines_of(run_shard(world, "one")) == ["1 of 1 connections failed: one: no_unreadable_payload: 1 found"]
    assert not run_shard(world, "one").success


def test_what_landed_before_a_pull_stopped_is_normalised(world):
    world.connect("one").fails(422, nth=2)
    assert not run_shard(world, "one").success
    assert world.scalar("SELECT count(*) FROM hub.orders") == 10


def test_a_connector_that_breaks_does_not_stop_the_others(world, monkeypatch):
    world.connect("one")
    whole = shards.sync_connection

    def odd(hub, name):
        if name == "odd":
            raise ZeroDivisionError("a buyer's street")
        return whole(hub, name)

    monkeypatch.setattr(shards, "sync_connection", odd)
    result = run_shard(world, "odd", "one")
    assert lines_of(result) == ["1 of 2 connections failed: odd: broke unexpectedly (ZeroDivisionError)"]
    assert news_of(result) == {"one": 25}
