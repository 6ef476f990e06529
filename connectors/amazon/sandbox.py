"""A practice seller account on 127.0.0.1: real HTTP, a seeded past, and Amazon's habits and limits.

What belongs here: starting it, and the knobs that people and tests turn. Its rules stand in `sandbox_account`, its API
in `sandbox_routes`, its invented data in `sandbox_seed`.

Its clock starts at the present. searchOrders shows nothing that is newer than two minutes, as on the real API, so every
knob that makes news moves the account's clock on by as much: the next pull sees it.

Example:
    account = start_sandbox(orders=300)
    account.place_order({"HUB-001": 2})
    account.close()
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectors.amazon.sandbox_account import NEWS_DELAY, Account
from connectors.amazon.sandbox_documents import Documents
from connectors.amazon.sandbox_records import MARKETPLACE_ID
from connectors.amazon.sandbox_routes import Routes, apply_patches, patch_issue
from connectors.amazon.sandbox_seed import seed_account
from connectors.amazon.sandbox_server import Access, SandboxServer
from oms_hub.channel.contract import SandboxAccount
from oms_hub.clock import Clock, utc_now

SELLER_ID = "A2PRACTICE0SELLER"


class AmazonSandbox:
    """A running practice account."""

    def __init__(self, seller: Account, server: SandboxServer) -> None:
        self.seller = seller
        self.server = server
        server.documents.base_url = self.base_url
        server.start()

    @property
    def base_url(self) -> str:
        """Return the address of its API, which is also that of its tokens and files."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def account(self) -> SandboxAccount:
        """Return settings and secrets that connect to it."""
        access = self.server.access
        return SandboxAccount(
            {
                "region": "na",
                "marketplace_ids": MARKETPLACE_ID,
                "seller_id": self.seller.seller_id,
                "base_url": self.base_url,
            },
            {
                "client_id": access.client_id,
                "client_secret": access.client_secret,
                "refresh_token": access.refresh_token,
            },
        )

    def place_order(self, lines: Mapping[str, int]) -> str:
        """Sell `sku -> quantity`; the account's own level falls at once. Return the order id."""
        order_id = self.seller.place_order(lines).order_id
        self._settle()
        return order_id

    def level(self, sku: str) -> int | None:
        """Return the level that buyers see, None where none is kept (also of a SKU that Amazon does not know)."""
        return self.seller.level(sku) if sku in self.seller.goods else None

    def set_level(self, sku: str, quantity: int) -> None:
        """Set a level as a person in Seller Central does."""
        self.seller.set_level(sku, quantity)

    def order_ids(self) -> list[str]:
        """Return the ids of all orders, oldest change first."""
        with self.seller.lock:
            found = sorted(self.seller.orders.values(), key=lambda order: (order.updated_at, order.order_id))
            return [order.order_id for order in found]

    def totals(self) -> dict[str, Decimal]:
        """Return the total of each order as Amazon states it; zero while its payment is pending."""
        with self.seller.lock:
            return {order.order_id: order.total for order in self.seller.orders.values()}

    def edit_order(self, order_id: str) -> Decimal:
        """Change what an order costs, stamp it and return its new total; mends a broken one."""
        total = self.seller.edit(order_id)
        self._settle()
        return total

    def delete_order(self, order_id: str) -> None:
        """Remove an order for good, without a trace."""
        self.seller.delete(order_id)

    def break_order(self, order_id: str) -> None:
        """Serve an order as a malformed record until it is edited."""
        with self.seller.lock:
            order = self.seller.orders[order_id]
            order.is_broken = True
            self.seller.touch(order)
        self._settle()

    def advance_clock(self, seconds: float) -> None:
        """Move the account's clock forward."""
        self.seller.advance_clock(seconds)

    def withdraw_consent(self) -> None:
        """Withdraw the seller's consent: tokens and refresh token are dead."""
        self.server.access.is_consent_withdrawn = True

    def expire_tokens(self) -> None:
        """Let every access token that was given out expire now."""
        past = self.seller.now()
        for token in self.server.access.tokens:
            self.server.access.tokens[token] = past.replace(year=past.year - 1)

    def close(self) -> None:
        """Stop serving."""
        self.server.stop()

    def _settle(self) -> None:
        """Let the news be old enough to be shown."""
        self.seller.advance_clock(NEWS_DELAY.total_seconds() + 1)


def start_sandbox(
    *,
    port: int = 0,
    orders: int = 60,
    seed: int = 1,
    rate_factor: float = 1.0,
    clock: Clock | None = None,
) -> AmazonSandbox:
    """Start a practice account in the background.

    Args:
        port: 0 takes a free one.
        orders: how many past orders it has.
        seed: the same seed gives the same goods and orders, at the same distance from the clock's start.
        rate_factor: how many times the published rates this seller has; bursts grow with it.
        clock: the account's own, which `advance_clock` moves.
    """
    seller = Account(clock=clock or utc_now, seller_id=SELLER_ID)
    seed_account(seller, orders=orders, seed=seed)

    def apply(message: dict[str, Any]) -> str:
        good = seller.goods.get(message["sku"])
        if good is None:
            return "The SKU is not there."
        issue = patch_issue(good, message)
        if issue is None:
            apply_patches(seller, good, message)
        return "" if issue is None else str(issue["message"])

    routes = Routes(seller, Documents(seller, apply))
    access = Access(f"amzn1.application.practice{seed}", f"amzn1.oa2-cs.practice{seed}", f"Atzr|practice{seed}")
    return AmazonSandbox(seller, SandboxServer(port, seller, routes, access, rate_factor=rate_factor))
