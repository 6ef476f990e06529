"""The SKUs of order lines before they are written, so that hardly any line has to be written twice.

What belongs here: looking them up for a batch. The word of `order_mapping`, which runs after it in the same
transaction, is final: what differs it corrects.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from oms_hub.store.copy_text import text_array
from oms_hub.store.engine import Transaction
from oms_hub.store.order_rows import LineRow

_LISTINGS = text("""
SELECT listing_key, sku_id, link_state = 'ignored' AS is_ignored FROM hub.listings
WHERE connection_id = :connection_id AND listing_key = ANY(CAST(:wanted AS text[]))
""")

_SKUS = text("""
SELECT sku, sku_id FROM hub.skus WHERE merchant_id = :merchant_id AND sku = ANY(CAST(:wanted AS text[]))
""")

_NO_SKU = b"\\N\n"


def line_rows(tx: Transaction, connection_id: int, merchant_id: int, lines: Sequence[LineRow]) -> list[bytes]:
    """Return the whole rows of order lines, each ended with its SKU or null."""
    if not lines:
        return []
    keys = {line.listing_key for line in lines if line.listing_key is not None}
    codes = {line.channel_sku for line in lines if line.channel_sku is not None}
    by_code = {
        sku: b"%d\n" % sku_id
        for sku, sku_id in tx.execute(_SKUS, {"merchant_id": merchant_id, "wanted": text_array(codes)})
    }
    by_key: dict[str, bytes] = {}
    ignored: set[str] = set()
    asked = {"connection_id": connection_id, "wanted": text_array(keys)}
    for listing_key, sku_id, is_ignored in tx.execute(_LISTINGS, asked):
        if is_ignored:
            ignored.add(listing_key)
        elif sku_id is not None:
            by_key[listing_key] = b"%d\n" % sku_id
    return [
        line.row
        + (
            _NO_SKU
            if line.listing_key in ignored
            else by_key.get(line.listing_key or "") or by_code.get(line.channel_sku or "", _NO_SKU)
        )
        for line in lines
    ]
