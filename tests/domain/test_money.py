"""Exact money: what is read, how sums are split, how tax is taken out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms_hub.domain.money import allocate, exact_decimal, exponent, round_to_minor, without_tax

CENTS = st.integers(-(10**9), 10**9).map(lambda cents: Decimal(cents) / 100)


def test_currencies_have_their_own_minor_units() -> None:
    assert [exponent(code) for code in ("MXN", "JPY", "KWD", "CLF", "CLP")] == [2, 0, 3, 4, 0]


@pytest.mark.parametrize(
    ("given_value", "read"),
    [
        ("19.90", "19.90"),
        ("-3", "-3"),
        (7, "7"),
        (0.1, "0.1"),
        (12.5, "12.5"),
        (Decimal("1.005"), "1.005"),
        ("1e2", "1E+2"),
    ],
)
def test_amounts_are_read_exactly(given_value: object, read: str) -> None:
    assert str(exact_decimal(given_value)) == read


@pytest.mark.parametrize("given_value", ["", "abc", "NaN", "Infinity", None, True, [], float("inf")])
def test_what_is_no_amount_is_refused(given_value: object) -> None:
    with pytest.raises(ValueError, match="amount"):
        exact_decimal(given_value)


def test_halves_round_up_to_the_minor_unit() -> None:
    assert round_to_minor(Decimal("2.345"), "EUR") == Decimal("2.35")
    assert round_to_minor(Decimal("2.5"), "JPY") == Decimal("3")


def test_a_cent_that_cannot_be_split_goes_to_the_largest_remainder() -> None:
    assert allocate(Decimal("10.00"), [Decimal(1)] * 3, "EUR") == (Decimal("3.34"), Decimal("3.33"), Decimal("3.33"))
    assert allocate(Decimal("-0.05"), [Decimal(1), Decimal(3)], "EUR") == (Decimal("-0.01"), Decimal("-0.04"))
    assert allocate(Decimal("1.005"), [Decimal(1), Decimal(1)], "EUR") == (Decimal("0.505"), Decimal("0.50"))


def test_weights_of_zero_split_evenly_and_none_split_into_nothing() -> None:
    assert allocate(Decimal("0.03"), [Decimal(0)] * 2, "EUR") == (Decimal("0.02"), Decimal("0.01"))
    assert allocate(Decimal("5"), [], "EUR") == ()


def test_negative_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="weights"):
        allocate(Decimal(1), [Decimal(-1), Decimal(2)], "EUR")


@given(CENTS, st.lists(st.integers(0, 1000).map(Decimal), min_size=1, max_size=12))
def test_the_parts_always_add_up(total: Decimal, weights: list[Decimal]) -> None:
    parts = allocate(total, weights, "EUR")
    assert sum(parts, Decimal(0)) == total
    assert len(parts) == len(weights)


def test_tax_is_taken_out_of_the_line_and_of_its_discount() -> None:
    # 116.00 with 16 % tax inside after 11.60 off: 100.00 net + 16.00 tax; the discount is 10.00 without tax.
    assert without_tax(Decimal("116.00"), Decimal("16.00"), Decimal("11.60"), "MXN") == (
        Decimal("110.00"),
        Decimal("10.00"),
    )


def test_without_a_discount_the_gross_is_the_net() -> None:
    assert without_tax(Decimal("116.00"), Decimal("16.00"), Decimal(0), "MXN") == (Decimal("100.00"), Decimal(0))


def test_a_line_that_became_free_keeps_its_whole_discount() -> None:
    assert without_tax(Decimal(0), Decimal(0), Decimal("50.00"), "MXN") == (Decimal("50.00"), Decimal("50.00"))


@given(CENTS, CENTS, CENTS)
def test_gross_less_discount_plus_tax_is_what_was_paid(paid: Decimal, tax: Decimal, discount: Decimal) -> None:
    gross, net_discount = without_tax(paid, tax, discount, "EUR")
    assert gross - net_discount + tax == paid
