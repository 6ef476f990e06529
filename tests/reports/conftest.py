"""A book of orders for report tests: writes orders, lines and refunds as rows, touches days, and knows the truth.

The truth (`expected_*`) is computed here with `Decimal` and `zoneinfo` from the same orders, without any SQL.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, insert, text

from oms_hub.domain.orders import (
    Charge,
    ChargeKind,
    FulfilmentState,
    Order,
    OrderKind,
    OrderLine,
    OrderState,
    PaymentState,
    Refund,
    RefundLine,
    Tax,
)
from oms_hub.store import schema
from oms_hub.store.engine import Store, open_store_at

ORDER_TABLES = (
    schema.order_channel_fees,
    schema.payments,
    schema.shipment_lines,
    schema.shipments,
    schema.refund_lines,
    schema.refunds,
    schema.order_charges,
    schema.order_lines,
    schema.orders,
)


def at(text_: str) -> datetime:
    """Read an instant; without an offset it is UTC."""
    found = datetime.fromisoformat(text_)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def line(line_id: str, sku: str | None, quantity: int, price: str, **more: Any) -> OrderLine:
    tax = Decimal(more.pop("tax", "0"))
    return OrderLine(
        line_id=line_id,
        title="thing",
        quantity=quantity,
        unit_price=Decimal(price),
        gross_amount=Decimal(price) * quantity,
        sku=sku,
        discount_amount=Decimal(more.pop("discount", "0")),
        order_discount_amount=Decimal(more.pop("order_discount", "0")),
        taxes=(Tax("tax", tax),) if tax else (),
        **more,
    )


def charge(kind: ChargeKind, amount: str, tax: str = "0") -> Charge:
    return Charge(f"{kind}-1", kind, kind.value, Decimal(amount), taxes=(Tax("tax", Decimal(tax)),))


def refund(refund_id: str, when: str, *lines: RefundLine, **amounts: str) -> Refund:
    reason = amounts.pop("reason", "")
    parts = {name: Decimal(value) for name, value in amounts.items()}
    paid = parts.pop("paid_amount", None)
    made = Refund(refund_id, at(when), Decimal(0), lines, reason=reason, **parts)
    return replace(made, paid_amount=value_of(made) if paid is None else paid)


def value_of(refund_: Refund) -> Decimal:
    return (
        sum((part.amount + part.tax_amount for part in refund_.lines), Decimal(0))
        + refund_.shipping_amount
        + refund_.shipping_tax_amount
        + refund_.other_amount
    )


def order(order_id: str, placed: str, *lines: OrderLine, **more: Any) -> Order:
    """Return an order whose total is what its parts add up to, unless `total` says otherwise."""
    total = more.pop("total", None)
    made = Order(
        channel_order_id=order_id,
        label=f"#{order_id}",
        placed_at=at(placed),
        updated_at=at(placed),
        state=more.pop("state", OrderState.OPEN),
        payment_state=PaymentState.PAID,
        fulfilment_state=FulfilmentState.UNFULFILLED,
        currency=more.pop("currency", "EUR"),
        total=Decimal(0),
        lines=lines,
        **more,
    )
    parts = _parts(made)
    adjusted = any(part.kind is ChargeKind.ADJUSTMENT for part in made.charges)
    if total is None:
        return replace(made, total=parts)
    gap = Decimal(total) - parts
    if gap and not adjusted:
        made = replace(made, charges=(*made.charges, Charge("hub:adjustment", ChargeKind.ADJUSTMENT, "gap", gap)))
    return replace(made, total=Decimal(total))


def _parts(found: Order) -> Decimal:
    lines = sum((part.net_amount + part.tax_amount for part in found.lines), Decimal(0))
    return lines + sum((part.amount + part.tax_amount for part in found.charges), Decimal(0))


@dataclass
class Book:
    """Orders of one merchant, in the database and in memory."""

    store: Store
    merchant: str
    zone: ZoneInfo
    merchant_id: int
    connections: dict[str, int]
    orders: dict[tuple[str, str], Order] = field(default_factory=dict)
    vanished: set[tuple[str, str]] = field(default_factory=set)
    skus: dict[str, int] = field(default_factory=dict)

    @property
    def place(self) -> int:
        """Give the number of the default place."""
        found = self.run("SELECT location_id FROM hub.locations WHERE is_default AND merchant_id = :m")
        return int(found.scalar_one())

    def run(self, statement: str, **given: Any) -> Any:
        """Run a statement that may name the merchant as :m."""
        with self.store.begin() as tx:
            return tx.execute(text(statement), {"m": self.merchant_id, **given} if ":m" in statement else given)

    # ---------------------------------------------------------------------------------------------- writing

    def put(self, connection: str, new: Order) -> None:
        """Store an order, replacing an older version, and touch the days of both."""
        key = (connection, new.channel_order_id)
        with self.store.begin() as tx:
            self._touch(tx, connection, self.days(self.orders.get(key)) | self.days(new))
            _write(tx, self.connections[connection], self.merchant_id, new, self.skus)
        self.orders[key] = new
        self.vanished.discard(key)

    def vanish(self, connection: str, order_id: str) -> None:
        with self.store.begin() as tx:
            self._touch(tx, connection, self.days(self.orders[connection, order_id]))
            tx.execute(
                text("UPDATE hub.orders SET vanished_at = now() WHERE connection_id = :c AND channel_order_id = :o"),
                {"c": self.connections[connection], "o": order_id},
            )
        self.vanished.add((connection, order_id))

    def map_sku(self, sku: str, unit_cost: str | None = None) -> None:
        """Make a SKU of the merchant and link all lines of that text to it, touching their days."""
        with self.store.begin() as tx:
            sku_id = tx.scalar(
                text("INSERT INTO hub.skus (merchant_id, sku, unit_cost) VALUES (:m, :s, :c) RETURNING sku_id"),
                {"m": self.merchant_id, "s": sku, "c": unit_cost and Decimal(unit_cost)},
            )
            self.skus[sku] = int(sku_id)
            tx.execute(
                text("UPDATE hub.order_lines SET sku_id = :k WHERE merchant_id = :m AND channel_sku = :s"),
                {"k": sku_id, "m": self.merchant_id, "s": sku},
            )
            for (connection, _), found in self.orders.items():
                self._touch(tx, connection, self.days(found))

    def move(self, sku: str, kind: str, quantity: int, when: str, place: int | None = None) -> None:
        """Write a movement as the ledger does, with its balance; the first one opens the level."""
        where = {"s": self.skus[sku], "p": place or self.place}
        self.run(
            "INSERT INTO hub.balances (sku_id, location_id, merchant_id, counted_at) VALUES (:s, :p, :m, :at) "
            "ON CONFLICT (sku_id, location_id) DO NOTHING", at=at(when), **where,
        )  # fmt: skip
        self.run(
            "INSERT INTO hub.movements (merchant_id, sku_id, location_id, kind, quantity, balance_before, "
            "balance_after, occurred_at, source, natural_key, cause) SELECT :m, :s, :p, :k, :q, on_hand, on_hand + :q, "
            ":at, 'test', 'test ' || (SELECT count(*) FROM hub.movements), 'test' FROM hub.balances "
            "WHERE sku_id = :s AND location_id = :p", k=kind, q=quantity, at=at(when), **where,
        )  # fmt: skip
        self.run("UPDATE hub.balances SET on_hand = on_hand + :q WHERE sku_id = :s AND location_id = :p",
                 q=quantity, **where)  # fmt: skip

    def receive(self, sku: str, quantity: int, cost: str | None, when: str, *, moves: bool = True) -> None:
        """Write a receipt and its movement, as an import does for a place that was counted before."""
        self.run(
            "INSERT INTO hub.receipts (merchant_id, reference, sku_id, location_id, quantity, unit_cost, received_at, "
            "source) SELECT :m, 'R' || count(*), :s, :p, :q, :c, :at, 'test' FROM hub.receipts",
            s=self.skus[sku], p=self.place, q=quantity, c=cost and Decimal(cost), at=at(when),
        )  # fmt: skip
        if moves:
            self.move(sku, "receipt", quantity, when)

    def quarantine(self, connection: str, record_id: str, when: str, state: str = "open") -> None:
        with self.store.begin() as tx:
            tx.execute(
                text(
                    "INSERT INTO hub.quarantine (connection_id, record_id, merchant_id, kind, page_id, position,"
                    " reason, state, first_seen_at) VALUES (:c, :r, :m, 'orders', 1, 0, 'no currency', :state, :at) "
                    "ON CONFLICT (connection_id, record_id) DO UPDATE SET state = excluded.state"
                ),
                {
                    "c": self.connections[connection],
                    "r": record_id,
                    "m": self.merchant_id,
                    "at": at(when),
                    "state": state,
                },
            )

    def _touch(self, tx: Any, connection: str, days: set[date]) -> None:
        for day in sorted(days):
            tx.execute(
                text(
                    "INSERT INTO hub.touched_days VALUES (:m, :c, :d) ON CONFLICT (merchant_id, connection_id, "
                    "business_date) DO UPDATE SET business_date = excluded.business_date"
                ),
                {"m": self.merchant_id, "c": self.connections[connection], "d": day},
            )

    # ---------------------------------------------------------------------------------------------- the truth

    def day(self, instant: datetime) -> date:
        return instant.astimezone(self.zone).date()

    def days(self, found: Order | None) -> set[date]:
        if found is None:
            return set()
        return {
            self.day(found.placed_at),
            *(self.day(part.refunded_at) for part in found.refunds),
            *(self.day(part.processed_at) for part in found.payments),
        }

    def counted(self) -> Iterator[tuple[str, Order]]:
        for (connection, order_id), found in self.orders.items():
            if not (found.is_test or found.is_draft or (connection, order_id) in self.vanished):
                yield connection, found

    def expected_sales(self) -> dict[tuple[str, date, str], dict[str, Decimal]]:
        days: dict[tuple[str, date, str], dict[str, Decimal]] = {}

        def row(connection: str, instant: datetime, currency: str) -> dict[str, Decimal]:
            return days.setdefault((connection, self.day(instant), currency), defaultdict(Decimal))

        for connection, found in self.counted():
            is_note = found.kind is OrderKind.CREDIT_NOTE
            if not is_note and found.state is OrderState.CANCELLED:
                row(connection, found.placed_at, found.currency)["cancelled_orders"] += 1
            if not is_note and found.is_sale:
                placed = row(connection, found.placed_at, found.currency)
                placed["orders"] += 1
                placed["total_sales"] += found.total
                for part in found.lines:
                    placed["units"] += part.quantity
                    placed["gross_sales"] += part.gross_amount
                    placed["discounts"] += part.discount_amount + part.order_discount_amount
                    placed["net_sales"] += part.net_amount
                    placed["tax"] += part.tax_amount
                for extra in found.charges:
                    placed["shipping" if extra.kind is ChargeKind.SHIPPING else "fees"] += extra.amount
                    placed["tax"] += extra.tax_amount
            if is_note or found.is_sale:
                for back in found.refunds:
                    given = row(connection, back.refunded_at, found.currency)
                    goods = sum((part.amount for part in back.lines), Decimal(0)) + back.other_amount
                    given["returns"] += goods
                    given["net_sales"] -= goods
                    given["shipping"] -= back.shipping_amount
                    given["tax"] -= back.shipping_tax_amount + sum((p.tax_amount for p in back.lines), Decimal(0))
                    given["total_sales"] -= value_of(back)
                    given["refunds_paid"] += back.paid_amount
        return days

    def expected_skus(self) -> dict[tuple[str, date, str, str], dict[str, Decimal]]:
        rows: dict[tuple[str, date, str, str], dict[str, Decimal]] = {}

        def row(connection: str, instant: datetime, currency: str, sku: str | None) -> dict[str, Decimal]:
            return rows.setdefault((connection, self.day(instant), currency, sku or ""), defaultdict(Decimal))

        for connection, found in self.counted():
            is_note = found.kind is OrderKind.CREDIT_NOTE
            if found.is_sale and not is_note:
                for part in found.lines:
                    sold = row(connection, found.placed_at, found.currency, part.sku)
                    sold["units"] += part.quantity
                    sold["gross_sales"] += part.gross_amount
                    sold["discounts"] += part.discount_amount + part.order_discount_amount
                    sold["net_sales"] += part.net_amount
            if found.is_sale or is_note:
                skus = {part.line_id: part.sku for part in found.lines}
                for back in found.refunds:
                    for given in back.lines:
                        came = row(connection, back.refunded_at, found.currency, skus.get(given.line_id))
                        came["returned_units"] += given.quantity
                        came["returns"] += given.amount
                        came["net_sales"] -= given.amount
                    if back.other_amount:
                        none = row(connection, back.refunded_at, found.currency, None)
                        none["returns"] += back.other_amount
                        none["net_sales"] -= back.other_amount
        return rows


def _write(tx: Any, connection_id: int, merchant_id: int, found: Order, skus: dict[str, int]) -> None:
    key = {"connection_id": connection_id, "channel_order_id": found.channel_order_id, "merchant_id": merchant_id}
    for table in ORDER_TABLES:
        tx.execute(
            delete(table).where(
                table.c.connection_id == connection_id, table.c.channel_order_id == found.channel_order_id
            )
        )
    gap = sum((part.amount for part in found.charges if part.kind is ChargeKind.ADJUSTMENT), Decimal(0))
    _rows(tx, schema.orders, [{
        **key, "label": found.label, "kind": found.kind.value, "placed_at": found.placed_at,
        "channel_updated_at": found.updated_at, "channel_version": 0, "content_hash": b"x", "raw_page_id": 1,
        "raw_position": 0, "state": found.state.value, "payment_state": found.payment_state.value,
        "fulfilment_state": found.fulfilment_state.value, "channel_state": "", "channel_payment_state": "",
        "channel_fulfilment_state": "", "is_sale": found.is_sale, "is_test": found.is_test,
        "is_draft": found.is_draft, "taxes_included": False, "currency": found.currency, "total": found.total,
        "adjustment_amount": gap, "ship_by_at": found.ship_by_at, "deliver_by_at": found.deliver_by_at,
        "channel_customer_id": found.customer and found.customer.channel_customer_id,
    }])  # fmt: skip
    _rows(tx, schema.order_lines, [{
        **key, "line_id": part.line_id, "position": position, "listing_key": part.listing_key, "channel_sku": part.sku, "title": part.title,
        "sku_id": skus.get(part.sku or ""), "quantity": part.quantity, "unit_price": part.unit_price,
        "gross_amount": part.gross_amount, "discount_amount": part.discount_amount,
        "order_discount_amount": part.order_discount_amount, "tax_amount": part.tax_amount,
        "cancelled_quantity": part.cancelled_quantity, "needs_stock": part.needs_stock,
    } for position, part in enumerate(found.lines)])  # fmt: skip
    _rows(tx, schema.order_charges, [{
        **key, "charge_id": part.charge_id, "kind": part.kind.value, "title": part.title, "amount": part.amount,
        "tax_amount": part.tax_amount,
    } for part in found.charges])  # fmt: skip
    _rows(tx, schema.payments, [{
        **key, "payment_id": part.payment_id, "kind": part.kind.value, "amount": part.amount,
        "currency": part.currency, "processed_at": part.processed_at, "gateway": part.gateway,
        "is_successful": part.is_successful,
    } for part in found.payments])  # fmt: skip
    _rows(tx, schema.order_channel_fees, [{
        **key, "fee_id": part.fee_id, "kind": part.kind, "amount": part.amount, "currency": part.currency,
        "charged_at": part.charged_at,
    } for part in found.channel_fees])  # fmt: skip
    _rows(tx, schema.shipments, [{
        **key, "shipment_id": part.shipment_id, "status": part.status, "shipped_at": part.shipped_at,
        "delivered_at": part.delivered_at,
    } for part in found.shipments])  # fmt: skip
    _rows(tx, schema.shipment_lines, [{
        **key, "shipment_id": part.shipment_id, "position": position, "line_id": each.line_id,
        "quantity": each.quantity,
    } for part in found.shipments for position, each in enumerate(part.lines)])  # fmt: skip
    _rows(tx, schema.refunds, [{
        **key, "refund_id": part.refund_id, "refunded_at": part.refunded_at, "paid_amount": part.paid_amount,
        "shipping_amount": part.shipping_amount, "shipping_tax_amount": part.shipping_tax_amount,
        "other_amount": part.other_amount, "reason": part.reason,
    } for part in found.refunds])  # fmt: skip
    _rows(tx, schema.refund_lines, [{
        **key, "refund_id": back.refund_id, "position": position, "line_id": part.line_id,
        "quantity": part.quantity, "amount": part.amount, "tax_amount": part.tax_amount,
        "is_restocked": part.is_restocked,
    } for back in found.refunds for position, part in enumerate(back.lines)])  # fmt: skip


def _rows(tx: Any, table: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        tx.execute(insert(table), rows)


def new_book(
    store: Store, merchant: str = "acme", zone: str = "Europe/Madrid", connections: tuple[str, ...] = ("shop", "till")
) -> Book:
    with store.begin() as tx:
        merchant_id = int(
            tx.scalar(
                text(
                    "INSERT INTO hub.merchants (name, currency, time_zone) VALUES (:n, 'EUR', :z) RETURNING merchant_id"
                ),
                {"n": merchant, "z": zone},
            )
        )
        numbers = {
            name: int(
                tx.scalar(
                    text(
                        "INSERT INTO hub.connections (merchant_id, channel, name) VALUES (:m, :ch, :n) "
                        "RETURNING connection_id"
                    ),
                    {"m": merchant_id, "n": name, "ch": "pos_feed" if name.startswith("till") else "shopify"},
                )
            )
            for name in connections
        }
        tx.execute(
            text("INSERT INTO hub.locations (merchant_id, code, is_default) VALUES (:m, 'main', true)"),
            {"m": merchant_id},
        )
    return Book(store, merchant, ZoneInfo(zone), merchant_id, numbers)


class Makers:
    """The functions above, for tests that cannot import this file."""

    at = staticmethod(at)
    line = staticmethod(line)
    charge = staticmethod(charge)
    refund = staticmethod(refund)
    order = staticmethod(order)
    book = staticmethod(new_book)


@pytest.fixture(scope="session")
def make() -> type[Makers]:
    return Makers


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store_at(database_url)
    yield opened
    opened.close()


@pytest.fixture
def book(store: Store) -> Book:
    """Give merchant `acme` in Madrid with connections `shop` (shopify) and `till` (pos_feed), without orders."""
    return new_book(store)
