"""Places in stock policies: which of them feed a connection, and what each keeps for itself.

What belongs here: `policy_places` and `safety_stocks`. Not here: the other fields of a policy (`policies`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction
from oms_hub.store.stock import mark_dirty

_FEEDS = """
SELECT ARRAY(SELECT x.location_id FROM hub.policy_places x WHERE x.policy_id = nearest.policy_id ORDER BY 1) AS places
FROM (
    SELECT p.policy_id FROM hub.connections c
    JOIN hub.policies p ON p.merchant_id = c.merchant_id AND p.has_places
        AND ((p.scope = 'connection' AND p.connection_id = c.connection_id)
             OR (p.scope = 'channel' AND p.channel = c.channel) OR p.scope = 'merchant')
    WHERE c.connection_id = :connection_id
    ORDER BY array_position(ARRAY['connection', 'channel', 'merchant'], p.scope) LIMIT 1
) AS nearest
"""

_CHANNEL_PLACES = """
SELECT array_remove(array_agg(l.name ORDER BY l.name COLLATE "C"), NULL) AS known,
       coalesce(bool_or(coalesce(l.location_id, main.location_id) = ANY(CAST(:places AS integer[]))), false) AS fitting
FROM hub.location_links l
JOIN hub.locations main ON main.merchant_id = l.merchant_id AND main.is_default
WHERE l.connection_id = :connection_id AND l.is_active
"""


def feeding_places(tx: Transaction, connection_id: int) -> tuple[int, ...] | None:
    """Return the places that feed a connection where no SKU says otherwise; None for all of the merchant's."""
    row = tx.execute(text(_FEEDS), {"connection_id": connection_id}).one_or_none()
    return None if row is None else tuple(row.places)


def refuse_unknown_places(tx: Transaction, connection_id: int, places: Sequence[int]) -> None:
    """Refuse places of which a channel that has places of its own knows none: nothing could be pushed from there.

    Raises:
        Misconfigured: it is so; the message lists the channel's places.
    """
    values = {"connection_id": connection_id, "places": list(places)}
    row = tx.execute(text(_CHANNEL_PLACES), values).one()
    if row.known and not row.fitting:
        raise Misconfigured(
            f"None of these places is one of the channel's ({', '.join(row.known)})",
            remedy="Say which of ours each is: oms-hub locations link",
        )


def set_places(tx: Transaction, merchant_id: int, policy_id: int, places: Sequence[int]) -> None:
    """Name the places that feed the connections of a policy, instead of those named before."""
    values = {"policy_id": policy_id, "merchant_id": merchant_id, "places": list(places)}
    tx.execute(text("DELETE FROM hub.policy_places WHERE policy_id = :policy_id"), values)
    tx.execute(
        text(
            "INSERT INTO hub.policy_places (policy_id, location_id, merchant_id) "
            "SELECT :policy_id, location_id, :merchant_id FROM hub.locations "
            "WHERE merchant_id = :merchant_id AND location_id = ANY(CAST(:places AS integer[]))"
        ),
        values,
    )


def set_place_safety(
    tx: Transaction, merchant_id: int, location_id: int, units: int | None, *, sku_id: int | None = None
) -> None:
    """Say how many units of each SKU (or of one) are kept at a place; None takes it back.

    Raises:
        Misconfigured: the figure is negative.
    """
    if units is not None and units < 0:
        raise Misconfigured(f"safety stock must not be negative, got {units}", remedy="Give 0 or more")
    values = {"merchant_id": merchant_id, "location_id": location_id, "sku_id": sku_id, "units": units}
    if units is None:
        statement = (
            "DELETE FROM hub.safety_stocks WHERE location_id = :location_id "
            "AND sku_id IS NOT DISTINCT FROM CAST(:sku_id AS bigint)"
        )
    else:
        statement = (
            "INSERT INTO hub.safety_stocks (merchant_id, location_id, sku_id, units) "
            "VALUES (:merchant_id, :location_id, :sku_id, :units) "
            "ON CONFLICT (location_id, coalesce(sku_id, 0)) DO UPDATE SET units = excluded.units"
        )
    tx.execute(text(statement), values)
    stocked = "SELECT sku_id FROM hub.balances WHERE location_id = :location_id AND sku_id = coalesce(:sku_id, sku_id)"
    mark_dirty(tx, merchant_id, tx.execute(text(stocked), {**values, "sku_id": sku_id}).scalars())


def list_place_safety(tx: Transaction, merchant_id: int) -> Sequence[tuple[str, str | None, int]]:
    """Return the safety stocks that places state of their own: place, SKU (None for all), units."""
    rows = tx.execute(
        text(
            "SELECT l.code, s.sku, f.units FROM hub.safety_stocks f JOIN hub.locations l USING (location_id) "
            "LEFT JOIN hub.skus s ON s.sku_id = f.sku_id WHERE f.merchant_id = :merchant_id "
            'ORDER BY l.code COLLATE "C", s.sku COLLATE "C" NULLS FIRST'
        ),
        {"merchant_id": merchant_id},
    )
    return [(row[0], row[1], row[2]) for row in rows]
