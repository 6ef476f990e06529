"""From Loyverse's receipts to orders of the hub. Pure: no request, no clock.

What belongs here: splitting a page, reading one receipt. Not here: how pages are fetched (`orders`).

A receipt is a sale or a refund. A refund is a receipt of its own that names its sale; it becomes a credit note. Its
amounts are positive like those of a sale. Amounts are plain decimals without a currency: the merchant's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.loyverse.settings import restocks_refunds
from oms_hub.channel.answers import read_json
from oms_hub.channel.contract import Connection, Payload, RawRecord
from oms_hub.domain.money import exact_decimal, without_tax
from oms_hub.domain.orders import (
    ZERO,
    Charge,
    ChargeKind,
    Customer,
    FulfilmentState,
    Order,
    OrderKind,
    OrderLine,
    OrderState,
    Payment,
    PaymentKind,
    PaymentState,
    Refund,
    RefundLine,
    Shipment,
    ShipmentLine,
    Tax,
)
from oms_hub.domain.pull_windows import from_text
from oms_hub.errors import BadPayload

_KINDS = ("SALE", "REFUND")


def split_page(kind: str, body: bytes) -> Sequence[RawRecord]:
    """Return the receipts of a page in order; raises BadPayload where it holds no list of them."""
    page = read_json(body).parsed
    rows = page.get("receipts") if isinstance(page, dict) else None
    if not isinstance(rows, list):
        raise BadPayload("the page holds no list of receipts", where=kind)
    return records_of(rows)


def records_of(rows: Sequence[Any]) -> list[RawRecord]:
    """Return the records of a page's receipts, as parsed."""
    return [
        RawRecord(str(_value(row, "receipt_number") or f"position:{index}"), row, updated_at(row))
        for index, row in enumerate(rows)
    ]


def updated_at(row: Any) -> datetime | None:
    """Return when a receipt changed, None where that cannot be read (`parse_order` then says what is wrong)."""
    return _instant(row, "updated_at") or _instant(row, "created_at")


def made_at(row: Any) -> datetime | None:
    """Return when a receipt was made at the till, which may be days before it arrived."""
    return _instant(row, "receipt_date") or _instant(row, "created_at")


def _instant(row: Any, name: str) -> datetime | None:
    try:
        return from_text(_value(row, name) or "")
    except (TypeError, ValueError):
        return None


def _value(row: Any, name: str) -> Any:
    return row.get(name) if isinstance(row, dict) else None


def parse_order(payloads: Sequence[Payload], connection: Connection) -> Order:
    """Return the order that a receipt describes; the last payload is the newest version.

    Raises:
        BadPayload: a field that matters is missing or is none.
    """
    row = payloads[-1]
    changed_at, placed_at = updated_at(row), made_at(row)
    if changed_at is None or placed_at is None:
        raise BadPayload("a receipt has no readable times", where="receipt")
    try:
        return _order(row, changed_at, placed_at, connection)
    except KeyError as error:
        raise BadPayload(f"the field {error.args[0]} is missing", where="receipt") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BadPayload("a field is not what the reference says", where="receipt") from error


def _order(row: Mapping[str, Any], changed_at: datetime, placed_at: datetime, connection: Connection) -> Order:
    kind = row["receipt_type"]
    is_refund, is_cancelled = kind == "REFUND", bool(row.get("cancelled_at"))
    total = _amount(row, "total_money")
    found = [_line(line, row, connection.currency) for line in row["line_items"]]
    lines = tuple(line for line, _ in found)
    refund = _refund(row, lines, placed_at, total, connection) if is_refund else None
    sold = tuple(ShipmentLine(line.line_id, line.quantity) for line in lines if line.needs_stock and line.quantity)
    place = row.get("store_id") or None
    shipments = (Shipment("sale", placed_at, sold, channel_location_id=place),) if sold and not is_refund else ()
    paid = PaymentState.REFUNDED if is_refund else PaymentState.PAID
    gone = FulfilmentState.RETURNED if is_refund else FulfilmentState.FULFILLED
    return Order(
        channel_order_id=str(row["receipt_number"]),
        label=f"refund of {row['refund_for']}" if row.get("refund_for") else str(row["receipt_number"]),
        placed_at=placed_at,
        updated_at=changed_at,
        state=OrderState.CANCELLED if is_cancelled else OrderState.CLOSED,
        payment_state=PaymentState.VOIDED if is_cancelled else paid,
        fulfilment_state=FulfilmentState.UNFULFILLED if is_cancelled else gone,
        currency=connection.currency,
        total=ZERO if is_refund else total,
        kind=OrderKind.CREDIT_NOTE if is_refund else OrderKind.POS,
        channel_state=f"{kind} cancelled" if is_cancelled else kind,
        unknown_words=() if kind in _KINDS else (f"receipt type {kind}",),
        is_sale=kind in _KINDS and not is_cancelled,
        taxes_included=any(is_included for _, is_included in found),
        cancelled_at=changed_at if is_cancelled else None,
        closed_at=None if is_cancelled else placed_at,
        lines=tuple(_named(line) for line in lines) if is_refund else lines,
        charges=() if is_refund else _charges(row),
        payments=() if is_cancelled else _payments(row, placed_at, connection.currency, is_refund=is_refund),
        refunds=() if refund is None or is_cancelled else (refund,),
        shipments=() if is_cancelled else shipments,
        customer=Customer(str(row["customer_id"])) if row.get("customer_id") else None,
    )


def _amount(row: Mapping[str, Any], name: str) -> Decimal:
    """Return an amount, zero where it is left out; refunds may be written with either sign."""
    value = row.get(name)
    return ZERO if value is None else abs(exact_decimal(value))


def _line(line: Mapping[str, Any], row: Mapping[str, Any], currency: str) -> tuple[OrderLine, bool]:
    """Return a line, and whether its price contains tax. Paid for it: gross − discounts + taxes that were added."""
    gross = _amount(line, "gross_total_money")
    discount = sum((_amount(each, "money_amount") for each in line.get("line_discounts") or ()), ZERO)
    taxes, included = [], ZERO
    for each in line.get("line_taxes") or ():
        amount = _amount(each, "money_amount")
        rate = each.get("rate")
        taxes.append(Tax(each.get("name") or "Tax", amount, None if rate is None else exact_decimal(rate).scaleb(-2)))
        included += ZERO if each.get("type") == "ADDED" else amount
    if included:
        gross, discount = without_tax(gross - discount, included, discount, currency)
    units = abs(exact_decimal(line["quantity"]))
    is_whole = units == units.to_integral_value()
    title = " ".join(part for part in (line.get("item_name"), line.get("variant_name")) if part)
    found = OrderLine(
        line_id=str(line["id"]),
        title=title if is_whole else f"{title}, {units.normalize():f}",
        # the ledger counts units: what is sold by weight is one line's worth of money and moves no stock
        quantity=int(units) if is_whole else 1,
        unit_price=_amount(line, "price") if is_whole else gross,
        gross_amount=gross,
        listing_key=line.get("variant_id") or None,
        sku=line.get("sku") or None,
        discount_amount=discount,
        taxes=tuple(taxes),
        needs_stock=is_whole and bool(line.get("variant_id")),
        channel_location_id=row.get("store_id") or None,
    )
    return found, bool(included)


def _named(line: OrderLine) -> OrderLine:
    """Return a line that only names what came back: nothing was sold."""
    return OrderLine(
        line.line_id, line.title, 0, line.unit_price, ZERO, line.listing_key, line.sku,
        needs_stock=line.needs_stock, channel_location_id=line.channel_location_id,
    )  # fmt: skip


def _refund(
    row: Mapping[str, Any], lines: Sequence[OrderLine], at: datetime, total: Decimal, connection: Connection
) -> Refund:
    is_restocked = restocks_refunds(connection.settings)
    given = tuple(
        RefundLine(
            line.line_id, line.quantity, line.net_amount, line.tax_amount,
            is_restocked=is_restocked and line.needs_stock, channel_location_id=line.channel_location_id,
        )
        for line in lines
    )  # fmt: skip
    stated = sum((line.amount + line.tax_amount for line in given), ZERO)
    sale = row.get("refund_for")
    return Refund("refund", at, total, given, other_amount=total - stated, reason=f"refund of {sale}" if sale else "")


def _charges(row: Mapping[str, Any]) -> tuple[Charge, ...]:
    named = (("tip", ChargeKind.TIP, "Tip"), ("surcharge", ChargeKind.FEE, "Surcharge"))
    return tuple(Charge(name, kind, title, amount) for name, kind, title in named if (amount := _amount(row, name)))


def _payments(row: Mapping[str, Any], at: datetime, currency: str, *, is_refund: bool) -> tuple[Payment, ...]:
    kind = PaymentKind.REFUND if is_refund else PaymentKind.SALE
    return tuple(
        Payment(str(index), kind, amount, currency, at, str(each.get("name") or ""))
        for index, each in enumerate(row.get("payments") or (), start=1)
        if (amount := _amount(each, "money_amount"))
    )
