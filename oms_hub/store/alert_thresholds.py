"""From how many available units on goods count as low: per SKU, else per merchant, else never."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.goods import find_skus
from oms_hub.store.stock import mark_dirty

_PUT = """
INSERT INTO hub.alert_thresholds AS t (merchant_id, sku_id, low_stock) VALUES (:merchant_id, :sku_id, :low_stock)
ON CONFLICT (merchant_id, (coalesce(sku_id, 0))) DO UPDATE SET low_stock = excluded.low_stock
"""

_COUNTED = "SELECT DISTINCT sku_id FROM hub.balances WHERE merchant_id = :merchant_id AND counted_at IS NOT NULL"


def put_threshold(tx: Transaction, merchant_id: int, sku: str | None, low_stock: int) -> None:
    """Keep the line of a SKU, or of all of a merchant's, and have the goods that it is for looked at again.

    Raises:
        Misconfigured: the merchant has no such SKU.
    """
    own = {"merchant_id": merchant_id, "low_stock": low_stock}
    sku_id = None if sku is None else find_skus(tx, merchant_id, [sku])[sku]
    tx.execute(text(_PUT), {**own, "sku_id": sku_id})
    touched = [sku_id] if sku_id is not None else list(tx.execute(text(_COUNTED), own).scalars())
    mark_dirty(tx, merchant_id, touched)


def list_thresholds(tx: Transaction, merchant_id: int) -> Sequence[tuple[str | None, int]]:
    """Return (SKU or None for all, units), the one for all first."""
    query = """
        SELECT s.sku, t.low_stock FROM hub.alert_thresholds t LEFT JOIN hub.skus s USING (sku_id)
        WHERE t.merchant_id = :merchant_id ORDER BY t.sku_id IS NOT NULL, s.sku COLLATE "C"
    """
    return [(row[0], row[1]) for row in tx.execute(text(query), {"merchant_id": merchant_id})]
