"""Square keeps the contract that every connector keeps."""

from __future__ import annotations

from connectors.square import CHANNEL
from connectors.square.sandbox import start_sandbox
from oms_hub.channel.contract import ListingRef
from oms_hub.testing.contract_suite import ContractSuite, Harness


class TestSquare(ContractSuite):
    harness = Harness(
        channel=CHANNEL,
        start=start_sandbox,
        orders=60,
        settings={"page_size": "16"},
        is_order_request=lambda request: request.path.endswith("/orders/search"),
        is_stock_write=lambda request: request.path.endswith("/changes/batch-create"),
        bogus_listing=ListingRef("VAR404404"),
    )
