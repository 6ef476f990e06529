"""What is on order and on which terms goods are bought; exchange rates; what selling on a channel costs.

What belongs here: writing these tables from rows that were read from a file, all of them or none, the same again
without harm. Each function returns what is wrong first: unknown codes by line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from oms_hub.store.engine import Transaction
from oms_hub.store.report_stock_scope import touch_all_stock
from oms_hub.store.staging import stage


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows were new, and how many changed; the others stood already as they are."""

    added: int
    changed: int


@dataclass(frozen=True, slots=True)
class Import:
    """How a staged table gets into the store: types of its columns, what is wrong with it, and the upsert."""

    columns: Mapping[str, str]
    faults: str
    upsert: str


_UNKNOWN_SKUS = """
SELECT line, 'unknown SKU ' || quote_literal(r.sku) FROM staged_table r
WHERE NOT EXISTS (SELECT FROM hub.skus k WHERE k.merchant_id = :merchant_id AND k.sku = r.sku) ORDER BY line
"""


def _upsert(target: str, key: Sequence[str], values: Sequence[str], select: str) -> str:
    sets = ", ".join(f"{column} = excluded.{column}" for column in values)
    differs = " OR ".join(f"t.{column} IS DISTINCT FROM excluded.{column}" for column in values)
    return f"""
WITH written AS (
    INSERT INTO hub.{target} AS t ({", ".join((*key, *values))}) {select} ORDER BY line
    ON CONFLICT ({", ".join(column for column in key)}) DO UPDATE SET {sets} WHERE {differs}
    RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written
"""


PURCHASE_ORDERS = Import(
    {"line": "integer", "reference": "text", "sku": "text", "quantity": "integer", "expected_on": "date"},
    _UNKNOWN_SKUS,
    _upsert(
        "purchase_orders",
        ("merchant_id", "reference", "sku_id"),
        ("quantity", "expected_on"),
        "SELECT k.merchant_id, r.reference, k.sku_id, r.quantity, r.expected_on FROM staged_table r "
        "JOIN hub.skus k ON k.merchant_id = :merchant_id AND k.sku = r.sku",
    ),
)

_TERMS = (
    "supplier", "lead_time_days", "lead_time_sd_days", "cover_days", "minimum_quantity", "pack_size", "service_level",
    "service_factor",
)  # fmt: skip
PURCHASE_TERMS = Import(
    {
        "line": "integer", "sku": "text", "supplier": "text", "lead_time_days": "numeric",
        "lead_time_sd_days": "numeric", "cover_days": "numeric", "minimum_quantity": "integer", "pack_size": "integer",
        "service_level": "numeric", "service_factor": "numeric",
    },
    _UNKNOWN_SKUS,
    _upsert(
        "purchase_terms",
        ("sku_id",),
        ("merchant_id", *_TERMS),
        f"SELECT k.sku_id, k.merchant_id, {', '.join(f'r.{name}' for name in _TERMS)} FROM staged_table r "
        "JOIN hub.skus k ON k.merchant_id = :merchant_id AND k.sku = r.sku",
    ),
)  # fmt: skip

EXCHANGE_RATES = Import(
    {"line": "integer", "rate_date": "date", "currency": "text", "base_currency": "text", "rate": "numeric"},
    "SELECT line, 'a rate of a currency to itself' FROM staged_table WHERE currency = base_currency ORDER BY line",
    _upsert(
        "exchange_rates",
        ("base_currency", "currency", "rate_date"),
        ("rate",),
        "SELECT base_currency, currency, rate_date, rate FROM staged_table",
    ),
)

_COSTS = ("fee_percent", "fee_per_order", "shipping_per_order")
CHANNEL_COSTS = Import(
    {
        "line": "integer", "connection": "text", "currency": "text", "valid_from": "date", "fee_percent": "numeric",
        "fee_per_order": "numeric", "shipping_per_order": "numeric",
    },
    """
SELECT line, 'unknown connection ' || quote_literal(r.connection) FROM staged_table r WHERE NOT EXISTS (
    SELECT FROM hub.connections c WHERE c.merchant_id = :merchant_id AND c.name = r.connection) ORDER BY line
""",
    _upsert(
        "channel_costs",
        ("connection_id", "currency", "valid_from"),
        ("merchant_id", *_COSTS),
        "SELECT c.connection_id, r.currency, r.valid_from, c.merchant_id, "
        f"{', '.join(f'r.{name}' for name in _COSTS)} FROM staged_table r "
        "JOIN hub.connections c ON c.merchant_id = :merchant_id AND c.name = r.connection",
    ),
)  # fmt: skip


def find_faults(
    tx: Transaction, wanted: Import, rows: Sequence[Mapping[str, Any]], *, merchant_id: int | None = None
) -> Sequence[tuple[int, str]]:
    """Take rows in and return what the store knows against them, by line: none means that they may be written."""
    stage(tx, "staged_table", wanted.columns, (tuple(row[name] for name in wanted.columns) for row in rows))
    return [(row[0], row[1]) for row in tx.execute(text(wanted.faults), {"merchant_id": merchant_id})]


def write_staged(tx: Transaction, wanted: Import, *, merchant_id: int | None = None) -> Written:
    """Write the rows that were taken in last, which must be free of faults."""
    added, changed = tx.execute(text(wanted.upsert), {"merchant_id": merchant_id}).one()
    return Written(added, changed)


def set_cost_method(tx: Transaction, merchant_id: int, method: str) -> bool:
    """Choose how a merchant's costs are found; all of them are made again. Return whether that is a change."""
    changed = tx.execute(
        text(
            "UPDATE hub.merchants SET cost_method = :method WHERE merchant_id = :merchant_id AND cost_method <> :method"
        ),
        {"merchant_id": merchant_id, "method": method},
    )
    if changed.rowcount:
        touch_all_stock(tx, merchant_id)
    return bool(changed.rowcount)


def cost_method_of(tx: Transaction, merchant_id: int) -> str:
    """Return how a merchant's costs are found."""
    found = tx.execute(
        text("SELECT cost_method FROM hub.merchants WHERE merchant_id = :merchant_id"), {"merchant_id": merchant_id}
    )
    return str(found.scalar_one())
