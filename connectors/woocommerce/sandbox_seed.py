"""The goods and the past orders of the practice shop, made up from a seed.

What belongs here: invented data that shows every trap at least once. Not here: rules of the shop (`sandbox_shop`).
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from connectors.woocommerce.sandbox_records import CENT, OrderRecord, Product
from connectors.woocommerce.sandbox_shop import TAX_RATE, Shop

HISTORY_ENDS_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
OPENED_AT = HISTORY_ENDS_AT + timedelta(minutes=5)
"""Where the shop's own clock starts: a past that is as old at every start makes every start the same."""
_LAST_ORDER_AT = HISTORY_ENDS_AT - timedelta(hours=1)
_HISTORY = timedelta(days=45)
_SIX = Decimal("0.000001")
SHARED_SKUS = tuple(f"HUB-{number:03d}" for number in range(1, 21))
"""Codes that all practice channels sell."""


def seed_shop(shop: Shop, *, orders: int, seed: int) -> None:
    """Fill a shop. The same seed gives the same goods, orders and instants."""
    chance = random.Random(seed)
    _seed_goods(shop)
    step = _HISTORY / max(1, orders)
    for index in range(orders):
        placed_at = (_LAST_ORDER_AT - step * (orders - 1 - index)).replace(microsecond=0)
        _seed_order(shop, index, placed_at, chance)
    _settle(shop)


def _seed_goods(shop: Shop) -> None:
    def add(name: str, sku: str, price: str, stock: float | None, **more: object) -> Product:
        product = Product(shop.take_id(), name, sku, Decimal(price), stock, modified_at=HISTORY_ENDS_AT - _HISTORY)
        for key, value in more.items():
            setattr(product, key, value)
        shop.products[product.product_id] = product
        return product

    variable = add("Taza en tres colores", "", "0", None, kind="variable", manage_stock=False)
    for number, sku in enumerate(SHARED_SKUS, start=1):
        price, stock = f"{99 + 10 * number}.00", 40 + 5 * number
        if number in {17, 18, 19}:
            mug = add(f"Taza {number - 16} 杯子", sku, price, stock, kind="variation", parent_id=variable.product_id)
            variable.variation_ids.append(mug.product_id)
        else:
            add(f"Artículo {number}", sku, price, stock, barcode=f"75000000{number:05d}")
    add("Café con especias", "CAFÉ /&+ 01", "150.00", 30)
    add("Box without code", "", "20.00", 12)
    add("Twin one", "DUP-1", "10.00", 5)
    add("Twin two", "DUP-1", "10.00", 5)
    add("Gift wrapping", "SERVICE-1", "25.00", None, manage_stock=False)
    add("Rope by the metre", "ROPE-1", "8.00", 2.5)
    add("Not yet on sale", "DRAFT-1", "70.00", 9, status="draft")
    add("Sold elsewhere", "EXT-1", "70.00", None, manage_stock=False, kind="external")
    shirt = add("Shirt", "TEE", "200.00", 33, kind="variable")
    for name, sku in (("Shirt S", "TEE-S"), ("Shirt M", "TEE")):
        size = add(name, sku, "200.00", 33, kind="variation", parent_id=shirt.product_id, manage_stock="parent")
        shirt.variation_ids.append(size.product_id)


_STATUSES = (
    "completed", "completed", "processing", "on-hold", "completed", "completed",
    "processing", "pending", "cancelled", "completed", "awaiting-pickup", "refunded",
    "completed", "failed", "processing",
)  # fmt: skip


def _seed_order(shop: Shop, index: int, placed_at: datetime, chance: random.Random) -> None:
    status = _STATUSES[index % len(_STATUSES)]
    skus = chance.sample(SHARED_SKUS, chance.randint(1, 3))
    lines = [shop.new_line(shop.sellable(sku), chance.randint(1, 3)) for sku in skus]
    customer_id = 0 if index % 7 == 3 else 100 + chance.randrange(40)
    # several orders are stamped in the same second, as a bulk edit leaves them
    modified_at = placed_at + timedelta(hours=chance.randint(1, 20)) if index % 5 else placed_at.replace(minute=0)
    modified_at = min(HISTORY_ENDS_AT, max(placed_at, modified_at.replace(second=0)))
    order = OrderRecord(shop.take_id(), status, placed_at, modified_at, customer_id, lines)
    if status in {"processing", "completed", "refunded", "awaiting-pickup"}:
        order.paid_at = placed_at
    if status in {"completed", "refunded"}:
        order.completed_at = modified_at
    if index % 3 == 2:
        order.shipping = Decimal("80.00")
        order.shipping_tax = (order.shipping * TAX_RATE).quantize(CENT)
    if index % 15 == 1:
        _give_coupon(shop, order)
    if index % 15 == 6:
        order.fees.append((shop.take_id(), "Loyalty", Decimal("-15.00")))
    if index % 15 == 12:
        _price_with_tax(order)
    _sell(order)
    shop.orders[order.order_id] = order
    _seed_refunds(shop, index, order)
    if index % 15 == 9:
        line = order.lines[0]  # its product was deleted since
        line.product_id, line.variation_id, line.sku = 0, 0, None
    order.modified_at = modified_at
    shop.revise(order)


def _sell(order: OrderRecord) -> None:
    """Mark the units as taken off the stock; the seeded levels are those after all past orders."""
    if order.status in {"on-hold", "processing", "completed", "refunded"}:
        order.is_reduced = True
        for line in order.lines:
            line.reduced = line.quantity


def _give_coupon(shop: Shop, order: OrderRecord) -> None:
    discount = Decimal(0)
    for line in order.lines:
        line.total = (line.subtotal * Decimal("0.9")).quantize(CENT)
        line.tax = (line.total * TAX_RATE).quantize(CENT)
        discount += line.subtotal - line.total
    order.coupons.append((shop.take_id(), "tenoff", discount))


def _price_with_tax(order: OrderRecord) -> None:
    """Make an order as shops do that price with tax: net amounts of six decimals, a total that is rounded once."""
    order.has_prices_with_tax = True
    for line in order.lines:
        gross = line.subtotal + Decimal("0.99")
        line.total = line.subtotal = (gross / (1 + TAX_RATE)).quantize(_SIX, rounding=ROUND_HALF_UP)
        line.tax = (gross - line.total).quantize(_SIX)


def _seed_refunds(shop: Shop, index: int, order: OrderRecord) -> None:
    line = order.lines[0]
    if index % 15 == 4:
        refund = shop.refund(order.order_id, {line.line_id: 1}, is_restocked=False)
        line.reduced -= 1
        line.restocked += 1
    elif index % 15 == 5:
        refund = shop.refund(order.order_id, {}, amount=Decimal("10.00"))
    elif index % 15 == 11:
        refund = shop.refund(order.order_id, {}, amount=order.total)
    else:
        return
    refund.created_at = refund.modified_at = order.modified_at = (order.completed_at or order.created_at) + timedelta(
        minutes=1
    )


def _settle(shop: Shop) -> None:
    for order in shop.orders.values():
        for refund in order.refunds:
            order.modified_at = max(order.modified_at, refund.created_at)
