"""A practice Square seller on 127.0.0.1: real HTTP, a seeded past, and the traps of a real one.

What belongs here: starting it, and the knobs that people and tests turn. Its rules stand in `sandbox_shop` and
`sandbox_sales`, its API in `sandbox_routes` and `sandbox_inventory`, its invented data in `sandbox_seed`.

Example:
    seller = start_sandbox(orders=300)
    seller.place_order({"HUB-001": 2})
    seller.close()
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from connectors.square.parse import RETURNS
from connectors.square.sandbox_routes import Routes, practice_clock
from connectors.square.sandbox_sales import edit, quick_sale, sell, take_back, touch
from connectors.square.sandbox_seed import OPENED_AT, seed_shop
from connectors.square.sandbox_server import Access, SandboxServer
from connectors.square.sandbox_shop import Shop, Sold
from oms_hub.channel.contract import SandboxAccount
from oms_hub.clock import Clock, monotonic_seconds


class SquareSandbox:
    """A running practice seller."""

    def __init__(self, shop: Shop, server: SandboxServer) -> None:
        self.shop = shop
        self.server = server
        server.start()

    @property
    def base_url(self) -> str:
        """Return the address it serves at."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def account(self) -> SandboxAccount:
        """Return settings and secrets that connect to it as an application with the seller's consent."""
        access = self.server.access
        secrets = {
            "client_id": access.client_id,
            "client_secret": access.client_secret,
            "refresh_token": access.refresh_token,
        }
        return SandboxAccount({"base_url": self.base_url}, secrets)

    @property
    def personal_account(self) -> SandboxAccount:
        """Return the same with a personal access token."""
        return SandboxAccount({"base_url": self.base_url}, {"access_token": self.server.access.personal_token})

    def place_order(self, lines: Mapping[str, int]) -> str:
        """Sell `sku -> quantity` over the counter of the main location; the stock falls at once."""
        with self.shop.lock:
            return str(sell(self.shop, quick_sale(self.shop, lines), at=self.shop.now()).record["id"])

    def place_late_order(self, lines: Mapping[str, int], *, hours_ago: float) -> str:
        """Send a sale that a till made offline some hours ago: it arrives now, under the time of the sale."""
        with self.shop.lock:
            at = self.shop.now() - timedelta(hours=hours_ago)
            return str(sell(self.shop, quick_sale(self.shop, lines), at=at).record["id"])

    def refund_order(self, order_id: str, lines: Mapping[str, int], *, is_restocked: bool) -> str:
        """Take back `sku -> quantity` of a sale, on the shelf again or not; return the id of the return."""
        with self.shop.lock:
            sale = self.shop.orders[order_id]
            keys = {self.shop.by_sku(sku)[1].variation_id: units for sku, units in lines.items()}
            units = {line.uid: keys[line.variation] for line in sale.draft.lines if line.variation in keys}
            return str(take_back(self.shop, sale, units, at=self.shop.now(), is_restocked=is_restocked).record["id"])

    def level(self, sku: str) -> int | None:
        """Return the level at the main location, None where none is kept."""
        with self.shop.lock:
            _, variation = self.shop.by_sku(sku)
            place = self.shop.main_place()
            if not self.shop.is_tracked(variation.variation_id, place):
                return None
            found = self.shop.level(variation.variation_id, place)
            return 0 if found is None else int(found[0])

    def set_level(self, sku: str, quantity: int) -> None:
        """Count as a person does at the main location."""
        with self.shop.lock:
            self.shop.count(self.shop.by_sku(sku)[1].variation_id, self.shop.main_place(), quantity)

    def order_ids(self) -> list[str]:
        """Return the ids that a pull brings: an exchange is two of them."""
        return list(self.totals())

    def totals(self) -> dict[str, Decimal]:
        """Return the total of each of these: what was sold, before what came back."""
        with self.shop.lock:
            found: dict[str, Decimal] = {}
            for order_id, sold in self.shop.orders.items():
                found[order_id] = Decimal(sold.record["total_money"]["amount"]).scaleb(-2)
                if sold.record.get("returns") and sold.record.get("line_items"):
                    found[order_id + RETURNS] = Decimal(0)
            return found

    def edit_order(self, order_id: str) -> Decimal:
        """Add a dollar to an order, stamp it as changed and return its new total; mends a broken one."""
        with self.shop.lock:
            return Decimal(edit(self.shop, self._sold(order_id))).scaleb(-2)

    def delete_order(self, order_id: str) -> None:
        """Remove an order for good, without a trace."""
        with self.shop.lock:
            del self.shop.orders[order_id.removesuffix(RETURNS)]

    def break_order(self, order_id: str) -> None:
        """Serve an order as a malformed record until it is edited."""
        with self.shop.lock:
            sold = self._sold(order_id)
            sold.is_broken = True
            touch(sold, self.shop.now())

    def advance_clock(self, seconds: float) -> None:
        """Move the seller's clock forward."""
        with self.shop.lock:
            self.shop.ahead += timedelta(seconds=seconds)

    def throttle(self, *statuses: int) -> None:
        """Answer the next requests with these statuses, without Retry-After."""
        with self.shop.lock:
            self.server.weather.statuses.extend(statuses)

    def expire_tokens(self) -> None:
        """Let every access token that was given out expire now."""
        with self.shop.lock:
            for token in self.server.access.tokens:
                self.server.access.tokens[token] = self.shop.now()

    def revoke(self) -> None:
        """Take the seller's consent back."""
        with self.shop.lock:
            self.server.access.is_revoked = True

    def close(self) -> None:
        """Stop serving."""
        self.server.stop()

    def _sold(self, order_id: str) -> Sold:
        return self.shop.orders[order_id.removesuffix(RETURNS)]


def start_sandbox(
    *,
    port: int = 0,
    orders: int = 60,
    seed: int = 1,
    clock: Clock | None = None,
    has_partial_batches: bool = False,
) -> SquareSandbox:
    """Start a practice seller in the background.

    Args:
        port: 0 takes a free one.
        orders: how many past orders it has.
        seed: the same seed gives the same seller.
        clock: the seller's own, which `advance_clock` moves; by default one that starts right after the past orders.
        has_partial_batches: wrong rows of a stock write come as errors beside the good ones, with status 200.
    """
    shop = Shop(clock=clock or practice_clock(OPENED_AT, monotonic_seconds))
    seed_shop(shop, orders=orders, seed=seed)
    access = Access(
        client_id=f"sq0idp-practice{seed}",
        client_secret=f"sq0csp-practice{seed}",
        refresh_token=f"EQAApractice-first{seed}",
        personal_token=f"EAAApersonal{seed}",
    )
    return SquareSandbox(shop, SandboxServer(port, Routes(shop, has_partial_batches), access))
