"""The contract suite fails where a connector is wrong in the ways that connectors usually are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest

from oms_hub.channel.contract import (
    Channel,
    ChannelSession,
    PullRequest,
    PushOutcome,
    PushResult,
    RawPage,
    StockWriteMode,
)
from oms_hub.channel.http import open_client
from oms_hub.errors import HubError, RetryLater
from oms_hub.testing.bench import Bench, on_the_bench
from oms_hub.testing.contract_suite import ContractSuite, Harness
from oms_hub.testing.fake_channel import fake_channel
from oms_hub.testing.fake_shop import FakeShop
from oms_hub.testing.faults import Fault, FaultKind

GOOD = fake_channel()


def harness_of(channel: Channel) -> Harness:
    return Harness(
        channel=channel,
        start=lambda *, port=0, orders=60, seed=1: FakeShop(
            port=port, orders=orders, seed=seed, write_mode=StockWriteMode.COMPARE_AND_SWAP
        ),
        orders=45,
        is_order_request=lambda request: request.path == "/orders",
        is_stock_write=lambda request: request.method == "POST",
        stall_seconds=0.3,
    )


class Suite(ContractSuite):
    """Not collected: its name does not begin with Test."""


@pytest.fixture
def bench_of(database_url) -> Iterator[object]:
    benches: list[Bench] = []

    def make(channel: Channel) -> tuple[Suite, Bench]:
        suite = Suite()
        Suite.harness = harness_of(channel)
        context = on_the_bench(Suite.harness, database_url)
        bench = context.__enter__()
        benches.append(context)
        return suite, bench

    yield make
    for context in benches:
        context.__exit__(None, None, None)


def test_a_cursor_that_skips_its_own_second_is_caught(bench_of):
    def source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
        cursor = dict(request.cursor)
        if "watermark" in cursor and "walk" not in cursor:
            cursor["walk"] = {"updated_from": cursor["watermark"], "after_at": cursor["watermark"], "after_id": "~"}
        return GOOD.order_source(session, replace(request, cursor=cursor))

    suite, bench = bench_of(replace(GOOD, order_source=source))
    with pytest.raises(AssertionError, match="stale"):
        suite.test_an_edit_within_the_second_of_the_cursor_is_found(bench)


def test_a_pull_that_ends_quietly_on_a_fault_is_caught(bench_of):
    def source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
        try:
            yield from GOOD.order_source(session, request)
        except HubError:
            yield RawPage("orders", b'{"orders": []}', {"watermark": "2026-12-01T00:00:00Z"})

    suite, bench = bench_of(replace(GOOD, order_source=source))
    with pytest.raises(AssertionError, match="missing"):
        suite.test_after_an_ending_fault_the_next_run_has_all(bench, Fault(FaultKind.STATUS, status=404))


def test_a_walk_without_a_place_to_resume_is_caught(bench_of):
    def source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
        for page in GOOD.order_source(session, request):
            yield replace(page, cursor={}) if "walk" in page.cursor else page

    suite, bench = bench_of(replace(GOOD, order_source=source))
    with pytest.raises(AssertionError, match="began again"):
        suite.test_a_killed_walk_goes_on_at_its_page(bench)


def test_paging_by_number_is_caught(bench_of):
    def source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
        """Skip one order for each that was deleted meanwhile, as offsets do."""
        token = session.secrets.get("token") or ""
        with open_client(session, session.connection.settings["base_url"], headers={"x-token": token}) as client:
            seen = 0
            while True:
                answer = client.get_json("/orders", query={"limit": str(seen + 10)})
                fresh = answer.parsed["orders"][seen:]
                yield RawPage("orders", json.dumps({"orders": fresh}).encode(), {})
                seen += 10
                if not answer.parsed["has_more"]:
                    return

    suite, bench = bench_of(replace(GOOD, order_source=source))
    with pytest.raises(AssertionError):
        suite.test_an_order_deleted_between_two_pages_hides_no_other(bench)


def test_money_through_floats_is_caught(bench_of):
    def parse(payloads, connection):
        order = GOOD.parse_order(payloads, connection)
        return replace(order, total=Decimal(float(order.total)))

    suite, bench = bench_of(replace(GOOD, parse_order=parse))
    with pytest.raises(AssertionError):
        suite.test_every_order_is_stored_once_with_its_exact_total(bench)


def test_a_parser_that_swallows_malformed_records_is_caught(bench_of):
    def parse(payloads, connection):
        record = payloads[-1]
        lines = record["lines"] if isinstance(record["lines"], list) else []
        return GOOD.parse_order([{**record, "lines": lines}], connection)

    suite, bench = bench_of(replace(GOOD, parse_order=parse))
    with pytest.raises(AssertionError):
        suite.test_a_malformed_record_is_set_aside_and_the_rest_goes_on(bench)


def test_a_sink_that_always_says_applied_is_caught(bench_of):
    def sink(session, writes):
        with suppress(RetryLater):
            GOOD.stock_sink(session, writes)
        return [PushOutcome(write.listing.listing_key, PushResult.APPLIED) for write in writes]

    suite, bench = bench_of(replace(GOOD, stock_sink=sink))
    with pytest.raises(AssertionError):
        suite.test_a_level_that_changed_meanwhile_is_not_overwritten(bench)
    with pytest.raises(AssertionError):
        suite.test_a_write_that_did_not_arrive_never_counts_as_applied(bench, Fault(FaultKind.STATUS, status=500))


def test_waiting_longer_than_asked_is_caught(bench_of):
    def source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
        hasty = replace(session, sleep=lambda seconds: session.sleep(seconds * 2))
        return GOOD.order_source(hasty, request)

    suite, bench = bench_of(replace(GOOD, order_source=source))
    with pytest.raises(AssertionError):
        suite.test_five_429_with_retry_after_1_cost_five_seconds(bench)


def test_an_unpaged_practice_shop_is_caught(bench_of, monkeypatch):
    monkeypatch.setattr("oms_hub.testing.fake_shop_state.PAGE_SIZE", 100)
    suite, bench = bench_of(GOOD)
    with pytest.raises(AssertionError, match="more orders or a smaller page"):
        suite.test_every_order_is_stored_once_with_its_exact_total(bench)
