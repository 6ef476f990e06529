"""Small true examples of the hub's data, to be varied by a test.

What belongs here: one function per type, every argument with a default that is valid. Not here: random data, stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from oms_hub.channel.contract import ChannelSession, Connection, ListingRef, StockWrite
from oms_hub.domain.orders import FulfilmentState, Order, OrderLine, OrderState, PaymentState, stated_total

A_MOMENT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def a_line(line_id: str = "1", *, sku: str = "CUP-01", quantity: int = 1, price: str = "10.00") -> OrderLine:
    """Return an order line whose amounts follow from price and quantity."""
    unit_price = Decimal(price)
    return OrderLine(
        line_id=line_id,
        title=f"Article {sku}",
        quantity=quantity,
        unit_price=unit_price,
        gross_amount=unit_price * quantity,
        listing_key=sku,
        sku=sku,
    )


def an_order(order_id: str = "1001", *lines: OrderLine, **changes: Any) -> Order:
    """Return a paid, open order whose total is the sum of its parts.

    Args:
        order_id: the channel's id.
        lines: its lines; one of `a_line()` where none is given.
        changes: any field of `Order`; a changed `total` stays as given.
    """
    order = Order(
        channel_order_id=order_id,
        label=f"#{order_id}",
        placed_at=A_MOMENT,
        updated_at=A_MOMENT,
        state=OrderState.OPEN,
        payment_state=PaymentState.PAID,
        fulfilment_state=FulfilmentState.UNFULFILLED,
        currency="EUR",
        total=Decimal(0),
        lines=lines or (a_line(),),
    )
    changed = replace(order, **changes)
    return changed if "total" in changes else replace(changed, total=stated_total(changed))


def a_connection(**changes: Any) -> Connection:
    """Return a connection of the fake channel without settings."""
    connection = Connection(1, "shop", "fake", "merchant", "EUR", "Europe/Madrid", {})
    return replace(connection, **changes)


def a_write(listing_key: str = "L1", quantity: int = 5, *, expected: int | None = 4) -> StockWrite:
    """Return a level to write; its idempotency key follows from its content."""
    return StockWrite(ListingRef(listing_key), quantity, expected, f"{listing_key}:{expected}:{quantity}")


class GivenSecrets:
    """Secrets from a mapping; fulfils `contract.Secrets` within one process."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def get(self, name: str) -> str | None:
        """Return a value, None where it was not given."""
        return self._values.get(name)

    def replace(self, values: Mapping[str, str]) -> None:
        """Keep new values."""
        self._values.update(values)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Give the right to refresh; nobody else is here."""
        yield


def a_session(
    settings: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None, **changes: Any
) -> ChannelSession:
    """Return a session whose clock stands still and whose sleep takes no time."""
    session = ChannelSession(
        connection=a_connection(settings=dict(settings or {})),
        secrets=GivenSecrets(secrets),
        clock=lambda: A_MOMENT,
        sleep=lambda _seconds: None,
    )
    return replace(session, **changes)
