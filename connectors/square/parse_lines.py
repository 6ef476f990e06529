"""Lines, service charges, tips and rounding of a Square order. Pure.

What belongs here: money of what was sold. Not here: goods that left (`parse_shipments`), returns (`parse_returns`).

What ties in every country is the line's total: `total_money` less its tax and less its part of service charges is what
the goods cost without tax. `gross_sales_money` alone would not do: Square takes included tax out of it in the United
States, Canada and Japan, and leaves it in in Europe and Australia (published description, OrderLineItem).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from connectors.square.fields import Reading, Row, fraction, quantity, rows, text
from oms_hub.domain.money import round_to_minor, without_tax
from oms_hub.domain.orders import ZERO, Charge, ChargeKind, Discount, OrderLine, Tax

_ITEM_TYPES = ("ITEM", "CUSTOM_AMOUNT", "GIFT_CARD")
_APPORTIONED = "APPORTIONED_TREATMENT"
_SIX_DECIMALS = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class TaxRate:
    """One of the order's taxes. `is_included`: prices contain it."""

    title: str
    rate: Decimal | None
    is_included: bool


def read_taxes(order: Row, name: str = "taxes") -> dict[str, TaxRate]:
    """Return the order's taxes by uid; `name` is the list they stand in."""
    return {
        text(tax, "uid"): TaxRate(
            text(tax, "name") or "Tax", fraction(tax, f"{name}[{index}]"), tax.get("type") == "INCLUSIVE"
        )
        for index, tax in enumerate(rows(order, name))
    }


def read_lines(reading: Reading, order: Row, taxes: Mapping[str, TaxRate]) -> tuple[OrderLine, ...]:
    """Return the lines of an order.

    Raises:
        BadPayload: names the line and the field.
    """
    scopes = {text(row, "uid"): text(row, "scope") for row in rows(order, "discounts")}
    return tuple(
        _line(reading, order, item, index, taxes, scopes) for index, item in enumerate(rows(order, "line_items"))
    )


def line_title(item: Row) -> str:
    """Return the name of what was sold, with its variation where that says something."""
    name, variation = text(item, "name"), text(item, "variation_name")
    if not name or not variation or variation in {name, "Regular"}:
        return name or variation or "Custom amount"
    return f"{name} ({variation})"


def _line(
    reading: Reading, order: Row, item: Row, index: int, taxes: Mapping[str, TaxRate], scopes: Mapping[str, str]
) -> OrderLine:
    where = f"line_items[{index}]"
    amounts = LineMoney.of(reading, item, where, gross_name="gross_sales_money")
    whole_discount = reading.money(item, "total_discount_money", where)
    of_order = sum(
        (
            reading.money(part, "applied_money", where)
            for part in rows(item, "applied_discounts", where)
            if scopes.get(text(part, "discount_uid")) == "ORDER"
        ),
        ZERO,
    )
    of_order = min(of_order, whole_discount)
    if whole_discount and amounts.discount != whole_discount:  # its tax was taken out
        of_order = round_to_minor(amounts.discount * of_order / whole_discount, reading.currency)
    units, title = quantity(item, where), line_title(item)
    item_type = text(item, "item_type") or "ITEM"
    reading.knows("item type", item_type, _ITEM_TYPES)
    is_whole = units == units.to_integral_value()
    variation = text(item, "catalog_object_id")
    return OrderLine(
        line_id=text(item, "uid") or where,
        title=title if is_whole else f"{title}, {units.normalize():f}",
        # the ledger counts units: what is sold by weight is one line's worth of money and moves no stock
        quantity=int(units) if is_whole else 1,
        unit_price=_unit_price(reading, item, where, units) if is_whole else amounts.gross,
        gross_amount=amounts.gross,
        listing_key=variation or None,
        discount_amount=amounts.discount - of_order,
        order_discount_amount=of_order,
        taxes=read_line_taxes(reading, item, where, taxes),
        needs_stock=is_whole and item_type == "ITEM" and bool(variation),
        channel_location_id=text(order, "location_id") or None,
    )


@dataclass(frozen=True, slots=True)
class LineMoney:
    """Money of a line without tax and without its part of service charges: gross − discount = net."""

    gross: Decimal
    discount: Decimal
    net: Decimal
    tax: Decimal

    @classmethod
    def of(cls, reading: Reading, item: Row, where: str, *, gross_name: str) -> LineMoney:
        """Return the money of a line or of a returned line, whatever the country's way with included tax."""
        told = reading.money(item, gross_name, where)
        discount = reading.money(item, "total_discount_money", where)
        tax = reading.money(item, "total_tax_money", where)
        charges = reading.money(item, "total_service_charge_money", where)
        total = reading.maybe_money(item, "total_money", where)
        with_tax = told - discount + tax if total is None else total - charges
        net = with_tax - tax
        if told - discount == net:
            return cls(told, discount, net, tax)
        gross, plain_discount = without_tax(with_tax, tax, discount, reading.currency)
        return cls(gross, plain_discount, net, tax)


def _unit_price(reading: Reading, item: Row, where: str, units: Decimal) -> Decimal:
    """Return the price of one unit as the till shows it, with what was added to it."""
    price = reading.money(item, "base_price_money", where)
    added = sum(
        (reading.money(row, "total_price_money", f"{where}.modifiers") for row in rows(item, "modifiers", where)), ZERO
    )
    if not added or not units:
        return price
    return price + (added / units).quantize(_SIX_DECIMALS)


def read_line_taxes(reading: Reading, row: Row, where: str, taxes: Mapping[str, TaxRate]) -> tuple[Tax, ...]:
    """Return the taxes of a line or charge; they sum to its own total of taxes."""
    left = reading.money(row, "total_tax_money", where)
    found = []
    for part in rows(row, "applied_taxes", where):
        amount = reading.money(part, "applied_money", where)
        rate = taxes.get(text(part, "tax_uid"), TaxRate("Tax", None, False))
        if amount:
            found.append(Tax(rate.title, amount, rate.rate))
            left -= amount
    if left:
        found.append(Tax("Rounding of taxes" if found else "Tax", left))
    return tuple(found)


def read_charges(reading: Reading, order: Row, taxes: Mapping[str, TaxRate]) -> tuple[Charge, ...]:
    """Return service charges, the tip and the rounding of cash."""
    found = [
        charge
        for index, row in enumerate(rows(order, "service_charges"))
        if (charge := _service_charge(reading, order, row, f"service_charges[{index}]", taxes)).amount or charge.taxes
    ]
    tip = reading.money(order, "total_tip_money", "order")
    if tip:
        found.append(Charge("tip", ChargeKind.TIP, "Tip", tip))
    rounding = order.get("rounding_adjustment")
    amount = reading.money(rounding, "amount_money", "rounding_adjustment") if rounding else ZERO
    if amount:
        found.append(Charge("rounding", ChargeKind.ROUNDING, "Rounding of cash", amount))
    return tuple(found)


def _service_charge(reading: Reading, order: Row, row: Row, where: str, taxes: Mapping[str, TaxRate]) -> Charge:
    """Return one service charge. One that was apportioned to the lines has its tax there."""
    uid, title = text(row, "uid"), text(row, "name") or "Service charge"
    charge_id = f"service:{uid or where}"
    tax = reading.money(row, "total_tax_money", where)
    if row.get("treatment_type") == _APPORTIONED:
        amount = sum(
            (
                reading.money(part, "applied_money", where)
                for item in rows(order, "line_items")
                for part in rows(item, "applied_service_charges")
                if text(part, "service_charge_uid") == uid
            ),
            ZERO,
        )
        return Charge(charge_id, ChargeKind.FEE, title, amount)
    total = reading.maybe_money(row, "total_money", where)
    amount = reading.money(row, "applied_money", where) if total is None else total - tax
    return Charge(charge_id, ChargeKind.FEE, title, amount, None, read_line_taxes(reading, row, where, taxes))


def read_discounts(reading: Reading, order: Row) -> tuple[Discount, ...]:
    """Return the discounts by name; their amounts already stand on the lines."""
    return tuple(
        Discount(text(row, "name") or "Discount", reading.money(row, "applied_money", f"discounts[{index}]"))
        for index, row in enumerate(rows(order, "discounts"))
    )


def total_of(reading: Reading, order: Row, lines: tuple[OrderLine, ...]) -> Decimal:
    """Return Square's total of the sale; an order that states none has no charges, and its lines make the total."""
    told = reading.maybe_money(order, "total_money", "order")
    return sum((line.net_amount + line.tax_amount for line in lines), ZERO) if told is None else told
