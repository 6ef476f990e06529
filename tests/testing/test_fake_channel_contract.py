"""The contract suite holds for the fake channel, in each way of writing levels."""

from __future__ import annotations

from oms_hub.channel.contract import ListingRef, StockWriteMode
from oms_hub.testing.contract_suite import ContractSuite, Harness, StockContract
from oms_hub.testing.fake_channel import fake_channel
from oms_hub.testing.fake_shop import FakeShop
from oms_hub.testing.faults import SeenRequest


def is_stock_write(request: SeenRequest) -> bool:
    return request.method == "POST" and request.path == "/levels"


def harness_of(mode: StockWriteMode) -> Harness:
    return Harness(
        channel=fake_channel(stock_write=mode),
        start=lambda *, port=0, orders=60, seed=1: FakeShop(port=port, orders=orders, seed=seed, write_mode=mode),
        orders=45,
        is_order_request=lambda request: request.path == "/orders",
        is_stock_write=is_stock_write,
        bogus_listing=ListingRef("L999"),
        stall_seconds=0.3,
    )


class TestFakeChannel(ContractSuite):
    harness = harness_of(StockWriteMode.COMPARE_AND_SWAP)


class TestFakeChannelWithDeltas(StockContract):
    harness = harness_of(StockWriteMode.DELTA)


class TestFakeChannelWithAbsoluteWrites(StockContract):
    harness = harness_of(StockWriteMode.ABSOLUTE)
