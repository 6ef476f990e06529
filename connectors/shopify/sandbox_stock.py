"""Writing levels in the practice shop, with the rules that the published schema cannot show.

What belongs here: `inventorySetQuantities` and `inventoryActivate`. An idempotency key is mandatory; the same key with
the same content gives the first result again; `changeFromQuantity` has to be there, null or not; a call is applied as
a whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.shopify.sandbox_nodes import Nodes
from connectors.shopify.sandbox_state import Shop
from connectors.shopify.sandbox_things import Level, Variant, gid

ROWS_MAX = 250


class BadInput(Exception):
    """An input that Shopify refuses with a top-level error.

    Args:
        code: of the error.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _number(identifier: str) -> int:
    tail = identifier.rpartition("/")[2]
    return int(tail) if tail.isdigit() else 0


def _error(code: str | None, path: Sequence[str] | None, message: str) -> dict[str, Any]:
    return {"code": code, "field": None if path is None else list(path), "message": message}


class StockDesk:
    """Takes stock writes of one shop, and remembers their keys."""

    def __init__(self, shop: Shop, nodes: Nodes) -> None:
        self._shop = shop
        self._nodes = nodes
        self._seen: dict[str, tuple[str, dict[str, Any] | None]] = {}

    def set_quantities(self, key: str | None, content: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out `inventorySetQuantities`.

        Raises:
            BadInput: no key, no `changeFromQuantity`, or too many rows.
        """
        if key is None:
            raise BadInput("BAD_REQUEST", "the @idempotent directive is required for this mutation")
        rows = content["quantities"]
        if len(rows) > ROWS_MAX:
            raise BadInput("MAX_INPUT_SIZE_EXCEEDED", f"at most {ROWS_MAX} rows")
        if any("changeFromQuantity" not in row for row in rows):
            raise BadInput("INVALID_FIELD_ARGUMENTS", "changeFromQuantity must be given")
        return self._once(key, f"set {json.dumps(content, sort_keys=True)}", lambda: self._set(content))

    def activate(self, key: str | None, item: str, place: str, available: int) -> dict[str, Any]:
        """Carry out `inventoryActivate`.

        Raises:
            BadInput: no key.
        """
        if key is None:
            raise BadInput("BAD_REQUEST", "the @idempotent directive is required for this mutation")
        return self._once(key, f"activate {item} {place} {available}", lambda: self._activate(item, place, available))

    def _once(self, key: str, content: str, act: Any) -> dict[str, Any]:
        if key not in self._seen:
            done: dict[str, Any] = act()
            self._seen[key] = (content, None if done["userErrors"] else done)
            return done
        seen_content, result = self._seen[key]
        if seen_content != content:
            return _refused([_error("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", None, "the key was used otherwise")])
        if result is None:
            return _refused([_error("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", None, "use a new key")])
        return result

    def _set(self, content: Mapping[str, Any]) -> dict[str, Any]:
        if content["name"] not in {"available", "on_hand"}:
            return _refused([_error("INVALID_NAME", ["input", "name"], "available or on_hand")])
        errors, changes, pairs = [], [], set()
        for index, row in enumerate(content["quantities"]):
            where = ["input", "quantities", str(index)]
            pair = (row["inventoryItemId"], row["locationId"])
            if pair in pairs:
                errors.append(_error("NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", where, "named twice"))
            pairs.add(pair)
            found = self._found(row, where)
            if isinstance(found, dict):
                errors.append(found)
                continue
            variant, place, level = found
            now = level.available if content["name"] == "available" else level.on_hand
            expected = row["changeFromQuantity"]
            if expected is not None and expected != now:
                errors.append(_error("CHANGE_FROM_QUANTITY_STALE", [*where, "changeFromQuantity"], "it changed"))
            changes.append((variant, place, level, row["quantity"] - now))
        if errors:
            return _refused(errors)
        return {"userErrors": [], "inventoryAdjustmentGroup": self._apply(content["name"], changes)}

    def _found(self, row: Mapping[str, Any], where: Sequence[str]) -> tuple[Variant, int, Level] | dict[str, Any]:
        variant = self._shop.variants.get(_number(row["inventoryItemId"]) - 10_000)
        place = _number(row["locationId"])
        if variant is None:
            return _error("INVALID_INVENTORY_ITEM", [*where, "inventoryItemId"], "there is no such item")
        if place not in self._shop.locations:
            return _error("INVALID_LOCATION", [*where, "locationId"], "there is no such location")
        if variant.is_bundle:
            return _error("NON_MUTABLE_INVENTORY_ITEM", [*where, "inventoryItemId"], "a bundle's parent")
        if abs(row["quantity"]) > 1_000_000_000:
            return _error("INVALID_QUANTITY_TOO_HIGH", [*where, "quantity"], "too high")
        level = variant.levels.get(place)
        if level is None or not level.is_active:
            return _error(None, [*where, "locationId"], "the item is not stocked at the location")
        return variant, place, level

    def _apply(self, name: str, changes: Sequence[tuple[Variant, int, Level, int]]) -> dict[str, Any]:
        shown = []
        for variant, place, level, delta in changes:
            level.on_hand += delta
            for told, after in (("available", level.available), ("on_hand", level.on_hand)):
                shown.append(
                    {
                        "name": told,
                        "quantityAfterChange": after if told == name else None,
                        "item": self._nodes.item(variant),
                        "location": self._nodes.location(place),
                    }
                )
        return {"id": gid("InventoryAdjustmentGroup", self._shop.new_number()), "changes": shown}

    def _activate(self, item: str, place: str, available: int) -> dict[str, Any]:
        variant, number = self._shop.variants.get(_number(item) - 10_000), _number(place)
        if variant is None or number not in self._shop.locations:
            return _refused([_error(None, ["inventoryItemId"], "there is no such item or location")])
        level = variant.levels.get(number)
        if level is not None and level.is_active:
            return _refused([_error(None, ["available"], "the item is stocked at the location already")])
        level = Level(available + (level.committed if level else 0), committed=level.committed if level else 0)
        variant.levels[number] = level
        return {"userErrors": [], "inventoryLevel": self._nodes.level(variant, number, level)}


def _refused(errors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"userErrors": list(errors), "inventoryAdjustmentGroup": None, "inventoryLevel": None}
