"""A practice WooCommerce shop on 127.0.0.1: real HTTP, a seeded past, and the traps of a real shop.

What belongs here: starting it, and the knobs that people and tests turn. Its rules stand in `sandbox_shop`, its API in
`sandbox_routes`, its invented data in `sandbox_seed`.

Example:
    shop = start_sandbox(orders=300)
    shop.place_order({"HUB-001": 2})
    shop.close()
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.woocommerce.sandbox_routes import Routes, ShopTraits
from connectors.woocommerce.sandbox_seed import OPENED_AT, seed_shop
from connectors.woocommerce.sandbox_server import Keys, SandboxServer
from connectors.woocommerce.sandbox_shop import HIDDEN_STATUSES, Shop
from oms_hub.channel.contract import SandboxAccount
from oms_hub.clock import Clock, monotonic_seconds

DEMO_TIME_ZONE = "America/Mexico_City"


class WooSandbox:
    """A running practice shop."""

    def __init__(self, shop: Shop, server: SandboxServer) -> None:
        self.shop = shop
        self.server = server
        server.start()

    @property
    def base_url(self) -> str:
        """Return the shop's address."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def account(self) -> SandboxAccount:
        """Return settings and secrets that connect to it, with a Read/Write key."""
        keys = self.server.keys[0]
        return SandboxAccount(
            {"url": self.base_url},
            {"consumer_key": keys.consumer_key, "consumer_secret": keys.consumer_secret},
        )

    @property
    def read_only_account(self) -> SandboxAccount:
        """Return the same with a key that may only read."""
        keys = self.server.keys[1]
        return SandboxAccount(
            {"url": self.base_url},
            {"consumer_key": keys.consumer_key, "consumer_secret": keys.consumer_secret},
        )

    def place_order(self, lines: Mapping[str, int]) -> str:
        """Sell `sku -> quantity`; the shop's own stock falls at once. Return the order id."""
        return str(self.shop.place_order(lines).order_id)

    def level(self, sku: str) -> int | None:
        """Return the level that buyers see, None where nothing is tracked."""
        return self.shop.level(sku)

    def set_level(self, sku: str, quantity: int) -> None:
        """Set a level as a person in the shop does."""
        self.shop.set_level(sku, quantity)

    def order_ids(self) -> list[str]:
        """Return the ids of all orders that the list shows."""
        return list(self.totals())

    def totals(self) -> dict[str, Decimal]:
        """Return the total of each order that the list shows."""
        with self.shop.lock:
            return {
                str(order.order_id): order.total
                for order in self.shop.orders.values()
                if order.status not in HIDDEN_STATUSES
            }

    def edit_order(self, order_id: str) -> Decimal:
        """Add a fee to an order, stamp it as changed and return its new total; mends a broken one."""
        return self.shop.edit(int(order_id))

    def delete_order(self, order_id: str) -> None:
        """Remove an order for good, without a trace."""
        self.shop.delete(int(order_id))

    def break_order(self, order_id: str) -> None:
        """Serve an order as a malformed record until it is edited."""
        with self.shop.lock:
            order = self.shop.orders[int(order_id)]
            order.is_broken = True
            self.shop.touch(order)

    def advance_clock(self, seconds: float) -> None:
        """Move the shop's clock forward."""
        self.shop.advance_clock(seconds)

    def close(self) -> None:
        """Stop serving."""
        self.server.stop()


def _practice_clock() -> Clock:
    started = monotonic_seconds()
    return lambda: OPENED_AT + timedelta(seconds=monotonic_seconds() - started)


def start_sandbox(
    *,
    port: int = 0,
    orders: int = 60,
    seed: int = 1,
    time_zone: str = DEMO_TIME_ZONE,
    traits: ShopTraits | None = None,
    clock: Clock | None = None,
) -> WooSandbox:
    """Start a practice shop in the background.

    Args:
        port: 0 takes a free one.
        orders: how many past orders it has.
        seed: the same seed gives the same shop.
        time_zone: the site's zone (IANA), which decides how naive time filters are read.
        traits: how it differs from a present shop.
        clock: the shop's own, which `advance_clock` moves; by default one that starts right after the past orders.
    """
    shop = Shop(clock=clock or _practice_clock(), zone=ZoneInfo(time_zone))
    seed_shop(shop, orders=orders, seed=seed)
    keys = [
        Keys(f"ck_practice_{seed}", f"cs_practice_{seed}"),
        Keys(f"ck_reader_{seed}", f"cs_reader_{seed}", may_write=False),
    ]
    return WooSandbox(shop, SandboxServer(port, Routes(shop, traits or ShopTraits()), keys))
