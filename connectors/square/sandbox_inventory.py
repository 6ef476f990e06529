"""Inventory of the practice seller: counts, the log of changes, and writing into it.

What belongs here: the three operations with their limits, and idempotency keys. Not here: how levels follow from the
log (`sandbox_shop`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from connectors.square.sandbox_shop import CURRENCY, IN_STOCK, Change, Shop, stamp
from connectors.square.sandbox_words import ApiError, instant, invalid

MOST_CHANGES = 100
_OLDEST = timedelta(hours=24)


@dataclass(slots=True)
class Inventory:
    """The inventory operations.

    Attributes:
        shop: the seller.
        has_partial_batches: rows that are wrong come as errors inside an answer with 200, and the others are applied;
            else one wrong row refuses the whole batch.
        done: idempotency key -> the request that came with it and its answer.
    """

    shop: Shop
    has_partial_batches: bool = False
    done: dict[str, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)

    def counts(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return present counts, newest change first."""
        after = instant(body, "updated_after")
        rows = []
        for variation_id, place_id in self._wanted(body):
            found = self.shop.level(variation_id, place_id)
            if (
                found is not None
                and self.shop.is_tracked(variation_id, place_id)
                and (after is None or found[1] > after)
            ):
                rows.append((found[1], _count(variation_id, place_id, *found)))
        rows.sort(key=lambda row: row[0], reverse=True)
        if IN_STOCK not in (body.get("states") or [IN_STOCK]):
            rows = []
        return _page(body, "counts", [row for _, row in rows])

    def changes(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return past changes, oldest first by when they happened."""
        after, before = instant(body, "updated_after"), instant(body, "updated_before")
        types = body.get("types") or ["PHYSICAL_COUNT", "ADJUSTMENT"]
        states = body.get("states")
        found = [
            change
            for pair in self._wanted(body)
            for change in self.shop.log.get(pair, ())
            if ("PHYSICAL_COUNT" if change.is_count else "ADJUSTMENT") in types
            and (after is None or change.created_at > after)
            and (before is None or change.created_at < before)
            and (states is None or change.to_state in states or change.from_state in states)
        ]
        found.sort(key=lambda change: (change.occurred_at, change.change_id))
        return _page(body, "changes", [_shown(change) for change in found])

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Enter counts, and return the present counts of what they named.

        Raises:
            ApiError: no key or one used for something else, too many changes, a wrong row.
        """
        key, changes = body.get("idempotency_key"), body.get("changes") or []
        if not isinstance(key, str) or not 1 <= len(key) <= 128:
            raise invalid("idempotency_key", "MISSING_REQUIRED_PARAMETER")
        if not 1 <= len(changes) <= MOST_CHANGES:
            raise invalid("changes", "ARRAY_LENGTH_TOO_LONG" if changes else "ARRAY_EMPTY")
        content = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        if key in self.done:
            before, answer = self.done[key]
            if before != content:
                raise invalid("idempotency_key", "IDEMPOTENCY_KEY_REUSED")
            return answer
        entries, wrong = self._read(changes)
        if wrong and not self.has_partial_batches:
            refusal = ApiError(400, "INVALID_REQUEST_ERROR", wrong[0]["code"], wrong[0]["detail"])
            refusal.errors = wrong
            raise refusal
        ignores = body.get("ignore_unchanged_counts", True)
        for entry in entries:
            if not (ignores and self._last_count(entry) == entry.quantity):
                self.shop.book(entry)
        pairs = [(entry.variation_id, entry.place_id) for entry in entries]
        levels = [(pair, found) for pair in pairs if (found := self.shop.level(*pair)) is not None]
        answer = {"counts": [_count(*pair, *found) for pair, found in levels]}
        if wrong:
            answer["errors"] = wrong
        self.done[key] = (content, answer)
        return answer

    def _wanted(self, body: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        keys = body.get("catalog_object_ids") or [each.variation_id for _, each in self.shop.variations()]
        places = body.get("location_ids") or list(self.shop.places)
        return [(key, place) for key in keys for place in places]

    def _last_count(self, entry: Change) -> Decimal | None:
        counts = [each for each in self.shop.log.get((entry.variation_id, entry.place_id), ()) if each.is_count]
        return max(counts, key=lambda each: each.occurred_at).quantity if counts else None

    def _read(self, changes: Iterable[Any]) -> tuple[list[Change], list[dict[str, str]]]:
        entries, wrong = [], []
        for index, change in enumerate(changes):
            try:
                entries.append(self._entry(change, f"changes[{index}]"))
            except ApiError as refusal:
                wrong.append(dict(refusal.errors[0]))
        return entries, wrong

    def _entry(self, change: Mapping[str, Any], where: str) -> Change:
        row = change.get("physical_count")
        if change.get("type") != "PHYSICAL_COUNT" or not isinstance(row, dict):
            raise invalid(f"{where}.type", "INVALID_VALUE")
        where = f"{where}.physical_count"
        is_tracked = self.shop.is_tracked(str(row.get("catalog_object_id")), str(row.get("location_id")))
        if not is_tracked:
            raise invalid(f"{where}.catalog_object_id", "NOT_FOUND" if is_tracked is None else "INVALID_VALUE")
        if row.get("location_id") not in self.shop.places:
            raise invalid(f"{where}.location_id", "INVALID_LOCATION")
        if row.get("state") != IN_STOCK:
            raise invalid(f"{where}.state", "INVALID_ENUM_VALUE")
        try:
            quantity = Decimal(row["quantity"])
        except (KeyError, TypeError, InvalidOperation):
            raise invalid(f"{where}.quantity", "EXPECTED_STRING") from None
        occurred_at, now = instant(row, "occurred_at"), self.shop.now()
        if quantity < 0 or occurred_at is None or not now - _OLDEST <= occurred_at <= now:
            raise invalid(
                f"{where}.{'quantity' if quantity < 0 else 'occurred_at'}",
                "INVALID_TIME" if quantity >= 0 else "VALUE_TOO_LOW",
            )
        return Change(
            self.shop.take_id("CNT"), row["catalog_object_id"], row["location_id"], quantity, occurred_at, now,
            reference_id=str(row.get("reference_id") or ""),
        )  # fmt: skip


def _page(body: Mapping[str, Any], name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    limit = min(int(body.get("limit") or 100), 1000)
    start = int(body["cursor"]) if str(body.get("cursor") or "").isdigit() else 0
    page = rows[start : start + limit]
    answer: dict[str, Any] = {name: page} if page else {}
    if start + len(page) < len(rows):
        answer["cursor"] = str(start + len(page))
    return answer


def _count(variation_id: str, place_id: str, level: Decimal, changed_at: Any) -> dict[str, Any]:
    return {
        "catalog_object_id": variation_id, "catalog_object_type": "ITEM_VARIATION", "state": IN_STOCK,
        "location_id": place_id, "quantity": f"{level.normalize():f}", "calculated_at": stamp(changed_at),
    }  # fmt: skip


def _shown(change: Change) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": change.change_id, "catalog_object_id": change.variation_id, "catalog_object_type": "ITEM_VARIATION",
        "location_id": change.place_id, "quantity": f"{change.quantity:f}", "occurred_at": stamp(change.occurred_at),
        "created_at": stamp(change.created_at),
    }  # fmt: skip
    if change.is_count:
        return {"type": "PHYSICAL_COUNT", "physical_count": {**row, "state": IN_STOCK}}
    row |= {"from_state": change.from_state, "to_state": change.to_state}
    if change.refund_id:
        row["refund_id"] = change.refund_id
    if change.transaction_id:
        row["transaction_id"] = change.transaction_id
    if change.to_state == "SOLD":
        row["total_price_money"] = {"amount": 0, "currency": CURRENCY}
    return {"type": "ADJUSTMENT", "adjustment": row}
