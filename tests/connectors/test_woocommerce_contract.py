"""WooCommerce keeps the contract that every connector keeps."""

from __future__ import annotations

from connectors.woocommerce import CHANNEL
from connectors.woocommerce.sandbox import start_sandbox
from oms_hub.channel.contract import ListingRef
from oms_hub.testing.contract_suite import ContractSuite, Harness


class TestWooCommerce(ContractSuite):
    harness = Harness(
        channel=CHANNEL,
        start=start_sandbox,
        orders=60,
        settings={"page_size": "20"},
        is_order_request=lambda request: request.path.endswith("/orders"),
        is_stock_write=lambda request: request.path.endswith("/batch"),
        bogus_listing=ListingRef("product:404404"),
    )
