"""One receipt to an order: pure, from the raw rows that landed and the connection's settings.

What belongs here: the order around its parts (`parts`). Not here: which rows count (`receipt`),
reading cells (`cells`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.pos_feed.cells import RowCells, RowValues, read_row, sold_at
from connectors.pos_feed.parts import Parts, sort_rows
from connectors.pos_feed.receipt import unite
from connectors.pos_feed.settings import FeedSettings, read_settings
from oms_hub.channel.contract import Connection, Payload
from oms_hub.domain.orders import (
    ZERO,
    Customer,
    FulfilmentState,
    Order,
    OrderKind,
    OrderState,
    Payment,
    PaymentKind,
    PaymentState,
    Refund,
    Shipment,
    ShipmentLine,
)
from oms_hub.errors import BadPayload

REFUND_ID = "refund"
STOCK_CORRECTION = "stock_correction"


def parse_order(payloads: Sequence[Payload], connection: Connection) -> Order:
    """Return the order that a receipt is.

    A receipt is a sale that is paid and gone, at the moment of its first row. `version` counts what landed of it, so
    that the same receipt with more rows, or changed ones, is newer.

    Args:
        payloads: every raw payload of one receipt, in landing order.
        connection: its settings say what columns mean; its merchant's zone and currency fill what they leave out.

    Raises:
        BadPayload: names file, line and column of what cannot be read.
    """
    settings = read_settings(connection.settings)
    zone = ZoneInfo(settings.time_zone or connection.time_zone)
    currency = settings.currency or connection.currency
    receipt = unite(payloads, settings.columns)
    order_id = _order_id(receipt.rows, settings)
    rows = [read_row(row, settings, zone, currency) for row in receipt.rows]
    _check_currency(rows)
    is_credit_note = bool(settings.credit_note_prefix) and order_id.startswith(settings.credit_note_prefix)
    parts = sort_rows(rows, settings, is_credit_note=is_credit_note)
    placed_at = min(row.sold_at for row in rows)
    total = _total(parts)
    is_correction = not is_credit_note and _is_only_correction(rows, parts)
    return Order(
        channel_order_id=order_id,
        label=order_id,
        placed_at=placed_at,
        updated_at=max([placed_at, *_readable_dates(receipt.ever, settings, zone)]),
        version=len(payloads),
        state=OrderState.CLOSED,
        payment_state=_payment_state(parts, is_credit_note=is_credit_note),
        fulfilment_state=FulfilmentState.RETURNED if is_credit_note else FulfilmentState.FULFILLED,
        channel_state=STOCK_CORRECTION if is_correction else "",
        kind=OrderKind.CREDIT_NOTE if is_credit_note else OrderKind.POS,
        currency=rows[0].currency,
        total=total,
        is_sale=not is_correction,
        taxes_included=settings.includes_tax,
        closed_at=placed_at,
        lines=tuple(parts.lines),
        charges=tuple(parts.charges),
        discounts=tuple(parts.discounts),
        refunds=_refunds(rows, parts, placed_at, is_credit_note=is_credit_note),
        payments=_payments(rows, parts, placed_at),
        shipments=_shipments(parts, placed_at),
        customer=_customer(rows),
        remarks=receipt.remarks,
    )


def _order_id(rows: Sequence[RowCells], settings: FeedSettings) -> str:
    if not rows:
        raise BadPayload("no row of this receipt is left", remedy="Sync again; the file is being rewritten")
    order_id = rows[0].cells.get("order_id", "")
    if not order_id:
        column = settings.columns["order_id"]
        raise BadPayload(f"{rows[0].where()}: column {column} is empty", remedy="Mend the row in the file")
    return order_id


def _check_currency(rows: Sequence[RowValues]) -> None:
    other = next((row for row in rows if row.currency != rows[0].currency), None)
    if other is not None:
        raise BadPayload(
            f"{other.where} is in {other.currency}, {rows[0].where} of the same receipt in {rows[0].currency}",
            remedy="Give receipts of different currencies different numbers",
        )


def _readable_dates(rows: Sequence[RowCells], settings: FeedSettings, zone: ZoneInfo) -> list[datetime]:
    """Return the dates of all rows that ever landed; an unreadable one that no longer counts is passed over."""
    dates = []
    for row in rows:
        try:
            dates.append(sold_at(row, settings, zone))
        except BadPayload:
            continue
    return dates


def _total(parts: Parts) -> Decimal:
    total = sum((line.net_amount + line.tax_amount for line in parts.lines), ZERO)
    return sum((charge.amount + charge.tax_amount for charge in parts.charges), total)


def _is_only_correction(rows: Sequence[RowValues], parts: Parts) -> bool:
    """Say whether all rows are goods at price zero: tills write stock corrections so; they are no sale."""
    is_free = all(row.unit_price == 0 and row.discount == 0 and not row.tax for row in rows)
    return is_free and not parts.charges and not any(line.needs_stock for line in parts.lines)


def _payment_state(parts: Parts, *, is_credit_note: bool) -> PaymentState:
    if is_credit_note:
        return PaymentState.REFUNDED
    if parts.refund_value <= 0:
        return PaymentState.PAID
    return PaymentState.REFUNDED if parts.refund_value >= _total(parts) else PaymentState.PARTIALLY_REFUNDED


def _refunds(
    rows: Sequence[RowValues], parts: Parts, refunded_at: datetime, *, is_credit_note: bool
) -> tuple[Refund, ...]:
    if not is_credit_note and not parts.refund_lines:
        return ()
    reference = next((row.reference for row in rows if row.reference), "")
    what = "credit note" if is_credit_note else "returned on the receipt"
    return (
        Refund(
            refund_id=REFUND_ID,
            refunded_at=refunded_at,
            paid_amount=parts.refund_value,
            lines=tuple(parts.refund_lines),
            shipping_amount=parts.refunded_shipping,
            shipping_tax_amount=parts.refunded_shipping_tax,
            other_amount=parts.refunded_other,
            reason=f"{what} for {reference}" if reference else what,
        ),
    )


def _payments(rows: Sequence[RowValues], parts: Parts, paid_at: datetime) -> tuple[Payment, ...]:
    gateway = next((row.payment for row in rows if row.payment), "")
    currency = rows[0].currency
    sums = ((PaymentKind.SALE, _total(parts)), (PaymentKind.REFUND, parts.refund_value))
    return tuple(
        Payment(kind.value, kind, amount, currency, paid_at, gateway) for kind, amount in sums if amount > 0
    )  # fmt: skip


def _shipments(parts: Parts, shipped_at: datetime) -> tuple[Shipment, ...]:
    """Return what left the shop with the buyer: one shipment per place."""
    places: dict[str | None, list[ShipmentLine]] = {}
    for line in parts.lines:
        if line.needs_stock and line.quantity > 0:
            places.setdefault(line.channel_location_id, []).append(ShipmentLine(line.line_id, line.quantity))
    return tuple(
        Shipment(f"sale:{place}" if place else "sale", shipped_at, tuple(lines), channel_location_id=place)
        for place, lines in places.items()
    )


def _customer(rows: Sequence[RowValues]) -> Customer | None:
    row = next((row for row in rows if row.customer), None)
    return None if row is None else Customer(row.customer, row.country or None)
