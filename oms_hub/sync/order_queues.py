"""Which queues an order stands in: what a person should look at, and what settles itself. Pure.

What belongs here: from orders to exceptions. Not here: writing them (`store.exceptions`), stock's own exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from oms_hub.domain.orders import Order, OrderState, PaymentState
from oms_hub.store.exceptions import OpenException
from oms_hub.store.order_rows import OrderRows

SETTLED_BY_STATE = ("on_hold", "awaiting_payment", "total_mismatch", "unknown_word")
"""Kinds that close by themselves once a newer version of the order no longer gives cause for them."""


def queued(written: Iterable[OrderRows], *, gone_ids: frozenset[str]) -> list[OpenException]:
    """Return the exceptions of written orders.

    Args:
        written: orders as they are written now.
        gone_ids: those of them that no longer exist: nobody waits for their payment or release.
    """
    found: list[OpenException] = []
    for rows in written:
        found.extend(_facts(rows))
        if rows.order.channel_order_id not in gone_ids:
            found.extend(_waiting(rows.order))
    return found


def _facts(rows: OrderRows) -> Iterator[OpenException]:
    order = rows.order
    reference = order.channel_order_id
    if rows.gap:
        yield OpenException(
            "total_mismatch",
            reference,
            f"The parts of order {order.label} and its total differ by {rows.gap} {order.currency}",
            "Compare the order with the channel; the difference stands as its adjustment",
        )
    if order.unknown_words:
        words = ", ".join(order.unknown_words)
        yield OpenException(
            "unknown_word",
            reference,
            f"Order {order.label} bears words that the connector does not know: {words}",
            "Check how the order was understood; a newer oms-hub may know the words",
        )
    if order.remarks:
        yield OpenException("source_changed", reference, f"Order {order.label}: {'; '.join(order.remarks)}")


def _waiting(order: Order) -> Iterator[OpenException]:
    if order.is_test or order.is_draft:
        return
    if order.state is OrderState.ON_HOLD:
        yield OpenException("on_hold", order.channel_order_id, f"Order {order.label} is on hold")
    if order.state is OrderState.OPEN and order.payment_state is PaymentState.UNPAID:
        yield OpenException("awaiting_payment", order.channel_order_id, f"Order {order.label} is not paid")
