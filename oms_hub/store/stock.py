"""What orders do to stock: lines are mapped, the ledger follows, and the SKUs whose offers may change are marked.

What belongs here: the order of these steps and the locks between them. Not here: their SQL (`order_mapping`,
`movements`), counts (`counts`), plans (`plan`).

Locks: whoever stores orders shares the merchant's mapping lock; whoever links listings or takes counts holds it alone.
So a link is either seen by an order that is being stored or finds that order's lines, and never neither. Balances
and dirty marks are always locked in ascending order; call `apply_order_changes` once per transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.level_orders import explain_levels, hear_orders
from oms_hub.store.movements import OrderKey, derive_movements, has_ledger
from oms_hub.store.order_mapping import close_mapped, map_lines_later, resolve_lines

_LOCK_SPACE = 0x6F6D73
"""First half of our advisory lock keys ("oms"); the second half is the merchant's id."""

_ORDERS_AT_ONCE = 2_000

_MARK = tuple(
    text(
        f"INSERT INTO hub.{table} (sku_id, merchant_id) "
        "SELECT id, :merchant_id FROM unnest(CAST(:sku_ids AS bigint[])) WITH ORDINALITY AS g (id, nth) "
        "ORDER BY nth ON CONFLICT (sku_id) DO UPDATE SET marked_at = now()"
    )
    for table in ("stock_dirty", "allocation_dirty")
)


@dataclass(frozen=True, slots=True)
class StockApplied:
    """What the orders of one batch did: lines with and without a SKU, and movements written."""

    mapped_lines: int
    unmapped_lines: int
    movements: int


def apply_order_changes(
    tx: Transaction,
    *,
    connection_id: int,
    channel_order_ids: Sequence[str],
    previous_sku_ids: Sequence[int] | None = None,
) -> StockApplied:
    """Map the lines of stored orders, book what they did to stock, and mark the SKUs that may be offered differently.

    Args:
        tx: the transaction that stored these orders, their lines and their `order_stock_events`.
        connection_id: their connection.
        channel_order_ids: up to about a thousand orders; doing one again adds nothing.
        previous_sku_ids: SKUs that held stock through the former versions of these orders; None where the caller does
            not know, then every SKU of these orders is marked.
    """
    if not channel_order_ids:
        return StockApplied(0, 0, 0)
    merchant_id = _merchant_of(tx, connection_id)
    tx.execute(text("SELECT pg_advisory_xact_lock_shared(:space, :merchant_id)"), _lock_key(merchant_id))
    lines = resolve_lines(tx, connection_id, channel_order_ids)
    keys = [(connection_id, order_id) for order_id in channel_order_ids]
    movements, moved = derive_movements(tx, keys) if lines.mapped or has_ledger(tx, merchant_id) else (0, ())
    changed = lines.seen_sku_ids if previous_sku_ids is None else (*lines.holding_sku_ids, *previous_sku_ids)
    heard = hear_orders(tx, connection_id, channel_order_ids)
    mark_dirty(tx, merchant_id, (*changed, *moved, *(sku_id for each in heard for sku_id in each.sku_ids)))
    explain_levels(tx, connection_id, heard)
    return StockApplied(lines.mapped, lines.unmapped, movements)


def lock_mapping(tx: Transaction, merchant_id: int) -> None:
    """Keep everybody else from storing this merchant's orders, links and counts until the transaction ends."""
    tx.execute(text("SELECT pg_advisory_xact_lock(:space, :merchant_id)"), _lock_key(merchant_id))


def map_order_lines(tx: Transaction, merchant_id: int, *, relinked: Sequence[tuple[int, str]] = ()) -> StockApplied:
    """Map order lines that were stored before their SKU or link was known; stock, offers and report days follow.

    Args:
        tx: the transaction that added SKUs or changed links.
        merchant_id: whose lines.
        relinked: (connection id, listing key) of listings whose link or pack size changed: all their lines are looked
            at again, and the ledger follows the new link.
    """
    lock_mapping(tx, merchant_id)
    mapping = map_lines_later(tx, merchant_id, relinked)
    orders = mapping.orders if not relinked else tuple(sorted({*mapping.orders, *_orders_of(tx, relinked)}))
    movements, moved = book_orders(tx, orders)
    close_mapped(tx, merchant_id)
    mark_dirty(tx, merchant_id, (*mapping.sku_ids, *moved))
    return StockApplied(mapping.lines, 0, movements)


def book_orders(tx: Transaction, orders: Sequence[OrderKey]) -> tuple[int, tuple[int, ...]]:
    """Derive the movements of any number of orders; return how many were written and the SKUs that changed."""
    movements = 0
    moved: set[int] = set()
    for start in range(0, len(orders), _ORDERS_AT_ONCE):
        booked, changed = derive_movements(tx, orders[start : start + _ORDERS_AT_ONCE])
        movements += booked
        moved.update(changed)
    return movements, tuple(sorted(moved))


def mark_dirty(tx: Transaction, merchant_id: int, sku_ids: Iterable[int]) -> None:
    """Have the units of these SKUs handed out again, and their offers computed again by the next plan.

    An existing mark is written again on purpose: it makes a plan that is running wait for this transaction, or this
    transaction for the plan, so that no change falls between the two. The same holds for an allocation.
    """
    wanted = sorted(set(sku_ids))
    if wanted:
        for statement in _MARK:
            tx.execute(statement, {"merchant_id": merchant_id, "sku_ids": wanted})


def mark_connection_dirty(tx: Transaction, connection_id: int) -> None:
    """Have the offers of all SKUs that are linked on a connection computed again."""
    rows = tx.execute(
        text("SELECT DISTINCT sku_id FROM hub.listings WHERE connection_id = :connection_id AND sku_id IS NOT NULL"),
        {"connection_id": connection_id},
    )
    mark_dirty(tx, _merchant_of(tx, connection_id), [row[0] for row in rows])


def _orders_of(tx: Transaction, listings: Sequence[tuple[int, str]]) -> set[OrderKey]:
    rows = tx.execute(
        text(
            "SELECT DISTINCT line.connection_id, line.channel_order_id FROM hub.order_lines line "
            "JOIN unnest(CAST(:connections AS integer[]), CAST(:listing_keys AS text[])) AS g (connection_id, "
            "listing_key) USING (connection_id, listing_key)"
        ),
        {"connections": [key[0] for key in listings], "listing_keys": [key[1] for key in listings]},
    )
    return {(row[0], row[1]) for row in rows}


def _merchant_of(tx: Transaction, connection_id: int) -> int:
    merchant_id: int = tx.execute(
        text("SELECT merchant_id FROM hub.connections WHERE connection_id = :connection_id"),
        {"connection_id": connection_id},
    ).scalar_one()
    return merchant_id


def _lock_key(merchant_id: int) -> dict[str, int]:
    return {"space": _LOCK_SPACE, "merchant_id": merchant_id}
