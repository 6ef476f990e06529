"""The history of orders' states: what changed, when we saw it, what the channel called it.

An order's first states are not written when it is new, which most orders never need: they are written with the first
change, with the time they were observed. `order_history` gives the whole course either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from oms_hub.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One state of an order from a moment on. `field` is state, payment_state or fulfilment_state."""

    observed_at: datetime
    field: str
    value: str
    channel_value: str
    channel_updated_at: datetime


_STATES = """
CROSS JOIN LATERAL (VALUES
    ('state', {order}.state, {order}.channel_state),
    ('payment_state', {order}.payment_state, {order}.channel_payment_state),
    ('fulfilment_state', {order}.fulfilment_state, {order}.channel_fulfilment_state)
) AS {name} (field, value, channel_value)
"""

_RECORD = text(f"""
WITH changed AS (
    SELECT stored.connection_id, stored.channel_order_id, stored.merchant_id, was.field,
           was.value AS old_value, was.channel_value AS old_channel_value, becomes.value, becomes.channel_value,
           stored.normalised_at, stored.channel_updated_at AS old_updated_at, staged.channel_updated_at
    FROM staged_orders AS staged
    JOIN hub.orders AS stored USING (connection_id, channel_order_id)
    {_STATES.format(order="stored", name="was")}
    {_STATES.format(order="staged", name="becomes")}
    WHERE was.field = becomes.field AND was.value <> becomes.value
)
INSERT INTO hub.order_status_history
    (connection_id, channel_order_id, merchant_id, observed_at, field, value, channel_value, channel_updated_at)
SELECT connection_id, channel_order_id, merchant_id, normalised_at, field, old_value, old_channel_value, old_updated_at
FROM changed WHERE NOT EXISTS (
    SELECT FROM hub.order_status_history AS known
    WHERE known.connection_id = changed.connection_id AND known.channel_order_id = changed.channel_order_id
      AND known.field = changed.field
)
UNION ALL
SELECT connection_id, channel_order_id, merchant_id, now(), field, value, channel_value, channel_updated_at FROM changed
""")

_COURSE = text(f"""
SELECT observed_at, field, value, channel_value, channel_updated_at FROM hub.order_status_history
WHERE connection_id = :connection_id AND channel_order_id = :order_id
UNION ALL
SELECT stored.normalised_at, now_is.field, now_is.value, now_is.channel_value, stored.channel_updated_at
FROM hub.orders AS stored {_STATES.format(order="stored", name="now_is")}
WHERE stored.connection_id = :connection_id AND stored.channel_order_id = :order_id AND NOT EXISTS (
    SELECT FROM hub.order_status_history AS known
    WHERE known.connection_id = stored.connection_id AND known.channel_order_id = stored.channel_order_id
      AND known.field = now_is.field
)
ORDER BY observed_at, channel_updated_at, field
""")


def record_status_changes(tx: Transaction) -> None:
    """Write what changes between the stored orders and those in `staged_orders`, before the orders are updated."""
    tx.execute(_RECORD)


def order_history(tx: Transaction, connection_id: int, channel_order_id: str) -> Sequence[StatusChange]:
    """Return the course of an order's states, oldest first, its first states included."""
    rows = tx.execute(_COURSE, {"connection_id": connection_id, "order_id": channel_order_id})
    return [StatusChange(**row._mapping) for row in rows]
