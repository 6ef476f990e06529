"""A practice Mercado Libre account on 127.0.0.1: real HTTP, a seeded past, and the traps of the real one.

What belongs here: starting it, and the knobs that people and tests turn. Its rules stand in `sandbox_account`, its API
in `sandbox_routes`, its invented data in `sandbox_seed`.

Example:
    running = start_sandbox(orders=100)
    running.place_order({"HUB-001": 2})
    running.close()
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from connectors.mercadolibre.sandbox_account import Account, AccountTraits
from connectors.mercadolibre.sandbox_routes import Routes
from connectors.mercadolibre.sandbox_seed import OPENED_AT, seed_account
from connectors.mercadolibre.sandbox_server import Grants, SandboxServer
from oms_hub.channel.contract import SandboxAccount
from oms_hub.clock import Clock, monotonic_seconds

SELLER_ID = 123456789
CLIENT_ID = "4100000000000001"


class MeliSandbox:
    """A running practice account."""

    def __init__(self, state: Account, server: SandboxServer) -> None:
        self.state = state
        self.server = server
        server.start()

    @property
    def base_url(self) -> str:
        """Return the API's address."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def grants(self) -> Grants:
        """Return the application's grant on the account."""
        return self.server.grants

    @property
    def account(self) -> SandboxAccount:
        """Return settings and secrets that connect to it, with the refresh token that works now."""
        settings = {"site": self.state.site, "seller_id": str(self.state.seller_id), "base_url": self.base_url}
        grants = self.server.grants
        return SandboxAccount(
            settings,
            {
                "client_id": grants.client_id,
                "client_secret": grants.client_secret,
                "refresh_token": grants.refresh_token,
            },
        )

    def place_order(self, lines: Mapping[str, int]) -> str:
        """Sell `sku -> quantity` in one cart; the level falls at once. Return the id of the cart's first order."""
        return str(self.state.place_order(lines)[0].order_id)

    def level(self, sku: str) -> int | None:
        """Return the level that buyers see, None where no quantity is kept."""
        return self.state.level(sku)

    def set_level(self, sku: str, quantity: int) -> None:
        """Set a level as the seller does on Mercado Libre's own pages."""
        self.state.set_level(sku, quantity)

    def order_ids(self) -> list[str]:
        """Return the ids of all orders that a pull is meant to bring."""
        return list(self.totals())

    def totals(self) -> dict[str, Decimal]:
        """Return the total of each order that the search shows."""
        with self.state.lock:
            return {str(each.order_id): each.total for each in self.state.orders.values() if not each.is_hidden}

    def edit_order(self, order_id: str) -> Decimal:
        """Add a tax to an order, stamp it as changed and return its new total; mends a broken one."""
        return self.state.edit(int(order_id))

    def delete_order(self, order_id: str) -> None:
        """Remove an order for good, without a trace."""
        self.state.delete(int(order_id))

    def break_order(self, order_id: str) -> None:
        """Serve an order as a malformed record until it is edited."""
        self.state.break_order(int(order_id))

    def advance_clock(self, seconds: float) -> None:
        """Move the account's clock forward."""
        self.state.advance_clock(seconds)

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
    site: str = "MLM",
    traits: AccountTraits | None = None,
    clock: Clock | None = None,
) -> MeliSandbox:
    """Start a practice account in the background.

    Args:
        port: 0 takes a free one.
        orders: how many past orders it has.
        seed: the same seed gives the same account.
        site: of the account.
        traits: how it differs from a plain one.
        clock: the account's own, which `advance_clock` moves; by default one that starts right after the past orders.
    """
    account = Account(
        clock=clock or _practice_clock(), site=site, seller_id=SELLER_ID, traits=traits or AccountTraits()
    )
    seed_account(account, orders=orders, seed=seed)
    grants = Grants(account, client_id=CLIENT_ID, client_secret=f"practice-secret-{seed}", seed=seed)
    return MeliSandbox(account, SandboxServer(port, Routes(account, CLIENT_ID), grants))
