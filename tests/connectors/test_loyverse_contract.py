"""Loyverse keeps the contract that every connector keeps."""

from __future__ import annotations

from connectors.loyverse import CHANNEL
from connectors.loyverse.sandbox import start_sandbox
from oms_hub.testing.contract_suite import Harness, HttpContract


class TestLoyverse(HttpContract):
    harness = Harness(
        channel=CHANNEL,
        start=start_sandbox,
        orders=40,
        settings={"page_size": "10"},
        is_order_request=lambda request: request.path.endswith("/receipts"),
    )
