"""What the contract suite must be told about a connector, and what it asks of the connector's sandbox.

What belongs here: the two protocols between a connector and the suite. Not here: the checks (`contract_suite`),
the run of the real sync (`bench`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from oms_hub.channel.contract import Channel, ListingRef, RunningSandbox
from oms_hub.testing.faults import SeenRequest


class PracticeShop(RunningSandbox, Protocol):
    """A sandbox with the knobs that the suite turns; everything acts at once, as another user of the shop would.

    All of it happens in the sandbox's own process and thread-safely: the suite turns knobs while pages are walked.
    """

    @property
    def base_url(self) -> str:
        """Return the address it serves at, empty for channels without HTTP."""

    def order_ids(self) -> list[str]:
        """Return the ids of all orders that exist now and that a pull is meant to bring."""

    def totals(self) -> dict[str, Decimal]:
        """Return each such order's total as the channel states it."""

    def edit_order(self, order_id: str) -> Decimal:
        """Change an order so that its total changes, stamp it as changed now, and return the new total."""

    def delete_order(self, order_id: str) -> None:
        """Remove an order for good, as the channel does it: without trace in the list of changes."""

    def break_order(self, order_id: str) -> None:
        """Serve this order as a malformed record (its id still readable) until it is edited; stamp it as changed."""

    def advance_clock(self, seconds: float) -> None:
        """Move the sandbox's clock forward."""

    def set_level(self, sku: str, quantity: int) -> None:
        """Set the level that buyers see for a SKU, as a person in the channel's own console would."""


class StartsShop(Protocol):
    """Starts a practice shop; a connector's `CHANNEL.sandbox` fits where its sandbox has the knobs."""

    def __call__(self, *, port: int = 0, orders: int = 60, seed: int = 1) -> PracticeShop:
        """Start serving on a free port and return the handle."""


def any_request(_request: SeenRequest) -> bool:
    """Return True: every request counts."""
    return True


@dataclass(frozen=True, slots=True)
class Harness:
    """A connector as the suite sees it.

    Attributes:
        channel: the connector's `CHANNEL`.
        start: starts its sandbox.
        orders: how many orders the sandbox gets; enough for at least three pages of the connector.
        settings: further settings of the connection, such as a smaller page.
        address_setting: the setting that holds the sandbox's address, which the suite points at its fault proxy.
        is_order_request: tells requests that fetch pages of orders from others (tokens, probes, listings).
        is_stock_write: tells requests that write levels from others.
        bogus_listing: a listing that does not exist there, to see one bad row among good ones.
        stall_seconds: how long the client waits for a stalled answer in tests.
        finds_edits: False where the channel's records never change (some files).
        finds_deletes: False where a vanished order leaves no trace even to a reconciliation.
    """

    channel: Channel
    start: StartsShop
    orders: int = 25
    settings: Mapping[str, str] = field(default_factory=dict)
    address_setting: str = "base_url"
    is_order_request: Callable[[SeenRequest], bool] = any_request
    is_stock_write: Callable[[SeenRequest], bool] = any_request
    bogus_listing: ListingRef | None = None
    stall_seconds: float = 0.3
    finds_edits: bool = True
    finds_deletes: bool = True
