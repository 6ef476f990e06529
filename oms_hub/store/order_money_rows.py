"""Money around an order as rows, in the text that COPY takes: discounts by name, payments, the channel's fees.

What belongs here: parts that stand beside the order's own sums. Not here: lines, charges, refunds (`order_rows`).
"""

from __future__ import annotations

from oms_hub.domain.orders import Order
from oms_hub.store.copy_text import (
    amount_field,
    flag_field,
    instant_field,
    key_field,
    optional_text_field,
    text_field,
)


def discount_rows(own: str, order: Order) -> str:
    """Return the rows of `order_discounts`."""
    return "".join(
        f"{own}\t{position}\t{text_field(discount.title)}\t{optional_text_field(discount.code)}"
        f"\t{amount_field(discount.amount, 'discounts')}\n"
        for position, discount in enumerate(order.discounts)
    )


def payment_rows(own: str, order: Order) -> str:
    """Return the rows of `payments`."""
    return "".join(
        f"{own}\t{key_field(payment.payment_id, 'payments')}\t{payment.kind}"
        f"\t{amount_field(payment.amount, 'payments')}\t{text_field(payment.currency)}"
        f"\t{instant_field(payment.processed_at, 'payments')}\t{text_field(payment.gateway)}"
        f"\t{flag_field(payment.is_successful)}\n"
        for payment in order.payments
    )


def channel_fee_rows(own: str, order: Order) -> str:
    """Return the rows of `order_channel_fees`."""
    return "".join(
        f"{own}\t{key_field(fee.fee_id, 'channel_fees')}\t{text_field(fee.kind)}"
        f"\t{amount_field(fee.amount, 'channel_fees')}\t{text_field(fee.currency)}"
        f"\t{instant_field(fee.charged_at, 'channel_fees')}\n"
        for fee in order.channel_fees
    )
