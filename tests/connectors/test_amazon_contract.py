"""The Amazon connector under the shared contract: every fault, every edit, every kill."""

from __future__ import annotations

from functools import partial

from connectors.amazon import CHANNEL
from connectors.amazon.sandbox import start_sandbox
from oms_hub.channel.contract import ListingRef
from oms_hub.testing.contract_suite import ContractSuite, Harness


class TestAmazon(ContractSuite):
    """Everything that the hub expects of a channel, on an account with generous limits and small pages."""

    harness = Harness(
        channel=CHANNEL,
        start=partial(start_sandbox, rate_factor=20_000.0),
        orders=24,
        settings={"page_size": "5", "history": "search"},
        is_order_request=lambda request: request.path == "/orders/2026-01-01/orders",
        is_stock_write=lambda request: request.method == "PATCH",
        bogus_listing=ListingRef("sku:NOT-THERE", attributes={"product_type": "MUG"}),
    )
