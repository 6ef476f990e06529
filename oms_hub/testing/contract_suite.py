"""The contract suite: what every connector must pass, in about a dozen lines of its own test.

What belongs here: the names that a connector's author imports, and which contracts fit which channel.
Not here: the checks themselves (`order_contract`, `http_contract`, `stock_contract`).

    HTTP channel with stock   class TestShop(ContractSuite): harness = Harness(...)
    HTTP channel, orders only class TestShop(HttpContract): ...
    file feed, orders only    class TestFeed(OrderContract): ...

Example:
    from connectors.shop import CHANNEL
    from connectors.shop.sandbox import start_sandbox
    from oms_hub.testing.contract_suite import ContractSuite, Harness

    class TestShop(ContractSuite):
        harness = Harness(
            channel=CHANNEL,
            start=start_sandbox,
            orders=60,
            is_order_request=lambda request: request.path.endswith("/orders"),
            is_stock_write=lambda request: request.method == "PUT",
        )
"""

from __future__ import annotations

import pytest

from oms_hub.testing.harness import Harness, PracticeShop, any_request

for _name in ("order_contract", "http_contract", "stock_contract"):  # so that a failing check shows its values
    pytest.register_assert_rewrite(f"oms_hub.testing.{_name}")

from oms_hub.testing.http_contract import HttpContract  # noqa: E402
from oms_hub.testing.order_contract import OrderContract  # noqa: E402
from oms_hub.testing.stock_contract import StockContract  # noqa: E402

__all__ = ["ContractSuite", "Harness", "HttpContract", "OrderContract", "PracticeShop", "StockContract", "any_request"]


class ContractSuite(HttpContract, StockContract):
    """Orders, faults and levels: the whole contract of an HTTP channel with stock."""
