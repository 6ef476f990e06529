"""One SKU on six channels, all practice servers: what one sells, the others offer no more; what comes back, they offer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from oms_hub.channel.registry import load_channels
from oms_hub.channel.secrets import SecretBox
from oms_hub.clock import monotonic_seconds
from oms_hub.store.engine import open_store_at
from oms_hub.store.merchants import add_merchant, get_merchant
from oms_hub.store.policies import PolicyTarget, set_policy
from oms_hub.sync.allocate import allocate_all
from oms_hub.sync.connect import NewConnection, store_new
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.hub import Hub
from oms_hub.sync.import_stock import import_stock
from oms_hub.sync.plan_all import plan_all
from oms_hub.sync.pull_listings import pull_listings
from oms_hub.sync.pull_stock import pull_stock
from oms_hub.sync.sync_connection import sync_connection

TAKERS = ("amazon", "mercadolibre", "shopify", "square", "woocommerce")
CHANNELS = (*TAKERS, "pos_feed")
SKU, LAST = "HUB-007", "HUB-011"
OPENED_AT = datetime(2026, 11, 20, 18, 5, tzinfo=UTC)
"""Where the clocks of practice servers start."""


class PracticeClock:
    """Our own clock, in step with those of the practice servers."""

    def __init__(self) -> None:
        self._began = monotonic_seconds()
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return OPENED_AT + timedelta(seconds=monotonic_seconds() - self._began) + self.ahead


@dataclass(frozen=True)
class Market:
    """A merchant with an account on every channel, and the channels themselves."""

    hub: Hub
    clock: PracticeClock
    shops: Mapping[str, Any]
    database_url: str
    folder: Path

    def sync(self) -> None:
        """Pull every channel, hand out, plan, push: one round, as `oms-hub sync` does it, and a minute later."""
        for name in CHANNELS:
            sync_connection(self.hub, f"my-{name}")
        allocate_all(self.hub)
        plan_all(self.hub)
        for name in TAKERS:
            report = deliver_push(self.hub, f"my-{name}")
            assert (report.rejected, report.unknown) == (0, 0), (name, report.rows)
        self.advance(60)

    def advance(self, seconds: float) -> None:
        """Let time pass for us and for every channel."""
        self.clock.ahead += timedelta(seconds=seconds)
        for shop in self.shops.values():
            shop.advance_clock(seconds)

    def share_everything(self) -> None:
        """Offer the whole pool on every channel, instead of holding back what the others may sell meanwhile."""
        with self.hub.store.begin() as tx:
            set_policy(tx, PolicyTarget(get_merchant(tx, "acme").merchant_id), {"scarce": "shared"})

    def count(self, levels: Mapping[str, int]) -> None:
        path = self.folder / "counts.csv"
        path.write_text("\n".join(["sku,location,quantity", *(f"{sku},,{n}" for sku, n in levels.items()), ""]))
        import_stock(self.hub, "acme", path, create_skus=True)

    def levels(self, sku: str) -> dict[str, int | None]:
        return {name: self.shops[name].level(sku) for name in TAKERS}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url.replace("+psycopg", "")) as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def market(database_url: str, tmp_path: Path) -> Iterator[Market]:
    clock = PracticeClock()
    channels = load_channels()
    with ExitStack() as stack:
        store = open_store_at(database_url)
        stack.callback(store.close)
        hub = Hub(
            store,
            channels,
            SecretBox([bytes(range(32))]),
            clock=clock,
            sleep=lambda _seconds: None,
        )
        with store.begin() as tx:
            merchant = add_merchant(tx, "acme", currency="MXN", time_zone="America/Mexico_City")
        shops: dict[str, Any] = {}
        for name in CHANNELS:
            start = channels[name].sandbox
            assert start is not None
            shops[name] = start(orders=0, seed=3)
            stack.callback(shops[name].close)
            account = shops[name].account
            push = name in TAKERS
            new = NewConnection(name, f"my-{name}", merchant, account.settings, account.secrets, is_push_enabled=push)
            store_new(hub, new)
        shops["shopify"].advance_clock(300)  # it opens five minutes before the others
        found = Market(hub, clock, shops, database_url, tmp_path)
        for name in TAKERS:
            pull_listings(hub, f"my-{name}")
            pull_stock(hub, f"my-{name}")
        yield found


def test_what_one_channel_sells_the_others_offer_no_more(market: Market) -> None:
    market.share_everything()
    market.count({SKU: 60})
    market.sync()
    assert market.levels(SKU) == dict.fromkeys(TAKERS, 60)
    for sold, name in enumerate(CHANNELS, start=1):
        market.shops[name].place_order({SKU: 1})
        market.sync()
        assert market.levels(SKU) == dict.fromkeys(TAKERS, 60 - sold), name


def test_what_comes_back_to_the_shelf_is_offered_everywhere_again(market: Market) -> None:
    market.share_everything()
    market.count({SKU: 60})
    market.sync()
    square = market.shops["square"]
    sale = square.place_order({SKU: 3})
    market.sync()
    assert market.levels(SKU) == dict.fromkeys(TAKERS, 57)
    square.refund_order(sale, {SKU: 1}, is_restocked=False)
    square.refund_order(sale, {SKU: 2}, is_restocked=True)
    market.sync()
    assert market.levels(SKU) == dict.fromkeys(TAKERS, 59), "the third one is broken"


def test_the_last_unit_sold_on_two_channels_at_once_is_allocated_once(market: Market) -> None:
    market.count({LAST: 1})
    market.sync()
    assert sorted(market.levels(LAST).values()) == [0, 0, 0, 0, 1], "by default one channel offers the last unit"
    market.share_everything()
    market.sync()
    assert market.levels(LAST) == dict.fromkeys(TAKERS, 1)
    first = market.shops["shopify"].place_order({LAST: 1})
    market.advance(5)
    second = market.shops["woocommerce"].place_order({LAST: 1})
    market.sync()
    assert market.levels(LAST) == dict.fromkeys(TAKERS, 0)
    bound = market.rows("SELECT channel_order_id, allocated_quantity FROM hub.order_lines ORDER BY channel_order_id")
    waiting = market.rows("SELECT channel_order_id, units FROM hub.backorders")
    assert (sorted(bound), waiting) == (sorted([(first, 1), (second, 1)]), [(second, 1)])
    market.sync()
    assert market.levels(LAST) == dict.fromkeys(TAKERS, 0)
