"""What a plan starts from, gathered in temporary tables: the SKUs that share units, their stock, listings and policies.

What belongs here: reading. Not here: what is made of it (`plan_offers`), what is written (`plan_outcome`).

Tables, emptied with every transaction: `plan_skus` (which SKUs, with or without stock of their own, written or only
looked at), `plan_connections` (with the policies that need no SKU), `plan_stock` (available units by place),
`plan_gone` (units that are promised or sold and stand at no place), `plan_listings`.

A dirty SKU touches the listings of every bundle that it is in, and these depend on their other components. So a plan
that meets a bundle takes the SKUs around it in, and holds a lock of the merchant's until it commits: another plan may
have claimed the other component.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from oms_hub.domain.demand import DEFAULT_RULE, FIRST_NEWS_SECONDS
from oms_hub.domain.hold_back import DEFAULT_RISK
from oms_hub.store.allocation_lines import HELD_LINES, LINE_SKUS
from oms_hub.store.copy_text import copy_rows
from oms_hub.store.demand import rate
from oms_hub.store.engine import Transaction
from oms_hub.store.plan_frame import PlanFrame, empty_tables

BUNDLES_LOCK_SPACE = 0x6F6D75
"""First half of the advisory lock of plans that meet bundles ("omu"); the second half is the merchant's id."""


_TABLES = (
    "plan_skus (sku_id bigint PRIMARY KEY, is_stock boolean NOT NULL DEFAULT true, "
    "is_written boolean NOT NULL DEFAULT true)",
    "plan_connections (connection_id integer, is_taker boolean, is_delta boolean, is_on boolean, is_unsure boolean, "
    "counts boolean, late_seconds double precision, safety_stock integer, threshold integer, share numeric, "
    "cap integer, end_when integer, floor integer, scarce text, risk double precision, "
    "news_seconds double precision, is_paused boolean, feeds integer, measured_seconds double precision)",
    "plan_holds (sku_id bigint, location_id integer, allocated bigint, reserved bigint)",
    "plan_in_flight (sku_id bigint, units bigint)",
    "plan_risen (sku_id bigint, units bigint)",
    "plan_stock (sku_id bigint, location_id integer, available bigint)",
    "plan_gone (sku_id bigint, gone bigint)",
    "plan_listings (nth integer, connection_id integer, listing_key text, sku_id bigint, pack_size integer, "
    "is_stock boolean, is_written boolean, is_on boolean, is_delta boolean, is_unsure boolean, safety_stock integer, "
    "threshold integer, share numeric, cap integer, end_when integer, floor integer, is_shared boolean, "
    "risk double precision, is_paused boolean, feeds integer, rate double precision, news_seconds double precision, "
    "present integer, expected integer, shown integer, desired integer, pool_units integer, held_units integer, "
    "plan_reason text, open_id bigint, open_level integer, was_sent boolean)",
)

_ADD_COMPONENTS = """
INSERT INTO pg_temp.plan_skus (sku_id, is_stock, is_written)
SELECT DISTINCT k.component_sku_id, true, {is_written} FROM pg_temp.plan_skus p
JOIN hub.bundle_components k ON k.bundle_sku_id = p.sku_id WHERE NOT p.is_stock {which}
ON CONFLICT DO NOTHING
"""

_ADD_BUNDLES = """
INSERT INTO pg_temp.plan_skus (sku_id, is_stock, is_written)
SELECT DISTINCT k.bundle_sku_id, false, {is_written} FROM pg_temp.plan_skus p
JOIN hub.bundle_components k ON k.component_sku_id = p.sku_id WHERE p.is_stock {which}
ON CONFLICT DO NOTHING
"""

_WIDEN = (
    "UPDATE pg_temp.plan_skus p SET is_stock = false "
    "WHERE EXISTS (SELECT FROM hub.bundle_components k WHERE k.bundle_sku_id = p.sku_id)",
    _ADD_COMPONENTS.format(is_written="true", which=""),
    _ADD_BUNDLES.format(is_written="true", which=""),
    _ADD_COMPONENTS.format(is_written="false", which=""),
    _ADD_BUNDLES.format(is_written="false", which=""),
    _ADD_COMPONENTS.format(is_written="false", which=""),
)

_HAS_BUNDLES = "SELECT EXISTS (SELECT FROM hub.bundle_components WHERE merchant_id = :merchant_id)"

_POLICY = (
    "safety_stock",
    "threshold",
    "share",
    "cap",
    "end_when",
    "floor",
    "scarce",
    "risk",
    "news_seconds",
    "is_paused",
)

_CONNECTIONS = f"""
INSERT INTO pg_temp.plan_connections
SELECT c.connection_id, c.connection_id = ANY(CAST(:takers AS integer[])),
       c.connection_id = ANY(CAST(:deltas AS integer[])),
       c.connection_id = ANY(CAST(:takers AS integer[])) AND c.is_push_enabled AND c.state = 'active',
       c.connection_id = ANY(CAST(:unsure AS integer[])), c.role = 'counts',
       CASE WHEN c.connection_id = ANY(CAST(:unsure AS integer[]))
            THEN greatest(extract(epoch FROM now() - pace.looked_at), 0)::double precision ELSE 0 END,
       {", ".join(f"coalesce(own.{name}, kind.{name}, every.{name})" for name in _POLICY)},
       CASE WHEN own.has_places THEN own.policy_id WHEN kind.has_places THEN kind.policy_id
            WHEN every.has_places THEN every.policy_id END,
       coalesce(pace.news_seconds, {FIRST_NEWS_SECONDS})
FROM hub.connections c
LEFT JOIN hub.connection_pace pace USING (connection_id)
LEFT JOIN hub.policies own ON own.connection_id = c.connection_id AND own.scope = 'connection'
LEFT JOIN hub.policies kind ON kind.merchant_id = c.merchant_id AND kind.scope = 'channel' AND kind.channel = c.channel
LEFT JOIN hub.policies every ON every.merchant_id = c.merchant_id AND every.scope = 'merchant'
WHERE c.merchant_id = :merchant_id AND c.state <> 'removed'
"""

HELD = f"""
WITH {LINE_SKUS}, {HELD_LINES}
SELECT held.sku_id, link.location_id, sum(held.allocated) AS allocated, sum(held.reserved) AS reserved
FROM held
LEFT JOIN hub.location_links link ON link.connection_id = held.connection_id
    AND link.channel_location_id = held.channel_location_id
GROUP BY 1, 2
"""
"""What open lines are promised of the SKUs in the parameter `sku_ids`, by place; null where they have none yet."""

_IN_FLIGHT = """
INSERT INTO pg_temp.plan_in_flight
SELECT l.sku_id, v.in_flight * l.pack_size
FROM hub.listing_levels v
JOIN pg_temp.plan_connections c USING (connection_id)
CROSS JOIN LATERAL (SELECT * FROM hub.listings x WHERE x.connection_id = v.connection_id
                    AND x.listing_key = v.listing_key OFFSET 0) AS l
WHERE v.merchant_id = :merchant_id AND v.in_flight > 0 AND l.sku_id IS NOT NULL AND l.is_tracked AND l.is_writable
"""

_RISEN = """
INSERT INTO pg_temp.plan_risen
SELECT l.sku_id, sum(s.units * l.pack_size)
FROM hub.level_shifts s
JOIN pg_temp.plan_connections c ON c.connection_id = s.connection_id AND c.counts
CROSS JOIN LATERAL (SELECT * FROM hub.listings x WHERE x.connection_id = s.connection_id
                    AND x.listing_key = s.listing_key OFFSET 0) AS l
WHERE s.merchant_id = :merchant_id AND s.kind = 'rise' AND l.sku_id IS NOT NULL GROUP BY 1
"""

_STOCK = """
INSERT INTO pg_temp.plan_stock
SELECT b.sku_id, b.location_id,
       b.on_hand - b.unavailable - coalesce(h.units, 0)
           + CASE WHEN place.is_default THEN coalesce(risen.units, 0) ELSE 0 END
FROM pg_temp.plan_skus p
{reached}
JOIN hub.locations place ON place.location_id = b.location_id
LEFT JOIN (SELECT sku_id, location_id, sum(allocated + reserved) AS units FROM pg_temp.plan_holds GROUP BY 1, 2) AS h
    ON h.sku_id = b.sku_id AND h.location_id = b.location_id
LEFT JOIN pg_temp.plan_risen risen ON risen.sku_id = b.sku_id
WHERE p.is_stock AND b.counted_at IS NOT NULL
"""

_BALANCES_JOINED = "JOIN hub.balances b ON b.sku_id = p.sku_id"
_BALANCES_LOOKED_UP = "CROSS JOIN LATERAL (SELECT * FROM hub.balances x WHERE x.sku_id = p.sku_id OFFSET 0) AS b"

_GONE = """
INSERT INTO pg_temp.plan_gone
SELECT sku_id, sum(units) FROM (
    SELECT h.sku_id, h.allocated + h.reserved AS units FROM pg_temp.plan_holds h
    WHERE NOT EXISTS (SELECT FROM pg_temp.plan_stock s WHERE s.sku_id = h.sku_id AND s.location_id = h.location_id)
    UNION ALL
    SELECT coalesce(k.component_sku_id, f.sku_id), f.units * coalesce(k.units, 1)
    FROM pg_temp.plan_in_flight f LEFT JOIN hub.bundle_components k ON k.bundle_sku_id = f.sku_id
    UNION ALL
    SELECT f.sku_id, f.units FROM pg_temp.plan_in_flight f JOIN pg_temp.plan_skus p USING (sku_id) WHERE NOT p.is_stock
    UNION ALL
    SELECT line.sku_id, (line.allocated_quantity + line.reserved_quantity) * coalesce(pack.pack_size, 1)
    FROM pg_temp.plan_skus p
    JOIN hub.order_lines line ON line.sku_id = p.sku_id AND (line.allocated_quantity > 0 OR line.reserved_quantity > 0)
    LEFT JOIN hub.listings pack ON pack.connection_id = line.connection_id AND pack.listing_key = line.listing_key
        AND pack.sku_id = line.sku_id
    LEFT JOIN hub.location_links link ON link.connection_id = line.connection_id
        AND link.channel_location_id = line.channel_location_id
    WHERE NOT p.is_stock AND link.location_id IS NULL
) AS found
GROUP BY 1
"""

_IDLE = "CASE WHEN v.known_level > 0 THEN extract(epoch FROM now() - coalesce(v.demand_at, v.level_since)) ELSE 0 END"


def _said(name: str, default: object) -> str:
    return f"coalesce(pair.{name}, goods.{name}, c.{name}, {default})"


_LISTINGS = f"""
INSERT INTO pg_temp.plan_listings
SELECT row_number() OVER (), l.connection_id, l.listing_key, l.sku_id, l.pack_size, p.is_stock,
       p.is_written AND c.is_taker, c.is_on, c.is_delta, c.is_unsure, {_said("safety_stock", 0)},
       {_said("threshold", 0)}, {_said("share", 1)}, {_said("cap", "NULL")}, {_said("end_when", 0)},
       {_said("floor", "NULL")}, {_said("scarce", "'hold_back'")} = 'shared', {_said("risk", DEFAULT_RISK)},
       {_said("is_paused", "false")},
       CASE WHEN pair.has_places THEN pair.policy_id WHEN goods.has_places THEN goods.policy_id ELSE c.feeds END,
       CASE WHEN v.demand_at IS NULL AND coalesce(v.known_level, 0) <= 0 THEN {DEFAULT_RULE.prior_rate!r}
            ELSE {rate("v", f"coalesce({_IDLE}, 0)::double precision")} END,
       {_said("news_seconds", "c.measured_seconds")} + c.late_seconds,
       coalesce(v.known_level, v.acknowledged, v.observed),
       v.known_level - v.early_units + v.early_restocked,
       greatest(0, coalesce(v.known_level, v.acknowledged, v.observed), CASE WHEN v.doubted_at IS NOT NULL
                THEN (SELECT max(level) FROM unnest(v.doubted_levels) AS doubt (level)) END),
       v.desired, v.pool_units, coalesce(v.held_units, 0), coalesce(v.plan_reason, ''), o.outbox_id, o.to_level,
       o.sent_at IS NOT NULL
{{reached}}
"""

_PUSHABLE = "l.is_tracked AND l.is_writable AND l.is_active AND l.link_state IN ('automatic', 'manual')"

_JOINED = f"""
FROM pg_temp.plan_skus p
JOIN hub.listings l ON l.sku_id = p.sku_id AND {_PUSHABLE}
    AND l.sku_id BETWEEN CAST(:lowest AS bigint) AND CAST(:highest AS bigint)
JOIN pg_temp.plan_connections c ON c.connection_id = l.connection_id
LEFT JOIN hub.policies goods ON goods.sku_id = l.sku_id AND goods.scope = 'sku'
LEFT JOIN hub.policies pair ON pair.sku_id = l.sku_id AND pair.connection_id = l.connection_id
    AND pair.scope = 'sku_on_connection'
LEFT JOIN hub.listing_levels v ON v.connection_id = l.connection_id AND v.listing_key = l.listing_key
LEFT JOIN hub.outbox o ON o.connection_id = l.connection_id AND o.listing_key = l.listing_key AND o.state = 'open'
"""

_LOOKED_UP = f"""
FROM pg_temp.plan_skus p
CROSS JOIN LATERAL (SELECT * FROM hub.listings l WHERE l.sku_id = p.sku_id AND {_PUSHABLE} OFFSET 0) AS l
JOIN pg_temp.plan_connections c ON c.connection_id = l.connection_id
LEFT JOIN LATERAL (SELECT * FROM hub.policies x WHERE x.sku_id = l.sku_id AND x.scope = 'sku' OFFSET 0) AS goods ON true
LEFT JOIN LATERAL (SELECT * FROM hub.policies x WHERE x.sku_id = l.sku_id AND x.connection_id = l.connection_id
                   AND x.scope = 'sku_on_connection' OFFSET 0) AS pair ON true
LEFT JOIN LATERAL (SELECT * FROM hub.listing_levels x WHERE x.connection_id = l.connection_id
                   AND x.listing_key = l.listing_key OFFSET 0) AS v ON true
LEFT JOIN LATERAL (SELECT * FROM hub.outbox x WHERE x.connection_id = l.connection_id
                   AND x.listing_key = l.listing_key AND x.state = 'open' OFFSET 0) AS o ON true
"""
"""As `_JOINED`, each row looked up by its key: `OFFSET 0` keeps PostgreSQL from choosing otherwise."""


def gather(tx: Transaction, frame: PlanFrame, sku_ids: Sequence[int]) -> None:
    """Fill the tables of this module for a plan of the named SKUs."""
    empty_tables(tx, _TABLES)
    copy_rows(tx, "pg_temp.plan_skus", "sku_id", [b"%d\n" % sku_id for sku_id in sku_ids])
    merchant: dict[str, Any] = {"merchant_id": frame.merchant_id}
    if tx.execute(text(_HAS_BUNDLES), merchant).scalar_one():
        _widen(tx, frame.merchant_id)
    lists = {"takers": list(frame.takers), "deltas": list(frame.deltas), "unsure": list(frame.unsure)}
    tx.execute(text(_CONNECTIONS), {**merchant, **lists})
    gathered = tx.execute(text("SELECT sku_id, is_stock FROM pg_temp.plan_skus")).all()
    stocked = [row.sku_id for row in gathered if row.is_stock]
    span = {"lowest": min(row.sku_id for row in gathered), "highest": max(row.sku_id for row in gathered)}
    tx.execute(text(f"INSERT INTO pg_temp.plan_holds {HELD}"), {"sku_ids": stocked})
    tx.execute(text(_IN_FLIGHT), merchant)
    tx.execute(text(_RISEN), merchant)
    tx.execute(text("ANALYZE pg_temp.plan_skus"))
    tx.execute(text(_STOCK.format(reached=_BALANCES_LOOKED_UP if frame.is_small else _BALANCES_JOINED)), merchant)
    tx.execute(text(_GONE))
    if frame.is_small:
        tx.execute(text(_LISTINGS.format(reached=_LOOKED_UP)))
    else:
        tx.execute(text(_LISTINGS.format(reached=_JOINED)), span)


def _widen(tx: Transaction, merchant_id: int) -> None:
    """Take in what shares units through bundles, alone among the merchant's plans from then on."""
    for statement in _WIDEN:
        tx.execute(text(statement))
    if tx.execute(text("SELECT EXISTS (SELECT FROM pg_temp.plan_skus WHERE NOT is_stock)")).scalar_one():
        lock = {"space": BUNDLES_LOCK_SPACE, "merchant_id": merchant_id}
        tx.execute(text("SELECT pg_advisory_xact_lock(:space, :merchant_id)"), lock)
