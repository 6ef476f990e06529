"""How far a new connection is: what was read, what is linked, what was counted. Read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from oms_hub.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """How far a connection is.

    Attributes:
        running: the step that runs now, empty for none. failed: what failed last, empty where nothing did.
        steps: the newest end of each step: {"step", "state", "finished_at", "error"}.
        listings, linked: active ones. counted: linked SKUs that have a count.
        places: the channel's places with ours.
        orders: stored orders.
    """

    running: str
    failed: str
    has_read: bool
    listings: int
    linked: int
    counted: int
    orders: int
    places: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]


_COUNTS = text("""
SELECT count(*) AS listings, count(*) FILTER (WHERE l.sku_id IS NOT NULL) AS linked,
       count(*) FILTER (WHERE EXISTS (SELECT FROM hub.balances b
                                      WHERE b.sku_id = l.sku_id AND b.counted_at IS NOT NULL)) AS counted,
       (SELECT count(*) FROM hub.orders o WHERE o.connection_id = :connection_id) AS orders
FROM hub.listings l WHERE l.connection_id = :connection_id AND l.is_active
""")

_STEPS = text("""
SELECT DISTINCT ON (step) step, state, started_at, finished_at, error FROM hub.sync_runs
WHERE connection_id = :connection_id ORDER BY step, sync_run_id DESC
""")

_PLACES = text("""
SELECT k.channel_location_id, k.name, k.is_default, k.location_id, p.code
FROM hub.location_links k LEFT JOIN hub.locations p USING (location_id)
WHERE k.connection_id = :connection_id AND k.is_active ORDER BY k.is_default DESC, k.name, k.channel_location_id
""")


def setup_facts(tx: Transaction, connection_id: int) -> SetupFacts:
    """Return how far a connection is."""
    values = {"connection_id": connection_id}
    counts = tx.execute(_COUNTS, values).one()
    steps = [dict(row._mapping) for row in tx.execute(_STEPS, values)]
    places = [dict(row._mapping) for row in tx.execute(_PLACES, values)]
    newest = max(steps, key=lambda each: each["started_at"], default=None)
    return SetupFacts(
        running=next((each["step"] for each in steps if each["state"] == "running"), ""),
        failed=str(newest["error"]) if newest is not None and newest["state"] == "failed" else "",
        has_read=any(each["step"] == "normalise_orders" and each["state"] == "succeeded" for each in steps),
        listings=counts.listings, linked=counts.linked, counted=counts.counted, orders=counts.orders,
        places=places, steps=steps,
    )  # fmt: skip
