"""The goods and the past orders of the practice seller, made up from a seed.

What belongs here: invented data that shows every trap at least once. Not here: rules (`sandbox_shop`, `sandbox_sales`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from connectors.square.sandbox_orders import line_for, worked_out
from connectors.square.sandbox_sales import open_order, quick_sale, sell, take_back, take_off
from connectors.square.sandbox_shop import Draft, Item, Line, Place, Shop, Sold, Variation, stamp

HISTORY_ENDS_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
OPENED_AT = HISTORY_ENDS_AT + timedelta(minutes=5)
"""Where the seller's own clock starts: a past that is as old at every start makes every start the same."""
SHARED_SKUS = tuple(f"HUB-{number:03d}" for number in range(1, 21))
"""Codes that all practice channels sell."""
MAIN, SECOND, CLOSED = "LMAIN01", "LHARBOUR02", "LOLD03"
_HISTORY = timedelta(days=45)
_TITLES = ("Mug", "Tasse à café", "茶碗 Tea bowl", "Niño's plate", "Jug „Über“", "Saucer & co <b>")


def seed_shop(shop: Shop, *, orders: int, seed: int) -> None:
    """Fill the account. The same seed gives the same goods, orders and instants."""
    chance = random.Random(seed)
    opened = HISTORY_ENDS_AT - _HISTORY - timedelta(days=30)
    for number, (key, name, zone) in enumerate(
        (
            (MAIN, "Main Street", "America/Toronto"),
            (SECOND, "Harbour", "America/Vancouver"),
            (CLOSED, "Old Mill", "America/Toronto"),
        )
    ):
        shop.places[key] = Place(key, name, zone, opened + timedelta(days=number), is_active=key != CLOSED)
    _seed_goods(shop)
    step = _HISTORY / max(1, orders)
    sales: list[Sold] = []
    for index in range(orders):
        at = (HISTORY_ENDS_AT - timedelta(hours=1) - step * (orders - 1 - index)).replace(microsecond=0)
        shop.ahead = at - shop.clock()  # what happened then was entered then
        sales.append(_PLAYS[index % len(_PLAYS)](shop, chance, at, sales))
    for sold in sales:  # several orders share a stamp, as a bulk change leaves them
        if chance.random() < 0.2:
            sold.updated_at = max(sold.updated_at, sold.updated_at.replace(minute=59, second=59))
    shop.ahead = timedelta(0)
    _count_all(shop)


def _seed_goods(shop: Shop) -> None:
    for number, sku in enumerate(SHARED_SKUS, start=1):
        title = f"{_TITLES[number % len(_TITLES)]} {number}"
        _add(shop, title, [Variation("", "Regular", sku, 900 + 110 * number)])
    _add(shop, "Shirt", [Variation("", "Small", "TEE-S", 2500), Variation("", "Large", "TEE-L", 2500)])
    _add(shop, "Twin one", [Variation("", "Regular", "DUP-1", 1000)])
    _add(shop, "Twin two", [Variation("", "Regular", "DUP-1", 1000)])
    _add(shop, "Without code", [Variation("", "Regular", "", 700)])
    _add(shop, "Gift wrapping", [Variation("", "Regular", "SERVICE-1", 300, is_tracked=False)])
    _add(shop, "Coffee by weight", [Variation("", "Per kg", "COFFEE-KG", 3900, is_measured=True)])
    _add(shop, "Only on Main Street", [Variation("", "Regular", "MAIN-1", 1500, untracked_at=frozenset({SECOND}))])
    _add(shop, "Archived", [Variation("", "Regular", "OLD-1", 1500)]).is_archived = True
    _add(shop, "Deleted", [Variation("", "Regular", "GONE-1", 1500)]).is_deleted = True


def _add(shop: Shop, name: str, variations: list[Variation]) -> Item:
    item = Item(shop.take_id("ITEM"), name, variations, HISTORY_ENDS_AT - _HISTORY)
    for variation in variations:
        variation.variation_id = shop.take_id("VAR")
    shop.items[item.item_id] = item
    return item


def _count_all(shop: Shop) -> None:
    """Count everything at the end of the past, so that levels are round numbers; equal codes have equal levels."""
    codes = list(dict.fromkeys(variation.sku for _, variation in shop.variations()))
    for _, variation in shop.variations():
        for place, units in ((MAIN, 45 + 5 * codes.index(variation.sku)), (SECOND, 4)):
            if shop.is_tracked(variation.variation_id, place):
                shop.count(variation.variation_id, place, units)


def _goods(shop: Shop, chance: random.Random, count: int) -> Draft:
    lines = {sku: chance.randint(1, 3) for sku in chance.sample(SHARED_SKUS, count)}
    return quick_sale(shop, lines, place_id=chance.choice((MAIN, MAIN, MAIN, SECOND)))


def _card_with_tip(shop: Shop, chance: random.Random, at: datetime, _: list[Sold]) -> Sold:
    draft = _goods(shop, chance, 2)
    draft.tip = chance.randint(100, 500)
    return sell(shop, draft, at=at, more={"customer_id": f"CUS{chance.randrange(30):03d}"})


def _cash(shop: Shop, chance: random.Random, at: datetime, _: list[Sold]) -> Sold:
    draft = _goods(shop, chance, 1)
    draft.lines[0].price += 2  # leaves something to round
    up = -worked_out(draft)["total_money"]["amount"] % 5
    draft.rounding = up if up <= 2 else 0
    return sell(shop, draft, at=at, kind="CASH")


def _percentage_off(shop: Shop, chance: random.Random, at: datetime, _: list[Sold]) -> Sold:
    draft = _goods(shop, chance, 2)
    draft.discount, draft.line_discount = chance.choice((("10", 150), ("10", 0), ("", 150)))
    return sell(shop, draft, at=at)


def _custom_amount(shop: Shop, chance: random.Random, at: datetime, _: list[Sold]) -> Sold:
    draft = _goods(shop, chance, 1)
    draft.lines.append(Line("custom", "", "1", 1234, item_type="CUSTOM_AMOUNT"))
    draft.lines.append(Line("card", "Gift card", "1", 2000, item_type="GIFT_CARD", is_taxed=False))
    draft.lines[0].added = 150
    return sell(shop, draft, at=at)


def _served(shop: Shop, chance: random.Random, at: datetime, _: list[Sold]) -> Sold:
    draft = _goods(shop, chance, 2)
    draft.service_charge, draft.is_apportioned = "18", chance.random() < 0.5
    return sell(shop, draft, at=at)


def _return(shop: Shop, chance: random.Random, at: datetime, sales: list[Sold]) -> Sold:
    sale = _earlier(sales)
    uid = sale.draft.lines[0].uid
    return take_back(shop, sale, {uid: 1}, at=at, is_restocked=chance.random() < 0.5)


def _pickup(shop: Shop, chance: random.Random, at: datetime, _: list[Sold]) -> Sold:
    draft = _goods(shop, chance, 1)
    details = {"schedule_type": "SCHEDULED", "pickup_at": stamp(at + timedelta(days=2)), "placed_at": stamp(at)}
    fulfilment = {"uid": "pick", "type": "PICKUP", "state": "PROPOSED", "pickup_details": details}
    source = {"name": "Square Online"}
    return open_order(
        shop, draft, at=at, state="OPEN", is_paid=True, more={"fulfillments": [fulfilment], "source": source}
    )


def _exchange(shop: Shop, chance: random.Random, at: datetime, sales: list[Sold]) -> Sold:
    sale = _earlier(sales)
    instead = _goods(shop, chance, 1)
    instead.place_id = sale.draft.place_id
    return take_back(shop, sale, {sale.draft.lines[0].uid: 1}, at=at, is_restocked=True, exchange=instead)


def _shipped(shop: Shop, chance: random.Random, at: datetime, _: list[Sold]) -> Sold:
    draft = _goods(shop, chance, 1)
    details = {"carrier": "Canada Post", "tracking_number": f"CP{chance.randrange(10**8):08d}", "shipped_at": stamp(at)}
    fulfilment = {"uid": "ship", "type": "SHIPMENT", "state": "COMPLETED", "shipment_details": details}
    sold = sell(shop, draft, at=at, more={"fulfillments": [fulfilment]})
    take_off(shop, draft, at=at)
    return sold


def _open_ticket(shop: Shop, chance: random.Random, at: datetime, sales: list[Sold]) -> Sold:
    word = ("OPEN", "CANCELED", "DRAFT")[len(sales) // 10 % 3]
    more = {"ticket_name": f"Table {chance.randint(1, 20)}"}
    return open_order(shop, _goods(shop, chance, 1), at=at, state=word, is_paid=False, more=more)


def _by_weight(shop: Shop, chance: random.Random, at: datetime, _: list[Sold]) -> Sold:
    draft = Draft(shop.take_id("ORD"), MAIN)
    draft.lines.append(line_for(*shop.by_sku("COFFEE-KG"), "0.355", "weight"))
    included = line_for(*shop.by_sku(chance.choice(SHARED_SKUS)), 2, "included")
    included.is_included = True
    draft.lines.append(included)
    return sell(shop, draft, at=at)


def _earlier(sales: list[Sold]) -> Sold:
    """Return the newest completed sale of goods that nothing was returned of."""
    taken = {part["source_order_id"] for sold in sales for part in sold.record.get("returns", ())}
    return next(
        sold
        for sold in reversed(sales)
        if sold.record["state"] == "COMPLETED"
        and sold.record["id"] not in taken
        and not sold.record.get("returns")
        and sold.draft.lines[0].quantity.isdigit()
    )


_PLAYS: tuple[Callable[[Shop, random.Random, datetime, list[Sold]], Sold], ...] = (
    _card_with_tip, _cash, _percentage_off, _custom_amount, _return, _served, _pickup, _card_with_tip, _exchange,
    _open_ticket, _by_weight, _shipped,
)  # fmt: skip
