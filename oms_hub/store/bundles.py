"""Bundles: SKUs that are made of other SKUs.

What belongs here: what a bundle is made of, and what must follow when that changes. Not here: how many can be made
(`oms_hub.domain.availability`, `plan_offers`), what their orders move (`movements`).

A bundle has no stock of its own, and none contains another: the database refuses it, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from oms_hub.domain.availability import check_bundles
from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction
from oms_hub.store.goods import add_skus
from oms_hub.store.movements import OrderKey
from oms_hub.store.stock import book_orders, lock_mapping, mark_dirty


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a bundle, for people; without a count of it, the bundle is not pushed."""

    bundle: str
    component: str
    units: int
    is_counted: bool


_SKUS = """
SELECT s.sku, s.sku_id,
       EXISTS (SELECT FROM hub.balances b WHERE b.sku_id = s.sku_id AND b.counted_at IS NOT NULL) AS is_counted
FROM hub.skus s WHERE s.merchant_id = :merchant_id AND s.sku = ANY(CAST(:codes AS text[]))
"""

_COMPONENTS = """
SELECT b.sku AS bundle, c.sku AS component, k.units,
       EXISTS (SELECT FROM hub.balances x
               WHERE x.sku_id = k.component_sku_id AND x.counted_at IS NOT NULL) AS is_counted
FROM hub.bundle_components k
JOIN hub.skus b ON b.sku_id = k.bundle_sku_id
JOIN hub.skus c ON c.sku_id = k.component_sku_id
WHERE k.merchant_id = :merchant_id
ORDER BY b.sku COLLATE "C", c.sku COLLATE "C"
"""

_ORDERS = """
SELECT DISTINCT line.connection_id, line.channel_order_id FROM hub.order_lines line
JOIN hub.order_stock_events e USING (connection_id, channel_order_id, line_id)
WHERE line.sku_id = ANY(CAST(:bundles AS bigint[])) ORDER BY 1, 2
"""


def list_bundles(tx: Transaction, merchant_id: int) -> Sequence[Component]:
    """Return a merchant's bundles with their components, by code."""
    return [Component(*row) for row in tx.execute(text(_COMPONENTS), {"merchant_id": merchant_id})]


def set_bundles(tx: Transaction, merchant_id: int, bundles: Mapping[str, Mapping[str, int]]) -> int:
    """Say what bundles are made of; each named one is replaced as a whole. Return how many were named.

    The ledger follows: what orders of these bundles did to stock is booked on the components of now.

    Args:
        tx: the transaction.
        merchant_id: whose goods.
        bundles: bundle code -> component code -> units in one bundle.

    Raises:
        Misconfigured: an unknown component or one without a count, fewer than one unit, or a bundle in a bundle;
            nothing is changed. A bundle's own code is added where it is new.
    """
    lock_mapping(tx, merchant_id)
    add_skus(tx, merchant_id, list(bundles))
    _refuse_odd(tx, merchant_id, bundles)
    ids = {code: found[0] for code, found in _known(tx, merchant_id, bundles).items()}
    before = _stored(tx, merchant_id)
    rows = [
        (ids[bundle], ids[component], units) for bundle, parts in bundles.items() for component, units in parts.items()
    ]
    _replace(tx, merchant_id, [ids[bundle] for bundle in bundles], rows)
    old_parts = {component for bundle in bundles for component in before.get(bundle, ())}
    _follow(tx, merchant_id, [ids[bundle] for bundle in bundles], [*ids.values(), *_ids(tx, merchant_id, old_parts)])
    return len(bundles)


def remove_bundle(tx: Transaction, merchant_id: int, bundle: str) -> None:
    """Make a bundle an ordinary SKU again.

    Raises:
        Misconfigured: it is no bundle.
    """
    lock_mapping(tx, merchant_id)
    parts = _stored(tx, merchant_id).get(bundle)
    if not parts:
        raise Misconfigured(f"{bundle} is no bundle", remedy="See: oms-hub bundles show")
    (bundle_id,) = _ids(tx, merchant_id, [bundle])
    _replace(tx, merchant_id, [bundle_id], [])
    _follow(tx, merchant_id, [bundle_id], [bundle_id, *_ids(tx, merchant_id, parts)])


def _refuse_odd(tx: Transaction, merchant_id: int, bundles: Mapping[str, Mapping[str, int]]) -> None:
    known = _known(tx, merchant_id, bundles)
    for bundle, parts in bundles.items():
        if not parts:
            raise Misconfigured(f"Bundle {bundle} has no components", remedy="Name them as CODE=UNITS")
        for code in (bundle, *parts):
            if code not in known:
                raise Misconfigured(
                    f"Bundle {bundle}: the merchant has no SKU {code}", remedy="Correct the code, or import its stock"
                )
        for component, units in parts.items():
            if not 1 <= units < 2**31:
                raise Misconfigured(
                    f"Bundle {bundle}: {units} units of {component}", remedy="Give 1 or more whole units"
                )
            if not known[component][1]:
                raise Misconfigured(
                    f"Bundle {bundle}: component {component} has no stock record", remedy="Import a count for it first"
                )
        if known[bundle][1]:
            raise Misconfigured(
                f"{bundle} has stock of its own", remedy="A bundle is made of its components: use another code for it"
            )
    try:
        check_bundles({**_stored(tx, merchant_id), **bundles})
    except ValueError as error:
        raise Misconfigured(f"{str(error)[0].upper()}{str(error)[1:]}", remedy="Nothing was changed") from None


def _known(tx: Transaction, merchant_id: int, bundles: Mapping[str, Mapping[str, int]]) -> dict[str, tuple[int, bool]]:
    codes = sorted({*bundles, *(component for parts in bundles.values() for component in parts)})
    rows = tx.execute(text(_SKUS), {"merchant_id": merchant_id, "codes": codes})
    return {row.sku: (row.sku_id, row.is_counted) for row in rows}


def _ids(tx: Transaction, merchant_id: int, codes: Sequence[str] | set[str] | Mapping[str, int]) -> list[int]:
    rows = tx.execute(text(_SKUS), {"merchant_id": merchant_id, "codes": sorted(codes)})
    return [row.sku_id for row in rows]


def _stored(tx: Transaction, merchant_id: int) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in list_bundles(tx, merchant_id):
        found.setdefault(row.bundle, {})[row.component] = row.units
    return found


def _replace(
    tx: Transaction, merchant_id: int, bundle_ids: Sequence[int], rows: Sequence[tuple[int, int, int]]
) -> None:
    tx.execute(
        text("DELETE FROM hub.bundle_components WHERE bundle_sku_id = ANY(CAST(:ids AS bigint[]))"),
        {"ids": list(bundle_ids)},
    )
    tx.execute(
        text(
            "INSERT INTO hub.bundle_components (bundle_sku_id, component_sku_id, merchant_id, units) "
            "SELECT b, c, :merchant_id, u FROM unnest(CAST(:bundles AS bigint[]), CAST(:components AS bigint[]), "
            "CAST(:units AS integer[])) AS g (b, c, u) ORDER BY b, c"
        ),
        {
            "merchant_id": merchant_id,
            "bundles": [row[0] for row in rows],
            "components": [row[1] for row in rows],
            "units": [row[2] for row in rows],
        },
    )


def _follow(tx: Transaction, merchant_id: int, bundle_ids: Sequence[int], sku_ids: Sequence[int]) -> None:
    """Have the ledger and the offers follow what bundles are made of now."""
    orders: list[OrderKey] = [(row[0], row[1]) for row in tx.execute(text(_ORDERS), {"bundles": list(bundle_ids)})]
    _, moved = book_orders(tx, orders)
    mark_dirty(tx, merchant_id, (*sku_ids, *moved))
