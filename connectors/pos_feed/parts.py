"""The parts of an order that rows become: lines, charges, discounts, refunds.

What belongs here: which part a row is, and its money; every row ends in exactly one part, so that
order total − refunds = Σ (quantity × unit price − discount + tax) over the rows. Not here: the order itself (`parse`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from connectors.pos_feed.cells import RowValues
from connectors.pos_feed.settings import FeedSettings
from oms_hub.domain.money import allocate, without_tax
from oms_hub.domain.orders import ZERO, Charge, ChargeKind, Discount, OrderLine, RefundLine, Tax

_CHARGES = {"shipping": ChargeKind.SHIPPING, "fee": ChargeKind.FEE, "adjustment": ChargeKind.ADJUSTMENT}


@dataclass(frozen=True, slots=True)
class _Money:
    """What a row comes to; gross and discount without tax."""

    gross: Decimal
    discount: Decimal
    taxes: tuple[Tax, ...]

    @property
    def net(self) -> Decimal:
        return self.gross - self.discount

    @property
    def tax(self) -> Decimal:
        return sum((tax.amount for tax in self.taxes), ZERO)

    @property
    def total(self) -> Decimal:
        return self.net + self.tax


@dataclass(slots=True)
class Parts:
    """What the rows of one receipt became."""

    lines: list[OrderLine] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    discounts: list[Discount] = field(default_factory=list)
    refund_lines: list[RefundLine] = field(default_factory=list)
    refunded_shipping: Decimal = ZERO
    refunded_shipping_tax: Decimal = ZERO
    refunded_other: Decimal = ZERO

    @property
    def refund_value(self) -> Decimal:
        """Return all that went back."""
        lines = sum((line.amount + line.tax_amount for line in self.refund_lines), ZERO)
        return lines + self.refunded_shipping + self.refunded_shipping_tax + self.refunded_other


def sort_rows(rows: Sequence[RowValues], settings: FeedSettings, *, is_credit_note: bool) -> Parts:
    """Return what the rows of a receipt are.

    Args:
        rows: the rows that count, all in one currency.
        settings: what is not goods, whether prices include tax, what moves stock.
        is_credit_note: all money of it goes back; it sells nothing.
    """
    parts = Parts()
    seen: Counter[str] = Counter()
    discounts: list[tuple[str, RowValues, _Money]] = []
    for row in rows:
        seen[row.sku] += 1
        count = seen[row.sku]
        row_id = row.line_id or (row.sku if count == 1 else f"{row.sku}#{count}")
        money = _money(row, settings)
        kind = settings.not_goods.get(row.sku)
        if is_credit_note:
            _give_back(parts, row_id, row, money, kind=kind, restocks=settings.restocks_returns)
        elif kind == "discount":
            discounts.append((row_id, row, money))
        elif kind is not None:
            parts.charges.append(_charge(row_id, row, money, _CHARGES[kind]))
        elif row.quantity < 0:
            _take_back(parts, row_id, row, money, restocks=settings.restocks_returns)
        else:
            moves_stock = row.quantity > 0 and (row.unit_price != 0 or settings.zero_price_moves_stock)
            parts.lines.append(_line(row_id, row, money, needs_stock=moves_stock))
    for row_id, row, money in discounts:
        _discount(parts, row_id, row, money)
    return parts


def _money(row: RowValues, settings: FeedSettings) -> _Money:
    gross, discount = row.quantity * row.unit_price, row.discount
    tax = row.tax or ZERO
    if settings.includes_tax and tax:
        gross, discount = without_tax(gross - discount, tax, discount, row.currency)
    return _Money(gross, discount, () if row.tax is None else (Tax("tax", row.tax),))


def _line(row_id: str, row: RowValues, money: _Money, *, needs_stock: bool) -> OrderLine:
    return OrderLine(
        line_id=row_id,
        title=row.description or row.sku,
        quantity=row.quantity,
        unit_price=row.unit_price,
        gross_amount=money.gross,
        sku=row.sku,
        discount_amount=money.discount,
        taxes=money.taxes,
        needs_stock=needs_stock,
        channel_location_id=row.location or None,
    )


def _sold_nothing(row_id: str, row: RowValues, *, needs_stock: bool) -> OrderLine:
    """Return a line that only names the goods of a row: nothing of it was sold here."""
    return OrderLine(
        line_id=row_id,
        title=row.description or row.sku,
        quantity=0,
        unit_price=row.unit_price,
        gross_amount=ZERO,
        sku=row.sku,
        needs_stock=needs_stock,
        channel_location_id=row.location or None,
    )


def _charge(row_id: str, row: RowValues, money: _Money, kind: ChargeKind) -> Charge:
    return Charge(row_id, kind, row.description or row.sku, money.net, code=row.sku, taxes=money.taxes)


def _take_back(parts: Parts, row_id: str, row: RowValues, money: _Money, *, restocks: bool) -> None:
    """Goods that come back on a receipt; without any money it is a stock correction, which is only kept."""
    if row.unit_price == 0 and money.total == 0:
        line = _sold_nothing(row_id, row, needs_stock=False)
        parts.lines.append(replace(line, title=f"{line.title} (stock correction of {row.quantity}, not applied)"))
        return
    parts.lines.append(_sold_nothing(row_id, row, needs_stock=True))
    parts.refund_lines.append(
        RefundLine(row_id, -row.quantity, -money.net, -money.tax, restocks, row.location or None)
    )  # fmt: skip


def _give_back(parts: Parts, row_id: str, row: RowValues, money: _Money, *, kind: str | None, restocks: bool) -> None:
    """A row of a credit note: goods, shipping, or other money that goes back."""
    if kind is None and row.quantity < 0:
        parts.lines.append(_sold_nothing(row_id, row, needs_stock=True))
        parts.refund_lines.append(
            RefundLine(row_id, -row.quantity, -money.net, -money.tax, restocks, row.location or None)
        )  # fmt: skip
    elif kind == "shipping":
        parts.refunded_shipping -= money.net
        parts.refunded_shipping_tax -= money.tax
    else:
        parts.refunded_other -= money.total


def _discount(parts: Parts, row_id: str, row: RowValues, money: _Money) -> None:
    """Spread a discount over the goods; what cannot be spread stands as an adjustment of its own."""
    amount = -money.net
    at = [index for index, line in enumerate(parts.lines) if line.net_amount > 0]
    weights = [parts.lines[index].net_amount for index in at]
    if money.tax != 0 or not 0 < amount <= sum(weights, ZERO):
        parts.charges.append(_charge(row_id, row, money, ChargeKind.ADJUSTMENT))
        return
    for index, part in zip(at, allocate(amount, weights, row.currency), strict=True):
        line = parts.lines[index]
        parts.lines[index] = replace(line, order_discount_amount=line.order_discount_amount + part)
    parts.discounts.append(Discount(row.description or row.sku, amount, code=row.sku))
