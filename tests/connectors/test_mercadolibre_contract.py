"""Mercado Libre keeps the contract that every connector keeps."""

from __future__ import annotations

from connectors.mercadolibre import CHANNEL
from connectors.mercadolibre.sandbox import start_sandbox
from oms_hub.channel.contract import ListingRef
from oms_hub.testing.contract_suite import ContractSuite, Harness


class TestMercadoLibre(ContractSuite):
    harness = Harness(
        channel=CHANNEL,
        start=start_sandbox,
        orders=12,
        settings={"page_size": "4"},
        is_order_request=lambda request: request.path.endswith("/orders/search"),
        is_stock_write=lambda request: request.method == "PUT",
        bogus_listing=ListingRef("item:MLM404404"),
    )
