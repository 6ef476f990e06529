"""What every HTTP channel must keep while its server misbehaves: nothing lost, nothing stale, the right error.

What belongs here: checks through the fault proxy. Not here: checks that need no server (`order_contract`).
"""

# ruff: noqa: S101, D102 (these are tests: asserting is their work, and their names are sentences)

from __future__ import annotations

import pytest

from oms_hub.errors import HubError, NeedsReconnect, RetryLater
from oms_hub.store.connections import set_state
from oms_hub.testing.bench import Bench
from oms_hub.testing.faults import FOREVER, Fault, FaultKind, FaultProxy
from oms_hub.testing.order_contract import OrderContract, assert_tied

PASSING_FAULTS = (
    Fault(FaultKind.STATUS, status=429, retry_after="1"),
    Fault(FaultKind.STATUS, status=429),
    Fault(FaultKind.STATUS, status=500),
    Fault(FaultKind.STATUS, status=503, retry_after="2"),
    Fault(FaultKind.HTML),
    Fault(FaultKind.CUT_JSON),
    Fault(FaultKind.CUT_BODY),
    Fault(FaultKind.PRINTED_WARNING),
    Fault(FaultKind.NO_ANSWER),
    Fault(FaultKind.LOST_ANSWER),
    Fault(FaultKind.STALL),
    Fault(FaultKind.TWICE),
)
"""A client gets over one of these within the same run."""

ENDING_FAULTS = (
    Fault(FaultKind.STATUS, status=401),
    Fault(FaultKind.STATUS, status=403),
    Fault(FaultKind.STATUS, status=404),
    Fault(FaultKind.PREVIOUS_ANSWER),
)
"""These may end a run with an error of the hub; the next one must make good."""

LASTING_FAULTS = tuple(
    fault for fault in PASSING_FAULTS if fault.kind not in {FaultKind.TWICE, FaultKind.PRINTED_WARNING}
)
"""These end a run with `RetryLater` when they do not pass."""


def _label(fault: Fault) -> str:
    status = f"_{fault.status}" if fault.kind is FaultKind.STATUS else ""
    return f"{fault.kind}{status}{'_with_retry_after' if fault.retry_after else ''}"


class HttpContract(OrderContract):
    """Orders of an HTTP channel; everything of `OrderContract` and the faults."""

    def _proxy(self, bench: Bench) -> FaultProxy:
        assert bench.proxy is not None, "an HTTP channel needs an address that the proxy can stand before"
        return bench.proxy

    def _news(self, bench: Bench) -> None:
        """Make news on either end of the shop."""
        bench.shop.advance_clock(30)
        for order_id in bench.any_ids(3):
            bench.shop.edit_order(order_id)
        bench.shop.place_order({bench.a_sku(): 1})

    def _patience_for(self, bench: Bench, fault: Fault) -> None:
        if fault.kind in {FaultKind.STALL, FaultKind.LOST_IN_STALL}:
            bench.patience_seconds = self.harness.stall_seconds

    @pytest.mark.parametrize("fault", PASSING_FAULTS, ids=_label)
    def test_a_passing_fault_costs_nothing_but_time(self, bench: Bench, fault: Fault) -> None:
        self._patience_for(bench, fault)
        self._proxy(bench).inject(fault, matches=self.harness.is_order_request, nth=2)
        bench.sync()
        assert_tied(bench)

    @pytest.mark.parametrize("fault", ENDING_FAULTS, ids=_label)
    def test_after_an_ending_fault_the_next_run_has_all(self, bench: Bench, fault: Fault) -> None:
        proxy = self._proxy(bench)
        proxy.inject(fault, matches=self.harness.is_order_request, nth=2)
        self._sync_that_may_fail(bench)
        bench.calm()
        self._reconnect(bench)
        bench.sync()
        assert_tied(bench)

    @pytest.mark.parametrize("fault", [*PASSING_FAULTS, *ENDING_FAULTS], ids=_label)
    def test_no_fault_makes_a_later_run_miss_news(self, bench: Bench, fault: Fault) -> None:
        bench.sync()
        self._news(bench)
        proxy = self._proxy(bench)
        self._patience_for(bench, fault)
        proxy.inject(fault, matches=self.harness.is_order_request)
        self._sync_that_may_fail(bench)
        bench.calm()
        self._reconnect(bench)
        bench.sync()
        assert_tied(bench)

    @pytest.mark.parametrize("fault", LASTING_FAULTS, ids=_label)
    def test_a_lasting_fault_ends_the_run_and_keeps_what_landed(self, bench: Bench, fault: Fault) -> None:
        proxy = self._proxy(bench)
        self._patience_for(bench, fault)
        proxy.inject(fault, matches=self.harness.is_order_request, nth=2, times=FOREVER)
        with pytest.raises(RetryLater):
            bench.sync()
        assert bench.state() == "active"
        bench.calm()
        bench.sync()
        assert_tied(bench)

    def test_refused_credentials_stop_the_connection_once(self, bench: Bench) -> None:
        bench.sync()
        proxy = self._proxy(bench)
        proxy.inject(Fault(FaultKind.STATUS, status=401), times=FOREVER)
        with pytest.raises(NeedsReconnect) as caught:
            bench.sync()
        assert [secret for secret in bench.secret_values if secret in caught.value.one_line()] == []
        assert bench.state() == "needs_reconnect"
        assert len(bench.open_exceptions("needs_reconnect")) == 1
        with proxy.watched() as requests:
            self._sync_that_may_fail(bench)
        assert requests == [], "a connection that needs its owner must stop asking"
        assert len(bench.open_exceptions("needs_reconnect")) == 1
        bench.calm()
        self._reconnect(bench)
        self._news(bench)
        bench.sync()
        assert_tied(bench)

    def test_five_429_with_retry_after_1_cost_five_seconds(self, bench: Bench) -> None:
        bench.sync()
        bench.sleeps.clear()
        fault = Fault(FaultKind.STATUS, status=429, retry_after="1")
        self._proxy(bench).inject(fault, matches=self.harness.is_order_request, times=5)
        bench.sync()
        assert [wait for wait in bench.sleeps if wait >= 1.0] == [1.0] * 5
        assert sum(bench.sleeps) < 6.0

    def test_edits_between_the_requests_of_a_walk_are_not_missed(self, bench: Bench) -> None:
        ids = bench.shop.order_ids()
        chosen = iter((*ids[:3], *ids[-3:]))

        def disturb() -> None:
            bench.shop.advance_clock(1)
            order_id = next(chosen, None)
            if order_id is not None:
                bench.shop.edit_order(order_id)

        self._proxy(bench).before(disturb, matches=self.harness.is_order_request, nth=2, times=6)
        bench.sync()
        bench.calm()
        bench.sync()
        assert_tied(bench)

    def test_an_order_deleted_between_two_pages_hides_no_other(self, bench: Bench) -> None:
        gone = bench.shop.order_ids()[0]
        self._proxy(bench).before(lambda: bench.shop.delete_order(gone), matches=self.harness.is_order_request, nth=2)
        bench.sync()
        stored = bench.totals()
        assert sorted(bench.shop.order_ids() - stored.keys()) == []

    def _sync_that_may_fail(self, bench: Bench) -> None:
        """Sync; an error of the hub is a good answer, anything else is not."""
        try:
            bench.sync()
        except HubError as error:
            assert error.message  # noqa: PT017 (either outcome is right)

    def _reconnect(self, bench: Bench) -> None:
        """Do what the owner's new credentials do."""
        with bench.hub.store.begin() as tx:
            set_state(tx, bench.stored.connection_id, "active")
