"""Every part of an order lands in its table, exactly."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from oms_hub.domain.order_merge import VersionKey
from oms_hub.domain.orders import (
    ChannelFee,
    Charge,
    ChargeKind,
    Customer,
    Discount,
    FulfilmentState,
    Order,
    OrderLine,
    OrderState,
    Payment,
    PaymentKind,
    PaymentState,
    Refund,
    RefundLine,
    Return,
    ReturnLine,
    Shipment,
    ShipmentLine,
    Tax,
)
from oms_hub.errors import BadPayload
from oms_hub.store.connections import StoredConnection
from oms_hub.store.engine import Store
from oms_hub.store.order_rows import COLUMNS, OrderRows, order_rows
from oms_hub.store.orders import OrderWrites, lock_versions, write_orders
from oms_hub.store.stock import StockApplied

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WHOLE = Order(
    channel_order_id="1001", label="#1001", placed_at=AT, updated_at=AT, version=7, state=OrderState.CLOSED,
    payment_state=PaymentState.PARTIALLY_REFUNDED, fulfilment_state=FulfilmentState.FULFILLED, currency="MXN",
    total=Decimal("139.20"), channel_state="closed", channel_payment_state="partly", channel_fulfilment_state="sent",
    unknown_words=("odd", "word"), taxes_included=True, presentment_currency="USD",
    presentment_total=Decimal("7.77"), cancelled_at=AT, closed_at=AT, ship_by_at=AT, deliver_by_at=AT,
    lines=(
        OrderLine("a", "Mug", 2, Decimal("58"), Decimal("100"), "k1", "MUG", Decimal(1), Decimal(2),
                  (Tax("IVA", Decimal("16"), Decimal("0.16"), True),), 1, True, "place-1"),
        OrderLine("b", "Gift card", 1, Decimal(0), Decimal(0), needs_stock=False),
    ),
    charges=(Charge("s", ChargeKind.SHIPPING, "Post", Decimal(20), "std", (Tax("IVA", Decimal("3.20")),)),),
    discounts=(Discount("Spring", Decimal(3), "SPRING"), Discount("Other", Decimal(0))),
    payments=(Payment("p", PaymentKind.SALE, Decimal("139.20"), "MXN", AT, "card", False),),
    channel_fees=(
        ChannelFee("f", "Commission", Decimal("15.03"), "MXN", AT),
        ChannelFee("g", "RefundCommission", Decimal("-3.5"), "USD", AT),
    ),
    refunds=(
        Refund("r", AT, Decimal(50), (RefundLine("a", 1, Decimal(43), Decimal(7), True, "place-2"),),
               Decimal(1), Decimal(2), Decimal(-3), "broken"),
    ),
    returns=(Return("rma", "closed", AT, AT, (ReturnLine("a", 1, "broken"),)), Return("rma2", "open", AT)),
    shipments=(
        Shipment("sh", AT, (ShipmentLine("a", 1),), "delivered", AT, "Post", "T1", "https://t.example", "place-1"),
    ),
    customer=Customer("c", "MX"),
)  # fmt: skip


def rows_of(order: Order, connection: StoredConnection) -> OrderRows:
    return order_rows(
        order,
        key=VersionKey(order.updated_at, order.version, b"h" * 16, (1, 2)),
        gap=Decimal(0),
        connection_id=connection.connection_id,
        merchant_id=connection.merchant_id,
    )


def write(store: Store, connection: StoredConnection, writes: OrderWrites) -> StockApplied:
    with store.begin() as tx:
        return write_orders(
            tx, connection_id=connection.connection_id, merchant_id=connection.merchant_id, writes=writes
        )


EXPECTED = {
    "order_charges": [("s", "shipping", "Post", "std", Decimal(20), Decimal("3.20"))],
    "order_taxes": [
        ("charge:s", 0, "IVA", None, Decimal("3.20"), False),
        ("line:a", 0, "IVA", Decimal("0.16"), Decimal(16), True),
    ],
    "order_discounts": [(0, "Spring", "SPRING", Decimal(3)), (1, "Other", None, Decimal(0))],
    "payments": [("p", "sale", Decimal("139.20"), "MXN", AT, "card", False)],
    "order_channel_fees": [
        ("f", "Commission", Decimal("15.03"), "MXN", AT),
        ("g", "RefundCommission", Decimal("-3.5"), "USD", AT),
    ],
    "refunds": [("r", AT, Decimal(50), Decimal(1), Decimal(2), Decimal(-3), "broken")],
    "refund_lines": [("r", 0, "a", 1, Decimal(43), Decimal(7), True, "place-2")],
    "returns": [("rma", "closed", AT, AT), ("rma2", "open", AT, None)],
    "return_lines": [("rma", 0, "a", 1, "broken")],
    "shipments": [("sh", "delivered", AT, AT, "Post", "T1", "https://t.example", "place-1")],
    "shipment_lines": [("sh", 0, "a", 1)],
    "order_stock_events": [("a", "return", "place-2", 1, AT), ("a", "sale", "place-1", 1, AT)],
}


def test_every_part_stands_in_its_table(store: Store, connection: StoredConnection) -> None:
    write(store, connection, OrderWrites(new=[rows_of(WHOLE, connection)]))
    with store.read() as tx:
        for table, expected in EXPECTED.items():
            columns = COLUMNS[table].replace(" ", "").split(",")[3:]
            found = tx.execute(text(f"SELECT {', '.join(columns)} FROM hub.{table} ORDER BY 1, 2")).all()
            assert found == expected, table
        order = tx.execute(text("SELECT * FROM hub.orders")).one()
        assert (order.unknown_words, order.taxes_included, order.presentment_total) == (
            "odd, word",
            True,
            Decimal("7.77"),
        )
        assert order.cancelled_at == order.closed_at == order.ship_by_at == order.deliver_by_at == AT
        assert (order.channel_payment_state, order.channel_fulfilment_state) == ("partly", "sent")
        lines = tx.execute(text("SELECT * FROM hub.order_lines ORDER BY line_id")).all()
        assert (lines[0].listing_key, lines[0].channel_location_id, lines[0].cancelled_quantity) == ("k1", "place-1", 1)
        assert (lines[0].discount_amount, lines[0].order_discount_amount) == (Decimal(1), Decimal(2))
        assert (lines[1].channel_sku, lines[1].needs_stock) == (None, False)


def test_writing_the_same_again_leaves_the_same_rows(store: Store, connection: StoredConnection) -> None:
    def everything() -> list[object]:
        with store.read() as tx:
            return [tx.execute(text(f"SELECT * FROM hub.{table} ORDER BY 3, 4")).all() for table in COLUMNS]

    write(store, connection, OrderWrites(new=[rows_of(WHOLE, connection)]))
    before = everything()
    write(store, connection, OrderWrites(changed=[rows_of(WHOLE, connection)]))
    assert everything() == before


def test_the_stored_version_is_told_and_locked(store: Store, connection: StoredConnection) -> None:
    rows = rows_of(WHOLE, connection)
    write(store, connection, OrderWrites(new=[rows]))
    with store.begin() as tx:
        (stored,) = lock_versions(tx, connection.connection_id, ["1001", "other"]).values()
    assert stored.key == rows.key
    assert stored.is_vanished is False


def test_lines_get_the_sku_of_their_listing_or_of_their_own_text(store: Store, connection: StoredConnection) -> None:
    own = {"m": connection.merchant_id, "c": connection.connection_id}
    with store.begin() as tx:
        tx.execute(text("INSERT INTO hub.skus (merchant_id, sku) VALUES (:m, 'MUG'), (:m, 'CUP')"), own)
        tx.execute(
            text(
                "INSERT INTO hub.listings (connection_id, listing_key, merchant_id, sku_id, link_state) VALUES"
                " (:c, 'linked', :m, (SELECT sku_id FROM hub.skus WHERE sku = 'CUP'), 'manual'),"
                " (:c, 'loose', :m, NULL, 'unmapped'), (:c, 'ignored', :m, NULL, 'ignored')"
            ),
            own,
        )
    plain = OrderLine("x", "Mug", 1, Decimal(1), Decimal(1))
    lines = tuple(
        replace(plain, line_id=f"{listing}-{sku}", listing_key=listing, sku=sku)
        for listing in ("linked", "loose", "ignored", "unknown", None)
        for sku in ("MUG", "NONE", None)
    )
    order = replace(WHOLE, lines=lines, refunds=(), returns=(), shipments=(), state=OrderState.OPEN)
    applied = write(store, connection, OrderWrites(new=[rows_of(order, connection)]))
    with store.read() as tx:
        found = {
            row.line_id: row.sku
            for row in tx.execute(text("SELECT line_id, sku FROM hub.order_lines LEFT JOIN hub.skus USING (sku_id)"))
        }
    assert {line_id: sku for line_id, sku in found.items() if sku} == {
        "linked-MUG": "CUP", "linked-NONE": "CUP", "linked-None": "CUP",
        "loose-MUG": "MUG", "unknown-MUG": "MUG", "None-MUG": "MUG",
    }  # fmt: skip
    assert (applied.mapped_lines, applied.movements) == (6, 0)


def test_of_two_orders_of_one_buyer_the_newer_tells_the_country(store: Store, connection: StoredConnection) -> None:
    orders = [
        replace(WHOLE, channel_order_id=str(hours), updated_at=AT + timedelta(hours=hours), customer=Customer("c", country))
        for hours, country in ((2, "ES"), (1, "MX"), (0, None))
    ]  # fmt: skip
    write(store, connection, OrderWrites(new=[rows_of(order, connection) for order in orders]))
    with store.read() as tx:
        assert tx.execute(text("SELECT channel_customer_id, country FROM hub.customers")).all() == [("c", "ES")]


def test_nothing_to_write_writes_nothing(store: Store, connection: StoredConnection) -> None:
    assert write(store, connection, OrderWrites()) == StockApplied(0, 0, 0)


def test_what_the_database_refuses_is_a_bad_payload_without_its_words(
    store: Store, connection: StoredConnection
) -> None:
    rows = rows_of(WHOLE, connection)
    with pytest.raises(BadPayload, match=r"^the store refuses the order \(SQLSTATE 23505\)$"):
        write(store, connection, OrderWrites(new=[rows, rows]))
    with store.read() as tx:
        assert tx.scalar(text("SELECT count(*) FROM hub.orders")) == 0


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"charges": WHOLE.charges * 2}, "charges"),
        ({"payments": WHOLE.payments * 2}, "payments"),
        ({"refunds": WHOLE.refunds * 2}, "refunds"),
        ({"returns": WHOLE.returns[:1] * 2}, "returns"),
        ({"shipments": WHOLE.shipments * 2}, "shipments"),
    ],
)
def test_two_parts_with_one_id_are_refused_at_their_place(
    connection: StoredConnection, change: dict[str, object], where: str
) -> None:
    with pytest.raises(BadPayload, match=rf"two parts of the order have the same id \(at {where}\)"):
        rows_of(replace(WHOLE, **change), connection)  # type: ignore[arg-type]
