"""Working out orders of the practice seller as Square's Orders API tells them.

What belongs here: lines, taxes, discounts, service charges, tips, cash rounding, tenders, returns, and their sums, all
in cents. Not here: which orders there are (`sandbox_seed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from connectors.square.sandbox_shop import CURRENCY, Draft, Item, Line, Variation

GST = {"uid": "gst", "name": "GST", "percentage": "5", "scope": "ORDER"}


def money(cents: int) -> dict[str, Any]:
    """Return an amount as Square writes it."""
    return {"amount": cents, "currency": CURRENCY}


def part_of(cents: int, percentage: str) -> int:
    """Return a percentage of an amount, rounded half up."""
    return int((Decimal(cents) * Decimal(percentage) / 100).quantize(Decimal(1), ROUND_HALF_UP))


def line_for(item: Item, variation: Variation, quantity: int | str, uid: str) -> Line:
    """Return a line that sells a variation."""
    return Line(uid, item.name, str(quantity), variation.price, variation.variation_id, variation.name)


def worked_out(draft: Draft) -> dict[str, Any]:
    """Return the order with all its sums, without state, stamps and tenders."""
    items, discounted, charged = [], 0, 0
    for position, line in enumerate(draft.lines):
        item = _line_item(draft, line, position)
        items.append(item)
        discounted += item["total_discount_money"]["amount"]
        charged += item["total_service_charge_money"]["amount"]
    charges = _service_charges(draft, items, charged)
    order: dict[str, Any] = {"id": draft.order_id, "location_id": draft.place_id}
    if items:
        order["line_items"] = items
    taxes = _taxes(items, charges)
    if taxes:
        order["taxes"] = taxes
    if draft.discount or draft.line_discount:
        order["discounts"] = _discounts(draft, discounted)
    if charges:
        order["service_charges"] = charges
    if draft.rounding:
        order["rounding_adjustment"] = {"uid": "round", "name": "Cash rounding", "amount_money": money(draft.rounding)}
    return {**order, **_totals(draft, items, charges)}


def _line_item(draft: Draft, line: Line, position: int) -> dict[str, Any]:
    units = Decimal(line.quantity)
    gross = int((units * (line.price + line.added)).quantize(Decimal(1), ROUND_HALF_UP))
    discounts = _line_discounts(draft, gross, position)
    discount = sum(row["applied_money"]["amount"] for row in discounts)
    charge = part_of(gross - discount, draft.service_charge) if draft.is_apportioned else 0
    base = gross - discount
    tax = _tax(line, base)
    total = base + charge + (0 if line.is_included else tax)
    item: dict[str, Any] = {
        "uid": line.uid, "name": line.name, "quantity": line.quantity, "item_type": line.item_type,
        "base_price_money": money(line.price), "variation_total_price_money": money(int(units * line.price)),
        "gross_sales_money": money(gross - tax if line.is_included else gross),
        "total_tax_money": money(tax), "total_discount_money": money(discount), "total_money": money(total),
        "total_service_charge_money": money(charge),
    }  # fmt: skip
    if line.variation:
        item |= {"catalog_object_id": line.variation, "catalog_version": 1, "variation_name": line.variation_name}
    if units != units.to_integral_value():
        item["quantity_unit"] = {"measurement_unit": {"weight_unit": "METRIC_KILOGRAM"}, "precision": 3}
    if line.added:
        each = {"uid": f"m{position}", "name": "With engraving", "base_price_money": money(line.added)}
        item["modifiers"] = [{**each, "total_price_money": money(int(units * line.added))}]
    if tax:
        item["applied_taxes"] = [
            {"uid": f"t{position}", "tax_uid": "incl" if line.is_included else "gst", "applied_money": money(tax)}
        ]
    if discounts:
        item["applied_discounts"] = discounts
    if charge:
        item["applied_service_charges"] = [
            {"uid": f"s{position}", "service_charge_uid": "svc", "applied_money": money(charge)}
        ]
    return item


def _line_discounts(draft: Draft, gross: int, position: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if draft.discount:
        part = money(part_of(gross, draft.discount))
        found.append({"uid": f"d{position}", "discount_uid": "off", "applied_money": part})
    if draft.line_discount and position == 0:
        part = money(min(draft.line_discount, gross))
        found.append({"uid": f"e{position}", "discount_uid": "less", "applied_money": part})
    return found


def _tax(line: Line, base: int) -> int:
    if not line.is_taxed:
        return 0
    if line.is_included:
        return base - int((Decimal(base) * 100 / 105).quantize(Decimal(1), ROUND_HALF_UP))
    return part_of(base, "5")


def _service_charges(draft: Draft, items: Sequence[dict[str, Any]], charged: int) -> list[dict[str, Any]]:
    if not draft.service_charge:
        return []
    base = sum(row["total_money"]["amount"] - row["total_tax_money"]["amount"] for row in items)
    applied = charged if draft.is_apportioned else part_of(base, draft.service_charge)
    tax = 0 if draft.is_apportioned else part_of(applied, "5")
    charge: dict[str, Any] = {
        "uid": "svc", "name": "Table service", "percentage": draft.service_charge, "type": "AUTO_GRATUITY",
        "treatment_type": "APPORTIONED_TREATMENT" if draft.is_apportioned else "LINE_ITEM_TREATMENT",
        "calculation_phase": "APPORTIONED_PERCENTAGE_PHASE" if draft.is_apportioned else "SUBTOTAL_PHASE",
        "scope": "ORDER", "taxable": not draft.is_apportioned, "applied_money": money(applied),
        "total_tax_money": money(tax), "total_money": money(applied + tax),
    }  # fmt: skip
    if tax:
        charge["applied_taxes"] = [{"uid": "st", "tax_uid": "gst", "applied_money": money(tax)}]
    return [charge]


def _taxes(items: Sequence[dict[str, Any]], charges: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    sums: dict[str, int] = {}
    for row in (*items, *charges):
        for part in row.get("applied_taxes", ()):
            sums[part["tax_uid"]] = sums.get(part["tax_uid"], 0) + part["applied_money"]["amount"]
    return [
        {**GST, "uid": uid, "type": "INCLUSIVE" if uid == "incl" else "ADDITIVE", "applied_money": money(total)}
        for uid, total in sums.items()
    ]


def _discounts(draft: Draft, discounted: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if draft.discount:
        whole = {"uid": "off", "name": "Loyal friends", "type": "FIXED_PERCENTAGE", "percentage": draft.discount}
        found.append({**whole, "scope": "ORDER", "applied_money": money(discounted - draft.line_discount)})
    if draft.line_discount:
        less = {"uid": "less", "name": "A dent", "type": "FIXED_AMOUNT", "amount_money": money(draft.line_discount)}
        found.append({**less, "scope": "LINE_ITEM", "applied_money": money(draft.line_discount)})
    return found


def _totals(draft: Draft, items: Sequence[dict[str, Any]], charges: Sequence[dict[str, Any]]) -> dict[str, Any]:
    own = [row for row in charges if row["treatment_type"] == "LINE_ITEM_TREATMENT"]
    total = sum(row["total_money"]["amount"] for row in (*items, *own)) + draft.tip + draft.rounding
    sums = {
        "tax_money": sum(row["total_tax_money"]["amount"] for row in (*items, *own)),
        "discount_money": sum(row["total_discount_money"]["amount"] for row in items),
        "tip_money": draft.tip,
        "service_charge_money": sum(row["applied_money"]["amount"] for row in charges),
        "total_money": total,
    }
    amounts = {name: money(cents) for name, cents in sums.items()}
    prefixed = {f"total_{name}": amount for name, amount in amounts.items() if name != "total_money"}
    return {**prefixed, "total_money": money(total), "net_amounts": amounts, "net_amount_due_money": money(total)}


def tender(tender_id: str, order: dict[str, Any], *, kind: str, at: str) -> dict[str, Any]:
    """Return what pays an order in full."""
    found: dict[str, Any] = {
        "id": tender_id, "payment_id": tender_id, "location_id": order["location_id"], "transaction_id": order["id"],
        "created_at": at, "type": kind, "amount_money": order["total_money"],
    }  # fmt: skip
    if order["total_tip_money"]["amount"]:
        found["tip_money"] = order["total_tip_money"]
    if kind == "CARD":
        found["card_details"] = {"status": "CAPTURED", "entry_method": "CONTACTLESS"}
    if kind == "CASH":
        found["cash_details"] = {"buyer_tendered_money": order["total_money"], "change_back_money": money(0)}
    return found


def returned(sale: dict[str, Any], units: dict[str, int], uid: str) -> dict[str, Any]:
    """Return the `returns` entry that takes back units of a sale's lines, by line uid, at what was paid for them."""
    rows = []
    for item in sale["line_items"]:
        count, sold = units.get(item["uid"], 0), Decimal(item["quantity"])
        if not count:
            continue

        def share(name: str, item: dict[str, Any] = item, count: int = count, sold: Decimal = sold) -> dict[str, Any]:
            return money(int((item[name]["amount"] * count / sold).quantize(Decimal(1), ROUND_HALF_UP)))

        row = {
            "uid": f"{uid}-{item['uid']}", "source_line_item_uid": item["uid"], "name": item["name"],
            "quantity": str(count), "item_type": item["item_type"], "base_price_money": item["base_price_money"],
            "gross_return_money": share("gross_sales_money"), "total_tax_money": share("total_tax_money"),
            "total_discount_money": share("total_discount_money"), "total_money": share("total_money"),
            "total_service_charge_money": share("total_service_charge_money"),
        }  # fmt: skip
        if "catalog_object_id" in item:
            row |= {name: item[name] for name in ("catalog_object_id", "catalog_version", "variation_name")}
        rows.append(row)
    sums = {
        f"{name}_money": money(sum(row[f"total_{name}_money"]["amount"] for row in rows))
        for name in ("tax", "discount", "service_charge")
    }
    total = money(sum(row["total_money"]["amount"] for row in rows))
    amounts = {**sums, "tip_money": money(0), "total_money": total}
    return {"uid": uid, "source_order_id": sale["id"], "return_line_items": rows, "return_amounts": amounts}
