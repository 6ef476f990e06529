"""What each listing of a plan should show, in SQL: the rules of `oms_hub.domain.offers` over hundreds of thousands.

What belongs here: pools, limits, hold-back. Not here: where the figures come from (`plan_inputs`), the split of the
last units, which the caller computes for the few SKUs that are scarce (`scarce_sellers`, `take_settled`), what is
written (`plan_outcome`). A test holds these statements against the pure rules on random data.

Tables: `plan_sellable` (units by SKU, place and the policy that looks at them), `plan_kits` (how many bundles can be
made for a listing), `plan_shares` (each SKU's sellers: what their policy allows of their own pool, and their target
where the pool is not scarce), `plan_settled` (targets where it is).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import text

from oms_hub.domain.hold_back import DEFAULT_RISK
from oms_hub.store.copy_text import copy_rows
from oms_hub.store.demand import rate
from oms_hub.store.engine import Transaction
from oms_hub.store.plan_frame import empty_tables


class ScarceSeller(NamedTuple):
    """One seller of a SKU whose pool is scarce; all figures in units of the SKU. `nth` None is a till."""

    sku_id: int
    nth: int | None
    pool: int
    risk: float
    rate: float
    news_seconds: float
    shown: int
    limit: int | None
    units: int
    can_be_stopped: bool


_TABLES = (
    "plan_sellable (sku_id bigint, location_id integer, feeds integer, safety_stock integer, sellable bigint)",
    "plan_kits (nth integer, kits bigint)",
    "plan_shares (sku_id bigint, nth integer, connection_id integer, units bigint, own_pool bigint, most bigint, "
    "decided text, rate double precision, news_seconds double precision, shown bigint, can_stop boolean, "
    "risk double precision, pool bigint, loose bigint, is_scarce boolean)",
    "plan_settled (sku_id bigint, nth integer, wanted bigint, reachable bigint)",
)

_SELLABLE = """
INSERT INTO pg_temp.plan_sellable
SELECT s.sku_id, s.location_id, seen.feeds, seen.safety_stock,
       greatest(0, s.available - coalesce(own.units, place.units, seen.safety_stock))
FROM (SELECT DISTINCT sku_id, feeds, safety_stock FROM pg_temp.plan_listings WHERE is_stock
      UNION SELECT k.component_sku_id, l.feeds, l.safety_stock
      FROM pg_temp.plan_listings l JOIN hub.bundle_components k ON k.bundle_sku_id = l.sku_id
      WHERE NOT l.is_stock) AS seen
JOIN pg_temp.plan_stock s ON s.sku_id = seen.sku_id
LEFT JOIN hub.policy_places fed ON fed.policy_id = seen.feeds AND fed.location_id = s.location_id
LEFT JOIN hub.safety_stocks place ON place.location_id = s.location_id AND place.sku_id IS NULL
LEFT JOIN hub.safety_stocks own ON own.location_id = s.location_id AND own.sku_id = s.sku_id
WHERE seen.feeds IS NULL OR fed.policy_id IS NOT NULL
"""

_KITS = """
INSERT INTO pg_temp.plan_kits
WITH parts AS (
    SELECT l.nth, l.sku_id, l.feeds, l.safety_stock, k.component_sku_id, k.units,
           count(*) OVER (PARTITION BY l.nth) AS components,
           EXISTS (SELECT FROM pg_temp.plan_stock s WHERE s.sku_id = k.component_sku_id) AS is_counted
    FROM pg_temp.plan_listings l JOIN hub.bundle_components k ON k.bundle_sku_id = l.sku_id
),
at_places AS (
    SELECT p.nth, s.location_id, min(s.sellable / p.units) AS kits
    FROM parts p JOIN pg_temp.plan_sellable s ON s.sku_id = p.component_sku_id
        AND coalesce(s.feeds, 0) = coalesce(p.feeds, 0) AND s.safety_stock = p.safety_stock
    GROUP BY p.nth, s.location_id, p.components HAVING count(*) = p.components
),
kits AS (SELECT nth, sum(kits) AS kits FROM at_places GROUP BY nth),
fed AS (SELECT sku_id, feeds, safety_stock, sum(sellable) AS units FROM pg_temp.plan_sellable GROUP BY 1, 2, 3),
bounds AS (
    SELECT p.nth, coalesce(own.gone, 0) AS own,
           min(floor((coalesce(fed.units, 0) - greatest(0, coalesce(g.gone, 0) - coalesce(own.gone, 0) * p.units))
                     / p.units::numeric)) AS most
    FROM parts p
    LEFT JOIN fed ON fed.sku_id = p.component_sku_id AND coalesce(fed.feeds, 0) = coalesce(p.feeds, 0)
        AND fed.safety_stock = p.safety_stock
    LEFT JOIN pg_temp.plan_gone g ON g.sku_id = p.component_sku_id
    LEFT JOIN pg_temp.plan_gone own ON own.sku_id = p.sku_id
    GROUP BY p.nth, own.gone
)
SELECT b.nth, least(coalesce(k.kits, 0), b.most) - b.own
FROM bounds b LEFT JOIN kits k USING (nth)
WHERE NOT EXISTS (SELECT FROM parts p WHERE p.nth = b.nth AND NOT p.is_counted)
"""

_LISTING = (
    "l.nth, l.connection_id, l.rate, l.news_seconds, l.shown, l.is_on, l.is_shared, l.risk, l.pack_size, l.share, "
    "l.cap, l.end_when, l.is_paused"
)

_SHARES = f"""
INSERT INTO pg_temp.plan_shares
WITH fed AS (
    SELECT sku_id, feeds, safety_stock, sum(sellable)::bigint AS units FROM pg_temp.plan_sellable GROUP BY 1, 2, 3
),
pools AS (
    SELECT counted.sku_id, coalesce(g.gone, 0) AS gone,
           (coalesce(at_places.units, 0) - coalesce(least_kept.threshold, 0) - coalesce(g.gone, 0))::bigint AS pool
    FROM (SELECT DISTINCT sku_id FROM pg_temp.plan_stock) AS counted
    LEFT JOIN (SELECT sku_id, sum(units) AS units
               FROM (SELECT sku_id, location_id, max(sellable) AS units FROM pg_temp.plan_sellable GROUP BY 1, 2)
                    AS most GROUP BY 1) AS at_places USING (sku_id)
    LEFT JOIN (SELECT sku_id, min(threshold) AS threshold FROM pg_temp.plan_listings WHERE is_stock GROUP BY 1)
        AS least_kept USING (sku_id)
    LEFT JOIN pg_temp.plan_gone g USING (sku_id)
),
takers AS (
    SELECT p.sku_id, p.pool, l.pack_size::bigint AS units, {_LISTING},
           coalesce(fed.units, 0) - l.threshold - p.gone AS own_pool
    FROM pg_temp.plan_listings l
    JOIN pools p USING (sku_id)
    LEFT JOIN fed ON fed.sku_id = l.sku_id AND coalesce(fed.feeds, 0) = coalesce(l.feeds, 0)
        AND fed.safety_stock = l.safety_stock
    WHERE l.is_stock
    UNION ALL
    SELECT p.sku_id, p.pool, k.units::bigint * l.pack_size, {_LISTING}, made.kits - l.threshold
    FROM pg_temp.plan_kits made
    JOIN pg_temp.plan_listings l USING (nth)
    JOIN hub.bundle_components k ON k.bundle_sku_id = l.sku_id
    JOIN pools p ON p.sku_id = k.component_sku_id
),
limited AS (
    SELECT t.*, floor(own_pool * share)::bigint AS part FROM takers t
),
sellers AS (
    SELECT sku_id, pool, nth, connection_id, units, own_pool,
           CASE WHEN is_paused OR own_pool <= 0 OR own_pool <= end_when THEN 0
                ELSE least(coalesce(cap, part), part) END / pack_size AS most,
           CASE WHEN is_paused THEN 'paused' WHEN own_pool <= 0 THEN 'empty' WHEN own_pool <= end_when THEN 'end_when'
                WHEN part > cap THEN 'cap' WHEN part < own_pool THEN 'share' ELSE 'pool' END AS decided,
           rate * units AS rate, news_seconds, shown * units AS shown, is_on,
           CASE WHEN NOT is_shared THEN risk END AS risk
    FROM limited
    UNION ALL
    SELECT p.sku_id, p.pool, NULL, c.connection_id, 1, NULL, NULL, NULL,
           coalesce(k.units, 1) * {rate("t", "extract(epoch FROM now() - t.demand_at)::double precision")},
           coalesce(c.news_seconds, c.measured_seconds) + c.late_seconds, 0, false, NULL
    FROM hub.till_demand t
    JOIN pg_temp.plan_connections c USING (connection_id)
    LEFT JOIN hub.bundle_components k ON k.bundle_sku_id = t.sku_id
    JOIN pools p ON p.sku_id = coalesce(k.component_sku_id, t.sku_id)
),
totals AS (
    SELECT s.*, sum(rate * news_seconds) OVER one_sku AS everybody, count(*) OVER one_sku AS sellers,
           coalesce(max(risk) OVER one_sku, {DEFAULT_RISK}) AS most_risk,
           CASE WHEN nth IS NULL THEN false ELSE is_on OR NOT bool_or(is_on) OVER one_sku END AS can_stop
    FROM sellers s WINDOW one_sku AS (PARTITION BY sku_id)
),
reaches AS (
    SELECT t.*, CASE WHEN can_stop THEN greatest(shown, least(pool, most * units)) ELSE pool END AS reach,
           everybody - rate * news_seconds AS others
    FROM totals t
),
holds AS (
    SELECT r.*, CASE WHEN sellers = 1 THEN 0
                     ELSE least(ceil(others + most_risk * sqrt(greatest(others, 0)) - 1e-9),
                                sum(reach) OVER (PARTITION BY sku_id) - reach) END::bigint AS hold
    FROM reaches r
)
SELECT sku_id, nth, connection_id, units, own_pool, most, decided, rate, news_seconds, shown, can_stop, most_risk, pool,
       CASE WHEN pool <= 0 THEN 0 ELSE greatest(0, least(most * units, pool, pool - hold)) / units END,
       pool > 0 AND sellers > 1 AND pool <= 2 * max(hold) OVER (PARTITION BY sku_id) + 1
FROM holds
"""

_SCARCE = """
SELECT s.sku_id, s.nth, s.pool, s.risk, s.rate, s.news_seconds, s.shown, s.most * s.units, s.units, s.can_stop
FROM pg_temp.plan_shares s LEFT JOIN pg_temp.plan_listings l USING (nth)
WHERE s.is_scarce
ORDER BY s.sku_id, s.nth IS NULL, s.connection_id, l.listing_key COLLATE "C"
"""


def compute(tx: Transaction) -> None:
    """Fill the tables of this module from those of `plan_inputs`."""
    empty_tables(tx, _TABLES)
    tx.execute(text(_SELLABLE))
    if tx.execute(text("SELECT EXISTS (SELECT FROM pg_temp.plan_skus WHERE NOT is_stock)")).scalar_one():
        tx.execute(text(_KITS))
    tx.execute(text(_SHARES))


def scarce_sellers(tx: Transaction) -> Sequence[ScarceSeller]:
    """Return the sellers of all SKUs whose pool is scarce: by SKU, listings before tills, in a stable order."""
    return [ScarceSeller(*row) for row in tx.execute(text(_SCARCE))]


def take_settled(tx: Transaction, settled: Iterable[tuple[int, int, int, int]]) -> None:
    """Take in what scarce listings should show and may show right now: (SKU id, nth, wanted, reachable), in units."""
    rows = [b"%d\t%d\t%d\t%d\n" % row for row in settled]
    copy_rows(tx, "pg_temp.plan_settled", "sku_id, nth, wanted, reachable", rows)
