"""How a practice shop begins: the same seed gives the same goods and the same orders.

What belongs here: invented goods and orders of every kind that the connector has to understand.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.shopify.sandbox_state import OPENED_AT, Shop
from connectors.shopify.sandbox_things import (
    MAIN_LOCATION,
    STORE_LOCATION,
    Level,
    Line,
    Refund,
    RefundRow,
    ReturnCase,
    Shipment,
    ShopOrder,
    Variant,
)

HUB_SKUS = tuple(f"HUB-{number:03d}" for number in range(1, 21))
"""SKUs that every channel's sandbox sells."""

_TITLES = (
    "Taza de barro", "Café de olla 250 g", "Rebozo azul añil", "Cuaderno rayado", "Vela de cera", "Jabón de lavanda",
    "Canasta de palma", "Plato hondo", "Servilletas bordadas", "Molcajete pequeño", "Té de jamaica", "Llavero de piel",
    "Manta de algodón", "Botella de vidrio", "Chocolate de mesa", "Sal de colima", "Mermelada de guayaba",
    "Tabla de parota", "Delantal de lino", "Postal ilustrada",
)  # fmt: skip
BIG_ORDER_LINES = 60


def open_shop(domain: str, *, orders: int, seed: int, is_multi_currency: bool) -> Shop:
    """Return a shop with its goods and its first orders, the newest placed minutes before it opens."""
    shop = Shop(domain)
    chance = random.Random(seed)
    _stock_shelves(shop, chance, spare=orders // 4)
    span = timedelta(days=4)
    for index in range(orders):
        placed_at = (OPENED_AT - span + span * (index + 1) / (orders + 1)).replace(microsecond=0)
        order = _order(shop, chance, index, placed_at)
        if is_multi_currency and index % 3 == 1:
            order.presentment_rate = Decimal("0.0545")
        shop.add_order(order)
    return shop


def _stock_shelves(shop: Shop, chance: random.Random, *, spare: int) -> None:
    for index, (sku, title) in enumerate(zip(HUB_SKUS, _TITLES, strict=True)):
        price = Decimal(chance.randrange(45, 900)) + Decimal(chance.choice(("0.00", "0.50", "0.90")))
        variant = Variant(40_000 + index, sku, title, price)
        variant.levels[MAIN_LOCATION] = Level(chance.randrange(40, 120) + spare)
        if index % 4 == 0:
            variant.levels[STORE_LOCATION] = Level(chance.randrange(5, 20))
        shop.variants[variant.number] = variant
    extras = (
        Variant(40_100, "SHP-ÑANDÚ 01/á", "Pluma de ñandú", Decimal("310.00")),
        Variant(40_101, "SHP-DUP", "Imán (rojo)", Decimal("35.00")),
        Variant(40_102, "SHP-DUP", "Imán (verde)", Decimal("35.00")),
        Variant(40_103, "SHP-TALLER", "Taller de cerámica", Decimal("650.00"), is_tracked=False),
        Variant(40_104, "SHP-REGALO", "Tarjeta de regalo", Decimal("500.00"), is_tracked=False, is_gift_card=True),
        Variant(40_105, "SHP-PAQUETE", "Paquete de desayuno", Decimal("480.00"), is_bundle=True),
        Variant(40_106, None, "Muestra sin código", Decimal("10.00")),
        Variant(40_107, "SHP-TIENDA", "Sólo en tienda", Decimal("75.00")),
    )
    for variant in extras:
        place = STORE_LOCATION if variant.sku == "SHP-TIENDA" else MAIN_LOCATION
        if variant.is_tracked:
            variant.levels[place] = Level(30)
        shop.variants[variant.number] = variant


def _order(shop: Shop, chance: random.Random, index: int, placed_at: datetime) -> ShopOrder:
    skus = chance.sample(HUB_SKUS, 2)
    if index == 2:
        lines = [shop.line_of(HUB_SKUS[number % 20], 1) for number in range(BIG_ORDER_LINES)]
    else:
        lines = [shop.line_of(sku, chance.randrange(1, 4)) for sku in skus]
    order = ShopOrder(
        shop.new_number(),
        placed_at,
        placed_at,
        lines,
        shipping=Decimal(chance.choice(("0.00", "99.00", "149.50"))),
        taxes_included=index % 5 != 4,
        customer=7001 + chance.randrange(12),
    )
    _STORIES[index % len(_STORIES)](shop, order)
    return order


def _later(order: ShopOrder, hours: int) -> datetime:
    at = order.updated_at + timedelta(hours=hours)
    return min(at, OPENED_AT - timedelta(minutes=1))


def _send(shop: Shop, order: ShopOrder, units: dict[int, int] | None = None) -> Shipment:
    at = _later(order, 5)
    rows = [
        (shop.new_number(), line, line.quantity if units is None else units[position])
        for position, line in enumerate(order.lines)
        if units is None or position in units
    ]
    shipment = Shipment(shop.new_number(), at, rows)
    order.shipments.append(shipment)
    order.updated_at = at
    for _, line, quantity in rows:
        if line.variant is not None and order.location in line.variant.levels:
            line.variant.levels[order.location].on_hand -= quantity
    return shipment


def _give_back(shop: Shop, order: ShopOrder, quantity: int, restock: str, *, shipping: Decimal | None = None) -> Refund:
    line = order.lines[0]
    at = _later(order, 20)
    refund = Refund(shop.new_number(), at, [RefundRow(shop.new_number(), line, quantity, restock)])
    refund.shipping = Decimal(0) if shipping is None else shipping
    order.refunds.append(refund)
    order.updated_at = at
    if restock == "RETURN" and line.variant is not None and order.location in line.variant.levels:
        line.variant.levels[order.location].on_hand += quantity
    return refund


def _sent(shop: Shop, order: ShopOrder) -> None:
    _send(shop, order).delivered_at = _later(order, 20)
    order.closed_at = order.updated_at


def _line_discount(_shop: Shop, order: ShopOrder) -> None:
    line = order.lines[0]
    line.own_discount = (line.price * line.quantity / 10).quantize(Decimal("0.01"))
    order.discount_title = "Diez por ciento"


def _order_discount(shop: Shop, order: ShopOrder) -> None:
    for line in order.lines:
        line.shared_discount = (line.price * line.quantity / 8).quantize(Decimal("0.01"))
    order.discount_code = "BIENVENIDA"
    _send(shop, order)


def _returned(shop: Shop, order: ShopOrder) -> None:
    _send(shop, order)
    _give_back(shop, order, 1, "RETURN", shipping=order.shipping)


def _partly_sent(shop: Shop, order: ShopOrder) -> None:
    _send(shop, order, {0: order.lines[0].quantity})


def _cancelled(shop: Shop, order: ShopOrder) -> None:
    at = _later(order, 2)
    rows = [RefundRow(shop.new_number(), line, line.quantity, "CANCEL") for line in order.lines]
    order.refunds.append(Refund(shop.new_number(), at, rows, shipping=order.shipping))
    order.updated_at = order.cancelled_at = order.closed_at = at


def _at_the_till(shop: Shop, order: ShopOrder) -> None:
    order.source, order.location, order.shipping = "pos", STORE_LOCATION, Decimal(0)
    order.taxes_included, order.customer, order.tip = True, None, Decimal("15.00")
    at = order.updated_at
    _send(shop, order).created_at = at
    order.updated_at = order.closed_at = at


def _test(_shop: Shop, order: ShopOrder) -> None:
    order.is_test = True


def _appeased(shop: Shop, order: ShopOrder) -> None:
    _send(shop, order)
    _give_back(shop, order, 1, "NO_RESTOCK").extra = Decimal("20.00")


def _edited(shop: Shop, order: ShopOrder) -> None:
    order.lines.append(shop.line_of("SHP-ÑANDÚ 01/á", 1))
    order.lines.append(Line(shop.new_number(), None, None, "Envoltura especial", 1, Decimal("25.00")))
    order.lines[0].quantity += 1
    order.lines[0].removed = 1
    order.is_edited = True
    order.updated_at = _later(order, 1)


def _coming_back(shop: Shop, order: ShopOrder) -> None:
    shipment = _send(shop, order)
    at = _later(order, 30)
    order.returns.append(ReturnCase(shop.new_number(), at, shipment, [(shop.new_number(), 0, 1)]))
    order.updated_at = at


def _awaiting(_shop: Shop, order: ShopOrder) -> None:
    order.is_paid, order.is_pickup, order.shipping = False, True, Decimal(0)


def _gift(shop: Shop, order: ShopOrder) -> None:
    order.lines.append(shop.line_of("SHP-REGALO", 1))
    order.is_paid, order.is_authorised = False, True


_STORIES = (
    _sent, _line_discount, _order_discount, _returned, _partly_sent, _cancelled, _at_the_till, _test, _appeased,
    _edited, _coming_back, _awaiting, _gift,
)  # fmt: skip
