"""Writing stock at the practice shop: the single write, which checks, and the batch, which does not.

What belongs here: quirks of a real shop (11.0.1, 2026-11): a batch takes "x" and "" for 0, cuts 2.5 to 2, takes true
for 1 and null for nothing; it answers 200 with errors inside; levels of untracked goods are ignored with 200.
Not here: reading (`sandbox_routes`).
"""

from __future__ import annotations

from typing import Any

from connectors.woocommerce.sandbox_query import ApiError, invalid
from connectors.woocommerce.sandbox_records import Product
from connectors.woocommerce.sandbox_shop import Shop

MOST_IN_BATCH = 100


def put_product(shop: Shop, product_id: int, payload: Any, *, parent_id: int = 0) -> None:
    """Carry out a single write, which checks its numbers.

    Raises:
        ApiError: an unknown product (400), or a quantity that is no number (400).
    """
    product = shop.products.get(product_id)
    if product is None or product.parent_id != parent_id:
        raise ApiError(400, "woocommerce_rest_product_invalid_id", "Invalid ID.")
    quantity = payload.get("stock_quantity")
    if quantity is not None and (isinstance(quantity, bool) or not isinstance(quantity, int)):
        raise invalid("stock_quantity")
    _write(shop, product, payload, quantity)


def batch(shop: Shop, payload: Any, *, parent_id: int = 0) -> dict[str, Any]:
    """Carry out a batch, one row after the other, and return its answer: errors stand inside.

    Raises:
        ApiError: more than 100 rows (413).
    """
    rows = payload.get("update") or []
    if sum(len(payload.get(part) or []) for part in ("create", "update", "delete")) > MOST_IN_BATCH:
        raise ApiError(
            413, "woocommerce_rest_request_entity_too_large", "Unable to accept more than 100 items for this request."
        )
    return {"update": [_row(shop, row, parent_id) for row in rows]}


def _row(shop: Shop, row: Any, parent_id: int) -> dict[str, Any]:
    product = shop.products.get(row.get("id"))
    if product is None or product.parent_id != parent_id:
        error = {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID.", "data": {"status": 404}}
        return {"id": row.get("id"), "error": error}
    _write(shop, product, row, _loose_number(row.get("stock_quantity")))
    return shop.shown.product(product)


def _write(shop: Shop, product: Product, row: Any, quantity: int | None) -> None:
    if isinstance(row.get("manage_stock"), bool):
        product.manage_stock = row["manage_stock"]
    if quantity is not None:
        shop.write_stock(product, quantity)


def _loose_number(value: Any) -> int | None:
    if value is None:
        return None
    try:
        return int(float(value))
    except ValueError:
        return 0
