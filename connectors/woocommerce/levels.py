"""Reading the shop's present levels by real GETs.

What belongs here: from listing keys to quantities. Not here: writing them (`stock`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.woocommerce.api import NO_ROUTE, PAGE_SIZE, WooApi
from oms_hub.channel.http import HttpRefused
from oms_hub.errors import BadPayload

_QUERY = {"status": "any", "orderby": "id", "order": "asc", "_fields": "id,manage_stock,stock_quantity"}
GONE = "the shop does not have it any more"
UNTRACKED = "the shop keeps no quantity for it (stock management is off)"


@dataclass(frozen=True, slots=True)
class Target:
    """What carries a level: a product, or a variation of one (`variation_id` above 0)."""

    product_id: int
    variation_id: int = 0

    @property
    def own_id(self) -> int:
        """Return the id that the shop's answers name it by."""
        return self.variation_id or self.product_id


@dataclass(frozen=True, slots=True)
class Level:
    """A level as the shop tells it; `quantity` None means not tracked or gone, `note` says why."""

    quantity: int | None
    note: str = ""
    is_of_parent: bool = False


def target_of(listing_key: str) -> Target:
    """Return what a listing key names.

    Raises:
        BadPayload: it is no key of this channel.
    """
    kind, *numbers = listing_key.split(":")
    if all(number.isascii() and number.isdigit() for number in numbers):
        if kind == "product" and len(numbers) == 1:
            return Target(int(numbers[0]))
        if kind == "variation" and len(numbers) == 2:
            return Target(int(numbers[0]), int(numbers[1]))
    raise BadPayload("a listing key is not of this channel", where="listing_key")


def read_levels(api: WooApi, targets: Iterable[Target]) -> dict[Target, Level]:
    """Return the present level of each target; what the shop does not show is gone."""
    wanted = list(dict.fromkeys(targets))
    products = [target for target in wanted if not target.variation_id]
    found = _by_id(api, "products", products)
    found.update(_variations(api, [target for target in wanted if target.variation_id]))
    return {target: found.get(target.own_id, Level(None, GONE)) for target in wanted}


def _variations(api: WooApi, targets: Sequence[Target]) -> dict[int, Level]:
    """Read variations from the list of all of them, and what it does not show parent by parent."""
    found: dict[int, Level] = {}
    try:
        found.update(_by_id(api, "variations", targets))
    except HttpRefused as error:
        if error.code != NO_ROUTE:
            raise
    by_parent: dict[int, list[Target]] = {}
    for target in targets:
        if target.variation_id not in found:
            by_parent.setdefault(target.product_id, []).append(target)
    for parent_id, some in by_parent.items():
        try:
            found.update(_by_id(api, f"products/{parent_id}/variations", some))
        except HttpRefused as error:
            if error.status != 404:
                raise
    return found


def _by_id(api: WooApi, path: str, targets: Sequence[Target]) -> dict[int, Level]:
    found: dict[int, Level] = {}
    for some in _slices(targets):
        query = {**_QUERY, "include": ",".join(str(target.own_id) for target in some)}
        for row in api.page(path, query).rows:
            if isinstance(row, dict) and isinstance(row.get("id"), int):
                found[row["id"]] = level_of(row)
    return found


def _slices(targets: Sequence[Target]) -> Iterator[Sequence[Target]]:
    for start in range(0, len(targets), PAGE_SIZE):
        yield targets[start : start + PAGE_SIZE]


def level_of(row: dict[str, Any]) -> Level:
    """Return the level of one row. Fractions (plugins that sell by length or weight) are cut to whole units."""
    managed, quantity = row.get("manage_stock"), row.get("stock_quantity")
    if managed is False or managed is None:
        return Level(None, UNTRACKED)
    if isinstance(quantity, bool) or not isinstance(quantity, int | float):
        return Level(None, "the shop tells no quantity")
    whole = math.floor(quantity)
    note = "" if whole == quantity else f"the shop keeps {quantity}, of which whole units are counted"
    return Level(whole, note, managed == "parent")
