"""Exact money: reading decimals as they came, currency exponents, splitting a sum without losing a cent.

Binary floats never take part. Amounts are `Decimal`; the currency stands beside them in the record that holds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, InvalidOperation

_EXPONENTS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
         "XOF", "XPF"),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    "CLF": 4,
    "UYW": 4,
}  # fmt: skip
"""Minor units per ISO 4217 where they are not 2. Source: ISO 4217 table A.1, 2024-06-25."""


def exponent(currency: str) -> int:
    """Return how many decimals a currency's minor unit has (2 for most, 0 for JPY, 3 for KWD)."""
    return _EXPONENTS.get(currency, 2)


def exact_decimal(value: object) -> Decimal:
    """Read an amount as it came, exactly.

    Args:
        value: a decimal string ("19.90", "-3"), an int, a Decimal, or a JSON float, which is taken by its shortest
            text (0.1 is read as 0.1).

    Raises:
        ValueError: for anything else: empty text, NaN, infinity, a bool, None. The caller names the place.
    """
    if isinstance(value, bool) or value is None:
        raise ValueError("not an amount")
    if isinstance(value, float):
        value = repr(value)
    if not isinstance(value, str | int | Decimal):
        raise ValueError("not an amount")
    try:
        amount = Decimal(value)
    except InvalidOperation as error:
        raise ValueError("not an amount") from error
    if not amount.is_finite():
        raise ValueError("not a finite amount")
    return amount


def round_to_minor(amount: Decimal, currency: str) -> Decimal:
    """Return an amount rounded half up to the currency's minor unit."""
    return amount.quantize(Decimal(1).scaleb(-exponent(currency)), rounding=ROUND_HALF_UP)


def allocate(total: Decimal, weights: Sequence[Decimal], currency: str) -> tuple[Decimal, ...]:
    """Split a sum by weights so that the parts add up to it exactly (largest remainder, ties to the first).

    Args:
        total: what to split; may be negative; any digits past the minor unit go to the first part.
        weights: not negative; all zero means equal weights; empty gives an empty result.
        currency: ISO 4217 code; decides the minor unit.

    Example:
        >>> allocate(Decimal("10.00"), [Decimal(1), Decimal(1), Decimal(1)], "EUR")
        (Decimal('3.34'), Decimal('3.33'), Decimal('3.33'))
    """
    if not weights:
        return ()
    if any(weight < 0 for weight in weights):
        raise ValueError("weights must not be negative")
    weight_sum = sum(weights, Decimal(0))
    shares = list(weights) if weight_sum else [Decimal(1)] * len(weights)
    weight_sum = weight_sum or Decimal(len(weights))
    unit = Decimal(1).scaleb(-exponent(currency))
    whole = total.quantize(unit, rounding=ROUND_DOWN)
    exact = [whole * share / weight_sum for share in shares]
    parts = [part.quantize(unit, rounding=ROUND_DOWN) for part in exact]
    left = int((whole - sum(parts, Decimal(0))) / unit)
    order = sorted(range(len(parts)), key=lambda index: (-abs(exact[index] - parts[index]), index))
    step = unit if left > 0 else -unit
    for index in order[: abs(left)]:
        parts[index] += step
    parts[0] += total - whole
    return tuple(parts)


def without_tax(
    amount_with_tax: Decimal, tax: Decimal, discount_with_tax: Decimal, currency: str
) -> tuple[Decimal, Decimal]:
    """Take the tax out of a line whose prices include it.

    Args:
        amount_with_tax: the line after discounts, tax included.
        tax: the tax inside it.
        discount_with_tax: what was taken off, tax included.
        currency: ISO 4217 code; decides the minor unit.

    Returns:
        (gross, discount), both without tax, so that gross − discount + tax = amount_with_tax. The discount's own
        tax is taken out in the proportion of the line, rounded to the minor unit.
    """
    net = amount_with_tax - tax
    if discount_with_tax == 0 or amount_with_tax == 0:
        discount = discount_with_tax
    else:
        discount = round_to_minor(discount_with_tax * net / amount_with_tax, currency)
    return net + discount, discount
