"""Business days whose report rows must be made again, marked in the transaction of the change itself."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from oms_hub.store.copy_text import text_array
from oms_hub.store.engine import Transaction

_TOUCH = text("""
INSERT INTO hub.touched_days (merchant_id, connection_id, business_date)
SELECT DISTINCT merchant.merchant_id, :connection_id, (facts.happened_at AT TIME ZONE merchant.time_zone)::date
FROM (
    SELECT merchant_id, placed_at AS happened_at FROM hub.orders
    WHERE connection_id = :connection_id AND channel_order_id = ANY(CAST(:order_ids AS text[]))
    UNION ALL
    SELECT merchant_id, refunded_at FROM hub.refunds
    WHERE connection_id = :connection_id AND channel_order_id = ANY(CAST(:order_ids AS text[]))
    UNION ALL
    SELECT merchant_id, processed_at FROM hub.payments
    WHERE connection_id = :connection_id AND channel_order_id = ANY(CAST(:order_ids AS text[]))
) AS facts JOIN hub.merchants AS merchant USING (merchant_id)
ORDER BY 1, 2, 3
ON CONFLICT (merchant_id, connection_id, business_date) DO UPDATE SET business_date = excluded.business_date
""")


def touch_order_days(tx: Transaction, connection_id: int, order_ids: Sequence[str]) -> None:
    """Mark the business days of these orders as they stand now: of placing, of each refund and of each payment.

    Call it before a change and after it: the days of both versions are then marked. A day that is marked already is
    written again on purpose: a report that is being made of it then waits, or is made once more.
    """
    if order_ids:
        tx.execute(_TOUCH, {"connection_id": connection_id, "order_ids": text_array(order_ids)})
