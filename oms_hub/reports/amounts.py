"""How amounts are shown: with the currency's decimals, and with more only where they are there."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal

from oms_hub.domain.money import exponent

_EXACT = Context(prec=200)


def shown(amount: Decimal | None, currency: str) -> Decimal | None:
    """Return an amount with at least the decimals of its currency and no needless zeros after them.

    Example:
        >>> shown(Decimal("19.9"), "EUR"), shown(Decimal("0.12500"), "EUR"), shown(Decimal("1500.00"), "JPY")
        (Decimal('19.90'), Decimal('0.125'), Decimal('1500'))
    """
    if amount is None:
        return None
    needed = max(decimals((amount,)), exponent(currency))
    return amount.quantize(Decimal(1).scaleb(-needed), context=_EXACT)


def decimals(amounts: Iterable[Decimal]) -> int:
    """Return how many decimals hold all the amounts exactly."""
    needed = 0
    for amount in amounts:
        last = amount.normalize(_EXACT).as_tuple().exponent
        needed = max(needed, -last if isinstance(last, int) else 0)
    return needed
