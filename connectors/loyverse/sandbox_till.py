"""What the practice Loyverse merchant has, and its invented past.

What belongs here: state. Not here: HTTP and the knobs (`sandbox`).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from oms_hub.clock import Clock

HISTORY_ENDS_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
MAIN, SECOND = "store-main", "store-market"
_TITLES = ("Taza", "Café de olla", "茶碗", "Plato del niño", "Jarra „Über“")


@dataclass(slots=True)
class Till:
    """All that the practice merchant has; everything happens under `lock`."""

    clock: Clock
    token: str
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    levels: dict[tuple[str, str], float] = field(default_factory=dict)
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    is_free_plan: bool = False
    ahead: timedelta = timedelta(0)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def now(self) -> datetime:
        """Return the present, to the millisecond."""
        moment = self.clock() + self.ahead
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def variant(self, sku: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return item and variant of a SKU; KeyError where there is none."""
        for item in self.items.values():
            for variant in item["variants"]:
                if variant["sku"] == sku:
                    return item, variant
        raise KeyError(sku)

    def sell(self, lines: Mapping[str, int], *, made_at: datetime, more: Mapping[str, Any] | None = None) -> str:
        """Enter a receipt that was made at an instant and arrives now; return its number."""
        number = f"1-{1001 + len(self.receipts)}"
        rows = [self._line(f"{number}-{index}", sku, units) for index, (sku, units) in enumerate(lines.items())]
        total = round(sum(row["total_money"] for row in rows), 2)
        receipt = {
            "receipt_number": number, "receipt_type": "SALE", "refund_for": None, "order": None,
            "created_at": stamp(self.now()), "updated_at": stamp(self.now()), "receipt_date": stamp(made_at),
            "cancelled_at": None, "store_id": MAIN, "pos_device_id": "pos-1", "employee_id": None, "customer_id": None,
            "total_money": total, "total_tax": round(sum(t["money_amount"] for r in rows for t in r["line_taxes"]), 2),
            "total_discount": 0, "tip": 0, "surcharge": 0, "points_earned": 0, "points_deducted": 0, "line_items": rows,
            "payments": [{"payment_type_id": "cash", "name": "Efectivo", "money_amount": total}],
        }  # fmt: skip
        self.receipts[number] = {**receipt, **(more or {})}
        sign = 1 if receipt["receipt_type"] == (more or {}).get("receipt_type", "SALE") else -1
        for row in rows:
            if (row["variant_id"], MAIN) in self.levels:
                self.levels[row["variant_id"], MAIN] -= sign * row["quantity"]
        return number

    def _line(self, line_id: str, sku: str, units: int) -> dict[str, Any]:
        item, variant = self.variant(sku)
        gross = round(variant["default_price"] * units, 2)
        tax = float((Decimal(str(gross)) * 16 / 116).quantize(Decimal("0.01")))
        vat = {"id": "iva", "name": "IVA", "type": "INCLUDED", "rate": 16, "money_amount": tax}
        return {
            "id": line_id, "item_id": item["id"], "variant_id": variant["variant_id"], "item_name": item["item_name"],
            "variant_name": None, "sku": sku, "quantity": units, "price": variant["default_price"],
            "gross_total_money": gross, "total_money": gross, "line_taxes": [vat], "line_discounts": [],
        }  # fmt: skip

    def shown(self, number: str) -> dict[str, Any]:
        """Return a receipt as the API gives it."""
        return {**self.receipts[number], **({"line_items": "none"} if number in self.broken else {})}


def stamp(moment: datetime) -> str:
    """Return an instant as Loyverse writes it: UTC, milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def seed_till(till: Till, orders: int, seed: int) -> None:
    """Fill a till. The same seed gives the same goods, receipts and instants."""
    chance = random.Random(seed)
    for number in range(1, 22):
        sku = f"HUB-{number:03d}" if number < 21 else "SERVICE-1"
        key, title = f"variant-{number:02d}", f"{_TITLES[number % len(_TITLES)]} {number}"
        variant: dict[str, Any] = {
            "variant_id": key, "item_id": f"item-{number:02d}", "sku": sku, "option1_value": None, "cost": 20.5,
            "default_price": 49.9 + number, "barcode": f"75100000{number:05d}", "stores": [],
        }  # fmt: skip
        till.items[key] = {
            "id": f"item-{number:02d}", "handle": sku.lower(), "item_name": title, "category_id": None,
            "track_stock": sku != "SERVICE-1", "sold_by_weight": False, "is_composite": False, "tax_ids": ["iva"],
            "variants": [variant], "created_at": stamp(HISTORY_ENDS_AT), "updated_at": stamp(HISTORY_ENDS_AT),
            "deleted_at": None,
        }  # fmt: skip
        if sku != "SERVICE-1":
            till.levels |= {(key, MAIN): 100 + 5 * number, (key, SECOND): 7}
    step = timedelta(days=20) / max(1, orders)
    for index in range(orders):
        made_at = HISTORY_ENDS_AT - step * (orders - index)
        till.ahead = made_at - till.clock()
        lines = {f"HUB-{chance.randrange(1, 21):03d}": chance.randint(1, 3), "SERVICE-1": 1}
        if index % 10 == 5:
            till.sell({next(iter(lines)): 1}, made_at=made_at, more={"receipt_type": "REFUND", "refund_for": "1-1001"})
        elif index % 10 == 7:
            till.sell(lines, made_at=made_at - timedelta(hours=30))
        else:
            till.sell(lines, made_at=made_at)
    till.ahead = timedelta(0)
