"""Demand in SQL: how fast a listing (or a till) sells a SKU, and how long its connection's news take.

What belongs here: the smoothing of `oms_hub.domain.demand` as SQL, kept up at the touch of orders, and the measured
news delay. Not here: the rules behind the figures (`domain.demand`; a test holds both against each other), what a plan
does with them (`plan_inputs`).

Rates are smoothed over the time on offer. Between two touches nothing is written: whoever reads a rate lets the time
since the last touch count as time on offer without a sale.
"""

from __future__ import annotations

from sqlalchemy import text

from oms_hub.domain.demand import DEFAULT_RULE, FIRST_NEWS_SECONDS
from oms_hub.store.engine import Transaction

_SLOWEST = 200.0
"""Exponents stay above this: PostgreSQL refuses results too small for a float."""

_NEWS_WEIGHT = 0.2
_PACE_RUNS = 2


def _kept(seconds: str, memory: float) -> str:
    return f"exp(-least(greatest({seconds}, 0) / {memory}, {_SLOWEST}))"


def rate(alias: str, idle_seconds: str) -> str:
    """Return SQL for the units per second of a row with demand columns.

    Args:
        alias: the row: `demand_units`, `demand_seconds`, `burst_units`, `burst_seconds`.
        idle_seconds: SQL for the time on offer since the last touch.
    """
    rule = DEFAULT_RULE
    slow_kept, quick_kept = _kept(idle_seconds, rule.memory_seconds), _kept(idle_seconds, rule.burst_seconds)
    slow = (
        f"((coalesce({alias}.demand_units, 0) * {slow_kept} + {rule.prior_rate * rule.prior_seconds!r})"
        f" / (coalesce({alias}.demand_seconds, 0) * {slow_kept} + {rule.memory_seconds} * (1 - {slow_kept})"
        f" + {rule.prior_seconds}))"
    )
    quick = (
        f"((coalesce({alias}.burst_units, 0) * {quick_kept} + {slow} * {rule.prior_seconds})"
        f" / (coalesce({alias}.burst_seconds, 0) * {quick_kept} + {rule.burst_seconds} * (1 - {quick_kept})"
        f" + {rule.prior_seconds}))"
    )
    return f"greatest({slow}, {quick})"


def observed(alias: str, *, units: str, on_offer: str) -> dict[str, str]:
    """Return SQL per demand column for what it is after `units` were sold in `on_offer` seconds on offer."""
    found: dict[str, str] = {}
    for prefix, memory in (("demand", DEFAULT_RULE.memory_seconds), ("burst", DEFAULT_RULE.burst_seconds)):
        kept = _kept(on_offer, memory)
        weight = f"({memory} * (1 - {kept}) / nullif({on_offer}, 0))"
        for column, added in ((f"{prefix}_units", units), (f"{prefix}_seconds", on_offer)):
            before = f"coalesce({alias}.{column}, 0)"
            faded = f"{before} * {kept} + {added} * {weight}"
            unseen = f"{before} + {units}" if column.endswith("_units") else before
            found[column] = f"CASE WHEN {on_offer} <= 0 THEN {unseen} WHEN {faded} < 1e-30 THEN 0 ELSE {faded} END"
    return found


_TILLS = f"""
INSERT INTO hub.till_demand AS d (connection_id, sku_id, merchant_id, demand_units, burst_units, demand_at)
SELECT line.connection_id, line.sku_id, line.merchant_id, sum(line.quantity), sum(line.quantity), now()
FROM hub.order_lines line
JOIN hub.orders o USING (connection_id, channel_order_id)
LEFT JOIN hub.heard_lines h USING (connection_id, channel_order_id, line_id)
WHERE line.connection_id = :connection_id AND line.channel_order_id = ANY(CAST(:orders AS text[]))
  AND line.sku_id IS NOT NULL AND line.needs_stock AND line.quantity > 0 AND h.line_id IS NULL
  AND NOT o.is_test AND NOT o.is_draft AND o.kind NOT IN ('credit_note', 'marketplace_fulfilled', 'dropship')
  AND o.placed_at > (SELECT max(b.counted_at) FROM hub.balances b WHERE b.sku_id = line.sku_id)
GROUP BY 1, 2, 3
ORDER BY 1, 2
ON CONFLICT (connection_id, sku_id) DO UPDATE SET demand_at = now(),
    {
    ", ".join(
        f"{column} = {value}"
        for column, value in observed(
            "d",
            units="excluded.demand_units",
            on_offer="greatest(extract(epoch FROM now() - d.demand_at), 0)::double precision",
        ).items()
    )
}
"""

_TILL_LINES = """
INSERT INTO hub.heard_lines (connection_id, channel_order_id, line_id, merchant_id, units, restocked, placed_at)
SELECT line.connection_id, line.channel_order_id, line.line_id, line.merchant_id, line.quantity, 0, o.placed_at
FROM hub.order_lines line JOIN hub.orders o USING (connection_id, channel_order_id)
WHERE line.connection_id = :connection_id AND line.channel_order_id = ANY(CAST(:orders AS text[]))
  AND line.sku_id IS NOT NULL AND line.needs_stock AND line.quantity > 0
  AND o.placed_at > (SELECT max(b.counted_at) FROM hub.balances b WHERE b.sku_id = line.sku_id)
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""

_LOOKS = f"""
INSERT INTO hub.connection_pace AS p (connection_id, merchant_id, looked_at, news_seconds)
SELECT c.connection_id, c.merchant_id, looks.newest,
       coalesce(extract(epoch FROM looks.newest - looks.before)::double precision, {FIRST_NEWS_SECONDS})
           + coalesce(pushes.seconds, 0)
FROM hub.connections c
CROSS JOIN LATERAL (
    SELECT max(started_at) AS newest, min(started_at) FILTER (WHERE nth = {_PACE_RUNS}) AS before
    FROM (SELECT started_at, row_number() OVER (ORDER BY sync_run_id DESC) AS nth FROM hub.sync_runs
          WHERE connection_id = c.connection_id AND step = 'pull_orders' AND state = 'succeeded'
          ORDER BY sync_run_id DESC LIMIT {_PACE_RUNS}) AS newest_runs
) AS looks
LEFT JOIN LATERAL (
    SELECT extract(epoch FROM finished_at - started_at)::double precision AS seconds FROM hub.sync_runs
    WHERE connection_id = c.connection_id AND step = 'deliver_push' AND state = 'succeeded'
    ORDER BY sync_run_id DESC LIMIT 1
) AS pushes ON true
WHERE c.merchant_id = :merchant_id AND c.state <> 'removed' AND looks.newest IS NOT NULL
ORDER BY c.connection_id
ON CONFLICT (connection_id) DO UPDATE SET looked_at = excluded.looked_at,
    news_seconds = CASE WHEN excluded.news_seconds >= p.news_seconds THEN excluded.news_seconds
        ELSE p.news_seconds + {_NEWS_WEIGHT} * (excluded.news_seconds - p.news_seconds) END
WHERE excluded.looked_at > p.looked_at
"""


def learn_from_till(tx: Transaction, connection_id: int, channel_order_ids: list[str]) -> None:
    """Count the sales of a connection without listings into its demand, each line once; only what a level knows of."""
    parameters = {"connection_id": connection_id, "orders": channel_order_ids}
    tx.execute(text(_TILLS), parameters)
    tx.execute(text(_TILL_LINES), parameters)


def measure_news(tx: Transaction, merchant_id: int) -> None:
    """Keep how long news of a merchant's connections take: time between the last two good looks, plus delivery.

    A longer delay is believed at once, a shorter one little by little; without news nothing is written.
    """
    tx.execute(text(_LOOKS), {"merchant_id": merchant_id})
