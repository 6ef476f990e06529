"""An order as the rows of its tables, in the text that COPY takes.

What belongs here: which field goes into which column. Not here: writing (`orders`). Everything that the database
would refuse is refused here, per order, so that one bad order never stops the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from oms_hub.domain.order_merge import VersionKey
from oms_hub.domain.orders import Order, OrderLine, Tax
from oms_hub.domain.stock_ledger import holds, stock_events
from oms_hub.errors import BadPayload
from oms_hub.store.copy_text import (
    amount_field,
    big_field,
    bytes_field,
    encoded,
    flag_field,
    instant_field,
    key_field,
    optional_amount_field,
    optional_instant_field,
    optional_key_field,
    optional_text_field,
    text_field,
    units_field,
)
from oms_hub.store.order_money_rows import channel_fee_rows, discount_rows, payment_rows

_KEY = "connection_id, channel_order_id, merchant_id"
COLUMNS = {
    "orders": f"{_KEY}, label, kind, placed_at, channel_updated_at, channel_version, content_hash, raw_page_id,"
    " raw_position, state, payment_state, fulfilment_state, channel_state, channel_payment_state,"
    " channel_fulfilment_state, unknown_words, is_sale, is_test, is_draft, taxes_included, currency, total,"
    " adjustment_amount, presentment_currency, presentment_total, cancelled_at, closed_at, ship_by_at, deliver_by_at,"
    " channel_customer_id",
    "order_lines": f"{_KEY}, line_id, position, listing_key, channel_sku, title, quantity, unit_price, gross_amount,"
    " discount_amount, order_discount_amount, tax_amount, cancelled_quantity, needs_stock, channel_location_id,"
    " allocated_quantity, reserved_quantity, sku_id",
    "order_charges": f"{_KEY}, charge_id, kind, title, code, amount, tax_amount",
    "order_taxes": f"{_KEY}, owner, position, title, rate, amount, is_channel_liable",
    "order_discounts": f"{_KEY}, position, title, code, amount",
    "payments": f"{_KEY}, payment_id, kind, amount, currency, processed_at, gateway, is_successful",
    "order_channel_fees": f"{_KEY}, fee_id, kind, amount, currency, charged_at",
    "refunds": f"{_KEY}, refund_id, refunded_at, paid_amount, shipping_amount, shipping_tax_amount,"
    " other_amount, reason",
    "refund_lines": f"{_KEY}, refund_id, position, line_id, quantity, amount, tax_amount, is_restocked,"
    " channel_location_id",
    "returns": f"{_KEY}, return_id, status, opened_at, closed_at",
    "return_lines": f"{_KEY}, return_id, position, line_id, quantity, reason",
    "shipments": f"{_KEY}, shipment_id, status, shipped_at, delivered_at, carrier, tracking_number, tracking_url,"
    " channel_location_id",
    "shipment_lines": f"{_KEY}, shipment_id, position, line_id, quantity",
    "order_stock_events": f"{_KEY}, line_id, kind, channel_location_id, cumulative_quantity, occurred_at",
}
"""Table -> the columns of its rows, in order; `orders` first, because the others refer to it."""

CHILD_TABLES = tuple(table for table in COLUMNS if table != "orders")


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line's row without its end: the SKU is looked up when it is written."""

    row: bytes
    listing_key: str | None
    channel_sku: str | None


@dataclass(frozen=True, slots=True)
class OrderRows:
    """One order, ready to be written.

    Attributes:
        order: what the rows say.
        key: which version it is.
        gap: what was missing to the channel's total.
        rows: table -> its rows; only tables that have any, never `order_lines`.
        lines: the rows of `order_lines`.
    """

    order: Order
    key: VersionKey
    gap: Decimal
    rows: dict[str, bytes]
    lines: tuple[LineRow, ...]


def order_rows(order: Order, *, key: VersionKey, gap: Decimal, connection_id: int, merchant_id: int) -> OrderRows:
    """Return an order's rows.

    Raises:
        BadPayload: a value cannot be stored exactly (no zone, no finite number, NUL, too long), or two parts of the
            order have the same id.
    """
    _require_distinct(order)
    own = f"{connection_id}\t{key_field(order.channel_order_id, 'id')}\t{merchant_id}"
    texts = {
        "orders": _order(own, order, key, gap),
        "order_charges": _charges(own, order),
        "order_taxes": _taxes(own, order),
        "order_discounts": discount_rows(own, order),
        "payments": payment_rows(own, order),
        "order_channel_fees": channel_fee_rows(own, order),
        **_refunds(own, order),
        **_returns(own, order),
        **_shipments(own, order),
        "order_stock_events": _stock_events(own, order),
    }
    rows = {table: encoded(text) for table, text in texts.items() if text}
    return OrderRows(order, key, gap, rows, _lines(own, order))


def _require_distinct(order: Order) -> None:
    groups: tuple[tuple[str, Sequence[str]], ...] = (
        ("lines", [line.line_id for line in order.lines]),
        ("charges", [charge.charge_id for charge in order.charges]),
        ("payments", [payment.payment_id for payment in order.payments]),
        ("channel_fees", [fee.fee_id for fee in order.channel_fees]),
        ("refunds", [refund.refund_id for refund in order.refunds]),
        ("returns", [each.return_id for each in order.returns]),
        ("shipments", [shipment.shipment_id for shipment in order.shipments]),
    )
    for where, ids in groups:
        if len(ids) > 1 and len(set(ids)) < len(ids):
            raise BadPayload("two parts of the order have the same id", where=where)


def _order(own: str, order: Order, key: VersionKey, gap: Decimal) -> str:
    customer = order.customer
    return "\t".join(
        (
            own,
            text_field(order.label),
            order.kind,
            instant_field(order.placed_at, "placed_at"),
            instant_field(order.updated_at, "updated_at"),
            big_field(order.version, "version"),
            bytes_field(key.content_hash),
            str(key.landed[0]),
            str(key.landed[1]),
            order.state,
            order.payment_state,
            order.fulfilment_state,
            text_field(order.channel_state),
            text_field(order.channel_payment_state),
            text_field(order.channel_fulfilment_state),
            optional_text_field(", ".join(order.unknown_words) or None),
            flag_field(order.is_sale),
            flag_field(order.is_test),
            flag_field(order.is_draft),
            flag_field(order.taxes_included),
            text_field(order.currency),
            amount_field(order.total, "total"),
            amount_field(gap, "total"),
            optional_text_field(order.presentment_currency),
            optional_amount_field(order.presentment_total, "presentment_total"),
            optional_instant_field(order.cancelled_at, "cancelled_at"),
            optional_instant_field(order.closed_at, "closed_at"),
            optional_instant_field(order.ship_by_at, "ship_by_at"),
            optional_instant_field(order.deliver_by_at, "deliver_by_at"),
            optional_key_field(None if customer is None else customer.channel_customer_id, "customer") + "\n",
        )
    )


def _lines(own: str, order: Order) -> tuple[LineRow, ...]:
    held = {hold.line_id: hold for hold in holds(order)}
    found = []
    for position, line in enumerate(order.lines):
        hold = held.get(line.line_id)
        allocated, reserved = (0, 0) if hold is None else (hold.allocated, hold.reserved)
        row = f"{own}\t{_line(position, line)}\t{allocated}\t{reserved}\t"
        found.append(LineRow(encoded(row), line.listing_key, line.sku))
    return tuple(found)


def _line(position: int, line: OrderLine) -> str:
    where = f"lines[{position}]"
    return "\t".join(
        (
            key_field(line.line_id, where),
            str(position),
            optional_text_field(line.listing_key),
            optional_key_field(line.sku, where),
            text_field(line.title),
            units_field(line.quantity, where),
            amount_field(line.unit_price, where),
            amount_field(line.gross_amount, where),
            amount_field(line.discount_amount, where),
            amount_field(line.order_discount_amount, where),
            amount_field(line.tax_amount, where),
            units_field(line.cancelled_quantity, where),
            flag_field(line.needs_stock),
            optional_text_field(line.channel_location_id),
        )
    )


def _charges(own: str, order: Order) -> str:
    return "".join(
        f"{own}\t{key_field(charge.charge_id, 'charges')}\t{charge.kind}\t{text_field(charge.title)}"
        f"\t{optional_text_field(charge.code)}\t{amount_field(charge.amount, 'charges')}"
        f"\t{amount_field(charge.tax_amount, 'charges')}\n"
        for charge in order.charges
    )


def _taxes(own: str, order: Order) -> str:
    owners: Iterable[tuple[str, Sequence[Tax]]] = (
        *((f"line:{line.line_id}", line.taxes) for line in order.lines if line.taxes),
        *((f"charge:{charge.charge_id}", charge.taxes) for charge in order.charges if charge.taxes),
    )
    return "".join(
        f"{own}\t{text_field(owner)}\t{position}\t{text_field(tax.title)}\t{optional_amount_field(tax.rate, 'taxes')}"
        f"\t{amount_field(tax.amount, 'taxes')}\t{flag_field(tax.is_channel_liable)}\n"
        for owner, taxes in owners
        for position, tax in enumerate(taxes)
    )


def _refunds(own: str, order: Order) -> dict[str, str]:
    refunds: list[str] = []
    lines: list[str] = []
    for refund in order.refunds:
        refund_id = key_field(refund.refund_id, "refunds")
        refunds.append(
            f"{own}\t{refund_id}\t{instant_field(refund.refunded_at, 'refunds')}"
            f"\t{amount_field(refund.paid_amount, 'refunds')}\t{amount_field(refund.shipping_amount, 'refunds')}"
            f"\t{amount_field(refund.shipping_tax_amount, 'refunds')}\t{amount_field(refund.other_amount, 'refunds')}"
            f"\t{text_field(refund.reason)}\n"
        )
        lines.extend(
            f"{own}\t{refund_id}\t{position}\t{text_field(line.line_id)}\t{units_field(line.quantity, 'refunds')}"
            f"\t{amount_field(line.amount, 'refunds')}\t{amount_field(line.tax_amount, 'refunds')}"
            f"\t{flag_field(line.is_restocked)}\t{optional_text_field(line.channel_location_id)}\n"
            for position, line in enumerate(refund.lines)
        )
    return {"refunds": "".join(refunds), "refund_lines": "".join(lines)}


def _returns(own: str, order: Order) -> dict[str, str]:
    returns: list[str] = []
    lines: list[str] = []
    for each in order.returns:
        return_id = key_field(each.return_id, "returns")
        returns.append(
            f"{own}\t{return_id}\t{text_field(each.status)}\t{instant_field(each.opened_at, 'returns')}"
            f"\t{optional_instant_field(each.closed_at, 'returns')}\n"
        )
        lines.extend(
            f"{own}\t{return_id}\t{position}\t{text_field(line.line_id)}\t{units_field(line.quantity, 'returns')}"
            f"\t{text_field(line.reason)}\n"
            for position, line in enumerate(each.lines)
        )
    return {"returns": "".join(returns), "return_lines": "".join(lines)}


def _shipments(own: str, order: Order) -> dict[str, str]:
    shipments: list[str] = []
    lines: list[str] = []
    for shipment in order.shipments:
        shipment_id = key_field(shipment.shipment_id, "shipments")
        shipments.append(
            f"{own}\t{shipment_id}\t{text_field(shipment.status)}\t{instant_field(shipment.shipped_at, 'shipments')}"
            f"\t{optional_instant_field(shipment.delivered_at, 'shipments')}\t{optional_text_field(shipment.carrier)}"
            f"\t{optional_text_field(shipment.tracking_number)}\t{optional_text_field(shipment.tracking_url)}"
            f"\t{optional_text_field(shipment.channel_location_id)}\n"
        )
        lines.extend(
            f"{own}\t{shipment_id}\t{position}\t{text_field(line.line_id)}\t{units_field(line.quantity, 'shipments')}\n"
            for position, line in enumerate(shipment.lines)
        )
    return {"shipments": "".join(shipments), "shipment_lines": "".join(lines)}


def _stock_events(own: str, order: Order) -> str:
    return "".join(
        f"{own}\t{text_field(event.line_id)}\t{event.kind}\t{key_field(event.channel_location_id, 'stock')}"
        f"\t{units_field(event.cumulative_quantity, 'stock')}\t{instant_field(event.occurred_at, 'stock')}\n"
        for event in stock_events(order)
    )
