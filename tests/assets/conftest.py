"""A hub on the fake channel in a real database, Dagster's instance in memory, and the definitions on both."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dagster as dg

    from assets.definitions import build_defs

from oms_hub.channel.contract import StockWriteMode
from oms_hub.channel.secrets import open_box
from oms_hub.store.connections import StoredConnection
from oms_hub.store.engine import open_store_at
from oms_hub.store.merchants import Merchant, add_merchant
from oms_hub.sync.connect import NewConnection, store_new
from oms_hub.sync.hub import Hub
from oms_hub.sync.import_stock import import_stock
from oms_hub.testing.fake_channel import fake_channel
from oms_hub.testing.fake_shop import FakeShop
from oms_hub.testing.faults import FOREVER, Fault, FaultKind, FaultProxy

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
CHANNEL = fake_channel(stock_write=StockWriteMode.COMPARE_AND_SWAP)


@dataclass
class Account:
    """A connection, its shop, and the proxy between them."""

    name: str
    shop: FakeShop
    proxy: FaultProxy
    stored: StoredConnection

    def fails(self, status: int, *, nth: int = 1) -> None:
        """Let the shop answer a status to its orders, from the nth request on, until told otherwise."""
        fault = Fault(FaultKind.STATUS, status=status)
        self.proxy.inject(fault, matches=lambda request: request.path == "/orders", nth=nth, times=FOREVER)


@dataclass
class World:
    """The hub under test, and what the tests say about it."""

    hub: Hub
    instance: dg.DagsterInstance
    merchant: Merchant
    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)
    built: list[dg.Definitions] = field(default_factory=list)

    def connect(self, name: str = "shop", *, orders: int = 25, is_push_enabled: bool = True) -> Account:
        """Open a shop behind a fault proxy and connect to it."""
        shop = FakeShop(orders=orders, seed=3)
        self.stack.callback(shop.close)
        proxy = self.stack.enter_context(FaultProxy(shop.base_url))
        new = NewConnection(
            "fake",
            name,
            self.merchant,
            {"base_url": proxy.base_url},
            shop.account.secrets,
            is_push_enabled=is_push_enabled,
        )
        return Account(name, shop, proxy, store_new(self.hub, new))

    def add_partitions(self, *names: str) -> None:
        self.instance.add_dynamic_partitions("connections", list(names))

    def count_stock(self, quantity: int = 50) -> None:
        """Count all SKUs of the shops but the untracked one."""
        rows = "".join(f"CUP-{number:02},main,{quantity}\n" for number in range(11))
        path = self.folder / "count.csv"
        path.write_text("sku,location,quantity\n" + rows, encoding="utf-8")
        import_stock(self.hub, self.merchant.name, path, create_skus=True)

    def scalar(self, query: str) -> Any:
        import psycopg

        with psycopg.connect(self.hub.store.database_url.replace("+psycopg", "")) as connection:
            row = connection.execute(query).fetchone()
            return None if row is None else row[0]

    @property
    def defs(self) -> dg.Definitions:
        if not self.built:
            self.built.append(build_defs(channels={"fake": CHANNEL}, resource_overrides={"hub": self.hub}))
        return self.built[0]

    def run(self, job: str, connection: str = "", *, tags: dict[str, str] | None = None, **ops: Any) -> Any:
        """Run a job in this process as Dagster does, and return its result."""
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=connection or None,
            run_config={**QUIET, "ops": {name: {"config": config} for name, config in ops.items()}},
            tags=tags or {},
            raise_on_error=False,
        )


def metadata_of(result: Any, key: str) -> dict[str, Any]:
    """Return the plain metadata of the one materialisation of an asset in a run."""
    (event,) = [
        event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(key)
    ]  # fmt: skip
    return {name: value.value for name, value in event.materialization.metadata.items()}


@pytest.fixture(scope="session")
def metadata() -> Any:
    """Give `metadata_of`, since test modules cannot import this file."""
    return metadata_of


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Give a Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def world(
    database_url: str, frozen_clock: Any, no_sleep: Any, instance: dg.DagsterInstance, tmp_path: Path
) -> Iterator[World]:
    """Give merchant `acme` in a fresh database, at noon, without connections."""
    hub = Hub(
        open_store_at(database_url), {"fake": CHANNEL}, open_box(tmp_path, master_key=KEY), frozen_clock, no_sleep
    )
    with hub.store.begin() as tx:
        merchant = add_merchant(tx, "acme", currency="EUR", time_zone="Europe/Madrid")
    with ExitStack() as stack:
        stack.callback(hub.close)
        yield World(hub, instance, merchant, tmp_path, stack)
