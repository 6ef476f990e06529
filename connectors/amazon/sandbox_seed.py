"""The goods and the past orders of the practice account, made up from a seed.

What belongs here: invented data that shows every trap at least once. Not here: rules (`sandbox_account`).
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.amazon.sandbox_account import Account
from connectors.amazon.sandbox_records import Good, Item, OrderRecord, Package
from connectors.amazon.sandbox_shown import refund_transaction, shipment_transaction

SHARED_SKUS = tuple(f"HUB-{number:03d}" for number in range(1, 21))
"""Codes that all practice channels sell."""
FBA_SKUS = ("FBA-001", "FBA-002", "FBA-003")
HISTORY = timedelta(days=45)
_LAST_ORDER_BEFORE = timedelta(hours=1)
_STATUSES = (
    "SHIPPED", "SHIPPED", "UNSHIPPED", "PENDING", "SHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED", "UNSHIPPED",
    "SHIPPED", "PENDING_AVAILABILITY", "SHIPPED",
)  # fmt: skip


def seed_account(account: Account, *, orders: int, seed: int) -> None:
    """Fill an account. The same seed gives the same goods and orders, at the same distance from the clock's start."""
    chance = random.Random(seed)
    now = account.now()
    _seed_goods(account, now)
    step = HISTORY / max(1, orders)
    for index in range(orders):
        placed_at = (now - _LAST_ORDER_BEFORE - step * (orders - 1 - index)).replace(microsecond=0)
        _seed_order(account, index, placed_at, chance, now)
    account.transactions.append(_service_fee(now - timedelta(hours=5)))


def _seed_goods(account: Account, now: datetime) -> None:
    goods = [
        Good(sku, f"Taza {number} 杯子" if number in {17, 18} else f"Artículo {number}", Decimal(99 + 10 * number),
             quantity=40 + 5 * number)
        for number, sku in enumerate(SHARED_SKUS, start=1)
    ]  # fmt: skip
    goods += [
        Good(sku, f"Envío por Amazon {number}", Decimal(150 + number), code="AMAZON_NA", quantity=30 + number)
        for number, sku in enumerate(FBA_SKUS, start=1)
    ]
    goods += [
        Good("CAFÉ /&+ 01", "Café con especias", Decimal(150), quantity=30, product_type="COFFEE"),
        Good("COMMA,1", "Sold by the pair, or alone", Decimal(80), quantity=12),
        Good("UNSET-1", "Never stocked", Decimal(60), quantity=None),
        Good("PARENT-1", "Parent of variations", Decimal(0), code=None, quantity=None),
    ]
    for place, good in enumerate(goods):
        good.created_at = now - HISTORY - timedelta(days=30) + timedelta(minutes=place)
        account.goods[good.sku] = good


def _seed_order(account: Account, index: int, placed_at: datetime, chance: random.Random, now: datetime) -> None:
    status = _STATUSES[index % len(_STATUSES)]
    is_amazons = index % 6 == 4
    skus = chance.sample(FBA_SKUS if is_amazons else SHARED_SKUS, chance.randint(1, 3))
    items = [account.new_item(sku, chance.randint(1, 3)) for sku in skus]
    changed_at = min(now - timedelta(minutes=30), placed_at + timedelta(hours=chance.randint(1, 30)))
    order = OrderRecord(
        account.new_order_id(), placed_at, max(placed_at, changed_at), status, items,
        fulfilled_by="AMAZON" if is_amazons else "MERCHANT", programs=("PRIME",) if is_amazons else (),
    )  # fmt: skip
    _vary(order, index)
    account.orders[order.order_id] = order
    if status in {"SHIPPED", "PARTIALLY_SHIPPED"}:
        _send(account, order)
    if status == "CANCELLED":
        for item in items:
            item.cancelled = item.quantity
    if status == "SHIPPED" and index % 6 == 1:
        posted_at = min(now - timedelta(minutes=20), order.updated_at + timedelta(days=1))
        posted = refund_transaction(
            order, quantity=1, posted_at=posted_at, number=account.next_number(),
            status="DEFERRED" if index % 12 == 1 else "RELEASED",
        )  # fmt: skip
        account.transactions.append(posted)
        if index % 12 == 1:
            account.release(posted)


def _vary(order: OrderRecord, index: int) -> None:
    first: Item = order.items[0]
    if index % 3 == 2:
        first.shipping = Decimal("80.00")
    if index % 5 == 1:
        first.discount = Decimal("15.00")
    if index % 7 == 6:
        first.gift_wrap = Decimal("25.00")
    if index % 4 == 0:
        for item in order.items:
            item.is_facilitated = True


def _send(account: Account, order: OrderRecord) -> None:
    """Mark units as sent: all, or one of the first item; the seeded levels are those after it."""
    is_part = order.status == "PARTIALLY_SHIPPED"
    if is_part:
        order.items[0].quantity = max(2, order.items[0].quantity)
    for place, item in enumerate(order.items):
        item.fulfilled = (1 if place == 0 else 0) if is_part else item.quantity
    if order.fulfilled_by == "MERCHANT":
        sent = {item.item_id: item.fulfilled for item in order.items}
        order.packages.append(Package(f"PKG-{account.next_number()}", order.updated_at, sent))
    account.transactions.append(shipment_transaction(order, posted_at=order.updated_at, number=account.next_number()))


def _service_fee(posted_at: datetime) -> dict[str, object]:
    return {
        "relatedIdentifiers": [
            {"relatedIdentifierName": "FINANCIAL_EVENT_GROUP_ID", "relatedIdentifierValue": "GROUP-1"}
        ],
        "transactionType": "ServiceFee",
        "transactionId": "TX-SUBSCRIPTION",
        "transactionStatus": "RELEASED",
        "description": "Subscription",
        "postedDate": posted_at.isoformat().replace("+00:00", "Z"),
        "totalAmount": {"currencyAmount": -600.0, "currencyCode": "MXN"},
    }
