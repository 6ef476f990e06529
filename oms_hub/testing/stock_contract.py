"""What every channel that takes levels must keep: each row told apart, nothing resent blindly.

What belongs here: checks of `stock_source` and `stock_sink`, and of the hub's own push on them.
Not here: how many units are offered (the domain's own tests).
"""

# ruff: noqa: S101, D102 (these are tests: asserting is their work, and their names are sentences)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar
from uuid import UUID, uuid5

import pytest

from oms_hub.channel.contract import (
    ListingRecord,
    ListingRef,
    PushOutcome,
    PushResult,
    StockWrite,
    StockWriteMode,
)
from oms_hub.errors import RetryLater
from oms_hub.testing.bench import Bench, on_the_bench
from oms_hub.testing.faults import FOREVER, Fault, FaultKind, FaultProxy
from oms_hub.testing.harness import Harness

_KEYS = UUID("7f0c3a52-5a4e-4a63-9a0e-0d8f1a4be001")


class StockContract:
    """Levels of any channel with a sink. Subclass it in a test module and set `harness`."""

    harness: ClassVar[Harness]

    @pytest.fixture
    def bench(self, database_url: str) -> Iterator[Bench]:
        """Give the connector on a bench of its own: fresh shop, fresh store."""
        with on_the_bench(self.harness, database_url) as bench:
            yield bench

    def _writable(self, bench: Bench) -> list[ListingRecord]:
        found = [row for row in bench.listings() if row.is_tracked and row.is_writable and row.sku]
        assert len(found) >= 3, "the sandbox should offer at least three listings that take a level"
        return found[:3]

    def _write_to(self, bench: Bench, listing: ListingRecord, quantity: int, *, off_by: int = 0) -> StockWrite:
        """Return a write that expects the present level, or one that is `off_by` from it."""
        observed = bench.levels([listing])[listing.listing_key]
        assert observed.available is not None
        return StockWrite(
            listing=ListingRef(listing.listing_key, observed.channel_location_id, listing.attributes),
            quantity=quantity,
            expected=observed.available + off_by,
            idempotency_key=str(uuid5(_KEYS, f"{listing.listing_key} {quantity} {off_by}")),
            version=observed.version,
        )

    def _proxy(self, bench: Bench) -> FaultProxy:
        if bench.proxy is None:
            pytest.skip(f"{self.harness.channel.name}: no server to misbehave")
        return bench.proxy

    def _levels_at_shop(self, bench: Bench, listings: Sequence[ListingRecord]) -> list[int | None]:
        return [bench.shop.level(row.sku or "") for row in listings]

    def test_levels_are_read_as_buyers_see_them(self, bench: Bench) -> None:
        listings = bench.listings()
        observed = bench.levels(listings)
        tracked = [row for row in listings if row.is_tracked and row.sku]
        assert [observed[row.listing_key].available for row in tracked] == self._levels_at_shop(bench, tracked)
        bench.shop.set_level(tracked[0].sku or "", 3)
        assert bench.levels(tracked[:1])[tracked[0].listing_key].available == 3

    def test_a_listing_without_level_reads_as_none(self, bench: Bench) -> None:
        untracked = [row for row in bench.listings() if not row.is_tracked]
        assert untracked, "the sandbox should offer a listing that keeps no level"
        observed = bench.levels(untracked)
        assert {row.available for row in observed.values()} <= {None}

    def test_writes_apply_and_say_so(self, bench: Bench) -> None:
        listings = self._writable(bench)
        writes = [self._write_to(bench, row, 41 + number) for number, row in enumerate(listings)]
        outcomes = bench.write(writes)
        assert {key: row.result for key, row in outcomes.items()} == {
            row.listing_key: PushResult.APPLIED for row in listings
        }
        assert self._levels_at_shop(bench, listings) == [41, 42, 43]

    def test_a_level_of_zero_is_written(self, bench: Bench) -> None:
        listing = self._writable(bench)[0]
        outcome = bench.write([self._write_to(bench, listing, 0)])[listing.listing_key]
        assert (outcome.result, bench.shop.level(listing.sku or "")) == (PushResult.APPLIED, 0)

    def test_a_level_that_changed_meanwhile_is_not_overwritten(self, bench: Bench) -> None:
        if self.harness.channel.capabilities.stock_write is not StockWriteMode.COMPARE_AND_SWAP:
            pytest.skip(f"{self.harness.channel.name}: the channel cannot compare before it swaps")
        listing = self._writable(bench)[0]
        write = self._write_to(bench, listing, 41)
        assert write.expected is not None
        bench.shop.set_level(listing.sku or "", write.expected - 1)
        outcome = bench.write([write])[listing.listing_key]
        assert outcome.result is PushResult.STALE
        assert bench.shop.level(listing.sku or "") == write.expected - 1

    def test_one_bad_row_does_not_hide_among_good_ones(self, bench: Bench) -> None:
        bogus = self.harness.bogus_listing
        if bogus is None:
            pytest.skip(f"{self.harness.channel.name}: the harness names no listing that does not exist")
        listing = self._writable(bench)[0]
        good = self._write_to(bench, listing, 41)
        bad = StockWrite(bogus, 5, 4, str(uuid5(_KEYS, "bogus")))
        outcomes = bench.write([bad, good])
        assert outcomes[bogus.listing_key].result is PushResult.REJECTED
        assert outcomes[bogus.listing_key].reason != ""
        assert outcomes[listing.listing_key].result is PushResult.APPLIED
        assert bench.shop.level(listing.sku or "") == 41

    @pytest.mark.parametrize("kind", [FaultKind.LOST_ANSWER, FaultKind.LOST_IN_STALL])
    def test_a_lost_answer_is_unknown_and_the_level_is_read_back(self, bench: Bench, kind: FaultKind) -> None:
        proxy = self._proxy(bench)
        listing = self._writable(bench)[0]
        write = self._write_to(bench, listing, 41)
        proxy.inject(Fault(kind), matches=self.harness.is_stock_write, times=FOREVER)
        bench.patience_seconds = self.harness.stall_seconds
        outcome = bench.write([write])[listing.listing_key]
        bench.calm()
        assert outcome.result is PushResult.UNKNOWN
        observed = bench.levels([listing])[listing.listing_key]
        assert (observed.available, bench.shop.level(listing.sku or "")) == (41, 41)

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(FaultKind.STATUS, status=429, retry_after="1"),
            Fault(FaultKind.STATUS, status=500),
            Fault(FaultKind.HTML),
            Fault(FaultKind.NO_ANSWER),
        ],
        ids=lambda fault: f"{fault.kind}_{fault.status}",
    )
    def test_a_write_that_did_not_arrive_never_counts_as_applied(self, bench: Bench, fault: Fault) -> None:
        proxy = self._proxy(bench)
        listing = self._writable(bench)[0]
        write = self._write_to(bench, listing, 41)
        before = bench.shop.level(listing.sku or "")
        proxy.inject(fault, matches=self.harness.is_stock_write, times=FOREVER)
        results = self._results_or_nothing(bench, write)
        bench.calm()
        assert results <= {PushResult.UNKNOWN, PushResult.RETRY}
        assert bench.shop.level(listing.sku or "") == before

    def test_a_throttled_write_is_sent_again_within_the_call(self, bench: Bench) -> None:
        proxy = self._proxy(bench)
        listing = self._writable(bench)[0]
        write = self._write_to(bench, listing, 41)
        proxy.inject(Fault(FaultKind.STATUS, status=429, retry_after="1"), matches=self.harness.is_stock_write)
        outcome = bench.write([write])[listing.listing_key]
        assert (outcome.result, bench.shop.level(listing.sku or "")) == (PushResult.APPLIED, 41)

    def test_a_counted_level_reaches_the_buyers_once(self, bench: Bench, tmp_path: Path) -> None:
        bench.adopt()
        bench.push()
        sku = self._writable(bench)[0].sku or ""
        before = bench.shop.level(sku)
        assert before is not None
        bench.count({sku: before + 1000}, tmp_path)
        first = bench.push()
        assert (first.applied, first.unknown, first.rejected) == (1, 0, 0)
        level = bench.shop.level(sku)
        assert level is not None
        assert level > before
        written = 0 if bench.proxy is None else len(bench.proxy.requests(self.harness.is_stock_write))
        second = bench.push()
        assert (second.applied, bench.shop.level(sku)) == (0, level)
        if bench.proxy is not None:
            assert len(bench.proxy.requests(self.harness.is_stock_write)) == written, "a run without news wrote"

    def test_a_listing_without_level_is_never_written(self, bench: Bench, tmp_path: Path) -> None:
        untracked = next(row for row in bench.listings() if not row.is_tracked and row.sku)
        bench.adopt()
        bench.push()
        bench.count({untracked.sku or "": 500}, tmp_path)
        report = bench.push()
        assert (report.applied, report.rejected, bench.shop.level(untracked.sku or "")) == (0, 0, None)

    @staticmethod
    def _results_or_nothing(bench: Bench, write: StockWrite) -> set[PushResult]:
        """Return the results of a write; none where the sink says that nothing can have been applied."""
        try:
            outcomes: dict[str, PushOutcome] = bench.write([write])
        except RetryLater:
            return set()
        return {row.result for row in outcomes.values()}
