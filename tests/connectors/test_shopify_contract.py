"""The Shopify connector under the shared contract: every fault, every edit, every kill."""

from __future__ import annotations

from connectors.shopify import CHANNEL
from connectors.shopify.sandbox import start_sandbox
from oms_hub.channel.contract import ListingRef
from oms_hub.testing.contract_suite import ContractSuite, Harness


class TestShopify(ContractSuite):
    """Everything that the hub expects of a channel."""

    harness = Harness(
        channel=CHANNEL,
        start=start_sandbox,
        orders=24,
        is_order_request=lambda request: b"OrdersPage" in request.body,
        is_stock_write=lambda request: b"SetQuantities" in request.body,
        bogus_listing=ListingRef("gid://shopify/InventoryItem/77", "gid://shopify/Location/9001"),
    )
