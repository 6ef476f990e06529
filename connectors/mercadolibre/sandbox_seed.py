"""The goods and the past orders of the practice account, made up from a seed.

What belongs here: invented data that shows every trap at least once. Not here: rules of the account
(`sandbox_account`).
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from connectors.mercadolibre.sandbox_account import Account
from connectors.mercadolibre.sandbox_records import Item, Offer, OrderRecord, Shelf

HISTORY_ENDS_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
OPENED_AT = HISTORY_ENDS_AT + timedelta(minutes=5)
"""Where the account's own clock starts: a past that is as old at every start makes every start the same."""
_LAST_ORDER_AT = HISTORY_ENDS_AT - timedelta(hours=1)
_HISTORY = timedelta(days=45)
SHARED_SKUS = tuple(f"HUB-{number:03d}" for number in range(1, 21))
"""Codes that all practice channels sell."""
FULL_SKU = "FULL-1"


def seed_account(account: Account, *, orders: int, seed: int) -> None:
    """Fill an account. The same seed gives the same goods, orders and instants."""
    chance = random.Random(seed)
    _seed_goods(account)
    step = _HISTORY / max(1, orders)
    index = 0
    while len(account.orders) < orders:
        at = _LAST_ORDER_AT - step * (orders - 1 - len(account.orders))
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        _seed_sale(account, index, at, chance, is_cart=index % 6 == 4 and len(account.orders) + 2 <= orders)
        index += 1
    account.notifications.clear()


def _seed_goods(account: Account) -> None:
    def shelf(quantity: int | None, *, is_new: bool = True, full: int | None = None) -> Shelf:
        product = f"{account.site}U{70_000_000 + account.take_number()}" if is_new else ""
        return Shelf(quantity, user_product_id=product, full_quantity=full)

    def add(title: str, price: str, offers: list[Offer], **more: str) -> Item:
        item = Item(f"{account.site}{900_000_000 + account.take_number()}", title, Decimal(price), offers, **more)
        account.items[item.item_id] = item
        return item

    def variation(sku: str, words: str, place: Shelf) -> Offer:
        return Offer(sku, place, 180_000_000_000 + account.take_number(), words)

    mugs = []
    for number, sku in enumerate(SHARED_SKUS, start=1):
        place = shelf(40 + 5 * number)
        if number in {17, 18, 19}:
            mugs.append(variation(sku, ("Rojo", "Verde", "杯子")[number - 17], place))
            continue
        offer = Offer(sku, place, barcode=f"75000000{number:05d}")
        add(f"Artículo {number}", f"{99 + 10 * number}.00", [offer])
        if number == 2:
            add("Artículo 2, con mensualidades", "129.50", [Offer(sku, place)])
    add("Taza en tres colores", "289.00", mugs)
    add("Café con especias", "150.00", [Offer("CAFÉ /&+ 01", shelf(30))])
    add("Sin código", "20.00", [Offer("", shelf(12))])
    add("Playera de antes", "200.00", [variation(f"TEE-{size}", size, shelf(9, is_new=False)) for size in ("S", "M")])
    add("Instalación a domicilio", "900.00", [Offer("SERVICE-1", shelf(None, is_new=False))], buying_mode="classified")
    add("En bodega de Mercado Libre", "298.00", [Offer(FULL_SKU, shelf(0, full=25))], logistic_type="fulfillment")


_STATUSES = (
    "delivered", "shipped", "ready", "delivered", "delivered", "returned", "unpaid", "full",
    "picked_up", "coupon", "undelivered", "cancelled", "no_shipment", "refunded", "fraud",
)  # fmt: skip


def _seed_sale(account: Account, index: int, at: datetime, chance: random.Random, *, is_cart: bool) -> None:
    word = _STATUSES[index % len(_STATUSES)]
    skus = chance.sample(SHARED_SKUS, 2 if is_cart else 1)
    if word == "full":
        skus = [FULL_SKU]
    pack_id = 2_000_000_900_000_000 + account.take_number()
    buyer = 100 + chance.randrange(40)
    orders = [account.new_order(sku, chance.randint(1, 3), at, pack_id) for sku in skus]
    for order in orders:
        order.buyer_id = buyer
        line = order.lines[0]
        line.full_unit_price = line.unit_price + 10 if index % 4 == 1 else line.unit_price
    if word not in {"unpaid", "no_shipment"}:
        account.new_shipment(orders, at, cost=Decimal("80.00") if index % 3 == 1 else Decimal(0))
    for order in orders:
        _become(account, order, word, at)


def _become(account: Account, order: OrderRecord, word: str, at: datetime) -> None:
    day = timedelta(days=1)
    last = min(HISTORY_ENDS_AT, at + 3 * day)
    moves = {
        "delivered": [("shipped", ""), ("delivered", "")],
        "returned": [("shipped", ""), ("delivered", "")],
        "refunded": [("shipped", ""), ("delivered", "")],
        "coupon": [("shipped", ""), ("delivered", "")],
        "full": [("shipped", ""), ("delivered", "")],
        "shipped": [("shipped", "out_for_delivery")],
        "picked_up": [("ready_to_ship", "picked_up")],
        "undelivered": [("shipped", ""), ("not_delivered", "returned")],
    }
    if order.shipment is not None and order.order_id == order.shipment.order_ids[0]:
        for number, (status, substatus) in enumerate(moves.get(word, ()), start=1):
            order.shipment.history.append((min(last, at + number * day / 2), status, substatus))
    order.updated_at = min(last, at + timedelta(hours=3))
    if word == "unpaid":
        order.status = "payment_required"
    elif word == "fraud":
        order.tags.append("fraud_risk_detected")
    elif word == "coupon":
        order.coupon = (Decimal("12.00"), Decimal("7.50"))
        order.tags.append("order_has_discount")
    elif word == "cancelled":
        order.status, order.cancelled_at = "cancelled", order.updated_at
        order.refunded, order.refunded_at = order.total, order.updated_at
    elif word == "refunded":
        order.status, order.refunded, order.refunded_at = "partially_refunded", Decimal("10.00"), order.updated_at
    elif word == "returned":
        claim = account.open_claim(order.order_id, units=1)
        claim.created_at, claim.updated_at, claim.return_status = order.updated_at, last, "delivered"
