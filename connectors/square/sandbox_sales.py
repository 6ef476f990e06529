"""What happens at the practice seller: sales, returns, exchanges, edits, and what each does to the goods in stock.

What belongs here: actions. Not here: how an order is worked out (`sandbox_orders`), which ones the past holds
(`sandbox_seed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.square.sandbox_orders import line_for, money, returned, tender, worked_out
from connectors.square.sandbox_shop import IN_STOCK, Draft, Line, Shop, Sold, stamp

SALE = (IN_STOCK, "SOLD")
BACK = ("RETURNED_BY_CUSTOMER", IN_STOCK)


def sell(shop: Shop, draft: Draft, *, at: datetime, kind: str = "CARD", more: Mapping[str, Any] | None = None) -> Sold:
    """Complete a sale over the counter: paid, taken away, off the stock.

    Args:
        shop: the seller.
        draft: what is sold.
        at: when; the order carries this time even if it arrives later.
        kind: how it is paid (`CARD`, `CASH`, ...).
        more: fields of the order that this sale has besides.
    """
    sold = Sold(draft, {}, at, at, closed_at=at)
    shop.orders[draft.order_id] = sold
    order = worked_out(draft)
    paid = {"tenders": [tender(shop.take_id("PAY"), order, kind=kind, at=stamp(at))], "state": "COMPLETED"}
    sold.record = {**order, **paid, "net_amount_due_money": money(0), "source": {"name": "Square Point of Sale"}}
    sold.record |= more or {}
    if not sold.record.get("fulfillments"):
        take_off(shop, draft, at=at)
    return sold


def take_off(shop: Shop, draft: Draft, *, at: datetime) -> None:
    """Take what an order sells off the goods in stock."""
    for line in draft.lines:
        if line.variation and line.item_type == "ITEM" and shop.is_tracked(line.variation, draft.place_id):
            units = int(line.quantity) if line.quantity.isdigit() else 0
            if units:
                shop.adjust(line.variation, draft.place_id, units, at=at, states=SALE, cause=draft.order_id)


def open_order(shop: Shop, draft: Draft, *, at: datetime, state: str, is_paid: bool, more: Mapping[str, Any]) -> Sold:
    """Place an order that is not completed: an open ticket, a pickup, a cancelled one, a draft.

    Paid ones are off the stock at once, as Square Online does it.
    """
    sold = Sold(draft, {}, at, at, closed_at=at if state == "CANCELED" else None)
    shop.orders[draft.order_id] = sold
    sold.record = {**worked_out(draft), "state": state, "version": 1, **more}
    if is_paid:
        order = sold.record
        order["tenders"] = [tender(shop.take_id("PAY"), order, kind="CARD", at=stamp(at))]
        order["net_amount_due_money"] = money(0)
        take_off(shop, draft, at=at)
    return sold


def take_back(
    shop: Shop,
    sale: Sold,
    units: Mapping[str, int],
    *,
    at: datetime,
    is_restocked: bool,
    exchange: Draft | None = None,
) -> Sold:
    """Take units of a sale back, as an order of its own; with `exchange`, something else is sold in the same breath.

    Args:
        shop: the seller.
        sale: the order that they were bought with.
        units: line uid -> how many.
        at: when.
        is_restocked: put back on the shelf.
        exchange: what is sold instead.
    """
    draft = exchange or Draft(shop.take_id("RET"), sale.draft.place_id)
    entry = returned(sale.record, dict(units), shop.take_id("ret"))
    refund_id = f"{sale.record['tenders'][0]['id']}_{shop.take_id('RF')}"
    refund = {
        "id": refund_id, "location_id": draft.place_id, "transaction_id": draft.order_id, "reason": "Returned goods",
        "tender_id": sale.record["tenders"][0]["id"], "status": "APPROVED", "created_at": stamp(at),
        "amount_money": entry["return_amounts"]["total_money"],
    }  # fmt: skip
    extra = {"returns": [entry], "return_amounts": entry["return_amounts"], "refunds": [refund]}
    if exchange is not None:
        back = sell(shop, exchange, at=at, kind="CASH", more=extra)
    else:
        back = Sold(draft, {**worked_out(draft), **extra, "state": "COMPLETED"}, at, at, closed_at=at)
        shop.orders[draft.order_id] = back
    _settle(back)
    if is_restocked:
        for row in entry["return_line_items"]:
            if "catalog_object_id" in row:
                shop.adjust(
                    row["catalog_object_id"], draft.place_id, int(row["quantity"]), at=at, states=BACK,
                    cause=f"refund:{refund_id}",
                )  # fmt: skip
    return back


def edit(shop: Shop, sold: Sold) -> int:
    """Add a custom amount of one dollar, stamp the order as changed, and return its new total in cents."""
    now = shop.now()
    sold.draft.lines.append(
        Line(f"more{len(sold.draft.lines)}", "Something more", "1", 100, item_type="CUSTOM_AMOUNT", is_taxed=False)
    )
    due = sold.record["net_amount_due_money"]
    sold.record = {**sold.record, **worked_out(sold.draft), "net_amount_due_money": due}
    _settle(sold)
    touch(sold, now)
    sold.is_broken = False
    return int(sold.record["total_money"]["amount"])


def touch(sold: Sold, now: datetime) -> None:
    """Stamp an order as changed."""
    sold.updated_at = max(sold.updated_at, now)
    sold.record["version"] = sold.record.get("version", 0) + 1


def _settle(sold: Sold) -> None:
    """Work out the net amounts: what was sold less what came back."""
    back = sold.record.get("return_amounts")
    if back is None:
        return
    plain = worked_out(sold.draft)["net_amounts"]
    sold.record["net_amounts"] = {
        name: money(amount["amount"] - back[name]["amount"]) for name, amount in plain.items()
    }


def quick_sale(shop: Shop, lines: Mapping[str, int], *, place_id: str | None = None) -> Draft:
    """Return a draft that sells `sku -> quantity` at a location, by default the main one."""
    draft = Draft(shop.take_id("ORD"), place_id or shop.main_place())
    for position, (sku, units) in enumerate(lines.items()):
        draft.lines.append(line_for(*shop.by_sku(sku), units, f"line{position}"))
    return draft
