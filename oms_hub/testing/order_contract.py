"""What every channel must keep about orders, whatever it is made of.

What belongs here: checks that need no HTTP. Not here: faults of a server (`http_contract`), levels (`stock_contract`).
"""

# ruff: noqa: S101, D102 (these are tests: asserting is their work, and their names are sentences)

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from oms_hub.channel.contract import PullRequest
from oms_hub.testing.bench import Bench, Killed, on_the_bench
from oms_hub.testing.harness import Harness


def assert_tied(bench: Bench) -> None:
    """Assert that the store holds exactly the channel's orders, each once, each with the channel's total."""
    stored, told = bench.totals(), bench.shop.totals()
    missing, surplus = sorted(told.keys() - stored.keys()), sorted(stored.keys() - told.keys())
    stale = {key: (stored[key], total) for key, total in told.items() if key in stored and stored[key] != total}
    assert (missing, surplus, stale) == ([], [], {}), "(missing, surplus, stale as (ours, theirs))"


class OrderContract:
    """Orders of any channel. Subclass it in a test module and set `harness`."""

    harness: ClassVar[Harness]

    @pytest.fixture
    def bench(self, database_url: str) -> Iterator[Bench]:
        """Give the connector on a bench of its own: fresh shop, fresh store."""
        with on_the_bench(self.harness, database_url) as bench:
            yield bench

    def _needs(self, is_met: bool, reason: str) -> None:
        if not is_met:
            pytest.skip(f"{self.harness.channel.name}: {reason}")

    def test_every_order_is_stored_once_with_its_exact_total(self, bench: Bench) -> None:
        pulled, normalised = bench.sync()
        assert_tied(bench)
        assert pulled.pages >= 2, "give the harness more orders or a smaller page: one page proves nothing"
        assert (normalised.quarantined, normalised.mismatches) == (0, 0)

    def test_letters_of_all_scripts_survive(self, bench: Bench) -> None:
        bench.sync()
        titles = [title for facts in bench.facts().values() for title in facts.titles]
        assert any(not title.isascii() for title in titles), "the sandbox should sell something with other letters"
        assert [title for title in titles if "\ufffd" in title or "Ã" in title] == []

    def test_a_second_run_stores_nothing(self, bench: Bench) -> None:
        bench.sync()
        pulled, normalised = bench.sync()
        assert (pulled.pages_stored, pulled.records_new, normalised.written) == (0, 0, 0)
        assert_tied(bench)

    def test_a_full_walk_over_known_orders_stores_nothing(self, bench: Bench) -> None:
        bench.sync()
        pulled, normalised = bench.sync(is_full=True)
        assert (pulled.records_new, normalised.written) == (0, 0)
        assert_tied(bench)

    def test_a_new_order_comes_with_the_next_run(self, bench: Bench) -> None:
        bench.sync()
        order_id = bench.shop.place_order({bench.a_sku(): 2})
        bench.sync()
        assert order_id in bench.totals()
        assert_tied(bench)

    def test_an_edit_within_the_second_of_the_cursor_is_found(self, bench: Bench) -> None:
        self._needs(self.harness.finds_edits, "its records never change")
        bench.sync()
        before = bench.totals()
        for order_id in bench.any_ids(3):
            total = bench.shop.edit_order(order_id)
            assert total != before[order_id], "the sandbox's edit_order must change the total"
        bench.sync()
        assert_tied(bench)

    def test_later_edits_are_found(self, bench: Bench) -> None:
        self._needs(self.harness.finds_edits, "its records never change")
        bench.sync()
        for order_id in bench.any_ids(3):
            bench.shop.advance_clock(3600)
            bench.shop.edit_order(order_id)
        bench.sync()
        assert_tied(bench)

    def test_orders_that_change_while_pages_are_walked_are_not_missed(self, bench: Bench) -> None:
        self._needs(self.harness.finds_edits, "its records never change")
        ids = bench.shop.order_ids()

        def disturb(number: int) -> None:
            bench.shop.advance_clock(1)
            for order_id in (ids[number % len(ids)], ids[-1 - number % len(ids)]):
                bench.shop.edit_order(order_id)

        bench.on_page = lambda number: disturb(number) if number <= 6 else None
        bench.sync()
        bench.on_page = lambda _number: None
        bench.sync()
        assert_tied(bench)

    def test_deleted_orders_are_found_by_reconciling(self, bench: Bench) -> None:
        self._needs(self.harness.finds_deletes and self.harness.channel.order_ids is not None, "it cannot tell")
        bench.sync()
        gone = bench.any_ids(2)
        for order_id in gone:
            bench.shop.delete_order(order_id)
        report = bench.reconcile()
        assert report.vanished == len(gone)
        assert_tied(bench)

    def test_orders_that_are_missing_here_are_fetched_by_reconciling(self, bench: Bench) -> None:
        self._needs(self.harness.channel.order_ids is not None, "it cannot tell")
        bench.sync()
        order_id = bench.shop.place_order({bench.a_sku(): 1})
        assert order_id not in bench.totals()
        bench.reconcile()
        assert_tied(bench)

    def test_a_malformed_record_is_set_aside_and_the_rest_goes_on(self, bench: Bench) -> None:
        broken = bench.any_ids(3)[1]
        bench.shop.break_order(broken)
        _, normalised = bench.sync()
        assert normalised.quarantined == 1
        assert bench.totals() == {key: total for key, total in bench.shop.totals().items() if key != broken}
        assert len(bench.open_exceptions("bad_payload")) == 1
        if self.harness.finds_edits:
            bench.shop.advance_clock(5)
            bench.shop.edit_order(broken)
            bench.sync()
            assert_tied(bench)
            assert bench.open_exceptions("bad_payload") == []

    def test_a_killed_walk_goes_on_at_its_page(self, bench: Bench) -> None:
        pages_in_all = self._pages_in_all(bench)
        matches = self.harness.is_order_request
        requests_in_all = 0 if bench.proxy is None else len(bench.proxy.requests(matches))

        def kill_before_the_third(number: int) -> None:
            if number == 3:
                raise Killed

        bench.on_page = kill_before_the_third
        with pytest.raises(Killed):
            bench.sync()
        bench.on_page = lambda _number: None
        before = 0 if bench.proxy is None else len(bench.proxy.requests(matches))
        pulled, _ = bench.sync()
        assert pulled.pages <= pages_in_all - 1, "the walk began again instead of going on"
        if bench.proxy is not None:
            assert len(bench.proxy.requests(matches)) - before < requests_in_all
        assert_tied(bench)

    def _pages_in_all(self, bench: Bench) -> int:
        """Return how many pages an undisturbed walk has, without storing any."""
        source = self.harness.channel.order_source
        assert source is not None, "a channel without orders does not need this contract"
        count = sum(1 for _ in source(bench.session(), PullRequest(cursor={})))
        assert count >= 4, "give the harness more orders or a smaller page: at least four pages"
        return count
