"""Lines, shipping and fees of a WooCommerce order with their taxes. Pure.

Amounts: `subtotal` is a line before discounts, `total` after, both without tax whatever `prices_include_tax` says
(that flag describes the checkout only). The `price` of a line is a binary float and is not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from connectors.woocommerce.fields import amount, plain_text, whole_units
from oms_hub.domain.orders import ZERO, Charge, ChargeKind, OrderLine, Tax
from oms_hub.errors import BadPayload

_SIX_DECIMALS = Decimal("0.000001")
TaxTitles: TypeAlias = Mapping[str, tuple[str, Decimal | None]]
"""Tax rate id -> its label and its rate as a fraction."""


def tax_titles(rows: Any) -> dict[str, tuple[str, Decimal | None]]:
    """Return label and rate of each tax rate of the order."""
    titles: dict[str, tuple[str, Decimal | None]] = {}
    for row in rows or ():
        percent = row.get("rate_percent")
        rate = amount(percent, "tax_lines.rate_percent").scaleb(-2) if percent not in (None, "") else None
        titles[str(row.get("rate_id"))] = (plain_text(row.get("label") or row.get("rate_code")) or "Tax", rate)
    return titles


_NO_TITLE: tuple[str, Decimal | None] = ("Tax", None)


def _taxes(rows: Any, total_tax: Any, titles: TaxTitles) -> tuple[Tax, ...]:
    """Read the taxes of a line: one for each rate; the line's own sum is what counts where they differ."""
    total = left = amount(total_tax, "total_tax")
    taxes = []
    for row in rows or ():
        text = row.get("total")
        if text is None or text == "":
            continue
        part = amount(text, "taxes.total")
        if part == 0:
            continue
        title, rate = titles.get(str(row.get("id")), _NO_TITLE)
        taxes.append(Tax(title, part, rate))
        left -= part
    if left == 0:
        return tuple(taxes)
    if len(taxes) == 1:
        return (Tax(taxes[0].title, total, taxes[0].rate),)
    return (*taxes, Tax("Rounding of taxes" if taxes else "Tax", left))


def order_lines(items: Sequence[Any], titles: TaxTitles, has_coupons: bool) -> tuple[OrderLine, ...]:
    """Return the lines of an order.

    Raises:
        BadPayload: names the line and the field.
    """
    lines = []
    for item in items:
        try:
            lines.append(_order_line(item, titles, has_coupons))
        except BadPayload as error:
            reason = error.message.partition(" (at ")[0]
            raise BadPayload(reason, where=f"line_items[{len(lines)}].{error.where}") from error
    return tuple(lines)


def _order_line(item: dict[str, Any], titles: TaxTitles, has_coupons: bool) -> OrderLine:
    """Return one line.

    The shop tells discounts only as the difference of two sums per line. Where the order has coupons they are the
    line's part of a discount on the order; without coupons they are the line's own (a price changed by hand or plugin).
    """
    quantity = whole_units(item["quantity"], "quantity")
    net = amount(item["total"], "total")
    subtotal = item.get("subtotal")
    gross = net if subtotal is None or subtotal == "" else amount(subtotal, "subtotal")
    # a person may raise the total of a line by hand: that is its price, not a negative discount
    gross = max(gross, net)
    discount = gross - net
    unit_price = gross
    if quantity not in (0, 1):
        unit_price = gross / quantity
        if unit_price * quantity != gross:
            unit_price = unit_price.quantize(_SIX_DECIMALS)
    return OrderLine(
        str(item["id"]),
        plain_text(item.get("name")),
        quantity,
        unit_price,
        gross,
        _listing_key(item),
        plain_text(item.get("sku")) or None,
        ZERO if has_coupons else discount,
        discount if has_coupons else ZERO,
        _taxes(item.get("taxes"), item.get("total_tax"), titles),
    )


def _listing_key(item: Mapping[str, Any]) -> str | None:
    product_id, variation_id = item.get("product_id"), item.get("variation_id")
    if variation_id and product_id:
        return f"variation:{product_id}:{variation_id}"
    return f"product:{product_id}" if product_id else None


def charges(order: Mapping[str, Any], titles: TaxTitles) -> tuple[Charge, ...]:
    """Return shipping and fees; fees may be negative."""
    found = []
    for kind, prefix, rows, title in (
        (ChargeKind.SHIPPING, "shipping", order.get("shipping_lines"), "method_title"),
        (ChargeKind.FEE, "fee", order.get("fee_lines"), "name"),
    ):
        for row in rows or ():
            where = f"{prefix}_lines.total"
            found.append(
                Charge(
                    f"{prefix}:{row['id']}",
                    kind,
                    plain_text(row.get(title)) or prefix,
                    amount(row.get("total"), where),
                    plain_text(row.get("method_id")) or None,
                    _taxes(row.get("taxes"), row.get("total_tax"), titles),
                )
            )
    return tuple(found)
