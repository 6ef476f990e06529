"""Stock policies in the store: what was said at which scope, and what holds for a listing.

What belongs here: reading and writing `policies`, and marking the SKUs whose offers they change. Not here: places
(`policy_places`), which word wins (`oms_hub.domain.policies`; a plan reads the same in SQL), what a policy does to a
number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from oms_hub.domain.policies import PolicyLayer, Scope, contradictions
from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Transaction
from oms_hub.store.policy_places import refuse_unknown_places, set_places
from oms_hub.store.stock import mark_dirty

FIELDS = (
    "safety_stock", "threshold", "share", "cap", "end_when", "floor", "scarce", "risk", "news_seconds", "is_paused",
)  # fmt: skip
"""What can be said at every scope, besides `places`."""

_SCOPES = {
    "merchant": Scope.MERCHANT,
    "channel": Scope.CHANNEL,
    "connection": Scope.CONNECTION,
    "sku": Scope.SKU,
    "sku_on_connection": Scope.SKU_ON_CONNECTION,
}


@dataclass(frozen=True, slots=True)
class PolicyTarget:
    """What a policy speaks for: one merchant, and of it a kind of channel or a connection, a SKU, or both."""

    merchant_id: int
    channel: str | None = None
    connection_id: int | None = None
    sku_id: int | None = None

    @property
    def scope(self) -> str:
        """Return the scope's name in the store."""
        if self.channel is not None:
            return "channel"
        if self.sku_id is not None:
            return "sku" if self.connection_id is None else "sku_on_connection"
        return "merchant" if self.connection_id is None else "connection"


_COLUMNS = ", ".join(FIELDS)
_TARGET = "merchant_id, scope, coalesce(channel, ''), coalesce(connection_id, 0), coalesce(sku_id, 0)"

_UPSERT = """
INSERT INTO hub.policies (merchant_id, scope, channel, connection_id, sku_id, {names})
VALUES (:merchant_id, :scope, :channel, :connection_id, :sku_id, {values})
ON CONFLICT ({target}) DO UPDATE SET updated_at = now(), {updates}
RETURNING policy_id
"""

_LAYERS = f"""
SELECT p.policy_id, p.scope, m.name AS merchant, p.channel, c.name AS connection, s.sku,
       {", ".join(f"p.{name}" for name in FIELDS)},
       CASE WHEN p.has_places THEN coalesce((SELECT array_agg(l.code ORDER BY l.code COLLATE "C")
           FROM hub.policy_places x JOIN hub.locations l USING (location_id) WHERE x.policy_id = p.policy_id), '{{}}')
       END AS places
FROM hub.policies p
JOIN hub.merchants m USING (merchant_id)
LEFT JOIN hub.connections c ON c.connection_id = p.connection_id
LEFT JOIN hub.skus s ON s.sku_id = p.sku_id
WHERE p.merchant_id = :merchant_id
"""

_FOR_LISTING = """
  AND (p.scope = 'merchant' OR (p.scope = 'channel' AND p.channel = :channel)
       OR (p.scope = 'connection' AND p.connection_id = :connection_id) OR (p.scope = 'sku' AND p.sku_id = :sku_id)
       OR (p.scope = 'sku_on_connection' AND p.sku_id = :sku_id AND p.connection_id = :connection_id))
"""

_CONTRADICTION = """
WITH kinds AS (
    SELECT NULL::integer AS connection_id, channel FROM hub.policies
    WHERE merchant_id = :merchant_id AND scope = 'channel'
    UNION ALL SELECT NULL, NULL
    UNION ALL SELECT connection_id, channel FROM hub.connections WHERE merchant_id = :merchant_id AND state <> 'removed'
),
goods AS (
    SELECT DISTINCT sku_id FROM hub.policies
    WHERE merchant_id = :merchant_id AND sku_id IS NOT NULL AND (cap IS NOT NULL OR floor IS NOT NULL)
    UNION ALL SELECT NULL
),
met AS (
    SELECT k.connection_id, k.channel, g.sku_id, coalesce(pair.cap, item.cap, own.cap, kind.cap, every.cap) AS cap,
           coalesce(pair.floor, item.floor, own.floor, kind.floor, every.floor) AS floor
    FROM kinds k CROSS JOIN goods g
    LEFT JOIN hub.policies every ON every.merchant_id = :merchant_id AND every.scope = 'merchant'
    LEFT JOIN hub.policies kind ON kind.merchant_id = :merchant_id AND kind.scope = 'channel'
        AND kind.channel = k.channel
    LEFT JOIN hub.policies own ON own.scope = 'connection' AND own.connection_id = k.connection_id
    LEFT JOIN hub.policies item ON item.scope = 'sku' AND item.sku_id = g.sku_id
    LEFT JOIN hub.policies pair ON pair.scope = 'sku_on_connection' AND pair.sku_id = g.sku_id
        AND pair.connection_id = k.connection_id
)
SELECT channel, connection_id, sku_id FROM met WHERE cap < floor ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 3 NULLS FIRST
LIMIT 1
"""

_AFFECTED = """
SELECT DISTINCT l.sku_id FROM hub.listings l JOIN hub.connections c USING (connection_id)
WHERE l.merchant_id = :merchant_id AND l.sku_id IS NOT NULL AND l.sku_id = coalesce(CAST(:sku_id AS bigint), l.sku_id)
  AND l.connection_id = coalesce(CAST(:connection_id AS integer), l.connection_id)
  AND c.channel = coalesce(CAST(:channel AS text), c.channel)
"""


def set_policy(
    tx: Transaction,
    target: PolicyTarget,
    said: Mapping[str, Any],
    *,
    places: Sequence[int] | None = None,
    cleared: Sequence[str] = (),
) -> tuple[str, ...]:
    """Say something at a scope; what is not mentioned stays as it was said. Return warnings for people.

    Args:
        tx: the transaction.
        target: for what.
        said: field -> value, of `FIELDS`.
        places: ids of the places that feed the connections; None leaves them as they are.
        cleared: fields (or `places`) that are no longer said here.

    Raises:
        Misconfigured: a value out of range, or one that contradicts what is said elsewhere; nothing is changed.
    """
    found = contradictions({key: value for key, value in said.items() if value is not None}, _Here())
    if found:
        raise Misconfigured("; ".join(found), remedy="Correct the value")
    if places is not None and not places:
        raise Misconfigured("No place would feed the connection", remedy="Name at least one, or pause it")
    changes: dict[str, Any] = dict(said)
    changes.update((name, None) for name in cleared if name != "places")
    if places is not None or "places" in cleared:
        changes["has_places"] = None if places is None else True
    policy_id = _upsert(tx, target, changes)
    if places is not None and target.connection_id is not None:
        refuse_unknown_places(tx, target.connection_id, places)
    if "has_places" in changes:
        set_places(tx, target.merchant_id, policy_id, places or ())
    _refuse_contradictions(tx, target.merchant_id)
    nothing = " AND ".join(f"{name} IS NULL" for name in (*FIELDS, "has_places"))
    tx.execute(text(f"DELETE FROM hub.policies WHERE policy_id = :policy_id AND {nothing}"), {"policy_id": policy_id})
    _mark(tx, target)
    floor = said.get("floor")
    return (f"floor {floor} offers units that may not be there: it oversells on purpose",) if floor else ()


class _Here(dict[str, str]):
    """Every field was said here."""

    def __missing__(self, key: str) -> str:
        return "said now"


def _upsert(tx: Transaction, target: PolicyTarget, changes: Mapping[str, Any]) -> int:
    if not changes:
        raise Misconfigured("Nothing is said", remedy="Give at least one option, such as --safety-stock 2")
    statement = _UPSERT.format(
        names=", ".join(changes),
        values=", ".join(f":{name}" for name in changes),
        target=_TARGET,
        updates=", ".join(f"{name} = excluded.{name}" for name in changes),
    )
    values = {
        "merchant_id": target.merchant_id, "scope": target.scope, "channel": target.channel,
        "connection_id": target.connection_id, "sku_id": target.sku_id, **changes,
    }  # fmt: skip
    merged = tx.execute(
        text(f"SELECT {_COLUMNS} FROM hub.policies WHERE ({_TARGET}) = (:merchant_id, :scope, coalesce(:channel, ''), "
             "coalesce(CAST(:connection_id AS integer), 0), coalesce(CAST(:sku_id AS bigint), 0))"),
        values,
    ).one_or_none()  # fmt: skip
    before: dict[str, Any] = {} if merged is None else dict(merged._mapping)
    together = {**before, **changes}
    found = contradictions({key: value for key, value in together.items() if value is not None}, _Here())
    if found:
        raise Misconfigured("; ".join(found), remedy="Say both anew, or --clear one of them")
    return int(tx.execute(text(statement), values).scalar_one())


def _refuse_contradictions(tx: Transaction, merchant_id: int) -> None:
    row = tx.execute(text(_CONTRADICTION), {"merchant_id": merchant_id}).one_or_none()
    if row is None:
        return
    layers = layers_of(tx, PolicyTarget(merchant_id, row.channel, row.connection_id, row.sku_id))
    said: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for name in ("cap", "floor"):
            if getattr(layer, name) is not None:
                said[name], origins[name] = getattr(layer, name), layer.name
    raise Misconfigured("; ".join(contradictions(said, origins)), remedy="Nothing was changed")


def layers_of(tx: Transaction, place: PolicyTarget) -> tuple[PolicyLayer, ...]:
    """Return what was said for one listing (its channel, connection and SKU), the farthest first."""
    values = {
        "merchant_id": place.merchant_id, "channel": place.channel, "connection_id": place.connection_id,
        "sku_id": place.sku_id,
    }  # fmt: skip
    rows = tx.execute(text(_LAYERS + _FOR_LISTING), values)
    return tuple(sorted((_layer(row) for row in rows), key=lambda layer: layer.scope))


def list_policies(tx: Transaction, merchant_id: int) -> tuple[PolicyLayer, ...]:
    """Return everything that was said for a merchant, by scope and name."""
    rows = tx.execute(text(_LAYERS), {"merchant_id": merchant_id})
    return tuple(sorted((_layer(row) for row in rows), key=lambda layer: (layer.scope, layer.name)))


def _layer(row: Any) -> PolicyLayer:
    names = {
        "merchant": f"merchant {row.merchant}",
        "channel": f"channel {row.channel}",
        "connection": f"connection {row.connection}",
        "sku": f"sku {row.sku}",
        "sku_on_connection": f"sku {row.sku} on {row.connection}",
    }
    said = {name: getattr(row, name) for name in FIELDS}
    places = None if row.places is None else frozenset(row.places)
    return PolicyLayer(_SCOPES[row.scope], names[row.scope], places=places, **said)


def _mark(tx: Transaction, target: PolicyTarget) -> None:
    values = {
        "merchant_id": target.merchant_id, "channel": target.channel, "connection_id": target.connection_id,
        "sku_id": target.sku_id,
    }  # fmt: skip
    mark_dirty(tx, target.merchant_id, tx.execute(text(_AFFECTED), values).scalars())
