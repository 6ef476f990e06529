"""What holds for the listings of a SKU, who said it, and what the last plan made of it.

What belongs here: bringing stored layers to `oms_hub.domain.policies` for people. Not here: setting them (`policies`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy import text

from oms_hub.domain.availability import OfferPolicy
from oms_hub.domain.policies import resolve
from oms_hub.store.engine import Transaction
from oms_hub.store.policies import PolicyTarget, layers_of

Reason = tuple[str, str, str, object, str]
"""Connection, listing, what, its value, who said it (or what it is)."""

_LISTINGS = """
SELECT c.connection_id, c.name, c.channel, l.listing_key, l.pack_size, v.pool_units, v.held_units, v.in_flight,
       v.desired, v.plan_reason
FROM hub.listings l JOIN hub.connections c USING (connection_id)
LEFT JOIN hub.listing_levels v USING (connection_id, listing_key)
WHERE l.sku_id = :sku_id AND c.state <> 'removed'
  AND l.connection_id = coalesce(CAST(:connection_id AS integer), l.connection_id)
ORDER BY c.name COLLATE "C", l.listing_key COLLATE "C"
"""

_PLANNED = (
    ("pool", "pool_units", "units that the last plan had for it"),
    ("held_back", "held_units", "kept back for the other listings"),
    ("in_flight", "in_flight", "sold there, orders not here yet"),
    ("level", "desired", "what it should show"),
)


def reasons_of(tx: Transaction, merchant_id: int, sku_id: int, *, connection_id: int | None = None) -> Sequence[Reason]:
    """Return what holds for each listing of a SKU, listing by listing."""
    found: list[Reason] = []
    rows = tx.execute(text(_LISTINGS), {"sku_id": sku_id, "connection_id": connection_id})
    for row in rows.all():
        holds = resolve(layers_of(tx, PolicyTarget(merchant_id, row.channel, row.connection_id, sku_id)))
        said = {field.name: getattr(holds.offer, field.name) for field in fields(OfferPolicy)}
        said |= {
            "scarce": holds.scarce, "risk": holds.risk, "news_seconds": holds.news_seconds,
            "is_paused": holds.is_paused,
            "places": None if holds.places is None else ", ".join(sorted(holds.places)),
        }  # fmt: skip
        for name, value in said.items():
            origin = holds.origins.get(name, "default")
            told = str(value) if name == "share" else value
            found.append((row.name, row.listing_key, name, told, origin))
        for name, column, meaning in _PLANNED:
            found.append((row.name, row.listing_key, name, getattr(row, column), meaning))
        found.append((row.name, row.listing_key, "decided_by", row.plan_reason, "what the last plan went by"))
    return found
