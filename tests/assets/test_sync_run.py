"""`oms-hub sync`: the whole hub once, on practice shops."""

from __future__ import annotations

import os
import signal

import pytest
from sqlalchemy import text

from assets import failures
from assets.sync_lines import show_outcome
from assets.sync_run import StepOutcome, SyncOptions, chosen_connections, run_sync
from oms_hub.errors import Misconfigured
from oms_hub.store.connections import set_state

SKU = "CUP-01"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(failures, "DEFAULT_WAIT_SECONDS", 0.01)


def sync(world, *names, **options):
    return run_sync(world.hub, world.instance, names, SyncOptions(**options))


def steps(outcomes):
    return [(outcome.step, outcome.connection) for outcome in outcomes]


def failures_of(outcomes):
    return [failure for outcome in outcomes for failure in outcome.failures]


def test_a_sync_pulls_counts_plans_pushes_and_reports(world):
    first, second = world.connect("first"), world.connect("second")
    world.count_stock()
    told = []
    outcomes = run_sync(world.hub, world.instance, tell=told.append)
    assert steps(outcomes) == [
        ("pull", "first"),
        ("pull", "second"),
        ("count", "first"),
        ("count", "second"),
        ("plan", ""),
        ("push", "first"),
        ("push", "second"),
        ("report", ""),
    ]
    assert told == outcomes
    assert failures_of(outcomes) == []
    assert [outcome.counts["written"] for outcome in outcomes[:2]] == [25, 25]
    assert first.shop.level(SKU) == second.shop.level(SKU)
    assert set(world.instance.get_dynamic_partitions("connections")) == {"first", "second"}


def test_runs_bear_connection_and_that_a_person_waits(world):
    world.connect("first")
    sync(world)
    run = next(run for run in world.instance.get_runs() if run.tags.get("dagster/partition") == "first")
    assert (run.tags["oms_hub/connection"], run.tags["oms_hub/attended"]) == ("first", "true")


def test_a_second_sync_without_news_starts_only_the_pulls_and_writes_nothing(world):
    accounts = [world.connect("first"), world.connect("second")]
    world.count_stock()
    sync(world)
    seen = [len(account.proxy.requests(lambda request: request.method == "POST")) for account in accounts]
    outcomes = sync(world)
    assert steps(outcomes) == [("pull", "first"), ("pull", "second")]
    assert [outcome.counts["records_new"] for outcome in outcomes] == [0, 0]
    assert [len(account.proxy.requests(lambda request: request.method == "POST")) for account in accounts] == seen


def test_only_the_named_connection_is_synced(world):
    world.connect("first")
    world.connect("second")
    assert {connection for _step, connection in steps(sync(world, "second"))} == {"second", ""}


def test_a_dry_run_shows_every_push_and_sends_none(world):
    account = world.connect("first")
    world.count_stock()
    before = account.shop.level(SKU)
    outcomes = sync(world, is_dry_run=True)
    (push,) = [outcome for outcome in outcomes if outcome.step == "push"]
    assert push.counts["held_back_because_push_is_off"] == 10
    assert account.shop.level(SKU) == before
    assert account.proxy.requests(lambda request: request.method == "POST") == ()


def test_listings_are_read_again_after_a_day_or_on_a_full_sync(world):
    world.connect("first")
    sync(world)
    assert ("count", "first") not in steps(sync(world))
    full = sync(world, is_full=True)
    assert ("count", "first") in steps(full)
    assert (full[0].counts["pages"], full[0].counts["records_new"]) == (3, 0)
    world.hub.clock.advance(10 * 86_400)
    assert ("count", "first") in steps(sync(world))


def test_once_a_day_orders_are_compared_with_the_channels_own_list(world):
    account = world.connect("first")
    sync(world)
    assert ("compare", "first") not in steps(sync(world))
    gone = account.shop.order_ids()[0]
    account.shop.delete_order(gone)
    with world.hub.store.begin() as tx:
        tx.execute(text("UPDATE hub.sync_runs SET finished_at = finished_at - interval '1 day'"))
    (compared,) = [outcome for outcome in sync(world) if outcome.step == "compare"]
    assert (compared.counts["missing"], compared.counts["vanished"], compared.counts["written"]) == (0, 1, 1)
    assert compared.failures == ()
    assert ("compare", "first") not in steps(sync(world))


def test_a_replay_reads_raw_anew_and_asks_no_channel(world):
    account = world.connect("first")
    sync(world)
    with account.proxy.watched() as requests:
        outcomes = sync(world, is_replay=True)
    assert outcomes[0].step == "replay"
    assert outcomes[0].counts["records"] == 25
    assert failures_of(outcomes) == []
    assert requests == []


def test_one_connection_that_fails_does_not_stop_the_others(world):
    world.connect("bad").fails(422)
    world.connect("good")
    outcomes = sync(world)
    by_connection = {outcome.connection: outcome for outcome in outcomes if outcome.step == "pull"}
    assert by_connection["good"].failures == ()
    (failure,) = by_connection["bad"].failures
    assert "422" in failure
    assert world.scalar("SELECT count(*) FROM hub.orders") == 25


def test_what_landed_of_a_pull_that_stopped_is_normalised_and_the_failure_stays(world):
    world.connect("bad").fails(422, nth=2)
    pull = sync(world)[0]
    assert len(pull.failures) == 1
    assert pull.counts["written"] == 10
    assert world.scalar("SELECT count(*) FROM hub.orders") == 10


def test_a_quarantined_payload_is_a_failure_and_the_rest_goes_on(world):
    account = world.connect("first")
    account.shop.break_order("1003")
    world.count_stock()
    outcomes = sync(world)
    assert failures_of(outcomes) == [
        "no_unreadable_payload: 1 found, such as 1003 (the order cannot be read (TypeError) (at order)). "
        "See: oms-hub exceptions list"
    ]
    assert [step for step, _connection in steps(outcomes)] == ["pull", "count", "plan", "push", "report"]


def test_a_shop_that_stays_busy_is_tried_once_more_and_told_as_a_failure(world):
    account = world.connect("busy")
    account.fails(503)
    (failure,) = [line for line in failures_of(sync(world)) if "503" in line]
    assert failure.endswith("Nothing to do: the next sync tries again")


def test_a_refused_token_ends_in_needs_reconnect_and_is_listed_from_then_on(world):
    account = world.connect("first")
    account.fails(401)
    (failure,) = failures_of(sync(world))
    assert "Reconnect" in failure
    asked = len(account.proxy.requests())
    outcomes = sync(world)
    assert [(outcome.step, outcome.connection) for outcome in outcomes if outcome.failures] == [("sync", "first")]
    assert outcomes[-1].failures[0].startswith("first is needs reconnect: ")
    assert len(account.proxy.requests()) == asked


def test_a_paused_connection_is_no_failure_unless_it_was_named(world):
    account = world.connect("first")
    with world.hub.store.begin() as tx:
        set_state(tx, account.stored.connection_id, "paused")
    assert sync(world) == []
    assert failures_of(sync(world, "first")) == ["first is paused: Resume it: oms-hub connections resume first"]


def test_a_connection_that_needs_its_owner_without_reason_points_to_the_list(world):
    account = world.connect("first")
    with world.hub.store.begin() as tx:
        set_state(tx, account.stored.connection_id, "needs_reconnect")
    assert chosen_connections(world.hub, ()) == (
        [],
        ["first is needs reconnect: see: oms-hub connections list"],
    )


def test_without_connections_there_is_nothing_to_sync(world):
    with pytest.raises(Misconfigured, match="There are no connections yet"):
        sync(world)


def test_an_unknown_name_is_refused_before_anything_starts(world):
    world.connect("first")
    with pytest.raises(Misconfigured, match="There is no connection 'nobody'"):
        sync(world, "nobody")
    assert world.instance.get_runs() == []


def test_a_step_is_one_line(capsys):
    show_outcome(StepOutcome("pull", "shop", {"pages": 3, "records": 25, "written": 0, "body_bytes": 9}), indent="  ")
    show_outcome(StepOutcome("report", "", {"rows_written": 4}, ("broken",)))
    assert capsys.readouterr().out.splitlines() == [
        "  pull    shop             ok      pages 3, records 25",
        "report                   failed  no news",
    ]


def test_ctrl_c_in_the_middle_of_a_pull_stops_the_sync_and_leaves_what_landed(world):
    account = world.connect("first")
    account.proxy.before(
        lambda: os.kill(os.getpid(), signal.SIGINT), matches=lambda request: request.path == "/orders", nth=3
    )
    with pytest.raises(KeyboardInterrupt):
        sync(world)
    outcomes = sync(world)
    assert failures_of(outcomes) == []
    assert world.scalar("SELECT count(*) FROM hub.orders") == 25
