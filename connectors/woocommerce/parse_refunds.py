"""Refunds of a WooCommerce order. Pure.

What belongs here: reading refund rows, linking their lines to the order's lines, and finding out what was restocked.

How the shop tells a restock: a refund itself does not say it. WooCommerce keeps a running tally of restocked units on
the ORDER's line, in the line meta `_restock_refunded_items` (core `wc_restock_refunded_items`, read 2026-11), and the
REST answer shows line meta with hidden keys. No tally means that nothing was put back.

Units that were refunded and restocked before the order was completed never left the house: they are taken off the
order (`cancelled_quantity`). Restocked later they are a return. Units refunded without restocking stay on the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import combinations
from typing import Any

from connectors.woocommerce.fields import amount, instant, plain_text, whole_units
from oms_hub.domain.orders import ZERO, OrderLine, Refund, RefundLine

_SUBSETS_LIMIT = 12


def read(
    order: Mapping[str, Any],
    rows: Sequence[Any] | None,
    lines: Sequence[OrderLine],
    shipped_at: datetime | None,
    modified_at: datetime,
) -> tuple[tuple[Refund, ...], Mapping[str, int]]:
    """Return the refunds, oldest first, and the units per line that were taken off before they left.

    Args:
        order: the raw order.
        rows: the raw refunds; None where only the order's own short list is at hand.
        lines: the order's lines as parsed.
        shipped_at: when the goods left, None if they have not.
        modified_at: the instant for refunds whose own is not told.
    """
    if rows is None:
        return tuple(_from_summary(row, modified_at) for row in order.get("refunds") or ()), {}
    refunds = sorted(
        (_refund(row, order, lines) for row in rows), key=lambda refund: (refund.refunded_at, refund.refund_id)
    )
    tallies = _restock_tallies(order)
    return _mark_restocked(refunds, tallies, shipped_at)


def with_cancelled(lines: tuple[OrderLine, ...], cancelled: Mapping[str, int]) -> tuple[OrderLine, ...]:
    """Return the lines with the units that were taken off the order."""
    if not cancelled:
        return lines
    return tuple(
        replace(line, cancelled_quantity=min(line.quantity, cancelled[line.line_id]))
        if line.line_id in cancelled
        else line
        for line in lines
    )


def _from_summary(row: Mapping[str, Any], modified_at: datetime) -> Refund:
    paid = abs(amount(row.get("total"), "refunds.total"))
    return Refund(str(row["id"]), modified_at, paid, other_amount=paid, reason=plain_text(row.get("reason")))


def _refund(row: Mapping[str, Any], order: Mapping[str, Any], lines: Sequence[OrderLine]) -> Refund:
    paid = abs(amount(row["amount"], "refunds.amount"))
    refund_lines = []
    for item in row.get("line_items") or ():
        line_id = _refunded_line(item, order, lines)
        net = -amount(item.get("total"), "refunds.line_items.total")
        tax = -amount(item.get("total_tax"), "refunds.line_items.total_tax")
        quantity = abs(whole_units(item.get("quantity") or 0, "refunds.line_items.quantity"))
        if line_id is not None and (quantity or net or tax):
            refund_lines.append(RefundLine(line_id, quantity, net, tax))
    shipping = shipping_tax = ZERO
    for item in row.get("shipping_lines") or ():
        shipping -= amount(item.get("total"), "refunds.shipping_lines.total")
        shipping_tax -= amount(item.get("total_tax"), "refunds.shipping_lines.total_tax")
    named = sum((line.amount + line.tax_amount for line in refund_lines), shipping + shipping_tax)
    return Refund(
        str(row["id"]),
        instant(row["date_created_gmt"], "refunds.date_created_gmt"),
        paid,
        tuple(refund_lines),
        shipping,
        shipping_tax,
        paid - named,
        plain_text(row.get("reason")),
    )


def _refunded_line(item: Mapping[str, Any], order: Mapping[str, Any], lines: Sequence[OrderLine]) -> str | None:
    """Return the order line a refund line belongs to: by its link, else by its product (old versions have no link)."""
    for meta in item.get("meta_data") or ():
        if meta.get("key") == "_refunded_item_id":
            linked = str(meta.get("value"))
            return linked if any(line.line_id == linked for line in lines) else None
    product = (item.get("product_id"), item.get("variation_id"))
    if not product[0]:
        return None
    for candidate in order["line_items"]:
        if (candidate.get("product_id"), candidate.get("variation_id")) == product:
            return str(candidate["id"])
    return None


def _restock_tallies(order: Mapping[str, Any]) -> dict[str, int]:
    tallies: dict[str, int] = {}
    for item in order["line_items"]:
        for meta in item.get("meta_data") or ():
            if meta.get("key") == "_restock_refunded_items":
                tallies[str(item["id"])] = whole_units(meta.get("value") or 0, "line_items._restock_refunded_items")
    return tallies


def _mark_restocked(
    refunds: Sequence[Refund], tallies: Mapping[str, int], shipped_at: datetime | None
) -> tuple[tuple[Refund, ...], Mapping[str, int]]:
    """Say of each refund line whether its units went back: the refunds whose units make up the line's tally."""
    if not tallies:
        return tuple(refunds), {}
    chosen = {
        (line_id, refund_id)
        for line_id, tally in tallies.items()
        for refund_id in _refunds_making(tally, _units_by_refund(refunds, line_id))
    }
    cancelled: dict[str, int] = {}
    marked = []
    for refund in refunds:
        has_left = shipped_at is not None and refund.refunded_at >= shipped_at
        lines = []
        for line in refund.lines:
            is_chosen = (line.line_id, refund.refund_id) in chosen
            if is_chosen and not has_left:
                cancelled[line.line_id] = cancelled.get(line.line_id, 0) + line.quantity
            lines.append(replace(line, is_restocked=True) if is_chosen and has_left and line.quantity else line)
        marked.append(replace(refund, lines=tuple(lines)))
    return tuple(marked), cancelled


def _units_by_refund(refunds: Sequence[Refund], line_id: str) -> list[tuple[str, int]]:
    units = []
    for refund in refunds:
        quantity = sum(line.quantity for line in refund.lines if line.line_id == line_id)
        if quantity:
            units.append((refund.refund_id, quantity))
    return units


def _refunds_making(tally: int, units: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """Return the ids of refunds whose units add up to the tally, all or the earliest that fit.

    A refund restocks all of its lines or none, so some set of refunds makes the tally exactly, unless a refund was
    deleted since; then as many of the earliest are taken as fit.

    Example:
        >>> _refunds_making(3, [("1", 2), ("2", 3)])
        ('2',)
    """
    if sum(quantity for _, quantity in units) <= tally:
        return tuple(refund_id for refund_id, _ in units)
    if len(units) <= _SUBSETS_LIMIT:
        for size in range(1, len(units)):
            for some in combinations(units, size):
                if sum(quantity for _, quantity in some) == tally:
                    return tuple(refund_id for refund_id, _ in some)
    fitting, left = [], tally
    for refund_id, quantity in units:
        if quantity <= left:
            fitting.append(refund_id)
            left -= quantity
    return tuple(fitting)


def refunded_total(refunds: Sequence[Refund]) -> Decimal:
    """Return what went back in all."""
    return sum((refund.paid_amount for refund in refunds), ZERO)
