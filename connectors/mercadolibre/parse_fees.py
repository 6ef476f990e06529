"""What Mercado Libre charges the seller for an order. Pure.

What belongs here: the commission of each line, `sale_fee`, which is told per unit. Not here: withheld taxes, shipping
costs and the fee's parts, which Mercado Pago tells to its own credentials.

A commission stands where the sale does: an order that is not paid yet has none, a cancelled one has none any more. What
is given back on a partial refund is not told, so it is not known here.
Source: developers.mercadolibre, packs 2025-12-29 (11.07 for each of two, `marketplace_fee` 22.14).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.mercadolibre.fields import amount, plain_text
from oms_hub.domain.orders import ChannelFee, OrderLine, Payment, PaymentKind

KIND = "sale_fee"


def channel_fees(
    order: Mapping[str, Any], lines: Sequence[OrderLine], paid: Sequence[Payment], placed_at: datetime
) -> tuple[ChannelFee, ...]:
    """Return the commission of each line, charged when the first payment came.

    Args:
        order: the raw order; it is a sale.
        lines: its lines, in the order of its `order_items`.
        paid: its payments.
        placed_at: when it was placed; the commission's instant where no payment came.
    """
    came = [each.processed_at for each in paid if each.kind is PaymentKind.SALE and each.is_successful]
    charged_at = min(came, default=placed_at)
    fees = []
    for row, line in zip(order["order_items"], lines, strict=True):
        fee = amount(row.get("sale_fee"), "order_items.sale_fee") * line.quantity
        if fee:
            currency = plain_text(order["currency_id"])
            fees.append(ChannelFee(f"{KIND}:{line.line_id}", KIND, fee, currency, charged_at))
    return tuple(fees)
